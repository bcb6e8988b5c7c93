# SPDX-License-Identifier: GPL-3.0-or-later
"""The source `oauth2`: tokens that an issuer is asked about, and tokens whose signatures are verified."""

import hashlib
import hmac
import json
import socket
import time

import sources
from conversation import question
from issuer import Issuer, Key, encoded
from sources import HOSTILE, OTHER_SOURCE, REJECT, SourceTest, free_ports

JOE = "joe@example.test"
ISSUER = "https://sso.example.test"
SECRET = "c1ient s3cret"
NOT_ALLOWED = {"result": ["reject"], "reason": ["not_allowed"]}


def now():
    return int(time.time())


class OAuth2Test(SourceTest):
    def setUp(self):
        super().setUp()
        self.issuer = Issuer()
        self.addCleanup(lambda: self.issuer.stop())

    def ask(self, gate, user, token, mechanism="OAUTHBEARER", **more):
        gate.send(question(1, user, "", token=token, mechanism=mechanism, **more).replace(b"&password=", b""))
        answer = gate.answer()
        self.assertEqual(answer.pop("id"), ["1"])
        return answer


class Introspection(OAuth2Test):
    def setUp(self):
        super().setUp()
        (self.folder / "secret").write_text(SECRET + "\n")
        (self.folder / "secret").chmod(0o600)
        self.issuer.tokens = {"joe+&=%": {"email": JOE, "scope": "openid mail"}, "JOE": {"email": "Joe@Example.test", "scope": "mail"},
                              "ann": {"email": "ann@example.test", "scope": "mail"}, "weak": {"email": JOE, "scope": "mailbox"},
                              "old": {"email": JOE, "scope": "mail", "exp": now() - 5}, "early": {"email": JOE, "scope": "mail", "nbf": now() + 60},
                              "short": {"email": JOE, "scope": "mail", "exp": now() + 100}, "nobody": {"scope": "mail"},
                              "list": {"email": [JOE], "scope": "mail"}, "html": b"<html>", "500": 500, "array": b"[]",
                              "mute": b"{}", "long": b'{"active": true, "x": "' + b"x" * 100000 + b'"}'}

    def source(self, more=""):
        return (f'[[source]]\ntype = "oauth2"\nintrospection_url = "http://127.0.0.1:{self.issuer.port}/introspect"\n'
                f'client_id = "postern"\nclient_secret_file = "{self.folder}/secret"\nscope = "mail"\npool = "p"\n{more}\n')

    def test_right_password(self):
        """A good token, that is."""
        helper, gate = self.serve(self.source())
        for mechanism in ("OAUTHBEARER", "XOAUTH2"):
            self.assertEqual(self.ask(gate, JOE, "joe+&=%", mechanism), {"result": ["ok"], "pool": ["p"]})
        self.assertEqual(self.issuer.requests[-1], {"token": ["joe+&=%"], "token_type_hint": ["access_token"]})
        self.assertEqual(self.ask(gate, JOE, "JOE")["result"], ["ok"])
        self.assertEqual(self.ask(gate, "", "JOE"), {"result": ["ok"], "pool": ["p"], "user": [JOE]}, "the token names him")
        self.assertLessEqual(int(self.ask(gate, JOE, "short")["ttl"][0]), 101)
        self.assert_unavailable(gate.ask(JOE, "joe+&=%"))  # Nobody here takes passwords.
        self.assertNotIn("joe+&=%", helper.log())

    def test_wrong_password(self):
        helper, gate = self.serve(self.source())
        for token, why in [("unknown-t0ken", "not active"), ("weak", "lacks the scope mail"), ("old", "has expired"), ("early", "not valid yet"),
                           ("nobody", "names no user"), ("list", "names no user")]:
            with self.subTest(token):
                self.assertEqual(self.ask(gate, JOE, token), REJECT)
                self.assertIn(why, helper.log())
        self.assertEqual(self.ask(gate, JOE, "ann"), NOT_ALLOWED, "another user's")
        self.assertNotIn("t0ken", helper.log())

    def test_a_token_as_a_password(self):
        _, gate = self.serve(self.source("passwords = true"))
        self.assertEqual(gate.ask(JOE, "joe+&=%"), {"result": ["ok"], "pool": ["p"]})
        self.assertEqual(gate.ask(JOE, "a password"), REJECT)

    def test_unknown_user(self):
        _, gate = self.serve(self.source())
        self.assertEqual(self.ask(gate, "nobody@example.test", "ann"), NOT_ALLOWED)

    def test_a_failure_of_the_issuer_is_no_mismatch(self):
        helper, gate = self.serve(self.source())
        for token in ("html", "500", "array", "mute", "long"):
            with self.subTest(token):
                self.assert_unavailable(self.ask(gate, JOE, token))
        self.issuer.client = "postern:other"
        self.assert_unavailable(self.ask(gate, JOE, "joe+&=%"))
        self.assertIn("Look at client_id and client_secret", helper.log())
        self.assertNotIn(SECRET, helper.log())

    def test_source_down(self):
        self.issuer.stop()
        helper, gate = self.serve(self.source())
        self.assert_unavailable(self.ask(gate, JOE, "joe+&=%"))
        self.assertIn("Is it running", helper.log())

    def test_source_slow(self):
        _, gate = self.serve(self.source('timeout = "300ms"') +
                             OTHER_SOURCE)
        self.assert_waits_alone(gate, question(1, JOE, "", token="slow", mechanism="XOAUTH2").replace(b"&password=", b""))

    def test_hostile_input(self):
        helper, gate = self.serve(self.source())
        for text in HOSTILE:
            with self.subTest(text[:20]):
                self.assertEqual(self.ask(gate, JOE, text)["result"], ["reject"])
                self.assertEqual(self.ask(gate, text, "ann")["result"], ["reject"])
        for form in self.issuer.requests:
            self.assertEqual(list(form), ["token", "token_type_hint"])
        self.assertEqual(self.ask(gate, JOE, "joe+&=%")["result"], ["ok"])
        self.assertNotIn(SECRET, helper.log())

    def test_reconnect(self):
        helper, gate = self.serve(self.source())
        self.assertEqual(self.ask(gate, JOE, "joe+&=%")["result"], ["ok"])
        port, tokens = self.issuer.port, self.issuer.tokens
        self.issuer.stop()
        self.issuer = Issuer(port)
        self.issuer.tokens = tokens
        # Kept connections of the old one may only now be gone.
        self.assertEqual(self.ask(gate, JOE, "joe+&=%")["result"], ["ok"])
        self.assertNotIn("unavailable", helper.log())

    def test_check(self):
        self.assertEqual(self.check(self.source()), (0, ""))
        self.issuer.tokens["postern-check"] = {}
        self.assertIn("that nobody has made", self.check(self.source())[1])
        self.issuer.tokens["postern-check"] = 404
        self.assertIn("Is this its introspection_url?", self.check(self.source())[1])
        for source, word in [(self.source('jwks = "/x"'), "keep one of them"), (self.source().replace("introspection_url", "#"), "lacks introspection_url"),
                             (self.source('client_secret = "wrong"').replace("client_secret_file", "#"), "Look at client_id and client_secret"),
                             (self.source().replace(str(self.issuer.port), str(free_ports(1)[0])), "Is it running"),
                             (self.source('algorithms = ["none"]'), 'has "none"')]:
            status, said = self.check(source)
            self.assertEqual(status, 1)
            self.assertIn(word, said)
            self.assertNotIn(SECRET, said)


class Signatures(OAuth2Test):
    def setUp(self):
        super().setUp()
        self.rsa, self.ec = Key(self.folder, "r1"), Key(self.folder, "e1", "ES256")
        self.issuer.keys = [self.rsa, self.ec]

    def source(self, more="", jwks=None):
        return (f'[[source]]\ntype = "oauth2"\njwks = "{jwks or f"http://127.0.0.1:{self.issuer.port}/keys"}"\nissuer = "{ISSUER}"\n'
                f'audience = ["mail", "imap"]\nscope = "mail"\npool = "p"\n{more}\n')

    def claims(self, **more):
        claims = {"iss": ISSUER, "aud": "mail", "exp": now() + 300, "email": JOE, "scope": "openid mail"} | more
        return {key: value for key, value in claims.items() if value is not None}

    def test_right_password(self):
        helper, gate = self.serve(self.source())
        for key in (self.rsa, self.ec):
            self.assertEqual(self.ask(gate, JOE, key.token(self.claims()))["result"], ["ok"], helper.log())
            self.assertEqual(self.ask(gate, JOE, key.token(self.claims(), kid=None))["result"], ["ok"], "no name of a key: all are tried")
        self.assertEqual(self.ask(gate, "", self.rsa.token(self.claims()))["user"], [JOE])
        for more in ({"aud": ["x", "imap"]}, {"scope": None, "scp": ["mail"]}, {"nbf": now()}, {"exp": now() + 0.5 + 300}):
            self.assertEqual(self.ask(gate, JOE, self.ec.token(self.claims(**more)))["result"], ["ok"], more)
        self.assertEqual(self.issuer.requests, ["/keys"], "fetched once")

    def test_wrong_password(self):
        helper, gate = self.serve(self.source())
        for more, why in [({"iss": "https://other.test"}, "another issuer"), ({"iss": None}, "another issuer"), ({"aud": "web"}, "another audience"),
                          ({"aud": None}, "another audience"), ({"exp": now() - 10}, "has expired"), ({"exp": None}, "never expires"),
                          ({"exp": "soon"}, "has expired"), ({"exp": -1e300}, "has expired"), ({"nbf": now() + 60}, "not valid yet"),
                          ({"nbf": []}, "not valid yet"), ({"scope": "mailbox"}, "lacks the scope"), ({"email": None}, "names no user"),
                          ({"email": "a\nb"}, "names no user")]:
            with self.subTest(more):
                before = len(helper.log())
                self.assertEqual(self.ask(gate, JOE, self.ec.token(self.claims(**more))), REJECT)
                self.assertIn(why, helper.log()[before:])
        self.assertEqual(self.ask(gate, "ann@example.test", self.ec.token(self.claims())), NOT_ALLOWED)

    def test_forged_signatures(self):
        weak = Key(self.folder, "weak", bits=1024)
        other = Key(self.folder, "other")
        large = Key(self.folder, "large", "ES384")
        self.issuer.keys += [weak, large]
        helper, gate = self.serve(self.source())
        good = self.rsa.token(self.claims())
        head, body, signature = good.split(".")
        none = encoded(b'{"alg":"none"}') + "." + body + "."
        confused_head = encoded(json.dumps({"alg": "HS256", "kid": "r1"}).encode())
        confused = [confused_head + "." + body + "." + encoded(hmac.new(secret, f"{confused_head}.{body}".encode(), hashlib.sha256).digest())
                    for secret in (self.rsa.public_pem(), json.dumps(self.rsa.jwk()).encode())]
        other.name = "r1"
        for token in [none, none[:-1], *confused, other.token(self.claims()), other.token(self.claims(), kid=None), weak.token(self.claims()),
                      large.token(self.claims()), self.rsa.token(self.claims(), crit=["x"], x=1), self.ec.token(self.claims(), kid="r1"),
                      head + "." + encoded(json.dumps(self.claims(email="boss@example.test")).encode()) + "." + signature,
                      head + "." + body + ".", head + "." + body, "." + body + "." + signature, "..", "a.b.c", good[:-8], "opaque"]:
            with self.subTest(token[-40:]):
                self.assertEqual(self.ask(gate, JOE, token), REJECT)
        self.assertEqual(self.ask(gate, JOE, good)["result"], ["ok"])
        self.assertNotIn(signature, helper.log())

    def test_an_unknown_key_is_looked_for_once_a_minute(self):
        _, gate = self.serve(self.source())
        self.assertEqual(self.ask(gate, JOE, self.rsa.token(self.claims()))["result"], ["ok"])
        stranger = Key(self.folder, "r9")
        for _ in range(3):
            self.assertEqual(self.ask(gate, JOE, stranger.token(self.claims())), REJECT)
        self.assertEqual(self.issuer.requests, ["/keys"], "they have just been fetched")

    def test_keys_in_a_file(self):
        (self.folder / "jwks").write_text(json.dumps({"keys": [self.ec.jwk(), {"kty": "oct", "k": "AAAA"}, 7, {"kty": "RSA"}]}))
        _, gate = self.serve(self.source(jwks=f"{self.folder}/jwks"))
        self.assertEqual(self.ask(gate, JOE, self.ec.token(self.claims()))["result"], ["ok"])
        self.assertEqual(self.ask(gate, JOE, self.rsa.token(self.claims())), REJECT)

    def test_source_down(self):
        self.issuer.stop()
        helper, gate = self.serve(self.source())
        self.assert_unavailable(self.ask(gate, JOE, self.rsa.token(self.claims())))
        self.assertIn("Is it running", helper.log())

    def test_an_issuer_that_goes_away_leaves_its_keys(self):
        _, gate = self.serve(self.source())
        self.assertEqual(self.ask(gate, JOE, self.rsa.token(self.claims()))["result"], ["ok"])
        self.issuer.stop()
        self.assertEqual(self.ask(gate, JOE, self.ec.token(self.claims()))["result"], ["ok"])

    def test_reconnect(self):
        port, keys = self.issuer.port, self.issuer.keys
        self.issuer.stop()
        _, gate = self.serve(self.source())
        self.assert_unavailable(self.ask(gate, JOE, self.rsa.token(self.claims())))
        self.issuer = Issuer(port)
        self.issuer.keys = keys
        self.assertEqual(self.ask(gate, JOE, self.rsa.token(self.claims()))["result"], ["ok"])

    def test_source_slow(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            _, gate = self.serve(self.source('timeout = "300ms"', f"http://127.0.0.1:{silent.getsockname()[1]}/keys") +
                                 OTHER_SOURCE)
            self.assert_waits_alone(gate, question(1, JOE, "", token=self.ec.token(self.claims()), mechanism="XOAUTH2").replace(b"&password=", b""))

    def test_check(self):
        self.assertEqual(self.check(self.source()), (0, ""))
        (self.folder / "jwks").write_text('{"keys": [{"kty": "oct", "k": "AAAA"}]}')
        for source, word in [(self.source(jwks=f"{self.folder}/jwks"), "no public key for signatures"), (self.source(jwks=f"{self.folder}/none"), "No such file"),
                             (self.source(jwks=f"http://127.0.0.1:{self.issuer.port}/other"), "answers 404"),
                             (self.source(jwks="http://192.0.2.1/keys"), "in clear from another machine"),
                             (self.source().replace("issuer =", "#"), "lacks issuer"), (self.source().replace("audience =", "#"), "lacks audience"),
                             (self.source('algorithms = "HS256"'), 'has "HS256"')]:
            status, said = self.check(source)
            self.assertEqual(status, 1)
            self.assertIn(word, said)


if __name__ == "__main__":
    sources.main()
