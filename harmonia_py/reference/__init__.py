"""What is written from the catalog: client models, TypeScript types and the API reference."""

from __future__ import annotations

from pathlib import Path

from harmonia_py.connection import Connection
from harmonia_py.errors import FolderMissing, NotWritable
from harmonia_py.migrations.new import write as write_file
from harmonia_py.reference import catalog, markdown, python, typescript, unasync

__all__ = ["TARGETS", "render", "stale", "write"]

#: Each generated file of a checkout, and who writes it.
TARGETS = {
    "harmonia_py/client/models.py": python.render,
    "supabase/database.types.ts": typescript.render,
    "docs/reference/api.md": markdown.render,
}


def render(conn: Connection) -> dict[str, str]:
    """Return the text of every generated file for the schema of a database."""
    api = catalog.read(conn)
    return {name: writer(api) for name, writer in TARGETS.items()}


def stale(conn: Connection, root: Path) -> list[str]:
    """Return the generated files below ``root`` that are missing or say something else."""
    return [
        name
        for name, text in render(conn).items()
        if not (root / name).is_file() or (root / name).read_text(encoding="utf-8") != text
    ]


def write(conn: Connection, root: Path) -> list[str]:
    """Write the generated files that are stale and return their names.

    Raises ``FolderMissing`` where ``root`` is no checkout, ``NotWritable``.
    """
    source = root / "harmonia_py" / "client" / "asynchronous.py"
    try:
        plain = unasync.derive(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise FolderMissing(
            f"{source} cannot be read: {error.strerror}",
            hint="run in a checkout of Harmonia, or name it with --root",
        ) from None
    texts = render(conn)
    changed = stale(conn, root)
    _replace(source.with_name("synchronous.py"), plain)
    for name in changed:
        _replace(root / name, texts[name])
    return changed


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises ``NotWritable``."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotWritable(f"{path.parent} cannot be made: {error.strerror}") from None
    write_file(path, text, replace=True)
