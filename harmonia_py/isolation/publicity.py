"""Rows that their owners open to everybody: what a policy says in words, and which rows it means.

A policy that looks at nothing but the row opens it to all. Where its words say so (a flag called
public, a status called published) that is taken for the intent and written into the model, for a
person to correct; where they do not (``archived_at is null``) it stays a finding.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from harmonia_py.isolation.catalog import Catalog, Table
from harmonia_py.isolation.model import TableModel, TenancyModel
from harmonia_py.isolation.references import References, literals

if TYPE_CHECKING:  # the fixtures ask this module
    from harmonia_py.isolation.fixtures.rows import Row

__all__ = ["declared", "known_to_all", "opened"]

_OPEN = re.compile(r"publi[cs]|visib|(^|_)(listed|shared|live|featured)($|_)", re.I)
_SHUT = re.compile(r"(hidden|private|unlisted|draft)", re.I)


def declared(catalog: Catalog, refs: References, table: Table) -> str | None:
    """Return the condition under which the SELECT policies of ``table`` say that a row is public.

    None when there is no such policy, or when one of them does not say so in words.
    """
    said = dict.fromkeys(c for role in catalog.roles for c in refs.published(table, role))
    if not said or not all(_says_public(refs, table, text) for text in said):
        return None
    return " or ".join(said)


def _says_public(refs: References, table: Table, text: str) -> bool:
    """Whether every alternative of a condition asks for something that is called public."""
    columns = {c.name for c in table.columns}
    for part in re.split(r"\bor\b", text, flags=re.IGNORECASE):
        part = re.sub(r"\bis not null\b", "", part, flags=re.IGNORECASE)
        words = (refs.words(re.sub(r"'[^']*'|::[\w.\[\]]+", "", part)) & columns) | {
            *literals(part)
        }
        negated = re.search(r"<>|!=|\bnot\b|= false", part, re.IGNORECASE) is not None
        if not any((_SHUT if negated else _OPEN).search(word) for word in words):
            return False
    return True


def opened(
    conn: psycopg.Connection[Any], table: Table, model: TableModel, rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return those of ``rows`` (as JSON) that are public by the model."""
    if not model.public_when or not rows or not table.primary_key:
        return []
    keys = [sql.Identifier(c) for c in table.primary_key]
    query = sql.SQL("select pg_catalog.jsonb_build_array({}) from {} as t where {}").format(
        sql.SQL(", ").join(sql.SQL("t.{}").format(k) for k in keys),
        table.sql,
        sql.SQL(f"({model.public_when})"),  # the model is the operator's own
    )
    found = {str(key) for (key,) in conn.execute(query)}
    return [r for r in rows if str([r.get(c) for c in table.primary_key]) in found]


def known_to_all(
    conn: psycopg.Connection[Any],
    catalog: Catalog,
    model: TenancyModel,
    rows: Mapping[str, Sequence[Row]],
    role: str,
    value: str,
) -> bool:
    """Whether a row that is public by the model holds ``value`` where ``role`` may read it."""
    for key, some in rows.items():
        table = catalog.tables.get(key)
        if table is None or not model.of(key).public_when:
            continue
        names = [c.name for c in table.readable(role)]
        holding = [r.values for r in some if value in (str(r.values.get(n)) for n in names)]
        if opened(conn, table, model.of(key), holding):
            return True
    return False
