# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS of the gate as OpenSSL sees it: versions, names, protocols, tickets, ends."""

import signal
import socket
import ssl
import subprocess
import sys

import tap
import world
from programs import PATIENCE_S
from world import BOB, NAME, PASSWORDS, World, read_to_end

# What OpenSSL wants before it speaks something that old.
OLD = ["-cipher", "DEFAULT:@SECLEVEL=0"]
# After so many connections, each of two reactors has had one; the kernel spreads them by chance.
CONNECTIONS_MAX = 200


class SClient(World):
    def s_client(self, *options, how="implicit", say="1 LOGOUT\n"):
        """What `openssl s_client` prints, and whether it was content."""
        words = ["openssl", "s_client", "-connect", f"127.0.0.1:{self.port(how)}", "-CAfile", f"{self.folder}/ca.crt",
                 "-verify_return_error", "-ign_eof", *options]
        done = subprocess.run(words, input=say, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        return done.stdout + done.stderr, done.returncode == 0


class Tls(SClient):
    certificates = {"mail": (NAME, "ec"), "mail-rsa": (NAME, "rsa"), "other": ("other.example.test", "ec")}

    def test_versions(self):
        for version in ("1_2", "1_3"):
            with self.subTest(version=version):
                said, content = self.s_client("-tls" + version)
                self.assertTrue(content, said)
                self.assertIn("Verify return code: 0 (ok)", said)
                self.assertIn("* BYE", said)
        for version in ("1", "1_1"):
            with self.subTest(version=version):
                said, content = self.s_client("-tls" + version, *OLD)
                self.assertFalse(content, said)
                self.assertIn("alert protocol version", said)

    def test_starttls(self):
        said, content = self.s_client("-starttls", "imap", how="starttls")
        self.assertTrue(content, said)
        self.assertIn("Verify return code: 0 (ok)", said)
        self.assertIn("1 OK", said)

    def test_the_name_chooses_the_certificate(self):
        for options, subject in [(["-servername", NAME], NAME), (["-servername", "other.example.test"], "other.example.test"),
                                 (["-servername", "OTHER.example.test"], "other.example.test"),
                                 (["-servername", "stranger.test"], NAME), (["-noservername"], NAME)]:
            with self.subTest(options=options):
                said, content = self.s_client(*options)
                self.assertTrue(content, said)
                self.assertIn(f"subject=CN = {subject}", said)

    def test_the_kind_of_key_is_one_that_the_mail_program_verifies(self):
        for version in ("-tls1_2", "-tls1_3"):
            with self.subTest(version=version):
                self.assertIn("Peer signature type: ECDSA", self.s_client(version, "-servername", NAME)[0])
                said, content = self.s_client(version, "-servername", NAME, "-sigalgs", "rsa_pss_rsae_sha256")
                self.assertTrue(content, said)
                self.assertIn("Peer signature type: RSA-PSS", said)

    def test_alpn(self):
        for version in ("-tls1_2", "-tls1_3"):
            with self.subTest(version=version):
                self.assertIn("ALPN protocol: imap", self.s_client(version, "-alpn", "imap")[0])
                self.assertIn("ALPN protocol: imap", self.s_client(version, "-alpn", "h2,imap")[0])
                self.assertIn("No ALPN negotiated", self.s_client(version)[0])
                said, content = self.s_client(version, "-alpn", "h2,http/1.1")
                self.assertFalse(content, said)
                self.assertIn("alert no application protocol", said)
                self.assertNotIn("* OK", said)

    def test_nothing_is_negotiated_anew(self):
        words = ["openssl", "s_client", "-connect", f"127.0.0.1:{self.port('implicit')}", "-tls1_2"]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            self.addCleanup(process.kill)
            process.stdin.write(b"R\n")  # A command to s_client, while its input stays open.
            process.stdin.flush()
            said = process.stdout.read().decode()
        # RFC 5746 leaves the choice of the alert to us.
        self.assertRegex(said, r"RENEGOTIATING\n.*alert (no renegotiation|handshake failure)")

    def test_tickets_of_one_reactor_hold_at_the_other(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version=version.name):
                context = ssl.create_default_context(cafile=f"{self.folder}/ca.crt")
                context.minimum_version = context.maximum_version = version
                reused, session = self.short_connection(context, None)
                self.assertFalse(reused)
                before = [one["resumed"] for one in self.gate.status()]
                for _ in range(CONNECTIONS_MAX):
                    reused, session = self.short_connection(context, session)
                    self.assertTrue(reused)
                    if all(now["resumed"] > old for now, old in zip(self.gate.status(), before)):
                        break
                else:
                    self.fail("one reactor has had no connection")

    def short_connection(self, context, session):
        """Whether the connection took up the session, and the session to take up next."""
        with socket.create_connection(("127.0.0.1", self.port("implicit")), PATIENCE_S) as bare, \
                context.wrap_socket(bare, server_hostname=NAME, session=session) as sock:
            sock.sendall(b"1 LOGOUT\r\n")
            read_to_end(sock)
            return sock.session_reused, sock.session

    def test_openssl_takes_up_its_session(self):
        said, content = self.s_client("-tls1_2", "-reconnect")
        self.assertTrue(content, said)
        self.assertEqual(said.count("Reused, TLSv1.2"), 5, said)

    def test_close_notify_stands_at_the_end(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for login in ("", f"0 LOGIN {BOB} {PASSWORDS[BOB]}\r\n"):
                with self.subTest(version=version.name, login=bool(login)):
                    self.context.maximum_version = version
                    sock = self.raw()
                    sock.sendall(f"{login}1 LOGOUT\r\n".encode())
                    # Without a close_notify, this would raise SSLEOFError.
                    self.assertIn(b"* BYE", read_to_end(sock))
                    self.context.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED

    def test_a_mail_program_that_does_not_speak_tls(self):
        sock = socket.create_connection(("127.0.0.1", self.port("implicit")), PATIENCE_S)
        self.addCleanup(sock.close)
        port = sock.getsockname()[1]
        sock.sendall(b"1 LOGIN joe clear-secret\r\n")
        try:
            self.assertNotIn(b"OK", read_to_end(sock))
        except ConnectionResetError:
            pass  # What it said was not all read.
        line = self.gate.wait_for_log(rf" handshake-failed .*front=127\.0\.0\.1:{port} .*$").group()
        self.assertIn("TLS must begin here", line)
        self.assertNotIn("clear-secret", self.gate.log())


class Renewal(SClient):
    """What a certificate tool does to its folder while the gate runs; nobody sends a signal."""

    NEW = "new.example.test"
    each_its_own = True

    @property
    def gate_settings(self):
        (self.folder / "live" / self.NEW).mkdir(parents=True, exist_ok=True)
        return f'[tls]\nfolders = ["{self.folder}/live"]\ncertificate_check = "100ms"'

    def put(self, kind):
        """Half of the pair that was made last, as one step."""
        file, name = {"chain": ("new.crt", "fullchain.pem"), "key": ("new.key", "privkey.pem")}[kind]
        place = self.folder / "live" / self.NEW / name
        place.with_suffix(".fresh").write_bytes((self.folder / file).read_bytes())
        place.with_suffix(".fresh").rename(place)

    def shown(self, name=NEW):
        """Subject and serial number of the certificate for that name."""
        said, content = self.s_client("-servername", name)
        self.assertTrue(content, said)
        chain = said[said.index("-----BEGIN"):said.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n"
        return world.openssl("x509", "-noout", "-subject", "-serial", stdin=chain).stdout

    def test_comes_is_renewed_and_goes(self):
        mail = self.log_in(BOB)
        self.assertIn(NAME, self.shown())  # the default
        world.make_certificate(self.folder, "new", self.NEW)
        self.put("key")
        self.put("chain")
        self.gate.wait_for_log(rf" certificate file=\S+/{self.NEW}/fullchain\.pem text=\"new, for {self.NEW}, valid until ")
        first = self.shown()
        self.assertIn(self.NEW, first)
        world.make_certificate(self.folder, "new", self.NEW)
        self.put("chain")
        self.gate.wait_for_log(r" warning certificate .*does not belong to the first certificate .*The former one stays in service")
        self.assertEqual(self.shown(), first)
        self.put("key")
        self.gate.wait_for_log(r" certificate .*text=\"renewed, ")
        second = self.shown()
        self.assertIn(self.NEW, second)
        self.assertNotEqual(second, first)
        for file in (self.folder / "live" / self.NEW).iterdir():
            file.unlink()
        (self.folder / "live" / "more.pem").write_bytes(
            (self.folder / "new.key").read_bytes() + (self.folder / "new.crt").read_bytes())
        self.gate.wait_for_log(rf" certificate file=\S+/{self.NEW}/fullchain\.pem text=\"gone, ")
        self.assertEqual(self.shown(), second)
        # Sessions from before know nothing of all that.
        self.assertEqual(mail.noop()[0], "OK")
        self.gate.hear(signal.SIGUSR1)
        self.gate.wait_for_log(r" certificates served=2 file=\S+ days_left=29")


if __name__ == "__main__":
    world.POSTERN, world.POSTERN_AUTH = sys.argv[1:3]
    tap.main(sys.argv[3:])
