# SPDX-License-Identifier: GPL-3.0-or-later
"""`postern plan N` as its user runs it. Usage: plan_command_test.py POSTERN."""

import json
import pathlib
import subprocess
import sys
import tempfile

FILE = """[auth]
mode = "back"
[limits]
sessions = 1000
[[listen]]
addresses = ["127.0.0.1:1143"]
tls = "none"
login_without_tls = true
[[pool]]
name = "default"
members = ["127.0.0.1:143"]
"""


def main():
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "postern.toml"
        file.write_text(FILE)

        def run(*args):
            return subprocess.run([sys.argv[1], "-c", file, *args], capture_output=True, text=True, timeout=60)

        done = run("plan", "1001", "--json")
        figures = json.loads(done.stdout)
        needs = {need["name"]: need for need in figures["needs"]}
        assert done.returncode == 3 and not figures["fits"], done
        assert figures["sessions"] == 1001, figures
        assert needs["limits.sessions"]["present"] == 1000 and "remedy" in needs["limits.sessions"], needs
        somaxconn = int(pathlib.Path("/proc/sys/net/core/somaxconn").read_text())
        assert needs["net.core.somaxconn"]["present"] == somaxconn, needs
        assert needs["limits.sessions"]["wanted"] == 1001, needs
        text = run("plan", "1001")
        assert text.returncode == 3 and "limits.sessions: raise limits.sessions" in text.stdout, text
        assert json.loads(run("plan", "1000", "--json").stdout)["needs"][0]["suffices"], "1000 sessions are allowed"
        for wrong in (["plan"], ["plan", "many"], ["plan", "0"], ["plan", "1", "2"], ["--json"]):
            assert run(*wrong).returncode == 2, wrong
        file.write_text("[gate]\nreactor = 1\n")
        assert run("plan", "5").returncode == 1, "a wrong file has no plan"


main()
