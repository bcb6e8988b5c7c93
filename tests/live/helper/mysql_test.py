# SPDX-License-Identifier: GPL-3.0-or-later
"""Users in MariaDB: a real server on a Unix socket and a loopback port, and postern-auth with a query."""

import os
import signal
import socket

import sql_sources
from sql_sources import REJECT, SECRET, UNAVAILABLE, Server, SilentServer


class Mariadb(Server):
    user = "mysql"
    stop_signal = signal.SIGKILL  # at once: nothing is worth being written

    def __init__(self):
        super().__init__()
        self.port = sql_sources.free_port()
        self.socket = self.folder / "s"
        self.run(["mariadb-install-db", "--no-defaults", f"--datadir={self.folder}/data", "--skip-test-db",
                  "--auth-root-authentication-method=normal", "--innodb-flush-method=nosync",
                  "--innodb-log-file-size=4M"], **self.as_user)
        self.make_certificate()

    def command(self):
        return ["/usr/sbin/mariadbd", "--no-defaults", f"--datadir={self.folder}/data", f"--socket={self.socket}",
                f"--pid-file={self.folder}/pid", "--bind-address=127.0.0.1", f"--port={self.port}",
                "--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=8M",
                "--innodb-log-file-size=4M", "--skip-name-resolve", f"--ssl-cert={self.folder}/cert.pem",
                f"--ssl-key={self.folder}/cert-key.pem"]

    def execute(self, sql, database="mail"):
        # Quotes as all databases write them.
        head = f"SET sql_mode = 'NO_BACKSLASH_ESCAPES'; CREATE DATABASE IF NOT EXISTS {database}; USE {database}; "
        return self.run(["mariadb", "--no-defaults", f"--socket={self.socket}", "--user=root",
                         "--default-character-set=utf8mb4", "-BNe", head + sql])

    def prepare_users(self):
        self.execute("CREATE USER postern IDENTIFIED BY 'db-s3cret'; GRANT SELECT, DELETE ON mail.* TO postern")

    def settings(self, folder, password="db-s3cret", where=None):
        file = folder / "password"
        file.write_text(password + "\n")
        os.chmod(file, 0o600)
        where = where or f'socket = "{self.socket}"'
        return f'type = "mysql"\n{where}\ndatabase = "mail"\nuser = "postern"\npassword_file = "{file}"'

    def connections_of(self, _):
        return int(self.execute("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'postern'"))


class MysqlTest(sql_sources.SqlTest):
    make_server = Mariadb

    def test_several_servers(self):
        silent = SilentServer(self, ("127.0.0.1", 0))
        nobody = sql_sources.free_port()
        settings = self.server.settings(
            self.folder, where=f'hosts = ["127.0.0.1:{silent.port}", "127.0.0.1:{nobody}", "127.0.0.1:{self.server.port}"]')
        helper, gate = self.serve(settings.replace('"mysql"', '"mariadb"'))
        descriptors = f"/proc/{helper.process.pid}/fd"
        self.assertEqual(gate.ask("joe@example.test", SECRET)["result"], ["ok"])
        self.assertEqual(len([name for name in os.listdir(descriptors) if self.is_stream(f"{descriptors}/{name}")]), 3,
                         "the gate's listener and connection, and the one server that answers")
        code, text = self.check(settings)
        self.assertEqual(code, 1)
        self.assertIn(f"127.0.0.1:{silent.port}: did not answer in time", text)

    @staticmethod
    def is_stream(path):
        try:
            return os.readlink(path).startswith("socket:")
        except FileNotFoundError:
            return False

    def test_the_server_ends_a_query_that_nobody_waits_for(self):
        _, gate = self.serve(query="SELECT password FROM accounts WHERE name = %{user} AND SLEEP(1000) = 0")
        self.assertEqual(gate.ask("joe@example.test", SECRET), UNAVAILABLE)
        sql_sources.wait_until(lambda: self.server.connections_of(None) == 0, "the end of the query")

    def test_a_table_that_changes_under_a_prepared_query(self):
        self.server.execute("CREATE TABLE moving (name TEXT, password TEXT); INSERT INTO moving VALUES ('joe', '{PLAIN}x')")
        _, gate = self.serve(query="SELECT * FROM moving WHERE name = %{user}")
        self.assertEqual(gate.ask("joe", "x")["result"], ["ok"])
        self.server.execute("ALTER TABLE moving ADD back TEXT; UPDATE moving SET back = '127.0.1.9:143'")
        self.assertEqual(gate.ask("joe", "x")["back"], ["127.0.1.9:143"])

    def test_columns_of_all_types(self):
        self.server.execute(
            "CREATE TABLE typed (name VARBINARY(50), password BLOB, expires DATETIME, ttl SMALLINT UNSIGNED, "
            "sessions_max BIGINT, disabled BOOLEAN, allow_protocols ENUM('imap', 'pop3'), back LONGTEXT); "
            "INSERT INTO typed VALUES ('joe', '{PLAIN}x', '2099-12-31 10:00:00', 60, 3, FALSE, 'imap', '127.0.1.4:143'),"
            "('off', '{PLAIN}x', NULL, NULL, NULL, TRUE, NULL, NULL), "
            "('long', '{PLAIN}x', NULL, NULL, NULL, FALSE, NULL, REPEAT('x', 100000))")
        helper, gate = self.serve(query="SELECT * FROM typed WHERE name = %{user}")
        self.assertEqual(gate.ask("joe", "x"), {"result": ["ok"], "back": ["127.0.1.4:143"], "ttl": ["60"],
                                                "sessions_max": ["3"]})
        self.assertEqual(gate.ask("joe", "x", protocol="pop3")["reason"], ["not_allowed"])
        self.assertEqual(gate.ask("off", "x")["reason"], ["disabled"])
        self.assertEqual(gate.ask("long", "x"), UNAVAILABLE)
        self.assertIn("column back holds more than 65536 bytes", helper.log())

    def test_a_table_of_another_encoding(self):
        self.server.execute("CREATE TABLE latin (name VARCHAR(50), password VARCHAR(50)) CHARACTER SET latin1; "
                            "INSERT INTO latin VALUES ('jü', '{PLAIN}x')")
        _, gate = self.serve(query="SELECT password FROM latin WHERE name = %{user}")
        self.assertEqual(gate.ask("jü", "x")["result"], ["ok"])
        self.assertEqual(gate.ask("j😀", "x"), REJECT)
        self.assertEqual(gate.ask("jü", "x")["result"], ["ok"])

    def test_tls(self):
        here = f'host = "127.0.0.1"\nport = {self.server.port}\n'
        certificate = f'database_ca = "{self.server.folder}/cert.pem"'
        verified = 'database_tls = "verified"\n'
        self.assertEqual(self.check(self.server.settings(self.folder, where=here + verified + certificate))[0], 0)
        self.assertEqual(self.check(self.server.settings(self.folder, where=here + 'database_tls = "required"'))[0], 0)
        code, text = self.check(self.server.settings(self.folder, where=here + verified))
        self.assertEqual(code, 1)
        self.assertIn("certificate", text)
        _, gate = self.serve(self.server.settings(self.folder, where=here + verified + certificate),
                             query="SELECT password FROM accounts WHERE name = %{user} AND "
                                   "EXISTS (SELECT 1 FROM information_schema.session_status WHERE VARIABLE_NAME = "
                                   "'Ssl_version' AND VARIABLE_VALUE LIKE 'TLS%')")
        self.assertEqual(gate.ask("joe@example.test", SECRET)["result"], ["ok"], "the server sees TLS")
        self.server.freeze()
        try:
            self.assertEqual(gate.ask("joe@example.test", SECRET), UNAVAILABLE)
        finally:
            self.server.thaw()

    def test_a_server_that_stops_in_the_handshake_of_tls(self):
        with socket.create_connection(("127.0.0.1", self.server.port)) as connection:
            greeting = connection.recv(4096)
        silent = SilentServer(self, ("127.0.0.1", 0), greeting=greeting)
        settings = self.server.settings(self.folder, where=f'hosts = ["127.0.0.1:{silent.port}", "127.0.0.1:'
                                                           f'{self.server.port}"]\ndatabase_tls = "required"')
        # The library counts its time for the handshake in whole seconds.
        helper, gate = self.serve(settings, timeout="4s")
        self.assertEqual(gate.ask("joe@example.test", SECRET)["result"], ["ok"], helper.log())
        code, text = self.check(settings)
        self.assertEqual(code, 1)
        self.assertIn(f"127.0.0.1:{silent.port}: did not answer in time", text)

    def test_what_check_says_of_the_connection(self):
        code, text = self.check(self.server.settings(self.folder, password="wrong-s3cret"))
        self.assertEqual(code, 1)
        self.assertIn("Access denied for user 'postern'", text)
        self.assertNotIn("s3cret", text)
        _, text = self.check(self.server.settings(self.folder).replace('"mail"', '"mial"'))
        self.assertIn("mial", text)
        _, text = self.check(query="SELECT password FROM acounts WHERE name = %{user}")
        self.assertIn("acounts' doesn't exist", text)
        _, text = self.check(query="SELECT password FROM accounts WHERE name = ? AND name = %{user}")
        self.assertIn("it has a ? of its own", text)
        _, text = self.check(self.server.settings(self.folder, where='hosts = ["db:x"]'))
        self.assertIn('hosts in [[source]] has "db:x", which is no host', text)


if __name__ == "__main__":
    sql_sources.main()
