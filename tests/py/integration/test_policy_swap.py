"""A change of policies beside others at work: clients that read, and a vacuum that had begun."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from fix_database import Connection, as_user

from harmonia_py import migrations
from harmonia_py.engines import Database
from harmonia_py.policies import read_sources

OWN, FOREIGN = "10000000-0000-4000-8000-000000000001", "20000000-0000-4000-8000-000000000002"
USER = UUID("30000000-0000-4000-8000-000000000003")
SOURCES = Path(__file__).resolve().parents[3] / "supabase" / "policies"

TABLE = f"""
create schema if not exists private;
create procedure private.close(p_table regclass) language plpgsql set search_path = '' as $$
declare v_name name;
begin
    execute format('revoke all on table %s from public, anon, authenticated', p_table);
    execute format('alter table %s enable row level security, force row level security', p_table);
    for v_name in select polname from pg_catalog.pg_policy where polrelid = p_table loop
        execute format('drop policy %I on %s', v_name, p_table);
    end loop;
end;
$$;
create table public.notes (tenant uuid, owner uuid);
insert into public.notes values ('{OWN}', '{USER}'), ('{FOREIGN}', gen_random_uuid());
"""
SWAP = """
call private.close('public.notes');
select pg_sleep(0.4);
grant select on table public.notes to authenticated;
select pg_sleep(0.4);
create policy select_own on public.notes for select to authenticated
using (owner = (select auth.uid()));
select pg_sleep(0.4);
"""


def write(folder: Path, number: int, text: str) -> None:
    (folder / f"2026010100000{number}_step.sql").write_text(text)


class Reader(threading.Thread):
    """Reads one tenant's rows in a loop and counts what each read showed."""

    def __init__(self, database: Database, tenant: str) -> None:
        super().__init__(daemon=True)
        self.database, self.tenant = database, tenant
        self.stop = threading.Event()
        self.seen: dict[int, int] = {}
        self.failure: psycopg.Error | None = None

    def run(self) -> None:
        try:
            with self.database.connect(autocommit=True) as connection:
                while not self.stop.is_set():
                    with as_user(connection, USER):
                        row = connection.execute(
                            "select count(*)::int from public.notes where tenant = %s",
                            [self.tenant],
                        ).fetchone()
                    count = int(row[0]) if row else -1
                    self.seen[count] = self.seen.get(count, 0) + 1
        except psycopg.Error as error:
            self.failure = error


def test_readers_see_the_same_rows_through_a_slow_swap(
    plain_database: Database, tmp_path: Path
) -> None:
    write(tmp_path, 1, TABLE)
    write(tmp_path, 2, SWAP)
    migrations.apply(plain_database.owner_dsn, tmp_path)
    readers = [Reader(plain_database, OWN), Reader(plain_database, FOREIGN)]
    for reader in readers:
        reader.start()
    while not all(reader.seen or reader.failure for reader in readers):
        time.sleep(0.01)
    for number in (3, 4):
        write(tmp_path, number, SWAP)
        migrations.apply(plain_database.owner_dsn, tmp_path)
    time.sleep(0.1)
    for reader in readers:
        reader.stop.set()
        reader.join(timeout=20)
    own, foreign = readers
    assert (own.failure, foreign.failure) == (None, None)
    assert set(own.seen) == {1} and own.seen[1] > 10
    assert set(foreign.seen) == {0} and foreign.seen[0] > 10


def test_the_reader_notices_an_open_moment(plain_database: Database, tmp_path: Path) -> None:
    write(tmp_path, 1, TABLE)
    write(tmp_path, 2, SWAP)
    migrations.apply(plain_database.owner_dsn, tmp_path)
    reader = Reader(plain_database, FOREIGN)
    reader.start()
    with plain_database.connect(autocommit=True) as connection:
        connection.execute("alter table public.notes disable row level security")
        deadline = time.monotonic() + 10
        while 1 not in reader.seen and time.monotonic() < deadline:
            time.sleep(0.01)
    reader.stop.set()
    reader.join(timeout=20)
    assert reader.seen.get(1, 0) > 0


def wait_for(connection: Connection, table: str) -> None:
    """Return as soon as somebody waits for a lock on the table."""
    for _ in range(400):
        row = connection.execute(
            "select exists (select from pg_locks where not granted and relation = %s::regclass)",
            [table],
        ).fetchone()
        if row and row[0]:
            return
        time.sleep(0.02)
    raise AssertionError(f"nobody waited for {table}")


class Change(threading.Thread):
    """Runs statements in one transaction and keeps what went wrong."""

    def __init__(self, database: Database, statements: str) -> None:
        super().__init__(daemon=True)
        self.database, self.statements = database, statements
        self.failure: psycopg.Error | None = None

    def run(self) -> None:
        try:
            with self.database.connect() as connection:
                connection.execute(self.statements.encode())
        except psycopg.Error as error:
            self.failure = error


def analyze_beside(database: Database, tables: list[str], statements: str) -> Change:
    """Change tables, each while somebody who has begun to analyze it does so to the end."""
    change = Change(database, statements)
    with database.connect() as vacuum:
        # Locked in the other direction, so that each lock is given back by its savepoint.
        for place, table in reversed(list(enumerate(tables))):
            vacuum.execute(f"savepoint s{place}".encode())
            vacuum.execute(f"lock table {table} in share update exclusive mode".encode())
        change.start()
        for place, table in enumerate(tables):
            wait_for(vacuum, table)
            vacuum.execute(f"analyze {table}".encode())
            vacuum.execute(f"rollback to s{place}".encode())
    change.join(timeout=30)
    return change


def test_policies_change_beside_a_vacuum_of_each_table(database: Database) -> None:
    text = "".join(source.text for source in read_sources(SOURCES))
    tables = re.findall(r"^call private\.lock_down\('(.+)'\)", text, re.MULTILINE)
    assert len(tables) > 50
    change = analyze_beside(database, tables, text)
    assert not change.is_alive() and change.failure is None


def test_a_change_that_revokes_first_is_noticed(database: Database) -> None:
    revokes = "revoke all on table public.tags from anon; alter table public.tags owner to postgres"
    with pytest.raises(psycopg.errors.DeadlockDetected):
        change = analyze_beside(database, ["public.tags"], revokes)
        raise change.failure or AssertionError("nobody waited in a circle")
