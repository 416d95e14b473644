"""What an ordinary person has: which values of a profile, and which rows, mean special rights.

Projects keep such rights in a role column of a profile, in a table of roles, or in the mere
presence of a row. The cast must not hold them by accident, or every policy that lets an
administrator of the whole project in would read as a leak; taking them is tried on its own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from harmonia_py.isolation.catalog import Catalog, Column, Table
from harmonia_py.isolation.model import TenancyModel
from harmonia_py.isolation.references import References, literals

__all__ = ["Standing"]

_INSERT = re.compile(
    r"insert\s+into\s+(?:\"?\w+\"?\.)?\"?(\w+)\"?\s*\(([^()]*)\)\s*"
    r"(?:values\s*\((.*?)\)\s*(?:;|on\s+conflict|returning)|select\b)",
    re.IGNORECASE | re.DOTALL,
)


class Standing:
    """Answer, for one catalog and model, what tells an ordinary person from a privileged one."""

    def __init__(self, catalog: Catalog, model: TenancyModel, refs: References) -> None:
        """Take what is known; the answers are worked out when they are asked for."""
        self.catalog, self.model, self.refs = catalog, model, refs
        self._compared: dict[str, bool] = {}

    def describes(self, table: Table) -> bool:
        """Whether rows of ``table`` say something of a user that policies ask for."""
        model = self.model.of(table.key)
        users = set(model.users) | set(model.path[:1])
        return (
            model.kind == "user"
            and table.key in self._asked
            and any(set(u.columns) & users for u in table.uniques if not u.exclusion)
        )

    def ordinary(self, table: Table, column: Column, values: list[Any]) -> list[Any]:
        """Put the values of an ordinary person first: what sign-up gives, the default, the rest."""
        if not self._names(table, column) or not self.describes(table):
            return values
        given = self._signup.get(table.name, {}).get(column.name, ())
        default = next(iter(literals(column.default or "")), None)

        def rank(value: Any) -> int:
            if value in given:
                return 0
            if default is not None and value == default:
                return 1
            if value is None:
                return 3
            return 4 if value in self._quoted else 2

        return sorted(values, key=rank)

    def granted(self, table: Table) -> bool:
        """Whether only somebody else can give a user a row of ``table``, and having one counts."""
        if not self.describes(table) or table.name in self._signup:
            return False
        if table.can("authenticated", "INSERT") and (
            not table.rls
            or any(
                # A policy for all commands checks what it shows, unless it says otherwise.
                self._self_service(p.check or p.using)
                for p in table.policies_for("insert", "authenticated")
            )
        ):
            return False
        listed = [c for c in table.columns if self._listed(table, c)]
        if listed:
            return all(
                c.default is None and c.not_null and set(self._values(table, c)) <= self._quoted
                for c in listed
            )
        users = set(self.model.of(table.key).users) | set(self.model.of(table.key).path[:1])
        people = {"auth.users"} | {k for k, t in self.model.tables.items() if t.kind == "user"}
        things = {c for fk in table.foreign_keys if fk.target not in people for c in fk.columns}
        if any(set(u.columns) & users and set(u.columns) & things for u in table.uniques):
            return False  # it pairs people with things: rights to one of them only
        named = {c for fk in table.foreign_keys if fk.target in people for c in fk.columns}
        return all(
            c.name in users | named
            or c.name in table.primary_key
            or c.category == "D"
            or (c.category == "S" and not c.not_null)
            for c in table.columns
        )

    def privileged(self, table: Table) -> Iterable[Column]:
        """Return the columns of a describing table whose quoted values or truth mean rights."""
        return [c for c in table.columns if c.category == "B" or self._names(table, c)]

    # What the policies ask -------------------------------------------------------------------

    @cached_property
    def _policies(self) -> str:
        tables = (*self.catalog.tables.values(), *self.catalog.platform.values())
        return self.refs.closure_text("\n".join(self.refs.policy_text(t) for t in tables))

    @cached_property
    def _asked(self) -> frozenset[str]:
        return self.refs.reach(self._policies)[0]

    @cached_property
    def _quoted(self) -> frozenset[str]:
        return frozenset(literals(self._policies))

    def _names(self, table: Table, column: Column) -> bool:
        """Whether the policies quote a value that this column of few values can have."""
        if column.category in "SE" and not self._listed(table, column):
            # Free text that a policy compares with a word.
            if column.name not in self._compared:
                pattern = rf"\b{re.escape(column.name)}\b\"?\)?(?:::\w+)?\s*(?:=|in\b)"
                self._compared[column.name] = (
                    column.name in self._policies and re.search(pattern, self._policies) is not None
                )
            return self._compared[column.name]
        return bool(self._quoted & set(self._values(table, column)))

    def _listed(self, table: Table, column: Column) -> bool:
        return bool(self._values(table, column))

    @staticmethod
    def _values(table: Table, column: Column) -> tuple[str, ...]:
        if column.labels:
            return column.labels
        texts = [k.expression for k in table.checks if k.columns == (column.name,)]
        texts += column.domain_checks
        return tuple(
            v for t in texts if ("ARRAY[" in t or "= '" in t) and "~" not in t for v in literals(t)
        )

    @staticmethod
    def _self_service(check: str | None) -> bool:
        return check is not None and bool(re.search(r"\buid\(\)", check) or check == "true")

    # What a new user gets --------------------------------------------------------------------

    @cached_property
    def _signup(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """Table name -> column -> the values that a trigger on auth.users writes there."""
        users = self.catalog.platform.get("auth.users")
        names = {t.function.partition("(")[0] for t in users.triggers} if users else set()
        bodies = [
            f.source
            for f in self.catalog.functions.values()
            if f.is_trigger and (f"{f.schema}.{f.name}" in names or f.name in names)
        ]
        found: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
        for body in bodies:
            seen: dict[tuple[str, str], set[str]] = defaultdict(set)
            for match in _INSERT.finditer(body):
                table, names_, values = match.groups()
                found.setdefault(table, {})
                columns = [c.strip().strip('"') for c in names_.split(",")]
                given = _items(values or "")
                for column, value in zip(columns, given, strict=False):
                    for text in literals(value):
                        seen[table, column].add(text)
            for (table, column), texts in seen.items():
                # Several: the function decides, and only some people get the special one.
                usual = texts if len(texts) == 1 else texts - self._quoted
                found[table][column] = tuple(sorted(usual))
        return dict(found)


def _items(text: str) -> list[str]:
    """Split a list of expressions at its own commas."""
    out, depth, quoted, start = [], 0, False, 0
    for index, char in enumerate(text):
        if char == "'":
            quoted = not quoted
        elif not quoted and char in "([":
            depth += 1
        elif not quoted and char in ")]":
            depth -= 1
        elif char == "," and not quoted and not depth:
            out.append(text[start:index])
            start = index + 1
    return [*out, text[start:]]
