# SPDX-License-Identifier: GPL-3.0-or-later
"""What the live tests of sources of users share: postern-auth with their configuration, and the servers that they start."""

import pathlib
import signal
import socket
import subprocess
import sys
import unittest

from conversation import NO_GUESSING, PATIENCE_S, HelperTest, question, wait_until

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "gate"))
from programs import Dovecot, free_ports  # noqa: E402,F401 (found beside the tests of the gate)

REJECT = {"result": ["reject"], "reason": ["credentials"]}
HOSTILE = ["' OR 1=1 --", '"\\', "*)(uid=*", "a\nb", "a\r\nAuth-Status: OK\r\n\r\n", "nul\0nul", "%00%0a", "\udcff\udcfe", "x" * 5000,
           "tab\tuser=boss", "\x01\x01auth=Bearer x"]
# A second source, and whom it knows.
OTHER = "ann@other.test"
OTHER_SOURCE = '[[source]]\ntype = "static"\nmatch = "*@other.test"\npassword = "{PLAIN}x"\npool = "q"\n'
POSTERN_AUTH = None


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """A program that a test starts; stopped by its own process number."""

    def __init__(self, test, words, is_up):
        self.log_path = test.folder / "server.log"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        test.addCleanup(self.stop)
        wait_until(lambda: self.process.poll() is not None or is_up(), "the server")
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}: {self.log_path.read_text()}")

    def hear(self, number):
        self.process.send_signal(number)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        self.process.wait(PATIENCE_S)


class SourceTest(HelperTest):
    def configure(self, sources):
        config = self.folder / "postern-auth.toml"
        config.write_text(f'socket = "{self.folder}/auth.sock"\nreject_delay = "0s"\n{sources}\n{NO_GUESSING}')
        return config

    def serve(self, sources):
        """The helper, and a gate that is connected to it."""
        helper = self.start([POSTERN_AUTH, "-c", str(self.configure(sources))])
        return helper, self.connect(helper)

    def check(self, sources):
        """What --check prints on stderr, and its status."""
        done = subprocess.run([POSTERN_AUTH, "--check", "-c", str(self.configure(sources))], capture_output=True, text=True,
                              timeout=PATIENCE_S)
        return done.returncode, done.stderr

    def assert_waits_alone(self, gate, slow_question):
        """A source that does not answer its question, number 1, keeps nobody else waiting: OTHER_SOURCE is there, too."""
        gate.send(slow_question)
        gate.send(question(2, OTHER, "x"))
        first, second = gate.answer(), gate.answer()
        self.assertEqual((first["id"], first["result"]), (["2"], ["ok"]))
        self.assertEqual((second["id"], second["result"]), (["1"], ["unavailable"]))

    def assert_unavailable(self, answer):
        self.assertEqual(answer["result"], ["unavailable"], answer)


def main():
    global POSTERN_AUTH
    POSTERN_AUTH = sys.argv.pop(1)
    unittest.main(module="__main__")
