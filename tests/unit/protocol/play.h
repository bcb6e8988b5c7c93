// SPDX-License-Identifier: GPL-3.0-or-later
// Plays a conversation with a Front or a Back and writes down what happened, so that a test can compare transcripts:
// the same bytes must give the same transcript, in whatever pieces they come.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/back.h"
#include "protocol/front.h"

namespace postern::test {

// The ways in which a text is cut: whole, one byte at a time, and in two at every place (at some places, if it is
// long).
inline std::vector<std::vector<std::string_view>> all_cuts(std::string_view text) {
  std::vector<std::vector<std::string_view>> cuts = {{text}};
  std::vector<std::string_view> bytes;
  for (size_t i = 0; i < text.size(); ++i)
    bytes.push_back(text.substr(i, 1));
  cuts.push_back(bytes);
  const size_t stride = std::max<size_t>(1, text.size() / 2000);
  for (size_t i = 1; i < text.size(); i += stride)
    cuts.push_back({text.substr(0, i), text.substr(i)});
  return cuts;
}

// What the helper would say of a login.
using Answer = std::variant<protocol::Accepted, protocol::Refusal>;

// The transcript holds replies as they are; events stand in angle brackets.
template <typename Front>
class FrontPlay {
 public:
  using Answers = std::function<Answer(const protocol::Credentials&)>;
  // The stored keys of a user; nullptr: nobody's.
  using Keys = std::function<const ScramKeys*(const std::string& user)>;

  FrontPlay(protocol::FrontOptions options, Answers answers, Keys keys = {})
      : front_(std::move(options)), answers_(std::move(answers)), keys_(std::move(keys)) {}

  void feed(std::string_view bytes) {
    if (relaying_) {
      relayed_.append(bytes);
      return;
    }
    front_.feed(bytes);
    while (step(front_.next()))
      continue;
  }

  std::string transcript() const { return relaying_ ? transcript_ + "<relay " + relayed_ + ">" : transcript_; }
  Front& front() { return front_; }

 private:
  bool step(protocol::FrontEvent event) {
    if (std::holds_alternative<protocol::NeedBytes>(event)) return false;
    if (auto* reply = std::get_if<protocol::Reply>(&event)) transcript_ += reply->bytes;
    if (auto* tls = std::get_if<protocol::StartTls>(&event)) transcript_ += tls->reply + "<tls>";
    if (auto* goodbye = std::get_if<protocol::Goodbye>(&event)) {
      transcript_ += goodbye->text + "<goodbye " + std::to_string(static_cast<int>(goodbye->reason)) + ">";
    }
    if (auto* wanted = std::get_if<protocol::WantsKeys>(&event)) {
      transcript_ += "<keys " + wanted->user + ">";
      front_.keys(keys_ ? keys_(wanted->user) : nullptr);
    }
    if (auto* login = std::get_if<protocol::Login>(&event)) return answer(login->credentials);
    return true;
  }

  bool answer(const protocol::Credentials& credentials) {
    transcript_ += "<" + std::string(protocol::mechanism_word(credentials.mechanism)) + " " + credentials.user;
    if (!credentials.authzid.empty()) transcript_ += " as " + credentials.authzid;
    if (credentials.proof_wrong) transcript_ += " wrong";
    transcript_.append(" ").append(credentials.password.reveal()).append(">");
    Answer verdict = answers_(credentials);
    if (auto* refusal = std::get_if<protocol::Refusal>(&verdict)) {
      transcript_ += front_.rejected(*refusal);
      return true;
    }
    transcript_ += front_.accepted(std::get<protocol::Accepted>(verdict));
    relayed_ = front_.take_unread();
    relaying_ = true;
    return false;
  }

  Front front_;
  Answers answers_;
  Keys keys_;
  std::string transcript_;
  std::string relayed_;
  bool relaying_ = false;
};

// The transcript of each cut must be `expected`; returns the first that is not, or nothing.
template <typename Front>
std::optional<std::string> front_differs(const protocol::FrontOptions& options, std::string_view input,
                                         typename FrontPlay<Front>::Answers answers, std::string_view expected) {
  for (const auto& pieces : all_cuts(input)) {
    FrontPlay<Front> play(options, answers);
    for (const std::string_view piece : pieces)
      play.feed(piece);
    if (play.transcript() != expected) return play.transcript();
  }
  return std::nullopt;
}

// A mail server as a script: `says` goes out, then what the Back sends is taken until it wants bytes. In the transcript
// each line of the Back is as it is; events stand in angle brackets.
template <typename Back>
class BackPlay {
 public:
  BackPlay(protocol::BackLogin login, protocol::BackIdentity identity, protocol::BackTlsPlan tls)
      : back_(std::move(login), std::move(identity), tls) {}

  void feed(std::string_view bytes) {
    back_.feed(bytes);
    while (step(back_.next()))
      continue;
  }

  std::string transcript() {
    if (!logged_in_) return transcript_;
    return transcript_ + "<relay " + back_.take_unread() + ">";
  }
  Back& back() { return back_; }

 private:
  bool step(protocol::BackEvent event) {
    if (std::holds_alternative<protocol::NeedBytes>(event)) return false;
    if (auto* send = std::get_if<protocol::Send>(&event)) transcript_ += send->bytes.reveal();
    if (std::holds_alternative<protocol::TlsAgreed>(event)) {
      transcript_ += "<tls>";
      return false;
    }
    if (auto* in = std::get_if<protocol::LoggedIn>(&event)) {
      logged_in_ = true;
      transcript_ += in->accepted.alerts + "<in [" + in->accepted.capability + "] " + in->accepted.text + ">";
    }
    if (auto* refused = std::get_if<protocol::Refused>(&event)) {
      const protocol::Refusal& refusal = refused->refusal;
      transcript_ += refusal.alerts + "<refused " + std::to_string(static_cast<int>(refusal.cause)) + " [" +
                     refusal.code + "] " + refusal.text + (refused->definitive ? ">" : " maybe>");
    }
    if (auto* learned = std::get_if<protocol::Learned>(&event)) {
      transcript_ += "<learned " + learned->capabilities + ">";
    }
    if (auto* failed = std::get_if<protocol::Failed>(&event)) {
      transcript_ += "<failed " + std::string(protocol::failure_word(failed->failure)) + ": " + failed->detail + ">";
    }
    return true;
  }

  Back back_;
  std::string transcript_;
  bool logged_in_ = false;
};

}  // namespace postern::test
