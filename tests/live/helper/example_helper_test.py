# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs an example of packaging/examples as it is shipped and holds a gate's conversation with it.

Usage: example_helper_test.py helper.py|helper.pl|helper.sh, or helper.c MESON BUILD: then it is compiled with what Meson installs.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from conversation import PATIENCE_S, HelperTest, question

USER, PASSWORD = "demo@example.test", "demo password"
NAME = None
COMMAND = None  # what serves the socket whose path follows


class ExampleHelper(HelperTest):
    def setUp(self):
        super().setUp()
        self.helper = self.start(COMMAND(str(self.folder / "auth.sock")))
        self.gate = self.connect(self.helper)

    def test_hello(self):
        self.gate.send(b"op=hello&version=1&name=postern\n")
        self.assertEqual(self.gate.answer(), {"op": ["hello"], "version": ["1"], "name": [NAME]})

    def test_the_right_password_gets_a_route(self):
        answer = self.gate.ask(USER, PASSWORD)
        self.assertEqual(answer, {"result": ["ok"], "back": ["127.0.1.1:143"], "ttl": ["300"]})
        self.assertEqual(self.gate.ask("Demo@EXAMPLE.test", PASSWORD)["result"], ["ok"])

    def test_everything_else_is_rejected_alike(self):
        for user, password in [(USER, "wrong"), (USER, ""), (USER, PASSWORD + "\0"), (USER, PASSWORD + "\n"),
                               ("nobody@example.test", PASSWORD), ("", ""), ("demo@example.test\n", PASSWORD), ("*", "*"),
                               ("demo@example.test\0", PASSWORD), (USER, "\udcff\udcfe"), ("$(exit 1)", "\\'\"%s")]:
            self.assertEqual(self.gate.ask(user, password),
                             {"result": ["reject"], "reason": ["credentials"], "delay_ms": ["2000"]}, (user, password))
        self.assertEqual(self.gate.ask(USER, PASSWORD, authzid="ann")["result"], ["reject"])

    def test_pipelined_questions_are_all_answered(self):
        self.gate.send(b"".join(question(number, "nobody", "x") for number in range(20)))
        answers = [self.gate.answer() for _ in range(20)]
        self.assertEqual({answer["id"][0] for answer in answers}, {str(number) for number in range(20)})

    def test_an_incomplete_question_is_not_a_mismatch(self):
        self.gate.send(b"op=verify&id=5&user=demo%40example.test\n")
        answer = self.gate.answer()
        self.assertEqual((answer["id"], answer["result"]), (["5"], ["unavailable"]))

    def test_hostile_lines(self):
        for line in [b"op=launch&id=7\n", b"=\n", b"\xff\xfe\0\n", b"%zz&&&==\n", b"user=joe\n", b"x[$(exit 1)]=1\n"]:
            self.gate.send(line)
            self.assertEqual(self.gate.answer()["result"], ["error"], line)
        self.assertEqual(self.gate.ask(USER, PASSWORD)["result"], ["ok"])

    def test_a_line_without_end_ends_its_connection_only(self):
        self.gate.send(b"x" * 20000)
        try:
            self.assertIn(self.gate.line(), [b"", b"result=error&text=line+too+long\n"])
            self.assertEqual(self.gate.line(), b"")
        except ConnectionResetError:
            pass
        self.assertEqual(self.connect(self.helper).ask(USER, PASSWORD)["result"], ["ok"])

    def test_the_socket_is_not_for_everybody(self):
        self.assertEqual((self.folder / "auth.sock").stat().st_mode & 0o007, 0)


class Tree:
    """What Meson installs for those who write a helper, in a folder of its own."""

    def __init__(self, meson, build):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-sdk-"))
        self.run([meson, "install", "-C", build, "--no-rebuild", "--quiet", "--tags", "devel,helper-sdk", "--destdir", self.folder])
        [recipe] = self.folder.rglob("postern-helper.pc")
        self.libraries = recipe.parent.parent
        # No other folder is looked at: nothing else may be needed.
        self.environment = os.environ | {"PKG_CONFIG_LIBDIR": str(recipe.parent), "PKG_CONFIG_SYSROOT_DIR": str(self.folder)}

    def run(self, command, **more):
        return subprocess.run(command, check=True, timeout=PATIENCE_S, stdout=subprocess.PIPE, text=True, **more).stdout

    def flags(self, *options):
        return self.run(["pkg-config", *options, "--cflags", "--libs", "postern-helper"], env=self.environment).split()

    def compile(self, source, program, flags):
        self.run([*os.environ.get("CC", "cc").split(), "-std=gnu11", "-Wall", "-Wextra", "-Werror", source, "-o", program, *flags, "-lcrypt"])

    def remove(self):
        shutil.rmtree(self.folder)


def compiled(source, tree):
    """The command of the example with the shared library; the one with the static library must compile and start."""
    os.environ["LD_LIBRARY_PATH"] = str(tree.libraries)
    program = tree.folder / "helper"
    tree.compile(source, program, tree.flags())
    static = tree.folder / "helper-static"
    flags = ["-l:libpostern-helper.a" if flag == "-lpostern-helper" else flag for flag in tree.flags("--static")]
    tree.compile(source, static, flags)
    assert "libpostern-helper" not in tree.run(["ldd", static]), "the static library was not used"
    for made in (program, static):
        missing = subprocess.run([made], check=False, timeout=PATIENCE_S, capture_output=True, text=True)
        assert (missing.returncode, missing.stderr[:6]) == (2, "usage:"), missing
    return lambda socket: [program, socket]


def how_to_start(example, more):
    if example.suffix == ".c":
        tree = Tree(*more)
        unittest.addModuleCleanup(tree.remove)
        return compiled(example, tree)
    if example.suffix == ".sh":
        return lambda socket: ["socat", f"UNIX-LISTEN:{socket},fork,unlink-early,mode=660", f"EXEC:{example}"]
    if example.suffix == ".pl":
        return lambda socket: ["perl", example, socket]
    return lambda socket: [sys.executable, example, socket]


def setUpModule():
    global COMMAND
    COMMAND = how_to_start(EXAMPLE, MORE)


if __name__ == "__main__":
    EXAMPLE = pathlib.Path(sys.argv[1])
    MORE = sys.argv[2:]
    NAME = EXAMPLE.name
    unittest.main(argv=sys.argv[:1])
