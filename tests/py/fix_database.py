"""Databases for tests: one server and one template per session, a fresh copy per test.

``--engine`` chooses the server: ``embedded`` (default), ``debian15`` (the binaries of Debian's
``postgresql-15``), ``container`` or ``url`` (with ``--database-url``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from harmonia_py import migrations
from harmonia_py.engines import Database, Engine
from harmonia_py.project import Project
from harmonia_py.seed.apply import apply as apply_seeds

ROOT = Path(__file__).resolve().parents[2]
DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
TEMPLATE = "harmonia_template"

Connection = psycopg.Connection[Any]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("harmonia")
    group.addoption(
        "--engine",
        default="embedded",
        choices=["embedded", "debian15", "container", "url"],
        help="where the test databases come from",
    )
    group.addoption("--pg-bin", default=None, help="PostgreSQL binaries of the embedded engine")
    group.addoption("--database-url", default=None, help="the server of the url engine")
    group.addoption("--image", default=None, help="the image of the container engine")
    group.addoption(
        "--on-engine-only",
        action="store_true",
        help="leave out tests that do not ask for the engine: no other engine changes them",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--on-engine-only"):
        return
    others = [item for item in items if "engine" not in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if "engine" in getattr(item, "fixturenames", ())]


def make_engine(config: pytest.Config) -> Engine:
    """Return the engine that the options ask for; nothing is started yet."""
    name = config.getoption("--engine")
    if name == "container":
        from harmonia_py.engines.container import ContainerEngine

        return ContainerEngine(config.getoption("--image"))
    if name == "url":
        from harmonia_py.engines.url import UrlEngine

        url = config.getoption("--database-url")
        if not url:
            raise pytest.UsageError("--engine url needs --database-url")
        return UrlEngine(url)
    from harmonia_py.engines.embedded import EmbeddedEngine

    if name == "debian15":
        if not (DEBIAN_15 / "postgres").exists():
            raise pytest.UsageError("--engine debian15 needs the package postgresql-15")
        return EmbeddedEngine(DEBIAN_15)
    return EmbeddedEngine(config.getoption("--pg-bin"))


def pytest_report_header(config: pytest.Config) -> str:
    if config.getoption("--engine") in {"container", "url"}:
        return f"database: {config.getoption('--engine')}"
    return f"database: {make_engine(config).label}"


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """The session's engine. Each worker of pytest-xdist has its own server."""
    engine = make_engine(request.config)
    try:
        yield engine
    finally:
        engine.close()


@pytest.fixture(scope="session")
def template_database(engine: Engine) -> str:
    """The name of a database with the environment, all migrations, policies and the seed."""
    template = engine.create_database(TEMPLATE)
    apply_project(template)
    return template.name


@pytest.fixture
def database(engine: Engine, template_database: str) -> Iterator[Database]:
    """A fresh copy of the template: Harmonia complete, with the seed."""
    with engine.database(template=template_database) as database:
        yield database


@pytest.fixture
def plain_database(engine: Engine) -> Iterator[Database]:
    """A fresh database with the Supabase environment and nothing else."""
    with engine.database() as database:
        yield database


@pytest.fixture
def conn(database: Database) -> Iterator[Connection]:
    """A session as ``postgres``, who runs migrations and bypasses row level security."""
    with database.connect() as connection:
        yield connection


@pytest.fixture
def admin(database: Database) -> Iterator[Connection]:
    """A session as the superuser."""
    with database.connect_admin() as connection:
        yield connection


def apply_project(database: Database, folder: Path = ROOT / "supabase") -> None:
    """Apply migrations, policies and the seed, as ``harmonia`` itself does."""
    project = Project(folder)
    migrations.apply(database.owner_dsn, project.migrations)
    if project.seeds():
        apply_seeds(database.owner_dsn, project)


@contextmanager
def acting(
    conn: Connection, role: str, claims: dict[str, Any] | None = None
) -> Iterator[Connection]:
    """Run a block as an API role, with the settings that PostgREST makes for a request.

    The block is a transaction (a savepoint inside an open one) and is kept unless it raises.
    """
    with conn.transaction():
        _request(conn, role, json.dumps(claims) if claims is not None else "")
        yield conn
        _request(conn, "none", "")


def _request(conn: Connection, role: str, claims: str) -> None:
    conn.execute(
        "select pg_catalog.set_config('search_path', %s, true),"
        " pg_catalog.set_config('role', %s, true),"
        " pg_catalog.set_config('request.jwt.claims', %s, true),"
        " pg_catalog.set_config('request.method', %s, true),"
        " pg_catalog.set_config('request.path', %s, true),"
        " pg_catalog.set_config('request.headers', %s, true),"
        " pg_catalog.set_config('request.cookies', %s, true)",
        ['"public", "extensions"', role, claims, "POST", "/", "{}", "{}"],
    )


@contextmanager
def as_user(
    conn: Connection, user_id: UUID | str, *, aal: str = "aal1", **claims: Any
) -> Iterator[Connection]:
    """Act as a signed-in user: ``with as_user(conn, ann, aal="aal2"): ...``."""
    token = {
        "sub": str(user_id),
        "role": "authenticated",
        "aud": "authenticated",
        "aal": aal,
        "is_anonymous": False,
        **claims,
    }
    with acting(conn, "authenticated", token) as connection:
        yield connection


@contextmanager
def as_anon(conn: Connection) -> Iterator[Connection]:
    """Act as a visitor who is not signed in."""
    with acting(conn, "anon", {"role": "anon"}) as connection:
        yield connection


@contextmanager
def as_service(conn: Connection) -> Iterator[Connection]:
    """Act as the service role, which bypasses row level security."""
    with acting(conn, "service_role", {"role": "service_role"}) as connection:
        yield connection


def create_user(
    conn: Connection, user_id: UUID | str, email: str, *, anonymous: bool = False
) -> None:
    """Insert a user as the auth server would, confirmed."""
    conn.execute(
        """
        insert into auth.users (
            instance_id, id, aud, role, email, email_confirmed_at, raw_app_meta_data,
            raw_user_meta_data, created_at, updated_at, is_anonymous
        )
        values (
            '00000000-0000-0000-0000-000000000000', %s, 'authenticated', 'authenticated', %s,
            now(), '{}', '{}', now(), now(), %s
        )
        """,
        [str(user_id), None if anonymous else email, anonymous],
    )
