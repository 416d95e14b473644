"""Storage paths and Realtime topics: the policies that their servers run as the caller."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from fix_api import ALDER, BIRCH, NORA, OLGA, OTTO, VERA, Person
from fix_database import Connection, as_user
from psycopg import sql

ADD = "insert into public.files (organization_id, id, path, name) values (%s, %s, %s, 'a.pdf')"
PUT = "insert into storage.objects (bucket_id, name, owner_id) values (%s, %s, %s)"
OPEN = "select name from storage.objects where name = %s"


def describe(conn: Connection, person: Person, organization: str) -> str:
    """Describe a file as a person and return its path."""
    record = str(uuid4())
    path = f"{organization}/{record}/a.pdf"
    with as_user(conn, person.id):
        conn.execute(ADD, [organization, record, path])
    return path


def may_put(conn: Connection, person: Person, name: str, bucket: str = "crm") -> bool:
    try:
        with conn.transaction(force_rollback=True), as_user(conn, person.id):
            conn.execute(PUT, [bucket, name, person.id])
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


def sees(conn: Connection, person: Person, name: str) -> bool:
    with as_user(conn, person.id):
        return conn.execute(OPEN, [name]).fetchone() is not None


def test_an_object_belongs_to_whom_its_file_belongs(conn: Connection) -> None:
    path = describe(conn, OLGA, ALDER)
    for person, allowed in ((OLGA, True), (VERA, False), (OTTO, False), (NORA, False)):
        assert may_put(conn, person, path) is allowed, person
    conn.execute(PUT, ["crm", path, OLGA.id])
    for person, allowed in ((OLGA, True), (VERA, True), (OTTO, False), (NORA, False)):
        assert sees(conn, person, path) is allowed, person
    for person, allowed in ((VERA, False), (OTTO, False), (OLGA, True)):
        with conn.transaction(force_rollback=True), as_user(conn, person.id):
            conn.execute("select set_config('storage.allow_delete_query', 'true', true)")
            gone = conn.execute("delete from storage.objects where name = %s", [path]).rowcount
            assert bool(gone) is allowed, person
    with conn.transaction(force_rollback=True), as_user(conn, OTTO.id):
        moved = conn.execute(
            "update storage.objects set name = %s where name = %s", [f"{BIRCH}/x/y", path]
        ).rowcount
        assert moved == 0


def test_an_object_is_not_moved_or_copied_to_another_organization(conn: Connection) -> None:
    own, theirs = describe(conn, OLGA, ALDER), describe(conn, OTTO, BIRCH)
    again = describe(conn, OLGA, ALDER)
    conn.execute(PUT, ["crm", own, OLGA.id])
    conn.execute(PUT, ["crm", theirs, OTTO.id])

    def move(person: Person, column: str, value: str, name: str) -> int:
        statement = sql.SQL("update storage.objects set {} = %s where name = %s")
        with conn.transaction(force_rollback=True), as_user(conn, person.id):
            return conn.execute(statement.format(sql.Identifier(column)), [value, name]).rowcount

    # Storage moves by renaming and copies by adding under the new name.
    assert move(OLGA, "name", again, own) == 1
    free = theirs.replace("a.pdf", "b.pdf")
    for column, value in (("name", free), ("bucket_id", "other"), ("owner_id", OTTO.id)):
        conn.execute(
            "insert into storage.buckets (id, name) values ('other', 'other')"
            " on conflict do nothing"
        )
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            move(OLGA, column, value, own)
    assert not may_put(conn, OLGA, free)
    # What is somebody else's is not even there to be moved into one's own folder.
    assert move(OLGA, "name", again, theirs) == 0


TRICKS = [
    "{other}/{id}/a.pdf",
    "{OWN}/{id}/a.pdf",
    "{own}/../{other}/{id}/a.pdf",
    "../{other}/{id}/a.pdf",
    "/{own}/{id}/a.pdf",
    "{own}//{id}/a.pdf",
    "{own}",
    "{own}x/{id}/a.pdf",
    "{own} /{id}/a.pdf",
    "{own}/{id}/a.pdf/b",
    "{own}/{id}/A.pdf",
    "{own}%2f{id}/a.pdf",
    "{own}\\{id}\\a.pdf",
    "x/{own}/{id}/a.pdf",
    "{own}/{id}/a.pdf/",
    "{own}/{id}/./a.pdf",
    "{own}/{id}/%61.pdf",
    "{own}/{id}/a.pdf ",
    "{own}/{id}/\u0430.pdf",  # a Cyrillic a
    "{own}\u2215{id}\u2215a.pdf",  # division slashes
    "{own}/{id}/a.pdf\u200b",
    "",
]


@pytest.mark.parametrize("trick", TRICKS)
def test_a_path_that_is_not_the_files_own_is_refused(conn: Connection, trick: str) -> None:
    path = describe(conn, OLGA, ALDER)
    assert may_put(conn, OLGA, path)
    name = trick.format(own=ALDER, OWN=ALDER.upper(), other=BIRCH, id=path.split("/")[1])
    assert not may_put(conn, OLGA, name)


def test_another_bucket_is_another_matter(conn: Connection) -> None:
    path = describe(conn, OLGA, ALDER)
    conn.execute("insert into storage.buckets (id, name) values ('other', 'other')")
    assert not may_put(conn, OLGA, path, "other")
    conn.execute(PUT, ["other", path, OLGA.id])
    assert not sees(conn, OLGA, path)
    row = conn.execute("select public from storage.buckets where id = 'crm'").fetchone()
    assert row == (False,)


@contextmanager
def topic(conn: Connection, person: Person, name: str, **claims: Any) -> Iterator[None]:
    with conn.transaction(force_rollback=True), as_user(conn, person.id, **claims):
        conn.execute("select set_config('realtime.topic', %s, true)", [name])
        yield


def may_send(conn: Connection, person: Person, name: str, **claims: Any) -> bool:
    try:
        with topic(conn, person, name, **claims):
            conn.execute(
                "insert into realtime.messages (topic, extension, event, payload, private)"
                " values (%s, 'broadcast', 'x', %s, true)",
                [name, json.dumps({})],
            )
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


def may_listen(conn: Connection, person: Person, name: str, **claims: Any) -> bool:
    conn.execute(
        "insert into realtime.messages (topic, extension, event, payload, private)"
        " values (%s, 'broadcast', 'x', '{}', true)",
        [name],
    )
    with topic(conn, person, name, **claims):
        return conn.execute("select 1 from realtime.messages").fetchone() is not None


def test_topics_are_for_members(conn: Connection) -> None:
    for name in (f"organization:{ALDER}", f"organization:{ALDER}:deals"):
        for person, allowed in ((OLGA, True), (VERA, True), (OTTO, False), (NORA, False)):
            assert may_send(conn, person, name) is allowed, (person, name)
            assert may_listen(conn, person, name) is allowed, (person, name)
    assert not may_listen(conn, OLGA, f"organization:{ALDER}", is_anonymous=True)


@pytest.mark.parametrize(
    "name",
    [
        f"organization:{ALDER.upper()}",
        f"organization:{BIRCH}:{ALDER}",
        f"x:organization:{ALDER}",
        f"organization:{ALDER}:a:b",
        f"organization:{ALDER}\nx",
        "organization:",
        f"org:{ALDER}",
        "*",
    ],
)
def test_a_topic_of_another_form_is_nobodys(conn: Connection, name: str) -> None:
    assert may_send(conn, OLGA, f"organization:{ALDER}")
    assert not may_send(conn, OLGA, name)
    assert not may_listen(conn, OLGA, name)
