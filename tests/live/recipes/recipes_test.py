# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipes of packaging/recipes, followed to the letter: each mail server is set up as its page says, the gate too, and users log in."""

import os
import pathlib
import re
import ssl
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "gate"))

# pylint: disable=wrong-import-position
import tap
from doors import MAIL_PROGRAMS, REFUSALS, letter
from house import ELSEWHERE, GATE, House, enter
from page import Page
from programs import Gate, Helper
from servers import Sink
from world import NAME, make_certificate

POSTERN = POSTERN_AUTH = None  # set by the main program
STORE_NAME = "store1.example.test"  # the mail server's
JOE, ANN = "joe@example.test", "ann@example.test"
PASSWORDS = {JOE: "joe-secret", ANN: "ann-secret"}
MASTER, INNER = "long-random-secret", "inner-secret"
PORTS = {"imap": 993, "pop3": 995, "submission": 465, "sieve": 4190}


class Recipe(unittest.TestCase):
    """`name`: the page. build_house() makes the mail server, with what the page takes for granted: users, mailboxes, a certificate."""

    name = None
    packages = None
    protocols = ()

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="postern-recipe-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.folder.chmod(0o711)
        make_certificate(cls.folder, "mail", NAME)
        make_certificate(cls.folder, "store", STORE_NAME)
        cls.context = ssl.create_default_context(cafile=str(cls.folder / "ca.crt"))
        cls.page = Page(cls.name)
        cls.house = House(cls.folder, cls.packages)
        cls.addClassCleanup(cls.house.stop)
        cls.prepare(cls.house)
        for path, append, text in cls.page.server_files():
            (cls.house.append if append else cls.house.write)(path, text)
        cls.furnish(cls.house)
        for command in cls.page.commands:
            cls.house.do("/bin/sh", "-c", command)
        cls.start(cls.house)
        cls.start_gate()

    @classmethod
    def prepare(cls, house):
        """Before the page's files are written: what the installation of the packages would have done."""

    @classmethod
    def furnish(cls, house):
        """After that: the users and their mailboxes."""

    @classmethod
    def start(cls, house):
        raise NotImplementedError

    @classmethod
    def start_gate(cls):
        cls.helper = Helper(POSTERN_AUTH, cls.folder)
        for user, *options in cls.page.users:
            words = {option: "" for option in options if option in ("--master-password", "--back-password")}
            secrets = [MASTER if option == "--master-password" else INNER for option in words]
            cls.add_user(user, options, [PASSWORDS[user], *secrets])
        cls.addClassCleanup(cls.helper.stop)
        cls.helper.start()
        cls.gate = Gate(POSTERN, cls.folder, lambda *_: cls.configuration(), 0)
        cls.addClassCleanup(cls.gate.stop)
        cls.gate.start()
        cls.gate.wait_for_capabilities(*re.findall(r'^name = "(.*)"', cls.page.gate_settings(), re.M))

    @classmethod
    def add_user(cls, user, options, passwords):
        route = {}
        words = iter(options)
        for word in words:
            key = word.removeprefix("--").replace("-", "_")
            route[key] = True if key.endswith("password") else next(words)
        cls.helper.add(user, *passwords, **route)

    @classmethod
    def configuration(cls):
        settings = cls.page.gate_settings().replace("/etc/postern/tls/inner-ca.crt", f"{cls.folder}/ca.crt")
        return (f'[gate]\nreactors = 1\nhostname = "{NAME}"\ndrain_timeout = "1s"\n[auth]\nhelper = "{cls.helper.socket}"\n'
                f'[[tls.certificate]]\nchain = "{cls.folder}/mail.crt"\nkey = "{cls.folder}/mail.key"\n{settings}')

    # Mail programs.

    def connect(self, protocol):
        starttls = protocol == "sieve"
        mail = MAIL_PROGRAMS[protocol](PORTS[protocol], None if starttls else self.context, source=ELSEWHERE, address=GATE)
        self.addCleanup(mail.hang_up)
        if starttls:
            mail.starttls(self.context)
        return mail

    def use(self, protocol, user, password=None):
        """Logs in, and has bytes pass in both directions."""
        mail = self.connect(protocol)
        mail.log_in(user, password or PASSWORDS[user])
        getattr(self, "use_" + protocol)(mail, user)
        return mail

    def use_imap(self, mail, user):
        self.assertEqual(mail.select("INBOX")[0], "OK")
        text = f"Subject: kept for {user}\r\n\r\nA mail.\r\n"
        self.assertEqual(mail.append("INBOX", None, None, text.encode())[0], "OK")
        self.assertEqual(mail.select("INBOX")[0], "OK")
        numbers = mail.search(None, "ALL")[1][0].split()
        self.assertIn(f"kept for {user}".encode(), mail.fetch(numbers[-1], "(BODY[])")[1][0][1])
        mail.logout()

    def use_pop3(self, mail, user):
        count = mail.stat()[0]
        self.assertGreater(count, 0, "the IMAP test has left a mail")
        self.assertIn(f"Subject: kept for {user}".encode(), mail.retr(count)[1])
        mail.quit()

    def use_submission(self, mail, user):
        mail.sendmail(user, ["friend@example.test"], letter(f"from {user}", f"{self.name} for {user}"))
        mail.quit()
        taken = self.sink.wait_for_mail(f"{self.name} for {user}")
        self.assertEqual(taken.sender, user)

    def use_sieve(self, mail, user):
        mail.put("rules", 'require ["fileinto"];\r\nkeep;\r\n')
        self.assertEqual(mail.get("rules"), 'require ["fileinto"];\r\nkeep;\r\n')
        mail.say("LOGOUT")

    def test_users_log_in(self):
        for protocol in self.protocols:
            for user, *_ in self.page.users:
                with self.subTest(protocol=protocol, user=user):
                    try:
                        self.use(protocol, user)
                    except (AssertionError, OSError, EOFError, *REFUSALS) as error:
                        raise AssertionError(f"{error!r}\n{self.gate.log()[-2000:]}\n{self.house.log()[-3000:]}") from error
        self.look_into_the_log()
        for protocol in self.protocols:
            with self.subTest(protocol=protocol, what="wrong password"), self.assertRaises(REFUSALS):
                self.connect(protocol).log_in(JOE, "wrong-secret")

    def look_into_the_log(self):
        """What the page says that it shows."""
        self.assertTrue(self.page.log_lines)
        for line in self.page.log_lines:
            with self.subTest(line=line):
                self.house.wait_for_log(".*".join(re.escape(part.strip()) for part in line.split("…")))


class Dovecot(Recipe):
    name = "dovecot"
    protocols = ("imap", "pop3", "submission", "sieve")

    @classmethod
    def prepare(cls, house):
        house.write("/etc/dovecot/private/dovecot.pem", (cls.folder / "store.crt").read_text())
        house.write("/etc/dovecot/private/dovecot.key", (cls.folder / "store.key").read_text())

    @classmethod
    def furnish(cls, house):
        cls.sink = Sink("8BITMIME")
        cls.addClassCleanup(cls.sink.stop)
        house.write("/etc/dovecot/conf.d/99-users.conf", f"""
            listen = 10.0.0.10
            mail_location = maildir:~/Maildir
            submission_relay_host = 127.0.0.1
            submission_relay_port = {cls.sink.port}
            passdb {{
              driver = passwd-file
              args = scheme=PLAIN /etc/dovecot/users
            }}
            userdb {{
              driver = static
              args = uid=nobody gid=nogroup home=/var/mail/%u
            }}
            first_valid_uid = 1
            first_valid_gid = 1
            """)
        house.write("/etc/dovecot/users", "".join(f"{user}:{password}\n" for user, password in PASSWORDS.items()))
        house.folder("/var/mail", "nobody")

    @classmethod
    def start(cls, house):
        house.serve("exec dovecot -F", 10143, 10110, 10587, 14190)


if os.geteuid() != 0:
    Dovecot = tap.skip_impossible("a mail server gets a root directory of its own, which only root can give")(Dovecot)
del Recipe

if __name__ == "__main__":
    if os.geteuid() == 0:
        enter()
    POSTERN, POSTERN_AUTH = sys.argv[1:3]
    tap.main(sys.argv[3:])
