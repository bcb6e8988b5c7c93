// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/back.h"

namespace postern::protocol {

std::string_view failure_word(BackFailure failure) {
  switch (failure) {
    case BackFailure::Garbage: return "garbage";
    case BackFailure::Bye: return "bye";
    case BackFailure::Preauth: return "preauth";
    case BackFailure::Closed: return "closed";
    case BackFailure::TooMuch: return "too-much";
    case BackFailure::NoTls: return "no-tls";
    case BackFailure::NoMechanism: return "no-mechanism";
    case BackFailure::Bad: return "bad";
  }
  return "";
}

}  // namespace postern::protocol
