# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers inside the test: one that takes mail and keeps it to the octet, and what such servers share."""

import base64
import importlib.util
import pathlib
import re
import select
import socket
import ssl
import threading
import typing

from programs import PATIENCE_S, wait_until

EXAMPLE_HELPER = pathlib.Path(__file__).parents[3] / "packaging" / "examples" / "helper.py"


class Server:
    """On a free port of 127.0.0.1, with a thread for each connection, in which serve() talks to it."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock = self.listener.accept()[0]
            except OSError:  # It was told to stop.
                return
            threading.Thread(target=self.attend, args=(sock,), daemon=True).start()

    def attend(self, sock):
        with sock:
            sock.settimeout(PATIENCE_S)
            try:
                self.serve(sock)
            except (OSError, EOFError):
                pass  # The other side has gone, however it went.

    def serve(self, sock):
        raise NotImplementedError

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)  # This wakes accept(), which close() alone does not.
        self.listener.close()


class Passage(Server):
    """What stands in front of a mail server that listens at `port` of 127.0.0.1. `heard`: what the gate said, by connection."""

    def __init__(self, port):
        self.port_behind = port
        self.heard = []
        super().__init__()

    def front(self, sock):
        return sock

    def serve(self, sock):
        with self.front(sock) as front, socket.create_connection(("127.0.0.1", self.port_behind), PATIENCE_S) as back:
            heard = bytearray()
            self.heard.append(heard)
            ways = {front: back, back: front}
            while True:
                for sock in select.select(list(ways), [], [])[0]:
                    # What TLS has read already, select() does not see.
                    while data := sock.recv(65536):
                        heard += data if sock is front else b""
                        ways[sock].sendall(data)
                        if sock is back or not isinstance(front, ssl.SSLSocket) or not front.pending():
                            break
                    if not data:
                        return


class TlsEnd(Passage):
    """Where TLS ends."""

    def __init__(self, port, context):
        self.context = context
        super().__init__(port)

    def front(self, sock):
        return self.context.wrap_socket(sock, server_side=True)


class ExampleHelper:
    """The example of a helper, with a verify() of the test's own: it gets `questions` as dictionaries, and returns the answers."""

    def __init__(self, folder, verify):
        spec = importlib.util.spec_from_file_location("example_helper", EXAMPLE_HELPER)
        example = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(example)
        example.verify = self.answer
        self.verify = verify
        self.questions = []
        self.socket = folder / "example.sock"
        self.server = example.socketserver.ThreadingUnixStreamServer(str(self.socket), example.Gate)
        self.server.daemon_threads = True

    def answer(self, question):
        self.questions.append(question)
        return self.verify(question)

    def start(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Mail(typing.NamedTuple):
    """What a Sink has taken. `content` is as it came over the wire: what DATA brought still has its doubled dots."""

    user: str  # who logged in, if anybody did
    helo: str
    sender: str
    recipients: list
    content: bytes


class Sink(Server):
    """A mail server that takes mail from everybody (RFC 5321, 3030, 4954) and keeps it in `mails`.

    It counts only CRLF.CRLF as the end of a mail, and looks at no octet within. All commands stand in `commands`."""

    def __init__(self, *extensions):
        self.extensions = extensions
        self.mails = []
        self.commands = []
        super().__init__()

    def wait_for_mail(self, text):
        """The only mail with that text in it, once it is here."""
        text = text.encode() if isinstance(text, str) else text
        mails = wait_until(lambda: [mail for mail in self.mails if text in mail.content],
                           lambda: f"for a mail with {text}; here are {[mail.content[:300] for mail in self.mails[-5:]]}")
        if len(mails) != 1:
            raise AssertionError(f"a mail came more than once: {[mail.content[:300] for mail in mails]}")
        return mails[0]

    def serve(self, sock):
        Conversation(self, sock).hold()


class Conversation:
    def __init__(self, sink, sock):
        self.sink, self.sock = sink, sock
        self.file = sock.makefile("rb")
        self.user = self.helo = ""
        self.begin()

    def begin(self):
        self.sender, self.recipients, self.content = None, [], bytearray()

    def say(self, line):
        self.sock.sendall(line.encode() + b"\r\n")

    def line(self):
        line = self.file.readline()
        if not line:
            raise EOFError
        return line

    def hold(self):
        self.say("220 sink.example.test ESMTP")
        while True:
            line = self.line()
            self.sink.commands.append(line)
            text = line.decode("ascii", "replace").rstrip("\r\n")
            verb, _, rest = text.partition(" ")
            if verb.upper() == "QUIT":
                return self.say("221 Bye")
            handler = getattr(self, "on_" + verb.lower(), None)
            if handler is None or not verb.isalpha():
                self.say("500 Unknown command")
            else:
                handler(rest)

    def on_ehlo(self, name):
        self.helo = name
        for line in ("sink.example.test", *self.sink.extensions):
            self.say("250-" + line)
        self.say("250 HELP")

    def on_auth(self, rest):
        mechanism, _, message = rest.partition(" ")
        if mechanism != "PLAIN":
            return self.say("504 Only PLAIN")
        if not message:
            self.say("334 ")
            message = self.line().decode()
        self.user = base64.b64decode(message).split(b"\0")[1].decode()
        self.say("235 Welcome")

    def on_mail(self, rest):
        self.begin()
        self.sender = re.search(r"<(.*?)>", rest).group(1)
        self.say("250 Sender")

    def on_rcpt(self, rest):
        self.recipients.append(re.search(r"<(.*?)>", rest).group(1))
        self.say("250 Recipient")

    def on_data(self, _):
        self.say("354 Go on")
        while not self.content.endswith(b"\r\n.\r\n") and self.content != b".\r\n":
            self.content += self.line()
        del self.content[-3:]
        self.end()

    def on_bdat(self, rest):
        size, _, last = rest.partition(" ")
        chunk = self.file.read(int(size))
        if len(chunk) != int(size):
            raise EOFError
        self.content += chunk
        if last.upper() == "LAST":
            return self.end()
        self.say("250 Chunk")

    def end(self):
        self.sink.mails.append(Mail(self.user, self.helo, self.sender, self.recipients, bytes(self.content)))
        self.begin()
        self.say("250 Taken")

    def on_rset(self, _):
        self.begin()
        self.say("250 Forgotten")

    def on_noop(self, _):
        self.say("250 Nothing")
