# SPDX-License-Identifier: GPL-3.0-or-later
"""PAM as a source of users, with a module of ours that also sleeps and crashes."""

import os
import pathlib
import signal
import sys

import sources
from conversation import question, wait_until
from sources import HOSTILE, REJECT, SourceTest

MODULE = None
SECRET = "s3cret-and-more"
STATIC = '[[source]]\ntype = "static"\nmatch = "*@static.test"\npassword = "{PLAIN}right"\npool = "static"\n'
OK = {"result": ["ok"], "pool": ["default"]}


def sockets(pid):
    """Those that a process has open."""
    links = set()
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            links.add(os.readlink(fd))
        except FileNotFoundError:
            pass  # closed meanwhile
    return {link for link in links if link.startswith("socket:")}


class PamTest(SourceTest):
    def setUp(self):
        super().setUp()
        self.write_service(f"auth required {MODULE} {SECRET}\naccount required {MODULE}\n")

    def write_service(self, text):
        (self.folder / "postern").write_text(text)

    def source(self, *settings):
        return "\n".join(['[[source]]', 'type = "pam"', f'service_folder = "{self.folder}"', 'pool = "default"', *settings]) + "\n"

    def children(self, helper):
        tasks = pathlib.Path(f"/proc/{helper.process.pid}/task").iterdir()
        return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]

    def test_right_password(self):
        _, gate = self.serve(self.source())
        for user in ("joe", "Joe@Example.test", "from"):
            self.assertEqual(gate.ask(user, SECRET)["result"], ["ok"], user)
        self.assertEqual(gate.ask("joe", SECRET), OK)

    def test_wrong_password(self):
        helper, gate = self.serve(self.source())
        for password in (SECRET + "x", "", "\0", SECRET + "\0", "x" * 511, "x" * 512, "x" * 5000):
            self.assertEqual(gate.ask("joe", password), REJECT, password)
        self.assertIn("wrong password", helper.log())
        self.assertNotIn(SECRET, helper.log())

    def test_unknown_user(self):
        _, gate = self.serve(self.source() + STATIC.replace("*@static.test", "nobody"))
        self.assertEqual(gate.ask("nobody", "right")["pool"], ["static"])
        self.assertEqual(gate.ask("nobody", SECRET), REJECT)

    def test_source_down(self):
        self.write_service("auth required /nowhere/pam_missing.so\n")
        helper, gate = self.serve(self.source())
        self.assert_unavailable(gate.ask("joe", SECRET))
        self.assert_unavailable(gate.ask("broken", SECRET))
        self.assertIn("pam_authenticate: Module is unknown", helper.log())
        # Nothing is kept of a service's file.
        self.write_service(f"auth required {MODULE} {SECRET}\naccount required {MODULE}\n")
        self.assertEqual(gate.ask("joe", SECRET), OK)
        self.assert_unavailable(gate.ask("broken", SECRET))

    def test_source_slow(self):
        helper, gate = self.serve(self.source('users = ["joe", "sleeper"]\ntimeout = "500ms"\nretry_after = "0s"') + STATIC)
        gate.send(question(1, "sleeper", SECRET) + question(2, "sleeper", "wrong"))
        self.assertEqual(gate.ask("any@static.test", "right", number=3)["pool"], ["static"])
        self.assertEqual([gate.answer()["result"] for _ in range(2)], [["unavailable"]] * 2)
        self.assertIn("did not answer in time; their process is killed", helper.log())
        self.assertEqual(self.children(helper), [], "killed, and waited for")
        self.assertEqual(gate.ask("joe", SECRET), OK)

    def test_hostile_input(self):
        helper, gate = self.serve(self.source())
        self.assertEqual(gate.ask("joe", SECRET), OK)
        for text in HOSTILE + ["../../etc/passwd", "$(reboot)", "-froot", "joe nobody"]:
            self.assertEqual(gate.ask("joe", text + "tail"), REJECT, text)
        for text in HOSTILE:
            self.assertEqual(gate.ask(text, "tail"), REJECT, text)
        self.assertEqual(len(self.children(helper)), 1, "one child has answered all of it")
        self.assertNotIn("tail", helper.log())

    def test_reconnect(self):
        """A child that has died while it had nothing to do costs no login."""
        helper, gate = self.serve(self.source())
        self.assertEqual(gate.ask("joe", SECRET), OK)
        [child] = self.children(helper)
        os.kill(child, signal.SIGKILL)
        wait_until(lambda: ") Z " in pathlib.Path(f"/proc/{child}/stat").read_text(), "the child's end")
        self.assertEqual(gate.ask("joe", SECRET), OK)
        self.assertNotIn(child, self.children(helper))

    def test_check(self):
        self.assertEqual(self.check(self.source()), (0, ""))
        status, text = self.check(self.source('service = "psotern"'))
        self.assertEqual(status, 1)
        self.assertIn(f'{self.folder}/psotern: No such file or directory. Without it PAM follows its file "other"', text)
        self.assertIn('it is a file\'s name alone', self.check(self.source('service = "a/b"'))[1])
        self.write_service("auth required /nowhere/pam_missing.so\n")
        self.assertIn("pam_authenticate: Module is unknown. Are all modules of this file installed?", self.check(self.source())[1])
        self.write_service("auth required pam_permit.so\naccount required pam_permit.so\n")
        self.assertIn("lets a user in whom there is not", self.check(self.source())[1])

    def test_a_crash_is_the_trouble_of_one_login(self):
        helper, gate = self.serve(self.source())
        self.assertEqual(gate.ask("joe", SECRET), OK)
        for user, said in [("crasher", "a PAM module crashed its process: Aborted"),
                           ("leaver", "a PAM module ended its process with status 3")]:
            self.assert_unavailable(gate.ask(user, SECRET))
            self.assertIn(said, helper.log())
            self.assertEqual(gate.ask("joe", SECRET), OK)
        self.assertFalse(list(self.folder.glob("core*")))

    def test_accounts_that_may_not(self):
        _, gate = self.serve(self.source())
        for user, reason in [("expired", "disabled"), ("stale", "disabled"), ("denied", "not_allowed")]:
            self.assertEqual(gate.ask(user, SECRET), {"result": ["reject"], "reason": [reason]}, user)
            self.assertEqual(gate.ask(user, "wrong"), REJECT)

    def test_the_child_has_nothing_of_the_daemon(self):
        helper, gate = self.serve(self.source())
        gate.send(question(1, "sleeper", SECRET))
        wait_until(lambda: self.children(helper), "a child")
        [child] = self.children(helper)
        proc = pathlib.Path(f"/proc/{child}")
        wait_until(lambda: b"--pam-worker" in (proc / "cmdline").read_bytes(), "its program")
        for file in ("cmdline", "environ"):
            self.assertNotIn(SECRET.encode(), (proc / file).read_bytes())
        wait_until(lambda: not sockets(child) & sockets(helper.process.pid), "each has its own end only")
        # The daemon's end is the child's, however busy it is.
        helper.stop(signal.SIGKILL)
        wait_until(lambda: not proc.exists() or ") Z " in (proc / "stat").read_text(), "the child's end")


if __name__ == "__main__":
    MODULE = pathlib.Path(sys.argv.pop(2)).resolve()
    sources.main()
