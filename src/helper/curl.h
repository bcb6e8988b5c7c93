// SPDX-License-Identifier: GPL-3.0-or-later
// Curl: libcurl's transfers for sources of users, without its surprises: no proxy of the environment, no redirect, no
// other scheme than was configured, no signal, and always a deadline.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/secret.h"
#include "base/secret_buffer.h"
#include "helper/idle_pool.h"
#include "helper/table_reader.h"

namespace postern::helper {

struct CurlCleanup {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};
using CurlHandle = std::unique_ptr<CURL, CurlCleanup>;

// Handles, each with its open connections, for one question at a time. The source's turnstile bounds their number.
class CurlPool {
 public:
  // Without options of an earlier transfer; null: the system has no memory.
  CurlHandle take();
  // Keeps the connections for the next question.
  void give_back(CurlHandle handle);

 private:
  IdlePool<CurlHandle> idle_;
};

// Where a web server is.
struct WebPlace {
  std::string url;          // "http://127.0.0.1:8080/auth"
  std::string unix_socket;  // connect there, whatever the URL's host is; empty: to the host
  std::string tls_ca;       // the certificates that sign the server's; empty: the system's
};

// Header lines, in order; overwritten when they die, because some hold passwords.
class CurlHeaders {
 public:
  CurlHeaders() = default;
  ~CurlHeaders();
  CurlHeaders(const CurlHeaders&) = delete;
  CurlHeaders& operator=(const CurlHeaders&) = delete;

  // "Name: value". It must not hold a NUL, CR or LF.
  void add(std::string_view name, std::string_view value);
  // The whole line.
  void add_line(std::string_view line);
  curl_slist* list() const { return list_; }

 private:
  curl_slist* list_ = nullptr;
};

// What every transfer of ours has.
void set_rules_of_house(CURL* curl, Duration timeout);
// A request to `place`; http or https.
void set_web_place(CURL* curl, const WebPlace& place);

struct Transfer {
  CURLcode code = CURLE_OK;
  std::string why;  // what went wrong and what to do about it; without secrets
};
Transfer transfer(CURL* curl);
// The same for a web server: the status of its answer. Gives the handle back. UnavailableError: there was no answer.
absl::StatusOr<long> answer_code(CurlPool& pool, CurlHandle curl);

// Puts what comes into `body`, at most `size_max` bytes: more is CURLE_WRITE_ERROR.
struct CurlBody {
  SecretBuffer bytes;
  size_t size_max = 0;
};
void collect_body(CURL* curl, CurlBody& body);

// The place's URL under `key`. Problems go to the reader.
void read_url(TableReader& reader, std::string_view key, std::string& url);
// The URL's host, without brackets; empty: it has none.
std::string url_host(const std::string& url);
// Whether what is sent there can be read on a network: no TLS, and not this machine.
bool goes_in_clear(const WebPlace& place);

}  // namespace postern::helper
