# SPDX-License-Identifier: GPL-3.0-or-later
"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS at the gate, with keys that postern-auth has made and keeps; behind it a real Dovecot, at which
the gate logs in as a master user. Channels are bound as Python and OpenSSL see them."""

import base64
import concurrent.futures
import hashlib
import re
import ssl
import subprocess
import sys

import tap
import world
from doors import FRONTS, WRONG, Doors
from programs import PATIENCE_S, Helper
from scram import Scram
from world import ANN, BOB, CARL, DORA, MASTERS, NAME, PASSWORDS, make_certificate

LONELY = "o=brien,joe@example.test"  # whose name SCRAM has to write in another way; no mail server knows him
PASSWORDS_HERE = PASSWORDS | {LONELY: "lonely-secret"}
SHA384 = "sha384.example.test"
MALFORMED = {"imap": r"That is not what the mechanism says", "submission": r"^501 5\.5\.2 That is not what the mechanism says$"}
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
END_POINT = "p=tls-server-end-point"
# To s_client.
GOOD = {"imap": "^a OK ", "submission": "^235 "}
BAD = {"imap": r"^a NO \[AUTHENTICATIONFAILED\] ", "submission": r"^535 5\.7\.8 "}


def end_point(mail, name="sha256"):
    """RFC 5929, section 4.1."""
    return hashlib.new(name, mail.sock.getpeercert(binary_form=True)).digest()


class SClient:
    """openssl s_client as a mail program, with what RFC 9266 makes of its keys: `binding`. TLS 1.2 tells an empty context from none, and
    s_client, which can only say none, would be wrong there."""

    def __init__(self, test, port, protocol, front, *options):
        starttls = ["-starttls", {"submission": "smtp"}.get(protocol, protocol)] if front == "starttls" else []
        self.protocol = protocol
        self.process = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", NAME, "-CAfile", f"{test.folder}/ca.crt",
             "-verify_return_error", "-tls1_3", "-keymatexport", "EXPORTER-Channel-Binding", "-keymatexportlen", "32", *starttls, *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        test.addCleanup(self.process.communicate)
        test.addCleanup(self.process.kill)
        self.binding = bytes.fromhex(self.line(r" *Keying material: ([0-9A-F]{64})$").group(1))
        if front == "implicit":
            self.line(r"(\* OK|220) ")

    def line(self, pattern):
        """The next one that matches; it prints more than the gate says."""
        for line in self.process.stdout:
            if found := re.match(pattern, line.decode().rstrip("\r\n")):
                return found
        raise EOFError(pattern)

    def say(self, text):
        self.process.stdin.write(text.encode() + b"\r\n")
        self.process.stdin.flush()

    def sasl(self, mechanism, respond):
        """The last line that the gate says."""
        if self.protocol == "submission":
            self.say("EHLO client.example.test")
            self.line("250 ")
        self.say("AUTH " + mechanism if self.protocol == "submission" else "a AUTHENTICATE " + mechanism)
        while found := self.line(r"(?:334|\+) (.*)|(?:a (?:OK|NO|BAD)|[25]\d\d) .*$"):
            if found.group(1) is None:
                return found.group()
            self.say(base64.b64encode(respond(base64.b64decode(found.group(1)))).decode())


class Keys(Doors):
    """At the doors "plus", both mechanisms are offered and PLAIN, at "bare" only the one that does not look at the channel. Bob's
    password is no SCRAM key."""

    certificates = {"mail": (NAME, "ec"), "local": ("localhost", "ec"), "sha384": (SHA384, "rsa")}
    protocols = ("imap", "submission")
    ways = [(protocol, back) for protocol in ("imap", "submission") for back in ("plus", "bare")]
    more_doors = []

    @classmethod
    def make_files(cls):
        make_certificate(cls.folder, "sha384", SHA384, "rsa", digest="sha384")

    @classmethod
    def make_helper(cls):
        users = cls.folder / "scram-users"
        helper = Helper(world.POSTERN_AUTH, cls.folder, f'type = "passwd-file"\nfile = "{users}"\nmaster_user = "gate"\n'
                        f'master_password = "{MASTERS["gate"]}"\n')
        cls.keys = {user: helper.hash(PASSWORDS_HERE[user], "scram-sha-256") for user in (ANN, DORA, LONELY)}
        # Made by somebody else, and with fewer rounds.
        cls.keys[CARL] = subprocess.run(["doveadm", "pw", "-s", "SCRAM-SHA-256", "-p", PASSWORDS[CARL]], capture_output=True, text=True,
                                        check=True, timeout=PATIENCE_S).stdout.strip()
        cls.keys[BOB] = helper.hash(PASSWORDS[BOB], "sha512")
        routes = {CARL: "back_user=box-c", LONELY: f"back_user={DORA}"}
        users.write_text("".join(f"{user}:{keys}::::::{routes.get(user, '')}\n" for user, keys in cls.keys.items()))
        return helper

    @classmethod
    def door_text(cls, door):
        plus = 'mechanisms = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN"]\n'
        return plus if door[2] == "plus" else 'mechanisms = ["SCRAM-SHA-256"]\n'

    @classmethod
    def pool(cls, protocol, back):
        return super().pool(protocol, "none")

    def context_of(self, version):
        context = ssl.create_default_context(cafile=f"{self.folder}/ca.crt")
        context.minimum_version = context.maximum_version = version
        return context

    def test_the_password_stays_at_home(self):
        for protocol in self.protocols:
            for front, back in (("implicit", "plus"), ("starttls", "plus"), ("implicit", "bare")):
                for user, box in [(ANN, ANN), (CARL, "box-c"), (LONELY, DORA)]:
                    with self.subTest(protocol=protocol, front=front, back=back, user=user):
                        before = len(self.dovecot.log())
                        mail = self.connect(protocol, front, back)
                        scram = Scram(user, PASSWORDS_HERE[user])
                        mail.sasl("SCRAM-SHA-256", scram.respond)
                        self.assertTrue(scram.proven)
                        self.logged_in_at_the_mail_server(box, protocol, before)
                        self.assertIn(" mechanism=SCRAM-SHA-256 ", self.line_about(mail, "login"))

    def test_bound_to_the_certificate(self):
        for protocol in self.protocols:
            for front in FRONTS:
                for version in VERSIONS:
                    for name, digest in [(NAME, "sha256"), (SHA384, "sha384")]:
                        with self.subTest(protocol=protocol, front=front, version=version.name, digest=digest):
                            before = len(self.dovecot.log())
                            mail = self.connect(protocol, front, "plus", context=self.context_of(version), sni=name)
                            scram = Scram(DORA, PASSWORDS[DORA], END_POINT, end_point(mail, digest))
                            mail.sasl("SCRAM-SHA-256-PLUS", scram.respond)
                            self.assertTrue(scram.proven)
                            self.logged_in_at_the_mail_server(DORA, protocol, before)

    def test_a_mail_program_that_knows_no_plus_says_so(self):
        """"y" is all right where the gate has not offered to look at the channel."""
        for protocol in self.protocols:
            with self.subTest(protocol=protocol):
                scram = Scram(DORA, PASSWORDS[DORA], "y")
                self.connect(protocol, back="bare").sasl("SCRAM-SHA-256", scram.respond)
                self.assertTrue(scram.proven)

    def test_what_is_offered(self):
        offered = {"plus": ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN"], "bare": ["SCRAM-SHA-256"]}
        for back, mechanisms in offered.items():
            for front in FRONTS:
                with self.subTest(back=back, front=front):
                    said = self.connect("imap", front, back).capabilities
                    self.assertEqual([word.removeprefix("AUTH=") for word in said if word.startswith("AUTH=")], mechanisms)
                    mail = self.connect("submission", front, back)
                    mail.ehlo()
                    self.assertEqual(mail.esmtp_features["auth"].split(), mechanisms)

    def test_the_same_keys_hold_for_a_password(self):
        for user in (ANN, CARL, BOB):
            with self.subTest(user=user):
                self.connect("imap", back="plus").sasl("PLAIN", lambda _, user=user: f"\0{user}\0{PASSWORDS[user]}".encode())
        mail = self.connect("imap", back="plus")
        self.assertRegex(self.sentence(lambda: mail.sasl("PLAIN", lambda _: f"\0{ANN}\0wrong-secret".encode())), WRONG["imap"])

    def test_mbsync(self):
        """Cyrus's SASL is its own opinion of SCRAM."""
        self.mbsync("scram", "implicit", "box-c", f"AuthMechs SCRAM-SHA-256\nUser {CARL}\nPass {PASSWORDS[CARL]}", back="bare")

    # Bound to the keys of TLS.

    def mail(self, protocol, front, *options):
        return SClient(self, self.door(protocol, front, "plus"), protocol, front, *options)

    def log_in_bound(self, mail):
        scram = Scram(DORA, PASSWORDS[DORA], "p=tls-exporter", mail.binding)
        self.assertRegex(mail.sasl("SCRAM-SHA-256-PLUS", scram.respond), GOOD[mail.protocol])
        self.assertTrue(scram.proven)

    def test_bound_to_the_keys(self):
        for protocol in self.protocols:
            for front in FRONTS:
                with self.subTest(protocol=protocol, front=front):
                    before = len(self.dovecot.log())
                    self.log_in_bound(self.mail(protocol, front))
                    self.logged_in_at_the_mail_server(DORA, protocol, before)

    def test_bound_to_the_keys_of_a_session_that_was_taken_up(self):
        file = f"{self.folder}/session"
        first = self.mail("imap", "implicit", "-sess_out", file)
        first.say("a LOGOUT")
        first.process.communicate(timeout=PATIENCE_S)
        before = self.gate.total("resumed")
        self.log_in_bound(self.mail("imap", "implicit", "-sess_in", file))
        self.assertEqual(self.gate.total("resumed"), before + 1)

    def test_another_connections_keys(self):
        """Whoever sits in between has two connections, and each has its own."""
        mail, other = self.mail("imap", "implicit"), self.mail("imap", "implicit")
        self.assertNotEqual(mail.binding, other.binding)
        scram = Scram(DORA, PASSWORDS[DORA], "p=tls-exporter", other.binding)
        self.assertRegex(mail.sasl("SCRAM-SHA-256-PLUS", scram.respond), BAD["imap"])
        self.assertFalse(scram.proven)

    # Refusals.

    def refused(self, protocol, back, mechanism, make):
        """What is said to an attempt that `make` makes of a connection, and whether the gate has shown the keys."""
        mail = self.connect(protocol, back=back)
        scram = make(mail)
        return self.sentence(lambda: mail.sasl(mechanism, scram.respond)), scram.proven

    def test_what_does_not_fit(self):
        """All are told the same, and after the same while; so all are tried at once."""
        password = PASSWORDS[DORA]
        attempts = {
            "wrong password": ("SCRAM-SHA-256", lambda mail: Scram(DORA, "wrong-secret")),
            "unknown user": ("SCRAM-SHA-256", lambda mail: Scram("nobody@example.test", password)),
            "no keys": ("SCRAM-SHA-256", lambda mail: Scram(BOB, PASSWORDS[BOB])),
            "wrong password, bound": ("SCRAM-SHA-256-PLUS", lambda mail: Scram(DORA, "wrong-secret", END_POINT, end_point(mail))),
            "another certificate": ("SCRAM-SHA-256-PLUS", lambda mail: Scram(
                DORA, password, END_POINT, hashlib.sha256(ssl.PEM_cert_to_DER_cert((self.folder / "store.crt").read_text())).digest())),
            "nothing bound": ("SCRAM-SHA-256-PLUS", lambda mail: Scram(DORA, password, END_POINT)),
            "a part bound": ("SCRAM-SHA-256-PLUS", lambda mail: Scram(DORA, password, END_POINT, end_point(mail)[:-1])),
            "exporter's type": ("SCRAM-SHA-256-PLUS", lambda mail: Scram(
                DORA, password, "p=tls-exporter", b"", END_POINT.encode() + b",," + end_point(mail))),
            "bound what was not announced": ("SCRAM-SHA-256", lambda mail: Scram(DORA, password, "n", end_point(mail))),
            "announced y": ("SCRAM-SHA-256", lambda mail: Scram(DORA, password, "n", bound=b"y,,")),
            "another nonce": ("SCRAM-SHA-256", lambda mail: Scram(DORA, password, nonce=lambda nonce: nonce[:-1] + "!")),
            "its own nonce": ("SCRAM-SHA-256", lambda mail: Scram(DORA, password, nonce=lambda nonce: nonce[:24])),
        }
        with concurrent.futures.ThreadPoolExecutor(2 * len(attempts)) as pool:
            said = {(protocol, name): pool.submit(self.refused, protocol, "plus", *attempt)
                    for protocol in self.protocols for name, attempt in attempts.items()}
        for (protocol, name), answer in said.items():
            with self.subTest(protocol=protocol, name=name):
                sentence, proven = answer.result()
                self.assertRegex(sentence, WRONG[protocol])
                self.assertFalse(proven)
        self.gate.wait_for_log(rf" login-failed .*user={DORA} mechanism=SCRAM-SHA-256-PLUS protocol=submission .*reason=credentials$")

    def test_downgrades(self):
        """"y" says that somebody has taken -PLUS out of the list; and a flag that contradicts the mechanism."""
        for protocol in self.protocols:
            for mechanism, flag in [("SCRAM-SHA-256", "y"), ("SCRAM-SHA-256-PLUS", "y"), ("SCRAM-SHA-256-PLUS", "n"),
                                    ("SCRAM-SHA-256", END_POINT), ("SCRAM-SHA-256-PLUS", "p=tls-unique"), ("SCRAM-SHA-256-PLUS", "p=")]:
                with self.subTest(protocol=protocol, mechanism=mechanism, flag=flag):
                    sentence, proven = self.refused(protocol, "plus", mechanism, lambda mail, flag=flag: Scram(
                        DORA, PASSWORDS[DORA], flag, end_point(mail) if flag == END_POINT else b""))
                    self.assertRegex(sentence, MALFORMED[protocol])
                    self.assertFalse(proven)

    def test_plus_is_offered_where_it_is_set_only(self):
        words = {"imap": "^That mechanism is not offered$", "submission": r"^504 5\.5\.4 That mechanism is not offered$"}
        for protocol in self.protocols:
            with self.subTest(protocol=protocol):
                sentence, _ = self.refused(protocol, "bare", "SCRAM-SHA-256-PLUS", lambda mail: Scram(
                    DORA, PASSWORDS[DORA], END_POINT, end_point(mail)))
                self.assertRegex(sentence, words[protocol])

    def challenge(self, user):
        mail = self.connect("imap", back="bare")
        scram = Scram(user, "wrong-secret")

        def stop(challenge):
            if challenge:
                scram.server_first = challenge.decode()
                return None
            return scram.respond(challenge)

        self.sentence(lambda: mail.sasl("SCRAM-SHA-256", stop))
        return scram.attributes()

    def test_nobody_learns_who_exists(self):
        """Strangers have rounds and a salt as those have whose keys postern-auth has made, and always the same ones."""
        ours = self.challenge(DORA)
        for user in ("nobody@example.test", BOB):
            with self.subTest(user=user):
                theirs = self.challenge(user)
                self.assertEqual(theirs["i"], ours["i"])
                self.assertEqual(len(base64.b64decode(theirs["s"])), len(base64.b64decode(ours["s"])))
                self.assertNotEqual(theirs["s"], ours["s"])
                self.assertEqual(self.challenge(user)["s"], theirs["s"])
        for user in (DORA, "nobody@example.test"):
            self.assertEqual(self.challenge(user.upper())["s"], self.challenge(user)["s"], "whichever way it is written")

    def test_the_same_connection_may_try_again(self):
        for protocol in self.protocols:
            with self.subTest(protocol=protocol):
                mail = self.connect(protocol, back="plus")
                self.sentence(lambda: mail.sasl("SCRAM-SHA-256", Scram(DORA, PASSWORDS[DORA], "y").respond))
                mail.sasl("SCRAM-SHA-256-PLUS", Scram(DORA, PASSWORDS[DORA], END_POINT, end_point(mail)).respond)

    @classmethod
    def tearDownClass(cls):
        cls.assert_nobody_else_has_logged_in()
        cls.assert_no_password_is_in_a_log(*(part for keys in cls.keys.values() for part in keys.split(",")[1:]))


if __name__ == "__main__":
    world.POSTERN, world.POSTERN_AUTH = sys.argv[1:3]
    tap.main(sys.argv[3:])
