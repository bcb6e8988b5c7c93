# SPDX-License-Identifier: GPL-3.0-or-later
"""An administrator looks into a gate that serves, by posternctl and by bare requests, and steers it.

Usage: control_test.py POSTERN POSTERNCTL MAILSTUB SWARM ROOT [tests]"""

import base64
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import termios
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "gate"))
import tap  # noqa: E402
from programs import PATIENCE_S, Gate, wait_until  # noqa: E402
from world import NAME, MailProgram, make_certificate, read_to_end  # noqa: E402

POSTERN, POSTERNCTL, MAILSTUB, SWARM, ROOT = (os.path.abspath(word) for word in sys.argv[1:6])
PASSWORD = "hunter2-Geheimnis"


class Stub:
    """A simulated mail server, which lets everybody in; the first one answers the gate's questions, too."""

    def __init__(self, folder, *more):
        self.process = subprocess.Popen([MAILSTUB, "--listen", "127.0.0.1:0", "--pop3", "127.0.0.1:0", *more],
                                        stdout=subprocess.PIPE, text=True, cwd=folder)
        self.told = {}
        for line in self.process.stdout:
            word, _, where = line.strip().partition(" ")
            if word == "ready":
                break
            self.told[word] = where

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE_S)
        self.process.stdout.close()


class Control(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="postern-control-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.folder.chmod(0o755)
        make_certificate(cls.folder, "mail", NAME)
        cls.context = ssl.create_default_context(cafile=str(cls.folder / "ca.crt"))
        cls.stub, cls.second = Stub(folder.name, "--helper", str(cls.folder / "helper.sock")), Stub(folder.name)
        cls.addClassCleanup(cls.stub.stop)
        cls.addClassCleanup(cls.second.stop)
        cls.socket = cls.folder / "control.sock"
        cls.gate = Gate(POSTERN, cls.folder, cls.configuration, 2)
        cls.addClassCleanup(cls.gate.stop)
        cls.gate.start()
        cls.gate.wait_for_capabilities("default")

    @classmethod
    def configuration(cls, imap, pop3, more=""):
        return f"""
[gate]
reactors = 2
hostname = "{NAME}"
drain_timeout = "1s"
control = "{cls.socket}"
[[tls.certificate]]
chain = "{cls.folder}/mail.crt"
key = "{cls.folder}/mail.key"
[[listen]]
addresses = ["127.0.0.1:{imap}"]
[[listen]]
protocol = "pop3"
pool = "pop3"
addresses = ["127.0.0.1:{pop3}"]
[auth]
helper = "{cls.folder}/helper.sock"
[[pool]]
name = "default"
members = ["{cls.stub.told['imap']}"]
[[pool]]
name = "pop3"
protocol = "pop3"
members = ["{cls.stub.told['pop3']}"]
{more}
"""

    def ctl(self, *words, code=0, socket_path=None):
        done = subprocess.run([POSTERNCTL, "--socket", str(socket_path or self.socket), *words], capture_output=True, text=True,
                              timeout=PATIENCE_S, check=False)
        self.assertEqual(done.returncode, code, (words, done.stdout, done.stderr))
        return done.stderr if code else done.stdout

    def ask(self, *words, code=0):
        """The documents of the answer."""
        done = subprocess.run([POSTERNCTL, "--json", "-s", str(self.socket), *words], capture_output=True, text=True,
                              timeout=PATIENCE_S, check=False)
        self.assertEqual(done.returncode, code, (words, done.stdout, done.stderr))
        return [json.loads(line) for line in done.stdout.splitlines()]

    def log_in(self, user, password=PASSWORD):
        mail = MailProgram(self.gate.ports[0], self.context)
        self.addCleanup(mail.hang_up)
        mail.login(user, password)
        return mail

    def sessions_of(self, user):
        return self.ask("sessions", user)[:-1]

    def connect(self):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE_S)
        sock.connect(str(self.socket))
        self.addCleanup(sock.close)
        return sock

    # ---- Looking ----

    def test_status_and_sessions(self):
        mail = self.log_in("Status@example.test")
        session, end = self.ask("sessions", "status@EXAMPLE.test")
        self.assertEqual(end, {"sessions": 1, "result": "ok"})
        self.assertEqual((session["state"], session["protocol"], session["user"], session["back"], session["front_tls"]),
                         ("Relaying", "imap", "Status@example.test", self.stub.told["imap"], "TLSv1.3"))
        self.assertEqual(session["front"], f"127.0.0.1:{mail.sock.getsockname()[1]}")
        mail.noop()
        one = self.ask("session", session["session"])[0]
        self.assertEqual(one["session"], session["session"])
        self.assertGreater(one["bytes_in"], session["bytes_in"])
        status = self.ask("status")[0]
        self.assertEqual((status["result"], status["reactors"]), ("ok", 2))
        self.assertGreaterEqual(status["states"]["Relaying"], 1)
        self.assertGreaterEqual(status["bytes_in"], one["bytes_in"], "of living sessions, too")
        self.assertIn("Status@example.test", self.ctl("sessions"))
        self.assertRegex(self.ctl("status"), r"(?m)^sessions +[1-9]")
        for filters, count in ((["protocol=pop3"], 0), ([f"port={self.gate.ports[0]}"], 1), (["front=10.0.0.0/8"], 0),
                               ([f"back={self.stub.told['imap']}"], 1), (["state=LoggingIn"], 0)):
            self.assertEqual(len(self.ask("sessions", "status@example.test", *filters)) - 1, count, filters)

    def test_what_cannot_be_done_is_said_with_its_code(self):
        self.assertIn("no such session", self.ctl("session", "0" * 16, code=1))
        self.assertIn("must be", self.ctl("sessions", "front=nowhere", code=1))
        self.assertIn("no such command", self.ctl("frob", code=2))
        self.assertIn("which sessions", self.ctl("kick", code=2))
        self.assertIn("Is the gate running", self.ctl("status", code=3, socket_path="/nonexistent/socket"))
        self.assertEqual(self.ask("log-level", "loud", code=1)[0]["result"], "error")

    def test_top_is_drawn_and_the_terminal_comes_back(self):
        front, back = pty.openpty()
        fcntl.ioctl(back, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        before = termios.tcgetattr(back)
        with subprocess.Popen([POSTERNCTL, "-s", str(self.socket), "top"], stdin=back, stdout=back, stderr=back) as process:
            shown = b""
            while shown.count(b"\x1b[H") < 2:
                self.assertTrue(select.select([front], [], [], PATIENCE_S)[0], shown)
                shown += os.read(front, 65536)
            os.write(front, b"q")
            self.assertEqual(process.wait(PATIENCE_S), 0)
        while select.select([front], [], [], 0)[0]:
            shown += os.read(front, 65536)
        self.assertEqual(termios.tcgetattr(back), before)
        os.close(front)
        os.close(back)
        self.assertIn(b"logins", shown)
        self.assertTrue(shown.rstrip().endswith(b"\x1b[?1049l"), shown[-40:])
        for screen in shown.split(b"\x1b[H")[1:]:
            lines = re.sub(rb"\x1b\[[?0-9]*[A-Za-z]", b"", screen).split(b"\r\n")
            self.assertLessEqual(len(lines), 24)
            self.assertTrue(all(len(line) <= 80 for line in lines), lines)

    # ---- Metrics ----

    def test_metrics_are_well_formed_and_the_dashboard_and_the_alerts_use_only_these(self):
        self.log_in("metrics@example.test")
        text = self.ctl("metrics")
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, "", ""))
        rules = f"{ROOT}/packaging/monitoring/postern.rules.yml"
        checked = subprocess.run(["promtool", "check", "rules", rules], capture_output=True, text=True, check=False)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
        known = {name + suffix for name, kind in types.items()
                 for suffix in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",))}
        labels = {}
        for name, listed in re.findall(r"^(postern_\w+)(?:\{(.*)\})? \S+$", text, re.M):
            self.assertIn(name, known)
            labels.setdefault(name, set()).update(re.findall(r'(\w+)="', listed))
        self.assertNotIn("metrics@example.test", text)
        dashboard = json.loads(pathlib.Path(f"{ROOT}/packaging/monitoring/grafana-dashboard.json").read_text())
        queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
        queries += re.findall(r"expr: (.*)", pathlib.Path(rules).read_text())
        self.assertGreater(len(queries), 25)
        for query in queries:
            names = set(re.findall(r"\bpostern_\w+", query))
            self.assertTrue(names and names <= known, (query, names - known))
            # Where a family has samples, what it is summed by is among its labels.
            by = {label for group in re.findall(r"by \(([^)]*)\)", query) for label in re.split(r", *", group)} - {"instance"}
            with_samples = [labels[name] for name in names if name in labels]
            self.assertTrue(not with_samples or by <= set.union(*with_samples), (query, by))

    # ---- Steering ----

    def test_kick_ends_the_sessions_that_are_meant(self):
        mail, other = self.log_in("kick@example.test"), self.log_in("other@example.test")
        waiting = MailProgram(self.gate.ports[0], self.context)
        self.addCleanup(waiting.hang_up)
        kicked = self.ask("kick", "kick@example.test")
        self.assertEqual(kicked[-1], {"kicked": 1, "result": "ok"})
        self.assertEqual(mail.sock.recv(100), b"")
        self.assertEqual(other.noop()[0], "OK")
        port = waiting.sock.getsockname()[1]
        found = [one for one in self.ask("sessions", "state=LoggingIn")[:-1] if one["front"] == f"127.0.0.1:{port}"]
        self.ask("kick", f"session={found[0]['session']}")
        self.assertIn(b"* BYE Ended by the administrator", read_to_end(waiting.sock))
        self.gate.wait_for_log(r" end .*user=kick@example\.test .*reason=kicked")
        self.assertIn("all=yes", self.answers(b"op=kick\n", 1)[0]["text"])

    def test_reload_says_what_came_of_it(self):
        self.assertIn("reloaded", self.ctl("reload"))
        good = self.gate.config.read_text()
        self.addCleanup(self.ctl, "reload")
        self.addCleanup(self.gate.config.write_text, good)
        self.gate.config.write_text(good + "[limits]\nsesions = 3\n")
        answer = self.ask("reload", code=1)[0]
        self.assertEqual(answer["result"], "error")
        self.assertRegex("\n".join(answer["lines"]), r"postern\.toml:\d+: .*sesions")

    def test_log_level(self):
        self.assertEqual(self.ask("log-level", "debug")[0]["level"], "debug")
        self.assertEqual(self.ask("log-level")[0]["level"], "debug")
        self.assertEqual(self.ask("log-level", "info")[0]["level"], "info")

    def test_cache(self):
        self.log_in("cache@example.test")
        self.assertEqual(self.ask("cache", "show", "CACHE@example.test")[0]["entries"], 1)
        self.assertEqual(self.ask("cache", "drop", "cache@example.test")[0]["dropped"], 1)
        self.assertEqual(self.ask("cache", "show", "cache@example.test")[0]["entries"], 0)
        self.assertGreaterEqual(self.ask("cache")[0]["misses"], 1)

    def test_a_mail_server_out_of_service(self):
        back = self.stub.told["imap"]
        living = self.log_in("living@example.test")
        self.addCleanup(self.ctl, "backends", "enable", back)
        self.assertTrue(self.ask("backends", "disable", back)[0]["changed"])
        state = {one["back"]: one["state"] for one in self.ask("backends")[:-1]}
        self.assertEqual((state[back], state[self.stub.told["pop3"]]), ("disabled", "up"))
        with self.assertRaisesRegex(MailProgram.error, "UNAVAILABLE"):
            self.log_in("new@example.test")
        self.assertEqual(living.noop()[0], "OK", "it is there still")
        self.ctl("backends", "enable", back)
        self.assertEqual(self.log_in("new@example.test").noop()[0], "OK")

    def test_a_user_moves(self):
        old = self.log_in("move@example.test")
        self.assertEqual(self.ask("move", "move@example.test", self.second.told["imap"], "hold=2")[-1]["kicked"], 1)
        self.assertEqual(old.sock.recv(100), b"")
        for _ in range(2):
            # The first one is held, and both come to the new place, though the helper still names the old one.
            self.log_in("move@example.test")
        self.assertEqual({one["back"] for one in self.sessions_of("move@example.test")}, {self.second.told["imap"]})
        self.log_in("stay@example.test")
        self.assertEqual(self.sessions_of("stay@example.test")[0]["back"], self.stub.told["imap"])
        self.assertTrue(self.ask("move", "move@example.test", "cancel")[0]["known"])

    # ---- Traces ----

    def traced(self, user, talk):
        """All that posternctl shows while `talk` goes on."""
        with subprocess.Popen([POSTERNCTL, "-s", str(self.socket), "trace", user], stdout=subprocess.PIPE, text=True) as process:
            first = process.stdout.readline()
            talk()
            shown = first + process.stdout.read()
            self.assertEqual(process.wait(PATIENCE_S), 0)
        return shown

    def assert_no_password(self, shown, user):
        plain = f"\0{user}\0{PASSWORD}".encode()
        hidden = [PASSWORD, PASSWORD.upper(), base64.b64encode(PASSWORD.encode()).decode(), base64.b64encode(plain).decode(),
                  PASSWORD.encode().hex()]
        for secret in hidden:
            for at in range(len(secret) - 7):
                self.assertNotIn(secret[at:at + 8], shown)

    def raw(self, *pieces, until, port=0):
        sock = self.context.wrap_socket(socket.create_connection(("127.0.0.1", self.gate.ports[port]), PATIENCE_S), server_hostname=NAME)
        self.addCleanup(sock.close)
        said = b""
        for piece in pieces:
            sock.sendall(piece)
        while until not in said:
            part = sock.recv(4096)
            self.assertTrue(part, said)
            said += part

    def test_a_trace_shows_the_login_and_no_password(self):
        user = "trace@example.test"
        plain = base64.b64encode(f"\0{user}\0{PASSWORD}".encode())
        size = str(len(PASSWORD)).encode()
        ways = {
            "command": ([f'a LOGIN {user} "{PASSWORD}"\r\n'.encode()], b"a OK", 0),
            "literals": ([b"a LOGIN {18+}\r\n" + user.encode() + b" {" + size + b"+}\r\n" + PASSWORD.encode() + b"\r\n"], b"a OK", 0),
            "initial response": ([b"a AUTHENTICATE PLAIN " + plain + b"\r\n"], b"a OK", 0),
            "answer": ([b"a AUTHENTICATE PLAIN\r\n", plain + b"\r\n"], b"a OK", 0),
            "pieces": ([bytes([byte]) for byte in b"a AUTHENTICATE PLAIN " + plain + b"\r\n"], b"a OK", 0),
            "mistakes": ([PASSWORD.encode() + b" NOOP\r\n", plain + b"\r\n", b"a LOGIN " + f"{user} {PASSWORD}\r\n".encode()], b"a OK", 0),
            "pop3": ([f"USER {user}\r\nPASS {PASSWORD}\r\n".encode()], b"+OK Logged in", 1),
        }
        for way, (pieces, until, port) in ways.items():
            with self.subTest(way=way):
                def talk(pieces=pieces, until=until, port=port):
                    self.log_in("bystander@example.test")
                    self.raw(*pieces, until=until, port=port)
                shown = self.traced(user, talk)
                self.assertRegex(shown, r"program>gate +(tag )?(LOGIN|AUTHENTICATE|USER)")
                self.assertIn("gate>server", shown)
                self.assertIn("the helper accepts", shown)
                self.assertIn("now LoggingInBack", shown)
                self.assertIn("the relay begins", shown)
                self.assertNotIn("bystander", shown)
                self.assert_no_password(shown, user)

    def test_a_trace_ends_by_its_time_and_when_nobody_looks(self):
        self.assertIn("end: time", self.ctl("trace", "nobody@example.test", "1", "1"))
        socks = [self.connect() for _ in range(4)]
        for sock in socks:
            sock.sendall(b"op=trace&user=nobody\n")
            sock.recv(1000)
        self.assertIn("enough traces", self.ctl("trace", "joe", code=1))
        for sock in socks:
            sock.close()
        wait_until(lambda: subprocess.run([POSTERNCTL, "-s", str(self.socket), "trace", "joe", "1", "1"], capture_output=True,
                                          check=False).returncode == 0, "those who have gone make room")

    # ---- Others at the socket ----

    def answers(self, request, count):
        sock = self.connect()
        sock.sendall(request)
        file = sock.makefile("rb")
        self.addCleanup(file.close)
        return [json.loads(file.readline()) for _ in range(count)]

    def test_bare_requests_and_nonsense(self):
        self.assertEqual(self.answers(b"op=log-level\nop=cache\n", 2)[0]["level"], "info")
        for nonsense in (b"\0\xff\n", b"op=%\n", b"op=frob\n", b"\n", b"op=sessions&front=%ff\n", b"op=session\n", b"GET / HTTP/1.1\r\n",
                         b"op=trace\n", b"op=move\n", b"op=move&user=x&back=y\n", b"op=backends&disable=x\n", b"x" * 20000):
            answer = self.answers(nonsense, 1)[0]
            self.assertEqual(answer["result"], "error", nonsense)
            self.assertTrue(answer["text"])
        self.assertEqual(self.ask("status")[0]["result"], "ok")

    def test_the_slow_and_the_many_hold_up_nobody(self):
        socks = [self.connect() for _ in range(20)]
        for sock in socks:
            sock.sendall(b"op=sta")
        self.assertEqual(self.ask("status")[0]["result"], "ok")
        socks += [self.connect() for _ in range(12)]
        self.assertIn(b"too many", self.connect().recv(1000))
        for sock in socks[:20]:
            sock.sendall(b"tus\n")
            self.assertIn(b'"version"', sock.recv(1000))
        for sock in socks:
            sock.close()
        wait_until(lambda: b"too many" not in self.heard_of_status(), "room again")

    def heard_of_status(self):
        sock = self.connect()
        sock.sendall(b"op=status\n")
        return sock.recv(1000)

    @unittest.skipUnless(os.geteuid() == 0, tap.IMPOSSIBLE + "only root can become another user")
    def test_only_root_and_the_group_may_connect(self):
        self.assertEqual(self.socket.stat().st_mode & 0o777, 0o660)
        program = shutil.copy(POSTERNCTL, self.folder / "posternctl")
        os.chmod(program, 0o755)
        done = subprocess.run([program, "-s", str(self.socket), "status"], user="nobody", group="nogroup", extra_groups=[],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn("Only root and the gate's own group", done.stderr)
        done = subprocess.run([program, "-s", str(self.socket), "status"], user="nobody", group=os.getegid(), extra_groups=[],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_second_gate_leaves_the_first_ones_socket_alone(self):
        folder = self.folder / "second"
        folder.mkdir()
        second = Gate(POSTERN, folder, self.configuration, 2)
        self.addCleanup(second.stop)
        second.start()
        second.wait_for_log(r" warning control .*another process listens there")
        second.stop()
        self.assertEqual(self.ask("status")[0]["pid"], self.gate.process.pid)

    def test_listing_while_two_thousand_sessions_come_and_go(self):
        words = [SWARM, "hold", f"127.0.0.1:{self.gate.ports[0]}", "--sessions", "2000", "--for", "600"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as swarm:
            try:
                seen = []

                def listing():
                    listed = self.ask("sessions", "state=Relaying", f"back={self.stub.told['imap']}")
                    ids = [one["session"] for one in listed[:-1]]
                    self.assertEqual(len(ids), len(set(ids)), "none twice")
                    self.assertEqual(listed[-1]["sessions"], len(ids))
                    seen.append(len(ids))
                    return len(ids) >= 2000
                wait_until(listing, lambda: f"all sessions: {seen}")
                # Somebody who asks and does not read holds up neither the gate nor the others.
                slow = self.connect()
                slow.sendall(b"op=sessions\n")
                self.assertGreaterEqual(self.ask("kick", "all")[-1]["kicked"], 2000)
                wait_until(lambda: self.ask("status")[0]["states"]["Relaying"] == 0, "the end of all")
                self.assertIn(b'{"session"', slow.recv(1000))
            finally:
                swarm.terminate()
                swarm.communicate(timeout=PATIENCE_S)


if __name__ == "__main__":
    tap.main(sys.argv[6:])
