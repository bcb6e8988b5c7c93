# SPDX-License-Identifier: GPL-3.0-or-later
"""A password_query of Dovecot as one of postern-auth.toml."""

import re

from dovecot_settings import variables
from migrate import name_of

# Extra fields that change neither who gets in nor where to.
HARMLESS = re.compile(r"(proxy|proxy_maybe|proxy_always|proxy_timeout|proxy_nopipelining|proxy_not_trusted|proxy_no_multiplex|proxy_refresh|nodelay|reason|code|nopassword|"
                      r"(userdb|forward|event|proxy_host|proxy_redirect)_.*)")

# %u, %Lu and %{user | domain}, and neither %% nor what follows it.
VARIABLE = re.compile(r"(?<!%)(?:%%)*?%(?:\{[^}]*\}|L?[A-Za-z]\b)")


class Query:
    """A password_query: bound parameters for pasted variables, and the names of our columns for Dovecot's."""

    COLUMNS = {"destuser": "back_user", "user": "back_user", "master": "master_user", "proxy_mech": "mechanism", "password": "password", "allow_nets": "allow_nets", "host": "back"}

    def __init__(self, node, kind, report):
        self.node, self.kind, self.report = node, kind, report

    def remark(self, what, why, instead):
        self.report.remark(self.node.place, what, why, instead)

    def converted(self):
        """(the query, whether the mail server verifies, whether a column has a password for the mail server)."""
        text = self.bound(self.node.value.strip().rstrip(";"))
        select = re.fullmatch(r"SELECT\s+(.*?)\s+(FROM\s.*)", text, re.IGNORECASE | re.DOTALL)
        if select is None:
            self.remark("password_query", "it is not one SELECT ... FROM", "Correct it by hand: its columns are password and the attributes of a route")
            return text, False, False
        items = [self.column(item) for item in split_columns(select[1])]
        names = {name: expression for expression, name in items}
        at_back = "nopassword" in names
        if at_back:
            self.remark('"nopassword" of the query', "it became check = \"back\" of the source, for all of its users", "See whether it was for all")
        shown = [self.shown(expression, name, names) for expression, name in items]
        columns = [one for one in shown if one and not (at_back and one.endswith("AS password"))] or ["NULL AS password"]
        return f"SELECT {', '.join(columns)} {select[2]}", at_back, names.get("pass", "NULL").upper() != "NULL"

    def bound(self, text):
        """Variables become parameters, those within a longer text in quotes joined to it."""
        pieces = re.split(r"('(?:[^']|'')*')", text)
        return "".join(self.literal(piece[1:-1]) if index % 2 else self.parameters(piece) for index, piece in enumerate(pieces))

    def parameters(self, text):
        return VARIABLE.sub(self.parameter, text).replace("%%", "%")

    def parameter(self, match):
        known = variables(match[0], "%")
        if known is None:
            self.remark("password_query", "it has a variable that Postern does not know", "Use %{user}, %{local} or %{domain}")
        return known or match[0]

    def literal(self, text):
        if text == "%n@%d":
            text = "%u"
        parts = [part for part in re.split(f"({VARIABLE.pattern})", text) if part]
        if not any(VARIABLE.fullmatch(part) for part in parts):
            return "'" + text.replace("%%", "%") + "'"
        shown = [self.parameters(part) if VARIABLE.fullmatch(part) else "'" + part.replace("%%", "%") + "'" for part in parts]
        if len(shown) == 1:
            return shown[0]
        return f"CONCAT({', '.join(shown)})" if self.kind == "mysql" else f"({' || '.join(shown)})"

    def column(self, item):
        """(expression, Dovecot's name of it)."""
        match = re.fullmatch(r"(.*?)\s+(?:AS\s+)?[`\"]?([A-Za-z_][A-Za-z_0-9]*)[`\"]?", item, re.IGNORECASE | re.DOTALL)
        if match and match[1]:
            return match[1], match[2].lower()
        name = re.sub(r"^.*\.", "", item).strip('`"').lower()
        return item, name

    def shown(self, expression, name, names):
        """The column as we write it; None: it is not needed."""
        if HARMLESS.fullmatch(name) or (name == "port" and "host" in names) or (name == "user" and "destuser" in names):
            return None
        if expression.upper() == "NULL" and name != "password":
            return None
        if name == "host" and "port" in names:
            port = names["port"]
            return (f"CONCAT({expression}, ':', {port})" if self.kind == "mysql" else f"{expression} || ':' || {port}") + " AS back"
        ours = ("master_password" if "master" in names else "back_password") if name == "pass" else self.COLUMNS.get(name)
        if ours is None:
            self.remark(f"the column {name_of(name)}", "it is no attribute of a route", "See the attributes in postern-auth.toml(5)")
            return f"{expression} AS {name}" if expression.lower() != name else expression
        if ours == "back":
            self.remark('the column "host"', "routes have addresses, and names are not looked up", "See that the column holds addresses")
        return expression if expression.lower() == ours else f"{expression} AS {ours}"


def split_columns(text):
    """At the commas outside of parentheses and quotes."""
    items, depth, quote, item = [], 0, "", ""
    for c in text:
        if quote:
            quote = "" if c == quote else quote
        elif c in "'\"`":
            quote = c
        elif c in "()":
            depth += 1 if c == "(" else -1
        if c == "," and not quote and depth == 0:
            items.append(item.strip())
            item = ""
        else:
            item += c
    return items + [item.strip()]
