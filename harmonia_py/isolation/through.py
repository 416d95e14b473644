"""The matrix over HTTP: what each member gets through PostgREST, beside what SQL gives them.

Works on committed rows, so it wants a development database with members of two tenants. Each
member reads, inserts, updates and deletes as PostgREST does it and as SQL does it; the two must
agree, and neither may touch another tenant. Writes ask for ``Prefer: tx=rollback``; a server that
does not grant that (``db-tx-end = commit-allow-override``) is only read from, and the report
says so.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from harmonia_py import dsn, tokens
from harmonia_py.errors import CouldNotVerify, UsageError
from harmonia_py.isolation.catalog import Catalog, Table
from harmonia_py.isolation.finding import (
    Cell,
    Coverage,
    Finding,
    Kind,
    NotJudged,
    Report,
    Severity,
)
from harmonia_py.isolation.infer import infer, merge
from harmonia_py.isolation.introspect import introspect
from harmonia_py.isolation.model import TenancyModel

__all__ = ["through_postgrest"]

Connection = psycopg.Connection[Any]
#: How many members of each tenant and role are tried.
PER_ROLE = 1
ROLE = "authenticated"
METHODS = {"select": "GET", "insert": "POST", "update": "PATCH", "delete": "DELETE"}
#: How often a 429 is waited out.
PATIENCE = 4


def through_postgrest(
    database_url: str,
    url: str,
    secret: str,
    *,
    model: TenancyModel | None = None,
    tables: Sequence[str] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Run the matrix through the PostgREST at ``url`` and compare it with SQL.

    ``tables`` limits it to some, such as ``["public.contacts"]``.
    ``secret`` is the server's HS256 secret. Both URLs must be of this machine. Raises
    :class:`UsageError` for others and :class:`CouldNotVerify` when nobody can be tried.
    """
    host = httpx.URL(url).host
    if not dsn.is_loopback(database_url) or host not in ("127.0.0.1", "::1", "localhost"):
        raise UsageError("the matrix over HTTP is for servers on this machine")
    started = time.monotonic()
    with dsn.connect(database_url, autocommit=True) as conn, httpx.Client(timeout=20) as http:
        catalog = introspect(conn)
        inferred = infer(catalog)
        whole = merge(inferred, model) if model is not None else inferred
        judged = _Through(conn, http, url.rstrip("/"), secret, catalog, whole)
        judged.run(progress, tables)
        return judged.report(time.monotonic() - started)


class _Through:
    def __init__(
        self,
        conn: Connection,
        http: httpx.Client,
        url: str,
        secret: str,
        catalog: Catalog,
        model: TenancyModel,
    ) -> None:
        self.conn, self.http, self.url, self.secret = conn, http, url, secret
        self.catalog, self.model = catalog, model
        self.cells: list[Cell] = []
        self.findings: list[Finding] = []
        self.coverage: list[Coverage] = []
        self.skipped: list[NotJudged] = []
        self.probes = 0
        self.rolls_back = False

    def run(self, progress: Callable[[str], None], tables: Sequence[str] | None) -> None:
        actors = self._actors()
        tenants = {tenant for _, tenant, _ in actors}
        if len(tenants) < 2:
            raise CouldNotVerify(
                "the matrix over HTTP needs members of two tenants", hint="harmonia seed apply"
            )
        self.rolls_back = self._asks_rollback(actors[0][0])
        if not self.rolls_back:
            self.skipped.append(
                NotJudged("writes", "the server does not grant Prefer: tx=rollback")
            )
        for table in self.catalog.reachable():
            place = self.model.of(table.key)
            if table.schema != "public" or place.kind != "tenant" or len(place.path) != 1:
                continue
            if not table.readable(ROLE) or (tables is not None and table.key not in tables):
                continue
            progress(f"{table.key} over HTTP")
            before = self.probes
            for user, _, label in actors:
                mine = {t for u, t, _ in actors if u == user}
                self._table(table, place.path[0], user, label, mine, tenants)
            self.coverage.append(Coverage(table.key, "tenant", "tested", self.probes - before))

    def report(self, seconds: float) -> Report:
        return Report(
            tuple(self.findings),
            tuple(self.cells),
            tuple(self.coverage),
            tuple(self.skipped),
            server=f"PostgREST at {self.url}",
            seconds=seconds,
            probes=self.probes,
            roles=(ROLE,),
        )

    def _actors(self) -> list[tuple[str, str, str]]:
        """Return (user, tenant, label): members of every role of every tenant."""
        member = self.model.membership
        if member is None:
            raise CouldNotVerify("the model names no membership table")
        query = sql.SQL("select {user}::text, {tenant}::text, {role}::text from {table}").format(
            user=sql.Identifier(member.user),
            tenant=sql.Identifier(member.tenant),
            role=sql.Identifier(member.role) if member.role else sql.Literal("member"),
            table=sql.Identifier(*member.table.split(".")),
        )
        found: dict[tuple[str, str], list[str]] = {}
        rows = self.conn.execute(query + sql.SQL(" order by 1, 2")).fetchall()
        for user, tenant, role in rows:
            found.setdefault((tenant, role), []).append(user)
        chosen = {user for users in found.values() for user in users[:PER_ROLE]}
        return [
            (user, tenant, f"{role} {tenant[:8]}") for user, tenant, role in rows if user in chosen
        ]

    def _asks_rollback(self, user: str) -> bool:
        assert self.model.membership is not None  # noqa: S101 - _actors() found people in it
        answer = self.http.get(
            f"{self.url}/{self.model.membership.table.split('.')[-1]}?limit=1",
            headers={**self._headers(user), "prefer": "tx=rollback"},
        )
        return "tx=rollback" in answer.headers.get("preference-applied", "")

    def _claims(self, user: str) -> dict[str, Any]:
        return tokens.user_claims(user, f"{user}@verify.invalid", aal="aal2")

    def _headers(self, user: str) -> dict[str, str]:
        return {"authorization": f"Bearer {tokens.sign(self._claims(user), self.secret)}"}

    def _table(
        self, table: Table, tenant: str, user: str, label: str, mine: set[str], tenants: set[str]
    ) -> None:
        for scope, owners in (("own", mine), ("foreign", tenants - mine)):
            if not owners:
                continue
            rows = self._rows(table, tenant, owners)
            if not rows:
                self.skipped.append(NotJudged(table.key, f"no {scope} row for {label}"))
                continue
            wanted = f"in.({','.join(sorted(owners))})"
            commands = ["select"]
            if self.rolls_back:
                commands += ["insert", "update", "delete"]
            for command in commands:
                over_http, said = self._over_http(table, command, tenant, wanted, rows[0], user)
                in_sql = self._in_sql(table, command, tenant, sorted(owners), rows[0], user)
                self.probes += 2
                self.cells.append(Cell(table.key, command, label, scope, in_sql, over_http, said))
                if scope == "foreign" and "allow" in (over_http, in_sql):
                    self._breach(table, command, label, said)
                elif over_http != in_sql:
                    self._differs(table, command, label, scope, in_sql, over_http, said)

    def _rows(self, table: Table, tenant: str, owners: set[str]) -> list[dict[str, Any]]:
        query = sql.SQL("select t.* from {} as t where {}::text = any(%s) limit 1").format(
            table.sql, sql.Identifier("t", tenant)
        )
        with self.conn.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, [sorted(owners)]).fetchall()

    def _over_http(
        self, table: Table, command: str, tenant: str, wanted: str, row: dict[str, Any], user: str
    ) -> tuple[str, str]:
        prefer = "return=representation" + (", tx=rollback" if command != "select" else "")
        headers = {**self._headers(user), "prefer": prefer, "content-type": "application/json"}
        query = {"select": ",".join(column.name for column in table.readable(ROLE))}
        address = f"{self.url}/{table.name}"
        method, content = METHODS[command], None
        if command == "insert":
            content = self._body(table, row)
        else:
            query[tenant] = wanted
        if command == "update":
            changed = self._updatable(table)
            if changed is None:
                return "deny", "no column may be updated"
            content = json.dumps({changed: row[changed]}, default=str)
        answer = self._send(method, address, query, content, headers)
        if answer.status_code >= 500:
            return "error", f"{answer.status_code}"
        if answer.status_code >= 400:
            code = str(answer.json().get("code", ""))
            # A refused value means that the row got past the policies.
            return ("allow" if code.startswith("23") else "deny"), f"{answer.status_code} {code}"
        count = len(answer.json()) if answer.content else 0
        return ("allow" if count else "deny"), f"{answer.status_code}, {count} rows"

    def _send(
        self,
        method: str,
        address: str,
        query: dict[str, str],
        content: str | None,
        headers: dict[str, str],
    ) -> httpx.Response:
        for _ in range(PATIENCE):
            answer = self.http.request(
                method, address, params=query, content=content, headers=headers
            )
            if answer.status_code != 429:
                return answer
            # The guard counts this run like everybody's: wait for the next window.
            time.sleep(float(answer.headers.get("retry-after", "1")))
        raise CouldNotVerify("the server keeps answering 429", hint="raise its rate limits")

    def _in_sql(
        self,
        table: Table,
        command: str,
        tenant: str,
        owners: Sequence[str],
        row: dict[str, Any],
        user: str,
    ) -> str:
        where = sql.SQL(" where {}::text = any(%s)").format(sql.Identifier(tenant))
        readable = sql.SQL(", ").join(sql.Identifier(c.name) for c in table.readable(ROLE))
        values: list[Any] = [list(owners)]
        query: sql.Composable
        if command == "select":
            query = sql.SQL("select {} from {}").format(readable, table.sql) + where
        elif command == "delete":
            query = sql.SQL("delete from {}").format(table.sql) + where
        elif command == "update":
            changed = self._updatable(table)
            if changed is None:
                return "deny"
            query = (
                sql.SQL("update {} set {c} = {c}").format(table.sql, c=sql.Identifier(changed))
                + where
            )
        else:
            body = self._body(table, row)
            names = list(json.loads(body))
            columns = sql.SQL(", ").join(map(sql.Identifier, names))
            query = sql.SQL(
                "insert into {t} ({c}) select {c} from json_populate_record(null::{t}, %s::json)"
            ).format(t=table.sql, c=columns)
            values = [body]
        if command != "select":
            query = query + sql.SQL(" returning ") + readable
        try:
            with self.conn.transaction(force_rollback=True):
                self.conn.execute(
                    "select set_config('role', %s, true),"
                    " set_config('request.jwt.claims', %s, true)",
                    [ROLE, json.dumps(self._claims(user))],
                )
                count = len(self.conn.execute(query, values).fetchall())
        except psycopg.Error as error:
            return "allow" if (error.sqlstate or "").startswith("23") else "deny"
        return "allow" if count else "deny"

    def _updatable(self, table: Table) -> str | None:
        """Return a column that may be updated; its value stays what it is."""
        for column in table.columns:
            if column.name not in table.primary_key and (ROLE, "UPDATE") in column.privileges:
                return column.name
        return None

    def _body(self, table: Table, row: dict[str, Any]) -> str:
        """Return a copy of a row as far as clients may write it."""
        names = [c.name for c in table.columns if (ROLE, "INSERT") in c.privileges]
        kept = {name: row[name] for name in names if row.get(name) is not None and name != "id"}
        return json.dumps(kept, default=str)

    def _breach(self, table: Table, command: str, label: str, said: str) -> None:
        self._find(
            "http.foreign",
            "breach",
            "critical",
            table,
            command,
            label,
            f"{command} reached another tenant's rows: {said}",
            "a request through PostgREST must not reach another tenant",
            "correct the policies of the table; harmonia verify says which",
        )

    def _differs(
        self, table: Table, command: str, label: str, scope: str, in_sql: str, http: str, said: str
    ) -> None:
        self._find(
            "http.differs",
            "denied",
            "high",
            table,
            command,
            label,
            f"{scope} rows: SQL {in_sql}, HTTP {http} ({said})",
            "what SQL decides and what clients get are not the same",
            "look at the pre-request function, exposed columns and the server's settings",
        )

    def _find(
        self,
        rule: str,
        kind: Kind,
        severity: Severity,
        table: Table,
        command: str,
        label: str,
        evidence: str,
        why: str,
        fix: str,
    ) -> None:
        self.findings.append(
            Finding(
                Finding.identify(rule, f"{table.key} {command} {label}"),
                rule,
                kind,
                severity,
                f"{command} on {table.key} over HTTP",
                table.key,
                (command,),
                (label,),
                (evidence,),
                why,
                fix,
                "",
            )
        )
