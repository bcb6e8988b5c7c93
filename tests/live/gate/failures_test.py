# SPDX-License-Identifier: GPL-3.0-or-later
"""What users and operators hear when something is broken, and that it goes on afterwards; the gate's own start, reload and end."""

import ctypes
import errno
import imaplib
import os
import re
import signal
import socket
import ssl
import subprocess
import sys

import tap
import world
from programs import PATIENCE_S, free_ports, wait_until
from world import BOB, CARL, DORA, NAME, PASSWORDS, World, make_certificate, openssl, read_to_end

UNAVAILABLE = r"^\[UNAVAILABLE\] \w+"


class Failures(World):
    each_its_own = True

    def can_log_in(self, user):
        mail = self.connect()
        try:
            mail.login(user, PASSWORDS[user])
        except imaplib.IMAP4.error as refusal:
            self.assertIn(b"[UNAVAILABLE]", refusal.args[0])
            return False
        return True

    def test_the_helper_dies_and_comes_back(self):
        mail = self.log_in(BOB)
        self.helper.stop(signal.SIGKILL)
        self.gate.wait_for_log(r" warning helper state=down")
        self.assertRegex(self.refusal(DORA, PASSWORDS[DORA]), UNAVAILABLE)
        self.gate.wait_for_log(r" warning login-failed .*reason=unavailable")
        self.assertEqual(mail.noop()[0], "OK", "who is in stays in")
        self.assertEqual(self.log_in(BOB).noop()[0], "OK", "who was in lately gets in")
        self.assertRegex(self.refusal(BOB, "wrong-secret"), UNAVAILABLE, "a helper that is down is never a mismatch")
        self.helper.start()
        wait_until(lambda: self.can_log_in(DORA), "for a login")

    def test_the_mail_server_dies_and_comes_back(self):
        mail = self.log_in(BOB)
        # Dovecot's end leaves the processes of its sessions alone; they have names in its log.
        session = self.dovecot.wait_for_log(re.escape(f"user=<{BOB}>") + r".* mpid=(\d+)").group(1)
        self.dovecot.stop()
        self.assertEqual(mail.noop()[0], "OK")
        os.kill(int(session), signal.SIGKILL)
        with self.assertRaises((imaplib.IMAP4.abort, OSError)):
            mail.noop()
        mail = self.connect()
        with self.assertRaises(imaplib.IMAP4.error) as refusal:
            mail.login(BOB, PASSWORDS[BOB])
        self.assertRegex(refusal.exception.args[0].decode(), UNAVAILABLE)
        self.gate.wait_for_log(rf" warning back-failed .*back=127\.0\.0\.1:{self.dovecot.port} .*reason=refused")
        self.dovecot.start()
        mail.login(BOB, PASSWORDS[BOB])
        self.assertEqual(mail.noop()[0], "OK")

    def test_a_changed_password_counts_at_once(self):
        self.log_in(BOB)
        subprocess.run([world.POSTERN_AUTH, "user", "passwd", BOB, "-c", str(self.helper.config), "--password-stdin"],
                       input="another-secret\n", text=True, check=True, timeout=PATIENCE_S)
        wait_until(lambda: not self.old_password_holds(), "for the old password's end")
        self.log_in(BOB, password="another-secret")

    def old_password_holds(self):
        try:
            self.log_in(BOB)
        except imaplib.IMAP4.error:
            return False
        return True


class Signals(World):
    each_its_own = True
    drain_timeout = "10m"

    def served_certificate(self):
        with socket.create_connection(("127.0.0.1", self.port("implicit")), PATIENCE_S) as bare, \
                self.context.wrap_socket(bare, server_hostname=NAME) as sock:
            return ssl.DER_cert_to_PEM_cert(sock.getpeercert(binary_form=True))

    def certificate_on_disk(self):
        return openssl("x509", "-in", f"{self.folder}/mail.crt").stdout

    def test_a_new_certificate_and_the_sessions_stay(self):
        mail = self.log_in(BOB)
        waiting = self.connect()
        old = self.served_certificate()
        self.assertEqual(old, self.certificate_on_disk())
        make_certificate(self.folder, "mail", NAME)
        self.assertEqual(self.served_certificate(), old, "not before it is told")
        self.assertIn(" notice reloaded ", self.gate.reload())
        self.assertEqual(self.served_certificate(), self.certificate_on_disk())
        self.assertNotEqual(self.certificate_on_disk(), old)
        self.assertEqual(mail.noop()[0], "OK")
        waiting.login(BOB, PASSWORDS[BOB])
        self.assertEqual(waiting.noop()[0], "OK")

    def test_a_broken_file_changes_nothing(self):
        mail = self.log_in(BOB)
        good = self.gate.config.read_text()
        key = (self.folder / "mail.key").read_text()
        for config, key_text, complaint in [
                (good + "[limit]\nsessions = 5\n", key, r"postern\.toml:\d+: .*limit"),
                (good.replace('"starttls"', '"startls"'), key, r"postern\.toml:\d+: .*starttls"),
                ("[gate\n", key, r"postern\.toml:1"),
                (good, "no key", r"mail\.key"),
                (good, (self.folder / "ca.key").read_text(), r"mail\.key")]:
            with self.subTest(complaint=complaint):
                self.gate.config.write_text(config)
                (self.folder / "mail.key").write_text(key_text)
                log = self.gate.reload()
                self.assertRegex(log, r" error reload .*" + complaint)
                self.assertIn("the old configuration stays in force", log)
                self.assertEqual(mail.noop()[0], "OK")
                self.assertEqual(self.log_in(BOB).noop()[0], "OK")
        self.gate.config.write_text(good)
        (self.folder / "mail.key").write_text(key)
        self.assertIn(" notice reloaded ", self.gate.reload())

    def test_the_end_is_polite(self):
        waiting, in_clear = self.connect(), self.connect("starttls", in_clear=True)
        relayed = self.raw()
        relayed.sendall(f"1 LOGIN {BOB} {PASSWORDS[BOB]}\r\n".encode())
        self.read_until(relayed, b"1 OK")
        self.gate.hear(signal.SIGTERM)
        for mail in (waiting, in_clear):
            said = mail.readline()
            self.assertTrue(said.startswith(b"* BYE "), said)
            self.assertEqual(mail.readline(), b"")
        relayed.sendall(b"2 NOOP\r\n")
        self.read_until(relayed, b"2 OK")
        for port in self.gate.ports:
            wait_until(lambda: is_refused(port), f"for the port {port} to be free")
        # Asked twice, the gate waits no longer. Without a close_notify, this would raise SSLEOFError.
        self.gate.hear(signal.SIGTERM)
        read_to_end(relayed)
        self.assertEqual(self.gate.process.wait(PATIENCE_S), 0)
        self.assertRegex(self.gate.log(), r" notice draining (?s:.*) info end .*reason=drained\n(?s:.*) notice stopped\n$")

    def read_until(self, sock, wanted):
        said = b""
        while wanted not in said:
            part = sock.recv(65536)
            self.assertTrue(part, said)
            said += part


def is_refused(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


class Leaving(World):
    """Everything comes back when the mail programs have left, however they left."""

    each_its_own = True
    SESSIONS = 60
    WARM_UP = 3  # waves until the allocator has all that it will keep
    WAVES = 5
    # What an allocator and the kernel's own counting may vary by; a kilobyte a session would be more.
    SLACK_KB = 256

    def wave(self):
        mails = [self.log_in(CARL, ("implicit", "starttls", "none")[number % 3]) for number in range(self.SESSIONS)]
        for mail in mails:
            mail.first_subject()
        self.assertEqual(self.gate.total("relaying"), self.SESSIONS)
        for number, mail in enumerate(mails):
            if number % 3 == 0:
                mail.logout()
            elif number % 3 == 1:
                mail.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # A reset instead of an end.
            mail.hang_up()

    def is_empty(self):
        return self.gate.total("sessions") == 0 and self.gate.total("lent_bytes") == 0

    def waves(self, count):
        for _ in range(count):
            self.wave()
            wait_until(self.is_empty, lambda: f"for the end of all sessions: {self.gate.status()}")

    def test_memory_and_descriptors_come_back(self):
        self.waves(self.WARM_UP)
        descriptors, memory = self.gate.descriptors(), self.gate.memory_kb()
        self.waves(self.WAVES)
        self.assertEqual(self.gate.descriptors(), descriptors)
        if not self.gate.is_sanitised():
            self.assertLessEqual(self.gate.memory_kb(), memory + self.SLACK_KB)
        self.assertEqual(self.gate.total("cq_overflows"), 0)
        # The leak sanitizer, where it is built in, has its say in the exit status.
        self.assertEqual(self.gate.stop(), 0, self.gate.log()[-3000:])


class Start(World):
    """A gate that cannot start says why, and what to do."""

    def start_in_vain(self, **options):
        done = subprocess.run([world.POSTERN, "-c", str(self.folder / "other.toml")], capture_output=True, text=True, check=False,
                              timeout=PATIENCE_S, **options)
        self.assertEqual(done.returncode, 1, done.stderr)
        return done.stderr

    def other_config(self):
        return self.configuration(*free_ports(3))

    def test_a_malformed_configuration(self):
        (self.folder / "other.toml").write_text("[gate]\nreactor = 2\n" + self.other_config().replace('"starttls"', '"ssl"').replace(
            "[gate]", "", 1).replace("reactors = 2", ""))
        said = self.start_in_vain()
        self.assertRegex(said, r"other\.toml:2: .*reactor.*reactors", "the nearest known name")
        self.assertRegex(said, r"other\.toml:\d+: .*ssl", "and every other fault")

    def test_a_port_that_is_taken(self):
        (self.folder / "other.toml").write_text(self.configuration(*self.gate.ports))
        self.assertRegex(self.start_in_vain(), rf"127\.0\.0\.1:{self.gate.ports[0]}.* another program listens there")

    def test_a_system_without_io_uring(self):
        (self.folder / "other.toml").write_text(self.other_config())
        said = self.start_in_vain(preexec_fn=forbid_io_uring)
        self.assertRegex(said, r"(?i)io_uring")
        self.assertRegex(said, r"(?i)seccomp|container")


def forbid_io_uring():
    """As container runtimes do: the system call io_uring_setup fails with EPERM, by a seccomp filter."""
    set_no_new_privileges, set_seccomp, filter_mode, io_uring_setup, eperm = 38, 22, 2, 425, 1
    load_number, jump_if_equal, give_back = 0x20, 0x15, 0x06
    allow, refuse = 0x7FFF0000, 0x00050000 | eperm

    class Instruction(ctypes.Structure):
        _fields_ = [("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("value", ctypes.c_uint32)]

    class Program(ctypes.Structure):
        _fields_ = [("size", ctypes.c_uint16), ("code", ctypes.POINTER(Instruction))]

    code = (Instruction * 4)(Instruction(load_number, 0, 0, 0), Instruction(jump_if_equal, 0, 1, io_uring_setup),
                             Instruction(give_back, 0, 0, refuse), Instruction(give_back, 0, 0, allow))
    libc = ctypes.CDLL(None, use_errno=True)
    none = ctypes.c_ulong(0)
    if libc.prctl(set_no_new_privileges, ctypes.c_ulong(1), none, none, none) != 0 or \
            libc.prctl(set_seccomp, ctypes.c_ulong(filter_mode), ctypes.byref(Program(len(code), code)), none, none) != 0:
        raise OSError(ctypes.get_errno(), "no seccomp filter can be set")


if __name__ == "__main__":
    world.POSTERN, world.POSTERN_AUTH = sys.argv[1:3]
    tap.main(sys.argv[3:])
