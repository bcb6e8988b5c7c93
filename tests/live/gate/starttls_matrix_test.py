# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes in clear around STARTTLS, in all protocols: before it, in one segment with it, and where the handshake should begin. None of
them may ever count inside TLS (the class of faults that is known as NO STARTTLS), neither a mail program's nor a mail server's."""

import base64
import re
import socket
import ssl
import sys
import time

import tap
import world
from doors import STORE, listen_text, plain, pool_text
from programs import PATIENCE_S, PROTOCOLS, Gate
from servers import Server
from world import NAME, World, make_certificate, read_to_end

USER, PASSWORD = "joe@example.test", "joe-secret"
# All forms in which a password may cross.
SECRETS = [PASSWORD.encode(), base64.b64encode(PASSWORD.encode()), base64.b64encode(f"\0{USER}\0{PASSWORD}".encode())]

STARTTLS = {"imap": b"s STARTTLS\r\n", "pop3": b"STLS\r\n", "submission": b"STARTTLS\r\n", "sieve": b"STARTTLS\r\n"}
# What a mail server or the gate says when TLS may begin; IMAP's tag is to be filled in.
BEGIN = {"imap": b"%s OK Begin\r\n", "pop3": b"+OK Begin\r\n", "submission": b"220 Begin\r\n", "sieve": b'OK "Begin"\r\n'}


class Matrix(World):
    """A gate without a helper, so that the mail servers decide; here they are FakeServers."""

    def build(self, add_cleanup):
        World.make_folder(self, add_cleanup)
        make_certificate(self.folder, "store", STORE)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "store.crt", self.folder / "store.key")
        self.servers = {protocol: FAKE_SERVERS[protocol](context) for protocol in PROTOCOLS}
        for server in self.servers.values():
            add_cleanup(server.stop)
        # These inject from the beginning, and meet nobody but health checks.
        self.injecting = {protocol: FAKE_SERVERS[protocol](context) for protocol in PROTOCOLS}
        for protocol, server in self.injecting.items():
            server.begin_anew(begin=[BEGIN[protocol] * 2])
            add_cleanup(server.stop)
        self.gate = Gate(world.POSTERN, self.folder, lambda *ports: Matrix.configuration(self, *ports), len(PROTOCOLS))
        add_cleanup(self.gate.stop)
        self.gate.start()

    def configuration(self, *ports):
        text = ('[gate]\nreactors = 1\ndrain_timeout = "1s"\n[auth]\nmode = "back"\n[limits]\nhandshake_timeout = "2s"\n'
                # Each of many equal injections is looked for in the log.
                '[log]\nrepeats_max = 1000000\n'
                f'[[tls.certificate]]\nchain = "{self.folder}/mail.crt"\nkey = "{self.folder}/mail.key"\n')
        for protocol, port in zip(PROTOCOLS, ports):
            with_tls = f'tls = "starttls"\ntls_name = "{STORE}"\ntls_ca = "{self.folder}/ca.crt"\n'
            text += listen_text(port, protocol, "starttls", protocol)
            # No health checks: all that the mail servers see are logins.
            text += pool_text(protocol, protocol, f"127.0.0.1:{self.servers[protocol].port}",
                              with_tls + 'check_interval = "0s"\nlogin_timeout = "1s"\n')
            text += pool_text("injecting-" + protocol, protocol, f"127.0.0.1:{self.injecting[protocol].port}", with_tls)
        return text

    def greeted(self, protocol):
        """A connection in clear, behind the greeting."""
        log_size = len(self.gate.log())
        mail = Connection(protocol, self.gate.ports[PROTOCOLS.index(protocol)])
        self.addCleanup(mail.close)
        mail.log_size = log_size
        mail.answer("*")
        return mail

    def log_of(self, mail, pattern):
        """A line of the gate's log about the connection. Another one may have had its port before."""
        return self.gate.wait_for_log(rf"^.*{pattern}.* front=127\.0\.0\.1:{mail.port}\b.*$", mail.log_size).group()


class Connection:
    """Reads without a byte too many, so that TLS may begin behind any answer."""

    def __init__(self, protocol, port):
        self.protocol = protocol
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = self.sock.getsockname()[1]

    def close(self):
        self.sock.close()

    def write(self, data):
        self.sock.sendall(data)

    def line(self):
        line = b""
        while not line.endswith(b"\n"):
            byte = self.sock.recv(1)
            if not byte:
                raise EOFError(line)
            line += byte
        return line

    def answer(self, tag=""):
        """All lines up to the one that ends an answer; IMAP's begins with the tag."""
        last = {"imap": re.escape(tag) + " ", "pop3": r"[+-]", "submission": r"\d{3} ", "sieve": r"(OK|NO|BYE)\b"}[self.protocol].encode()
        lines = []
        while not lines or not re.match(last, lines[-1]):
            lines.append(self.line())
        return b"".join(lines)

    def begin_tls(self, context):
        self.sock = context.wrap_socket(self.sock, server_hostname=NAME, suppress_ragged_eofs=False)


class Front(Matrix):
    """A mail program, or whoever stands between it and the gate, sends bytes in clear."""

    # Each would be answered if it counted: a command of its own, the beginning of a command, and a login.
    INJECTIONS = {"imap": [b"x NOOP\r\n", b"x LOG", b"x LOGIN eve {3+}\r\neve\r\n", b"x LOGIN eve eve-secret\r\n"],
                  "pop3": [b"NOOP\r\n", b"NO", b"USER eve\r\n", b"USER eve\r\nPASS eve-secret\r\n"],
                  "submission": [b"EHLO evil.example.test\r\n", b"EH", b"AUTH PLAIN\r\n",
                                 b"EHLO evil\r\nAUTH PLAIN " + plain("eve", "eve-secret").encode() + b"\r\n"],
                  "sieve": [b'NOOP "x"\r\n', b"NO", b'AUTHENTICATE "PLAIN"\r\n',
                            b'AUTHENTICATE "PLAIN" "' + plain("eve", "eve-secret").encode() + b'"\r\n']}
    # What is asked inside TLS, and all that may be heard there.
    ASKED = {"imap": b"a NOOP\r\nb LOGOUT\r\n", "pop3": b"NOOP\r\nQUIT\r\n", "submission": b"NOOP\r\nQUIT\r\n",
             "sieve": b'NOOP "a"\r\nLOGOUT\r\n'}
    HEARD = {"imap": rb"a OK [^\r]*\r\n\* BYE [^\r]*\r\nb OK [^\r]*\r\n", "pop3": rb"\+OK [^\r]*\r\n\+OK [^\r]*\r\n",
             "submission": rb"250 [^\r]*\r\n221 [^\r]*\r\n", "sieve": rb'("[^\r]*\r\n)+OK [^\r]*\r\nOK \(TAG "a"\) [^\r]*\r\nOK [^\r]*\r\n'}

    def assert_clean(self, mail):
        """Inside TLS, only what is asked there is answered."""
        mail.begin_tls(self.context)
        mail.write(self.ASKED[mail.protocol])
        self.assertRegex(read_to_end(mail.sock), rb"^" + self.HEARD[mail.protocol] + rb"$")

    def for_each(self, play):
        """Plays it with each protocol and each injection; nobody is logged in by any."""
        for protocol in PROTOCOLS:
            for injection in self.INJECTIONS[protocol]:
                with self.subTest(protocol=protocol, injection=injection):
                    play(self.greeted(protocol), injection)
            self.assertEqual(self.servers[protocol].connections, [])

    def test_before(self):
        """Whole commands in one segment with STARTTLS are answered in clear, where they were sent."""
        for protocol in PROTOCOLS:
            with self.subTest(protocol=protocol):
                mail = self.greeted(protocol)
                mail.write(self.INJECTIONS[protocol][0] + STARTTLS[protocol])
                mail.answer("x")
                self.assertRegex(mail.answer("s"), rb"^" + re.escape(BEGIN[protocol].replace(b"%s", b"s").split(b"Begin")[0].strip(b' "')))
                self.assert_clean(mail)

    def test_what_was_begun_before_is_forgotten(self):
        """A name, a greeting, a SASL exchange in clear: inside TLS, the mail program begins anew (RFC 3207, section 4.2)."""
        for protocol, begin, within, answer in [
                ("pop3", b"USER eve\r\n", b"PASS eve-secret\r\n", rb"-ERR [^[]"),
                ("submission", b"EHLO evil\r\n", b"AUTH PLAIN " + plain("eve", "eve-secret").encode() + b"\r\n", rb"503 "),
                ("imap", b"x AUTHENTICATE PLAIN\r\n", plain("eve", "eve-secret").encode() + b"\r\n", rb"\S+ BAD|\* BAD"),
                ("sieve", b'AUTHENTICATE "PLAIN"\r\n', b'"' + plain("eve", "eve-secret").encode() + b'"\r\n', rb"NO ")]:
            with self.subTest(protocol=protocol):
                mail = self.greeted(protocol)
                mail.write(begin)
                mail.answer("x")
                mail.write(STARTTLS[protocol])
                mail.answer("s")
                mail.begin_tls(self.context)
                if protocol == "sieve":
                    mail.answer()
                mail.write(within)
                self.assertRegex(mail.line(), rb"^(" + answer + rb")")
                self.assertEqual(self.servers[protocol].connections, [], "nobody is logged in")

    def test_within(self):
        """Bytes in one segment with STARTTLS, behind it: they are thrown away, and that is logged."""
        def play(mail, injection):
            mail.write(STARTTLS[mail.protocol] + injection)
            mail.answer("s")
            self.assert_clean(mail)
            self.assertIn("bytes stood behind STARTTLS and were thrown away", self.log_of(mail, " warning starttls "))
        self.for_each(play)

    def test_within_and_a_second_starttls(self):
        for protocol in PROTOCOLS:
            with self.subTest(protocol=protocol):
                mail = self.greeted(protocol)
                mail.write(STARTTLS[protocol] * 2)
                mail.answer("s")
                self.assert_clean(mail)
                self.log_of(mail, " warning starttls ")

    def test_after(self):
        """Bytes where the handshake should begin: it fails, and that is logged."""
        def play(mail, injection):
            mail.write(STARTTLS[mail.protocol])
            mail.answer("s")
            mail.write(injection)
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                self.assert_clean(mail)
            self.log_of(mail, " handshake-failed ")
        self.for_each(play)

    def test_right_after(self):
        """A segment of their own, sent without waiting for the answer: one or the other happens, and either is logged."""
        def play(mail, injection):
            mail.write(STARTTLS[mail.protocol])
            mail.write(injection)
            mail.answer("s")
            try:
                self.assert_clean(mail)
            except (ssl.SSLError, ConnectionError):
                self.log_of(mail, " handshake-failed ")
            else:
                self.log_of(mail, " warning starttls ")
        self.for_each(play)

    def test_in_clear_once_tls_stands(self):
        """It breaks the connection, as any broken record does."""
        def play(mail, injection):
            mail.write(STARTTLS[mail.protocol])
            mail.answer("s")
            bare = mail.sock.dup()
            self.addCleanup(bare.close)
            mail.begin_tls(self.context)
            if mail.protocol == "sieve":
                mail.answer()
            # Behind five bytes, a record's head is complete.
            bare.sendall(injection + b"....")
            try:
                mail.write(self.ASKED[mail.protocol])
                self.assertEqual(read_to_end(mail.sock), b"")
            except (ssl.SSLError, ConnectionError):
                pass
            self.log_of(mail, " tls-failed ")
        self.for_each(play)


class FakeServer(Server):
    """A mail server that says what the test wants around STARTTLS. `connections`: all that was said to each, in clear and inside TLS.

    `scenario` may have: greeting; offer, what the capabilities say in clear; within, what they say inside TLS; begin, the segments that
    are sent in place of the answer to STARTTLS, and wait, the seconds between them; no_handshake, for what is no good to begin one."""

    protocol = None

    def __init__(self, context):
        self.context = context
        self.scenario = {}
        self.connections = []
        super().__init__()

    def begin_anew(self, **scenario):
        self.scenario, self.connections = scenario, []

    def serve(self, sock):
        said = []
        self.connections.append(said)
        if self.converse(sock, said, False) and not self.scenario.get("no_handshake"):
            with self.context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=False) as tls:
                self.converse(tls, said, True)

    def converse(self, sock, said, secured):
        """True: TLS begins here."""
        file = sock.makefile("rb", buffering=0)
        offer = self.scenario.get("within" if secured else "offer", self.offer(secured))
        first = self.first(secured, offer) if secured else self.scenario.get("greeting") or self.first(secured, offer)
        sock.sendall(first)
        while line := file.readline():
            said.append((secured, line))
            if re.search(rb"(?i)(^|\s)(STARTTLS|STLS)\r\n$", line) and not secured:
                tag = line.split()[0]
                for number, part in enumerate(self.scenario.get("begin", [BEGIN[self.protocol]])):
                    time.sleep(self.scenario.get("wait", 0) if number else 0)
                    sock.sendall(part.replace(b"%s", tag))
                return True
            sock.sendall(self.answer(line, offer, secured))
        return False


class FakeImap(FakeServer):
    protocol = "imap"

    def offer(self, secured):
        return b"IMAP4rev1 AUTH=PLAIN SASL-IR" + (b"" if secured else b" STARTTLS")

    def first(self, secured, offer):
        return b"" if secured else b"* OK [CAPABILITY " + offer + b"] Fake\r\n"

    def answer(self, line, offer, secured):
        tag, verb = line.split()[:2]
        if verb == b"CAPABILITY":
            return b"* CAPABILITY " + offer + b"\r\n" + tag + b" OK Done\r\n"
        return tag + b" OK [CAPABILITY IMAP4rev1 IDLE] Welcome\r\n"


class FakePop3(FakeServer):
    protocol = "pop3"

    def offer(self, secured):
        return b"USER\r\n" + (b"" if secured else b"STLS\r\n")

    def first(self, secured, offer):
        return b"" if secured else b"+OK Fake\r\n"

    def answer(self, line, offer, secured):
        return b"+OK\r\n" + offer + b".\r\n" if line.startswith(b"CAPA") else b"+OK Yes\r\n"


class FakeSubmission(FakeServer):
    protocol = "submission"

    def offer(self, secured):
        return b"AUTH PLAIN" if secured else b"STARTTLS"

    def first(self, secured, offer):
        return b"" if secured else b"220 fake.example.test\r\n"

    def answer(self, line, offer, secured):
        if line.startswith(b"EHLO"):
            return b"250-fake.example.test\r\n250-" + offer + b"\r\n250 HELP\r\n"
        return b"235 Welcome\r\n" if line.startswith(b"AUTH") else b"250 Yes\r\n"


class FakeSieve(FakeServer):
    protocol = "sieve"

    def offer(self, secured):
        return b'"SASL" "PLAIN"\r\n' if secured else b'"SASL" ""\r\n"STARTTLS"\r\n'

    def first(self, secured, offer):
        return b'"IMPLEMENTATION" "Fake"\r\n"SIEVE" "fileinto"\r\n' + offer + b'OK "Ready"\r\n'

    def answer(self, line, offer, secured):
        return b'OK "Yes"\r\n'


FAKE_SERVERS = {"imap": FakeImap, "pop3": FakePop3, "submission": FakeSubmission, "sieve": FakeSieve}


class Back(Matrix):
    """A mail server, or whoever stands between it and the gate, sends bytes in clear. Then nobody logs in, and no password is sent."""

    LOGIN = {"imap": f"l LOGIN {USER} {PASSWORD}\r\n".encode(), "pop3": f"USER {USER}\r\nPASS {PASSWORD}\r\n".encode(),
             "submission": f"EHLO x\r\nAUTH PLAIN {plain(USER, PASSWORD)}\r\n".encode(),
             "sieve": f'AUTHENTICATE "PLAIN" "{plain(USER, PASSWORD)}"\r\n'.encode()}
    WELCOME = {"imap": rb"l OK ", "pop3": rb"\+OK ", "submission": rb"235 ", "sieve": rb"OK "}
    LATER = {"imap": rb"l NO \[UNAVAILABLE\] ", "pop3": rb"-ERR \[SYS/TEMP\] ", "submission": rb"454 4\.7\.0 ",
             "sieve": rb"NO \(TRYLATER\) "}
    # What would let the gate go on, if it counted: a welcome, a list, a refusal.
    INJECTIONS = {"imap": [b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n", b"* PREAUTH hello\r\n", b"P1 OK Logged in\r\n", b"%s OK Logged in\r\n",
                           b"* OK [ALERT] Evil\r\n", b"* "],
                  "pop3": [b"+OK\r\n", b"+OK\r\n+OK Logged in\r\n", b"-ERR [AUTH] No\r\n", b"+"],
                  "submission": [b"220 again\r\n", b"250-evil\r\n250 AUTH PLAIN\r\n", b"250 evil\r\n235 Welcome\r\n", b"535 5.7.8 No\r\n",
                                 b"2"],
                  "sieve": [b'"SASL" "PLAIN"\r\nOK\r\n', b'"SASL" "PLAIN"\r\nOK\r\nOK "Welcome"\r\n', b"NO\r\n",
                            b'BYE (REFERRAL "sieve://evil")\r\n', b'"']}

    def log_in(self, protocol):
        """The connection, and the answer to the login."""
        mail = self.greeted(protocol)
        mail.write(STARTTLS[protocol])
        mail.answer("s")
        mail.begin_tls(self.context)
        if protocol == "sieve":
            mail.answer()
        for command in self.LOGIN[protocol].splitlines(keepends=True):
            mail.write(command)
            answer = mail.answer("l")
        return mail, answer

    def assert_refused(self, protocol, why):
        """The login is temporarily unavailable, and the mail server has heard no password, whatever it said."""
        mail, answer = self.log_in(protocol)
        self.assertRegex(answer, rb"^" + self.LATER[protocol])
        self.assertRegex(self.log_of(mail, " back-failed "), rf" back=127\.0\.0\.1:{self.servers[protocol].port} .*reason={why} ")
        for said in self.servers[protocol].connections:
            for _, line in said:
                for secret in SECRETS:
                    self.assertNotIn(secret, line)
        for secret in SECRETS:
            self.assertNotIn(secret.decode(), self.gate.log())
        self.assertEqual(len(self.servers[protocol].connections), 1)

    def test_nothing_wrong(self):
        """The control: without an injection the login works, all of it inside TLS."""
        for protocol, server in self.servers.items():
            with self.subTest(protocol=protocol):
                server.begin_anew()
                self.assertRegex(self.log_in(protocol)[1], rb"^" + self.WELCOME[protocol])
                said, = server.connections
                self.assertTrue(any(secret in line for secret in SECRETS for secured, line in said if secured))
                self.assertFalse(any(secret in line for secret in SECRETS for secured, line in said if not secured))

    def test_before(self):
        """With the greeting come answers that nobody has asked for. What is said in clear may cost the login, but decides nothing."""
        for protocol, server in self.servers.items():
            for injection in self.INJECTIONS[protocol]:
                with self.subTest(protocol=protocol, injection=injection):
                    server.begin_anew(greeting=server.first(False, server.offer(False)) + injection.replace(b"%s", b"P0"))
                    _, answer = self.log_in(protocol)
                    self.assertRegex(answer, rb"^(" + self.WELCOME[protocol] + rb"|" + self.LATER[protocol] + rb")")
                    self.assertNotIn(b"vil", answer)
                    said, = server.connections
                    in_clear = [line for secured, line in said if not secured]
                    self.assertFalse(any(secret in line for secret in SECRETS for line in in_clear), said)
                    if re.match(self.WELCOME[protocol], answer):
                        self.assertTrue(any(secured for secured, _ in said), "it logged in inside TLS")

    def test_an_answer_to_starttls_before_it_is_asked(self):
        """All of a mail server's words at once: behind the answer stand the ones that the gate would take for answers inside TLS."""
        for protocol, server in self.servers.items():
            with self.subTest(protocol=protocol):
                lists = server.answer(b"EHLO x\r\n", server.offer(False), False) if protocol == "submission" else b""
                server.begin_anew(greeting=server.first(False, server.offer(False)) + lists + BEGIN[protocol].replace(b"%s", b"P1") +
                                  self.INJECTIONS[protocol][1].replace(b"%s", b"P2"), no_handshake=True)
                self.assert_refused(protocol, "no-tls")

    def test_what_was_offered_in_clear_does_not_count(self):
        """In clear it offers no way to log in, or all of them; what counts is said inside TLS (RFC 3207, section 4.2)."""
        for protocol, offer, within in [
                ("imap", b"IMAP4rev1 STARTTLS LOGINDISABLED", b"IMAP4rev1"),
                ("submission", b"STARTTLS\r\n250-AUTH GSSAPI", b"AUTH PLAIN"),
                ("sieve", b'"SASL" "GSSAPI"\r\n"STARTTLS"\r\n', b'"SASL" "PLAIN"\r\n')]:
            with self.subTest(protocol=protocol):
                self.servers[protocol].begin_anew(offer=offer, within=within)
                self.assertRegex(self.log_in(protocol)[1], rb"^" + self.WELCOME[protocol])
        for protocol, offer, within in [
                ("submission", b"STARTTLS\r\n250-AUTH PLAIN", b"AUTH GSSAPI"),
                ("sieve", b'"SASL" "PLAIN"\r\n"STARTTLS"\r\n', b'"SASL" "GSSAPI"\r\n')]:
            with self.subTest(protocol=protocol):
                self.servers[protocol].begin_anew(offer=offer, within=within)
                self.assert_refused(protocol, "no-mechanism")

    def test_within(self):
        """Bytes in one segment with the answer to STARTTLS, behind it."""
        for protocol, server in self.servers.items():
            for injection in self.INJECTIONS[protocol]:
                with self.subTest(protocol=protocol, injection=injection):
                    server.begin_anew(begin=[BEGIN[protocol] + injection])
                    self.assert_refused(protocol, "no-tls")

    def test_after(self):
        """Bytes where the handshake should begin, in a segment of their own."""
        for protocol, server in self.servers.items():
            for injection in self.INJECTIONS[protocol]:
                with self.subTest(protocol=protocol, injection=injection):
                    # Behind five bytes, a record's head is complete.
                    server.begin_anew(begin=[BEGIN[protocol], injection + b"...."], wait=0.02, no_handshake=True)
                    self.assert_refused(protocol, "not-tls")

    def test_starttls_is_taken_away(self):
        """Not offered, or refused; or the mail server says that the user is in already. Nothing goes on in clear."""
        offers = {"imap": b"IMAP4rev1 AUTH=PLAIN", "submission": b"AUTH PLAIN", "sieve": b'"SASL" "PLAIN"\r\n'}
        for protocol, offer in offers.items():
            with self.subTest(protocol=protocol, why="not offered"):
                self.servers[protocol].begin_anew(offer=offer)
                self.assert_refused(protocol, "no-tls")
        refusals = {"imap": b"%s NO No\r\n", "pop3": b"-ERR No\r\n", "submission": b"454 4.7.0 No\r\n", "sieve": b'NO "No"\r\n'}
        for protocol, refusal in refusals.items():
            with self.subTest(protocol=protocol, why="refused"):
                self.servers[protocol].begin_anew(begin=[refusal], no_handshake=True)
                self.assert_refused(protocol, "no-tls")
        self.servers["imap"].begin_anew(greeting=b"* PREAUTH [CAPABILITY IMAP4rev1] Welcome\r\n")
        self.assert_refused("imap", "preauth")

    def test_health_checks_notice_it(self):
        for protocol, server in self.injecting.items():
            with self.subTest(protocol=protocol):
                self.gate.wait_for_log(rf" warning member state=down pool=injecting-{protocol} .*reason=no-tls ")
                said, = server.connections
                self.assertFalse(any(secured for secured, _ in said))


if __name__ == "__main__":
    world.POSTERN, world.POSTERN_AUTH = sys.argv[1:3]
    tap.main(sys.argv[3:])
