# SPDX-License-Identifier: GPL-3.0-or-later
"""postern-auth conform: it finds nothing in good helpers, and in each wrong one what is wrong with it.

Usage: conform_test.py POSTERN-AUTH EXAMPLES.
"""

import pathlib
import subprocess
import sys
import unittest

import wrong_helper
from conversation import PATIENCE_S, HelperTest

POSTERN_AUTH = None
EXAMPLES = None
PASSWORD = "demo password"
WRONG = pathlib.Path(wrong_helper.__file__)


class Conform(HelperTest):
    maxDiff = None

    def conform(self, *options, user="demo@example.test", patience=PATIENCE_S):
        command = [POSTERN_AUTH, "conform", str(self.folder / "auth.sock"), "--timeout", str(patience), *options]
        if user:
            command += ["--user", user, "--password-stdin"]
        return subprocess.run(command, input=PASSWORD + "\n", capture_output=True, text=True, timeout=10 * PATIENCE_S)

    def assert_good(self, done, skipped=0):
        bad = [line for line in done.stdout.splitlines() if not line.startswith(("ok ", "1..", "# "))]
        self.assertEqual((done.returncode, bad, done.stderr), (0, [], ""))
        self.assertRegex(done.stdout, rf"# \d+ checks, 0 not ok, {skipped} skipped")
        self.assert_no_secret(done)

    def assert_no_secret(self, done):
        for secret in ("demo password", "demo+password", "noise-", "%64%65%6d%6f%20", "demo%20password"):
            self.assertNotIn(secret, done.stdout + done.stderr)


class GoodHelpers(Conform):
    def test_the_example_in_python(self):
        self.start([sys.executable, EXAMPLES / "helper.py", str(self.folder / "auth.sock")])
        self.assert_good(self.conform())

    def test_the_example_in_perl(self):
        self.start(["perl", EXAMPLES / "helper.pl", str(self.folder / "auth.sock")])
        self.assert_good(self.conform())

    def test_the_example_in_shell(self):
        self.start(["socat", f"UNIX-LISTEN:{self.folder}/auth.sock,fork,mode=660", f"EXEC:{EXAMPLES}/helper.sh"])
        self.assert_good(self.conform())

    def test_postern_auth_itself(self):
        hashed = {}
        for scheme in ("bcrypt", "scram-sha-256"):
            done = subprocess.run([POSTERN_AUTH, "hash", "--scheme", scheme, "--password-stdin"], input=PASSWORD + "\n",
                                  capture_output=True, text=True, timeout=PATIENCE_S, check=True)
            hashed[scheme] = done.stdout.strip()
        users = self.folder / "users"
        users.write_text(f"demo@example.test:{hashed['bcrypt']}\nkeys@example.test:{hashed['scram-sha-256']}\n")
        config = self.folder / "postern-auth.toml"
        config.write_text(f'socket = "{self.folder}/auth.sock"\n[[source]]\ntype = "passwd-file"\nfile = "{users}"\npool = "p"\n'
                          'master_user = "gate"\nmaster_password = "secret of the gate"\n')
        self.start([POSTERN_AUTH, "-c", str(config)])
        self.assert_good(self.conform())
        self.assert_good(self.conform(user=None), skipped=5)
        done = self.conform(user="keys@example.test")
        self.assert_good(done)
        self.assertRegex(done.stdout, r"ok \d+ - scram: .*result=ok.*iterations=\d+&salt=\*\*\*&stored_key=\*\*\*")
        self.assertNotIn("secret+of+the+gate", done.stdout)


class WrongHelpers(Conform):
    def try_check(self, fault, check):
        self.start([sys.executable, WRONG, fault, str(self.folder / "auth.sock")])
        # Where the fault is silence, it is waited for; any other is found at once.
        done = self.conform(check, user="demo", patience=3 if fault in wrong_helper.SILENT else PATIENCE_S)
        self.assert_no_secret(done)
        return done

    def test_the_same_helper_without_a_fault_is_good(self):
        self.start([sys.executable, WRONG, "none", str(self.folder / "auth.sock")])
        self.assert_good(self.conform(user="demo"))

    def test_without_a_hello_nothing_else_is_tried(self):
        self.start([sys.executable, WRONG, "hello-of-version-2", str(self.folder / "auth.sock")])
        done = self.conform(user="demo")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"^1\.\.25\nnot ok 1 - hello: .* \| found: its hello does not say version=1 \| sent: ")
        self.assertTrue(done.stdout.endswith("Bail out! Nothing else can be tried without a hello.\n"))


def add_test_of(fault, check):
    def test(self):
        done = self.try_check(fault, check)
        self.assertRegex(done.stdout, rf"(?m)^not ok 1 - {check}: .* \| found: .* \| sent: .* \| came: ")
        self.assertEqual(done.returncode, 1)

    setattr(WrongHelpers, f"test_{fault.replace('-', '_')}_is_found", test)


for one_fault, its_check in wrong_helper.FAULTS.items():
    add_test_of(one_fault, its_check)


class CommandLine(Conform):
    def test_what_is_wrong_with_it(self):
        nobody = self.conform(user=None)
        self.assertEqual(nobody.returncode, 1)
        self.assertRegex(nobody.stdout, "^1..25\nnot ok 1 - hello: .*found: .*cannot be reached: No such file or directory")
        for words in (["conform"], ["conform", "a", "b"], ["conform", "a", "op", "op"], ["conform", "a", "--user", "joe"], ["conform", "a", "--password-stdin"],
                      ["conform", "a", "--timeout", "0"], ["conform", "a", "--timeout", "1s"]):
            done = subprocess.run([POSTERN_AUTH, *words], input="\n", capture_output=True, text=True, timeout=PATIENCE_S)
            self.assertEqual(done.returncode, 2, words)
        done = subprocess.run([POSTERN_AUTH, "conform", "a", "--user", "joe", "--password-stdin"], input="\n", capture_output=True,
                              text=True, timeout=PATIENCE_S)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("the password is empty", done.stderr)


if __name__ == "__main__":
    POSTERN_AUTH = sys.argv.pop(1)
    EXAMPLES = pathlib.Path(sys.argv.pop(1))
    unittest.main()
