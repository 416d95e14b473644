"""Run a variant's proof as the real roles with real claims, inside a transaction."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pglast
import psycopg
from psycopg import sql

from isolation_bench.actors import claims_of, role_of, substitute
from isolation_bench.variants import Step, Variant

_NEUTRAL = ("search_path", "request.jwt.claims", "request.headers", "realtime.topic")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one statement ended."""

    rows: int
    error: str | None
    values: str

    def same_as(self, other: Outcome) -> bool:
        """Tell whether a caller could not tell the two apart."""
        mine = None if self.error is None else self.error[:5]
        theirs = None if other.error is None else other.error[:5]
        return (self.rows, mine) == (other.rows, theirs)


def statements(text: str) -> tuple[str, ...]:
    """Split ``text`` into its SQL statements."""
    return tuple(pglast.split(text)) if text.strip() else ()


@contextmanager
def acting_as(
    connection: psycopg.Connection[Any],
    actor: str,
    standing: Mapping[str, Any],
    changes: Mapping[str, Any],
) -> Iterator[None]:
    """Become ``actor`` as PostgREST does, and become the superuser again at the end.

    The block must leave the transaction usable: callers use savepoints per statement.
    """
    claims = claims_of(
        actor, standing, {k: v for k, v in changes.items() if k not in ("headers", "topic")}
    )
    settings = {
        "search_path": "public, extensions",
        "request.jwt.claims": json.dumps(claims),
        "request.headers": substitute(json.dumps(changes.get("headers", {}))),
        "realtime.topic": substitute(str(changes.get("topic", ""))),
    }
    for name, value in settings.items():
        connection.execute("select set_config(%s, %s, true)", (name, value))
    if actor != "gotrue":  # the sign-up service logs in as itself
        connection.execute("set local session authorization authenticator")
    connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role_of(actor))))
    try:
        yield
    finally:
        connection.execute("reset role")
        connection.execute("reset session authorization")
        for name in _NEUTRAL:
            connection.execute("select set_config(%s, '', true)", (name,))


def run_step(
    connection: psycopg.Connection[Any], step: Step, standing: Mapping[str, Any]
) -> list[Outcome]:
    """Run the statements of one step; an error ends only its own statement."""
    outcomes: list[Outcome] = []
    with acting_as(connection, step.actor, standing, step.changes):
        for statement in statements(substitute(step.sql)):
            connection.execute("savepoint statement")
            try:
                cursor = connection.execute(statement.encode())
                fetched = cursor.fetchall() if cursor.description else []
                # `select from t` has rows without columns, which only the count shows.
                selected = (cursor.statusmessage or "").startswith("SELECT")
                rows = cursor.rowcount if selected else len(fetched)
                connection.execute("set constraints all immediate")
                outcomes.append(Outcome(rows, None, repr(fetched)))
            except psycopg.Error as error:
                connection.execute("rollback to savepoint statement")
                detail = error.diag.message_detail or ""
                text = f"{error.sqlstate} {error.diag.message_primary} {detail}"
                outcomes.append(Outcome(0, text, ""))
            connection.execute("release savepoint statement")
    return outcomes


def proof_holds(
    connection: psycopg.Connection[Any], variant: Variant, standing: Mapping[str, Any]
) -> tuple[bool, list[Outcome]]:
    """Run the steps of ``variant`` and evaluate its verdict. ``standing`` is per actor name."""
    notices: list[str] = []

    def listen(diagnostic: Any) -> None:
        notices.append(f"{diagnostic.message_primary} {diagnostic.message_detail or ''}")

    connection.add_notice_handler(listen)
    try:
        outcomes = [
            outcome
            for step in variant.steps
            for outcome in run_step(connection, step, standing.get(step.actor, {}))
        ]
    finally:
        connection.remove_notice_handler(listen)
    verdict = variant.verdict
    last = outcomes[-1]
    if verdict == "rows":
        return last.rows > 0, outcomes
    if verdict == "differs":
        return not last.same_as(outcomes[-2]), outcomes
    if verdict.startswith("error "):
        pattern = substitute(verdict.removeprefix("error "))
        return bool(last.error and re.search(pattern, last.error)), outcomes
    if verdict.startswith("notice "):
        pattern = substitute(verdict.removeprefix("notice "))
        return any(re.search(pattern, notice) for notice in notices), outcomes
    row = connection.execute(f"select {substitute(verdict)}".encode()).fetchone()
    return bool(row and row[0]), outcomes
