"""The ``container`` engine: a throw-away PostgreSQL in a container, through testcontainers."""

from __future__ import annotations

import contextlib
import io
import secrets
import tarfile
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from psycopg.conninfo import make_conninfo

from harmonia_py import dsn
from harmonia_py.engines.cluster import ADMIN
from harmonia_py.engines.database import Database
from harmonia_py.engines.host import Host
from harmonia_py.errors import DatabaseUnreachable, ServerStartFailed
from harmonia_py.platform import extensions

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

__all__ = ["DEFAULT_IMAGE", "ContainerEngine"]

# The database image of the Supabase CLI 3.1.0.
DEFAULT_IMAGE = "public.ecr.aws/supabase/postgres:17.11.0.018"
START_TIMEOUT = 120.0


class ContainerEngine:
    """Runs a PostgreSQL image and removes the container afterwards.

    Any image that reads ``POSTGRES_USER`` and ``POSTGRES_PASSWORD`` will do: ``postgres:15``,
    ``supabase/postgres:...``. The superuser becomes ``supabase_admin``. testcontainers' reaper
    may be off (``TESTCONTAINERS_RYUK_DISABLED=true``): :meth:`close` removes the container.
    """

    def __init__(self, image: str | None = None) -> None:
        """Remember the image; nothing is started yet."""
        self.image = image or DEFAULT_IMAGE
        self._container: DockerContainer | None = None
        self._host: Host | None = None

    def __enter__(self) -> ContainerEngine:
        """Return the engine."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the container."""
        self.close()

    @property
    def label(self) -> str:
        """Name and image for a person."""
        return f"container {self.image}"

    @property
    def container_id(self) -> str | None:
        """The container's full id, or ``None`` when there is none."""
        if self._container is None:
            return None
        return str(self._container.get_wrapped_container().id)

    def start(self) -> Host:
        """Start the container if it is not running, and return the maker of databases."""
        if self._host is not None:
            return self._host
        try:
            from testcontainers.core.container import DockerContainer
        except ImportError:
            raise ServerStartFailed(
                "the container engine needs testcontainers",
                hint="pip install 'harmonia[container]'",
            ) from None
        password = secrets.token_urlsafe(18)
        try:
            self._container = (
                DockerContainer(self.image)
                .with_env("POSTGRES_USER", ADMIN)
                .with_env("POSTGRES_PASSWORD", password)
                .with_env("POSTGRES_DB", "postgres")
                .with_exposed_ports(5432)
            )
            self._container.start()
            admin_dsn = self._wait(password)
            _complete(self._container, admin_dsn)
        except Exception as error:
            self.close()
            if isinstance(error, ServerStartFailed):
                raise
            raise ServerStartFailed(
                f"cannot run {self.image}: {_first_line(error)}",
                hint="is a Docker engine running, and is the image there or can it be pulled?",
            ) from None
        except BaseException:
            self.close()
            raise
        self._host = Host(self.label, admin_dsn, password)
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
        """Remove the container."""
        container, self._container, self._host = self._container, None, None
        if container is not None:
            with contextlib.suppress(Exception):
                container.stop()

    def _wait(self, password: str) -> str:
        assert self._container is not None  # noqa: S101 - start() sets it
        url = make_conninfo(
            "",
            host=self._container.get_container_host_ip(),
            port=self._container.get_exposed_port(5432),
            user=ADMIN,
            password=password,
            dbname="postgres",
        )
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                dsn.connect(url, timeout=3).close()
                return url
            except DatabaseUnreachable as error:
                if time.monotonic() > deadline:
                    raise ServerStartFailed(
                        f"{self.image} did not answer within {START_TIMEOUT:.0f} s: {error.message}"
                    ) from None
                time.sleep(0.2)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


def _complete(container: DockerContainer, admin_dsn: str) -> None:
    """Copy stand-ins into the container, unless it is Supabase's own image."""
    with dsn.connect(admin_dsn, autocommit=True) as conn:
        rows = conn.execute("select name::text from pg_catalog.pg_available_extensions").fetchall()
        present = {str(row[0]) for row in rows}
        if "supabase_vault" in present:
            return
        row = conn.execute(
            "select setting || '/extension' from pg_catalog.pg_config where name = 'SHAREDIR'"
        ).fetchone()
        directory = str(row[0]) if row else ""
        made = extensions.missing(present)
        for name in sorted(extensions.TRUSTED & present):
            path = f"{directory}/{name}.control"
            control = conn.execute("select pg_catalog.pg_read_file(%s)", [path]).fetchone()
            if control is not None and f"{name}.control" not in made:
                made[f"{name}.control"] = extensions.trusted(str(control[0]))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in made.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    container.get_wrapped_container().put_archive(directory, packed.getvalue())
