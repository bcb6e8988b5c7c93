# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS between the gate and a real Dovecot: keys that are pinned, authorities and names. Where one of them is wrong, nobody logs in, the
user is told to try later, and no password has crossed in clear. What crosses is seen by a Passage in between."""

import base64
import hashlib
import re
import sys

import tap
import world
from doors import LATER, STORE, Doors, plain
from programs import PROTOCOLS
from servers import Passage
from world import DORA, PASSWORDS, make_certificate, openssl

RIGHT = ("authority", "pin", "pins")
# What the log says of each.
WRONG = {"wrong-pin": ("pin-mismatch", "the mail server's key is none of the pool's `tls_pins`"),
         "wrong-authority": ("certificate-refused", "not signed by a CA that the pool trusts"),
         "wrong-name": ("wrong-name", "bears another name than the pool's `tls_name`")}
TLS = ("implicit", "starttls")
# What may cross before TLS begins: nothing with it at once, and else only these.
IN_CLEAR = {"imap": rb"(P\d+ (CAPABILITY|STARTTLS)\r\n)*", "pop3": rb"((CAPA|STLS)\r\n)*",
            "submission": rb"((EHLO [^ \r\n]+|STARTTLS)\r\n)*", "sieve": rb"(STARTTLS\r\n)*"}
# How a handshake begins.
CLIENT_HELLO = b"\x16\x03"


class Backs(Doors):
    """Doors by the pool's trust and its TLS. All of a protocol lead to the same port, whatever the pool thinks of it."""

    fronts = ("implicit",)
    ways = [(protocol, f"{trust}-{tls}") for protocol in PROTOCOLS for trust in (*RIGHT, *WRONG) for tls in TLS]
    more_doors = []
    down = [f"{trust}-{tls}" for trust in WRONG for tls in TLS]

    @classmethod
    def make_files(cls):
        # Another key for the same name; and another authority of the same name.
        make_certificate(cls.folder, "twin", STORE)
        make_certificate(cls.folder, "stranger", STORE, authority="other")
        cls.pins = {certificate: cls.pin(certificate) for certificate in ("store", "twin")}
        cls.passages = {}

    @classmethod
    def passage(cls, protocol, tls):
        if (protocol, tls) not in cls.passages:
            passage = Passage((cls.tls_ports if tls == "implicit" else cls.dovecot.ports)[protocol])
            cls.addClassCleanup(passage.stop)
            cls.passages[protocol, tls] = passage
        return cls.passages[protocol, tls]

    @classmethod
    def pin(cls, certificate):
        """RFC 7469, section 2.4."""
        key = openssl("x509", "-in", f"{cls.folder}/{certificate}.crt", "-noout", "-pubkey").stdout
        return base64.b64encode(hashlib.sha256(base64.b64decode("".join(key.splitlines()[1:-1]))).digest()).decode()

    @classmethod
    def pool(cls, protocol, back):
        trust, _, tls = back.rpartition("-")
        named = f'tls_name = "{STORE}"\n'
        more = {"authority": named + 'tls_ca = "FOLDER/ca.crt"\n', "pin": f'tls_pins = ["{cls.pins["store"]}"]\n',
                "pins": f'tls_pins = ["{cls.pins["twin"]}", "{cls.pins["store"]}"]\n', "wrong-pin": f'tls_pins = ["{cls.pins["twin"]}"]\n',
                "wrong-authority": named + 'tls_ca = "FOLDER/other.crt"\n',
                "wrong-name": 'tls_name = "other.example.test"\ntls_ca = "FOLDER/ca.crt"\n'}
        return f"127.0.0.1:{cls.passage(protocol, tls).port}", f'tls = "{tls}"\n' + more[trust]

    def for_each(self, trusts, play):
        for protocol in PROTOCOLS:
            for tls in TLS:
                for trust in trusts:
                    with self.subTest(protocol=protocol, tls=tls, trust=trust):
                        play(protocol, tls, trust)

    def assert_served(self, protocol, tls, trust):
        before = len(self.dovecot.log())
        self.log_in(protocol, DORA, back=f"{trust}-{tls}")
        line = self.logged_in_at_the_mail_server(DORA, protocol, before)
        self.assertEqual(", TLS," in line, (protocol, tls) != ("sieve", "implicit"), line)

    def assert_not_served(self, protocol, tls, trust):
        mail = self.connect(protocol, back=f"{trust}-{tls}")
        self.assertRegex(self.refusal(mail, DORA, PASSWORDS[DORA]), LATER[protocol])
        reason, words = WRONG[trust]
        back = rf"127\.0\.0\.1:{self.passage(protocol, tls).port}"
        self.assertRegex(self.line_about(mail, "back-failed"), rf" back={back} user={DORA} reason={reason} text=\".*{words}")
        self.assertRegex(self.refusal(mail, DORA, PASSWORDS[DORA]), LATER[protocol], "and it may try again")

    def test_whoever_has_the_right_key_is_trusted(self):
        """By a pin alone, without an authority and a name; or by these two."""
        self.for_each(RIGHT, self.assert_served)

    def test_whoever_has_not_hears_no_password(self):
        self.for_each(WRONG, self.assert_not_served)

    def test_sessions_of_those_who_trust_do_not_count_for_those_who_do_not(self):
        """Each login leaves a TLS session that the next could take up without looking at a certificate."""
        for protocol in PROTOCOLS:
            with self.subTest(protocol=protocol):
                for trust in ("pin", "wrong-pin", "authority", "wrong-authority", "authority", "wrong-name"):
                    (self.assert_not_served if trust in WRONG else self.assert_served)(protocol, "implicit", trust)

    def test_a_pin_that_is_changed_counts_at_once(self):
        good = self.gate.config.read_text()
        self.assert_served("imap", "starttls", "pin")
        self.gate.config.write_text(good.replace(self.pins["store"], self.pins["twin"]))
        self.assertIn(" notice reloaded ", self.gate.reload())
        mail = self.connect("imap", back="pin-starttls")
        self.assertRegex(self.refusal(mail, DORA, PASSWORDS[DORA]), LATER["imap"])
        self.gate.config.write_text(good)
        self.assertIn(" notice reloaded ", self.gate.reload())
        mail.hang_up()
        self.assert_served("imap", "starttls", "pin")

    def test_health_checks_notice_it(self):
        for protocol, back in self.ways:
            trust = back.rpartition("-")[0]
            if trust in WRONG:
                with self.subTest(protocol=protocol, back=back):
                    self.gate.wait_for_log(rf" warning member state=down pool={protocol}-{back} .*reason={WRONG[trust][0]} ")

    @classmethod
    def tearDownClass(cls):
        """Whatever the tests of this class did, nothing has crossed in clear that should not."""
        cls.assert_nobody_else_has_logged_in()
        cls.assert_no_password_is_in_a_log()
        for (protocol, tls), passage in cls.passages.items():
            assert any(CLIENT_HELLO in heard for heard in passage.heard), "nothing has crossed"
            for heard in map(bytes, passage.heard):
                in_clear = heard.split(CLIENT_HELLO)[0]
                assert re.fullmatch(IN_CLEAR[protocol] if tls == "starttls" else b"", in_clear), in_clear
                for secret in (PASSWORDS[DORA], plain(DORA, PASSWORDS[DORA]), base64.b64encode(PASSWORDS[DORA].encode()).decode()):
                    assert secret.encode() not in heard, "a password has crossed in clear"


if __name__ == "__main__":
    world.POSTERN, world.POSTERN_AUTH = sys.argv[1:3]
    tap.main(sys.argv[3:])
