"""How a row lets a user into a tenant, and when it, or the tenant, is over."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from harmonia_py.isolation.catalog import Catalog, Column, Table
from harmonia_py.isolation.model import Membership
from harmonia_py.isolation.references import References, literals

__all__ = ["OVER", "ends_of", "is_on", "seat_of", "states_of", "tells_state"]

_ACTIVE = frozenset("active accepted enabled approved confirmed joined current live open".split())
_INACTIVE = frozenset(
    "suspended invited pending removed inactive disabled revoked banned blocked expired left "
    "deactivated declined archived deleted rejected cancelled canceled closed purged locked "
    "frozen terminated former requested".split()
)
_GONE = re.compile(r"(delet|remov|revok|left|archiv|disabl|suspend|deactiv|ended|banned)", re.I)
OVER = re.compile(rf"{_GONE.pattern}|closed", re.I)
_ENDS = re.compile(r"(expir|valid_until|valid_to|ends_at|end_date|until)", re.I)
_NOW = r"(?:(?:pg_catalog\.)?now\(\)|current_date|current_timestamp|localtimestamp)"
#: What stands beside the word in the name of a yes-or-no that is about the row as a whole.
_BESIDE = frozenset("was currently still account member membership user seat tenant".split())
#: So many ranks are told apart at the most: a wider range counts or measures something.
_RANKS = 9


def ends_of(table: Table) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns that mark a row as ended, and those that hold the time of its end."""
    marks, expires = [], []
    for column in table.columns:
        if column.category != "D" or column.generated:
            continue
        if _ENDS.search(column.name):
            expires.append(column.name)
        elif not column.not_null and _GONE.search(column.name):
            marks.append(column.name)
    return tuple(marks), tuple(expires)


def tells_state(values: Iterable[str]) -> bool:
    """Whether words say a state: some of them that it holds, some that it is over."""
    words = {v.lower() for v in values}
    return bool(words & _ACTIVE and words & _INACTIVE) or len(words & _INACTIVE) > 1


def seat_of(
    catalog: Catalog, refs: References, key: str, root: str, users: Iterable[str]
) -> Membership:
    """Read from a table's columns how its rows let a user into a tenant, and when they do not."""
    table = catalog.tables[key]
    tenant = next(
        fk.columns[0] for fk in table.foreign_keys if fk.target == root and len(fk.columns) == 1
    )
    keyed = {c for u in table.uniques for c in u.columns}
    order = sorted(users, key=lambda c: (c not in keyed, not table.column(c).not_null))
    user = order[0] if order else ""
    text = refs.everything
    role = status = active = expires = None
    gone: list[str] = []
    roles: tuple[str, ...] = ()
    inactive: tuple[str, ...] = ()
    for column in table.columns:
        if column.name in (user, tenant) or column.generated:
            continue
        values = _values(catalog, table, column, text)
        if tells_state(values):
            if status is None:
                status = column.name
                inactive = tuple(v for v in values if v.lower() in _INACTIVE)
                rest = [v for v in values if v not in inactive]
                active = next((v for v in rest if v.lower() in _ACTIVE), rest[0] if rest else None)
        elif column.category == "B" and not column.name == role:
            lower = column.name.lower()
            if status is None and is_on(table, column, text):
                status, active, inactive = column.name, "true", ("false",)
            elif status is None and (any(w in lower for w in _INACTIVE) or _GONE.search(lower)):
                status, active, inactive = column.name, "false", ("true",)
        elif column.category == "D" and not column.not_null:
            if _ENDS.search(column.name) or (
                _GONE.search(column.name) and column.name.lower() in _may_lie_ahead(text)
            ):
                expires = expires or column.name
            elif _GONE.search(column.name):
                gone.append(column.name)
        elif len(values) > 1 and (
            not roles or ("role" in column.name.lower() and "role" not in (role or "").lower())
        ):
            role, roles = column.name, values
        if column.category == "D" and column.not_null and _ENDS.search(column.name):
            expires = expires or column.name
    if not roles:
        role, roles = _rank(refs, table, (user, tenant, status))
    return Membership(
        key, user, tenant, role, roles, status, active, inactive,
        deleted=gone[0] if gone else None, expires=expires, ended=tuple(gone[1:]),
    )  # fmt: skip


def is_on(table: Table, column: Column, text: str) -> bool:
    """Whether a yes-or-no says that the row counts, and not which of its features are on.

    Where the project asks for it, it may be either, and is taken for the first.
    """
    parts = {w.lower().removeprefix("is") for w in re.findall(r"[A-Z]?[a-z]+", column.name)}
    own = {w.removesuffix("s") for w in re.split(r"[^a-z]+", table.name.lower())}
    others = {w for w in parts - _ACTIVE - _BESIDE - {""} if w.removesuffix("s") not in own}
    asked = re.search(rf"\b{re.escape(column.name)}\b", text)
    return bool(parts & _ACTIVE) and (bool(asked) or not others)


@lru_cache(maxsize=8)
def _may_lie_ahead(text: str) -> frozenset[str]:
    """Return what the project asks of whether its time is still to come: who leaves has not yet."""
    name = r'(?:"([^"]+)"|(?<!\w)(\w++))'
    instead = r"(?:\s*,\s*'[^']*'(?:::[\w ]+)?)?"
    after = rf"{name}{instead}[\s)]*(?:::[\w ]+?[\s)]*)?>=?\s*\(*{_NOW}"
    before = rf"{_NOW}[\s)]*(?:::\w+[\s)]*)?<=?\s*\(*(?:coalesce\(\s*)?(?:\w+\.)*{name}"
    found = [*re.findall(after, text, re.I), *re.findall(before, text, re.I)]
    return frozenset((quoted or plain).lower() for quoted, plain in found)


def _rank(
    refs: References, table: Table, taken: tuple[str | None, ...]
) -> tuple[str | None, tuple[str, ...]]:
    """Find the number that says how much a person may do, and its values, the strongest first.

    Something asks for at least so much of it, or of what a function makes of it.
    """
    keyed = {c for fk in table.foreign_keys for c in fk.columns} | {*table.primary_key, *taken}
    for column in table.columns:
        if column.category != "N" or column.name in keyed or column.generated or column.identity:
            continue
        names = [column.name]
        names += [
            f.name
            for f in refs.catalog.functions.values()
            if {table.name, column.name} <= refs.words(f.source)
            and f.returns in ("smallint", "integer", "bigint", "numeric")
        ]
        asked = re.compile(
            rf"\b(?:{'|'.join(map(re.escape, names))})\b\"?"
            r"(?:\((?:[^()]|\([^()]*\))*\))?[\s)]*(?:::\w+[\s)]*)*(>=|>|<=|<|=)\s*\(*'?(\d+)",
        ).findall(refs.everything)
        if not any(sign in (">=", ">", "<=", "<") for sign, _ in asked):
            continue
        numbers = {int(n) + {">": 1, "<": -1}.get(sign, 0) for sign, n in asked}
        first, last = _range(table, column) or (min(numbers) - 1, max(numbers))
        if 0 < last - first < _RANKS:
            downwards = not any(sign in (">=", ">") for sign, _ in asked)
            values = [str(n) for n in range(first, last + 1)]
            return column.name, tuple(values if downwards else reversed(values))
    return None, ()


def _range(table: Table, column: Column) -> tuple[int, int] | None:
    """Read from a CHECK between which two numbers a column lies."""
    name = re.escape(column.name)
    for check in table.checks:
        if check.columns == (column.name,):
            low = re.search(rf"\b{name}\b\"?\)*\s*(>=?)\s*\(*(\d+)", check.expression)
            high = re.search(rf"\b{name}\b\"?\)*\s*(<=?)\s*\(*(\d+)", check.expression)
            if low and high:
                return int(low[2]) + (low[1] == ">"), int(high[2]) - (high[1] == "<")
    return None


def states_of(catalog: Catalog, table: Table, column: Column, text: str) -> tuple[str, ...]:
    """Return the values of a column that say that something is over, if others say it is not."""
    values = _values(catalog, table, column, text)
    words = {v.lower() for v in values}
    if not (words & _ACTIVE and words & _INACTIVE):
        return ()
    return tuple(v for v in values if v.lower() in _INACTIVE)


def _values(catalog: Catalog, table: Table, column: Column, text: str) -> tuple[str, ...]:
    """List the values a column can take, as far as the schema tells."""
    if column.labels:
        return column.labels
    for fk in table.foreign_keys:
        target = catalog.table(fk.target)
        if fk.columns == (column.name,) and target and fk.ref_columns == target.primary_key:
            if target.entries:
                return target.entries
    if column.category not in "SN":
        return ()
    out: list[str] = []
    for check in table.checks:
        if check.columns == (column.name,) and (
            "ARRAY[" in check.expression or " = '" in check.expression
        ):
            if "~" not in check.expression:
                out += literals(check.expression)
    for check_text in column.domain_checks:
        if "ARRAY[" in check_text and "~" not in check_text:
            out += literals(check_text)
    if not out:
        for fk in table.foreign_keys:
            if column.name in fk.columns and (target := catalog.table(fk.target)):
                ref = fk.ref_columns[fk.columns.index(column.name)]
                for check in target.checks:
                    if ref in check.columns and "ARRAY[" in check.expression:
                        out += literals(check.expression)
    if (
        not out
        and column.category == "S"
        and not any(column.name in fk.columns for fk in table.foreign_keys)
    ):
        near = re.compile(
            rf"\b{re.escape(column.name)}\b\)?(?:::\w+)?\s*(?:=|<>|!=|in|= any)\s*"
            r"(\(*(?:array\[)?\s*'[^']*'(?:::\w+)?(?:\s*,\s*'[^']*'(?:::\w+)?)*)",
            re.I,
        )
        if column.not_null or column.default:
            for match in near.finditer(text):
                out += literals(match.group(1))
            if out and column.default:
                out += literals(column.default)[:1]
    return tuple(dict.fromkeys(v for v in out if v and not v.startswith("{")))
