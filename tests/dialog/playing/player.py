# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays one dialog against a gate of its own and raises Fault at the first line that does not hold."""

import re
import signal
import socket
import ssl
import warnings

from . import helper as helper_lines
from . import dialects, mail_server, script
from .checks import Checks
from .ends import End
from .gate import Gate
from .helper import Helper
from .text import Fault, duration_of, has_word, setting, shown

# For whatever should happen at once: a busy machine may take its time.
PATIENCE_S = 15
# For a line that may be left out.
MAYBE_S = 0.3
VERSIONS = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2,
            "1.3": ssl.TLSVersion.TLSv1_3}


class Player(Checks):
    def __init__(self, binary, dialog, steps, certificates, cut, patience_s=PATIENCE_S):
        self.patience_s = patience_s
        self.crowd = []
        self.dialog, self.steps, self.cut, self.certificates = dialog, steps, cut, certificates
        self.gate = Gate(binary, dialog, certificates, self.accept_back)
        self.loop = self.gate.loop
        self.helper = Helper(self.loop, self.gate.places.helper, dialog.helper_hello)
        self.fronts = {}
        self.backs = []
        self.tags = {}
        self.contexts = {}
        self.sessions = {}
        self.line = 0
        self.asked_optional = False
        self.stopped = False
        self.pings = 0
        self.memory_noted_kb = self.memory_at_start_kb = 0

    def play(self):
        try:
            if not self.dialog.helper_away:
                self.helper.begin()
            self.gate.start()
            if not self.dialog.helper_away and not self.is_helperless():
                self.must(lambda: self.helper.greetings, "the gate does not greet the helper")
            self.memory_at_start_kb = self.gate.memory_kb()
            for step in self.steps:
                self.line = step.line
                self.act(step)
            self.check_afterwards()
        finally:
            for sock in self.crowd:
                sock.close()
            self.gate.end()
            self.gate.clean_up()

    def is_helperless(self):
        return ("auth", "", "mode", '"back"') in self.dialog.settings

    def act(self, step):
        getattr(self, "act_" + step.verb)(step)

    def fail(self, sentence):
        raise Fault(self.line, sentence)

    def must(self, condition, sentence, within=None):
        if not self.loop.pump(condition, self.patience_s + (within or 0)):
            self.fail(sentence() if callable(sentence) else sentence)

    def find(self, who):
        if who.startswith("front"):
            return self.fronts.get(who)
        number = script.number_of_end(who)
        return self.backs[number - 1] if number <= len(self.backs) else None

    def end(self, who):
        self.must(lambda: self.find(who), f"{who} has no connection")
        return self.find(who)

    def accept_back(self, sock, dialect):
        self.backs.append(End(self.loop, sock))
        self.backs[-1].dialect = dialect

    # Connections and TLS.

    def act_open(self, step):
        how, listener = step.words[0].text(), step.words[1].text()
        texts = [word.text() for word in step.words]
        source = texts[texts.index("from") + 1] if "from" in texts else "127.0.0.1"
        sock = socket.socket()
        sock.bind((source, 0))
        sock.connect(("127.0.0.1", self.gate.places.listeners[listener]))
        self.fronts[step.who] = End(self.loop, sock)
        if how == "tls" or (how == "open" and dialects.LISTENERS[listener][1] == "implicit"):
            self.act_tls(step)

    def act_tls(self, step):
        end = self.end(step.who)
        if step.who.startswith("front"):
            self.start_front_tls(step, end)
        else:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            name = f"{self.certificates}/{setting(step.words, 'certificate', 'store')}"
            context.load_cert_chain(name + ".crt", name + ".key")
            end.start_tls(context, True)
        self.finish_handshake(step, end)
        save = setting(step.words, "save")
        if save:
            self.must(lambda: end.tls.session is not None and end.tls.session.has_ticket, "there is no ticket")
            self.sessions[save] = end.tls.session

    def start_front_tls(self, step, end):
        sni = setting(step.words, "sni", "mail.example.test")
        glued = next((word.value for word in step.words if word.key == "glued"), b"")
        resume = self.sessions.get(setting(step.words, "resume"))
        end.start_tls(self.context(step), False, None if sni == "none" else sni, glued,
                      int(setting(step.words, "chunk", "0")), resume)

    def context(self, step):
        """A ticket can only be used with the context that it was got with."""
        names = setting(step.words, "alpn").split(",") if setting(step.words, "alpn") else []
        pad = int(setting(step.words, "pad", "0"))
        names = [f"x-{'p' * 25}{1000 + at}" for at in range(pad // 32)] + names
        most = setting(step.words, "max", "1.3")
        key = (tuple(names), most)
        if key not in self.contexts:
            context = self.contexts[key] = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.load_verify_locations(f"{self.certificates}/ca.crt")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = min(VERSIONS["1.2"], VERSIONS[most])
                context.maximum_version = VERSIONS[most]
            if most in ("1.0", "1.1"):
                context.set_ciphers("DEFAULT:@SECLEVEL=0")
            if names:
                context.set_alpn_protocols(names)
        return self.contexts[key]

    def finish_handshake(self, step, end):
        may_fail, must_fail = has_word(step.words, "fail"), has_word(step.words, "fail") and not has_word(step.words, "or")
        self.loop.pump(lambda: end.done or end.tls_error or end.ended, self.patience_s)
        if end.tls_done() and may_fail:
            # In TLS 1.3 the other side's refusal comes when this side is done.
            self.loop.pump(lambda: end.tls_error or end.ended, self.patience_s if must_fail else MAYBE_S)
        failed = not end.tls_done() or (may_fail and end.ended)
        if failed and not may_fail:
            self.fail(f"the TLS handshake of {step.who} failed: {end.tls_error}")
        if must_fail and not failed:
            self.fail(f"the TLS handshake of {step.who} should have failed")
        alert = setting(step.words, "alert")
        if alert and alert.upper() not in end.tls_error.upper().replace(" ", "_"):
            self.fail(f'the alert is "{end.tls_error}" instead of "{alert}"')

    # Lines of the mail program and the mail server.

    def act_send(self, step):
        if step.optional:
            end = self.find(step.who)
            if end is None or end.ended or end.closed or end.tls_error:
                return
        octets = step.octets
        if step.who.startswith("back"):
            tag = self.tags.get(step.who, b"")
            octets = octets.replace(b"@nexttag", next_tag(tag)).replace(b"@tag", tag)
        self.end(step.who).send(self.cut(octets))

    def act_records(self, step):
        self.end(step.who).send_records([word.value for word in step.words])

    def act_expect(self, step):
        if step.optional:
            end = self.find(step.who)
            if end is not None:
                self.loop.pump(lambda: self.matches(step, end), MAYBE_S)
            return
        self.must(lambda: self.find(step.who), f"{step.who} has no connection", step.within)
        end = self.find(step.who)
        if step.what.kind in ("login", "id", "starttls", "proxy"):
            getattr(mail_server, "expect_" + step.what.kind)(self, step, end)
            return
        self.must(lambda: self.matches(step, end),
                  lambda: f'{step.who} should have got {step.what.source}, but got "{shown(end.inbox)}"'
                  + (", and the end" if end.ended else ""), step.within)

    def matches(self, step, end):
        what = step.what
        if what.kind == "octets":
            if not end.inbox.startswith(what.text):
                return False
            end.take(len(what.text))
            return True
        if what.kind == "list":
            text = bytes(end.inbox[:dialects.list_size(end.inbox, step.dialect)])
            asked = zip(what.words[::2], what.words[1::2])
            if not text or any((word.value in text) != (which.text() == "has") for which, word in asked):
                return False
            end.take(len(text))
            return True
        newline = end.inbox.find(b"\n")
        if newline < 1 or end.inbox[newline - 1:newline] != b"\r":
            return False
        line = bytes(end.inbox[:newline - 1])
        if not (line.startswith(what.text) if what.kind == "begins" else what.pattern.fullmatch(line.decode("latin-1"))):
            return False
        if step.who.startswith("back"):
            self.tags[step.who] = line.split(b" ")[0]
        end.take(newline + 1)
        return True

    # The helper.

    def act_asked(self, step):
        if step.optional:
            self.asked_optional = self.loop.pump(lambda: self.helper.unread, MAYBE_S)
            if not self.asked_optional:
                return
        self.must(lambda: self.helper.unread, "the helper was not asked", step.within)
        difference = helper_lines.question_differs(self.helper.take_question(), step.words)
        if difference:
            self.fail("the helper was asked something else: " + difference)

    def act_says(self, step):
        if step.optional and not self.asked_optional:
            return
        what = step.words[0].text()
        if what == "hang":
            return
        if what == "close":
            self.helper.close()
        elif what == "back":
            before = self.helper.greetings
            self.helper.begin()
            self.must(lambda: self.helper.greetings > before, "the gate does not come back to the helper", 10)
        elif what == "garbage":
            self.helper.link.send(step.words[1].value)
        elif what == "invalidate":
            line = helper_lines.answer_line([], 0, str).replace(b"id=0", b"op=invalidate&user=" + step.words[1].value)
            self.helper.link.send(line)
        else:
            question = self.helper.take_id()
            if question is None:
                self.fail("there is no question that the helper could answer")
            number, protocol = question
            line = helper_lines.answer_line(step.words, number, lambda address: self.with_port(address, protocol))
            self.helper.link.send(line[:len(line) // 2] if what == "partial" else line)

    def with_port(self, address, protocol):
        bare = re.fullmatch(r"[0-9.]+|\[[0-9a-f:]+\]", address)
        return f"{address}:{self.gate.places.back_ports[protocol]}" if bare else address

    # Ends, and the rest.

    def act_close(self, step):
        how = next((how for how in ("rst", "bare", "half") if has_word(step.words, how)), "full")
        self.end(step.who).close(how)

    def act_closed(self, step):
        end = self.end(step.who)
        self.must(lambda: end.ended, lambda: f'the gate should have ended {step.who}; it holds "{shown(end.inbox)}"', step.within)
        if has_word(step.words, "anything"):
            end.take(len(end.inbox))
        if end.inbox:
            self.fail(f'{step.who} got "{shown(end.inbox)}" before the end')
        if has_word(step.words, "notify") and not end.was_told_close:
            self.fail("there was no close_notify before the end")

    def act_wait(self, step):
        self.loop.pump(lambda: False, duration_of(step.words[0].text()))

    def act_quiet(self, step):
        seconds = duration_of(step.words[0].text())
        if step.who == "helper":
            if self.loop.pump(lambda: self.helper.unread, seconds):
                self.fail("the helper was asked")
            return
        before = self.find(step.who)
        state = None if before is None else (len(before.inbox), before.ended)
        self.loop.pump(lambda: False, seconds)
        after = self.find(step.who)
        if before is None and after is not None:
            self.fail(f"a connection to {step.who} was made")
        if after is not None and len(after.inbox) != state[0]:
            self.fail(f'{step.who} got "{shown(after.inbox)}"')
        if after is not None and after.ended != state[1]:
            self.fail(f"{step.who} was ended")

    def act_pause(self, step):
        self.end(step.who).pause(True)

    def act_resume(self, step):
        self.end(step.who).pause(False)

    def act_crowd(self, step):
        """crowd N LISTENER: so many connections that nobody looks after; crowd leaves."""
        if step.words[0].text() == "leaves":
            while self.crowd:
                self.crowd.pop().close()
            return
        for _ in range(int(step.words[0].text())):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", self.gate.places.listeners[step.words[1].text()]))
            self.crowd.append(sock)

    def act_do(self, step):
        what = step.words[0].text()
        if what == "reload":
            self.gate.signal(signal.SIGHUP)
            self.must(lambda: self.gate.logged("reloaded"), "the gate does not reload")
        elif what == "stop":
            self.stopped = True
            self.gate.signal(signal.SIGTERM)
            self.must(lambda: self.gate.logged("draining"), "the gate does not stop")
        else:
            self.fail("do what?")


def next_tag(tag):
    match = re.fullmatch(rb"(\D*)(\d*)", tag)
    return match.group(1) + str(int(match.group(2) or 0) + 1).encode()
