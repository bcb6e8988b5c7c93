# SPDX-License-Identifier: GPL-3.0-or-later
"""Hashes of Dovecot and OpenSSL, made now, against the real postern-auth, its own against Dovecot."""

import random
import subprocess
import sys
import unittest

from conversation import PATIENCE_S, HelperTest

POSTERN_AUTH = None
SECRET = "s3cret & pässwörd"
OK = {"result": ["ok"], "pool": ["p"]}
REJECT = {"result": ["reject"], "reason": ["credentials"]}
UNAVAILABLE = {"result": ["unavailable"]}
WEAK = {"MD5-CRYPT", "APR1-CRYPT", "SHA1-CRYPT", "SUNMD5-CRYPT", "DES-CRYPT", "SHA1", "SMD5", "PLAIN-MD5", "LDAP-MD5"}
# Dovecot's word, and ours where it is weak.
DOVECOT = {"CRYPT": None, "BLF-CRYPT": None, "SHA512-CRYPT": None, "SHA256-CRYPT": None, "ARGON2ID": None,
           "ARGON2I": None, "PBKDF2": None, "SSHA": None, "SSHA256": None, "SSHA512": None, "SHA256": None, "SHA512": None,
           "PLAIN": None, "CLEAR": None, "CLEARTEXT": None, "SCRAM-SHA-256": None, "SCRAM-SHA-1": None, "SHA": "SHA1",
           "SHA1": "SHA1", "MD5-CRYPT": "MD5-CRYPT", "MD5": "MD5-CRYPT", "SMD5": "SMD5", "PLAIN-MD5": "PLAIN-MD5",
           "LDAP-MD5": "LDAP-MD5", "DES-CRYPT": "DES-CRYPT"}
NOT_OURS = {"HMAC-MD5", "CRAM-MD5", "DIGEST-MD5", "OTP", "PLAIN-MD4", "PLAIN-TRUNC"}


def tool(*words, stdin=""):
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, (words[:4], done.stderr)
    return done.stdout.strip()


class Schemes(HelperTest):
    def serve(self, source, top=""):
        config = self.folder / "postern-auth.toml"
        config.write_text(f'socket = "{self.folder}/auth.sock"\nreject_delay = "0s"\n{top}'
                          f'[[source]]\n{source}\npool = "p"\n')
        return self.start([POSTERN_AUTH, "-c", str(config)])

    def serve_users(self, hashes, top=""):
        """A passwd-file of {user: hash}, and a gate that asks."""
        users = self.folder / "users"
        users.write_text("".join(f"{user}:{stored}\n" for user, stored in hashes.items()))
        helper = self.serve(f'type = "passwd-file"\nfile = "{users}"', top)
        return helper, self.connect(helper)

    def allow(self, words):
        return "weak_schemes = [" + ", ".join(f'"{word}"' for word in sorted(words)) + "]\n"


class Dovecot(Schemes):
    def test_what_doveadm_makes_lets_in(self):
        offered = set(tool("doveadm", "pw", "-l").split())
        self.assertLessEqual(offered - set(DOVECOT), NOT_OURS, "a scheme that nobody has thought of")
        claimed = sorted(offered & set(DOVECOT))
        self.assertIn("PBKDF2", claimed)
        hashes = {}
        for scheme in claimed:
            for suffix in ("", ".hex", ".b64"):
                hashes[(scheme + suffix).lower()] = tool("doveadm", "pw", "-s", scheme + suffix, "-p", SECRET)
        hashes |= {f"{scheme}.other".lower(): tool("doveadm", "pw", "-s", scheme, "-p", "another") for scheme in claimed}
        helper, gate = self.serve_users(hashes, self.allow(WEAK))
        for user in hashes:
            other = user.endswith(".other")
            self.assertEqual(gate.ask(user, "another" if other else SECRET), OK, (user, helper.log()))
            self.assertEqual(gate.ask(user, SECRET if other else "another"), REJECT, user)

    def test_weak_ones_are_no_mismatch_and_the_log_says_what_to_do(self):
        weak = {scheme: word for scheme, word in DOVECOT.items() if word}
        hashes = {scheme.lower(): tool("doveadm", "pw", "-s", scheme, "-p", SECRET) for scheme in weak}
        helper, gate = self.serve_users(hashes, self.allow(["SMD5"]))
        for scheme, word in weak.items():
            self.assertEqual(gate.ask(scheme.lower(), SECRET), OK if scheme == "SMD5" else UNAVAILABLE, scheme)
            if scheme != "SMD5":
                self.assertIn(f"the scheme {word} is weak", helper.log())
            self.assertNotIn(hashes[scheme.lower()].split("}")[1][:12], helper.log())

    def test_doveadm_verifies_what_hash_makes(self):
        for scheme in ("yescrypt", "gost-yescrypt", "scrypt", "bcrypt", "sha512", "sha256", "argon2id",
                       "scram-sha-256"):
            stored = tool(POSTERN_AUTH, "hash", "--scheme", scheme, "--password-stdin", stdin=SECRET + "\n")
            self.assertIn("(verified)", tool("doveadm", "pw", "-t", stored, "-p", SECRET), scheme)
            wrong = subprocess.run(["doveadm", "pw", "-t", stored, "-p", "wrong"], capture_output=True, text=True,
                                   timeout=PATIENCE_S)
            self.assertNotEqual(wrong.returncode, 0, scheme)


class OpenSsl(Schemes):
    def test_apr1_of_passwords_of_every_size(self):
        # openssl passwd reads up to 256 octets of a line.
        dice = random.Random(5)
        passwords = ["".join(chr(dice.randrange(33, 127)) for _ in range(size)) for size in [*range(1, 70), 128, 255]]
        for kind in ("-apr1", "-1"):
            lines = tool("openssl", "passwd", kind, "-stdin", stdin="\n".join(passwords) + "\n").splitlines()
            self.assertEqual(len(lines), len(passwords))
            hashes = {f"{kind}{i}": line for i, line in enumerate(lines)}
            helper, gate = self.serve_users(hashes, self.allow(["APR1-CRYPT", "MD5-CRYPT"]))
            for user, password in zip(hashes, passwords):
                self.assertEqual(gate.ask(user, password), OK, (user, helper.log()))
                self.assertEqual(gate.ask(user, password + "x"), REJECT, user)
            helper.stop()


if __name__ == "__main__":
    POSTERN_AUTH = sys.argv.pop(1)
    unittest.main()
