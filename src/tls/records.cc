// SPDX-License-Identifier: GPL-3.0-or-later
#include "tls/records.h"

#include <algorithm>

namespace postern::tls {
namespace {

constexpr uint8_t content_type_first = 20;  // change_cipher_spec
constexpr uint8_t content_type_last = 23;   // application_data
constexpr uint8_t version_major = 3;

bool is_content_type(uint8_t type) {
  return type >= content_type_first && type <= content_type_last;
}

uint8_t byte_at(std::span<const char> bytes, size_t index) {
  return static_cast<uint8_t>(bytes[index]);
}

}  // namespace

std::optional<size_t> RecordReader::record_size(std::span<const char> header) {
  if (!is_content_type(byte_at(header, 0)) || byte_at(header, 1) != version_major) {
    fault_ = Fault::NotTls;
    return std::nullopt;
  }
  const size_t body_size = static_cast<size_t>(byte_at(header, 3) << 8 | byte_at(header, 4));
  if (body_size > body_size_max) {
    fault_ = Fault::TooLong;
    return std::nullopt;
  }
  return header_size + body_size;
}

std::span<const char> RecordReader::hand_out() {
  handed_out_ = true;
  return *partial_;
}

std::optional<std::span<const char>> RecordReader::next(std::span<const char>& bytes) {
  if (handed_out_) {
    partial_.reset();
    handed_out_ = false;
  }
  if (fault_ == Fault::None && !partial_ && bytes.size() >= header_size) {
    const std::optional<size_t> size = record_size(bytes);
    if (size && bytes.size() >= *size) {
      const std::span<const char> record = bytes.first(*size);
      bytes = bytes.subspan(*size);
      return record;
    }
  }
  if (fault_ == Fault::None && !bytes.empty()) {
    if (!partial_) {
      // The first byte alone tells text from TLS; a mail program that waits for a greeting would never send more.
      if (!is_content_type(byte_at(bytes, 0))) fault_ = Fault::NotTls;
      partial_ = std::make_unique<std::string>();
    }
    if (fault_ == Fault::None && gather(bytes)) return hand_out();
  }
  if (fault_ != Fault::None) {
    bytes = {};
    partial_.reset();
  }
  return std::nullopt;
}

bool RecordReader::gather(std::span<const char>& bytes) {
  size_t wanted = header_size;
  while (true) {
    if (partial_->size() >= header_size) {
      const std::optional<size_t> size = record_size(*partial_);
      if (!size) return false;
      wanted = *size;
      if (partial_->size() == wanted) return true;
      partial_->reserve(wanted);
    }
    if (bytes.empty()) return false;
    const size_t taken = std::min(wanted - partial_->size(), bytes.size());
    partial_->append(bytes.data(), taken);
    bytes = bytes.subspan(taken);
  }
}

}  // namespace postern::tls
