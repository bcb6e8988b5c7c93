// SPDX-License-Identifier: GPL-3.0-or-later
#include "tls/client_hello.h"

#include <cctype>

#include "tls/records.h"

namespace postern::tls {
namespace {

constexpr uint8_t content_handshake = 22;
constexpr uint8_t message_client_hello = 1;
constexpr size_t message_header_size = 4;
constexpr size_t server_name_size_max = 255;  // a DNS name
constexpr size_t alpn_count_max = 16;         // more names than any mail program has reason to offer

enum Extension : uint16_t {
  server_name = 0,
  signature_algorithms = 13,
  application_protocols = 16,
  supported_versions = 43
};

// Takes big-endian numbers and length-prefixed vectors from the front of a text. After a short read ok() is false and
// every value is zero or empty.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : bytes_(bytes) {}

  size_t number(size_t size) {
    size_t value = 0;
    for (const char c : take(size))
      value = value << 8 | static_cast<uint8_t>(c);
    return value;
  }
  std::string_view vector(size_t length_size) { return take(number(length_size)); }
  std::string_view take(size_t size) {
    if (size > bytes_.size()) {
      ok_ = false;
      bytes_ = {};
      return {};
    }
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  bool ok() const { return ok_; }
  bool at_end() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

bool is_ecdsa_signature(size_t scheme) {
  return scheme == 0x0403 || scheme == 0x0503 || scheme == 0x0603;
}

// The ECDHE_ECDSA suites of TLS 1.2 that the gate's own library speaks (RFC 5289, RFC 7905).
bool is_ecdsa_suite(size_t suite) {
  return suite == 0xc02b || suite == 0xc02c || suite == 0xcca9;
}

bool is_grease(size_t version) {
  return (version & 0x0f0f) == 0x0a0a;
}  // RFC 8701

}  // namespace

std::string version_name(uint16_t version) {
  switch (version) {
    case 0x0300: return "SSLv3";
    case 0x0301: return "TLSv1.0";
    case 0x0302: return "TLSv1.1";
    case 0x0303: return "TLSv1.2";
    case 0x0304: return "TLSv1.3";
    default: break;
  }
  static constexpr char digits[] = "0123456789abcdef";
  std::string text = "0x";
  for (int shift = 12; shift >= 0; shift -= 4)
    text += digits[version >> shift & 15];
  return text;
}

ClientHelloReader::Status ClientHelloReader::feed(std::span<const char> record) {
  if (static_cast<uint8_t>(record[0]) != content_handshake) return Status::Malformed;
  records_.append(record.data(), record.size());
  message_.append(record.data() + RecordReader::header_size, record.size() - RecordReader::header_size);
  // A flood of empty records must end too: each costs its header.
  if (records_.size() > size_max + size_max / 4 || message_.size() > size_max) return Status::TooLong;
  if (message_.size() < message_header_size) return Status::NeedRecord;
  Cursor cursor(message_);
  if (cursor.number(1) != message_client_hello) return Status::Malformed;
  const size_t size = cursor.number(3);
  if (size > size_max) return Status::TooLong;
  if (message_.size() < message_header_size + size) return Status::NeedRecord;
  return parse(cursor.take(size)) ? Status::Done : Status::Malformed;
}

bool ClientHelloReader::parse(std::string_view body) {
  Cursor cursor(body);
  hello_.version_max = static_cast<uint16_t>(cursor.number(2));
  cursor.take(32);   // random
  cursor.vector(1);  // legacy session id
  Cursor suites(cursor.vector(2));
  while (suites.ok() && !suites.at_end())
    has_ecdsa_suite_ |= is_ecdsa_suite(suites.number(2));
  cursor.vector(1);  // compression methods
  if (!cursor.ok() || !suites.ok()) return false;
  if (!cursor.at_end() && !parse_extensions(cursor.vector(2))) return false;
  hello_.verifies_ecdsa = has_ecdsa_signature_ && (hello_.version_max >= 0x0304 || has_ecdsa_suite_);
  return cursor.ok();
}

bool ClientHelloReader::parse_extensions(std::string_view extensions) {
  Cursor cursor(extensions);
  while (cursor.ok() && !cursor.at_end()) {
    const auto type = static_cast<uint16_t>(cursor.number(2));
    const std::string_view body = cursor.vector(2);
    if (!cursor.ok() || !parse_extension(type, body)) return false;
  }
  return cursor.ok();
}

bool ClientHelloReader::parse_extension(uint16_t type, std::string_view body) {
  Cursor cursor(body);
  if (type == server_name) {
    Cursor names(cursor.vector(2));
    while (names.ok() && !names.at_end()) {
      const size_t name_type = names.number(1);
      const std::string_view name = names.vector(2);
      if (name_type != 0 || name.size() > server_name_size_max || !hello_.server_name.empty()) continue;
      for (const char c : name)
        hello_.server_name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return cursor.ok() && names.ok();
  }
  if (type == signature_algorithms) {
    Cursor schemes(cursor.vector(2));
    while (schemes.ok() && !schemes.at_end())
      has_ecdsa_signature_ |= is_ecdsa_signature(schemes.number(2));
    return cursor.ok() && schemes.ok();
  }
  if (type == application_protocols) {
    Cursor names(cursor.vector(2));
    while (names.ok() && !names.at_end()) {
      const std::string_view name = names.vector(1);
      if (hello_.alpn.size() < alpn_count_max) hello_.alpn.emplace_back(name);
    }
    return cursor.ok() && names.ok();
  }
  if (type == supported_versions) {
    Cursor versions(cursor.vector(1));
    size_t highest = 0;
    while (versions.ok() && !versions.at_end()) {
      const size_t version = versions.number(2);
      if (!is_grease(version) && version > highest) highest = version;
    }
    if (highest != 0) hello_.version_max = static_cast<uint16_t>(highest);
    return cursor.ok() && versions.ok();
  }
  return true;
}

}  // namespace postern::tls
