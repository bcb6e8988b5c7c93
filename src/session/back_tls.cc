// SPDX-License-Identifier: GPL-3.0-or-later
#include "session/back_tls.h"

namespace postern::session {

std::string_view back_tls_sentence(tls::Failure failure) {
  switch (failure) {
    case tls::Failure::CertificateRefused:
      return "the mail server's certificate is not signed by a CA that the pool trusts (`tls_ca`), or has expired";
    case tls::Failure::WrongName: return "the mail server's certificate bears another name than the pool's `tls_name`";
    case tls::Failure::NotTls: return "the mail server does not speak TLS on this port";
    case tls::Failure::PinMismatch: return "the mail server's key is none of the pool's `tls_pins`";
    default: return "the TLS handshake with the mail server failed";
  }
}

}  // namespace postern::session
