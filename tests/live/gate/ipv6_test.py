# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail programs, the gate and a real Dovecot at ::1, and users with addresses of both kinds, of whom Dovecot hears by ID, XCLIENT and
PROXY headers."""

import sys

import tap
import world
from addresses import USER_PORTS, USER_V6, USERS, WITH_ID, Addresses, header, name_user
from doors import shown
from programs import PROTOCOLS
from world import DORA, PASSWORDS


class Identified(Addresses):
    """A door's name says which versions of IP are before the gate and behind it. There is a load balancer in front of each, too, and
    it speaks for users, or for nobody."""

    ways = [(protocol, back) for protocol in PROTOCOLS for back in ("six-six", "six-four", "four-six")]
    fronts = ("implicit",)
    dovecot_settings = Addresses.dovecot_settings + "listen = 127.0.0.1, ::1\n"

    @classmethod
    def door_text(cls, door):
        return 'proxy_protocol = true\ntrusted = ["::1/128", "127.0.0.1/32"]\n'

    @classmethod
    def address(cls, door):
        return "[::1]" if "six-" in door[2] else "127.0.0.1"

    @classmethod
    def pool(cls, protocol, back):
        return f"{'[::1]' if back.endswith('six') else '127.0.0.1'}:{cls.dovecot.ports[protocol]}", cls.pool_settings

    def test_a_user_is_known_by_his_address(self):
        for protocol, back in self.ways:
            for user in USERS:
                with self.subTest(protocol=protocol, back=back, user=user):
                    line = self.assert_user_is_known(protocol, "implicit", back, "v2", user)
                    self.assertIn(f" back={self.pool(protocol, back)[0]} ", line)

    def test_a_mail_program_at_1(self):
        for protocol in PROTOCOLS:
            for back in (name for kind, name in self.ways if kind == protocol and "six-" in name):
                with self.subTest(protocol=protocol, back=back):
                    before = len(self.dovecot.log())
                    mail = self.log_in(protocol, DORA, back=back, header=b"PROXY UNKNOWN\r\n")
                    line = self.logged_in_at_the_mail_server(DORA, protocol, before)
                    if protocol in self.heard:
                        self.assertIn(" rip=::1, ", line)
                    if protocol in self.heard_local:
                        self.assertIn(" lip=::1, ", line)
                    local = shown("::1", self.door(protocol, back=back))
                    self.assertIn(f" local={local} ", self.line_about(mail, "login"))


class PROXY(Identified):
    """A door's name says the version of the header, too. One of the load balancer's users is a webmail host."""

    WEBMAIL = "192.0.2.80"
    haproxy = True
    ways = [(protocol, back) for protocol in PROTOCOLS for back in ("v1-six-six", "v2-six-six", "v2-six-four", "v1-four-six")]
    heard = heard_local = PROTOCOLS

    @classmethod
    def door_text(cls, door):
        return super().door_text(door) + f'webmail = ["{cls.WEBMAIL}/32"]\n'

    @classmethod
    def pool(cls, protocol, back):
        version = back.partition("-")[0]
        return super().pool(protocol, back)[0], f'proxy_protocol = "{version}"\n'

    def test_a_user_and_a_webmail_host_of_different_versions(self):
        """One header has to tell an address of each."""
        for protocol in WITH_ID:
            for back in ("v1-six-six", "v2-six-six"):
                with self.subTest(protocol=protocol, back=back):
                    port, before = next(USER_PORTS), len(self.dovecot.log())
                    mail = self.connect(protocol, back=back, header=header("v2", self.WEBMAIL))
                    name_user(mail, protocol, USER_V6, port)
                    mail.log_in(DORA, PASSWORDS[DORA])
                    self.assertIn(f" rip={USER_V6}, ", self.logged_in_at_the_mail_server(DORA, protocol, before))
                    self.line_of("login", USER_V6, port)


if __name__ == "__main__":
    world.POSTERN, world.POSTERN_AUTH = sys.argv[1:3]
    tap.main(sys.argv[3:])
