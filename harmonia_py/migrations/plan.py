"""Compare the folder with the history: what is applied, pending, changed, lost, or late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from harmonia_py.errors import MigrationDrift, UnknownVersion
from harmonia_py.migrations.files import Folder, Migration
from harmonia_py.migrations.history import Applied

__all__ = ["Entry", "Plan", "State", "compare"]


class State(StrEnum):
    """What is true of one version."""

    applied = "applied"
    pending = "pending"
    out_of_order = "out_of_order"
    changed = "changed"
    renamed = "renamed"
    missing = "missing"
    duplicate = "duplicate"


@dataclass(frozen=True, slots=True)
class Entry:
    """One version, its state, and a sentence about what is wrong (empty when nothing is)."""

    version: str
    name: str
    state: State
    detail: str = ""
    migration: Migration | None = None


_WRONG = {State.changed, State.renamed, State.missing, State.duplicate, State.out_of_order}
_REMEDY = {
    State.changed: "restore the file as it was applied and write a new migration "
    "(`harmonia migrate new`); `harmonia migrate record VERSION` accepts it as it is now",
    State.renamed: "give the file its applied name back, or `harmonia migrate record VERSION`",
    State.missing: "get the file back from version control; if it was never meant to be, "
    "`harmonia migrate forget VERSION`",
    State.duplicate: "rename one of them to a version of its own",
    State.out_of_order: "rename the file to a newer version, or add --include-all if its place "
    "does not matter",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """Every version known to the folder or to the history, in version order."""

    entries: tuple[Entry, ...]
    skipped: tuple[str, ...] = ()

    @property
    def wrong(self) -> list[Entry]:
        """Return the entries on which folder and history disagree."""
        return [entry for entry in self.entries if entry.state in _WRONG]

    @property
    def pending(self) -> list[Migration]:
        """Return the migrations to run, out-of-order ones included, in order."""
        states = {State.pending, State.out_of_order}
        return [e.migration for e in self.entries if e.state in states and e.migration]

    def require_agreement(self, *, include_all: bool = False) -> None:
        """Raise ``MigrationDrift`` for the first disagreement (late files may be let through)."""
        wrong = [e for e in self.wrong if not (include_all and e.state is State.out_of_order)]
        if wrong:
            first = wrong[0]
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            remedy = _REMEDY[first.state].replace("VERSION", first.version)
            raise MigrationDrift(f"{first.detail}{more}", hint=remedy)

    def up_to(self, version: str | None) -> list[Migration]:
        """Return what is pending up to and including ``version`` (None: everything)."""
        if version is None:
            return self.pending
        if version not in {entry.version for entry in self.entries if entry.migration}:
            raise UnknownVersion(f"there is no migration {version}")
        return [migration for migration in self.pending if migration.version <= version]


def compare(folder: Folder, history: Sequence[Applied]) -> Plan:
    """Return the state of every version. Versions compare as text, as the Supabase CLI does."""
    applied = {row.version: row for row in history}
    newest = max(applied, default="")
    duplicates = folder.duplicates
    entries = [
        Entry(row.version, row.name or "", State.missing, _missing(row))
        for row in history
        if row.version not in {migration.version for migration in folder.migrations}
    ]
    for migration in folder.migrations:
        version = migration.version
        if version in duplicates:
            state, detail = State.duplicate, f"{' and '.join(duplicates[version])} share a version"
        elif version in applied:
            state, detail = _applied(migration, applied[version])
        elif version < newest:
            state = State.out_of_order
            detail = f"{migration.path.name} is older than {newest}, which is already applied"
        else:
            state, detail = State.pending, ""
        entries.append(Entry(version, migration.name, state, detail, migration))
    return Plan(tuple(sorted(entries, key=lambda e: (e.version, e.name))), folder.skipped)


def _missing(row: Applied) -> str:
    return f"{row.version}_{row.name or ''} is applied, but its file is not in the folder"


def _applied(migration: Migration, row: Applied) -> tuple[State, str]:
    if row.statements is not None and row.statements != migration.statements:
        return State.changed, _difference(migration, row.statements)
    if row.name is not None and row.name != migration.name:
        return State.renamed, f"{migration.path.name} was applied as {row.version}_{row.name}.sql"
    return State.applied, ""


def _difference(migration: Migration, applied: list[str]) -> str:
    for part, was in zip(migration.parts, applied, strict=False):
        if part.text != was:
            line = migration.line_of(part.offset)
            return f"{migration.path.name}:{line}: changed after it was applied"
    count = f"{len(applied)} statements applied, {len(migration.parts)} in the file"
    return f"{migration.path.name}: changed after it was applied ({count})"
