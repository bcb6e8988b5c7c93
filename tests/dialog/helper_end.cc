// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper_end.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <utility>

namespace postern::dialog {
namespace {

std::string encoded(std::string_view octets) {
  std::string text;
  for (const char c : octets) {
    const auto octet = static_cast<unsigned char>(c);
    if (std::isalnum(octet) != 0 && octet < 0x80) {
      text += c;
      continue;
    }
    char escape[4];
    snprintf(escape, sizeof escape, "%%%02X", octet);
    text += escape;
  }
  return text;
}

std::optional<std::string> decoded(std::string_view text) {
  std::string octets;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      octets += ' ';
    } else if (text[i] == '%') {
      unsigned octet = 0;
      if (sscanf(std::string(text.substr(i + 1, 2)).c_str(), "%2x", &octet) != 1) return std::nullopt;
      octets += static_cast<char>(octet);
      i += 2;
    } else {
      octets += text[i];
    }
  }
  return octets;
}

// Every key that the gate may use, from the protocol's manual.
constexpr std::string_view known_keys[] = {
    "op",    "id",  "protocol", "listener", "mechanism", "user", "authzid", "password",    "token", "client",
    "local", "tls", "sni",      "session",  "version",   "name", "subject", "common_name", "email", "fingerprint"};

bool is_secret_key(const std::string& key) {
  return key == "password" || key == "token";
}

// Nullopt: no form.
std::optional<HelperQuestion> pairs_of(std::string_view line) {
  HelperQuestion pairs;
  while (!line.empty()) {
    const std::string_view pair = line.substr(0, line.find('&'));
    line.remove_prefix(std::min(line.size(), pair.size() + 1));
    const size_t equals = pair.find('=');
    if (equals == pair.npos) return std::nullopt;
    const std::optional<std::string> key = decoded(pair.substr(0, equals)), value = decoded(pair.substr(equals + 1));
    if (!key || !value || std::find(std::begin(known_keys), std::end(known_keys), *key) == std::end(known_keys)) {
      return std::nullopt;
    }
    if (!pairs.emplace(*key, *value).second) return std::nullopt;
  }
  return pairs;
}

std::string get(const HelperQuestion& question, const std::string& key) {
  const auto found = question.find(key);
  return found == question.end() ? std::string() : found->second;
}

}  // namespace

std::string helper_answer(const std::vector<Word>& words, const std::string& id) {
  static const std::map<std::string, std::string> results = {
      {"accept", "ok"}, {"refuse", "reject"}, {"unavailable", "unavailable"}};
  std::string line = "id=" + id;
  for (const Word& word : words) {
    if (!word.key.empty()) {
      line += "&" + word.key + "=" + encoded(word.value);
    } else if (const auto result = results.find(word.value); result != results.end()) {
      line += "&result=" + result->second;
    }
  }
  return line + "\n";
}

std::string question_differs(const HelperQuestion& question, const std::vector<Word>& words) {
  std::map<std::string, std::string> wanted = {
      {"op", words.at(0).value}, {"authzid", ""}, {"password", ""}, {"token", ""}};
  const std::string_view places[] = {"user", "password"};
  size_t place = 0;
  for (size_t i = 1; i < words.size(); ++i) {
    const Word& word = words[i];
    if (!word.key.empty()) {
      wanted[word.key] = word.value;
    } else if (word.quoted && place < 2) {
      wanted[std::string(places[place++])] = word.value;
    } else if (i + 1 < words.size()) {
      const std::string key = word.value == "via" ? "mechanism" : word.value == "as" ? "authzid" : "from";
      wanted[key] = words[++i].value;
    }
  }
  // A token is asked about as what it is.
  if (wanted["mechanism"] == "XOAUTH2" || wanted["mechanism"] == "OAUTHBEARER") {
    std::swap(wanted["token"], wanted["password"]);
  }
  for (const auto& [key, value] : wanted) {
    std::string has = get(question, key == "from" ? "client" : key);
    if (key == "from") has = has.substr(0, has.rfind(':'));
    if (has != value) return key + " is \"" + shown(has) + "\" instead of \"" + shown(value) + "\"";
  }
  for (const char* always : {"id", "listener", "client", "local", "session"}) {
    if (get(question, always).empty()) return std::string("there is no ") + always;
  }
  return {};
}

HelperQuestion HelperEnd::take_question() {
  HelperQuestion question = std::move(unread_.front());
  unread_.pop_front();
  open_ids_.push_back(get(question, "id"));
  return question;
}

std::optional<std::string> HelperEnd::take_id() {
  if (open_ids_.empty()) return std::nullopt;
  std::string id = std::move(open_ids_.front());
  open_ids_.pop_front();
  return id;
}

void HelperEnd::send(std::string_view bytes) {
  for (const std::string& piece : cutter_.pieces(Side::Back, bytes)) {
    for (std::string& segment : cutter_.segments(piece, 0))
      segments_.push_back(std::move(segment));
  }
}

void HelperEnd::close() {
  up_ = false;
  closing_ = true;
}

void HelperEnd::connect() {
  connected_ = true;
  closing_ = false;
  line_.clear();
}

void HelperEnd::disconnect() {
  connected_ = false;
  closing_ = false;
  segments_.clear();
  // What the dialog has not seen yet will be asked again.
  unread_.clear();
  open_ids_.clear();
}

void HelperEnd::deliver(std::string_view bytes) {
  for (const char c : bytes) {
    if (c == '\n') {
      understand(std::exchange(line_, {}));
    } else {
      line_ += c;
    }
  }
}

void HelperEnd::understand(std::string_view line) {
  std::optional<HelperQuestion> pairs = pairs_of(line);
  if (!pairs) {
    nonsense_ = line;
    return;
  }
  for (const auto& [key, value] : *pairs) {
    if (!is_secret_key(key)) heard_beside_passwords_ += key + "=" + value + "\n";
  }
  if (get(*pairs, "op") == "hello") {
    if (!hello_.empty()) segments_.push_back(hello_);
    return;
  }
  asked_++;
  unread_.push_back(*std::move(pairs));
}

std::optional<std::string> HelperEnd::receive() {
  if (segments_.empty()) return std::nullopt;
  std::string segment = std::move(segments_.front());
  segments_.pop_front();
  return segment;
}

}  // namespace postern::dialog
