# SPDX-License-Identifier: GPL-3.0-or-later
"""SASL EXTERNAL: users come with a certificate and no password, and the gate logs in at a real Dovecot for them as a master user."""

import socket
import ssl
import sys

import tap
import world
from doors import FRONTS, LATER, WRONG, Doors
from programs import PATIENCE_S, PROTOCOLS
from servers import ExampleHelper
from world import ANN, BOB, CARL, DORA, MASTERS, NAME, PASSWORDS, make_certificate, make_revocation_list, openssl

EVE = "eve@example.test"  # has a certificate, but nobody knows her
MALLORY = "mallory@example.test"  # about him, nobody can say anything now

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def verify(question):
    """The certificate says all; with a password, only Bob is known."""
    if question["mechanism"] != "EXTERNAL":
        right = (question["user"], question["password"]) == (BOB, PASSWORDS[BOB])
        return {"result": "ok", "master_user": "gate", "master_password": MASTERS["gate"]} if right else refusal("credentials")
    user = question["email"]
    if user == MALLORY:
        return {"result": "unavailable", "text": "no idea"}
    if user not in PASSWORDS:
        return refusal("credentials")
    if question.get("authzid", user) != user:
        return refusal("not_allowed")
    return {"result": "ok", "user": user, "master_user": "gate", "master_password": MASTERS["gate"]}


def refusal(reason):
    return {"result": "reject", "reason": reason}


class Certificates(Doors):
    """The doors ask for certificates of the users' CA. All CAs of this test have the same name."""

    ways = [(protocol, "certificates") for protocol in PROTOCOLS]
    more_doors = []

    @classmethod
    def make_files(cls):
        for file, user, authority in [("ann", ANN, "users"), ("bob", BOB, "users"), ("eve", EVE, "users"), ("mallory", MALLORY, "users"),
                                      ("revoked", ANN, "users"), ("forged", ANN, "other")]:
            make_certificate(cls.folder, file, "A User", authority=authority, alternative="email:" + user)
        make_revocation_list(cls.folder, "users-list", "revoked", authority="users")

    @classmethod
    def make_helper(cls):
        return ExampleHelper(cls.folder, verify)

    @classmethod
    def door_text(cls, door):
        return 'mechanisms = ["PLAIN", "EXTERNAL"]\nclient_ca = "FOLDER/users.crt"\nclient_crl = "FOLDER/users-list.crl"\n'

    @classmethod
    def pool(cls, protocol, back):
        return super().pool(protocol, "none")

    def showing(self, file, version=ssl.TLSVersion.MAXIMUM_SUPPORTED):
        """What a mail program with that certificate, or with none, wants of TLS."""
        context = ssl.create_default_context(cafile=f"{self.folder}/ca.crt")
        context.maximum_version = version
        if file:
            context.load_cert_chain(f"{self.folder}/{file}.crt", f"{self.folder}/{file}.key")
        return context

    def program(self, protocol, file, front="implicit"):
        return self.connect(protocol, front, "certificates", context=self.showing(file))

    def external(self, mail, as_whom=""):
        mail.sasl("EXTERNAL", lambda _: as_whom.encode())

    def test_the_certificate_is_all_it_takes(self):
        for protocol in PROTOCOLS:
            for front in FRONTS:
                for as_whom in ("", ANN):
                    with self.subTest(protocol=protocol, front=front, as_whom=as_whom):
                        before = len(self.dovecot.log())
                        mail = self.program(protocol, "ann", front)
                        self.external(mail, as_whom)
                        self.logged_in_at_the_mail_server(ANN, protocol, before)
                        self.assertIn(f" user={ANN} mechanism=EXTERNAL protocol={protocol} ", self.line_about(mail, "login"))

    def test_curl(self):
        for protocol in ("imap", "pop3", "submission"):
            for front in FRONTS:
                with self.subTest(protocol=protocol, front=front):
                    self.curl_uses(protocol, front, f"with a certificate, {front}", "--cert", f"{self.folder}/ann.crt", "--key",
                                   f"{self.folder}/ann.key", "--login-options", "AUTH=EXTERNAL", back="certificates", password="")

    def test_the_helper_hears_what_stands_in_the_certificate(self):
        before = len(self.helper.questions)
        self.external(self.program("imap", "bob"))
        question, = self.helper.questions[before:]
        self.assertEqual((question["user"], question["email"], question["common_name"], question["subject"]),
                         ("", BOB, "A User", "CN=A User"))
        self.assertNotIn("password", question)
        fingerprint = openssl("x509", "-in", f"{self.folder}/bob.crt", "-noout", "-fingerprint", "-sha256").stdout
        self.assertEqual(question["fingerprint"], fingerprint.strip().split("=")[1].replace(":", "").lower())

    def assert_turned_away(self, file, alert, reason):
        for protocol in PROTOCOLS:
            for version in VERSIONS:
                with self.subTest(protocol=protocol, version=version.name):
                    before, log_size = len(self.helper.questions), len(self.gate.log())
                    # In TLS 1.3 the mail program believes that it is in, until it wants to hear the greeting.
                    with self.assertRaisesRegex((ssl.SSLError, EOFError, OSError), alert):
                        self.external(self.connect(protocol, "implicit", "certificates", context=self.showing(file, version)))
                    self.assertEqual(len(self.helper.questions), before, "nobody is asked")
                    self.gate.wait_for_log(rf" notice handshake-failed .* reason={reason} ", log_size)

    def test_another_cas_certificate(self):
        """A CA that bears the name of the right one."""
        self.assert_turned_away("forged", "(?i)alert (unknown ca|bad certificate|decrypt error)", "client-certificate-refused")

    def test_a_revoked_certificate(self):
        self.assert_turned_away("revoked", "(?i)alert certificate revoked", "client-certificate-revoked")

    def test_a_certificate_is_revoked_while_the_gate_runs(self):
        make_certificate(self.folder, "dora", "A User", authority="users", alternative="email:" + DORA)
        self.external(self.program("imap", "dora"))
        make_revocation_list(self.folder, "users-list", "dora", authority="users")
        self.assertIn(" notice reloaded ", self.gate.reload())
        self.assert_turned_away("dora", "(?i)alert certificate revoked", "client-certificate-revoked")
        self.external(self.program("imap", "ann"))

    def test_without_a_certificate(self):
        """EXTERNAL is not announced and not taken, and passwords count as ever."""
        words = {"imap": "^That mechanism is not offered$", "pop3": r"^-ERR That mechanism is not offered$",
                 "submission": r"^504 5\.5\.4 That mechanism is not offered$", "sieve": '^NO "That mechanism is not offered"$'}
        for protocol in PROTOCOLS:
            for front in FRONTS:
                with self.subTest(protocol=protocol, front=front):
                    mail = self.program(protocol, None, front)
                    self.assertRegex(self.sentence(lambda: self.external(mail)), words[protocol])
                    mail.log_in(BOB, PASSWORDS[BOB])
        self.assertNotIn("AUTH=EXTERNAL", self.program("imap", None).capabilities)
        self.assertIn("AUTH=EXTERNAL", self.program("imap", "ann").capabilities)

    def test_a_password_beside_a_certificate(self):
        """Who has shown one may still be somebody else by a password."""
        before = len(self.dovecot.log())
        self.program("imap", "ann").log_in(BOB, PASSWORDS[BOB])
        self.logged_in_at_the_mail_server(BOB, "imap", before)

    def test_what_the_helper_says(self):
        not_allowed = {"imap": r"^\[AUTHORIZATIONFAILED\] \w", "pop3": r"^-ERR \[SYS/PERM\] \w", "submission": r"^550 5\.7\.1 \w",
                       "sieve": r'^NO "\w'}
        for protocol in PROTOCOLS:
            for file, as_whom, words in [("eve", "", WRONG), ("eve", ANN, WRONG), ("ann", CARL, not_allowed), ("mallory", "", LATER)]:
                with self.subTest(protocol=protocol, file=file, as_whom=as_whom):
                    mail = self.program(protocol, file)
                    self.assertRegex(self.sentence(lambda: self.external(mail, as_whom)), words[protocol])

    def test_no_session_can_be_taken_up(self):
        """It would come without its certificate."""
        for version in VERSIONS:
            with self.subTest(version=version.name):
                context, session = self.showing("ann", version), None
                for _ in range(2):
                    port = self.door("imap", "implicit", "certificates")
                    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as bare, \
                            context.wrap_socket(bare, server_hostname=NAME, session=session) as sock:
                        self.assertIn(b" AUTH=EXTERNAL", sock.recv(1000))
                        self.assertFalse(sock.session_reused)
                        session = sock.session

    @classmethod
    def tearDownClass(cls):
        cls.assert_nobody_else_has_logged_in()
        cls.assert_no_password_is_in_a_log()


if __name__ == "__main__":
    world.POSTERN, world.POSTERN_AUTH = sys.argv[1:3]
    tap.main(sys.argv[3:])
