# SPDX-License-Identifier: GPL-3.0-or-later
"""The mail server's part in a login: whatever legal form the gate chose, played through to the credentials."""

import base64
import binascii
import re

from .dialects import WORDS, ehlo_reply
from .text import shown

# RFC 5321, section 4.5.3.1.4, with the line end.
SUBMISSION_LINE_MAX = 512
PROXY_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n\x21\x11"
# Section 2.2 of the PROXY protocol; the last is of the kinds for private use.
PROXY_NAMES = {0x02: "sni", 0x05: "session", 0x20: "ssl", 0x21: "tls", 0x23: "cipher", 0xe0: "user"}


def take_line(player, end, login):
    player.must(lambda: b"\r\n" in end.inbox, lambda: f'the mail server waits for a line and has "{shown(end.inbox)}"')
    return end.take(end.inbox.index(b"\r\n") + 2, login)[:-2]


def take_word(rest):
    word, _, rest = rest.partition(b" ")
    return word, rest


def take_argument(player, end, rest):
    """Takes one argument of LOGIN, which may be a literal and then goes on in the next line; the argument and the rest."""
    quoted = re.match(rb'"((?:[^"\\]|\\.)*)"', rest, re.S)
    literal = re.fullmatch(rb"\{(\d+)(\+?)\}", rest)
    if quoted:
        value, rest = re.sub(rb"\\(.)", rb"\1", quoted.group(1), flags=re.S), rest[quoted.end():]
    elif literal:
        size = int(literal.group(1))
        if not literal.group(2):
            end.send([b"+ Send it\r\n"])
        player.must(lambda: len(end.inbox) >= size, "the gate's literal is not whole")
        value = end.take(size, True)
        rest = take_line(player, end, True)
    else:
        return take_word(rest)
    if rest and not rest.startswith(b" "):
        player.fail("the gate's login has no space behind an argument")
    return value, rest[1:]


def expect_login(player, step, end):
    """@login "USER" "PASSWORD" [for "MAILBOX"] [by METHOD]"""
    words = step.what.words
    wanted = {words[at].text(): words[at + 1].value for at in range(2, len(words) - 1, 2)}
    if end.dialect != step.dialect:
        player.fail("the gate logs in at another protocol's port")
    read = {"imap": read_imap, "pop3": read_pop3, "submission": read_submission, "sieve": read_sieve}[step.dialect]
    method, user, password, mailbox = read(player, step, end)
    for name, has, should in (("user", user, words[0].value), ("password", password, words[1].value),
                              ("mailbox", mailbox, wanted.get("for", b""))):
        if has != should:
            player.fail(f'the login\'s {name} is "{shown(has)}"')
    if "by" in wanted and method != wanted["by"]:
        player.fail("the login is by " + method.decode())


def no_login(player, line):
    player.fail("the gate does not log in but says " + shown(line))


def read_imap(player, step, end):
    while True:
        line = take_line(player, end, True)
        tag, rest = take_word(line)
        command, rest = take_word(rest)
        command = command.upper()
        player.tags[step.who] = tag
        if command == b"CAPABILITY":
            capability = player.dialog.capability or WORDS["imap"].capability
            end.send([b"* CAPABILITY " + capability + b"\r\n" + tag + b" OK done\r\n"])
        elif command == b"ID":
            end.send([b"* ID NIL\r\n" + tag + b" OK done\r\n"])
        elif command == b"LOGIN":
            user, rest = take_argument(player, end, rest)
            password, rest = take_argument(player, end, rest)
            if rest:
                player.fail("the gate's LOGIN goes on: " + shown(rest))
            return b"LOGIN", user, password, b""
        elif command == b"AUTHENTICATE":
            return read_auth(player, end, rest, b"+ ")
        else:
            no_login(player, line)


def read_pop3(player, _, end):
    line = take_line(player, end, True)
    command, rest = take_word(line)
    if command == b"AUTH":
        return read_auth(player, end, rest, b"+ ")
    if command != b"USER":
        no_login(player, line)
    end.send([b"+OK go on\r\n"])
    line = take_line(player, end, True)
    if not line.startswith(b"PASS "):
        player.fail("there is no PASS but " + shown(line))
    return b"LOGIN", rest, line[5:], b""


def read_submission(player, _, end):
    while True:
        line = take_line(player, end, True)
        if len(line) + 2 > SUBMISSION_LINE_MAX:
            player.fail(f"the gate's command has {len(line) + 2} octets")
        command, rest = take_word(line)
        if command == b"AUTH":
            return read_auth(player, end, rest, b"334 ")
        if command != b"EHLO":
            no_login(player, line)
        end.send([ehlo_reply(player.dialog.capability)])


def read_auth(player, end, rest, challenge):
    """`rest` is what stands behind AUTH."""
    mechanism, response = take_word(rest)
    if mechanism == b"LOGIN":
        answers = []
        for _ in range(2):
            end.send([challenge + base64.b64encode(b"Say it") + b"\r\n"])
            answers.append(decoded(player, mechanism, take_line(player, end, True)))
        return (mechanism, *answers, b"")
    if not response:
        end.send([challenge + b"\r\n"])
        response = take_line(player, end, True)
    return read_message(player, mechanism, response)


def read_sieve(player, _, end):
    line = take_line(player, end, True)
    command, rest = take_word(line)
    if command != b"AUTHENTICATE":
        no_login(player, line)
    mechanism, rest = take_string(player, end, rest)
    if mechanism != b"LOGIN":
        return read_message(player, mechanism, take_string(player, end, rest)[0])
    answers = []
    for _ in range(2):
        end.send([b'"' + base64.b64encode(b"Say it") + b'"\r\n'])
        string = take_string(player, end, take_line(player, end, True))[0]
        answers.append(decoded(player, mechanism, string))
    return (mechanism, *answers, b"")


def take_string(player, end, rest):
    """A string of ManageSieve, quoted or as a literal; and what stands behind it."""
    if rest.startswith(b"{") and not rest.endswith(b"+}"):
        player.fail("nobody can tell the gate to go on with its literal")
    return take_argument(player, end, rest)


def decoded(player, mechanism, text):
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        player.fail(f"the gate's {mechanism.decode()} is no base64")


def between(octets, before, behind):
    _, found, rest = octets.partition(before)
    return rest.partition(behind)[0] if found else b""


def read_message(player, mechanism, response):
    """What a mechanism says in one message."""
    message = decoded(player, mechanism, response)
    token = between(message, b"\x01auth=Bearer ", b"\x01")
    if mechanism == b"XOAUTH2":
        return mechanism, between(message, b"user=", b"\x01"), token, b""
    if mechanism == b"OAUTHBEARER":
        return mechanism, between(message, b"n,a=", b","), token, b""
    if mechanism == b"EXTERNAL":
        return mechanism, message, b"", b""
    parts = message.split(b"\0")
    if mechanism != b"PLAIN" or len(parts) != 3:
        player.fail(f"the gate's {mechanism.decode()} is none")
    return mechanism, parts[1], parts[2], parts[0]


def expect_id(player, step, end):
    """@id NAME="VALUE" ...: the command ID with at least these pairs, which is then answered."""
    line = take_line(player, end, False)
    tag, rest = take_word(line)
    if not rest.startswith(b"ID ("):
        player.fail("there is no ID but " + shown(line))
    for word in step.what.words:
        pair = b'"' + word.key.encode() + b'" "' + word.value + b'"'
        if pair not in rest:
            player.fail(f"the ID lacks {shown(pair)}: {shown(line)}")
    end.send([b"* ID NIL\r\n" + tag + b" OK done\r\n"])


def expect_proxy(player, step, end):
    """@proxy from="ADDR" NAME="VALUE" ...: a PROXY header of version 2 with these values."""
    def size():
        return 16 + int.from_bytes(end.inbox[14:16], "big")
    player.must(lambda: len(end.inbox) >= max(16, size()) and end.inbox.startswith(PROXY_SIGNATURE),
                lambda: f'there is no PROXY header but "{shown(end.inbox)}"')
    header = end.take(size())
    has = {"from": ".".join(str(octet) for octet in header[16:20]).encode()}
    at = 16 + 12  # behind the addresses
    while at + 3 <= len(header):
        value_size = int.from_bytes(header[at + 1:at + 3], "big")
        has[PROXY_NAMES.get(header[at], "unknown")] = header[at + 3:at + 3 + value_size]
        # Inside of the kind 0x20 further ones stand behind five octets.
        at += 3 + (5 if header[at] == 0x20 else value_size)
    for word in step.what.words:
        if has.get(word.key) != word.value:
            player.fail(f"the header's {word.key} is {has.get(word.key)}")


def expect_starttls(player, step, end):
    """The command that begins TLS; in submission EHLO comes first, and is answered."""
    line = take_line(player, end, False)
    if step.dialect == "submission" and line.startswith(b"EHLO "):
        end.send([ehlo_reply(player.dialog.capability)])
        line = take_line(player, end, False)
    tag, rest = take_word(line) if step.dialect == "imap" else (b"", line)
    if rest != WORDS[step.dialect].starttls.encode():
        player.fail("there is no STARTTLS but " + shown(line))
    player.tags[step.who] = tag
