// SPDX-License-Identifier: GPL-3.0-or-later
// Tokens without an issuer: signatures, what tokens say of themselves, and when keys are looked for again. The keys and
// tokens were made by openssl for this test; their private halves are gone.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "helper/sources/jwt.h"
#include "helper/sources/key_ring.h"
#include "helper/sources/token_claims.h"

namespace postern::helper {
namespace {

constexpr char modulus[] =
    "v8d_Ne8Snc4TymFi4ejulORjHhIt7xiaAEsakiZtMZ0o5WmKOZRjbhxH9ilISzn-NlWwGrvT3gtpyPWfwJuxp5JHZ7knwBHj8TIe"
    "7fUtOQ6BjOuOaNRzdFEY1kY0SsINgOUMs3tqkHUEZAqHGstCSZxJdfsdKT3drH0odFjuZK9Z1vjjpLmcCLWrqWLOii6SzIUPj_Hd"
    "7VNfTkKX-jPXaX4xXOVbK9I0x0w008JHPiYxyPqCHwBEYMWEBlugVEThjwSCY4poczrG4rr8po62n3A3PGujVPe4X_2RbCCGl-jI"
    "_HXfSDEJoPAzRDqxxlX7eRkrP8P9apRu2Eo_T5-nUQ";
constexpr char ec_key[] =
    R"({"kty": "EC", "kid": "e1", "use": "sig", "crv": "P-256", "x": "sZLHF62bCG9LGpTr193Xhfzd8a9Ewl3WceIXk)"
    R"(3WKbhc", "y": "21etaDhZ3v4BOWqhr71Lwn8Qv-5yzk-85CdhBMctn5k"})";
// By the keys "r1" and "e1"; by "e1" with an unknown critical header; by "e1", which calls itself "e2".
constexpr char rsa_token[] =
    "eyJhbGciOiAiUlMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAicjEifQ.eyJzdWIiOiAiam9lIn0.Xln8dS-sSnCmqtcK7y_rv"
    "q5c2VIqrzotdzzbSp9Rjn74Gy3YdQ_A_555Jrm24P8NqIgGpcpL2EBOXszlkbHxHOK-waW1KLFc4Dw5hxXx6fNv1amNRSVisofsq"
    "IJlO_6YWHLe1jh6RDEgOoPlsXv3HgMs2qZTh5N5F-D69CU-v-5mO22iI2NZNn6oz4AovjUicRZR4Y4c_HB0GOAyRFCvPPDPA1W2l"
    "_3rT7j7H3vC_ylY1fG9p7Ndx2SrMelxuZmXO9PVkN5IQNHJAMvxdaFfdA5f8GAzGKaz4z8Gk1JmR0ovegs41H7wUo0_EboPZllEg"
    "WkahTdOIrI7l1AYFMarYw";
constexpr char ec_token[] =
    "eyJhbGciOiAiRVMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAiZTEifQ.eyJzdWIiOiAiam9lIn0.PpaqeTlPVY-GhA6LKrAXG"
    "EgwYjGIUKo6rGio7ccrFLpyb9zbjWAEYMymx3IFX3AEf63sT84z3GsjBREnaLgvig";
constexpr char critical_token[] =
    "eyJhbGciOiAiRVMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAiZTEiLCAiY3JpdCI6IFsieCJdLCAieCI6IDF9.eyJzdWIiOiA"
    "iam9lIn0.yXCCpb3THFSkNq_sGrulQu5sgNkkYLU6321nqcuQC_WuGI6rRg0hUyqxiUcBS7EzLe6sopdMTlyOAx5nModIpg";
constexpr char other_token[] =
    "eyJhbGciOiAiRVMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAiZTIifQ.eyJzdWIiOiAiam9lIn0._qddnxC96pUr-Wb5OVb7i"
    "IFZVrid_ox8WVTDjikPulWB3Dy8b2NqxDqisP8oLRN0yuEt59wzmEIXnMMdlCKHgg";

std::string rsa_key(const std::string& more) {
  return R"({"kty": "RSA", "kid": "r1", "e": "AQAB", "n": ")" + std::string(modulus) + "\"" + more + "}";
}

std::string jwks(const std::string& keys) {
  return "{\"keys\": [" + keys + "]}";
}

const std::vector<std::string> both{"RS256", "ES256"};

absl::StatusCode verified(const std::string& keys, std::string_view token,
                          const std::vector<std::string>& algorithms = both) {
  const absl::StatusOr<JwtKeys> parsed = JwtKeys::parse(jwks(keys));
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() ? parsed->verify(token, algorithms).status().code() : absl::StatusCode::kUnknown;
}

TEST(Jwt, VerifiesSignatures) {
  constexpr auto refused = absl::StatusCode::kPermissionDenied;
  const absl::StatusOr<JwtKeys> keys = JwtKeys::parse(jwks(rsa_key("") + "," + ec_key));
  ASSERT_TRUE(keys.ok());
  EXPECT_EQ(keys->size(), 2u);
  for (const char* token : {rsa_token, ec_token})
    EXPECT_EQ(keys->verify(token, both).value_or(""), R"({"sub": "joe"})");
  EXPECT_EQ(verified(ec_key, ec_token, {"RS256"}), refused) << "not allowed";
  EXPECT_EQ(verified(ec_key, critical_token), refused);
  EXPECT_EQ(verified(ec_key, other_token), absl::StatusCode::kNotFound);
  EXPECT_EQ(verified(ec_key, rsa_token), absl::StatusCode::kNotFound);
  EXPECT_EQ(verified(rsa_key(R"(, "alg": "PS256")"), rsa_token), refused) << "the key is for another algorithm";
  std::string forged = ec_token;
  forged.back() = forged.back() == 'A' ? 'B' : 'A';
  forged[forged.size() - 20] = forged[forged.size() - 20] == 'A' ? 'B' : 'A';
  EXPECT_EQ(verified(ec_key, forged), refused);
  const std::string whole = ec_token;
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(verified(ec_key, whole.substr(0, size)), refused) << size;
}

TEST(Jwt, PassesOverKeysThatAreNone) {
  for (const char* text :
       {"", "[]", "7", "{}", R"({"keys": 7})", R"({"keys": [7, {}, {"kty": "RSA"}, {"kty": []}]})",
        R"({"keys": [{"kty": "oct", "k": "AAAA"}]})", R"({"keys": [{"kty": "EC", "crv": "P-256", "x": 1}]})"})
    EXPECT_FALSE(JwtKeys::parse(text).ok()) << text;
  EXPECT_FALSE(JwtKeys::parse(jwks(rsa_key(R"(, "use": "enc")"))).ok());
  EXPECT_FALSE(JwtKeys::parse(std::string(100000, '[')).ok());
}

TEST(TokenClaims, HaveToDo) {
  TokenRules rules;
  rules.issuer = "me";
  rules.audiences = {"mail"};
  rules.scopes = {"imap"};
  rules.must_expire = true;
  const auto why = [&](const std::string& claims) {
    const absl::StatusOr<TokenUser> user = judge_claims(claims, rules, 1000);
    return user.ok() ? user->name + " " + std::to_string(user->expires_s) : std::string(user.status().message());
  };
  const std::string good = R"("iss": "me", "aud": "mail", "scope": "x imap", "email": "Joe")";
  EXPECT_EQ(why("{" + good + R"(, "exp": 1000})"), "Joe 1001") << "a second of slack";
  EXPECT_EQ(why("{" + good + R"(, "exp": 999})"), "the token has expired");
  EXPECT_EQ(why("{" + good + R"(, "exp": 1e300})"), "the token has expired") << "no time";
  EXPECT_EQ(why("{" + good + "}"), "the token never expires");
  EXPECT_EQ(why("{" + good + R"(, "exp": 2000, "nbf": 1001})"), "Joe 2001");
  EXPECT_EQ(why("{" + good + R"(, "exp": 2000, "nbf": 1002})"), "the token is not valid yet");
  EXPECT_EQ(why("[]"), "the answer is no JSON object");
  EXPECT_EQ(why("\xff"), "the answer is no JSON object");
  EXPECT_EQ(why(R"({"exp": 2000, "iss": ["me", "you"]})"), "the token has another issuer");
  EXPECT_EQ(why(R"({"exp": 2000, "iss": "me", "aud": {"mail": 1}})"), "the token is meant for another audience");
  EXPECT_EQ(why(R"({"exp": 2000, "iss": "me", "aud": ["mail"], "scope": "imaps"})"), "the token lacks the scope imap");
  EXPECT_TRUE(is_active(R"({"active": true})").value_or(false));
  EXPECT_FALSE(is_active(R"({"active": "true"})").ok());
}

// An unknown key's name costs the issuer a look a minute, and a withdrawn key is forgotten after an hour.
TEST(KeyRing, LooksForNewKeysOnceAMinute) {
  char folder[] = "/tmp/postern-keys-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::string file = std::string(folder) + "/jwks";
  const auto write = [&](const std::string& text) { std::ofstream(file) << text; };
  Instant now{std::chrono::hours(100)};
  const Duration patience = std::chrono::seconds(10);
  KeyRing ring({.file = file, .web = {}}, [&] { return now; });
  EXPECT_FALSE(ring.keys(patience).ok());
  write(jwks(ec_key));
  const absl::StatusOr<KeyRing::Keys> first = ring.keys(patience);
  ASSERT_TRUE(first.ok()) << first.status();
  write(jwks(rsa_key("") + "," + ec_key));
  now += std::chrono::seconds(59);
  EXPECT_EQ(ring.newer_keys(*first, patience).value_or(nullptr), *first) << "just fetched";
  now += std::chrono::seconds(1);
  const absl::StatusOr<KeyRing::Keys> second = ring.newer_keys(*first, patience);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ((*second)->size(), 2u);
  EXPECT_EQ(ring.newer_keys(*first, patience).value_or(nullptr), *second) << "somebody else has fetched them";
  write("gone");
  now += std::chrono::minutes(2);
  EXPECT_FALSE(ring.newer_keys(*second, patience).ok()) << "nobody can say whether there are newer ones";
  EXPECT_FALSE(ring.newer_keys(*second, patience).ok());
  now += std::chrono::hours(2);
  EXPECT_EQ(ring.keys(patience).value_or(nullptr), *second) << "an issuer that is away leaves its keys";
  write(jwks(rsa_key("")));
  now += std::chrono::minutes(1);
  EXPECT_EQ((*ring.keys(patience))->size(), 1u);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace postern::helper
