"""Who can reach ciphertext and keys: harmonia_vault, one organization at a time, nobody else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import psycopg
import pytest
from fix_database import ROOT, as_anon, as_service, as_user
from fix_vault import ALDER, BIRCH, WORKER, VaultBench
from psycopg import sql

from harmonia_py.engines import Database
from harmonia_py.isolation import model as model_file
from harmonia_py.isolation.runner import verify
from harmonia_py.secrets import Secret

Connection = psycopg.Connection[Any]
OLGA = "e0000000-0000-4000-8000-000000000001"  # owner of Alder
MIKA = "e0000000-0000-4000-8000-000000000004"  # member of Alder
OTTO = "e0000000-0000-4000-8000-000000000011"  # owner of Birch

PRIVATE = (
    "master_keys",
    "organization_keys",
    "key_seals",
    "secret_versions",
    "secret_leases",
    "secret_access",
    "webhook_receipts",
)
As = Callable[[Connection], AbstractContextManager[Connection]]
ATTACKERS: dict[str, As] = {
    "anon": as_anon,
    "owner of the organization at aal2": lambda conn: as_user(conn, OLGA, aal="aal2"),
    "owner of another organization at aal2": lambda conn: as_user(conn, OTTO, aal="aal2"),
    "service_role": as_service,
}


@pytest.fixture
def filled(vault_bench: VaultBench) -> VaultBench:
    store = vault_bench.store
    for organization in (ALDER, BIRCH):
        store.set(organization, "a", Secret("x" * 30), actor=WORKER, audience="api.hubapi.com")
        store.get(organization, "a", audience="api.hubapi.com", actor=WORKER)
    return vault_bench


def _refused(conn: Connection, act: As, statement: sql.Composed | bytes) -> str:
    with pytest.raises(psycopg.Error) as refused, act(conn):
        conn.execute(statement)
    conn.rollback()
    return refused.value.sqlstate or ""


@pytest.mark.parametrize("who", ATTACKERS)
def test_nobody_reaches_the_private_tables(filled: VaultBench, conn: Connection, who: str) -> None:
    act = ATTACKERS[who]
    for name in PRIVATE:
        table = sql.Identifier("private", name)
        for statement in (
            sql.SQL("select * from {}").format(table),
            sql.SQL("select count(*) from {}").format(table),
            sql.SQL("delete from {}").format(table),
            sql.SQL("insert into {} default values").format(table),
            sql.SQL("truncate {}").format(table),
            sql.SQL("create view public.stolen as select * from {}").format(table),
        ):
            assert _refused(conn, act, statement) == "42501"


@pytest.mark.parametrize("who", ATTACKERS)
def test_nobody_writes_metadata(filled: VaultBench, conn: Connection, who: str) -> None:
    act = ATTACKERS[who]
    for statement in (
        b"update public.secrets set audience = 'evil.example'",
        b"update public.secrets set current_version = 0",
        b"delete from public.secrets",
        b"insert into public.secrets (organization_id, name, kind) values"
        b" ('a0000000-0000-7000-8000-000000000001', 'z', 'api_key')",
        b"truncate public.secrets",
    ):
        assert _refused(conn, act, statement) == "42501"


@pytest.mark.parametrize("who", ATTACKERS)
def test_nobody_brings_a_former_signing_secret_back(
    filled: VaultBench, conn: Connection, who: str
) -> None:
    conn.execute(
        "insert into public.webhook_endpoints (organization_id, name, scheme)"
        " values (%s, 'in', 'standard')",
        [ALDER],
    )
    conn.commit()
    for statement in (
        b"update public.webhook_endpoints set previous_version = 1, previous_until = now()",
        b"insert into public.webhook_endpoints (organization_id, name, scheme, previous_version,"
        b" previous_until) values ('a0000000-0000-7000-8000-000000000001', 'x', 'standard', 1,"
        b" now())",
    ):
        assert _refused(conn, ATTACKERS[who], statement) == "42501"
    if who in ("service_role", "owner of the organization at aal2"):
        with ATTACKERS[who](conn):
            disable = "update public.webhook_endpoints set status = 'disabled'"
            assert conn.execute(disable).rowcount == 1


@pytest.mark.parametrize("who", ATTACKERS)
def test_nobody_becomes_the_vault_or_calls_it(filled: VaultBench, who: str) -> None:
    role = {"anon": "anon", "service_role": "service_role"}.get(who, "authenticated")
    # From the login role of PostgREST, as a request would.
    with psycopg.connect(filled.database.dsn_as("authenticator"), autocommit=True) as conn:
        conn.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
        for statement in (
            "set role harmonia_vault",
            "select set_config('role', 'harmonia_vault', true)",
            "select private.vault_authorize(gen_random_uuid(), 'secrets.reveal', '{}')",
            "select private.vault_organizations_under('x')",
            "select private.shred_organization_keys('a0000000-0000-7000-8000-000000000001')",
            "select private.vault_organization()",
            "select private.forget_webhook_receipts()",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(statement.encode())
        # Naming an organization opens nothing for a role that is not the vault.
        conn.execute("select set_config('harmonia.organization_id', %s, false)", [str(ALDER)])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("select * from private.secret_versions")


def test_every_private_object_is_closed(filled: VaultBench, conn: Connection) -> None:
    """Enumerated from the catalog, so that a new table or column grant cannot slip in."""
    rows = conn.execute(
        """
        select c.oid::regclass::text, r.rolname, p.privilege
        from pg_class as c
        cross join (
            values ('anon'), ('authenticated'), ('service_role'), ('authenticator')
        ) as r (rolname)
        cross join (
            values ('select'), ('insert'), ('update'), ('delete'), ('truncate'), ('references')
        ) as p (privilege)
        where
            c.relnamespace = 'private'::regnamespace
            and c.relkind in ('r', 'p', 'v', 'm')
            and (
                has_table_privilege(r.rolname, c.oid, p.privilege)
                or (
                    p.privilege in ('select', 'insert', 'update', 'references')
                    and has_any_column_privilege(r.rolname, c.oid, p.privilege)
                )
            )
            and c.relname = any(%s)
        """,
        [list(PRIVATE)],
    ).fetchall()
    assert rows == []
    counted = conn.execute(
        "select count(*) from pg_class where relnamespace = 'private'::regnamespace"
        " and relname = any(%s) and relrowsecurity and relforcerowsecurity",
        [list(PRIVATE)],
    ).fetchone()
    assert counted == (len(PRIVATE),)


def test_metadata_is_for_those_who_may(filled: VaultBench, conn: Connection) -> None:
    query = "select organization_id, name, audience from public.secrets"
    with as_user(conn, OLGA):
        assert conn.execute(query).fetchall() == [(ALDER, "a", "api.hubapi.com")]
        log = conn.execute(
            "select action, outcome from public.secret_access_log(%s)", [ALDER]
        ).fetchall()
        assert log == [("use", "granted"), ("set", "done")]
    with as_user(conn, OTTO):
        assert conn.execute(query).fetchall() == [(BIRCH, "a", "api.hubapi.com")]
    with as_user(conn, MIKA):
        assert conn.execute(query).fetchall() == []
    with as_service(conn):
        assert len(conn.execute(query).fetchall()) == 2
    assert _refused(conn, as_anon, query.encode()) == "42501"
    log_of_alder = b"select * from public.secret_access_log('a0000000-0000-7000-8000-000000000001')"
    for act in (
        lambda c: as_user(c, OTTO, aal="aal2"),
        lambda c: as_user(c, MIKA),
    ):
        assert _refused(conn, act, log_of_alder) == "PT403"


def test_the_vault_sees_one_organization_and_nothing_else(
    filled: VaultBench, conn: Connection
) -> None:
    conn.execute("set role harmonia_vault")
    for name in PRIVATE[1:]:
        count = sql.SQL("select count(*) from {}").format(sql.Identifier("private", name))
        assert conn.execute(count).fetchone() == (0,)
    conn.execute("select set_config('harmonia.organization_id', %s, false)", [str(ALDER)])
    seen = conn.execute("select distinct organization_id from private.secret_versions").fetchall()
    assert seen == [(ALDER,)]
    conn.commit()
    for statement in (
        b"select * from public.contacts",
        b"select * from public.memberships",
        b"select * from public.organizations",
        b"select * from auth.users",
        b"update private.secret_access set outcome = 'done'",
        b"delete from private.secret_access",
        b"delete from private.organization_keys",
        b"insert into private.secret_access (organization_id, name, action, actor, outcome) values"
        b" ('b0000000-0000-7000-8000-000000000001', 'a', 'use', 'x', 'done')",
        b"create table private.mine (a int)",
        # An entry of another day.
        b"insert into private.secret_access (organization_id, occurred_at, name, action, actor,"
        b" outcome) values ('a0000000-0000-7000-8000-000000000001', now() - interval '1 day', 'a',"
        b" 'use', 'x', 'done')",
        b"insert into private.key_seals (organization_id, key_id, seals) select organization_id,"
        b" id, 0 from private.organization_keys",
        b"update private.key_seals set seals = 0",
    ):
        with pytest.raises(psycopg.Error) as refused:
            conn.execute(statement)
        assert refused.value.sqlstate in ("42501", "PT403"), statement
        conn.rollback()


def test_members_manage_integrations_of_their_own(filled: VaultBench, conn: Connection) -> None:
    insert = (
        "insert into public.integrations (organization_id, provider, name, audience)"
        " values (%s, 'hubspot', 'HubSpot', 'api.hubapi.com')"
    )
    with as_user(conn, OLGA):
        conn.execute(insert, [ALDER])
    for user, organization in ((OTTO, ALDER), (MIKA, ALDER)):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), as_user(conn, user):
            conn.execute(insert, [organization])
    for user, count in ((OLGA, 1), (MIKA, 1), (OTTO, 0)):
        with as_user(conn, user):
            rows = conn.execute("select name from public.integrations").fetchall()
        assert len(rows) == count
    redirect = b"update public.integrations set audience = 'evil.example'"
    assert _refused(conn, as_service, redirect) == "42501"
    with as_user(conn, OTTO):
        assert conn.execute(redirect).rowcount == 0
    # An endpoint cannot verify with the secret of another organization.
    row = conn.execute("select id from public.secrets where organization_id = %s", [BIRCH])
    found = row.fetchone()
    assert found is not None
    with pytest.raises(psycopg.errors.ForeignKeyViolation), as_user(conn, OLGA):
        conn.execute(
            "insert into public.webhook_endpoints (organization_id, name, scheme, secret_id)"
            " values (%s, 'x', 'standard', %s)",
            [ALDER, found[0]],
        )


@pytest.mark.slow
def test_verify_covers_these_tables(database: Database, conn: Connection) -> None:
    """What is locked is seen to be locked, and seen not to be once it is not."""
    model = model_file.load(ROOT / "harmonia.toml")

    def judged() -> tuple[dict[str, str], bool]:
        report = verify(database.owner_dsn, model=model)
        return {c.table: c.status for c in report.coverage}, report.safe

    status, safe = judged()
    assert safe
    assert {status[f"private.{name}"] for name in PRIVATE} == {"locked"}
    shown = ("integrations", "secrets", "webhook_endpoints", "webhook_events")
    assert {status[f"public.{name}"] for name in shown} == {"proven"}
    conn.execute("grant usage on schema private to authenticated")
    conn.execute("grant select on private.master_keys, private.secret_access to authenticated")
    for name in ("master_keys", "secret_access"):
        conn.execute(
            sql.SQL("create policy open on {} for select to authenticated using (true)").format(
                sql.Identifier("private", name)
            )
        )
    conn.commit()
    status, safe = judged()
    assert not safe
    assert "locked" not in (status["private.master_keys"], status["private.secret_access"])
