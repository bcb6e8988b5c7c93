# SPDX-License-Identifier: GPL-3.0-or-later
"""What `check` lines ask for, and what must be true after every dialog."""

import base64
import re
import signal
import socket

from .text import shown

# Bounds on the gate's own memory, in KiB. Buffers of some sessions, and what an allocator rounds up; the kernel counts in
# batches of some hundred KiB. The player in memory looks closer.
GROWTH_MAX_KB = 6 * 1024
GROWTH_OF_ROUNDS_MAX_KB = 2 * 1024
# An idle process may be woken once or twice in the time that we look.
IDLE_LOOK_S = 0.4
IDLE_TICKS_MAX = 2
SETTLE_S = 10


def holds(octets, secret):
    return secret in octets or base64.b64encode(secret) in octets


class Checks:
    """Part of Player."""

    def act_check(self, step):
        texts = [word.text() for word in step.words]
        act = getattr(self, "check_" + texts[0], None)
        if act:
            act(step, texts)
        else:
            self.check_end(step, texts)

    def check_alive(self, step, texts):
        if self.gate.process.poll() is not None:
            self.fail("the gate has ended: " + self.gate.log()[-500:])
        with socket.create_connection(("127.0.0.1", self.gate.places.listeners["imap"]), 15) as visitor:
            if not visitor.recv(100).startswith(b"* OK "):
                self.fail("a new mail program is not greeted")

    def check_memory(self, step, texts):
        now = self.gate.memory_kb()
        if texts[-1] == "noted":
            self.memory_noted_kb = now
            return
        bounded = texts[-1] == "bounded"
        grown = now - (self.memory_at_start_kb if bounded else self.memory_noted_kb)
        most = GROWTH_MAX_KB if bounded else GROWTH_OF_ROUNDS_MAX_KB
        if grown > most * (8 if self.gate.is_sanitised() else 1):
            self.fail(f"the gate has {grown} KiB more than before")

    def check_cpu(self, step, texts):
        before = self.gate.cpu_ticks()
        self.loop.pump(lambda: False, IDLE_LOOK_S)
        used = self.gate.cpu_ticks() - before
        if used > IDLE_TICKS_MAX:
            self.fail(f"the gate used {used} ticks of CPU while nothing happened")

    def check_log(self, step, texts):
        text = step.words[2].value.decode("latin-1")
        if texts[1] == "has":
            self.must(lambda: self.gate.logged(text), lambda: f'log lacks "{text}": ' + self.gate.log()[-2000:])
            if texts[-1] == "once":
                self.ask_status()
                if self.gate.log().count(text) != 1:
                    self.fail(f'log has "{text}" more than once: ' + self.gate.log()[-2000:])
            return
        self.ask_status()  # Lines from before come out before the answer.
        if self.gate.logged(text):
            self.fail(f'log has "{text}": ' + self.gate.log()[-2000:])

    def check_helper(self, step, texts):
        if texts[1] != "asked":
            return self.check_text(step, self.helper.beside_passwords)
        self.count("the helper was asked", lambda: self.helper.asked, int(texts[2]))

    def check_backs(self, step, texts):
        self.count("connections to mail servers:", lambda: len(self.backs), int(texts[1]))

    def count(self, what, number, wanted):
        self.loop.pump(lambda: number() == wanted, 2)
        self.loop.pump(lambda: False, 0.05)
        if number() != wanted:
            self.fail(f"{what} {number()} instead of {wanted}")

    def check_refused(self, step, texts):
        def refused():
            try:
                socket.create_connection(("127.0.0.1", self.gate.places.listeners[texts[1]]), 5).close()
                return False
            except ConnectionRefusedError:
                return True
        self.must(refused, f"somebody listens at {texts[1]}")

    def check_keepalive(self, step, texts):
        for who in texts[1:]:
            end = self.end(who)
            gate, own = end.sock.getpeername(), end.sock.getsockname()
            # Others run while something waits for its acknowledgement.
            self.must(lambda: kernel_timer(gate, own) == "02", f"{who} has no keep-alive")

    def check_end(self, step, texts):
        who, act = texts[0], texts[1]
        end = self.end(who)
        argument = texts[2] if len(texts) > 2 else ""
        if act in ("has", "lacks"):
            return self.check_text(step, end.heard)
        if act == "relays":
            return self.check_relays(step, who, argument or "back" + who[5:])
        if act == "at":
            found = end.address
        else:
            if not end.tls_done():
                self.fail(f"{who} has no TLS")
            found = {"tls": lambda: end.tls.version(), "alpn": lambda: end.tls.selected_alpn_protocol() or "",
                     "resumed": lambda: "" if end.tls.session_reused else "no", "certificate": lambda: subject_of(end.tls)}[act]()
        if found != argument and not (act == "tls" and not argument):
            self.fail(f'{who}: {act} is "{found}" instead of "{argument}"')
        return None

    def check_text(self, step, heard):
        text = step.words[2].value
        if (text in heard) != (step.words[1].text() == "has"):
            self.fail(f'{step.words[0].text()} {"lacks" if text not in heard else "has"} "{shown(text)}": {shown(heard)}')

    def check_relays(self, step, front, back):
        self.pings += 1
        ping = f"ping{self.pings}"
        # In submission only commands pass.
        command, answer = (f"NOOP {ping}\r\n", f"250 {ping}\r\n") if step.dialect == "submission" else (
            f"{ping} NOOP\r\n", f"{ping} OK pong\r\n")
        for sender, getter, text in ((front, back, command), (back, front, answer)):
            self.end(sender).send([text.encode()])
            end = self.end(getter)
            self.must(lambda: end.inbox == text.encode(),
                      lambda: f'{getter} got "{shown(end.inbox)}" instead of what {sender} sent')
            end.take(len(text))

    # After every dialog.

    def check_afterwards(self):
        self.loop.pump(lambda: False, 0.02)
        if self.helper.nonsense:
            self.fail(f'the helper was told "{shown(self.helper.nonsense)}"')
        if self.helper.unread:
            self.fail("the helper was asked once more")
        named = list(self.fronts.items()) + [(f"back{at}", back) for at, back in enumerate(self.backs, 1)]
        for name, end in named:
            if end.inbox and not end.closed and not end.inbox.startswith(b"\x16"):
                self.fail(f'{name} got more: "{shown(end.inbox)}"')
        self.leave([end for _, end in named])
        self.check_secrets()

    def leave(self, ends):
        """Everybody goes home; nothing may be left of any session."""
        for end in ends:
            if not end.closed:
                end.pause(False)
                end.close("full")
        if self.helper.link:
            while self.helper.open_ids:
                self.helper.link.send(f"id={self.helper.take_id()[0]}&result=unavailable\n".encode())
        if not self.stopped:
            self.must(self.is_empty, lambda: "sessions or memory are left when everybody has gone: " + self.gate.log()[-1500:])
        status = self.gate.end()
        if status != 0:
            self.fail(f"the gate ended with status {status}: " + self.gate.log()[-2000:])

    def ask_status(self):
        """The gate's latest line of figures, in a list; empty if there is none."""
        seen = self.gate.log().count(" status ")
        self.gate.signal(signal.SIGUSR1)
        self.loop.pump(lambda: self.gate.log().count(" status ") > seen or self.gate.process.poll() is not None, SETTLE_S)
        return [line for line in self.gate.log().splitlines() if " status " in line][-1:]

    def is_empty(self):
        last = self.ask_status()
        return bool(last) and " sessions=0 " in last[0] and " lent_bytes=0" in last[0]

    def check_secrets(self):
        log = self.gate.log().encode("latin-1")
        for secret in self.dialog.secrets:
            if holds(log, secret):
                self.fail("the log holds a password")
            if holds(self.helper.beside_passwords, secret):
                self.fail("the helper saw a password where none belongs")
            if any(holds(front.heard, secret) for front in self.fronts.values()):
                self.fail("a mail program saw a password")
            if any(holds(back.beside_logins + back.inbox, secret) for back in self.backs):
                self.fail("a mail server saw a password beside its login")


def subject_of(tls):
    return dict(pair[0] for pair in tls.getpeercert()["subject"])["commonName"]


def kernel_timer(local, remote):
    """The kind of timer that runs for the connection: "02" is keep-alive (/proc/net/tcp)."""
    def spelled(address):
        return socket.inet_aton(address[0])[::-1].hex().upper() + f":{address[1]:04X}"
    with open("/proc/net/tcp", encoding="ascii") as file:
        for line in file:
            fields = re.split(r"\s+", line.strip())
            if fields[1:3] == [spelled(local), spelled(remote)]:
                return fields[5].split(":")[0]
    return ""
