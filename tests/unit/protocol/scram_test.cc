// SPDX-License-Identifier: GPL-3.0-or-later
// SCRAM-SHA-256 between an Exchange and a mail program that does its own arithmetic, checked with the RFC's example.
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "play.h"
#include "protocol/imap/front.h"
#include "protocol/sasl/base64.h"
#include "protocol/sasl/exchange.h"

namespace postern::sasl {
namespace {

using protocol::Credentials;
using protocol::Mechanism;
using std::string_literals::operator""s;

Sha256 sha256(std::string_view text) {
  Sha256 digest;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

Sha256 hmac_sha256(std::string_view key, std::string_view text) {
  Sha256 digest;
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
       text.size(), reinterpret_cast<unsigned char*>(digest.data()), &size);
  return digest;
}

// 0, 1, 2, ...: in base64 AAECAwQFBgcICQoLDA0ODxAR.
void not_random(std::span<char> bytes) {
  for (size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<char>(i);
}
constexpr char our_nonce[] = "AAECAwQFBgcICQoLDA0ODxAR";

std::string_view pepper() {
  return "pepper";
}

constexpr Primitives primitives{sha256, hmac_sha256, not_random, pepper};

std::string text_of(const Sha256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

std::string decoded(std::string_view base64) {
  std::string bytes;
  EXPECT_TRUE(base64_decode(base64, bytes)) << base64;
  return bytes;
}

// A mail program that knows the password (RFC 5802, section 3), and with it what a helper stores.
struct Prover {
  Prover(std::string_view password, std::string_view with_salt, uint32_t rounds)
      : salt(with_salt), iterations(rounds), salted_password(sha256_size, '\0') {
    PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()),
                      reinterpret_cast<const unsigned char*>(salt.data()), static_cast<int>(salt.size()),
                      static_cast<int>(iterations), EVP_sha256(), sha256_size,
                      reinterpret_cast<unsigned char*>(salted_password.data()));
  }

  std::string client_key() const { return text_of(hmac_sha256(salted_password, "Client Key")); }
  std::string stored_key() const { return text_of(sha256(client_key())); }
  std::string server_key() const { return text_of(hmac_sha256(salted_password, "Server Key")); }
  ScramKeys keys() const { return {iterations, salt, Secret(stored_key()), Secret(server_key())}; }

  std::string proof(std::string_view auth_message) const {
    std::string bytes = client_key();
    const Sha256 signature = hmac_sha256(stored_key(), auth_message);
    for (size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<char>(bytes[i] ^ signature[i]);
    return base64_encode(bytes);
  }
  std::string verifier(std::string_view auth_message) const {
    return base64_encode(text_of(hmac_sha256(server_key(), auth_message)));
  }

  std::string salt;
  uint32_t iterations;
  std::string salted_password;
};

// RFC 7677, section 3.
constexpr char their_nonce[] = "rOprNGfwEbeRWgbNEkqO";
const Prover& pencil() {
  static const Prover prover("pencil", decoded("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096);
  return prover;
}

// The example itself, so that what stands in for the mail program below is right. Its nonce for the server is not one
// that we could draw.
TEST(Scram, TheProverIsRight) {
  const std::string auth_message =
      "n=user,r=rOprNGfwEbeRWgbNEkqO,"
      "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
      "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
  EXPECT_EQ(pencil().proof(auth_message), "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
  EXPECT_EQ(pencil().verifier(auth_message), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

Means scram_means(bool plus) {
  Means means{.primitives = &primitives};
  means.mechanisms.add(Mechanism::ScramSha256);
  if (!plus) return means;
  means.mechanisms.add(Mechanism::ScramSha256Plus);
  means.channel_bindings = {{"tls-exporter", "\1exported\xff"}, {"tls-server-end-point", "hash"}};
  return means;
}

// One exchange up to the first message of ours; `last` sends the second message of a mail program.
struct ScramTalk {
  ScramTalk(const Means& means, std::string_view mechanism, std::string_view gs2_header, std::string_view first_bare)
      : header(gs2_header), bare(first_bare), exchange(*Exchange::of(mechanism, means)) {
    step = exchange.begin(base64_encode(header + bare));
  }

  bool wants(std::string_view user) const {
    const WantsKeys* wanted = std::get_if<WantsKeys>(&step);
    return wanted != nullptr && wanted->user == user;
  }
  // What our first message says.
  std::string give(const ScramKeys* keys) {
    step = exchange.keys(keys);
    server_first = decoded(std::get<Challenge>(step).base64);
    return server_first;
  }
  std::string nonce() const { return server_first.substr(2, server_first.find(',') - 2); }
  void send(std::string_view message) { step = exchange.answer(base64_encode(message)); }
  void last(const Prover& prover, std::string_view binding = {}, std::string_view extension = {}) {
    const std::string without_proof =
        "c=" + base64_encode(header + std::string(binding)) + ",r=" + nonce() + std::string(extension);
    auth_message = bare + "," + server_first + "," + without_proof;
    send(without_proof + ",p=" + prover.proof(auth_message));
  }
  bool fails(Failure failure) const {
    const Failure* failed = std::get_if<Failure>(&step);
    return failed != nullptr && *failed == failure;
  }
  // Refused at the very end, like any wrong password.
  bool is_wrong() const {
    const Credentials* credentials = std::get_if<Credentials>(&step);
    return credentials != nullptr && credentials->proof_wrong;
  }

  std::string header, bare;
  Exchange exchange;
  Step step = Failure::Malformed;
  std::string server_first, auth_message;
};

const Means no_plus = scram_means(false);
const Means with_plus = scram_means(true);
const std::string user_bare = "n=user,r="s + their_nonce;

TEST(Scram, ProvesBothSides) {
  for (const char* header : {"n,,", "y,,"}) {
    ScramTalk talk(no_plus, "SCRAM-SHA-256", header, user_bare);
    ASSERT_TRUE(talk.wants("user"));
    const ScramKeys keys = pencil().keys();
    EXPECT_EQ(talk.give(&keys), "r="s + their_nonce + our_nonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    talk.last(pencil());
    ASSERT_TRUE(std::holds_alternative<Challenge>(talk.step));
    EXPECT_EQ(decoded(std::get<Challenge>(talk.step).base64), "v=" + pencil().verifier(talk.auth_message));
    talk.step = talk.exchange.answer("");
    ASSERT_TRUE(std::holds_alternative<Credentials>(talk.step));
    const Credentials& credentials = std::get<Credentials>(talk.step);
    EXPECT_EQ(credentials.mechanism, Mechanism::ScramSha256);
    EXPECT_EQ(credentials.user, "user");
    EXPECT_EQ(credentials.authzid, "");
    EXPECT_TRUE(credentials.password.empty());
    EXPECT_FALSE(credentials.proof_wrong);
  }
}

TEST(Scram, WaitsForTheFirstMessage) {
  Exchange exchange = *Exchange::of("scram-sha-256", no_plus);
  EXPECT_EQ(std::get<Challenge>(exchange.begin(std::nullopt)).base64, "");
  EXPECT_EQ(std::get<WantsKeys>(exchange.answer(base64_encode("n,," + user_bare))).user, "user");
}

TEST(Scram, TakesNamesAndExtensions) {
  ScramTalk talk(no_plus, "SCRAM-SHA-256", "n,a=an=2Cn,", "n=j=3Doe,r="s + their_nonce + ",x=ignored");
  ASSERT_TRUE(talk.wants("j=oe"));
  const ScramKeys keys = pencil().keys();
  talk.give(&keys);
  talk.last(pencil(), {}, ",y=ignored");
  talk.step = talk.exchange.answer("=");
  ASSERT_TRUE(std::holds_alternative<Credentials>(talk.step));
  EXPECT_EQ(std::get<Credentials>(talk.step).user, "j=oe");
  EXPECT_EQ(std::get<Credentials>(talk.step).authzid, "an,n");
  ScramTalk same(no_plus, "SCRAM-SHA-256", "n,a=user,", user_bare);
  same.give(&keys);
  same.last(pencil());
  same.step = same.exchange.answer("");
  EXPECT_EQ(std::get<Credentials>(same.step).authzid, "");
}

TEST(Scram, BindsToItsConnection) {
  const ScramKeys keys = pencil().keys();
  const std::pair<const char*, const char*> bindings[] = {{"p=tls-exporter,,", "\1exported\xff"},
                                                          {"p=tls-server-end-point,,", "hash"}};
  for (const auto& [header, bytes] : bindings) {
    ScramTalk talk(with_plus, "SCRAM-SHA-256-PLUS", header, user_bare);
    ASSERT_TRUE(talk.wants("user"));
    EXPECT_EQ(std::get<WantsKeys>(talk.step).mechanism, Mechanism::ScramSha256Plus);
    talk.give(&keys);
    talk.last(pencil(), bytes);
    talk.step = talk.exchange.answer("");
    ASSERT_TRUE(std::holds_alternative<Credentials>(talk.step));
    EXPECT_FALSE(std::get<Credentials>(talk.step).proof_wrong);
    // The right password on another connection: somebody stands in between.
    for (const char* other : {"", "\1exported", "HASH"}) {
      ScramTalk stolen(with_plus, "SCRAM-SHA-256-PLUS", header, user_bare);
      stolen.give(&keys);
      stolen.last(pencil(), other);
      EXPECT_TRUE(stolen.is_wrong());
    }
  }
}

// RFC 5802, section 6: "y" says that the mail program saw no -PLUS in our list. If it was there, it was taken out.
TEST(Scram, RefusesADowngrade) {
  EXPECT_TRUE(ScramTalk(with_plus, "SCRAM-SHA-256", "y,,", user_bare).fails(Failure::Malformed));
  EXPECT_TRUE(ScramTalk(with_plus, "SCRAM-SHA-256", "n,,", user_bare).wants("user"));
  EXPECT_TRUE(ScramTalk(no_plus, "SCRAM-SHA-256", "y,,", user_bare).wants("user"));
}

TEST(Scram, RefusesABindingThatDoesNotBelongThere) {
  for (const char* header : {"n,,", "y,,", "p=tls-unique,,", "p=,,", "p,,"}) {
    EXPECT_TRUE(ScramTalk(with_plus, "SCRAM-SHA-256-PLUS", header, user_bare).fails(Failure::Malformed)) << header;
  }
  EXPECT_TRUE(ScramTalk(with_plus, "SCRAM-SHA-256", "p=tls-exporter,,", user_bare).fails(Failure::Malformed));
  EXPECT_TRUE(ScramTalk(no_plus, "SCRAM-SHA-256", "p=tls-exporter,,", user_bare).fails(Failure::Malformed));
  EXPECT_FALSE(Exchange::of("SCRAM-SHA-256-PLUS", no_plus));
}

TEST(Scram, KnowsAWrongPassword) {
  const ScramKeys keys = pencil().keys();
  ScramTalk talk(no_plus, "SCRAM-SHA-256", "n,,", user_bare);
  talk.give(&keys);
  talk.last(Prover("crayon", keys.salt, keys.iterations));
  EXPECT_TRUE(talk.is_wrong());
  EXPECT_EQ(std::get<Credentials>(talk.step).user, "user");
}

// Who repeats somebody else's proof has another nonce to answer for.
TEST(Scram, KnowsAnotherExchangesProof) {
  const ScramKeys keys = pencil().keys();
  ScramTalk first(no_plus, "SCRAM-SHA-256", "n,,", user_bare);
  first.give(&keys);
  ScramTalk second(no_plus, "SCRAM-SHA-256", "n,,", "n=user,r=another");
  second.give(&keys);
  const std::string without_proof = "c=biws,r=" + first.nonce();
  second.send(without_proof + ",p=" + pencil().proof(user_bare + "," + first.server_first + "," + without_proof));
  EXPECT_TRUE(second.is_wrong());
}

// RFC 5802, section 5.1: the nonce must come back whole, even in a message that is proven otherwise.
TEST(Scram, WantsItsOwnNonceBack) {
  const ScramKeys keys = pencil().keys();
  for (const std::string& nonce :
       {std::string(their_nonce), std::string(our_nonce), their_nonce + ""s + our_nonce + "x"}) {
    ScramTalk talk(no_plus, "SCRAM-SHA-256", "n,,", user_bare);
    talk.give(&keys);
    const std::string without_proof = "c=biws,r=" + nonce;
    talk.send(without_proof + ",p=" + pencil().proof(user_bare + "," + talk.server_first + "," + without_proof));
    EXPECT_TRUE(talk.is_wrong()) << nonce;
  }
}

// Up to the end an unknown user looks like one whose keys postern-auth has made: a salt of the usual size that stays the
// same, however the name is written, and differs from other people's, and then the same refusal, whatever the proof.
TEST(Scram, MakesUpKeysForStrangers) {
  const auto ask = [](ScramTalk& talk, const char* name) {
    EXPECT_TRUE(talk.wants(name));
    const std::string said = talk.give(nullptr);
    const std::string start = "r="s + their_nonce + our_nonce + ",s=";
    const std::string end = ",i=100000";
    EXPECT_TRUE(said.starts_with(start) && said.ends_with(end)) << said;
    return decoded(std::string_view(said).substr(start.size(), said.size() - start.size() - end.size()));
  };
  ScramTalk first(no_plus, "SCRAM-SHA-256", "n,,", "n=ann,r="s + their_nonce);
  ScramTalk again(no_plus, "SCRAM-SHA-256", "n,,", "n=ann,r="s + their_nonce);
  ScramTalk shouted(no_plus, "SCRAM-SHA-256", "n,,", "n=ANN,r="s + their_nonce);
  ScramTalk other(no_plus, "SCRAM-SHA-256", "n,,", "n=bob,r="s + their_nonce);
  const std::string salt = ask(first, "ann");
  EXPECT_EQ(salt.size(), 16u);
  EXPECT_EQ(ask(again, "ann"), salt);
  EXPECT_EQ(ask(shouted, "ANN"), salt);
  EXPECT_NE(ask(other, "bob"), salt);
  first.last(Prover("pencil", salt, 100000));
  EXPECT_TRUE(first.is_wrong());
  again.send("c=biws,r=" + again.nonce() + ",p=" + base64_encode(std::string(32, '\0')));
  EXPECT_TRUE(again.is_wrong());
}

TEST(Scram, RefusesWhatIsMalformed) {
  for (const std::string& message : {""s,
                                     "n"s,
                                     "n,"s,
                                     "n,,"s,
                                     "n,,n=user"s,
                                     "n,,n=user,"s,
                                     "n,,n=user,r="s,
                                     "n,,r=abc,n=user"s,
                                     "n,,n=,r=abc"s,
                                     "n,,n=us=er,r=abc"s,
                                     "n,,n=us=2cer,r=abc"s,
                                     "n,,n=us\0er,r=abc"s,
                                     "n,,m=x,n=user,r=abc"s,
                                     "n,,n=user,r=a bc"s,
                                     "n,,n=user,r=a\x7f"s,
                                     "n,,n=user,r="s + std::string(257, 'r'),
                                     "n,user,n=user,r=abc"s,
                                     "n,a=us=er,n=user,r=abc"s,
                                     "x,,n=user,r=abc"s,
                                     "n=user,r=abc"s}) {
    EXPECT_TRUE(ScramTalk(no_plus, "SCRAM-SHA-256", "", message).fails(Failure::Malformed)) << message;
  }
  const ScramKeys keys = pencil().keys();
  const std::string nonce = "r="s + their_nonce + our_nonce;
  const std::string proof = base64_encode(std::string(32, 'p'));
  for (const std::string& message :
       {""s, "c=biws"s, "c=biws," + nonce, "c=biws," + nonce + ",p=", "c=biws," + nonce + ",p=AAAA",
        "c=biws," + nonce + ",p=" + proof + "AAAA", "c=biws," + nonce + ",p=" + proof + ",x=y", nonce + ",p=" + proof,
        "c=biws,p=" + proof, nonce + ",c=biws,p=" + proof, ",p=" + proof, "p=" + proof}) {
    ScramTalk talk(no_plus, "SCRAM-SHA-256", "n,,", user_bare);
    talk.give(&keys);
    talk.send(message);
    EXPECT_TRUE(talk.fails(Failure::Malformed)) << message;
  }
  ScramTalk talk(no_plus, "SCRAM-SHA-256", "n,,", user_bare);
  talk.give(&keys);
  talk.last(pencil());
  talk.send("e=other-error");
  EXPECT_TRUE(talk.fails(Failure::Malformed));
  ScramTalk cancelled(no_plus, "SCRAM-SHA-256", "n,,", user_bare);
  cancelled.give(&keys);
  cancelled.step = cancelled.exchange.answer("*");
  EXPECT_TRUE(cancelled.fails(Failure::Cancelled));
}

// The keys come from outside, in the middle of the exchange; the reader stands still until then.
TEST(Scram, PassesThroughAFront) {
  const ScramKeys keys = pencil().keys();
  const std::string server_first = "r="s + their_nonce + our_nonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
  const std::string without_proof = "c=biws,r="s + their_nonce + our_nonce;
  const std::string auth_message = user_bare + "," + server_first + "," + without_proof;
  const std::string input = "a1 AUTHENTICATE SCRAM-SHA-256 " + base64_encode("n,," + user_bare) + "\r\n" +
                            base64_encode(without_proof + ",p=" + pencil().proof(auth_message)) + "\r\n";
  const std::string asked = "<keys user>+ " + base64_encode(server_first) + "\r\n";
  const protocol::FrontOptions options{.tls_active = true, .login_allowed = true, .means = no_plus};
  for (const bool known : {true, false}) {
    test::FrontPlay<imap::Front> play(
        options,
        [](const Credentials& credentials) {
          return credentials.proof_wrong ? test::Answer(protocol::Refusal{protocol::RefusalCause::Credentials})
                                         : test::Answer(protocol::Accepted{});
        },
        [&](const std::string&) { return known ? &keys : nullptr; });
    play.feed(input + "\r\nmore");
    if (known) {
      EXPECT_EQ(play.transcript(), asked + "+ " + base64_encode("v=" + pencil().verifier(auth_message)) +
                                       "\r\n<SCRAM-SHA-256 user >a1 OK Logged in\r\n<relay more>");
    } else {
      EXPECT_NE(play.transcript().find("<SCRAM-SHA-256 user wrong >a1 NO [AUTHENTICATIONFAILED]"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace postern::sasl
