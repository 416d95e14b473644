"""Credentials in rows: whether clients can read what only its bearer, or nobody, should know."""

from __future__ import annotations

import re
from collections.abc import Mapping

from harmonia_py.isolation.catalog import Column, Table
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.probes.functions import invitations

__all__ = ["probe"]

Allowed = Mapping[tuple[str, str, str], set[str]]

#: Only a server compares these; a browser has no use for them.
_SEALED = re.compile(
    r"((token|key|secret|password|pin|otp|code)_?(hash|digest)|hashed_(token|key|secret|password)"
    r"|password|passwd|(^|_)secret($|_(key|value|text))|private_key)",
    re.I,
)

_DIGEST = re.compile(r"hash|digest", re.I)


def probe(lab: Lab, allowed: Allowed) -> list[Signal]:
    """Report sealed columns that anybody reads, and bearer tokens that more than issuers read."""
    out: list[Signal] = []
    bearers = invitations.bearers(lab)
    for table in lab.tables():
        if lab.model.of(table.key).kind == "public":
            out += _shared(lab, table)
        if lab.model.of(table.key).kind not in ("tenant", "user", "root"):
            continue
        readers = [k[2] for k, v in allowed.items() if k[:2] == (table.key, "select") and "A" in v]
        issuers = {k[2] for k, v in allowed.items() if k[:2] == (table.key, "insert") and "A" in v}
        for column in table.columns:
            if ("authenticated", "SELECT") not in column.privileges or not readers:
                continue
            if _is_sealed(column):
                # Who makes a credential has seen more than its digest.
                if not (_DIGEST.search(column.name) and issuers and set(readers) <= issuers):
                    out.append(_signal(table, column, readers[0], "has no use in a browser"))
            elif (table.key, column.name) in bearers:
                others = [r for r in readers if r not in issuers and r.startswith("A.")]
                if others and issuers:
                    out.append(
                        _signal(table, column, others[0], "opens a door for whoever presents it")
                    )
    return out


def _shared(lab: Lab, table: Table) -> list[Signal]:
    """Report sealed columns of rows that nobody in particular owns, where policies ask for nobody.

    A project that makes its own accounts keeps them in such a table.
    """
    roles = [
        role
        for role in ("anon", "authenticated")
        if not table.rls or lab.refs.blanket(table, "select", role)
    ]
    return [
        _signal(table, column, reader, "has no use in a browser")
        for column in table.columns
        if _is_sealed(column)
        for reader in [r for r in roles if (r, "SELECT") in column.privileges][:1]
    ]


def _is_sealed(column: Column) -> bool:
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column.name)
    return (column.category == "S" or column.base == "bytea") and bool(_SEALED.search(name))


def _signal(table: Table, column: Column, reader: str, what: str) -> Signal:
    return Signal(
        "column.credential",
        "exposure",
        "high",
        reader,
        table.key,
        "select",
        f"{reader} reads {column.name}, which {what}",
        "Who can read a credential can use it, or try guesses against it at leisure.",
        f"Grant select on {table.key} column by column, without {column.name}.",
        group=table.key,
        title="{object}: a credential can be read by clients",
    )
