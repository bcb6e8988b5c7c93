# SPDX-License-Identifier: GPL-3.0-or-later
"""The gates that are compared: how each is configured to do the same work, as its own manual recommends for load."""

import dataclasses
import os
import re
import resource
import shutil
import subprocess
import time

from . import machine

# nginx, HAProxy, Dovecot and others change user when they start as root. Here everything stays what it is: what is
# compared is not who may read which file.
ROOT = os.geteuid() == 0
PROTOCOLS = ["imap", "pop3", "submission"]
DESCRIPTORS = resource.getrlimit(resource.RLIMIT_NOFILE)[1]


@dataclasses.dataclass
class Setting:
    """What is the same for every gate of a run."""

    directory: str
    protocol: str  # what the gate and the mail server behind it speak
    chain: str
    key: str
    combined: str  # certificate and key in one file
    back: tuple  # (address, port) of the simulated mail server
    auth_http: tuple
    helper: str
    workers: int
    core: int | None  # where the gate must stay; None: anywhere


class Gate:
    """One proxy. Subclasses say how it is found, configured and started."""

    name = ""
    program = ""
    logs_in = True  # False: relays bytes from the start; the login is the mail server's work alone
    descriptors_per_session = 2
    shares_descriptor_limit = False  # one process for all workers
    bulk_share = 1.0  # how much of the bytes to fetch are enough to tell

    def __init__(self, setting):
        self.setting = setting
        self.directory = os.path.join(setting.directory, f"{self.name}-{time.monotonic_ns()}")
        os.mkdir(self.directory)
        self.port = machine.free_port()
        self.log = open(os.path.join(self.directory, "log"), "w+b")
        self.process = None

    @classmethod
    def find(cls):
        """The program's path; None: not installed."""
        return shutil.which(cls.program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin")

    @classmethod
    def version(cls):
        return first_version([cls.find(), "-v"])

    def words(self):
        """Writes the configuration and returns the command line."""
        raise NotImplementedError

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def start(self):
        self.process = machine.start(self.words(), self.log, self.setting.core, cwd=self.directory)
        try:
            machine.wait_for_port(self.port, self.process)
        except RuntimeError as fault:
            self.stop()
            raise RuntimeError(f"{self.name} {fault}: {self.log_tail()}") from fault
        return self

    def stop(self):
        if self.process:
            machine.end(self.process)
            self.process = None

    def log_tail(self):
        self.log.flush()
        self.log.seek(0)
        return self.log.read().decode("utf-8", "replace")[-600:].strip() or "no word in its log"

    def cpu_seconds(self):
        return machine.cpu_seconds(self.process.pid)

    def memory_bytes(self):
        return machine.memory_bytes(self.process.pid)


def first_version(words):
    told = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False)
    found = re.search(r"\d+\.\d+(\.\d+)?", told.stdout + told.stderr)
    return found.group(0) if found else "?"


class Nginx(Gate):
    name = program = "nginx"
    # By protocol. An SMTP login is passed on as it came: without that, the mail server would know of no user.
    protocols = {
        "imap": "protocol imap; imap_auth plain login;",
        "pop3": "protocol pop3; pop3_auth plain;",
        "submission": "protocol smtp; smtp_auth plain login; xclient off; proxy_smtp_auth on;",
    }

    def words(self):
        s = self.setting
        user = "user root;" if ROOT else ""
        module = "/usr/lib/nginx/modules/ngx_mail_module.so"
        load = f"load_module {module};" if os.path.exists(module) else ""
        # accept_mutex: without it one worker takes nearly all of a burst of connections, and then has no descriptors.
        path = self.write(
            "nginx.conf",
            f"""
daemon off; {user} {load}
worker_processes {s.workers};
worker_rlimit_nofile {DESCRIPTORS};
pid {self.directory}/pid;
error_log {self.directory}/error.log warn;
events {{ worker_connections {DESCRIPTORS - 100}; accept_mutex {"on" if s.workers > 1 else "off"}; }}
mail {{
  auth_http {s.auth_http[0]}:{s.auth_http[1]}/;
  ssl_certificate {s.chain};
  ssl_certificate_key {s.key};
  ssl_protocols TLSv1.2 TLSv1.3;
  timeout 1h;
  server {{
    listen 127.0.0.1:{self.port} ssl backlog=4096; server_name mail.example.test;
    {self.protocols[s.protocol]}
  }}
}}
""",
        )
        return [self.find(), "-e", f"{self.directory}/error.log", "-p", self.directory, "-c", path]


class Haproxy(Gate):
    name = "HAProxy"
    program = "haproxy"
    logs_in = False
    shares_descriptor_limit = True

    def words(self):
        s = self.setting
        path = self.write(
            "haproxy.cfg",
            f"""
global
  nbthread {s.workers}
  maxconn {(DESCRIPTORS - 200) // 2}
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode tcp
  timeout connect 10s
  timeout client 1h
  timeout server 1h
frontend mails
  bind 127.0.0.1:{self.port} ssl crt {s.combined} backlog 4096
  default_backend mail
backend mail
  server mail {s.back[0]}:{s.back[1]}
""",
        )
        return [self.find(), "-db", "-f", path]


class Hitch(Gate):
    name = program = "hitch"
    logs_in = False

    @classmethod
    def version(cls):
        return first_version([cls.find(), "--version"])

    def words(self):
        s = self.setting
        user = 'user = "root"\ngroup = "root"' if ROOT else ""
        path = self.write(
            "hitch.conf",
            f"""
frontend = "[127.0.0.1]:{self.port}"
backend = "[{s.back[0]}]:{s.back[1]}"
pem-file = "{s.combined}"
workers = {s.workers}
backlog = 4096
tls-protos = TLSv1.2 TLSv1.3
daemon = off
{user}
""",
        )
        return [self.find(), "--config", path]


class Stunnel(Gate):
    name = "stunnel"
    program = "stunnel4"
    logs_in = False
    shares_descriptor_limit = True

    @classmethod
    def version(cls):
        return first_version([cls.find(), "-version"])

    def words(self):
        s = self.setting
        path = self.write(
            "stunnel.conf",
            f"""
foreground = yes
pid =
debug = err
[mails]
accept = 127.0.0.1:{self.port}
connect = {s.back[0]}:{s.back[1]}
cert = {s.combined}
sslVersionMin = TLSv1.2
TIMEOUTidle = 3600
""",
        )
        return [self.find(), path]


class Dovecot(Gate):
    name = "Dovecot"
    program = "dovecot"
    bulk_share = 0.2  # a GB takes it a quarter of a minute
    # By protocol: its name with TLS from the first byte.
    listeners = {"imap": "imaps", "pop3": "pop3s", "submission": "submissions"}

    @classmethod
    def version(cls):
        return first_version([cls.find(), "--version"])

    def words(self):
        s = self.setting
        users = "" if ROOT else f"default_internal_user = {os.getuid()}\ndefault_login_user = {os.getuid()}\n"
        clients = DESCRIPTORS // 2 - 200
        path = self.write(
            "dovecot.conf",
            f"""
{users}
base_dir = {self.directory}/run
state_dir = {self.directory}/state
log_path = {self.directory}/dovecot.log
protocols = {s.protocol}
listen = 127.0.0.1
ssl = required
ssl_cert = <{s.chain}
ssl_key = <{s.key}
ssl_min_protocol = TLSv1.2
default_vsz_limit = 0
service {s.protocol}-login {{
  service_count = 0
  process_min_avail = {s.workers}
  process_limit = {s.workers}
  client_limit = {clients}
  inet_listener {s.protocol} {{
    port = 0
  }}
  inet_listener {self.listeners[s.protocol]} {{
    port = {self.port}
    ssl = yes
  }}
}}
service auth {{
  client_limit = 30000
}}
service anvil {{
  client_limit = 30000
}}
passdb {{
  driver = static
  args = proxy=y nopassword=y host={s.back[0]} port={s.back[1]}
}}
""",
        )
        os.chmod(self.directory, 0o755)
        return [self.find(), "-F", "-c", path]

    def log_tail(self):
        try:
            with open(f"{self.directory}/dovecot.log", encoding="utf-8", errors="replace") as log:
                return log.read()[-600:].strip()
        except OSError:
            return super().log_tail()


class Postern(Gate):
    name = "Postern"
    program = "postern"
    path = None  # set from the command line

    @classmethod
    def find(cls):
        return cls.path if cls.path and os.access(cls.path, os.X_OK) else None

    @classmethod
    def version(cls):
        return first_version([cls.find(), "--version"])

    def words(self):
        s = self.setting
        path = self.write(
            "postern.toml",
            f"""
[gate]
reactors = {s.workers}
hostname = "mail.example.test"
control = "{self.directory}/control.sock"

[tls]
min_version = "1.2"
[[tls.certificate]]
chain = "{s.chain}"
key = "{s.key}"

[[listen]]
protocol = "{s.protocol}"
addresses = ["127.0.0.1:{self.port}"]
tls = "implicit"

[auth]
mode = "helper"
helper = "{s.helper}"

[[pool]]
name = "default"
protocol = "{s.protocol}"
members = ["{s.back[0]}:{s.back[1]}"]
tls = "none"
""",
        )
        return [self.find(), "-c", path]


ALL = [Postern, Nginx, Haproxy, Hitch, Stunnel, Dovecot]
