// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/ldap_deadline.h"

#include <errno.h>
#include <poll.h>

#include "helper/socket_wait.h"

namespace postern::helper {
namespace {

// Above the socket, below TLS.
constexpr int level = (LBER_SBIOD_LEVEL_PROVIDER + LBER_SBIOD_LEVEL_TRANSPORT) / 2;

int keep(Sockbuf_IO_Desc* layer, void* deadline) {
  layer->sbiod_pvt = deadline;
  return 0;
}

int pass_on(Sockbuf_IO_Desc* layer, int option, void* value) {
  return LBER_SBIOD_CTRL_NEXT(layer, option, value);
}

ber_slen_t read_layer(Sockbuf_IO_Desc* layer, void* into, ber_len_t size) {
  return static_cast<LdapDeadline*>(layer->sbiod_pvt)->read(layer, into, size);
}

ber_slen_t write_layer(Sockbuf_IO_Desc* layer, void* from, ber_len_t size) {
  return static_cast<LdapDeadline*>(layer->sbiod_pvt)->write(layer, from, size);
}

Sockbuf_IO layer_functions{keep, nullptr, pass_on, read_layer, write_layer, nullptr};

int connected(LDAP*, Sockbuf* socket, LDAPURLDesc*, sockaddr*, ldap_conncb* self) {
  return ber_sockbuf_add_io(socket, &layer_functions, level, self->lc_arg);
}

void disconnected(LDAP*, Sockbuf*, ldap_conncb*) {}

}  // namespace

LdapDeadline::LdapDeadline() : callbacks_{connected, disconnected, this} {}

int LdapDeadline::attach(LDAP* handle) {
  return ldap_set_option(handle, LDAP_OPT_CONNECT_CB, &callbacks_);
}

ber_slen_t LdapDeadline::read(Sockbuf_IO_Desc* layer, void* into, ber_len_t size) const {
  return wait(layer, POLLIN) ? LBER_SBIOD_READ_NEXT(layer, into, size) : -1;
}

ber_slen_t LdapDeadline::write(Sockbuf_IO_Desc* layer, void* from, ber_len_t size) const {
  return wait(layer, POLLOUT) ? LBER_SBIOD_WRITE_NEXT(layer, from, size) : -1;
}

bool LdapDeadline::wait(Sockbuf_IO_Desc* layer, short events) const {
  int waiting = -1;
  if (ber_sockbuf_ctrl(layer->sbiod_sb, LBER_SB_OPT_GET_FD, &waiting) < 0) return true;
  if (wait_for(waiting, events, deadline_)) return true;
  // Not "try again", which libldap would.
  errno = ETIMEDOUT;
  return false;
}

}  // namespace postern::helper
