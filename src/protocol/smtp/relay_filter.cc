// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/smtp/relay_filter.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "protocol/line/word.h"
#include "protocol/smtp/command.h"
#include "protocol/smtp/reply.h"

namespace postern::smtp {
namespace {

// Verbs have four letters; so many of them may pass before the line is there. The last one waits until it is known
// that no letter follows: mail servers exist that look at four only.
constexpr size_t eager_size = 3;

// Private words begin with X (RFC 5321, section 4.1.5), and nobody has one that ends there. It is short so that a flood of
// bad lines does not grow on its way. It may stand behind the beginning of a verb, which then is none either.
constexpr std::string_view refused_word = "X\r\n";
// Behind the refused word: the mail server says 221 and hangs up.
constexpr std::string_view last_word = "QUIT\r\n";

bool is_letter(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

std::string_view letters_of(std::string_view line) {
  return line.substr(0, static_cast<size_t>(std::find_if_not(line.begin(), line.end(), is_letter) - line.begin()));
}

// Gives the memory back.
void release(std::string& text) {
  std::string().swap(text);
}

size_t heap_of(const std::string& text) {
  return text.capacity() > std::string().capacity() ? text.capacity() + 1 : 0;
}

}  // namespace

// What may reach the mail server, and how what follows it is to be read.
struct RelayFilter::Verb {
  enum class Then : uint8_t { Command, AwaitData, AwaitEhlo, AwaitHelo, Chunk };

  std::string_view name;
  Then then = Then::Command;
};

const RelayFilter::Verb RelayFilter::verbs[] = {
    {"MAIL"},
    {"RCPT"},
    {"DATA", Verb::Then::AwaitData},
    {"BDAT", Verb::Then::Chunk},
    {"BURL"},
    {"RSET"},
    {"EHLO", Verb::Then::AwaitEhlo},
    {"HELO", Verb::Then::AwaitHelo},
    {"NOOP"},
    {"QUIT"},
    {"HELP"},
    {"VRFY"},
    {"EXPN"},
    {"ETRN"},
};

RelayFilter::RelayFilter(std::string_view capabilities) {
  while (!capabilities.empty()) {
    if (line::same_word(capability_keyword(line::take_line(capabilities)), "CHUNKING")) chunking_ = true;
  }
}

bool RelayFilter::between_commands() const {
  return front_ == Front::Command && front_bytes_.empty() && outstanding_ == 0 && !in_reply_line_;
}

void RelayFilter::freeze(Packer& out) const {
  out.put(front_bytes_);
  out.put(reply_);
  out.put(outstanding_);
  out.put(chunk_left_);
  out.put(held_size_);
  out.put(passed_);
  out.put(std::string_view(head_, head_size_));
  for (const auto state : {static_cast<uint8_t>(front_), static_cast<uint8_t>(awaited_), static_cast<uint8_t>(at_)})
    out.put(state);
  for (const bool flag : {in_reply_line_, filtering_, chunking_, chunking_said_})
    out.put(flag);
}

bool RelayFilter::thaw(Unpacker& in) {
  front_bytes_ = in.text();
  reply_ = in.text();
  outstanding_ = in.get<uint64_t>();
  chunk_left_ = in.get<uint32_t>();
  held_size_ = in.get<uint16_t>();
  passed_ = in.get<uint8_t>();
  const std::string_view head = in.text();
  const auto front = in.get<uint8_t>(), awaited = in.get<uint8_t>(), at = in.get<uint8_t>();
  for (bool* flag : {&in_reply_line_, &filtering_, &chunking_, &chunking_said_})
    *flag = in.get<bool>();
  if (in.failed() || head.size() > sizeof head_ || held_size_ > reply_.size() ||
      front > static_cast<uint8_t>(Front::Lost) || awaited > static_cast<uint8_t>(Awaited::Helo) ||
      at > static_cast<uint8_t>(At::BreakDot)) {
    return false;
  }
  std::copy(head.begin(), head.end(), head_);
  head_size_ = static_cast<uint8_t>(head.size());
  front_ = static_cast<Front>(front);
  awaited_ = static_cast<Awaited>(awaited);
  at_ = static_cast<At>(at);
  return true;
}

size_t RelayFilter::heap_size() const {
  return heap_of(front_bytes_) + heap_of(reply_);
}

// ---- The mail program's bytes --------------------------------------------------------------------------------------

void RelayFilter::from_front(std::string_view bytes, std::string& to_back) {
  while (!bytes.empty()) {
    switch (front_) {
      case Front::Command: command_bytes(bytes, to_back); break;
      case Front::Refusing: refused_bytes(bytes, to_back); break;
      case Front::Waiting: front_bytes_.append(bytes); return;
      case Front::Data: data_bytes(bytes, to_back); break;
      case Front::Chunk:
      case Front::DroppedChunk: chunk_bytes(bytes, to_back); break;
      case Front::Lost: return;
    }
  }
}

// All or the next part of one line. Usually it is there as a whole, and nothing is copied.
void RelayFilter::command_bytes(std::string_view& bytes, std::string& to_back) {
  const size_t newline = bytes.find('\n');
  const bool is_whole = newline != bytes.npos;
  const std::string_view piece = bytes.substr(0, is_whole ? newline + 1 : bytes.size());
  bytes.remove_prefix(piece.size());
  std::string_view line = piece;
  if (!front_bytes_.empty()) line = front_bytes_.append(piece);

  pass_eagerly(line, to_back);
  if (line.size() > command_size_max || !may_pass(line)) {
    if (line::same_word(letters_of(line), "BDAT")) return give_up(to_back);
    front_ = Front::Refusing;
    release(front_bytes_);
    if (is_whole) refuse(to_back);
  } else if (is_whole) {
    pass(line, to_back);
  } else if (front_bytes_.empty()) {
    front_bytes_ = line;
  }
}

void RelayFilter::refused_bytes(std::string_view& bytes, std::string& to_back) {
  const size_t newline = bytes.find('\n');
  bytes.remove_prefix(newline == bytes.npos ? bytes.size() : newline + 1);
  if (newline != bytes.npos) refuse(to_back);
}

const RelayFilter::Verb* RelayFilter::find_verb(std::string_view name) {
  const Verb* verb = std::find_if(std::begin(verbs), std::end(verbs),
                                  [name](const Verb& candidate) { return line::same_word(candidate.name, name); });
  return verb == std::end(verbs) ? nullptr : verb;
}

// What begins like a verb need not wait for the rest of its line: the mail server gets it as soon as we.
void RelayFilter::pass_eagerly(std::string_view line, std::string& to_back) {
  const std::string_view letters = letters_of(line);
  size_t size = 0;
  for (const Verb& verb : verbs) {
    size_t same = 0;
    while (same < std::min(letters.size(), eager_size) &&
           line::same_word(letters.substr(same, 1), verb.name.substr(same, 1)))
      ++same;
    size = std::max(size, same);
  }
  to_back.append(line.substr(passed_, size - passed_));
  passed_ = static_cast<uint8_t>(size);
}

// Whether the line is fit for the mail server, as far as it is there.
bool RelayFilter::may_pass(std::string_view line) {
  const size_t size = line.size();
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  const bool has_ended = line.size() != size;
  const std::string_view letters = letters_of(line);
  if (letters.size() == line.size() && !has_ended) {
    return std::any_of(std::begin(verbs), std::end(verbs), [letters](const Verb& verb) {
      return line::same_word(verb.name.substr(0, letters.size()), letters);
    });
  }
  const std::string_view rest = line.substr(letters.size());
  if (find_verb(letters) == nullptr || has_control(rest)) return false;
  return rest.empty() || rest.front() == ' ' || rest.front() == '\t';
}

void RelayFilter::pass(std::string_view line, std::string& to_back) {
  line.remove_suffix(line.ends_with("\r\n") ? 2 : 1);
  const Verb* verb = find_verb(letters_of(line));
  if (verb->then == Verb::Then::Chunk) return pass_chunk(line, to_back);
  to_back.append(line.substr(passed_)).append("\r\n");
  ++outstanding_;
  passed_ = 0;
  release(front_bytes_);
  switch (verb->then) {
    case Verb::Then::Command:
    case Verb::Then::Chunk: return;
    case Verb::Then::AwaitData: awaited_ = Awaited::Data; break;
    case Verb::Then::AwaitEhlo: awaited_ = Awaited::Ehlo; break;
    case Verb::Then::AwaitHelo: awaited_ = Awaited::Helo; break;
  }
  chunking_said_ = false;
  front_ = Front::Waiting;
}

// The size goes on as we have read it.
void RelayFilter::pass_chunk(std::string_view line, std::string& to_back) {
  constexpr size_t verb_size = 4;
  const std::optional<Chunk> chunk = parse_chunk(trim(line.substr(verb_size)));
  if (!chunk) return give_up(to_back);
  if (!chunking_) {
    refuse(to_back);
  } else {
    to_back.append(line.substr(passed_, verb_size - passed_)).append(" ").append(std::to_string(chunk->size));
    to_back.append(chunk->last ? " LAST\r\n" : "\r\n");
    ++outstanding_;
    passed_ = 0;
    release(front_bytes_);
  }
  if (chunk->size == 0) return;
  chunk_left_ = chunk->size;
  front_ = chunking_ ? Front::Chunk : Front::DroppedChunk;
}

void RelayFilter::refuse(std::string& to_back) {
  to_back.append(refused_word);
  ++outstanding_;
  passed_ = 0;
  release(front_bytes_);
  front_ = Front::Command;
}

// Without a size that can be read, nobody can say where BDAT's octets end and the next command begins.
void RelayFilter::give_up(std::string& to_back) {
  refuse(to_back);
  to_back.append(last_word);
  ++outstanding_;
  front_ = Front::Lost;
}

void RelayFilter::chunk_bytes(std::string_view& bytes, std::string& to_back) {
  const std::string_view octets = bytes.substr(0, chunk_left_);
  if (front_ == Front::Chunk) to_back.append(octets);
  bytes.remove_prefix(octets.size());
  chunk_left_ -= static_cast<uint32_t>(octets.size());
  if (chunk_left_ == 0) front_ = Front::Command;
}

void RelayFilter::data_bytes(std::string_view& bytes, std::string& to_back) {
  size_t read = 0;
  while (read < bytes.size()) {
    if (at_ == At::Text) {
      const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(read);
      const auto end = std::find_if(begin, bytes.end(), [](char c) { return c == '\r' || c == '\n'; });
      to_back.append(begin, end);
      read = static_cast<size_t>(end - bytes.begin());
      if (read == bytes.size()) break;
    }
    if (data_byte(bytes[read++], to_back)) {
      front_ = Front::Command;
      break;
    }
  }
  bytes.remove_prefix(read);
}

// True: the message has ended. NUL behind a line end counts as part of it, since some mail servers do not see it.
bool RelayFilter::data_byte(char c, std::string& to_back) {
  const bool ends_a_line = c == '\r' || c == '\n' || c == '\0';
  switch (at_) {
    case At::Text: break;
    case At::Cr:
    case At::Line:
    case At::Break:
      if (c == '.') {
        at_ = at_ == At::Line ? At::LineDot : At::BreakDot;
        return false;
      }
      break;
    case At::LineDot:
      if (c == '\r') {
        at_ = At::LineDotCr;
        return false;
      }
      [[fallthrough]];
    case At::BreakDot:
      to_back.append(ends_a_line ? ".." : ".");
      at_ = At::Text;
      break;
    case At::LineDotCr:
      if (c == '\n') {
        to_back.append(".\r\n");
        return true;
      }
      to_back.append("..\r");
      at_ = At::Cr;
      if (c == '.') {
        at_ = At::BreakDot;
        return false;
      }
      break;
  }
  to_back.push_back(c);
  const bool behind_line_end = at_ != At::Text;
  if (c == '\r') {
    at_ = At::Cr;
  } else if (c == '\n') {
    at_ = at_ == At::Cr ? At::Line : At::Break;
  } else {
    at_ = c == '\0' && behind_line_end ? At::Break : At::Text;
  }
  return false;
}

// ---- The mail server's bytes ---------------------------------------------------------------------------------------

void RelayFilter::from_back(std::string_view bytes, std::string& to_front, std::string& to_back) {
  while (!bytes.empty()) {
    if (!in_reply_line_) {
      in_reply_line_ = true;
      head_size_ = 0;
      filtering_ = front_ == Front::Waiting && awaited_ == Awaited::Ehlo && outstanding_ == 1;
    }
    const size_t newline = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, newline == bytes.npos ? bytes.size() : newline + 1);
    bytes.remove_prefix(piece.size());
    const size_t head_bytes = std::min(sizeof head_ - head_size_, piece.size());
    piece.copy(head_ + head_size_, head_bytes);
    head_size_ = static_cast<uint8_t>(head_size_ + head_bytes);
    if (filtering_) {
      reply_.append(piece.substr(0, held_size_ + reply_line_size_max - reply_.size()));
    } else {
      to_front.append(piece);
    }
    if (newline == bytes.npos) return;

    in_reply_line_ = false;
    if (filtering_) filter_reply_line(to_front);
    const std::string_view head(head_, head_size_);
    const std::optional<ReplyLine> reply = parse_reply_line(head.substr(0, head.find_first_of("\r\n")));
    // What is no reply is nobody's answer.
    if (reply && reply->last) on_reply(reply->code, to_back);
  }
}

// The first line has the mail server's name, so it always stays. Any other is said when it is known what follows it.
void RelayFilter::filter_reply_line(std::string& to_front) {
  std::string_view line = std::string_view(reply_).substr(held_size_);
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  const std::optional<ReplyLine> reply = parse_reply_line(line);
  const bool is_first = held_size_ == 0;
  if (reply && (is_first || reply->code != 250 || is_relay_capability(reply->text))) {
    if (!is_first) {
      say_held_line('-', to_front);
      if (line::same_word(capability_keyword(reply->text), "CHUNKING")) chunking_said_ = true;
    }
    const size_t size = line.size();
    reply_.erase(0, held_size_).resize(size);
    if (size == 3) reply_.push_back(' ');
    held_size_ = static_cast<uint16_t>(reply_.size());
  } else {
    reply_.resize(held_size_);
  }
  if (!reply || !reply->last) return;
  say_held_line(' ', to_front);
  release(reply_);
  held_size_ = 0;
}

void RelayFilter::say_held_line(char separator, std::string& to_front) {
  to_front.append(reply_, 0, 3).push_back(separator);
  to_front.append(reply_, 4, held_size_ - 4u).append("\r\n");
}

void RelayFilter::on_reply(unsigned code, std::string& to_back) {
  if (outstanding_ != 0) --outstanding_;
  if (front_ != Front::Waiting || outstanding_ != 0) return;
  front_ = Front::Command;
  switch (awaited_) {
    case Awaited::Data:
      if (code != 354) break;
      front_ = Front::Data;
      at_ = At::Line;
      outstanding_ = 1;  // the reply to the message
      break;
    case Awaited::Ehlo:
      if (code == 250) chunking_ = chunking_said_;
      break;
    // There are no extensions without EHLO.
    case Awaited::Helo:
      if (code == 250) chunking_ = false;
      break;
  }
  from_front(std::exchange(front_bytes_, {}), to_back);
}

}  // namespace postern::smtp
