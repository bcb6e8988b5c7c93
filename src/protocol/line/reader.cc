// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/line/reader.h"

#include <algorithm>

namespace postern::line {

Step Reader::next_line(size_t size_max) {
  return end_of_line(size_max);
}

Step Reader::next_command(const CommandLimits& limits) {
  for (;;) {
    if (!skip_literal()) return Step::NeedBytes;
    const Step step = end_of_line(limits.line_size);
    if (step != Step::Whole) return step;
    std::optional<LiteralMark> mark = literal_at_end(frame().substr(position_));
    if (mark && !limits.senders_wait) mark->waits = false;
    if (swallowing_ && (!mark || mark->waits)) {
      drop();
      return Step::Swallowed;
    }
    if (!mark) return Step::Whole;
    literal_ = *mark;
    if (literal_.waits) return Step::LiteralWaits;
    if (!swallowing_ && literal_fits(limits)) {
      accept_literal();
      continue;
    }
    const size_t swallowed = swallowing_ ? std::min(literals_size_, limits.swallow_size) : 0;
    if (literal_.size > limits.swallow_size - swallowed) return Step::TooLong;
    if (!swallowing_) return Step::LiteralTooBig;
    swallow();
  }
}

bool Reader::literal_fits(const CommandLimits& limits) const {
  return literal_.size <= limits.literal_size && literal_.size <= limits.literals_size &&
         literals_size_ <= limits.literals_size - literal_.size;
}

void Reader::accept_literal() {
  literals_size_ += literal_.size;
  literal_left_ = literal_.size;
  position_ = searched_ = frame_end_;
}

void Reader::drop() {
  inbox_.consume(frame_end_);
  forget_frame();
}

void Reader::swallow() {
  inbox_.consume(frame_end_);
  // The line limit still holds for the command as a whole, so what was counted stays counted.
  const size_t text_size = text_size_;
  const size_t literals_size = swallowing_ ? literals_size_ : 0;
  forget_frame();
  swallowing_ = true;
  text_size_ = text_size;
  literals_size_ = literals_size + literal_.size;
  literal_left_ = literal_.size;
}

size_t Reader::skip(size_t size) {
  const size_t there = std::min(size, inbox_.size());
  inbox_.consume(there);
  return there;
}

std::string Reader::take_unread() {
  forget_frame();
  return inbox_.take();
}

void Reader::clear() {
  forget_frame();
  inbox_.clear();
}

// Whole: the line [position_, frame_size_) has ended. It is counted once, when its end is found.
Step Reader::end_of_line(size_t size_max) {
  const std::string_view bytes = inbox_.view();
  const size_t newline = bytes.find('\n', searched_);
  const size_t line_end = newline == bytes.npos ? bytes.size() : newline;
  searched_ = line_end;
  size_t line_size = line_end - position_;
  if (line_size != 0 && bytes[line_end - 1] == '\r') --line_size;
  if (text_size_ + line_size > size_max) return Step::TooLong;
  if (newline == bytes.npos) return Step::NeedBytes;
  text_size_ += line_size;
  frame_size_ = position_ + line_size;
  frame_end_ = newline + 1;
  return Step::Whole;
}

// True when no octet of a literal is outstanding.
bool Reader::skip_literal() {
  if (literal_left_ == 0) return true;
  const size_t there = std::min(literal_left_, inbox_.size() - position_);
  literal_left_ -= there;
  if (swallowing_) {
    inbox_.consume(there);
  } else {
    position_ += there;
    searched_ = position_;
  }
  return literal_left_ == 0;
}

void Reader::forget_frame() {
  position_ = searched_ = frame_size_ = frame_end_ = text_size_ = literals_size_ = literal_left_ = 0;
  swallowing_ = false;
}

}  // namespace postern::line
