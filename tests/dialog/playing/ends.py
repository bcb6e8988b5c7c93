# SPDX-License-Identifier: GPL-3.0-or-later
"""The far ends of the gate's connections, over real sockets; and the loop that moves them all.

Nothing here blocks: a dialog's player calls Loop.pump() until what it waits for is there.
"""

import collections
import selectors
import socket
import ssl
import struct
import time

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Loop:
    def __init__(self):
        self.selector = selectors.DefaultSelector()

    def watch(self, thing, events):
        """`thing` has .sock, and .ready(events)."""
        known = self.selector.get_map().get(thing.sock.fileno()) if thing.sock.fileno() >= 0 else None
        if known and not events:
            self.selector.unregister(thing.sock)
        elif known:
            self.selector.modify(thing.sock, events, thing)
        elif events:
            self.selector.register(thing.sock, events, thing)

    def forget(self, thing):
        if thing.sock.fileno() >= 0 and thing.sock.fileno() in self.selector.get_map():
            self.selector.unregister(thing.sock)

    def pump(self, condition, seconds):
        """Until the condition holds (True) or the time is over (False)."""
        until = time.monotonic() + seconds
        while not condition():
            left = until - time.monotonic()
            if left <= 0:
                return False
            for key, events in self.selector.select(min(left, 0.05)):
                key.data.ready(events)
        return True


class End:
    """A mail program, or a mail server."""

    # Between two segments that should arrive apart.
    APART_S = 0.0005

    def __init__(self, loop, sock):
        self.loop, self.sock = loop, sock
        self.address = sock.getsockname()[0]
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.out = collections.deque()
        self.tls = None
        self.tls_error = ""
        self.chunk = 0
        self.inbox = bytearray()
        self.heard = bytearray()
        self.beside_logins = bytearray()
        self.was_told_close = False
        self.ended = False
        self.closed = False
        self.paused = False
        self.fin_due = False
        self.update()

    # The dialog's half.

    def send(self, pieces):
        for piece in pieces:
            if self.tls:
                try:
                    self.tls.write(piece)
                except ssl.SSLError as error:
                    self.tls_error = self.tls_error or str(error)
                self.queue(self.outgoing.read())
            else:
                self.queue(piece)

    def send_records(self, records):
        for record in records:
            self.tls.write(record)
        self.queue(self.outgoing.read())

    def start_tls(self, context, server_side, sni=None, glued=b"", chunk=0, session=None):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.chunk = chunk
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=server_side, server_hostname=sni, session=session)
        self.done = False
        early = bytes(self.inbox)
        self.inbox.clear()
        if not server_side:
            self.shake_hands(glued)
        if early:
            self.understand(early)

    def tls_done(self):
        return self.tls is not None and self.done and not self.tls_error

    def close(self, how):
        if how == "rst":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return self.shut()
        if how in ("full", "half") and self.tls_done():
            try:
                self.tls.unwrap()
            except ssl.SSLError:
                pass  # it wants the other side's close_notify, which comes when it comes
            self.queue(self.outgoing.read())
        if how == "full":
            self.loop.pump(lambda: not self.out, 10)
            return self.shut()
        self.fin_due = True
        self.update()

    def shut(self):
        if not self.closed:
            self.closed = True
            self.loop.forget(self)
            self.sock.close()

    def pause(self, paused):
        self.paused = paused
        self.update()

    def take(self, size, login=False):
        taken = bytes(self.inbox[:size])
        del self.inbox[:size]
        if not login:
            self.beside_logins += taken
        return taken

    # The socket's half.

    def queue(self, octets, chunk=0):
        if not octets or self.closed or self.fin_due:
            return
        step = chunk or len(octets)
        self.out.extend(octets[at:at + step] for at in range(0, len(octets), step))
        self.update()

    def update(self):
        if self.closed:
            return
        events = 0 if self.paused or self.ended else READ
        if self.out:
            events |= WRITE
        elif self.fin_due is True:
            self.fin_due = "done"
            try:
                self.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        self.loop.watch(self, events)

    def ready(self, events):
        if events & WRITE and self.out:
            self.write_some()
        if events & READ and not self.closed:
            self.read_some()
        self.update()

    def write_some(self):
        segment = self.out.popleft()
        try:
            sent = self.sock.send(segment)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.out.clear()
            return
        if sent < len(segment):
            self.out.appendleft(segment[sent:])
        elif self.out:
            time.sleep(self.APART_S)

    def read_some(self):
        try:
            octets = self.sock.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        if octets:
            self.understand(octets)
        else:
            self.ended = True

    def understand(self, octets):
        if not self.tls:
            return self.hear(octets)
        self.incoming.write(octets)
        if not self.done:
            self.shake_hands()
        while self.tls_done() and not self.was_told_close:
            try:
                plain = self.tls.read(1 << 16)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                plain = b""
            except ssl.SSLError as error:
                self.tls_error = str(error)
                break
            if not plain:
                self.was_told_close = True
            self.hear(plain)

    def shake_hands(self, glued=b""):
        try:
            self.tls.do_handshake()
            self.done = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.tls_error = str(error) or type(error).__name__
        self.queue(glued + self.outgoing.read(), self.chunk)

    def hear(self, plain):
        self.inbox += plain
        self.heard += plain
