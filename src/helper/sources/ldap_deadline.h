// SPDX-License-Identifier: GPL-3.0-or-later
// LdapDeadline: no read and no write of a libldap connection lasts longer than until a given time.
//
// libldap looks at the clock between messages only: half a message, or a TLS handshake that stops in its middle, would
// hold it for ever. So this stands between its TLS and its socket, and waits there.
#pragma once

#include <lber.h>
#include <ldap.h>

#include "base/clock.h"

namespace postern::helper {

class LdapDeadline {
 public:
  LdapDeadline();
  LdapDeadline(const LdapDeadline&) = delete;
  LdapDeadline& operator=(const LdapDeadline&) = delete;

  // For the connection that `handle` will make; it must end before this does. The result is libldap's.
  int attach(LDAP* handle);
  void set(Instant deadline) { deadline_ = deadline; }
  Instant get() const { return deadline_; }

  // What libldap calls; `layer` is where it keeps a pointer to this.
  ber_slen_t read(Sockbuf_IO_Desc* layer, void* into, ber_len_t size) const;
  ber_slen_t write(Sockbuf_IO_Desc* layer, void* from, ber_len_t size) const;

 private:
  bool wait(Sockbuf_IO_Desc* layer, short events) const;

  Instant deadline_{};
  ldap_conncb callbacks_;
};

}  // namespace postern::helper
