"""A real PostgREST over a copy of the template, and people who call it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fix_database import Connection

from harmonia_py import tokens
from harmonia_py.engines import Database, Engine
from harmonia_py.postgrest import PostgREST, install

ROOT = Path(__file__).resolve().parents[2]
SECRET = tokens.new_secret()

ALDER = "a0000000-0000-7000-8000-000000000001"
BIRCH = "b0000000-0000-7000-8000-000000000001"


@dataclass(frozen=True)
class Person:
    """Somebody of the seed."""

    id: str
    email: str


OLGA = Person("e0000000-0000-4000-8000-000000000001", "olga.owner@alder.example")
ADAM = Person("e0000000-0000-4000-8000-000000000002", "adam.admin@alder.example")
MIKA = Person("e0000000-0000-4000-8000-000000000004", "mika.member@alder.example")
VERA = Person("e0000000-0000-4000-8000-000000000005", "vera.viewer@alder.example")
STEN = Person("e0000000-0000-4000-8000-000000000006", "sten.suspended@alder.example")
OTTO = Person("e0000000-0000-4000-8000-000000000011", "otto.owner@birch.example")
NORA = Person("e0000000-0000-4000-8000-000000000021", "nora.nobody@elsewhere.example")


@dataclass(frozen=True)
class Api:
    """A running API and its database."""

    url: str
    database: Database
    server: PostgREST

    def token(self, person: Person, **claims: Any) -> str:
        """Return a token for a person; ``claims`` replace those of Supabase Auth."""
        return tokens.sign({**tokens.user_claims(person.id, person.email), **claims}, SECRET)

    def client(self, person: Person | None = None, **claims: Any) -> httpx.Client:
        """Return an HTTP client that speaks for a person, or for nobody."""
        headers = {"authorization": f"Bearer {self.token(person, **claims)}"} if person else {}
        # A new connection each time: the server may close a kept one as the next request leaves.
        fresh = httpx.Limits(max_keepalive_connections=0)
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, limits=fresh)


@pytest.fixture(scope="session")
def postgrest_binary() -> Path:
    """The binary; that there is none is a failure, not a reason to skip."""
    return install(ROOT)


@pytest.fixture(scope="module")
def api(engine: Engine, template_database: str, postgrest_binary: Path) -> Iterator[Api]:
    """An API over a fresh copy of the template, shared by the tests of one module."""
    with (
        engine.database(template=template_database) as database,
        PostgREST(
            database.dsn_as("authenticator"), secret=SECRET, binary=postgrest_binary
        ) as server,
    ):
        with database.connect() as conn:
            reset_guard(conn)
        yield Api(server.url, database, server)


@pytest.fixture(autouse=True)
def known_guard(request: pytest.FixtureRequest) -> Iterator[None]:
    """Give every test of a shared API the same settings and limits, whatever tests did before."""
    yield
    if "api" in request.fixturenames:
        api: Api = request.getfixturevalue("api")
        with api.database.connect() as conn:
            reset_guard(conn)


def reset_guard(conn: Connection) -> None:
    """Set the guard as shipped, but for limits no test meets by accident (one transaction)."""
    conn.execute("delete from private.request_settings")
    conn.execute("insert into private.request_settings (id) values (true)")
    conn.execute("delete from private.rate_limits")
    conn.execute(
        "insert into private.rate_limits"
        " select c, 10, 1000000, 1000000, 1000000, 1000000"
        " from unnest(array['read', 'write', 'rpc', 'sensitive']) as c"
    )
    conn.execute("update auth.users set banned_until = null where banned_until is not null")
    conn.execute("delete from public.allowed_origins")
    conn.commit()
