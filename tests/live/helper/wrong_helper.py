# SPDX-License-Identifier: GPL-3.0-or-later
"""A helper with one fault, which the conformance checks must find. Usage: wrong_helper.py FAULT SOCKET.

One user, "demo" with the password "demo password". Without a fault ("none") it is a good helper.
"""

import os
import socketserver
import sys
import threading
from urllib.parse import parse_qsl, urlencode

LIMIT = 16384
ONE_AT_A_TIME = threading.Lock()

# Each fault's name, and the check that must find it.
FAULTS = {
    "no-hello": "hello", "hello-of-version-2": "hello", "hello-without-name": "hello",
    "no-id": "verify", "error-to-verify": "verify", "unknown-result": "verify", "no-result": "verify",
    "answers-twice": "verify", "answers-garbage": "verify", "raw-octets": "verify", "line-feed-in-text": "verify",
    "password-in-text": "verify", "answer-too-long": "verify", "op-in-answer": "verify", "wrong-delay": "verify",
    "small-ids": "id", "one-line-a-read": "pipelined", "one-connection": "connections",
    "silent-to-unknown-op": "op", "error-without-id": "op", "rejects-unknown-op": "op", "keys-in-one-order": "keys",
    "takes-half-a-line": "half-line", "small-buffer": "longest-line", "takes-the-tail": "overlong-line",
    "dies-of-bad-encoding": "encoding", "dies-of-garbage": "garbage", "loses-some": "thousand", "dies-at-close": "closed",
    "unknown-is-unavailable": "unknown-user", "empty-is-ok": "empty", "line-feed-breaks": "octets", "token-is-ok": "token",
    "certificate-is-ok": "certificate", "scram-without-keys": "scram", "scram-without-a-way": "scram",
    "pool-and-back": "right-password", "back-is-a-name": "right-password", "half-a-master": "right-password",
    "wrong-ttl": "right-password", "decodes-capitals-only": "escapes", "everything-is-ok": "wrong-password",
    "stops-at-nul": "wrong-password", "strips": "wrong-password", "ignores-case": "wrong-password",
    "wrong-is-unavailable": "wrong-password", "ldap-without-password": "empty-password", "ignores-authzid": "authzid",
}
# Those that show by an answer that never comes.
SILENT = {"no-hello", "one-line-a-read", "one-connection", "silent-to-unknown-op", "loses-some"}
FAULT = None


def has(*faults):
    return FAULT in faults


def decode(line):
    if has("decodes-capitals-only"):
        line = line.replace("%6", "%256").replace("%7", "%257") if any(f"%6{c}" in line for c in "abcdef") else line
    return dict(parse_qsl(line, keep_blank_values=True, encoding="latin-1"))


def is_right(password):
    right = "demo password"
    if has("stops-at-nul"):
        password = password.split("\0")[0]
    if has("strips"):
        password = password.strip(" \n")
    if has("ignores-case"):
        password, right = password.upper(), right.upper()
    return password == right or has("ldap-without-password") and not password or has("everything-is-ok")


ROUTES = {
    "pool-and-back": [("pool", "p"), ("back", "127.0.1.1:143")], "back-is-a-name": [("back", "mail.example.test")],
    "half-a-master": [("pool", "p"), ("master_user", "boss")], "wrong-ttl": [("pool", "p"), ("ttl", "5m")],
}
REFUSALS = {
    "unknown-result": [("result", "no")], "no-result": [("reason", "credentials")], "error-to-verify": [("result", "error")],
    "answer-too-long": [("result", "reject"), ("text", "x" * LIMIT)], "wrong-delay": [("result", "reject"), ("delay_ms", "2s")],
    "op-in-answer": [("op", "verify"), ("result", "reject")],
}


def refuse(question):
    if has("password-in-text"):
        return [("result", "reject"), ("text", "not " + question.get("password", ""))]
    if has("wrong-is-unavailable") and question["user"] == "demo":
        return [("result", "unavailable")]
    if has("unknown-is-unavailable") and question["user"] != "demo":
        return [("result", "unavailable")]
    return REFUSALS.get(FAULT, [("result", "reject"), ("reason", "credentials")])


def verify(question):
    user, password = question.get("user", ""), question.get("password")
    if has("token-is-ok") and "token" in question or has("certificate-is-ok") and "subject" in question:
        return [("result", "ok"), ("user", "demo"), ("pool", "p")]
    if has("empty-is-ok") and not user:
        return [("result", "ok"), ("pool", "p")]
    if password is None:
        return [("result", "unavailable")]
    if user != "demo" or not is_right(password):
        return refuse(question)
    if question.get("authzid") and not has("ignores-authzid"):
        return refuse(question)
    return [("result", "ok")] + ROUTES.get(FAULT, [("back", "127.0.1.1:143")])


def scram():
    keys = [("iterations", 4096), ("salt", "c2FsdA=="), ("stored_key", "A" * 43 + "="), ("server_key", "B" * 42 + "A=")]
    if has("scram-without-keys"):
        return [("result", "ok"), ("pool", "p"), ("password", "x")]
    return [("result", "ok"), ("pool", "p"), *keys] if has("scram-without-a-way") else [("result", "reject")]


def answer(line):
    """The answer's pairs; None: silence."""
    if has("keys-in-one-order") and line and not line.startswith("op="):
        return [("result", "error")]
    question = decode(line)
    operation, number = question.get("op"), question.get("id")
    if has("small-ids") and number:
        number = int(number) % 2**32
    identity = [("id", number)] if number and not has("no-id") else []
    if operation == "hello":
        name = "" if has("hello-without-name") else "wrong"
        return None if has("no-hello") else [("op", "hello"), ("version", 2 if has("hello-of-version-2") else 1), ("name", name)]
    if operation == "verify":
        return identity + verify(question)
    if operation == "scram":
        return identity + scram()
    if has("silent-to-unknown-op"):
        return None
    return ([] if has("error-without-id") else identity) + [("result", "reject" if has("rejects-unknown-op") else "error")]


def bytes_of(line, pairs):
    said = urlencode(pairs).encode()
    is_answer = b"result=" in said and b"id=" in said
    if is_answer and has("answers-twice"):
        return (said + b"\n") * 2
    if is_answer and has("answers-garbage"):
        return b"id=%zz&result=reject\n"
    if is_answer and has("raw-octets"):
        return said + b"&text=sch\xc3\xb6n\n"
    if is_answer and has("line-feed-in-text"):
        return said + b"&text=no\nway\n"
    if has("line-feed-breaks") and "%0A" in line:
        return said + b"&user=" + decode(line)["user"].encode("latin-1") + b"\n"
    return said + b"\n"


class Gate(socketserver.BaseRequestHandler):
    def handle(self):
        if has("one-connection"):
            with ONE_AT_A_TIME:
                return self.serve()
        return self.serve()

    def serve(self):
        pending = b""
        try:
            while read := self.request.recv(LIMIT):
                pending = self.take(pending + read)
                if pending is None:
                    return
        except OSError:
            pending = b"what could not be said"
        if pending and has("dies-at-close"):
            os._exit(1)

    def take(self, pending):
        """Answers all whole lines; what is left, or None to hang up."""
        lines = pending.split(b"\n")
        if has("one-line-a-read") and len(lines) > 2:
            lines = [lines[0], b""]
        if has("loses-some") and len(lines) > 100:
            lines = lines[:1] + lines[3:]
        limit = 4096 if has("small-buffer") else LIMIT
        for line in lines[:-1]:
            if len(line) >= limit and not has("takes-the-tail"):
                return None
            self.say(line)
        if has("takes-half-a-line") and lines[-1]:
            self.say(lines[-1])
            return b""
        if len(lines[-1]) >= limit:
            return b"" if has("takes-the-tail") else None
        return lines[-1]

    def say(self, line):
        if has("takes-the-tail") and len(line) >= LIMIT - 1:
            line = line[line.index(b"op="):]
        if has("dies-of-bad-encoding") and b"%zz" in line or has("dies-of-garbage") and b"\xff" in line:
            os._exit(1)
        pairs = answer(line.decode("latin-1").strip("\r"))
        if pairs is not None:
            self.request.sendall(bytes_of(line.decode("latin-1"), pairs))


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    FAULT = sys.argv[1]
    Server(sys.argv[2], Gate).serve_forever()
