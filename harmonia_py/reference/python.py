"""The models of ``harmonia_py.client``, written from the catalog."""

from __future__ import annotations

from harmonia_py.reference.catalog import Api, Column, Table

__all__ = ["CLASSES", "render"]

#: The tables that are records of an organization, and what one of them is called.
CLASSES = {
    "activities": "Activity",
    "call_transcripts": "CallTranscript",
    "companies": "Company",
    "contacts": "Contact",
    "conversations": "Conversation",
    "custom_field_definitions": "CustomFieldDefinition",
    "deal_contacts": "DealContact",
    "deal_stage_history": "DealStageChange",
    "deals": "Deal",
    "export_jobs": "ExportJob",
    "files": "File",
    "import_jobs": "ImportJob",
    "import_rows": "ImportRow",
    "invitations": "Invitation",
    "memberships": "Membership",
    "messages": "Message",
    "organizations": "Organization",
    "pipeline_stages": "PipelineStage",
    "pipelines": "Pipeline",
    "profiles": "Profile",
    "roles": "Role",
    "tags": "Tag",
    "teams": "Team",
}

_TYPES = {
    "uuid": "UUID",
    "text": "str",
    "bigint": "int",
    "integer": "int",
    "boolean": "bool",
    "jsonb": "Json",
    "date": "date",
    "timestamp with time zone": "datetime",
}

_HEAD = '''"""One class per object, as the database returns it.

Generated from the catalog by ``harmonia reference``; do not edit.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict

__all__ = [
{names}]

Json: TypeAlias = Any


class Record(BaseModel):
    """What every object has in common: unknown columns of a newer server are kept."""

    model_config = ConfigDict(extra="allow", frozen=True)
'''


def render(api: Api) -> str:
    """Return the module ``harmonia_py/client/models.py`` for a catalog."""
    tables = {table.name: table for table in api.tables}
    known = {name: title for name, title in CLASSES.items() if name in tables}
    names = "".join(f'    "{title}",\n' for title in sorted([*known.values(), "Record"]))
    parts = [_HEAD.replace("{names}", names)]
    parts += [_class(tables[name], title) for name, title in known.items()]
    return "\n\n".join(parts)


def _class(table: Table, title: str) -> str:
    lines = [f"class {title}(Record):", f'    """{table.comment or table.name}"""', ""]
    lines += [_field(column) for column in table.columns]
    return "\n".join(lines) + "\n"


def _field(column: Column) -> str:
    kind = _TYPES.get(column.type, "Any")
    if column.choices:
        listed = ", ".join(f'"{choice}"' for choice in column.choices)
        kind = f"Literal[{listed}]"
    if column.required:
        line = f"    {column.name}: {kind}"
    else:
        line = f"    {column.name}: {kind} | None = None"
    if len(line) > 100:
        listed = "".join(f'        "{choice}",\n' for choice in column.choices)
        end = "" if column.required else " | None = None"
        line = f"    {column.name}: Literal[\n{listed}    ]{end}"
    return line
