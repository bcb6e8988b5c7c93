# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate's four protocols with a real Dovecot behind them and mail programs in front: logins, refusals, capabilities, ALPN."""

import re
import socket
import ssl
import subprocess
import sys

import tap
import world
from doors import ALPN, BACKS, BOXES, FRONTS, LATER, MAIL_PROGRAMS, STORE, WRONG, Doors, letter, plain
from programs import PATIENCE_S, PROTOCOLS
from world import ANN, BOB, CARL, DORA, MAILBOXES, NAME, PASSWORDS, read_to_end

SCRIPT = 'require ["fileinto"];\r\nif header :is "Subject" "{3+}" {\r\n  fileinto "Ends in {5}";\r\n}\r\n'


class Programs(Doors):
    """What mail programs do, each with TLS at once and with STARTTLS."""

    def test_mbsync(self):
        for front in FRONTS:
            with self.subTest(front=front):
                self.mbsync(front, front, BOB, f"User {BOB}\nPass {PASSWORDS[BOB]}")

    def test_poplib(self):
        for front in FRONTS:
            with self.subTest(front=front):
                mail = self.log_in("pop3", ANN, front)
                self.assertEqual(mail.stat()[0], 1)
                self.assertEqual(mail.top(1, 0)[1][0], f"Subject: The mailbox of {ANN}".encode())
                self.assertIn(b"This is", b"".join(mail.retr(1)[1]))
                self.assertRegex(mail.quit(), rb"^\+OK")

    def test_curl_reads_pop3(self):
        for front in FRONTS:
            for options in ([], ["--login-options", "AUTH=PLAIN"], ["--login-options", "AUTH=PLAIN", "--sasl-ir"],
                            ["--login-options", "AUTH=LOGIN"]):
                with self.subTest(front=front, options=options):
                    self.assertIn(f"This is {ANN}'s.", self.curl("pop3", front, "1", *options))

    def test_fetchmail(self):
        for front in FRONTS:
            with self.subTest(front=front):
                home = self.folder / f"fetchmail-{front}"
                home.mkdir()
                config = home / "config"
                config.write_text(f"""
                    poll localhost service {self.door("pop3", front)} protocol pop3
                      user "{DORA}" password "{PASSWORDS[DORA]}" keep
                      {"ssl sslproto 'TLS1.2+'" if front == "implicit" else "sslproto 'TLS1+'"}
                      sslcertck sslcertfile "{self.folder}/ca.crt" sslcertpath "{home}"
                      mda "cat >> {home}/mails"
                    """)
                config.chmod(0o600)
                said = self.run_program("fetchmail", "--verbose", "--nosyslog", "--fetchmailrc", str(config), "--pidfile", f"{home}/pid",
                                        env={"PATH": "/usr/bin:/bin", "FETCHMAILHOME": str(home), "HOME": str(home), "LC_ALL": "C"})
                self.assertIn(f"This is {DORA}'s.", (home / "mails").read_text())
                self.assertEqual("STLS" in said, front == "starttls", said)

    def test_smtplib(self):
        for front in FRONTS:
            with self.subTest(front=front):
                mail = self.log_in("submission", ANN, front)
                text = letter(f"smtplib, {front}\r\n.\r\n..\r\n.two")
                self.assertEqual(mail.sendmail(ANN, ["friend@example.test", "other@example.test"], text), {})
                taken = self.sink.wait_for_mail(f"smtplib, {front}\r\n")
                self.assertEqual((taken.sender, taken.recipients), (ANN, ["friend@example.test", "other@example.test"]))
                self.assertTrue(taken.content.endswith(text.replace("\r\n.", "\r\n..").encode()), taken)
                self.assertEqual(mail.quit()[0], 221)

    def test_curl_sends(self):
        for front in FRONTS:
            for number, options in enumerate(([], ["--login-options", "AUTH=LOGIN"], ["--sasl-ir"])):
                with self.subTest(front=front, options=options):
                    self.curl_uses("submission", front, f"curl, {front} {number}", *options)

    def test_swaks(self):
        for front, option in (("implicit", "--tls-on-connect"), ("starttls", "--tls")):
            for mechanism in ("PLAIN", "LOGIN"):
                with self.subTest(front=front, mechanism=mechanism):
                    said = self.run_program(
                        "swaks", "--server", "127.0.0.1", "--port", str(self.door("submission", front)), option, "--tls-verify",
                        "--tls-ca-path", f"{self.folder}/ca.crt", "--tls-sni", NAME, "--auth", mechanism, "--auth-user", BOB,
                        "--auth-password", PASSWORDS[BOB], "--auth-hide-password", "--helo", "client.example.test", "--from", BOB, "--to",
                        "friend@example.test", "--body", f"swaks, {front} {mechanism}", cwd=self.folder)
                    self.assertRegex(said, r"(?m)^<~  235 2\.7\.0 ")
                    self.assertEqual(self.sink.wait_for_mail(f"swaks, {front} {mechanism}").sender, BOB)

    def test_a_script_goes_up_and_comes_down(self):
        for front in FRONTS:
            with self.subTest(front=front):
                mail = self.log_in("sieve", ANN, front)
                mail.put("rules", SCRIPT)
                mail.say('SETACTIVE "rules"')
                self.assertEqual(mail.say("LISTSCRIPTS"), ['"rules" ACTIVE'])
                self.assertEqual(mail.get("rules"), SCRIPT)
                script = self.dovecot.homes / ANN / "sieve" / "rules.sieve"
                self.assertEqual(script.read_bytes(), SCRIPT.encode())
                mail.say('SETACTIVE ""')
                mail.say('DELETESCRIPT "rules"')
                self.assertEqual(mail.say("LISTSCRIPTS"), [])
                mail.say("LOGOUT")

    @classmethod
    def tearDownClass(cls):
        cls.assert_no_password_is_in_a_log()


class Ways(Doors):
    """Every protocol, all ways of TLS, all kinds of routes; and what the gate says before and after the login."""

    dovecot_settings = Doors.dovecot_settings + "submission_max_mail_size = 12345678\n"
    door_settings = {("submission", "implicit", "dead"): 'capabilities = ["SIZE 4711", "DSN"]',
                     ("sieve", "implicit", "dead"): """capabilities = ['"SIEVE" "vacation"']""",
                     ("pop3", "implicit", "dead"): 'capabilities = ["EXPIRE NEVER"]',
                     ("imap", "implicit", "dead"): 'capabilities = ["IMAP4rev1", "X-MADE-UP"]'}

    def box(self, protocol, mail, before):
        """Whose mailbox it is that the mail program has got."""
        if protocol == "imap":
            return mail.first_subject().removeprefix("Subject: The mailbox of ")
        if protocol == "pop3":
            return mail.top(1, 0)[1][0].decode().removeprefix("Subject: The mailbox of ")
        # Nothing in these protocols says it, but Dovecot's log does.
        return re.search(r"user=<(.*?)>", self.logged_in_at_the_mail_server(None, protocol, before)).group(1)

    def test_tls_in_front_and_behind(self):
        for protocol in PROTOCOLS:
            for front in FRONTS:
                for back in BACKS:
                    with self.subTest(protocol=protocol, front=front, back=back):
                        before = len(self.dovecot.log())
                        mail = self.log_in(protocol, DORA, front, back)
                        self.assertEqual(self.box(protocol, mail, before), DORA)
                        line = self.logged_in_at_the_mail_server(DORA, protocol, before)
                        by_itself = (protocol, back) != ("sieve", "implicit")
                        self.assertEqual(", TLS," in line, back != "none" and by_itself, line)
        self.assertGreaterEqual(len(self.sieve_tls.heard), len(FRONTS))

    def test_all_kinds_of_routes(self):
        for protocol in PROTOCOLS:
            for user, box in BOXES.items():
                with self.subTest(protocol=protocol, user=user):
                    before, log_size = len(self.dovecot.log()), len(self.gate.log())
                    mail = self.log_in(protocol, user)
                    self.assertEqual(self.box(protocol, mail, before), box)
                    front = mail.sock.getsockname()[1]
                    mail.hang_up()
                    line = self.gate.wait_for_log(rf" info end .*front=127\.0\.0\.1:{front} .*$", log_size).group()
                    self.assertIn(f" user={user} ", line)
                    self.assertIn(f" protocol={protocol} ", line)
                    self.assertRegex(line, r"reason=(front|back)-closed$")

    def test_a_second_login_is_the_mail_servers_business(self):
        """After login, the gate understands no more commands: the answer is the mail server's."""
        self.assertRegex(self.refusal(self.log_in("pop3")), r"^-ERR Unknown command")
        self.assertRegex(self.refusal(self.log_in("submission")), r"^50\d ")
        self.assertRegex(self.refusal(self.log_in("sieve")), r"^NO ")

    # Bytes behind the login.

    def test_commands_behind_the_login_reach_the_mail_server(self):
        password = PASSWORDS[CARL]
        message = plain(CARL, password)
        for protocol, said, answers in [
                ("imap", f"1 LOGIN {CARL} {password}\r\n2 NOOP\r\n3 LOGOUT\r\n", [r"1 OK", r"2 OK", r"\* BYE", r"3 OK"]),
                ("pop3", f"USER {CARL}\r\nPASS {password}\r\nSTAT\r\nNOOP\r\nQUIT\r\n", [r"\+OK"] * 2 + [r"\+OK 1 \d+", r"\+OK", r"\+OK"]),
                ("pop3", f"AUTH PLAIN {message}\r\nSTAT\r\nQUIT\r\n", [r"\+OK", r"\+OK 1 \d+", r"\+OK"]),
                ("submission", f"EHLO x\r\nAUTH PLAIN {message}\r\nNOOP\r\nRSET\r\nQUIT\r\n", ["250 ", "235 ", "250 ", "250 ", "221 "]),
                ("sieve", f'AUTHENTICATE "PLAIN" "{message}"\r\nLISTSCRIPTS\r\nNOOP "x"\r\nLOGOUT\r\n',
                 ["OK", "OK", r'OK \(TAG "x"\)', "OK"])]:
            for back in BACKS:
                for how in ("at once", "in pieces"):
                    with self.subTest(protocol=protocol, said=said, back=back, how=how):
                        sock = self.raw(protocol, back=back)
                        # Two records of TLS, of which the first ends within the command behind the login.
                        cut = len(said) if how == "at once" else said.rindex("\r\n", 0, -2) - 2
                        sock.sendall(said[:cut].encode())
                        sock.sendall(said[cut:].encode())
                        lines = read_to_end(sock).decode().split("\r\n")
                        ends = {"imap": r"\d |\* BYE", "pop3": r"[+-]", "submission": r"\d\d\d ", "sieve": r"(OK|NO|BYE)\b"}[protocol]
                        found = [line for line in lines if re.match(ends, line)]
                        greetings = 0 if protocol == "imap" else 1
                        self.assertEqual(len(found), len(answers) + greetings, lines)
                        for line, answer in zip(found[greetings:], answers):
                            self.assertRegex(line, "^" + answer, lines)

    def test_a_mail_behind_the_login(self):
        """A mail program that waits for no answer but 354, where RFC 2920 would have it wait for the login's."""
        sock = self.raw("submission")
        sock.sendall(f"EHLO x\r\nAUTH PLAIN {plain(CARL, PASSWORDS[CARL])}\r\nMAIL FROM:<{CARL}>\r\nRCPT TO:<friend@example.test>\r\n"
                     "DATA\r\n".encode())
        said = b""
        while b"\r\n354 " not in said:
            said += sock.recv(65536)
        sock.sendall(letter("all at once").encode() + b".\r\nQUIT\r\n")
        self.assertRegex(read_to_end(sock).decode(), r"(?s)250 .*\r\n221 .*\r\n$")
        self.assertEqual(self.sink.wait_for_mail("all at once").sender, CARL)

    # Capabilities.

    def direct(self, protocol):
        """A mail program at the mail server itself."""
        mail = MAIL_PROGRAMS[protocol](self.dovecot.ports[protocol])
        self.addCleanup(mail.hang_up)
        return mail

    def test_pop3_capabilities(self):
        in_clear = self.connect("pop3", "starttls", in_clear=True)
        said = in_clear.capa()
        self.assertIn("STLS", said)
        self.assertFalse({"USER", "SASL"} & said.keys(), said)
        in_clear.starttls(self.context)
        said = in_clear.capa()
        self.assertNotIn("STLS", said)
        self.assertEqual((said["USER"], said["SASL"], said["IMPLEMENTATION"]), ([], ["PLAIN", "LOGIN"], ["Postern"]))
        direct = self.direct("pop3")
        before = direct.capa()
        for name in ("TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"):
            self.assertIn(name, before)
            self.assertIn(name, said)
        direct.log_in("box-c", MAILBOXES["box-c"])
        self.assertEqual(self.log_in("pop3", CARL).capa(), direct.capa(), "after the login they are the mail server's")

    def test_submission_capabilities(self):
        in_clear = self.connect("submission", "starttls", in_clear=True)
        in_clear.ehlo()
        self.assertTrue(in_clear.has_extn("STARTTLS"))
        self.assertFalse(in_clear.has_extn("AUTH"))
        in_clear.starttls(self.context)
        in_clear.ehlo()
        self.assertFalse(in_clear.has_extn("STARTTLS"))
        self.assertEqual(in_clear.esmtp_features["auth"].split(), ["PLAIN", "LOGIN"])
        direct = self.direct("submission")
        direct.ehlo()
        said = dict(in_clear.esmtp_features)
        self.assertEqual(in_clear.esmtp_features["size"], "12345678", "as Dovecot is told to say")
        for name in ("size", "8bitmime", "chunking", "enhancedstatuscodes", "pipelining"):
            self.assertEqual(said[name], direct.esmtp_features[name], name)
        self.assertNotIn("xclient", said)
        self.assertIn(NAME, in_clear.ehlo_resp.decode().splitlines()[0])

        mail = self.log_in("submission", CARL)
        mail.ehlo()
        direct.log_in("box-c", MAILBOXES["box-c"])
        direct.ehlo()
        self.assertEqual(mail.ehlo_resp.decode().splitlines()[0], STORE)
        theirs = {name: value for name, value in direct.esmtp_features.items() if name not in ("starttls", "auth", "xclient")}
        self.assertEqual(mail.esmtp_features, theirs, "after the login they are the mail server's, but for what the gate has done itself")

    def test_sieve_capabilities(self):
        in_clear = self.connect("sieve", "starttls", in_clear=True)
        self.assertEqual(in_clear.capabilities["SASL"], "")
        self.assertIn("STARTTLS", in_clear.capabilities)
        direct = self.direct("sieve")
        in_clear.starttls(self.context)
        self.assertNotIn("STARTTLS", in_clear.capabilities)
        self.assertEqual(in_clear.capabilities["SASL"], "PLAIN LOGIN")
        self.assertEqual(in_clear.capabilities["IMPLEMENTATION"], "Postern")
        self.assertIn("fileinto", in_clear.capabilities["SIEVE"].split())
        for name in ("SIEVE", "NOTIFY", "VERSION"):
            self.assertEqual(in_clear.capabilities[name], direct.capabilities[name], name)
        direct.log_in("box-c", MAILBOXES["box-c"])
        self.assertEqual(self.log_in("sieve", CARL).capability(), direct.capability(), "after the login they are the mail server's")

    def test_imap_capabilities(self):
        mail = self.log_in("imap", CARL)
        direct = self.direct("imap")
        direct.log_in("box-c", MAILBOXES["box-c"])
        self.assertEqual(mail.capability(), direct.capability())

    def test_what_a_listener_announces(self):
        """Its `capabilities` stand in place of what was learnt, and are true even while no mail server is there."""
        mail = self.connect("submission", back="dead")
        mail.ehlo()
        self.assertEqual(mail.esmtp_features["size"], "4711")
        self.assertIn("dsn", mail.esmtp_features)
        self.assertEqual(self.connect("sieve", back="dead").capabilities["SIEVE"], "vacation")
        self.assertIn("EXPIRE", self.connect("pop3", back="dead").capa())
        self.assertIn("X-MADE-UP", self.connect("imap", back="dead").capability()[1][0].decode().split())


class Refusals(Doors):
    """The words for what is refused, and that it may be tried again."""

    TLS_FIRST = {"imap": r"PRIVACYREQUIRED", "pop3": r"^-ERR [^[]", "submission": r"^530 5\.7\.0 Must issue a STARTTLS command first$",
                 "sieve": r"^NO \(ENCRYPT-NEEDED\) "}

    def test_a_wrong_password_and_an_unknown_user_are_told_the_same(self):
        for protocol in PROTOCOLS:
            for user in (BOB, "nobody@example.test"):
                with self.subTest(protocol=protocol, user=user):
                    self.assertRegex(self.refusal(self.connect(protocol), user), WRONG[protocol])
                    self.gate.wait_for_log(rf" login-failed .*user={re.escape(user)} .*protocol={protocol} .*reason=credentials")

    def test_the_same_connection_may_try_again(self):
        for protocol in PROTOCOLS:
            for front in FRONTS:
                with self.subTest(protocol=protocol, front=front):
                    mail = self.connect(protocol, front)
                    self.refusal(mail)
                    mail.log_in(DORA, PASSWORDS[DORA])

    def test_a_dead_mail_server(self):
        for protocol in PROTOCOLS:
            with self.subTest(protocol=protocol):
                mail = self.connect(protocol, back="dead")
                self.assertRegex(self.refusal(mail, DORA, PASSWORDS[DORA]), LATER[protocol])
                self.gate.wait_for_log(rf" back-failed .*back=127\.0\.3\.9:{self.dovecot.ports[protocol]} .*reason=refused")
                self.assertRegex(self.refusal(mail, DORA, PASSWORDS[DORA]), LATER[protocol], "and it may try again")

    def test_a_mail_server_that_refuses(self):
        """The gate's helper lets her in, but the mail server has another password."""
        self.helper.add("eve@example.test", "wrong-secret")
        for protocol in PROTOCOLS:
            with self.subTest(protocol=protocol):
                said = self.refusal(self.connect(protocol), "eve@example.test")
                words = {"imap": r"^\[AUTHENTICATIONFAILED\] ", "pop3": r"^-ERR \[AUTH\] ", "submission": r"^535 5\.7\.8 ",
                         "sieve": r'^NO "'}
                self.assertRegex(said, words[protocol])

    def test_no_password_crosses_in_clear(self):
        for protocol in PROTOCOLS:
            with self.subTest(protocol=protocol):
                mail = self.connect(protocol, "starttls", in_clear=True)
                self.assertRegex(self.refusal(mail, DORA, PASSWORDS[DORA]), self.TLS_FIRST[protocol])
                mail.starttls(self.context)
                mail.log_in(DORA, PASSWORDS[DORA])
                mail.hang_up()

    def test_a_cancelled_login(self):
        for protocol, begin, ask, cancel, answer in [
                ("imap", b"1 AUTHENTICATE PLAIN\r\n", rb"\+ \r\n", b"*\r\n", rb"1 BAD "),
                ("pop3", b"AUTH PLAIN\r\n", rb"\+ \r\n", b"*\r\n", rb"-ERR [^[]"),
                ("submission", b"EHLO x\r\nAUTH PLAIN\r\n", rb"334 \r\n", b"*\r\n", rb"501 5\.7\.0 "),
                ("sieve", b'AUTHENTICATE "PLAIN"\r\n', rb'""\r\n', b'"*"\r\n', rb"NO ")]:
            with self.subTest(protocol=protocol):
                file = self.raw(protocol).makefile("rwb", buffering=0)
                file.write(begin)
                while not re.fullmatch(ask, line := file.readline()):
                    self.assertTrue(line)
                file.write(cancel)
                self.assertRegex(file.readline(), b"^" + answer)

    @classmethod
    def tearDownClass(cls):
        cls.assert_no_password_is_in_a_log()


class Alpn(Doors):
    """One door for all protocols, chosen by ALPN."""

    GREETINGS = {"imap": rb"\* OK \[CAPABILITY ", "pop3": rb"\+OK ", "submission": rb"220 ", "sieve": rb'"IMPLEMENTATION" "Postern"\r\n'}

    def program(self, protocol, context):
        mail = MAIL_PROGRAMS[protocol](self.door("alpn"), context)
        self.addCleanup(mail.hang_up)
        return mail

    def offering(self, *names, version=ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=f"{self.folder}/ca.crt")
        context.minimum_version = context.maximum_version = version
        if names:
            context.set_alpn_protocols(names)
        return context

    def test_the_mail_program_says_what_it_speaks(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for protocol in PROTOCOLS:
                with self.subTest(version=version.name, protocol=protocol):
                    mail = self.program(protocol, self.offering("h2", ALPN[protocol], version=version))
                    self.assertEqual(mail.sock.selected_alpn_protocol(), ALPN[protocol])
                    mail.log_in(DORA, PASSWORDS[DORA])
                    self.logged_in_at_the_mail_server(DORA, protocol)

    def test_a_session_that_is_taken_up_may_speak_something_else(self):
        """A ticket says nothing of the protocol: what the mail program offers now counts (RFC 7301, section 3.1)."""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context, session = self.offering(version=version), None
            for protocol in (*PROTOCOLS, "imap"):
                with self.subTest(version=version.name, protocol=protocol):
                    context.set_alpn_protocols([ALPN[protocol]])
                    with socket.create_connection(("127.0.0.1", self.door("alpn")), PATIENCE_S) as bare, \
                            context.wrap_socket(bare, server_hostname=NAME, session=session) as sock:
                        self.assertRegex(sock.recv(1000), self.GREETINGS[protocol])
                        self.assertEqual((sock.selected_alpn_protocol(), sock.session_reused), (ALPN[protocol], session is not None))
                        session = sock.session

    def test_what_is_none_of_them_is_refused(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for names in ([], ["h2", "http/1.1"], ["IMAP"], ["imap4"], ["sieve"]):
                with self.subTest(version=version.name, names=names):
                    with self.assertRaisesRegex(ssl.SSLError, "(?i)no[_ ]application[_ ]protocol|handshake failure"):
                        with socket.create_connection(("127.0.0.1", self.door("alpn")), PATIENCE_S) as bare, \
                                self.offering(*names, version=version).wrap_socket(bare, server_hostname=NAME) as sock:
                            self.fail(f"it was greeted: {sock.recv(100)}")

    def test_openssl_sees_the_alert(self):
        for options, number in [(["-alpn", "imap"], None), (["-alpn", "http/1.1"], 120), ([], 120)]:
            with self.subTest(options=options):
                words = ["openssl", "s_client", "-connect", f"127.0.0.1:{self.door('alpn')}", "-CAfile", f"{self.folder}/ca.crt",
                         "-servername", NAME, "-quiet", *options]
                done = subprocess.run(words, input="1 LOGOUT\n", capture_output=True, text=True, timeout=PATIENCE_S, check=False)
                if number is None:
                    self.assertIn("* BYE", done.stdout, done.stderr)
                else:
                    self.assertIn(f"SSL alert number {number}", done.stderr)
                    self.assertEqual(done.stdout, "")

    def test_a_mail_program_that_does_not_speak_tls(self):
        sock = socket.create_connection(("127.0.0.1", self.door("alpn")), PATIENCE_S)
        self.addCleanup(sock.close)
        sock.sendall(b"1 LOGIN joe clear-secret\r\n")
        try:
            self.assertNotIn(b"OK", read_to_end(sock))
        except ConnectionResetError:
            pass  # What it said was not all read.
        self.assertNotIn("clear-secret", self.gate.log())

    def test_other_doors_do_not_insist(self):
        """A door for one protocol takes mail programs that say nothing, and those that say its name; others are in the wrong place."""
        for protocol in PROTOCOLS:
            with self.subTest(protocol=protocol):
                with socket.create_connection(("127.0.0.1", self.door(protocol)), PATIENCE_S) as bare, \
                        self.offering(ALPN[protocol]).wrap_socket(bare, server_hostname=NAME) as sock:
                    self.assertEqual(sock.selected_alpn_protocol(), ALPN[protocol])
                    self.assertRegex(sock.recv(1000), self.GREETINGS[protocol])
                other = ALPN["pop3" if protocol == "imap" else "imap"]
                with self.assertRaisesRegex(ssl.SSLError, "(?i)no[_ ]application[_ ]protocol"):
                    with socket.create_connection(("127.0.0.1", self.door(protocol)), PATIENCE_S) as bare:
                        self.offering(other).wrap_socket(bare, server_hostname=NAME)


if __name__ == "__main__":
    world.POSTERN, world.POSTERN_AUTH = sys.argv[1:3]
    tap.main(sys.argv[3:])
