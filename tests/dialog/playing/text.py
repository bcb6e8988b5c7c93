# SPDX-License-Identifier: GPL-3.0-or-later
"""The small grammar inside a dialog's lines: octets with escapes, words, lengths of time."""

import base64
import re


class Fault(Exception):
    """A dialog that cannot be read, or that did not hold: a line of its file and a sentence."""

    def __init__(self, line, text):
        super().__init__(text)
        self.line = line


ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "\\": "\\", '"': '"', "0": "\0"}


def octets_of(text, line):
    """Resolves escapes, repetitions {{N*"S"}} and {{base64*"S"}}."""
    out = bytearray()
    at = 0
    while at < len(text):
        if text.startswith("{{", at):
            end = end_of_made(text, at) - 3
            made = re.fullmatch(r'(\d+|base64)\*"(.*)', text[at + 2:end], re.S) if end >= 0 else None
            if not made:
                raise Fault(line, 'write {{N*"S"}} or {{base64*"S"}}')
            once = octets_of(made.group(2), line)
            out += base64.b64encode(once) if made.group(1) == "base64" else once * int(made.group(1))
            at = end + 3
        elif text[at] == "\\":
            letter = text[at + 1:at + 2]
            octet = re.match(r"x([0-9a-fA-F]{2})", text[at + 1:])
            if octet:
                out.append(int(octet.group(1), 16))
                at += 4
            elif letter in ESCAPES and letter:
                out += ESCAPES[letter].encode()
                at += 2
            else:
                raise Fault(line, "unknown escape: \\" + text[at + 1:at + 4])
        else:
            out += text[at].encode("latin-1")
            at += 1
    return bytes(out)


def end_of_made(text, begin):
    """Behind the repetition that begins here, which may hold others; -1: it has no end."""
    depth = 0
    for mark in re.compile(r'\{\{|"\}\}').finditer(text, begin):
        depth += 1 if mark.group() == "{{" else -1
        if depth == 0:
            return mark.end()
    return -1


def shown(octets):
    """A printable form for messages, long texts cut in the middle."""
    if len(octets) > 300:
        return f"{shown(octets[:150])} ...({len(octets)} octets)... {shown(octets[-150:])}"
    return repr(bytes(octets))[2:-1]


def duration_of(text):
    """Seconds, or None: "200ms", "5s", "31m", "2h"."""
    match = re.fullmatch(r"(\d+)(ms|s|m|h)", text)
    return match and int(match.group(1)) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[match.group(2)]


class Word:
    """VALUE, "VALUE", KEY=VALUE or KEY="VALUE". The value is octets; text() is for what is known to be a word."""

    def __init__(self, key, value, quoted):
        self.key, self.value, self.quoted = key, value, quoted

    def text(self):
        return self.value.decode("latin-1")


def words_of(text, line):
    words = []
    at = 0
    while True:
        while text.startswith(" ", at):
            at += 1
        if at >= len(text):
            return words
        key = re.compile(r'([^ ="]+)=').match(text, at)
        if key:
            at = key.end()
        quoted = text.startswith('"', at)
        if quoted:
            end = end_of_quoted(text, at, line)
            value = octets_of(text[at + 1:end], line)
            at = end + 1
        else:
            end = text.find(" ", at)
            end = len(text) if end < 0 else end
            value = text[at:end].encode("latin-1")
            at = end
        words.append(Word(key.group(1) if key else "", value, quoted))


def end_of_quoted(text, begin, line):
    at = begin + 1
    while at < len(text) and text[at] != '"':
        # A repetition has quotation marks of its own.
        if text.startswith("{{", at):
            end = end_of_made(text, at)
            at = len(text) if end < 0 else end
            continue
        at += 2 if text[at:at + 1] == "\\" else 1
    if at >= len(text):
        raise Fault(line, "a quotation mark is missing")
    return at


def setting(words, key, fallback=""):
    return next((word.text() for word in words if word.key == key), fallback)


def has_word(words, text):
    return any(not word.key and not word.quoted and word.text() == text for word in words)
