# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of all databases share: a real server in a folder of its own, and what postern-auth makes of its users."""

import concurrent.futures
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

from conversation import NO_GUESSING, PATIENCE_S, HelperTest, freeze, question, wait_until

SECRET = "s3cret ' \" \\ pässwörd"
REJECT = {"result": ["reject"], "reason": ["credentials"]}
UNAVAILABLE = {"result": ["unavailable"]}
COLUMNS = "password, back, allow_protocols, allow_nets, expires, disabled"
QUERY = f"SELECT {COLUMNS} FROM accounts WHERE name = %{{user}}"
SCHEMA = ("CREATE TABLE accounts (name VARCHAR(200), password VARCHAR(200), back VARCHAR(200), "
          "allow_protocols VARCHAR(200), allow_nets VARCHAR(200), expires VARCHAR(200), disabled INTEGER)")
# A log line must hold none of these.
FRAGMENTS = ["s3cret", "pässw", "phone-pw", "hostile-pw"]


def quoted(value):
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"


def insert(name, password, back="127.0.1.1:143", **more):
    row = {"name": name, "password": None if password is None else "{PLAIN}" + password, "back": back} | more
    return f"INSERT INTO accounts ({', '.join(row)}) VALUES ({', '.join(map(quoted, row.values()))})"


class Server:
    """A database server of ours, as a user without rights where the test has some. Ended by its process number."""

    user = None  # whom it runs as if the test is root

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-sql-"))
        self.process = None
        self.as_user = {}
        if os.getuid() == 0:
            entry = pwd.getpwnam(self.user)
            self.as_user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)

    def run(self, command, **more):
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE_S * 4, **more)
        if done.returncode != 0:
            raise AssertionError(f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            cwd=self.folder, **self.as_user)
        wait_until(self.is_up, "the database server")

    def is_up(self):
        if self.process.poll() is not None:
            raise AssertionError(f"it ended: {(self.folder / 'log').read_text()}")
        try:
            self.execute("SELECT 1")
            return True
        except AssertionError:
            return False

    def stop(self):
        if self.process is not None:
            self.process.send_signal(self.stop_signal)
            self.process.wait(PATIENCE_S)
            self.process = None

    def make_certificate(self, file="cert", address="127.0.0.1"):
        """Signed by itself: file.pem, and its key in file-key.pem."""
        self.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                  "-days", "2", "-keyout", f"{file}-key.pem", "-out", f"{file}.pem", "-subj", f"/CN={address}", "-addext",
                  f"subjectAltName=IP:{address}"], **self.as_user)

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder)

    def family(self):
        """The server and its children, parents first."""
        parents = {}
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
        return [self.process.pid] + [child for child, parent in parents.items() if parent == self.process.pid]

    def freeze(self):
        self.frozen = self.family()
        for number in self.frozen:
            freeze(number)

    def thaw(self):
        for number in self.frozen:
            os.kill(number, signal.SIGCONT)


class SqlTest(HelperTest):
    """The promises of every database source. `server` is made by the subclass, once for all its tests."""

    postern_auth = None
    server = None
    make_server = None

    @classmethod
    def setUpClass(cls):
        cls.server = cls.make_server()
        cls.addClassCleanup(cls.server.remove)
        cls.server.start()
        cls.server.execute(SCHEMA)
        cls.server.prepare_users()
        for statement in [insert("joe@example.test", SECRET), insert("locked@example.test", None),
                          insert("off@example.test", SECRET, disabled=1),
                          insert("jürgen@example.test", SECRET, back="127.0.1.2:143"),
                          insert("many@example.test", "first", back="127.0.1.3:143", allow_protocols="imap"),
                          insert("many@example.test", "phone-pw", allow_nets="203.0.113.0/24"),
                          insert("many@example.test", "ended", expires="2020-01-01"),
                          insert("broken@example.test", SECRET, back="not.an.address")]:
            cls.server.execute(statement)

    def configure(self, settings=None, query=QUERY, more="", timeout="1s"):
        self.config = self.folder / "postern-auth.toml"
        self.config.write_text(
            f'socket = "{self.folder}/auth.sock"\nreject_delay = "0s"\n{NO_GUESSING}[[source]]\n'
            f'{settings or self.server.settings(self.folder)}\ntimeout = "{timeout}"\nretry_after = "0s"\n'
            f"query = '''{query}'''\n{more}")

    def serve(self, *words, **more):
        self.configure(*words, **more)
        helper = self.start([self.postern_auth, "-c", str(self.config)])
        return helper, self.connect(helper)

    def check(self, *words, **more):
        self.configure(*words, **more)
        done = subprocess.run([self.postern_auth, "--check", "-c", str(self.config)], capture_output=True, text=True,
                              timeout=PATIENCE_S)
        return done.returncode, done.stdout + done.stderr

    def assert_silent(self, helper):
        for fragment in FRAGMENTS:
            self.assertNotIn(fragment, helper.log())

    def test_right_password(self):
        _, gate = self.serve()
        self.assertEqual(gate.ask("joe@example.test", SECRET), {"result": ["ok"], "back": ["127.0.1.1:143"]})
        self.assertEqual(gate.ask("Joe@Example.test", SECRET)["user"], ["joe@example.test"])
        self.assertEqual(gate.ask("jürgen@example.test", SECRET), {"result": ["ok"], "back": ["127.0.1.2:143"]})

    def test_wrong_password(self):
        helper, gate = self.serve()
        for wrong in ["wrong", "", SECRET + "\0", SECRET + " ", "{PLAIN}" + SECRET]:
            self.assertEqual(gate.ask("joe@example.test", wrong), REJECT, wrong)
        self.assertEqual(gate.ask("locked@example.test", ""), REJECT)
        self.assertEqual(gate.ask("off@example.test", "wrong"), REJECT)
        self.assertEqual(gate.ask("off@example.test", SECRET), {"result": ["reject"], "reason": ["disabled"]})
        self.assert_silent(helper)

    def test_unknown_user(self):
        _, gate = self.serve(more='[[source]]\ntype = "static"\nmatch = "next"\npassword = "{PLAIN}x"\npool = "p"\n')
        self.assertEqual(gate.ask("nobody@example.test", SECRET), REJECT)
        self.assertEqual(gate.ask("next", "x")["result"], ["ok"])

    def test_several_passwords_of_one_user(self):
        _, gate = self.serve()
        self.assertEqual(gate.ask("many@example.test", "first")["back"], ["127.0.1.3:143"])
        self.assertEqual(gate.ask("many@example.test", "first", protocol="pop3")["reason"], ["not_allowed"])
        self.assertEqual(gate.ask("many@example.test", "phone-pw", protocol="pop3")["back"], ["127.0.1.1:143"])
        self.assertEqual(gate.ask("many@example.test", "phone-pw", client="198.51.100.1:1")["reason"], ["not_allowed"])
        self.assertEqual(gate.ask("many@example.test", "ended"), REJECT)

    def test_broken_row(self):
        helper, gate = self.serve()
        self.assertEqual(gate.ask("broken@example.test", SECRET), UNAVAILABLE)
        self.assertIn("row 1 of broken@example.test: column back", helper.log())
        self.assertNotIn("not.an.address", helper.log())

    def test_source_down(self):
        self.server.stop()
        try:
            helper, gate = self.serve()
            self.assertEqual(gate.ask("joe@example.test", SECRET), UNAVAILABLE)
            self.assertEqual(gate.ask("nobody@example.test", "x"), UNAVAILABLE)
            self.assert_silent(helper)
        finally:
            self.server.start()
        self.assertEqual(gate.ask("joe@example.test", SECRET)["result"], ["ok"])

    def test_source_slow(self):
        """Questions to a server that does not move are given up within their time, and nobody else waits for them."""
        _, gate = self.serve(more='users = ["*@example.test"]\n[[source]]\ntype = "static"\nmatch = "quick"\n'
                                  'password = "{PLAIN}x"\npool = "p"\n')
        self.assertEqual(gate.ask("joe@example.test", SECRET)["result"], ["ok"])
        self.server.freeze()
        try:
            gate.send(b"".join(question(i, "joe@example.test", SECRET) for i in range(10)) + question(10, "quick", "x"))
            first = gate.answer()
            self.assertEqual((first["id"], first["result"]), (["10"], ["ok"]))
            self.assertEqual({gate.answer()["result"][0] for _ in range(10)}, {"unavailable"})
        finally:
            self.server.thaw()
        wait_until(lambda: gate.ask("joe@example.test", SECRET)["result"] == ["ok"], "the server that moves again")

    def test_hostile_input(self):
        helper, gate = self.serve()
        hostile = ["' OR '1'='1", "joe@example.test' --", "'; DROP TABLE accounts; --", '" OR ""="', "\\", "\\'",
                   "joe@example.test\0", "\0", "joe@example.test\0' OR 1=1", "$1", "?", "%", "_", "%s%n%{user}", "*)(uid=*",
                   "\udcff\udcfe@example.test", "j\udcfcrgen@example.test", "\udcc3", "\udced\udca0\udc80",
                   "joe@example.test\r\nop=verify", "x" * 500, "x" * 5000, "😀" * 100, "\u202ejoe@example.test"]
        for name in hostile:
            self.assertEqual(gate.ask(name, "hostile-pw"), REJECT, name)
            self.assertEqual(gate.ask("joe@example.test", "hostile-pw" + name), REJECT, name)
            # Other variables come from strangers too.
            self.assertEqual(gate.ask("nobody", "x", sni=name[:200]), REJECT, name)
        self.assertEqual(gate.ask("joe@example.test", SECRET)["result"], ["ok"])
        self.assert_silent(helper)
        self.assertEqual(self.server.execute("SELECT COUNT(*) FROM accounts").split()[-1], "8")

    def test_hostile_values_of_other_variables(self):
        _, gate = self.serve(query=QUERY + " AND %{sni} <> 'x' AND %{protocol} = 'imap'")
        self.assertEqual(gate.ask("joe@example.test", SECRET, sni="y")["result"], ["ok"])
        self.assertEqual(gate.ask("joe@example.test", SECRET, sni="\udcff"), REJECT)
        self.assertEqual(gate.ask("joe@example.test", SECRET, sni="' OR 1=1 --")["result"], ["ok"])

    def test_reconnect(self):
        """A restart of the server costs no login, whatever connections were open."""
        helper, gate = self.serve()
        gate.send(b"".join(question(i, "joe@example.test", SECRET) for i in range(6)))
        self.assertEqual({gate.answer()["result"][0] for _ in range(6)}, {"ok"})
        for _ in range(2):
            self.server.stop()
            self.server.start()
            for _ in range(3):
                self.assertEqual(gate.ask("joe@example.test", SECRET)["result"], ["ok"], helper.log())

    def test_too_many_rows(self):
        helper, gate = self.serve(query="SELECT a.password FROM accounts a, accounts b, accounts c WHERE %{user} <> ''")
        self.assertEqual(gate.ask("joe@example.test", SECRET), UNAVAILABLE)
        self.assertIn("the query gives more than 64 rows for one user; narrow its WHERE", helper.log())
        self.assert_silent(helper)

    def test_no_more_connections_than_configured(self):
        helper, gate = self.serve(more="connections = 3\n")
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            gates = [self.connect(helper) for _ in range(4)]
            answers = pool.map(lambda one: [one.ask("joe@example.test", SECRET)["result"] for _ in range(50)], gates)
            self.assertEqual([answer for some in answers for answer in some], [["ok"]] * 200)
        self.assertIn(self.server.connections_of(helper), range(1, 4))

    def test_check(self):
        self.assertEqual(self.check(), (0, f"{self.config}: good.\n"))
        code, text = self.check(query="SELECT passwort AS password FROM accounts WHERE name = %{user}")
        self.assertEqual(code, 1)
        self.assertIn("passwort", text)
        code, text = self.check(query="SELECT FROM accounts WHERE WHERE name = %{user}")
        self.assertIn("syntax", text)
        code, text = self.check(query="SELECT password, back AS bakc, name FROM accounts WHERE name = %{user}")
        self.assertIn('the column "bakc" means nothing here; did you mean "back"?', text)
        self.assertIn('the column "name" means nothing here; rename it with AS, or take it out of the query.', text)
        code, text = self.check(query="SELECT back FROM accounts WHERE name = %{user}")
        self.assertIn('there is no column "password", so nobody can log in', text)
        self.assertEqual(self.check(query="SELECT back FROM accounts WHERE name = %{user}", more='role = "route"\n')[0], 0)
        self.assertEqual(self.check(query="SELECT back FROM accounts WHERE name = %{user}", more='check = "back"\n')[0], 0)
        code, text = self.check(query="SELECT password FROM accounts WHERE %{user} <> ''")
        self.assertIn("it gives 8 rows for nobody", text)
        code, text = self.check(query="SELECT password FROM accounts WHERE name = '%{user}'")
        self.assertRegex(text, r"postern-auth\.toml:\d+: query in \[\[source\]\] has a %\{variable\} in quotes")
        code, text = self.check(query="DELETE FROM accounts WHERE name = %{user}")
        self.assertIn("it gives no rows; it must be a SELECT", text)
        self.assertEqual(self.server.execute("SELECT COUNT(*) FROM accounts").split()[-1], "8")


class SilentServer:
    """Takes connections and says nothing, or nothing but a greeting."""

    def __init__(self, test, address, family=socket.AF_INET, greeting=b""):
        self.socket = socket.socket(family)
        test.addCleanup(self.socket.close)
        self.socket.bind(address)
        self.socket.listen(100)
        self.port = self.socket.getsockname()[1] if family == socket.AF_INET else 0
        self.greeted = []
        if greeting:
            threading.Thread(target=self.greet, args=[greeting], daemon=True).start()

    def greet(self, greeting):
        while True:
            connection, _ = self.socket.accept()
            connection.sendall(greeting)
            self.greeted.append(connection)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    SqlTest.postern_auth = sys.argv.pop(1)
    unittest.main()
