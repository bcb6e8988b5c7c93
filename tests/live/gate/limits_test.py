# SPDX-License-Identifier: GPL-3.0-or-later
"""A gate with small limits under attack: those who have logged in feel nothing, and everything that is turned away is counted."""

import random
import re
import ssl
import sys
import threading

import tap
import world
from programs import PATIENCE_S, wait_until
from strangers import Strangers

RELAYS = 12
HANDSHAKES = 1000  # connections that begin a handshake and leave
LINGERERS = 2000   # connections that come to stay
ATTACKERS = [f"127.0.9.{host}" for host in range(1, 41)]


def client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    try:
        context.wrap_bio(incoming, outgoing, server_hostname=world.NAME).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


class Relay(threading.Thread):
    """Sends lines of random octets and hears them again, until told to stop."""

    def __init__(self, sock, seed):
        super().__init__(daemon=True)
        self.sock, self.random = sock, random.Random(seed)
        self.rounds, self.octets, self.fault, self.stopping = 0, 0, None, False

    def run(self):
        lines = self.sock.makefile("rb")
        try:
            while not self.stopping:
                line = self.random.randbytes(self.random.randint(1, 12000)).hex().encode() + b"\r\n"
                self.sock.sendall(line)
                if lines.readline() != line:
                    self.fault = "other octets came back"
                    return
                self.rounds += 1
                self.octets += len(line)
        except OSError as error:
            self.fault = str(error)


class Flood(Strangers):
    limits = """
sessions = 200
unauthenticated = 60
unauthenticated_per_address = 3
handshake_rate = 20
handshake_rate_per_address = 1
"""

    def shake_hands_and_leave(self, hello):
        """A handshake is begun, and given up at the first answer."""
        for i in range(HANDSHAKES):
            with self.connect(0, ATTACKERS[i % len(ATTACKERS)]) as sock:
                try:
                    sock.sendall(hello)
                    sock.recv(1)
                except OSError:
                    pass

    def linger(self, hello):
        """Whole hellos, first bytes of hellos, silence, and beginnings of commands; 300 are held at a time."""
        held = []
        for i in range(LINGERERS):
            door, octets = ((0, hello), (0, b"\x16"), (1, b""), (2, b"a1 LOG"))[i % 4]
            sock = self.connect(door, ATTACKERS[i % len(ATTACKERS)])
            held.append(sock)
            try:
                sock.sendall(octets)
            except OSError:
                pass
            if len(held) > 300:
                held.pop(0).close()
        return held

    def test_relays_go_on_while_thousands_knock(self):
        relays = []
        for i in range(RELAYS):
            sock = wait_until(lambda: self.log_in(f"127.0.8.{1 + i // 3}"), "for a login")
            relays.append(Relay(sock, i))
        for relay in relays:
            relay.start()
        hello = client_hello()
        before = [relay.rounds for relay in relays]
        self.shake_hands_and_leave(hello)
        held = self.linger(hello)
        during = [relay.rounds for relay in relays]
        for relay in relays:
            self.assertIsNone(relay.fault)
        self.assertTrue(all(now > then for now, then in zip(during, before)), (before, during))
        # Who was outside gets in as soon as there is room again.
        for sock in held:
            sock.close()
        wait_until(lambda: self.log_in("127.0.8.100"), "for a login after the flood")
        for relay in relays:
            relay.stopping = True
        for relay in relays:
            relay.join(PATIENCE_S)
            self.assertIsNone(relay.fault)
        figures = self.limits_status()
        for limit in ("unauthenticated", "unauthenticated_per_address", "handshake_rate", "handshake_rate_per_address"):
            self.assertGreater(figures["over_" + limit], 0, figures)
        self.assertEqual(self.gate.total("turned_away"), sum(value for key, value in figures.items() if key.startswith("over_")))
        self.every_refusal_is_told(figures)

    def every_refusal_is_told(self, figures):
        """By a line of its own or in one that sums up; and the log is no flood."""
        self.assertEqual(self.gate.stop(), 0)
        log = self.gate.log()
        for key, count in figures.items():
            if not key.startswith("over_"):
                continue
            reason = key.removeprefix("over_")
            own = len(re.findall(rf" turned-away session=.* reason={reason} limit=\d+$", log, re.M))
            summed = sum(map(int, re.findall(rf" turned-away (?:network=\S+ )?reason={reason} repeated=(\d+) seconds=10 ", log)))
            self.assertEqual(own + summed, count, reason)
        self.assertGreater(len(re.findall(r" more like this", log)), 0)
        self.assertLess(len(re.findall(" turned-away ", log)), (HANDSHAKES + LINGERERS) // 4)


class Memory(Strangers):
    limits = 'memory = "0B"'

    def test_above_the_ceiling_nobody_new_comes_in(self):
        relay = Relay(self.log_in("127.0.8.1"), 1)
        relay.start()
        self.limits = 'memory = "1MiB"'
        self.gate.configure()
        self.assertIn("memory in [limits] is \\\"1MiB\\\", which the gate needs for itself", self.gate.reload())
        self.gate.wait_for_log(r" warning memory state=full bytes=\d+ limit=1048576 ")
        with self.connect(2, "127.0.8.2") as sock:
            self.assertEqual(world.read_to_end(sock), b"* BYE Too busy, try again later\r\n")
        self.gate.wait_for_log(r" notice turned-away .* reason=memory limit=1048576$")
        self.assertIsNone(self.log_in("127.0.8.2"))
        rounds = relay.rounds
        wait_until(lambda: relay.rounds > rounds + 3, "for the relay to go on")
        self.limits = 'memory = "100GiB"'
        self.gate.configure()
        self.gate.reload()
        self.gate.wait_for_log(r" notice memory state=enough ")
        self.assertIsNotNone(self.log_in("127.0.8.2"))
        relay.stopping = True
        relay.join(PATIENCE_S)
        self.assertIsNone(relay.fault)
        self.assertEqual(self.limits_status()["over_memory"], 2)


if __name__ == "__main__":
    world.POSTERN, world.POSTERN_AUTH = sys.argv[1:3]
    tap.main(sys.argv[3:])
