# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate's log as others read it: fail2ban and CrowdSec with the filters that are shipped, syslog, the journal, and programs that want JSON."""

import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import unittest

import tap
import world
from programs import PATIENCE_S
from strangers import Strangers

PACKAGING = pathlib.Path(__file__).resolve().parents[3] / "packaging"
FAIL2BAN = pathlib.Path("/etc/fail2ban/filter.d")
# Debian's package registers the machine with its maker when it is installed; packaging/dependencies only unpacks it here.
CROWDSEC = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "postern" / "crowdsec"
GUESSER, FORGER, STRAY, CROWD = "127.0.7.1", "127.0.7.2", "127.0.7.3", "127.0.7.4"
GUESSES = 26
FORGED = 'x\\" front=127.0.7.99:1 user=y mechanism=PLAIN protocol=imap tls=none reason=credentials'


class Bans(Strangers):
    limits = "sessions_per_address = 2\nlogin_attempts = 1000"

    def guess(self, source, user, count):
        with self.connect(2, source) as sock:
            lines = sock.makefile("rb")
            lines.readline()
            for i in range(count):
                sock.sendall(f'a LOGIN "{user}" wrong-{i}\r\n'.encode())
                self.assertTrue(lines.readline().startswith(b"a NO"))

    def attack(self):
        """What the log then holds: guesses, a forger's, one slip, somebody who gets in, and a crowd."""
        self.guess(GUESSER, "joe@example.test", GUESSES)
        self.guess(FORGER, FORGED, GUESSES)
        self.guess(STRAY, "joe@example.test", 1)
        self.assertIsNotNone(self.log_in(STRAY))
        held = [self.connect(2, CROWD) for _ in range(2)]
        for sock in held:
            sock.recv(1)
        for _ in range(GUESSES):
            with self.connect(2, CROWD) as sock:
                self.assertIn(b"BYE", sock.recv(100))
        for sock in held:
            sock.close()
        self.assertEqual(self.gate.stop(), 0)

    def fail2ban(self, log, mode=""):
        filters = self.folder / "filter.d"
        if not filters.exists():
            filters.mkdir()
            shutil.copy(FAIL2BAN / "common.conf", filters)
            shutil.copy(PACKAGING / "fail2ban" / "postern-gate.conf", filters)
        done = subprocess.run(["fail2ban-regex", "-o", "<ip>", str(log), str(filters / "postern-gate.conf") + mode],
                              capture_output=True, text=True, timeout=PATIENCE_S)
        self.assertEqual(done.stderr, "")
        return {address: done.stdout.split().count(address) for address in set(done.stdout.split())}

    @unittest.skipUnless(FAIL2BAN.exists() and shutil.which("fail2ban-regex"), "fail2ban is not installed")
    def test_fail2ban_counts_wrong_passwords_by_address(self):
        self.attack()
        guesses = {GUESSER: GUESSES, FORGER: GUESSES, STRAY: 1}
        self.assertEqual(self.fail2ban(self.gate.log_path), guesses)
        self.assertEqual(self.fail2ban(self.gate.log_path, "[mode=aggressive]"), {**guesses, CROWD: GUESSES})
        # As syslog or the journal hold it, in IPv6, and with what is no offence.
        lines = [re.sub(r"^\S+ \w+ (.*)$", r"Nov 30 22:04:24 mx postern[17]: \1", line) for line in self.gate.log().splitlines()]
        lines += [lines[-1].split("]: ")[0] + "]: login-failed session=0123456789abcdef front=" + rest for rest in (
            "[2001:db8::7]:4711 user=joe mechanism=PLAIN protocol=pop3 tls=TLSv1.3 reason=credentials text=\"Wrong.\"",
            "192.0.2.1:4711 user=joe mechanism=PLAIN protocol=pop3 tls=TLSv1.3 reason=unavailable",
            "192.0.2.1:4711 user=joe mechanism=PLAIN protocol=pop3 tls=TLSv1.3 reason=limit",
            "192.0.2.1:4711 user=\"reason=credentials\" mechanism=PLAIN protocol=pop3 tls=TLSv1.3 reason=timeout")]
        log = self.folder / "syslog"
        log.write_text("\n".join(lines) + "\n")
        self.assertEqual(self.fail2ban(log), {**guesses, "2001:db8::7": 1})

    @unittest.skipUnless((CROWDSEC / "usr/bin/crowdsec").exists(), "CrowdSec is not unpacked: packaging/dependencies test")
    def test_crowdsec_finds_who_guesses_and_who_crowds(self):
        self.attack()
        found = {("postern/guessing", GUESSER), ("postern/guessing", FORGER), ("postern/crowd", CROWD)}
        with LocalApi() as api:
            self.assertEqual(self.crowdsec(api, self.gate.log_path, "postern"), found)
            log = self.folder / "syslog"
            log.write_text("".join(re.sub(r"^\S+ \w+ (.*)$", r"Nov 30 22:04:24 mx postern[17]: \1\n", line)
                                   for line in self.gate.log().splitlines()))
            self.assertEqual(self.crowdsec(api, log, "syslog"), found)

    def crowdsec(self, api, log, kind):
        """Reads the log at once, with our parser and scenarios and two of its own parsers; whom it would ban for what."""
        etc, hub = self.folder / "crowdsec", CROWDSEC / "usr/share/crowdsec/hub"
        if not etc.exists():
            for stage in ("parsers/s00-raw", "parsers/s01-parse", "parsers/s02-enrich", "scenarios", "postoverflows", "hub", "data"):
                (etc / stage).mkdir(parents=True)
            shutil.copytree(CROWDSEC / "etc/crowdsec/patterns", etc / "patterns")
            shutil.copy(hub / "parsers/s00-raw/crowdsecurity/syslog-logs.yaml", etc / "parsers/s00-raw")
            shutil.copy(hub / "parsers/s02-enrich/crowdsecurity/dateparse-enrich.yaml", etc / "parsers/s02-enrich")
            shutil.copy(PACKAGING / "crowdsec/postern-logs.yaml", etc / "parsers/s01-parse")
            for scenario in ("postern-guessing", "postern-crowd"):
                shutil.copy(PACKAGING / f"crowdsec/{scenario}.yaml", etc / "scenarios")
            shutil.copy(hub / ".index.json", etc / "hub")
            (etc / "simulation.yaml").write_text("simulation: off\n")
            (etc / "acquis.yaml").write_text("---\n")
            (etc / "credentials.yaml").write_text(f"url: http://127.0.0.1:{api.port}/\nlogin: test\npassword: test\n")
            (etc / "config.yaml").write_text(f"""
common: {{daemonize: false, log_media: stdout, log_level: info, working_dir: .}}
config_paths: {{config_dir: {etc}, data_dir: {etc}/data, simulation_path: {etc}/simulation.yaml, hub_dir: {etc}/hub,
  index_path: {etc}/hub/.index.json, notification_dir: {etc}/notifications, plugin_dir: {etc}/plugins}}
crowdsec_service: {{acquisition_path: {etc}/acquis.yaml, parser_routines: 1}}
db_config: {{log_level: info, type: sqlite, db_path: {etc}/data/crowdsec.db}}
api: {{client: {{credentials_path: {etc}/credentials.yaml}}}}
prometheus: {{enabled: false}}
""")
        api.alerts.clear()
        done = subprocess.run([CROWDSEC / "usr/bin/crowdsec", "-c", etc / "config.yaml", "-no-api", "-type", kind, "-dsn", f"file://{log}"],
                              capture_output=True, text=True, timeout=PATIENCE_S * 2)
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-2000:])
        return {(alert["scenario"], alert["source"]["value"]) for alert in api.alerts}


class LocalApi:
    """CrowdSec's own server, as much of it as the agent wants: it takes alerts."""

    def __enter__(self):
        alerts = self.alerts = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"null")
                answer = {"code": 200, "expire": "2099-01-01T00:00:00Z", "token": "test"}
                if self.path.endswith("/alerts"):
                    alerts.extend(body)
                    answer = ["1"] * len(body)
                self.send_response(201)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Forms(Strangers):
    def test_json_is_one_object_a_line(self):
        self.log = 'format = "json"'
        self.gate.configure()
        before = len(self.gate.log())
        self.gate.hear(signal.SIGHUP)
        self.gate.wait_for_log('"event":"reloaded"')
        self.log_in("127.0.7.1")
        self.log_in("127.0.7.1", user='"j\udcf6 \\\\"', password="wrong")
        self.assertEqual(self.gate.stop(), 0)
        lines = [json.loads(line) for line in self.gate.log()[before:].splitlines()]
        for line in lines:
            self.assertRegex(line["time"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertIn(line["severity"], ("error", "warning", "notice", "info"))
            self.assertEqual(list(line)[:3], ["time", "severity", "event"])
        login, failed, end = (next(line for line in lines if line["event"] == event) for event in ("login", "login-failed", "end"))
        self.assertEqual((login["user"], login["protocol"], login["mechanism"]), ("joe@example.test", "imap", "LOGIN"))
        self.assertEqual((end["session"], end["user"], type(end["in"])), (login["session"], login["user"], int))
        self.assertEqual((failed["reason"], failed["user"], failed["user_escaped"]), ("credentials", "j\ufffd \\", "j\\xf6 \\\\"))

    def test_daemons_get_what_they_expect(self):
        """syslog and the journal have their sockets at places of the machine's: the test plays them where only it sees them."""
        inside = pathlib.Path(__file__).with_name("log_inside.py")
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        done = subprocess.run(["unshare", "--mount", "--propagation", "private", *user, sys.executable, inside, world.POSTERN],
                              capture_output=True, text=True, timeout=PATIENCE_S * 2)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("\n1..2\n", done.stdout)


if __name__ == "__main__":
    world.POSTERN, world.POSTERN_AUTH = sys.argv[1:3]
    tap.main(sys.argv[3:])
