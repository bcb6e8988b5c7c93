#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows that the load generator and the simulated mail server understand each other, plain and by TLS, and that what
they report is what happened. Small numbers, loopback, free ports. Usage: smoke_test.py SWARM MAILSTUB"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

SWARM, MAILSTUB = (os.path.abspath(word) for word in sys.argv[1:3])
MAIL_SIZE = 300_000
PROTOCOLS = ("imap", "pop3", "submission")


class Stub:
    """postern-mailstub with all its listeners; `told` maps their kinds to addresses."""

    def __init__(self, directory, *more):
        self.helper = os.path.join(directory, "helper.sock")
        words = [MAILSTUB, "--helper", self.helper]
        for door in ("--listen", "--pop3", "--submission", "--auth-http"):
            words += [door, "127.0.0.1:0"]
        self.process = subprocess.Popen([*words, "--mail", str(MAIL_SIZE), *more], stdout=subprocess.PIPE, text=True)
        self.told = {}
        for line in self.process.stdout:
            word, _, where = line.strip().partition(" ")
            if word == "ready":
                break
            self.told[word] = where

    def connect(self, kind="imap"):
        host, _, port = self.told[kind].rpartition(":")
        return socket.create_connection((host, int(port)), 10)

    def close(self):
        self.process.terminate()
        status = self.process.wait(10)
        self.process.stdout.close()
        return status


def swarm(*words, status=0):
    done = subprocess.run([SWARM, *map(str, words)], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != status:
        raise AssertionError(f"{words}: status {done.returncode}, {done.stdout} {done.stderr}")
    return json.loads(done.stdout)


def talk(stream, *turns):
    """Sends each turn's bytes, reads until its answer is complete; answers must match the patterns."""
    for send, pattern in turns:
        stream.sendall(send)
        got = b""
        while not re.fullmatch(pattern, got, re.DOTALL):
            more = stream.recv(65536)
            if not more:
                raise AssertionError(f"after {send!r}: {got!r}, wanted {pattern!r}")
            got += more


class Smoke(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        chain, key = (os.path.join(cls.directory.name, name) for name in ("chain.pem", "key.pem"))
        kind = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=mail.example.test"]
        make = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-keyout", key, "-out", chain, "-newkey", *kind]
        subprocess.run(make, check=True, capture_output=True)
        os.mkdir(os.path.join(cls.directory.name, "tls"))
        cls.plain = Stub(cls.directory.name)
        cls.tls = Stub(os.path.join(cls.directory.name, "tls"), "--chain", chain, "--key", key)

    @classmethod
    def tearDownClass(cls):
        for stub in (cls.plain, cls.tls):
            assert stub.close() == 0
        cls.directory.cleanup()

    def both(self, mode, *words, protocols=("imap",)):
        """The reports of the same load over TLS and in clear."""
        for protocol in protocols:
            for stub, how in ((self.tls, []), (self.plain, ["--plain"])):
                report = swarm(mode, stub.told[protocol], *how, "--protocol", protocol, *words)
                self.assertEqual(report["protocol"], protocol)
                yield report

    def test_hold_keeps_every_session(self):
        for report in self.both("hold", "--sessions", 60, "--for", 0.2, "--exercise", 4096, protocols=PROTOCOLS):
            self.assertEqual((report["established"], report["lost"], report["faults"]), (60, 0, {}))

    def test_hold_rests_in_idle_and_comes_back(self):
        for report in self.both("hold", "--sessions", 20, "--for", 0.2, "--idle"):
            self.assertEqual((report["established"], report["lost"]), (20, 0))

    def test_hold_counts_those_who_are_lost(self):
        with tempfile.TemporaryDirectory() as directory:
            stub = Stub(directory)
            words = [SWARM, "hold", stub.told["imap"], "--plain", "--sessions", "30", "--step"]
            pipe = subprocess.PIPE
            with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
                self.assertEqual(process.stderr.readline(), "ready\n")
                stub.close()
                output, _ = process.communicate("\n\n", timeout=30)
                self.assertEqual(process.returncode, 1)
        report = json.loads(output)
        self.assertEqual((report["established"], report["lost"]), (30, 30))
        self.assertEqual(sum(report["faults"].values()), 30)

    def test_hold_ends_early_at_a_signal(self):
        words = [SWARM, "hold", self.plain.told["imap"], "--plain", "--sessions", "5", "--for", "600", "--step"]
        pipe = subprocess.PIPE
        with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
            self.assertEqual(process.stderr.readline(), "ready\n")
            process.send_signal(signal.SIGUSR1)
            report = json.loads(process.stdout.read())
        self.assertEqual((report["established"], report["lost"]), (5, 0))

    def test_login(self):
        for report in self.both("login", "--count", 200, "--concurrency", 16, protocols=PROTOCOLS):
            self.assertEqual((report["logins"], report["faults"]), (200, {}))
            self.assertGreater(report["latency_ms"]["p50"], 0)
            self.assertLessEqual(report["latency_ms"]["p50"], report["latency_ms"]["p99"])

    def test_login_full_and_resumed(self):
        for version, cipher in (("1.3", "TLS_AES_128_GCM_SHA256"), ("1.2", "ECDHE-ECDSA-AES128-GCM-SHA256")):
            words = ["login", self.tls.told["imap"], "--count", 50, "--tls-version", version, "--cipher", cipher]
            full, resumed = swarm(*words), swarm(*words, "--resume")
            self.assertEqual((full["measured_handshakes"], full["measured_resumed"]), (50, 0))
            self.assertEqual((resumed["measured_handshakes"], resumed["measured_resumed"]), (50, 50))
            self.assertEqual((full["tls"]["version"], full["tls"]["cipher"]), (f"TLSv{version}", cipher))

    def test_login_at_a_rate(self):
        report = swarm("login", self.plain.told["imap"], "--plain", "--count", 20, "--rate", 200)
        self.assertEqual(report["logins"], 20)

    def test_ping(self):
        for report in self.both("ping", "--sessions", 10, "--count", 1000, protocols=PROTOCOLS):
            self.assertEqual((report["sessions"], report["answers"], report["faults"]), (10, 1000, {}))

    def test_fetch_counts_the_bytes_of_whole_mails(self):
        for report in self.both("fetch", "--sessions", 3, "--bytes", 2_000_000):
            self.assertEqual(report["bytes"], report["fetches"] * MAIL_SIZE)
            self.assertGreaterEqual(report["bytes"], 2_000_000)

    def test_fetch_by_pop3_counts_what_comes_before_the_dot(self):
        # 32 bytes of the mail's last line are missing, but not its end.
        for report in self.both("fetch", "--sessions", 3, "--bytes", 2_000_000, protocols=["pop3"]):
            self.assertEqual(report["bytes"], report["fetches"] * (MAIL_SIZE + 2))
        for report in self.both("fetch", "--sessions", 3, "--bytes", 100_000, "--size", 5000, protocols=["pop3"]):
            self.assertEqual(report["bytes"], report["fetches"] * 5056)

    def test_fetch_of_the_beginning(self):
        for report in self.both("fetch", "--sessions", 3, "--bytes", 100_000, "--size", 5000):
            self.assertEqual(report["bytes"], report["fetches"] * 5000)

    def test_sources_take_turns(self):
        words = ["--plain", "--sessions", 8, "--for", 0.1, "--source", "127.9.0.254", "--sources", 4]
        self.assertEqual(swarm("hold", self.plain.told["imap"], *words)["established"], 8)

    def test_nobody_there(self):
        with socket.socket() as holder:  # bound, but does not listen
            holder.bind(("127.0.0.1", 0))
            front = "127.0.0.1:%d" % holder.getsockname()[1]
            report = swarm("login", front, "--plain", "--count", 3, status=1)
        self.assertEqual((report["logins"], report["faults"]), (0, {"refused": 3}))

    def test_too_many_faults_end_the_opening(self):
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            front = "127.0.0.1:%d" % holder.getsockname()[1]
            words = ["--plain", "--sessions", 500, "--concurrency", 4, "--faults-max", 10, "--for", 0]
            report = swarm("hold", front, *words, status=1)
        self.assertEqual(report["established"], 0)
        self.assertLess(report["faults"]["refused"], 20)

    def test_tls_towards_a_plain_port_fails_with_its_name(self):
        report = swarm("login", self.plain.told["imap"], "--count", 1, "--concurrency", 1, status=1)
        self.assertEqual(report["faults"], {"tls_failed": 1})

    def test_another_protocol_is_told_by_its_greeting(self):
        for spoken, protocol in (("imap", "pop3"), ("pop3", "submission"), ("submission", "imap")):
            words = ["--plain", "--protocol", protocol, "--count", 1, "--concurrency", 1]
            report = swarm("login", self.plain.told[spoken], *words, status=1)
            self.assertEqual(report["faults"], {"bad_greeting": 1})

    def test_wrong_command_lines(self):
        somewhere = "127.0.0.1:1"
        wrong = [[], ["hold"], ["dance", somewhere], ["hold", "nowhere"], ["hold", somewhere, "--count", "x"]]
        wrong += [["hold", somewhere, "--protocol", "nntp"], ["fetch", somewhere, "--protocol", "submission"]]
        wrong += [["hold", somewhere, "--protocol", "pop3", "--idle"]]
        for words in wrong:
            done = subprocess.run([SWARM, *words], capture_output=True, text=True, timeout=10, check=False)
            self.assertEqual((done.returncode, done.stdout), (2, ""), words)
            self.assertIn("postern-swarm", done.stderr)

    def test_stub_understands_every_way_to_log_in(self):
        ok = rb"a OK \[CAPABILITY [^\]]+\] Logged in\r\n"
        ways = [
            [(b'a LOGIN joe "secret"\r\n', ok)],
            [(b"a login {3}\r\n", rb"\+ .*\r\n"), (b"joe {6}\r\n", rb"\+ .*\r\n"), (b"secret\r\n", ok)],
            [(b"a LOGIN {3+}\r\njoe {6+}\r\nsecret\r\n", ok)],
            [(b"a LOGIN {0+}\r\n {6+}\r\nsec", rb""), (b"ret\r\n", ok)],
            [(b"a AUTHENTICATE PLAIN\r\n", rb"\+ \r\n"), (b"AGpvZQBzZWNyZXQ=\r\n", ok)],
            [(b"a AUTHENTICATE PLAIN AGpvZQBzZWNyZXQ=\r\n", ok)],
        ]
        for turns in ways:
            with self.plain.connect() as stream:
                talk(stream, (b"", rb"\* OK .*\r\n"), *turns, (b"b LOGOUT\r\n", rb"\* BYE .*\r\nb OK .*\r\n"))
                self.assertEqual(stream.recv(1), b"")

    def test_stub_answers_in_order_what_comes_at_once(self):
        with self.plain.connect() as stream:
            talk(
                stream,
                (b"", rb"\* OK .*\r\n"),
                (b"1 NOOP\r\n2 FETCH 1 BODY[]<0.10>\r\n3 CAPABILITY\r\n4 FETCH 1 BODY[]\r\n5 ID NIL\r\n6 X\r\n",
                 rb"1 OK .*\* 1 FETCH \(UID 1 BODY\[\]<0> \{10\}\r\nabcdefghij\)\r\n2 OK .*3 OK .*"
                 rb"\{300000\}\r\n.{300000}\)\r\n4 OK .*5 OK .*6 BAD .*\r\n"),
            )

    def test_stub_speaks_pop3(self):
        with self.plain.connect("pop3") as stream:
            talk(
                stream,
                (b"", rb"\+OK \[XCLIENT\] .*\r\n"),
                (b"CAPA\r\n", rb"\+OK\r\n.*\r\nUSER\r\nSASL PLAIN\r\n\.\r\n"),
                (b"AUTH PLAIN\r\n", rb"\+ \r\n"),
                (b"AGpvZQBzZWNyZXQ=\r\n", rb"\+OK .*\r\n"),
                (b"XCLIENT ADDR=192.0.2.1\r\nUSER joe\r\nPASS secret\r\n", rb"\+OK\r\n\+OK\r\n\+OK Logged in\r\n"),
                (b"AUTH PLAIN AGpvZQBzZWNyZXQ=\r\nNOOP\r\n", rb"\+OK Logged in\r\n\+OK\r\n"),
                (b"STAT\r\nRETR 1\r\nX\r\n", rb"\+OK 1 300000\r\n\+OK .*\r\n.{300000}\r\n\.\r\n-ERR .*\r\n"),
                (b"TOP 1 2\r\nTOP 1 0\r\n", rb"\+OK 128 octets\r\n.{126}\r\n\.\r\n\+OK 0 octets\r\n\.\r\n"),
                (b"QUIT\r\n", rb"\+OK .*\r\n"),
            )
            self.assertEqual(stream.recv(1), b"")

    def test_stub_speaks_submission(self):
        ok = rb"250 2\.0\.0 OK\r\n"
        with self.plain.connect("submission") as stream:
            talk(
                stream,
                (b"", rb"220 .*\r\n"),
                (b"EHLO there\r\n", rb"(250-[^\r]+\r\n)+250 AUTH PLAIN\r\n"),
                (b"AUTH PLAIN\r\n", rb"334 \r\n"),
                (b"AGpvZQBzZWNyZXQ=\r\n", rb"235 .*\r\n"),
                (b"AUTH PLAIN AGpvZQBzZWNyZXQ=\r\nNOOP\r\n", rb"235 .*\r\n" + ok),
                (b"MAIL FROM:<joe@example.test>\r\nRCPT TO:<ann@example.test>\r\nDATA\r\n", ok + ok + rb"354 .*\r\n"),
                (b"Subject: x\r\n\r\nNOOP\r\n..\r\n.\r\nNOOP\r\nX\r\n", ok + ok + rb"500 .*\r\n"),
                (b"QUIT\r\n", rb"221 .*\r\n"),
            )
            self.assertEqual(stream.recv(1), b"")

    def test_stub_answers_nginx(self):
        for word, kind in (("imap", "imap"), ("pop3", "pop3"), ("smtp", "submission")):
            with self.plain.connect("auth-http") as stream:
                stream.sendall(b"GET / HTTP/1.0\r\nAuth-User: joe\r\n")
                stream.sendall(f"Auth-Pass: secret\r\nAuth-Protocol: {word}\r\n\r\n".encode())
                answer = b""
                while more := stream.recv(4096):
                    answer += more
            host, _, port = self.plain.told[kind].rpartition(":")
            self.assertIn(b"\r\nAuth-Status: OK\r\n", answer)
            self.assertIn(f"\r\nAuth-Server: {host}\r\nAuth-Port: {port}\r\n".encode(), answer)

    def test_stub_answers_the_gate(self):
        with socket.socket(socket.AF_UNIX) as stream:
            stream.connect(self.plain.helper)
            imap, pop3 = (self.plain.told[kind].encode() for kind in ("imap", "pop3"))
            talk(
                stream,
                (b"op=hello&version=1&name=postern\n", rb"op=hello&version=1&name=postern-mailstub\n"),
                (b"op=verify&id=7&user=joe\nop=verify&user=id%3D9&i", b"id=7&result=ok&back=" + imap + b"\n"),
                (b"d=8\nop=dance&id=9\n", b"id=8&result=ok&back=" + imap + b"\nid=9&result=error\n"),
                (b"op=verify&id=9&protocol=pop3\n", b"id=9&result=ok&back=" + pop3 + b"\n"),
            )


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
