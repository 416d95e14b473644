"""The objects that are put into storage: under every path convention that policies could mean."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.references import literals

__all__ = ["BY_FILE", "KEY", "Item", "keys", "naming", "seed"]

KEY = "storage.objects"
BY_FILE = "the file's own name"
_NAMED = frozenset("slug name code key subdomain handle".split())


@dataclass(frozen=True, slots=True)
class Item:
    """One seeded object: its bucket, path, and the tenant and user it belongs to.

    ``shape`` tells the convention its path follows, whoever it belongs to.
    """

    id: str
    bucket: str
    name: str
    owner: str
    user: str | None
    shape: str = ""

    @property
    def depth(self) -> int:
        """In how many folders it lies."""
        return self.name.count("/")

    def holds(self, name: str) -> bool:
        """Whether another object of this name would be of the same owner."""
        if self.shape == BY_FILE:
            return name.rsplit("/", 1)[-1] == self.name.rsplit("/", 1)[-1]
        return name.startswith(self.name.rsplit("/", 1)[0] + "/")


def seed(lab: Lab, table: Table) -> list[Item]:
    """Put objects of both tenants into every bucket; returns none where that cannot be done."""
    text = "\n".join(lab.refs.closure_text(f"{p.using} {p.check}") for p in table.policies)
    named = re.findall(r"bucket_id\)?(?:::text)? = (?:ANY \()?\(?(?:ARRAY\[)?('[^\]\)]*)", text)
    buckets = {b.id: b.public for b in lab.catalog.buckets}
    fresh = [v for n in named for v in literals(n + "'" * (n.count("'") % 2)) if v not in buckets]
    indexes = [*re.findall(r"foldername\([^)]*\)\)?\[(\d)\]", text)]
    indexes += re.findall(r"split_part\([^()]*,[^()]*, ?(\d)\)", text)
    folders = sorted({int(n) for n in indexes} | {1})
    words = [w for w in literals(text) if re.fullmatch(r"[\w-]{2,30}", w) and w not in buckets]
    items: list[Item] = []
    try:
        with lab.conn.transaction():
            if lab.fixtures.replica:
                lab.conn.execute("set local session_replication_role = replica")
            for name in dict.fromkeys(fresh):
                lab.conn.execute(
                    "insert into storage.buckets (id, name) values (%s, %s) on conflict do nothing",
                    (name, name),
                )
                buckets[name] = False
            if not buckets:
                lab.conn.execute(
                    "insert into storage.buckets (id, name) values ('hz-files', 'hz-files')"
                )
                buckets["hz-files"] = False
            for bucket in buckets:
                for label in "AB":
                    items += _objects(lab, table, bucket, label, folders, words[:6])
            lab.conn.execute("set local session_replication_role = origin")
    except psycopg.Error:
        return []
    return items


def _objects(
    lab: Lab, table: Table, bucket: str, label: str, folders: list[int], words: list[str]
) -> list[Item]:
    heads: list[tuple[str, str | None]] = [(lab.cast.tenant(label).id, None)]
    if not lab.model.tenanted:
        heads = []
    # A path may begin with the id of something the policies look up: a project, a deal.
    heads += [(key, None) for key in _looked_up(lab, table, label)]
    members = lab.cast.members(label)
    heads += [(m.user or "", m.user) for m in (*members[:1], *members[-1:])]
    root = lab.model.tenant_table
    words_ = lab.refs.words("\n".join(f"{p.using} {p.check}" for p in table.policies))
    for row in lab.fixtures.of(root, label)[:1] if root else ():
        heads += [
            (str(v), None)
            for k, v in row.values.items()
            if v and isinstance(v, str) and (k in words_ or k in _NAMED)
        ]
    paths: list[tuple[str, str | None]] = []
    for key, user in dict.fromkeys(heads):
        for depth in folders:
            paths.append(("/".join([*["hz"] * (depth - 1), key, f"hz-{label.lower()}.txt"]), user))
        if user is None and label == "B":
            # A name may hold any text: another tenant's id in it makes it nobody else's file.
            theirs = lab.cast.a.id
            paths += [(f"{key}/hz-{theirs}.txt", None), (f"{key}/hz-{theirs}", None)]
        paths += [(f"{word}/{key}/hz-{label.lower()}.txt", user) for word in words]
    if label == "B":
        # Paths of B that mention A further on: an attacker's key is not the owner's.
        depth = max(folders)
        for mine, other in zip(keys(lab, table, "A"), keys(lab, table, "B"), strict=False):
            paths.append(("/".join([*[other] * depth, mine, "hz-b.txt"]), None))
            paths.append(("/".join([*[other] * depth, f"{mine}.txt"]), None))
    if len(folders) > 1:
        paths += _nested(lab, table, label)
    # A row may hold the whole name of its object.
    paths += _recorded(lab, table, label)
    by_file = _by_file(table, bucket)
    if by_file:
        other = lab.cast.tenant("A" if label == "B" else "B").id
        paths = [(f"{other}/{key}.txt", user) for key, user in dict.fromkeys(heads)]
    out = []
    boss = members[0].user if members else None
    for name, user in dict.fromkeys(paths):
        owner = user or boss
        ident = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{bucket}/{name}/{label}"))
        columns: dict[str, object] = {
            "id": ident,
            "bucket_id": bucket,
            "name": name,
            "owner": owner,
            "owner_id": owner,
            "metadata": {},
        }
        used = {k: v for k, v in columns.items() if table.has(k)}
        lab.conn.execute(
            sql.SQL(
                "insert into storage.objects ({c}) select {c} from "
                "pg_catalog.jsonb_populate_record(null::storage.objects, %s) on conflict do nothing"
            ).format(c=sql.SQL(", ").join(map(sql.Identifier, used))),
            (Jsonb(used),),
        )
        shape = "/".join(re.sub(r"[0-9a-f-]{36}", "uuid", part) for part in name.split("/")[:-1])
        out.append(Item(ident, bucket, name, label, user, BY_FILE if by_file else shape))
    return out


def _nested(lab: Lab, table: Table, label: str) -> Iterator[tuple[str, str | None]]:
    """Yield paths of two keys, where policies look at several folders: a person's in a tenant's."""
    tenant = [lab.cast.tenant(label).id] if lab.model.tenanted else []
    tenant += _looked_up(lab, table, label)[:1]
    for member in lab.cast.members(label):
        for pair in permutations([*tenant, member.user or ""], 2):
            user = member.user if member.user in pair else None
            yield "/".join([*pair, f"hz-{label.lower()}.txt"]), user


def _recorded(lab: Lab, table: Table, label: str) -> list[tuple[str, str | None]]:
    """Return what rows hold in the columns that policies compare with an object's name."""
    return [
        (str(value), row.user)
        for key, column in naming(lab, table)
        for row in lab.fixtures.of(key, label)[:3]
        if (value := row.values.get(column))
    ]


def naming(lab: Lab, table: Table) -> Iterator[tuple[str, str]]:
    """Yield the columns that policies, or the helpers they ask, compare with an object's name."""
    policies = "\n".join(f"{p.using} {p.check}" for p in table.policies)
    texts = [(policies, r"objects\.name"), *_asked(lab, policies)]
    found = {
        (key, column.name)
        for text, said in texts
        for key in lab.refs.direct(text)[0]
        for column in lab.catalog.tables[key].columns
        if column.category == "S" and _compared(text, column.name, said)
    }
    yield from sorted(found)


def _compared(text: str, column: str, said: str) -> bool:
    name = rf'(?:\w+\.)?"?\b{re.escape(column)}"?'
    pattern = rf"{name} = \(?(?:{said})(?!\w)|(?<![\w.])(?:{said}) = \(?{name}(?!\w)"
    return re.search(pattern, text) is not None


def _asked(lab: Lab, policies: str) -> Iterator[tuple[str, str]]:
    """Yield the bodies of helpers that are given an object's name, and what they call it."""
    for key in sorted(lab.refs.direct(policies)[1]):
        function = lab.catalog.functions[key]
        for given in re.findall(rf'\b{re.escape(function.name)}"?\(([^()]*)\)', policies):
            for place, argument in enumerate(given.split(",")):
                if re.fullmatch(r"\s*(?:objects\.)?name\s*", argument):
                    word = function.arguments[place].name if place < len(function.arguments) else ""
                    names = rf"(?:\w+\.)?{re.escape(word)}|\${place + 1}"
                    yield function.source, names if word else rf"\${place + 1}"


def _by_file(table: Table, bucket: str) -> bool:
    """Whether the policies of a bucket look at the file's own name, and not at its folders."""
    texts = [
        f"{p.using} {p.check}" for p in table.policies if f"'{bucket}'" in f"{p.using}{p.check}"
    ]
    asked = [t for t in texts if re.search(r"\bname\b", t)]
    return bool(asked) and all("filename(" in t and "foldername(" not in t for t in asked)


def keys(lab: Lab, table: Table, label: str) -> list[str]:
    """Return what stands for a tenant in a path: its id, what policies look up, its people."""
    members = lab.cast.members(label)
    tenant = [lab.cast.tenant(label).id] if lab.model.tenanted else []
    return [*tenant, *_looked_up(lab, table, label)[:1], *(m.user or "" for m in members[:1])]


def _looked_up(lab: Lab, table: Table, label: str) -> list[str]:
    text = "\n".join(f"{p.using} {p.check}" for p in table.policies)
    members = {m.table for m in lab.model.memberships}
    out = []
    for key in sorted(lab.refs.reach(text)[0] - members):
        rows = lab.fixtures.of(key, label)
        base = lab.catalog.tables.get(key)
        if lab.model.of(key).kind == "tenant" and rows and base and base.has("id"):
            out.append(str(rows[0].values["id"]))
    return out[:3]
