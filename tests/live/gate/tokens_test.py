# SPDX-License-Identifier: GPL-3.0-or-later
"""OAUTHBEARER and XOAUTH2: a helper knows which tokens are good, and a real Dovecot takes some of them as well; for others, the gate
logs in there as a master user."""

import base64
import hmac
import json
import sys
import time

import tap
import world
from doors import FRONTS, LATER, WRONG, Doors
from programs import PROTOCOLS
from servers import ExampleHelper
from world import ANN, BOB, DORA, MASTERS, NAME

MECHANISMS = ("OAUTHBEARER", "XOAUTH2")
KEY = b"the mail server's own key for tokens"
LIFE_S = 86400


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def json_web_token(user, expires, padding=""):
    """RFC 7519, with HMAC."""
    claims = {"email": user, "sub": user, "iat": int(time.time()) - LIFE_S, "exp": int(expires), "padding": padding}
    signed = base64url(b'{"alg":"HS256","typ":"JWT"}') + "." + base64url(json.dumps(claims).encode())
    return signed + "." + base64url(hmac.digest(KEY, signed.encode(), "sha256"))


# What the helper thinks of each token, and whose it is.
GOOD = json_web_token(ANN, time.time() + LIFE_S)
LONG = json_web_token(ANN, time.time() + LIFE_S, "x" * 2500)
STALE = json_web_token(ANN, time.time() - LIFE_S / 2)  # the helper does not look at that
MASTERED = "ya29.bobs-token"
NAMES_NOBODY = "ya29.doras-token"
UNKNOWN_NOW = "ya29.nobody-can-say"
OTHERS = "ya29.not-here"
MASTER = {"master_user": "gate", "master_password": MASTERS["gate"]}
ANSWERS = {GOOD: (ANN, {"result": "ok"}), LONG: (ANN, {"result": "ok"}), STALE: (ANN, {"result": "ok"}),
           MASTERED: (BOB, {"result": "ok"} | MASTER), NAMES_NOBODY: (DORA, {"result": "ok", "user": DORA} | MASTER),
           UNKNOWN_NOW: (ANN, {"result": "unavailable"}), OTHERS: (ANN, {"result": "reject", "reason": "not_allowed"})}


def verify(question):
    owner, answer = ANSWERS.get(question.get("token"), (None, None))
    if answer is None or question["user"] not in (owner, "" if owner == DORA else owner):
        return {"result": "reject", "reason": "credentials"}
    return answer


class Token:
    """A mail program's half of both mechanisms. `challenges`: what the gate had to say to it."""

    def __init__(self, mechanism, user, token, answer=None):
        self.challenges = []
        if mechanism == "XOAUTH2":
            self.message, self.answer = f"user={user}\1auth=Bearer {token}\1\1".encode(), b""
        else:
            whose = f"a={user}" if user else ""
            self.message, self.answer = f"n,{whose},\1host={NAME}\1port=993\1auth=Bearer {token}\1\1".encode(), b"\1"

    def respond(self, challenge):
        if not challenge and not self.challenges:
            return self.message
        self.challenges.append(challenge)
        return self.answer


class Tokens(Doors):
    ways = [(protocol, "tokens") for protocol in PROTOCOLS]
    more_doors = []
    dovecot_settings = Doors.dovecot_settings + """
auth_mechanisms = plain login oauthbearer xoauth2
passdb {
  driver = oauth2
  mechanisms = oauthbearer xoauth2
  args = FOLDER/tokens.conf
}
"""

    @classmethod
    def make_files(cls):
        (cls.folder / "tokens.conf").write_text("introspection_mode = local\nusername_attribute = email\n"
                                                f"local_validation_key_dict = fs:posix:prefix={cls.folder}/keys/\n")
        key = cls.folder / "keys" / "default" / "HS256" / "default"
        key.parent.mkdir(parents=True)
        key.write_bytes(base64.b64encode(KEY))

    @classmethod
    def make_helper(cls):
        return ExampleHelper(cls.folder, verify)

    @classmethod
    def door_text(cls, door):
        return 'mechanisms = ["OAUTHBEARER", "XOAUTH2", "PLAIN"]\n'

    @classmethod
    def pool(cls, protocol, back):
        return super().pool(protocol, "none")

    def program(self, protocol, front="implicit"):
        return self.connect(protocol, front, "tokens")

    def for_each(self, play):
        for protocol in PROTOCOLS:
            for mechanism in MECHANISMS:
                with self.subTest(protocol=protocol, mechanism=mechanism):
                    play(protocol, mechanism)

    def assert_logs_in(self, protocol, mechanism, user, token, box, front="implicit"):
        """The mail server's line about it."""
        before = len(self.dovecot.log())
        mail = self.program(protocol, front)
        play = Token(mechanism, user, token)
        mail.sasl(mechanism, play.respond)
        self.assertEqual(play.challenges, [])
        self.assertIn(f" user={box} mechanism={mechanism} protocol={protocol} ", self.line_about(mail, "login"))
        return self.logged_in_at_the_mail_server(box, protocol, before)

    def test_the_mail_server_takes_the_token_too(self):
        for front in FRONTS:
            self.for_each(lambda protocol, mechanism, front=front: self.assertIn(
                f"method={mechanism}, ", self.assert_logs_in(protocol, mechanism, ANN, GOOD, ANN, front)))

    def test_a_long_token(self):
        self.for_each(lambda protocol, mechanism: self.assert_logs_in(protocol, mechanism, ANN, LONG, ANN))

    def test_a_master_user_for_a_token(self):
        self.for_each(lambda protocol, mechanism: self.assertIn(
            "method=PLAIN, ", self.assert_logs_in(protocol, mechanism, BOB, MASTERED, BOB)))

    def test_a_token_that_says_alone_whose_it_is(self):
        for protocol in PROTOCOLS:
            with self.subTest(protocol=protocol):
                self.assert_logs_in(protocol, "OAUTHBEARER", "", NAMES_NOBODY, DORA)

    def test_curl(self):
        for protocol in ("imap", "pop3", "submission"):
            for mechanism in MECHANISMS:
                for options in ([], ["--sasl-ir"]):
                    with self.subTest(protocol=protocol, mechanism=mechanism, options=options):
                        self.curl_uses(protocol, "implicit", f"{mechanism} {options}", "--oauth2-bearer", GOOD, "--login-options",
                                       f"AUTH={mechanism}", *options, back="tokens", password="")

    def test_curl_hears_of_a_refusal(self):
        login_denied = 67
        for protocol in ("imap", "pop3", "submission"):
            for mechanism in MECHANISMS:
                with self.subTest(protocol=protocol, mechanism=mechanism):
                    self.curl(protocol, "implicit", "", "--oauth2-bearer", "ya29.stolen", "--login-options", f"AUTH={mechanism}",
                              back="tokens", password="", status=login_denied)

    def assert_refused(self, user, token, words, steps=1):
        """Where a new token may help, the mail program first hears why, and answers (RFC 7628, section 3.2.3); then it is refused. It may
        try again."""
        def play(protocol, mechanism):
            mail = self.program(protocol)
            attempt = Token(mechanism, user, token)
            self.assertRegex(self.sentence(lambda: mail.sasl(mechanism, attempt.respond)), words[protocol])
            self.assertEqual(len(attempt.challenges), steps)
            for challenge in attempt.challenges:
                self.assertEqual(json.loads(challenge)["status"], "invalid_token")
            mail.sasl(mechanism, Token(mechanism, BOB, MASTERED).respond)
        self.for_each(play)

    def test_a_token_that_the_helper_refuses(self):
        self.assert_refused(ANN, "ya29.stolen", WRONG)

    def test_somebody_elses_token(self):
        self.assert_refused(BOB, GOOD, WRONG)

    def test_a_token_that_may_not_come_in_here(self):
        self.assert_refused(ANN, OTHERS, {"imap": r"^\[AUTHORIZATIONFAILED\] \w", "pop3": r"^-ERR \[SYS/PERM\] \w",
                                          "submission": r"^550 5\.7\.1 \w", "sieve": r'^NO "\w'})

    def test_a_token_that_the_mail_server_refuses(self):
        self.assert_refused(ANN, STALE, {"imap": r"^\[AUTHENTICATIONFAILED\] \w", "pop3": r"^-ERR \[AUTH\] \w",
                                         "submission": r"^535 5\.7\.8 \w", "sieve": r'^NO "\w'})
        self.dovecot.wait_for_log(r" imap-login: Info: Disconnected: .*auth failed.* method=XOAUTH2, ")

    def test_a_token_that_nobody_can_judge_now(self):
        self.assert_refused(ANN, UNKNOWN_NOW, LATER, 0)

    def test_a_token_is_no_password(self):
        """And no word of it reaches the helper as one."""
        for protocol in PROTOCOLS:
            with self.subTest(protocol=protocol):
                mail = self.program(protocol)
                before = len(self.helper.questions)
                self.assertRegex(self.sentence(lambda: mail.sasl("PLAIN", lambda _: f"\0{ANN}\0{GOOD}".encode())), WRONG[protocol])
                question, = self.helper.questions[before:]
                self.assertEqual((question["mechanism"], question.get("token")), ("PLAIN", None))

    def test_what_is_announced(self):
        self.assertLessEqual({"AUTH=OAUTHBEARER", "AUTH=XOAUTH2"}, set(self.program("imap").capabilities))
        self.assertEqual(self.program("pop3").capa()["SASL"], ["PLAIN", "OAUTHBEARER", "XOAUTH2"])

    @classmethod
    def tearDownClass(cls):
        cls.assert_nobody_else_has_logged_in()
        cls.assert_no_password_is_in_a_log(*ANSWERS, "ya29.stolen", *(part for token in (GOOD, STALE) for part in token.split(".")[1:]))


if __name__ == "__main__":
    world.POSTERN, world.POSTERN_AUTH = sys.argv[1:3]
    tap.main(sys.argv[3:])
