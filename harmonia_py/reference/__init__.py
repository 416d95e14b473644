"""What is written from the catalog: client models, TypeScript types and the API reference."""

from __future__ import annotations

from pathlib import Path

from harmonia_py.connection import Connection
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
    """Write the generated files that are stale and return their names."""
    client = root / "harmonia_py" / "client"
    plain = unasync.derive((client / "asynchronous.py").read_text(encoding="utf-8"))
    (client / "synchronous.py").write_text(plain, encoding="utf-8")
    changed = stale(conn, root)
    texts = render(conn)
    for name in changed:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(texts[name], encoding="utf-8")
    return changed
