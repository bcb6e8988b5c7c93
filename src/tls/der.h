// SPDX-License-Identifier: GPL-3.0-or-later
// Der: takes values from the front of a text in DER (ITU-T X.690). One that is malformed or not the expected one makes
// the reader bad for good: whatever it gives from then on is empty.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace postern::tls {

class Der {
 public:
  // Tags in one byte, as all those of a certificate are.
  static constexpr uint8_t integer = 0x02, bit_string = 0x03, octet_string = 0x04, oid = 0x06, utf8_string = 0x0c,
                           numeric_string = 0x12, printable_string = 0x13, t61_string = 0x14, ia5_string = 0x16,
                           utc_time = 0x17, generalized_time = 0x18, visible_string = 0x1a, bmp_string = 0x1e,
                           sequence = 0x30, set = 0x31;
  // [number] of a constructed value.
  static constexpr uint8_t context(uint8_t number) { return static_cast<uint8_t>(0xa0 | number); }

  explicit Der(std::string_view bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  bool at_end() const { return bytes_.empty(); }
  // The next value's tag; 0: there is none.
  uint8_t tag() const { return bytes_.empty() ? 0 : static_cast<uint8_t>(bytes_.front()); }

  // The content of the next value, or with its header.
  std::string_view take(uint8_t tag) { return cut(tag, false); }
  std::string_view take_whole(uint8_t tag) { return cut(tag, true); }
  // Passes over the next value if it has this tag.
  void skip(uint8_t tag) {
    if (this->tag() == tag) cut(tag, false);
  }

 private:
  std::string_view cut(uint8_t tag, bool whole) {
    size_t header = 2;
    size_t size = 0;
    if (!ok_ || this->tag() != tag || bytes_.size() < header || !read_size(header, size)) return turn_bad();
    if (size > bytes_.size() - header) return turn_bad();
    const std::string_view all = bytes_.substr(0, header + size);
    bytes_.remove_prefix(all.size());
    return whole ? all : all.substr(header);
  }
  // A size is written in as few bytes as it needs; more than three are no certificate's.
  bool read_size(size_t& header, size_t& size) const {
    size = static_cast<uint8_t>(bytes_[1]);
    if (size < 0x80) return true;
    const size_t count = size & 0x7f;
    if (count == 0 || count > 3 || bytes_.size() < header + count) return false;
    size = 0;
    for (const char c : bytes_.substr(header, count))
      size = size << 8 | static_cast<uint8_t>(c);
    header += count;
    return size >= 0x80 && size >> (8 * (count - 1)) != 0;
  }
  std::string_view turn_bad() {
    ok_ = false;
    bytes_ = {};
    return {};
  }

  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace postern::tls
