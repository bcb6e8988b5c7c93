// SPDX-License-Identifier: GPL-3.0-or-later
// RecordReader: cuts a byte stream into whole TLS records (RFC 8446, section 5.1).
//
// The TLS library is fed whole records only: given the five header bytes alone it would hold a buffer of the record's
// full size until the rest came. Between records a reader holds no memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace postern::tls {

class RecordReader {
 public:
  static constexpr size_t header_size = 5;
  // TLS 1.2 allows 2^14 + 2048 bytes of ciphertext, TLS 1.3 less (RFC 5246, section 6.2.3).
  static constexpr size_t body_size_max = 16384 + 2048;

  enum class Fault : uint8_t {
    None,
    NotTls,   // the bytes do not begin a TLS record: somebody speaks in clear
    TooLong,  // a record longer than the protocol allows
  };

  // Takes the next whole record from the front of `bytes` and returns it, header included; valid until the next call
  // and as long as `bytes`. Without a whole record it keeps what there is, leaves `bytes` empty and returns nullopt; so
  // it does on a fault, which then stays.
  std::optional<std::span<const char>> next(std::span<const char>& bytes);

  Fault fault() const { return fault_; }
  // Bytes of an unfinished record.
  size_t held() const { return partial_ ? partial_->size() : 0; }
  // What there is of a record that was not handed out yet; next() goes on from there, in whichever reader is given it.
  std::string_view unfinished() const {
    return partial_ && !handed_out_ ? std::string_view(*partial_) : std::string_view();
  }

 private:
  // The record's whole size by its header, which must be there.
  std::optional<size_t> record_size(std::span<const char> header);

  // Moves bytes into partial_ until it is one whole record (true), the bytes end, or a fault shows.
  bool gather(std::span<const char>& bytes);
  std::span<const char> hand_out();

  std::unique_ptr<std::string> partial_;
  bool handed_out_ = false;  // partial_ holds a record that the caller has had
  Fault fault_ = Fault::None;
};

}  // namespace postern::tls
