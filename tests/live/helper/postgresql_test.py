# SPDX-License-Identifier: GPL-3.0-or-later
"""Users in PostgreSQL: a real server on a Unix socket and, with TLS, on a loopback port, and postern-auth with a query."""

import glob
import os
import signal
import socket
import unittest

import sql_sources
from sql_sources import SECRET, UNAVAILABLE, Server, SilentServer


class Postgresql(Server):
    user = "postgres"
    stop_signal = signal.SIGQUIT  # at once: nothing is worth being written

    def __init__(self):
        super().__init__()
        self.port = sql_sources.free_port()
        binaries = max(glob.glob("/usr/lib/postgresql/*/bin"))
        self.postgres = f"{binaries}/postgres"
        self.psql = f"{binaries}/psql"
        self.run([f"{binaries}/initdb", "-D", "data", "--no-sync", "--auth=trust", "--username=admin", "--locale=C.UTF-8"],
                 **self.as_user)
        (self.folder / "data" / "pg_hba.conf").write_text("local all admin trust\nlocal all all scram-sha-256\n"
                                                         "hostssl all postern 127.0.0.1/32 scram-sha-256\n")
        self.make_certificate()
        self.make_certificate("stranger")

    def command(self):
        return [self.postgres, "-D", str(self.folder / "data"), "-k", str(self.folder), "-c", "listen_addresses=127.0.0.1",
                "-c", f"port={self.port}", "-c", "ssl=on", "-c", f"ssl_cert_file={self.folder}/cert.pem",
                "-c", f"ssl_key_file={self.folder}/cert-key.pem", "-c", "fsync=off", "-c", "shared_buffers=8MB", "-c", "max_connections=40", "-c", "autovacuum=off"]

    def execute(self, sql, database="postgres"):
        return self.run([self.psql, "-X", "-h", str(self.folder), "-p", str(self.port), "-U", "admin", "-d", database, "-Atqc", sql])

    def prepare_users(self):
        self.execute("CREATE ROLE postern LOGIN PASSWORD 'db-s3cret'")
        self.execute("GRANT SELECT, DELETE ON accounts TO postern")

    def settings(self, folder, password="db-s3cret", more="", where=None):
        file = folder / "password"
        file.write_text(password + "\n")
        os.chmod(file, 0o600)
        where = where or f"host={self.folder}"
        return (f'type = "postgresql"\nconnection = "{where} port={self.port} dbname=postgres user=postern {more}"\n'
                f'password_file = "{file}"')

    def connections_of(self, _):
        return int(self.execute("SELECT COUNT(*) FROM pg_stat_activity WHERE usename = 'postern'"))


class PostgresqlTest(sql_sources.SqlTest):
    make_server = Postgresql

    def test_several_servers(self):
        silent = self.folder / "silent"
        silent.mkdir()
        SilentServer(self, str(silent / f".s.PGSQL.{self.server.port}"), socket.AF_UNIX)
        hosts = f"{silent},{self.folder}/nowhere,{self.server.folder}"
        settings = self.server.settings(self.folder).replace(f"host={self.server.folder}", f"host={hosts}")
        _, gate = self.serve(settings)
        self.assertEqual(gate.ask("joe@example.test", SECRET)["result"], ["ok"])
        code, text = self.check(settings)
        self.assertEqual(code, 1)
        self.assertIn(f"{silent}: did not answer in time", text)
        self.assertIn("nowhere", text)

    def with_tls(self, host="host=127.0.0.1", mode="verify-full", authority="cert"):
        return self.server.settings(self.folder, where=host, more=f"sslmode={mode} sslrootcert={self.server.folder}/{authority}.pem")

    def test_tls(self):
        self.assertEqual(self.check(self.with_tls())[0], 0)
        helper, gate = self.serve(self.with_tls(), query="SELECT password FROM accounts WHERE name = %{user} AND EXISTS "
                                                         "(SELECT 1 FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl)")
        self.assertEqual(gate.ask("joe@example.test", SECRET)["result"], ["ok"], "the server sees TLS")
        self.server.freeze()
        try:
            self.assertEqual(gate.ask("joe@example.test", SECRET), UNAVAILABLE)
        finally:
            self.server.thaw()
        self.assertEqual(gate.ask("joe@example.test", SECRET)["result"], ["ok"], helper.log())

    def test_tls_with_a_server_that_is_another(self):
        """Whoever it is, it gets no password, and nobody is let in or refused by its word."""
        for settings, said in [(self.with_tls(authority="stranger"), "certificate verify failed"),
                               (self.with_tls("host=db.example.test hostaddr=127.0.0.1"),
                                'does not match host name "db.example.test"'),
                               (self.with_tls(mode="disable"), "no encryption")]:
            code, text = self.check(settings)
            self.assertEqual(code, 1)
            self.assertIn(said, text)
            self.assertNotIn("s3cret", text)
        helper, gate = self.serve(self.with_tls(authority="stranger"))
        self.assertEqual(gate.ask("joe@example.test", SECRET), UNAVAILABLE)
        self.assertEqual(gate.ask("nobody@example.test", SECRET), UNAVAILABLE)
        self.assertIn("certificate verify failed", helper.log())
        self.assert_silent(helper)

    def test_a_server_that_stops_in_the_handshake_of_tls(self):
        silent = SilentServer(self, ("127.0.0.1", 0), greeting=b"S")
        settings = self.with_tls("host=127.0.0.1,127.0.0.1").replace(
            f"port={self.server.port}", f"port={silent.port},{self.server.port}")
        helper, gate = self.serve(settings)
        self.assertEqual(gate.ask("joe@example.test", SECRET)["result"], ["ok"], helper.log())
        code, text = self.check(settings)
        self.assertEqual(code, 1)
        self.assertIn("did not answer in time", text)

    def test_the_server_ends_a_query_that_nobody_waits_for(self):
        _, gate = self.serve(query="SELECT password FROM accounts, pg_sleep(1000) WHERE name = %{user}")
        self.assertEqual(gate.ask("joe@example.test", SECRET), UNAVAILABLE)
        sql_sources.wait_until(lambda: self.server.connections_of(None) == 0, "the end of the query")

    def test_a_table_that_changes_under_a_prepared_query(self):
        self.server.execute("CREATE TABLE moving (name TEXT, password TEXT); GRANT SELECT ON moving TO postern;"
                            "INSERT INTO moving VALUES ('joe', '{PLAIN}x')")
        _, gate = self.serve(query="SELECT * FROM (SELECT * FROM moving) AS m WHERE name = %{user}")
        self.assertEqual(gate.ask("joe", "x")["result"], ["ok"])
        self.server.execute("ALTER TABLE moving ADD back TEXT; UPDATE moving SET back = '127.0.1.9:143'")
        self.assertEqual(gate.ask("joe", "x")["back"], ["127.0.1.9:143"])

    def test_a_database_of_another_encoding(self):
        self.server.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        self.server.execute("CREATE TABLE accounts (name TEXT, password TEXT); GRANT SELECT ON accounts TO postern;"
                            "INSERT INTO accounts VALUES (convert_from('\\x6afc', 'LATIN1'), '{PLAIN}x')", "latin")
        settings = self.server.settings(self.folder).replace("dbname=postgres", "dbname=latin")
        _, gate = self.serve(settings, query="SELECT password FROM accounts WHERE name = %{user}")
        self.assertEqual(gate.ask("jü", "x")["result"], ["ok"])
        self.assertEqual(gate.ask("j😀", "x"), sql_sources.REJECT)
        self.assertEqual(gate.ask("jü", "x")["result"], ["ok"])

    def test_what_check_says_of_the_connection(self):
        code, text = self.check(self.server.settings(self.folder, password="wrong-s3cret"))
        self.assertEqual(code, 1)
        self.assertIn('password authentication failed for user "postern"', text)
        self.assertNotIn("s3cret", text)
        _, text = self.check(self.server.settings(self.folder, more="password=db-s3cret"))
        self.assertIn("connection in [[source]] holds a password; put that into a file", text)
        self.assertNotIn("s3cret", text)
        _, text = self.check(self.server.settings(self.folder, more="password=db s3cret"))
        self.assertIn("is no connection string of libpq", text)
        self.assertNotIn("s3cret", text)
        _, text = self.check(self.server.settings(self.folder, more="hots=x"))
        self.assertIn('invalid connection option "hots"', text)
        _, text = self.check(self.server.settings(self.folder).replace("dbname=postgres", "dbname=mial"))
        self.assertIn('database "mial" does not exist', text)
        _, text = self.check(query="SELECT password FROM acounts WHERE name = %{user}")
        self.assertIn('relation "acounts" does not exist, at its character 22', text)
        self.server.execute("CREATE TABLE closed (name TEXT, password TEXT)")
        _, text = self.check(query="SELECT password FROM closed WHERE name = %{user}")
        self.assertIn("permission denied for table closed", text)


if __name__ == "__main__":
    sql_sources.main()
