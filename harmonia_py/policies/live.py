"""Which policy set a database has: read from its history, and from its catalog."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harmonia_py.connection import ConnectionOrDsn, session
from harmonia_py.engines import Engine
from harmonia_py.migrations import history, read_folder
from harmonia_py.policies import carrier, replay
from harmonia_py.policies.snapshot import Difference, difference, snapshot
from harmonia_py.policies.source import read_sources
from harmonia_py.project import Project

__all__ = ["Live", "diff_database", "diff_sources", "status"]


@dataclass(frozen=True, slots=True)
class Live:
    """The version of the newest carrier a database applied, and each file's state.

    A state is ``live``, ``stale`` (an older text is live), ``absent`` (not applied) or
    ``removed`` (live, but no longer a source).
    """

    version: str | None
    states: Mapping[str, str]


def status(target: ConnectionOrDsn, policies: Path) -> Live:
    """Compare the hashes in the newest applied carrier with the sources; one query."""
    wanted = carrier.hashes(read_sources(policies))
    with session(target) as connection:
        rows = history.read(connection)
    version, declared = None, dict[str, str]()
    for row in rows:
        found = carrier.parse_header(row.statements[0]) if row.statements else None
        if found is not None:
            version, declared = row.version, found
    return Live(version, {name: _state(name, wanted, declared) for name in {*wanted, *declared}})


def diff_sources(project: Project) -> dict[str, str]:
    """Return a unified diff by file name, from what the carriers hold to what the sources say."""
    carried: dict[str, str] = {}
    for item in carrier.carriers(read_folder(project.migrations).migrations):
        carried.update(item.sections)
    sources = {file.name: file.text for file in read_sources(project.policies)}
    found = {}
    for name in sorted({*carried, *sources}):
        before = carried.get(name, "").splitlines(keepends=True)
        after = sources.get(name, "").splitlines(keepends=True)
        lines = difflib.unified_diff(before, after, f"compiled/{name}", f"policies/{name}")
        if text := "".join(lines):
            found[name] = text
    return found


def diff_database(target: ConnectionOrDsn, engine: Engine, project: Project) -> list[Difference]:
    """Return what the database has otherwise than this project's migrations would give it.

    Compares policies, privileges, routines, views and triggers of the schemas the project has;
    reads the database only.
    """
    wanted = replay.expected(engine, project)
    with session(target) as connection:
        found = snapshot(connection)
    return difference(wanted, found)


def _state(name: str, wanted: Mapping[str, str], declared: Mapping[str, str]) -> str:
    if name not in wanted:
        return "removed"
    if name not in declared:
        return "absent"
    return "live" if wanted[name] == declared[name] else "stale"
