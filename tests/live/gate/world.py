# SPDX-License-Identifier: GPL-3.0-or-later
"""What the live tests of the gate share: a gate with its mail server, its helper and its users, and mail programs."""

import imaplib
import pathlib
import re
import socket
import ssl
import subprocess
import tempfile
import unittest

from programs import PATIENCE_S, Dovecot, Gate, Helper

POSTERN = POSTERN_AUTH = None  # set by the main program
NAME = "mail.example.test"

# What each types, and what the mail server knows him by. Ann's password is the mail server's too; for Bob, the gate logs in as a master
# user; Carl has another name and another password there; Dora's first mail server is never there.
PASSWORDS = {"ann@example.test": "ann's \\ \"secret\" pässword", "bob@example.test": "bob-secret", "carl@example.test": "carl-secret",
             "dora@example.test": "dora-secret"}
MAILBOXES = {"ann@example.test": PASSWORDS["ann@example.test"], "bob@example.test": "unknown-to-all", "box-c": "box-secret",
             "dora@example.test": "dora-secret"}
MASTERS = {"gate": "master-secret"}
ANN, BOB, CARL, DORA = PASSWORDS


def openssl(*words, stdin="", check=True):
    return subprocess.run(["openssl", *words], input=stdin, capture_output=True, text=True, check=check, timeout=PATIENCE_S)


def make_certificate(folder, file, name, kind="ec", authority="ca", alternative="", digest="sha256"):
    """A certificate of our own CA, or of another one of the same name: file.crt and file.key."""
    if not (folder / f"{authority}.crt").exists():
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj",
                "/CN=Test CA", "-keyout", str(folder / f"{authority}.key"), "-out", str(folder / f"{authority}.crt"))
    options = ["-newkey", "rsa:2048"] if kind == "rsa" else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    openssl("req", *options, "-nodes", "-subj", "/CN=" + name, "-keyout", f"{folder}/{file}.key", "-out", f"{folder}/{file}.csr")
    (folder / "extensions").write_text(f"subjectAltName={alternative or 'DNS:' + name}\n")
    openssl("x509", "-req", "-in", f"{folder}/{file}.csr", "-CA", f"{folder}/{authority}.crt", "-CAkey", f"{folder}/{authority}.key",
            "-days", "30", "-CAcreateserial", "-extfile", str(folder / "extensions"), f"-{digest}", "-out", f"{folder}/{file}.crt")


def make_revocation_list(folder, file, *revoked, authority="ca"):
    """Our CA's word that these certificates count no more: file.crl."""
    (folder / f"{file}.index").touch()
    (folder / f"{file}.conf").write_text(
        f"[ca]\ndefault_ca = it\n[it]\ndatabase = {folder}/{file}.index\ncertificate = {folder}/{authority}.crt\n"
        f"private_key = {folder}/{authority}.key\ndefault_md = sha256\ndefault_crl_days = 30\n")
    for certificate in revoked:
        openssl("ca", "-config", f"{folder}/{file}.conf", "-revoke", f"{folder}/{certificate}.crt")
    openssl("ca", "-config", f"{folder}/{file}.conf", "-gencrl", "-out", f"{folder}/{file}.crl")


def three_doors(implicit, starttls, none):
    """IMAP with TLS from the first byte, on demand, and never, at these ports of ours."""
    return f"""[[listen]]
addresses = ["127.0.0.1:{implicit}"]
[[listen]]
addresses = ["127.0.0.1:{starttls}"]
tls = "starttls"
[[listen]]
addresses = ["127.0.0.1:{none}"]
tls = "none"
login_without_tls = true
"""


class MailProgram(imaplib.IMAP4):
    """Python's own. `context`: TLS at once; the name it asks for is `sni`, wherever it connects to."""

    def __init__(self, port, context=None, sni=NAME):
        self.context, self.sni = context, sni
        super().__init__("127.0.0.1", port, PATIENCE_S)

    def _create_socket(self, timeout):
        sock = super()._create_socket(timeout)
        return self.context.wrap_socket(sock, server_hostname=self.sni) if self.context else sock

    def starttls(self, ssl_context=None):
        self.host = self.sni
        return super().starttls(ssl_context)

    def hang_up(self):
        """Whatever has happened before."""
        self.file.close()
        self.sock.close()

    def first_subject(self):
        self.select("INBOX")
        return self.fetch("1", "(BODY[HEADER.FIELDS (SUBJECT)])")[1][0][1].decode().strip()


class World(unittest.TestCase):
    """A gate for all tests of a class; those that break something make one for each test: `each_its_own`."""

    each_its_own = False
    certificates = {"mail": (NAME, "ec")}  # files: names and kinds of keys
    has_helper = True
    gate_settings = ""  # in [gate]
    drain_timeout = "1s"
    auth_settings = None  # instead of the helper

    @classmethod
    def setUpClass(cls):
        if not cls.each_its_own:
            cls.build(cls, cls.addClassCleanup)

    def setUp(self):
        if self.each_its_own:
            self.build(self.addCleanup)

    def make_folder(self, add_cleanup):
        folder = tempfile.TemporaryDirectory(prefix="postern-gate-")
        add_cleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.folder.chmod(0o711)
        for file, (name, kind) in self.certificates.items():
            make_certificate(self.folder, file, name, kind)
        self.context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))

    def build(self, add_cleanup):
        World.make_folder(self, add_cleanup)
        self.dovecot = Dovecot(self.folder, MAILBOXES, MASTERS)
        add_cleanup(self.dovecot.stop)
        self.dovecot.start()
        self.helper = Helper(POSTERN_AUTH, self.folder)
        if self.has_helper:
            World.add_users(self)
            add_cleanup(self.helper.stop)
            self.helper.start()
        self.gate = Gate(POSTERN, self.folder, lambda *ports: World.configuration(self, *ports))
        add_cleanup(self.gate.stop)
        self.gate.start()

    def add_users(self):
        back = f"127.0.0.1:{self.dovecot.port}"
        self.helper.add(ANN, PASSWORDS[ANN], back=back)
        self.helper.add(BOB, PASSWORDS[BOB], MASTERS["gate"], back=back, master_user="gate", master_password=True)
        self.helper.add(CARL, PASSWORDS[CARL], MAILBOXES["box-c"], back=back, back_user="box-c", back_password=True)
        self.helper.add(DORA, PASSWORDS[DORA], pool="default")

    def configuration(self, implicit, starttls, none):
        auth = self.auth_settings or f'mode = "helper"\nhelper = "{self.helper.socket}"'
        certificates = "".join(f'[[tls.certificate]]\nchain = "{self.folder}/{file}.crt"\nkey = "{self.folder}/{file}.key"\n'
                               for file in self.certificates)
        # Nobody listens at the pool's first member: an address that the mail server does not have.
        return f"""
[gate]
reactors = 2
hostname = "{NAME}"
drain_timeout = "{self.drain_timeout}"
{self.gate_settings}
{certificates}
{three_doors(implicit, starttls, none)}[auth]
{auth}
[[pool]]
name = "default"
members = ["127.0.3.9:{self.dovecot.port}", "127.0.0.1:{self.dovecot.port}"]
[limits]
sessions = 1000
"""

    # Mail programs.

    def connect(self, how="implicit", in_clear=False):
        """A mail program before its login; `how`: implicit, starttls, none. `in_clear`: before STARTTLS, too."""
        mail = MailProgram(self.port(how), self.context if how == "implicit" else None)
        self.addCleanup(mail.hang_up)
        if how == "starttls" and not in_clear:
            mail.starttls(self.context)
        return mail

    def port(self, how):
        return self.gate.ports[("implicit", "starttls", "none").index(how)]

    def log_in(self, user=ANN, how="implicit", password=None):
        mail = self.connect(how)
        password = PASSWORDS[user] if password is None else password
        # imaplib quotes passwords for itself, but takes only ASCII; PLAIN takes all.
        if password.isascii():
            mail.login(user, password)
        else:
            mail.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode())
        return mail

    def refusal(self, user, password, how="implicit"):
        """The sentence that a login is refused with."""
        with self.assertRaises(imaplib.IMAP4.error) as caught:
            self.log_in(user, how, password)
        said = caught.exception.args[0]
        return said.decode() if isinstance(said, bytes) else said

    def raw(self, how="implicit"):
        """A connection without a mail program; all its reads are patient."""
        sock = socket.create_connection(("127.0.0.1", self.port(how)), PATIENCE_S)
        self.addCleanup(sock.close)
        if how == "implicit":
            sock = self.context.wrap_socket(sock, server_hostname=NAME, suppress_ragged_eofs=False)
            self.addCleanup(sock.close)
        return sock

    def end_of_session(self, user, count=1):
        """The gate's line about the end of the user's session, as a dictionary, once there are `count` of them."""
        self.gate.wait_for_log(r"(?s)" + rf" end [^\n]*user={re.escape(user)} .*" * count)
        line = re.findall(rf" end (.*user={re.escape(user)} .*)$", self.gate.log(), re.M)[-1]
        return dict(re.findall(r"(\w+)=(\S+)", line))


def read_to_end(sock):
    data = b""
    while part := sock.recv(65536):
        data += part
    return data
