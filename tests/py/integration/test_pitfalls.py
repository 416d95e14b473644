"""The known ways in which tenant isolation breaks in practice, each tried in both directions.

Every test shows that the attack or the mistake fails, and that the honest case beside it works.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from fix_database import ROOT, Connection, as_anon, as_service, as_user
from fix_sessions import wait_for_lock
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from harmonia_py import audit
from harmonia_py.engines import Database
from harmonia_py.engines.binaries import find

ALDER = "a0000000-0000-7000-8000-000000000001"
BIRCH = "b0000000-0000-7000-8000-000000000001"
OLGA_OWNER = "e0000000-0000-4000-8000-000000000001"
ADAM_ADMIN = "e0000000-0000-4000-8000-000000000002"
MARA_MANAGER = "e0000000-0000-4000-8000-000000000003"
MIKA_MEMBER = "e0000000-0000-4000-8000-000000000004"
VERA_VIEWER = "e0000000-0000-4000-8000-000000000005"
OTTO_OWNER = "e0000000-0000-4000-8000-000000000011"
BEA_BOTH = "e0000000-0000-4000-8000-000000000012"
NORA_NOBODY = "e0000000-0000-4000-8000-000000000021"
IDA = "a7000000-0000-7000-8000-000000000001"
LUIS = "a7000000-0000-7000-8000-000000000004"

Row = tuple[Any, ...]


def rows(conn: Connection, statement: str, *values: object) -> list[Row]:
    return conn.execute(statement.encode(), values).fetchall()


def one(conn: Connection, statement: str, *values: object) -> Any:
    (row,) = rows(conn, statement, *values)
    return row[0]


def refusal(conn: Connection, user: str, statement: str, *values: object, aal: str = "aal1") -> str:
    """Return the SQLSTATE with which a statement of a user is refused."""
    with pytest.raises(psycopg.Error) as caught, as_user(conn, user, aal=aal):
        conn.execute(statement.encode(), values)
    return caught.value.sqlstate or ""


def tenant_tables(conn: Connection) -> list[str]:
    """Return the tables of `public` that have an organization and that signed-in users may read."""
    return [
        name
        for (name,) in rows(
            conn,
            """
            select c.relname
            from pg_class as c
            inner join pg_attribute as a on c.oid = a.attrelid
            where
                c.relnamespace = 'public'::regnamespace
                and c.relkind in ('r', 'p')
                and a.attname = 'organization_id'
                and has_table_privilege('authenticated', c.oid, 'select')
            order by 1
            """,
        )
    ]


def count(conn: Connection, table: str, organization: str | None = None) -> int:
    query = sql.SQL("select count(*) from public.{}").format(sql.Identifier(table))
    if organization is not None:
        query += sql.SQL(" where organization_id = {}").format(organization)
    row = conn.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def fingerprint(conn: Connection, organization: str) -> list[Row]:
    """Return a digest of everything an organization has, as its owner's database sees it."""
    query = sql.SQL(" union all ").join(
        sql.SQL(
            "select {name}, count(*), md5(string_agg(t::text, '' order by t::text))"
            " from public.{table} as t where t.organization_id = {organization}"
        ).format(name=name, table=sql.Identifier(name), organization=organization)
        for name in tenant_tables(conn)
    )
    return conn.execute(query).fetchall()


def test_01_a_missing_role_is_no_administrator(conn: Connection) -> None:
    """``if role != 'admin' then raise`` lets NULL pass; here only what is held permits."""
    assert refusal(conn, NORA_NOBODY, "select private.require(%s, 'contacts.read')", ALDER) == (
        "PT403"
    )
    assert refusal(conn, ADAM_ADMIN, "select private.require(null, 'contacts.read')") == "PT403"
    assert refusal(conn, ADAM_ADMIN, "select private.require(%s, null)", ALDER) == "PT403"
    suspend = "select public.suspend_member(%s, %s)"
    assert refusal(conn, NORA_NOBODY, suspend, ALDER, MIKA_MEMBER) == "PT403"
    with as_user(conn, ADAM_ADMIN):
        conn.execute(suspend.encode(), [ALDER, MIKA_MEMBER])
    assert one(conn, "select status from public.memberships where user_id = %s", MIKA_MEMBER) == (
        "suspended"
    )


def test_02_every_exposed_function_checks_its_caller(conn: Connection) -> None:
    """Functions that act with the owner's rights are called by strangers, with real ids."""
    definers = one(
        conn,
        "select count(*) from pg_proc where prosecdef and pronamespace = 'public'::regnamespace",
    )
    assert definers == 0
    functions = rows(
        conn,
        """
        select p.oid::regproc::text, p.proargtypes::regtype[]::text[]
        from pg_proc as p
        where
            p.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
            and p.prokind = 'f'
            and p.prorettype <> 'trigger'::regtype
            and (p.proargnames)[1] in ('organization_id', 'p_organization_id')
            and has_function_privilege('authenticated', p.oid, 'execute')
        """,
    )
    assert len(functions) >= 40
    values: dict[str, object] = {
        "uuid": IDA,
        "uuid[]": [IDA],
        "text": "contact",
        "text[]": ["contacts.read"],
        "integer": 1,
        "bigint": 30,
        "smallint": 1,
        "boolean": True,
        "interval": "1 hour",
        "jsonb": "{}",
        "bytea": b"x",
        "timestamp with time zone": "2027-01-01",
        "date": "2027-01-01",
    }
    before = fingerprint(conn, ALDER)
    answered = []
    for name, types in functions:
        arguments = [ALDER, *(values[kind] for kind in types[1:])]
        call = sql.SQL("select * from {}({})").format(
            sql.SQL(name),
            sql.SQL(", ").join(
                sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(kind))
                for value, kind in zip(arguments, types, strict=True)
            ),
        )
        for stranger in (NORA_NOBODY, OTTO_OWNER):
            try:
                with as_user(conn, stranger, aal="aal2"):
                    result = conn.execute(call).fetchall()
            except psycopg.Error as error:
                assert (error.sqlstate or "").startswith(("PT4", "42501")), f"{name}: {error}"
                continue
            answered += [
                (name, row) for row in result if row not in {(False,), (None,), (0,), ("",)}
            ]
    assert answered == []
    assert fingerprint(conn, ALDER) == before
    with as_user(conn, ADAM_ADMIN):
        assert (
            one(conn, "select public.soft_delete(%s, 'contact', array[%s::uuid])", ALDER, IDA) == 1
        )
    assert fingerprint(conn, ALDER) != before


def test_03_the_bin_is_a_function(conn: Connection) -> None:
    """A policy that hides deleted rows makes deleting them an error; here nothing hides them."""
    update = "update public.contacts set deleted_at = now() where id = %s"
    assert refusal(conn, MIKA_MEMBER, update, IDA) == "42501"
    with as_user(conn, MIKA_MEMBER):
        assert (
            one(conn, "select public.soft_delete(%s, 'contact', array[%s::uuid])", ALDER, IDA) == 1
        )
        assert one(conn, "select deleted_at is not null from public.contacts where id = %s", IDA)


def test_04_an_organization_is_founded_by_a_function(conn: Connection) -> None:
    """``insert ... returning`` cannot see a row whose membership does not exist yet."""
    insert = "insert into public.organizations (name, slug) values ('Elm', 'elm') returning id"
    assert refusal(conn, NORA_NOBODY, insert) == "42501"
    with as_user(conn, NORA_NOBODY):
        assert rows(conn, "select slug, status from public.create_organization('Elm', 'elm')") == [
            ("elm", "active")
        ]
        assert one(conn, "select role from public.memberships") == "owner"


def test_05_no_policy_calls_itself(conn: Connection) -> None:
    """A policy on memberships that reads memberships recurses (42P17)."""
    for table in tenant_tables(conn):
        with as_user(conn, VERA_VIEWER):
            count(conn, table)
    with as_user(conn, VERA_VIEWER):
        assert count(conn, "memberships") == 8


def test_06_a_second_factor_opens_nothing_by_itself(conn: Connection) -> None:
    """A permissive aal2 policy is OR-ed: it opens the table to everybody with two factors."""
    lonely = """
        select r.polrelid::regclass::text
        from pg_policy as r
        where
            not r.polpermissive
            -- Those nobody may read are closed on purpose.
            and has_any_column_privilege('authenticated', r.polrelid, 'select')
            and not exists (
                select 1
                from pg_policy as p
                where
                    p.polrelid = r.polrelid
                    and p.polpermissive
                    and p.polcmd in (r.polcmd, '*')
            )
    """
    assert rows(conn, lonely) == []
    with conn.transaction(force_rollback=True):
        conn.execute("drop policy select_member on public.tags")
        assert rows(conn, lonely) == [("tags",)]
    for table in tenant_tables(conn):
        with as_user(conn, OTTO_OWNER, aal="aal2"):
            assert count(conn, table, ALDER) == 0, table
    with conn.transaction(force_rollback=True):
        conn.execute("update public.organizations set require_mfa = true")
        with as_user(conn, VERA_VIEWER):
            assert count(conn, "contacts") == 0
        with as_user(conn, VERA_VIEWER, aal="aal2"):
            assert count(conn, "contacts") == 4


def test_07_no_policy_calls_a_volatile_function(conn: Connection) -> None:
    """A volatile helper runs once a row, whatever index there is."""
    called = """
        select distinct p.oid::regprocedure::text, p.provolatile
        from pg_depend as d
        inner join pg_proc as p on d.refclassid = 'pg_proc'::regclass and d.refobjid = p.oid
        inner join pg_policy as q on d.classid = 'pg_policy'::regclass and d.objid = q.oid
        where q.polrelid::regclass::text !~ '^(auth|storage|realtime)[.]'
    """
    volatility = {str(name): kind for name, kind in rows(conn, called)}
    assert any("org_ids" in name for name in volatility)
    assert "v" not in volatility.values(), volatility
    with conn.transaction(force_rollback=True):
        conn.execute("alter function private.my_span(text) volatile")
        assert "v" in {kind for _, kind in rows(conn, called)}


def test_08_addresses_compare_alike_everywhere(conn: Connection) -> None:
    """citext falls back to case-sensitive comparison when its schema is not on the path."""
    assert (
        one(
            conn,
            "select count(*) from pg_attribute where atttypid::regtype::text ~ 'citext'"
            " and attrelid::regclass::text !~ '^(auth|storage)[.]'",
        )
        == 0
    )
    insert = "insert into public.contacts (organization_id, email) values (%s, 'Ann@Mill.example')"
    assert refusal(conn, MIKA_MEMBER, insert, ALDER) == "23514"
    with as_user(conn, MIKA_MEMBER):
        conn.execute(insert.lower().encode(), [ALDER])
        conn.execute("set local search_path = ''")
        assert (
            one(
                conn,
                "select count(*) from public.contacts where email = lower('ANN@mill.example')",
            )
            == 1
        )


def test_09_an_upsert_needs_both_rights(conn: Connection) -> None:
    """The insert of an upsert is checked even when it turns into an update."""
    upsert = """
        insert into public.contacts (organization_id, id, first_name, owner_id)
        values (%s, %s, 'Ida', %s)
        on conflict (organization_id, id) do update set first_name = excluded.first_name
    """
    assert refusal(conn, VERA_VIEWER, upsert, ALDER, IDA, VERA_VIEWER) == "42501"
    assert refusal(conn, MIKA_MEMBER, upsert, ALDER, LUIS, MIKA_MEMBER) == "42501"
    assert refusal(conn, OTTO_OWNER, upsert, ALDER, IDA, MIKA_MEMBER) == "42501"
    # A key nobody has: nothing is updated, so only the right to insert decides.
    new = "a7000000-0000-7000-8000-0000000000ff"
    assert refusal(conn, VERA_VIEWER, upsert, ALDER, new, VERA_VIEWER) == "42501"
    assert refusal(conn, OTTO_OWNER, upsert, ALDER, new, MIKA_MEMBER) == "42501"
    with conn.transaction(force_rollback=True), as_user(conn, MIKA_MEMBER):
        assert conn.execute(upsert.encode(), [ALDER, new, MIKA_MEMBER]).rowcount == 1
    with as_user(conn, MIKA_MEMBER):
        assert conn.execute(upsert.encode(), [ALDER, IDA, MIKA_MEMBER]).rowcount == 1


def test_10_guards_do_not_ask_who_the_current_user_is(conn: Connection) -> None:
    """Inside a SECURITY DEFINER function current_user is its owner, so such guards sleep."""
    asking = """
        select p.oid::regprocedure
        from pg_proc as p
        where
            p.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
            and p.prorettype = 'trigger'::regtype
            and p.prosrc ~ '(current_user|session_user|current_role)\\M'
    """
    assert rows(conn, asking) == []
    move = "update public.contacts set organization_id = %s where id = %s"
    for acting in (as_service, None):
        with pytest.raises(psycopg.Error) as caught, conn.transaction():
            if acting is None:
                conn.execute(move.encode(), [BIRCH, IDA])
            else:
                with acting(conn):
                    conn.execute(move.encode(), [BIRCH, IDA])
        assert caught.value.sqlstate == "PT409"
    with as_service(conn):
        stay = "update public.contacts set organization_id = organization_id where id = %s"
        assert conn.execute(stay.encode(), [IDA]).rowcount == 1


def test_11_the_schema_is_plain_sql_and_can_be_dumped(database: Database, conn: Connection) -> None:
    """Installing through pg_tle breaks pg_dump and schema diffs."""
    for path in sorted((ROOT / "supabase" / "migrations").glob("*.sql")):
        assert "pgtle" not in path.read_text() and "dbdev" not in path.read_text(), path.name
    assert one(conn, "select count(*) from pg_extension where extname = 'pg_tle'") == 0
    conn.rollback()
    at = conninfo_to_dict(database.owner_dsn)
    done = subprocess.run(
        [find().path("pg_dump"), "--schema-only", "--schema=public", "--schema=private"],
        env={
            **os.environ,
            "PGHOST": str(at["host"]),
            "PGPORT": str(at["port"]),
            "PGUSER": str(at["user"]),
            "PGPASSWORD": str(at["password"]),
            "PGDATABASE": str(at["dbname"]),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "CREATE TABLE public.contacts" in done.stdout
    assert "FORCE ROW LEVEL SECURITY" in done.stdout


def test_12_no_tenant_table_is_published(conn: Connection) -> None:
    """Realtime applies no policy to DELETE, and sends the key to every subscriber."""
    published = (
        "select schemaname, tablename from pg_publication_tables where schemaname = 'public'"
    )
    assert rows(conn, published) == []
    assert one(conn, "select count(*) from pg_publication where puballtables") == 0
    with conn.transaction(force_rollback=True):
        conn.execute("create publication probe for table public.contacts")
        assert rows(conn, published) == [("public", "contacts")]


def test_13_settings_and_claims_grant_nothing(conn: Connection) -> None:
    """What a request says of roles, groups and organizations is not believed."""
    claims: dict[str, Any] = {
        "organization_id": ALDER,
        "organizations": {ALDER: "owner"},
        "groups": {ALDER: {"role": "owner"}},
        "user_role": "owner",
        "app_metadata": {"organization_id": ALDER, "role": "owner", "groups": [ALDER]},
        "user_metadata": {"organization_id": ALDER, "role": "owner", "is_admin": True},
    }
    with as_user(conn, NORA_NOBODY, **claims):
        conn.execute(
            "select set_config('request.groups', %s, true)", [json.dumps({ALDER: "owner"})]
        )
        conn.execute("select set_config('app.organization_id', %s, true)", [ALDER])
        assert count(conn, "contacts") == 0
        assert rows(conn, "select * from public.my_permissions(%s)", ALDER) == []
    with as_user(conn, VERA_VIEWER):
        assert count(conn, "contacts") == 4


def test_14_tests_run_as_the_roles_they_speak_of(conn: Connection) -> None:
    """A superuser sees every row and misses every missing privilege."""
    assert one(conn, "select rolsuper from pg_roles where rolname = current_user") is False
    for acting, role in ((as_anon, "anon"), (as_service, "service_role")):
        with acting(conn):
            assert one(conn, "select current_user::text") == role
    with as_user(conn, VERA_VIEWER):
        assert one(conn, "select current_user::text") == "authenticated"
        assert one(
            conn,
            "select not rolsuper and not rolbypassrls from pg_roles where rolname = current_user",
        )
        assert one(conn, "select row_security_active('public.contacts')")
    with as_service(conn):
        assert not one(conn, "select row_security_active('public.contacts')")


def test_15_views_use_the_rights_of_who_asks(conn: Connection) -> None:
    """A view runs with its owner's rights unless it says security_invoker."""
    owners = """
        select c.oid::regclass::text
        from pg_class as c
        where
            c.relkind in ('v', 'm')
            and c.relnamespace = 'public'::regnamespace
            and (
                c.relkind = 'm'
                or not coalesce(c.reloptions::text[] && array['security_invoker=true'], false)
            )
    """
    assert rows(conn, owners) == []
    with conn.transaction(force_rollback=True):
        conn.execute("create view public.probe as select * from public.contacts")
        conn.execute("grant select on public.probe to authenticated")
        assert rows(conn, owners) == [("probe",)]
        with as_user(conn, NORA_NOBODY):
            assert count(conn, "probe") == 6
        conn.execute("alter view public.probe set (security_invoker = true)")
        assert rows(conn, owners) == []
        with as_user(conn, NORA_NOBODY):
            assert count(conn, "probe") == 0


def test_16_visitors_hold_nothing_and_nobody_truncates(conn: Connection) -> None:
    """Row level security does not cover TRUNCATE, and it should never be the only wall."""
    # Asked of the catalog too: a truncation that cascades is refused by any one of the tables.
    truncates = """
        select r.rolname, c.oid::regclass::text
        from pg_class as c
        cross join (values ('anon'), ('authenticated'), ('service_role')) as r (rolname)
        where
            c.relkind in ('r', 'p')
            and c.relnamespace::regnamespace::text in ('public', 'private', 'audit')
            and has_table_privilege(r.rolname, c.oid, 'truncate, trigger, references')
    """
    assert rows(conn, truncates) == []
    with conn.transaction(force_rollback=True):
        conn.execute("grant truncate on public.contacts to authenticated")
        assert rows(conn, truncates) == [("authenticated", "contacts")]
    for table in tenant_tables(conn):
        name = sql.Identifier(table)
        for statement in ("select 1 from public.{}", "truncate public.{} cascade"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), as_anon(conn):
                conn.execute(sql.SQL(statement).format(name))
        with pytest.raises(psycopg.errors.InsufficientPrivilege), as_user(conn, OLGA_OWNER):
            conn.execute(sql.SQL("truncate public.{} cascade").format(name))
        with as_user(conn, OLGA_OWNER, aal="aal2"):
            conn.execute(sql.SQL("select 1 from public.{}").format(name))


def test_17_references_to_auth_use_its_primary_keys(conn: Connection) -> None:
    """The auth schema is the platform's: only its primary keys are a promise."""
    references = rows(
        conn,
        """
        select k.conname, k.confkey = array(select unnest(i.indkey))
        from pg_constraint as k
        inner join pg_class as c on k.confrelid = c.oid
        inner join pg_index as i on i.indrelid = c.oid and i.indisprimary
        where
            k.contype = 'f'
            and c.relnamespace = 'auth'::regnamespace
            and k.connamespace in ('public'::regnamespace, 'private'::regnamespace)
        """,
    )
    assert len(references) >= 5
    assert [name for name, primary in references if not primary] == []


def test_18_roles_are_rows(conn: Connection) -> None:
    """An enum of roles needs a migration for each, and never loses a value."""
    enums = "select count(*) from pg_type where typtype = 'e' and typnamespace::regnamespace::text"
    assert one(conn, enums + " in ('public', 'private', 'audit')") == 0
    with as_user(conn, ADAM_ADMIN):
        conn.execute(
            "select public.create_role(%s, 'intern', 'Intern', 10, array['contacts.read'])", [ALDER]
        )
        conn.execute("select public.change_member_role(%s, %s, 'intern')", [ALDER, VERA_VIEWER])
    with as_user(conn, VERA_VIEWER):
        assert (count(conn, "contacts"), count(conn, "deals")) == (4, 0)
    with as_user(conn, OTTO_OWNER):
        assert one(conn, "select count(*) from public.roles where key = 'intern'") == 0


def test_19_references_between_the_same_tables_have_names(conn: Connection) -> None:
    """Two references between two tables are ambiguous (PGRST201) but for their names."""
    ambiguous = rows(
        conn,
        """
        select k.conrelid::regclass::text, k.confrelid::regclass::text, array_agg(k.conname::text)
        from pg_constraint as k
        where k.contype = 'f' and k.connamespace = 'public'::regnamespace
        group by 1, 2
        having count(*) > 1
        """,
    )
    pairs = {(child, parent): names for child, parent, names in ambiguous}
    assert sorted(pairs["deal_stage_history", "pipeline_stages"]) == [
        "deal_stage_history_from_stage_fkey",
        "deal_stage_history_to_stage_fkey",
    ]
    generated = [
        name
        for (name,) in rows(
            conn,
            "select conname from pg_constraint where contype = 'f'"
            " and connamespace = 'public'::regnamespace and conname !~ '^[a-z_]+_fkey$'",
        )
    ]
    assert generated == []


EVIL = """
create function pg_temp.run(pg_catalog.uuid) returns boolean language plpgsql as $$
begin
    raise exception 'as %', current_user;
end $$;
create domain pg_temp.uuid as pg_catalog.uuid check (pg_temp.run(value));
"""


def test_types_of_the_caller_are_not_found_first(conn: Connection) -> None:
    """An empty search_path still begins with pg_temp, for types: the owner would run them."""
    functions = (
        "private.org_ids('contacts.read')",
        "private.my_span('contacts.read')",
        "private.colleague_ids()",
        f"public.search_contacts('{ALDER}', 'a')",
    )
    with conn.transaction(force_rollback=True), as_user(conn, OLGA_OWNER, aal="aal2"):
        conn.execute(EVIL.encode())
        for function in functions:
            conn.execute(f"select * from {function}".encode())
    with conn.transaction(force_rollback=True):
        conn.execute("alter function private.org_ids(text[]) set search_path = ''")
        with (
            pytest.raises(psycopg.errors.RaiseException, match="as postgres"),
            as_user(conn, OLGA_OWNER, aal="aal2"),
        ):
            conn.execute(EVIL.encode())
            conn.execute("select * from private.org_ids('contacts.read')")


def test_20_anonymous_sign_ins_are_nobody(conn: Connection) -> None:
    """Somebody who signed in anonymously has the role `authenticated` all the same."""
    with as_user(conn, VERA_VIEWER, is_anonymous=True):
        for table in tenant_tables(conn):
            assert count(conn, table) == 0, table
    with as_user(conn, VERA_VIEWER, is_anonymous=False):
        assert count(conn, "contacts") == 4


def test_21_the_audit_chain_does_not_fork(database: Database, conn: Connection) -> None:
    """Two transactions that write at once must not follow the same predecessor."""
    conn.rollback()
    start = threading.Barrier(4)
    failures: list[BaseException] = []

    def write(worker: int) -> None:
        try:
            with database.connect() as session:
                start.wait(timeout=20)
                for number in range(5):
                    with as_user(session, OLGA_OWNER):
                        session.execute(
                            "select public.create_team(%s, %s)", [ALDER, f"{worker}.{number}"]
                        )
                    session.commit()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []
    assert one(conn, "select count(*) from public.teams where name ~ '^[0-3][.][0-4]$'") == 20
    conn.rollback()
    report = audit.verify(database.owner_dsn)
    assert report.ok and report.events >= 20

    # And for certain: the second comes while the first has linked and not yet committed.
    make = "select public.create_team(%s, %s)"

    def follow() -> None:
        with database.connect() as session:
            with as_user(session, OLGA_OWNER):
                session.execute(make, [ALDER, "second"])
            session.commit()

    with database.connect() as first, ThreadPoolExecutor(1) as pool:
        first.execute("select 1")  # opens the transaction; what follows is a savepoint in it
        with as_user(first, OLGA_OWNER):
            first.execute(make, [ALDER, "first"])
        first.execute("set constraints all immediate")
        second = pool.submit(follow)
        wait_for_lock(conn)
        first.commit()
        second.result(timeout=30)
    assert audit.verify(database.owner_dsn).ok


def test_22_every_policy_runs(conn: Connection) -> None:
    """A policy that nobody ever ran may fail, or compare things that are never equal."""
    commands = {
        "select": "select 1 from public.{}",
        "delete": "delete from public.{}",
        "update": "update public.{} set {} = {}",
    }
    ran = 0
    for table, command in rows(
        conn,
        """
        select distinct
            c.relname,
            case p.polcmd when 'r' then 'select' when 'd' then 'delete' else 'update' end
        from pg_policy as p
        inner join pg_class as c on p.polrelid = c.oid
        where
            c.relnamespace = 'public'::regnamespace
            and p.polcmd in ('r', 'd', 'w')
            and 'authenticated'::regrole = any(p.polroles)
        """,
    ):
        column: sql.Composable = sql.SQL("")
        if command == "update":
            found = rows(
                conn,
                "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0"
                " and has_column_privilege('authenticated', attrelid, attnum, 'update') limit 1",
                f"public.{table}",
            )
            if not found:
                continue
            column = sql.Identifier(found[0][0])
        statement = sql.SQL(commands[command]).format(sql.Identifier(table), column, column)
        # Something may refer to the row; then the policy has let it through.
        with (
            conn.transaction(force_rollback=True),
            suppress(psycopg.errors.IntegrityError),
            as_user(conn, OLGA_OWNER, aal="aal2"),
        ):
            conn.execute(statement)
        ran += 1
    assert ran >= 60


def test_23_every_membership_counts(conn: Connection) -> None:
    """One organization a token switches tenants silently when it changes."""
    for active in (ALDER, BIRCH):
        with as_user(conn, BEA_BOTH):
            conn.execute("select public.set_active_organization(%s)", [active])
        with as_user(conn, BEA_BOTH):
            assert rows(
                conn,
                "select organization_id::text, count(*) from public.contacts group by 1 order by 1",
            ) == [(ALDER, 4), (BIRCH, 2)]
    choose = "select public.set_active_organization(%s)"
    assert refusal(conn, MARA_MANAGER, choose, BIRCH).startswith("PT4")


def test_24_owners_reach_everything_they_own(conn: Connection) -> None:
    """Policies that are always NULL deny everything, which looks like isolation."""
    seen = 0
    for table in tenant_tables(conn):
        everything = count(conn, table, ALDER)
        with as_user(conn, OLGA_OWNER, aal="aal2"):
            assert count(conn, table) == everything, table
        with as_user(conn, OTTO_OWNER, aal="aal2"):
            assert count(conn, table, ALDER) == 0, table
        seen += everything > 0
    assert seen >= 24
