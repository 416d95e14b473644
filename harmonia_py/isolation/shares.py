"""Tables whose rows open somebody's rows to one person for a while: guests, shares, grants.

Such a row is an entry ticket of its own: it needs no membership, and it has an end.
"""

from __future__ import annotations

from dataclasses import dataclass

from harmonia_py.isolation.catalog import Catalog, Table
from harmonia_py.isolation.infer import ends_of, user_columns
from harmonia_py.isolation.model import TenancyModel
from harmonia_py.isolation.references import References

__all__ = ["Share", "shares"]


@dataclass(frozen=True, slots=True)
class Share:
    """Who receives (``user``), what ends it, and which flags say how far it goes.

    ``marks`` end the share once they hold a time, ``expires`` holds the time of its end.
    """

    table: str
    user: str
    marks: tuple[str, ...] = ()
    expires: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    def live(self) -> dict[str, str | None]:
        """Return the columns of a share that holds."""
        return dict.fromkeys(self.marks) | dict.fromkeys(self.expires, "2099-01-01T00:00:00Z")

    def over(self, column: str) -> dict[str, str | None]:
        """Return the columns of a share that ended through ``column``."""
        return self.live() | {column: "2026-01-02T00:00:00Z"}


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
            tied = {c for k in table.checks if len(k.columns) > 1 for c in k.columns}
            expires = tuple(c for c in expires if c not in tied)
            flags = _flags(table, refs)
            out[table.key] = Share(table.key, receivers[-1], marks, expires, flags)
    return out


def _flags(table: Table, refs: References) -> tuple[str, ...]:
    words = refs.words(refs.everything)
    return tuple(c.name for c in table.columns if c.category == "B" and c.name in words)
