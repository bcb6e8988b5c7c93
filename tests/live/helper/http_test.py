# SPDX-License-Identifier: GPL-3.0-or-later
"""The source `http` and the mail proxy of nginx ask the same auth_http daemon: requests and answers are compared."""

import base64
import re
import socket
import ssl
import threading

import sources
from auth_http_daemon import RIGHT, AuthHttpDaemon
from certificates import make_certificate
from conversation import PATIENCE_S, question
from sources import HOSTILE, OTHER_SOURCE, REJECT, Server, SourceTest, free_ports, is_open

JOE = "joe@example.test"
KEY = "k3y with blanks"


class Back(threading.Thread):
    """An IMAP server that lets everybody in and keeps what it heard: one login after the other."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.logins = []
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb", buffering=0) as stream:
                stream.write(b"* OK ready\r\n")
                tag, _, size = stream.readline().split(b" ", 2)
                literals = []
                while size.strip().endswith(b"}"):
                    stream.write(b"+ go on\r\n")
                    literals.append(stream.read(int(re.search(rb"\{(\d+)\}", size).group(1))))
                    size = stream.readline()
                self.logins.append(tuple(literals))
                stream.write(tag + b" OK in\r\n")
                stream.readline()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.join()


class HttpTest(SourceTest):
    def setUp(self):
        super().setUp()
        self.back = Back()
        self.addCleanup(self.back.stop)
        self.daemon = AuthHttpDaemon(self.back.port)
        self.addCleanup(lambda: self.daemon.stop())

    def source(self, more="", path="/auth?site=1"):
        return (f'[[source]]\ntype = "http"\nurl = "http://127.0.0.1:{self.daemon.port}{path}"\n'
                f'headers = ["X-Key: {KEY}", "X-Other: 1"]\ntimeout = "2500ms"\n{more}\n')

    def route(self, **more):
        return {"result": ["ok"], "back": [f"127.0.0.1:{self.back.port}"]} | {key: [value] for key, value in more.items()}


class Source(HttpTest):
    def test_right_password(self):
        helper, gate = self.serve(self.source())
        self.assertEqual(gate.ask(JOE, RIGHT), self.route())
        self.assertEqual(gate.ask("renamed@example.test", "x"), self.route(user="box17", password="p%41ss"))
        self.assertEqual(gate.ask("odd@example.test", "x"), self.route())
        self.assertEqual(gate.ask("bare@example.test", "x"), self.route())
        self.assertNotIn(RIGHT, helper.log())

    def test_what_nginx_does_not_know(self):
        _, gate = self.serve(self.source())
        self.assertEqual(gate.ask("master@example.test", "x"),
                         self.route(master_user="boss", master_password="b0ss", tls="starttls", tls_name="mx.example.test",
                                    mechanism="PLAIN", ttl="60", proxy_protocol="v2"))
        self.assertEqual(gate.ask(JOE, RIGHT, protocol="sieve"), REJECT, "nginx has no such protocol: only where it is told")

    def test_wrong_password(self):
        helper, gate = self.serve(self.source())
        self.assertEqual(gate.ask(JOE, "wr0ng"), REJECT | {"text": ["Invalid login or password"], "delay_ms": ["1000"]})
        self.assertEqual(gate.ask("locked@example.test", "wr0ng"),
                         REJECT | {"code": ["CONTACTADMIN"], "text": ["Come to the office"], "delay_ms": ["1000"]})
        self.assertNotIn("wr0ng", helper.log())

    def test_unknown_user(self):
        _, gate = self.serve(self.source())
        self.assertEqual(gate.ask("nobody@example.test", RIGHT), REJECT | {"text": ["No such user"], "delay_ms": ["1000"]})

    def test_a_failure_of_the_daemon_is_no_mismatch(self):
        helper, gate = self.serve(self.source())
        for user, why in [("broken", "Temporary problem"), ("away", "directory is down"), ("named", "Auth-Server is no bare"),
                          ("nowhere", "without Auth-Server"), ("mute", "no Auth-Status"), ("long", "more than 16384 bytes")]:
            with self.subTest(user):
                self.assert_unavailable(gate.ask(user + "@example.test", RIGHT))
                self.assertIn(why, helper.log())

    def test_a_pool_of_the_configuration_takes_the_place_of_a_server(self):
        _, gate = self.serve(self.source('pool = "p"'))
        self.assertEqual(gate.ask("nowhere@example.test", RIGHT), {"result": ["ok"], "pool": ["p"]})
        self.assertEqual(gate.ask(JOE, RIGHT), self.route())

    def test_a_daemon_that_only_says_where(self):
        _, gate = self.serve(self.source('check = "back"'))
        self.assertEqual(gate.ask(JOE, RIGHT), self.route(cache="no"))

    def test_wait(self):
        # `waiter` says no time: nginx 1.22 asks such a daemon for ever, whatever it answers in the end.
        _, gate = self.serve(self.source())
        self.assertEqual(gate.ask("waiter@example.test", "x"), self.route())
        self.assertEqual(gate.ask("patient@example.test", "x"), self.route())
        self.assertEqual(len(self.daemon.requests), 4)

    def test_source_down(self):
        self.daemon.stop()
        helper, gate = self.serve(self.source())
        self.assert_unavailable(gate.ask(JOE, RIGHT))
        self.assertIn("Is it running", helper.log())

    def test_source_slow(self):
        _, gate = self.serve(self.source('users = "*@example.test"').replace("2500ms", "300ms") +
                             OTHER_SOURCE)
        self.assert_waits_alone(gate, question(1, "slow@example.test", RIGHT))

    def test_hostile_input(self):
        helper, gate = self.serve(self.source())
        for text in HOSTILE:
            with self.subTest(text[:20]):
                self.assertEqual(gate.ask(JOE, text)["result"], ["reject"])
                self.assertEqual(gate.ask(text, RIGHT + "x")["result"], ["reject"])
                self.assertNotIn(RIGHT + "x", helper.log())
        for request in self.daemon.requests:
            self.assertEqual(len(re.findall(rb"(?i)\r\nauth-(?:user|pass|status): ", request)), 2, request)

    def test_reconnect(self):
        _, gate = self.serve(self.source())
        self.assertEqual(gate.ask(JOE, RIGHT), self.route())
        port = self.daemon.port
        self.daemon.stop()
        self.assert_unavailable(gate.ask(JOE, RIGHT))
        self.daemon = AuthHttpDaemon(self.back.port, port)
        self.assertEqual(gate.ask(JOE, RIGHT), self.route())

    def test_check(self):
        self.assertEqual(self.check(self.source())[0], 0)
        for source, words in [
            (self.source().replace("http://", "ftp://"), ["postern-auth.toml:5", "http:// or https://"]),
            (self.source().replace("http://", "http://joe:x@"), ["has a user or password in it"]),
            (self.source().replace("X-Key: ", "X-Key\\n: "), ["headers in [[source]] has one that is no"]),
            (self.source('role = "route"'), ["only asked with a password"]),
            (self.source(f'unix_socket = "{self.folder}/none.sock"'), ["none.sock", "Is it running"]),
            (self.source().replace("url =", "urll ="), ["lacks url", 'did you mean "url"']),
        ]:
            status, said = self.check(source)
            self.assertEqual(status, 1, source)
            for word in words:
                self.assertIn(word, said)
            self.assertNotIn(KEY, said)
        _, said = self.check(self.source('timeout = "100ms"').replace('timeout = "2500ms"\n', "").replace("127.0.0.1", "192.0.2.1"))
        self.assertIn("warning", said)
        self.assertIn("in clear", said)

    def test_unix_socket_and_https(self):
        proxy = Relay(self.folder / "daemon.sock", self.daemon.port)
        self.addCleanup(proxy.stop)
        _, gate = self.serve(self.source(f'unix_socket = "{self.folder}/daemon.sock"'))
        self.assertEqual(gate.ask(JOE, RIGHT), self.route())
        self.assertIn(b"\r\nHost: localhost\r\n", self.daemon.requests[-1])
        status, said = self.check(f'[[source]]\ntype = "http"\nunix_socket = "{self.folder}/daemon.sock"\n')
        self.assertEqual((status, said), (0, ""))

    def test_https_is_verified(self):
        context = make_certificate(self.folder)
        relay = Relay(("127.0.0.1", 0), self.daemon.port, context)
        self.addCleanup(relay.stop)
        source = self.source().replace(f"http://127.0.0.1:{self.daemon.port}", f"https://localhost:{relay.port}")
        status, said = self.check(source)
        self.assertEqual(status, 1)
        self.assertIn("tls_ca", said)
        _, gate = self.serve(source + f'tls_ca = "{self.folder}/localhost.crt"\n')
        self.assertEqual(gate.ask(JOE, RIGHT), self.route())


class Relay(threading.Thread):
    """Passes one request and its answer at a time to a port of this machine: behind a Unix socket, or behind TLS."""

    def __init__(self, address, port, context=None):
        super().__init__(daemon=True)
        family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
        self.listener = socket.socket(family)
        self.listener.bind(address if family == socket.AF_INET else str(address))
        self.listener.listen()
        self.to, self.context = port, context
        self.port = self.listener.getsockname()[1] if family == socket.AF_INET else None
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
                if self.context:
                    connection = self.context.wrap_socket(connection, server_side=True)
            except ssl.SSLError:
                continue
            except OSError:
                return
            with connection, socket.create_connection(("127.0.0.1", self.to)) as other:
                request = b""
                while not request.endswith(b"\r\n\r\n") and (piece := connection.recv(65536)):
                    request += piece
                other.sendall(request)
                other.shutdown(socket.SHUT_WR)
                while piece := other.recv(65536):
                    connection.sendall(piece)

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.join()


class Nginx(HttpTest):
    """The yardstick."""

    PROTOCOLS = {"imap": "imap", "pop3": "pop3", "submission": "smtp"}

    def setUp(self):
        super().setUp()
        make_certificate(self.folder)
        self.ports = dict(zip([*self.PROTOCOLS, "imaps"], free_ports(4)))
        servers = "".join(f"server {{ listen 127.0.0.1:{self.ports[name]}; protocol {word}; }}\n"
                          for name, word in self.PROTOCOLS.items())
        (self.folder / "nginx.conf").write_text(
            "load_module /usr/lib/nginx/modules/ngx_mail_module.so;\n"
            f"daemon off; master_process off; pid {self.folder}/nginx.pid; error_log stderr notice;\n"
            "events { worker_connections 64; }\n"
            f"mail {{\nserver_name mail.example.test; auth_http 127.0.0.1:{self.daemon.port}/auth?site=1; auth_http_timeout 2s;\n"
            f"auth_http_header X-Key \"{KEY}\"; auth_http_header X-Other 1; smtp_auth plain login; xclient off; ssl_protocols TLSv1.3;\n"
            f"ssl_certificate {self.folder}/localhost.crt; ssl_certificate_key {self.folder}/localhost.key;\n"
            f"{servers}server {{ listen 127.0.0.1:{self.ports['imaps']} ssl; protocol imap; }}\n}}\n")
        self.nginx = Server(self, ["/usr/sbin/nginx", "-e", "stderr", "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")],
                            lambda: is_open(self.ports["imaps"]))

    def through_nginx(self, user, password, protocol="imap"):
        """What the mail program hears of its login."""
        connection = socket.create_connection(("127.0.0.1", self.ports[protocol]), PATIENCE_S)
        if protocol == "imaps":
            context = ssl.create_default_context(cafile=f"{self.folder}/localhost.crt")
            connection = context.wrap_socket(connection, server_hostname="localhost")
        with connection, connection.makefile("rwb", buffering=0) as stream:
            stream.readline()
            if protocol in ("imap", "imaps"):
                stream.write(b"a LOGIN {%d}\r\n" % len(user))
                stream.readline()
                stream.write(user + b" {%d}\r\n" % len(password))
                stream.readline()
                stream.write(password + b"\r\n")
            elif protocol == "pop3":
                stream.write(b"USER " + user + b"\r\n")
                stream.readline()
                stream.write(b"PASS " + password + b"\r\n")
            else:
                stream.write(b"EHLO x.example.test\r\n")
                while not stream.readline().startswith(b"250 "):
                    pass
                stream.write(b"AUTH PLAIN " + base64.b64encode(b"\0" + user + b"\0" + password) + b"\r\n")
            return stream.readline().decode()

    def new_requests(self):
        requests = self.daemon.requests[:]
        self.daemon.requests.clear()
        return requests

    def both(self, gate, user, password, protocol="imap"):
        """Asks through both; their requests must be alike. What nginx's mail program and Postern's gate heard."""
        raw_user, raw_password = (text.encode("utf-8", "surrogateescape") for text in (user, password))
        heard = self.through_nginx(raw_user, raw_password, protocol)
        of_nginx = self.new_requests()
        tls = {"tls": "TLSv1.3"} if protocol == "imaps" else {"tls": ""}
        answer = gate.ask(user, password, protocol=protocol.replace("imaps", "imap"), client="127.0.0.1:4711", **tls)
        of_postern = self.new_requests()
        # The gate does not tell the cipher.
        self.assertEqual(of_postern, [re.sub(rb"Auth-SSL-Cipher: .*\r\n", b"", request) for request in of_nginx])
        self.assertTrue(of_postern)
        return heard, answer

    def test_the_same_question_to_the_byte(self):
        _, gate = self.serve(self.source())
        for protocol in [*self.PROTOCOLS, "imaps"]:
            with self.subTest(protocol):
                heard, answer = self.both(gate, "Joe+x@Example.test", "wr0ng", protocol)
                self.assertIn("Invalid login or password", heard)
                self.assertEqual(answer["text"], ["Invalid login or password"])
        every_byte = bytes(range(1, 256)).decode("latin-1").encode("latin-1").decode("utf-8", "surrogateescape")
        heard, answer = self.both(gate, JOE, every_byte)
        self.assertTrue(heard.startswith("a NO "))
        self.assertEqual(answer["result"], ["reject"])

    def test_the_same_answer(self):
        _, gate = self.serve(self.source())
        for user, password in [(JOE, RIGHT), ("odd@example.test", "x"), ("bare@example.test", "x"),
                               ("patient@example.test", "x"), ("renamed@example.test", "x"), ("ANY@Example.test", "x")]:
            with self.subTest(user):
                # A daemon that counts the questions of a user would answer the second one of the two proxies otherwise.
                self.back.logins.clear()
                heard = self.through_nginx(user.encode(), password.encode())
                of_nginx = self.new_requests()
                answer = gate.ask(user, password, client="127.0.0.1:4711", tls="")
                self.assertEqual(self.new_requests(), of_nginx)
                self.assertTrue(heard.startswith("a OK"), heard)
                self.assertEqual(answer["result"] + answer["back"], ["ok", f"127.0.0.1:{self.back.port}"])
                login = (answer.get("user", [user])[0].encode(), answer.get("password", [password])[0].encode())
                self.assertEqual(self.back.logins, [login])
        for user, nginx_says, postern_says in [
            (JOE, "a NO Invalid login or password\r\n", ("reject", "Invalid login or password")),
            ("nobody@example.test", "a NO No such user\r\n", ("reject", "No such user")),
            ("locked@example.test", "a NO [CONTACTADMIN] Come to the office\r\n", ("reject", "Come to the office")),
            ("away@example.test", "a NO [UNAVAILABLE] The directory is down\r\n", ("unavailable", None)),
            ("broken@example.test", "a NO Temporary problem, try again later\r\n", ("unavailable", None)),
            ("named@example.test", "* BAD internal server error\r\n", ("unavailable", None)),
            ("nowhere@example.test", "* BAD internal server error\r\n", ("unavailable", None)),
            ("long@example.test", "* BAD internal server error\r\n", ("unavailable", None)),
        ]:
            with self.subTest(user):
                heard, answer = self.both(gate, user, "wr0ng")
                self.assertEqual(heard, nginx_says)
                self.assertEqual((answer["result"][0], answer.get("text", [None])[0]), postern_says)

    def test_the_error_code_of_submission(self):
        _, gate = self.serve(self.source())
        heard, answer = self.both(gate, "broken@example.test", "x", "submission")
        self.assertEqual(heard, "451 4.3.0 Temporary problem, try again later\r\n")
        self.assert_unavailable(answer)
        heard, answer = self.both(gate, JOE, "wr0ng", "submission")
        self.assertEqual(heard, "535 5.7.0 Invalid login or password\r\n")
        self.assertEqual(answer["result"], ["reject"])

    def test_a_daemon_that_is_down(self):
        _, gate = self.serve(self.source())
        self.daemon.stop()
        self.assertEqual(self.through_nginx(b"joe@example.test", RIGHT.encode()), "* BAD internal server error\r\n")
        self.assert_unavailable(gate.ask(JOE, RIGHT))


if __name__ == "__main__":
    sources.main()
