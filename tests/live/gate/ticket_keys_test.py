# SPDX-License-Identifier: GPL-3.0-or-later
"""Two gates share their ticket keys: a session of one resumes at the other, also after the keys are renewed in their file."""

import base64
import os
import socket
import ssl
import sys

import tap
import world
from programs import Gate
from world import World


class Shared(World):
    has_helper = False
    auth_settings = 'mode = "back"'
    each_its_own = True

    def build(self, add_cleanup):
        World.make_folder(self, add_cleanup)
        self.keys = self.folder / "ticket-keys"
        self.write_keys(self.new_key())
        self.gates = []
        for name in ("a", "b", "alone"):
            (self.folder / name).mkdir()
            gate = Gate(world.POSTERN, self.folder / name, lambda port, name=name: self.settings_of(name, port), 1)
            add_cleanup(gate.stop)
            gate.start()
            self.gates.append(gate)

    def settings_of(self, name, port):
        shared = "" if name == "alone" else f'ticket_keys = "{self.keys}"\n'
        return (f'[gate]\nreactors = 1\n[tls]\ncertificate_check = "50ms"\n{shared}[auth]\nmode = "back"\n'
                f'[[tls.certificate]]\nchain = "{self.folder}/mail.crt"\nkey = "{self.folder}/mail.key"\n'
                f'[[listen]]\naddresses = ["127.0.0.1:{port}"]\n[[pool]]\nname = "default"\nmembers = ["127.0.3.9:143"]\n')

    @staticmethod
    def new_key():
        return base64.b64encode(os.urandom(48)).decode()

    def write_keys(self, *keys, mode=0o640):
        made = self.folder / "ticket-keys.new"
        made.write_text("".join(key + "\n" for key in keys))
        made.chmod(mode)
        made.rename(self.keys)

    def visit(self, gate, session=None, version=ssl.TLSVersion.TLSv1_3):
        """The session that the gate gives, and whether `session` was resumed."""
        if session is None:
            self.client = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
            self.client.maximum_version = version
        with socket.create_connection(("127.0.0.1", gate.ports[0]), 60) as sock:
            with self.client.wrap_socket(sock, server_hostname=world.NAME, session=session) as tls:
                tls.recv(1000)  # The greeting: in TLS 1.3 the ticket has come before it.
                return tls.session, tls.session_reused

    def test_a_session_of_one_resumes_at_the_other(self):
        one, other, alone = self.gates
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version=version):
                session, _ = self.visit(one, version=version)
                self.assertTrue(self.visit(other, session)[1])
                self.assertFalse(self.visit(alone, session)[1])

    def test_keys_are_renewed_in_their_file(self):
        one, other, _ = self.gates
        session, _ = self.visit(one)
        old = self.keys.read_text().strip()
        for gate in self.gates[:2]:
            gate.size_before = len(gate.log())
        self.write_keys(self.new_key(), old)
        for gate in self.gates[:2]:
            gate.wait_for_log(r" certificate file=\S+ticket-keys .*2 ticket keys read again", gate.size_before)
        self.assertTrue(self.visit(other, session)[1], "the older key still opens")
        self.write_keys(self.new_key())
        for gate in self.gates[:2]:
            gate.wait_for_log(r"1 ticket keys read again", gate.size_before)
        self.assertFalse(self.visit(other, session)[1], "its key is gone")

    def test_a_faulty_file_changes_nothing(self):
        one, other, _ = self.gates
        session, _ = self.visit(one)
        self.write_keys(self.new_key(), mode=0o644)
        other.wait_for_log("ticket-keys can be read by others .*The former keys stay in use")
        self.assertTrue(self.visit(other, session)[1])


if __name__ == "__main__":
    world.POSTERN, world.POSTERN_AUTH = sys.argv[1:3]
    tap.main(sys.argv[3:])
