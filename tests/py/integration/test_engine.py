"""The engine hands out databases that look like Supabase's."""

from __future__ import annotations

from uuid import uuid4

import psycopg
import pytest
from fix_database import Connection, as_anon, as_user

from harmonia_py.engines import Database, Engine


def test_owner_is_not_a_superuser(plain_database: Database) -> None:
    with plain_database.connect() as conn:
        row = conn.execute(
            "select rolname, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole, rolreplication"
            " from pg_roles where rolname = current_user"
        ).fetchone()
    assert row == ("postgres", False, True, True, True, True)


def test_admin_is_the_superuser(plain_database: Database) -> None:
    with plain_database.connect_admin() as conn:
        row = conn.execute("select current_user, current_setting('is_superuser')").fetchone()
    assert row == ("supabase_admin", "on")


def test_databases_are_separate(engine: Engine) -> None:
    with engine.database() as first, engine.database() as second:
        assert first.name != second.name
        with first.connect() as conn:
            conn.execute("create table public.only_here (id integer)")
        with second.connect() as conn:
            assert conn.execute("select to_regclass('public.only_here')").fetchone() == (None,)


def test_passwords_stay_out_of_the_repr(plain_database: Database) -> None:
    password = psycopg.conninfo.conninfo_to_dict(plain_database.owner_dsn)["password"]
    assert password
    assert str(password) not in repr(plain_database)


def test_acting_as_a_user_sets_role_and_claims(conn: Connection) -> None:
    user = uuid4()
    query = "select current_user::text, auth.uid(), auth.role(), auth.jwt() ->> 'aal'"
    with as_user(conn, user, aal="aal2"):
        assert conn.execute(query).fetchone() == ("authenticated", user, "authenticated", "aal2")
    assert conn.execute(query).fetchone() == ("postgres", None, None, None)
    with as_anon(conn):
        assert conn.execute(query).fetchone() == ("anon", None, "anon", None)


def test_api_roles_do_not_reach_auth_users(conn: Connection) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), as_user(conn, uuid4()):
        conn.execute("select * from auth.users")
    assert conn.execute("select count(*) >= 0 from auth.users").fetchone() == (True,)
