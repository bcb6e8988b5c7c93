# SPDX-License-Identifier: GPL-3.0-or-later
"""A gate with a door for each protocol, for each way of TLS there and at the mail server, and mail programs for them."""

import base64
import poplib
import re
import smtplib
import socket
import ssl
import subprocess

import world
from programs import PATIENCE_S, PROTOCOLS, Dovecot, Gate, Helper, wait_until
from servers import Sink, TlsEnd
from world import ANN, BOB, CARL, DORA, MAILBOXES, MASTERS, NAME, PASSWORDS, MailProgram, World, make_certificate

STORE = "store.example.test"  # the name in the mail server's certificate
ALPN = {"imap": "imap", "pop3": "pop3", "submission": "smtp", "sieve": "managesieve"}
FRONTS = ("implicit", "starttls")
BACKS = ("none", "starttls", "implicit")

# Each protocol has its own words, and none of them makes a mail program forget a password that is right.
WRONG = {"imap": r"^\[AUTHENTICATIONFAILED\] Wrong user name or password$", "pop3": r"^-ERR \[AUTH\] Wrong user name or password$",
         "submission": r"^535 5\.7\.8 Wrong user name or password$", "sieve": r'^NO "Wrong user name or password"$'}
LATER = {"imap": r"^\[UNAVAILABLE\] \w", "pop3": r"^-ERR \[SYS/TEMP\] \w", "submission": r"^454 4\.7\.0 \w",
         "sieve": r'^NO \(TRYLATER\) "\w'}

# Whose mailbox each user gets.
BOXES = {ANN: ANN, BOB: BOB, CARL: "box-c", DORA: DORA}


def plain(user, password):
    """The message of SASL PLAIN, in base64."""
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()


class Connecting:
    """How mail programs of Python's library connect: from `source` to `address`, where `header` is said before all else; with `context`
    TLS at once, asking for the name `sni`.

    sasl() logs in with any mechanism: `respond` makes an answer of each challenge, beginning with an empty one."""

    context = None
    source = ""
    address = "127.0.0.1"
    header = b""
    sni = NAME

    def prepare(self, context, source="", address="127.0.0.1", header=b"", sni=NAME):
        self.context, self.source, self.address, self.header, self.sni = context, source, address, header, sni

    def opened(self, port, timeout=PATIENCE_S):
        sock = socket.create_connection((self.address, port), timeout, (self.source, 0) if self.source else None)
        sock.sendall(self.header)
        return self.context.wrap_socket(sock, server_hostname=self.sni) if self.context else sock


class ImapProgram(Connecting, MailProgram):
    def __init__(self, port, context=None, **how):
        self.prepare(context, **how)
        super().__init__(port, context, self.sni)

    def _create_socket(self, timeout):
        return self.opened(self.port, timeout)

    def log_in(self, user, password):
        """imaplib quotes passwords for itself, but takes only ASCII; PLAIN takes all."""
        if password.isascii():
            return self.login(user, password)
        return self.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode())

    def sasl(self, mechanism, respond):
        return self.authenticate(mechanism, respond)


class PopProgram(Connecting, poplib.POP3):
    def __init__(self, port, context=None, **how):
        self.prepare(context, **how)
        super().__init__("127.0.0.1", port, PATIENCE_S)

    def _create_socket(self, timeout):
        return self.opened(self.port, timeout)

    def starttls(self, context):
        self.host = self.sni
        return self.stls(context)

    def log_in(self, user, password):
        self.user(user)
        return self.pass_(password)

    def sasl(self, mechanism, respond):
        said = self._shortcmd("AUTH " + mechanism)
        while said.startswith(b"+ "):
            said = self._shortcmd(base64.b64encode(respond(base64.b64decode(said[2:]))).decode())

    def hang_up(self):
        self.close()


class SmtpProgram(Connecting, smtplib.SMTP):
    def __init__(self, port, context=None, **how):
        self.prepare(context, **how)
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

    def sasl(self, mechanism, respond):
        self.ehlo_or_helo_if_needed()
        code, text = self.docmd("AUTH", mechanism)
        while code == 334:
            code, text = self.docmd(base64.b64encode(respond(base64.b64decode(text))).decode())
        if code != 235:
            raise smtplib.SMTPAuthenticationError(code, text)

    def hang_up(self):
        self.close()


class SieveError(Exception):
    pass


class SieveProgram(Connecting):
    """A mail program that keeps scripts at the mail server (RFC 5804). `capabilities` are those that were said without being asked for."""

    def __init__(self, port, context=None, **how):
        self.prepare(context, **how)
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

    def sasl(self, mechanism, respond):
        self.sock.sendall(f'AUTHENTICATE "{mechanism}"\r\n'.encode())
        while challenge := re.fullmatch(r'"(.*)"', line := self.read_line()):
            answer = base64.b64encode(respond(base64.b64decode(challenge.group(1)))).decode()
            self.sock.sendall(f'"{answer}"\r\n'.encode())
        if not line.startswith("OK"):
            raise SieveError(line)

    def put(self, name, script):
        self.say(f'PUTSCRIPT "{name}" {{{len(script.encode())}+}}\r\n{script}')

    def get(self, name):
        return re.fullmatch(r'"(.*)"', self.say(f'GETSCRIPT "{name}"')[0], re.S).group(1)


MAIL_PROGRAMS = {"imap": ImapProgram, "pop3": PopProgram, "submission": SmtpProgram, "sieve": SieveProgram}
REFUSALS = (MailProgram.error, poplib.error_proto, smtplib.SMTPAuthenticationError, SieveError)


def letter(text, subject="news"):
    """A mail as a mail program hands it over: without its end, and with no line that begins with a dot."""
    return f"From: <{BOB}>\r\nTo: <friend@example.test>\r\nSubject: {subject}\r\n\r\n{text}\r\n"


def shown(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def listen_text(port, protocol, tls, pool, more="", address="127.0.0.1"):
    text = f'[[listen]]\naddresses = ["{address}:{port}"]\nprotocol = "{protocol}"\ntls = "{tls}"\n'
    return text + (f'pool = "{pool}"\n' if pool else "") + more + "\n"


def pool_text(name, protocol, member, more=""):
    return f'[[pool]]\nname = "{name}"\nprotocol = "{protocol}"\nmembers = ["{member}"]\n{more}\n'


class Doors(World):
    """A gate with doors that are named by protocol, TLS at the front (implicit, starttls), and TLS at the back (none, starttls,
    implicit) or "dead", where the mail server is not there. The door "alpn" serves all protocols. Behind them: one Dovecot, and a
    Sink for its mail.

    Instead of TLS at the back, a class may have names of its own: then its pool() and door_text() say what is behind, and how such
    doors are set. In all settings, FOLDER stands for the folder of the test."""

    certificates = {"mail": (NAME, "ec"), "local": ("localhost", "ec")}
    dovecot_settings = f"hostname = {STORE}\n"
    pool_settings = ""  # in each [[pool]]
    door_settings = {}  # in the [[listen]] of a door
    haproxy = False
    protocols = PROTOCOLS  # of Dovecot
    ways = [(protocol, back) for protocol in PROTOCOLS for back in BACKS]
    fronts = FRONTS
    more_doors = [*((protocol, "implicit", "dead") for protocol in PROTOCOLS), "alpn"]
    down = ["dead"]  # no health check ever finds a mail server there

    def build(self, add_cleanup):
        self.door_names = [*((protocol, front, back) for protocol, back in self.ways for front in self.fronts), *self.more_doors]
        World.make_folder(self, add_cleanup)
        make_certificate(self.folder, "store", STORE)
        self.sink = Sink("8BITMIME", "PIPELINING")
        add_cleanup(self.sink.stop)
        self.make_files()
        self.dovecot = Dovecot(self.folder, MAILBOXES, MASTERS, self.protocols, "store", self.sink.port, self.haproxy,
                               self.dovecot_settings.replace("FOLDER", str(self.folder)))
        add_cleanup(self.dovecot.stop)
        self.dovecot.start()
        self.tls_ports = dict(self.dovecot.tls_ports)
        if "sieve" in self.protocols:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.folder / "store.crt", self.folder / "store.key")
            self.sieve_tls = TlsEnd(self.dovecot.ports["sieve"], context)
            add_cleanup(self.sieve_tls.stop)
            self.tls_ports["sieve"] = self.sieve_tls.port
        self.helper = self.make_helper()
        add_cleanup(self.helper.stop)
        self.helper.start()
        self.gate = Gate(world.POSTERN, self.folder, lambda *ports: Doors.configuration(self, *ports), len(self.door_names))
        add_cleanup(self.gate.stop)
        self.gate.start()
        self.gate.wait_for_capabilities(*("-".join(way) for way in self.ways if way[1] not in self.down))

    @classmethod
    def make_files(cls):
        """Whatever else the settings speak of."""

    @classmethod
    def make_helper(cls):
        cls.helper = Helper(world.POSTERN_AUTH, cls.folder)
        Doors.add_users(cls)
        return cls.helper

    @classmethod
    def door_text(cls, door):
        return cls.door_settings.get(door, "")

    @classmethod
    def pool(cls, protocol, back):
        """The member and the settings of a pool."""
        if back == "dead":
            return f"127.0.3.9:{cls.dovecot.ports[protocol]}", ""
        port = (cls.tls_ports if back == "implicit" else cls.dovecot.ports)[protocol]
        return f"127.0.0.1:{port}", Doors.back_tls_text(cls, back) + cls.pool_settings

    @classmethod
    def address(cls, door):
        """Where it listens."""
        return "127.0.0.1"

    def add_users(self):
        """As elsewhere, but the door's pool says where everybody's mailbox is."""
        self.helper.add(ANN, PASSWORDS[ANN])
        self.helper.add(BOB, PASSWORDS[BOB], MASTERS["gate"], master_user="gate", master_password=True)
        self.helper.add(CARL, PASSWORDS[CARL], MAILBOXES["box-c"], back_user="box-c", back_password=True)
        self.helper.add(DORA, PASSWORDS[DORA])

    def configuration(self, *ports):
        text = Doors.head_text(self)
        for door, port in zip(self.door_names, ports):
            more = self.door_text(door)
            if door == "alpn":
                more += f"pools = {[protocol + '-none' for protocol in PROTOCOLS]}\n"
                text += listen_text(port, "alpn", "implicit", None, more)
            else:
                protocol, front, back = door
                text += listen_text(port, protocol, front, f"{protocol}-{back}", more, self.address(door))
        for protocol, back in dict.fromkeys((door[0], door[2]) for door in self.door_names if door != "alpn"):
            text += pool_text(f"{protocol}-{back}", protocol, *self.pool(protocol, back))
        return text.replace("FOLDER", str(self.folder))

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

    def connect(self, protocol, front="implicit", back="none", in_clear=False, context=None, **how):
        """A mail program before its login. `in_clear`: before STARTTLS, too."""
        context = context or self.context
        how.setdefault("address", self.address((protocol, front, back)).strip("[]"))
        log_size = len(self.gate.log())
        mail = MAIL_PROGRAMS[protocol](self.door(protocol, front, back), context if front == "implicit" else None, **how)
        self.addCleanup(mail.hang_up)
        mail.log_size = log_size
        if front == "starttls" and not in_clear:
            mail.starttls(context)
        return mail

    def log_in(self, protocol, user=DORA, front="implicit", back="none", **how):
        mail = self.connect(protocol, front, back, **how)
        mail.log_in(user, PASSWORDS[user])
        return mail

    def refusal(self, mail, user=DORA, password="wrong-secret"):
        """The whole sentence that a login is refused with."""
        return self.sentence(lambda: mail.log_in(user, password))

    def sentence(self, log_in):
        """The whole sentence with which this attempt is refused."""
        with self.assertRaises(REFUSALS) as caught:
            log_in()
        error = caught.exception
        if isinstance(error, smtplib.SMTPAuthenticationError):
            return f"{error.smtp_code} {error.smtp_error.decode()}"
        return error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0]

    def line_about(self, mail, event):
        """The gate's line about this connection, and not about an older one from the same port."""
        front = re.escape(shown(*mail.sock.getsockname()[:2]))
        return self.gate.wait_for_log(rf" {event} .*front={front} .*$", mail.log_size).group()

    def run_program(self, *words, stdin="", status=0, **options):
        """What it says."""
        done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=PATIENCE_S, check=False, **options)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def curl(self, protocol, front, path, *options, back="none", user=ANN, password=None, status=0):
        port = self.door(protocol, front, back)
        scheme = {"submission": "smtp"}.get(protocol, protocol) + ("s" if front == "implicit" else "")
        with_tls = [] if front == "implicit" else ["--ssl-reqd"]
        return self.run_program(
            "curl", "--silent", "--show-error", "--noproxy", "*", "--cacert", f"{self.folder}/ca.crt", "--resolve",
            f"{NAME}:{port}:127.0.0.1", "--user", f"{user}:{PASSWORDS[user] if password is None else password}", *with_tls, *options,
            f"{scheme}://{NAME}:{port}/{path}", status=status)

    def curl_uses(self, protocol, front, text, *options, **how):
        """curl reads Ann's mail, or sends one with that text: whatever the protocol is for."""
        if protocol != "submission":
            path = {"imap": "INBOX;MAILINDEX=1", "pop3": "1"}[protocol]
            self.assertIn(f"This is {ANN}'s.", self.curl(protocol, front, path, *options, **how))
        else:
            (self.folder / "letter").write_bytes(letter(text).encode())
            self.curl(protocol, front, "client.example.test", "--mail-from", ANN, "--mail-rcpt", "friend@example.test", "--upload-file",
                      str(self.folder / "letter"), *options, **how)
            self.assertEqual(self.sink.wait_for_mail(text).sender, ANN)

    def mbsync(self, copy, front, box, account, **how):
        """It copies the only mail of the box into the folder `copy`."""
        copy = self.folder / f"mbsync-{copy}"
        copy.mkdir()
        (copy / "config").write_text(
            f"IMAPAccount gate\nHost localhost\nPort {self.door('imap', front, **how)}\n"
            f"SSLType {'IMAPS' if front == 'implicit' else 'STARTTLS'}\nSystemCertificates no\nCertificateFile {self.folder}/ca.crt\n"
            f"{account}\n\nIMAPStore far\nAccount gate\n\nMaildirStore near\nInbox {copy}/Inbox\n\n"
            "Channel all\nFar :far:\nNear :near:\nCreate Near\nSyncState *\n")
        self.run_program("mbsync", "-c", f"{copy}/config", "all")
        mail, = (copy / "Inbox" / "new").iterdir()
        self.assertIn(f"This is {box}'s.", mail.read_text())

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
    def assert_nobody_else_has_logged_in(cls):
        """Each login at the mail server is one that the gate has granted. Their lines come when they like, so this is asked at the end."""
        def counts():
            return len(re.findall(r" Login: user=<", cls.dovecot.log())), len(re.findall(r" info login ", cls.gate.log()))
        wait_until(lambda: len(set(counts())) == 1, lambda: f"for as many logins at the mail server as the gate granted: {counts()}")

    @classmethod
    def assert_no_password_is_in_a_log(cls, *more):
        for log in (cls.gate.log(), cls.helper.log() if isinstance(cls.helper, Helper) else ""):
            for secret in more:
                assert secret not in log, "a secret is in the log"
            for user, password in PASSWORDS.items():
                for secret in (password, plain(user, password), base64.b64encode(password.encode()).decode()):
                    assert secret not in log, "a password is in the log"
            for secret in ("wrong-secret", *MAILBOXES.values(), *MASTERS.values()):
                assert secret not in log, "a password is in the log"
