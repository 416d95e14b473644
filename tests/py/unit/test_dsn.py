"""Database URLs are read, printed without secrets, and refused when they are the wrong kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from harmonia_py import dsn
from harmonia_py.engines.server import free_port
from harmonia_py.errors import DatabaseUnreachable, InvalidDsn, PoolerRefused

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (f"postgresql://ann:{SECRET}@db.example.com:5433/crm", "db.example.com:5433/crm"),
        (f"postgres://ann:{SECRET}@db.example.com/crm?sslmode=require", "db.example.com:5432/crm"),
        (f"host=localhost password={SECRET} user=ann", "localhost:5432/ann"),
        ("dbname=crm host=/run/postgresql", "/run/postgresql:5432/crm"),
        ("", "localhost:5432/postgres"),
    ],
)
def test_redact_shows_host_port_and_database(given: str, shown: str) -> None:
    assert dsn.redact(given) == shown
    assert SECRET not in dsn.redact(given)


def test_an_unreadable_url_is_not_repeated() -> None:
    with pytest.raises(InvalidDsn) as caught:
        dsn.parse(f"postgresql://ann:{SECRET}@[bad")
    assert SECRET not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("postgresql://127.0.0.1/a", True),
        ("postgresql://[::1]:5432/a", True),
        ("postgresql://localhost/a", True),
        ("host=/run/postgresql", True),
        ("host=localhost hostaddr=10.0.0.1", False),
        ("postgresql://localhost.example.com/a", False),
        ("postgresql://10.0.0.1/a", False),
        ("postgresql://localhost,db.example.com/a", False),
        ("postgresql:///a", True),
        ("postgresql:///a?service=production", False),
    ],
)
def test_loopback(url: str, local: bool) -> None:
    assert dsn.is_loopback(url) is local


@pytest.mark.parametrize(
    ("variable", "value", "url", "shown"),
    [
        ("PGHOST", "db.example.com", "postgresql:///a", "db.example.com:5432/a"),
        ("PGHOSTADDR", "10.0.0.1", "postgresql://localhost/a", "localhost:5432/a"),
        ("PGSERVICE", "production", "postgresql:///a", "db.example.com:5432/a"),
    ],
)
def test_what_the_environment_adds_is_no_loopback(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variable: str,
    value: str,
    url: str,
    shown: str,
) -> None:
    """libpq connects to where the environment says when the URL names no host."""
    services = tmp_path / "services"
    services.write_text("[production]\nhost=db.example.com\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    assert dsn.is_loopback(url)
    monkeypatch.setenv(variable, value)
    assert not dsn.is_loopback(url)
    assert dsn.redact(url) == shown
    assert dsn.is_loopback("host=localhost hostaddr=127.0.0.1")


def test_the_transaction_pooler_is_refused() -> None:
    with pytest.raises(PoolerRefused, match="6543") as caught:
        dsn.require_session(f"postgresql://ann:{SECRET}@pooler.example.com:6543/postgres")
    assert "5432" in (caught.value.hint or "")
    assert SECRET not in str(caught.value)
    dsn.require_session("postgresql://pooler.example.com:5432/postgres")
    for url in ("host=a,b port=5432,6543", "host=a port=06543"):
        with pytest.raises(PoolerRefused):
            dsn.require_session(url)


def test_the_transaction_pooler_of_the_environment_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGPORT", "6543")
    with pytest.raises(PoolerRefused):
        dsn.require_session("postgresql://pooler.example.com/postgres")
    dsn.require_session("postgresql://pooler.example.com:5432/postgres")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ann:{SECRET}@x@db.example.com/crm",
        f"postgresql://ann:1@{SECRET}@db.example.com/crm",
        f"postgresql://ann:{SECRET}/x@db.example.com/crm",
        f"postgresql://ann:1/{SECRET}@db.example.com/crm?sslmode=require",
        f"postgres://ann:{SECRET}/crm",
    ],
)
def test_a_password_that_ends_early_is_printed_nowhere(url: str) -> None:
    """libpq would take the rest of it for a host, a port or a database, and name it."""
    for action in (dsn.redact, dsn.connect, dsn.require_session):
        with pytest.raises(InvalidDsn) as caught:
            action(url)
        assert SECRET not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:a%40b%2Fc%3Ad@db.example.com/a%40b", "db.example.com:5432/a@b"),
        ("postgresql://:pw@db.example.com/crm", "db.example.com:5432/crm"),
        ("postgresql://db.example.com/crm?user=a@b", "db.example.com:5432/crm"),
        ("host=db.example.com password=postgres://@@ dbname=crm", "db.example.com:5432/crm"),
        ("postgresql://ann@db.example.com/crm\n", "db.example.com:5432/crm"),
    ],
)
def test_its_twin_that_is_written_well_is_read(url: str, shown: str) -> None:
    assert dsn.redact(url) == shown


@pytest.mark.parametrize("setting", ["port=many", "port=70000", "port=5432,0", "connect_timeout=x"])
def test_a_setting_without_such_a_value_is_said(setting: str) -> None:
    with pytest.raises(InvalidDsn):
        dsn.connect(f"host=127.0.0.1 {setting}")


def test_nothing_listens() -> None:
    port = free_port()
    url = f"postgresql://ann:{SECRET}@127.0.0.1:{port}/crm"
    with pytest.raises(DatabaseUnreachable, match=f"127.0.0.1:{port}/crm") as caught:
        dsn.connect(url)
    assert SECRET not in str(caught.value)
    assert "harmonia up" in (caught.value.hint or "")


def test_replace_keeps_the_rest() -> None:
    url = dsn.replace(f"postgresql://ann:{SECRET}@db.example.com:5433/crm", user="ben")
    assert dsn.parse(url) == {
        "host": "db.example.com",
        "port": "5433",
        "dbname": "crm",
        "user": "ben",
        "password": SECRET,
    }
