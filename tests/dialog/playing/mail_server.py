# SPDX-License-Identifier: GPL-3.0-or-later
"""The mail server's part in a login: whatever legal form the gate chose, played through to the credentials."""

import base64
import binascii
import re

from .text import shown

USUAL_CAPABILITY = b"IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+ ID IDLE"


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
    """@login "USER" "PASSWORD" [for "MAILBOX"] [by LOGIN|PLAIN]"""
    words = step.what.words
    wanted = {words[at].text(): words[at + 1].value for at in range(2, len(words) - 1, 2)}
    method, user, password, mailbox = read_login(player, step, end)
    for name, has, should in (("user", user, words[0].value), ("password", password, words[1].value),
                              ("mailbox", mailbox, wanted.get("for", b""))):
        if has != should:
            player.fail(f'the login\'s {name} is "{shown(has)}"')
    if "by" in wanted and method != wanted["by"]:
        player.fail("the login is by " + method.decode())


def read_login(player, step, end):
    while True:
        tag, rest = take_word(take_line(player, end, True))
        command, rest = take_word(rest)
        command = command.upper()
        player.tags[step.who] = tag
        if command == b"CAPABILITY":
            end.send([b"* CAPABILITY " + (player.dialog.capability or USUAL_CAPABILITY) + b"\r\n" + tag + b" OK done\r\n"])
        elif command == b"ID":
            end.send([b"* ID NIL\r\n" + tag + b" OK done\r\n"])
        elif command == b"LOGIN":
            user, rest = take_argument(player, end, rest)
            password, rest = take_argument(player, end, rest)
            if rest:
                player.fail("the gate's LOGIN goes on: " + shown(rest))
            return b"LOGIN", user, password, b""
        elif command == b"AUTHENTICATE" and rest.upper().startswith(b"PLAIN"):
            response = take_word(rest)[1]
            if not response:
                end.send([b"+ \r\n"])
                response = take_line(player, end, True)
            return read_plain(player, response)
        else:
            player.fail("the gate does not log in but says " + shown(command + b" " + rest))


def read_plain(player, response):
    try:
        parts = base64.b64decode(response, validate=True).split(b"\0")
    except binascii.Error:
        parts = []
    if len(parts) != 3:
        player.fail("the gate's PLAIN is no PLAIN")
    return b"PLAIN", parts[1], parts[2], parts[0]


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


def expect_starttls(player, step, end):
    line = take_line(player, end, False)
    tag, rest = take_word(line)
    if rest != b"STARTTLS":
        player.fail("there is no STARTTLS but " + shown(line))
    player.tags[step.who] = tag
