# SPDX-License-Identifier: GPL-3.0-or-later
"""An issuer of tokens: keys made by openssl, signatures, a JWKS, and an introspection endpoint."""

import base64
import http.server
import json
import subprocess
import threading
import urllib.parse

CURVES = {"ES256": ("P-256", 32), "ES384": ("P-384", 48)}


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*words, stdin=b""):
    return subprocess.run(["openssl", *words], input=stdin, check=True, capture_output=True).stdout


class Key:
    """A key pair for one algorithm, in a file."""

    def __init__(self, folder, name, algorithm="RS256", bits=2048):
        self.name, self.algorithm, self.path = name, algorithm, str(folder / f"{name}.pem")
        if algorithm in CURVES:
            options = ["EC", "-pkeyopt", f"ec_paramgen_curve:{CURVES[algorithm][0]}"]
        else:
            options = ["RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}"]
        openssl("genpkey", "-algorithm", *options, "-out", self.path)

    def jwk(self):
        if self.algorithm in CURVES:
            curve, size = CURVES[self.algorithm]
            point = openssl("pkey", "-in", self.path, "-pubout", "-outform", "DER")[-2 * size:]
            return {"kty": "EC", "kid": self.name, "use": "sig", "crv": curve, "x": encoded(point[:size]), "y": encoded(point[size:])}
        modulus = openssl("rsa", "-in", self.path, "-noout", "-modulus").decode().strip().partition("=")[2]
        return {"kty": "RSA", "kid": self.name, "alg": self.algorithm, "n": encoded(bytes.fromhex(modulus)), "e": "AQAB"}

    def public_pem(self):
        return openssl("pkey", "-in", self.path, "-pubout")

    def sign(self, data):
        digest = "-sha" + self.algorithm[2:]
        signature = openssl("dgst", digest, "-sign", self.path, stdin=data)
        if self.algorithm not in CURVES:
            return signature
        size = CURVES[self.algorithm][1]
        numbers = [int(line.rpartition(b":")[2], 16) for line in openssl("asn1parse", "-inform", "DER", stdin=signature).splitlines()
                   if b"INTEGER" in line]
        return b"".join(number.to_bytes(size, "big") for number in numbers)

    def token(self, claims, **header):
        head = {"alg": self.algorithm, "typ": "JWT", "kid": self.name} | header
        head = {key: value for key, value in head.items() if value is not None}
        text = encoded(json.dumps(head).encode()) + "." + encoded(json.dumps(claims).encode())
        return text + "." + encoded(self.sign(text.encode()))


class Issuer(http.server.ThreadingHTTPServer):
    """`keys` are at /keys; `tokens` (name -> claims) are known at /introspect, to who says that he is `client`."""

    daemon_threads = True

    def __init__(self, port=0, client="postern:c1ient s3cret"):
        super().__init__(("127.0.0.1", port), Conversation)
        self.port = self.server_address[1]
        self.keys, self.tokens, self.client = [], {}, client
        self.requests = []
        self.released = threading.Event()  # ends the silence about the token `slow`
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def handle_error(self, *_):
        """Who asked may hang up at any time."""

    def stop(self):
        self.released.set()
        self.shutdown()
        self.thread.join()
        self.server_close()


class Conversation(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        # Kept connections end with the server, as a process's would.
        self.connection.settimeout(0.5)

    def reply(self, status, value):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.server.requests.append(self.path)
        known = self.path == "/keys"
        self.reply(200 if known else 404, {"keys": [key.jwk() for key in self.server.keys]} if known else {})

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode("latin-1"), strict_parsing=True)
        self.server.requests.append(form)
        if self.headers.get("Authorization") != "Basic " + base64.b64encode(self.server.client.encode()).decode():
            return self.reply(401, {})
        token = form["token"][0]
        if token == "slow":
            self.server.released.wait(30)
        claims = self.server.tokens.get(token)
        if isinstance(claims, (bytes, int)):
            return self.reply(claims if isinstance(claims, int) else 200, claims if isinstance(claims, bytes) else {})
        return self.reply(200, {"active": True} | claims if claims is not None else {"active": False})

    def log_message(self, *_):
        pass
