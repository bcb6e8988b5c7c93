# SPDX-License-Identifier: GPL-3.0-or-later
"""Users log in through the gate at a real Dovecot, with Python's imaplib, curl and bare sockets, and use their mail."""

import imaplib
import random
import re
import subprocess
import sys

import tap
import world
from programs import PATIENCE_S
from world import ANN, BOB, CARL, DORA, MASTERS, NAME, PASSWORDS, World, read_to_end

# More than any buffer on the way, and no two parts alike.
LARGE = "Subject: large\r\n\r\n" + "".join(f"{number:x}" + "\r\n" * (number % 7 == 0) for number in
                                            random.Random(1).choices(range(2**32), k=400_000)) + "\r\n"


def subject_of(user):
    return f"Subject: The mailbox of {user}"


class Logins(World):
    def test_imaplib_with_tls_at_once(self):
        mail = self.log_in(BOB)
        self.assertIn("IDLE", mail.capability()[1][0].decode().split(), "the mail server's own, after the login")
        self.assertEqual(mail.list()[0], "OK")
        self.assertEqual(mail.first_subject(), subject_of(BOB))
        self.assertEqual(mail.logout()[0], "BYE")

    def test_imaplib_with_starttls(self):
        mail = self.connect("starttls", in_clear=True)
        self.assertIn("LOGINDISABLED", mail.capabilities)
        with self.assertRaisesRegex(imaplib.IMAP4.error, "PRIVACYREQUIRED"):
            mail.login(BOB, PASSWORDS[BOB])
        mail.starttls(self.context)
        self.assertNotIn("LOGINDISABLED", mail.capabilities)
        self.assertNotIn("STARTTLS", mail.capabilities)
        mail.login(BOB, PASSWORDS[BOB])
        self.assertEqual(mail.first_subject(), subject_of(BOB))

    def test_curl_with_tls_at_once_and_with_starttls(self):
        implicit, starttls, _ = self.gate.ports
        for url, options in [(f"imaps://{NAME}:{implicit}/INBOX;MAILINDEX=1", []),
                             (f"imap://{NAME}:{starttls}/INBOX;MAILINDEX=1", ["--ssl-reqd"]),
                             (f"imaps://{NAME}:{implicit}/INBOX;MAILINDEX=1", ["--login-options", "AUTH=PLAIN", "--sasl-ir"]),
                             (f"imaps://{NAME}:{implicit}/INBOX;MAILINDEX=1", ["--login-options", "AUTH=LOGIN"])]:
            with self.subTest(url=url, options=options):
                done = subprocess.run(
                    ["curl", "--silent", "--show-error", "--noproxy", "*", "--cacert", f"{self.folder}/ca.crt",
                     *[word for port in (implicit, starttls) for word in ("--resolve", f"{NAME}:{port}:127.0.0.1")],
                     "--user", f"{ANN}:{PASSWORDS[ANN]}", *options, url],
                    capture_output=True, text=True, timeout=PATIENCE_S, check=False)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn(f"This is {ANN}'s.", done.stdout)

    def test_a_password_with_all_sorts_of_characters(self):
        self.assertEqual(self.log_in(ANN).first_subject(), subject_of(ANN))

    def test_a_master_user_logs_in_at_the_mail_server(self):
        self.assertEqual(self.log_in(BOB).first_subject(), subject_of(BOB))

    def test_another_name_and_password_at_the_mail_server(self):
        self.assertEqual(self.log_in(CARL).first_subject(), subject_of("box-c"))

    def test_a_pool_whose_first_member_is_down(self):
        self.assertEqual(self.log_in(DORA).first_subject(), subject_of(DORA))
        self.gate.wait_for_log(rf" (back-failed|member state=down) .*back=127\.0\.3\.9:{self.dovecot.port} .*reason=refused")

    def test_a_wrong_password_and_an_unknown_user_are_told_the_same(self):
        sentence = "[AUTHENTICATIONFAILED] Wrong user name or password"
        self.assertEqual(self.refusal(BOB, "wrong-secret"), sentence)
        self.assertEqual(self.refusal("nobody@example.test", "wrong-secret"), sentence)
        self.gate.wait_for_log(r" login-failed .*user=nobody@example\.test .*reason=credentials")

    def test_the_same_connection_may_try_again(self):
        mail = self.connect()
        with self.assertRaisesRegex(imaplib.IMAP4.error, "AUTHENTICATIONFAILED"):
            mail.login(BOB, "wrong-secret")
        mail.login(BOB, PASSWORDS[BOB])
        self.assertEqual(mail.first_subject(), subject_of(BOB))

    def test_commands_behind_the_login_reach_the_mail_server(self):
        for how in ("implicit", "none"):
            with self.subTest(how=how):
                sock = self.raw(how)
                sock.sendall(f"1 LOGIN {CARL} {PASSWORDS[CARL]}\r\n2 EXAMINE INBOX\r\n3 FETCH 1 BODY.PEEK[TEXT]\r\n4 LOGOUT\r\n".encode())
                said = read_to_end(sock).decode()
                self.assertIn("This is box-c's.", said)
                self.assertEqual(re.findall(r"^[1-4] \w+", said, re.M), ["1 OK", "2 OK", "3 OK", "4 OK"])

    def test_a_large_mail_goes_up_and_comes_down_whole(self):
        for how in ("implicit", "starttls", "none"):
            with self.subTest(how=how):
                spliced = self.gate.total("spliced_bytes")
                mail = self.log_in(BOB, how)
                mail.create("Large")
                self.assertEqual(mail.append("Large", None, None, LARGE.encode())[0], "OK")
                count = int(mail.select("Large")[1][0])
                self.assertEqual(mail.fetch(str(count), "(BODY.PEEK[])")[1][0][1].decode(), LARGE)
                spliced = self.gate.total("spliced_bytes") - spliced
                self.assertEqual(spliced > 0, how == "none", "bytes in clear on both sides stay in the kernel, and only those")

    def test_idle_hears_of_new_mail(self):
        mail = self.log_in(CARL)
        count = int(mail.select("INBOX")[1][0])
        mail.send(b"i IDLE\r\n")
        self.assertTrue(mail.readline().startswith(b"+ "))
        self.dovecot.deliver("box-c", "Subject: news\r\n\r\nNews.\r\n")
        line = mail.readline()
        while line and b" EXISTS" not in line:
            line = mail.readline()
        self.assertEqual(line, f"* {count + 1} EXISTS\r\n".encode())
        mail.send(b"DONE\r\n")
        while line and not line.startswith(b"i "):
            line = mail.readline()
        self.assertTrue(line.startswith(b"i OK"))

    def test_the_log_has_a_line_for_the_login_and_one_for_the_end(self):
        mail = self.log_in(DORA)
        port = mail.sock.getsockname()[1]
        mail.select("INBOX")
        mail.logout()
        for event in ("login", "end"):
            line = self.gate.wait_for_log(rf" info {event} .*front=127\.0\.0\.1:{port} .*$").group()
            figures = dict(re.findall(r"(\w+)=(\S+)", line))
            self.assertEqual((figures["user"], figures["back"], figures["tls"]),
                             (DORA, f"127.0.0.1:{self.dovecot.port}", "TLSv1.3"))
        self.assertGreater(int(figures["out"]), int(figures["in"]))
        self.assertGreater(int(figures["in"]), 0)
        self.assertRegex(figures["reason"], "^(back|front)-closed$")

    @classmethod
    def tearDownClass(cls):
        """Whatever the tests of this class did, no password is in any log."""
        for program in (cls.gate, cls.helper):
            log = program.log()
            for secret in ("wrong-secret", *PASSWORDS.values(), *MASTERS.values()):
                assert secret not in log, "a password is in the log"


class LoginsOnTheFloor(Logins):
    """The same with nothing of the kernel that Linux 6.1 lacks."""

    gate_settings = 'kernel_features = "floor"'


class LoginsWithoutHelper(World):
    """The mail server verifies."""

    has_helper = False
    auth_settings = 'mode = "back"'

    def test_the_mail_server_verifies(self):
        for how in ("implicit", "starttls", "none"):
            self.assertEqual(self.log_in(DORA, how).first_subject(), subject_of(DORA))

    def test_what_the_mail_server_says_reaches_the_user(self):
        self.assertRegex(self.refusal(DORA, "wrong-secret"), r"^\[AUTHENTICATIONFAILED\] ")
        self.assertNotIn("wrong-secret", self.gate.log())


if __name__ == "__main__":
    world.POSTERN, world.POSTERN_AUTH = sys.argv[1:3]
    tap.main(sys.argv[3:])
