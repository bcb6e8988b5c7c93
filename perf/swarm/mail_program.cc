// SPDX-License-Identifier: GPL-3.0-or-later
#include "perf/swarm/mail_program.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace postern::swarm {
namespace {

using wire::IoResult;

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

Account account_of(const Options& options, uint32_t user) {
  std::string name = options.user;
  if (const size_t at = name.find("%d"); at != std::string::npos) {
    name.replace(at, 2, std::to_string(options.first_user + user % options.users));
  }
  return {std::move(name), options.password};
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
  login_step_ = 0;
  talk_ = make_talk(options.protocol);
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
      return fail(talk_->said_bye() ? Fault::Bye : fault_of(transfer.result));
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
    const Step one = on_heard(talk_->hear(chunk, world_->mail_bytes));
    if (one == Step::Failed) return one;
    if (one != Step::Nothing) step = one;
  }
  return step;
}

Step MailProgram::on_heard(Heard heard) {
  switch (heard) {
    case Heard::Nothing: return Step::Nothing;
    case Heard::Ok: return on_ok();
    case Heard::Refused: return fail(refusal());
    case Heard::Garbage: return fail(state_ == State::Greeting ? Fault::BadGreeting : Fault::BadAnswer);
  }
  return Step::Nothing;
}

Fault MailProgram::refusal() const {
  if (state_ == State::Greeting) return talk_->said_bye() ? Fault::Bye : Fault::BadGreeting;
  return state_ == State::LoggingIn ? Fault::LoginRefused : Fault::CommandRefused;
}

Step MailProgram::on_ok() {
  switch (state_) {
    case State::Greeting:
    case State::LoggingIn: {
      const std::string line = talk_->login_line(login_step_++, account_of(*world_->options, user_));
      state_ = line.empty() ? State::Resting : State::LoggingIn;
      if (line.empty()) return Step::LoggedIn;
      send(line);
      return Step::Nothing;
    }
    case State::Asking: state_ = State::Resting; return Step::Answered;
    case State::LoggingOut: return Step::LoggedOut;
    case State::Closed:
    case State::Connecting:
    case State::Handshaking:
    case State::Resting: break;
  }
  return fail(Fault::BadAnswer);
}

void MailProgram::send(std::string_view line) {
  if (!output_.empty()) {
    output_ += line;
    return;
  }
  const wire::Transfer transfer = stream_.write(line);
  // A broken connection shows itself to the next read, which can tell how it ended.
  if (transfer.result == IoResult::Wait) output_.assign(line, transfer.size);
}

void MailProgram::ask(const Request& request, wire::Instant now) {
  await(State::Asking, now);
  send(talk_->request_line(request));
}

void MailProgram::log_out(wire::Instant now) {
  await(State::LoggingOut, now);
  send(talk_->request_line({Request::Kind::LogOut}));
}

}  // namespace postern::swarm
