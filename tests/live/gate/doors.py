# SPDX-License-Identifier: GPL-3.0-or-later
"""A gate with a door for each protocol, for each way of TLS there and at the mail server, and mail programs for them."""

import base64
import poplib
import re
import smtplib
import socket
import ssl

import world
from programs import PATIENCE_S, PROTOCOLS, Dovecot, Gate, Helper, wait_until
from servers import Sink, TlsEnd
from world import ANN, BOB, CARL, DORA, MAILBOXES, MASTERS, NAME, PASSWORDS, MailProgram, World, make_certificate

STORE = "store.example.test"  # the name in the mail server's certificate
ALPN = {"imap": "imap", "pop3": "pop3", "submission": "smtp", "sieve": "managesieve"}
FRONTS = ("implicit", "starttls")
BACKS = ("none", "starttls", "implicit")

# Whose mailbox each user gets.
BOXES = {ANN: ANN, BOB: BOB, CARL: "box-c", DORA: DORA}


def plain(user, password):
    """The message of SASL PLAIN, in base64."""
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()


class Connecting:
    """How mail programs of Python's library connect: to 127.0.0.1, from `source`; with `context` TLS at once, asking for the name `sni`."""

    context = None
    source = ""
    sni = NAME

    def opened(self, port, timeout=PATIENCE_S):
        sock = socket.create_connection(("127.0.0.1", port), timeout, (self.source, 0))
        return self.context.wrap_socket(sock, server_hostname=self.sni) if self.context else sock


class ImapProgram(Connecting, MailProgram):
    def __init__(self, port, context=None, source=""):
        self.source = source
        super().__init__(port, context)

    def _create_socket(self, timeout):
        return self.opened(self.port, timeout)

    def log_in(self, user, password):
        """imaplib quotes passwords for itself, but takes only ASCII; PLAIN takes all."""
        if password.isascii():
            return self.login(user, password)
        return self.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode())


class PopProgram(Connecting, poplib.POP3):
    def __init__(self, port, context=None, source=""):
        self.context, self.source = context, source
        super().__init__("127.0.0.1", port, PATIENCE_S)

    def _create_socket(self, timeout):
        return self.opened(self.port, timeout)

    def starttls(self, context):
        self.host = self.sni
        return self.stls(context)

    def log_in(self, user, password):
        self.user(user)
        return self.pass_(password)

    def hang_up(self):
        self.close()


class SmtpProgram(Connecting, smtplib.SMTP):
    def __init__(self, port, context=None, source=""):
        self.context, self.source = context, source
        super().__init__("127.0.0.1", port, "client.example.test", PATIENCE_S)

    def _get_socket(self, host, port, timeout):
        return self.opened(port, timeout)

    def starttls(self, context):
        self._host = self.sni
        return super().starttls(context=context)

    def log_in(self, user, password):
        """smtplib's own login takes only ASCII."""
        self.ehlo_or_helo_if_needed()
        code, text = self.docmd("AUTH", "PLAIN " + plain(user, password))
        if code != 235:
            raise smtplib.SMTPAuthenticationError(code, text)

    def hang_up(self):
        self.close()


class SieveError(Exception):
    pass


class SieveProgram(Connecting):
    """A mail program that keeps scripts at the mail server (RFC 5804). `capabilities` are those that were said without being asked for."""

    def __init__(self, port, context=None, source=""):
        self.context, self.source = context, source
        self.sock = self.opened(port)
        self.file = self.sock.makefile("rb")
        self.capabilities = self.read_capabilities()[0]

    def hang_up(self):
        self.file.close()
        self.sock.close()

    def read_line(self):
        """A line with its literals, each of which ends the line for a while."""
        line = self.file.readline()
        while found := re.search(rb"\{(\d+)\}\r\n$", line):
            line = line[:found.start()] + b'"' + self.file.read(int(found.group(1))) + b'"' + self.file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError(line)
        return line.decode().removesuffix("\r\n")

    def answer(self):
        """The last line of an answer, and those in front of it."""
        lines = []
        while not re.match(r"(OK|NO|BYE)\b", line := self.read_line()):
            lines.append(line)
        return line, lines

    def read_capabilities(self):
        line, lines = self.answer()
        if not line.startswith("OK"):
            raise SieveError(line)
        pairs = [re.fullmatch(r'"([^"]*)"(?: "([^"]*)")?', line).groups() for line in lines]
        return {name.upper(): value for name, value in pairs}, line

    def say(self, command):
        self.sock.sendall(command.encode() + b"\r\n")
        line, lines = self.answer()
        if not line.startswith("OK"):
            raise SieveError(line)
        return lines

    def capability(self):
        self.sock.sendall(b"CAPABILITY\r\n")
        return self.read_capabilities()[0]

    def starttls(self, context):
        self.say("STARTTLS")
        self.sock = context.wrap_socket(self.sock, server_hostname=self.sni)
        self.file = self.sock.makefile("rb")
        self.capabilities = self.read_capabilities()[0]

    def log_in(self, user, password):
        self.say(f'AUTHENTICATE "PLAIN" "{plain(user, password)}"')

    def put(self, name, script):
        self.say(f'PUTSCRIPT "{name}" {{{len(script.encode())}+}}\r\n{script}')

    def get(self, name):
        return re.fullmatch(r'"(.*)"', self.say(f'GETSCRIPT "{name}"')[0], re.S).group(1)


MAIL_PROGRAMS = {"imap": ImapProgram, "pop3": PopProgram, "submission": SmtpProgram, "sieve": SieveProgram}
REFUSALS = (MailProgram.error, poplib.error_proto, smtplib.SMTPAuthenticationError, SieveError)


def letter(text, subject="news"):
    """A mail as a mail program hands it over: without its end, and with no line that begins with a dot."""
    return f"From: <{BOB}>\r\nTo: <friend@example.test>\r\nSubject: {subject}\r\n\r\n{text}\r\n"


def listen_text(port, protocol, tls, pool, more=""):
    text = f'[[listen]]\naddresses = ["127.0.0.1:{port}"]\nprotocol = "{protocol}"\ntls = "{tls}"\n'
    return text + (f'pool = "{pool}"\n' if pool else "") + more + "\n"


def pool_text(name, protocol, member, more=""):
    return f'[[pool]]\nname = "{name}"\nprotocol = "{protocol}"\nmembers = ["{member}"]\n{more}\n'


class Doors(World):
    """A gate with doors that are named by protocol, TLS at the front (implicit, starttls), and TLS at the back (none, starttls,
    implicit) or "dead", where the mail server is not there. The door "alpn" serves all protocols. Behind them: one Dovecot, and a
    Sink for its mail."""

    certificates = {"mail": (NAME, "ec"), "local": ("localhost", "ec")}
    dovecot_settings = f"hostname = {STORE}\n"
    pool_settings = ""  # in each [[pool]]
    door_settings = {}  # in the [[listen]] of a door
    haproxy = False
    ways = [(protocol, back) for protocol in PROTOCOLS for back in BACKS]

    def build(self, add_cleanup):
        self.door_names = [*((protocol, front, back) for protocol, back in self.ways for front in FRONTS),
                           *((protocol, "implicit", "dead") for protocol in PROTOCOLS), "alpn"]
        World.make_folder(self, add_cleanup)
        make_certificate(self.folder, "store", STORE)
        self.sink = Sink("8BITMIME", "PIPELINING")
        add_cleanup(self.sink.stop)
        self.dovecot = Dovecot(self.folder, MAILBOXES, MASTERS, PROTOCOLS, "store", self.sink.port, self.haproxy, self.dovecot_settings)
        add_cleanup(self.dovecot.stop)
        self.dovecot.start()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "store.crt", self.folder / "store.key")
        self.sieve_tls = TlsEnd(self.dovecot.ports["sieve"], context)
        add_cleanup(self.sieve_tls.stop)
        self.tls_ports = self.dovecot.tls_ports | {"sieve": self.sieve_tls.port}
        self.helper = Helper(world.POSTERN_AUTH, self.folder)
        Doors.add_users(self)
        add_cleanup(self.helper.stop)
        self.helper.start()
        self.gate = Gate(world.POSTERN, self.folder, lambda *ports: Doors.configuration(self, *ports), len(self.door_names))
        add_cleanup(self.gate.stop)
        self.gate.start()
        self.gate.wait_for_capabilities(*("-".join(way) for way in self.ways))

    def add_users(self):
        """As elsewhere, but the door's pool says where everybody's mailbox is."""
        self.helper.add(ANN, PASSWORDS[ANN])
        self.helper.add(BOB, PASSWORDS[BOB], MASTERS["gate"], master_user="gate", master_password=True)
        self.helper.add(CARL, PASSWORDS[CARL], MAILBOXES["box-c"], back_user="box-c", back_password=True)
        self.helper.add(DORA, PASSWORDS[DORA])

    def configuration(self, *ports):
        text = Doors.head_text(self)
        for door, port in zip(self.door_names, ports):
            more = self.door_settings.get(door, "")
            if door == "alpn":
                more += f"pools = {[protocol + '-none' for protocol in PROTOCOLS]}\n"
                text += listen_text(port, "alpn", "implicit", None, more)
            else:
                protocol, front, back = door
                text += listen_text(port, protocol, front, f"{protocol}-{back}", more)
        for protocol, back in self.ways:
            port = (self.tls_ports if back == "implicit" else self.dovecot.ports)[protocol]
            text += pool_text(f"{protocol}-{back}", protocol, f"127.0.0.1:{port}", Doors.back_tls_text(self, back) + self.pool_settings)
        for protocol in PROTOCOLS:
            text += pool_text(f"{protocol}-dead", protocol, f"127.0.3.9:{self.dovecot.ports[protocol]}")
        return text

    def head_text(self):
        text = f'[gate]\nreactors = 2\nhostname = "{NAME}"\ndrain_timeout = "1s"\n[auth]\nhelper = "{self.helper.socket}"\n'
        for file in self.certificates:
            text += f'[[tls.certificate]]\nchain = "{self.folder}/{file}.crt"\nkey = "{self.folder}/{file}.key"\n'
        return text

    def back_tls_text(self, back):
        return "" if back == "none" else f'tls = "{back}"\ntls_name = "{STORE}"\ntls_ca = "{self.folder}/ca.crt"\n'

    # Mail programs.

    def door(self, protocol, front="implicit", back="none"):
        """Its port."""
        return self.gate.ports[self.door_names.index("alpn" if protocol == "alpn" else (protocol, front, back))]

    def connect(self, protocol, front="implicit", back="none", in_clear=False, source=""):
        """A mail program before its login. `in_clear`: before STARTTLS, too."""
        mail = MAIL_PROGRAMS[protocol](self.door(protocol, front, back), self.context if front == "implicit" else None, source)
        self.addCleanup(mail.hang_up)
        if front == "starttls" and not in_clear:
            mail.starttls(self.context)
        return mail

    def log_in(self, protocol, user=DORA, front="implicit", back="none", source=""):
        mail = self.connect(protocol, front, back, source=source)
        mail.log_in(user, PASSWORDS[user])
        return mail

    def refusal(self, mail, user=DORA, password="wrong-secret"):
        """The whole sentence that a login is refused with."""
        with self.assertRaises(REFUSALS) as caught:
            mail.log_in(user, password)
        error = caught.exception
        if isinstance(error, smtplib.SMTPAuthenticationError):
            return f"{error.smtp_code} {error.smtp_error.decode()}"
        return error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0]

    def raw(self, protocol, front="implicit", back="none"):
        """A connection without a mail program; all its reads are patient."""
        sock = socket.create_connection(("127.0.0.1", self.door(protocol, front, back)), PATIENCE_S)
        self.addCleanup(sock.close)
        if front == "implicit":
            sock = self.context.wrap_socket(sock, server_hostname=NAME, suppress_ragged_eofs=False)
            self.addCleanup(sock.close)
        return sock

    def logged_in_at_the_mail_server(self, box, protocol, before=0):
        """Dovecot's line about the login of that user, or of anybody, behind its first `before` characters of log."""
        name = {"submission": "submission", "sieve": "managesieve"}.get(protocol, protocol)
        user = re.escape(box) if box else ".*?"
        pattern = rf" {name}-login: Info: Login: user=<{user}>, .*"
        return wait_until(lambda: re.search(pattern, self.dovecot.log()[before:]), f"for Dovecot's {pattern}").group()

    @classmethod
    def assert_no_password_is_in_a_log(cls):
        for program in (cls.gate, cls.helper):
            log = program.log()
            for user, password in PASSWORDS.items():
                for secret in (password, plain(user, password), base64.b64encode(password.encode()).decode()):
                    assert secret not in log, "a password is in the log"
            for secret in ("wrong-secret", *MAILBOXES.values(), *MASTERS.values()):
                assert secret not in log, "a password is in the log"
