"""The assertions. None of them can be green because there was nothing to see or to change."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from harmonia_py.pytest_plugin.session import HarmoniaDatabase, Params, Session

if TYPE_CHECKING:
    from harmonia_py.isolation.finding import Finding, Report

__all__ = ["assert_invisible", "assert_rejected", "assert_visible", "isolated"]

_DENIED = "42501"


class _Undo(Exception):
    """Ends a savepoint whose work shall not stay."""


def assert_visible(
    session: Session, statement: str, params: Params = None, *, rows: int | None = None
) -> None:
    """Fail unless the query gives the session at least one row, or exactly ``rows``."""
    __tracebackhide__ = True
    try:
        with session.conn.transaction():
            found = len(session.execute(statement, params).fetchall())
    except psycopg.errors.InsufficientPrivilege as error:
        pytest.fail(f"{session.name} may not run this: {_reason(error)}\n{statement}")
    if rows is None and found == 0:
        pytest.fail(f"{session.name} sees no row of: {statement}")
    if rows is not None and found != rows:
        pytest.fail(f"{session.name} sees {found} row(s), not {rows}, of: {statement}")


def assert_invisible(session: Session, statement: str, params: Params = None) -> None:
    """Fail when the query gives the session a row, or when it would give nobody one.

    The rows must be there for a session that bypasses row level security; otherwise an empty
    result would say nothing.
    """
    __tracebackhide__ = True
    found = 0
    with suppress(psycopg.errors.InsufficientPrivilege), session.conn.transaction():
        found = len(session.execute(statement, params).fetchall())
    if found:
        pytest.fail(f"{session.name} sees {found} row(s) of: {statement}")
    if not _as_owner(session, statement, params):
        pytest.fail(f"nobody sees a row, so this proves nothing: {statement}")


def assert_rejected(
    session: Session,
    statement: str,
    params: Params = None,
    *,
    code: str | tuple[str, ...] | None = None,
) -> None:
    """Fail when the session can run the statement, or when nobody could.

    Rejected means refused for want of privilege (42501), or, for an update or delete, without
    effect on any row, while the same statement has an effect for a session that bypasses row
    level security. With ``code`` the refusal must have that sqlstate (or one of them); use it
    for refusals that a function or trigger raises. The attempt leaves nothing behind.
    """
    __tracebackhide__ = True
    wanted = (code,) if isinstance(code, str) else code
    affected = 0
    state = None
    with suppress(_Undo):
        try:
            with session.conn.transaction():
                affected = _effect(session.execute(statement, params))
                raise _Undo
        except psycopg.Error as error:
            state, reason = error.sqlstate, _reason(error)
    if wanted is not None:
        if state not in wanted:
            what = f"{state} ({reason})" if state else f"{affected} row(s) affected"
            pytest.fail(f"{session.name} got {what}, not {' or '.join(wanted)}: {statement}")
        return
    if state is None and affected:
        pytest.fail(f"{session.name} can do this ({affected} row(s) affected): {statement}")
    if state not in (None, _DENIED):
        pytest.fail(
            f"refused, but not for want of privilege: {state} ({reason}); name it with code="
            f"{state!r} if it is meant: {statement}"
        )
    try:
        possible = _as_owner(session, statement, params)
    except psycopg.Error as error:
        pytest.fail(
            f"refused for everybody ({error.sqlstate}: {_reason(error)}), so this proves nothing: "
            f"{statement}"
        )
    if not possible:
        pytest.fail(f"there is nothing to change, so this proves nothing: {statement}")


def _effect(cursor: psycopg.Cursor[Any]) -> int:
    return max(cursor.rowcount, 0)


def _as_owner(session: Session, statement: str, params: Params) -> int:
    """Return how many rows the statement meets without row level security; then undo it."""
    conn = session.owner
    affected = 0
    with suppress(_Undo), conn.transaction():
        conn.execute(
            "select pg_catalog.set_config('role', 'none', true),"
            " pg_catalog.set_config('search_path', '\"public\", \"extensions\"', true),"
            " pg_catalog.set_config('request.jwt.claims', %s, true)",
            [session.claims],
        )
        affected = _effect(conn.execute(statement.encode(), params))
        raise _Undo
    return affected


def _reason(error: psycopg.Error) -> str:
    return (error.diag.message_primary or str(error)).strip()


def isolated(
    db: HarmoniaDatabase,
    *,
    model: Path | None,
    baseline: Path | None,
    strict: bool,
    schemas: tuple[str, ...] | None,
    timeout: float,
) -> Report:
    """Judge a database as ``harmonia verify`` does and fail with what was found."""
    from harmonia_py.isolation import runner
    from harmonia_py.isolation.model import load
    from harmonia_py.isolation.verdict.baseline import load_baseline

    __tracebackhide__ = True
    accepted = load_baseline(baseline) if baseline else None
    database = db.database
    report = runner.verify(
        database.admin_dsn or database.owner_dsn,
        model=load(model) if model else None,
        schemas=schemas,
        timeout=timeout,
    )
    if accepted is not None:
        report, _ = accepted.apply(report, today=date.today())
    if report.exit_code(strict=strict):
        found = [_tell(f) for f in (*report.findings, *report.errors)]
        if strict:
            found += [f"not judged: {n.object}: {n.reason}" for n in report.not_judged]
        count = len(report.findings)
        head = f"harmonia verify: {count} finding{'' if count == 1 else 's'}"
        pytest.fail("\n\n".join([head, *found]), pytrace=False)
    return report


def _tell(finding: Finding) -> str:
    lines = [f"{finding.severity} {finding.id} {finding.title}"]
    lines += [f"  seen: {line}" for line in finding.evidence[:3]]
    lines += [f"  why: {finding.why}", f"  fix: {finding.fix}"]
    lines += [f"    {line}" for line in finding.script.splitlines()]
    return "\n".join(lines)
