// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/guessing/policy.h"

#include <signal.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace postern::helper {
namespace {

// The one number and the few words that are expected fit many times.
constexpr size_t reply_size_max = 64 * 1024;
// Some seconds of a large site's logins.
constexpr size_t reports_max = 10000;
// The name that weakforced's password belongs to.
constexpr const char* policy_user = "wforce";
// The gate holds no refusal back for longer.
constexpr int64_t delay_max_s = 30;

std::string write_json(const PolicyQuestion& question, const PolicyReport* report) {
  nlohmann::json json = {{"login", question.user},           {"remote", question.client}, {"pwhash", question.digest},
                         {"protocol", question.protocol},    {"tls", question.tls},       {"device_id", ""},
                         {"attrs", nlohmann::json::object()}};
  if (report != nullptr) {
    json["success"] = report->success;
    json["policy_reject"] = report->policy_reject;
  }
  // Names are bytes; what is no UTF-8 is replaced.
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::optional<int64_t> read_status(std::string_view text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto status = json.find("status");
  if (status == json.end() || !status->is_number_integer()) return std::nullopt;
  return status->get<int64_t>();
}

std::string url_of(const std::string& url, const char* command) {
  return url + (url.find('?') == url.npos ? "?" : "&") + "command=" + command;
}

}  // namespace

PolicyServer::PolicyServer(const GuessingOptions& options, const LogSink& log) : options_(options), log_(log) {
  // The process's signals are its main thread's.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  reporter_ = std::thread([this] { send_reports(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

PolicyServer::~PolicyServer() {
  {
    const std::lock_guard guard(lock_);
    ending_ = true;
  }
  more_.notify_one();
  reporter_.join();
}

Judgement PolicyServer::allow(const PolicyQuestion& question, Instant now) {
  const std::optional<int64_t> status = call("allow", write_json(question, nullptr), now);
  if (!status) return Go{};
  if (*status < 0) return Blocked{Duration(0), Counter::Policy};
  return Go{std::chrono::seconds(std::min(*status, delay_max_s))};
}

void PolicyServer::report(PolicyReport report, Instant now) {
  {
    const std::lock_guard guard(lock_);
    if (reports_.size() < reports_max) {
      reports_.push_back({std::move(report), now});
      more_.notify_one();
      return;
    }
  }
  say(absence_.failed(now), "report", "it takes reports too slowly");
}

void PolicyServer::send_reports() {
  std::unique_lock guard(lock_);
  while (true) {
    more_.wait(guard, [this] { return ending_ || !reports_.empty(); });
    if (ending_) return;
    const Waiting next = std::move(reports_.front());
    reports_.pop_front();
    guard.unlock();
    static_cast<void>(call("report", write_json(next.report.question, &next.report), next.now));
    guard.lock();
  }
}

std::optional<int64_t> PolicyServer::call(const char* command, const std::string& body, Instant now) {
  if (!absence_.worth_asking(now)) return std::nullopt;
  CurlBody reply{.bytes = {}, .size_max = reply_size_max};
  const Transfer done = post(url_of(options_.policy_url, command), body, reply);
  // An answer that is none must not switch the server off for others: whoever can provoke it would be glad.
  if (done.code == CURLE_HTTP_RETURNED_ERROR || done.code == CURLE_WRITE_ERROR) {
    say(absence_.failed(now), command, done.why);
    return std::nullopt;
  }
  if (done.code != CURLE_OK) {
    say(absence_.away(now), command, done.why);
    return std::nullopt;
  }
  const std::optional<int64_t> status = read_status(reply.bytes.reveal());
  if (!status) say(absence_.failed(now), command, "its answer has no status");
  if (const std::optional<uint64_t> missed = absence_.there()) {
    log_(LogLine(Severity::Notice, "policy").add("missed", *missed).say("The policy server is back."));
  }
  return status;
}

void PolicyServer::say(std::optional<uint64_t> failures, const char* command, const std::string& fault) {
  if (!failures) return;
  log_(LogLine(Severity::Warning, "policy")
           .add("command", command)
           .add("failures", *failures)
           .say(fault + (fault.ends_with('?') ? "" : ".") + " Logins go on without the policy server."));
}

Transfer PolicyServer::post(const std::string& url, const std::string& body, CurlBody& reply) {
  CurlHandle curl = pool_.take();
  if (curl == nullptr) return {CURLE_OUT_OF_MEMORY, "no memory for a question"};
  CurlHeaders headers;
  headers.add("Content-Type", "application/json");
  SecretBuffer password;
  password.append(options_.policy_password.reveal());
  password.append('\0');
  set_rules_of_house(curl.get(), options_.policy_timeout);
  set_web_place(curl.get(), {url, "", ""});
  curl_easy_setopt(curl.get(), CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.list());
  curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
  curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, body.data());
  if (!options_.policy_password.empty()) {
    curl_easy_setopt(curl.get(), CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    curl_easy_setopt(curl.get(), CURLOPT_USERNAME, policy_user);
    curl_easy_setopt(curl.get(), CURLOPT_PASSWORD, password.reveal().data());
  }
  collect_body(curl.get(), reply);
  Transfer done = transfer(curl.get());
  pool_.give_back(std::move(curl));
  return done;
}

}  // namespace postern::helper
