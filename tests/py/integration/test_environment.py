"""The environment has what Supabase has, checked against the platform's published facts."""

from __future__ import annotations

import psycopg
import pytest
from fix_database import as_user

from harmonia_py import platform
from harmonia_py.engines import Database
from harmonia_py.platform.extensions import STAND_INS

# rolname: createrole, login, super, inherit, createdb, replication, bypassrls
ROLES = {
    "anon": (False, False, False, True, False, False, False),
    "authenticated": (False, False, False, True, False, False, False),
    "authenticator": (False, True, False, False, False, False, False),
    "dashboard_user": (True, False, False, True, True, True, False),
    "pgbouncer": (False, True, False, True, False, False, False),
    "postgres": (True, True, False, True, True, True, True),
    "service_role": (False, False, False, True, False, False, True),
    "supabase_admin": (True, True, True, True, True, True, True),
    "supabase_auth_admin": (True, True, False, False, False, False, False),
    "supabase_functions_admin": (True, True, False, False, False, False, False),
    "supabase_read_only_user": (False, True, False, True, False, False, True),
    "supabase_replication_admin": (False, True, False, True, False, True, False),
    "supabase_storage_admin": (True, True, False, False, False, False, False),
}


def test_role_attributes(plain_database: Database) -> None:
    with plain_database.connect() as conn:
        rows = conn.execute(
            "select rolname::text, rolcreaterole, rolcanlogin, rolsuper, rolinherit, rolcreatedb,"
            " rolreplication, rolbypassrls from pg_roles where rolname = any (%s)",
            [list(ROLES)],
        ).fetchall()
    assert {row[0]: row[1:] for row in rows} == ROLES


def test_auth_users_has_every_column(plain_database: Database) -> None:
    with plain_database.connect() as conn:
        rows = conn.execute(
            "select attname::text, attgenerated <> '' from pg_attribute"
            " where attrelid = 'auth.users'::regclass and attnum > 0 and not attisdropped"
        ).fetchall()
    assert len(rows) == 35
    assert dict(rows)["confirmed_at"] is True


@pytest.mark.parametrize("creator", ["postgres", "supabase_admin"])
@pytest.mark.parametrize("kind", ["table", "sequence", "function"])
def test_new_objects_are_exposed_by_default(
    plain_database: Database, creator: str, kind: str
) -> None:
    connect = plain_database.connect if creator == "postgres" else plain_database.connect_admin
    with connect() as conn:
        conn.execute("create table public.t (id integer)")
        conn.execute("create sequence public.s")
        conn.execute("create function public.f() returns integer language sql return 1")
        checks = {
            "table": "has_table_privilege(r, 'public.t', 'insert')",
            "sequence": "has_sequence_privilege(r, 'public.s', 'usage')",
            "function": "has_function_privilege(r, 'public.f()', 'execute')",
        }
        query = "select every from (select bool_and(%s) as every from unnest(array['anon',"
        query += " 'authenticated', 'service_role']) as r) as t"
        assert conn.execute((query % checks[kind]).encode()).fetchone() == (True,)


def test_claims_in_both_forms(plain_database: Database) -> None:
    user = "0192d3f0-0000-7000-8000-000000000001"
    with plain_database.connect() as conn:
        conn.execute("select set_config('request.jwt.claim.sub', %s, true)", [user])
        assert conn.execute("select auth.uid()::text").fetchone() == (user,)
    with plain_database.connect() as conn, as_user(conn, user, email="ann@example.com"):
        row = conn.execute("select auth.uid()::text, auth.email(), auth.role()").fetchone()
        assert row == (user, "ann@example.com", "authenticated")


def test_postgres_may_do_what_the_platform_lets_it(plain_database: Database) -> None:
    with plain_database.connect(autocommit=True) as conn:
        for statement in (
            "set session_replication_role = replica",
            "set session_replication_role = origin",
            "create policy p on storage.objects for select to authenticated using (true)",
            "create policy p on realtime.messages for select to authenticated using (true)",
            "create function public.tg() returns trigger language plpgsql"
            " as 'begin return new; end'",
            "create trigger t after insert on auth.users for each row execute function public.tg()",
            "create table public.profiles (id uuid references auth.users on delete cascade)",
            "alter publication supabase_realtime add table public.profiles",
            "create role app_role",
            "grant app_role to authenticator",
            "grant anon to app_role",
        ):
            conn.execute(statement.encode())


def test_storage_refuses_direct_deletion(plain_database: Database) -> None:
    with plain_database.connect() as conn:
        conn.execute("insert into storage.buckets (id, name) values ('b', 'b')")
        conn.execute("insert into storage.objects (bucket_id, name) values ('b', 'org/x/a.tar.gz')")
        row = conn.execute(
            "select storage.foldername(name), storage.filename(name), storage.extension(name),"
            " path_tokens from storage.objects"
        ).fetchone()
        assert row == (["org", "x"], "a.tar.gz", "gz", ["org", "x", "a.tar.gz"])
        with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
            conn.execute("delete from storage.objects")
        conn.execute("set local storage.allow_delete_query = 'true'")
        assert conn.execute("delete from storage.objects").rowcount == 1


def test_broadcast_reaches_the_messages_table(plain_database: Database) -> None:
    with plain_database.connect() as conn:
        conn.execute("select realtime.send('{\"a\": 1}', 'changed', 'org:1')")
        row = conn.execute("select topic, event, private, payload from realtime.messages")
        assert row.fetchone() == ("org:1", "changed", True, {"a": 1})


def test_vault_keeps_a_secret(plain_database: Database) -> None:
    with plain_database.connect() as conn:
        conn.execute("select vault.create_secret('open sesame', 'door')")
        row = conn.execute("select name, decrypted_secret from vault.decrypted_secrets").fetchone()
        assert row == ("door", "open sesame")
        with pytest.raises(psycopg.errors.InsufficientPrivilege), as_user(conn, "0" * 32):
            conn.execute("select * from vault.decrypted_secrets")


@pytest.mark.parametrize("name", [stand_in.name for stand_in in STAND_INS])
def test_postgres_may_create_every_extension(plain_database: Database, name: str) -> None:
    with plain_database.connect() as conn:
        conn.execute(f'create extension if not exists "{name}" cascade'.encode())
        version = conn.execute(
            "select extversion from pg_extension where extname = %s", [name]
        ).fetchone()
        assert version is not None
        declared = name in platform.stand_ins(conn)
        assert declared == (version[0] == "stand-in")


def test_preparing_twice_changes_nothing(plain_database: Database) -> None:
    with plain_database.connect_admin() as conn:
        again = platform.prepare(conn)
        assert again.outcome is platform.Outcome.current
        conn.execute("comment on schema auth is 'Supabase environment by Harmonia, revision old'")
        conn.commit()
        assert platform.prepare(conn).outcome is platform.Outcome.built


def test_a_real_supabase_is_left_alone(plain_database: Database) -> None:
    with plain_database.connect_admin() as conn:
        conn.execute("comment on schema auth is null")
        conn.commit()
        assert platform.is_supabase(conn)
        assert platform.prepare(conn).outcome is platform.Outcome.supabase


def test_an_ordinary_role_cannot_prepare(plain_database: Database) -> None:
    with plain_database.connect_admin() as conn:
        conn.execute("comment on schema auth is 'Supabase environment by Harmonia, revision old'")
    with (
        plain_database.connect() as conn,
        pytest.raises(platform.PrepareRefused, match="postgres is not a superuser"),
    ):
        platform.prepare(conn)


def test_nothing_is_exposed_when_the_project_says_so(plain_database: Database) -> None:
    with plain_database.connect_admin() as conn:
        platform.prepare(conn, auto_expose_new_tables=False)
    with plain_database.connect() as conn:
        conn.execute("create table public.t (id integer)")
        row = conn.execute("select has_table_privilege('anon', 'public.t', 'select')").fetchone()
        assert row == (False,)


def test_policies_deparse_with_their_schema(plain_database: Database) -> None:
    with plain_database.connect() as conn:
        conn.execute("create table public.t (user_id uuid)")
        conn.execute("create policy p on public.t using (user_id = auth.uid())")
        row = conn.execute("select qual from pg_policies where tablename = 't'").fetchone()
        assert row == ("(user_id = auth.uid())",)


# member: the roles it may become, and since PostgreSQL 16 whether it may hand them on.
MEMBERSHIPS = {
    ("authenticator", "anon", False),
    ("authenticator", "authenticated", False),
    ("authenticator", "service_role", False),
    ("pgsodium_keyholder", "pgsodium_keyiduser", False),
    ("pgsodium_keymaker", "pgsodium_keyholder", False),
    ("pgsodium_keymaker", "pgsodium_keyiduser", False),
    ("postgres", "anon", True),
    ("postgres", "authenticated", True),
    ("postgres", "pg_monitor", True),
    ("postgres", "pg_read_all_data", True),
    ("postgres", "pg_signal_backend", True),
    ("postgres", "pgtle_admin", False),
    ("postgres", "service_role", True),
    ("supabase_read_only_user", "pg_read_all_data", False),
    ("supabase_storage_admin", "authenticator", False),
}
# Ours alone: how `postgres` comes to put policies and triggers on the platform's tables.
OWN_MEMBERSHIPS = {"supabase_auth_admin", "supabase_storage_admin", "supabase_realtime_admin"}


def test_memberships(plain_database: Database) -> None:
    with plain_database.connect() as conn:
        rows = conn.execute(
            "select distinct r.rolname::text, g.rolname::text, m.admin_option"
            " from pg_auth_members as m join pg_roles as r on r.oid = m.member"
            " join pg_roles as g on g.oid = m.roleid"
        ).fetchall()
    modern = plain_database.server_version >= 160000
    wanted = {(member, role, admin and modern) for member, role, admin in MEMBERSHIPS}
    assert wanted <= set(rows)
    extra = {role for member, role, _ in rows if member == "postgres"}
    extra -= {role for member, role, _ in wanted if member == "postgres"}
    # Roles are the server's: other tests on it apply projects that make roles of their own.
    platform = {role for role in extra if role.startswith(("supabase", "pg_", "auth"))}
    assert platform - {"authenticator", "pg_create_subscription"} == OWN_MEMBERSHIPS


def test_settings_of_roles(plain_database: Database) -> None:
    with plain_database.connect() as conn:
        rows = conn.execute(
            "select rolname::text, rolconfig from pg_roles where rolconfig is not null"
        ).fetchall()
    settings = dict(rows)
    assert settings["anon"] == ["statement_timeout=3s"]
    assert settings["authenticated"] == ["statement_timeout=8s"]
    assert {"statement_timeout=8s", "lock_timeout=8s"} <= set(settings["authenticator"])
    assert settings["postgres"] == ['search_path="$user", public, extensions']
    assert "search_path=auth" in settings["supabase_auth_admin"]


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
def test_who_may_use_the_schemas(plain_database: Database, role: str) -> None:
    with plain_database.connect() as conn:
        rows = conn.execute(
            "select nspname::text from pg_namespace where nspname !~ '^pg_'"
            " and nspname <> 'information_schema' and has_schema_privilege(%s, oid, 'usage')",
            [role],
        ).fetchall()
        created = conn.execute(
            "select count(*) from pg_namespace where has_schema_privilege(%s, oid, 'create')"
            " and nspname !~ '^pg_'",
            [role],
        ).fetchone()
    shared = {"public", "auth", "storage", "realtime", "extensions", "graphql", "graphql_public"}
    shared |= {"supabase_functions"}
    private = {"vault"} if role == "service_role" else set()
    assert {row[0] for row in rows} == shared | private
    assert created == (0,)
