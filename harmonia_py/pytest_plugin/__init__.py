"""A pytest plugin for the tests of a Supabase project.

::

    def test_notes_stay_apart(harmonia_db, as_user, assert_visible, assert_invisible):
        ann = harmonia_db.create_user("ann@example.test")
        ...
        with as_user(ann) as session:
            assert_visible(session, "select from notes where id = %s", [hers])
            assert_invisible(session, "select from notes where id = %s", [his])

    def test_no_tenant_reaches_another(assert_isolated):
        assert_isolated()

Nothing of Harmonia is imported, and no server started, before a test asks for a fixture.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harmonia_py.engines import Engine
    from harmonia_py.isolation.finding import Report
    from harmonia_py.project import Project
    from harmonia_py.pytest_plugin.session import HarmoniaDatabase, Session

_SETTINGS = {
    "engine": "where test databases come from: embedded (default) or container",
    "image": "image of the container engine",
    "pg-bin": "folder of the PostgreSQL programs of the embedded engine",
    "supabase-dir": "the project's supabase folder (default: the nearest one)",
    "model": "tenancy model (default: harmonia.toml of the project)",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--harmonia-*`` options and the ini keys of the same names."""
    group = parser.getgroup("harmonia", "Harmonia: databases and isolation of a Supabase project")
    for name, text in _SETTINGS.items():
        group.addoption(f"--harmonia-{name}", default=None, help=text)
        parser.addini(f"harmonia_{name.replace('-', '_')}", text, default="")
    group.addoption(
        "--harmonia-db-url",
        default=None,
        help="make the throw-away databases on this server; the one it names is not touched"
        " (or set HARMONIA_DB_URL, which shows in no list of processes)",
    )
    parser.addini("harmonia_seed", "run the project's seed files", type="bool", default=True)


def _setting(config: pytest.Config, name: str) -> str | None:
    """Return an option, or else its ini key (paths there count from the ini file)."""
    given: str | None = config.getoption(f"--harmonia-{name}")
    value = given or config.getini(f"harmonia_{name.replace('-', '_')}") or None
    if value and not given and name in ("pg-bin", "supabase-dir", "model"):
        value = str(config.rootpath / value)
    return value


@contextmanager
def _plainly() -> Iterator[None]:
    """Turn Harmonia's own errors into two lines, without a traceback through its code."""
    from harmonia_py.errors import HarmoniaError

    try:
        yield
    except HarmoniaError as error:
        text = f"{error.code}: {error.message}" + (f"\nhint: {error.hint}" if error.hint else "")
        raise pytest.fail.Exception(text, pytrace=False) from None


@pytest.fixture(scope="session")
def harmonia_project(pytestconfig: pytest.Config) -> Project:
    """Return the project under test: its ``supabase`` folder."""
    from harmonia_py import project

    with _plainly():
        given = _setting(pytestconfig, "supabase-dir")
        return project.find(Path(given) if given else None, start=pytestconfig.rootpath)


@pytest.fixture(scope="session")
def harmonia_engine(pytestconfig: pytest.Config) -> Iterator[Engine]:
    """Start the session's server; each worker of pytest-xdist has its own."""
    from harmonia_py.isolation import source

    with _plainly():
        url = pytestconfig.getoption("--harmonia-db-url") or os.environ.get("HARMONIA_DB_URL")
        made_by: AbstractContextManager[Engine]
        if url:
            from harmonia_py.engines.url import UrlEngine

            made_by = UrlEngine(url)
        else:
            pg_bin = _setting(pytestconfig, "pg-bin")
            made_by = source.engine(
                _setting(pytestconfig, "engine") or "embedded",
                image=_setting(pytestconfig, "image"),
                pg_bin=Path(pg_bin) if pg_bin else None,
            )
    with made_by as engine:
        yield engine


@pytest.fixture(scope="session")
def harmonia_template(
    harmonia_engine: Engine, harmonia_project: Project, pytestconfig: pytest.Config
) -> str:
    """Return the name of a database with migrations and seed, which tests get copies of."""
    from harmonia_py import migrations
    from harmonia_py.seed.apply import apply as apply_seeds

    with _plainly():
        database = harmonia_engine.create_database()
        migrations.apply(database.owner_dsn, harmonia_project.migrations)
        if pytestconfig.getini("harmonia_seed") and harmonia_project.seeds():
            apply_seeds(database.owner_dsn, harmonia_project)
    return database.name


@pytest.fixture
def harmonia_db(harmonia_engine: Engine, harmonia_template: str) -> Iterator[HarmoniaDatabase]:
    """Make a copy of the template for one test; whatever the test does to it is thrown away."""
    from harmonia_py.pytest_plugin.session import HarmoniaDatabase

    with (
        harmonia_engine.database(template=harmonia_template) as database,
        HarmoniaDatabase(database) as made,
    ):
        yield made


@pytest.fixture
def as_user(harmonia_db: HarmoniaDatabase) -> Callable[..., AbstractContextManager[Session]]:
    """Act as a signed-in user for one request.

    ``with as_user(who, **claims) as session: session.execute(...)``.
    ``who`` is an e-mail address, an id, or an object with an ``id``. Claims are added to the
    token; ``aal="aal2"`` for a second factor.
    """
    return harmonia_db.as_user


@pytest.fixture
def as_anon(harmonia_db: HarmoniaDatabase) -> Callable[..., AbstractContextManager[Session]]:
    """Act as a visitor who is not signed in, for one request."""
    return harmonia_db.as_anon


@pytest.fixture
def assert_visible() -> Callable[..., None]:
    """Give ``assert_visible(session, query, params)``: the query gives the session a row."""
    from harmonia_py.pytest_plugin import checks

    return checks.assert_visible


@pytest.fixture
def assert_invisible() -> Callable[..., None]:
    """Give ``assert_invisible(session, query, params)``: rows exist, none for the session."""
    from harmonia_py.pytest_plugin import checks

    return checks.assert_invisible


@pytest.fixture
def assert_rejected() -> Callable[..., None]:
    """Give ``assert_rejected(session, statement, params)``: possible, not for the session."""
    from harmonia_py.pytest_plugin import checks

    return checks.assert_rejected


@pytest.fixture
def assert_isolated(
    harmonia_db: HarmoniaDatabase, harmonia_project: Project, pytestconfig: pytest.Config
) -> Callable[..., Report]:
    """Give ``assert_isolated()``: run ``harmonia verify`` on this test's database.

    ``strict=True`` fails also on what was not judged, ``baseline=path`` accepts findings, and
    ``model=path`` replaces harmonia.toml. Returns the report.
    """
    given = _setting(pytestconfig, "model")

    def run(
        *,
        strict: bool = False,
        baseline: Path | str | None = None,
        model: Path | str | None = given,
        schemas: tuple[str, ...] | None = None,
        timeout: float = 2.0,
    ) -> Report:
        from harmonia_py.pytest_plugin import checks

        __tracebackhide__ = True
        usual = harmonia_project.root / "harmonia.toml"
        path = Path(model) if model else (usual if usual.exists() else None)
        options: dict[str, Any] = {"schemas": schemas, "timeout": timeout, "strict": strict}
        with _plainly():
            return checks.isolated(
                harmonia_db, model=path, baseline=Path(baseline) if baseline else None, **options
            )

    return run
