# SPDX-License-Identifier: GPL-3.0-or-later
"""What doveconf writes: blocks, settings, and variables in their values."""

import dataclasses
import re

from migrate import Failure, Place

BLOCK_DEPTH_MAX = 20
# Hidden by doveconf without -P.
HIDDEN = "# hidden, use -P to show it"


@dataclasses.dataclass
class Node:
    name: str
    value: str
    place: Place
    children: list = None  # None: a setting


def unquoted(value):
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value


def parse(path, text):
    root = Node("", "", Place(path), [])
    stack = [root]
    for number, raw in enumerate(text.split("\n"), 1):
        line, place = raw.strip(), Place(path, number)
        if not line or line.startswith("#"):
            continue
        setting = re.fullmatch(r"([^\s={}\"']+)\s*=\s*(.*)", line)
        block = re.fullmatch(r"([^\s={}]+)\s*([^={}]*?)\s*\{\s*(\})?", line)
        if line == "}":
            if len(stack) == 1:
                raise Failure(f"{place}: this }} closes nothing. Take it out, or name a file that doveconf wrote")
            stack.pop()
        elif setting:
            stack[-1].children.append(Node(setting[1], value_of(setting[2], place), place))
        elif block:
            node = Node(block[1], unquoted(block[2].strip()), place, [])
            stack[-1].children.append(node)
            if not block[3]:
                stack.append(node)
            if len(stack) > BLOCK_DEPTH_MAX:
                raise Failure(f"{place}: more than {BLOCK_DEPTH_MAX} blocks in one another. This is no configuration of Dovecot")
        elif line.startswith("!include"):
            raise Failure(f"{place}: there is an include. Give this the output of `doveconf -n`, in which they are resolved")
        else:
            raise Failure(f"{place}: the line is neither a setting nor a block. Give this the output of `doveconf -n`")
    if len(stack) > 1:
        raise Failure(f"{stack[-1].place}: this block has no end. Close it, or save the output of `doveconf -n` as a whole")
    return root


def value_of(text, place):
    if text == HIDDEN:
        return text
    if text[:1] in ('"', "'"):
        quoted = re.fullmatch(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*(#.*)?""", text)
        if quoted:
            return unquoted(quoted[1])
        if text.count(text[0]) % 2:
            raise Failure(f"{place}: a quote here has no end. Close it")
    return re.sub(r"\s+#.*$", "", text)


class Settings:
    """Those of one block; a block without a name in it (ssl_server { cert_file = }) is a longer name (ssl_server_cert_file)."""

    def __init__(self, node, prefixes=()):
        self.values = {}
        self.collect(node, "", prefixes)

    def collect(self, node, before, prefixes):
        for child in node.children:
            name = before + child.name
            for prefix in prefixes:
                name = name.removeprefix(prefix)
            if child.children is None:
                self.values[name] = child
            elif not child.value:
                self.collect(child, name + "_", prefixes)

    def first(self, *names):
        """The node of the first that is set; None: none is."""
        return next((self.values[name] for name in names if name in self.values), None)

    def text(self, *names):
        """Empty where it is not set, or hidden."""
        node = self.first(*names)
        return node.value if node and node.value != HIDDEN else ""

    def yes(self, *names):
        return self.text(*names).lower() in ("yes", "y", "true", "1")


# Variables.

VARIABLES = {"u": "{user}", "n": "{local}", "d": "{domain}"}
LONG_VARIABLES = {"user": "{user}", "username": "{local}", "domain": "{domain}", "user|username": "{local}", "user|domain": "{domain}", "user|lower": "{user}",
                  "user|username|lower": "{local}", "user|domain|lower": "{domain}"}


def variables(text, mark=""):
    """Dovecot's %u, %{user | domain} and so on as ours, with `mark` before the brace. None: there is another one among them."""
    unknown = False

    def one(match):
        nonlocal unknown
        if match[0] == "%%":
            return "%"
        known = LONG_VARIABLES.get(re.sub(r"\s", "", match[1])) if match[1] else VARIABLES.get(match[2])
        unknown |= known is None
        return mark + known if known else ""

    written = re.sub(r"%%|%\{([^}]*)\}|%L?([A-Za-z])", one, text)
    return None if unknown else written
