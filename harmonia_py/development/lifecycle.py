"""Start, stop and describe a project's development server.

The server is PostgreSQL's own daemon: it outlives the command, a closed terminal and a killed
command. What is true is what the process table says; the state file only says where to look.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from harmonia_py import platform, project
from harmonia_py.development import process, state
from harmonia_py.development.state import Development
from harmonia_py.engines import binaries as installations
from harmonia_py.engines.host import set_passwords
from harmonia_py.errors import FolderMissing, HarmoniaError, PortInUse
from harmonia_py.postgrest.companion import PostgrestCompanion

__all__ = ["COMPANIONS", "DEFAULT_PORT", "Companion", "down", "status", "up"]

DEFAULT_PORT = 54322


class Companion(Protocol):
    """A process that lives beside the database, such as the API server.

    Companions keep their own files in ``development.directory``. Each call must be harmless when
    repeated; ``stop`` and ``describe`` also when the companion never ran.
    """

    def start(self, development: Development) -> None:
        """Start it, the database being up and migrated."""

    def stop(self, development: Development) -> None:
        """Stop it, before the database stops."""

    def describe(self, development: Development) -> dict[str, object]:
        """Return what `harmonia status` shows, with a ``name``."""


COMPANIONS: list[Companion] = [PostgrestCompanion()]


class DevelopmentBroken(HarmoniaError):
    """The development database cannot be used as it is."""

    code = "development.broken"


def status(root: Path) -> Development | None:
    """Return the project's server as it is now, or ``None`` if there never was one."""
    remembered = state.read(root)
    if remembered is None:
        return None
    remembered = _of_this_folder(root.resolve(), remembered)
    return replace(remembered, pid=process.server_pid(Path(remembered.data_dir)) or 0)


def _of_this_folder(root: Path, remembered: Development) -> Development:
    """Return what a copied or moved folder remembers, with the data that went with it.

    The server and the data at the place it was copied from are another project's.
    """
    before = Path(remembered.root)
    if before == root or _same(before, root):
        return remembered
    data = remembered.data_dir
    if Path(data).is_relative_to(before):
        data = str(root / Path(data).relative_to(before))
    elif state.read(before) is not None:  # it lies elsewhere, and is still used from there
        data = str(process.choose_data_dir(root))
    return replace(remembered, root=str(root), data_dir=data)


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def up(root: Path, *, port: int | None = None, pg_bin: str | Path | None = None) -> Development:
    """Start the server of the project at ``root`` unless it runs, and make its database ready.

    Ready means: the Supabase environment, then the migrations and the seed that the project has.
    ``port`` defaults to the one used before, else 54322. A failing migration leaves the server
    up, so that it can be corrected and tried again.

    Raises :class:`PortInUse`, :class:`ServerStartFailed`, :class:`NotWritable`, and what
    migrations raise.
    """
    root = root.resolve()
    with state.exclusive(root):
        development = status(root)
        if development is None or not development.running:
            development = _start(root, development, port, pg_bin)
        elif port not in {None, development.port}:
            raise DevelopmentBroken(
                f"the development database already runs on port {development.port}",
                hint="harmonia down first, then up with the other port",
            )
        elif process.await_ready(Path(development.data_dir)) is None:
            development = _start(root, development, port, pg_bin)
        _fill(root, development)
    for companion in COMPANIONS:
        companion.start(development)
    return development


def down(root: Path, *, delete: bool = False) -> bool:
    """Stop the project's server; with ``delete`` remove its data. Return whether it ran."""
    root = root.resolve()
    if not (root / state.FOLDER).exists():
        return False
    with state.exclusive(root):
        development = status(root)
        if development is None:
            return _down_forgotten(process.choose_data_dir(root), delete=delete)
        for companion in reversed(COMPANIONS):
            companion.stop(development)
        if development.running:
            process.stop(development.pid, Path(development.data_dir))
        if delete:
            process.delete(Path(development.data_dir))
            (root / state.FOLDER / state.STATE).unlink(missing_ok=True)
        else:
            state.write(root, replace(development, pid=0))
        return development.running


def _down_forgotten(data: Path, *, delete: bool) -> bool:
    """Stop the server of a project that lost its state file; return whether it ran."""
    pid = process.server_pid(data)
    if pid is not None:
        process.stop(pid, data)
    if delete:
        process.delete(data)
    return pid is not None


def _start(
    root: Path, before: Development | None, port: int | None, pg_bin: str | Path | None
) -> Development:
    found = installations.find(pg_bin or (before.bin_dir if before and not pg_bin else None))
    data = Path(before.data_dir) if before else process.choose_data_dir(root)
    password = before.password if before else secrets.token_urlsafe(18)
    port = port or (before.port if before else DEFAULT_PORT)
    if before is None and (data / "PG_VERSION").exists():
        raise DevelopmentBroken(
            f"{root / state.FOLDER / state.STATE} is lost or damaged, and with it the password "
            f"of {data}",
            hint="put it back, or start anew: harmonia down --delete, then harmonia up",
        )
    _require_same_major(data, found)
    if process.port_in_use(port):
        raise PortInUse(f"port {port} is in use by another program")
    fresh = not (data / "PG_VERSION").exists()
    development = Development(
        str(root), str(data), str(found.bin_dir), found.version, port, 0, password
    )
    state.write(root, development)  # first, so that an interrupted start can be taken up again
    if fresh:
        process.initialise(found, data, password)
    development = replace(development, pid=process.start(found, data, port, root))
    state.write(root, development)
    return development


def _require_same_major(data: Path, found: installations.Binaries) -> None:
    try:
        made_by = (data / "PG_VERSION").read_text().strip()
    except OSError:
        return
    if made_by != str(found.major):
        raise DevelopmentBroken(
            f"{data} was made by PostgreSQL {made_by}; this is {found.version}",
            hint="use --pg-bin of that version, or start anew: harmonia down --delete",
        )


def _fill(root: Path, development: Development) -> None:
    from harmonia_py import migrations
    from harmonia_py.seed.apply import apply as apply_seeds

    database = development.database()
    try:
        found: project.Project | None = project.find(start=root)
    except FolderMissing:
        found = None
    if found is not None and found.root != root:
        found = None  # the folder of another project above this one
    exposed = bool(found is None or found.section("api").get("auto_expose_new_tables", True))
    with database.connect_admin() as conn:
        platform.prepare(conn, auto_expose_new_tables=exposed)
        # Every time: commits are asynchronous here, and a server killed at once may have kept
        # the environment and lost the passwords that were set after it.
        set_passwords(conn, development.password)
    if found is None:
        return
    if found.migrations.is_dir() and any(found.migrations.glob("*.sql")):
        migrations.apply(database.owner_dsn, found.migrations)
    if found.seeds():
        apply_seeds(database.owner_dsn, found)
