"""Privileges that no policy limits, and tables that a publication sends out."""

from __future__ import annotations

from collections.abc import Iterator

from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab

__all__ = ["probe"]

_BEYOND = {
    "TRUNCATE": "empties the table of every tenant, whatever the policies say",
    "TRIGGER": "can attach triggers, which run for every tenant's rows",
    "REFERENCES": "can reference the table, which confirms that rows exist",
}


def probe(lab: Lab) -> list[Signal]:
    """Read the catalog; what the platform grants on every table by default is no news."""
    return [*_privileges(lab), *_partitions(lab), *_sequences(lab), *_publications(lab)]


def _partitions(lab: Lab) -> Iterator[Signal]:
    """Find partitions that clients may use around the policies of the table they belong to."""
    for table in lab.catalog.reachable():
        parent = lab.catalog.tables.get(table.parent or "")
        if parent is None or table.rls or not parent.rls or not lab.wants(table.key):
            continue
        if lab.model.of(parent.key).kind not in ("tenant", "root", "user"):
            continue
        held = [
            (role, command)
            for role in lab.catalog.roles
            for command in ("SELECT", "INSERT", "UPDATE", "DELETE")
            if table.can(role, command)
        ]
        yield Signal(
            "view",
            "breach",
            "critical",
            held[0][0],
            table.key,
            held[0][1].lower(),
            f"{held[0][0]} holds {held[0][1]} and row level security is off, whatever"
            f" {parent.key} says",
            "This partition does not apply the policies of its table when it is asked directly.",
            "Enable row level security on the partition too, or revoke it.",
            group=table.key,
            title="{object}: a partition gives access to another tenant's rows ({commands})",
        )


def _privileges(lab: Lab) -> Iterator[Signal]:
    tables = [
        t
        for t in lab.catalog.tables.values()
        if t.is_base and t.exposed and lab.model.of(t.key).kind in ("tenant", "root", "user")
    ]
    for role in lab.catalog.roles:
        for privilege, meaning in _BEYOND.items():
            holders = [t for t in tables if (role, privilege) in t.privileges]
            if _usual(lab, role, privilege, len(holders), len(tables)):
                continue
            for table in holders:
                if lab.wants(table.key):
                    yield Signal(
                        "grant.beyond_rls",
                        "breach",
                        "high" if privilege == "TRUNCATE" else "medium",
                        role,
                        table.key,
                        privilege.lower(),
                        f"{role} holds {privilege} on {table.key}",
                        f"Row level security does not apply: {role} {meaning}.",
                        f"revoke {privilege.lower()} on {table.key} from {role};",
                        group=role,
                        title="{object}: {commands} is granted to an API role",
                    )


def _usual(lab: Lab, role: str, privilege: str, holders: int, tables: int) -> bool:
    """Whether so many tables carry a privilege that nobody gave it to these ones on purpose.

    Where the platform grants it on every new table, only the few that stand out were meant: what
    a project left as it was born is no client's way in, for no API sends TRUNCATE or DDL.
    """
    if (role, privilege) in lab.catalog.default_privileges:
        return holders * 3 > tables
    return holders * 2 > tables > 1


def _sequences(lab: Lab) -> Iterator[Signal]:
    exposed = {t.schema for t in lab.catalog.tables.values() if t.exposed}
    every = [s for s in lab.catalog.sequences if s.schema in exposed]
    for role in lab.catalog.roles:
        holders = [s for s in every if (role, "UPDATE") in s.privileges]
        # What every sequence (or, of a single one, every table) has is the platform's default.
        usual = len(holders) * 2 > len(every) > 1
        if usual or ((role, "TRUNCATE") in lab.catalog.default_privileges and len(every) == 1):
            continue
        for sequence in holders:
            yield Signal(
                "grant.sequence",
                "breach",
                "medium",
                role,
                sequence.key,
                "usage",
                f"{role} holds UPDATE on the sequence: setval() makes every tenant's inserts fail",
                "A sequence is shared by all tenants.",
                f"revoke update on sequence {sequence.key} from {role};",
                group="sequences",
                title="{count} sequence(s) can be set by an API role",
            )


def _publications(lab: Lab) -> Iterator[Signal]:
    for publication in lab.catalog.publications:
        for key in publication.tables:
            table = lab.catalog.tables.get(key)
            if table is None or not lab.wants(key):
                continue
            kind = lab.model.of(key).kind
            if kind in ("tenant", "root", "user") and not table.rls:
                yield Signal(
                    "publication",
                    "breach",
                    "high",
                    "authenticated",
                    key,
                    "select",
                    f"publication {publication.name} carries {key}, which has no row level"
                    " security",
                    "Every change of every tenant is sent to every subscriber.",
                    f"alter table {key} enable row level security, or drop it from the"
                    " publication.",
                    group=key,
                    title="{object}: published to everybody without policies",
                )
