# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates of all dialogs, made by the openssl command."""

import subprocess

EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def make(folder):
    """ca.crt; mail, other, store and wrong (each .example.test) signed by it; stranger, which claims to be store."""
    authority(folder, "ca")
    authority(folder, "unknown")
    for name in ("mail", "other", "store", "wrong"):
        leaf(folder, name, name, "ca")
    leaf(folder, "stranger", "store", "unknown")


def authority(folder, name):
    run(folder, "-subj", f"/CN=Authority {name}", *EC, "-keyout", f"{name}.key", "-out", f"{name}.crt",
        "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")


def leaf(folder, name, host, signed_by):
    run(folder, "-subj", f"/CN={host}.example.test", *EC, "-keyout", f"{name}.key", "-out", f"{name}.crt",
        "-CA", f"{signed_by}.crt", "-CAkey", f"{signed_by}.key", "-addext", f"subjectAltName=DNS:{host}.example.test",
        "-addext", "basicConstraints=critical,CA:FALSE")


def run(folder, *words):
    subprocess.run(("openssl", "req", "-x509", "-days", "2", *words), cwd=folder, check=True, capture_output=True)
