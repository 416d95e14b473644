"""Database URLs: read them, print them without secrets, refuse the wrong kind."""

from __future__ import annotations

import ipaddress
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from harmonia_py.errors import DatabaseUnreachable, InvalidDsn, PoolerRefused

__all__ = ["connect", "is_loopback", "parse", "redact", "replace", "require_session"]

TRANSACTION_POOLER_PORT = "6543"
_SCHEMES = ("postgresql://", "postgres://")


def parse(dsn: str) -> dict[str, str]:
    """Return the libpq parameters of a URL or conninfo string.

    Raises :class:`InvalidDsn` without repeating the text, which may hold a password.
    """
    text = dsn.strip()  # a line feed at the end, as of a file, would belong to the name
    try:
        values = conninfo_to_dict(text)
    except psycopg.Error:
        raise InvalidDsn("the database URL cannot be read") from None
    found = {key: str(value) for key, value in values.items() if value is not None}
    marks = text.partition("?")[0].count("@") if text.startswith(_SCHEMES) else 0
    if marks > bool({"user", "password"} & found.keys()):
        # libpq takes what follows the mark for host, port or database, which are printed.
        raise InvalidDsn(
            "the password in the database URL holds a mark that ends it",
            hint="write % as %25, @ as %40, / as %2F and : as %3A in the password",
        )
    if not all(_is_port(port) for port in found.get("port", "").split(",")):
        raise InvalidDsn("the port in the database URL is no number from 1 to 65535")
    return found


def _is_port(port: str) -> bool:
    return not port or (port.isascii() and port.isdigit() and 0 < int(port) < 65536)


def _place(dsn: str) -> dict[str, str]:
    """Return the parameters with what libpq adds to them: ``PGHOST`` and the like, a service."""
    values = parse(dsn)
    if "service" in values:
        # Only libpq reads that file, when it connects: where it leads is not known here.
        return {"host": f"service {values['service']}", **values}
    defaults = {
        option.keyword.decode(): option.val.decode()
        for option in Conninfo.get_defaults()
        if option.val and option.keyword in (b"host", b"hostaddr", b"port", b"dbname")
    }
    return {**defaults, **values}


def redact(dsn: str) -> str:
    """Return ``host:port/database``: all that may be printed of a URL."""
    values = _place(dsn)
    host = values.get("host") or values.get("hostaddr") or "localhost"
    name = values.get("dbname") or values.get("user") or "postgres"
    return f"{host}:{values.get('port', '5432')}/{name}"


def replace(dsn: str, **parameters: str) -> str:
    """Return the URL as conninfo with some libpq parameters replaced."""
    values: dict[str, Any] = {**parse(dsn), **parameters}
    return make_conninfo("", **values)


def is_loopback(dsn: str) -> bool:
    """Return whether the server is this machine: a socket, ``localhost`` or a loopback address.

    What libpq would take from the environment counts; where a service leads is not known.
    """
    values = _place(dsn)
    hosts = (values.get("hostaddr") or values.get("host") or "").split(",")
    return all(_is_local(host) for host in hosts)


def _is_local(host: str) -> bool:
    if not host or host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_session(dsn: str) -> None:
    """Refuse a transaction pooler: locks, ``set`` and prepared statements need a session.

    What libpq would take from the environment counts. Raises :class:`PoolerRefused`.
    """
    ports = _place(dsn).get("port", "").split(",")
    if TRANSACTION_POOLER_PORT in {port.strip().lstrip("+0") for port in ports}:
        raise PoolerRefused(f"{redact(dsn)} is a transaction pooler (port 6543)")


def connect(
    dsn: str, *, autocommit: bool = False, timeout: int = 10
) -> psycopg.Connection[tuple[Any, ...]]:
    """Open a session, or raise :class:`DatabaseUnreachable` naming host, port and database.

    ``timeout`` is in seconds. The reason PostgreSQL gives is kept (wrong password, no such
    database, nothing listens); the password is not in it. Raises :class:`InvalidDsn` for a setting
    that has no such value.
    """
    values: dict[str, Any] = {
        "connect_timeout": timeout,
        "application_name": "harmonia",
        **parse(dsn),
        # Files are sent as the UTF-8 they are, whatever PGCLIENTENCODING says.
        "client_encoding": "utf8",
    }
    try:
        return psycopg.connect(make_conninfo("", **values), autocommit=autocommit)
    except psycopg.ProgrammingError as error:
        raise InvalidDsn(f"the database URL cannot be used: {error}") from None
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[-1].strip() if str(error).strip() else "no answer"
        for noise in ("FATAL:  ", "FATAL: "):
            if noise in reason:
                reason = reason.split(noise, 1)[1]
        raise DatabaseUnreachable(
            f"cannot connect to {redact(dsn)}: {reason}", hint=_remedy(reason)
        ) from None


def _remedy(reason: str) -> str:
    if "password authentication failed" in reason or "no password supplied" in reason:
        return "check user and password in the database URL"
    if "does not exist" in reason:
        return "check the database (and user) name in the URL"
    return "is the server running, and are host and port right? `harmonia up` starts a local one"
