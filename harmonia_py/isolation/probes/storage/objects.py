"""Storage objects: who can list, read, write, move and delete whose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from psycopg import sql
from psycopg.types.json import Jsonb

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import NotJudged, Severity, Signal
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes.storage.files import BY_FILE, KEY, Item, keys, seed
from harmonia_py.isolation.probes.storage.records import registered

__all__ = ["probe"]


def probe(lab: Lab) -> tuple[list[Signal], list[NotJudged]]:
    """Seed objects under every path convention the policies could mean, then try them all.

    A bucket of which nobody reads a file of his own gives no verdict: its paths mean something
    that was not understood, or its policies let nobody in.
    """
    table = lab.catalog.platform.get(KEY)
    if table is None or not table.policies or not lab.wants(KEY):
        return [], []
    with lab.rolled_back():
        items = seed(lab, table)
        if not items:
            return [], [NotJudged(KEY, "no object could be seeded")]
        lab.forget(KEY)
        lab.before(table)
        return _probe(lab, table, items)


def _actors(lab: Lab) -> list[Actor]:
    chosen = lab.cast.members("A")
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
    moves = list(_moves(lab, items, plan, outcomes))
    plan, outcomes = [*plan, *moves], [*outcomes, *lab.run(moves)]
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
    signals += [
        replace(_signal(item, item.tag, hit, evidence), pre=item.pre, tables=(key,))
        for item, hit, key, evidence in registered(lab, table, items)
    ]
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
    outcomes = lab.run_once(plan)
    again: list[Probe] = []
    for item, outcome in zip(plan, outcomes, strict=True):
        failed = outcome.code[:2] == "22" and item.tag in ("select", "update", "delete")
        # One row that a check refuses hides that others may be written.
        refused = outcome.code == "42501" and "row-level" in outcome.text and item.tag == "update"
        parts: dict[tuple[str, str], list[sql.Literal]] = {}
        for i in items if failed or refused else ():
            parts.setdefault((i.shape, i.bucket if refused else ""), []).append(sql.Literal(i.id))
        for kept in parts.values():
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
                    KEY,
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
        KEY,
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
    # Whoever reads no column needs no policy for reading.
    out = [
        Probe(
            actor, "select pg_catalog.jsonb_agg(id) from storage.objects", rows=True, tag="select"
        ),
        Probe(actor, "update storage.objects set metadata = '{}'", watch=(KEY,), tag="update"),
        Probe(
            actor,
            "delete from storage.objects",
            watch=(KEY,),
            tag="delete",
            session={"storage.allow_delete_query": "true"},
        ),
    ]
    ends = {a.name for a in (*lab.cast.members("A")[:1], *lab.cast.members("A")[-1:])}
    brief = actor.is_member and actor.name not in ends
    own = keys(lab, lab.catalog.platform[KEY], next(iter(actor.tenants), "A"))
    places = {(i.bucket, i.name.rpartition("/")[0]): i for i in theirs}
    for item in places.values() if brief else theirs:
        folder, _, file = item.name.rpartition("/")
        if item.shape == BY_FILE:
            text = _insert(lab, actor, item.bucket, f"{folder}/hz-new/{file}")
            out.append(Probe(actor, text, watch=(KEY,), tag="insert"))
            continue
        tricks = [t for k in own for t in (f"{folder}/{k}/hz-new.txt", f"{folder}/{k}.txt")]
        for name in (f"{folder}/hz-new.txt", *(tricks if actor.tenants and not brief else ())):
            text = _insert(lab, actor, item.bucket, name)
            out.append(Probe(actor, text, watch=(KEY,), tag="insert"))
    return out


def _moves(
    lab: Lab, items: list[Item], plan: list[Probe], outcomes: list[Outcome]
) -> Iterator[Probe]:
    """Move what each could change of his own, or what might be, under names of the other tenant."""
    by_id = {i.id: i for i in items}
    for actor in _actors(lab):
        done = [
            o
            for p, o in zip(plan, outcomes, strict=True)
            if p.actor is actor and p.tag == "update" and o.code[:2] != "22"
        ]
        hit = {str(c.data.get("id")) for o in done for c in o.changes}
        # A check that refused one row says nothing of the others.
        open_ = not done or any(o.code == "42501" for o in done)
        theirs = [i for i in items if i.owner == (actor.former or "B") and i.shape != BY_FILE]
        told: set[tuple[str, str, str]] = set()
        for here in (by_id[i] for i in by_id if open_ or i in hit):
            if here.owner not in actor.tenants:
                continue
            if open_ and here.user not in (None, actor.user):
                continue
            alike = [i for i in theirs if i.bucket == here.bucket]
            alike.sort(key=lambda i: (i.shape != here.shape, i.depth != here.depth))
            if not alike:
                continue
            folders = {alike[0].name.rpartition("/")[0]}
            if lab.model.tenanted:
                other = here.name.replace(lab.cast.a.id, lab.cast.b.id)
                folders |= {other.rpartition("/")[0]} if other != here.name else set()
            for folder in sorted(folders):
                key = (here.bucket, here.name if open_ else here.shape, folder)
                if key not in told:
                    told.add(key)
                    yield _move(lab, actor, here, folder)


def _move(lab: Lab, actor: Actor, here: Item, folder: str) -> Probe:
    # Without a condition no SELECT policy has to see where the file goes; the name is unique, so
    # the caller must have but one.
    alone = sql.SQL("delete from storage.objects where id <> {} and name not like {}").format(
        sql.Literal(here.id), sql.Literal(folder + "/%")
    )
    target = sql.Literal(folder + "/hz-moved.txt")
    text = lab.text(sql.SQL("update storage.objects set name = {}").format(target))
    session = {"storage.allow_delete_query": "true"}
    return Probe(
        actor, text, watch=(KEY,), pre=(lab.text(alone),), replica=True, session=session,
        tag="update move",
    )  # fmt: skip


def _insert(lab: Lab, actor: Actor, bucket: str, name: str) -> str:
    columns: dict[str, object] = {
        "bucket_id": bucket,
        "name": name,
        "owner": actor.user,
        "owner_id": actor.user,
        "metadata": {},
    }
    table = lab.catalog.platform[KEY]
    used = {k: v for k, v in columns.items() if table.has(k)}
    return lab.text(
        sql.SQL(
            "insert into storage.objects ({c}) select {c} from "
            "pg_catalog.jsonb_populate_record(null::storage.objects, {r})"
        ).format(c=sql.SQL(", ").join(map(sql.Identifier, used)), r=sql.Literal(Jsonb(used)))
    )
