"""Export and import: what comes back is what was there, and damage is refused."""

from __future__ import annotations

import csv
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fix_database import Connection
from fix_disk import full
from fix_killed import eventually, killable

from harmonia_py.connection import session
from harmonia_py.engines import Database, Engine
from harmonia_py.errors import Busy, FileDamaged, NotWritable, Refused
from harmonia_py.lifecycle import catalog, partial
from harmonia_py.lifecycle.exporting import export_organization
from harmonia_py.lifecycle.importing import import_organization, read_manifest

KEY = bytes(range(32))
OTHER = UUID("b0000000-0000-7000-8000-000000000001")
OWNER = "e0000000-0000-4000-8000-000000000001"


@pytest.fixture
def org(conn: Connection) -> UUID:
    row = conn.execute(
        "select organization_id from public.memberships where user_id = %s", [OWNER]
    ).fetchone()
    conn.commit()
    assert row is not None
    return UUID(str(row[0]))


@pytest.fixture
def elsewhere(engine: Engine, template_database: str, org: UUID) -> Iterator[Database]:
    """Another Harmonia that never had the organization."""
    with engine.database(template=template_database) as database:
        forget(database, org)
        yield database


def forget(database: Database, org: UUID) -> None:
    with database.connect_admin() as admin:
        admin.execute("set session_replication_role = replica")
        for table in reversed(list(catalog.tables(admin, exported=False))):
            admin.execute(
                b"delete from "
                + table.identifier.as_bytes(admin)
                + b" where "
                + table.tenant.encode()
                + b" = %s",
                [org],
            )


def prints(database: Database, org: UUID) -> dict[str, tuple[int, str]]:
    with session(database.owner_dsn) as conn:
        return {t.name: catalog.fingerprint(conn, t, org) for t in catalog.tables(conn)}


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "encrypted"])
def test_round_trip(
    database: Database, elsewhere: Database, org: UUID, tmp_path: Path, key: bytes | None
) -> None:
    before = prints(database, org)
    done = export_organization(database.owner_dsn, org, tmp_path / "out", key=key)
    assert done.rows == sum(rows for rows, _ in before.values()) > 50
    loaded = import_organization(elsewhere.owner_dsn, tmp_path / "out", key=key)
    assert (loaded.organization_id, loaded.rows) == (org, done.rows)
    assert prints(elsewhere, org) == before
    with pytest.raises(Refused, match="exists here already"):
        import_organization(elsewhere.owner_dsn, tmp_path / "out", key=key)


SETTINGS = (
    "timezone = 'Asia/Tokyo'",
    "datestyle = 'SQL, DMY'",
    "intervalstyle = 'postgres_verbose'",
    "extra_float_digits = -5",
    "bytea_output = 'escape'",
)


@pytest.mark.parametrize("there", ["here", "elsewhere"])
def test_how_a_database_writes_its_values_changes_nothing(
    database: Database, elsewhere: Database, org: UUID, tmp_path: Path, there: str
) -> None:
    """A date written with the day first must not be read with the month first."""
    with session(database.owner_dsn) as conn:
        conn.execute(
            "insert into public.export_jobs (organization_id, object, created_at)"
            " values (%s, 'contact', '2026-05-06T07:08:09.5Z')",
            [org],
        )
    before = prints(database, org)
    changed = database if there == "here" else elsewhere
    with changed.connect_admin(autocommit=True) as admin:
        for setting in SETTINGS:
            admin.execute(f'alter database "{changed.name}" set {setting}'.encode())
    export_organization(database.owner_dsn, org, tmp_path / "out")
    import_organization(elsewhere.owner_dsn, tmp_path / "out")
    with changed.connect_admin(autocommit=True) as admin:
        admin.execute(f'alter database "{changed.name}" reset all'.encode())
    assert prints(elsewhere, org) == before


def test_files_hold_every_row_twice(database: Database, org: UUID, tmp_path: Path) -> None:
    export_organization(database.owner_dsn, org, tmp_path / "out")
    manifest = read_manifest(tmp_path / "out")
    assert manifest["schema_version"] and manifest["organization"]["id"] == str(org)
    for entry in manifest["tables"]:
        base = tmp_path / "out" / "data" / entry["table"]
        with base.with_name(base.name + ".csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        lines = base.with_name(base.name + ".ndjson").read_text(encoding="utf-8").splitlines()
        assert len(rows) - 1 == len(lines) == entry["rows"], entry["table"]
        for line in lines:
            assert json.loads(line)[entry["tenant"]] == str(org)


def test_every_tenant_table_is_exported(database: Database, org: UUID, tmp_path: Path) -> None:
    """By construction: a table made a moment ago is in it."""
    with database.connect() as conn:
        conn.execute(
            "create table public.brand_new (organization_id uuid not null references"
            " public.organizations (id), id int, primary key (organization_id, id))"
        )
        conn.execute("insert into public.brand_new values (%s, 7)", [org])
    export_organization(database.owner_dsn, org, tmp_path / "out")
    assert (
        tmp_path / "out/data/public.brand_new.csv"
    ).read_text() == f"organization_id,id\n{org},7\n"


def test_another_organization_is_not_in_it(
    database: Database, conn: Connection, org: UUID, tmp_path: Path
) -> None:
    others = conn.execute("select id from public.organizations where id <> %s", [org]).fetchall()
    export_organization(database.owner_dsn, org, tmp_path / "out")
    content = b"".join(p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert others and all(str(row[0]).encode() not in content for row in others)


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "encrypted"])
def test_damage_is_refused_before_anything_is_loaded(
    database: Database, elsewhere: Database, org: UUID, tmp_path: Path, key: bytes | None
) -> None:
    export_organization(database.owner_dsn, org, tmp_path / "out", key=key)
    files = sorted(p for p in (tmp_path / "out" / "data").iterdir() if p.stat().st_size)
    before = prints(elsewhere, org)
    for path in files[:: max(len(files) // 8, 1)]:
        good = path.read_bytes()
        for bad in (
            good[:-1],
            good[: len(good) // 2] + bytes([good[len(good) // 2] ^ 1]) + good[len(good) // 2 + 1 :],
        ):
            path.write_bytes(bad)
            with pytest.raises(FileDamaged):
                import_organization(elsewhere.owner_dsn, tmp_path / "out", key=key)
        path.write_bytes(good)
    assert prints(elsewhere, org) == before
    if key is not None:
        with pytest.raises(FileDamaged):
            import_organization(elsewhere.owner_dsn, tmp_path / "out", key=bytes(32))
        with pytest.raises(FileDamaged):
            import_organization(elsewhere.owner_dsn, tmp_path / "out")


def test_interrupted_export_goes_on(
    database: Database, conn: Connection, elsewhere: Database, org: UUID, tmp_path: Path
) -> None:
    class Killed(KeyboardInterrupt):
        pass

    def stop(name: str, _: int) -> None:
        if name == "public.deals":
            raise Killed

    with pytest.raises(Killed):
        export_organization(database.owner_dsn, org, tmp_path / "out", progress=stop)
    with pytest.raises(FileDamaged, match="no complete export"):
        read_manifest(tmp_path / "out")
    with pytest.raises(NotWritable, match="not overwritten"):
        export_organization(database.owner_dsn, org, tmp_path / "out")
    conn.execute("update public.companies set name = name || '.' where organization_id = %s", [org])
    conn.commit()
    done = export_organization(database.owner_dsn, org, tmp_path / "out", resume=True)
    assert 0 < done.kept < done.tables
    import_organization(elsewhere.owner_dsn, tmp_path / "out")
    assert prints(elsewhere, org) == prints(database, org)


class Killed(KeyboardInterrupt):
    pass


def begin(url: str, org: UUID, out: Path, *, last: str, key: bytes | None = None) -> None:
    """Export until a table is done, and be interrupted."""

    def stop(name: str, _: int) -> None:
        if name == last:
            raise Killed

    with pytest.raises(Killed):
        export_organization(url, org, out, key=key, progress=stop)


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "encrypted"])
def test_what_it_goes_on_with_is_what_was_written(
    database: Database, elsewhere: Database, org: UUID, tmp_path: Path, key: bytes | None
) -> None:
    """Of the same size, it was taken as it was: an export that no import would take."""
    out, kept = tmp_path / "out", tmp_path / "kept"
    begin(database.owner_dsn, org, out, last="public.deals", key=key)
    end = ".hxf" if key else ""
    files = {name: out / "data" / f"public.{name}.csv{end}" for name in ("teams", "roles", "deals")}
    good = files["teams"].read_bytes()
    files["teams"].write_bytes(good[:-3] + bytes([good[-3] ^ 1]) + good[-2:])
    files["roles"].rename(kept)
    files["roles"].symlink_to(kept)
    files["deals"].unlink()
    done = export_organization(database.owner_dsn, org, out, key=key, resume=True)
    assert set(done.damaged) == {f"public.{name}" for name in files}
    assert 0 < done.kept < done.tables - len(files)
    assert not files["roles"].is_symlink() and kept.read_bytes()
    import_organization(elsewhere.owner_dsn, out, key=key)
    assert prints(elsewhere, org) == prints(database, org)


def test_a_table_without_rows_that_was_changed_is_written_again(
    database: Database, org: UUID, tmp_path: Path
) -> None:
    """No row says that it has a column more."""
    with database.connect() as conn:
        conn.execute(
            "create table public.aaa (organization_id uuid not null references"
            " public.organizations (id), id int, primary key (organization_id, id))"
        )
    begin(database.owner_dsn, org, tmp_path / "out", last="public.deals")
    begun = json.loads((tmp_path / "out" / "partial.json").read_bytes())["tables"]
    assert "public.aaa" in {entry["table"] for entry in begun}
    with database.connect() as conn:
        conn.execute("alter table public.aaa add column more text")
    done = export_organization(database.owner_dsn, org, tmp_path / "out", resume=True)
    assert done.kept and done.damaged == ()
    (entry,) = (t for t in read_manifest(tmp_path / "out")["tables"] if t["table"] == "public.aaa")
    assert entry["columns"] == ["organization_id", "id", "more"]
    assert (tmp_path / "out/data/public.aaa.csv").read_text() == "organization_id,id,more\n"


def test_an_encrypted_export_says_nothing_before_it_is_complete(
    database: Database, org: UUID, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    begin(database.owner_dsn, org, out, last="public.deals", key=KEY)
    note = (out / "partial.json").read_bytes()
    assert note.startswith(b"HXF1") and b"deals" not in note and str(org).encode() not in note
    for key in (None, bytes(32)):
        with pytest.raises(NotWritable, match="with another key or in another form"):
            export_organization(database.owner_dsn, org, out, key=key, resume=True)
    with pytest.raises(NotWritable, match="for another organization"):
        export_organization(database.owner_dsn, OTHER, out, key=KEY, resume=True)
    assert (out / "partial.json").read_bytes() == note
    done = export_organization(database.owner_dsn, org, out, key=KEY, resume=True)
    assert done.kept and not (out / "partial.json").exists()
    # And one in the clear does not go on encrypted.
    begin(database.owner_dsn, org, tmp_path / "plain", last="public.deals")
    with pytest.raises(NotWritable, match="with another key or in another form"):
        export_organization(database.owner_dsn, org, tmp_path / "plain", key=KEY, resume=True)


def test_one_exporter_at_a_time(
    database: Database, conn: Connection, org: UUID, tmp_path: Path
) -> None:
    lock = "select {}(486104, private.export_lock(%s))"
    conn.execute(lock.format("pg_advisory_lock").encode(), [org])
    with pytest.raises(Busy, match="is running"):
        export_organization(database.owner_dsn, org, tmp_path / "out")
    conn.execute(lock.format("pg_advisory_unlock").encode(), [org])
    assert export_organization(database.owner_dsn, org, tmp_path / "out2").rows


KILLED = """
import sys, time
from pathlib import Path
from typing import Any
from uuid import UUID
from harmonia_py.lifecycle.exporting import export_organization

def progress(name, rows):
    print(name, flush=True)
    if name == "public.contacts":
        time.sleep(60)

export_organization(sys.stdin.readline().strip(), UUID(sys.argv[1]), Path(sys.argv[2]),
                    progress=progress)
"""


def test_killed_in_the_middle_it_goes_on(
    database: Database, elsewhere: Database, org: UUID, tmp_path: Path
) -> None:
    with killable(KILLED, database.owner_dsn, str(org), str(tmp_path / "out")) as lines:
        while next(lines).strip() != "public.contacts":
            pass
    assert not (tmp_path / "out" / "manifest.json").exists()
    eventually(lambda: export_organization(database.owner_dsn, org, tmp_path / "out", resume=True))
    import_organization(elsewhere.owner_dsn, tmp_path / "out")
    assert prints(elsewhere, org) == prints(database, org)


@pytest.mark.parametrize("name", ["data/public.contacts.csv", "partial.json", "manifest.json"])
def test_a_full_disk_is_said_and_it_goes_on_when_there_is_room(
    database: Database, elsewhere: Database, org: UUID, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "out"

    def fill(table: str, _: int) -> None:
        if table == "public.organizations":
            full(patch, name)

    with pytest.MonkeyPatch.context() as patch:
        with pytest.raises(NotWritable, match="No space left"):
            export_organization(database.owner_dsn, org, out, progress=fill)
    assert not (out / "manifest.json").exists()
    with session(database.owner_dsn) as conn:
        state = conn.execute(
            "select status, error from public.organization_exports where organization_id = %s",
            [org],
        ).fetchall()
    assert state == [("failed", "NotWritable")]
    done = export_organization(database.owner_dsn, org, out, resume=True)
    assert done.kept > 0
    import_organization(elsewhere.owner_dsn, out)
    assert prints(elsewhere, org) == prints(database, org)


def test_a_folder_another_export_writes_into_is_waited_for(
    database: Database, org: UUID, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    descriptor = os.open(out, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(Busy, match="another export writes into"):
        export_organization(database.owner_dsn, org, out, resume=True)
    assert list(out.iterdir()) == []
    os.close(descriptor)
    assert export_organization(database.owner_dsn, org, out, resume=True).rows


def test_a_folder_made_at_the_same_time_is_not_shared(
    database: Database, org: UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one is complete by its word, with the other organization's rows in its files."""
    out, read = tmp_path / "out", partial.read

    def and_then(folder: Path, *given: Any, **options: Any) -> partial.Entries:
        had = read(folder, *given, **options)
        monkeypatch.setattr(partial, "read", read)
        export_organization(database.owner_dsn, OTHER, out)
        return had

    monkeypatch.setattr(partial, "read", and_then)
    with pytest.raises(NotWritable, match="holds a complete export"):
        export_organization(database.owner_dsn, org, out)
    assert read_manifest(out)["organization"]["id"] == str(OTHER)


def test_nowhere_to_write_is_said(database: Database, org: UUID, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotWritable, match="cannot create"):
        export_organization(database.owner_dsn, org, tmp_path / "file" / "out")
