"""An export that somebody made to harm: nothing of it is loaded, and nothing else is touched."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from fix_database import Connection

from harmonia_py.connection import session
from harmonia_py.engines import Database, Engine
from harmonia_py.errors import FileDamaged, HarmoniaError, Refused
from harmonia_py.lifecycle import catalog
from harmonia_py.lifecycle.exporting import export_organization
from harmonia_py.lifecycle.importing import import_organization

OWNER = "e0000000-0000-4000-8000-000000000001"
MEMBER = "e0000000-0000-4000-8000-000000000004"
OTHER = UUID("a0000000-0000-7000-8000-000000000002")


class Archive:
    """An export on disk, and how to change it so that its sums still agree."""

    def __init__(self, folder: Path, org: UUID) -> None:
        self.folder, self.org = folder, org
        self.manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())

    def entry(self, table: str) -> dict[str, Any]:
        return next(e for e in self.manifest["tables"] if e["table"] == table)

    def save(self) -> None:
        (self.folder / "manifest.json").write_text(json.dumps(self.manifest))

    def rewrite(self, file: dict[str, Any], change: Callable[[str], str]) -> None:
        path = self.folder / file["name"]
        path.write_text(change(path.read_text()))
        file["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        self.save()

    def add_row(self, table: str, change: Callable[[str], str]) -> None:
        """Append a copy of the last row with a change, and count it."""
        entry = self.entry(table)
        self.rewrite(entry["files"][0], lambda text: text + change(text.splitlines()[-1]) + "\n")
        entry["rows"] += 1
        self.save()


@pytest.fixture
def archive(database: Database, conn: Connection, tmp_path: Path) -> Archive:
    row = conn.execute(
        "select organization_id from public.memberships where user_id = %s", [OWNER]
    ).fetchone()
    conn.commit()
    assert row is not None
    export_organization(database.owner_dsn, row[0], tmp_path / "out")
    return Archive(tmp_path / "out", row[0])


@pytest.fixture
def elsewhere(engine: Engine, template_database: str, archive: Archive) -> Iterator[Database]:
    with engine.database(template=template_database) as database:
        with database.connect_admin() as admin:
            admin.execute("set session_replication_role = replica")
            for table in reversed(list(catalog.tables(admin, exported=False))):
                admin.execute(
                    b"delete from "
                    + table.identifier.as_bytes(admin)
                    + b" where "
                    + table.tenant.encode()
                    + b" = %s",
                    [archive.org],
                )
        yield database


def everything(database: Database) -> dict[str, Any]:
    with session(database.owner_dsn) as conn:
        orgs = [r[0] for r in conn.execute("select id from public.organizations order by id")]
        prints: dict[str, Any] = {
            f"{t.name} {o}": catalog.fingerprint(conn, t, o)
            for t in catalog.tables(conn, exported=False)
            for o in orgs
        }
        users = conn.execute("select id, email from auth.users order by id").fetchall()
        return {**prints, "orgs": orgs, "users": users}


def foreign_row(archive: Archive) -> None:
    archive.add_row("public.tags", lambda row: row.replace(str(archive.org), str(OTHER)))


def foreign_organization(archive: Archive) -> None:
    archive.add_row("public.organizations", lambda row: row.replace(str(archive.org), str(uuid4())))


def all_rows_foreign(archive: Archive) -> None:
    entry = archive.entry("public.tags")
    archive.rewrite(entry["files"][0], lambda t: t.replace(str(archive.org), str(OTHER)))


def another_parent(archive: Archive) -> None:
    """A row that refers to something that is not in the archive."""
    archive.add_row("public.contact_tags", lambda row: row[:37] + str(uuid4()) + row[73:])


def fewer_rows(archive: Archive) -> None:
    entry = archive.entry("public.contacts")
    archive.rewrite(entry["files"][0], lambda text: "\n".join(text.splitlines()[:-1]) + "\n")


def broken_rule(archive: Archive) -> None:
    entry = archive.entry("public.organizations")
    archive.rewrite(entry["files"][0], lambda text: text.replace(",active,", ",wild,"))


def no_csv(archive: Archive) -> None:
    archive.rewrite(archive.entry("public.tags")["files"][0], lambda text: text + '"')


def another_header(archive: Archive) -> None:
    file = archive.entry("public.tags")["files"][0]
    archive.rewrite(file, lambda text: text.replace("name", "color", 1))


def huge_row(archive: Archive) -> None:
    archive.add_row("public.tags", lambda row: row.replace(str(archive.org), "x" * 20_000_000))


def outside(archive: Archive) -> None:
    archive.entry("public.tags")["files"][0]["name"] = "../../../etc/passwd"
    archive.save()


def absolute(archive: Archive) -> None:
    archive.entry("public.tags")["files"][0]["name"] = "/etc/passwd"
    archive.save()


def by_a_link(archive: Archive) -> None:
    path = archive.folder / archive.entry("public.tags")["files"][0]["name"]
    path.unlink()
    path.symlink_to("/etc/passwd")


def a_pipe(archive: Archive) -> None:
    """Reading it would wait for ever."""
    path = archive.folder / archive.entry("public.tags")["files"][0]["name"]
    path.unlink()
    os.mkfifo(path)


def not_ours(archive: Archive) -> None:
    (archive.folder / "manifest.json").write_text('{"format": 1}')


def no_json(archive: Archive) -> None:
    (archive.folder / "manifest.json").write_text("[" * 100_000)


def another_format(archive: Archive) -> None:
    archive.manifest["format"] = 99
    archive.save()


def columns_twice(archive: Archive) -> None:
    archive.entry("public.tags")["columns"].append("name")
    archive.save()


def injected_column(archive: Archive) -> None:
    archive.entry("public.tags")["columns"][0] = 'id") from stdin; drop table public.tags; --'
    archive.save()


def a_table_of_ours(archive: Archive) -> None:
    """One that holds no tenant's rows."""
    extra = json.loads(json.dumps(archive.entry("public.tags")))
    archive.manifest["tables"].append({**extra, "table": "private.platform_admins"})
    archive.save()


def another_schema(archive: Archive) -> None:
    archive.manifest["schema_version"] = "29990101000000"
    archive.save()


def negative(archive: Archive) -> None:
    archive.entry("public.tags")["rows"] = -1
    archive.save()


def person(archive: Archive, **values: Any) -> None:
    line = {"id": str(uuid4()), "email": None, "display_name": None, **values}
    archive.rewrite(archive.manifest["people"], lambda text: text + json.dumps(line) + "\n")


def somebody_elses_address(archive: Archive) -> None:
    person(archive, email="olga.owner@alder.example")


def somebody_elses_id(archive: Archive) -> None:
    person(archive, id=OWNER, email="mallory@evil.example")


def no_person(archive: Archive) -> None:
    person(archive, id="'; drop table auth.users; --")


def no_list_of_people(archive: Archive) -> None:
    archive.rewrite(archive.manifest["people"], lambda _: "[]\n")


HOSTILE = [
    foreign_row, foreign_organization, all_rows_foreign, another_parent, fewer_rows, broken_rule,
    no_csv, another_header, huge_row, outside, absolute, by_a_link, a_pipe, not_ours, no_json,
    another_format, columns_twice, injected_column, a_table_of_ours, another_schema, negative,
    somebody_elses_address, somebody_elses_id, no_person, no_list_of_people,
]  # fmt: skip


@pytest.mark.parametrize("how", HOSTILE, ids=lambda f: f.__name__)
def test_nothing_is_loaded(
    archive: Archive, elsewhere: Database, how: Callable[[Archive], None]
) -> None:
    before = everything(elsewhere)
    how(archive)
    with pytest.raises((FileDamaged, Refused)) as refused:
        import_organization(elsewhere.owner_dsn, archive.folder)
    assert len(refused.value.message) < 300 and "root:" not in refused.value.message
    assert everything(elsewhere) == before


def test_the_same_archive_untouched_is_loaded(archive: Archive, elsewhere: Database) -> None:
    """The twin: it is what was done to it that is refused."""
    archive.save()
    assert import_organization(elsewhere.owner_dsn, archive.folder).rows > 50


def test_an_account_that_exists_is_left_as_it_is(archive: Archive, elsewhere: Database) -> None:
    """An archive is somebody's word; it names nobody who has an account here."""
    made = str(uuid4())
    person(archive, id=made, email="new@alder.example", display_name="New Here")
    names = "select display_name from public.profiles where user_id = %s"
    with session(elsewhere.owner_dsn) as conn:
        conn.execute("delete from public.profiles where user_id = %s", [OWNER])
        before = conn.execute("select * from auth.users where id = %s", [OWNER]).fetchall()
    archive.rewrite(
        archive.manifest["people"], lambda text: text.replace("Olga", "Platform Security")
    )
    import_organization(elsewhere.owner_dsn, archive.folder)
    with session(elsewhere.owner_dsn) as conn:
        assert conn.execute("select * from auth.users where id = %s", [OWNER]).fetchall() == before
        assert conn.execute(names, [OWNER]).fetchall() == []
        assert conn.execute(names, [made]).fetchall() == [("New Here",)]


def test_what_was_closing_goes_on_closing(
    database: Database, conn: Connection, archive: Archive, elsewhere: Database, tmp_path: Path
) -> None:
    conn.execute("update public.organizations set status = 'closing' where id = %s", [archive.org])
    conn.commit()
    export_organization(database.owner_dsn, archive.org, tmp_path / "closing")
    import_organization(elsewhere.owner_dsn, tmp_path / "closing")
    with session(elsewhere.owner_dsn) as there:
        row = there.execute(
            "select purge_after > now() + interval '29 days' from private.closures"
            " where organization_id = %s",
            [archive.org],
        ).fetchone()
    assert row == (True,)


def test_one_that_is_being_purged_is_not_exported(
    database: Database, conn: Connection, archive: Archive, tmp_path: Path
) -> None:
    conn.execute("update public.organizations set status = 'closing' where id = %s", [archive.org])
    conn.execute(
        "insert into private.closures (organization_id, closing_at, purge_after)"
        " values (%s, now() - interval '40 days', now() - interval '1 day')",
        [archive.org],
    )
    conn.execute("select private.start_purge(%s)", [archive.org])
    conn.commit()
    with pytest.raises(Refused, match="being deleted"):
        export_organization(database.owner_dsn, archive.org, tmp_path / "late")
    assert not (tmp_path / "late" / "manifest.json").exists()


def test_only_what_was_begun_is_gone_on_with(
    database: Database, archive: Archive, tmp_path: Path
) -> None:
    """Another organization, another key, another form: else two exports would mix in a folder."""

    class Stop(Exception):
        pass

    def stop(name: str, _: int) -> None:
        if name == "public.contacts":
            raise Stop

    def export(org: UUID = archive.org, **options: Any) -> None:
        export_organization(database.owner_dsn, org, tmp_path / "half", resume=True, **options)

    with pytest.raises(Stop):
        export(progress=stop)
    for options in ({"org": OTHER}, {"key": bytes(32)}, {"ndjson": False}):
        with pytest.raises(HarmoniaError, match="begun for another"):
            export(**options)
    export()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("not an export")
    with pytest.raises(HarmoniaError, match="something else"):
        export_organization(database.owner_dsn, archive.org, tmp_path / "mine", resume=True)


@pytest.mark.parametrize(
    "note",
    [
        "{}",
        "[]",
        '{"identity": 1, "tables": 1}',
        '{"identity": IDENTITY, "tables": [{"table": "public.organizations"}]}',
        '{"identity": IDENTITY, "tables": [{"table": "public.organizations", "rows": 1,'
        ' "fingerprint": "1", "files": 5}]}',
    ],
)
def test_a_note_of_something_else_is_said(
    database: Database, archive: Archive, tmp_path: Path, note: str
) -> None:
    identity = {"organization": str(archive.org), "key": None, "ndjson": True}
    folder = tmp_path / "half"
    folder.mkdir()
    (folder / "partial.json").write_text(note.replace("IDENTITY", json.dumps(identity)))
    with pytest.raises(HarmoniaError, match="something else"):
        export_organization(database.owner_dsn, archive.org, folder, resume=True)


def test_a_file_is_no_folder_to_go_on_in(
    database: Database, archive: Archive, tmp_path: Path
) -> None:
    (tmp_path / "letter").write_text("not an export")
    with pytest.raises(HarmoniaError, match="something else"):
        export_organization(database.owner_dsn, archive.org, tmp_path / "letter", resume=True)
