# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs packaging/examples/helper.py as it is shipped and holds a gate's conversation with it."""

import sys
import unittest

from conversation import HelperTest, question

USER, PASSWORD = "demo@example.test", "demo password"
HELPER = None


class ExampleHelper(HelperTest):
    def setUp(self):
        super().setUp()
        self.helper = self.start([sys.executable, HELPER, str(self.folder / "auth.sock")])
        self.gate = self.connect(self.helper)

    def test_hello(self):
        self.gate.send(b"op=hello&version=1&name=postern\n")
        self.assertEqual(self.gate.answer(), {"op": ["hello"], "version": ["1"], "name": ["helper.py"]})

    def test_the_right_password_gets_a_route(self):
        answer = self.gate.ask(USER, PASSWORD)
        self.assertEqual(answer, {"result": ["ok"], "back": ["127.0.1.1:143"], "ttl": ["300"]})
        self.assertEqual(self.gate.ask("Demo@EXAMPLE.test", PASSWORD)["result"], ["ok"])

    def test_everything_else_is_rejected_alike(self):
        for user, password in [(USER, "wrong"), (USER, ""), (USER, PASSWORD + "\0"), ("nobody@example.test", PASSWORD),
                               ("", ""), ("demo@example.test\n", PASSWORD), (USER, "\udcff\udcfe")]:
            self.assertEqual(self.gate.ask(user, password),
                             {"result": ["reject"], "reason": ["credentials"], "delay_ms": ["2000"]}, (user, password))
        self.assertEqual(self.gate.ask(USER, PASSWORD, authzid="ann")["result"], ["reject"])

    def test_pipelined_questions_are_all_answered(self):
        self.gate.send(b"".join(question(number, "nobody", "x") for number in range(20)))
        answers = [self.gate.answer() for _ in range(20)]
        self.assertEqual({answer["id"][0] for answer in answers}, {str(number) for number in range(20)})

    def test_an_incomplete_question_is_not_a_mismatch(self):
        self.gate.send(b"op=verify&id=5&user=demo%40example.test\n")
        self.assertEqual(self.gate.answer(), {"id": ["5"], "result": ["unavailable"], "text": ["KeyError"]})

    def test_hostile_lines(self):
        for line in [b"op=launch&id=7\n", b"\n", b"\xff\xfe\0\n", b"%zz&&&==\n", b"user=joe\n"]:
            self.gate.send(line)
            self.assertEqual(self.gate.answer()["result"], ["error"], line)
        self.assertEqual(self.gate.ask(USER, PASSWORD)["result"], ["ok"])

    def test_a_line_without_end_ends_its_connection_only(self):
        self.gate.send(b"x" * 20000)
        try:
            self.assertEqual(self.gate.line(), b"")
        except ConnectionResetError:
            pass
        self.assertEqual(self.connect(self.helper).ask(USER, PASSWORD)["result"], ["ok"])


if __name__ == "__main__":
    HELPER = sys.argv.pop(1)
    unittest.main()
