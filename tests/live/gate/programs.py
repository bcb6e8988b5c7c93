# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of a live test, each in the test's folder, on loopback and on free ports; each is ended by its own number."""

import grp
import os
import pathlib
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import time

PATIENCE_S = 60  # before a test gives up on a machine that is busy; nothing is measured with it
START_TRIES = 5  # somebody else may be quicker at a port that was free
SYSTEM_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
DOVECOT = shutil.which("dovecot", path=SYSTEM_PATH)
POSTFIX_MASTER = shutil.which("master", path="/usr/lib/postfix/sbin:/usr/libexec/postfix")

# What mail servers are asked for, and how Dovecot calls the services and their listeners: in clear, with TLS at once.
PROTOCOLS = ("imap", "pop3", "submission", "sieve")
DOVECOT_NAMES = {"imap": ("imap-login", "imap", "imaps"), "pop3": ("pop3-login", "pop3", "pop3s"),
                 "submission": ("submission-login", "submission", "submissions"), "sieve": ("managesieve-login", "sieve", "sieves")}


def wait_until(holds, what):
    """Waits for something true, and returns it. `what` may be a function, for what is known in the end only."""
    end = time.monotonic() + PATIENCE_S
    while not (value := holds()):
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain: {what() if callable(what) else what}")
        time.sleep(0.02)
    return value


def free_ports(count):
    """Below those that the kernel gives to whoever names none (ip(7), ip_local_port_range): it would give one away before it is used."""
    ports = []
    while len(ports) < count:
        port = random.randrange(10000, 32768)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


def owner():
    """Whose mailboxes they are: Dovecot serves none of root's."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


class Program:
    """A process with a log file."""

    def __init__(self, log_path):
        self.log_path = pathlib.Path(log_path)
        self.log_path.touch()
        self.process = None

    def run(self, command, **options):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **options)

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_for_log(self, pattern, since=0):
        """The first match behind so many characters of the log."""
        return wait_until(lambda: re.search(pattern, self.log()[since:], re.M), lambda: f"for {pattern} in the log: {self.log()[-2000:]}")

    def hear(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """Ends the process, if it still runs; its exit status."""
        if self.process is None:
            return None
        if self.is_alive():
            self.hear(number)
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


class Dovecot(Program):
    """A mail server with mailboxes in `folder`. `users` and `masters` are names with passwords.

    It speaks `protocols` in clear at `ports`; given a `certificate` (file.crt and file.key of the folder), also with STARTTLS there and
    with TLS at once at `tls_ports`: all but ManageSieve, whose greeting Dovecot 2.3 then keeps to itself in one connection of twenty.
    Mail goes on to `relay_port`. With `haproxy`, every connection must begin with a PROXY header."""

    def __init__(self, folder, users, masters, protocols=("imap",), certificate=None, relay_port=None, haproxy=False, settings=""):
        super().__init__(folder / "dovecot.log")
        self.folder = folder
        self.homes = folder / "homes"
        self.protocols, self.certificate, self.relay_port = protocols, certificate, relay_port
        self.haproxy, self.settings = haproxy, settings
        self.ports = self.tls_ports = self.port = None
        self.has_started = False
        write_passwords(folder / "users", users)
        write_passwords(folder / "masters", masters)
        for user in users:
            for part in ("cur", "new", "tmp"):
                (self.homes / user / "Maildir" / part).mkdir(parents=True)
            self.deliver(user, f"Subject: The mailbox of {user}\r\n\r\nThis is {user}'s.\r\n")
        self.config = folder / "dovecot.conf"

    def deliver(self, user, text):
        """A mail from outside of the gate."""
        box = self.homes / user / "Maildir"
        name = f"{len(list(box.glob('*/*')))}.{time.monotonic_ns()}.localhost"
        (box / "tmp" / name).write_bytes(text.encode())
        if os.geteuid() == 0:
            for path in (self.homes, *self.homes.rglob("*")):
                os.chown(path, owner().pw_uid, owner().pw_gid)
        (box / "tmp" / name).rename(box / "new" / name)

    def start(self):
        # On the same ports whenever it comes back, so that routes stay true.
        for _ in range(START_TRIES):
            if not self.has_started:
                self.choose_ports()
            if self.try_start():
                self.has_started = True
                return
            if self.has_started or "Address already in use" not in self.log():
                break
        raise AssertionError("Dovecot does not start: " + self.log())

    def choose_ports(self):
        ports = free_ports(2 * len(self.protocols))
        self.ports = dict(zip(self.protocols, ports))
        self.tls_ports = dict(zip(self.protocols, ports[len(self.protocols):])) if self.certificate else {}
        self.tls_ports.pop("sieve", None)
        self.port = self.ports[self.protocols[0]]

    def try_start(self):
        self.config.write_text(self.text())
        if not self.has_started:
            self.log_path.write_text("")
        self.run([DOVECOT, "-F", "-c", str(self.config)])
        wait_until(lambda: not self.is_alive() or self.greets(), lambda: "for Dovecot: " + self.log())
        return self.is_alive()

    def greets(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE_S) as sock:
                if self.haproxy:
                    sock.sendall(b"PROXY UNKNOWN\r\n")
                return sock.recv(4) == b"* OK"
        except ConnectionError:
            return False

    def text(self):
        me, folder = owner(), self.folder
        text = f"""
            base_dir = {folder}/run
            state_dir = {folder}/state
            log_path = {self.log_path}
            protocols = {" ".join(self.ports)}
            listen = 127.0.0.1
            disable_plaintext_auth = no
            auth_failure_delay = 0
            mail_max_userip_connections = 0
            default_client_limit = 2000
            default_process_limit = 300
            first_valid_uid = 1
            mail_location = maildir:~/Maildir
            auth_master_user_separator = *
            passdb {{
              driver = passwd-file
              master = yes
              args = scheme=PLAIN {folder}/masters
            }}
            passdb {{
              driver = passwd-file
              args = scheme=PLAIN {folder}/users
            }}
            userdb {{
              driver = static
              args = uid={me.pw_uid} gid={me.pw_gid} home={self.homes}/%u
            }}
            # Otherwise each refused login of an address waits longer than the one before.
            service anvil {{
              unix_listener anvil-auth-penalty {{
                mode = 0
              }}
            }}
            """
        text += self.tls_text() + "".join(self.service_text(protocol) for protocol in self.ports)
        if self.relay_port:
            text += f"""
            submission_relay_host = 127.0.0.1
            submission_relay_port = {self.relay_port}
            """
        if os.geteuid() != 0:
            text += f"""
            default_internal_user = {me.pw_name}
            default_internal_group = {grp.getgrgid(me.pw_gid).gr_name}
            default_login_user = {me.pw_name}
            """ + "".join(f"service {name} {{\n chroot =\n}}\n"
                          for name in ("anvil", *(DOVECOT_NAMES[protocol][0] for protocol in self.ports)))
        return text + self.settings

    def tls_text(self):
        if not self.certificate:
            return "ssl = no\n"
        return f"ssl = yes\nssl_cert = <{self.folder}/{self.certificate}.crt\nssl_key = <{self.folder}/{self.certificate}.key\n"

    def service_text(self, protocol):
        service, clear, implicit = DOVECOT_NAMES[protocol]
        haproxy = "haproxy = yes" if self.haproxy else ""
        tls_port = self.tls_ports.get(protocol)
        with_tls = f"port = {tls_port}\nssl = yes\n{haproxy}" if tls_port else "port = 0"
        return (f"service {service} {{\n inet_listener {clear} {{\n port = {self.ports[protocol]}\n{haproxy}\n }}\n"
                f" inet_listener {implicit} {{\n {with_tls}\n }}\n}}\n")


def write_passwords(path, users):
    path.write_text("".join(f"{user}:{password}\n" for user, password in users.items()))
    path.chmod(0o644)


class Postfix(Program):
    """A mail server that hands all mail on to `relay_port`, with a folder of its own for everything; only root can run it, since its
    parts run as other users. It asks Dovecot's socket `auth` about logins, and has `certificate` (file.crt and file.key of the folder)
    for STARTTLS. At `port` it takes connections as they are, at `proxied_port` those that begin with a PROXY header."""

    def __init__(self, folder, auth, certificate, relay_port):
        self.folder = folder / "postfix"
        super().__init__(folder / "postfix.log")
        self.port = self.proxied_port = None
        for part in ("etc", "data", "queue"):
            (self.folder / part).mkdir(parents=True)
        user = pwd.getpwnam("postfix")
        os.chown(self.folder / "data", user.pw_uid, user.pw_gid)
        # Else `postfix start` would make them, which takes longer than all else here.
        for part in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "pid", "private", "public", "saved",
                     "trace"):
            (self.folder / "queue" / part).mkdir()
            if part != "pid":
                os.chown(self.folder / "queue" / part, user.pw_uid, user.pw_gid)
        (self.folder / "etc" / "main.cf").write_text(f"""
compatibility_level = 3.6
queue_directory = {self.folder}/queue
data_directory = {self.folder}/data
maillog_file = {self.log_path}
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1, ::1
inet_protocols = all
myhostname = store.example.test
mydestination =
mynetworks =
alias_maps =
alias_database =
local_recipient_maps =
append_dot_mydomain = no
local_header_rewrite_clients =
notify_classes =
default_transport = smtp:[127.0.0.1]:{relay_port}
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_authorized_xclient_hosts = 127.0.0.1
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {auth}
smtpd_sasl_authenticated_header = yes
smtpd_tls_security_level = may
smtpd_tls_cert_file = {folder}/{certificate}.crt
smtpd_tls_key_file = {folder}/{certificate}.key
smtpd_error_sleep_time = 0
smtpd_hard_error_limit = 1000
smtpd_junk_command_limit = 1000
""")

    def start(self):
        for _ in range(START_TRIES):
            self.choose_ports()
            # It ends its process group with itself, so that must be one of its own.
            self.run([POSTFIX_MASTER, "-c", str(self.folder / "etc"), "-d"], start_new_session=True)
            wait_until(lambda: not self.is_alive() or self.greets(), lambda: "for Postfix: " + self.log())
            if self.is_alive():
                return
        raise AssertionError("Postfix does not start: " + self.log())

    def choose_ports(self):
        self.port, self.proxied_port = free_ports(2)
        (self.folder / "etc" / "master.cf").write_text(f"""
127.0.0.1:{self.port} inet n - n - - smtpd
127.0.0.1:{self.proxied_port} inet n - n - - smtpd -o smtpd_upstream_proxy_protocol=haproxy
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
anvil unix - - n - 1 anvil
smtp unix - - n - - smtp
""")

    def greets(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE_S) as sock:
                return sock.recv(4) == b"220 "
        except ConnectionError:
            return False


class Helper(Program):
    """postern-auth with an embedded database, or with another `source`: the lines of its [[source]]."""

    def __init__(self, binary, folder, source=""):
        super().__init__(folder / "postern-auth.log")
        self.binary = binary
        self.socket = folder / "auth.sock"
        self.config = folder / "postern-auth.toml"
        self.config.write_text(f'socket = "{self.socket}"\nreject_delay = "50ms"\nscheme = "sha512"\n'
                               "[[source]]\n" + (source or f'type = "sqlite"\ndatabase = "{folder}/users.db"\n'))

    def hash(self, password, scheme):
        """As it stands in a passwd-file."""
        return subprocess.run([self.binary, "hash", "--scheme", scheme, "--password-stdin"], input=password + "\n", text=True, check=True,
                              capture_output=True, timeout=PATIENCE_S).stdout.strip()

    def add(self, user, *passwords, **route):
        """The passwords are those that the options ask for, in order: the user's own first."""
        options = [word for key, value in route.items()
                   for word in (["--" + key.replace("_", "-")] + ([] if value is True else [str(value)]))]
        subprocess.run([self.binary, "user", "add", user, "-c", str(self.config), "--password-stdin", *options],
                       input="".join(word + "\n" for word in passwords), text=True, check=True, timeout=PATIENCE_S)

    def start(self):
        self.run([self.binary, "-c", str(self.config)])
        wait_until(self.is_up, lambda: "for postern-auth: " + self.log())

    def is_up(self):
        if not self.is_alive():
            raise AssertionError("postern-auth has ended: " + self.log())
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0


class Gate(Program):
    """The gate. `settings` makes its configuration, given its ports: implicit TLS, STARTTLS, none; or as many as it wants."""

    def __init__(self, binary, folder, settings, port_count=3):
        super().__init__(folder / "postern.log")
        self.binary, self.settings, self.port_count = binary, settings, port_count
        self.config = folder / "postern.toml"
        self.ports = None

    def configure(self):
        self.config.write_text(self.settings(*self.ports))

    def start(self, **options):
        for _ in range(START_TRIES):
            self.ports = free_ports(self.port_count)
            self.configure()
            self.log_path.write_text("")
            self.run([self.binary, "-c", str(self.config)], **options)
            wait_until(lambda: " started " in self.log() or not self.is_alive(), lambda: "for the gate: " + self.log())
            if self.is_alive():
                return
            if "another program listens" not in self.log():
                break
        raise AssertionError("the gate does not start: " + self.log())

    def wait_for_capabilities(self, *pools):
        """Until it is known what the mail servers of the pools can do, and announced before login."""
        for pool in pools:
            self.wait_for_log(rf" pool pool={pool} members=\d+ up=[1-9]")

    def reload(self):
        """SIGHUP, and the log's lines about it."""
        before = len(self.log())
        self.hear(signal.SIGHUP)
        wait_until(lambda: re.search(r" notice reloaded |the old configuration stays", self.log()[before:]), "for the reload")
        return self.log()[before:]

    def status(self):
        """What the reactors say of themselves: a dictionary of figures for each."""
        before = len(self.log())
        self.hear(signal.SIGUSR1)
        count = int(self.wait_for_log(r" started .*reactors=(\d+)").group(1))
        lines = wait_until(lambda: (found := re.findall(r" status (.*)\n", self.log()[before:])) and len(found) >= count and found,
                           "for the figures")
        return [{key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", line)} for line in lines]

    def total(self, figure):
        return sum(one[figure] for one in self.status())

    def descriptors(self):
        """None unless root asks: a process that leaves no core files hides them from everybody else."""
        return None if os.geteuid() != 0 else len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory_kb(self):
        """Memory of its own, without what it shares with its file."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"RssAnon:\s+(\d+)", status).group(1))

    def is_sanitised(self):
        """Sanitizers keep freed memory for a while."""
        return b"__asan_init" in pathlib.Path(self.binary).read_bytes()
