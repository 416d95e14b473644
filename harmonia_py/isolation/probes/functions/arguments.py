"""What to call a function with: values of a tenant that fit each argument, best first."""

from __future__ import annotations

import re
import uuid
from typing import Any

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Argument, Function, Table
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.probes.functions.documents import payloads
from harmonia_py.isolation.probes.functions.uses import uses
from harmonia_py.isolation.probes.roles.permissions import held

__all__ = ["Choice", "choices", "is_person", "is_secret", "is_tenant", "own_name"]

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


_PERSON = re.compile(r"e_?mail|user|member|guest|profile|person|invitee|assignee", re.I)


def is_person(argument: Argument) -> bool:
    """Whether an argument seems to name a person: by an address, or by an id."""
    if argument.category == "S":
        return re.search(r"e_?mail", argument.name, re.I) is not None
    return argument.type == "uuid" and _PERSON.search(_plain(argument.name)) is not None


def own_name(actor: Actor, argument: Argument) -> str:
    """Return what an argument that names a person would hold for the caller."""
    value = actor.claims.get("email") if argument.category == "S" else actor.user
    return str(value or "")


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
    key = ("choices", function.key, argument.name, argument.type, label, home)
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
        return [(document, False, None) for document in payloads(lab, function, label, home)]
    if argument.type == lab.model.tenant_type and is_tenant(lab, argument, function):
        return [(lab.cast.tenant(label).id, True, None)]
    if asked := _asked(lab, function, argument):
        return asked
    if kinds := _kinds(lab, function, argument, label):
        return kinds
    found = [*_by_use(lab, function, argument, label), *_by_name(lab, argument, label)]
    if argument.category == "A" and (usual := _permissions(lab, argument)):
        return [([usual[0]], False, None), ([], False, None)]
    if found:
        return [c for i, c in enumerate(found) if c not in found[:i]][:3]
    tenant = lab.cast.tenant(label)
    base = argument.type
    if base in ("uuid", "uuid[]"):
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
        many = base.endswith("[]")
        picks: list[Choice] = [([i] if many else i, True, None) for i in dict.fromkeys(ids)]
        return picks[:4] or [([_NOBODY] if many else _NOBODY, False, None)]
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


_WORDS = re.compile(r"'([A-Za-z_]\w*)'")
_KIND = re.compile(
    r"(table|object|kind|entity|resource|relation|record|type)(_?name|_?type)?$", re.I
)


def _kinds(lab: Lab, function: Function, argument: Argument, label: str) -> list[Choice]:
    """Name the tables that a function works on, and beside the name the ids of their rows.

    The words are those that the function itself quotes; without any, what clients may reach.
    """
    named = next(
        (a for a in function.arguments if a.category == "S" and _KIND.fullmatch(_plain(a.name))),
        None,
    )
    ids = argument.type in ("uuid[]", "uuid") and _plain(argument.name) in ("id", "ids")
    if named is None or not (argument is named or argument == named or ids):
        return []
    out: list[Choice] = []
    for word, table in _spoken(lab, function):
        rows = lab.fixtures.of(table.key, label)
        if not rows or not table.primary_key:
            continue
        key = str(rows[0].values.get(table.primary_key[-1]))
        out.append(([key] if argument.type.endswith("[]") else key if ids else word, ids, None))
    return out[:3]


def _spoken(lab: Lab, function: Function) -> list[tuple[str, Table]]:
    """List the words that a function quotes for tables of tenants, or the tables' own names."""
    tables = [
        t
        for t in lab.catalog.reachable()
        if t.is_base and t.parent is None and lab.model.of(t.key).kind == "tenant"
        and "U" in {t.column(c).category for c in t.primary_key[-1:]}
    ]  # fmt: skip
    words = dict.fromkeys(_WORDS.findall(lab.refs.closure_text(function.source)))
    found = [(w, t) for w in words for t in tables if w in _singulars(t.name)]
    return found or [(t.name, t) for t in tables]


def _permissions(lab: Lab, argument: Argument) -> list[str]:
    """List permissions that every role holds, for an argument that takes a list of them."""
    name = _plain(argument.name)
    for source in lab.model.permission_tables:
        if name in (source.permission, source.permission + "s"):
            if "held" not in lab.memo:
                lab.memo["held"] = held(lab)
            return sorted(lab.memo["held"].get(lab.model.roles[-1], ()))
    return []


def _asked(lab: Lab, function: Function, argument: Argument) -> list[Choice]:
    """Return what policies themselves ask a helper for: the words they pass it."""
    if function.exposed or argument.category != "S" or function.key not in lab.refs.helpers:
        return []
    if "policies" not in lab.memo:
        tables = lab.catalog.tables.values()
        lab.memo["policies"] = "\n".join(lab.refs.policy_text(t) for t in tables)
    pattern = rf"\b{re.escape(function.name)}\([^()]*'([^']*)'"
    words = list(dict.fromkeys(re.findall(pattern, lab.memo["policies"])))[:3]
    found: list[Choice] = [(word, False, None) for word in words]
    return found


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
    """Return values of the columns that the function compares with the argument, or sets to it."""
    if not argument.name or argument.labels or argument.category not in "USNTDA":
        return []
    out: list[Choice] = []
    found = uses(lab, function, argument.name)
    if label == "A":
        found.sort(key=lambda use: not use.stored)
    for use in found:
        kind = use.column
        many = argument.type.endswith("[]")
        same = kind.type == argument.type.removesuffix("[]")
        if not same and not kind.category == argument.category in "SD":
            continue
        rows = lab.fixtures.of(use.table.key, label)
        some = [r.values for r in (*rows[:1], *rows[-1:])]
        fresh = lab.fixtures.spares.get((use.table.key, label))
        if use.stored and fresh is not None:
            # Something new for one's own tenant; what is there already, to see what it tells.
            some = [fresh.values, *some] if label == "A" else [*some, fresh.values]
        secret = use.table.key if is_secret(use.table, kind.name) else None
        for row in some:
            if (value := row.get(kind.name)) is not None:
                # A day is asked for by the day alone.
                day = argument.type == "date"
                one = str(value)[:10] if day else value
                out.append(([one] if many else one, True, secret))
    return out
