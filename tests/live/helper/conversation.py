# SPDX-License-Identifier: GPL-3.0-or-later
"""What the live tests of helpers share: a helper in a folder of its own, and a gate that talks to it in lines."""

import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from urllib.parse import parse_qs, urlencode

PATIENCE_S = 30  # before a test gives up on a machine that is busy; nothing is measured with it


def wait_until(holds, what):
    end = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain: {what}")
        time.sleep(0.01)

def freeze(number):
    """Stops a process; comes back when all of its threads stand still, which takes a moment on a busy machine."""
    def stands_still():
        try:
            states = [stat.read_text().rpartition(")")[2].split()[0] for stat in pathlib.Path(f"/proc/{number}/task").glob("*/stat")]
        except OSError:
            return False  # one has just ended
        return all(state in "TtZ" for state in states)
    os.kill(number, signal.SIGSTOP)
    wait_until(stands_still, f"process {number} to stand still")


# For tests that are about something else than guessing, and guess a lot.
NO_GUESSING = '[guessing]\nallow_nets = ["0.0.0.0/0", "::/0"]\n'


class Helper:
    """A helper process that serves `socket`; stopped by its own process number."""

    def __init__(self, command, socket_path, log_path):
        self.socket = str(socket_path)
        self.log_path = pathlib.Path(log_path)
        with open(log_path, "ab") as log:
            self.process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL)
        wait_until(self._is_up, "the helper's socket")

    def _is_up(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the helper ended with {self.process.returncode}: {self.log()}")
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.socket) == 0

    def log(self):
        return self.log_path.read_text()

    def hear(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


class Gate:
    """One connection of a mail gate. Invalidations are put aside and kept in `invalidated`."""

    def __init__(self, path):
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(PATIENCE_S)
        self.connection.connect(path)
        self.input = self.connection.makefile("rb")
        self.invalidated = []

    def close(self):
        self.input.close()
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.connection.sendall(data)

    def line(self):
        """The next line that is no invalidation; b"" at the end of the stream."""
        while True:
            line = self.input.readline()
            if not line.startswith(b"op=invalidate&"):
                return line
            self.invalidated += parse_qs(line.decode().strip())["user"]

    def wait_for_invalidation(self, user):
        """Keeps the conversation going until `user` has been dropped."""
        end = time.monotonic() + PATIENCE_S
        while user not in self.invalidated:
            if time.monotonic() > end:
                raise AssertionError(f"waited in vain for the invalidation of {user}: {self.invalidated}")
            self.send(b"op=hello&version=1&name=test\n")
            self.line()
            time.sleep(0.02)

    def answer(self):
        return parse(self.line())

    def ask(self, user, password, number=1, **more):
        self.send(question(number, user, password, **more))
        answer = self.answer()
        assert answer.pop("id") == [str(number)], answer
        return answer


def parse(line):
    return parse_qs(line.decode("ascii").rstrip("\n"), keep_blank_values=True, strict_parsing=True,
                    errors="surrogateescape")


def question(number, user, password, **more):
    pairs = {"op": "verify", "id": number, "protocol": "imap", "mechanism": "PLAIN", "user": user,
             "password": password, "client": "203.0.113.7:4711", "local": "192.0.2.1:993", "tls": "TLSv1.3"} | more
    return urlencode(pairs, errors="surrogateescape").encode() + b"\n"


class HelperTest(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="postern-helper-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def start(self, command):
        helper = Helper(command, self.folder / "auth.sock", self.folder / "log")
        self.addCleanup(helper.stop)
        return helper

    def connect(self, helper):
        gate = Gate(helper.socket)
        self.addCleanup(gate.close)
        return gate
