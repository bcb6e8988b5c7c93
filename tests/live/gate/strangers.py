# SPDX-License-Identifier: GPL-3.0-or-later
"""A gate for those who attack it: a helper and a mail server that cost nothing, played here, and a gate with three ports."""

import pathlib
import re
import socket
import socketserver
import ssl
import tempfile
import threading
import unittest
from urllib.parse import parse_qsl, urlencode

import world
from programs import PATIENCE_S, Gate
from world import NAME, make_certificate, three_doors

PASSWORD = "open-sesame"


class Server:
    """Something that serves in threads until the test's end. `handle(file_in, file_out)` is one connection."""

    def __init__(self, handle, path=None):
        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                try:
                    handle(self.rfile, self.wfile)
                except OSError:
                    pass

        kind = socketserver.ThreadingUnixStreamServer if path else socketserver.ThreadingTCPServer
        kind.daemon_threads, kind.request_queue_size = True, 256
        self.server = kind(path or ("127.0.0.1", 0), Handler)
        self.port = None if path else self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def helper(back):
    """Whoever knows the password is in, whatever his name."""
    def handle(lines, out):
        for line in lines:
            question = dict(parse_qsl(line.decode("latin-1").strip(), keep_blank_values=True))
            if question.get("op") == "hello":
                answer = {"op": "hello", "version": 1, "name": "strangers"}
            elif question.get("password") == PASSWORD:
                answer = {"id": question["id"], "result": "ok", "back": back, "user": "joe"}
            else:
                answer = {"id": question["id"], "result": "reject", "reason": "credentials"}
            out.write(urlencode(answer).encode() + b"\n")
    return handle


def echo(lines, out):
    """An IMAP server that lets everybody in and then says again what it hears."""
    out.write(b"* OK [CAPABILITY IMAP4rev1] here\r\n")
    is_in = False
    for line in lines:
        if is_in:
            out.write(line)
            continue
        tag, command = line.split()[:2]
        is_in = command == b"LOGIN"
        out.write((b"* CAPABILITY IMAP4rev1\r\n" if command == b"CAPABILITY" else b"") + tag + b" OK done\r\n")


class Strangers(unittest.TestCase):
    limits = log = ""  # lines of these sections

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="postern-strangers-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        make_certificate(self.folder, "mail", NAME)
        self.context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        self.back = Server(echo)
        self.addCleanup(self.back.stop)
        helper_server = Server(helper(f"127.0.0.1:{self.back.port}"), str(self.folder / "auth.sock"))
        self.addCleanup(helper_server.stop)
        self.gate = Gate(world.POSTERN, self.folder, self.configuration)
        self.addCleanup(self.gate.stop)
        self.gate.start()
        self.gate.wait_for_log(" helper state=up ")

    def configuration(self, implicit, starttls, none):
        return f"""
[gate]
reactors = 2
hostname = "{NAME}"
drain_timeout = "0s"
[log]
{self.log}
[[tls.certificate]]
chain = "{self.folder}/mail.crt"
key = "{self.folder}/mail.key"
{three_doors(implicit, starttls, none)}[auth]
helper = "{self.folder}/auth.sock"
[limits]
exempt = []
{self.limits}
"""

    def connect(self, door, source):
        """Door 0: TLS (not begun yet), 1: STARTTLS, 2: none."""
        return socket.create_connection(("127.0.0.1", self.gate.ports[door]), PATIENCE_S, (source, 0))

    def log_in(self, source, user="joe@example.test", password=PASSWORD):
        """A mail program inside TLS, as a socket; nothing when it is turned away or refused."""
        sock = self.connect(0, source)
        self.addCleanup(sock.close)
        try:
            sock = self.context.wrap_socket(sock, server_hostname=NAME)
            self.addCleanup(sock.close)
            lines = sock.makefile("rb")
            lines.readline()
            sock.sendall(f"a LOGIN {user} {password}\r\n".encode(errors="surrogateescape"))
            return sock if lines.readline().startswith(b"a OK") else None
        except OSError:
            return None

    def limits_status(self):
        """What the reactors' limits have done, added up."""
        before = len(self.gate.log())
        self.gate.status()
        self.gate.wait_for_log(r"(?s)( status-limits .*){2}", before)
        figures = {}
        for line in re.findall(r" status-limits (.*)\n", self.gate.log()[before:]):
            for key, value in re.findall(r"(\w+)=(\d+)", line):
                figures[key] = figures.get(key, 0) + int(value)
        return figures
