# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays syslog and the journal for a gate. log_test.py starts this in a mount namespace of its own. Usage: log_inside.py POSTERN."""

import pathlib
import socket
import subprocess
import sys
import tempfile

import tap
import world
from programs import PATIENCE_S
from strangers import Strangers


def prepare():
    """A /run and a /dev that only this process and its gates see."""
    mount = lambda *words: subprocess.run(["mount", *words], check=True, timeout=PATIENCE_S)
    with tempfile.TemporaryDirectory() as devices:
        mount("-t", "tmpfs", "tmpfs", devices)
        for name in ("null", "urandom"):
            (pathlib.Path(devices) / name).touch()
            mount("--bind", f"/dev/{name}", f"{devices}/{name}")
        mount("--rbind", devices, "/dev")
        subprocess.run(["umount", "-l", devices], check=True, timeout=PATIENCE_S)
    mount("-t", "tmpfs", "tmpfs", "/run")
    pathlib.Path("/run/systemd/journal").mkdir(parents=True)


def listen(path):
    pathlib.Path(path).unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(path)
    sock.settimeout(PATIENCE_S)
    return sock


def entry_of(datagram):
    """The journal's native protocol: KEY=value, or KEY, a size of eight octets and the value."""
    fields = {}
    while datagram:
        head, _, datagram = datagram.partition(b"\n")
        key, equals, value = head.partition(b"=")
        if not equals:
            size = int.from_bytes(datagram[:8], "little")
            value, datagram = datagram[8:8 + size], datagram[8 + size + 1:]
        fields[key.decode()] = value
    return fields


class Daemon(Strangers):
    __test__ = False
    target = path = None

    def setUp(self):
        self.sock = listen(self.path)
        self.addCleanup(self.sock.close)
        super().setUp()

    def serve(self):
        """A login, a refusal, and the end; what the daemon then has."""
        self.log = f'target = "{self.target}"'
        self.gate.stop()
        self.gate.configure()
        self.gate.run([self.gate.binary, "-c", str(self.gate.config)])
        got = []
        while b"started" not in (got or [b""])[-1]:
            got.append(self.sock.recv(1 << 16))
        while b"helper" not in got[-1]:
            got.append(self.sock.recv(1 << 16))
        self.log_in("127.0.7.1")
        self.log_in("127.0.7.1", user='"j\udcf6 \\" reason=x"', password="wrong")
        self.assertEqual(self.gate.stop(), 0)
        while b"stopped" not in got[-1]:
            got.append(self.sock.recv(1 << 16))
        return got


class Syslog(Daemon):
    target, path = "syslog", "/dev/log"

    def test_a_line_is_a_message(self):
        got = self.serve()
        for message in got:
            self.assertRegex(message, rb"^<2[0-7]>\w\w\w [ \d]\d \d\d:\d\d:\d\d postern\[\d+\]: [a-z-]+", "the facility is mail")
        login = next(message for message in got if b": login session=" in message)
        self.assertRegex(login, rb"^<22>.* user=joe@example.test mechanism=LOGIN protocol=imap ")
        failed = next(message for message in got if b": login-failed " in message)
        self.assertIn(rb' user="j\xf6 \" reason=x" mechanism=LOGIN protocol=imap tls=TLSv1.3 reason=credentials', failed)


class Journal(Daemon):
    target, path = "journal", "/run/systemd/journal/socket"

    def test_a_field_is_a_field(self):
        entries = [entry_of(datagram) for datagram in self.serve()]
        for entry in entries:
            self.assertEqual((entry["SYSLOG_IDENTIFIER"], entry["SYSLOG_FACILITY"]), (b"postern", b"2"))
            self.assertTrue(entry["MESSAGE"].startswith(entry["POSTERN_EVENT"]))
        by_event = {entry["POSTERN_EVENT"]: entry for entry in entries}
        login, failed, end = by_event[b"login"], by_event[b"login-failed"], by_event[b"end"]
        self.assertEqual((login["POSTERN_USER"], login["POSTERN_PROTOCOL"], login["PRIORITY"]), (b"joe@example.test", b"imap", b"6"))
        self.assertEqual(failed["POSTERN_USER"], b'j\xf6 " reason=x', "the user's own octets")
        self.assertEqual(failed["POSTERN_REASON"], b"credentials")
        self.assertEqual((end["POSTERN_SESSION"], end["POSTERN_REASON"]), (login["POSTERN_SESSION"], b"drained"))


if __name__ == "__main__":
    prepare()
    world.POSTERN = sys.argv[1]
    tap.main(["Syslog", "Journal"])
