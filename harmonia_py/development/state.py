"""What ``.harmonia`` remembers about the development server."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from psycopg.conninfo import make_conninfo

from harmonia_py.engines.cluster import ADMIN
from harmonia_py.engines.database import OWNER, Database
from harmonia_py.engines.server import HOST
from harmonia_py.errors import Busy, NotWritable

__all__ = ["FOLDER", "Development", "exclusive", "folder", "read", "write"]

FOLDER = ".harmonia"
STATE = "state.json"
DATABASE = "postgres"


@dataclass(frozen=True, slots=True)
class Development:
    """One project's development server. ``pid`` is 0 while it is stopped."""

    root: str
    data_dir: str
    bin_dir: str
    version: str
    port: int
    pid: int
    password: str = field(repr=False)

    @property
    def running(self) -> bool:
        """Whether the server runs."""
        return self.pid > 0

    @property
    def directory(self) -> Path:
        """The project's ``.harmonia`` folder, where companions keep their own files."""
        return Path(self.root) / FOLDER

    def dsn_as(self, role: str) -> str:
        """Return the URL for a login role: ``postgres``, ``supabase_admin``, ``authenticator``."""
        return make_conninfo(
            "",
            host=HOST,
            port=self.port,
            user=role,
            password=self.password,
            dbname=DATABASE,
            sslmode="disable",
        )

    def url(self) -> str:
        """Return the URL of role ``postgres`` as other tools like it. It holds the password."""
        return f"postgresql://{OWNER}:{self.password}@{HOST}:{self.port}/{DATABASE}"

    def database(self, server_version: int = 0) -> Database:
        """Return it as an engine's database."""
        label = f"development PostgreSQL {self.version}"
        return Database(DATABASE, label, server_version, self.dsn_as(OWNER), self.dsn_as(ADMIN))


def folder(root: Path) -> Path:
    """Create and return the project's ``.harmonia`` folder. Raises :class:`NotWritable`."""
    path = root / FOLDER
    try:
        path.mkdir(mode=0o755, exist_ok=True)
        ignore = path / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
    except OSError as error:
        raise NotWritable(
            f"cannot write {path}: {error.strerror}", hint="run where you may write, or --project"
        ) from None
    return path


@contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Let one ``up`` or ``down`` per project run at a time. Raises :class:`Busy`."""
    path = folder(root) / "lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise NotWritable(f"cannot write {path}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(
                "another `harmonia up` or `down` is at work in this project", hint="wait for it"
            ) from None
        yield
    finally:
        os.close(descriptor)


def read(root: Path) -> Development | None:
    """Return what was remembered, or ``None``; a damaged file counts as none."""
    try:
        values = json.loads((root / FOLDER / STATE).read_text())
        return Development(**values)
    except (OSError, ValueError, TypeError):
        return None


def write(root: Path, development: Development) -> None:
    """Remember, readable for the owner alone, whole or not at all."""
    path = folder(root) / STATE
    scratch = path.with_suffix(".new")
    try:
        scratch.unlink(missing_ok=True)
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as sink:
            json.dump(asdict(development), sink, indent=2)
        scratch.replace(path)
    except OSError as error:
        raise NotWritable(f"cannot write {path}: {error.strerror}") from None
