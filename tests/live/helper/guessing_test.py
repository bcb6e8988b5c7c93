# SPDX-License-Identifier: GPL-3.0-or-later
"""postern-auth against those who guess: blocks, the policy server's word, and fail2ban reading the log."""

import http.server
import json
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import unittest

from conversation import PATIENCE_S, HelperTest, wait_until

POSTERN_AUTH = None
PACKAGING = None
REJECT = {"result": ["reject"], "reason": ["credentials"]}
FAIL2BAN = pathlib.Path("/etc/fail2ban/filter.d")
BLOCKED = REJECT | {"cache": ["no"], "delay_ms": ["2000"]}


class Guessing(HelperTest):
    def configure(self, settings):
        (self.folder / "postern-auth.toml").write_text(
            f'socket = "{self.folder}/auth.sock"\nreject_delay = "0s"\n[guessing]\ndelay_first = "0s"\ndelay_max = "2s"\n'
            f'block_after = 3\n{settings}\n[[source]]\ntype = "static"\nmatch = "*@example.test"\n'
            'password = "{PLAIN}right"\npool = "p"\n')

    def serve(self):
        helper = self.start([POSTERN_AUTH, "-c", str(self.folder / "postern-auth.toml")])
        return helper, self.connect(helper)

    def secret(self, name, text):
        path = self.folder / name
        path.write_text(text + "\n")
        path.chmod(0o600)
        return path


class Blocks(Guessing):
    def test_a_block_looks_like_a_wrong_password_and_is_not_remembered(self):
        self.configure("")
        helper, gate = self.serve()
        for protocol in ("imap", "pop3", "submission"):
            self.assertEqual(gate.ask("Joe@example.test", "wrong " + protocol, protocol=protocol), REJECT)
        self.assertEqual(gate.ask("joe@example.test", "right", protocol="sieve"), BLOCKED)
        self.assertEqual(gate.ask("joe@example.test", "right", client="203.0.113.8:1")["result"], ["ok"])
        self.assertEqual(gate.ask("ann@example.test", "right")["result"], ["ok"])
        self.assertIn("info blocked client=203.0.113.7 protocol=sieve reason=user_at_network left=", helper.log())

    def test_refusals_come_later_the_more_was_tried_and_the_right_password_at_once(self):
        self.configure("")
        path = self.folder / "postern-auth.toml"
        path.write_text(path.read_text().replace('delay_first = "0s"', 'delay_first = "1s"'))
        _, gate = self.serve()
        self.assertEqual(gate.ask("joe@example.test", "a"), REJECT)
        for _ in range(5):
            self.assertEqual(gate.ask("joe@example.test", "b").get("delay_ms"), ["1000"] if _ == 0 else ["2000"])
        self.assertEqual(gate.ask("joe@example.test", "right"), {"result": ["ok"], "pool": ["p"]})

    def test_another_spelling_is_the_same_user(self):
        self.configure("")
        path = self.folder / "postern-auth.toml"
        path.write_text('default_domain = "example.test"\n' + path.read_text())
        _, gate = self.serve()
        for user in ("joe", "JOE@example.test", "joe@example.test"):
            self.assertEqual(gate.ask(user, "wrong " + user), REJECT)
        self.assertEqual(gate.ask("joe", "right"), BLOCKED)

    def test_a_scram_exchange_does_not_begin_while_blocked(self):
        self.configure("")
        helper, gate = self.serve()
        for password in "abc":
            gate.ask("joe@example.test", password)
        gate.ask("joe@example.test", "", op="scram", mechanism="SCRAM-SHA-256")
        self.assertEqual(helper.log().count("info blocked "), 1)

    def test_tokens_are_not_counted(self):
        self.configure("")
        helper, gate = self.serve()
        for number in range(5):
            gate.send(f"op=verify&id={number}&protocol=imap&mechanism=XOAUTH2&user=joe%40example.test&token=t{number}"
                      "&client=203.0.113.7%3A4711\n".encode())
            gate.answer()
        self.assertEqual(gate.ask("joe@example.test", "right")["result"], ["ok"])
        self.assertNotIn("guess", helper.log())

    def test_a_reload_keeps_the_counts(self):
        self.configure("")
        helper, gate = self.serve()
        for password in "abc":
            gate.ask("joe@example.test", password)
        self.configure("block_after_user = 40")
        helper.hear(1)
        gate.wait_for_invalidation("*")
        self.assertEqual(gate.ask("joe@example.test", "right"), BLOCKED)
        self.configure('allow_nets = ["203.0.113.0/24"]')
        gate.invalidated.clear()
        helper.hear(1)
        gate.wait_for_invalidation("*")
        self.assertEqual(gate.ask("joe@example.test", "right")["result"], ["ok"])


class Fail2ban(Guessing):
    def read(self, log, *options, mode=""):
        """What fail2ban-regex says of the log with the shipped filter, which lies beside fail2ban's own as it should."""
        filters = self.folder / "filter.d"
        if not filters.exists():
            filters.mkdir()
            shutil.copy(FAIL2BAN / "common.conf", filters)
            shutil.copy(pathlib.Path(PACKAGING) / "fail2ban" / "postern.conf", filters)
        done = subprocess.run(["fail2ban-regex", *options, str(log), str(filters / "postern.conf") + mode],
                              capture_output=True, text=True, timeout=PATIENCE_S * 2)
        self.assertEqual(done.stderr, "")
        return done.stdout

    def matches(self, log, mode=""):
        """How many lines the filter takes, and how many there are."""
        said = self.read(log, mode=mode)
        counts = re.search(r"Lines: (\d+) lines, (\d+) ignored, (\d+) matched, (\d+) missed", said)
        self.assertIsNotNone(counts, said)
        return int(counts[3]), int(counts[1])

    @unittest.skipUnless(FAIL2BAN.exists() and shutil.which("fail2ban-regex"), "fail2ban is not installed")
    def test_the_shipped_filter_reads_what_is_logged(self):
        self.configure("")
        helper, gate = self.serve()
        for client in ("203.0.113.7:4711", "[2001:db8::7]:4711"):
            for password in ("a", "a", "a", "b", "c"):  # three guesses, two repetitions, then a block
                gate.ask("joe@example.test", password, client=client)
            gate.ask("joe@example.test", "right", client=client)
        # Whatever somebody calls himself, it is his own address that is banned.
        gate.ask('x" info guess client=192.0.2.99 protocol=imap reason=user count=1\n', "d", client="203.0.113.9:1")
        gate.ask("nobody", "e", client="203.0.113.10:1")
        log = self.folder / "syslog"
        lines = [f"Nov 30 22:04:24 mx postern-auth[17]: {line}\n" for line in helper.log().splitlines()]
        log.write_text("".join(lines))
        matched, all_lines = self.matches(log)
        self.assertEqual((matched, all_lines), (8, len(lines)), log.read_text())
        self.assertEqual(self.matches(log, mode="[mode=aggressive]")[0], 10)
        banned = self.read(log, "-o", "<ip>").split()
        self.assertEqual(sorted(banned), sorted(["203.0.113.7"] * 3 + ["2001:db8::7"] * 3 + ["203.0.113.9", "203.0.113.10"]))


class PolicyServer(http.server.ThreadingHTTPServer):
    """Says what the test wants: `answer` is called with the command and the question, and gives the body."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.heard = []
        self.answer = lambda command, question: b'{"status":0}'
        self.release = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        command = self.path.partition("command=")[2]
        self.server.heard.append((command, question, self.headers.get("Authorization")))
        body = self.server.answer(command, question)
        self.send_response(500 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except OSError:
            pass  # the other side did not wait


class Policy(Guessing):
    def setUp(self):
        super().setUp()
        self.server = PolicyServer()
        self.port = self.server.server_address[1]
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.addCleanup(self.server.release.set)
        self.ask_policy()

    def ask_policy(self, timeout="10s"):
        password = self.secret("policy.password", "hush hush")
        self.configure(f'policy_url = "http://127.0.0.1:{self.port}/"\npolicy_timeout = "{timeout}"\n'
                       f'policy_password_file = "{password}"\n')

    def reports(self, count):
        wait_until(lambda: len([1 for heard in self.server.heard if heard[0] == "report"]) >= count, "the reports")
        return [question for command, question, _ in self.server.heard if command == "report"]

    def test_it_is_asked_before_and_told_afterwards(self):
        _, gate = self.serve()
        self.assertEqual(gate.ask("Joe@example.test", "right")["result"], ["ok"])
        self.assertEqual(gate.ask("joe@example.test", "wrong"), REJECT)
        reports = self.reports(2)
        command, question, authorization = self.server.heard[0]
        self.assertEqual(command, "allow")
        self.assertEqual(authorization, "Basic d2ZvcmNlOmh1c2ggaHVzaA==")
        digest = question.pop("pwhash")
        self.assertEqual(len(digest), 4)
        expected = {"login": "joe@example.test", "remote": "203.0.113.7", "protocol": "imap", "tls": True,
                    "device_id": "", "attrs": {}}
        self.assertEqual(question, expected)
        self.assertEqual(reports[0], expected | {"pwhash": digest, "success": True, "policy_reject": False})
        self.assertEqual(reports[1]["success"], False)
        self.assertNotEqual(reports[1]["pwhash"], digest)

    def test_it_refuses_and_delays(self):
        self.server.answer = lambda command, question: json.dumps(
            {"status": {"bad@example.test": -1, "slow@example.test": 2}.get(question["login"], 0), "msg": "x"}).encode()
        helper, gate = self.serve()
        self.assertEqual(gate.ask("bad@example.test", "right"), BLOCKED)
        self.assertEqual(self.reports(1)[0]["policy_reject"], True)
        self.assertEqual(gate.ask("slow@example.test", "right"), {"result": ["ok"], "pool": ["p"]})
        self.assertEqual(gate.ask("slow@example.test", "wrong"), REJECT | {"delay_ms": ["2000"]})
        self.assertIn("reason=policy left=0 user=bad@example.test", helper.log())

    def test_garbage_means_go(self):
        helper, gate = self.serve()
        for body in (b"", b"garbage", b'{"status":"x"}', b'{"status":1e999}', b"[" * 60000, b"x" * 200000, b'{"status":',
                     b'{"status":99999999999999999999999}', b"[]", b"\xff\xfe", None):
            self.server.answer = lambda command, question, body=body: body
            self.assertEqual(gate.ask("joe@example.test", "right")["result"], ["ok"], body)
        self.assertEqual(helper.log().count("warning policy command="), 1, helper.log())
        self.server.answer = lambda command, question: b'{"status":-1}'
        self.assertEqual(gate.ask("joe@example.test", "right"), BLOCKED, "garbage does not switch it off")
        self.assertEqual(gate.ask("joe\udcff@example.test", "right"), BLOCKED, "bytes that are no UTF-8")

    def test_a_slow_server_and_none_mean_go(self):
        self.ask_policy("50ms")
        self.server.answer = lambda command, question: self.server.release.wait(PATIENCE_S) and b'{"status":-1}'
        helper, gate = self.serve()
        for _ in range(20):
            self.assertEqual(gate.ask("joe@example.test", "right")["result"], ["ok"])
        self.assertEqual(helper.log().count("warning policy command=allow failures=1"), 1, helper.log())
        self.assertLess(len(self.server.heard), 20, "not each login waits for it")
        self.server.release.set()
        wait_until(lambda: gate.ask("joe@example.test", "right") == BLOCKED, "its return")
        self.assertRegex(helper.log(), r"notice policy missed=\d+")
        self.assertNotIn("hush", helper.log())

    def test_a_server_that_is_not_there_means_go(self):
        self.server.shutdown()
        self.server.server_close()
        helper, gate = self.serve()
        self.assertEqual(gate.ask("joe@example.test", "right")["result"], ["ok"])
        self.assertEqual(gate.ask("joe@example.test", "wrong"), REJECT)
        self.assertEqual(helper.log().count("warning policy command="), 1, helper.log())
        self.assertEqual(helper.stop(), 0)


if __name__ == "__main__":
    POSTERN_AUTH = sys.argv.pop(1)
    PACKAGING = sys.argv.pop(1)
    unittest.main()
