// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/guessing/policy.h"

#include <curl/curl.h>
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

std::optional<int64_t> read_status(const std::string& text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto status = json.find("status");
  if (status == json.end() || !status->is_number_integer()) return std::nullopt;
  return status->get<int64_t>();
}

size_t take_reply(char* data, size_t, size_t size, void* into) {
  std::string& reply = *static_cast<std::string*>(into);
  if (reply.size() + size > reply_size_max) return 0;  // another number than `size` ends the transfer
  reply.append(data, size);
  return size;
}

std::string url_of(const std::string& url, const char* command) {
  return url + (url.find('?') == url.npos ? "?" : "&") + "command=" + command;
}

struct FreeHandle {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

}  // namespace

// A connection that is kept between calls.
class PolicyServer::Line {
 public:
  explicit Line(const GuessingOptions& options)
      : handle_(curl_easy_init()), headers_(curl_slist_append(nullptr, "Content-Type: application/json")) {
    if (handle_ == nullptr) return;
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(options.policy_timeout.count()));
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.policy_timeout.count()));
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_PROXY, "");  // whatever the environment says
    set(CURLOPT_FAILONERROR, 1L);
    set(CURLOPT_HTTPHEADER, headers_.get());
    set(CURLOPT_WRITEFUNCTION, take_reply);
    set(CURLOPT_ERRORBUFFER, error_);
    if (options.policy_password.empty()) return;
    // libcurl keeps copies of its own, as long as the line lives.
    std::string password(options.policy_password.reveal());
    set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    set(CURLOPT_USERNAME, policy_user);
    set(CURLOPT_PASSWORD, password.c_str());
    wipe(password);
  }

  CURLcode post(const std::string& url, const std::string& body, std::string& reply, std::string& fault) {
    if (handle_ == nullptr) return CURLE_OUT_OF_MEMORY;
    set(CURLOPT_URL, url.c_str());
    set(CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
    set(CURLOPT_POSTFIELDS, body.data());
    set(CURLOPT_WRITEDATA, &reply);
    error_[0] = '\0';
    const CURLcode code = curl_easy_perform(handle_.get());
    if (code != CURLE_OK) fault = error_[0] != '\0' ? error_ : curl_easy_strerror(code);
    return code;
  }

 private:
  template <typename Value>
  void set(CURLoption option, Value value) {
    // What it cannot take it says again at the transfer.
    static_cast<void>(curl_easy_setopt(handle_.get(), option, value));
  }

  const std::unique_ptr<CURL, FreeHandle> handle_;
  const std::unique_ptr<curl_slist, FreeList> headers_;
  char error_[CURL_ERROR_SIZE] = "";
};

PolicyServer::PolicyServer(const GuessingOptions& options, const LogSink& log) : options_(options), log_(log) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
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
  std::unique_ptr<Line> line = take();
  std::string reply, fault;
  const CURLcode code = line->post(url_of(options_.policy_url, command), body, reply, fault);
  give_back(std::move(line));
  // An answer that is none must not switch the server off for others: whoever can provoke it would be glad.
  if (code == CURLE_HTTP_RETURNED_ERROR || code == CURLE_WRITE_ERROR) {
    say(absence_.failed(now), command, fault);
    return std::nullopt;
  }
  if (code != CURLE_OK) {
    say(absence_.away(now), command, fault);
    return std::nullopt;
  }
  const std::optional<int64_t> status = read_status(reply);
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
           .say(fault + ". Logins go on without the policy server."));
}

std::unique_ptr<PolicyServer::Line> PolicyServer::take() {
  const std::lock_guard guard(lock_);
  if (idle_.empty()) return std::make_unique<Line>(options_);
  std::unique_ptr<Line> line = std::move(idle_.back());
  idle_.pop_back();
  return line;
}

void PolicyServer::give_back(std::unique_ptr<Line> line) {
  const std::lock_guard guard(lock_);
  idle_.push_back(std::move(line));
}

}  // namespace postern::helper
