# SPDX-License-Identifier: GPL-3.0-or-later
"""A real directory as a source of users: over its socket, with StartTLS and with TLS at once; by binds and by hashes."""

import signal
import socket
import subprocess
import threading

import sources
from conversation import PATIENCE_S, freeze, question
from directory import ADMIN, BASE, Directory
from sources import HOSTILE, REJECT, SourceTest, free_ports

PEOPLE = f"ou=people,{BASE}"
SECRET = "s3cret & pässwörd"
STATIC = '[[source]]\ntype = "static"\nmatch = "*@static.test"\npassword = "{PLAIN}right"\npool = "static"\n'


def person(uid, password, **more):
    lines = [f"dn: uid={uid},{PEOPLE}", "objectClass: inetOrgPerson", "objectClass: inetLocalMailRecipient", f"uid: {uid}",
             f"cn: {uid}", f"sn: {uid}"]
    attributes = {"mail": f"{uid}@example.test", "userPassword": password} | more
    for name, values in attributes.items():
        for value in values if isinstance(values, list) else [values]:
            lines.append(f"{name}: {value}")
    return "\n".join(lines) + "\n\n"


def people(hashes):
    policy = "objectClass: person\nobjectClass: pwdPolicy\nsn: policy\npwdAttribute: userPassword\n"
    return (f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: example\ndc: example\n\n"
            f"dn: {PEOPLE}\nobjectClass: organizationalUnit\nou: people\n\n"
            f"dn: cn=lock,{BASE}\ncn: lock\n{policy}pwdLockout: TRUE\npwdMaxFailure: 2\n\n"
            f"dn: cn=age,{BASE}\ncn: age\n{policy}pwdMaxAge: 1\n\n"
            + person("joe", SECRET, mailHost="127.0.1.1")
            + person("list", hashes, description=["127.0.1.1:143", "127.0.1.2:143"])
            + person("off", "right", employeeType="TRUE")
            + person("odd", "right", employeeType="perhaps")
            + person("two", "right", mail=["two@example.test", "shared@example.test"])
            + person("three", "right", mail=["three@example.test", "shared@example.test"])
            + person("locked", "right", pwdPolicySubentry=f"cn=lock,{BASE}")
            + person("old", "right", pwdPolicySubentry=f"cn=age,{BASE}", pwdChangedTime="20200101000000Z")
            + person("bare", []) + person(r"o\2cx", "right", mail="comma@example.test"))


class LdapTest(SourceTest):
    how = "ldapi"
    hashes = ["{PLAIN}one", "{PLAIN}two"]

    def setUp(self):
        super().setUp()
        self.directory = Directory(self, people(self.hashes))

    def source(self, *settings, uri=None, how=None, place=None, searcher=True):
        how = how or self.how
        lines = ['[[source]]', 'type = "ldap"', f'uri = {uri or repr(self.directory.uris[how])}',
                 f'tls_ca = "{self.folder}/ca.crt"', f'start_tls = {"true" if how == "starttls" else "false"}',
                 place or f'base = "{PEOPLE}"\nfilter = "(mail=%{{user}})"', 'pool = "default"', *settings]
        if searcher:
            lines += [f'bind_dn = "{ADMIN}"', f'bind_password_file = "{self.folder}/admin-password"']
        return "\n".join(lines) + "\n"

    def assert_quiet(self, helper):
        """Nothing in the log that was a password."""
        for secret in (SECRET, "s3cret", "topsecret", "{PLAIN}"):
            self.assertNotIn(secret, helper.log())


class OverSocket(LdapTest):
    def test_right_password(self):
        helper, gate = self.serve(self.source('attributes = { back = "mailHost" }'))
        for _ in range(2):
            self.assertEqual(gate.ask("joe@example.test", SECRET), {"result": ["ok"], "back": ["127.0.1.1"]})
        self.assertEqual(gate.ask("two@example.test", "right"), {"result": ["ok"], "pool": ["default"]})
        self.assertEqual(gate.ask("Comma@example.test", "right")["result"], ["ok"])
        self.assert_quiet(helper)

    def test_wrong_password(self):
        helper, gate = self.serve(self.source())
        for password in (SECRET + "x", "", "\0", SECRET + "\0", "right"):
            self.assertEqual(gate.ask("joe@example.test", password), REJECT, password)
        self.assertEqual(gate.ask("bare@example.test", "right"), REJECT)
        self.assertIn("wrong password", helper.log())
        self.assert_quiet(helper)

    def test_unknown_user(self):
        helper, gate = self.serve(self.source() + STATIC)
        self.assertEqual(gate.ask("nobody@example.test", SECRET), REJECT)
        self.assertEqual(gate.ask("any@static.test", "right")["pool"], ["static"])
        self.assertIn("unknown user", helper.log())

    def test_source_down(self):
        self.directory.server.stop()
        helper, gate = self.serve(self.source())
        self.assert_unavailable(gate.ask("joe@example.test", SECRET))
        self.assertIn("Can't contact LDAP server", helper.log())

    def test_source_slow(self):
        users = 'users = "*@example.test"\ntimeout = "500ms"\nretry_after = "0s"'
        helper, gate = self.serve(self.source(users) + STATIC)
        self.assertEqual(gate.ask("joe@example.test", SECRET)["result"], ["ok"])
        freeze(self.directory.server.process.pid)
        gate.send(question(1, "joe@example.test", SECRET) + question(2, "joe@example.test", "wrong"))
        # Whoever asks later is answered sooner.
        self.assertEqual(gate.ask("any@static.test", "right", number=3)["pool"], ["static"])
        self.assertEqual({gate.answer()["result"][0] for _ in range(2)}, {"unavailable"})
        self.directory.server.hear(signal.SIGCONT)
        self.assertEqual(gate.ask("joe@example.test", SECRET)["result"], ["ok"])
        self.assert_quiet(helper)

    def test_hostile_input(self):
        helper, gate = self.serve(self.source())
        for text in HOSTILE + ["*", "jo*@example.test", "joe@example.test)(|(mail=*", "joe\\2a", ")(", "&", "(", "", "=,+\"<>;#"]:
            self.assertEqual(gate.ask(text, SECRET), REJECT, text)
            self.assertEqual(gate.ask("joe@example.test", text + "tail"), REJECT, text)
        self.assertEqual(gate.ask("joe@example.test", SECRET)["result"], ["ok"])
        self.assertNotIn("tail", helper.log())
        self.assert_quiet(helper)

    def test_reconnect(self):
        _, gate = self.serve(self.source())
        self.assertEqual(gate.ask("joe@example.test", SECRET)["result"], ["ok"])
        self.directory.server.stop()
        self.directory.start()
        self.assertEqual(gate.ask("joe@example.test", SECRET)["result"], ["ok"])
        self.assertEqual(gate.ask("joe@example.test", "wrong"), REJECT)

    def test_check(self):
        self.assertEqual(self.check(self.source('attributes = { back = "mailHost" }')), (0, ""))
        for source, said in [
                (self.source('attributes = { back = "mailHots" }'), "no attribute mailHots; did you mean mailhost?"),
                (self.source(place=f'base = "ou=poeple,{BASE}"\nfilter = "(mail=%{{user}})"'),
                 f"base ou=poeple,{BASE}: No such object. It does not exist, or bind_dn may not read it."),
                (self.source(place=f'base = "{PEOPLE}"\nfilter = "(mail=%{{user}}"'), "Bad search filter"),
                (self.source(place=f'base = "{PEOPLE}"\nfilter = "(|(mail=%{{user}})(uid=joe))"'), "finds a user whom there is not"),
                (self.source(searcher=False), "may not read it")]:
            status, text = self.check(source)
            self.assertEqual(status, 1, said)
            self.assertIn(said, text)
        (self.folder / "admin-password").write_text("outdated\n")
        status, text = self.check(self.source())
        self.assertEqual(status, 1)
        self.assertIn(f"bind_dn {ADMIN}: Invalid credentials. Correct bind_dn, or the password in bind_password_file.", text)
        self.assertNotIn("outdated", text)
        self.directory.server.stop()
        self.assertIn("Can't contact LDAP server", self.check(self.source())[1])


class WithStartTls(OverSocket):
    how = "starttls"


class WithTls(OverSocket):
    how = "ldaps"


class Certificates(LdapTest):
    def test_a_certificate_that_nobody_vouches_for_or_of_another_name(self):
        for how in ("starttls", "ldaps"):
            mine = self.source(how=how)
            for source, said in [(mine.replace("tls_ca", "#"), "TLS"), (mine.replace("127.0.0.1", "localhost"), "TLS")]:
                status, text = self.check(source)
                self.assertEqual(status, 1, source)
                self.assertIn("does its certificate show that name", text)
            self.assertEqual(self.check(mine), (0, ""))
        status, text = self.check(self.source(how="ldaps").replace("ca.crt", "none.crt"))
        self.assertEqual(status, 1)
        self.assertIn("none.crt cannot be used as a file of certificates in PEM", text)

    def test_nothing_is_said_before_tls(self):
        """A server without StartTLS hears no name and no password."""
        heard = []

        def refuse(listener):
            with listener.accept()[0] as peer:
                heard.append(peer.recv(4096))
                peer.sendall(bytes.fromhex("300c02010178070a013504000400"))  # unwillingToPerform
                heard.append(peer.recv(4096))

        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = threading.Thread(target=refuse, args=[listener], daemon=True)
            server.start()
            place = f"ldap://127.0.0.1:{listener.getsockname()[1]}"
            helper, gate = self.serve(self.source('timeout = "300ms"', uri=repr(place), how="starttls"))
            self.assert_unavailable(gate.ask("joe@example.test", SECRET))
            server.join(PATIENCE_S)
        self.assertIn("StartTLS: Server is unwilling to perform", helper.log())
        self.assertNotIn(b"topsecret", b"".join(heard))
        self.assertNotIn(b"admin", b"".join(heard))

    def test_the_environment_does_not_weaken_it(self):
        config = self.configure(self.source(how="ldaps").replace("tls_ca", "#"))
        done = subprocess.run([sources.POSTERN_AUTH, "--check", "-c", str(config)], capture_output=True, text=True, timeout=PATIENCE_S,
                              env={"LDAPTLS_REQCERT": "never", "LDAPTLS_CACERT": f"{self.folder}/ca.crt"})
        self.assertEqual(done.returncode, 1, done.stderr)


class Binding(LdapTest):
    def test_a_new_password_counts_at_once(self):
        _, gate = self.serve(self.source())
        self.assertEqual(gate.ask("joe@example.test", SECRET)["result"], ["ok"])
        self.directory.change(f"dn: uid=joe,{PEOPLE}\nchangetype: modify\nreplace: userPassword\nuserPassword: new\n")
        self.assertEqual(gate.ask("joe@example.test", SECRET), REJECT)
        self.assertEqual(gate.ask("joe@example.test", "new")["result"], ["ok"])

    def test_two_entries_are_nobody(self):
        helper, gate = self.serve(self.source())
        self.assert_unavailable(gate.ask("shared@example.test", "right"))
        self.assertIn("several entries match (mail=shared@example.test): ", helper.log())

    def test_locked_expired_and_disabled(self):
        helper, gate = self.serve(self.source('attributes = { disabled = "employeeType" }'))
        disabled = {"result": ["reject"], "reason": ["disabled"]}
        self.assertEqual(gate.ask("off@example.test", "right"), disabled)
        self.assertEqual(gate.ask("off@example.test", "wrong"), REJECT)
        self.assert_unavailable(gate.ask("odd@example.test", "right"))
        self.assertIn("column disabled is neither true nor false", helper.log())
        self.assertEqual(gate.ask("old@example.test", "right"), disabled)
        self.assertEqual(gate.ask("locked@example.test", "right")["result"], ["ok"])
        for _ in range(2):
            self.assertEqual(gate.ask("locked@example.test", "wrong"), REJECT)
        self.assertEqual(gate.ask("locked@example.test", "right"), disabled)
        self.assertIn("locked after too many wrong passwords", helper.log())

    def test_a_dn_made_of_the_name(self):
        helper, gate = self.serve(self.source('attributes = { back = "mailHost" }', place=f'user_dn = "uid=%{{local}},{PEOPLE}"',
                                              searcher=False))
        self.assertEqual(gate.ask("joe@example.test", SECRET), {"result": ["ok"], "back": ["127.0.1.1"]})
        self.assertEqual(gate.ask("joe@example.test", "wrong"), REJECT)
        self.assertEqual(gate.ask("o,x@example.test", "right")["result"], ["ok"])
        for name in HOSTILE + ["@example.test", "joe,ou=people", "joe+cn=joe", "joe\\", "#04", " joe", "joe ", "*"]:
            self.assertEqual(gate.ask(name, SECRET), REJECT, name)
        self.assert_quiet(helper)

    def test_the_next_server_answers_when_one_is_down_or_hangs(self):
        dead = free_ports(1)[0]
        with socket.create_server(("127.0.0.1", 0)) as hanging:
            uris = [f"ldap://127.0.0.1:{dead}", f"ldap://127.0.0.1:{hanging.getsockname()[1]}", self.directory.uris["ldapi"]]
            helper, gate = self.serve(self.source('timeout = "900ms"', uri=repr(uris)))
            for _ in range(3):
                self.assertEqual(gate.ask("joe@example.test", SECRET)["result"], ["ok"])
        self.assertNotIn("unavailable", helper.log())

    def test_half_an_answer_does_not_hold_it(self):
        def begin(listener):
            while True:
                try:
                    peer = listener.accept()[0]
                except OSError:
                    return
                kept.append(peer)
                peer.recv(4096)
                peer.sendall(bytes.fromhex("300c020101"))

        kept = []
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=begin, args=[listener], daemon=True).start()
            place = f"ldap://127.0.0.1:{listener.getsockname()[1]}"
            helper, gate = self.serve(self.source('timeout = "300ms"\nretry_after = "0s"', uri=repr(place)))
            self.assert_unavailable(gate.ask("joe@example.test", SECRET))
            self.assertIn("did not answer in time", helper.log())
            listener.shutdown(socket.SHUT_RDWR)
        for peer in kept:
            peer.close()

    def test_routes_without_a_password(self):
        route = self.source('role = "route"', 'attributes = { back = "mailHost" }')
        login = '[[source]]\ntype = "static"\nmatch = "*"\npassword = "{PLAIN}right"\npool = "static"\n'
        _, gate = self.serve(login + route)
        self.assertEqual(gate.ask("joe@example.test", "right"), {"result": ["ok"], "back": ["127.0.1.1"]})
        self.assertEqual(gate.ask("nobody@example.test", "right"), {"result": ["ok"], "pool": ["static"]})


class Hashes(LdapTest):
    def test_each_value_is_a_password_and_a_list_is_a_list(self):
        attributes = 'verify = "hash"\nattributes = { password = "userPassword", back = "description" }'
        helper, gate = self.serve(self.source(attributes))
        for password in ("one", "two"):
            self.assertEqual(gate.ask("list@example.test", password),
                             {"result": ["ok"], "back": ["127.0.1.1:143", "127.0.1.2:143"]})
        self.assertEqual(gate.ask("list@example.test", "three"), REJECT)
        self.assertEqual(gate.ask("nobody@example.test", "one"), REJECT)
        # No password may also be one that bind_dn may not read.
        self.assert_unavailable(gate.ask("bare@example.test", "one"))
        self.assertNotIn('BIND dn="uid=', self.directory.log())
        self.assert_quiet(helper)

    def test_at_a_dn_that_is_known(self):
        settings = 'verify = "hash"\ndefault_scheme = "PLAIN"\nattributes = { password = "userPassword" }'
        _, gate = self.serve(self.source(settings, place=f'user_dn = "uid=%{{local}},{PEOPLE}"'))
        self.assertEqual(gate.ask("joe@example.test", SECRET)["result"], ["ok"])
        self.assertEqual(gate.ask("joe@example.test", "wrong"), REJECT)
        self.assertEqual(gate.ask("nobody@example.test", SECRET), REJECT)

    def test_the_mail_server_verifies(self):
        _, gate = self.serve(self.source('verify = "hash"\ncheck = "back"\nattributes = { back = "mailHost" }'))
        self.assertEqual(gate.ask("joe@example.test", "whatever"), {"result": ["ok"], "back": ["127.0.1.1"], "cache": ["no"]})


if __name__ == "__main__":
    sources.main()
