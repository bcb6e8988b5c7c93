#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays the dialogs against the running gate on loopback, with free ports: see README.md beside this file.

Usage: live.py POSTERN WAY [DIALOG...]
  POSTERN  the gate's program
  WAY      whole: each line one segment; glued: neighbouring lines of a mail program in one; pieces: each line in small
           segments; floor: as whole, with nothing of the kernel that Linux 6.1 lacks; runner: the deliberately wrong
           dialogs, which must fail
  DIALOG   names such as imap/logout; without them all that make a difference in that way

Speaks TAP: one point for each dialog.
"""

import concurrent.futures
import pathlib
import sys
import tempfile

from playing import certificates, script
from playing.player import PATIENCE_S, Player
from playing.text import Fault

HERE = pathlib.Path(__file__).resolve().parent
# They mostly wait for each other, the clock and the kernel.
AT_ONCE = 6
# What is wrong is not waited for very long.
PATIENCE_IN_WRONG_S = 2
# The sizes of pieces, from both ends of a line; what is between them goes in one.
PIECES = (1, 2, 3, 5)


def main():
    binary, way, names = sys.argv[1], sys.argv[2], sys.argv[3:]
    folders = ("wrong",) if way == "runner" else (
        "imap", "pop3", "submission", "sieve", "tls", "helper", "limits", "load", "programs")
    paths = [HERE / (name + ".dialog") for name in names] or sorted(path for one in folders for path in (HERE / one).glob("*.dialog"))
    dialogs = [path for path in paths if names or is_worthwhile(path, way)]
    print(f"1..{len(dialogs)}", flush=True)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="postern-live-") as folder:
        certificates.make(folder)
        with concurrent.futures.ProcessPoolExecutor(AT_ONCE) as pool:
            jobs = [pool.submit(play, binary, path, way, folder) for path in dialogs]
            for number, (path, job) in enumerate(zip(dialogs, jobs), 1):
                message = job.result()
                failed += bool(message)
                name = f"{path.parent.name}/{path.stem}"
                print(f"{'not ok' if message else 'ok'} {number} - {name} ({way})", flush=True)
                for line in message.splitlines():
                    print("# " + line, flush=True)
    sys.exit(1 if failed or not dialogs else 0)


def read(path):
    return script.Dialog(path.read_text("latin-1"), f"{path.parent.name}/{path.stem}")


def is_worthwhile(path, way):
    """A file that cannot be read is played, and fails."""
    try:
        dialog = read(path)
    except (Fault, ValueError):
        return way == "whole"
    if way == "glued":
        return dialog.live and len(script.glued(dialog.steps)) != len(dialog.steps)
    if way == "pieces":
        return dialog.live and any(step.verb == "send" for step in dialog.steps)
    return dialog.live


def pieces(octets):
    """A line in small pieces, at its ends."""
    parts, begin, end = [], 0, len(octets)
    tail = []
    for size in PIECES:
        if end - begin > size:
            parts.append(octets[begin:begin + size])
            begin += size
        if end - begin > size:
            tail.insert(0, octets[end - size:end])
            end -= size
    return parts + [octets[begin:end]] + tail


def play(binary, path, way, folder):
    """The message of what did not hold; empty if all did."""
    dialog = None
    try:
        dialog = read(path)
        if way == "floor":
            dialog.settings.append(("gate", "", "kernel_features", '"floor"'))
        steps = script.glued(dialog.steps) if way == "glued" else dialog.steps
        cut = pieces if way == "pieces" else lambda octets: [octets]
        Player(binary, dialog, steps, folder, cut, PATIENCE_IN_WRONG_S if way == "runner" else PATIENCE_S).play()
        message = ""
    except Fault as fault:
        message = f"{path}:{fault.line}: {fault}"
    except (OSError, RuntimeError, ValueError) as error:
        message = f"{path}: {error}"
    if way != "runner" or dialog is None:
        return message
    if not message:
        return f"{path}: this dialog is wrong, and nobody noticed"
    return "" if dialog.fault and dialog.fault in message else f"it should have failed with \"{dialog.fault}\", but: {message}"


if __name__ == "__main__":
    main()
