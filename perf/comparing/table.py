# SPDX-License-Identifier: GPL-3.0-or-later
"""The table: what was found, one column a gate, and the ratios below it, in fixed width."""

import statistics

LABEL_WIDTH = 50
COLUMN_WIDTH = 10

# Measure, label, how many decimals. "+": a ratio of it means something.
CPU_ROWS = [
    ("login_cpu", "CPU s per 1,000 logins, full handshake", 3, "+"),
    ("resumed_cpu", "CPU s per 1,000 logins, resumed by ticket", 3, "+"),
    ("ping_cpu", "CPU s per 100,000 small requests", 3, "+"),
    ("fetch_cpu", "CPU s per GB relayed to the mail program", 3, "+"),
    ("fetch_speed", "MB/s relayed meanwhile", 0, ""),
    ("login_busy", "share of its core while logins came", 2, ""),
    ("ping_busy", "share of its core while requests came", 2, ""),
]
LATENCY_ROWS = [
    ("login_p50", "login, p50", 2, "+"),
    ("login_p99", "login, p99", 2, "+"),
    ("ping_p50", "small request, p50", 3, "+"),
    ("ping_p99", "small request, p99", 3, "+"),
]


def megabytes(value):
    return None if value is None else value / 1e6


# The protocols' names in headings.
TITLES = {"imap": "IMAP", "pop3": "POP3", "submission": "submission"}


class Table:
    """`gates`: names in order. `rounds`: {protocol: {name: [{measure: value}, ...]}}. `memory`: {name: {measure:
    value}}."""

    def __init__(self, gates, rounds, memory, options):
        self.gates = gates
        self.rounds = rounds
        self.memory = memory
        self.options = options
        self.lines = []

    def render(self, head):
        self.lines = [*head, ""]
        self._line("", [self._name(gate) for gate in self.gates])
        if self.memory:
            self._memory()
        o = self.options
        for protocol, rounds in self.rounds.items():
            count = max(len(found) for found in rounds.values())
            self._heading(f"CPU, {TITLES[protocol]}: one worker on a core of its own; median of {count} rounds")
            self._measured(rounds, CPU_ROWS)
            if protocol == "imap":
                self._heading(f"Latency, ms: {o.login_rate} logins/s, {o.ping_rate} requests/s")
                self._measured(rounds, LATENCY_ROWS)
        self._ratios()
        self._notes()
        return "\n".join(self.lines) + "\n"

    def _name(self, gate):
        return gate.name

    def _line(self, label, cells):
        self.lines.append(label.ljust(LABEL_WIDTH) + "".join(str(cell).rjust(COLUMN_WIDTH) for cell in cells))

    def _heading(self, text):
        self.lines += ["", text]

    def _row(self, label, values, decimals):
        if any(value is not None for value in values):
            self._line("  " + label, ["-" if value is None else f"{value:,.{decimals}f}" for value in values])

    def _measured(self, rounds, rows):
        for key, label, decimals, _ in rows:
            self._row(label, [median_of(rounds.get(gate.name, []), key) for gate in self.gates], decimals)

    def _memory_rows(self):
        """(label, {gate name: value}, decimals, is a ratio of it wanted)."""
        o = self.options
        full = o.sessions[-1]

        def of(key):
            return {name: found.get(key) for name, found in self.memory.items()}

        def pss(count):
            return {name: megabytes(found.get("pss", {}).get(count)) for name, found in self.memory.items()}

        def mega(key):
            return {name: megabytes(value) for name, value in of(key).items()}

        yield "PSS before the first session, MB", pss(0), 1, False
        for count in o.sessions:
            yield f"PSS with {count:,} idle sessions, MB", pss(count), 1, True
        holds_all = {name: found.get("held", 0) >= full for name, found in self.memory.items()}
        rested = {name: value if holds_all[name] else None for name, value in mega("pss_rested").items()}
        yield f"PSS with {full:,} after {o.settle + o.idle:.0f} s of rest, MB", rested, 1, True
        yield f"PSS {o.leave:.0f} s after all have left, MB", mega("pss_after"), 1, True
        yield "bytes a session: PSS", of("per_session"), 0, True
        yield "bytes a session: private dirty", of("dirty_per_session"), 0, True
        yield "bytes a session at rest: PSS", of("rested_per_session"), 0, True
        yield "bytes a session at rest: private dirty", of("rested_dirty_per_session"), 0, True
        yield "sessions held to the end", of("held"), 0, False
        yield f"CPU while all rest, ms a second ({o.idle:.0f} s)", of("idle_cpu_ms"), 2, False

    def _memory(self):
        self._heading("Memory: two workers, all processes of the program, without the kernel's socket memory")
        for label, values, decimals, _ in self._memory_rows():
            self._row(label, [values.get(gate.name) for gate in self.gates], decimals)

    def _ratio_cells(self, pairs, ratio):
        return ["-" if value is None else f"{value:.2f}" for value in (ratio(*pair) for pair in pairs)]

    def _ratios(self):
        """Postern against each other gate; without Postern each against nginx, or against the first."""
        names = [gate.name for gate in self.gates]
        if len(names) < 2:
            return
        if "Postern" in names:
            what = "Postern / the gate of the column (below 1: Postern takes less)"
            pairs = [("Postern", name) for name in names]
        else:
            reference = "nginx" if "nginx" in names else names[0]
            what = f"the gate of the column / {reference} (below 1: it takes less)"
            pairs = [(name, reference) for name in names]
        if self.memory:
            self._heading(f"Ratio, memory: {what}")
            for label, values, _, wanted in self._memory_rows():
                if wanted:
                    self._ratio_line(label, pairs, lambda a, b, values=values: divide(values.get(a), values.get(b)))
        for protocol, rounds in self.rounds.items():
            self._heading(f"Ratio, {TITLES[protocol]}: {what}")
            for key, label, _, wanted in CPU_ROWS + LATENCY_ROWS:
                if wanted:
                    self._ratio_line(label, pairs, lambda a, b, key=key, rounds=rounds: paired(rounds, a, b, key))

    def _ratio_line(self, label, pairs, ratio):
        cells = self._ratio_cells(pairs, ratio)
        if any(cell != "-" for cell in cells):
            self._line("  " + label, cells)

    def _notes(self):
        notes = []
        relays = [gate.name for gate in self.gates if not gate.logs_in]
        if relays:
            notes.append(
                f"{', '.join(relays)}: TLS only. It relays from the first byte and takes no part in the login, which "
                "the others verify and route."
            )
        full = self.options.sessions[-1]
        for gate in self.gates:
            found = self.memory.get(gate.name, {})
            if "held" in found and found["held"] < full:
                why = " of one process" if gate.shares_descriptor_limit else ""
                limit = f"the limit of {self.options.descriptors:,} open files{why}"
                notes.append(f"{gate.name} held {found['held']:,} of {full:,} sessions here under {limit}.")
            for fault in found.get("faults", []):
                notes.append(f"{gate.name}, {fault}.")
            for protocol, rounds in self.rounds.items():
                notes += round_notes(f"{gate.name}, {TITLES[protocol]}", rounds.get(gate.name, []))
        if notes:
            self.lines += ["", "Notes"]
            for note in notes:
                self.lines += wrapped(note)


def round_notes(who, rounds):
    """What went wrong in them."""
    for number, one in enumerate(rounds, 1):
        for fault in one.get("faults", []):
            yield f"{who}, round {number}, {fault}."
    for words in sorted({one["not_resumed"] for one in rounds if "not_resumed" in one}):
        yield f"{who}, did not resume by ticket: {words}."


def median_of(rounds, key):
    values = [found[key] for found in rounds if key in found]
    return statistics.median(values) if values else None


def paired(rounds, above, below, key):
    """Median of the ratios within a round: the machine's mood changes less in a round than between rounds."""
    ratios = []
    for one, other in zip(rounds.get(above, []), rounds.get(below, [])):
        ratio = divide(one.get(key), other.get(key))
        if ratio is not None:
            ratios.append(ratio)
    return statistics.median(ratios) if ratios else None


def divide(above, below):
    if above is None or not below:
        return None
    return above / below


def wrapped(text, width=110):
    lines = []
    line = "  "
    for word in text.split():
        if len(line) + len(word) + 1 > width:
            lines.append(line.rstrip())
            line = "  "
        line += word + " "
    return [*lines, line.rstrip()]
