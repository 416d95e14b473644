"""Tables whose rows open somebody's rows to one person, or one tenant, for a while.

Such a row (a guest, a share, a grant) is an entry ticket of its own: it needs no membership, and it
has an end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from harmonia_py.isolation.catalog import Catalog, Table
from harmonia_py.isolation.infer import ends_of, user_columns
from harmonia_py.isolation.model import TenancyModel
from harmonia_py.isolation.references import References

__all__ = ["Share", "parties", "shares", "treaties"]

_BEGINS = re.compile(r"(start|begin|since|valid_?from|not_?before|effective)", re.I)
_ENDED = re.compile(
    r"(withdr|revok|cancel|expired|ended|disabl|remov|delet|block|suspend|stopp|clos)", re.I
)


@dataclass(frozen=True, slots=True)
class Share:
    """Who receives (``user``), what ends it, and which flags say how far it goes.

    ``marks`` end the share once they hold a time, ``expires`` holds the time of its end, ``starts``
    that of its beginning; ``ended`` are the flags that end it.
    """

    table: str
    user: str
    marks: tuple[str, ...] = ()
    expires: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()

    def live(self) -> dict[str, Any]:
        """Return the columns of a share that holds."""
        began = dict.fromkeys(self.starts, "2020-01-01T00:00:00Z")
        until = dict.fromkeys(self.expires, "2099-01-01T00:00:00Z")
        return dict.fromkeys(self.marks) | dict.fromkeys(self.ended, False) | began | until

    def over(self, column: str) -> dict[str, Any]:
        """Return the columns of a share that ended through ``column``, or has not begun."""
        if column in self.ended:
            return self.live() | {column: True}
        when = "2098-01-01" if column in self.starts else "2026-01-02"
        return self.live() | {column: f"{when}T00:00:00Z"}

    def states(self) -> dict[str, str]:
        """Return each column through which a share does not hold, and what is then said of it."""
        past = dict.fromkeys((*self.marks, *self.expires), "in the past")
        return past | dict.fromkeys(self.starts, "to come") | dict.fromkeys(self.ended, "set")


def shares(catalog: Catalog, model: TenancyModel) -> dict[str, Share]:
    """Find them: read by other tables' policies, naming a person, with an end of their own."""
    refs = References(catalog)
    people = user_columns(catalog, refs)
    members = {m.table for m in model.memberships}
    out = {}
    for table in catalog.tables.values():
        if not table.is_base or table.key in members or not refs.authority.get(table.key):
            continue
        if any(fk.target in members for fk in table.foreign_keys):
            continue  # it ends with the membership
        entry = model.of(table.key)
        if entry.kind not in ("tenant", "user"):
            continue
        # One person is paired with one thing; an owner with an end is not a guest.
        paired = {c for u in table.uniques if len(u.columns) > 1 for c in u.columns}
        thing = entry.kind == "tenant" and any(
            model.of(fk.target).kind == "tenant" and fk.columns[-1] not in entry.path
            for fk in table.foreign_keys
        )
        # Who is listed for a thing (a conversation, say) is let in by that and nothing else.
        listed = entry.kind == "user" and any(
            model.of(fk.target).kind == "unknown" and paired >= {*fk.columns, *entry.path}
            for fk in table.foreign_keys
        )
        receivers = [
            c
            for c in people.get(table.key, ())
            if (listed or c not in entry.path)
            and (c in paired or thing)
            and c in refs.consulted(table)
        ]
        marks, expires = ends_of(table)
        if receivers and (marks or expires) and len(table.columns) > len(receivers) + 1:
            out[table.key] = _share(table, receivers[-1], refs)
    return out


def treaties(catalog: Catalog, model: TenancyModel, refs: References) -> list[Share]:
    """Find the rows by which one tenant lets another in: they name both, and policies read them.

    Which of the two is let in is for a probe to find out.
    """
    found = []
    members = {m.table for m in model.memberships}
    for table in catalog.tables.values():
        if not table.is_base or table.key in members or not refs.authority.get(table.key):
            continue
        asked = refs.consulted(table)
        found += [_share(table, c, refs) for c in parties(table, model) if c in asked]
    return found


def parties(table: Table, model: TenancyModel) -> tuple[str, ...]:
    """Return the two columns by which a row names two tenants; nothing for any other table."""
    named = {
        fk.columns[0]
        for fk in table.foreign_keys
        if fk.target == model.tenant_table and len(fk.columns) == 1
    }
    both = model.of(table.key).kind == "tenant" and len(named) == 2
    return tuple(sorted(named)) if both else ()


def _share(table: Table, receiver: str, refs: References) -> Share:
    marks, expires = ends_of(table)
    tied = {c for k in table.checks if len(k.columns) > 1 for c in k.columns}
    asked = [
        c for c in table.columns if c.category == "B" and c.name in refs.words(refs.everything)
    ]
    ended = tuple(c.name for c in table.columns if c.category == "B" and _ENDED.search(c.name))
    return Share(
        table.key,
        receiver,
        marks,
        tuple(c for c in expires if c not in tied),
        tuple(c.name for c in asked if c.name not in ended),
        tuple(
            c.name
            for c in table.columns
            if c.category == "D" and _BEGINS.search(c.name) and c.name not in (*tied, *marks)
        ),
        ended,
    )
