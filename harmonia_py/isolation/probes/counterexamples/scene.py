"""The world of a proof that failed, with concrete values: its rows, its caller, its attacks."""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Column, Table
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.proof import Proof
from harmonia_py.isolation.proof.witness import Cell, Witness
from harmonia_py.isolation.references import literals
from harmonia_py.isolation.suggestions import suggestions

__all__ = ["FORGEABLE", "OUTSIDER", "Attack", "Scene"]

_PAST, _FUTURE = "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
#: How many rows are tried for one world, of which only a part is known.
_TRIES = 120
OUTSIDER = "an outsider"
#: Where a caller keeps what it wrote about itself.
FORGEABLE = ("user_metadata", "raw_user_meta_data")


@dataclass(frozen=True, slots=True)
class Attack:
    """A statement of an actor, and what brings its world about."""

    statement: str
    pre: tuple[str, ...]
    actor: Actor


@dataclass(frozen=True, slots=True)
class _Said:
    """A text that both a row of the world and a claim or header of the caller hold."""

    row: int
    column: str
    text: str
    path: str


class Scene:
    """One world with concrete values."""

    def __init__(self, lab: Lab, proof: Proof, witness: Witness) -> None:
        self.lab, self.proof, self.witness = lab, proof, witness
        table = lab.catalog.table(witness.rows[0][0])
        assert table is not None  # noqa: S101 - proofs are about tables of the catalog
        self.table = table
        self.values: dict[str, str] = dict(witness.literals)
        self._numbers = itertools.count(1)
        self.uses = Counter(
            value for _, row in witness.rows for value in row.values() if isinstance(value, str)
        )

    def attacks(self) -> Iterator[Attack]:
        """Yield what to run; nothing when the world cannot be built."""
        if not self._anchor():
            return
        self._said()
        actor = self._actor()
        if actor is None:
            return
        rows = [self._row(n, key, cells) for n, (key, cells) in enumerate(self.witness.rows)]
        built = [r for r in rows if r is not None]
        if len(built) < len(rows):
            return
        others = [self._insert(table, row) for table, row in built[1:]]
        for subject in self._variations(built[0][1]):
            attack = self._attack(subject, others, actor)
            if attack is not None:
                yield attack
        for said in self._sayings([row for _, row in built]):
            changed = [
                {**row, said.column: said.text} if n == said.row else row
                for n, (_, row) in enumerate(built)
            ]
            others = [
                self._insert(table, row)
                for (table, _), row in zip(built[1:], changed[1:], strict=True)
            ]
            speaker = self._actor({said.path: said.text})
            attack = self._attack(changed[0], others, speaker) if speaker else None
            if attack is not None:
                yield attack

    def _attack(
        self, subject: dict[str, Any], others: Sequence[str], actor: Actor
    ) -> Attack | None:
        command = self.proof.command
        if command == "insert":
            return Attack(self._write(subject), tuple(others), actor)
        if self.proof.clause == "check":
            return self._move(subject, others)
        pre = (self._insert(self.table, subject), *others)
        if command == "select":
            where = self.lab.where_keys(self.table, [subject])
            text = self.lab.text(
                sql.SQL("select pg_catalog.to_jsonb(count(*)) from {} as t").format(self.table.sql)
            )
            return Attack(f"{text} where {where} having count(*) > 0", pre, actor)
        if command == "delete":
            return Attack(statements.erase(self.lab, self.table), pre, actor)
        update = self._update(subject)
        return Attack(update, pre, actor) if update else None

    def _update(self, subject: dict[str, Any]) -> str | None:
        """Write a blind update: naming a column's old value would ask the SELECT policies too."""
        keys = {c for u in self.table.uniques for c in u.columns}
        columns = [
            c
            for c in self.table.columns
            if c.writable and self._may(c, "UPDATE") and c.name in subject
        ]
        if not columns:
            return None
        column = min(columns, key=lambda c: (c.name in keys, c.name in self.witness.rows[0][1]))
        return statements.change(self.lab, self.table, {column.name: subject[column.name]})

    def _move(self, subject: dict[str, Any], others: Sequence[str]) -> Attack | None:
        """Let a member of tenant A make its own rows into rows like the one in question."""
        members = self.lab.cast.members("A")
        names = [
            c for c in self.witness.rows[0][1] if c in subject and self.table.column(c).writable
        ]
        if not members or not all(self._may(self.table.column(c), "UPDATE") for c in names):
            return None
        statement = statements.change(self.lab, self.table, {c: subject[c] for c in names})
        return Attack(statement, tuple(others) or ("select 1",), members[0])

    def _variations(self, subject: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the row in question as it came out, and as the policies' constants suggest it."""
        yield subject
        constants = list(self.witness.literals.values())
        choices: dict[str, list[Any]] = {}
        for name, cell in self.witness.rows[0][1].items():
            column = self.table.column(name)
            free = cell is None or (isinstance(cell, str) and self.uses[cell] == 1)
            if (
                free
                and column.writable
                and cell not in (*self.witness.literals, self.witness.tenant)
            ):
                choices[name] = suggestions(column, constants)
        single = (({name: value}) for name, values in choices.items() for value in values)
        pairs = (
            {one: first, other: second}
            for one, other in itertools.combinations(choices, 2)
            for first, second in itertools.product(choices[one], choices[other])
        )
        for changed in itertools.islice(itertools.chain(single, pairs), _TRIES):
            yield {**subject, **changed}

    def _may(self, column: Column, privilege: str) -> bool:
        role = self.proof.role
        return (role, privilege) in column.privileges or (role, privilege) in self.table.privileges

    def _sayings(self, rows: list[dict[str, Any]]) -> Iterator[_Said]:
        """Yield what a caller may say of itself so that it is what a text of a row says.

        What the caller writes itself, to each row; its own address to rows beside the one in
        question, which may be addressed to it rightly.
        """
        for path in self.witness.claims:
            forged = path.split(".")[0] in FORGEABLE or path.startswith("setting:request.headers.")
            if not forged and path != "email":
                continue
            for number, (key, cells) in enumerate(self.witness.rows):
                table = self.lab.catalog.table(key)
                for name in cells if table is not None and (forged or number > 0) else ():
                    column = table.column(name)  # type: ignore[union-attr]
                    text = str(rows[number].get(name) or "").lower()
                    if (
                        text
                        and column.writable
                        and (column.category == "S" or column.base == "uuid")
                    ):
                        yield _Said(number, name, text, path)

    # Values ----------------------------------------------------------------------------------

    def _anchor(self) -> bool:
        """Give the row's tenant (or user) to B, and the caller an id nobody has."""
        witness = self.witness
        if isinstance(witness.uid, str):
            self.values[witness.uid] = self._id()
        if not isinstance(witness.tenant, str) or witness.tenant in self.values:
            return False
        kind = self.lab.model.of(self.table.key).kind
        if kind == "user":
            people = self.lab.cast.members("B") or [self.lab.cast.get("B.fresh")]
            self.values[witness.tenant] = people[0].user or ""
        else:
            self.values[witness.tenant] = self.lab.cast.b.id
        return True

    def _said(self) -> None:
        """Give what both the token and a row hold a value of the column's type."""
        claims = self.witness.claims.values()
        said = {c for claim in claims for c in (claim if isinstance(claim, list) else [claim])}
        for key, row in self.witness.rows:
            table = self.lab.catalog.table(key)
            for name, cell in row.items():
                if table is not None and isinstance(cell, str) and cell in said:
                    self._value(cell, table.column(name))

    def _value(self, cell: Cell, column: Column) -> Any:
        if not isinstance(cell, str):
            return cell
        if cell not in self.values:
            self.values[cell] = self._invent(column)
        return self.values[cell]

    def _id(self) -> str:
        """Return an id that begins and ends like tenant B's: a cut id takes one for the other."""
        try:
            like = str(uuid.UUID(self.lab.cast.b.id))
        except ValueError:
            like = str(uuid.uuid5(uuid.NAMESPACE_OID, self.lab.cast.b.id))
        return f"{like[:9]}{next(self._numbers):04x}{like[13:]}"

    def _text(self) -> str:
        return f"hzw{next(self._numbers):012d}"

    def _address(self) -> str:
        return f"{self._text()}@example.test"

    def _invent(self, column: Column) -> str:
        if column.base == "uuid":
            return self._id()
        if column.category == "N":
            return str(1_000_000_000 + next(self._numbers))
        if column.base in ("json", "jsonb"):
            return "{}"
        if column.category in "AD":
            return "{}" if column.category == "A" else _PAST
        return self._text()

    def _other(self, table: Table, column: Column, usual: Any) -> Any:
        """Choose a value for a column that must only differ from the policies' texts."""
        texts = set(self.witness.literals.values())
        if usual is not None and str(usual) not in texts:
            return usual
        choices = list(column.labels)
        for check in table.checks:
            if check.columns == (column.name,):
                choices += literals(check.expression)
        if usual is None:
            # What the world wants to hold something must not stay empty.
            usual = self._referenced(table, column) or self._invent(column)
        return next((c for c in choices if c not in texts), usual)

    def _referenced(self, table: Table, column: Column) -> Any:
        """Return what a reference to a row of tenant B holds, if the column is a reference."""
        for fk in table.foreign_keys:
            if column.name in fk.columns:
                ref = fk.ref_columns[fk.columns.index(column.name)]
                for row in self.lab.fixtures.of(fk.target, "B"):
                    return row.values.get(ref)
        return None

    # Rows ------------------------------------------------------------------------------------

    def _row(
        self, number: int, key: str, cells: dict[str, Cell]
    ) -> tuple[Table, dict[str, Any]] | None:
        table = self.lab.catalog.table(key)
        if table is None or not table.is_base:
            return None
        row = self._base(table, "B" if number == 0 else "A")
        for name in {c for u in table.uniques for c in u.columns}:
            column = table.column(name)
            if column.base == "uuid" and column.writable:
                row[name] = self._id()
        if key == "auth.users":
            row["email"] = self._address()
        for name, cell in cells.items():
            column = table.column(name)
            if not column.writable:
                continue
            if column.category == "D" and isinstance(cell, str):
                row[name] = _FUTURE if (number, name) in self.witness.future else _PAST
            elif isinstance(cell, str) and self.uses[cell] == 1 and cell not in self.values:
                row[name] = self._other(table, column, row.get(name))
            else:
                row[name] = self._value(cell, column)
        return table, row

    def _base(self, table: Table, owner: str) -> dict[str, Any]:
        spare = self.lab.fixtures.spares.get((table.key, owner))
        spare = spare or self.lab.fixtures.spares.get((table.key, None))
        if spare is not None:
            return dict(spare.values)
        rows = self.lab.fixtures.rows.get(table.key, ())
        return dict(rows[0].values) if rows else {}

    def _insert(self, table: Table, row: dict[str, Any]) -> str:
        return f"{statements.store(self.lab, table, row)} {table.skip_present}"

    def _write(self, row: dict[str, Any]) -> str:
        given = {n: v for n, v in row.items() if self._may(self.table.column(n), "INSERT")}
        return statements.store(self.lab, self.table, given)

    # Session ---------------------------------------------------------------------------------

    def _actor(self, said: Mapping[str, str] | None = None) -> Actor | None:
        role = self.proof.role
        if role == "anon":
            return Actor(OUTSIDER, role, None, "anon", claims={"role": "anon"})
        user = self.values.get(self.witness.uid) if isinstance(self.witness.uid, str) else None
        claims: dict[str, Any] = {
            "sub": user,
            "role": role,
            "aud": role,
            "email": self._address(),
            "aal": "aal2",
            "is_anonymous": False,
            "app_metadata": {"provider": "email"},
            "user_metadata": {},
        }
        headers: dict[str, str] = {}
        for path, cell in self.witness.claims.items():
            value = (said or {}).get(path) or self._claim(cell)
            if path.startswith("setting:request.headers."):
                if value is not None:
                    headers[path.removeprefix("setting:request.headers.")] = str(value)
            elif path.startswith("setting:"):
                if value is not None:
                    return None  # a client cannot set it
            else:
                _put(claims, path, value)
        claims = {k: v for k, v in claims.items() if v is not None}
        return Actor(OUTSIDER, role, user, "stranger", claims=claims, headers=headers)

    def _claim(self, cell: Cell | list[Cell]) -> Any:
        if isinstance(cell, list):
            return [self._claim(c) for c in cell]
        if not isinstance(cell, str):
            return cell
        return self.values.setdefault(cell, self._text())


def _put(claims: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    place = claims
    for key in parents:
        inner = place.get(key)
        if not isinstance(inner, dict):
            inner = place[key] = {}
        place = inner
    if value is None:
        place.pop(last, None)
    else:
        place[last] = value
