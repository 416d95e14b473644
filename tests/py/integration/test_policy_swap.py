"""Clients that read all through a slow change of policies never see another tenant's rows."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from uuid import UUID

import psycopg
from fix_database import as_user

from harmonia_py import migrations
from harmonia_py.engines import Database

OWN, FOREIGN = "10000000-0000-4000-8000-000000000001", "20000000-0000-4000-8000-000000000002"
USER = UUID("30000000-0000-4000-8000-000000000003")

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
