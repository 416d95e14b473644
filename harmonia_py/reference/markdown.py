"""The API reference for frontend authors, written from the comments in the catalog."""

from __future__ import annotations

from harmonia_py.reference.catalog import Api, Column, Function, Table

__all__ = ["render"]

_HEAD = """# API

Generated from the comments in the database by `harmonia reference`; do not edit.

Tables are at `/<name>`, functions at `/rpc/<name>`. Every refusal has one shape:
`{"code", "message", "details", "hint"}`, where `details` is the stable code listed at the end.
How to call all this from a browser: [frontend](../how-to/frontend.md).
"""

_BY_ROW = "none of its own; row level security decides about the rows it touches"


def render(api: Api) -> str:
    """Return the Markdown page for a catalog."""
    parts = [_HEAD, "## Tables\n"]
    parts += [_table(table) for table in api.tables]
    parts += ["## Functions\n", *(_function(item) for item in api.functions)]
    parts += ["## Error codes\n", "| code | HTTP status |\n|---|---|"]
    statuses: dict[str, list[str]] = {}
    for status, code in api.errors:
        statuses.setdefault(code, []).append(str(status))
    parts += ["\n".join(f"| `{code}` | {', '.join(found)} |" for code, found in statuses.items())]
    return "\n".join(parts) + "\n"


def _table(table: Table) -> str:
    lines = [f"### {table.name}\n", f"{table.comment or ''}\n"]
    needed = [
        f"{command}: " + (", ".join(f"`{key}`" for key in keys) or "being signed in")
        for command, keys in table.permissions.items()
    ]
    lines += [f"Permissions: {'; '.join(needed)}.\n"] if needed else []
    lines += ["| column | type | write | |", "|---|---|---|---|"]
    lines += [_column(column) for column in table.columns]
    if table.relations:
        names = ", ".join(f"`{r.referenced}!{r.name}`" for r in table.relations)
        lines += ["", f"Embed: {names}."]
    return "\n".join(lines) + "\n"


def _column(column: Column) -> str:
    written = [
        *(["insert"] if column.inserts else []),
        *(["update"] if column.updates else []),
    ]
    kind = " \\| ".join(column.choices) or column.type
    null = "" if column.required else ", null"
    return f"| `{column.name}` | {kind}{null} | {', '.join(written)} | {column.comment or ''} |"


def _function(item: Function) -> str:
    method = "GET or POST" if item.reads else "POST"
    who = "anybody" if item.for_anon else "signed in"
    arguments = ", ".join(
        f"`{name}` {kind}{' (optional)' if optional else ''}"
        for name, kind, optional in item.inputs
    )
    return (
        f"### {item.name}\n\n{item.comment or ''}\n\n"
        f"{method}, {who}. Arguments: {arguments or 'none'}. Returns: {item.result}.\n\n"
        f"Permissions: {', '.join(f'`{key}`' for key in item.permissions) or _BY_ROW}.\n"
    )
