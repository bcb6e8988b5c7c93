# SPDX-License-Identifier: GPL-3.0-or-later
"""The source `dovecot` asks the auth socket of a real Dovecot."""

import http.server
import json
import os
import signal
import threading

import sources
from conversation import freeze, question, wait_until
from sources import HOSTILE, OTHER_SOURCE, REJECT, Dovecot, SourceTest

RIGHT = "s3cret"
JOE = "joe@example.test"
TOKEN = "t0ken.of-joe"
USERS = {
    JOE: RIGHT,
    "ann@example.test": RIGHT + "::::::proxy=y host=127.0.1.7 port=1143 ssl=yes destuser=box17 pass=b4ck",
    "eve@example.test": RIGHT + "::::::proxy=y host=127.0.1.8",
    "max@example.test": RIGHT + "::::::proxy=y host=127.0.1.8 port=143 starttls=any-cert master=boss pass=b0ss proxy_mech=PLAIN",
    "out@example.test": RIGHT + "::::::nologin=y reason=Gone_fishing",
    "odd@example.test": RIGHT + "::::::proxy=y host=127.0.1.8 proxy_mech=CRAM-MD5",
    "far@example.test": RIGHT + "::::::allow_nets=192.0.2.0/24",
}


class Introspection(http.server.BaseHTTPRequestHandler):
    """Says whose TOKEN is, for Dovecot's oauth2."""

    def do_GET(self):
        body = json.dumps({"active": True, "email": JOE} if f"token={TOKEN}&" in self.path else {"active": False}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class DovecotTest(SourceTest):
    settings = ""

    def setUp(self):
        super().setUp()
        os.chmod(self.folder, 0o755)
        self.socket = self.folder / "run" / "auth-postern"
        self.dovecot = Dovecot(self.folder, USERS, {}, settings=self.settings +
                               "service auth {\n unix_listener auth-postern {\n mode = 0666\n }\n}\n")
        self.addCleanup(self.dovecot.stop)
        self.dovecot.start()
        # Dovecot's master accepts before there is anybody to answer; that is soon over.
        wait_until(self.socket.exists, "Dovecot's socket")

    def source(self, more=""):
        return f'[[source]]\ntype = "dovecot"\nsocket = "{self.socket}"\npool = "p"\n{more}\n'

    def dovecot_process(self):
        """The number of the auth process, which answers."""
        for entry in os.listdir("/proc"):
            try:
                status = open(f"/proc/{entry}/stat").read() if entry.isdigit() else ""
            except OSError:
                continue
            name, rest = status[status.find("(") + 1:status.rfind(")")], status[status.rfind(")") + 2:].split()
            if name == "auth" and rest[1] == str(self.dovecot.process.pid):
                return int(entry)
        return None


class Source(DovecotTest):
    def test_right_password(self):
        helper, gate = self.serve(self.source())
        self.assertEqual(gate.ask(JOE, RIGHT), {"result": ["ok"], "pool": ["p"]})
        self.assertEqual(gate.ask("JOE@example.test", RIGHT), {"result": ["ok"], "pool": ["p"], "user": [JOE]})
        self.assertEqual(gate.ask("ann@example.test", RIGHT), {"result": ["ok"], "back": ["127.0.1.7:1143"], "tls": ["implicit"],
                                                               "user": ["box17"], "password": ["b4ck"]})
        self.assertEqual(gate.ask("eve@example.test", RIGHT), {"result": ["ok"], "back": ["127.0.1.8"]})
        self.assertEqual(gate.ask("max@example.test", RIGHT),
                         {"result": ["ok"], "back": ["127.0.1.8:143"], "tls": ["starttls"], "master_user": ["boss"],
                          "master_password": ["b0ss"], "mechanism": ["PLAIN"]})
        self.assertNotIn(RIGHT, helper.log())

    def test_wrong_password(self):
        helper, gate = self.serve(self.source())
        self.assertEqual(gate.ask(JOE, "wr0ng"), REJECT)
        self.assertEqual(gate.ask("out@example.test", "wr0ng"), REJECT)
        self.assertEqual(gate.ask("out@example.test", RIGHT), {"result": ["reject"], "reason": ["disabled"], "text": ["Gone_fishing"]})
        self.assertEqual(gate.ask("far@example.test", RIGHT)["result"], ["reject"])
        self.assertEqual(gate.ask("far@example.test", RIGHT, client="192.0.2.9:1")["result"], ["ok"])
        self.assert_unavailable(gate.ask("odd@example.test", RIGHT))
        self.assertIn("proxy_mech", helper.log().replace("mechanism", "proxy_mech"))
        self.assertNotIn("wr0ng", helper.log())

    def test_unknown_user(self):
        _, gate = self.serve(self.source())
        self.assertEqual(gate.ask("nobody@example.test", RIGHT), REJECT)

    def test_many_questions_in_flight(self):
        _, gate = self.serve(self.source("connections = 16"))
        gate.send(b"".join(question(i, JOE, RIGHT if i % 3 else f"wrong{i}") for i in range(1, 33)))
        answers = [gate.answer() for _ in range(32)]
        self.assertEqual({int(answer["id"][0]): answer["result"][0] for answer in answers},
                         {i: "ok" if i % 3 else "reject" for i in range(1, 33)})

    def test_source_down(self):
        self.dovecot.stop()
        helper, gate = self.serve(self.source())
        self.assert_unavailable(gate.ask(JOE, RIGHT))
        self.assertIn("Does Dovecot run", helper.log())

    def test_source_slow(self):
        _, gate = self.serve(self.source('timeout = "300ms"\nusers = "*@example.test"') +
                             OTHER_SOURCE)
        wait_until(lambda: gate.ask(JOE, RIGHT)["result"] == ["ok"], "a Dovecot that has started all its processes")
        process = self.dovecot_process()
        freeze(process)
        self.addCleanup(lambda: os.path.exists(f"/proc/{process}") and os.kill(process, signal.SIGCONT))
        self.assert_waits_alone(gate, question(1, JOE, RIGHT))
        os.kill(process, signal.SIGCONT)
        wait_until(lambda: gate.ask(JOE, RIGHT)["result"] == ["ok"], "the answer of a Dovecot that goes on")

    def test_hostile_input(self):
        helper, gate = self.serve(self.source())
        self.assertEqual(gate.ask(JOE, RIGHT + "\0"), REJECT, "Dovecot itself would take this for the right one")
        for text in HOSTILE:
            with self.subTest(text[:20]):
                self.assertEqual(gate.ask(JOE, text), REJECT)
                self.assertEqual(gate.ask(text, RIGHT + "x"), REJECT)
                self.assertEqual(gate.ask(JOE, RIGHT, session=text)["result"], ["ok"])
        self.assertEqual(gate.ask(JOE, "y" * 8000), REJECT, "Dovecot would hang up, and not on us alone")
        self.assertEqual(gate.ask(JOE, RIGHT)["result"], ["ok"])
        self.assertNotIn(RIGHT, helper.log())

    def test_reconnect(self):
        helper, gate = self.serve(self.source())
        self.assertEqual(gate.ask(JOE, RIGHT)["result"], ["ok"])
        self.dovecot.stop()
        self.dovecot.start()
        wait_until(self.socket.exists, "Dovecot's socket")
        self.assertEqual(gate.ask(JOE, RIGHT)["result"], ["ok"])
        self.assertNotIn("unavailable", helper.log())
        # A reload's new source connects before the old one is gone.
        helper.hear(signal.SIGHUP)
        wait_until(lambda: " reloaded " in helper.log(), "the reload")
        self.assertEqual(gate.ask(JOE, RIGHT)["result"], ["ok"])

    def test_check(self):
        self.assertEqual(self.check(self.source()), (0, ""))
        for source, word in [(self.source().replace("auth-postern", "auth-nothing"), "Does Dovecot run"),
                             (self.source().replace("auth-postern", "auth-master") , "socket for clients"),
                             (self.source('timeout = "300ms"').replace("auth-postern", "auth-userdb"), "hung up before its greeting"),
                             (self.source('role = "route"'), "only asked with a password"),
                             (self.source().replace("socket =", "sockt ="), 'did you mean "socket"')]:
            status, said = self.check(source)
            self.assertEqual(status, 1)
            self.assertIn(word, said)


class Tokens(DovecotTest):
    def setUp(self):
        self.introspection = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Introspection)
        thread = threading.Thread(target=self.introspection.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        self.addCleanup(lambda: (self.introspection.shutdown(), thread.join(), self.introspection.server_close()))
        super().setUp()

    @property
    def settings(self):
        port = self.introspection.server_address[1]
        (self.folder / "oauth2.conf").write_text(f"introspection_url = http://127.0.0.1:{port}/?token=\nintrospection_mode = get\n"
                                                 "username_attribute = email\nactive_attribute = active\nactive_value = true\n")
        return (f"auth_mechanisms = plain xoauth2 oauthbearer\npassdb {{\n driver = oauth2\n mechanisms = xoauth2 oauthbearer\n"
                f" args = {self.folder}/oauth2.conf\n}}\n")

    def ask(self, gate, user, token, mechanism):
        pairs = {"token": token, "mechanism": mechanism}
        line = question(1, user, "", **pairs).replace(b"&password=", b"")
        gate.send(line)
        return gate.answer()["result"]

    def test_tokens(self):
        helper, gate = self.serve(self.source())
        for mechanism in ("XOAUTH2", "OAUTHBEARER"):
            self.assertEqual(self.ask(gate, JOE, TOKEN, mechanism), ["ok"])
            self.assertEqual(self.ask(gate, JOE, "other", mechanism), ["reject"])
            self.assertEqual(self.ask(gate, "ann@example.test", TOKEN, mechanism), ["reject"])
            self.assertEqual(self.ask(gate, "nobody@example.test", "x\x01\x01auth=Bearer " + TOKEN, mechanism), ["reject"])
        self.assertEqual(gate.ask(JOE, RIGHT)["result"], ["ok"])
        self.assertNotIn(TOKEN, helper.log())


if __name__ == "__main__":
    sources.main()
