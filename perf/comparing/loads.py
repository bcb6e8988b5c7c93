# SPDX-License-Identifier: GPL-3.0-or-later
"""The loads: what is played against a gate, and what it cost the gate."""

import json
import os
import select
import subprocess
import time

from . import machine

GB = 1_000_000_000


class Swarm:
    """One run of postern-swarm with --step: `ready` and `done` are told on its standard error."""

    def __init__(self, program, words, log, core, seconds):
        self.end = time.monotonic() + seconds
        self.process = machine.start(
            [program, *map(str, words), "--step", "--time-max", str(int(seconds))],
            log,
            core,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def expect(self, word):
        """Waits for the word; raises with what was said instead."""
        error = self.process.stderr
        said = b""
        while not said.endswith(b"\n"):
            left = self.end - time.monotonic()
            ready, _, _ = select.select([error], [], [], max(left, 0))
            byte = os.read(error.fileno(), 1) if ready else b""
            if not byte:
                raise RuntimeError(f"postern-swarm did not come to '{word}': {said.decode()}")
            said += byte
        if said.decode().strip() != word:
            raise RuntimeError(f"postern-swarm: {said.decode()}")

    def go(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def finish(self):
        """Lets it end and returns its report."""
        output, _ = self.process.communicate(timeout=max(self.end - time.monotonic(), 1) + 30)
        return json.loads(output)

    def kill(self):
        if self.process.poll() is None:
            machine.end(self.process)


class Loads:
    """Plays loads against gates. `options`: the numbers of the command line. `log`: where programs may write."""

    def __init__(self, swarm, options, log):
        self.swarm = swarm
        self.options = options
        self.log = log

    def _swarm(self, gate, mode, *words, anywhere=False, seconds=120):
        core = None if anywhere else self.options.load_core
        sources = ["--source", "127.1.0.1", "--sources", "4"]
        cipher = ["--groups", "X25519"]
        front = [f"127.0.0.1:{gate.port}", "--protocol", gate.setting.protocol]
        return Swarm(self.swarm, [mode, *front, *words, *sources, *cipher], self.log, core, seconds)

    def _cost(self, gate, mode, *words):
        """(CPU seconds of the gate, seconds, report) for what the swarm does between `ready` and `done`."""
        swarm = self._swarm(gate, mode, *words)
        try:
            swarm.expect("ready")
            time.sleep(0.2)  # what the preparation left over
            cpu = gate.cpu_seconds()
            begin = time.monotonic()
            swarm.go()
            swarm.expect("done")
            took = time.monotonic() - begin
            cpu = gate.cpu_seconds() - cpu
            swarm.go()
            return cpu, took, swarm.finish()
        finally:
            swarm.kill()

    def cpu_round(self, gate):
        """One round of everything that costs CPU, as {measure: value}."""
        found = {}
        self._logins(gate, found)
        self._requests(gate, found)
        # In the other protocols a mail takes the same way to its reader.
        if gate.setting.protocol == "imap":
            self._bulk(gate, found)
            self._latency(gate, found)
        return found

    def _logins(self, gate, found):
        o = self.options
        # Every user was here once: the gate's caches, where it has any, are warm as in daily life.
        self._cost(gate, "login", "--count", o.users, "--users", o.users)

        users = ["--users", o.users]
        cpu, took, report = self._cost(gate, "login", "--count", o.logins, *users)
        if report["logins"]:
            found["login_cpu"] = cpu * 1000 / report["logins"]
            found["login_busy"] = cpu / took
        note_faults(found, "logins", report)

        cpu, _, report = self._cost(gate, "login", "--count", o.logins, "--resume", *users)
        if report["measured_resumed"] >= 0.95 * o.logins:
            found["resumed_cpu"] = cpu * 1000 / report["logins"]
        else:
            found["not_resumed"] = f"{report['measured_resumed']} of {report['measured_handshakes']} resumed"
        note_faults(found, "resumed logins", report)

    def _requests(self, gate, found):
        o = self.options
        cpu, took, report = self._cost(gate, "ping", "--sessions", o.ping_sessions, "--count", o.pings)
        if report["answers"]:
            found["ping_cpu"] = cpu * 100_000 / report["answers"]
            found["ping_busy"] = cpu / took
        note_faults(found, "requests", report)

    def _bulk(self, gate, found):
        o = self.options
        size = int(o.fetch_bytes * gate.bulk_share)
        cpu, took, report = self._cost(gate, "fetch", "--sessions", o.fetch_sessions, "--bytes", size)
        if report["bytes"]:
            found["fetch_cpu"] = cpu * GB / report["bytes"]
            found["fetch_speed"] = report["bytes"] / took / 1e6
        note_faults(found, "fetches", report)

    def _latency(self, gate, found):
        o = self.options
        count = o.login_rate * o.latency_seconds
        _, _, report = self._cost(gate, "login", "--rate", o.login_rate, "--count", count, "--users", o.users)
        found["login_p50"], found["login_p99"] = report["latency_ms"]["p50"], report["latency_ms"]["p99"]
        _, _, report = self._cost(
            gate, "ping", "--sessions", o.ping_sessions, "--rate", o.ping_rate, "--count", o.ping_rate * o.latency_seconds
        )
        found["ping_p50"], found["ping_p99"] = report["latency_ms"]["p50"], report["latency_ms"]["p99"]

    def memory(self, gate):
        """PSS as sessions come, rest and leave, as {measure: value}. The sessions log in, relay a little and stay."""
        o = self.options
        found = {"pss": {}}
        time.sleep(1)
        pss_before, dirty_before = gate.memory_bytes()
        found["pss"][0] = pss_before
        swarms = []
        asked_for = 0
        try:
            for target in o.sessions:
                words = ["--sessions", target - asked_for, "--first-user", asked_for, "--users", target - asked_for]
                limits = ["--exercise", 4096, "--answer-timeout", 10, "--faults-max", 64]
                # The load may use every core here: only memory is measured.
                swarm = self._swarm(gate, "hold", *words, *limits, anywhere=True, seconds=240)
                swarms.append(swarm)
                swarm.expect("ready")
                asked_for = target
                time.sleep(o.settle)
                found["pss"][target], dirty = gate.memory_bytes()
            cpu = gate.cpu_seconds()
            time.sleep(o.idle)
            found["idle_cpu_ms"] = (gate.cpu_seconds() - cpu) / o.idle * 1000
            found["pss_rested"], dirty_rested = gate.memory_bytes()
            for swarm in swarms:
                swarm.go()
                swarm.expect("done")  # it has asked each session whether it lives
            found["held"] = 0
            pss_full = found["pss"][asked_for]
            for target, swarm in zip(o.sessions, swarms):
                swarm.go()
                report = swarm.finish()
                found["held"] += report["established"] - report["lost"]
                if found["held"] < target:  # what was measured there was not what was asked for
                    del found["pss"][target]
                note_faults(found, "sessions", report)
        finally:
            for swarm in swarms:
                swarm.kill()
        if found["held"]:
            found["per_session"] = (pss_full - pss_before) / found["held"]
            found["dirty_per_session"] = (dirty - dirty_before) / found["held"]
            found["rested_per_session"] = (found["pss_rested"] - pss_before) / found["held"]
            found["rested_dirty_per_session"] = (dirty_rested - dirty_before) / found["held"]
        time.sleep(o.leave)
        found["pss_after"], _ = gate.memory_bytes()
        return found


def note_faults(found, what, report):
    if report["faults"]:
        words = ", ".join(f"{count} {word}" for word, count in report["faults"].items())
        found.setdefault("faults", []).append(f"{what}: {words}")
