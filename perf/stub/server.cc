// SPDX-License-Identifier: GPL-3.0-or-later
#include "perf/stub/server.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"

namespace postern::mailstub {
namespace {

using wire::IoResult;

// A whole number of lines, so that the mail looks the same after every turn; large, so that one send takes much.
constexpr size_t mail_block_size = 16384 * mail_line_size;
// A small mail goes out in one piece with the lines around it.
constexpr size_t small_body_max = 16384;
// More input than this without a whole line is nobody we want to talk to.
constexpr size_t input_size_max = 65536;

std::string make_mail() {
  std::string line(mail_line_size - 2, 'x');
  for (size_t i = 0; i < line.size(); ++i)
    line[i] = static_cast<char>('a' + i % 26);
  line += "\r\n";
  std::string mail;
  mail.reserve(mail_block_size);
  while (mail.size() < mail_block_size)
    mail += line;
  return mail;
}

// The value of `key` in a line of form-urlencoded pairs, as it stands.
std::string_view pair_value(std::string_view line, std::string_view key) {
  while (!line.empty()) {
    const size_t end = std::min(line.find('&'), line.size());
    const std::string_view pair = line.substr(0, end);
    if (pair.size() > key.size() && pair.starts_with(key) && pair[key.size()] == '=')
      return pair.substr(key.size() + 1);
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return {};
}

// nginx has its own word for one of them; who does not say a protocol means IMAP.
wire::Protocol protocol_in(std::string_view word) {
  if (word == "smtp") return wire::Protocol::Submission;
  return wire::protocol_of(word).value_or(wire::Protocol::Imap);
}

// The value of a header line, as nginx writes it.
std::string_view header_value(std::string_view question, std::string_view name_and_colon) {
  const size_t at = question.find(name_and_colon);
  if (at == std::string_view::npos) return {};
  question.remove_prefix(at + name_and_colon.size());
  return question.substr(0, question.find('\r'));
}

}  // namespace

struct Server::Conversation {
  size_t slot = 0;  // where it stands among `conversations_`
  wire::Stream stream;
  Door door = Door::Mail;
  std::unique_ptr<Talk> talk;  // with a proxy
  bool shakes_hands = false;
  bool closes = false;     // once everything is sent
  uint32_t watched = 0;    // epoll events asked for
  std::string input;       // not yet understood
  std::string output;      // not yet sent: this,
  uint64_t body_left = 0;  // then so much of the mail,
  uint64_t body_offset = 0;
  std::string after;  // then this

  bool has_output() const { return !output.empty() || body_left > 0 || !after.empty(); }
};

Server::Server(Options options)
    : options_(std::move(options)), epoll_(::epoll_create1(EPOLL_CLOEXEC)), mail_(make_mail()), incoming_(65536) {}

Server::~Server() {
  for (const Listener& listener : listeners_)
    ::close(listener.socket);
  if (signals_ >= 0) ::close(signals_);
  ::close(epoll_);
}

absl::Status Server::add_mail_listener(int socket, wire::Protocol protocol) {
  backs_[static_cast<size_t>(protocol)].endpoints.push_back(wire::bound_endpoint(socket));
  return add({socket, Door::Mail, protocol});
}

absl::Status Server::add_listener(int socket, Door door) {
  return add({socket, door, {}});
}

absl::Status Server::add(const Listener& listener) {
  listeners_.push_back(listener);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = listener.socket;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, listener.socket, &event) == 0) return absl::OkStatus();
  return absl::InternalError("epoll refuses a listener");
}

absl::Status Server::run() {
  auto signals = wire::catch_signals();
  if (!signals.ok()) return signals.status();
  signals_ = *signals;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = signals_;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, signals_, &event) != 0) return absl::InternalError("epoll refuses signals");
  std::array<epoll_event, 256> events;
  while (true) {
    const int count = ::epoll_wait(epoll_, events.data(), events.size(), -1);
    if (count < 0 && errno != EINTR)
      return absl::InternalError(absl::StrFormat("epoll_wait: %s", std::strerror(errno)));
    for (int i = 0; i < count; ++i) {
      const int socket = events[static_cast<size_t>(i)].data.fd;
      if (socket == signals_) return absl::OkStatus();
      const auto listener =
          std::find_if(listeners_.begin(), listeners_.end(), [&](const auto& l) { return l.socket == socket; });
      if (listener != listeners_.end()) {
        accept_all(*listener);
      } else if (static_cast<size_t>(socket) < conversations_.size() && conversations_[static_cast<size_t>(socket)]) {
        serve(*conversations_[static_cast<size_t>(socket)]);
      }
    }
  }
}

void Server::accept_all(const Listener& listener) {
  // A handful at a time, so that a flood of newcomers does not starve those who are being served.
  for (int i = 0; i < 64; ++i) {
    const int socket = ::accept4(listener.socket, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0) return;
    const auto slot = static_cast<size_t>(socket);
    if (slot >= conversations_.size()) conversations_.resize(slot + 1);
    conversations_[slot] = std::make_unique<Conversation>();
    Conversation& conversation = *conversations_[slot];
    conversation.slot = slot;
    conversation.stream = wire::Stream(socket);
    conversation.door = listener.door;
    if (begin(conversation, listener)) watch(conversation);
  }
}

bool Server::begin(Conversation& conversation, const Listener& listener) {
  if (listener.door != Door::Mail) return true;
  conversation.talk = make_talk(listener.protocol, options_.mail_size);
  if (options_.tls != nullptr) {
    conversation.shakes_hands = conversation.stream.start_tls(options_.tls.get(), false);
    if (conversation.shakes_hands) return true;
  } else {
    conversation.output = conversation.talk->greeting();
    if (flush(conversation) || conversation.stream.is_open()) return true;
  }
  end(conversation);
  return false;
}

void Server::serve(Conversation& conversation) {
  if (conversation.shakes_hands) {
    const IoResult result = conversation.stream.handshake();
    if (result == IoResult::Wait) return watch(conversation);
    if (result != IoResult::Done) return end(conversation);
    conversation.shakes_hands = false;
    conversation.output = conversation.talk->greeting();
  }
  while (true) {
    if (conversation.has_output() && !flush(conversation)) break;
    if (conversation.closes) return end(conversation);
    // Input that waited for the output to leave comes first.
    if (!conversation.input.empty()) {
      const size_t before = conversation.input.size();
      const std::string input = std::exchange(conversation.input, {});
      answer_all(conversation, input);
      if (conversation.input.size() < before) continue;
    }
    if (!read_more(conversation)) break;
  }
  if (!conversation.stream.is_open()) return end(conversation);
  watch(conversation);
}

bool Server::flush(Conversation& conversation) {
  wire::Stream& stream = conversation.stream;
  const auto send = [&](std::string_view bytes, size_t& sent) {
    const wire::Transfer transfer = stream.write(bytes);
    sent = transfer.size;
    if (transfer.result != IoResult::Done && transfer.result != IoResult::Wait) stream.close();
    return transfer.result == IoResult::Done;
  };
  size_t sent = 0;
  if (!conversation.output.empty()) {
    const bool all = send(conversation.output, sent);
    conversation.output.erase(0, sent);
    if (!all) return false;
  }
  while (conversation.body_left > 0) {
    const size_t offset = conversation.body_offset % mail_.size();
    const size_t size = std::min<uint64_t>(conversation.body_left, mail_.size() - offset);
    const bool all = send(std::string_view(mail_).substr(offset, size), sent);
    conversation.body_left -= sent;
    conversation.body_offset += sent;
    if (!all) return false;
  }
  if (!conversation.after.empty()) {
    const bool all = send(conversation.after, sent);
    conversation.after.erase(0, sent);
    if (!all) return false;
  }
  return true;
}

// True: something came and was dealt with as far as possible; there may be more.
bool Server::read_more(Conversation& conversation) {
  const wire::Transfer transfer = conversation.stream.read(incoming_.data(), incoming_.size());
  if (transfer.result == IoResult::Wait) return false;
  if (transfer.result != IoResult::Done) {
    conversation.stream.close();
    return false;
  }
  const std::string_view came(incoming_.data(), transfer.size);
  if (conversation.input.empty()) {
    answer_all(conversation, came);
  } else {
    const std::string input = std::exchange(conversation.input, {}).append(came);
    answer_all(conversation, input);
  }
  if (conversation.input.size() > input_size_max && !conversation.has_output()) conversation.stream.close();
  // A plain socket that gave less than there was room for is empty: the next read would only say so.
  const bool emptied = conversation.stream.tls() == nullptr && transfer.size < incoming_.size();
  return conversation.stream.is_open() && (!emptied || conversation.has_output() || conversation.closes);
}

void Server::answer_all(Conversation& conversation, std::string_view input) {
  bool goes_on = true;
  while (goes_on) {
    answer_.clear();
    input.remove_prefix(understand(conversation, input));
    conversation.closes |= answer_.close;
    goes_on = answer_.body_size > 0;  // then there may be more behind it
    if (!send_answer(conversation)) break;
  }
  conversation.input.assign(input);
}

// True: all of it has left.
bool Server::send_answer(Conversation& conversation) {
  if (answer_.body_size > 0 && answer_.body_size <= small_body_max) {
    answer_.text.append(mail_, 0, answer_.body_size).append(answer_.after);
    answer_.body_size = 0;
    answer_.after.clear();
  }
  if (answer_.is_empty()) return true;
  // The common case sends straight from the shared answer; only what the socket does not take is copied.
  const wire::Transfer transfer = conversation.stream.write(answer_.text);
  if (transfer.result != IoResult::Done && transfer.result != IoResult::Wait) {
    conversation.stream.close();
    return false;
  }
  conversation.output.assign(answer_.text, transfer.size);
  conversation.body_left = answer_.body_size;
  conversation.body_offset = 0;
  conversation.after = answer_.after;
  return !conversation.has_output();
}

size_t Server::understand(Conversation& conversation, std::string_view input) {
  switch (conversation.door) {
    case Door::Mail: return conversation.talk->feed(input, answer_);
    case Door::AuthHttp:
      if (input.find("\r\n\r\n") == std::string_view::npos) return 0;
      answer_http(input);
      return input.size();
    case Door::Helper: {
      size_t taken = 0;
      for (size_t end = input.find('\n'); end != std::string_view::npos; end = input.find('\n', taken)) {
        answer_helper(input.substr(taken, end - taken));
        taken = end + 1;
      }
      return taken;
    }
  }
  return input.size();
}

void Server::answer_http(std::string_view question) {
  const Endpoint& back = next_back(protocol_in(header_value(question, "\r\nAuth-Protocol: ")));
  answer_.text.append("HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: ").append(back.address_text());
  answer_.text.append("\r\nAuth-Port: ").append(std::to_string(back.port)).append("\r\n\r\n");
  answer_.close = true;
}

void Server::answer_helper(std::string_view line) {
  if (pair_value(line, "op") == "hello") {
    answer_.text += "op=hello&version=1&name=postern-mailstub\n";
    return;
  }
  const std::string_view id = pair_value(line, "id");
  if (id.empty()) return;
  const Endpoint& back = next_back(protocol_in(pair_value(line, "protocol")));
  answer_.text.append("id=").append(id);
  if (pair_value(line, "op") != "verify") {
    answer_.text += "&result=error\n";
    return;
  }
  // The brackets of an IPv6 address and the colon need no escape in a value; only & + % and = have a meaning.
  answer_.text.append("&result=ok&back=").append(back.text()).append(options_.helper_fields).append("\n");
}

const Endpoint& Server::next_back(wire::Protocol protocol) {
  static const Endpoint nowhere{};
  Backs& backs = backs_[static_cast<size_t>(protocol)];
  if (backs.endpoints.empty()) return nowhere;
  backs.next = (backs.next + 1) % backs.endpoints.size();
  return backs.endpoints[backs.next];
}

void Server::watch(Conversation& conversation) {
  // Who does not read is not read from: what it sends waits in the kernel, as with a real mail server.
  const bool to_write = conversation.shakes_hands ? conversation.stream.waits_to_write() : conversation.has_output();
  const uint32_t events = to_write ? EPOLLOUT : EPOLLIN;
  if (events == conversation.watched) return;
  epoll_event event{};
  event.events = events;
  event.data.fd = conversation.stream.socket();
  const int operation = conversation.watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  conversation.watched = events;
  ::epoll_ctl(epoll_, operation, conversation.stream.socket(), &event);
}

void Server::end(Conversation& conversation) {
  conversations_[conversation.slot].reset();
}

}  // namespace postern::mailstub
