# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of the tree are ours, for the tidy tests."""

import pathlib
import re

# Folders at the top that hold no text of ours: builds, downloads, the repository itself.
FOREIGN = re.compile(r"^(build.*|\.git|\.cache)$")


def files(root, *patterns):
    """All our files whose names match one of the patterns, in a fixed order."""
    root = pathlib.Path(root)
    found = set()
    for pattern in patterns:
        for path in root.rglob(pattern):
            parts = path.relative_to(root).parts
            if path.is_file() and not FOREIGN.match(parts[0]) and not is_download(parts):
                found.add(path)
    return sorted(found)


def is_download(parts):
    return parts[0] == "subprojects" and len(parts) > 2 and parts[1] not in ("wolfssl", "packagefiles")


def report(name, problems, checked):
    """Prints the problems, or what was checked when there are none, and returns the exit status."""
    for problem in problems:
        print(problem)
    print(f"{name}: {len(problems)} problems in {checked} files")
    if checked == 0:
        print(f"{name}: nothing was checked, which cannot be right")
    return 1 if problems or checked == 0 else 0
