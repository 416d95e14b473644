"""Support access through a real PostgREST: nothing is shown that is not on record."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from fix_api import ALDER, OLGA, Api, Person
from fix_database import create_user

AGENT = Person("e0000000-0000-4000-8000-0000000000f1", "agent@platform.example")


@pytest.fixture(scope="module", autouse=True)
def granted(api: Api) -> None:
    """Let a member of staff read and write contacts."""
    with api.database.connect() as conn:
        create_user(conn, AGENT.id, AGENT.email)
        conn.execute("insert into private.platform_admins (user_id) values (%s)", [AGENT.id])
        conn.execute(
            "insert into private.support_grants"
            " (organization_id, agent_id, permission, reason, approved_by, expires_at)"
            " select %s, %s, p, 'ticket 4711: imports fail', %s, now() + interval '1 hour'"
            " from unnest(array['contacts.read', 'contacts.write']) as p",
            [ALDER, AGENT.id, OLGA.id],
        )


@pytest.fixture
def agent(api: Api) -> Iterator[httpx.Client]:
    with api.client(AGENT, aal="aal2") as client:
        yield client


def uses(api: Api) -> int:
    with api.database.connect() as conn:
        row = conn.execute(
            "select count(*) from audit.events where action = 'support.access'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_what_is_shown_is_on_record(api: Api, agent: httpx.Client) -> None:
    before = uses(api)
    read = agent.post(
        "/rpc/support_read", json={"organization_id": ALDER, "table_name": "contacts"}
    )
    assert "ida@harbour-mills.example" in read.text
    between = uses(api)
    assert between > before
    changed = agent.patch(
        "/contacts?select=email&email=eq.ida@harbour-mills.example",
        json={"city": "Kiel"},
        headers={"prefer": "return=representation"},
    )
    assert changed.json() == [{"email": "ida@harbour-mills.example"}]
    assert uses(api) > between


@pytest.mark.parametrize("select", ["email::int", "a:full_name::uuid", "custom_fields->>x::int"])
def test_an_error_shows_nothing_that_it_takes_off_the_record(
    api: Api, agent: httpx.Client, select: str
) -> None:
    """A request that fails is rolled back, its record with it: its error must not tell."""
    before = uses(api)
    refused = agent.patch(
        f"/contacts?select={select}&id=not.is.null",
        json={"city": "Kiel"},
        headers={"prefer": "return=representation"},
    )
    assert refused.status_code == 400
    assert refused.json()["details"] == "support.cast"
    assert uses(api) == before
    with api.client(OLGA, aal="aal2") as olga:
        # What members read is not recorded, so nothing is lost there.
        assert olga.get("/contacts?select=email::text").status_code == 200
