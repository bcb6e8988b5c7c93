// SPDX-License-Identifier: GPL-3.0-or-later
// Hashes that real tools made (each names its own), in every scheme that is a digest or weak: the right password gets
// in, and nothing that is near to it or near to the hash. Weak ones count only where the configuration says so.
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "helper/passwords/passwords.h"

namespace postern::helper {
namespace {

constexpr std::string_view password = "s3cret pässwörd";

struct Vector {
  std::string_view maker;
  std::string_view stored;
  std::string_view weak;  // its word in weak_schemes; empty: it counts anyway
  bool open_end = false;  // a salt of any size, or the password itself, comes last: nobody sees that it was cut
};

constexpr Vector vectors[] = {
    {"doveadm pw -s MD5-CRYPT", "{MD5-CRYPT}$1$7ue9LDO/$1H6WJ4nvUEse6JUxolnnX0", "MD5-CRYPT"},
    {"doveadm pw -s MD5", "{MD5}$1$5xNMDScs$ReaFcrL.54jeacIyrWurR.", "MD5-CRYPT"},
    {"doveadm pw -s MD5.hex", "{MD5.HEX}24312452636d376c772f772464474a506742506731334a3848694f55466e4c472e2f",
     "MD5-CRYPT"},
    {"openssl passwd -1", "$1$postern.$gVS3uXJzX6PPgY7DyM84D.", "MD5-CRYPT"},
    {"openssl passwd -apr1", "$apr1$postern.$32FbkKbbhQo7j3wMXGf400", "APR1-CRYPT"},
    {"openssl passwd -apr1, short salt", "$apr1$ab$rKmpB8311JT6LDRuW8Zen1", "APR1-CRYPT"},
    {"htpasswd -m", "$apr1$rKLYIPt6$sxMVLwbALZj/bcSHkcJTc1", "APR1-CRYPT"},
    {"doveadm pw -s DES-CRYPT", "{DES-CRYPT}s2UcGI1WFvwLs", "DES-CRYPT"},
    {"htpasswd -d", "oC/TqsuHmP5X2", "DES-CRYPT"},
    {"slappasswd -h {CRYPT}", "{CRYPT}YezvggjtNa20cdrDXp9cnXxs8F8xg1zPqQA", "DES-CRYPT"},
    {"perl's crypt, BSDi", "_J9..postUqaj0RW3rB6", "DES-CRYPT"},
    {"perl's crypt, $sha1$", "{CRYPT}$sha1$1000$postern1$JVhDtoSSxe32jm/zR4ui0VXNyEGW", "SHA1-CRYPT"},
    {"perl's crypt, $md5$", "$md5$postern1$$QB8GKV.WzMNRrf21bfrku.", "SUNMD5-CRYPT"},
    {"perl's crypt, $md5,", "$md5,rounds=100$postern1$$iiTHrZEc5nu92Nvqh2/tm.", "SUNMD5-CRYPT"},
    {"doveadm pw -s PBKDF2", "{PBKDF2}$1$VVH5PXYSVRf1pWXK$5000$8b302d6b95061eacae1764690950faf2d06c4850", ""},
    {"hashlib.pbkdf2_hmac", "{pbkdf2}$1$postern$1000$06F17D8D55BA10B7E2E2E8EA28E13F101FFDC4FC", ""},
    {"doveadm pw -s SCRAM-SHA-1",
     "{SCRAM-SHA-1}4096,cGQFBZHMrhRULL7q1WonMA==,cW/QrUGEfLf70WO/OYT93IxuB4U=,mAB+Vi9J1peCgIQ39U+6KI1XNRM=", ""},
    {"doveadm pw -s SCRAM-SHA-256",
     "{SCRAM-SHA-256}4096,KNyo48As0X5Fcx9R/XTNbw==,DpIidlOFLD9ahK1jrRXmtCM/ojvKzhlSjiN3RDMVHLs=,"
     "MS1289t0cT/Jt/SQm0OicJmUrdWB5OGJdWxkPQMXS00=",
     ""},
    {"doveadm pw -s SSHA", "{SSHA}BCqvuLRUm3UQ+YtXS97k9UJHMyZo2Z7C", "", true},
    {"slappasswd -h {SSHA}", "{SSHA}q5E39kBTtMLdVjTQBKtap0E/qMKKUtmo", "", true},
    {"hashlib.sha1, salt with a NUL", "{SSHA}7jLynIYBh2g3rF1o828XmA2pQLcAc2FsdP8K", "", true},
    {"doveadm pw -s SSHA.HEX", "{SSHA.HEX}2ee4fcd63d7bc4e39d538e187a7b9f32912f8dc3e5fa5609", "", true},
    {"doveadm pw -s SSHA256", "{SSHA256}/REaHShlD1uwqQSrxj5OHFGm2Akhcv+Oaiq6zjVmjh535hFo", "", true},
    {"doveadm pw -s SSHA256.hex",
     "{SSHA256.hex}99f99a8323698de3d47f5fa0de2e13b077c5be65617ddd1847613a73e66538f7e4c6c59a", "", true},
    {"doveadm pw -s SSHA512",
     "{SSHA512}C0d7VVuait0v86xyIG1JYQCrFD8/Ahr9nM+aBPDj9ZTnV8wAI8X+86y+k9KFnm7qR4XmjMpmOCNy8ZINuvKnYoVxIA8=", "", true},
    {"doveadm pw -s SHA256", "{SHA256}ZyYKJ2jhK99stPfIQUYPEF/WDO3Of99RMIQlgU09Pk0=", ""},
    {"doveadm pw -s SHA256.HEX", "{SHA256.HEX}67260a2768e12bdf6cb4f7c841460f105fd60cedce7fdf51308425814d3d3e4d", ""},
    {"the same without its suffix", "{sha256}67260A2768e12bdf6cb4f7c841460f105fd60cedce7fdf51308425814d3d3e4d", ""},
    {"doveadm pw -s SHA512.b64",
     "{SHA512.b64}p+ieeddAhNAhFSPvadBLZ4KPpStPBjs2XghnbcC/LhGLvqxcUkfSmoqhI6iwsJAHdUkZdir/7MShhokDvpxk6g==", ""},
    {"htpasswd -s", "{SHA}3lINM12tNtS/20u7eyziOGvMQhQ=", "SHA1"},
    {"doveadm pw -s SHA1.base64", "{SHA1.BASE64}3lINM12tNtS/20u7eyziOGvMQhQ=", "SHA1"},
    {"doveadm pw -s SMD5", "{SMD5}qHmuAA73qaLWeoKn/9yeReH+cv0=", "SMD5", true},
    {"slappasswd -h {SMD5}", "{SMD5}hTdPzoc6Yqamf9ebQKjY7n7bIqs=", "SMD5", true},
    {"doveadm pw -s PLAIN-MD5", "{PLAIN-MD5}17e67b4ad627abc6bf2687c7ad445cdf", "PLAIN-MD5"},
    {"slappasswd -h {MD5}", "{MD5}F+Z7StYnq8a/JofHrURc3w==", "PLAIN-MD5"},
    {"doveadm pw -s LDAP-MD5", "{LDAP-MD5}F+Z7StYnq8a/JofHrURc3w==", "LDAP-MD5"},
    {"doveadm pw -s SHA512-CRYPT.b64",
     "{SHA512-CRYPT.B64}"
     "JDYkeWpnNlFJZDBGNDdrbmZ6WSRad0pjYjVJRGJ2M2RtTE0zMmNyQWw2Z0x0OW9CTnJ6c3NaSG85UEJLQlo4cnlTSWtKMEc2"
     "c1pCNjcxd09UbU5xckkuRUJWNWtBNXkuTzZDTWFWV0xvLg==",
     ""},
    {"doveadm pw -s PLAIN.b64", "{PLAIN.B64}czNjcmV0IHDDpHNzd8O2cmQ=", "", true},
    {"doveadm pw -s CLEARTEXT", "{CLEARTEXT}s3cret pässwörd", "", true},
    {"doveadm pw -s CLEAR", "{CLEAR}s3cret pässwörd", "", true},
};

std::string_view made_by(std::string_view maker) {
  const auto* found =
      std::find_if(std::begin(vectors), std::end(vectors), [&](const Vector& vector) { return vector.maker == maker; });
  return found != std::end(vectors) ? found->stored : "";
}

// Unknown users, and wrong passwords that cost as much, take no time here: there is no memory for their hash.
Passwords::Options quick() {
  return {.scheme = Scheme::Argon2id, .argon2_memory_kib = 1024};
}

Passwords::Options all_allowed() {
  Passwords::Options options = quick();
  for (const std::string_view word : weak_scheme_words())
    options.weak_schemes.emplace_back(word);
  return options;
}

TEST(StoredSchemes, OnlyTheRightPasswordGetsIn) {
  Passwords passwords(all_allowed());
  for (const Vector& vector : vectors) {
    const Verification right = passwords.verify(vector.stored, password);
    EXPECT_EQ(right.match, Match::Yes) << vector.maker << ": " << right.fault;
    std::string split(password);
    split[3] = '\0';
    for (const std::string& wrong :
         {std::string("s3creT pässwörd"), std::string(""), std::string("s"), std::string(password) + '\0', split,
          std::string(password) + std::string(password_size_max, 'x')}) {
      const Verification verification = passwords.verify(vector.stored, wrong);
      EXPECT_EQ(verification.match, Match::No) << vector.maker << ": " << verification.fault;
    }
  }
}

TEST(StoredSchemes, AChangedHashLetsNobodyIn) {
  Passwords passwords(all_allowed());
  for (const Vector& vector : vectors) {
    // In the hash itself, and not in the last group of base64, which may have bits to spare; SCRAM's last field is not
    // what passwords are verified with.
    const bool scram = vector.stored.starts_with("{SCRAM");
    for (const size_t from_end : {size_t{6}, size_t{9}}) {
      std::string stored(vector.stored);
      char& changed = stored[scram ? stored.find(',', stored.find(',') + 1) + from_end : stored.size() - from_end];
      changed = changed == 'a' ? 'b' : 'a';
      EXPECT_NE(passwords.verify(stored, password).match, Match::Yes) << vector.maker;
    }
  }
}

TEST(StoredSchemes, ACutHashIsBrokenAndNoMismatchWhereItsSizeTells) {
  Passwords passwords(all_allowed());
  for (const Vector& vector : vectors) {
    const Verification cut = passwords.verify(vector.stored.substr(0, vector.stored.size() - 4), password);
    EXPECT_EQ(cut.match, vector.open_end ? Match::No : Match::CannotSay) << vector.maker << ": " << cut.fault;
  }
}

TEST(StoredSchemes, NoCutAtAnyPlaceLetsIn) {
  Passwords passwords(all_allowed());
  for (const std::string_view whole :
       {made_by("openssl passwd -apr1"), made_by("doveadm pw -s PBKDF2"), made_by("doveadm pw -s SSHA")}) {
    for (size_t size = 0; size < whole.size(); ++size) {
      EXPECT_NE(passwords.verify(whole.substr(0, size), password).match, Match::Yes) << whole.substr(0, size);
    }
  }
}

TEST(StoredSchemes, WeakOnesCountOnlyWhereTheyAreNamed) {
  Passwords strict(quick());
  for (const Vector& vector : vectors) {
    const Verification verification = strict.verify(vector.stored, password);
    EXPECT_EQ(verification.match, vector.weak.empty() ? Match::Yes : Match::CannotSay) << vector.maker;
    if (vector.weak.empty()) continue;
    EXPECT_EQ(verification.fault, "the scheme " + std::string(vector.weak) + " is weak and does not count; " +
                                      "weak_schemes = [\"" + std::string(vector.weak) +
                                      "\"] in the configuration would let it");
    Passwords::Options options = quick();
    options.weak_schemes.emplace_back(vector.weak);
    EXPECT_EQ(Passwords(options).verify(vector.stored, password).match, Match::Yes) << vector.maker;
    // Any other word does not help.
    options = all_allowed();
    std::erase(options.weak_schemes, vector.weak);
    EXPECT_EQ(Passwords(options).verify(vector.stored, password).match, Match::CannotSay) << vector.maker;
  }
}

TEST(StoredSchemes, FaultsShowTheSchemeAndNothingElse) {
  Passwords passwords(all_allowed());
  const std::pair<std::string_view, std::string_view> broken[] = {
      {"{t0ps3cret}x", "the scheme in braces is unknown"},
      {"{t0ps3cret", "the scheme has no closing brace"},
      {"{SHA256.t0ps3cret}x", "the scheme has an unknown encoding; there are .hex, .b64 and .base64"},
      {"t0ps3cret", "an unmarked hash is of an unknown scheme"},
      {"$t0ps$cret", "an unmarked hash is of an unknown scheme"},
      {"$3$$t0ps3cret", "the hash $3$ is of an unknown scheme"},
      {"{CRYPT}t0ps3cret", "an unmarked hash behind {CRYPT} is unknown there or broken"},
      {"{CRYPT}$argon2id$t0ps3cret", "the hash $argon2id$ behind {CRYPT} is unknown there or broken"},
      {"{SHA512-CRYPT}$5$t0ps3cret", "the hash $5$ behind {SHA512-CRYPT} is unknown there or broken"},
      {"{DIGEST-MD5}t0ps3cret", "the scheme DIGEST-MD5 is not supported"},
      {"{SSHA}t0ps3cret!", "the hash behind {SSHA} is broken: its encoding is wrong"},
      {"{SSHA.hex}t0ps3cret", "the hash behind {SSHA} is broken: its encoding is wrong"},
      {"{SSHA}3lINM12tNtS/20u7eyziOGvMQhQ=", "the SSHA hash is broken: its size is wrong"},
      {"{SHA256}t0ps3crt", "the SHA256 hash is broken: its size is wrong"},
      {"{SHA256}", "the SHA256 hash is broken: its size is wrong"},
      {"{PBKDF2}$1$t0ps3cret", "the PBKDF2 hash is broken: $1$salt$rounds$hex is wanted"},
      {"{PBKDF2}t0ps3cret", "an unmarked hash behind {PBKDF2} is unknown there or broken"},
      {"{PBKDF2}$1$t0ps$99999999999$3cret",
       "the PBKDF2 hash is broken: its rounds must be a number from 1 to 10000000"},
      {"{PBKDF2}$1$t0ps$0$3cret", "the PBKDF2 hash is broken: its rounds must be a number from 1 to 10000000"},
      {"{PBKDF2}$1$t0ps$1000$3cret", "the PBKDF2 hash is broken: its size is wrong"},
      {"$apr1$t0ps3cret", "the APR1-CRYPT hash is broken: its size is wrong"},
      {"$apr1$t0ps3crettoolong$32FbkKbbhQo7j3wMXGf400", "the APR1-CRYPT hash is broken: its size is wrong"},
      {"$6$t0ps3cret", "the SHA512-CRYPT hash is broken: its size is wrong"},
      {"$y$t0ps3cret", "the CRYPT hash is broken: libcrypt refuses it"},
      {"{SCRAM-SHA-1}4096,t0ps3cret", "the SCRAM keys are broken: iterations,salt,stored key,server key are wanted"},
  };
  for (const auto& [stored, fault] : broken) {
    const Verification verification = passwords.verify(stored, password);
    EXPECT_EQ(verification.match, Match::CannotSay) << stored;
    EXPECT_EQ(verification.fault, fault) << stored;
  }
}

TEST(StoredSchemes, AScramSha1KeyIsForPasswordsOnly) {
  for (const Vector& vector : vectors) {
    EXPECT_EQ(Passwords::scram_keys(vector.stored).has_value(), vector.stored.starts_with("{SCRAM-SHA-256}"));
  }
}

TEST(StoredSchemes, ALockBehindASchemeIsALock) {
  Passwords passwords(all_allowed());
  for (const std::string_view stored :
       {"{CRYPT}!", "{CRYPT}*", "{crypt}", "{SHA512-CRYPT}!$6$a$b", "{BLF-CRYPT}*LK*"}) {
    EXPECT_EQ(passwords.verify(stored, password).match, Match::No) << stored;
    EXPECT_EQ(passwords.verify(stored, stored).match, Match::No) << stored;
  }
  EXPECT_EQ(passwords.verify("{PLAIN}!", "!").match, Match::Yes) << "that is a password";
}

// What is good stays, all else is hashed anew, so that the same password is right and others are wrong.
TEST(Upgrade, RenewsWhatIsWeakOrOfAnotherScheme) {
  Passwords::Options options = all_allowed();
  options.upgrade_schemes = true;
  options.argon2_memory_kib = 32 * 1024;
  for (const Scheme scheme : {Scheme::Bcrypt, Scheme::Sha512, Scheme::Argon2id, Scheme::ScramSha256}) {
    options.scheme = scheme;
    Passwords passwords(options);
    const std::string good = Passwords::hash(scheme, password).value();
    EXPECT_FALSE(passwords.renewed(good, password)) << good;
    for (const std::string_view stored :
         {made_by("doveadm pw -s MD5-CRYPT"), made_by("doveadm pw -s SSHA"), std::string_view("{PLAIN}$6$x")}) {
      const std::optional<Secret> fresh = passwords.renewed(stored, password);
      ASSERT_TRUE(fresh) << stored;
      EXPECT_EQ(fresh->reveal().substr(0, 12), std::string_view(good).substr(0, 12));
      EXPECT_EQ(passwords.verify(fresh->reveal(), password).match, Match::Yes);
      EXPECT_EQ(passwords.verify(fresh->reveal(), "other").match, Match::No);
      EXPECT_FALSE(passwords.renewed(fresh->reveal(), password)) << "once is enough";
    }
  }
}

TEST(Upgrade, LeavesWhatItShould) {
  Passwords::Options options = quick();
  options.scheme = Scheme::Bcrypt;
  EXPECT_FALSE(Passwords(options).renewed(made_by("doveadm pw -s SSHA"), password)) << "upgrades are off";
  options.upgrade_schemes = true;
  Passwords passwords(options);
  EXPECT_FALSE(passwords.renewed("$2y$05$9ahfvP/ciPmf8frCQYW.k.fAEpg5hHw5PNH1/oSgKl0B6z8SDNU7K", password));
  EXPECT_FALSE(passwords.renewed(made_by("doveadm pw -s SCRAM-SHA-256"), password)) << "SCRAM logins need these keys";
  EXPECT_FALSE(passwords.renewed(made_by("doveadm pw -s SSHA"), std::string(73, 'x'))) << "bcrypt cannot";
  options.scheme = Scheme::Argon2id;
  options.argon2_memory_kib = 1024;
  EXPECT_FALSE(Passwords(options).renewed(made_by("doveadm pw -s SSHA"), password)) << "there is no memory for it";
}

}  // namespace
}  // namespace postern::helper
