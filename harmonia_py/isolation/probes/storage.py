"""Storage objects: whose path is whose, and who can list, read, write, move and delete it."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, replace

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import NotJudged, Severity, Signal
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.references import literals

__all__ = ["probe"]

_KEY = "storage.objects"
_BY_FILE = "the file's own name"
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

    def holds(self, name: str) -> bool:
        """Whether another object of this name would be of the same owner."""
        if self.shape == _BY_FILE:
            return name.rsplit("/", 1)[-1] == self.name.rsplit("/", 1)[-1]
        return name.startswith(self.name.rsplit("/", 1)[0] + "/")


def probe(lab: Lab) -> tuple[list[Signal], list[NotJudged]]:
    """Seed objects under every path convention the policies could mean, then try them all.

    A bucket of which nobody reads a file of his own gives no verdict: its paths mean something
    that was not understood, or its policies let nobody in.
    """
    table = lab.catalog.platform.get(_KEY)
    if table is None or not table.policies or not lab.wants(_KEY):
        return [], []
    with lab.conn.transaction(force_rollback=True):
        items = _seed(lab, table)
        if not items:
            return [], [NotJudged(_KEY, "no object could be seeded")]
        lab.before(table)
        try:
            return _probe(lab, table, items)
        finally:
            lab.forget(_KEY)


def _seed(lab: Lab, table: Table) -> list[Item]:
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
    keys: list[tuple[str, str | None]] = [(lab.cast.tenant(label).id, None)]
    if not lab.model.tenanted:
        keys = []
    # A path may begin with the id of something the policies look up: a project, a deal.
    keys += [(key, None) for key in _looked_up(lab, table, label)]
    members = lab.cast.members(label)
    keys += [(m.user or "", m.user) for m in (*members[:1], *members[-1:])]
    root = lab.model.tenant_table
    words_ = lab.refs.words("\n".join(f"{p.using} {p.check}" for p in table.policies))
    for row in lab.fixtures.of(root, label)[:1] if root else ():
        keys += [
            (str(v), None)
            for k, v in row.values.items()
            if v and isinstance(v, str) and (k in words_ or k in _NAMED)
        ]
    paths: list[tuple[str, str | None]] = []
    for key, user in dict.fromkeys(keys):
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
        for mine, other in zip(_keys(lab, table, "A"), _keys(lab, table, "B"), strict=False):
            paths.append(("/".join([*[other] * depth, mine, "hz-b.txt"]), None))
            paths.append(("/".join([*[other] * depth, f"{mine}.txt"]), None))
    # A row may hold the whole name of its object.
    paths += _recorded(lab, table, label)
    by_file = _by_file(table, bucket)
    if by_file:
        other = lab.cast.tenant("A" if label == "B" else "B").id
        paths = [(f"{other}/{key}.txt", user) for key, user in dict.fromkeys(keys)]
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
        out.append(Item(ident, bucket, name, label, user, _BY_FILE if by_file else shape))
    return out


def _recorded(lab: Lab, table: Table, label: str) -> list[tuple[str, str | None]]:
    """Return what rows hold in the columns that policies compare with an object's name."""
    text = "\n".join(f"{p.using} {p.check}" for p in table.policies)
    out: list[tuple[str, str | None]] = []
    for key in sorted(lab.refs.direct(text)[0]):
        for column in lab.catalog.tables[key].columns:
            name = rf'(?:\w+\.)?"?{re.escape(column.name)}"?'
            if column.category == "S" and re.search(
                rf"{name} = \(?objects\.name\b|\bobjects\.name = \(?{name}(?!\w)", text
            ):
                rows = lab.fixtures.of(key, label)[:3]
                out += [(str(v), r.user) for r in rows if (v := r.values.get(column.name))]
    return out


def _by_file(table: Table, bucket: str) -> bool:
    """Whether the policies of a bucket look at the file's own name, and not at its folders."""
    texts = [
        f"{p.using} {p.check}" for p in table.policies if f"'{bucket}'" in f"{p.using}{p.check}"
    ]
    asked = [t for t in texts if re.search(r"\bname\b", t)]
    return bool(asked) and all("filename(" in t and "foldername(" not in t for t in asked)


def _keys(lab: Lab, table: Table, label: str) -> list[str]:
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


def _actors(lab: Lab) -> list[Actor]:
    members = lab.cast.members("A")
    chosen = [*members[:1], *members[-1:]]
    chosen += [
        a for a in lab.cast.actors if a.state in ("stranger", "anon") or a.former is not None
    ]
    return list({a.name: a for a in chosen}.values())


def _probe(lab: Lab, table: Table, items: list[Item]) -> tuple[list[Signal], list[NotJudged]]:
    signals: list[Signal] = []
    by_id = {i.id: i for i in items}
    public = {b.id for b in lab.catalog.buckets if b.public}
    plan: list[Probe] = []
    for actor in _actors(lab):
        plan += _plan(lab, actor, items)
    plan, outcomes = _run(lab, plan, items)
    open_to_anon: set[str] = set()
    seen: list[tuple[Probe, str, Item, str]] = []
    for item, outcome in zip(plan, outcomes, strict=True):
        actor = item.actor
        if item.tag == "select":
            listed = outcome.result or () if outcome.ok else ()
            # In one order, whatever the server's: the first is the evidence.
            found = [by_id[i] for i in listed if i in by_id]
            for one in sorted(found, key=lambda i: (i.bucket, i.name)):
                if actor.role == "anon":
                    open_to_anon.add(one.bucket)
                seen.append((item, "select", one, f"lists {one.bucket}/{one.name}"))
            continue
        for change in outcome.changes:
            bucket, name = str(change.data.get("bucket_id")), str(change.data.get("name"))
            hit = by_id.get(str(change.data.get("id")))
            # The longest folder that is somebody's: a key further down the path changes nothing.
            inside = [i for i in items if i.bucket == bucket and i.holds(name)]
            moved = change.kind == "new" and item.tag == "update move"
            nearest = max(inside, key=lambda i: len(i.name.rsplit("/", 1)[0]), default=None)
            target = nearest if moved or hit is None else hit
            if target is not None:
                seen.append((item, item.tag.split()[0], target, f"{item.tag} {bucket}/{name}"))
    for item, command, hit, evidence in seen:
        actor = item.actor
        if hit.owner in actor.tenants or hit.user == actor.user:
            continue
        if actor.former and hit.owner != actor.former:
            continue
        if command == "select" and (hit.bucket in public or hit.bucket in open_to_anon):
            continue
        signals.append(_signal(item, command, hit, evidence))
    signals += _public(lab, table, public - open_to_anon, seen)
    read = {hit.bucket for _, command, hit, _ in seen if command == "select"}
    return signals, [
        NotJudged(
            f"storage bucket {bucket}",
            "a policy lets people read it, and nobody could read any file that was put there for"
            " him: either its paths were not understood, or it lets nobody in",
        )
        for bucket in sorted({i.bucket for i in items} - read)
        if any(
            p.permissive
            and f"'{bucket}'" in (p.using or "")
            and "service_role" not in (p.using or "")
            for p in table.policies_for("select", "authenticated")
        )
    ]


def _run(lab: Lab, plan: list[Probe], items: list[Item]) -> tuple[list[Probe], list[Outcome]]:
    """Run the probes; where the path of one object fails in a policy, each shape by itself."""
    outcomes = lab.run(plan)
    again: list[Probe] = []
    shapes = dict.fromkeys(i.shape for i in items)
    for item, outcome in zip(plan, outcomes, strict=True):
        if outcome.code[:2] == "22" and item.tag in ("select", "update", "delete"):
            for shape in shapes:
                kept = [sql.Literal(i.id) for i in items if i.shape == shape]
                clear = sql.SQL("delete from storage.objects where id not in ({})").format(
                    sql.SQL(", ").join(kept)
                )
                again.append(replace(item, pre=(lab.text(clear),), replica=True))
    return [*plan, *again], [*outcomes, *lab.run(again)]


def _public(
    lab: Lab, table: Table, buckets: set[str], seen: list[tuple[Probe, str, Item, str]]
) -> list[Signal]:
    """Find buckets that serve every file by its address although policies guard reading it."""
    out = []
    # What asks for seats, or for rows of tenants, guards; what asks for one's own name only keeps
    # people from listing each other's pictures.
    seats = {m.table for m in lab.model.memberships}
    seats |= {key for key, entry in lab.model.tables.items() if entry.kind == "tenant"}
    for bucket in sorted(buckets):
        guards = [
            p.name
            for p in table.policies_for("select", "authenticated")
            if p.using and f"'{bucket}'" in p.using and seats & lab.refs.reach(p.using)[0]
        ]
        listed = {i.owner for item, c, i, _ in seen if c == "select" and i.bucket == bucket}
        if guards and listed:
            out.append(
                Signal(
                    "storage.public",
                    "exposure",
                    "high",
                    "anon",
                    _KEY,
                    "select",
                    f"bucket {bucket} is public: no policy is asked for"
                    f" /storage/v1/object/public/{bucket}/...",
                    f"The policies {', '.join(guards)} guard files that anybody can fetch.",
                    f"Make bucket {bucket} private, and hand out signed addresses.",
                    group=f"public {bucket}",
                    title=f"storage bucket {bucket}: public, although policies guard its files",
                )
            )
    return out


def _signal(item: Probe, command: str, hit: Item, evidence: str) -> Signal:
    former = item.actor.former is not None
    severity: Severity = "high" if former else "critical"
    return Signal(
        "lifecycle.storage" if former else "storage",
        "breach",
        severity,
        item.actor.name,
        _KEY,
        command,
        evidence,
        "Files of another tenant can be reached through the storage API.",
        "Compare a folder of the path with the caller's own tenants in every policy of the bucket.",
        item.sql,
        item.actor,
        (),
        group=f"bucket {hit.bucket}",
        title=f"storage bucket {hit.bucket}: another tenant's files can be reached ({{commands}})",
    )


def _plan(lab: Lab, actor: Actor, items: list[Item]) -> list[Probe]:
    victim = actor.former or "B"
    theirs = [i for i in items if i.owner == victim]
    mine = [i for i in items if i.owner in actor.tenants]
    out = [
        Probe(
            actor, "select pg_catalog.jsonb_agg(id) from storage.objects", rows=True, tag="select"
        ),
        Probe(actor, "update storage.objects set metadata = metadata", watch=(_KEY,), tag="update"),
        Probe(
            actor,
            "delete from storage.objects",
            watch=(_KEY,),
            tag="delete",
            session={"storage.allow_delete_query": "true"},
        ),
    ]
    for item in theirs:
        folder, _, file = item.name.rpartition("/")
        if item.shape == _BY_FILE:
            text = _insert(lab, actor, item.bucket, f"{folder}/hz-new/{file}")
            out.append(Probe(actor, text, watch=(_KEY,), tag="insert"))
            continue
        own = _keys(lab, lab.catalog.platform[_KEY], next(iter(actor.tenants), "A"))
        tricks = [t for k in own for t in (f"{folder}/{k}/hz-new.txt", f"{folder}/{k}.txt")]
        for name in (f"{folder}/hz-new.txt", *(tricks if actor.tenants else ())):
            out.append(
                Probe(actor, _insert(lab, actor, item.bucket, name), watch=(_KEY,), tag="insert")
            )
    for here, there in zip(mine, theirs, strict=False):
        if here.bucket != there.bucket or there.shape == _BY_FILE:
            continue
        target = there.name.rsplit("/", 1)[0] + "/hz-moved.txt"
        # Without a condition no SELECT policy has to see where the file goes; the name is unique,
        # so the caller must have but one.
        alone = lab.text(
            sql.SQL("delete from storage.objects where id <> {} and name not like {}").format(
                sql.Literal(here.id), sql.Literal(there.name.rsplit("/", 1)[0] + "/%")
            )
        )
        out.append(
            Probe(
                actor,
                lab.text(
                    sql.SQL("update storage.objects set name = {}").format(sql.Literal(target))
                ),
                watch=(_KEY,),
                pre=(alone,),
                replica=True,
                session={"storage.allow_delete_query": "true"},
                tag="update move",
            )
        )
    return out


def _insert(lab: Lab, actor: Actor, bucket: str, name: str) -> str:
    columns: dict[str, object] = {
        "bucket_id": bucket,
        "name": name,
        "owner": actor.user,
        "owner_id": actor.user,
        "metadata": {},
    }
    table = lab.catalog.platform[_KEY]
    used = {k: v for k, v in columns.items() if table.has(k)}
    return lab.text(
        sql.SQL(
            "insert into storage.objects ({c}) select {c} from "
            "pg_catalog.jsonb_populate_record(null::storage.objects, {r})"
        ).format(c=sql.SQL(", ").join(map(sql.Identifier, used)), r=sql.Literal(Jsonb(used)))
    )
