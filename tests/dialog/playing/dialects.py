# SPDX-License-Identifier: GPL-3.0-or-later
"""What the language's words mean in each dialect, and the listeners and pools that a dialog may name."""


class Words:
    """What the gate says are patterns, IMAP's answers come behind the tag, and an empty greeting is a list; what mail
    servers say are octets."""

    def __init__(self, pool, greet, answers, challenge, starttls, starttls_ok, back_greet, capability, back_ok, back_starttls_ok):
        self.pool, self.greet, self.challenge = pool, greet, challenge
        self.answers = dict(zip(("@ok", "@no", "@bad", "@temp"), answers))
        self.starttls, self.starttls_ok = starttls, starttls_ok
        self.back_greet, self.capability = back_greet, capability
        self.back_ok, self.back_starttls_ok = back_ok, back_starttls_ok


WORDS = {
    "imap": Words("default", r"\* OK .*", (" OK .*", " NO .*", " BAD .*", r" NO \[UNAVAILABLE\].*"), "+", "STARTTLS",
                  "s0 OK .*", b"* OK Mail server ready\r\n", b"IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+ ID IDLE",
                  b"@tag OK done\r\n", b"@tag OK done\r\n"),
    "pop3": Words("pop3", r"\+OK .*", (r"\+OK .*", r"-ERR \[AUTH\] .*", r"-ERR [^\[].*", r"-ERR \[SYS/TEMP\] .*"), "+ ",
                  "STLS", r"\+OK .*", b"+OK Mail server ready\r\n", b"", b"+OK done\r\n", b"+OK done\r\n"),
    "submission": Words("submission", "220 .*",
                        (r"235 2\.7\.0 .*", r"535 5\.7\.8 .*", r"50[0-4] 5\..*", r"454 4\.7\.0 .*"), "3", "STARTTLS",
                        "220 .*", b"220 store.example.test ESMTP ready\r\n",
                        b"PIPELINING\nSTARTTLS\nAUTH PLAIN LOGIN\nSIZE 1000000", b"235 2.7.0 done\r\n", b"220 2.0.0 done\r\n"),
    "sieve": Words("sieve", "", ("OK .*", 'NO "[^"]*"', 'NO "[^"]*"', r"NO \(TRYLATER\) .*"), '"', "STARTTLS", "OK .*",
                   b'OK "Mail server ready"\r\n',
                   b'"IMPLEMENTATION" "Mail server"\n"SASL" "PLAIN LOGIN XOAUTH2 OAUTHBEARER"\n"SIEVE" "fileinto"\n"STARTTLS"\n'
                   b'"VERSION" "1.0"', b'OK "done"\r\n', b'OK "done"\r\n'),
}

# By name: dialect and TLS. Those of IMAP are always there, others in dialogs that name them.
LISTENERS = {
    "imaps": ("imap", "implicit"), "imap": ("imap", "starttls"), "plain": ("imap", "none"),
    "pop3s": ("pop3", "implicit"), "pop3": ("pop3", "starttls"), "plain-pop3": ("pop3", "none"),
    "submissions": ("submission", "implicit"), "submission": ("submission", "starttls"), "plain-submission": ("submission", "none"),
    "sieves": ("sieve", "implicit"), "sieve": ("sieve", "starttls"), "plain-sieve": ("sieve", "none"),
    "alpn": ("alpn", "implicit"),
}


def of_pool(name):
    """Which of the dialects a pool of that name speaks where the dialog does not say."""
    return name if name in WORDS and WORDS[name].pool == name else "imap"


def of_alpn(offered):
    """Of the protocols that a mail program offers the first that the listener `alpn` serves."""
    name = {"smtp": "submission", "managesieve": "sieve"}.get(offered, offered)
    return name if name in WORDS else "imap"


def lines(text, before=b""):
    return b"".join(before + line + b"\r\n" for line in text.split(b"\n"))


def back_greeting(dialect, capability):
    """The greeting as a mail server sends it, with what it says of itself; empty: the usual."""
    words = WORDS[dialect]
    return (lines(capability or words.capability) if dialect == "sieve" else b"") + words.back_greet


def ehlo_reply(capability):
    return b"250-store.example.test\r\n" + lines(capability or WORDS["submission"].capability, b"250-") + b"250 HELP\r\n"


def place_of(line, first, dialect):
    """Of a line in a list: inside, last or outside."""
    if dialect == "submission":
        return {b"250-": "inside", b"250 ": "last"}.get(line[:4], "outside")
    if dialect == "pop3" and first:
        return "inside" if line.startswith(b"+OK") else "outside"
    if dialect == "pop3":
        return "last" if line == b"." else "inside"
    if line.startswith(b'"' if dialect == "sieve" else b"* "):
        return "inside"
    good = line.startswith(b"OK") if dialect == "sieve" else not first and b" OK " in line
    return "last" if good else "outside"


def list_size(inbox, dialect):
    """How many octets the list at the beginning of `inbox` has: EHLO's reply, CAPA's, ManageSieve's capabilities, IMAP's
    untagged lines, up to the line that ends it well. 0: it is not whole, or is none."""
    begin = 0
    while True:
        end = inbox.find(b"\r\n", begin)
        place = place_of(bytes(inbox[begin:end]), begin == 0, dialect) if end >= 0 else "outside"
        if place == "outside":
            return 0
        begin = end + 2
        if place == "last":
            return begin
