# SPDX-License-Identifier: GPL-3.0-or-later
"""The helper's end of the gate's connection to it: lines of form pairs over a Unix socket."""

import collections
import os
import socket
import urllib.parse

from .ends import READ, WRITE
from .text import shown

KNOWN_KEYS = {"op", "id", "protocol", "listener", "mechanism", "user", "authzid", "password", "token", "client", "local", "tls",
              "sni", "session", "version", "name", "subject", "common_name", "email", "fingerprint"}
SECRET_KEYS = ("password", "token")
RESULTS = {"accept": "ok", "refuse": "reject", "unavailable": "unavailable"}


class Helper:
    def __init__(self, loop, path, hello):
        self.loop, self.path, self.hello = loop, path, hello
        self.listener = self.link = None
        self.unread = collections.deque()
        self.open_ids = collections.deque()
        self.asked = 0
        self.greetings = 0
        self.beside_passwords = bytearray()
        self.nonsense = b""

    def begin(self):
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(self.path)
        sock.listen(8)
        sock.setblocking(False)
        self.listener = Door(self.loop, sock, self.accept)

    def accept(self, sock):
        self.link = Link(self.loop, sock, self.understand, self.lost)

    def lost(self):
        self.link = None
        # What the dialog has not seen yet will be asked again.
        self.unread.clear()
        self.open_ids.clear()

    def close(self):
        self.listener.shut()
        os.unlink(self.path)
        if self.link:
            self.loop.pump(lambda: not self.link or not self.link.out, 5)
        if self.link:
            self.link.shut()
            self.lost()

    def understand(self, line):
        pairs = pairs_of(line)
        if pairs is None:
            self.nonsense = line
            return
        for key, value in pairs.items():
            if key not in SECRET_KEYS:
                self.beside_passwords += key.encode() + b"=" + value + b"\n"
        if pairs.get("op") == b"hello":
            self.greetings += 1
            self.link.send(self.hello)
        else:
            self.asked += 1
            self.unread.append(pairs)

    def take_question(self):
        question = self.unread.popleft()
        self.open_ids.append((question.get("id", b"").decode(), question.get("protocol", b"").decode()))
        return question

    def take_id(self):
        """And the protocol that was asked about."""
        return self.open_ids.popleft() if self.open_ids else None


def pairs_of(line):
    pairs = {}
    for pair in line.split(b"&"):
        key, equals, value = (urllib.parse.unquote_to_bytes(part.replace(b"+", b" ")) for part in pair.partition(b"="))
        key = key.decode("latin-1")
        if not equals or key not in KNOWN_KEYS or key in pairs:
            return None
        pairs[key] = value
    return pairs


def answer_line(words, number, map_back):
    """The line of an answer such as `accept back=127.0.1.1 user="j4711"`."""
    line = f"id={number}"
    for word in words:
        if word.key:
            value = map_back(word.text()).encode("latin-1") if word.key in ("back", "moving_to") else word.value
            line += f"&{word.key}=" + urllib.parse.quote_from_bytes(value, safe="")
        elif word.text() in RESULTS:
            line += "&result=" + RESULTS[word.text()]
    return line.encode() + b"\n"


def question_differs(question, words):
    """Why the question is not the one of the line `verify "USER" "PASSWORD" via METHOD ...` or `scram "USER" ...`; empty: it
    is."""
    wanted = {"op": words[0].value, "authzid": b"", "password": b"", "token": b""}
    places = ["user", "password"]
    words = collections.deque(words[1:])
    while words:
        word = words.popleft()
        if word.key:
            wanted[word.key] = word.value
        elif word.quoted and places:
            wanted[places.pop(0)] = word.value
        elif words:
            wanted[{"via": "mechanism", "as": "authzid"}.get(word.text(), "from")] = words.popleft().value
    if wanted.get("mechanism") in (b"XOAUTH2", b"OAUTHBEARER"):
        # A token is asked about as what it is.
        wanted["token"], wanted["password"] = wanted["password"], b""
    for key, value in wanted.items():
        has = question.get("client" if key == "from" else key, b"")
        if key == "from":
            has = has.rpartition(b":")[0]
        if has != value:
            return f'{key} is "{shown(has)}" instead of "{shown(value)}"'
    missing = [key for key in ("id", "listener", "client", "local", "session") if not question.get(key)]
    return f"there is no {missing[0]}" if missing else ""


class Door:
    """A listening socket."""

    def __init__(self, loop, sock, accepted):
        self.loop, self.sock, self.accepted = loop, sock, accepted
        loop.watch(self, READ)

    def ready(self, _):
        try:
            sock, _ = self.sock.accept()
        except BlockingIOError:
            return
        self.accepted(sock)

    def shut(self):
        self.loop.forget(self)
        self.sock.close()


class Link:
    """The helper's connection."""

    def __init__(self, loop, sock, line, lost):
        self.loop, self.sock, self.line, self.lost = loop, sock, line, lost
        sock.setblocking(False)
        self.out = bytearray()
        self.begun = b""
        loop.watch(self, READ)

    def send(self, octets):
        self.out += octets
        self.loop.watch(self, READ | WRITE)

    def ready(self, events):
        try:
            if events & WRITE and self.out:
                del self.out[:self.sock.send(self.out)]
            octets = self.sock.recv(1 << 16) if events & READ else None
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        if octets == b"":
            self.shut()
            self.lost()
            return
        *lines, self.begun = (self.begun + (octets or b"")).split(b"\n")
        for line in lines:
            self.line(line)
        if self.sock.fileno() >= 0:
            self.loop.watch(self, READ | WRITE if self.out else READ)

    def shut(self):
        self.loop.forget(self)
        self.sock.close()
