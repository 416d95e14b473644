"""Half of the probes run on a copy: same verdict, as many probes, and no thread left."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fix_isolation import differing, said

from harmonia_py.engines import Database, Engine
from harmonia_py.errors import CouldNotVerify
from harmonia_py.isolation import channels, fixtures, runner
from harmonia_py.isolation.channels import ChannelResult
from harmonia_py.isolation.finding import Report
from harmonia_py.isolation.lab import Lab, Outcome, Probe

#: One is found with the tables, the other apart from them.
LEAKS = """
create policy open on public.deals for select to authenticated using (true);
create function public.all_titles() returns setof text language sql stable security definer
set search_path = '' as 'select d.title from public.deals as d';
"""


@pytest.fixture
def leaky(engine: Engine, isolation_databases: dict[str, Database]) -> Iterator[Database]:
    with engine.database(template=isolation_databases["helper"].name) as database:
        with database.connect() as conn:
            conn.execute(LEAKS.encode())
        yield database


@pytest.fixture
def copy(engine: Engine, leaky: Database) -> Iterator[Callable[[], str]]:
    made: list[Database] = []

    def run() -> str:
        made.append(engine.create_database(template=leaky.name))
        return made[-1].admin_dsn or made[-1].owner_dsn

    yield run
    for database in made:
        engine.drop_database(database.name)


def verify(database: Database, copy: Callable[[], str] | None = None, **options: Any) -> Report:
    report = runner.verify(database.admin_dsn or database.owner_dsn, copy=copy, **options)
    assert [t.name for t in threading.enumerate() if t.name.startswith("harmonia-twin")] == []
    return report


@pytest.fixture
def backends(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Note which session of the server each channel used."""
    used: dict[str, int] = {}

    def noting(name: str, channel: channels.Channel) -> channels.Channel:
        def run(lab: Lab, seen: ChannelResult) -> ChannelResult:
            used[name] = lab.conn.info.backend_pid
            return channel(lab, seen)

        return run

    for group in (channels._WITH_TABLES, channels._APART, channels._LAST):
        for name, channel in group.items():
            monkeypatch.setitem(group, name, noting(name, channel))
    return used


def test_a_copy_changes_nothing_in_the_report(
    leaky: Database, copy: Callable[[], str], backends: dict[str, int]
) -> None:
    alone = verify(leaky)
    assert len(set(backends.values())) == 1
    shared = verify(leaky, copy)
    assert len(set(backends.values())) == 2
    assert {f.object for f in alone.findings} == {"public.deals", "public.all_titles()"}
    assert not (apart := differing(said(alone.as_dict()), said(shared.as_dict()))), apart


def test_every_channel_has_its_place_in_the_report() -> None:
    ran = [*channels._WITH_TABLES, *channels._APART, *channels._LAST]
    assert sorted(ran) == sorted(channels._ORDER)


@pytest.mark.parametrize("how", ["other rows", "refused"])
def test_where_the_rows_come_out_otherwise_the_copy_is_not_used(
    leaky: Database, copy: Callable[[], str], backends: dict[str, int], how: str
) -> None:
    def another() -> str:
        url = copy()
        with leaky.connect_admin() as conn:  # the copy keeps the table as it was made
            conn.execute(
                "alter table public.deals add column stars int default 3"
                if how == "other rows"
                else "alter table public.deals add column stars int check (stars < 3)"
            )
        return url

    assert len(verify(leaky, another).findings) == 2
    assert len(set(backends.values())) == 1


def test_a_copy_that_goes_away_is_said(
    engine: Engine, leaky: Database, copy: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    repeat = fixtures.repeat

    def dropped(conn: Any, rows: Any) -> Any:
        done = repeat(conn, rows)
        engine.drop_database(conn.info.dbname)
        return done

    monkeypatch.setattr(fixtures, "repeat", dropped)
    with pytest.raises(CouldNotVerify, match=r"went away|lost"):
        verify(leaky, copy)


def test_the_copy_ends_with_what_fails_beside_it(
    leaky: Database, copy: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()
    slept: list[Outcome] = []

    def endless(lab: Lab, seen: ChannelResult) -> ChannelResult:
        begun.set()
        while True:
            slept.extend(lab.run([Probe(lab.cast.actors[0], "select pg_catalog.pg_sleep(60)")]))

    def failing(lab: Lab, seen: ChannelResult) -> ChannelResult:
        assert begun.wait(60)
        raise CouldNotVerify("as this test wants")

    monkeypatch.setitem(channels._APART, "views", endless)
    monkeypatch.setitem(channels._WITH_TABLES, "tables", failing)
    with pytest.raises(CouldNotVerify, match="as this test wants"):
        verify(leaky, copy, timeout=60)
    assert len(slept) <= 1
