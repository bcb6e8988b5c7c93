// SPDX-License-Identifier: GPL-3.0-or-later
#include "tls/x509.h"

#include <chrono>
#include <vector>

#include "tls/der.h"
#include "tls/digest.h"
#include "tls/distinguished_name.h"

namespace postern::tls {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::string_view oid_subject_alternative_name = "\x55\x1d\x11"sv;
constexpr uint8_t rfc822_name = 0x81;  // [1] IA5String (RFC 5280, section 4.2.1.6)

// The fields of a certificate that we look into, as views of it.
struct Fields {
  std::string_view not_after;  // with its header
  std::string_view subject;    // RDNs
  std::string_view key_info;   // with its header
  std::string_view extensions;
  std::string_view signature_algorithm;
};

std::optional<Fields> fields_of(std::string_view der) {
  Fields fields;
  Der file(der);
  Der certificate(file.take(Der::sequence));
  Der body(certificate.take(Der::sequence));
  fields.signature_algorithm = certificate.take(Der::sequence);
  certificate.take(Der::bit_string);
  body.skip(Der::context(0));  // version
  body.take(Der::integer);     // serial number
  body.take(Der::sequence);    // signature algorithm
  body.take(Der::sequence);    // issuer
  Der validity(body.take(Der::sequence));
  validity.take(validity.tag());
  fields.not_after = validity.take_whole(validity.tag());
  fields.subject = body.take(Der::sequence);
  fields.key_info = body.take_whole(Der::sequence);
  body.skip(0x81);  // unique identifiers, which nobody uses
  body.skip(0x82);
  if (body.tag() == Der::context(3)) {
    Der wrapped(body.take(Der::context(3)));
    fields.extensions = wrapped.take(Der::sequence);
    if (!wrapped.ok()) return std::nullopt;
  }
  if (!file.ok() || !file.at_end() || !certificate.ok() || !certificate.at_end() || !body.ok() || !body.at_end() ||
      !validity.ok()) {
    return std::nullopt;
  }
  return fields;
}

std::string first_email(std::string_view extensions) {
  Der all(extensions);
  while (!all.at_end()) {
    Der extension(all.take(Der::sequence));
    if (extension.take(Der::oid) != oid_subject_alternative_name) continue;
    extension.skip(0x01);  // critical
    Der value(extension.take(Der::octet_string));
    Der names(value.take(Der::sequence));
    while (!names.at_end()) {
      const uint8_t tag = names.tag();
      const std::string_view name = names.take(tag);
      if (tag == rfc822_name) return is_shown_text(name) ? std::string(name) : std::string();
    }
  }
  return "";
}

// UTCTime "YYMMDDHHMMSSZ", whose year is in 1950 to 2049, or GeneralizedTime "YYYYMMDDHHMMSSZ" (RFC 5280, 4.1.2.5).
std::optional<int64_t> seconds_of(std::string_view time) {
  Der value(time);
  const bool long_year = value.tag() == Der::generalized_time;
  const std::string_view text = value.take(long_year ? Der::generalized_time : Der::utc_time);
  const size_t digits = long_year ? 14 : 12;
  if (text.size() != digits + 1 || text.back() != 'Z') return std::nullopt;
  std::vector<int> pairs;
  for (size_t at = 0; at < digits; at += 2) {
    const char tens = text[at];
    const char ones = text[at + 1];
    if (tens < '0' || tens > '9' || ones < '0' || ones > '9') return std::nullopt;
    pairs.push_back((tens - '0') * 10 + (ones - '0'));
  }
  const size_t rest = long_year ? 2 : 1;
  const int year = long_year ? pairs[0] * 100 + pairs[1] : pairs[0] + (pairs[0] < 50 ? 2000 : 1900);
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(pairs[rest])),
                                         std::chrono::day(static_cast<unsigned>(pairs[rest + 1]))};
  const int hour = pairs[rest + 2];
  const int minute = pairs[rest + 3];
  const int second = pairs[rest + 4];
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return ((days * 24 + hour) * 60 + minute) * 60 + second;
}

}  // namespace

std::optional<PeerCertificate> read_peer(std::string_view der) {
  const std::optional<Fields> fields = fields_of(der);
  if (!fields) return std::nullopt;
  const std::optional<DistinguishedName> name = read_name(fields->subject);
  if (!name) return std::nullopt;
  return PeerCertificate{name->text, name->common_name, first_email(fields->extensions),
                         hex(digest(Hash::Sha256, der))};
}

std::string_view key_info(std::string_view der) {
  const std::optional<Fields> fields = fields_of(der);
  return fields ? fields->key_info : std::string_view();
}

std::string end_point_binding(std::string_view der) {
  static constexpr struct {
    std::string_view oid;
    Hash hash;
  } algorithms[] = {
      {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04"sv, Hash::Sha256},  // MD5 with RSA
      {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"sv, Hash::Sha256},  // SHA-1 with RSA
      {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"sv, Hash::Sha256},  // with RSA
      {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c"sv, Hash::Sha384},
      {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d"sv, Hash::Sha512},
      {"\x2a\x86\x48\xce\x3d\x04\x01"sv, Hash::Sha256},      // ECDSA with SHA-1
      {"\x2a\x86\x48\xce\x3d\x04\x03\x02"sv, Hash::Sha256},  // ECDSA
      {"\x2a\x86\x48\xce\x3d\x04\x03\x03"sv, Hash::Sha384},
      {"\x2a\x86\x48\xce\x3d\x04\x03\x04"sv, Hash::Sha512},
  };
  const std::optional<Fields> fields = fields_of(der);
  if (!fields) return "";
  const std::string_view oid = Der(fields->signature_algorithm).take(Der::oid);
  for (const auto& algorithm : algorithms) {
    if (oid == algorithm.oid) return digest(algorithm.hash, der);
  }
  return "";
}

std::optional<int64_t> certificate_expiry(std::string_view der) {
  const std::optional<Fields> fields = fields_of(der);
  return fields ? seconds_of(fields->not_after) : std::nullopt;
}

std::optional<int64_t> revocation_list_expiry(std::string_view der) {
  Der file(der);
  Der list(file.take(Der::sequence));
  Der body(list.take(Der::sequence));
  body.skip(Der::integer);   // version
  body.take(Der::sequence);  // signature algorithm
  body.take(Der::sequence);  // issuer
  body.take(body.tag());     // this update
  const uint8_t tag = body.tag();
  if (tag != Der::utc_time && tag != Der::generalized_time) return std::nullopt;
  return seconds_of(body.take_whole(tag));
}

}  // namespace postern::tls
