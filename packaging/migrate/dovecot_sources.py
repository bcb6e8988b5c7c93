# SPDX-License-Identifier: GPL-3.0-or-later
"""Dovecot's passdbs and their extra fields as [[source]]s of postern-auth.toml."""

import re

import migrate
from dovecot_query import HARMLESS, Query
from dovecot_settings import HIDDEN, Settings, parse, variables
from migrate import Failure, name_of

DRIVERS = {"pgsql": "postgresql", "postgresql": "postgresql", "mysql": "mysql"}
# Those that have another name here.
ATTRIBUTES = {"destuser": "back_user", "user": "back_user", "master": "master_user", "allow_nets": "allow_nets"}

# What is read of a passdb, and of the file that its args name in 2.3; the second part is about other things than logins.
KNOWN = re.compile(r"(driver|args|name|(default_|override_)?fields(_.*)?|deny|master|pass|result_.*|skip|mechanisms(_filter)?|username_filter|query|filter|base|bind|bind_userdn|path|password|"
                   r"service_name|default_password_scheme|connect|password_query|default_pass_scheme|uris|hosts|dn|dnpass|auth_bind|auth_bind_userdn|pass_filter|pass_attrs|tls|starttls|"
                   r"sasl_bind|scope|ldap_.*)")
ABOUT_OTHER = re.compile(r"(auth_verbose|use_cache|use_worker|userdb.*|user_.*|iterate_.*|update_.*|debug_level|deref|blocking)")


class Fields:
    """Extra fields: proxy=y host=10.0.0.1 ... as attributes of a route."""

    def __init__(self, pairs, place, report):
        self.values = dict(pairs)
        self.place, self.report = place, report
        self.attributes = {}
        self.tls = "none"
        for name, value in self.values.items():
            self.take(name, value)
        if self.values.get("pass", "%w") != "%w" and self.expanded("pass") is not None:
            self.attributes["master_password" if self.attributes.get("master_user") else "back_password"] = self.values["pass"]

    def remark(self, what, why, instead):
        self.report.remark(self.place, f'"{what}" of the extra fields', why, instead)

    def has(self, name):
        return self.values.get(name, "n" if name == "nopassword" else "").lower() not in ("", "n", "no")

    def expanded(self, name):
        text = variables(self.values[name])
        if text is None:
            self.remark(name, "it has a variable that a route does not know", "Use {user}, {local} or {domain}, or a database with a column for it")
        return text

    def take(self, name, value):
        if name in ("ssl", "starttls"):
            if value.lower() not in ("n", "no"):
                self.tls, self.tls_word = "implicit" if name == "ssl" else "starttls", name
            if value == "any-cert":
                self.remark(name, "Postern always verifies the mail server's certificate", "Pin its key by tls_pins in the [[pool]]")
        elif name == "proxy_mech":
            if value.upper() in ("PLAIN", "LOGIN"):
                self.attributes["mechanism"] = value.upper()
            else:
                self.remark(name, "a route can have PLAIN or LOGIN", "Set master_user and master_password if the mail server's login needs one")
        elif name in ATTRIBUTES:
            text = self.expanded(name)
            if text and not (name == "user" and "destuser" in self.values):
                self.attributes[ATTRIBUTES[name]] = text.split(",") if name == "allow_nets" else text
        elif name not in ("host", "hostip", "port", "pass", "password") and not HARMLESS.fullmatch(name):
            self.report.remark(self.place, f"{name_of(name)} of the extra fields", "it has no counterpart in a route", "See the attributes of a route in postern-auth.toml(5)")

    def server(self):
        """None: there is none, or (with a remark) it depends on the user."""
        host = self.values.get("hostip") or self.values.get("host")
        if not host:
            return None
        server = migrate.parse_server(host) if "%" not in host else None
        port = self.values.get("port", "")
        if server is None or (port and migrate.port_number(port) is None):
            self.remark("host", "it is no fixed address or name", "Give these users a database with a column back, or a [[pool]] with balance = \"user-hash\"")
            return None
        return migrate.Server(server.host, migrate.port_number(port) if port else server.port)

    def opens_the_door(self):
        return self.has("nopassword") and ("back_password" in self.attributes or "master_user" in self.attributes)


def words_as_pairs(text):
    return [(name, value if equals else "y") for name, equals, value in (word.partition("=") for word in text.split())]


class Passdbs:
    """Writes the [[source]]s."""

    def __init__(self, root, disk, gate, back, report, document):
        self.settings, self.root = Settings(root), root
        self.disk, self.gate, self.back, self.report, self.document = disk, gate, back, report, document
        self.more = []  # further files with secrets
        self.written = 0
        self.default_taken = False
        self.alone = sum(node.name == "passdb" and node.children is not None for node in root.children) == 1

    def add(self, node):
        driver = Settings(node).text("driver") or node.value
        prefixes = ("passdb_", driver.replace("-", "_") + "_")
        settings = Settings(node, prefixes)
        self.remark_unknown(settings, "of a passdb")
        for name, why, instead in (("deny", "there is no source that only refuses", "Disable these users: postern-auth user set --disable"),
                                   ("master", "nobody logs in as somebody else by his name", "Use master_user of a route for those who need it"),
                                   ("pass", "a source is not asked after another one has said yes", "Put both into one database")):
            if settings.yes(name):
                return self.report.remark(node.place, f'a passdb with {name} = yes', why, instead)
        for name in ("result_success", "result_failure", "result_internalfail", "skip", "mechanisms", "mechanisms_filter", "override_fields"):
            if settings.first(name):
                self.report.remark(settings.first(name).place, f'"{name}"', "sources have one order: an unknown user goes on, a wrong password ends", "See whether that is what you want")
        makers = {"static": self.static, "sql": self.sql, "ldap": self.ldap, "passwd-file": self.passwd_file, "pam": self.pam}
        if driver not in makers:
            instead = {"oauth2": 'Write a [[source]] of type = "oauth2"', "imap": 'Write a [[source]] of type = "login"'}.get(driver, "See the types of [[source]] in postern-auth.toml(5), or use a helper of your own")
            return self.report.remark(node.place, f"a passdb with the driver {name_of(driver)}", "its settings are too different", instead)
        if not makers[driver](node, settings):
            return None
        if self.written:
            self.report.remark(node.place, "a further passdb", "Dovecot asked it after a wrong password too; Postern asks it for unknown users only", "Let each user be known to one source")
        self.written += 1
        return None

    def remark_unknown(self, settings, where):
        for name, node in settings.values.items():
            if ABOUT_OTHER.fullmatch(name):
                self.report.pass_over(name)
            elif not KNOWN.fullmatch(name):
                self.report.remark(node.place, f"{name_of(name)} {where}", "this converter does not know it", "See what it did, and look for its counterpart in postern-auth.toml(5)")

    def source(self, kind, settings, comment=""):
        self.document.secret |= bool({"master_password", "back_password", "password"} & set(settings))
        self.document.table("[[source]]", {"type": kind, **settings}, comment)
        return True

    def pairs(self, node, settings, words=""):
        """All extra fields of a passdb, wherever they stand."""
        pairs = words_as_pairs(words)
        for name in ("default_fields", "override_fields"):
            pairs += words_as_pairs(settings.text(name))
        for child in node.children:
            if child.children is not None and re.fullmatch("(passdb_)?(default_|override_)?fields", child.name):
                pairs += [(field.name, field.value) for field in child.children]
        return pairs

    def fields(self, node, settings, words=""):
        return Fields(self.pairs(node, settings, words), node.place, self.report)

    def route(self, fields, everybody=False):
        """The attributes of a source's users; its mail server becomes the listeners' pool if all sources can share it."""
        attributes = dict(fields.attributes)
        if not fields.has("proxy_not_trusted"):
            attributes["xclient"] = "yes"  # a proxy of Dovecot tells the mail server who the mail program is
        server = fields.server()
        if server is None:
            if fields.tls != "none":
                attributes["tls"] = fields.tls
                fields.remark(fields.tls_word, "the roots for TLS to the mail servers of a database are those of the listener's pool", "Add a [[pool]] with tls, tls_ca and tls_name or tls_pins")
            return attributes
        ca = self.settings.text("ssl_client_ca_file")
        more = {"tls_ca": ca} if ca and fields.tls != "none" else {}
        if everybody and not self.default_taken:
            self.default_taken = True
            self.back.everybody(fields.place, {protocol: [server] for protocol in self.gate.protocols()}, fields.tls, **more)
            return attributes
        return {**self.back.route(fields.place, [server], fields.tls, **more), **attributes}

    def static(self, node, settings):
        fields = self.fields(node, settings, settings.text("args"))
        password = fields.values.get("password") or settings.text("password")
        if fields.opens_the_door():
            return self.remark_open_door(node, "a static passdb")
        if not password and not fields.has("nopassword"):
            return self.report.remark(node.place, "a static passdb", "it has neither a password nor nopassword, so nobody could log in by it", "It was left out")
        match = settings.text("username_filter").split() or ["*"]
        if any(pattern.startswith("!") or re.search(r"[?,]", pattern) for pattern in match):
            return self.report.remark(node.place, '"username_filter"', "a source knows patterns with asterisks, and none that exclude", "It was left out; write a [[source]] for the users who are left")
        checks = {"password": password if password.startswith("{") else "{PLAIN}" + password} if password else {"check": "back"}
        return self.source("static", {"match": match, **checks, **self.route(fields, everybody=match == ["*"])})

    def remark_open_door(self, node, what):
        self.report.remark(node.place, what, "with nopassword and a password for the mail server it lets everybody in who knows a name", "It was left out; use a source that verifies passwords")

    def passwd_file(self, node, settings):
        words = settings.text("args").split()
        path = (words[-1] if words else "") or settings.text("path")
        for word in words[:-1]:
            if word.lower() not in ("scheme=crypt", "username_format=%u", "username_format=%lu"):
                self.report.remark(node.place, f"{name_of(word.partition('=')[0])} of the passwd-file", "the file's hashes name their scheme, and names are compared in lower case", "Write {SCHEME} before each hash that is not crypt's own")
        if not path.startswith("/") or "%" in path:
            return self.report.remark(node.place, "a passwd-file", "its path depends on the user, or does not begin with a slash", 'Join the files, and write a [[source]] of type = "passwd-file"')
        return self.source("passwd-file", {"file": path, **self.route(self.fields(node, settings), everybody=self.alone)})

    def pam(self, node, settings):
        words = [word for word in settings.text("args").split() if "=" not in word]
        if len(words) < len(settings.text("args").split()):
            self.report.remark(node.place, "options of the PAM passdb", "they have no counterpart", "See what they did")
        name = (words or [settings.text("service_name") or "dovecot"])[-1]
        if name == "*" or "%" in name:
            self.report.remark(node.place, "the PAM service", "it was another one for each protocol", "Its name became dovecot; make that service the one to ask")
            name = "dovecot"
        return self.source("pam", {"service": name, **self.route(self.fields(node, settings), everybody=self.alone)})

    def file_of(self, node, settings):
        """The settings of the file that args names."""
        path = settings.text("args").split()[-1]
        try:
            text = self.disk.read(path)
        except Failure as failure:
            self.report.remark(node.place, "the file of a passdb", str(failure).partition(". ")[0], "Run this as root, or with --root")
            return None
        joined = re.sub(r"\\\n\s*", " ", text)
        settings = Settings(parse(path, joined))
        self.remark_unknown(settings, "of its file")
        return settings

    # SQL.

    def sql(self, node, settings):
        own = self.file_of(node, settings) if settings.text("args") else settings
        if own is None:
            return None
        if settings.text("args"):
            driver, connection, query, scheme = own.text("driver"), own.text("connect"), own.first("password_query"), own.text("default_pass_scheme")
        else:
            driver, query = self.settings.text("sql_driver"), settings.first("query")
            scheme, connection = settings.text("default_password_scheme") or self.settings.text("default_password_scheme", "passdb_default_password_scheme"), self.connection(driver)
        if driver not in DRIVERS or not connection or query is None:
            return self.report.remark(node.place, "an SQL passdb", "it has no driver of pgsql or mysql, no connection or no query", "Write a [[source]] of type = \"postgresql\" or \"mysql\"; for users in SQLite, move them by `postern-auth user add`")
        if scheme and scheme.upper() not in ("CRYPT", "PLAIN-TRUNC"):
            self.report.remark(node.place, "the default scheme of passwords", "hashes without {SCHEME} before them are taken as crypt's own", "Let the query write it: '{" + name_of(scheme).strip('"') + "}' before the hash")
        route = self.route(self.fields(node, settings), everybody=self.alone)
        text, checked_at_back, brings_password = Query(query, DRIVERS[driver], self.report).converted()
        if checked_at_back and (brings_password or {"back_password", "master_user"} & set(route)):
            return self.remark_open_door(node, "an SQL passdb")
        return self.source(DRIVERS[driver], {**self.database(DRIVERS[driver], connection), "query": text, "check": "back" if checked_at_back else None, **route})

    def database(self, kind, connection):
        """Where it is, from libpq's `host=... dbname=...`, which Dovecot uses for all of them; the password goes into a file."""
        said = {name: re.sub(r"\\(.)", r"\1", value[1:-1] if value.startswith("'") else value)
                for name, value in re.findall(r"(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|\S+)", connection)}
        password = said.pop("password", None)
        if kind == "postgresql":
            written = {"connection": " ".join(f"{name}={self.connection_value(value)}" for name, value in said.items())}
        else:
            host = said.get("host", "localhost")
            written = {"socket" if host.startswith("/") else "host": host, "port": int(said["port"]) if said.get("port", "").isdigit() else None,
                       "database": said.get("dbname"), "user": said.get("user")}
        if password:
            written["password_file"] = self.password_file(f"{kind}-password", password)
        return {name: value for name, value in written.items() if value}

    def password_file(self, name, password):
        """A file beside the configuration; its path once it is in place."""
        name += f"-{len(self.more) + 1}" if self.more else ""
        self.more.append(PasswordFile(name, password))
        return f"/etc/postern/{name}"

    def connection(self, driver):
        """2.4's block `mysql localhost { user = ... }` as one line."""
        for child in self.root.children:
            if child.name == driver and child.children is not None:
                inside = Settings(child, (driver + "_", "parameters_"))
                if inside.first("password") and not inside.text("password"):
                    self.report.remark(inside.first("password").place, "the password of the database", "doveconf has hidden it", "Add it to connection, or run `doveconf -nP`")
                pairs = [("host", child.value), *((name, inside.text(name)) for name in ("port", "dbname", "user", "password") if inside.text(name))]
                return " ".join(f"{name}={self.connection_value(value)}" for name, value in pairs if value)
        return ""

    @staticmethod
    def connection_value(value):
        return value if re.fullmatch(r"[^\s'\\]+", value) else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

    # LDAP.

    def ldap(self, node, settings):
        own = self.file_of(node, settings) if settings.text("args") else settings
        if own is None:
            return None
        around = own if settings.text("args") else self.settings
        uri = around.text("uris", "ldap_uris") or " ".join(f"ldap://{host}" for host in around.text("hosts").split())
        uris = uri.split()
        written = {"uri": uris if len(uris) > 1 else uri, "base": self.expanded(own.first("base") or around.first("ldap_base"), "base"),
                   "filter": self.expanded(own.first("pass_filter", "filter"), "filter", "%"), "bind_dn": around.text("dn", "ldap_auth_dn") or None,
                   "user_dn": self.expanded(own.first("auth_bind_userdn", "bind_userdn"), "user_dn", "%")}
        self.ldap_remarks(node, own, around)
        secret = around.first("dnpass", "ldap_auth_dn_password")
        if written["user_dn"]:
            # Nobody is searched for then, and nobody has to search.
            written = {name: written[name] for name in ("uri", "user_dn")}
            secret = None
        # Dovecot says what its directory's connections are; Postern wants it said where passwords would go in clear.
        if any(one.startswith("ldap://") for one in uris):
            written["start_tls"] = around.yes("tls", "ldap_starttls")
        if secret is not None and secret.value and secret.value != HIDDEN:
            written["bind_password_file"] = self.password_file("ldap-bind-password", secret.value)
        elif secret is not None and secret.value:
            written["bind_password_file"] = "/etc/postern/ldap-bind-password"
            self.report.remark(secret.place, "the password of bind_dn", "doveconf has hidden it", "Write it into /etc/postern/ldap-bind-password, of mode 0600, or run `doveconf -nP`")
        if not uri:
            return self.report.remark(node.place, "an LDAP passdb", "it names no server", 'Write a [[source]] of type = "ldap"')
        return self.source("ldap", {**{key: value for key, value in written.items() if value not in (None, "", [])}, **self.route(self.ldap_fields(node, settings, own), everybody=self.alone)})

    def expanded(self, node, name, mark="%"):
        if node is None or not node.value:
            return None
        text = variables(node.value, mark)
        if text is None:
            self.report.remark(node.place, f"{name_of(node.name)}", "it has a variable that Postern does not know", f"Set {name} of the [[source]]")
        return text

    def ldap_fields(self, node, settings, own):
        """What pass_attrs says for all users; what comes out of the directory is a remark."""
        pairs, from_directory = self.pairs(node, settings), []
        for item in own.text("pass_attrs").split(","):
            attribute, _, field = item.strip().partition("=")
            name, equals, value = field.partition("=")
            if not attribute and field and "%" not in value:
                pairs.append((name, value if equals else "y"))
            elif field and name not in ("password", "user"):
                from_directory.append(name)
        fixed = [(name, value) for name, value in pairs if "%{ldap:" not in value]
        from_directory += [name for name, value in pairs if "%{ldap:" in value and name not in ("password", "user")]
        for name in from_directory:
            if not name.startswith("userdb_"):
                self.report.remark(node.place, f"{name_of(name)} out of the directory", "this converter does not know which attribute gives which part of a route", "See the type ldap in postern-auth.toml(5)")
        return Fields([(name, value) for name, value in fixed if name not in ("password", "user")], node.place, self.report)

    def ldap_remarks(self, node, own, around):
        if not own.yes("auth_bind", "bind"):
            self.report.remark(node.place, "an LDAP passdb without auth_bind", "Dovecot read the hash out of the directory; the source logs in there as the user", "See the type ldap in postern-auth.toml(5)")
        for name, why in (("sasl_bind", "a SASL bind"), ("scope", "a scope"), ("ldap_scope", "a scope")):
            found = around.first(name) or own.first(name)
            if found and found.value not in ("no", "", "subtree"):
                self.report.remark(found.place, name_of(name), f"{why} is not carried over", "See the type ldap in postern-auth.toml(5), or write ldaps:// in uri")


class PasswordFile(migrate.Document):
    """A file that holds a password and nothing else."""

    def __init__(self, name, password):
        super().__init__(name, [])
        self.secret = True
        self.password = password

    def text(self):
        return self.password + "\n"
