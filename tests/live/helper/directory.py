# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory for the live tests: OpenLDAP's slapd in a folder of its own, over a socket, in clear and with TLS."""

import os
import pathlib
import shutil
import socket
import subprocess
from urllib.parse import quote

from conversation import PATIENCE_S
from sources import Server, free_ports
from world import make_certificate

BASE = "dc=example,dc=test"
ADMIN = f"cn=admin,{BASE}"
ADMIN_PASSWORD = "topsecret-admin"
SCHEMA = pathlib.Path("/etc/ldap/schema")
SLAPD = shutil.which("slapd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")

# An empty name or password is let in as nobody, as some directories do: that must not help anybody here.
CONFIGURATION = """
{includes}
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
allow bind_anon_cred bind_anon_dn
pidfile {folder}/slapd.pid
TLSCACertificateFile {folder}/ca.crt
TLSCertificateFile {folder}/slapd.crt
TLSCertificateKeyFile {folder}/slapd.key
database mdb
suffix "{base}"
rootdn "{admin}"
rootpw {password}
directory {folder}/db
overlay ppolicy
ppolicy_use_lockout
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
"""


class Directory:
    def __init__(self, test, ldif):
        self.test, self.folder = test, test.folder
        # Not localhost: in its place libldap wants to see the machine's own name.
        make_certificate(self.folder, "slapd", "ldap.example.test,IP:127.0.0.1")
        (self.folder / "db").mkdir()
        (self.folder / "admin-password").write_text(ADMIN_PASSWORD + "\n")
        (self.folder / "admin-password").chmod(0o600)
        self.configuration = self.folder / "slapd.conf"
        names = ("core", "cosine", "inetorgperson", "misc")
        self.configuration.write_text(CONFIGURATION.format(
            includes="\n".join(f"include {SCHEMA}/{name}.schema" for name in names), folder=self.folder, base=BASE,
            admin=ADMIN, password=ADMIN_PASSWORD))
        subprocess.run([SLAPD, "-T", "add", "-f", str(self.configuration)], input=ldif.encode(), check=True,
                       capture_output=True, timeout=PATIENCE_S)
        self.clear, self.tls = free_ports(2)
        self.socket = self.folder / "ldapi"
        self.uris = {"ldapi": f"ldapi://{quote(str(self.socket), safe='')}", "starttls": f"ldap://127.0.0.1:{self.clear}",
                     "ldaps": f"ldaps://127.0.0.1:{self.tls}"}
        self.start()

    def start(self):
        urls = f"{self.uris['ldapi']} ldap://127.0.0.1:{self.clear} ldaps://127.0.0.1:{self.tls}"
        self.server = Server(self.test, [SLAPD, "-h", urls, "-f", str(self.configuration), "-d", "stats"], self.is_up)

    def is_up(self):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def log(self):
        return self.server.log_path.read_text(errors="replace")

    def change(self, ldif):
        subprocess.run(["ldapmodify", "-H", self.uris["ldapi"], "-x", "-D", ADMIN, "-w", ADMIN_PASSWORD], check=True,
                       input=ldif.encode(), capture_output=True, timeout=PATIENCE_S)
