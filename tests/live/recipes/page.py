# SPDX-License-Identifier: GPL-3.0-or-later
"""A page of packaging/recipes, as what it says to do: each block of lines belongs to the file, or is the command, that the sentence in front
of it names."""

import pathlib
import re
import shlex

RECIPES = pathlib.Path(__file__).resolve().parents[3] / "packaging" / "recipes"
GATE_FILE = "/etc/postern/postern.toml"
USER_COMMAND = "postern-auth user add"


class Page:
    def __init__(self, name):
        self.text = (RECIPES / f"{name}.md").read_text(encoding="utf-8")
        self.files = []  # (path, whether to append, text)
        self.users = []  # the options of `postern-auth user add`, by command
        self.commands = []  # of the mail server's administrator
        self.log_lines = []  # patterns of what the mail server's log shows
        sentence = ""
        for paragraph in re.split(r"\n{2,}(?! )", self.text):
            head, block = split(paragraph)
            if not block:
                continue
            sentence = head.split("\n\n")[-1] or sentence
            self.take(" ".join(sentence.split()), block)

    def take(self, sentence, block):
        if not sentence.endswith(":"):
            raise AssertionError(f"what is this block for? {sentence}\n{block}")
        if block.startswith(USER_COMMAND):
            for line in block.replace("\\\n", " ").splitlines():
                self.users.append(shlex.split(line)[3:])
        elif "the log" in sentence:
            self.log_lines += block.splitlines()
        elif paths := re.findall(r"`(/[^`]+)`", sentence):
            self.files.append((paths[-1], "end of" in sentence, block))
        elif "As root" in sentence:
            self.commands += block.splitlines()
        else:
            raise AssertionError(f"what is this block for? {sentence}\n{block}")

    def gate_settings(self):
        return "\n".join(text for path, _, text in self.files if path == GATE_FILE)

    def server_files(self):
        return [(path, append, text) for path, append, text in self.files if path != GATE_FILE]


def split(paragraph):
    """The text in front of the indented lines, and those lines without their indentation."""
    lines = paragraph.split("\n")
    start = next((number for number, line in enumerate(lines) if line.startswith("    ")), None)
    if start is None:
        return paragraph, ""
    block = "\n".join(line[4:] for line in lines[start:]).strip("\n") + "\n"
    return "\n".join(lines[:start]).strip(), block
