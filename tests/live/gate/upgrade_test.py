# SPDX-License-Identifier: GPL-3.0-or-later
"""A new process takes the place of the running gate: nobody is refused, nobody is hung up on, and one that cannot start changes nothing."""

import json
import os
import pathlib
import re
import shutil
import signal
import sys
import threading

import tap
import world
from programs import wait_until
from world import CARL, PASSWORDS, MailProgram, World


def is_alive(process):
    """A zombie is not."""
    try:
        return "\nState:\tZ" not in pathlib.Path(f"/proc/{process}/status").read_text(encoding="ascii")
    except FileNotFoundError:
        return False


class Upgrade(World):
    each_its_own = True

    @property
    def gate_settings(self):
        return f'upgrade_timeout = "1h"\ncontrol = "{self.folder}/control.sock"'

    def setUp(self):
        super().setUp()
        self.heirs = []

    def tearDown(self):
        # Those that were not started here; the first gate is ended by its owner.
        for process in self.heirs:
            if is_alive(process):
                os.kill(process, signal.SIGTERM)
                os.kill(process, signal.SIGTERM)
        for process in self.heirs:
            wait_until(lambda: not is_alive(process), "for a gate's end")

    def upgrade(self, process):
        """The process that serves in place of this one."""
        before = len(self.gate.log())
        os.kill(process, signal.SIGUSR2)
        line = wait_until(lambda: re.search(r" handed-over process=(\d+)|error upgrade ", self.gate.log()[before:]), "for the new gate: ")
        self.assertIsNotNone(line.group(1), self.gate.log()[before:])
        self.heirs.append(int(line.group(1)))
        return self.heirs[-1]

    def log_in(self):
        mail = MailProgram(self.gate.ports[0], self.context)
        mail.login(CARL, PASSWORDS[CARL])
        return mail

    def sessions_by_control(self):
        """How many the process that has the control socket knows of."""
        with world.socket.socket(world.socket.AF_UNIX) as sock:
            sock.connect(str(self.folder / "control.sock"))
            sock.sendall(b"op=status\n")
            return json.loads(sock.makefile("rb").readline())["sessions"]

    def test_sessions_stay_and_new_ones_come_to_the_new_process(self):
        old = self.log_in()
        self.assertEqual(self.sessions_by_control(), 1)
        new = self.upgrade(self.gate.process.pid)
        self.assertEqual(self.sessions_by_control(), 0)
        for _ in range(20):
            mail = self.log_in()
            self.assertEqual(mail.noop()[0], "OK")
            mail.logout()
        self.assertEqual(old.noop()[0], "OK")
        self.assertTrue(self.gate.is_alive())
        # The last one of the old process goes, and the process with him.
        old.logout()
        wait_until(lambda: not self.gate.is_alive(), "for the old gate's end")
        self.assertEqual(self.sessions_by_control(), 0)  # it left the new one's socket alone
        newest = self.upgrade(new)
        wait_until(lambda: not is_alive(new), "for its end, too")
        self.log_in().logout()
        self.assertTrue(is_alive(newest))

    def test_nobody_is_refused(self):
        """Mail programs log in without a pause while the gate is replaced three times."""
        stop = threading.Event()
        logins, faults = [0, 0, 0], []

        def come_and_go(number):
            while not stop.is_set():
                try:
                    self.log_in().logout()
                    logins[number] += 1
                except Exception as error:  # pylint: disable=broad-except
                    faults.append(repr(error))

        threads = [threading.Thread(target=come_and_go, args=(number,)) for number in range(len(logins))]
        for thread in threads:
            thread.start()
        try:
            process = self.gate.process.pid
            for _ in range(3):
                before = sum(logins)
                wait_until(lambda: sum(logins) >= before + 10 or faults, "for logins")
                process = self.upgrade(process)
            before = sum(logins)
            wait_until(lambda: sum(logins) >= before + 10 or faults, "for the last logins")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(faults, [])

    def test_tickets_still_open(self):
        def visit(session):
            client = self.context if session is None else self.client
            self.client = client
            sock = client.wrap_socket(world.socket.create_connection(("127.0.0.1", self.gate.ports[0]), 60),
                                      server_hostname=world.NAME, session=session)
            sock.recv(1000)  # The greeting: in TLS 1.3 the ticket has come before it.
            reused, given = sock.session_reused, sock.session
            sock.close()
            return reused, given

        _, session = visit(None)
        self.upgrade(self.gate.process.pid)
        self.assertTrue(visit(session)[0])

    def test_a_configuration_with_a_fault_changes_nothing(self):
        good = self.gate.config.read_text()
        self.gate.config.write_text(good.replace("[gate]", "[gate]\nhostnam = \"mail.example.test\""))
        os.kill(self.gate.process.pid, signal.SIGUSR2)
        self.gate.wait_for_log(r"error upgrade process=\d+ text=\"the new process has ended before it served")
        self.assertIn('has no setting "hostnam"', self.gate.log())
        self.log_in().logout()
        self.gate.config.write_text(good)
        self.upgrade(self.gate.process.pid)
        self.log_in().logout()

    def test_a_new_file_that_does_not_serve(self):
        """The package brought something else: it gets the doors and says nothing, and the old process serves all the while."""
        self.gate.stop()
        program = self.folder / "postern"
        shutil.copy(self.gate.binary, program)
        self.gate.binary = str(program)
        self.gate.start()
        program.unlink()
        program.write_text("#!/bin/sh\nexec sleep 1000\n")
        program.chmod(0o755)
        os.kill(self.gate.process.pid, signal.SIGUSR2)
        hanging = int(self.gate.wait_for_log(r" upgrade process=(\d+)").group(1))
        for _ in range(10):
            self.log_in().logout()
        os.kill(self.gate.process.pid, signal.SIGUSR2)
        self.gate.wait_for_log("this process is being replaced, or ends, already")
        os.kill(hanging, signal.SIGKILL)
        self.gate.wait_for_log(r"error upgrade process=\d+ text=\"the new process has ended before it served")
        self.log_in().logout()

    def test_another_number_of_reactors_and_listeners(self):
        text = self.gate.config.read_text()
        for reactors in (1, 3):
            self.gate.config.write_text(text.replace("reactors = 2", f"reactors = {reactors}"))
            self.upgrade(self.heirs[-1] if self.heirs else self.gate.process.pid)
            for _ in range(12):
                self.log_in().logout()


if __name__ == "__main__":
    world.POSTERN, world.POSTERN_AUTH = sys.argv[1:3]
    tap.main(sys.argv[3:])
