# SPDX-License-Identifier: GPL-3.0-or-later
"""The running gate of one dialog: its ports, its process, its log."""

import os
import re
import signal
import socket
import subprocess
import tempfile

from . import dialects, script
from .ends import Loop
from .helper import Door


class Places:
    """Where everything is."""

    def __init__(self, folder, certificates):
        self.folder, self.certificates = folder, certificates
        self.helper = os.path.join(folder, "auth.sock")
        self.back_ports = {}
        self.move()

    def move(self):
        """The listeners get other ports."""
        self.listeners = dict(zip(dialects.LISTENERS, free_ports(len(dialects.LISTENERS))))


def free_ports(count):
    """Different ones. Somebody else may be quicker: whoever uses them tries again."""
    socks = [socket.socket() for _ in range(count)]
    for sock in socks:
        sock.bind(("127.0.0.1", 0))
    ports = [sock.getsockname()[1] for sock in socks]
    for sock in socks:
        sock.close()
    return ports


class MailServers:
    """A listening socket for each address that the dialog names and each dialect; a dialect has one port."""

    def __init__(self, loop, dialog, accepted):
        self.doors = []
        self.full = []
        self.ports = {}
        for dialect in dialects.WORDS:
            self.open(loop, dialog, dialect, accepted)

    def open(self, loop, dialog, dialect, accepted):
        addresses = set(re.findall(r"127\.0\.1\.\d+", dialog.text)) | {script.DEFAULT_BACK}
        if "[::1]" in dialog.text:
            addresses.add("::1")
        port, socks = bind_all(sorted(addresses - {one for one, temper in dialog.tempers.items() if temper == "refuses"}))
        self.ports[dialect] = port
        for address, sock in socks.items():
            if dialog.tempers.get(address) == "silent":
                self.fill(address, sock)
            else:
                sock.listen(64)
                sock.setblocking(False)
                self.doors.append(Door(loop, sock, lambda new: accepted(new, dialect)))

    def fill(self, address, sock):
        """The kernel lets further connections wait without an answer."""
        sock.listen(0)
        self.full.append(sock)
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(sock.getsockname())
            self.full.append(filler)

    def shut(self):
        for door in self.doors:
            door.shut()
        for sock in self.full:
            sock.close()


def bind_all(addresses):
    for _ in range(50):
        port = free_ports(1)[0]
        socks = {}
        try:
            for address in addresses:
                sock = socks[address] = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind((address, port))
            return port, socks
        except OSError as error:
            for sock in socks.values():
                sock.close()
            failure = error
    raise failure


class Gate:
    START_S = 30
    START_TRIES = 5

    def __init__(self, binary, dialog, certificates, accepted):
        self.loop = Loop()
        self.folder = tempfile.TemporaryDirectory(prefix="postern-live-")
        self.places = Places(self.folder.name, certificates)
        self.servers = MailServers(self.loop, dialog, accepted)
        self.places.back_ports = self.servers.ports
        self.binary, self.dialog = binary, dialog
        self.process = None
        self.log_path = os.path.join(self.folder.name, "log")

    def start(self):
        for _ in range(self.START_TRIES):
            if self.try_to_start():
                return
            self.places.move()
        raise RuntimeError("the gate does not start: " + self.log())

    def try_to_start(self):
        path = os.path.join(self.folder.name, "postern.toml")
        text = script.configuration(self.dialog, self.places)
        drain = re.search(r"^do stop drain=(\w+)", self.dialog.text, re.M)
        if drain:
            text = text.replace('drain_timeout = "0s"', f'drain_timeout = "{drain.group(1)}"')
        with open(path, "w", encoding="latin-1") as file:
            file.write(text)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(self.command() + (self.binary, "-c", path), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        self.loop.pump(lambda: self.logged("started") or self.process.poll() is not None, self.START_S)
        started = self.process.poll() is None and self.logged("started")
        if not started and not self.logged("another program listens"):
            raise RuntimeError("the gate does not start: " + self.log())
        return started

    def command(self):
        """In front of the gate's own."""
        most = self.dialog.files_max
        return ("prlimit", f"--nofile={most}:{most}", "--") if most else ()

    def log(self):
        with open(self.log_path, "rb") as file:
            return file.read().decode("latin-1")

    def logged(self, text):
        return text in self.log()

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        """Ends the process, whatever state it is in; its exit status."""
        if self.process and self.process.poll() is None:
            self.signal(signal.SIGTERM)
            if not self.loop.pump(lambda: self.process.poll() is not None, 10):
                self.process.kill()
        return self.process.wait() if self.process else None

    def clean_up(self):
        self.servers.shut()
        self.folder.cleanup()

    # What /proc knows.

    def cpu_ticks(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def memory_kb(self):
        """Memory of its own; what it shares with its file is everybody's."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"RssAnon:\s+(\d+)", file.read()).group(1))

    def is_sanitised(self):
        """Sanitizers keep freed memory for a while."""
        with open(self.binary, "rb") as file:
            return b"__asan_init" in file.read()
