# SPDX-License-Identifier: GPL-3.0-or-later
"""A dialog as it stands in its file, read into steps; and the gate's configuration that it wants."""

import base64
import re

from . import dialects
from .dialects import WORDS
from .text import Fault, Word, duration_of, octets_of, setting, words_of

DEFAULT_BACK = "127.0.1.1"
PLAIN_ACTS = ("open", "tcp", "tls", "wait", "pause", "resume", "do", "crowd", "check")
LOGIN_COMMAND = re.compile(rb"(?:^|\n)(\S+) (?:LOGIN|AUTHENTICATE)(?= )", re.I)
UNTAGGED_LOGIN_COMMAND = re.compile(rb"(?:^|\n)(PASS|AUTH|AUTHENTICATE) ", re.I)


class Step:
    def __init__(self, line, verb, who=""):
        self.line, self.verb, self.who = line, verb, who
        self.dialect = "imap"
        self.optional = False
        self.within = None
        self.octets = b""
        self.what = None
        self.words = []


class What:
    """What must come next: kind is octets, begins, line, list, login, starttls, id or proxy."""

    def __init__(self, kind, source, text=b"", pattern=None, words=()):
        self.kind, self.source, self.text, self.pattern, self.words = kind, source, text, pattern, list(words)


class Dialog:
    def __init__(self, text, name):
        self.name = name
        self.in_memory = self.live = True
        self.helper_away = False
        self.helper_hello = b"op=hello&version=1&name=dialog\n"
        self.files_max = None
        self.settings = []
        self.listeners = set()  # that are named
        self.tempers = {}
        self.capability = b""
        self.secrets = []
        self.fault = ""
        self.steps = []
        self.text = text
        Parser(text, self).parse()
        if not self.steps:
            raise Fault(0, "nothing happens in this dialog")


def number_of_end(who):
    return int(re.sub(r"\D", "", who) or 1)


def is_end(who, kind):
    return re.fullmatch(kind + r"\d*", who) is not None


class Parser:
    def __init__(self, text, dialog):
        self.lines = text.splitlines()
        self.dialog = dialog
        self.line = 0
        self.used_backs = 0
        self.last_front = ""
        self.tags = {}
        self.dialects = {}
        self.agreeing_to_tls = set()  # mail servers that were asked for TLS, and not yet for a login

    def parse(self):
        self.parse_range(0, len(self.lines))

    def parse_range(self, begin, end):
        at = begin
        while at < end:
            text = self.lines[at].strip()
            self.line = at + 1
            if text.startswith("repeat "):
                at = self.parse_repeat(at, end)
            elif text and not text.startswith("#"):
                self.parse_line(text)
            at += 1

    def parse_repeat(self, begin, end):
        last = begin + 1
        while last < end and self.lines[last].strip() != "end":
            last += 1
        count = int(self.lines[begin].split()[1])
        if last == end:
            raise Fault(begin + 1, "repeat needs a line `end` below it")
        for _ in range(count):
            self.parse_range(begin + 1, last)
        return last

    def parse_line(self, text):
        within = None
        if text.startswith("within "):
            _, time, text = text.split(" ", 2)
            within = duration_of(time)
        before = len(self.dialog.steps)
        if not self.parse_talk(text):
            self.parse_act(text)
        if within is not None:
            if len(self.dialog.steps) != before + 1:
                raise Fault(self.line, "within goes with one expectation")
            self.dialog.steps[-1].within = within

    def parse_talk(self, text):
        match = re.match(r"([^ <>]+)([<>])(\??)\s*(.*)", text, re.S)
        if not match:
            return False
        who, direction, mark, text = match.groups()
        inward = direction == ">"
        if who == "close":
            self.parse_close(inward, text)
            return True
        step = Step(self.line, "send" if inward else "expect", who)
        step.optional = bool(mark)
        step.dialect = self.dialect_of(who)
        if who == "helper":
            step.verb = "asked" if inward else "says"
            step.words = words_of(text, self.line)
            if inward:
                self.note_secret(step.words)
                if not setting(step.words, "protocol"):
                    step.words.append(Word("protocol", self.dialect_of(self.last_front).encode(), False))
        elif is_end(who, "front"):
            (self.parse_send if inward else self.parse_expect)(step, text)
        elif is_end(who, "back"):
            self.used_backs = max(self.used_backs, number_of_end(who))
            step.verb = "expect" if inward else "send"
            (self.parse_expect if inward else self.parse_send)(step, text)
        else:
            raise Fault(self.line, f"nobody is called {who}")
        self.dialog.steps.append(step)
        return True

    def parse_send(self, step, text):
        words = WORDS[step.dialect]
        if is_end(step.who, "back") and text == "@greet":
            step.octets = dialects.back_greeting(step.dialect, self.dialog.capability)
            return
        if is_end(step.who, "back") and text == "@ok":
            step.octets = words.back_starttls_ok if step.who in self.agreeing_to_tls else words.back_ok
            return
        step.octets = octets_of(text, self.line)
        if is_end(step.who, "front"):
            found = (LOGIN_COMMAND if step.dialect == "imap" else UNTAGGED_LOGIN_COMMAND).search(step.octets[:1000])
            if found:
                self.tags[step.who] = found.group(1).decode("latin-1")
                self.last_front = step.who

    def parse_expect(self, step, text):
        if len(text) > 1 and text.startswith("/") and text.endswith("/"):
            step.what = self.line_what(text[1:-1])
        elif text.startswith("@"):
            step.what = self.parse_special(step, text)
        elif text.endswith("..."):
            step.what = What("begins", text, octets_of(text[:-3], self.line))
        else:
            step.what = What("octets", text, octets_of(text, self.line))

    def parse_special(self, step, text):
        name, _, rest = text.partition(" ")
        words = words_of(rest, self.line)
        if name in ("@login", "@starttls", "@id", "@list", "@proxy"):
            if name == "@login":
                self.note_secret(words)
                self.agreeing_to_tls.discard(step.who)
            if name == "@starttls":
                self.agreeing_to_tls.add(step.who)
            return What(name[1:], text, words=words)
        meant = WORDS[step.dialect]
        if name == "@greet":
            return self.line_what(meant.greet) if meant.greet else What("list", text)
        tagged = step.dialect == "imap"
        if name not in meant.answers or (tagged and step.who not in self.tags):
            raise Fault(self.line, f"{name} means nothing here")
        return self.line_what((re.escape(self.tags[step.who]) if tagged else "") + meant.answers[name])

    def line_what(self, pattern):
        return What("line", f"/{pattern}/", pattern=re.compile(pattern))

    def parse_close(self, by, text):
        who, _, rest = text.partition(" ")
        step = Step(self.line, "close" if by else "closed", who)
        step.words = words_of(rest, self.line)
        self.dialog.steps.append(step)

    def parse_act(self, text):
        name, _, rest = text.partition(" ")
        rest = rest.strip()
        if name == "set":
            self.parse_set(rest)
        elif name == "only":
            if rest.startswith("memory"):
                self.dialog.live = False
            else:
                self.dialog.in_memory = False
        elif name == "secret":
            self.note_secrets(words_of(rest, self.line))
        elif name == "fails":
            self.dialog.fault = rest
        elif name == "greet":
            self.parse_line((rest or "front") + "< @greet")
        elif name == "starttls":
            self.parse_starttls(rest)
        elif name == "login":
            self.parse_login(words_of(rest, self.line))
        elif name == "admit":
            self.parse_admit(rest)
        elif name in PLAIN_ACTS:
            self.parse_plain_act(name, rest)
        else:
            raise Fault(self.line, f"there is no act {name}")

    def parse_plain_act(self, name, rest):
        step = Step(self.line, name)
        step.words = words_of(rest, self.line)
        if name in ("open", "tcp", "tls", "pause", "resume"):
            step.who = step.words.pop(0).text()
        if name == "tls":
            act = step.words.pop(0).text()
            step.verb = {"open": "open", "send": "records", "start": "tls"}[act]
        if step.verb == "open" or name == "tcp":
            step.verb = "open"
            step.words.insert(0, Word("how", name.encode(), False))
        if name == "wait" and step.words[0].text() == "quiet":
            step.verb = "quiet"
            step.words.pop(0)
            step.who = step.words.pop(0).text()
        if is_end(step.who, "back"):
            self.used_backs = max(self.used_backs, number_of_end(step.who))
        self.note_dialect(step)
        self.dialog.steps.append(step)

    def note_dialect(self, step):
        """Who speaks what is known from where he connects, and of a mail server from who logged in before it was named."""
        names = [word.text() for word in step.words] + ["", ""]
        if step.verb == "open":
            dialect = dialects.LISTENERS.get(names[1], ("imap", ""))[0]
            self.dialects[step.who] = dialect if dialect != "alpn" else dialects.of_alpn(setting(step.words, "alpn"))
        if step.verb in ("open", "crowd") or (step.verb == "check" and names[0] == "refused"):
            self.dialog.listeners.add(names[1])
        step.dialect = self.dialect_of(names[0] if step.verb == "check" else step.who)

    def dialect_of(self, who):
        if who not in self.dialects and is_end(who, "back") and self.last_front:
            self.dialects[who] = self.dialects[self.last_front]
        return self.dialects.get(who, "imap")

    def parse_starttls(self, who):
        dialect = self.dialect_of(who)
        words = WORDS[dialect]
        self.parse_line(f"{who}> {'s0 ' if dialect == 'imap' else ''}{words.starttls}\\r\\n")
        self.parse_line(f"{who}< /{words.starttls_ok}/")
        self.parse_line(f"tls {who} start")
        if dialect == "sieve":
            # RFC 5804, section 2.2: the list comes again, unasked.
            self.parse_line(f"{who}< @list")

    def parse_login(self, words):
        front, user, password = (word.text() for word in words[:3])
        listener = words[3].text() if len(words) > 3 else "imaps"
        plain = base64.b64encode(f"\0{user}\0{password}".encode("latin-1")).decode()
        self.parse_line(f"open {front} {listener}")
        self.parse_line(f"{front}< @greet")
        dialect = self.dialect_of(front)
        if dialect == "pop3":
            self.push_send(front, f"USER {user}")
            self.parse_line(f"{front}< @ok")
        if dialect == "submission":
            self.push_send(front, "EHLO laptop.example.test")
            self.parse_line(f"{front}< @list")
        self.push_send(front, {"imap": f'a1 LOGIN "{user}" "{password}"', "pop3": f"PASS {password}",
                               "submission": f"AUTH PLAIN {plain}", "sieve": f'AUTHENTICATE "PLAIN" "{plain}"'}[dialect])
        self.tags[front], self.last_front = "a1", front
        self.parse_admit(f'"{user}" "{password}" via {"LOGIN" if dialect in ("imap", "pop3") else "PLAIN"}')

    def push_send(self, who, line):
        step = Step(self.line, "send", who)
        step.dialect = self.dialect_of(who)
        step.octets = (line + "\r\n").encode("latin-1")
        self.dialog.steps.append(step)

    def parse_admit(self, text):
        words = words_of(text, self.line)
        back = f"back{self.used_backs + 1}" if self.used_backs else "back"
        front = self.last_front
        self.parse_line("helper> verify " + text)
        self.parse_line(f"helper< accept back={DEFAULT_BACK}")
        self.parse_line(f"{back}< @greet")
        step = Step(self.line, "expect", back)
        step.dialect = self.dialect_of(back)
        step.what = What("login", "@login", words=words[:2])
        self.dialog.steps.append(step)
        self.parse_line(f"{back}< @ok")
        self.parse_line(f"{front}< @ok")

    def parse_set(self, text):
        left, equals, value = text.partition(" = ")
        words = words_of(left, self.line)
        texts = [word.text() for word in words]
        if texts[0] == "listen" and len(texts) == 3:
            self.dialog.listeners.add(texts[1])
        if equals and len(texts) in (2, 3):
            self.dialog.settings.append((texts[0], texts[1] if len(texts) == 3 else "", texts[-1], value.strip()))
        elif len(texts) == 3 and texts[2] == "absent":
            self.dialog.settings.append((texts[0], texts[1], "", ""))
        elif texts == ["helper", "away"]:
            self.dialog.helper_away = True
        elif texts[:2] == ["helper", "hello"]:
            self.dialog.helper_hello = words[2].value
        elif texts[:2] == ["limit", "files"]:
            self.dialog.files_max = int(texts[2])
        elif texts[:2] == ["back", "capability"]:
            self.dialog.capability = words[2].value
        elif texts[0] == "back" and texts[2] in ("refuses", "silent"):
            self.dialog.tempers[texts[1]] = texts[2]
        else:
            raise Fault(self.line, "set what?")

    def note_secret(self, words):
        quoted = [word for word in words if word.quoted and not word.key]
        self.note_secrets(quoted[1:2])

    def note_secrets(self, words):
        for word in words:
            if word.value and word.value not in self.dialog.secrets:
                self.dialog.secrets.append(word.value)


def must_be_waited_for(what, dialect):
    begin = WORDS[dialect].challenge
    return what.text.startswith(begin.encode()) or what.source.startswith("/" + begin.replace("+", "\\+"))


def may_be_overtaken(step, who):
    if step.optional or step.within is not None:
        return False
    if step.verb == "expect":
        return not must_be_waited_for(step.what, step.dialect) if step.who == who else is_end(step.who, "back")
    if step.verb == "send":
        return is_end(step.who, "back")
    return step.verb in ("asked", "says")


def glued(steps):
    """Neighbouring lines of one mail program put together, wherever it need not wait for an answer in between."""
    result = []
    for step in steps:
        if step.verb == "send" and is_end(step.who, "front") and not step.optional:
            before = next((one for one in reversed(result) if not may_be_overtaken(one, step.who)), None)
            if before and before.verb == "send" and before.who == step.who and not before.optional:
                before.octets += step.octets
                continue
        copy = Step(step.line, step.verb, step.who)
        copy.__dict__.update(step.__dict__)
        result.append(copy)
    return result


def listener_table(name, dialect, tls):
    values = {"protocol": f'"{dialect}"', "tls": f'"{tls}"'}
    if tls == "none":
        values["login_without_tls"] = "true"
    if dialect == "alpn":
        values["pools"] = "[" + ", ".join(f'"{words.pool}"' for words in WORDS.values()) + "]"
    elif dialect != "imap":
        values["pool"] = f'"{WORDS[dialect].pool}"'
    return "listen", name, values


def pool_table(name):
    """Mail servers here play what the dialog says, and nothing else."""
    return "pool", name, {"protocol": f'"{dialects.of_pool(name)}"', "members": '["127.0.1.1"]', "check_interval": '"0s"'}


def configuration(dialog, places):
    """The gate's file. `places` says where things are: folder (of the certificates), listeners (by name), back_ports (by
    dialect)."""
    tables = [
        ("gate", "", {"hostname": '"mail.example.test"', "reactors": "1", "drain_timeout": '"0s"',
                      "control": f'"{places.folder}/control.sock"'}),
        ("log", "", {"level": '"debug"'}),
        ("tls.certificate", "mail", {"chain": '"@mail.crt"', "key": '"@mail.key"'}),
        ("tls.certificate", "other", {"chain": '"@other.crt"', "key": '"@other.key"'}),
        # A busy machine must not look like a slow helper.
        ("auth", "", {"helper": f'"{places.helper}"', "timeout": '"30s"'}),
    ]
    pools = {"default"}
    for name, (dialect, tls) in dialects.LISTENERS.items():
        if dialect == "imap" or name in dialog.listeners:
            tables.append(listener_table(name, dialect, tls))
            pools |= {words.pool for one, words in WORDS.items() if dialect in (one, "alpn")}
    tables += [pool_table(name) for name in sorted(pools)]
    for section, name, key, value in dialog.settings:
        table = next((one for one in tables if one[:2] == (section, name)), None)
        if not key:
            tables.remove(table)
        elif table:
            table[2][key] = value
        else:
            tables.append(pool_table(name) if section == "pool" else (section, name, {}))
            tables[-1][2][key] = value
    lines = []
    for section, name, values in tables:
        lines.append(f"[[{section}]]" if name else f"[{section}]")
        if section in ("listen", "pool"):
            lines.append(f'name = "{name}"')
        if section == "listen":
            lines.append(f'addresses = ["127.0.0.1:{places.listeners[name]}"]')
        for key, value in values.items():
            if key == "members":
                port = places.back_ports[values["protocol"].strip('"')]
                value = re.sub(r'"([0-9.]+|\[[0-9a-f:]+\])( [^"]*)?"', rf'"\1:{port}\2"', value)
            lines.append(f"{key} = " + value.replace('"@', f'"{places.certificates}/'))
    return "\n".join(lines) + "\n"
