# SPDX-License-Identifier: GPL-3.0-or-later
"""The source `login` logs in at a real Dovecot, by IMAP, POP3 and SMTP, and at servers that say odd things."""

import os
import signal
import socket
import threading

import sources
from certificates import make_certificate
from conversation import question, wait_until
from sources import HOSTILE, OTHER_SOURCE, REJECT, Dovecot, SourceTest, free_ports

RIGHT = "s3cret \"\\ pässword"
JOE = "joe@example.test"
WORDS = {"imap": "imap", "pop3": "pop3", "submission": "smtp"}
OK = {"result": ["ok"], "pool": ["p"]}


class LoginTest(SourceTest):
    def setUp(self):
        super().setUp()
        os.chmod(self.folder, 0o755)
        make_certificate(self.folder)
        os.chmod(self.folder / "localhost.key", 0o644)
        self.dovecot = Dovecot(self.folder, {JOE: RIGHT}, {}, protocols=tuple(WORDS), certificate="localhost", relay_port=free_ports(1)[0])
        self.addCleanup(self.dovecot.stop)
        self.dovecot.start()

    def source(self, more="", protocol="imap", port=None):
        port = port or self.dovecot.ports[protocol]
        return (f'[[source]]\ntype = "login"\nserver = "127.0.0.1:{port}"\nprotocol = "{WORDS[protocol]}"\npool = "p"\n'
                f'tls_ca = "{self.folder}/localhost.crt"\ntimeout = "10s"\n{more}\n')


class Source(LoginTest):
    def test_right_password(self):
        tls = [("", self.dovecot.ports), ('server_tls = "starttls"\nserver_tls_name = "localhost"', self.dovecot.ports),
               ('server_tls = "implicit"\nserver_tls_name = "localhost"', self.dovecot.tls_ports)]
        for protocol in WORDS:
            for settings, ports in tls:
                with self.subTest(protocol=protocol, settings=settings):
                    helper, gate = self.serve(self.source(settings, protocol, ports[protocol]))
                    self.assertEqual(gate.ask(JOE, RIGHT), OK, helper.log())
                    self.assertEqual(gate.ask(JOE, RIGHT + "x"), REJECT)
                    self.assertNotIn("s3cret", helper.log())
                    helper.stop()

    def test_wrong_password(self):
        helper, gate = self.serve(self.source())
        self.assertEqual(gate.ask(JOE, "wr0ng"), REJECT)
        self.assertNotIn("wr0ng", helper.log())

    def test_unknown_user(self):
        _, gate = self.serve(self.source())
        self.assertEqual(gate.ask("nobody@example.test", RIGHT), REJECT)

    def test_a_certificate_that_does_not_fit(self):
        helper, gate = self.serve(self.source('server_tls = "starttls"\nserver_tls_name = "mx.example.test"'))
        self.assert_unavailable(gate.ask(JOE, RIGHT))
        self.assertIn("certificate", helper.log())

    def test_source_down(self):
        helper, gate = self.serve(self.source(port=free_ports(1)[0]))
        self.assert_unavailable(gate.ask(JOE, RIGHT))
        self.assertIn("Is it running", helper.log())

    def test_source_slow(self):
        # The listener's queue takes the connection; nobody greets.
        with socket.create_server(("127.0.0.1", 0)) as silent:
            _, gate = self.serve(self.source('users = "*@example.test"', port=silent.getsockname()[1]).replace('"10s"', '"300ms"') +
                                 OTHER_SOURCE)
            self.assert_waits_alone(gate, question(1, JOE, RIGHT))

    def test_hostile_input(self):
        helper, gate = self.serve(self.source())
        self.assertEqual(gate.ask(JOE, RIGHT + "\0"), REJECT)
        for text in HOSTILE:
            with self.subTest(text[:20]):
                self.assertIn(gate.ask(JOE, text)["result"], (["reject"], ["unavailable"]))
                self.assertIn(gate.ask(text, RIGHT + "x")["result"], (["reject"], ["unavailable"]))
        self.assertEqual(gate.ask(JOE, RIGHT), OK)
        self.assertNotIn("s3cret", helper.log())

    def test_reconnect(self):
        _, gate = self.serve(self.source())
        self.assertEqual(gate.ask(JOE, RIGHT), OK)
        self.dovecot.stop(signal.SIGTERM)
        self.assert_unavailable(gate.ask(JOE, RIGHT))
        self.dovecot.start()
        self.assertEqual(gate.ask(JOE, RIGHT), OK)

    def test_check(self):
        self.assertEqual(self.check(self.source()), (0, ""))
        for source, word in [(self.source(port=free_ports(1)[0]), "Is it running"),
                             (self.source().replace("127.0.0.1:", "127.0.0.1/"), "an address or name with a port"),
                             (self.source('server_tls = "implicit"'), "Does it speak TLS"),
                             (self.source('server_tls = "starttls"'), "certificate"),
                             (self.source().replace('"imap"', '"imaps"'), 'did you mean "imap"')]:
            status, said = self.check(source)
            self.assertEqual(status, 1, source)
            self.assertIn(word, said)


class OddServers(SourceTest):
    """What a server says of a login decides whether it was a mismatch."""

    def talk(self, listener, protocol, words):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb", buffering=0) as stream:
                greeting = {"imap": "* OK hello", "pop3": "+OK hello", "submission": "220 hello"}[protocol]
                stream.write(greeting.encode() + b"\r\n")
                while line := stream.readline().decode("latin-1").strip():
                    tag, verb = (line.split() + [""])[:2] if protocol == "imap" else ("", line.split()[0])
                    answer = {"CAPABILITY": f"* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\n{tag} OK done",
                              "CAPA": "+OK\r\nSASL PLAIN\r\n.", "EHLO": "250-hello\r\n250 AUTH PLAIN"}.get(verb.upper())
                    if answer is None and verb.upper() in ("AUTH", "AUTHENTICATE"):
                        answer = words.replace("TAG", tag)
                        if protocol != "imap" and len(line.split()) == 2:
                            stream.write(b"+ \r\n" if protocol == "pop3" else b"334 \r\n")
                            stream.readline()
                    stream.write((answer or f"{tag} BAD ".lstrip() + "what?").encode() + b"\r\n")

    def test_a_temporary_failure_is_no_mismatch(self):
        for protocol, words, result in [
            ("imap", "TAG NO [AUTHENTICATIONFAILED] no", "reject"), ("imap", "TAG NO no", "reject"),
            ("imap", "TAG NO [UNAVAILABLE] later", "unavailable"), ("imap", "TAG BAD what", "unavailable"),
            ("imap", "* BYE [UNAVAILABLE] going down", "unavailable"), ("pop3", "-ERR [AUTH] no", "reject"), ("pop3", "-ERR no", "reject"),
            ("pop3", "-ERR [SYS/TEMP] later", "unavailable"), ("pop3", "-ERR [IN-USE] later", "unavailable"),
            ("submission", "535 5.7.8 no", "reject"), ("submission", "454 4.7.0 later", "unavailable"),
            ("submission", "421 4.3.2 later", "unavailable"), ("imap", "TAG OK in", "ok"), ("pop3", "+OK in", "ok"), ("submission", "235 in", "ok"),
        ]:
            with self.subTest(words), socket.create_server(("127.0.0.1", 0)) as listener:
                thread = threading.Thread(target=self.talk, args=(listener, protocol, words), daemon=True)
                thread.start()
                port = listener.getsockname()[1]
                helper, gate = self.serve(f'[[source]]\ntype = "login"\nserver = "127.0.0.1:{port}"\nprotocol = "{WORDS[protocol]}"\n'
                                          'timeout = "3s"\npool = "p"\n')
                self.assertEqual(gate.ask(JOE, "x")["result"], [result], helper.log())
                helper.stop()
                listener.shutdown(socket.SHUT_RDWR)
                thread.join()


if __name__ == "__main__":
    sources.main()
