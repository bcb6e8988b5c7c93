# SPDX-License-Identifier: GPL-3.0-or-later
"""What the converters share: reading old files within limits, a report of what could not be carried over, and writing both new files."""

import argparse
import dataclasses
import ipaddress
import os
import re
import signal
import sys
import tempfile

CLEAN, FAILED, WITH_REMARKS = 0, 1, 3

# A popmap of a million users has some 40 MiB; what is larger is no configuration.
FILE_SIZE_MAX = 64 << 20
# The longest lines of real files are lists of capabilities and SQL queries: a few kilobytes.
LINE_SIZE_MAX = 64 << 10
# What postern and postern-auth read at most.
TOML_SIZE_MAX = 4 << 20
# A remark a line of a broken file would bury the useful ones.
REMARKS_MAX = 1000

# The words of postern.toml, with the ports of each protocol: without and with TLS from the first byte.
PORTS = {"imap": (143, 993), "pop3": (110, 995), "submission": (587, 465), "sieve": (4190, 4190)}
PORT_NAMES = {"imap": 143, "imap2": 143, "imaps": 993, "pop3": 110, "pop-3": 110, "pop3s": 995, "smtp": 25, "submission": 587,
              "submissions": 465, "smtps": 465, "sieve": 4190, "managesieve": 4190}
# Which of the two ports goes with which way to the mail server.
BACK_TLS_PORT = {"none": 0, "starttls": 0, "implicit": 1}


class Failure(Exception):
    """Nothing can be written; the text says why and what to do."""


@dataclasses.dataclass(frozen=True)
class Place:
    file: str
    line: int = 0

    def __str__(self):
        return printable(self.file, 4096) + (f":{self.line}" if self.line else "")


def printable(text, size_max=80):
    """For a terminal: control characters and what is no ASCII are escaped."""
    shown = "".join(c if " " <= c <= "~" else c.encode("unicode_escape").decode() if c < "\ud800" else "?" for c in text[:size_max])
    return shown + ("..." if len(text) > size_max else "")


def name_of(word):
    """A directive's name for a remark. What does not look like one may be a password that lost its quotes."""
    return f'"{word}"' if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.\-/]{0,59}", word) else "a word that is no name"


class Report:
    def __init__(self):
        self.remarks = {}  # in their order, each once
        self.passed_over = set()

    def remark(self, place, what, why, instead):
        self.remarks[f"{place}: {what}: {why}. {instead}."] = None

    def pass_over(self, name):
        """The old program's own affair: nothing is lost, and nothing needs to be done."""
        self.passed_over.add(name_of(name).strip('"'))

    def lines(self):
        yield from list(self.remarks)[:REMARKS_MAX]
        if len(self.remarks) > REMARKS_MAX:
            yield f"... and {len(self.remarks) - REMARKS_MAX} more."
        if self.passed_over:
            yield "Passed over, since they concern the old program alone: " + ", ".join(sorted(self.passed_over)) + "."


class Disk:
    """Reads the old files, those with paths from "/" on below `root`."""

    def __init__(self, root=""):
        self.root = root.rstrip("/")

    def where(self, path):
        return self.root + path if path.startswith("/") else path

    def read(self, path):
        try:
            descriptor = os.open(self.where(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb") as file:
                data = file.read(FILE_SIZE_MAX + 1)
        except OSError as error:
            raise Failure(f"{printable(path, 4096)}: cannot be read: {error.strerror}. Correct the path, or run this where it can be") from None
        if len(data) > FILE_SIZE_MAX:
            raise Failure(f"{printable(path, 4096)}: is larger than 64 MiB. This is no configuration; correct the path")
        return checked_text(path, data)


def checked_text(path, data):
    for number, line in enumerate(data.split(b"\n"), 1):
        if len(line) > LINE_SIZE_MAX:
            raise Failure(f"{Place(path, number)}: the line is longer than 64 KiB. This is no configuration; correct the path")
        if re.search(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]", line):
            raise Failure(f"{Place(path, number)}: there are control characters, so this is no text. Name the text that the file was made from")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return data.decode("latin-1").replace("\r\n", "\n")


# Addresses.

def is_address(host):
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def is_host(host):
    good = len(host) <= 253 and re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9\-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9\-]*[A-Za-z0-9])?)*", host)
    return bool(good) and not re.fullmatch(r"[0-9.]+", host)


def endpoint(host, port=None):
    shown = f"[{ipaddress.ip_address(host)}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def port_number(text):
    """None: it is none."""
    if text.lower() in PORT_NAMES:
        return PORT_NAMES[text.lower()]
    return int(text) if re.fullmatch(r"[0-9]{1,5}", text) and 0 < int(text) < 65536 else None


def network(text):
    """"10.0.0.0/8" in one spelling; None: it is none."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return None


@dataclasses.dataclass(frozen=True)
class Server:
    """A mail server: an address without brackets or a name, and perhaps a port."""
    host: str
    port: int = None


def parse_server(text):
    """None: it is neither "host", "host:port" nor "[address]:port"."""
    text = text.strip()
    if is_address(text):
        return Server(str(ipaddress.ip_address(text)))
    match = re.fullmatch(r"\[([^\]]+)\](?::(.+))?|([^:\[\]]+)(?::(.+))?", text)
    if not match:
        return None
    host = (match[1] or match[3]).rstrip(".")
    port_text = match[2] or match[4]
    port = port_number(port_text) if port_text else None
    if (port_text and port is None) or not (is_address(host) or is_host(host)):
        return None
    return Server(str(ipaddress.ip_address(host)) if is_address(host) else host.lower(), port)


def milliseconds(text, bare):
    """"60", "60s", "5 mins", "1h30m" and the like; `bare` is the unit of a number without one. None: it is no duration."""
    units = {"ms": 1, "msec": 1, "msecs": 1, "s": 1000, "sec": 1000, "secs": 1000, "m": 60000, "min": 60000, "mins": 60000, "h": 3600000,
             "hour": 3600000, "hours": 3600000, "d": 86400000, "day": 86400000, "days": 86400000, "w": 604800000, "week": 604800000,
             "weeks": 604800000}
    if not re.fullmatch(r"(\s*[0-9]{1,12}\s*[a-zA-Z]*)+\s*", text):
        return None
    total = 0
    for number, unit in re.findall(r"([0-9]+)\s*([a-zA-Z]*)", text):
        if (unit or bare) not in units:
            return None
        total += int(number) * units[unit or bare]
    return total


def duration(ms, least, most):
    """For TOML, within what the setting takes."""
    ms = min(max(ms, least), most)
    for word, size in (("d", 86400000), ("h", 3600000), ("m", 60000), ("s", 1000)):
        if ms % size == 0 and ms:
            return f"{ms // size}{word}"
    return f"{ms}ms"


# TOML.

def toml(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\u{ord(match[0]):04x}", escaped) + '"'


class Document:
    """One file to be written: its name, what stands on top, and its tables."""

    def __init__(self, name, comment):
        self.name = name
        self.parts = ["".join(f"# {line}\n" for line in comment)]
        self.secret = False

    def table(self, heading, settings, comment=""):
        """Settings that are None or empty are left out."""
        lines = [f"# {comment}"] if comment else []
        lines += [heading] if heading else []
        lines += [f"{key} = {toml(value)}" for key, value in settings.items() if value is not None and value not in ([], ())]
        self.parts.append("\n".join(lines) + "\n")

    def comment(self, text):
        self.parts.append(f"# {text}\n")

    def text(self):
        return "\n".join(self.parts)


# postern.toml.

@dataclasses.dataclass
class Listener:
    protocol: str
    addresses: list
    name: str = None
    tls: str = "implicit"
    login_without_tls: bool = None
    pool: str = None
    mechanisms: list = None
    client_ca: str = None
    client_crl: str = None
    webmail: list = None
    capabilities: list = None
    proxy_protocol: bool = None
    trusted: list = None

    def port(self):
        return self.addresses[0].rpartition(":")[2]

    def differs_only_by_address(self, other):
        return self.port() == other.port() and dataclasses.replace(self, addresses=[]) == dataclasses.replace(other, addresses=[])


@dataclasses.dataclass
class Pool:
    name: str
    protocol: str
    members: list
    balance: str = None
    tls: str = "none"
    tls_name: str = None
    tls_ca: str = None
    send_id: bool = None
    proxy_protocol: str = None
    connect_timeout: str = None
    login_timeout: str = None


class Gate:
    """What will be postern.toml."""

    def __init__(self, report):
        self.report = report
        self.gate, self.tls, self.auth, self.limits = {}, {}, {}, {}
        self.certificates, self.listeners, self.pools = [], [], []

    def hostname(self, place, name):
        if not is_host(name):
            self.report.remark(place, "the server's name", "it is no host name", "Set hostname in [gate]")
        elif self.gate.setdefault("hostname", name) != name:
            self.report.remark(place, f"the server's name {printable(name)}", "a gate has one name in its greetings",
                               f"All listeners greet as {self.gate['hostname']}; run a second gate if that matters")

    def certificate(self, chain, key):
        if (chain, key) not in self.certificates:
            self.certificates.append((chain, key))

    def listen(self, place, listener):
        taken = {address for other in self.listeners for address in other.addresses}
        for address in [address for address in listener.addresses if address in taken]:
            self.report.remark(place, f"a second listener on {address}", "an address can be listened on once", "Only the first one was written")
            listener.addresses.remove(address)
        if not listener.addresses:
            return
        for other in self.listeners:
            if other.differs_only_by_address(listener):
                other.addresses += listener.addresses
                return
        self.listeners.append(listener)

    def protocols(self):
        return list(dict.fromkeys(listener.protocol for listener in self.listeners))

    def name_listeners(self):
        """Those that would have the same name by themselves."""
        seen = {}
        for listener in self.listeners:
            name = f"{listener.protocol}-{listener.port()}"
            seen[name] = seen.get(name, 0) + 1
            if seen[name] > 1:
                listener.name = f"{name}-{seen[name]}"

    def document(self, place, comment):
        self.name_listeners()
        if not self.certificates and any(listener.tls != "none" for listener in self.listeners):
            self.report.remark(place, "the certificate", "there is none that could be carried over, and listeners want TLS", "Add a [[tls.certificate]], or set folders in [tls]")
        document = Document("postern.toml", comment)
        for heading, settings in (("[gate]", self.gate), ("[tls]", self.tls)):
            if settings:
                document.table(heading, settings)
        for chain, key in self.certificates:
            document.table("[[tls.certificate]]", {"chain": chain, "key": key})
        for listener in self.listeners:
            document.table("[[listen]]", dataclasses.asdict(listener))
        document.table("[auth]", {"mode": "helper", "helper": "/run/postern/auth.sock", **self.auth})
        for pool in self.pools:
            document.table("[[pool]]", dataclasses.asdict(pool))
        if self.limits:
            document.table("[limits]", self.limits)
        return document


class Back:
    """How the mail servers are reached: decides what becomes a pool and what an address in a user's route.

    A pool speaks one protocol and may hold names; an address in a route serves all protocols and must be numeric. So routes of users get
    pools where the gate speaks one protocol only, and addresses otherwise, from `addresses` where the old file has names.
    """

    def __init__(self, gate, report, addresses):
        self.gate, self.report, self.addresses = gate, report, addresses
        self.routed = []

    def pool_of(self, name, protocol, servers, tls, settings):
        members = []
        for server in servers:
            member = endpoint(server.host, server.port or PORTS[protocol][BACK_TLS_PORT[tls]])
            if member not in members:
                members.append(member)
        tls_name = next((server.host for server in servers if not is_address(server.host)), None) if tls != "none" else None
        pool = Pool(name, protocol, members, tls=tls, tls_name=tls_name, **settings)
        if pool not in self.gate.pools:
            self.gate.pools.append(pool)

    def everybody(self, place, servers_of, tls, **settings):
        """The mail servers of all whose route names none: a pool for each protocol in `servers_of`, which its listeners name."""
        for protocol, servers in servers_of.items():
            name = "default" if len(self.gate.protocols()) == 1 else protocol
            self.pool_of(name, protocol, servers, tls, settings)
            for listener in self.gate.listeners:
                if listener.protocol == protocol and name != "default":
                    listener.pool = name
            self.remark_tls(place, servers, tls)

    def remark_tls(self, place, servers, tls):
        names = {server.host for server in servers if not is_address(server.host)}
        if tls == "none" or len(names) == 1:
            return
        self.report.remark(place, "TLS to the mail servers", "their certificates must show one name, and the old file does not say which",
                           "Set tls_name or tls_pins in the [[pool]]")

    def route(self, place, servers, tls, **settings):
        """The attributes that send a user there. Where that cannot be said, those of a pool that does not exist: his password must not go elsewhere."""
        protocols = self.gate.protocols()
        if len(protocols) == 1:
            name = re.sub(r"[^A-Za-z0-9._\-]", "-", servers[0].host)[:48] + (f"-{servers[0].port}" if servers[0].port else "")
            self.pool_of(name, protocols[0], servers, tls, settings)
            self.remark_tls(place, servers, tls)
            return {"pool": name}
        backs = []
        for server in servers:
            address = server.host if is_address(server.host) else self.addresses.get(server.host)
            if address is None:
                self.report.remark(place, f"the mail server {printable(server.host)}", "a route that serves several protocols needs its address",
                                   f"Run this again with --address {printable(server.host)}=ADDRESS; until then these users cannot log in")
                return {"pool": f"no-address-of-{server.host}"[:64]}
            backs.append(endpoint(address, server.port))
        self.routed.append((place, servers, tls, settings))
        name = next((server.host for server in servers if not is_address(server.host)), None)
        return {"back": backs, **({"tls": tls, "tls_name": name} if tls != "none" else {})}

    def finish(self):
        """TLS to an address in a route takes its roots from the listener's pool, so there must be one."""
        with_tls = [route for route in self.routed if route[2] != "none"]
        if with_tls and not self.gate.pools:
            place, servers, tls, settings = with_tls[0]
            self.everybody(place, {protocol: servers[:1] for protocol in self.gate.protocols()}, tls, **settings)


# The frame of a converter.

def check_free(folder, documents, force):
    for document in documents:
        path = os.path.join(folder, document.name)
        if os.path.lexists(path) and not force:
            raise Failure(f"{printable(path, 4096)}: is there already. Name another folder, or say --force to replace it")


def write_all(folder, documents, force):
    check_free(folder, documents, force)
    os.makedirs(folder, exist_ok=True)
    for document in documents:
        data = document.text().encode("utf-8", "surrogateescape")
        if len(data) > TOML_SIZE_MAX:
            raise Failure(f"{document.name} would be larger than 4 MiB, which postern-auth does not read. Put the users into a database, and ask it "
                          "by a [[source]] of its type, or by a helper of your own (postern-helper(7))")
    for document in documents:
        descriptor, temporary = tempfile.mkstemp(prefix=".postern-migrate-", dir=folder)  # of mode 0600
        try:
            with open(descriptor, "wb") as file:
                file.write(document.text().encode("utf-8", "surrogateescape"))
                if not document.secret:
                    os.fchmod(file.fileno(), 0o644)
            target = os.path.join(folder, document.name)
            if force:
                os.replace(temporary, target)
            else:
                os.link(temporary, target)  # fails if somebody made it meanwhile
        finally:
            if os.path.lexists(temporary):
                os.unlink(temporary)


def parser(program, description, example):
    frame = argparse.ArgumentParser(prog=program, description=description, formatter_class=argparse.RawDescriptionHelpFormatter,
                                    epilog=f"example:\n{example}\n\nexit status: 0 all was carried over, 3 with remarks, 1 nothing was written, "
                                           "2 the command line is wrong")
    frame.add_argument("--out", required=True, metavar="FOLDER", help="where postern.toml and postern-auth.toml are written")
    frame.add_argument("--force", action="store_true", help="replace files that are there already")
    frame.add_argument("--root", default="", metavar="FOLDER", help="paths in the old files are looked for below this folder, for a copy of another machine")
    return frame


def add_address_option(frame):
    frame.add_argument("--address", action="append", default=[], metavar="NAME=ADDRESS", help="the address of a mail server that the old file names; repeatable")


def read_addresses(words):
    addresses = {}
    for word in words:
        name, _, address = word.partition("=")
        if not is_host(name) or not is_address(address):
            raise Failure(f"--address {printable(word)} is no NAME=ADDRESS, such as mail1.example.test=192.0.2.10")
        addresses[name.lower()] = str(ipaddress.ip_address(address))
    return addresses


def run(frame, convert):
    """`convert` takes the arguments and a Report and returns the documents."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    arguments = frame.parse_args()
    report = Report()
    try:
        documents = convert(arguments, report)
        write_all(arguments.out, documents, arguments.force)
    except Failure as failure:
        print(f"{frame.prog}: {failure}.", file=sys.stderr)
        return FAILED
    except OSError as error:
        print(f"{frame.prog}: {printable(str(error.filename or arguments.out), 4096)}: {error.strerror}.", file=sys.stderr)
        return FAILED
    for line in report.lines():
        print(line)
    print("Written: " + ", ".join(os.path.join(arguments.out, document.name) for document in documents))
    return WITH_REMARKS if report.remarks else CLEAN
