"""Every command takes an organization by its short name or its id."""

from __future__ import annotations

from typing import Any

from fix_cli import answer

from harmonia_py.engines import Database


def told(
    database: Database, *arguments: str, organization: str | None = None, code: int = 0
) -> Any:
    env = {"DATABASE_URL": database.owner_dsn, "HARMONIA_ORGANIZATION": organization}
    return answer(*arguments, env=env, code=code)


def organizations(database: Database) -> dict[str, str]:
    """Two of them, each with an act on record."""
    with database.connect() as conn:
        rows = conn.execute(
            "insert into public.organizations (name, slug) values ('One', 'one'), ('Two', 'two')"
            " returning slug, id::text"
        ).fetchall()
        for _, id_ in rows:
            conn.execute(
                "insert into public.teams (organization_id, name) values (%s, 'Team')", [id_]
            )
    return dict(rows)


def test_by_short_name_by_id_and_from_the_environment(database: Database) -> None:
    ids = organizations(database)
    by_id = told(database, "audit", "tail", "--organization", ids["one"])
    assert ids["one"] in {event["record_key"] for event in by_id}
    assert told(database, "audit", "tail", "--organization", "one") == by_id
    assert told(database, "audit", "tail", organization="one") == by_id
    two = told(database, "audit", "tail", "--organization", "two", organization="one")
    assert ids["two"] in {event["record_key"] for event in two}
    assert ids["one"] not in {event["record_key"] for event in two}


def test_a_name_that_nobody_has(database: Database) -> None:
    organizations(database)
    error = told(database, "audit", "tail", "--organization", "three", code=1)
    assert error["code"] == "api.not_found"
    assert "three" in error["message"]
    assert "slug" in error["hint"]


def test_a_filter_is_never_taken_from_the_environment(database: Database) -> None:
    """A check of everything that looks at one organization only would be green by accident."""
    organizations(database)
    everything = told(database, "audit", "verify")
    assert told(database, "audit", "verify", organization="one") == everything
    part = told(database, "audit", "verify", "--organization", "one")
    assert part["organizations"] == 1 < everything["organizations"]
