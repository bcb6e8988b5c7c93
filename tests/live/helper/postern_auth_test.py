# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the real postern-auth on a socket in a temporary folder, as a gate and as an administrator."""

import os
import pathlib
import pty
import random
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import unittest

from conversation import NO_GUESSING, PATIENCE_S, HelperTest, parse, question, wait_until

POSTERN_AUTH = None
SECRET = "s3cret & pässwörd"
# These tests try more wrong passwords than any user would.
# Of "right", by a million rounds: half a second of a core, so that a thousand cheap answers are surely quicker.
SLOW_HASH = "$6$rounds=1000000$postern.salt$TNCixdTMb0WVPhgLQy8jgmVvmdK0Q" \
            "kivinNdLseXkKQP9pJ7To.y4BHRkgkOq2s9X4kcxtI2KAEMTithXniDw1"
REJECT = {"result": ["reject"], "reason": ["credentials"]}


class PosternAuth(HelperTest):
    def setUp(self):
        super().setUp()
        self.database = self.folder / "users.db"
        self.config = self.folder / "postern-auth.toml"
        self.configure(f'[[source]]\ntype = "sqlite"\ndatabase = "{self.database}"\npool = "default"\n')

    def configure(self, sources, top=""):
        self.config.write_text(f'socket = "{self.folder}/auth.sock"\nreject_delay = "0s"\n{top}{sources}{NO_GUESSING}')

    def run_it(self, *words, stdin=""):
        return subprocess.run([POSTERN_AUTH, *words], input=stdin, capture_output=True, text=True, timeout=PATIENCE_S)

    def user(self, *words, password=None):
        """A `user` command that must succeed; what it printed."""
        options = ["--password-stdin"] if password is not None else []
        done = self.run_it("user", *words, "-c", str(self.config), *options,
                           stdin=password + "\n" if password is not None else "")
        self.assertEqual((done.returncode, done.stderr), (0, ""), words)
        return done.stdout

    def serve(self):
        return self.start([POSTERN_AUTH, "-c", str(self.config)])

    def serve_and_connect(self):
        helper = self.serve()
        return helper, self.connect(helper)


class Questions(PosternAuth):
    def test_hello_and_the_three_answers(self):
        self.user("add", "joe@example.test", password=SECRET)
        helper, gate = self.serve_and_connect()
        gate.send(b"op=hello&version=1&name=postern\n")
        self.assertEqual(gate.answer(), {"op": ["hello"], "version": ["1"], "name": ["postern-auth"]})
        self.assertEqual(gate.ask("joe@example.test", SECRET), {"result": ["ok"], "pool": ["default"]})
        self.assertEqual(gate.ask("joe@example.test", "wrong"), REJECT)
        self.assertEqual(gate.ask("nobody@example.test", SECRET), REJECT)
        self.assertEqual(gate.ask("joe@example.test", ""), REJECT)
        self.assertEqual(gate.ask("joe@example.test", SECRET + "\0"), REJECT)
        self.assertEqual(gate.ask("joe@example.test", SECRET, authzid="ann@example.test"),
                         {"result": ["reject"], "reason": ["not_allowed"]})
        self.assertNotIn(SECRET, helper.log())
        self.assertNotIn("s3cret", helper.log())

    def test_another_spelling_is_the_same_user_and_the_mail_server_hears_the_kept_one(self):
        self.user("add", "Joe@Example.test", password=SECRET)
        _, gate = self.serve_and_connect()
        self.assertEqual(gate.ask("JOE@example.TEST", SECRET),
                         {"result": ["ok"], "pool": ["default"], "user": ["joe@example.test"]})

    def test_hostile_names_and_passwords_are_only_bytes(self):
        self.user("add", "joe@example.test", password=SECRET)
        _, gate = self.serve_and_connect()
        for name in ["' OR 1=1 --", "joe@example.test\nop=verify", "%s%n", "*", "", "x" * 3000, "joe@example.test\0",
                     "\udcff\udcfe", "../../etc/passwd", "joe@example.test&result=ok"]:
            self.assertEqual(gate.ask(name, SECRET), REJECT, name)
            self.assertEqual(gate.ask("joe@example.test", "x" + name * 2), REJECT, name)

    def test_a_thousand_pipelined_questions_are_each_answered_once(self):
        # One cheap hash for all, and few wrong passwords, which cost what an unknown user does: this test is about the
        # answers' way back.
        self.configure('[[source]]\ntype = "static"\nmatch = "*@example.test"\npassword = "{PLAIN}right"\n'
                       'back = "127.0.1.1:143"\n[[source]]\ntype = "static"\nmatch = "slow@*"\n'
                       f'password = "{SLOW_HASH}"\npool = "slow"\n')
        _, gate = self.serve_and_connect()
        # The first one hashes for a while; those behind it do not wait for it.
        gate.send(question(0, "slow@other.test", "right"))
        gate.send(b"".join(question(i, f"u{i}@example.test", "right" if i % 50 else "wrong") for i in range(1, 1001)))
        answers = [gate.answer() for _ in range(1001)]
        results = {int(answer["id"][0]): answer["result"][0] for answer in answers}
        self.assertEqual(results, {0: "ok"} | {i: "ok" if i % 50 else "reject" for i in range(1, 1001)})
        self.assertNotEqual([int(answer["id"][0]) for answer in answers], list(range(1001)), "answers overtake")

    def test_hostile_lines_are_errors_and_the_next_line_counts(self):
        self.configure('[[source]]\ntype = "static"\nmatch = "*"\npassword = "{PLAIN}right"\npool = "p"\n')
        helper, gate = self.serve_and_connect()
        for line, text in [(b"op=launch&id=3", "unknown op"), (b"%zz", "malformed line"), (b"\xff\0\xfe", "unknown op"),
                           (b"op=verify&user=joe", "a question needs an id"),
                           (b"op=verify&id=1&user=joe&user=ann&password=right", "malformed line"), (b"&&&=&", "unknown op"),
                           (b"k=v&" * 300, "malformed line")]:
            gate.send(line + b"\n")
            answer = gate.answer()
            self.assertEqual((answer["result"], answer["text"]), (["error"], [text]), line)
        self.assertEqual(gate.ask("joe", "right")["result"], ["ok"])
        gate.send(b"x" * 20000)
        self.assertEqual(gate.answer(), {"result": ["error"], "text": ["line too long"]})
        self.assertEqual(self.connect(helper).ask("joe", "right")["result"], ["ok"])

    def test_random_bytes_never_stop_it(self):
        self.configure('[[source]]\ntype = "static"\nmatch = "*"\npassword = "{PLAIN}right"\npool = "p"\n')
        helper, gate = self.serve_and_connect()
        dice = random.Random(7)
        for _ in range(200):
            line = bytearray(question(1, "joe", "right")[:-1])
            for _ in range(dice.randrange(1, 8)):
                line[dice.randrange(len(line))] = dice.choice(b"%&=+\0\xff0aZ")
            gate.send(bytes(line) + b"\n")
            self.assertIn(gate.answer()["result"], (["reject"], ["error"], ["unavailable"], ["ok"]))
        self.assertIsNone(helper.process.poll())

    def test_a_question_without_a_password_is_no_mismatch(self):
        _, gate = self.serve_and_connect()
        gate.send(b"op=verify&id=9&mechanism=OAUTHBEARER&user=joe&token=abc\n")
        self.assertEqual(gate.answer(), {"id": ["9"], "result": ["unavailable"]})


class Sources(PosternAuth):
    def test_the_order_unknown_goes_on_and_a_mismatch_stops(self):
        users = self.folder / "users"
        users.write_text("joe:{PLAIN}file\nann:{PLAIN}file\n")
        self.user("add", "joe", password="database")
        self.configure(f'[[source]]\ntype = "sqlite"\ndatabase = "{self.database}"\npool = "one"\n'
                       f'[[source]]\ntype = "passwd-file"\nfile = "{users}"\npool = "two"\n'
                       '[[source]]\ntype = "static"\nmatch = "*@old.test"\ncheck = "back"\npool = "three"\n'
                       'back_user = "{local}"\n')
        _, gate = self.serve_and_connect()
        self.assertEqual(gate.ask("joe", "database")["pool"], ["one"])
        self.assertEqual(gate.ask("joe", "file"), REJECT)
        self.assertEqual(gate.ask("ann", "file")["pool"], ["two"])
        self.assertEqual(gate.ask("bob@old.test", "whatever"),
                         {"result": ["ok"], "pool": ["three"], "user": ["bob"], "cache": ["no"]})
        self.assertEqual(gate.ask("bob@old.test", ""), REJECT)
        self.assertEqual(gate.ask("bob@new.test", "whatever"), REJECT)

    def test_everything_about_a_route_reaches_the_gate(self):
        users = self.folder / "users"
        users.write_text("joe:{PLAIN}x::::::back=127.0.1.1:143,[::1]:143 destuser=j4711 master=boss pass=bosspw "
                         "starttls=yes tls_name=mx.test proxy_mech=PLAIN ttl=60 sessions_max=3 allow_nets=203.0.113.0/24 "
                         "proxy_protocol=v2 xclient=yes userdb_quota=1\n"
                         "off:{PLAIN}x::::::disabled\n"
                         "typo:{PLAIN}x::::::bakc=127.0.1.1:143\n")
        self.configure(f'[[source]]\ntype = "passwd-file"\nfile = "{users}"\npool = "default"\n')
        helper, gate = self.serve_and_connect()
        self.assertEqual(gate.ask("joe", "x"), {
            "result": ["ok"], "back": ["127.0.1.1:143", "[::1]:143"], "user": ["j4711"], "master_user": ["boss"],
            "master_password": ["bosspw"], "tls": ["starttls"], "tls_name": ["mx.test"], "mechanism": ["PLAIN"],
            "ttl": ["60"], "sessions_max": ["3"], "vary": ["client"], "proxy_protocol": ["v2"], "xclient": ["yes"]})
        self.assertEqual(gate.ask("joe", "x", client="198.51.100.1:1"),
                         {"result": ["reject"], "reason": ["not_allowed"], "vary": ["client"]})
        self.assertEqual(gate.ask("off", "x")["reason"], ["disabled"])
        self.assertEqual(gate.ask("off", "y")["reason"], ["credentials"])
        self.assertEqual(gate.ask("typo", "x"), {"result": ["unavailable"]})
        self.assertIn("users:3: the extra field bakc is not known", helper.log())
        self.assertNotIn("bosspw", helper.log())

    def test_a_passwd_file_is_read_again_when_it_changes(self):
        users = self.folder / "users"
        users.write_text("joe:{PLAIN}old\nann:{PLAIN}same\n")
        self.configure(f'[[source]]\ntype = "passwd-file"\nfile = "{users}"\npool = "p"\n')
        _, gate = self.serve_and_connect()
        gate.wait_for_invalidation("*")  # the file is young: whoever connects may have missed its change
        self.assertEqual(gate.ask("joe", "old")["result"], ["ok"])
        fresh = self.folder / "users.new"
        fresh.write_text("joe:{PLAIN}new\nann:{PLAIN}same\n")
        fresh.rename(users)
        self.assertEqual(gate.ask("joe", "new")["result"], ["ok"], "a renamed file counts at once")
        gate.wait_for_invalidation("joe")
        self.assertNotIn("ann", gate.invalidated)
        with users.open("a") as appended:
            appended.write("bob:{PLAIN}x\n")
        gate.wait_for_invalidation("bob")
        self.assertEqual(gate.ask("bob", "x")["result"], ["ok"])

    def test_what_cannot_be_read_is_no_mismatch(self):
        users = self.folder / "users"
        users.write_text("weak:$1$abcdefgh$FY06EOQlBBH3ntHlRO7cF/\ncut\n")
        self.configure(f'[[source]]\ntype = "passwd-file"\nfile = "{users}"\npool = "p"\n'
                       '[[source]]\ntype = "static"\nmatch = "*"\npassword = "{PLAIN}x"\npool = "p"\n')
        helper, gate = self.serve_and_connect()
        self.assertEqual(gate.ask("weak", "x"), {"result": ["unavailable"]})
        self.assertIn("the scheme MD5-CRYPT is weak", helper.log())
        self.assertNotIn("FY06EOQlBBH3", helper.log())
        self.assertEqual(gate.ask("cut", "x"), {"result": ["unavailable"]})
        self.assertEqual(gate.ask("ann", "x")["result"], ["ok"])
        users.unlink()
        self.assertEqual(gate.ask("ann", "x"), {"result": ["unavailable"]}, "not asked further: the file might know ann")
        users.write_text("joe:{PLAIN}x\n")
        self.assertEqual(gate.ask("joe", "x")["result"], ["ok"], "it mends itself")

    def test_a_locked_or_broken_database_is_no_mismatch(self):
        self.user("add", "joe", password="pw")
        self.configure(f'[[source]]\ntype = "sqlite"\ndatabase = "{self.database}"\npool = "p"\nbusy_timeout = "100ms"\n')
        with sqlite3.connect(self.database, isolation_level=None) as other:
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            helper, gate = self.serve_and_connect()
            self.assertEqual(gate.ask("joe", "pw"), {"result": ["unavailable"]})
            other.execute("COMMIT")
        other.close()
        self.assertIn("locked", helper.log())
        self.assertEqual(gate.ask("joe", "pw")["result"], ["ok"])
        broken = self.folder / "broken"
        broken.write_bytes(b"this is no database" * 1000)
        for suffix in ("-wal", "-shm"):
            pathlib.Path(str(self.database) + suffix).unlink(missing_ok=True)
        broken.rename(self.database)
        self.assertEqual(gate.ask("joe", "pw"), {"result": ["unavailable"]})


class Administration(PosternAuth):
    def test_a_user_from_the_first_day_to_the_last(self):
        self.user("add", "Joe@example.test", "--back", "127.0.1.1:143", "--back", "127.0.1.2:143", password=SECRET)
        self.user("add", "ann@example.test", "--pool", "slow", "--ttl", "60", password="pw")
        self.assertEqual(stat.S_IMODE(self.database.stat().st_mode), 0o640)
        self.assertEqual(self.user("list"), "ann@example.test\tenabled\t{CRYPT}$y$\tpool=slow\tttl=60\n"
                         "joe@example.test\tenabled\t{CRYPT}$y$\tback=127.0.1.1:143,127.0.1.2:143\n")
        self.assertEqual(self.user("show", "JOE@example.test"),
                         "user = joe@example.test\npassword = {CRYPT}$y$...\ndisabled = no\n"
                         "back = 127.0.1.1:143,127.0.1.2:143\n")
        _, gate = self.serve_and_connect()
        self.assertEqual(gate.ask("joe@example.test", SECRET),
                         {"result": ["ok"], "back": ["127.0.1.1:143", "127.0.1.2:143"]})
        gate.wait_for_invalidation("joe@example.test")  # made so shortly before that the gate may have missed it

        gate.invalidated.clear()
        self.user("passwd", "joe@example.test", password="new password")
        gate.wait_for_invalidation("joe@example.test")
        self.assertNotIn("ann@example.test", gate.invalidated)
        self.assertEqual(gate.ask("joe@example.test", SECRET), REJECT)
        self.assertEqual(gate.ask("joe@example.test", "new password")["result"], ["ok"])

        gate.invalidated.clear()
        self.user("set", "joe@example.test", "--pool", "other", "--disable")
        gate.wait_for_invalidation("joe@example.test")
        self.assertEqual(gate.ask("joe@example.test", "new password")["reason"], ["disabled"])
        self.user("set", "joe@example.test", "--enable")
        self.assertEqual(gate.ask("joe@example.test", "new password"), {"result": ["ok"], "pool": ["other"]})

        gate.invalidated.clear()
        self.user("del", "joe@example.test")
        gate.wait_for_invalidation("joe@example.test")
        self.assertEqual(gate.ask("joe@example.test", "new password"), REJECT)
        self.assertEqual(self.user("list").count("\n"), 1)

    def test_changes_by_other_programs_count_too(self):
        self.user("add", "joe", password="pw")
        _, gate = self.serve_and_connect()
        gate.wait_for_invalidation("joe")
        gate.invalidated.clear()
        with sqlite3.connect(self.database) as other:
            other.execute("UPDATE users SET disabled = 1 WHERE user = 'JOE'")
            other.execute("INSERT INTO users (user, password) VALUES ('bob', '{PLAIN}x')")
        other.close()
        gate.wait_for_invalidation("joe")
        gate.wait_for_invalidation("bob")
        self.assertEqual(gate.ask("joe", "pw")["reason"], ["disabled"])
        self.assertEqual(gate.ask("bob", "x")["result"], ["ok"])

    def test_application_passwords(self):
        self.user("add", "joe@example.test", password="own")
        phone = self.user("app-add", "Joe@example.test", "phone", "--allow-protocols", "imap,submission").strip()
        self.assertRegex(phone, r"^([a-hj-km-np-z2-9]{4}-){5}[a-hj-km-np-z2-9]{4}$")
        self.user("app-add", "joe@example.test", "office", "--allow-nets", "10.0.0.0/8", "--scheme", "bcrypt", password="typed")
        self.assertEqual(self.user("app-add", "joe@example.test", "old", "--expires", "2020-01-01", password="ended"), "")
        listed = ("joe@example.test\toffice\t{BLF-CRYPT}$2b$\tallow_nets=10.0.0.0/8\n"
                  "joe@example.test\told\t{CRYPT}$y$\texpires=2020-01-01T00:00:00Z\n"
                  "joe@example.test\tphone\t{CRYPT}$y$\tallow_protocols=imap,submission\n")
        self.assertEqual(self.user("app-list", "joe@example.test"), listed)
        self.assertEqual(self.user("app-list"), listed)
        self.assertIn("application password = phone allow_protocols=imap,submission\n", self.user("show", "joe@example.test"))
        for stored in self.folder.glob("users.db*"):
            self.assertNotIn(phone.encode(), stored.read_bytes())

        helper, gate = self.serve_and_connect()
        gate.wait_for_invalidation("joe@example.test")
        good = {"result": ["ok"], "pool": ["default"]}
        self.assertEqual(gate.ask("joe@example.test", "own"), good)
        self.assertEqual(gate.ask("joe@example.test", phone), good)
        self.assertEqual(gate.ask("joe@example.test", phone, protocol="pop3"), {"result": ["reject"], "reason": ["not_allowed"]})
        self.assertEqual(gate.ask("joe@example.test", "typed", client="10.1.2.3:4"), good | {"vary": ["client"]})
        self.assertEqual(gate.ask("joe@example.test", "typed"),
                         {"result": ["reject"], "reason": ["not_allowed"], "vary": ["client"]})
        self.assertIn("password_label=office", helper.log())
        for wrong in ["ended", "phone", phone.replace("-", ""), phone + "x"]:
            self.assertEqual(gate.ask("joe@example.test", wrong), REJECT, wrong)
        self.assertEqual(gate.ask("joe@example.test", phone, authzid="ann@example.test")["reason"], ["not_allowed"])
        self.assertNotIn(phone, helper.log())

        # What is forbidden to the user is forbidden to all of his passwords, and all of them end with him.
        gate.invalidated.clear()
        self.user("set", "joe@example.test", "--allow-protocols", "pop3")
        gate.wait_for_invalidation("joe@example.test")
        self.assertEqual(gate.ask("joe@example.test", phone)["reason"], ["not_allowed"])
        self.user("set", "joe@example.test", "--allow-protocols", "", "--disable")
        self.assertEqual(gate.ask("joe@example.test", phone)["reason"], ["disabled"])
        self.user("set", "joe@example.test", "--enable")
        gate.invalidated.clear()
        self.user("app-del", "joe@example.test", "phone")
        gate.wait_for_invalidation("joe@example.test")
        self.assertEqual(gate.ask("joe@example.test", phone), REJECT)
        self.assertEqual(gate.ask("joe@example.test", "own"), good)
        self.user("del", "joe@example.test")
        self.assertEqual(self.user("app-list"), "")

    def test_explain_names_the_application_password(self):
        self.user("add", "joe", password="own")
        self.user("app-add", "joe", "Joe's phone", "--allow-protocols", "imap", password="app")
        explain = ["explain", "joe", "-c", str(self.config), "--password-stdin"]
        said = self.run_it(*explain, stdin="app\n").stdout
        self.assertIn(f'sqlite:{self.database}: yes, by the password "Joe\'s phone"', said)
        said = self.run_it(*explain, "--protocol", "pop3", stdin="app\n").stdout
        self.assertIn('not by this protocol, by the password "Joe\'s phone"', said)
        self.assertIn(f"sqlite:{self.database}: yes (", self.run_it(*explain, stdin="own\n").stdout)

    def test_application_passwords_of_an_older_database(self):
        """One that a postern-auth without them has made."""
        self.user("add", "joe", password="own")
        with sqlite3.connect(self.database) as older:
            for column in ["moving_to", "moving_to_tls_name"]:
                older.execute(f"ALTER TABLE users DROP COLUMN {column}")
            older.executescript("DROP TABLE app_passwords; DROP TRIGGER user_takes_app_passwords_along;"
                                "DROP TRIGGER user_leaves_no_app_passwords; PRAGMA user_version = 2")
        older.close()
        _, gate = self.serve_and_connect()
        self.assertEqual(gate.ask("joe", "own")["result"], ["ok"])
        self.user("app-add", "joe", "phone", password="app")
        self.assertEqual(gate.ask("joe", "app")["result"], ["ok"])
        self.assertEqual(gate.ask("joe", "own")["result"], ["ok"])

    def test_another_file_in_the_databases_place(self):
        self.user("add", "joe", password="pw")
        _, gate = self.serve_and_connect()
        self.assertEqual(gate.ask("joe", "pw")["result"], ["ok"])
        copy = self.folder / "copy.db"
        self.assertEqual(self.run_it("user", "add", "ann", "--database", str(copy), "--password-stdin",
                                     stdin="x\n").returncode, 0)
        for suffix in ("-wal", "-shm"):
            pathlib.Path(str(self.database) + suffix).unlink(missing_ok=True)
        copy.rename(self.database)
        self.assertEqual(gate.ask("joe", "pw"), REJECT)
        self.assertEqual(gate.ask("ann", "x")["result"], ["ok"])
        gate.wait_for_invalidation("*")

    def test_mistakes_get_a_sentence(self):
        self.user("add", "joe", password="pw")
        for words, said, status in [
                (["user", "add", "joe", "-c", self.config, "--password-stdin"], "the user joe exists", 1),
                (["user", "passwd", "ann", "-c", self.config, "--password-stdin"], "there is no user ann", 1),
                (["user", "del", "ann", "-c", self.config], "there is no user ann", 1),
                (["user", "add", "*", "-c", self.config, "--password-stdin"], "no name for a user", 2),
                (["user", "set", "joe", "-c", self.config, "--back", "mx.test:143"], "is no address with a port", 1),
                (["user", "set", "joe", "-c", self.config, "--master-user", "m"], "belong together", 1),
                (["user", "set", "joe", "-c", self.config, "--bakc", "x"], "did you mean --back?", 2),
                (["user", "passwd", "joe", "-c", self.config, "--password=x"], "there is no option --password", 2),
                (["user", "passwd", "joe", "-c", self.config, "--master-password=x"], "takes no value", 2),
                (["user", "frob"], "usage:", 2),
                (["user", "app-add", "joe", "-c", self.config], "usage:", 2),
                (["user", "app-add", "ann", "phone", "-c", self.config], "there is no user ann", 1),
                (["user", "app-add", "joe", "a\tb", "-c", self.config], "this is no label", 2),
                (["user", "app-add", "joe", "phone", "-c", self.config, "--pool", "x"], "pool is the user's", 1),
                (["user", "app-add", "joe", "phone", "-c", self.config, "--expires", "soon"], "is no time", 1),
                (["user", "app-add", "joe", "phone", "-c", self.config, "--password=x"], "there is no option --password", 2),
                (["user", "app-add", "joe", "phone", "-c", self.config, "--ask-password", "--password-stdin"], "exclude", 2),
                (["user", "app-del", "joe", "phone", "-c", self.config], "has no password phone", 1),
                (["user", "list", "--database", "/nowhere/users.db"], "No such file or directory", 1),
                (["hash", "--scheme", "md5"], "none of yescrypt, gost-yescrypt, scrypt, bcrypt, sha512, sha256, argon2id, scram", 2),
                (["hash", "--password-stdin", "--scheme", "bcrypt"], "72 bytes", 1)]:
            done = self.run_it(*map(str, words), stdin="p" * 80 + "\n")
            self.assertEqual(done.returncode, status, (words, done.stderr))
            self.assertIn(said, done.stderr, words)

    def test_an_empty_password_is_none(self):
        for stdin in ("\n", ""):
            done = self.run_it("user", "add", "joe", "-c", str(self.config), "--password-stdin", stdin=stdin)
            self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(self.user("list"), "")

    def on_terminal(self, typed, *words):
        """Runs a command on a terminal of its own and types; what the terminal showed, and the exit status."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(POSTERN_AUTH, [POSTERN_AUTH, *words])
        shown = b""
        for prompt, line in typed:
            while prompt not in shown:
                shown += os.read(terminal, 1024)
            os.write(terminal, line)
        try:
            while more := os.read(terminal, 1024):
                shown += more
        except OSError:
            pass  # Linux: the other side of the terminal is gone
        os.close(terminal)
        return shown, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def test_a_person_is_asked_twice_and_nothing_is_shown(self):
        words = ["user", "add", "joe", "-c", str(self.config)]
        shown, status = self.on_terminal([(b"Password of joe: ", b"tops3cret\n"), (b"Again: ", b"tops4cret\n")], *words)
        self.assertEqual(status, 1)
        self.assertIn(b"not the same", shown)
        shown, status = self.on_terminal([(b"Password of joe: ", b"\x03")], *words)
        self.assertEqual(status, 1)
        shown, status = self.on_terminal([(b"Password of joe: ", b"tops3cret\n"), (b"Again: ", b"tops3cret\n")], *words)
        self.assertEqual(status, 0, shown)
        self.assertNotIn(b"tops3cret", shown)
        _, gate = self.serve_and_connect()
        self.assertEqual(gate.ask("joe", "tops3cret")["result"], ["ok"])

    def test_secrets_of_a_route_come_from_standard_input(self):
        done = self.run_it("user", "add", "joe", "-c", str(self.config), "--password-stdin", "--master-user", "boss",
                           "--master-password", stdin="pw\nmaster secret\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("master_password = (set)", self.user("show", "joe"))
        _, gate = self.serve_and_connect()
        self.assertEqual(gate.ask("joe", "pw"), {"result": ["ok"], "pool": ["default"], "master_user": ["boss"],
                                                 "master_password": ["master secret"]})

    def test_every_scheme_of_hash_lets_in(self):
        users = self.folder / "users"
        lines = []
        schemes = {"yescrypt": "{CRYPT}$y$", "gost-yescrypt": "{CRYPT}$gy$", "scrypt": "{CRYPT}$7$",
                   "bcrypt": "{BLF-CRYPT}$2b$", "sha512": "{SHA512-CRYPT}$6$", "sha256": "{SHA256-CRYPT}$5$",
                   "argon2id": "{ARGON2ID}$argon2id$", "scram-sha-256": "{SCRAM-SHA-256}100000,"}
        for scheme, begin in schemes.items():
            done = self.run_it("hash", "--scheme", scheme, "--password-stdin", stdin=SECRET + "\n")
            self.assertTrue(done.stdout.startswith(begin), done)
            lines.append(f"{scheme}:{done.stdout}")
        users.write_text("".join(lines))
        self.configure(f'[[source]]\ntype = "passwd-file"\nfile = "{users}"\npool = "p"\n')
        _, gate = self.serve_and_connect()
        for scheme in schemes:
            self.assertEqual(gate.ask(scheme, SECRET)["result"], ["ok"], scheme)
            self.assertEqual(gate.ask(scheme, SECRET + "x"), REJECT, scheme)


class Service(PosternAuth):
    def test_the_socket_and_who_may_use_it(self):
        self.configure("", 'socket_mode = "0600"\n[[source]]\ntype = "static"\nmatch = "*"\ncheck = "back"\npool = "p"\n')
        helper = self.serve()
        path = self.folder / "auth.sock"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        second = self.run_it("-c", str(self.config))
        self.assertEqual(second.returncode, 1)
        self.assertIn("another process listens there", second.stderr)
        self.assertEqual(self.connect(helper).ask("joe", "x")["result"], ["ok"], "the first one is not hurt")
        self.assertEqual(helper.stop(signal.SIGKILL), -signal.SIGKILL)
        self.assertTrue(path.exists(), "killed: the socket stays behind")
        helper = self.serve()
        self.assertEqual(self.connect(helper).ask("joe", "x")["result"], ["ok"])
        self.assertEqual(helper.stop(), 0)
        self.assertFalse(path.exists())
        path.write_text("not a socket")
        refused = self.run_it("-c", str(self.config))
        self.assertEqual(refused.returncode, 1)
        self.assertIn("no socket", refused.stderr)
        self.assertEqual(path.read_text(), "not a socket")

    def test_sigterm_answers_what_was_asked(self):
        self.user("add", "joe", password="pw")
        helper, gate = self.serve_and_connect()
        gate.ask("joe", "pw")
        gate.send(b"".join(question(number, "joe", "pw") for number in range(8)))
        first = gate.answer()
        helper.hear(signal.SIGTERM)
        answers = [first]
        while line := gate.line():
            answers.append(parse(line))
        self.assertEqual([answer["result"] for answer in answers], [["ok"]] * 8)
        self.assertEqual(helper.process.wait(PATIENCE_S), 0)

    def test_sighup_reads_the_configuration_and_a_wrong_one_changes_nothing(self):
        source = '[[source]]\ntype = "static"\nmatch = "*"\npassword = "{{PLAIN}}{0}"\npool = "{0}"\n'
        self.configure(source.format("one"))
        helper, gate = self.serve_and_connect()
        self.assertEqual(gate.ask("joe", "one")["pool"], ["one"])
        self.configure(source.format("two"))
        helper.hear(signal.SIGHUP)
        gate.wait_for_invalidation("*")
        self.assertEqual(gate.ask("joe", "one"), REJECT)
        self.assertEqual(gate.ask("joe", "two")["pool"], ["two"])
        self.configure(source.format("three").replace("pool", "pol"))
        helper.hear(signal.SIGHUP)
        wait_until(lambda: "The old configuration stays in force." in helper.log(), "the complaint")
        self.assertIn('did you mean \\"pool\\"?', helper.log())
        self.assertEqual(gate.ask("joe", "two")["pool"], ["two"])

    def test_check_says_everything_that_is_wrong(self):
        self.configure('[[source]]\ntype = "sqlit"\n[[source]]\ntype = "static"\nmatch = "*"\n', 'sokcet = "/x"\nworkers = -1\n')
        done = self.run_it("--check", "-c", str(self.config))
        self.assertEqual(done.returncode, 1)
        for said in [':3: the file has no setting "sokcet"; did you mean "socket"?',
                     ":4: workers must be a whole number from 0 to 1024; found -1.",
                     ':6: type in [[source]] is "sqlit"; did you mean "sqlite"?', ":7: [[source]] lacks password."]:
            self.assertIn(said, done.stderr)
        self.configure('[[source]]\ntype = "passwd-file"\nfile = "/nowhere/users"\n')
        done = self.run_it("--check", "-c", str(self.config))
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot read /nowhere/users: No such file or directory", done.stderr)
        self.configure('[[source]]\ntype = "static"\nmatch = "*"\ncheck = "back"\npool = "p"\n')
        done = self.run_it("--check", "-c", str(self.config))
        self.assertEqual((done.returncode, done.stdout), (0, f"{self.config}: good.\n"))

    def test_the_shipped_sample_is_understood(self):
        sample = pathlib.Path(SAMPLE).read_text()
        sample = sample.replace("/var/lib/postern", str(self.folder))
        self.config.write_text(sample)
        self.assertEqual(self.run_it("--check", "-c", str(self.config)).returncode, 0)
        # Every line that is commented out is a setting that exists.
        everything = "\n".join(line[1:] if line.startswith("#") and line[1:2].isalpha() or line.startswith("#[") else line
                               for line in sample.splitlines())
        for path in re.findall(r'"/etc/postern/([^"/]+)"', everything):
            (self.folder / path).write_text("x\n")
            (self.folder / path).chmod(0o600)
        self.config.write_text(everything.replace("/etc/postern/", f"{self.folder}/"))
        done = self.run_it("--check", "-c", str(self.config))
        # Its servers are nowhere, but the file has no mistake.
        self.assertNotIn(str(self.config), done.stderr)

    def explain(self, *words, password="right"):
        stdin = ["--password-stdin"] if password is not None else ["--no-password"]
        return self.run_it(*words, "-c", str(self.config), *stdin, stdin=f"{password}\n")

    def test_explain_tells_step_by_step(self):
        users = self.folder / "users"
        users.write_text("joe@example.test:{PLAIN}right\n")
        self.configure(f"""
            [[source]]
            type = "static"
            name = "guests"
            match = "guest*"
            password = "{{PLAIN}}guest"
            users = "guest*"
            [[source]]
            type = "passwd-file"
            file = "{users}"
            [[source]]
            type = "static"
            name = "places"
            role = "route"
            match = "*@example.test"
            back = "192.0.2.1:143"
            master_user = "gate"
            master_password = "hidden"
            """, 'default_domain = "example.test"\n[aliases]\nboss = "joe"\n')
        done = self.explain("explain", "Boss")
        self.assertEqual(done.returncode, 0, done.stderr)
        for said in ["Boss by imap from 127.0.0.1\n", "1. name: looked up as joe@example.test", "2. guests: not asked",
                     f"3. passwd-file:{users}: yes", "4. places: says where", "accepted by passwd-file:", "back = 192.0.2.1:143",
                     "back_user = joe@example.test", "master_password = (set)"]:
            self.assertIn(said, done.stdout)
        self.assertNotIn("hidden", done.stdout)
        done = self.explain("explain", "joe@example.test", password="wrong")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"refused by passwd-file:{users}: wrong password", done.stdout)
        self.assertNotIn("places", done.stdout)
        self.assertIn("as if the password were right", self.explain("explain", "joe", password=None).stdout)
        self.assertEqual(self.explain("test", "joe").stdout, f"accepted by passwd-file:{users}\n")
        self.assertEqual(self.explain("test", "nobody").returncode, 1)
        users.unlink()
        self.assertEqual(self.explain("test", "joe").returncode, 3)
        self.assertEqual(self.explain("test", "joe", "--protocol", "smtp").returncode, 2)
        self.assertEqual(self.run_it("explain", "joe", "-c", str(self.config), "--password=x").returncode, 2)

    def test_figures_of_each_source(self):
        users = self.folder / "users"
        users.write_text("joe:{PLAIN}right\n")
        self.configure(f'[[source]]\ntype = "passwd-file"\nname = "people"\nfile = "{users}"\n')
        helper, gate = self.serve_and_connect()
        for user, password in [("joe", "right"), ("joe", "wrong"), ("eve", "right")]:
            gate.ask(user, password)
        helper.hear(signal.SIGUSR1)
        wait_until(lambda: " figures " in helper.log(), "the figures")
        self.assertRegex(helper.log(), r" figures source=people found=2 unknown=1 refused=0 failed=0 turned_away=0 ")

    def test_two_commands_make_the_database_at_once(self):
        commands = [subprocess.Popen([POSTERN_AUTH, "user", "add", f"u{i}", "--database", str(self.database),
                                      "--password-stdin", "--scheme", "bcrypt"], stdin=subprocess.PIPE) for i in range(6)]
        for command in commands:
            command.communicate(b"pw\n", timeout=PATIENCE_S)
        self.assertEqual([command.returncode for command in commands], [0] * 6)
        self.assertEqual(self.user("list").count("\n"), 6)


if __name__ == "__main__":
    POSTERN_AUTH = sys.argv.pop(1)
    SAMPLE = sys.argv.pop(1)
    unittest.main()
