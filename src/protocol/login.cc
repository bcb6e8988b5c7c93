// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/login.h"

namespace postern::protocol {

std::string_view mechanism_word(Mechanism mechanism) {
  switch (mechanism) {
    case Mechanism::Login:
    case Mechanism::SaslLogin: return "LOGIN";
    case Mechanism::Plain: return "PLAIN";
  }
  return "";
}

}  // namespace postern::protocol
