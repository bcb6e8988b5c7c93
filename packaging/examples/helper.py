#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole helper for the mail gate Postern. Start: rm -f SOCKET; helper.py SOCKET. Read postern-helper(7) besides."""
import hashlib, hmac, os, socketserver, sys
from urllib.parse import parse_qsl, urlencode

# Change this: your users with a salt of their own, their hash, their mail server. Or ask your database in verify().
USERS = {"demo@example.test": (
    b"demo salt", "bba83e104bf977f1e63a5ea40bec2e735833bb924b2b2409f99b769dd772b031",  # "demo password"
    "127.0.1.1:143")}
NOBODY = (b"nobody's salt", "", "")  # is hashed too, so that a stopwatch does not tell who exists

def hashed(password, salt):
    return hashlib.scrypt(os.fsencode(password), salt=salt, n=16384, r=8, p=1, dklen=32).hex()

def verify(question):
    """Change this: one login in, its answer out. Raise what you like: the user hears "not now", never "wrong"."""
    salt, right, back = USERS.get(question["user"].lower(), NOBODY)
    same = hmac.compare_digest(hashed(question["password"], salt), right)
    if not same or "\0" in question["password"] or question.get("authzid"):  # scrypt does not see a NUL at the end
        return {"result": "reject", "reason": "credentials", "delay_ms": 2000}
    return {"result": "ok", "back": back, "ttl": 300}  # or a pool, another user name, a master user, ...

class Gate(socketserver.StreamRequestHandler):
    def handle(self):  # a thread for each connection of the gate
        while (line := self.rfile.readline(16384)).endswith(b"\n"):
            question = dict(parse_qsl(line.decode("latin-1").strip(), keep_blank_values=True, errors="surrogateescape"))
            answer = {"result": "error"}
            if question.get("op") == "hello":
                answer = {"op": "hello", "version": 1, "name": "helper.py"}
            elif question.get("op") == "verify":
                try: answer = verify(question)
                except Exception as error: answer = {"result": "unavailable", "text": type(error).__name__}
            if "id" in question: answer["id"] = question["id"]
            self.wfile.write(urlencode(answer).encode() + b"\n")

if __name__ == "__main__":
    os.umask(0o117)  # the socket is open to this process's user and group: the gate must be one of them
    socketserver.ThreadingUnixStreamServer(sys.argv[1], Gate).serve_forever()
