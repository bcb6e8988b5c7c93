# SPDX-License-Identifier: GPL-3.0-or-later
"""perdition's files: their lines, and the popmap as patterns of names."""

import collections
import re
import shlex

import migrate
from migrate import Failure, Place

# A class of characters may become so many patterns.
PATTERNS_MAX = 200


def joined_lines(path, text):
    """Yields (line, place): those that a backslash joins as one, without comments and blank ones."""
    held, first = "", None
    for number, line in enumerate(text.split("\n"), 1):
        first = first or Place(path, number)
        if line.endswith("\\"):
            held += line[:-1]
            if len(held) > migrate.LINE_SIZE_MAX:
                raise Failure(f"{first}: the lines that a backslash joins are longer than 64 KiB together. This is no configuration")
            continue
        whole, place = (held + line).strip(), first
        held, first = "", None
        if whole and not whole.startswith("#"):
            yield whole, place


def split_words(text, place):
    """As perdition: blanks separate, # begins a comment, quotes and backslashes keep what they hold."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        raise Failure(f"{place}: a quote or a backslash here has no end. Close it") from None


# Those of a lower rank are asked first; those of one rank match different users. user: the name at the mail server, empty: as he is.
# Without a server: something that could not be carried over.
Entry = collections.namedtuple("Entry", "rank patterns user server place")


def split_target(value, delimiter, place, report):
    """"[user@]host[:port]" -> (user, Server); None, with a remark, if it is something else."""
    user, _, target = value.rpartition(delimiter)
    server = migrate.parse_server(target)
    if server is None:
        report.remark(place, "an entry of the popmap", "its mail server is no host with or without a port", "Add a [[source]] for it to postern-auth.toml")
        return None
    return user, server


class Popmap:
    def __init__(self, options, report):
        self.options, self.report = options, report
        self.delimiter = options.text("domain_delimiter") or "@"
        self.states = set(options.words("strip_domain"))
        self.entries = []

    def strips(self, state):
        return bool(self.states & {state, "all"})

    def patterns(self, key, place):
        """[(rank, pattern), ...] of an exact key; the lower rank is asked first."""
        if "*" in key or "," in key:
            self.report.remark(place, "an entry of the popmap", "its key has an asterisk or a comma, which mean something else in postern-auth.toml", "Add the user to a database")
            return []
        found = []
        for rank, word in enumerate(self.options.words("query_key") or ["\\U"]):
            if word not in ("\\U", "\\u", "\\d", "\\D\\d", "\\u\\D\\d"):
                self.report.remark(self.options.place("query_key"), '"query_key"', "only \\U, \\u, \\d, \\D\\d and \\u\\D\\d can be said by patterns of names",
                                   "Use a database with a query, or a helper of your own")
            found += [(rank, pattern) for pattern in self.patterns_of(word, key)]
        if not found:
            self.report.remark(place, "an entry of the popmap", "no user's name leads to this key with the query_key and strip_domain that there are", "Nothing needs to be done")
        return found

    def patterns_of(self, word, key):
        """Which names perdition looks up by this key, in one format of query_key."""
        user, mark, domain = key.rpartition(self.delimiter)
        stripped = word == "\\U" and self.strips("servername_lookup")
        if mark and user:
            return [f"{user}@{domain}"] if word in ("\\U", "\\u\\D\\d") and not stripped else []
        if mark:
            return [f"*@{domain}"] if word == "\\D\\d" else []
        if word == "\\d":
            return [f"*@{key}"]
        if word == "\\U" and not stripped:
            return [key]
        return [key, f"{key}@*"] if word == "\\u" or stripped else []

    def read_plain(self, path, text):
        seen = set()
        for line, place in joined_lines(path, text):
            key, colon, value = line.partition(":")
            key = key.strip().lower()
            target = split_target(value, self.delimiter, place, self.report) if colon and key else None
            if not colon or not key:
                self.report.remark(place, "a line of the popmap", "it is no key:server", "Add the user to postern-auth.toml")
            elif key in seen:
                self.report.remark(place, "an entry of the popmap", "its key stood there before", "The first one counts")
            elif target:
                seen.add(key)
                for rank, pattern in self.patterns(key, place):
                    self.entries.append(Entry(rank, [pattern], target[0], target[1], place))
        self.entries.sort(key=lambda entry: entry.rank)

    def read_regex(self, path, text):
        for line, place in joined_lines(path, text):
            words = split_words(line, place)
            expression, value = words[0], " ".join(words[1:])
            if not value and ":" in expression:
                expression, _, value = expression.partition(":")
            expression = expression[:-1] if expression.endswith(":") else expression
            patterns, groups = self.translate(expression)
            user, _, _ = value.rpartition(self.delimiter)
            user = self.substituted(user, groups)
            target = split_target(value, self.delimiter, place, self.report) if "$" not in value.rpartition(self.delimiter)[2] else None
            if patterns is None or user is None or target is None:
                self.report.remark(place, "a regular expression of the popmap", "it cannot be said by patterns with an asterisk",
                                   "Its users fall to the [[source]]s behind it now, so write its patterns yourself, at its place, before you use the file")
                self.entries.append(Entry(len(self.entries), [], "", None, place))
                continue
            self.entries.append(Entry(len(self.entries), patterns, user, target[1], place))

    def substituted(self, user, groups):
        """$1 and $2 of (.*)@(.*) as placeholders; None: others."""
        for number, group in enumerate(groups or [], 1):
            user = user.replace(f"${number}", group)
        return None if "$" in user else user

    def translate(self, expression):
        """([pattern, ...], [placeholder of group, ...]); (None, None): it is more than patterns can say."""
        whole = re.fullmatch(r"(\^?)\((?:\.\*|\.\+|\[\^@\][*+])\)@\((?:\.\*|\.\+)\)(\$?)", expression)
        if whole:
            return ["*@*"], ["{local}", "{domain}"]
        begins, ends = expression.startswith("^"), expression.endswith("$") and not expression.endswith("\\$")
        body = expression[begins:len(expression) - ends]
        patterns = [""] if begins else ["*"]
        token = re.compile(r"\(\.[*+]\)|\.[*+]|\[([A-Za-z0-9._\-]+)\](?![*+?{])|\\([.@_\-+])|([A-Za-z0-9@_\-])(?![*+?{])|(\.)(?![*+?{])|"
                           r"\(((?:[A-Za-z0-9@_\-|]|\\\.)+)\)(?![*+?{])")
        at = 0
        while at < len(body):
            match = token.match(body, at)
            if match is None:
                return None, None
            if match[1]:
                pieces = class_members(match[1])
            elif match[5]:
                pieces = match[5].replace("\\", "").split("|")
            else:
                pieces = [match[2] or match[3] or match[4] or "*"]
            patterns = [pattern + piece for pattern in patterns for piece in pieces]
            if len(patterns) > PATTERNS_MAX:
                return None, None
            at = match.end()
        tail = "" if ends else "*"
        return list(dict.fromkeys(re.sub(r"\*+", "*", pattern + tail).lower() for pattern in patterns)), []


def class_members(text):
    members = []
    while text:
        if len(text) > 2 and text[1] == "-":
            members += [chr(code) for code in range(ord(text[0]), ord(text[2]) + 1)]
            text = text[3:]
        else:
            members.append(text[0])
            text = text[1:]
    return members
