"""``database.types.ts`` in the form of ``supabase gen types``, with texts narrowed to choices."""

from __future__ import annotations

from harmonia_py.reference.catalog import Api, Column, Function, Table

__all__ = ["render"]

_TYPES = {
    "uuid": "string",
    "text": "string",
    "bigint": "number",
    "integer": "number",
    "smallint": "number",
    "numeric": "number",
    "real": "number",
    "double precision": "number",
    "boolean": "boolean",
    "jsonb": "Json",
    "json": "Json",
    "void": "undefined",
}

_HEAD = """// Generated from the catalog by `harmonia reference`; do not edit.
export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[]

export type Database = {
  public: {
    Tables: {
"""


def render(api: Api) -> str:
    """Return the TypeScript types for a catalog."""
    tables = {table.name: table for table in api.tables}
    parts = [_HEAD, *(_table(table) for table in api.tables), "    }\n    Views: {}\n"]
    parts += ["    Functions: {\n", *(_function(item, tables) for item in api.functions), "    }\n"]
    parts += ["    Enums: {}\n    CompositeTypes: {}\n  }\n}\n"]
    return "".join(parts)


def _table(table: Table) -> str:
    lines = [f"      {table.name}: {{", "        Row: {"]
    lines += [f"          {c.name}: {_column(c)}" for c in table.columns]
    lines += ["        }", "        Insert: {"]
    lines += [
        f"          {c.name}{'' if _must(c) else '?'}: {_column(c)}"
        for c in table.columns
        if c.inserts
    ]
    lines += ["        }", "        Update: {"]
    lines += [f"          {c.name}?: {_column(c)}" for c in table.columns if c.updates]
    lines += ["        }", "        Relationships: ["]
    for relation in table.relations:
        columns = ", ".join(f'"{name}"' for name in relation.columns)
        referenced = ", ".join(f'"{name}"' for name in relation.referenced_columns)
        lines += [
            "          {",
            f'            foreignKeyName: "{relation.name}"',
            f"            columns: [{columns}]",
            "            isOneToOne: false",
            f'            referencedRelation: "{relation.referenced}"',
            f"            referencedColumns: [{referenced}]",
            "          },",
        ]
    return "\n".join([*lines, "        ]", "      }"]) + "\n"


def _must(column: Column) -> bool:
    return column.required and not column.has_default


def _column(column: Column) -> str:
    kind = " | ".join(f'"{choice}"' for choice in column.choices) or _type(column.type)
    return kind if column.required else f"{kind} | null"


def _type(name: str) -> str:
    if name.endswith("[]"):
        return f"{_type(name[:-2])}[]"
    return _TYPES.get(name, "string")


def _function(item: Function, tables: dict[str, Table]) -> str:
    given = "; ".join(f"{n}{'?' if optional else ''}: {_type(t)}" for n, t, optional in item.inputs)
    kind = item.result.removeprefix("SETOF ").removeprefix("public.")
    if item.outputs:
        result = "{ " + "; ".join(f"{name}: {_type(t)}" for name, t in item.outputs) + " }[]"
    elif kind in tables:
        result = f'Database["public"]["Tables"]["{kind}"]["Row"]'
        result += "[]" if item.returns_set else ""
    else:
        result = _type(kind) + ("[]" if item.returns_set else "")
    arguments = f"{{ {given} }}" if given else "Record<PropertyKey, never>"
    return (
        f"      {item.name}: {{\n        Args: {arguments}\n        Returns: {result}\n      }}\n"
    )
