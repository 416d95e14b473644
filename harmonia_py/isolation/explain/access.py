"""Ask the database itself: each condition is evaluated as the user, on the row in question."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from harmonia_py.errors import UsageError
from harmonia_py.isolation.catalog import Catalog, Policy, Table
from harmonia_py.isolation.explain.conditions import Condition, conditions
from harmonia_py.isolation.introspect import introspect

__all__ = ["Explanation", "PolicyAnswer", "explain"]

COMMANDS = ("select", "insert", "update", "delete")
Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class PolicyAnswer:
    """What one policy says of the row. ``clause`` is ``using`` or ``with check``."""

    name: str
    permissive: bool
    clause: str
    condition: Condition

    @property
    def passes(self) -> bool:
        """Whether the clause is true for the row."""
        return self.condition.value == "true"


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer: ``allowed`` is None when no row was named; ``because`` is one sentence.

    ``grants`` says what privilege there is. ``returning`` says whether the row also passes the
    SELECT policies, which RETURNING, ON CONFLICT and WHERE need. ``scan`` is how the table is
    read, ``visible`` how many rows the user sees of ``total``.
    """

    table: str
    command: str
    user: str
    role: str
    allowed: bool | None
    because: str
    grants: tuple[str, ...]
    policies: tuple[PolicyAnswer, ...] = ()
    returning: str = ""
    scan: str = ""
    visible: int | None = None
    total: int | None = None


def explain(
    conn: Connection,
    *,
    table: str,
    user: str,
    command: str = "select",
    row: str | None = None,
    values: dict[str, Any] | None = None,
    claims: dict[str, Any] | None = None,
) -> Explanation:
    """Explain what ``user`` may do; ``conn`` must bypass row level security (``postgres``).

    ``table`` is ``name`` or ``schema.name``; ``user`` an e-mail address, a user id, or ``anon``;
    ``row`` the ``id`` of the row (for composite keys the last key column); ``values`` the columns
    of a new row, or the changes of an update; ``claims`` are added to the token. Everything runs
    in one transaction that is rolled back. Raises UsageError for what cannot be found.
    """
    if command not in COMMANDS:
        raise UsageError(f"{command} is not one of {', '.join(COMMANDS)}")
    with conn.transaction(force_rollback=True):
        conn.execute("set local statement_timeout = '15s'")
        catalog = introspect(conn)
        target = _table(catalog, table)
        session = _session(conn, user, claims or {})
        return _Explainer(conn, target, command, session).run(row, values or {})


def _table(catalog: Catalog, name: str) -> Table:
    wanted = name if "." in name else f"public.{name}"
    found = catalog.table(wanted)
    if found is None:
        raise UsageError(f"there is no table {wanted}", hint="write it as schema.table")
    return found


@dataclass(frozen=True, slots=True)
class _Session:
    label: str
    role: str
    claims: dict[str, Any]


def _session(conn: Connection, user: str, claims: dict[str, Any]) -> _Session:
    if user == "anon":
        return _Session("anon", "anon", {"role": "anon"} | claims)
    found = conn.execute(
        "select id::text, email, raw_app_meta_data, raw_user_meta_data from auth.users"
        " where id::text = %(user)s or lower(email) = lower(%(user)s)",
        {"user": user},
    ).fetchone()
    if found is None:
        raise UsageError(f"there is no user {user}", hint="give an e-mail address or a user id")
    token = {
        "sub": found[0],
        "email": found[1],
        "role": "authenticated",
        "aal": "aal1",
        "app_metadata": found[2] or {},
        "user_metadata": found[3] or {},
    }
    return _Session(found[1] or found[0], "authenticated", token | claims)


class _Explainer:
    def __init__(self, conn: Connection, table: Table, command: str, session: _Session) -> None:
        self.conn, self.table, self.command, self.session = conn, table, command, session

    def run(self, row: str | None, values: dict[str, Any]) -> Explanation:
        grants = self._grants()
        old = self._row(row) if row is not None else None
        new = self._new(old, values)
        answers = self._answers(old, new)
        allowed, because = self._verdict(grants, answers, asked=bool(old or new))
        visible, total = (
            self._counts() if self.command == "select" and row is None else (None, None)
        )
        return Explanation(
            table=self.table.key,
            command=self.command,
            user=self.session.label,
            role=self.session.role,
            allowed=allowed,
            because=because,
            grants=grants,
            policies=answers,
            returning=self._returning(new or old),
            scan=self._scan(),
            visible=visible,
            total=total,
        )

    # Privileges ------------------------------------------------------------------------------

    def _grants(self) -> tuple[str, ...]:
        privilege, role = self.command.upper(), self.session.role
        if (role, privilege) in self.table.privileges:
            return (f"{role} holds {privilege} on the table",)
        columns = [c.name for c in self.table.columns if (role, privilege) in c.privileges]
        if columns:
            return (f"{role} holds {privilege} on the columns {', '.join(columns)}",)
        return ()

    # Rows ------------------------------------------------------------------------------------

    def _row(self, key: str) -> dict[str, Any]:
        if not self.table.primary_key:
            raise UsageError(f"{self.table.key} has no primary key to find a row by")
        column = self.table.primary_key[-1]
        found = self.conn.execute(
            sql.SQL("select to_jsonb(t) from {} as t where t.{}::text = {} limit 2").format(
                self.table.sql, sql.Identifier(column), sql.Literal(key)
            )
        ).fetchall()
        if len(found) != 1:
            what = "no row" if not found else "more than one row"
            raise UsageError(f"{self.table.key} has {what} whose {column} is {key}")
        row: dict[str, Any] = found[0][0]
        return row

    def _new(self, old: dict[str, Any] | None, values: dict[str, Any]) -> dict[str, Any] | None:
        unknown = [name for name in values if not self.table.has(name)]
        if unknown:
            raise UsageError(f"{self.table.key} has no column {unknown[0]}")
        if self.command == "insert":
            return values or None
        if self.command == "update" and old is not None:
            return old | values
        return None

    # Policies --------------------------------------------------------------------------------

    def _answers(
        self, old: dict[str, Any] | None, new: dict[str, Any] | None
    ) -> tuple[PolicyAnswer, ...]:
        if not self.table.rls:
            return ()
        out = []
        for policy in self.table.policies_for(self.command, self.session.role):
            if self.command != "insert":
                out.append(self._answer(policy, "using", policy.using, old))
            if self.command in ("insert", "update"):
                out.append(self._answer(policy, "with check", policy.check or policy.using, new))
        return tuple(out)

    def _answer(
        self, policy: Policy, clause: str, text: str | None, row: dict[str, Any] | None
    ) -> PolicyAnswer:
        tree = conditions(text or "true")
        if row is not None:
            tree = tree.evaluated(lambda condition: self._ask(condition, row))
        return PolicyAnswer(policy.name, policy.permissive, clause, tree)

    def _ask(self, condition: str, row: dict[str, Any]) -> tuple[str, str | None]:
        # The row is rebuilt as a record, so it is judged even where its own policies hide it;
        # sub-queries and helpers still run as the user, under the user's own policies.
        statement = sql.SQL(
            "select ({condition})::boolean from"
            " (select (pg_catalog.jsonb_populate_record(null::{table}, {row}::jsonb)).*) as {alias}"
        ).format(
            row=sql.Literal(json.dumps(row)),
            condition=sql.SQL(condition),
            table=self.table.sql,
            alias=sql.Identifier(self.table.name),
        )
        try:
            with self._as_user() as conn:
                found = conn.execute(statement).fetchone()
        except psycopg.Error as error:
            return "error", error.diag.message_primary or type(error).__name__
        value = found[0] if found else None
        return {True: "true", False: "false", None: "null"}[value], None

    def _as_user(self) -> _Impersonation:
        return _Impersonation(self.conn, self.session)

    # Verdict ---------------------------------------------------------------------------------

    def _verdict(
        self, grants: tuple[str, ...], answers: tuple[PolicyAnswer, ...], *, asked: bool
    ) -> tuple[bool | None, str]:
        role, what = self.session.role, self.command.upper()
        if not grants:
            return False, f"{role} holds no {what} privilege on {self.table.key}"
        if not self.table.rls:
            return True, "row level security is off: every row is open to the role"
        if not any(a.permissive for a in answers):
            return False, f"no permissive policy covers {what} for {role}: nothing passes"
        if not asked:
            return None, "no row was named: the policies are shown without values"
        for clause in ("using", "with check"):
            sentence = self._clause([a for a in answers if a.clause == clause])
            if sentence is not None:
                return False, sentence
        winner = next(a for a in answers if a.permissive and a.passes)
        return True, f"policy {winner.name} passes: {winner.condition.decisive().text}"

    def _clause(self, answers: list[PolicyAnswer]) -> str | None:
        """Say why a clause refuses the row, or None when it does not."""
        if not answers:
            return None
        for answer in answers:
            if not answer.permissive and not answer.passes:
                return f"restrictive policy {answer.name} refuses: {_why(answer.condition)}"
        if any(a.permissive and a.passes for a in answers):
            return None
        reasons = [f"{a.name}: {_why(a.condition)}" for a in answers if a.permissive]
        return f"no permissive policy passes ({answers[0].clause}); " + "; ".join(reasons)

    def _returning(self, row: dict[str, Any] | None) -> str:
        if self.command == "select" or row is None or not self.table.rls:
            return ""
        applied = self.table.policies_for("select", self.session.role)
        answers = [self._answer(p, "using", p.using, row) for p in applied]
        if not any((self.session.role, "SELECT") in c.privileges for c in self.table.columns):
            return "the role may not read the table: RETURNING, WHERE and upsert are refused"
        if self._clause(answers) is None and any(a.permissive for a in answers):
            return "the row also passes the SELECT policies: RETURNING and WHERE work"
        return (
            "the row does not pass the SELECT policies: the statement fails or touches nothing"
            " with RETURNING, WHERE or upsert"
        )

    # Cost ------------------------------------------------------------------------------------

    def _scan(self) -> str:
        statement = sql.SQL("explain (format json) select * from {}").format(self.table.sql)
        try:
            with self._as_user() as conn:
                found = conn.execute(statement).fetchone()
        except psycopg.errors.InvalidObjectDefinition as error:
            return f"recursion: {error.diag.message_primary}"
        except psycopg.Error as error:
            return error.diag.message_primary or type(error).__name__
        return _scan(found[0][0]["Plan"], self.table.name) if found else ""

    def _counts(self) -> tuple[int | None, int | None]:
        statement = sql.SQL("select count(*) from {}").format(self.table.sql)
        found = self.conn.execute(statement).fetchone()
        total = found[0] if found else None
        try:
            with self._as_user() as conn:
                seen = conn.execute(statement).fetchone()
        except psycopg.Error:
            return None, total
        return (seen[0] if seen else None), total


class _Impersonation:
    """A savepoint as the user, with the settings PostgREST makes; always rolled back."""

    def __init__(self, conn: Connection, session: _Session) -> None:
        self.conn, self.session = conn, session

    def __enter__(self) -> Connection:
        self.savepoint = self.conn.transaction(force_rollback=True)
        self.savepoint.__enter__()
        self.conn.execute(
            "select set_config('request.jwt.claims', %s, true), set_config('role', %s, true)",
            (json.dumps(self.session.claims), self.session.role),
        )
        return self.conn

    def __exit__(self, *error: Any) -> None:
        self.savepoint.__exit__(*error)


def _why(condition: Condition) -> str:
    cause = condition.decisive()
    if cause.error:
        return f"{cause.text} raises: {cause.error}"
    return f"{cause.text} is {cause.value}"


def _scan(node: dict[str, Any], table: str) -> str:
    if node.get("Relation Name") == table:
        below = [n["Index Name"] for n in node.get("Plans", ()) if "Index Name" in n]
        names = [node["Index Name"]] if "Index Name" in node else below
        index = f" using {', '.join(names)}" if names else ""
        return f"{node['Node Type']}{index}"
    for child in node.get("Plans", ()):
        if child.get("Parent Relationship") in ("InitPlan", "SubPlan"):
            continue
        found = _scan(child, table)
        if found:
            return found
    index_name = node.get("Index Name")
    return f"{node['Node Type']} using {index_name}" if index_name else ""
