# SPDX-License-Identifier: GPL-3.0-or-later
"""An `auth_http` daemon as sites have them, which keeps every request to the byte."""

import socketserver
import threading
import urllib.parse

RIGHT = "s3cret"


class AuthHttpDaemon(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, back_port, port=0):
        super().__init__(("127.0.0.1", port), Conversation)
        self.port = self.server_address[1]
        self.back_port = back_port
        self.requests = []
        self.released = threading.Event()  # ends the silence of `slow`
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def stop(self):
        self.released.set()
        self.shutdown()
        self.thread.join()
        self.server_close()

    def answer(self, user, password, count):
        """The answer to `user`, whose `count`-th question this is."""
        server = f"Auth-Server: 127.0.0.1\r\nAuth-Port: {self.back_port}\r\n"
        good = "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\n" + server
        if user.startswith("slow"):
            self.released.wait(30)
        answers = {
            "waiter": "HTTP/1.0 200 OK\r\nAuth-Status: WAIT\r\n\r\n" if count == 1 else good,
            "patient": "HTTP/1.0 200 OK\r\nAuth-Status: WAIT\r\nAuth-Wait: 1\r\n\r\n" if count == 1 else good,
            "nobody": "HTTP/1.0 200 OK\r\nAuth-Status: No such user\r\nAuth-Wait: 1\r\n",
            "broken": "HTTP/1.0 200 OK\r\nAuth-Status: Temporary problem, try again later\r\nAuth-Error-Code: 451 4.3.0\r\n"
                      "Auth-Wait: 1\r\n",
            "locked": "HTTP/1.0 200 OK\r\nAuth-Status: [CONTACTADMIN] Come to the office\r\nAuth-Wait: 1\r\n",
            "away": "HTTP/1.0 200 OK\r\nAuth-Status: [UNAVAILABLE] The directory is down\r\nAuth-Wait: 1\r\n",
            "odd": "HTTP/1.1 500 Oh no\nauth-status:OK  \nAUTH-SERVER:   127.0.0.1\n" f"auth-port: {self.back_port}\n",
            "bare": f"Auth-Status: OK\r\n{server}",
            "renamed": good + "Auth-User: box17\r\nAuth-Pass: p%41ss\r\n",
            "named": good.replace("127.0.0.1", "mx.example.test"),
            "nowhere": "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\n",
            "mute": "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n",
            "master": good + "Auth-Master-User: boss\r\nAuth-Pass: b0ss\r\nAuth-TLS: starttls\r\nAuth-Server-Name: mx.example.test\r\n"
                      "Auth-Mech: PLAIN\r\nAuth-Cache-TTL: 60\r\nAuth-Proxy-Protocol: v2\r\n",
            "long": good + "X-Pad: " + "x" * 100000 + "\r\n",
        }
        local = user.split("@")[0].lower()
        if local in answers:
            return answers[local] + "\r\nbody"
        wrong = "HTTP/1.0 200 OK\r\nAuth-Status: Invalid login or password\r\nAuth-Wait: 1\r\n\r\n"
        return good + "\r\n" if password == RIGHT or local == "any" else wrong


class Conversation(socketserver.StreamRequestHandler):
    def handle(self):
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            line = self.rfile.readline()
            if not line:
                return
            request += line
        self.server.requests.append(request)
        values = dict(line.split(": ", 1) for line in request.decode("latin-1").split("\r\n")[1:-2] if ": " in line)
        user, password = (urllib.parse.unquote_to_bytes(values[key].encode("latin-1")).decode("utf-8", "surrogateescape")
                          for key in ("Auth-User", "Auth-Pass"))
        count = sum(f"\r\nAuth-User: {values['Auth-User']}\r\n".encode("latin-1") in one for one in self.server.requests)
        self.wfile.write(self.server.answer(user, password, count).encode())
