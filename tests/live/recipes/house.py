# SPDX-License-Identifier: GPL-3.0-or-later
"""A mail server as on a machine of its own: a root directory in which its packages are installed, processes that see no others, a network
of loopback alone, and a system log.

The whole test runs in namespaces of its own (enter()), so addresses and ports are those of the manual, and what is mounted ends with it."""

import ctypes
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading

from programs import PATIENCE_S, Program, wait_until

GATE, INNER_GATE, STORE, ELSEWHERE = "192.0.2.1", "10.0.0.1", "10.0.0.10", "203.0.113.7"  # the gate, also inside; mail server and program
UNPACKED = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "postern" / "mail-servers"
INSIDE = "POSTERN_RECIPES_INSIDE"


def enter():
    """Starts the main program once more, in namespaces of its own: root's privilege."""
    if os.environ.get(INSIDE) != "yes":
        os.execvpe("unshare", ["unshare", "--mount", "--net", sys.executable, *sys.argv], {**os.environ, INSIDE: "yes"})
    run("ip", "link", "set", "lo", "up")
    for address in (GATE, INNER_GATE, STORE, ELSEWHERE):
        run("ip", "address", "add", address + "/32", "dev", "lo")
    # Else a connection to an address of this machine would come from that address itself.
    run("ip", "route", "change", "local", STORE, "dev", "lo", "table", "local", "src", INNER_GATE)


def run(*words, **options):
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=PATIENCE_S, **options).stdout


class SystemLog:
    """What syslog(3) reaches: the lines stand in the file `path`."""

    def __init__(self, address, path):
        self.path = path
        self.path.touch()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(address))
        address.chmod(0o666)
        threading.Thread(target=self.collect, daemon=True).start()

    def collect(self):
        while True:
            try:
                line = self.socket.recv(65536)
            except OSError:
                return
            if not line:
                return
            with open(self.path, "ab") as log:
                log.write(re.sub(rb"^<\d+>", b"", line).rstrip(b"\n\0") + b"\n")

    def stop(self):
        self.socket.close()


class House(Program):
    """`packages`: a folder of unpacked ones that is laid over this machine's files, or None. Only root can build one."""

    def __init__(self, folder, packages=None):
        self.place = folder / "house"
        self.place.mkdir()
        run("mount", "-t", "tmpfs", "none", str(self.place))
        for part in ("upper", "work", "root"):
            (self.place / part).mkdir()
        self.root = self.place / "root"
        lower = "/" if packages is None else f"{UNPACKED / packages}:/"
        if packages is not None and not (UNPACKED / packages).is_dir():
            raise AssertionError(f"{UNPACKED / packages} is not there: `packaging/dependencies test` puts the mail server there")
        run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={lower},upperdir={self.place}/upper,workdir={self.place}/work",
            str(self.root))
        for device in ("null", "zero", "full", "random", "urandom", "tty"):
            (self.root / "dev" / device).touch()
            run("mount", "--bind", f"/dev/{device}", str(self.root / "dev" / device))
        for part in ("tmp", "run", "dev/shm", "var/tmp"):
            (self.root / part).mkdir(parents=True, exist_ok=True)
            run("mount", "-t", "tmpfs", "none", str(self.root / part))
            (self.root / part).chmod(0o755 if part == "run" else 0o1777)
        super().__init__(self.place / "system.log")
        self.system_log = SystemLog(self.root / "dev" / "log", self.log_path)

    def write(self, path, text, mode=0o644):
        path = self.root / path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def append(self, path, text):
        with open(self.root / path.lstrip("/"), "a", encoding="utf-8") as file:
            file.write(text)

    def read(self, path):
        return (self.root / path.lstrip("/")).read_text(errors="replace")

    def add_user(self, name, home, group=None):
        """As the packages' installation scripts do."""
        run("chroot", str(self.root), "useradd", "--system", "--home-dir", home, "--shell", "/usr/sbin/nologin",
            *(["--gid", group] if group else ["--user-group"]), name)

    def folder(self, path, owner, mode=0o755):
        (self.root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        self.do("chown", owner, path)
        (self.root / path.lstrip("/")).chmod(mode)

    def do(self, *words, **options):
        try:
            return run("chroot", str(self.root), *words, **options)
        except subprocess.CalledProcessError as error:
            raise AssertionError(f"{words} failed: {error.stdout}{error.stderr}") from error

    def serve(self, command, *ports):
        """Runs a command of the shell, in the foreground, until it listens at these ports of the mail server."""
        self.run(["unshare", "--pid", "--fork", "--kill-child=SIGKILL", f"--mount-proc={self.root}/proc", "chroot", str(self.root), "/bin/sh",
                  "-c", command], start_new_session=True)
        for port in ports:
            wait_until(lambda: not self.is_alive() or is_open(port), lambda: f"for port {port}: {self.log()}")
            if not self.is_alive():
                raise AssertionError(f"{command} has ended: {self.log()}")

    def stop(self, number=signal.SIGKILL):
        """The first of its processes ends, and so do all."""
        status = super().stop(number)
        self.system_log.stop()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.umount2(str(self.place).encode(), 2) != 0:  # MNT_DETACH: whatever is still open, too
            raise OSError(ctypes.get_errno(), str(self.place))
        return status


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex((STORE, port)) == 0
