"""Documents to give a function: objects of the keys that it looks up, and lists of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from harmonia_py.isolation.catalog import Function, Table
from harmonia_py.isolation.lab import Lab

__all__ = ["payloads"]

_WRITTEN = re.compile(
    r'\b(insert\s+into|update|delete\s+from)\s+(?:"?\w+"?\s*\.\s*)?"?(\w+)"?', re.I
)
#: The whole is a list, or what is found under a key is one.
_LISTED = re.compile(r"array_(?:elements|length)|_(?:to|populate)_recordset|->\s*\d", re.I)
_WITHIN = re.compile(
    r"(?:array_elements|recordset)(?:_text)?\s*\((?:[^()]*,)?\s*[\w.\"]+\s*->\s*'(\w+)'", re.I
)
_TEXTS = re.compile(r"array_elements_text\s*\(", re.I)


def payloads(lab: Lab, function: Function, label: str, home: str) -> list[Any]:
    """Return documents of one tenant's values; ``home`` is the caller's."""
    source = function.source
    names = {
        t.path[0] for t in lab.model.tables.values() if t.kind == "tenant" and len(t.path) == 1
    }
    tenant = lab.cast.tenant(label)
    objects = list(_objects(lab, function, label, home, names))
    plain = dict.fromkeys(sorted(names), tenant.id) | {"name": "hz", "title": "hz"}
    if within := _WITHIN.findall(source):
        keys = dict.fromkeys(within)
        found = [o | {k: [{n: v for n, v in o.items() if n not in keys}] for k in keys}
                 for o in objects]  # fmt: skip
        objects = [*found, *objects]
    elif _LISTED.search(source):
        ids = [[key] for key in _keys(lab, function, label)] if _TEXTS.search(source) else []
        return [*ids[:1], *([o] for o in objects[:2]), *objects[:1], [plain], plain]
    return [*objects[:3], plain, {}]


def _tables(lab: Lab, function: Function) -> list[Table]:
    """Return the tables that a function reaches, those that it writes first."""
    written = [name for _, name in _WRITTEN.findall(function.source)]
    tables = [lab.catalog.tables[k] for k in sorted(lab.refs.reach(function.source)[0])
              if k in lab.catalog.tables]  # fmt: skip
    tables.sort(key=lambda t: written.index(t.name) if t.name in written else len(written))
    return tables


def _keys(lab: Lab, function: Function, label: str) -> Iterator[str]:
    for table in _tables(lab, function):
        for row in lab.fixtures.of(table.key, label)[:1] if table.primary_key else ():
            yield str(row.values.get(table.primary_key[-1]))


def _objects(
    lab: Lab, function: Function, label: str, home: str, names: set[str]
) -> Iterator[dict[str, Any]]:
    """Compose objects of the keys that the function looks up in its argument."""
    source = function.source
    tenant = lab.cast.tenant(label)
    keys = set(re.findall(r"->>?\s*'(\w+)'", source))
    # What is taken as a document and never as a text is an object with keys of its own.
    inner = set(re.findall(r"->\s*'(\w+)'", source)) - set(re.findall(r"->>\s*'(\w+)'", source))
    whole = re.search(r"(?:to|populate)_record", source) is not None
    added = {name for how, name in _WRITTEN.findall(source) if how.lower().startswith("insert")}
    for table in _tables(lab, function)[:2]:
        rows = [r.values for r in lab.fixtures.of(table.key, label)[:1]]
        wanted = {c.name for c in table.columns} if whole else keys
        if not rows or not wanted & {c.name for c in table.columns}:
            continue
        fresh = lab.fixtures.spares.get((table.key, label))
        if fresh is not None and table.name in added and _LISTED.search(source):
            # Of a row that is there already, a key would refuse the second.
            rows.insert(0, fresh.values)
        for row in rows:
            base = {
                k: row.get(k, tenant.id if k in names else {} if k in inner else "hz")
                for k in sorted(wanted)
            }
            yield base
            for key in names & set(base):
                yield base | {key: lab.cast.tenant(home).id}
