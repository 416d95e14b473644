"""What to call a function with: values of a tenant that fit each argument, best first."""

from __future__ import annotations

import re
import uuid
from typing import Any

from harmonia_py.isolation.catalog import Argument, Function, Table
from harmonia_py.isolation.lab import Lab

__all__ = ["Choice", "choices", "is_secret", "is_tenant"]

_NOBODY = str(uuid.UUID("0f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0f"))

_MATCHES = re.compile(r"\blike\b|~~|\bsimilar to\b", re.I)

#: A value, whether it belongs to the tenant that was asked for, and the table whose bearer
#: alone should know it.
Choice = tuple[Any, bool, str | None]


def _plain(name: str) -> str:
    name = re.sub(r"^(p|in|arg|param|v|i)?_+", "", name.lower())
    return re.sub(r"^(target|the|new|my|for|from|to|source|dest|current)_", "", name)


def is_tenant(lab: Lab, argument: Argument, function: Function | None = None) -> bool:
    """Whether an argument seems to want the tenant's id: by its name, or by its use."""
    if _named_tenant(lab, argument):
        return True
    if function is None or argument.type != lab.model.tenant_type or not argument.name:
        return False
    passed = re.compile(rf'"?(\w+)"?\s*\(\s*"?{re.escape(argument.name)}"?\s*[,)]', re.I)
    words = {m.group(1) for m in passed.finditer(function.source)}
    return any(
        f.name in words and f.arguments and _named_tenant(lab, f.arguments[0])
        for f in lab.catalog.functions.values()
    )


def _named_tenant(lab: Lab, argument: Argument) -> bool:
    name = _plain(argument.name)
    model = lab.model
    paths = {t.path[-1] for t in model.tables.values() if t.kind == "tenant" and t.path}
    if name in paths or any(name in (p, p.removesuffix("_id")) for p in paths):
        return True
    if model.tenant_table:
        words = _singulars(model.tenant_table.split(".", 1)[1])
        return name.removesuffix("_id") in words or name in {w[:3] + "_id" for w in words} | {
            w[:3] for w in words
        }
    return False


def _singulars(name: str) -> set[str]:
    out = {name}
    if name.endswith("ies"):
        out.add(name[:-3] + "y")
    if name.endswith("es"):
        out.add(name[:-2])
    if name.endswith("s"):
        out.add(name[:-1])
    return out


def choices(
    lab: Lab, function: Function, argument: Argument, label: str, home: str = "A"
) -> list[Choice]:
    """Return what could be given for an argument; worked out once for each label.

    ``label`` says whose values are wanted ("?": of nobody), ``home`` whose the caller is.
    """
    key = ("choices", function.key, argument, label, home)
    if key not in lab.memo:
        found = _choices(lab, function, argument, label, home)
        # A search that takes a pattern is asked for everything as well.
        pattern = argument.category == "S" and _MATCHES.search(function.source)
        lab.memo[key] = [*found, ("%", False, None)] if pattern and label != "?" else found
    return list(lab.memo[key])


def _choices(
    lab: Lab, function: Function, argument: Argument, label: str, home: str
) -> list[Choice]:
    if label == "?":
        return [(_unknown(argument), argument.category in "USN", None)]
    if argument.type in ("json", "jsonb"):
        return _payloads(lab, function, argument, label, home)
    if argument.type == lab.model.tenant_type and is_tenant(lab, argument, function):
        return [(lab.cast.tenant(label).id, True, None)]
    found = [*_by_use(lab, function, argument, label), *_by_name(lab, argument, label)]
    if found:
        return [c for i, c in enumerate(found) if c not in found[:i]][:3]
    tenant = lab.cast.tenant(label)
    base = argument.type
    if base == "uuid":
        # Rows of what the function itself names come first.
        near = lab.refs.direct(function.source)[0]
        first: list[str] = []
        rest = [tenant.id] if lab.model.tenant_type == "uuid" else []
        for key in sorted(lab.fixtures.rows)[:60]:
            table = lab.catalog.tables.get(key)
            rows = lab.fixtures.of(key, label)
            if table and rows and table.primary_key:
                last = table.primary_key[-1]
                if table.column(last).base == "uuid":
                    (first if key in near else rest).append(str(rows[0].values.get(last)))
        ids = [*first[:3], *rest]
        picks: list[tuple[Any, bool, str | None]] = [(i, True, None) for i in dict.fromkeys(ids)]
        return picks[:4] or [(_NOBODY, False, None)]
    if base == "uuid[]":
        return [([tenant.id], True, None)]
    if argument.labels:
        return [(v, False, None) for v in argument.labels[:2]]
    if argument.category == "C":
        row = next(
            (
                lab.fixtures.of(k, label)
                for k in (base, f"public.{base}")
                if lab.fixtures.of(k, label)
            ),
            [],
        )
        return [(row[0].values if row else {}, bool(row), None)]
    if argument.category == "A":
        return [([], False, None)]
    if argument.category == "S":
        usual = _usual(lab, function, argument, label) or ["hza"]
        return [(text, False, None) for text in usual]
    if argument.category == "N":
        return [(10, False, None)]
    if argument.category == "B":
        return [(False, False, None), (True, False, None)]
    if argument.category == "D":
        return [("2026-06-01T00:00:00Z" if "time" in base else "2026-06-01", False, None)]
    if argument.category == "T":
        return [("1 day", False, None)]
    return [("", False, None)]


def _usual(lab: Lab, function: Function, argument: Argument, label: str) -> list[str]:
    """Return what a column of this name holds in the tables the function names: a role, a kind."""
    name = _plain(argument.name)
    out = []
    for key in sorted(lab.refs.direct(function.source)[0]):
        table, rows = lab.catalog.tables.get(key), lab.fixtures.of(key, label)
        if table and rows and table.has(name) and rows[-1].values.get(name) is not None:
            out.append(str(rows[-1].values[name]))
    return out[:1]


def _unknown(argument: Argument) -> Any:
    if argument.type == "uuid":
        return _NOBODY
    if argument.type == "uuid[]":
        return [_NOBODY]
    if argument.category == "N":
        return 32123
    if argument.category == "S":
        return "hzq9999@example.test"
    if argument.labels:
        return argument.labels[0]
    if argument.type in ("json", "jsonb"):
        return {}
    if argument.category == "A":
        return []
    if argument.category == "B":
        return False
    if argument.category == "D":
        return "2026-06-01"
    if argument.category == "T":
        return "1 day"
    return {} if argument.category == "C" else ""


def _by_name(lab: Lab, argument: Argument, label: str) -> list[tuple[Any, bool, str | None]]:
    """Match an argument with a column of the same name, or with a table named in it."""
    name = _plain(argument.name)
    many = argument.type.endswith("[]")
    kind = argument.type.removesuffix("[]")
    if kind == lab.model.tenant_type and is_tenant(lab, argument):
        value: Any = lab.cast.tenant(label).id
        return [([value] if many else value, True, None)]
    out: list[tuple[Any, bool, str | None]] = []
    if name in ("", "id") or kind in ("boolean", "json", "jsonb") or argument.labels:
        return out
    stem = name.removesuffix("_ids").removesuffix("_id").removesuffix("ids")
    for key in sorted(lab.fixtures.rows):
        table = lab.catalog.table(key)
        rows = lab.fixtures.of(key, label)
        if table is None or not rows or not table.primary_key:
            continue
        last = table.primary_key[-1]
        by_table = stem and stem in _singulars(table.name) and table.column(last).type == kind
        row = rows[len(rows) // 2].values
        if by_table:
            out.insert(0, ([row[last]] if many else row[last], True, None))
        elif table.has(name) and table.column(name).type in (kind, "character varying", "text"):
            if (kind in ("text", "character varying") and table.column(name).category == "S") or (
                table.column(name).type == kind
            ):
                value = row.get(name)
                if value is not None and str(value) in lab.fixtures.canaries:
                    secret = is_secret(table, name)
                    out.append(([value] if many else value, True, key if secret else None))
    if not out and kind == "uuid" and ("user" in stem or "member" in stem or "profile" in stem):
        victim = lab.cast.members(label)
        out += [([v.user] if many else v.user, True, None) for v in victim[-1:]]
    return out[:3]


def is_secret(table: Table, name: str) -> bool:
    """Whether a column holds what only its bearer should know: a random text."""
    column = table.column(name)
    if column.category != "S" and column.base != "uuid":
        return False
    made = bool(column.default and re.search(r"random|encode|md5|uuid|nanoid", column.default))
    named = re.search(r"token|secret|hash|nonce|code$", name, re.I) is not None
    return named or (made and column.category == "S")


def _by_use(lab: Lab, function: Function, argument: Argument, label: str) -> list[Choice]:
    """Find the columns that the function compares with the argument, or sets to it."""
    if not argument.name or argument.labels or argument.category not in "USN":
        return []
    name, text = re.escape(argument.name), function.source
    column = r'(?:"?(\w+)"?\s*\.\s*)?"?(\w+)"?'
    uses = [
        *re.finditer(rf'{column}(?:::\w+)?\s*=\s*(?:\w+\.)?"?{name}"?(?!\w)', text, re.I),
        *re.finditer(rf'(?<![\w."]){name}(?:::\w+)?\s*=\s*{column}', text, re.I),
    ]
    places = [(_table_at(lab, text, u.start(), u.group(1)), u.group(2)) for u in uses]
    places += _listed(lab, text, argument.name)
    out: list[Choice] = []
    for table, column_name in places:
        if table is None or not table.has(column_name):
            continue
        kind = table.column(column_name)
        if kind.type != argument.type and not kind.category == argument.category == "S":
            continue
        for row in lab.fixtures.of(table.key, label)[:2]:
            value = row.values.get(kind.name)
            if value is not None:
                secret = table.key if is_secret(table, kind.name) else None
                out.append((value, True, secret))
    return out


_INSERTED = re.compile(
    r'insert\s+into\s+(?:"?(\w+)"?\s*\.\s*)?"?(\w+)"?(?:\s+as\s+\w+)?\s*\(([^()]*)\)\s*values\s*\(',
    re.I,
)


def _listed(lab: Lab, text: str, name: str) -> list[tuple[Table | None, str]]:
    """Find the columns that an insert fills with the argument, by its place in the list."""
    out: list[tuple[Table | None, str]] = []
    for match in _INSERTED.finditer(text):
        schema, table, names = match.groups()
        keys = [f"{schema}.{table}"] if schema else [f"{s}.{table}" for s in lab.catalog.schemas]
        found = next((lab.catalog.tables[k] for k in keys if k in lab.catalog.tables), None)
        columns = [n.strip().strip('"') for n in names.split(",")]
        for column, given in zip(columns, _items(text[match.end() :]), strict=False):
            if re.search(rf'(?<![\w"]){re.escape(name)}(?!\w)', given, re.I):
                out.append((found, column))
    return out


def _items(text: str) -> list[str]:
    """Split what follows an opening parenthesis at its own commas, up to the closing one."""
    depth, quoted, start, out = 0, False, 0, []
    for position, char in enumerate(text):
        quoted ^= char == "'"
        if quoted:
            continue
        if (char == "," or char == ")") and depth == 0:
            out.append(text[start:position])
            start = position + 1
            if char == ")":
                break
        depth += (char == "(") - (char == ")")
    return out


_NAMED = re.compile(
    r'\b(?:from|join|update|insert\s+into)\s+(?:only\s+)?(?:"?(\w+)"?\s*\.\s*)?"?(\w+)"?'
    r'(?:\s+(?:as\s+)?(?!(?:where|on|set|join|left|inner|cross|using|group|order|limit|for)\b)"?(\w+)"?)?',
    re.I,
)


def _table_at(lab: Lab, text: str, position: int, alias: str | None) -> Table | None:
    """Return the table that a column at ``position`` belongs to, as a reader would guess."""
    found: Table | None = None
    for match in _NAMED.finditer(text):
        schema, name, said = match.groups()
        if not alias and match.start() > position and found is not None:
            break
        keys = [f"{schema}.{name}"] if schema else [f"{s}.{name}" for s in lab.catalog.schemas]
        table = next((lab.catalog.tables[k] for k in keys if k in lab.catalog.tables), None)
        if table is not None and (
            not alias or alias.lower() in (name.lower(), (said or "").lower())
        ):
            found = table
    return found


_WRITTEN = re.compile(
    r'\b(?:insert\s+into|update|delete\s+from)\s+(?:"?\w+"?\s*\.\s*)?"?(\w+)"?', re.I
)


def _payloads(
    lab: Lab, function: Function, argument: Argument, label: str, home: str
) -> list[Choice]:
    """Compose objects of the keys that the function looks up in its argument."""
    tenant = lab.cast.tenant(label)
    names = {
        t.path[0] for t in lab.model.tables.values() if t.kind == "tenant" and len(t.path) == 1
    }
    keys = set(re.findall(r"->>?\s*'(\w+)'", function.source))
    written = [m.group(1) for m in _WRITTEN.finditer(function.source)]
    whole = "populate_record" in function.source or "to_record" in function.source
    out: list[Choice] = []
    tables = [lab.catalog.tables[k] for k in sorted(lab.refs.reach(function.source)[0])
              if k in lab.catalog.tables]  # fmt: skip
    tables.sort(key=lambda t: written.index(t.name) if t.name in written else len(written))
    for table in tables[:2]:
        rows = lab.fixtures.of(table.key, label)
        wanted = {c.name for c in table.columns} if whole else keys
        if not rows or not wanted & {c.name for c in table.columns}:
            continue
        base = {k: rows[0].values.get(k, tenant.id if k in names else "hz") for k in sorted(wanted)}
        out.append((base, False, None))
        for key in names & set(base):
            out.append((base | {key: lab.cast.tenant(home).id}, False, None))
    plain = dict.fromkeys(sorted(names), tenant.id) | {"name": "hz", "title": "hz"}
    return [*out[:3], (plain, False, None), ({}, False, None)]
