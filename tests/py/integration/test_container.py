"""The container engine gives the same database as the others."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import psycopg
import pytest
from fix_database import apply_project, as_user

from harmonia_py import platform
from harmonia_py.engines.container import ContainerEngine
from harmonia_py.errors import ServerStartFailed

pytestmark = pytest.mark.container


@pytest.fixture(scope="module")
def container(pytestconfig: pytest.Config) -> Iterator[ContainerEngine]:
    image = pytestconfig.getoption("--image") or os.environ.get("HARMONIA_TEST_IMAGE")
    with ContainerEngine(image) as engine:
        engine.start()
        yield engine


def test_owner_is_not_a_superuser(container: ContainerEngine) -> None:
    with container.database() as database, database.connect() as conn:
        row = conn.execute("select current_user::text, current_setting('is_superuser')").fetchone()
    assert row == ("postgres", "off")


def test_the_whole_project_applies(container: ContainerEngine) -> None:
    with container.database() as database:
        apply_project(database)
        with database.connect() as conn:
            seeded = conn.execute("select count(*) from public.organizations").fetchone()
            assert seeded is not None
            assert seeded[0] > 0
            with as_user(conn, "00000000-0000-4000-8000-00000000dead"):
                stranger = conn.execute("select count(*) from public.organizations").fetchone()
            assert stranger == (0,)


def test_stand_ins_are_there(container: ContainerEngine) -> None:
    with container.database() as database, database.connect() as conn:
        for name in ("pg_cron", "pg_net", "pgmq"):
            conn.execute(
                psycopg.sql.SQL("create extension {}").format(psycopg.sql.Identifier(name))
            )
        assert {"pg_cron", "pg_net", "pgmq"} <= set(platform.stand_ins(conn))


def test_the_container_is_removed(pytestconfig: pytest.Config) -> None:
    image = pytestconfig.getoption("--image") or os.environ.get("HARMONIA_TEST_IMAGE")
    engine = ContainerEngine(image)
    engine.start()
    assert engine.container_id is not None
    identifier = engine.container_id
    engine.close()
    engine.close()
    left = subprocess.run(
        ["docker", "ps", "-aq", "--no-trunc"], capture_output=True, text=True, check=True
    )
    assert identifier not in left.stdout


def test_an_image_that_is_not_there() -> None:
    engine = ContainerEngine("harmonia.invalid/no-such-image:1")
    with pytest.raises(ServerStartFailed, match="no-such-image"):
        engine.start()
