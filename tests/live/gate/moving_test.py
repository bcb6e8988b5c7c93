# SPDX-License-Identifier: GPL-3.0-or-later
"""Users who are being moved from one real Dovecot to another: both are named, and each gets in wherever he is at the moment."""

import sys

import tap
import world
from programs import Dovecot, write_passwords
from world import MASTERS, World

UNAVAILABLE = r"^\[UNAVAILABLE\] \w+"
REFUSED = r"^\[AUTHENTICATIONFAILED\] \w+"
# Hers the mail server verifies too; his only the helper, and a master user logs in for him.
EVE, FINN = "eve@example.test", "finn@example.test"
EVES, FINNS = "eve-secret", "finn-secret"


class MailServer(Dovecot):
    """A master user gets into the mailboxes of those only whom it knows."""

    def text(self):
        return super().text().replace("master = yes", "master = yes\npass = yes")


class Moving(World):
    each_its_own = True

    def setUp(self):
        super().setUp()
        self.old = self.make_mail_server("old")
        self.new = self.make_mail_server("new")
        places = {"back": f"127.0.0.1:{self.old.port}", "moving_to": f"127.0.0.1:{self.new.port}"}
        self.helper.add(EVE, EVES, **places)
        self.helper.add(FINN, FINNS, MASTERS["gate"], master_user="gate", master_password=True, **places)

    def make_mail_server(self, name):
        folder = self.folder / name
        folder.mkdir(mode=0o711)
        server = MailServer(folder, {EVE: EVES, FINN: "unknown-to-all"}, MASTERS)
        self.addCleanup(server.stop)
        for user in (EVE, FINN):
            server.deliver(user, f"Subject: On the {name} one\r\n\r\nHello.\r\n")
        self.place(server, name == "old")
        return server

    def place(self, server, is_there):
        """Whether the mail server knows the users, once it has started again."""
        server.stop()
        write_passwords(server.folder / "users", {EVE: EVES, FINN: "unknown-to-all"} if is_there else {})
        server.start()

    def where(self, user, password):
        mail = self.log_in(user, password=password)
        mail.select()
        return "new" if mail.search(None, 'SUBJECT', '"On the new one"')[1] != [b""] else "old"

    def test_each_gets_in_where_he_is(self):
        for user, password in ((EVE, EVES), (FINN, FINNS)):
            self.assertEqual(self.where(user, password), "old")
        self.assertNotIn("back-moving", self.gate.log())
        self.assertRegex(self.refusal(EVE, "wrong-secret"), REFUSED)
        self.place(self.old, False)
        self.place(self.new, True)
        for user, password in ((EVE, EVES), (FINN, FINNS)):
            self.assertEqual(self.where(user, password), "new", user)
            self.assertRegex(self.gate.log(), rf" info back-moving .*user={user} back=127.0.0.1:{self.old.port} "
                                              rf"moving_to=127.0.0.1:{self.new.port}")

    def test_a_mail_server_that_is_away_has_refused_nobody(self):
        self.old.stop()
        self.place(self.new, True)
        self.assertRegex(self.refusal(EVE, EVES), UNAVAILABLE)
        self.place(self.old, False)
        self.new.stop()
        self.assertRegex(self.refusal(EVE, EVES), UNAVAILABLE, "nobody knows whether the password is wrong")
        self.new.start()
        self.assertEqual(self.where(EVE, EVES), "new")


if __name__ == "__main__":
    world.POSTERN, world.POSTERN_AUTH = sys.argv[1:3]
    tap.main(sys.argv[3:])
