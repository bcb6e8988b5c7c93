// SPDX-License-Identifier: GPL-3.0-or-later
// What we read in certificates, beside what OpenSSL reads in them.
#include "tls/x509.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <ctime>
#include <string>
#include <vector>

#include "pki.h"
#include "tls/digest.h"
#include "tls/distinguished_name.h"

namespace postern::tls::test {
namespace {

using std::string_literals::operator""s;

std::string subject_by_openssl(const std::string& chain) {
  BIO* bio = BIO_new(BIO_s_mem());
  X509_NAME_print_ex(bio, X509_get_subject_name(certificate_of(chain).get()), 0,
                     XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB));
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  std::string text(bytes, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

PeerCertificate peer_of(const Wanted& wanted) {
  const std::optional<PeerCertificate> peer = read_peer(der_of(authority().issue(wanted).chain));
  EXPECT_TRUE(peer);
  return peer.value_or(PeerCertificate());
}

TEST(X509, SubjectAsOpensslWritesIt) {
  const std::vector<std::vector<std::string>> subjects = {
      {},
      {"C=DE", "ST=Bayern", "L=M\xc3\xbcnchen", "O=Example", "OU=Mail",
       "street=Hauptstra\xc3\x9f"
       "e 1"},
      {"DC=test", "DC=example", "UID=joe"},
      {"O=Example", "emailAddress=joe@example.test", "serialNumber=4711"},
      {"O= leading and trailing ", "OU=#hash", "L=a,b+c\"d\\e<f>g;h=i"},
      {"O= ", "OU=  "},
      {"O=\xe6\x97\xa5\xe6\x9c\xac", "OU=\xf0\x9f\x93\xab"},
  };
  for (const std::vector<std::string>& subject : subjects) {
    const Leaf leaf = authority().issue({.common_name = "Joe Doe", .dns = {}, .subject = subject});
    const std::optional<PeerCertificate> peer = read_peer(der_of(leaf.chain));
    ASSERT_TRUE(peer);
    EXPECT_EQ(peer->subject, subject_by_openssl(leaf.chain));
    EXPECT_EQ(peer->common_name, "Joe Doe");
  }
}

TEST(X509, SubjectInParts) {
  EXPECT_EQ(peer_of({.common_name = "joe", .dns = {}, .subject = {"O=a", "+OU=b", "OU=c"}}).subject,
            "CN=joe,OU=c,O=a+OU=b");
  // The last one is the most specific.
  EXPECT_EQ(peer_of({.common_name = "joe", .dns = {}, .subject = {"CN=Users"}}).common_name, "joe");
  // A type without a name of its own.
  EXPECT_EQ(peer_of({.common_name = "joe", .dns = {}, .subject = {"title=Dr"}}).subject, "CN=joe,2.5.4.12=#0c024472");
}

TEST(X509, Emails) {
  EXPECT_EQ(peer_of({.common_name = "joe", .dns = {}}).email, "");
  EXPECT_EQ(peer_of({.dns = {"a.test", "IP:127.0.0.1"}}).email, "");
  EXPECT_EQ(peer_of({.dns = {"a.test", "email:joe@example.test", "email:b@c.test"}}).email, "joe@example.test");
  // The one in the subject is no alternative name.
  EXPECT_EQ(peer_of({.common_name = "joe", .dns = {}, .subject = {"emailAddress=a@b.test"}}).email, "");
}

TEST(X509, Fingerprint) {
  const Leaf leaf = authority().issue({.dns = {"a.test"}});
  unsigned char bytes[32];
  X509_digest(certificate_of(leaf.chain).get(), EVP_sha256(), bytes, nullptr);
  EXPECT_EQ(read_peer(der_of(leaf.chain))->fingerprint, hex({reinterpret_cast<char*>(bytes), sizeof bytes}));
}

TEST(X509, KeyInfo) {
  for (const KeyKind key : {KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::Rsa2048, KeyKind::Ed25519}) {
    const Leaf leaf = authority().issue({.dns = {"a.test"}, .key = key});
    EXPECT_EQ(digest(Hash::Sha256, key_info(der_of(leaf.chain))), pin_of(leaf.chain));
  }
}

TEST(X509, Expiry) {
  for (const int days : {-400, 1, 365, 365 * 20, 365 * 40}) {  // the last one is beyond 2050, where another form begins
    const Leaf leaf = authority().issue({.dns = {"a.test"}, .valid_from_s = -500 * 86400, .valid_to_s = days * 86400});
    tm calendar = {};
    ASN1_TIME_to_tm(X509_get0_notAfter(certificate_of(leaf.chain).get()), &calendar);
    EXPECT_EQ(certificate_expiry(der_of(leaf.chain)), timegm(&calendar)) << days;
  }
}

TEST(X509, Malformed) {
  const std::string der = der_of(authority().issue({.dns = {"a.test", "email:joe@example.test"}}).chain);
  for (size_t size = 0; size < der.size(); ++size) {
    const std::string_view cut = std::string_view(der).substr(0, size);
    EXPECT_FALSE(read_peer(cut)) << size;
    EXPECT_EQ(key_info(cut), "");
    EXPECT_EQ(end_point_binding(cut), "");
    EXPECT_FALSE(certificate_expiry(cut));
  }
  EXPECT_FALSE(read_peer(der + "x"));
  // Any byte changed: something is read or nothing is, and the certificate's end is never passed.
  for (size_t at = 0; at < der.size(); ++at) {
    for (const int change : {0x01, 0x80, 0xff}) {
      std::string changed = der;
      changed[at] = static_cast<char>(changed[at] ^ change);
      const std::optional<PeerCertificate> peer = read_peer(changed);
      EXPECT_TRUE(!peer || peer->fingerprint.size() == 64);
    }
  }
}

std::string value(char tag, const std::string& content) {
  return std::string(1, tag) + static_cast<char>(content.size()) + content;
}

// A Name of one attribute, whose type is an OID's content.
std::string name_of(const std::string& type, char tag, const std::string& text) {
  return value(0x31, value(0x30, value(0x06, type) + value(tag, text)));
}

std::string text_of(const std::string& rdns) {
  const std::optional<DistinguishedName> name = read_name(rdns);
  return name ? name->text + "|" + name->common_name : "(none)";
}

TEST(DistinguishedName, KindsOfText) {
  const std::string cn = "\x55\x04\x03";
  EXPECT_EQ(text_of(""), "|");
  EXPECT_EQ(text_of(name_of(cn, 0x0c, "J\xc3\xb6")), "CN=J\xc3\xb6|J\xc3\xb6");
  EXPECT_EQ(text_of(name_of(cn, 0x13, "Joe")), "CN=Joe|Joe");
  EXPECT_EQ(text_of(name_of(cn, 0x16, "Joe")), "CN=Joe|Joe");
  EXPECT_EQ(text_of(name_of(cn, 0x14, "J\xf6")), "CN=J\xc3\xb6|J\xc3\xb6");
  EXPECT_EQ(text_of(name_of(cn, 0x1e, "\0J\0\xf6\x20\xac"s)), "CN=J\xc3\xb6\xe2\x82\xac|J\xc3\xb6\xe2\x82\xac");
  // No text, or not what its type promises: the name says nothing, the subject shows the bytes.
  EXPECT_EQ(text_of(name_of(cn, 0x13, "J\xf6")), "CN=#13024af6|");
  EXPECT_EQ(text_of(name_of(cn, 0x1e, "\xd8\x3d"s)), "CN=#1e02d83d|");
  EXPECT_EQ(text_of(name_of(cn, 0x1e, "J")), "CN=#1e014a|");
  EXPECT_EQ(text_of(name_of(cn, 0x02, "\x01")), "CN=#020101|");
  for (const std::string& bad : {"\xc3"s, "\xc0\xaf"s, "\xe0\x80\xaf"s, "\xed\xa0\x80"s, "\xf0\x80\x80\x80"s,
                                 "\xf4\x90\x80\x80"s, "\xff"s, "\x80"s}) {
    EXPECT_EQ(text_of(name_of(cn, 0x0c, bad)), "CN=#0c0" + std::to_string(bad.size()) + hex(bad) + "|");
  }
}

// A NUL in the middle once made programs believe in the name before it.
TEST(DistinguishedName, ControlCharacters) {
  const std::string cn = "\x55\x04\x03";
  EXPECT_EQ(text_of(name_of(cn, 0x0c, "joe\0.evil"s)), "CN=joe\\00.evil|");
  EXPECT_EQ(text_of(name_of(cn, 0x0c, "joe\r\nx")), "CN=joe\\0d\\0ax|");
  EXPECT_EQ(text_of(name_of(cn, 0x0c, "joe") + name_of(cn, 0x0c, "\x7f")), "CN=\\7f,CN=joe|");
}

TEST(DistinguishedName, Malformed) {
  const std::string cn = "\x55\x04\x03";
  const std::string good = name_of(cn, 0x0c, "joe");
  for (size_t size = 1; size < good.size(); ++size)
    EXPECT_EQ(text_of(good.substr(0, size)), "(none)") << size;
  EXPECT_EQ(text_of(value(0x31, "")), "(none)");
  EXPECT_EQ(text_of(value(0x31, value(0x30, ""))), "(none)");
  EXPECT_EQ(text_of(value(0x31, value(0x30, value(0x06, cn) + value(0x0c, "a") + value(0x0c, "b")))), "(none)");
  EXPECT_EQ(text_of(name_of(std::string(12, '\xff') + "\x01", 0x0c, "a")), "(none)");
  // A size in more bytes than it needs is no DER.
  EXPECT_EQ(text_of("\x31\x81\x0c" + good.substr(2)), "(none)");
}

}  // namespace
}  // namespace postern::tls::test
