# SPDX-License-Identifier: GPL-3.0-or-later
"""The converters with old files as sites have them: what they write is what is kept beside each, and Postern accepts it. Hostile files get one
sentence and no traceback.

Usage: migrate_test.py FOLDER_OF_CONVERTERS POSTERN POSTERN_AUTH [Class.test ...]. With POSTERN_MIGRATE_KEEP=1 the expected files are written
anew from what comes out, to be read before they are kept.
"""

import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import tomllib
import unittest

HERE = pathlib.Path(__file__).resolve().parent
CASES = HERE / "cases"
sys.path.insert(0, str(HERE.parent / "gate"))
import tap  # noqa: E402

PATIENCE_S = 60

# The types of [[source]] that the built postern-auth knows: what has only these is checked by it. Add a type when it comes.
BUILT_TYPES = {"sqlite", "passwd-file", "static", "postgresql", "mysql", "mariadb", "ldap", "pam", "http", "dovecot", "login"}

# Case -> converter, its arguments, its exit status, what it must never print (the passwords in the old files).
CONVERTED = {
    "nginx-wiki": ("nginx", ["nginx.conf"], 3, []),
    "nginx-groupware": ("nginx", ["nginx.conf"], 3, ["k3y;", "tOp-s3cret"]),
    "nginx-many": ("nginx", ["nginx.conf"], 3, ["abc123"]),
    "nginx-balanced": ("nginx", ["nginx.conf"], 0, []),
    "perdition-plain": ("perdition", ["--root", ".", "perdition.conf"], 3, []),
    "perdition-init": ("perdition", ["--root", ".", "--defaults", "default", "--address", "named.example.test=10.0.0.8", "perdition.conf"], 3, []),
    "perdition-regex": ("perdition", ["--popmap", "popmap.re", "--flags", "-P IMAP4 -M /usr/lib/libperditiondb_posix_regex.so.0 -p 143 -U"], 3, []),
    "perdition-ports": ("perdition", ["perdition.conf"], 0, []),
    "dovecot-director": ("dovecot", ["doveconf.txt"], 3, []),
    "dovecot-static": ("dovecot", ["--address", "store-old.example.test=192.0.2.77", "doveconf.txt"], 3, ["m4ster-s3cret"]),
    "dovecot-sql": ("dovecot", ["--root", ".", "doveconf.txt"], 3, ["s3cr3t", "two words", "another-s3cret", "m4ster"]),
    "dovecot-ldap": ("dovecot", ["--root", ".", "doveconf.txt"], 3, ["l3ap"]),
    "dovecot-24-sql": ("dovecot", ["doveconf.txt"], 3, ["it's secret"]),
    "dovecot-24-ldap": ("dovecot", ["doveconf.txt"], 3, []),
    "dovecot-files": ("dovecot", ["doveconf.txt"], 0, []),
}
# Files that must be of mode 0600.
WITH_SECRETS = {"nginx-groupware/postern-auth.toml", "nginx-many/postern-auth.toml", "dovecot-sql/postgresql-password", "dovecot-sql/mysql-password-2", "dovecot-24-sql/mysql-password",
                "dovecot-ldap/ldap-bind-password"}

MAIN_FILE = {"nginx": "nginx.conf", "perdition": "perdition.conf", "dovecot": "doveconf.txt"}
# What stands in a file -> a word of the one sentence that it gets.
HOSTILE = {
    "nginx": [("mail { server { listen 143; auth_http_header X \"hunter2;\n} }\n", "nginx.conf:1: a quote"),
              ("mail { server { listen 143;\n", "nginx.conf:1: the file ends"), ("mail { } }\n", "closes nothing"), ("mail { ; }", "without a directive"),
              ("http { }\n", "no mail {} block"), ("mail { server_name x; }", "no server"), ("", "no mail {} block"), ("a{" * 1000, "blocks in one another"),
              ("include nginx.conf;\n", "includes itself"), ("include *.conf;\n", "includes itself"), ("mail \\", "backslash"), ("mail { listen\n" + "x" * 70000 + ";}", "nginx.conf:2: the line is longer")],
    "perdition": [("P IMAP4\ns \"hunter2\n", "perdition.conf:2: a quote"), ("P GOPHER\n", "perdition.conf:1: the protocol is none"), ("P IMAP4\np nowhere\n", "perdition.conf:2: outgoing_port"),
                  ("P IMAP4\ns a b\n", "outgoing_server"), ("a \\\n" * 40000, "perdition.conf:1: the lines that a backslash joins"), ("s " + "x" * 70000, "perdition.conf:1: the line is longer")],
    "dovecot": [("passdb {\n  driver = static\n", "doveconf.txt:1: this block has no end"), ("}\n", "doveconf.txt:1: this } closes nothing"), ("!include conf.d/*.conf\n", "there is an include"),
                ("ssl_key = \"hunter2\n", "doveconf.txt:1: a quote"), ("hunter2\n", "neither a setting nor a block"), ("protocols = lmtp\n", "no listener"), ("a {\n" * 100, "blocks in one another"),
                ("director_mail_servers = 10.0.0.1-10.9.9.9\nprotocols = imap\n", "a range of addresses"), ("x = " + "y" * 70000, "doveconf.txt:1: the line is longer")],
}


class Converter:
    def __init__(self, name):
        self.command = [sys.executable, str(pathlib.Path(CONVERTERS) / f"postern-migrate-{name}")]

    def run(self, folder, out, *arguments):
        return subprocess.run([*self.command, "--out", str(out), *arguments], cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
                              env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})


class Migrate(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-migrate-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.out = self.folder / "out"


class Cases(Migrate):
    """Each gets its test from the table CONVERTED."""

    def convert(self, case):
        converter, arguments, status, secrets = CONVERTED[case]
        done = Converter(converter).run(CASES / case, self.out, *arguments)
        printed = done.stdout.replace(str(self.out), "OUT")
        self.assertEqual((done.returncode, done.stderr), (status, ""), done.stdout)
        for secret in secrets:
            self.assertNotIn(secret, printed)
        written = {path.name: path.read_text() for path in sorted(self.out.iterdir())}
        written["printed.txt"] = printed
        if os.environ.get("POSTERN_MIGRATE_KEEP"):
            shutil.rmtree(CASES / case / "expected", ignore_errors=True)
            (CASES / case / "expected").mkdir()
            for name, text in written.items():
                (CASES / case / "expected" / name).write_text(text)
        expected = {path.name: path.read_text() for path in sorted((CASES / case / "expected").iterdir())}
        self.assertEqual(sorted(written), sorted(expected))
        for name, text in written.items():
            self.assertEqual(text, expected[name], name)
        for path in self.out.iterdir():
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600 if f"{case}/{path.name}" in WITH_SECRETS else 0o644, path.name)
        self.check_gate()
        self.check_auth()

    def with_own_files(self, name, keys):
        """A copy in which the named settings name a file that is there: a certificate with its key, or no user."""
        text = (self.out / name).read_text()
        for key, own in keys.items():
            text = re.sub(rf'(?m)^{key} = ".*"$', f'{key} = "{own}"', text)
        copy = self.folder / name
        copy.write_text(text)
        return copy

    def check_gate(self):
        text = self.with_own_files("postern.toml", {"chain": OWN / "crt", "key": OWN / "key", "client_ca": OWN / "crt", "client_crl": OWN / "crl", "tls_ca": OWN / "crt"})
        done = subprocess.run([POSTERN, "--check", "-c", str(text)], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def check_auth(self):
        sources = tomllib.loads((self.out / "postern-auth.toml").read_text())["source"]
        if not {source["type"] for source in sources} <= BUILT_TYPES:
            return
        for name in ("users", "secret"):
            (self.folder / name).write_text("x\n" if name == "secret" else "")
            (self.folder / name).chmod(0o600)
        own = {name: self.folder / "secret" for name in ("password_file", "bind_password_file")}
        text = self.with_own_files("postern-auth.toml", own | {"file": self.folder / "users", "tls_ca": OWN / "crt"})
        done = subprocess.run([POSTERN_AUTH, "--check", "-c", str(text)], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        # Its servers are nowhere, but the file has no mistake.
        self.assertNotIn(f"{text}:", done.stderr)


for name in CONVERTED:
    setattr(Cases, "test_" + name.replace("-", "_"), lambda self, case=name: self.convert(case))


class Hostile(Migrate):
    def refused(self, converter, data, sentence):
        place = self.folder / "in"
        place.mkdir(exist_ok=True)
        (place / MAIN_FILE[converter]).write_bytes(data)
        done = Converter(converter).run(place, self.out, MAIN_FILE[converter])
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertIn(sentence, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        self.assertNotIn("hunter2", done.stderr)
        self.assertFalse(self.out.exists())

    def test_broken_files_get_one_sentence(self):
        for converter, files in HOSTILE.items():
            for text, sentence in files:
                with self.subTest(converter=converter, sentence=sentence):
                    self.refused(converter, text.encode(), sentence)

    def test_what_is_no_text_is_refused(self):
        for converter, name in MAIN_FILE.items():
            with self.subTest(converter=converter):
                self.refused(converter, b"\x7fELF\x02\x01\x01\x00" + bytes(range(256)) * 100, name + ":1: there are control characters")

    def test_a_file_that_is_not_there_is_named(self):
        for converter in MAIN_FILE:
            done = Converter(converter).run(self.folder, self.out, "nowhere.conf")
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn("nowhere.conf: cannot be read: No such file or directory", done.stderr)

    def test_includes_that_lead_in_circles_end(self):
        (self.folder / "in").mkdir()
        for number in range(12):
            (self.folder / "in" / f"{number}.inc").write_text(f"include {number + 1}.inc; include {number + 1}.inc;\n")
        self.refused("nginx", b"mail { include 0.inc; }", "includes deeper than 10")

    def test_a_popmap_of_too_many_users_is_sent_to_a_database(self):
        (self.folder / "popmap").write_text("".join(f"user{number}:192.0.2.1\n" for number in range(30000)))
        done = Converter("perdition").run(self.folder, self.out, "--popmap", "popmap", "--flags", "-P IMAP4")
        self.assertEqual(done.returncode, 1)
        self.assertIn("more than 20000 entries", done.stderr)

    def test_remarks_are_printable_and_not_without_end(self):
        (self.folder / "popmap").write_text("no colon \u202e\n" * 5000 + "\u00e9:192.0.2.1\n")
        done = Converter("perdition").run(self.folder, self.out, "--popmap", "popmap", "--flags", "-P IMAP4 --x\u202e 1")
        self.assertEqual((done.returncode, done.stderr), (3, ""))
        self.assertTrue(done.stdout.isascii())
        self.assertLess(done.stdout.count("\n"), 1100)


class Writing(Migrate):
    def run_files(self, *arguments):
        return Converter("dovecot").run(CASES / "dovecot-files", self.out, *arguments, "doveconf.txt")

    def test_nothing_is_overwritten_without_force(self):
        self.out.mkdir()
        (self.out / "postern-auth.toml").write_text("mine")
        done = self.run_files()
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("postern-auth.toml: is there already", done.stderr)
        self.assertEqual([path.name for path in self.out.iterdir()], ["postern-auth.toml"])
        self.assertEqual((self.out / "postern-auth.toml").read_text(), "mine")
        self.assertEqual(self.run_files("--force").returncode, 0)
        self.assertEqual(sorted(path.name for path in self.out.iterdir()), ["postern-auth.toml", "postern.toml"])
        self.assertNotEqual((self.out / "postern-auth.toml").read_text(), "mine")

    def test_a_link_is_replaced_and_not_followed(self):
        self.out.mkdir()
        (self.folder / "elsewhere").write_text("theirs")
        (self.out / "postern.toml").symlink_to(self.folder / "elsewhere")
        self.assertEqual(self.run_files().returncode, 1)
        self.assertEqual(self.run_files("--force").returncode, 0)
        self.assertEqual((self.folder / "elsewhere").read_text(), "theirs")

    def test_a_folder_that_cannot_be_made_is_named(self):
        self.out.write_text("a file")
        done = self.run_files()
        self.assertEqual(done.returncode, 1)
        self.assertIn(str(self.out), done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def test_help_has_an_example(self):
        for converter in MAIN_FILE:
            done = subprocess.run([*Converter(converter).command, "--help"], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
            self.assertEqual(done.returncode, 0)
            self.assertIn(f"postern-migrate-{converter} --out", done.stdout)


def setUpModule():
    """A certificate, its key and a revocation list: the gate's check wants files that are there."""
    global OWN
    OWN = pathlib.Path(tempfile.mkdtemp(prefix="postern-migrate-"))
    (OWN / "index").write_text("")
    (OWN / "ca.cnf").write_text(f"[ca]\ndefault_ca = own\n[own]\ndatabase = {OWN}/index\ndefault_md = sha256\ndefault_crl_days = 2\n")
    for words in (["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", OWN / "key", "-out", OWN / "crt"],
                  ["ca", "-gencrl", "-config", OWN / "ca.cnf", "-cert", OWN / "crt", "-keyfile", OWN / "key", "-out", OWN / "crl"]):
        subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=PATIENCE_S)


def tearDownModule():
    shutil.rmtree(OWN)


if __name__ == "__main__":
    CONVERTERS, POSTERN, POSTERN_AUTH = (str(pathlib.Path(word).resolve()) for word in sys.argv[1:4])
    tap.main(sys.argv[4:])
