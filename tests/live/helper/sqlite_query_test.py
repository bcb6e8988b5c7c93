# SPDX-License-Identifier: GPL-3.0-or-later
"""Users in an SQLite file of somebody else's schema, and postern-auth with a query."""

import os
import pathlib
import shutil
import sqlite3
import tempfile

import sql_sources
from sql_sources import SECRET, UNAVAILABLE


class File:
    """Stands for a server: it is down when the file is away, and does not move when somebody has locked it."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-sql-"))
        self.path = self.folder / "accounts.db"
        self.lock = None

    def start(self):
        away = self.folder / "away"
        if away.exists():
            # Another file at the same path, as a backup that is put back.
            shutil.copy(away, self.path)
            away.unlink()

    def stop(self):
        self.path.rename(self.folder / "away")

    def remove(self):
        shutil.rmtree(self.folder)

    def freeze(self):
        self.lock = sqlite3.connect(self.path, isolation_level=None)
        self.lock.execute("BEGIN EXCLUSIVE")

    def thaw(self):
        self.lock.close()

    def execute(self, sql):
        with sqlite3.connect(self.path) as connection:
            rows = connection.execute(sql).fetchall()
        connection.close()
        return "\n".join("\t".join(map(str, row)) for row in rows)

    def prepare_users(self):
        pass

    def settings(self, _):
        return f'type = "sqlite"\ndatabase = "{self.path}"'

    def connections_of(self, helper):
        folder = f"/proc/{helper.process.pid}/fd"
        return sum(os.readlink(f"{folder}/{name}") == str(self.path) for name in os.listdir(folder))


class SqliteQueryTest(sql_sources.SqlTest):
    make_server = File

    def test_a_query_without_end(self):
        _, gate = self.serve(query="WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                                   "SELECT password FROM accounts WHERE name = %{user} AND (SELECT COUNT(*) FROM n) > 0",
                             more='users = ["*@example.test"]\n[[source]]\ntype = "static"\nmatch = "quick"\n'
                                  'password = "{PLAIN}x"\npool = "p"\n')
        self.assertEqual(gate.ask("joe@example.test", SECRET), UNAVAILABLE)
        self.assertEqual(gate.ask("quick", "x")["result"], ["ok"])

    def test_nothing_is_written(self):
        before = self.server.path.read_bytes()
        helper, gate = self.serve(query="UPDATE accounts SET back = %{user} RETURNING password")
        self.assertEqual(gate.ask("joe@example.test", SECRET), UNAVAILABLE)
        self.assertIn("attempt to write a readonly database", helper.log())
        self.assertEqual(self.server.path.read_bytes(), before)

    def test_what_check_says_of_the_file(self):
        code, text = self.check(f'type = "sqlite"\ndatabase = "{self.folder}/nowhere.db"')
        self.assertEqual(code, 1)
        self.assertIn("nowhere.db: unable to open database file", text)
        (self.folder / "garbage").write_bytes(b"x" * 5000)
        _, text = self.check(f'type = "sqlite"\ndatabase = "{self.folder}/garbage"')
        self.assertIn("file is not a database", text)
        _, text = self.check('type = "sqlite"')
        self.assertIn("lacks database", text)


if __name__ == "__main__":
    sql_sources.main()
