# SPDX-License-Identifier: GPL-3.0-or-later
"""Hashes of Dovecot and OpenSSL, made now, against the real postern-auth, its own against Dovecot; and how a stored
hash becomes a better one when its user logs in."""

import random
import sqlite3
import subprocess
import sys
import unittest

from conversation import NO_GUESSING, PATIENCE_S, HelperTest

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
                          f'[[source]]\n{source}\npool = "p"\n{NO_GUESSING}')
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


class Upgrade(Schemes):
    def setUp(self):
        super().setUp()
        self.database = self.folder / "users.db"
        self.source = f'type = "sqlite"\ndatabase = "{self.database}"'
        tool(POSTERN_AUTH, "user", "add", "joe", "--database", str(self.database), "--password-stdin", stdin="x\n")

    def store(self, stored, user="joe"):
        with sqlite3.connect(self.database) as database:
            database.execute("UPDATE users SET password = ? WHERE user = ?", (stored, user))
        database.close()

    def stored(self):
        database = sqlite3.connect(self.database)
        try:
            return database.execute("SELECT password FROM users WHERE user = 'joe'").fetchone()[0]
        finally:
            database.close()

    def serve_database(self, top):
        helper = self.serve(self.source, top)
        return helper, self.connect(helper)

    def test_a_login_renews_its_hash_and_the_gates_hear_of_it(self):
        old = tool("doveadm", "pw", "-s", "MD5-CRYPT", "-p", SECRET)
        self.store(old)
        helper, gate = self.serve_database('scheme = "bcrypt"\nupgrade_schemes = true\nweak_schemes = ["MD5-CRYPT"]\n')
        self.assertEqual(gate.ask("joe", "wrong"), REJECT)
        self.assertEqual(self.stored(), old, "only who is in changes anything")
        self.assertEqual(gate.ask("joe", SECRET), OK)
        fresh = self.stored()
        self.assertTrue(fresh.startswith("{BLF-CRYPT}$2b$10$"), fresh[:12])
        gate.wait_for_invalidation("joe")
        self.assertEqual(gate.ask("joe", SECRET), OK)
        self.assertEqual(gate.ask("joe", "wrong"), REJECT)
        self.assertEqual(self.stored(), fresh, "once")
        self.assertEqual(helper.log().count(" upgrade "), 1, helper.log())
        self.assertNotIn(fresh[20:30], helper.log())

    def test_nothing_is_renewed_unless_it_is_asked_for(self):
        old = tool("doveadm", "pw", "-s", "SSHA", "-p", SECRET)
        self.store(old)
        _, gate = self.serve_database("")
        self.assertEqual(gate.ask("joe", SECRET), OK)
        self.assertEqual(self.stored(), old)

    def test_who_is_not_let_in_keeps_his_hash(self):
        old = tool("doveadm", "pw", "-s", "SSHA", "-p", SECRET)
        self.store(old)
        tool(POSTERN_AUTH, "user", "set", "joe", "--database", str(self.database), "--disable")
        _, gate = self.serve_database("upgrade_schemes = true\n")
        self.assertEqual(gate.ask("joe", SECRET)["reason"], ["disabled"])
        self.assertEqual(self.stored(), old)

    def test_a_locked_database_costs_the_new_hash_and_not_the_login(self):
        old = tool("doveadm", "pw", "-s", "SSHA", "-p", SECRET)
        self.store(old)
        helper, gate = self.serve_database("upgrade_schemes = true\n")
        writer = sqlite3.connect(self.database, isolation_level=None)
        self.addCleanup(writer.close)
        writer.execute("BEGIN IMMEDIATE")
        self.assertEqual(gate.ask("joe", SECRET), OK)
        self.assertIn("The new hash cannot be stored", helper.log())
        self.assertEqual(self.stored(), old)
        writer.execute("ROLLBACK")
        self.assertEqual(gate.ask("joe", SECRET), OK)
        self.assertTrue(self.stored().startswith("{CRYPT}$y$"))

    def test_a_passwd_file_is_never_written(self):
        stored = tool("doveadm", "pw", "-s", "SSHA", "-p", SECRET)
        helper, gate = self.serve_users({"joe": stored}, "upgrade_schemes = true\n")
        before = (self.folder / "users").read_bytes()
        self.assertEqual(gate.ask("joe", SECRET), OK)
        self.assertEqual((self.folder / "users").read_bytes(), before)
        self.assertNotIn("upgrade", helper.log())


if __name__ == "__main__":
    POSTERN_AUTH = sys.argv.pop(1)
    unittest.main()
