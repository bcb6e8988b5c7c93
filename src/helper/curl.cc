// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/curl.h"

#include <string.h>

#include <utility>

#include "helper/this_machine.h"

namespace postern::helper {
namespace {

// Before the first thread could be in it: initialisation of a static is the language's to lock.
bool library_is_ready() {
  static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return ready;
}

struct UrlCleanup {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using UrlHandle = std::unique_ptr<CURLU, UrlCleanup>;

UrlHandle parse_url(const std::string& text) {
  UrlHandle url(curl_url());
  if (url != nullptr && curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) == CURLUE_OK) return url;
  return nullptr;
}

std::string part_of(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, 0) != CURLUE_OK) return "";
  std::string copy(text);
  curl_free(text);
  return copy;
}

size_t take_body(char* data, size_t, size_t size, void* to) {
  auto& body = *static_cast<CurlBody*>(to);
  if (body.bytes.size() + size > body.size_max) return 0;
  body.bytes.append({data, size});
  return size;
}

const char* remedy(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST: return "Look at the host's name, or write an address";
    case CURLE_COULDNT_CONNECT: return "Is it running, and is this its address?";
    case CURLE_OPERATION_TIMEDOUT: return "It did not answer within the time-out";
    case CURLE_PEER_FAILED_VERIFICATION:
      return "Its certificate must show that name and be signed by the system's authorities, or by those of tls_ca";
    case CURLE_SSL_CACERT_BADFILE: return "Look at tls_ca: it must be a readable file of PEM certificates";
    case CURLE_SSL_CONNECT_ERROR: return "Does it speak TLS on this port?";
    default: return "";
  }
}

}  // namespace

CurlHandle CurlPool::take() {
  CurlHandle handle = idle_.take();
  return handle != nullptr ? std::move(handle) : CurlHandle(library_is_ready() ? curl_easy_init() : nullptr);
}

void CurlPool::give_back(CurlHandle handle) {
  // Connections stay; pointers to what the question owned do not.
  curl_easy_reset(handle.get());
  idle_.give_back(std::move(handle));
}

CurlHeaders::~CurlHeaders() {
  for (curl_slist* item = list_; item != nullptr; item = item->next)
    wipe(item->data, strlen(item->data));
  curl_slist_free_all(list_);
}

void CurlHeaders::add(std::string_view name, std::string_view value) {
  SecretBuffer line;
  line.append(name);
  // For libcurl a name with a semicolon is a header without a value; with a colon it would be one that it leaves out.
  line.append(value.empty() ? ";" : ": ");
  line.append(value);
  add_line(line.reveal());
}

void CurlHeaders::add_line(std::string_view line) {
  SecretBuffer text;
  text.append(line);
  text.append('\0');
  if (curl_slist* longer = curl_slist_append(list_, text.reveal().data()); longer != nullptr) list_ = longer;
}

void set_rules_of_house(CURL* curl, Duration timeout) {
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
}

void set_web_place(CURL* curl, const WebPlace& place) {
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_URL, place.url.c_str());
  if (!place.unix_socket.empty()) curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, place.unix_socket.c_str());
  if (!place.tls_ca.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, place.tls_ca.c_str());
}

Transfer transfer(CURL* curl) {
  char words[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words);
  Transfer done{curl_easy_perform(curl), ""};
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, nullptr);
  if (done.code == CURLE_OK) return done;
  done.why = *words != '\0' ? words : curl_easy_strerror(done.code);
  if (const char* advice = remedy(done.code); *advice != '\0') done.why += std::string(". ") + advice;
  return done;
}

absl::StatusOr<long> answer_code(CurlPool& pool, CurlHandle curl) {
  const Transfer done = transfer(curl.get());
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  pool.give_back(std::move(curl));
  if (done.code != CURLE_OK) return absl::UnavailableError(done.why);
  return status;
}

void collect_body(CURL* curl, CurlBody& body) {
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
}

void read_url(TableReader& reader, std::string_view key, std::string& url) {
  reader.text(key, url);
  const config::Value* value = reader.take(key);
  if (value == nullptr || url.empty()) return;
  const UrlHandle parsed = parse_url(url);
  const std::string scheme = parsed != nullptr ? part_of(parsed.get(), CURLUPART_SCHEME) : "";
  if (scheme != "http" && scheme != "https") {
    return reader.wrong_kind(*value, key, "a URL that begins with http:// or https://");
  }
  // Everybody who reads the log would know it.
  if (!part_of(parsed.get(), CURLUPART_USER).empty() || !part_of(parsed.get(), CURLUPART_PASSWORD).empty()) {
    reader.wrong(*value, key, "has a user or password in it; take it out");
    url.clear();
  }
}

std::string url_host(const std::string& url) {
  const UrlHandle parsed = parse_url(url);
  std::string host = parsed != nullptr ? part_of(parsed.get(), CURLUPART_HOST) : "";
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return host;
}

bool goes_in_clear(const WebPlace& place) {
  return place.unix_socket.empty() && place.url.starts_with("http:") && !is_this_machine(url_host(place.url));
}

}  // namespace postern::helper
