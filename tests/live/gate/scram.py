# SPDX-License-Identifier: GPL-3.0-or-later
"""The mail program's half of SCRAM-SHA-256 (RFC 5802, 7677), with all that a dishonest one may want to change."""

import base64
import hashlib
import hmac
import secrets


class Scram:
    """Its respond() makes an answer of each challenge. `flag` is the beginning of the first message ("n", "y", "p=tls-exporter"), and
    `binding` the channel's octets. What goes into the last message may be another `bound` and another `nonce`."""

    def __init__(self, user, password, flag="n", binding=b"", bound=None, nonce=lambda nonce: nonce):
        self.password = password.encode()
        self.header = f"{flag},,"
        self.bound = self.header.encode() + binding if bound is None else bound
        self.nonce_of_last = nonce
        self.nonce = base64.b64encode(secrets.token_bytes(18)).decode()
        self.first_bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={self.nonce}"
        self.server_first = self.signature = None
        self.proven = False  # whether the gate has shown that it knows the keys

    def respond(self, challenge):
        if not challenge:
            return (self.header + self.first_bare).encode()
        if self.server_first is None:
            return self.last(challenge.decode())
        if challenge != b"v=" + base64.b64encode(self.signature):
            raise AssertionError(f"the gate does not know the keys: {challenge}")
        self.proven = True
        return b""

    def attributes(self):
        """What the gate has said: nonce, salt, iterations."""
        return dict(part.split("=", 1) for part in self.server_first.split(","))

    def last(self, server_first):
        self.server_first = server_first
        said = self.attributes()
        if not said["r"].startswith(self.nonce) or said["r"] == self.nonce:
            raise AssertionError(f"the gate's nonce adds nothing to ours: {server_first}")
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(said["s"]), int(said["i"]))
        without_proof = f"c={base64.b64encode(self.bound).decode()},r={self.nonce_of_last(said['r'])}"
        signed = f"{self.first_bare},{server_first},{without_proof}".encode()
        key = digest(salted, b"Client Key")
        proof = bytes(a ^ b for a, b in zip(key, digest(hashlib.sha256(key).digest(), signed)))
        self.signature = digest(digest(salted, b"Server Key"), signed)
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()


def digest(key, text):
    return hmac.digest(key, text, "sha256")
