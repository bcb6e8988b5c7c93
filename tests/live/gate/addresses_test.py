# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose address the gate's log and a real Dovecot get to know: that of a user for whom a webmail host speaks, or a load balancer by a
PROXY header."""

import re
import socket
import sys

import tap
import world
from addresses import LOCALS, USER_PORTS, USER_V4, USERS, WITH_ID, Addresses, header, name_user
from doors import FRONTS, shown
from programs import PATIENCE_S, PROTOCOLS
from world import DORA, NAME, PASSWORDS, read_to_end

WEBMAIL = "127.0.5.80"
BALANCER = "127.0.5.8"
ELSEWHERE = "127.0.5.7"


class Webmail(Addresses):
    ways = [(protocol, "webmail") for protocol in WITH_ID]

    @classmethod
    def door_text(cls, door):
        return f'webmail = ["{WEBMAIL}/32"]\n'

    def program(self, protocol, front="implicit", source=WEBMAIL):
        return self.connect(protocol, front, "webmail", source=source)

    def test_its_word_counts(self):
        for protocol in WITH_ID:
            for front in FRONTS:
                for address in USERS:
                    with self.subTest(protocol=protocol, front=front, address=address):
                        mail, port = self.program(protocol, front), next(USER_PORTS)
                        name_user(mail, protocol, address, port)
                        self.assert_seen(protocol, address, mail)
                        self.line_of("login", address, port)
                        self.assertIn(f" via={WEBMAIL}:", self.line_of("named", address, port))

    def test_its_last_word_counts(self):
        for protocol in WITH_ID:
            with self.subTest(protocol=protocol):
                mail, port = self.program(protocol), next(USER_PORTS)
                name_user(mail, protocol, "198.51.100.1", port)
                self.refusal(mail)
                name_user(mail, protocol, USER_V4, port)
                self.assert_seen(protocol, USER_V4, mail)

    def test_it_need_not_say_anything(self):
        for protocol in WITH_ID:
            with self.subTest(protocol=protocol):
                self.assert_seen(protocol, WEBMAIL, self.program(protocol))

    def test_anybody_elses_word_does_not(self):
        refusals = {"pop3": r"^-ERR Unknown command$", "submission": r"^550 5\.7\.0 XCLIENT is not for you$"}
        for protocol in WITH_ID:
            for front in FRONTS:
                with self.subTest(protocol=protocol, front=front):
                    mail, port = self.program(protocol, front, ELSEWHERE), next(USER_PORTS)
                    if protocol in refusals:
                        self.assertRegex(self.sentence(lambda: name_user(mail, protocol, USER_V4, port)), refusals[protocol])
                    else:
                        name_user(mail, protocol, USER_V4, port)
                    self.assert_seen(protocol, ELSEWHERE, mail)
                    self.assertNotIn(shown(USER_V4, port), self.gate.log())

    def test_what_it_may_say_is_announced_to_it_only(self):
        for source, announced in ((WEBMAIL, True), (ELSEWHERE, False)):
            mail = self.program("submission", source=source)
            mail.ehlo()
            self.assertEqual(mail.has_extn("XCLIENT"), announced)
            self.assertEqual(b"[XCLIENT]" in self.program("pop3", source=source).welcome, announced)


class Balanced(Addresses):
    """Doors behind a load balancer, which speaks first."""

    ways = [(protocol, "balanced") for protocol in PROTOCOLS]

    @classmethod
    def door_text(cls, door):
        return f'proxy_protocol = true\ntrusted = ["{BALANCER}/32"]\n'

    def test_the_user_is_whom_it_speaks_of(self):
        for protocol in PROTOCOLS:
            for front in FRONTS:
                for version in ("v1", "v2"):
                    for user in USERS:
                        with self.subTest(protocol=protocol, front=front, version=version, user=user):
                            self.assert_user_is_known(protocol, front, "balanced", version, user, source=BALANCER)

    def test_a_header_that_comes_in_pieces(self):
        for version in ("v1", "v2"):
            with self.subTest(version=version):
                port, before = next(USER_PORTS), len(self.dovecot.log())
                with socket.create_connection(("127.0.0.1", self.door("imap", back="balanced")), PATIENCE_S, (BALANCER, 0)) as bare:
                    bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    for byte in header(version, USER_V4, port):
                        bare.sendall(bytes([byte]))
                    with self.context.wrap_socket(bare, server_hostname=NAME) as sock:
                        sock.sendall(f"1 LOGIN {DORA} {PASSWORDS[DORA]}\r\n2 LOGOUT\r\n".encode())
                        self.assertIn(b"2 OK ", read_to_end(sock))
                self.line_of("end", USER_V4, port)
                self.logged_in_at_the_mail_server(DORA, "imap", before)

    def test_about_itself(self):
        """Its health checks say that they speak for nobody."""
        for said in (b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
                     b"\r\n\r\n\0\r\nQUIT\n\x20\x11\0\x0c" + bytes(12)):
            with self.subTest(said=said):
                mail = self.connect("imap", back="balanced", source=BALANCER, header=said)
                self.assert_seen("imap", BALANCER, mail)
                self.line_about(mail, "login")

    def test_swaks(self):
        """Its own idea of the header."""
        words = {("1", ":"): ["--proxy-family", "TCP6"], ("1", "."): ["--proxy-family", "TCP4"],
                 ("2", ":"): ["--proxy-family", "AF_INET6", "--proxy-protocol", "STREAM", "--proxy-command", "PROXY"],
                 ("2", "."): ["--proxy-family", "AF_INET", "--proxy-protocol", "STREAM", "--proxy-command", "PROXY"]}
        for (version, sign), family in words.items():
            user = next(address for address in USERS if sign in address)
            with self.subTest(version=version, user=user):
                port, before = next(USER_PORTS), len(self.dovecot.log())
                text = f"swaks, {version} {user}"
                self.run_program(
                    "swaks", "--server", "127.0.0.1", "--port", str(self.door("submission", back="balanced")), "--tls-on-connect",
                    "--local-interface", BALANCER, "--proxy-version", version, *family, "--proxy-source", user, "--proxy-source-port",
                    str(port), "--proxy-dest", LOCALS[user], "--proxy-dest-port", "465", "--auth", "PLAIN", "--auth-user", DORA,
                    "--auth-password", PASSWORDS[DORA], "--auth-hide-password", "--helo", "client.example.test", "--from", DORA, "--to",
                    "friend@example.test", "--body", text, cwd=self.folder)
                self.sink.wait_for_mail(text)
                self.assertIn(f" local={shown(LOCALS[user], 465)} ", self.line_of("login", user, port))
                self.assertIn(f" rip={user}, ", self.logged_in_at_the_mail_server(DORA, "submission", before))

    def closed(self, source, said, front):
        """Sends it, and waits until the gate has closed, without a word; the gate's line about it."""
        log_size = len(self.gate.log())
        with socket.create_connection(("127.0.0.1", self.door("imap", front, "balanced")), PATIENCE_S, (source, 0)) as sock:
            port = sock.getsockname()[1]
            try:
                sock.sendall(said)
                self.assertEqual(read_to_end(sock), b"")
            except (ConnectionResetError, BrokenPipeError):
                pass  # What was said was not all read.
        return self.gate.wait_for_log(rf"^.* warning proxy-header .*front={re.escape(source)}:{port} .*$", log_size).group()

    def test_others_are_closed(self):
        for said in (header("v1", USER_V4), header("v2", USER_V4), b"1 NOOP\r\n", b""):
            for front in FRONTS:
                with self.subTest(said=said, front=front):
                    self.assertIn(" reason=not-trusted ", self.closed(ELSEWHERE, said, front))

    def test_what_is_no_header_is_closed(self):
        v2 = header("v2", USER_V4)
        for said, reason in [(b"1 NOOP\r\n", "not-a-header"), (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "not-a-header"),
                             (b"PROXY TCP4 192.0.2.7 192.0.2.1 4711\r\n", "malformed"),
                             (b"PROXY TCP4 192.0.2.777 192.0.2.1 4711 993\r\n", "malformed"),
                             (b"PROXY TCP4 2001:db8::7 2001:db8::1 4711 993\r\n", "malformed"),
                             (b"PROXY TCP6 192.0.2.7 192.0.2.1 4711 993\r\n", "malformed"),
                             (b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 993\n", "malformed"),
                             (b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 99300\r\n", "malformed"),
                             (b"PROXY " + b"x" * 200, "too-long"), (v2[:12] + b"\x31" + v2[13:], "malformed"),
                             (v2[:13] + b"\x12" + v2[14:], "malformed"), (v2[:14] + b"\0\x04" + v2[16:], "malformed"),
                             (v2[:14] + b"\xff\xff" + v2[16:], "too-long")]:
            for front in FRONTS:
                with self.subTest(said=said, front=front):
                    self.assertRegex(self.closed(BALANCER, said, front), rf" reason={reason}$")


if __name__ == "__main__":
    world.POSTERN, world.POSTERN_AUTH = sys.argv[1:3]
    tap.main(sys.argv[3:])
