"""Rows that name somebody else: the same policies, once another member is who they are about.

The rows of a tenant name some of its members, not each of them in every place. Before it is said
that nobody gets something, each member is put where the rows name people.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator

from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.functions.states import kept

__all__ = ["named"]

_Place = tuple[Table, str]


def named(
    lab: Lab, keys: Collection[str], user: str | None
) -> Generator[tuple[str, ...], None, None]:
    """Let rows of tenant A name a member while they are looked at: everywhere, then in one place.

    ``keys`` are the tables that decide. Yields the statements that brought it about.
    """
    seats = {m.table for m in lab.model.memberships}
    places = [
        (table, column)
        for key in sorted(set(keys) - seats)
        if (table := lab.catalog.tables.get(key)) and table.is_base and table.primary_key
        for column in lab.model.of(key).users
    ]
    some: list[list[_Place]] = [places, *([place] for place in places if len(places) > 1)]
    for chosen in some if user is not None and lab.fixtures.replica else ():
        updates = [ways for place in chosen for ways in _updates(lab, place, str(user))]
        with kept(lab, updates) as texts:
            if texts:
                yield texts


def _updates(lab: Lab, place: _Place, user: str) -> Iterator[list[str]]:
    """Yield the ways to let each row name the user; for the first, another may have to give way."""
    table, column = place
    for number, row in enumerate(lab.fixtures.of(table.key, "A")):
        where = lab.where_keys(table, [row.values])
        update = statements.change(lab, table, {column: user}, where)
        named = f"{lab.where(table, {column: user})} and not ({where})"
        delete = statements.erase(lab, table, named)
        yield [update] if number else [update, f"{delete}; {update}"]
