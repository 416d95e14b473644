"""Compile the policy sources into a generated migration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harmonia_py.errors import NotWritable, PoliciesStale
from harmonia_py.migrations.files import Folder, read_folder
from harmonia_py.migrations.new import next_version, write
from harmonia_py.policies import carrier, rules
from harmonia_py.policies.carrier import Carrier
from harmonia_py.policies.released import is_released
from harmonia_py.policies.source import PolicyFile, read_sources

__all__ = ["Compiled", "check", "compile_"]


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a compilation did (or would do): nothing when ``path`` is None."""

    path: Path | None
    changed: tuple[str, ...] = ()
    replaced: tuple[Path, ...] = ()


def compile_(
    policies: Path, migrations: Path, *, amend: bool = False, dry_run: bool = False
) -> Compiled:
    """Write the policy files that changed into a migration that sorts last.

    With ``amend`` the generated migrations that are neither on the upstream branch nor in a
    release are replaced by one; without it they stay and a further one is added. Raises
    ``PolicySyntax``, ``PoliciesStale`` (amend of a released carrier), ``NotWritable``.
    """
    files = read_sources(policies)
    rules.check(files)
    folder = read_folder(migrations)
    existing = carrier.carriers(folder.migrations)
    replaced = _amendable(existing) if amend else []
    base = [item for item in existing if item not in replaced]
    changed = _changed(files, base)
    if not changed and not _header_differs(files, base) and not replaced:
        return Compiled(None)
    text = carrier.render(files, changed)
    path = _path(folder, replaced)
    if len(replaced) == 1 and replaced[0].migration.path == path:
        if replaced[0].migration.sql == text:
            return Compiled(None)
    if not dry_run:
        gone = [item.migration.path for item in replaced if item.migration.path != path]
        write(path, text, replace=len(gone) < len(replaced))
        for old in gone:
            _unlink(old)
    return Compiled(path, tuple(changed), tuple(item.migration.path for item in replaced))


def check(policies: Path, migrations: Path) -> dict[str, str]:
    """Return the hash of every policy file when the carriers say what the sources say.

    Raises ``PoliciesStale`` naming the files that differ, ``PolicySyntax``.
    """
    files = read_sources(policies)
    rules.check(files)
    existing = carrier.carriers(read_folder(migrations).migrations)
    if not existing:
        raise PoliciesStale(f"the policies of {policies} were never compiled")
    newest = existing[-1]
    wanted = carrier.hashes(files)
    stale = sorted(
        name for name in {*wanted, *newest.hashes} if wanted.get(name) != newest.hashes.get(name)
    )
    if stale:
        raise PoliciesStale(
            f"{newest.migration.path.name} does not carry {', '.join(stale)} as it is now"
        )
    edited = _changed(files, existing)
    if edited:
        raise PoliciesStale(
            f"a generated migration was edited or merged by hand: {', '.join(edited)} differs "
            "from its source"
        )
    return wanted


def _changed(files: Sequence[PolicyFile], existing: Sequence[Carrier]) -> list[str]:
    live: dict[str, str] = {}
    for item in existing:
        live.update(item.sections)
    return [file.name for file in files if live.get(file.name) != file.text]


def _header_differs(files: Sequence[PolicyFile], existing: Sequence[Carrier]) -> bool:
    return bool(existing) and dict(existing[-1].hashes) != carrier.hashes(files)


def _amendable(existing: Sequence[Carrier]) -> list[Carrier]:
    """Return the newest carriers that nobody else can have applied."""
    found: list[Carrier] = []
    for item in reversed(existing):
        if is_released(item.migration.path):
            break
        found.append(item)
    if existing and not found:
        name = existing[-1].migration.path.name
        raise PoliciesStale(
            f"{name} is already on the upstream branch or in a release",
            hint="run `harmonia policies compile` without --amend: it adds a new one",
        )
    return found


def _path(folder: Folder, replaced: Sequence[Carrier]) -> Path:
    """Keep the name of an amended carrier while it still sorts last; otherwise a new version."""
    gone = {item.migration.path for item in replaced}
    rest = [m.version for m in folder.migrations if m.path not in gone]
    if replaced and replaced[0].migration.version > max(rest, default=""):
        return replaced[0].migration.path
    return folder.path / f"{next_version(rest)}_{carrier.NAME}.sql"


def _unlink(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise NotWritable(f"{path} cannot be replaced: {error.strerror}") from None
