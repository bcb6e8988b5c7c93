# SPDX-License-Identifier: GPL-3.0-or-later
"""Users' addresses, as load balancers tell them by PROXY headers, and a gate that passes them on."""

import itertools
import re
import smtplib
import socket
import struct

from doors import Doors, shown
from world import DORA, PASSWORDS

USER_V4, USER_V6 = "192.0.2.7", "2001:db8::7"
USERS = (USER_V4, USER_V6)
# Where the user has connected to, as the load balancer sees it.
LOCALS = {USER_V4: "192.0.2.1", USER_V6: "2001:db8::1"}
LOCAL_PORT = 993
# A user's port is another one each time, so that log lines are his.
USER_PORTS = itertools.count(1025)

# Dovecot takes no address for a fact but from these.
TRUSTING = "login_trusted_networks = 127.0.0.0/8 ::1/128\nhaproxy_trusted_networks = 127.0.0.0/8 ::1/128\n"
WITH_ID = ("imap", "pop3", "submission")  # ManageSieve has no way to tell an address but PROXY headers


def header(version, user, port=4711):
    """The PROXY protocol's, sections 2.1 and 2.2."""
    v6 = ":" in user
    local = LOCALS[USER_V6 if v6 else USER_V4]
    if version == "v1":
        return f"PROXY {'TCP6' if v6 else 'TCP4'} {user} {local} {port} {LOCAL_PORT}\r\n".encode()
    family = socket.AF_INET6 if v6 else socket.AF_INET
    addresses = socket.inet_pton(family, user) + socket.inet_pton(family, local) + struct.pack("!HH", port, LOCAL_PORT)
    return b"\r\n\r\n\0\r\nQUIT\n\x21" + (b"\x21" if v6 else b"\x11") + struct.pack("!H", len(addresses)) + addresses


def name_user(mail, protocol, address, port):
    """What a webmail host says in front of the login."""
    if protocol == "imap":
        mail.xatom("ID", f'("name" "Webmail" "x-originating-ip" "{address}" "x-originating-port" "{port}")')
    elif protocol == "pop3":
        mail._shortcmd(f"XCLIENT ADDR={address} PORT={port}")
    else:
        mail.ehlo()
        code, text = mail.docmd("XCLIENT", f"ADDR={'IPV6:' if ':' in address else ''}{address} PORT={port}")
        if code != 220:
            raise smtplib.SMTPAuthenticationError(code, text)
        mail.ehlo()  # All begins anew.


class Addresses(Doors):
    dovecot_settings = Doors.dovecot_settings + TRUSTING
    pool_settings = "send_id = true\n"
    more_doors = []
    heard = WITH_ID  # where Dovecot learns the user's address
    heard_local = ("imap",)  # and the one that he has connected to

    @classmethod
    def pool(cls, protocol, back):
        return f"127.0.0.1:{cls.dovecot.ports[protocol]}", cls.pool_settings

    def line_of(self, event, address, port):
        """The gate's line about the only connection of such a user."""
        return self.gate.wait_for_log(rf" {event} .*front={re.escape(shown(address, port))} .*$").group()

    def assert_user_is_known(self, protocol, front, back, version, user, **how):
        """A load balancer speaks for the user, and both the gate and Dovecot believe it."""
        port, before = next(USER_PORTS), len(self.dovecot.log())
        mail = self.log_in(protocol, DORA, front, back, header=header(version, user, port), **how)
        line = self.logged_in_at_the_mail_server(DORA, protocol, before)
        if protocol in self.heard:
            self.assertIn(f" rip={user}, ", line)
        if protocol in self.heard_local:
            self.assertIn(f" lip={LOCALS[user]}, ", line)
        self.assertIn(f" local={shown(LOCALS[user], LOCAL_PORT)} ", self.line_of("login", user, port))
        mail.hang_up()
        return self.line_of("end", user, port)

    def assert_seen(self, protocol, address, mail):
        """The mail program logs in, and Dovecot sees that address."""
        before = len(self.dovecot.log())
        mail.log_in(DORA, PASSWORDS[DORA])
        self.assertIn(f" rip={address}, ", self.logged_in_at_the_mail_server(DORA, protocol, before))
