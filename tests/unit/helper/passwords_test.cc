// SPDX-License-Identifier: GPL-3.0-or-later
// Hashes that other programs made (openssl passwd, htpasswd, doveadm pw, argon2, Python's bcrypt, perl's crypt) are
// verified; what is weak or broken is a failure and never a mismatch.
#include "helper/passwords/passwords.h"

#include "absl/strings/escaping.h"
#include "helper/passwords/scram.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

namespace postern::helper {
namespace {

constexpr const char* password = "s3cret pässwörd";

struct Vector {
  const char* maker;
  const char* stored;
};

constexpr Vector vectors[] = {
    {"openssl passwd -6",
     "$6$postern.salt$TLYqsvsL.VbZQzkea1pOJx93jkXuMGIpke2iMZ.EoIaPUyEPF8fK895v..wpvcCh8CTDdmkEwt18LNvXS4ZD51"},
    {"openssl passwd -5", "{SHA256-CRYPT}$5$postern.salt$aBdTJhKmbatQMFXolZYo1zHYfIvoB865Ei.6dlpWfS1"},
    {"htpasswd -B", "$2y$05$brQyzXWCSaIaJ4PdN6BdeuNBuxr0vBrMupf9YPLiCQExCpND0qR3a"},
    {"bcrypt", "{BLF-CRYPT}$2b$05$abcdefghijklmnopqrstuu0TMx1ubORAXDRy8WdLVBMwmWB3yRb1O"},
    {"crypt $2a$", "{crypt}$2a$04$abcdefghijklmnopqrstuumlaf.zKYl8Ua11GyuOg9KMviGl3VkwW"},
    {"crypt yescrypt", "{CRYPT}$y$j75$postern1$XPbKAFB8wMyBz3vMn3bZBiv5bbuIXXGCXQ8qDd/IG98"},
    {"crypt gost-yescrypt", "{CRYPT}$gy$j75$postern1$Qk3IfecYc.hwSXAiiISwN8keLStuiPVH62rX.ynnOs."},
    {"crypt scrypt", "{CRYPT}$7$7U..../....postern$gmvyAIKAdpeVchwdXk9jRt1Rc7fT56CwynPSJwOQviC"},
    {"argon2 -id",
     "{ARGON2ID}$argon2id$v=19$m=1024,t=2,p=1$c29tZXNhbHQxMg$8s9wQuBh5vTMkwnclwNl7gu889I2Gld+oTTGrhiR3FQ"},
    {"argon2 -i", "$argon2i$v=19$m=1024,t=3,p=2$c29tZXNhbHQxMg$7/z9DfA5jNIBdSadyhMqLnz+dvG19gO+23H2vVswUJ0"},
    {"argon2 -i -v 10",
     "{ARGON2I}$argon2i$v=16$m=1024,t=3,p=2$c29tZXNhbHQxMg$IF86qsSMJ7Wom10KC9feyIkz5bdGKIQkEO7sysxdevQ"},
    {"doveadm pw -s ARGON2ID",
     "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$r5UGd0PgbJ8zYfBiSB7Ang$b5AclmZ06zWe0lkbuWvkibhLVKM3MuJ6Xc8EWbF8lqc"},
    {"doveadm pw -s SHA512-CRYPT",
     "{SHA512-CRYPT}$6$4p8aiysKm1NjwDHI$"
     "0EbVdkRNq0ioNH5kG5lfYkOSB54s.NElcnv1pnIUOAb3aBL6ZJWDRk6SoN6rnUFnm1nSiNL/4kqjZShE.o2P21"},
    {"doveadm pw -s PLAIN", "{PLAIN}s3cret pässwörd"},
};

TEST(Passwords, VerifiesWhatOthersHashed) {
  Passwords passwords({});
  for (const Vector& vector : vectors) {
    const Verification right = passwords.verify(vector.stored, password);
    EXPECT_EQ(right.match, Match::Yes) << vector.maker << ": " << right.fault;
    EXPECT_EQ(passwords.verify(vector.stored, "s3cret passwort").match, Match::No) << vector.maker;
    EXPECT_EQ(passwords.verify(vector.stored, "").match, Match::No) << vector.maker;
    EXPECT_EQ(passwords.verify(vector.stored, std::string(password) + '\0').match, Match::No) << vector.maker;
  }
}

TEST(Passwords, WeakUnknownAndBrokenHashesAreNoMismatch) {
  Passwords passwords({});
  for (const char* stored : {"$1$abcdefgh$FY06EOQlBBH3ntHlRO7cF/", "$apr1$abcdefgh$RqTPsCjdVfcIIc8ovt4wh/",
                             "{SHA}3lINM12tNtS/20u7eyziOGvMQhQ=", "{SSHA}5+WmV8/iSHoqJGhtUt41IRM5RB",
                             "{MD5-CRYPT}$1$abcdefgh$FY06EOQlBBH3ntHlRO7cF/", "abJnggxhB/yWI",
                             "{BLF-CRYPT}$6$postern.salt$TLYqsvsL", "{UNHEARD}x", "{unclosed", "plain text", "$6",
                             "$y$", "$2b$99$short", "{ARGON2ID}$argon2id$v=19$m=1024,t=2,p=1$c29tZXNhbHQxMg",
                             "{ARGON2ID}$argon2id$", "$argon2d$v=19$m=1024,t=2,p=1$a$b", "{SHA512-CRYPT.hex}00"}) {
    const Verification verification = passwords.verify(stored, password);
    EXPECT_EQ(verification.match, Match::CannotSay) << stored;
    EXPECT_FALSE(verification.fault.empty()) << stored;
    EXPECT_EQ(verification.fault.find("FY06"), std::string::npos) << "a fault shows no hash";
  }
}

TEST(Passwords, LockedOnesMatchNothing) {
  Passwords passwords({.scheme = Scheme::Bcrypt});
  for (const char* stored : {"", "!", "*", "!$6$postern.salt$TLYqsvsL", "{PLAIN}"}) {
    EXPECT_EQ(passwords.verify(stored, password).match, Match::No) << stored;
    EXPECT_EQ(passwords.verify(stored, "!").match, Match::No) << stored;
  }
}

// Every hash cut at every byte: nothing lets in but the whole.
TEST(Passwords, ACutHashLetsNobodyIn) {
  Passwords passwords({.scheme = Scheme::Bcrypt});
  for (const std::string_view whole : {std::string_view(vectors[2].stored), std::string_view(vectors[8].stored)}) {
    for (size_t size = 0; size < whole.size(); ++size) {
      EXPECT_NE(passwords.verify(whole.substr(0, size), password).match, Match::Yes) << size;
    }
  }
}

TEST(Passwords, BcryptSees72Bytes) {
  Passwords passwords({.scheme = Scheme::Bcrypt});
  const std::string hash = "$2b$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i";  // of 72 times "x"
  EXPECT_EQ(passwords.verify(hash, std::string(72, 'x')).match, Match::Yes);
  EXPECT_EQ(passwords.verify(hash, std::string(80, 'x')).match, Match::Yes);
  EXPECT_EQ(passwords.verify(hash, std::string(71, 'x')).match, Match::No);
  EXPECT_EQ(passwords.verify(hash, std::string(password_size_max + 1, 'x')).match, Match::No);
}

TEST(Passwords, HashesWhatItVerifies) {
  for (const Scheme scheme : {Scheme::Yescrypt, Scheme::GostYescrypt, Scheme::Scrypt, Scheme::Bcrypt, Scheme::Sha512,
                              Scheme::Sha256, Scheme::Argon2id, Scheme::ScramSha256}) {
    EXPECT_EQ(parse_scheme(scheme_word(scheme)), scheme);
    Passwords passwords({.scheme = scheme});
    passwords.verify_nobody(password);
    const absl::StatusOr<std::string> one = Passwords::hash(scheme, password);
    const absl::StatusOr<std::string> two = Passwords::hash(scheme, password);
    ASSERT_TRUE(one.ok() && two.ok());
    EXPECT_NE(*one, *two) << "salt";
    EXPECT_EQ(passwords.verify(*one, password).match, Match::Yes);
    EXPECT_EQ(passwords.verify(*one, "other").match, Match::No);
    EXPECT_EQ(passwords.verify(*one, std::string(password) + '\0').match, Match::No);
    EXPECT_FALSE(Passwords::hash(scheme, "").ok());
    EXPECT_FALSE(Passwords::hash(scheme, std::string_view("a\0b", 3)).ok());
    EXPECT_FALSE(Passwords::hash(scheme, std::string(password_size_max + 1, 'x')).ok());
    EXPECT_EQ(Passwords::hash(scheme, std::string(73, 'x')).ok(), scheme != Scheme::Bcrypt);
  }
  EXPECT_EQ(parse_scheme("md5"), std::nullopt);
}

// Sixteen threads want 1 MiB each of 2 MiB: all of them get their turn, and one hash that wants more gets none.
TEST(Passwords, Argon2SharesItsMemory) {
  Passwords passwords({.scheme = Scheme::Bcrypt, .argon2_memory_kib = 2048});
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] { EXPECT_EQ(passwords.verify(vectors[8].stored, password).match, Match::Yes); });
  }
  for (std::thread& thread : threads)
    thread.join();
  const Verification large = passwords.verify(vectors[11].stored, password);
  EXPECT_EQ(large.match, Match::CannotSay);
  EXPECT_NE(large.fault.find("65536 KiB"), std::string::npos);
}

// The keys of RFC 7677, section 3: user "user", password "pencil".
TEST(Scram, KeysAreThoseOfTheRfc) {
  std::string salt;
  ASSERT_TRUE(absl::Base64Unescape("W22ZaJ0SNY7soEsUEjb6gQ==", &salt));
  const std::optional<ScramKeys> keys = make_scram("pencil", salt, 4096);
  ASSERT_TRUE(keys);
  const std::string stored = "{SCRAM-SHA-256}" + write_scram(*keys);
  EXPECT_EQ(stored,
            "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
            "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
  Passwords passwords({.scheme = Scheme::Bcrypt});
  EXPECT_EQ(passwords.verify(stored, "pencil").match, Match::Yes);
  EXPECT_EQ(passwords.verify(stored, "Pencil").match, Match::No);
  const std::optional<ScramKeys> read = Passwords::scram_keys(stored);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->stored_key, keys->stored_key);
  EXPECT_EQ(read->server_key, keys->server_key);
}

TEST(Scram, OnlySoundKeysAreKeys) {
  for (const char* stored : {"", "!", "{PLAIN}secret", "{SCRAM-SHA-256}", "{SCRAM-SHA-256}4096,AAAA,AAAA,AAAA",
                             "{SCRAM-SHA-256}1,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
                             "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="}) {
    EXPECT_FALSE(Passwords::scram_keys(stored)) << stored;
  }
  Passwords passwords({.scheme = Scheme::Bcrypt});
  EXPECT_EQ(passwords.verify("{SCRAM-SHA-256}4096,broken", "pencil").match, Match::CannotSay);
}

// Two are never the same, and every letter comes up.
TEST(Passwords, MakesOnes) {
  std::set<std::string> made, letters;
  for (int i = 0; i < 200; ++i) {
    const std::string fresh(Passwords::make_password().reveal());
    EXPECT_EQ(fresh.size(), 29u);
    for (size_t at = 0; at < fresh.size(); ++at) {
      EXPECT_EQ(fresh[at] == '-', at % 5 == 4) << fresh;
      letters.insert(fresh.substr(at, 1));
    }
    made.insert(fresh);
  }
  EXPECT_EQ(made.size(), 200u);
  EXPECT_EQ(letters.size(), 32u);
  for (const char* unclear : {"i", "l", "o", "0", "1"})
    EXPECT_FALSE(letters.contains(unclear)) << unclear;
}

}  // namespace
}  // namespace postern::helper
