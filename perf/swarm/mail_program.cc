// SPDX-License-Identifier: GPL-3.0-or-later
#include "perf/swarm/mail_program.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

namespace postern::swarm {
namespace {

using wire::IoResult;

// A proxy's and a mail server's lines before a literal are short; this is for capability lists and long error texts.
constexpr size_t line_size_max = 65536;

Fault fault_of_errno(int number) {
  switch (number) {
    case EMFILE:
    case ENFILE:
    case EADDRNOTAVAIL:
    case EADDRINUSE:
    case ENOBUFS: return Fault::NoSocket;
    case ECONNREFUSED: return Fault::Refused;
    case ECONNRESET: return Fault::Reset;
    default: return Fault::ConnectFailed;
  }
}

Fault fault_of(IoResult result) {
  switch (result) {
    case IoResult::Failed: return Fault::TlsFailed;
    case IoResult::Reset: return Fault::Reset;
    case IoResult::Done:
    case IoResult::Wait:
    case IoResult::Ended:
    case IoResult::Cut: break;
  }
  return Fault::Closed;
}

// The n-th address from `first` on.
Endpoint nth_address(Endpoint first, uint32_t n) {
  const size_t size = first.v6 ? 16 : 4;
  for (size_t i = size; i-- > 0 && n > 0;) {
    n += first.address[i];
    first.address[i] = static_cast<uint8_t>(n & 0xff);
    n >>= 8;
  }
  first.port = 0;
  return first;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out += '"';
}

std::string login_command(const Options& options, uint32_t user) {
  std::string name = options.user;
  if (const size_t at = name.find("%d"); at != std::string::npos) {
    name.replace(at, 2, std::to_string(options.first_user + user % options.users));
  }
  return "LOGIN " + quoted(name) + " " + quoted(options.password);
}

}  // namespace

std::string_view fault_word(Fault fault) {
  switch (fault) {
    case Fault::None: return "none";
    case Fault::NoSocket: return "no_socket";
    case Fault::Refused: return "refused";
    case Fault::ConnectFailed: return "connect_failed";
    case Fault::TlsFailed: return "tls_failed";
    case Fault::BadGreeting: return "bad_greeting";
    case Fault::LoginRefused: return "login_refused";
    case Fault::CommandRefused: return "command_refused";
    case Fault::Bye: return "bye";
    case Fault::Closed: return "closed";
    case Fault::Reset: return "reset";
    case Fault::BadAnswer: return "bad_answer";
    case Fault::Timeout: return "timeout";
  }
  return "unknown";
}

Fault MailProgram::open(uint32_t serial, uint32_t user, wire::Instant now) {
  const Options& options = *world_->options;
  user_ = user;
  tag_ = 0;
  literal_left_ = 0;
  idles_ = said_bye_ = false;
  fault_ = Fault::None;
  sockaddr_storage storage{};
  socklen_t size = options.front.to_sockaddr(storage);
  const int socket = ::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket < 0) return fault_ = fault_of_errno(errno);
  stream_ = wire::Stream(socket);
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (options.sources > 0) {
    // The port is chosen at connect: then it need only be free towards this front, not altogether.
    ::setsockopt(socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    sockaddr_storage source{};
    const socklen_t source_size = nth_address(options.source, serial % options.sources).to_sockaddr(source);
    if (::bind(socket, reinterpret_cast<const sockaddr*>(&source), source_size) != 0) {
      fault_ = fault_of_errno(errno);
      close();
      return fault_;
    }
  }
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&storage), size) != 0 && errno != EINPROGRESS) {
    fault_ = fault_of_errno(errno);
    close();
    return fault_;
  }
  await(State::Connecting, now);
  return Fault::None;
}

void MailProgram::await(State state, wire::Instant now) {
  state_ = state;
  deadline_ = now + world_->options->answer_timeout;
}

void MailProgram::close() {
  stream_.close();
  state_ = State::Closed;
  output_ = {};
  line_ = {};
}

Step MailProgram::fail(Fault fault) {
  fault_ = fault;
  close();
  return Step::Failed;
}

bool MailProgram::waits_to_write() const {
  switch (state_) {
    case State::Connecting: return true;
    case State::Handshaking: return stream_.waits_to_write();
    default: return !output_.empty();
  }
}

Step MailProgram::go_on(wire::Instant now) {
  if (state_ == State::Closed) return Step::Nothing;
  if (now >= deadline_ && waits()) return fail(Fault::Timeout);
  if (state_ == State::Connecting && !finish_connect()) return fault_ == Fault::None ? Step::Nothing : fail(fault_);
  if (state_ == State::Handshaking && !finish_handshake()) return fault_ == Fault::None ? Step::Nothing : fail(fault_);
  if (!output_.empty() && !flush()) return fail(Fault::Reset);
  return read_all();
}

bool MailProgram::finish_connect() {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(stream_.socket(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    fault_ = fault_of_errno(error);
    return false;
  }
  if (world_->tls != nullptr && !begin_tls()) {
    fault_ = Fault::TlsFailed;
    return false;
  }
  state_ = State::Handshaking;
  return true;
}

bool MailProgram::begin_tls() {
  const Options& options = *world_->options;
  if (!stream_.start_tls(world_->tls, true)) return false;
  SSL* tls = stream_.tls();
  SSL_set_app_data(tls, this);
  if (!options.sni.empty() && SSL_set_tlsext_host_name(tls, options.sni.c_str()) != 1) return false;
  if (!options.alpn.empty()) {
    std::string list(1, static_cast<char>(options.alpn.size()));
    list += options.alpn;
    // Zero is success, unlike everywhere else in OpenSSL.
    const auto size = static_cast<unsigned>(list.size());
    if (SSL_set_alpn_protos(tls, reinterpret_cast<const unsigned char*>(list.data()), size) != 0) return false;
  }
  return !options.resume || ticket_ == nullptr || SSL_set_session(tls, ticket_.get()) == 1;
}

bool MailProgram::finish_handshake() {
  const IoResult result = stream_.handshake();
  if (result == IoResult::Wait) return false;
  if (result != IoResult::Done) {
    fault_ = fault_of(result);
    return false;
  }
  if (SSL* tls = stream_.tls(); tls != nullptr) {
    if (world_->handshakes++ == 0) {
      world_->tls_version = SSL_get_version(tls);
      world_->tls_cipher = SSL_get_cipher_name(tls);
    }
    if (SSL_session_reused(tls) == 1) ++world_->resumed;
  }
  state_ = State::Greeting;
  return true;
}

bool MailProgram::flush() {
  const wire::Transfer transfer = stream_.write(output_);
  output_.erase(0, transfer.size);
  if (output_.empty()) output_ = {};
  return transfer.result == IoResult::Done || transfer.result == IoResult::Wait;
}

Step MailProgram::read_all() {
  Step step = Step::Nothing;
  while (true) {
    const wire::Transfer transfer = stream_.read(world_->incoming.data(), world_->incoming.size());
    if (transfer.result == IoResult::Wait) return step;
    if (transfer.result != IoResult::Done) {
      // What was completed is told first; the kernel will name this socket again.
      if (step != Step::Nothing) return step;
      return fail(said_bye_ ? Fault::Bye : fault_of(transfer.result));
    }
    // With one command under way there is one completion at most.
    const Step one = understand({world_->incoming.data(), transfer.size});
    if (one == Step::Failed) return one;
    if (one != Step::Nothing) step = one;
    if (stream_.tls() == nullptr && transfer.size < world_->incoming.size()) return step;
  }
}

Step MailProgram::understand(std::string_view chunk) {
  Step step = Step::Nothing;
  while (!chunk.empty()) {
    if (literal_left_ > 0) {
      const size_t size = std::min<uint64_t>(literal_left_, chunk.size());
      literal_left_ -= size;
      world_->body_bytes += size;
      chunk.remove_prefix(size);
      continue;
    }
    const size_t newline = chunk.find('\n');
    if (newline == std::string_view::npos) {
      line_.append(chunk);
      return line_.size() > line_size_max ? fail(Fault::BadAnswer) : step;
    }
    std::string_view line = chunk.substr(0, newline);
    chunk.remove_prefix(newline + 1);
    const std::string begun = std::exchange(line_, {});
    const std::string whole = begun.empty() ? std::string() : begun + std::string(line);
    if (!begun.empty()) line = whole;
    if (line.ends_with('\r')) line.remove_suffix(1);
    const Step one = on_line(line);
    if (one == Step::Failed) return one;
    if (one != Step::Nothing) step = one;
  }
  return step;
}

Step MailProgram::on_line(std::string_view line) {
  if (state_ == State::Greeting) {
    if (!line.starts_with("* OK")) return fail(line.starts_with("* BYE") ? Fault::Bye : Fault::BadGreeting);
    state_ = State::LoggingIn;
    send_command(login_command(*world_->options, user_));
    return Step::Nothing;
  }
  if (line.starts_with("* ")) {
    if (line.starts_with("* BYE")) said_bye_ = true;
    if (!line.ends_with('}')) return Step::Nothing;
    const size_t open = line.rfind('{');
    if (open == std::string_view::npos) return Step::Nothing;
    const char* end = line.data() + line.size() - 1;
    const auto parsed = std::from_chars(line.data() + open + 1, end, literal_left_);
    return parsed.ec == std::errc() && parsed.ptr == end ? Step::Nothing : fail(Fault::BadAnswer);
  }
  if (line.starts_with('+') && idles_ && state_ == State::Asking) {
    state_ = State::Resting;
    return Step::Answered;
  }
  std::array<char, 16> tag{'t'};
  char* end = std::to_chars(tag.data() + 1, tag.data() + tag.size() - 1, tag_).ptr;
  *end++ = ' ';
  const std::string_view wanted(tag.data(), static_cast<size_t>(end - tag.data()));
  if (tag_ == 0 || !line.starts_with(wanted)) return Step::Nothing;  // the end of a line that had a literal
  return on_tagged(line.substr(wanted.size()));
}

Step MailProgram::on_tagged(std::string_view outcome) {
  const State before = state_;
  if (!outcome.starts_with("OK")) {
    return fail(before == State::LoggingIn ? Fault::LoginRefused : Fault::CommandRefused);
  }
  switch (before) {
    case State::LoggingIn: state_ = State::Resting; return Step::LoggedIn;
    case State::Asking:
      idles_ = false;
      state_ = State::Resting;
      return Step::Answered;
    case State::LoggingOut: return Step::LoggedOut;
    case State::Closed:
    case State::Connecting:
    case State::Handshaking:
    case State::Greeting:
    case State::Resting: break;
  }
  return fail(Fault::BadAnswer);
}

void MailProgram::send_command(std::string_view command) {
  std::string line;
  if (command == "DONE") {
    line = "DONE\r\n";
  } else {
    line.append("t").append(std::to_string(++tag_)).append(" ").append(command).append("\r\n");
  }
  if (!output_.empty()) {
    output_ += line;
    return;
  }
  const wire::Transfer transfer = stream_.write(line);
  // A broken connection shows itself to the next read, which can tell how it ended.
  if (transfer.result == IoResult::Wait) output_.assign(line, transfer.size);
}

void MailProgram::ask(std::string_view command, wire::Instant now) {
  await(State::Asking, now);
  if (command == "IDLE") idles_ = true;
  send_command(command);
}

void MailProgram::log_out(wire::Instant now) {
  await(State::LoggingOut, now);
  send_command("LOGOUT");
}

}  // namespace postern::swarm
