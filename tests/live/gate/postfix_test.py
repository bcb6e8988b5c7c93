# SPDX-License-Identifier: GPL-3.0-or-later
"""What mail servers hear of the mail program, by XCLIENT, by IMAP ID and by a PROXY header, with a private Postfix and with Dovecot;
and that mail comes through submission to the octet."""

import os
import random
import re
import smtplib
import ssl
import sys

import tap
import world
from addresses import USERS, name_user
from doors import BACKS, FRONTS, STORE, Doors, SmtpProgram, letter, listen_text, plain, pool_text
from programs import PATIENCE_S, PROTOCOLS, Dovecot, Gate, Helper, Postfix, wait_until
from servers import Sink
from world import BOB, CARL, DORA, MAILBOXES, MASTERS, NAME, PASSWORDS, World, make_certificate, read_to_end

ELSEWHERE = "127.0.5.7"  # a mail program's address that is not the gate's
WEBMAIL = "127.0.5.80"
FAY = "fay@example.test"  # whom only the gate's helper knows


def codes(lines):
    """What of replies is the same each time: codes, and not queue numbers and the like."""
    return [re.match(r"\d{3}[ -](\d\.\d\.\d)?", line).group() for line in lines]


class Talk:
    """A connection to a submission server on which the user has logged in; the test writes each octet itself."""

    def __init__(self, test, port, user, password, context=None, source=""):
        mail = SmtpProgram(port, context, source=source)
        test.addCleanup(mail.hang_up)
        mail.log_in(user, password)
        self.sock, self.file = mail.sock, mail.sock.makefile("rb")

    def write(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def reply(self):
        lines = []
        while not lines or lines[-1][3:4] == "-":
            line = self.file.readline()
            if not line:
                raise EOFError(lines)
            lines.append(line.decode().removesuffix("\r\n"))
        return lines

    def ask(self, data):
        self.write(data)
        return self.reply()

    def rest(self):
        """All lines up to the end of the connection."""
        return self.file.read().decode().splitlines()


class WithPostfix(World):
    """A gate before Postfix. Its doors: pools with send_id and no TLS, with STARTTLS; with xclient_login; with PROXY headers, v1 and v2."""

    POOLS = {"id": ("plain", "none", "send_id = true\n"), "id-tls": ("plain", "starttls", "send_id = true\n"),
             "login": ("plain", "none", "send_id = true\nxclient_login = true\n"), "v1": ("proxied", "none", 'proxy_protocol = "v1"\n'),
             "v2": ("proxied", "none", 'proxy_protocol = "v2"\n'), "v2-tls": ("proxied", "starttls", 'proxy_protocol = "v2"\n')}

    def build(self, add_cleanup):
        World.make_folder(self, add_cleanup)
        make_certificate(self.folder, "store", STORE)
        self.sink = Sink("8BITMIME", "PIPELINING", "SMTPUTF8")
        add_cleanup(self.sink.stop)
        auth = "service auth {\n unix_listener postfix-auth {\n mode = 0666\n }\n}\n"
        self.dovecot = Dovecot(self.folder, MAILBOXES, MASTERS, settings=auth)
        add_cleanup(self.dovecot.stop)
        self.dovecot.start()
        self.postfix = Postfix(self.folder, self.folder / "run" / "postfix-auth", "store", self.sink.port)
        add_cleanup(self.postfix.stop)
        self.postfix.start()
        self.helper = Helper(world.POSTERN_AUTH, self.folder)
        Doors.add_users(self)
        self.helper.add(FAY, "fay-secret")
        add_cleanup(self.helper.stop)
        self.helper.start()
        self.doors = [(front, pool) for front in FRONTS for pool in self.POOLS]
        self.gate = Gate(world.POSTERN, self.folder, lambda *ports: WithPostfix.configuration(self, *ports), len(self.doors))
        add_cleanup(self.gate.stop)
        self.gate.start()
        self.gate.wait_for_capabilities(*(pool for pool in self.POOLS if pool != "v1"))  # A test waits for that.

    def configuration(self, *ports):
        text = Doors.head_text(self)
        for (front, pool), port in zip(self.doors, ports):
            text += listen_text(port, "submission", front, pool, f'webmail = ["{WEBMAIL}/32"]\n')
        for pool, (kind, tls, more) in self.POOLS.items():
            port = self.postfix.port if kind == "plain" else self.postfix.proxied_port
            text += pool_text(pool, "submission", f"127.0.0.1:{port}", Doors.back_tls_text(self, tls) + more)
        return text

    def door(self, pool, front="implicit"):
        return self.gate.ports[self.doors.index((front, pool))]

    def talk(self, pool, user=DORA, password=None, source=ELSEWHERE):
        return Talk(self, self.door(pool), user, password or PASSWORDS[user], self.context, source)

    def direct(self, user=DORA):
        """At Postfix itself, with the mail server's own password."""
        return Talk(self, self.postfix.port, user, MAILBOXES[user])

    def send(self, talk, text, sender=DORA):
        """The mail's queue number in Postfix's log, and the mail once it is at the sink."""
        self.assertEqual(codes(talk.ask(f"MAIL FROM:<{sender}>\r\n")), ["250 2.1.0"])
        self.assertEqual(codes(talk.ask("RCPT TO:<friend@example.test>\r\n")), ["250 2.1.5"])
        self.assertEqual(codes(talk.ask("DATA\r\n")), ["354 "])
        reply = talk.ask(letter(text).encode() + b".\r\n")[0]
        return re.fullmatch(r"250 2\.0\.0 Ok: queued as (\w+)", reply).group(1), self.sink.wait_for_mail(text)


class Identity(WithPostfix):
    def test_postfix_hears_the_address_and_the_user(self):
        for pool in ("id", "id-tls", "v1", "v2", "v2-tls"):
            for front in FRONTS:
                for user, box in [(DORA, DORA), (BOB, BOB), (CARL, "box-c")][:3 if pool == "id" else 1]:
                    with self.subTest(pool=pool, front=front, user=user):
                        mail = SmtpProgram(self.door(pool, front), self.context if front == "implicit" else None, source=ELSEWHERE)
                        self.addCleanup(mail.hang_up)
                        if front == "starttls":
                            mail.starttls(self.context)
                        mail.log_in(user, PASSWORDS[user])
                        text = f"{pool}, {front}, {user}"
                        self.assertEqual(mail.sendmail(user, ["friend@example.test"], letter(text)), {})
                        received = self.sink.wait_for_mail(text).content.decode()
                        number = re.search(r"\bid (\w+)", received).group(1)
                        line = self.postfix.wait_for_log(rf" {number}: client=.*$").group()
                        self.assertIn(f": client=unknown[{ELSEWHERE}], sasl_method=PLAIN, sasl_username={box}", line)
                        # EHLO's argument is the mail program's, too.
                        self.assertRegex(received, r"(?i)Received: from client\.example\.test \(unknown \[127\.0\.5\.7\]\)")

    def test_health_checks_pass_with_proxy_headers(self):
        self.gate.wait_for_capabilities("v1", "v2", "v2-tls")
        self.assertNotIn(" member state=down ", self.gate.log())

    def test_the_user_by_xclient_needs_no_password(self):
        for user, password, box in ((FAY, "fay-secret", FAY), (CARL, PASSWORDS[CARL], "box-c")):
            with self.subTest(user=user):
                number, mail = self.send(self.talk("login", user, password), f"xclient, {user}", FAY)
                line = self.postfix.wait_for_log(rf" {number}: client=.*$").group()
                self.assertIn(f": client=unknown[{ELSEWHERE}], sasl_method=XCLIENT, sasl_username={box}", line)
                self.assertIn(b"from client.example.test (unknown [127.0.5.7])", mail.content)
        with self.assertRaises(Exception):
            self.talk("login", FAY, "wrong-secret")
        self.gate.wait_for_log(rf" login-failed .*user={FAY} .*reason=credentials")

    def test_postfix_hears_of_a_webmail_hosts_user(self):
        """Of one who has the other kind of address than the host, too; and from another host nobody believes it."""
        for pool in ("id", "id-tls", "login", "v1", "v2", "v2-tls"):
            for user in USERS:
                for source in (WEBMAIL, ELSEWHERE):
                    with self.subTest(pool=pool, user=user, source=source):
                        mail = SmtpProgram(self.door(pool), self.context, source=source)
                        self.addCleanup(mail.hang_up)
                        if source == WEBMAIL:
                            name_user(mail, "submission", user, 4711)
                        else:
                            with self.assertRaisesRegex(smtplib.SMTPAuthenticationError, "XCLIENT is not for you"):
                                name_user(mail, "submission", user, 4711)
                        mail.log_in(DORA, PASSWORDS[DORA])
                        text = f"{pool}, {source}, {user}"
                        self.assertEqual(mail.sendmail(DORA, ["friend@example.test"], letter(text)), {})
                        number = re.search(r"\bid (\w+)", self.sink.wait_for_mail(text).content.decode()).group(1)
                        line = self.postfix.wait_for_log(rf" {number}: client=.*$").group()
                        self.assertIn(f": client=unknown[{user if source == WEBMAIL else source}], ", line)

    def test_xclient_of_the_mail_program_is_refused(self):
        """From the gate's own address, too, which Postfix trusts."""
        claims = "LOGIN=root ADDR=192.0.2.66 NAME=[UNAVAILABLE]"
        words = [f"XCLIENT {claims}", f"xclient {claims}", f" XCLIENT {claims}", f"\tXCLIENT {claims}", f"XCLIENT\t{claims}",
                 "XFORWARD ADDR=192.0.2.66", f'"XCLIENT" {claims}', f"\\XCLIENT {claims}", f"<XCLIENT> {claims}", f"X\0CLIENT {claims}",
                 f"NOOP\rXCLIENT {claims}", "AUTH PLAIN " + plain(CARL, PASSWORDS[CARL]), "STARTTLS"]
        for source in (ELSEWHERE, "127.0.0.1"):
            for pool in ("id", "login", "v2"):
                with self.subTest(source=source, pool=pool):
                    talk = self.talk(pool, source=source)
                    for word in words:
                        self.assertRegex(talk.ask(word + "\r\n")[-1], r"^50\d ", word)
                    # Within a group, cut in the middle, behind a bare LF, and while EHLO's and DATA's replies are awaited.
                    talk.write("RSET\r\nXCLI")
                    self.assertEqual(codes(talk.reply()), ["250 2.0.0"])
                    talk.write(f"ENT {claims}\r\nNOOP\r\n")
                    self.assertEqual([codes(talk.reply())[0][0] for _ in range(2)], ["5", "2"])
                    talk.write(f"NOOP\nXCLIENT {claims}\nNOOP\n")
                    self.assertEqual([codes(talk.reply())[0][0] for _ in range(3)], ["2", "5", "2"])
                    talk.write(f"EHLO x\r\nXCLIENT {claims}\r\nNOOP\r\n")
                    self.assertEqual([codes(talk.reply())[0][0] for _ in range(3)], ["2", "5", "2"])
                    talk.write(f"DATA\r\nXCLIENT {claims}\r\nNOOP\r\n")
                    self.assertEqual([codes(talk.reply())[0][0] for _ in range(3)], ["5", "5", "2"])
                    number, _ = self.send(talk, f"still the same, {source} {pool}")
                    talk.write("QUIT\r\n")
                    talk.rest()
                    method = "XCLIENT" if pool == "login" else "PLAIN"
                    pid, line = self.postfix.wait_for_log(rf"smtpd\[(\d+)\]: {number}: client=(.*)$").groups()
                    self.assertEqual(line, f"unknown[{source}], sasl_method={method}, sasl_username={DORA}")
                    # Postfix's own count of commands; it never counts one as a success.
                    line = self.postfix.wait_for_log(rf"(?s){number}: client=.*?smtpd\[{pid}\]: (disconnect from [^\n]*)$").group(1)
                    self.assertRegex(line, rf"^disconnect from unknown\[{re.escape(source)}\] .* mail=1 ")
                    self.assertEqual(re.findall(r"xclient=(\S+)", line), [] if pool == "v2" else ["0/1"], line)
                    self.assertNotIn("xforward=", line)

    def test_a_second_ehlo_shows_what_is_left_to_do(self):
        theirs = self.direct().ask("EHLO x\r\n")
        for wanted in ("STARTTLS", "AUTH PLAIN", "XCLIENT "):
            self.assertTrue(any(line[4:].startswith(wanted) for line in theirs), theirs)
        hidden = r"250.(STARTTLS|AUTH|XCLIENT|XFORWARD)\b"
        left = [line[4:] for line in theirs if not re.match(hidden, line)]
        for pool in self.POOLS:
            with self.subTest(pool=pool):
                talk = self.talk(pool)
                for _ in range(2):
                    ours = talk.ask("EHLO x\r\n")
                    self.assertEqual([line[4:] for line in ours], left)
                    self.assertEqual([line[3] for line in ours], ["-"] * (len(left) - 1) + [" "])
                self.assertEqual(talk.ask("HELO x\r\n"), [f"250 {STORE}"])
                self.send(talk, f"behind a second EHLO, {pool}")

    def test_capabilities_before_the_login(self):
        theirs = SmtpProgram(self.postfix.port)
        ours = SmtpProgram(self.door("id"), self.context)
        for mail in (theirs, ours):
            self.addCleanup(mail.hang_up)
            mail.ehlo()
        for name in ("size", "8bitmime", "dsn", "smtputf8", "chunking", "enhancedstatuscodes", "pipelining"):
            self.assertEqual(ours.esmtp_features[name], theirs.esmtp_features[name], name)
        self.assertFalse({"etrn", "xclient", "starttls"} & ours.esmtp_features.keys(), ours.esmtp_features)

    def test_mail_arrives_as_if_it_had_come_directly(self):
        contents = [b"..\r\n...\r\n.. dots\r\n", b"bare\nline\nfeeds\n\n", b"carriage\rreturns\r\r\n",
                    bytes(range(0x80, 0x100)) + b"\r\n", b"nul \0 nul\r\n", b"long " + b"x" * 5000 + b"\r\n", b"\r\n" * 20, b"no line end",
                    b"large\r\n" + b"0123456789abcdef\r\n" * 60_000]
        for verb in ("DATA", "BDAT"):
            ways = {"direct": self.direct(), "gate": self.talk("id")}
            for number, content in enumerate(contents):
                with self.subTest(content=content[:20], verb=verb):
                    taken = []
                    for way, talk in ways.items():
                        mark = f"{way}-{number}-{verb}"
                        mail = f"From: <{BOB}>\r\nSubject: {mark}\r\n\r\n".encode() + content
                        talk.write(f"MAIL FROM:<{DORA}>\r\nRCPT TO:<friend@example.test>\r\n")
                        self.assertEqual(codes(talk.reply() + talk.reply()), ["250 2.1.0", "250 2.1.5"])
                        if verb == "DATA":
                            self.assertEqual(codes(talk.ask("DATA\r\n")), ["354 "])
                            talk.write(mail + (b"" if mail.endswith(b"\r\n") else b"\r\n") + b".\r\n")
                        else:
                            half = len(mail) // 2
                            self.assertEqual(codes(talk.ask(f"BDAT {half}\r\n".encode() + mail[:half])), ["250 2.0.0"])
                            talk.write(f"BDAT {len(mail) - half} LAST\r\n".encode() + mail[half:])
                        self.assertEqual(codes(talk.reply()), ["250 2.0.0"])
                        self.assertEqual(codes(talk.ask("NOOP\r\n")), ["250 2.0.0"])
                        got = self.sink.wait_for_mail(f"Subject: {mark}\r\n").content
                        self.assertEqual(got.count(b"Received:"), 1)
                        taken.append(got[got.index(b"From:"):].replace(mark.encode(), b"mark"))
                    self.assertEqual(taken[0], taken[1])

    def test_pipelined_groups(self):
        """The same octets, directly and through the gate, bring the same replies and the same mails."""
        group = f"MAIL FROM:<{DORA}>\r\nRCPT TO:<friend@example.test>\r\nRCPT TO:<other@example.test>\r\n"

        def data(mark):
            yield f"RSET\r\nNOOP\r\n{group}DATA\r\n"
            yield f"Subject: {mark} 1\r\n\r\nbody\r\n.\r\n{group}DATA\r\n"
            yield f"Subject: {mark} 2\r\n\r\nbody\r\n.\r\nVRFY {DORA}\r\n{group}RSET\r\nRCPT TO:<nobody@example.test>\r\nQUIT\r\n"

        def bdat(mark):
            first, second, third = f"Subject: {mark} 1\r\n\r", "\nQUIT\r\n.\r\n", f"Subject: {mark} 2\r\n\r\nbody\r\n"
            yield (f"{group}BDAT {len(first)}\r\n{first}BDAT {len(second)}\r\n{second}BDAT 0 LAST\r\n"
                   f"{group}BDAT {len(third)} LAST\r\n{third}NOOP\r\n{group}NOOP\r\nEHLO x\r\nQUIT\r\n")

        for script in (data, bdat):
            with self.subTest(script=script.__name__):
                said = {}
                for way, talk in (("direct", self.direct()), ("gate", self.talk("id"))):
                    said[way] = []
                    for part in script(f"{way} {script.__name__}"):
                        talk.write(part)
                        while part.endswith("DATA\r\n") and said[way][-1:] != ["354 "]:
                            said[way] += codes(talk.reply())
                        if part.endswith("QUIT\r\n"):
                            said[way] += codes(line for line in talk.rest() if not line.startswith("250-"))
                    for number in (1, 2):
                        mail = self.sink.wait_for_mail(f"Subject: {way} {script.__name__} {number}\r\n")
                        self.assertEqual(mail.recipients, ["friend@example.test", "other@example.test"])
                self.assertEqual(said["gate"], said["direct"])

    def test_no_mail_is_smuggled_in_another(self):
        """Some mail servers, this Postfix too, take a dot between bare LFs for the end of a mail; behind it they would read commands."""
        inner = ("XCLIENT LOGIN=root ADDR=192.0.2.66\r\nMAIL FROM:<smuggled@example.test>\r\nRCPT TO:<friend@example.test>\r\nDATA\r\n"
                 "Subject: inner MARK\r\n\r\n")
        ends = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r", b"\r\n.\r\r\n", b"\r\n\0.\r\n", b"\n\0.\n"]
        for number, end in enumerate(ends):
            for pieces in (False, True):
                with self.subTest(end=end, pieces=pieces):
                    mark = f"{number}{pieces}"
                    talk = self.talk("id", source="127.0.0.1")
                    talk.write(f"MAIL FROM:<{DORA}>\r\nRCPT TO:<friend@example.test>\r\nDATA\r\n")
                    self.assertEqual(codes(talk.reply() + talk.reply() + talk.reply()), ["250 2.1.0", "250 2.1.5", "354 "])
                    content = f"Subject: outer {mark}\r\n\r\nbody".encode() + end + inner.replace("MARK", mark).encode() + b"\r\n.\r\n"
                    at = content.index(end) + len(end) - 1
                    for part in (content[:at], content[at:]) if pieces else (content,):
                        talk.write(part)
                    talk.write("QUIT\r\n")
                    self.assertEqual(codes(talk.rest()), ["250 2.0.0", "221 2.0.0"], "one mail, one reply")
                    mail = self.sink.wait_for_mail(f"inner {mark}")
                    self.assertEqual(mail.sender, DORA)
                    self.assertIn(f"outer {mark}".encode(), mail.content)
        self.assertNotIn("smuggled@example.test", self.postfix.log())

    def test_postfix_itself_takes_such_mail_apart(self):
        """Without the gate it does, so the test above may fail."""
        talk = self.direct()
        for command in (f"MAIL FROM:<{DORA}>", "RCPT TO:<friend@example.test>", "DATA"):
            reply = talk.ask(command + "\r\n")
        self.assertEqual(codes(reply), ["354 "])
        talk.write("Subject: outer direct\r\n\r\nbody\n.\nNOOP\r\nQUIT\r\n")
        self.assertEqual(codes(talk.rest()), ["250 2.0.0", "250 2.0.0", "221 2.0.0"])


if os.geteuid() != 0:
    Identity = tap.skip_impossible("Postfix runs its parts as other users, which only root can")(Identity)


class DovecotHears(Doors):
    """Dovecot's log has the mail program's address, in all protocols and with all ways of TLS."""

    def assert_address(self, user, box, ways):
        for protocol, back in ways:
            for front in FRONTS:
                with self.subTest(protocol=protocol, front=front, back=back):
                    before = len(self.dovecot.log())
                    self.log_in(protocol, user, front, back, source=ELSEWHERE)
                    self.assertIn(f" rip={ELSEWHERE}, ", self.logged_in_at_the_mail_server(box, protocol, before))


class PROXY(DovecotHears):
    haproxy = True
    version = "v2"
    pool_settings = 'proxy_protocol = "v2"\n'
    dovecot_settings = Doors.dovecot_settings + "haproxy_trusted_networks = 127.0.0.0/8\n"
    # The end of TLS that stands before ManageSieve does not know the header.
    ways = [way for way in Doors.ways if way != ("sieve", "implicit")]

    def test_the_log_has_the_mail_programs_address(self):
        self.assert_address(CARL, "box-c", self.ways)

    def test_health_checks_come_from_nobody(self):
        for name in ("imap", "pop3", "submission", "managesieve"):
            self.dovecot.wait_for_log(rf" {name}-login: Info: Disconnected: Aborted login by logging out .* rip=127\.0\.0\.1, ")


class PROXYVersion1(PROXY):
    pool_settings = 'proxy_protocol = "v1"\n'


class Identified(DovecotHears):
    """By ID in IMAP and by XCLIENT in POP3 and submission; ManageSieve has no such thing here."""

    pool_settings = "send_id = true\n"
    dovecot_settings = Doors.dovecot_settings + "login_trusted_networks = 127.0.0.0/8\n"

    def test_the_log_has_the_mail_programs_address(self):
        self.assert_address(CARL, "box-c", [way for way in self.ways if way[0] != "sieve"])

    def test_a_master_user(self):
        self.assert_address(BOB, BOB, [(protocol, "none") for protocol in PROTOCOLS if protocol != "sieve"])


class Octets(World):
    """Mail comes through to the octet. The mail server here looks at nothing but CRLF.CRLF and the sizes of BDAT."""

    def build(self, add_cleanup):
        World.make_folder(self, add_cleanup)
        self.sink = Sink("8BITMIME", "BINARYMIME", "CHUNKING", "PIPELINING", "AUTH PLAIN")
        add_cleanup(self.sink.stop)
        self.gate = Gate(world.POSTERN, self.folder, lambda *ports: Octets.configuration(self, *ports), 1)
        add_cleanup(self.gate.stop)
        self.gate.start()
        self.gate.wait_for_capabilities("sink")

    def configuration(self, port):
        return (f'[gate]\nreactors = 2\ndrain_timeout = "1s"\n[auth]\nmode = "back"\n'
                f'[[tls.certificate]]\nchain = "{self.folder}/mail.crt"\nkey = "{self.folder}/mail.key"\n' +
                listen_text(port, "submission", "implicit", "sink") + pool_text("sink", "submission", f"127.0.0.1:{self.sink.port}"))

    def talk(self):
        return Talk(self, self.gate.ports[0], DORA, PASSWORDS[DORA], self.context)

    CONTENTS = [b"", b"..\r\n..dots\r\n...\r\n", b"bare\nline\nfeeds\n\n\r\n", b"carriage\rreturns\r\r\n\r\r\r\n",
                bytes(range(256)) * 2 + b"\r\n",
                b"long " + b"x" * 100_000 + b"\r\n", b"\r\n" * 100, b"RSET\r\nXCLIENT LOGIN=root\r\nSTARTTLS\r\nAUTH PLAIN\r\n",
                b"354 no\r\n250-EHLO\r\n",
                b"a line\r\n.." + b"\r\n..".join(bytes([number]) for number in range(256) if number not in b"\r\n") + b"\r\n",
                random.Random(1).randbytes(300_000).replace(b".", b",") + b"\r\n"]

    def test_data(self):
        talk = self.talk()
        for number, content in enumerate(self.CONTENTS):
            for cut in (None, -1, -2, -3, -4, 1):
                with self.subTest(content=content[:20], cut=cut):
                    mark = f"Subject: data {number} {cut}\r\n\r\n".encode()
                    talk.write(f"MAIL FROM:<{DORA}>\r\nRCPT TO:<friend@example.test>\r\nDATA\r\n")
                    self.assertEqual([talk.reply()[0][:3] for _ in range(3)], ["250", "250", "354"])
                    data = mark + content + b".\r\n"
                    for part in [data[:cut], data[cut:]] if cut else [data]:
                        talk.write(part)
                    self.assertEqual(talk.reply(), ["250 Taken"])
                    self.assertEqual(talk.ask("NOOP\r\n"), ["250 Nothing"])
                    self.assertEqual(self.sink.wait_for_mail(mark).content, mark + content)

    def test_bdat(self):
        talk = self.talk()
        for number, content in enumerate([*self.CONTENTS, b"\r\n.\r\nQUIT\r\n", b"a\n.\nb\r.\rc", random.Random(2).randbytes(200_000)]):
            for chunk in (1, 7, 16384, 1_000_000):
                if len(content) > 2000 * chunk:
                    continue
                with self.subTest(content=content[:20], chunk=chunk):
                    data = f"Subject: bdat {number} {chunk}\r\n\r\n".encode() + content
                    pieces = [data[at:at + chunk] for at in range(0, len(data), chunk)]
                    said = f"MAIL FROM:<{DORA}> BODY=BINARYMIME\r\nRCPT TO:<friend@example.test>\r\n".encode()
                    said += b"".join(f"BDAT {len(piece)}\r\n".encode() + piece for piece in pieces) + b"BDAT 0 LAST\r\nNOOP\r\n"
                    talk.write(said)
                    self.assertEqual([talk.reply()[0] for _ in range(len(pieces) + 4)],
                                     ["250 Sender", "250 Recipient", *["250 Chunk"] * len(pieces), "250 Taken", "250 Nothing"])
                    self.assertEqual(self.sink.wait_for_mail(data[:data.index(b"\r\n\r\n") + 4]).content, data)

    def test_a_lonely_dot_between_bare_line_ends_gets_company(self):
        """What some mail servers take for the end of a mail: the dot is doubled, and nothing else changes."""
        talk = self.talk()
        for number, (before, after) in enumerate([(b"\n", b"\n"), (b"\n", b"\r\n"), (b"\r\n", b"\n"), (b"\r", b"\r"), (b"\r", b"\r\n"),
                                                  (b"\r\n", b"\ra")]):
            with self.subTest(before=before, after=after):
                mark = f"Subject: dot {number}\r\n\r\n".encode()
                self.assertEqual(talk.ask(f"MAIL FROM:<{DORA}>\r\n"), ["250 Sender"])
                self.assertEqual(talk.ask("DATA\r\n")[0][:3], "354")
                talk.write(mark + b"text" + before + b"." + after + b"text\r\n.\r\n")
                self.assertEqual(talk.reply(), ["250 Taken"])
                self.assertEqual(self.sink.wait_for_mail(mark).content, mark + b"text" + before + b".." + after + b"text\r\n")

    def test_a_mail_server_without_chunking_sees_no_chunk(self):
        """Its octets would be commands to it."""
        self.sink.extensions = ("AUTH PLAIN",)
        try:
            talk = self.talk()
            before = len(self.sink.commands)
            talk.write(b"BDAT 34 LAST\r\nMAIL FROM:<chunk@example.test>\r\n\r\nNOOP\r\nQUIT\r\n")
            self.assertEqual([line[:3] for line in talk.rest()], ["500", "250", "221"])
            self.assertNotIn(b"chunk@", b"".join(self.sink.commands[before:]))
        finally:
            self.sink.extensions = ("8BITMIME", "BINARYMIME", "CHUNKING", "PIPELINING", "AUTH PLAIN")

    def test_the_mail_program_may_close_behind_its_mail(self):
        """It has said all, and waits for nothing."""
        talk = self.talk()
        mail = "Subject: last words\r\n\r\n.\r\n"
        talk.write(f"MAIL FROM:<{DORA}>\r\nRCPT TO:<friend@example.test>\r\nBDAT {len(mail)} LAST\r\n{mail}QUIT\r\n")
        try:
            talk.sock.unwrap()
        except ssl.SSLError:
            pass  # Python wants to hear nothing any more behind its close_notify.
        talk.sock.close()
        self.sink.wait_for_mail("last words")


if __name__ == "__main__":
    world.POSTERN, world.POSTERN_AUTH = sys.argv[1:3]
    tap.main(sys.argv[3:])
