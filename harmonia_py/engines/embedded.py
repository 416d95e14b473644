"""The ``embedded`` engine: a throw-away server from PostgreSQL binaries on this machine."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from psycopg import sql
from psycopg.conninfo import make_conninfo

from harmonia_py import dsn
from harmonia_py.engines import binaries as installations
from harmonia_py.engines.cluster import ADMIN
from harmonia_py.engines.database import Database
from harmonia_py.engines.host import Host
from harmonia_py.engines.server import DURABLE, HOST, Server

__all__ = ["EmbeddedEngine"]


class EmbeddedEngine:
    """Runs PostgreSQL on a loopback port and deletes it afterwards.

    The server starts when the first database is asked for. ``pg_bin`` names a directory of
    PostgreSQL 15 or newer; without it :func:`harmonia_py.engines.binaries.find` decides.
    """

    def __init__(
        self, pg_bin: str | Path | None = None, *, in_memory: bool = True, durable: bool = False
    ) -> None:
        """Find the binaries. Raises :class:`harmonia_py.errors.BinariesNotFound`.

        ``in_memory=False`` keeps the data on disk even where memory has room, for measurements
        and for databases of many gigabytes. ``durable`` does so too and lets every commit wait
        for the disk, as a server does whose data is worth something.
        """
        self.in_memory = in_memory and not durable
        self.settings = DURABLE if durable else {}
        self.binaries = installations.find(pg_bin)
        self._server: Server | None = None
        self._host: Host | None = None

    def __enter__(self) -> EmbeddedEngine:
        """Return the engine."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self.close()

    @property
    def label(self) -> str:
        """Name and version for a person."""
        return f"embedded PostgreSQL {self.binaries.version}"

    def start(self) -> Host:
        """Start the server if it is not running, and return the maker of databases."""
        if self._host is None:
            self._server = Server(self.binaries, self.settings, in_memory=self.in_memory)
            self._host = Host(self.label, _open_tcp(self._server), self._server.password)
        return self._host

    def database(self, *, template: str | None = None) -> AbstractContextManager[Database]:
        """Yield a fresh database with the environment, or a copy of ``template``."""
        return self.start().database(template=template)

    def create_database(self, name: str | None = None, *, template: str | None = None) -> Database:
        """Create a database that stays until it is dropped or the engine closes."""
        return self.start().create(name, template=template)

    def drop_database(self, name: str) -> None:
        """Drop a database and end its sessions."""
        self.start().drop(name)

    def close(self) -> None:
        """Stop the server and delete its files."""
        server, self._server, self._host = self._server, None, None
        if server is not None:
            server.stop()


def _open_tcp(server: Server) -> str:
    """Set the superuser's password over the socket and return its URL over TCP."""
    local = make_conninfo(
        "", host=str(server.socket_dir), port=server.port, user=ADMIN, dbname="postgres"
    )
    with dsn.connect(local, autocommit=True) as conn:
        conn.execute(
            sql.SQL("alter role {} password {}").format(
                sql.Identifier(ADMIN), sql.Literal(server.password)
            )
        )
    return dsn.replace(local, host=HOST, password=server.password, sslmode="disable")
