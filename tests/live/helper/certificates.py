# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of servers that tests start."""

import ssl
import subprocess


def make_certificate(folder):
    """A server's TLS context for `localhost`, signed by itself."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", f"{folder}/localhost.key",
                    "-out", f"{folder}/localhost.crt"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/localhost.crt", f"{folder}/localhost.key")
    return context
