"""Every actor against every table: select, insert, update, delete, upsert, move, steal."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from psycopg import sql

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.catalog import Table
from harmonia_py.isolation.finding import Cell, NotJudged, Severity, Signal
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.publicity import opened

__all__ = ["TableResult", "attack", "probe"]

#: What each narrower variant is a part of.
_WIDER = {
    "blind": "constant",
    "targeted": "blind",
    "move out": "move out blind",
    "steal in": "steal in blind",
}
COMMANDS = ("select", "insert", "update", "delete")
_FOREIGN_WHY = {
    "select": "rows of another tenant come back",
    "insert": "rows can be put into another tenant",
    "update": "rows of another tenant can be changed, moved in or taken over",
    "delete": "rows of another tenant can be deleted",
}


@dataclass(slots=True)
class TableResult:
    """What the table channel found: signals, matrix cells and what it could not judge."""

    signals: list[Signal] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    not_judged: list[NotJudged] = field(default_factory=list)
    allowed: dict[tuple[str, str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    probes: Counter[str] = field(default_factory=Counter)


def probe(lab: Lab) -> TableResult:
    """Run all table probes of all actors and judge them."""
    result = TableResult()
    for table in lab.tables():
        kind = lab.model.of(table.key).kind
        if kind in ("tenant", "root", "user"):
            _isolated(lab, table, result)
        elif kind == "public":
            _shared(lab, table, result)
        elif kind == "unknown":
            reason = lab.model.of(table.key).reason or "the model does not say whose rows these are"
            result.not_judged.append(NotJudged(table.key, reason))
    _role_bleed(lab, result)
    return result


def attack(lab: Lab, actor: Actor) -> TableResult:
    """Let one more actor (with forged claims, say) attack every table that isolates rows."""
    result = TableResult()
    for table in lab.tables():
        if lab.model.of(table.key).kind in ("tenant", "root", "user"):
            _judged(lab, table, list(_attacks(lab, table, actor)), result, {})
    return result


def _isolated(lab: Lab, table: Table, result: TableResult) -> None:
    """Attack and exercise a table whose rows belong to somebody."""
    plan: list[Probe] = []
    for actor in lab.cast.actors:
        plan += _attacks(lab, table, actor)
        plan += _controls(lab, table, actor)
    verdicts: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    _judged(lab, table, plan, result, verdicts)
    _cells(lab, table, verdicts, result)


def _judged(
    lab: Lab,
    table: Table,
    plan: list[Probe],
    result: TableResult,
    verdicts: dict[tuple[str, str, str], set[str]],
) -> None:
    """Run probes on one table and judge each outcome."""
    verdicts = verdicts if isinstance(verdicts, defaultdict) else defaultdict(set, verdicts)
    plan, outcomes = _run(lab, plan)
    retry = [
        (i, replace(p, replica=True))
        for i, (p, o) in enumerate(zip(plan, outcomes, strict=True))
        if o.code == "23503" and p.tag[0] != "select" and lab.fixtures.replica
        if not _kept_together(lab, table, p, o)
    ]
    stopped: dict[int, Outcome] = {}
    if retry:
        again = lab.run([p for _, p in retry])
        stopped = {i: o for (i, _), o in zip(retry, again, strict=True)}
    for index, probe_ in _in_the_way(lab, table, plan, outcomes):
        (stopped[index],) = lab.run([probe_])
    reads: dict[tuple[str, ...], dict[str, list[tuple[object, dict[str, object]]]]] = {}
    for index, (item, outcome) in enumerate(zip(plan, outcomes, strict=True)):
        command, variant, _ = item.tag
        result.probes[table.key] += 1
        if command == "select":
            columns = item.tag[2]
            if columns not in reads:
                reads[columns] = lab.hashes(table, columns)
            _judge_select(lab, table, item, outcome, reads[columns], result, verdicts)
        else:
            final = stopped.get(index, outcome)
            _judge_write(lab, table, item, outcome, final, result, verdicts, variant)


def _kept_together(lab: Lab, table: Table, item: Probe, outcome: Outcome) -> bool:
    """Whether a composite reference stopped a move: a row cannot leave what it belongs to.

    ``move along`` takes the other columns with it, as an attacker would.
    """
    if not item.tag[1].startswith("move out"):
        return False
    tenant = lab.model.of(table.key).path[0]
    return any(
        len(fk.columns) > 1 and tenant in fk.columns and f'"{fk.name}"' in outcome.message
        for fk in table.foreign_keys
    )


def _in_the_way(
    lab: Lab, table: Table, plan: list[Probe], outcomes: list[Outcome]
) -> Iterable[tuple[int, Probe]]:
    """Repeat a move that only another row's key stopped, with that row out of the way."""
    if not lab.fixtures.replica:
        return
    for index, (item, outcome) in enumerate(zip(plan, outcomes, strict=True)):
        command, variant, label = item.tag[:3]
        if command != "update" or outcome.code != "23505" or label in item.actor.tenants:
            continue
        arriving = next(iter(item.actor.tenants), label) if "steal" in variant else label
        rows = [r.values for r in lab.fixtures.of(table.key, arriving) if r.user != item.actor.user]
        if rows:
            clear = statements.erase(lab, table, lab.where_keys(table, rows))
            yield index, replace(item, pre=(clear,), replica=True)


def _run(lab: Lab, plan: list[Probe]) -> tuple[list[Probe], list[Outcome]]:
    """Run the widest writes, and the narrower ones only where the wider one failed.

    What reads a column or has a WHERE clause can only reach fewer rows; it helps when an error on
    some row hides the rest.
    """
    ran: list[Probe] = []
    outcomes: list[Outcome] = []
    worked: dict[tuple[str, str, str, str | None], bool] = {}
    known = {_variant(p) for p in plan}
    left = plan
    while left:
        now = [p for p in left if _wider(p) not in known or _wider(p) in worked]
        left = [p for p in left if _wider(p) in known and _wider(p) not in worked]
        # A part of what worked is known to work; what it is a part of tells in its place.
        for part in (p for p in now if worked.get(_wider(p))):
            worked[_variant(part)] = True
        now = [p for p in now if not worked.get(_wider(p))]
        done = lab.run(now)
        worked |= {_variant(p): o.ok for p, o in zip(now, done, strict=True)}
        ran += now
        outcomes += done
    return ran, outcomes


def _variant(item: Probe) -> tuple[str, str, str, str | None]:
    command, variant, label = item.tag[:3]
    return item.actor.name, command, variant, label


def _wider(item: Probe) -> tuple[str, str, str, str | None]:
    actor, command, variant, label = _variant(item)
    return actor, command, _WIDER.get(variant, ""), label


def _attacks(lab: Lab, table: Table, actor: Actor) -> Iterable[Probe]:
    if actor.state == "fresh":
        return []
    if actor.state == "both":
        return [p for p in [statements.select(lab, table, actor)] if p]
    own = next(iter(actor.tenants), "A")
    victim = actor.former or ("A" if own == "B" else "B")
    look = [p for p in [statements.select(lab, table, actor)] if p]
    if own == "B" and actor.is_member:
        # The second tenant's people are victims; one look keeps the controls honest.
        return look if actor.tenants["B"] == lab.model.roles[-1] else []
    shapes: tuple[str, ...]
    if actor.role == "anon" or actor.user is None or actor.state == "anonymous":
        # No claim that could matter but a missing user: three blind writes tell.
        shapes = ("self",)
    elif actor.state == "moved":
        shapes = ()
    else:
        ends = (*lab.cast.members(own)[:1], *lab.cast.members(own)[-1:])
        full = not actor.is_member or actor.name in {a.name for a in ends}
        shapes = ("self", "other", "minimal") if full else ("self",)
    out = look + [p for p in statements.inserts(lab, table, actor, victim) if p.tag[1] in shapes]
    out += statements.updates(lab, table, actor, victim)
    out += statements.deletes(lab, table, actor, victim)
    if actor.is_member or actor.state == "moved":
        out += statements.moves(lab, table, actor, own, victim)
        if len(shapes) > 1:
            out += statements.upserts(lab, table, actor, own, victim)
    return out


def _controls(lab: Lab, table: Table, actor: Actor) -> Iterable[Probe]:
    """List what an actor should be able to do with rows of its own tenants."""
    out: list[Probe] = []
    weakest = lab.model.roles[-1]
    for label, role in actor.tenants.items():
        if label == "B" and not (actor.state == "both" or (actor.is_member and role == weakest)):
            continue
        if actor.is_member and label == "A" and lab.model.mapped(table.key):
            # The permission tables say more, and their channel tries it row by row.
            continue
        out += statements.inserts(lab, table, actor, label)
        if actor.is_member and label == "A":
            out += statements.handovers(lab, table, actor, label)
        rows = lab.fixtures.of(table.key, label)
        own = [r for r in rows if r.user == actor.user and not r.variant]
        column = statements.touch_column(lab, table, actor.role)
        for name, some in (("own", own[:1]), ("all", rows)):
            if not some:
                continue
            keys = lab.where_keys(table, [r.values for r in some])
            can_update = column is not None and lab.tries("update")
            if can_update and column is not None and table.can(actor.role, "SELECT"):
                text = statements.touch(lab, table, column, keys)
                out.append(Probe(actor, text, watch=(table.key,), tag=("update", name, label)))
            can_delete = table.can(actor.role, "DELETE") and lab.tries("delete")
            if can_delete and table.can(actor.role, "SELECT"):
                text = statements.erase(lab, table, keys)
                out.append(Probe(actor, text, watch=(table.key,), tag=("delete", name, label)))
    return out


def _judge_select(
    lab: Lab,
    table: Table,
    item: Probe,
    outcome: Outcome,
    known: dict[str, list[tuple[object, dict[str, object]]]],
    result: TableResult,
    verdicts: dict[tuple[str, str, str], set[str]],
) -> None:
    actor = item.actor
    if not outcome.ok:
        verdicts[actor.name, "select", "own"].add(f"error {outcome.code} {outcome.message}")
        _error_text(lab, table, item, outcome, result)
        return
    seen = Counter(outcome.result or ())
    stolen: list[dict[str, object]] = []
    left: list[dict[str, object]] = []
    for mark, count in seen.items():
        rows = known.get(mark, [])
        model = lab.model.of(table.key)
        home = [r for r in rows if not lab.foreign(actor, table.key, r[0], r[1])]  # type: ignore[arg-type]
        away = [r for r in rows if r not in home]
        for scope, data in home[:count]:
            verdicts[actor.name, "select", "own"].add("allow")
            for label in actor.tenants:
                if str(scope) in (lab.cast.tenant(label).id, actor.user):
                    result.allowed[table.key, "select", actor.name].add(label)
            del data
        for _, data in away[: max(0, count - len(home))]:
            own_row = lab.mine(actor, table.key, None, data)
            if any(m.table == table.key for m in lab.model.memberships) and own_row:
                continue
            if own_row and lab.model.of(table.key).kind == "user":
                continue
            (left if own_row else stolen).append(data)
        del model
    if stolen:
        meant = opened(lab.conn, table, lab.model.of(table.key), stolen)
        stolen = [data for data in stolen if data not in meant]
    if stolen and (shown := _published(lab, table, actor, stolen)):
        verdicts[actor.name, "select", "foreign"].add("allow")
        result.signals.append(
            Signal(
                "rows.published",
                "exposure",
                "medium",
                actor.name,
                table.key,
                "select",
                _show(stolen[0]),
                f"Everybody sees the rows for which {shown[:120]}.",
                "If meant so, set public_when to this condition in harmonia.toml.",
                item.sql,
                actor,
                (table.key,),
                group="published",
                title="{object}: rows are open to everybody when a flag of theirs says so",
            )
        )
    elif stolen:
        verdicts[actor.name, "select", "foreign"].add("allow")
        result.signals.append(_breach(lab, table, item, "select", _show(stolen[0]), own=False))
    elif left:
        verdicts[actor.name, "select", "foreign"].add("allow")
        result.signals.append(_breach(lab, table, item, "select", _show(left[0]), own=True))


def _published(lab: Lab, table: Table, actor: Actor, rows: list[dict[str, object]]) -> str | None:
    """Return the condition on the rows' own flags that explains why all of ``rows`` are seen."""
    conditions = lab.refs.published(table, actor.role)
    if not conditions or not table.primary_key:
        return None
    said = " or ".join(f"({c})" for c in conditions)
    query = sql.SQL("select count(*) from {} where ({}) and ({})").format(
        table.sql, sql.SQL(said), sql.SQL(lab.where_keys(table, rows))
    )
    found = lab.conn.execute(query).fetchone()
    return said if found and found[0] == len(rows) else None


def _judge_write(
    lab: Lab,
    table: Table,
    item: Probe,
    first: Outcome,
    final: Outcome,
    result: TableResult,
    verdicts: dict[tuple[str, str, str], set[str]],
    variant: str,
) -> None:
    actor, (command, _, label) = item.actor, item.tag
    own_label = label in actor.tenants
    scope_name = "own" if own_label else "foreign"
    bad = None
    good = False
    member_table = any(m.table == table.key for m in lab.model.memberships)
    # Whoever leaves takes his own name off the lists he was on.
    leaves = member_table or (command == "delete" and _is_list(lab, table))
    for change in final.changes:
        if change.table != table.key:
            continue
        if lab.foreign(actor, table.key, change.scope, change.data):
            touched_own = lab.mine(actor, table.key, change.scope, change.data)
            if not (touched_own and change.kind == "gone" and leaves):
                bad = change
        elif label == "both" or change.scope is not None:
            good = good or _is_label(lab, table, change.scope, change.data, label, actor)
    if bad is not None:
        if variant.startswith("upsert") and all(c.kind == "new" for c in final.changes):
            command = "insert"  # nothing was there to be updated
        verdicts[actor.name, command, "foreign"].add("allow")
        note = "" if first.ok else " (only a foreign key stopped it)"
        own = (
            lab.mine(actor, table.key, bad.scope, bad.data)
            and command != "insert"
            and (
                "move" not in variant
                and "steal" not in variant
                and not variant.startswith("upsert")
            )
        )
        result.signals.append(
            _breach(lab, table, item, command, f"{variant}: {_show(bad.data)}{note}", own=own)
        )
    if actor.is_member and own_label and label == "A":
        _own_rows(lab, table, item, final, result)
    if good:
        verdicts[actor.name, command, "own"].add("allow")
        result.allowed[table.key, command, actor.name].add(label)
    elif own_label and first.constraint:
        verdicts[actor.name, command, "own"].add("allow")
        result.allowed[table.key, command, actor.name].add(label)
    elif own_label:
        verdicts[actor.name, command, "own"].add(
            f"error {first.code} {first.message}" if not first.ok else "0 rows"
        )
    if not own_label and bad is None and first.constraint and not final.ok:
        _constraint_reached(lab, table, item, first, result, verdicts)
    if not first.ok:
        _error_text(lab, table, item, first, result)
    del scope_name


def _is_list(lab: Lab, table: Table) -> bool:
    """Whether a row pairs a person with a thing, and is known by the two."""
    key = set(table.primary_key)
    return len(key) > 1 and bool(key & set(lab.model.of(table.key).users))


def _own_rows(lab: Lab, table: Table, item: Probe, outcome: Outcome, result: TableResult) -> None:
    """Report a write that touched a colleague's row where only one's own may be."""
    command = item.tag[0]
    column = lab.model.of(table.key).own_rows.get(command)
    if column is None:
        return
    kind = "new" if command == "insert" or item.tag[1] == "hand over" else "gone"
    for change in outcome.changes:
        if change.table != table.key or change.kind != kind:
            continue
        if str(change.data.get(column)) != item.actor.user:
            result.signals.append(
                Signal(
                    "own_rows",
                    "escalation",
                    "medium",
                    item.actor.name,
                    table.key,
                    command,
                    f"{item.tag[1]}: {_show(change.data)}",
                    f"Only rows whose {column} is the caller may be touched so; this is a"
                    " colleague's.",
                    f"Compare {column} with auth.uid() in the {command} policy.",
                    item.sql,
                    item.actor,
                    (table.key,),
                    table.key,
                    title="{object}: members write rows in each other's name ({commands})",
                )
            )
            return


def _is_label(
    lab: Lab, table: Table, scope: str | None, data: dict[str, object], label: str, actor: Actor
) -> bool:
    if lab.model.of(table.key).kind == "user":
        return scope == actor.user or lab.mine(actor, table.key, scope, data) or scope is not None
    return scope == lab.cast.tenant(label).id


def _constraint_reached(
    lab: Lab,
    table: Table,
    item: Probe,
    outcome: Outcome,
    result: TableResult,
    verdicts: dict[tuple[str, str, str], set[str]],
) -> None:
    """Retry a foreign insert that only another row's key stopped: the policy let it pass."""
    command, variant, label = item.tag
    if command != "insert" or outcome.code not in ("23505", "23P01"):
        return
    rows = lab.fixtures.of(table.key, label)
    clear = statements.erase(lab, table, lab.where_keys(table, [r.values for r in rows]))
    if any(m.table == table.key for m in lab.model.memberships) or not lab.fixtures.replica:
        return
    (again,) = lab.run([replace(item, pre=(clear,), replica=True)])
    for change in again.changes:
        if change.kind == "new" and lab.foreign(item.actor, table.key, change.scope, change.data):
            verdicts[item.actor.name, command, "foreign"].add("allow")
            evidence = f"{variant}: {_show(change.data)} (another row's key was in the way)"
            result.signals.append(_breach(lab, table, item, command, evidence, own=False))
            return


def _error_text(lab: Lab, table: Table, item: Probe, outcome: Outcome, result: TableResult) -> None:
    """Look for a value of another tenant inside an error message."""
    if not outcome.text:
        return
    for value, owner in lab.fixtures.owner_of(outcome.text).items():
        if (
            owner not in item.actor.tenants
            and owner != item.actor.former
            and (value not in item.sql and value != item.actor.user)
            and value not in str(item.actor.session())
        ):
            result.signals.append(
                Signal(
                    "error.text",
                    "oracle",
                    "medium",
                    item.actor.name,
                    table.key,
                    item.tag[0],
                    f"{outcome.code}: {outcome.text}",
                    "An error message carries a value of another tenant.",
                    "Raise errors without row values, and check ownership before anything else.",
                    item.sql,
                    item.actor,
                    (table.key,),
                    table.key,
                )
            )


def _breach(
    lab: Lab, table: Table, item: Probe, command: str, evidence: str, *, own: bool
) -> Signal:
    actor = item.actor
    moved = actor.state == "moved" and own
    former = moved or (actor.former is not None and actor.state not in ("stranger",))
    kind = lab.model.of(table.key).kind
    if former:
        what = {
            "removed": "somebody whose membership is gone",
            "moved": "somebody who is in another tenant now",
            "deleted": "a member whose membership is marked as deleted",
            "expired": "a member whose membership has expired",
        }.get(actor.state, f"a member whose status is {actor.state.split(':')[-1]}")
        rule = "lifecycle.own_rows" if own else "lifecycle.access"
        return Signal(
            rule,
            "breach",
            "medium" if own else "high",
            actor.name,
            table.key,
            command,
            f"{command} as {what}: {evidence}",
            f"{what[0].upper()}{what[1:]} still reaches the tenant's rows.",
            "Let every policy ask the one helper that looks at the membership's state.",
            item.sql,
            actor,
            (table.key,),
            group="own" if own else f"{actor.state}",
        )
    severity: Severity = "high" if kind == "user" else "critical"
    open_to_all = actor.state in ("stranger", "anonymous", "anon")
    blanket = table.rls and lab.refs.blanket(table, command, actor.role)
    if kind == "user" and command == "select" and blanket:
        return Signal(
            "user_rows.public",
            "exposure",
            "medium",
            actor.name,
            table.key,
            command,
            evidence,
            "A policy that compares nothing shows these rows of every user to everybody it is for.",
            'Narrow the policy; or, if meant so, set public_when = "true" in harmonia.toml.',
            item.sql,
            actor,
            (table.key,),
            group="public",
        )
    who = "people who belong to no tenant" if open_to_all else "members of another tenant"
    return Signal(
        "cross_tenant",
        "breach",
        severity,
        actor.name,
        table.key,
        command,
        evidence,
        f"For {who}: {_FOREIGN_WHY[command]}.",
        _fix(table, command, actor.role),
        item.sql,
        actor,
        (table.key,),
        group=_BLANKET[kind == "user"][0] if blanket else table.key,
        title=_BLANKET[kind == "user"][1] if blanket else "",
    )


def _fix(table: Table, command: str, role: str) -> str:
    if not table.rls:
        return f"Row level security is off: alter table {table.key} enable row level security."
    names = [p.name for p in table.policies_for(command, role) if p.permissive]
    if names:
        return f"Tie these policies to the caller's own tenants: {', '.join(names)}."
    return "Look at what the statement reaches besides the table's own policies (triggers, grants)."


_BLANKET = (
    (
        "rows of tenants",
        "{object}: a policy that compares nothing opens the rows of every tenant ({commands})",
    ),
    (
        "rows of users",
        "{object}: a policy that compares nothing opens the rows of every user ({commands})",
    ),
)


def _show(data: dict[str, object]) -> str:
    parts = [f"{k}={v}" for k, v in data.items() if v is not None][:6]
    return ", ".join(parts)


def _cells(
    lab: Lab,
    table: Table,
    verdicts: dict[tuple[str, str, str], set[str]],
    result: TableResult,
) -> None:
    for actor in lab.cast.actors:
        if actor.state in ("fresh", "moved") or (actor.is_member and "B" in actor.tenants):
            continue
        for command in COMMANDS:
            if actor.tenants:
                seen = verdicts.get((actor.name, command, "own"), set())
                actual = "allow" if "allow" in seen else "deny"
                detail = "" if actual == "allow" else "; ".join(sorted(seen))[:200]
                result.cells.append(
                    Cell(table.key, command, actor.name, "own", "unknown", actual, detail)
                )
            if actor.state != "both":
                seen = verdicts.get((actor.name, command, "foreign"), set())
                actual = "allow" if "allow" in seen else "deny"
                result.cells.append(Cell(table.key, command, actor.name, "foreign", "deny", actual))


def _shared(lab: Lab, table: Table, result: TableResult) -> None:
    """Rows of nobody: clients may read them, and must not change them."""
    plan: list[Probe] = []
    for actor in lab.cast.actors:
        if actor.state in ("active", "stranger", "anon") and "B" not in actor.tenants:
            plan += [p for p in [statements.select(lab, table, actor)] if p]
            spare = lab.fixtures.spares.get((table.key, None))
            text = statements.insert_sql(lab, table, actor, spare.values) if spare else None
            if text:
                plan.append(Probe(actor, text, watch=(table.key,), tag=("insert", "new", None)))
            column = statements.touch_column(lab, table, actor.role)
            if column is not None:
                text = statements.touch(lab, table, column)
                plan.append(Probe(actor, text, watch=(table.key,), tag=("update", "blind", None)))
            if table.can(actor.role, "DELETE"):
                text = statements.erase(lab, table)
                plan.append(
                    Probe(
                        actor, text, watch=(table.key,), tag=("delete", "blind", None), replica=True
                    )
                )
    reads: set[str] = set()
    for item, outcome in zip(plan, lab.run(plan), strict=True):
        result.probes[table.key] += 1
        command = item.tag[0]
        if command == "select":
            allowed = bool(outcome.ok and outcome.result)
            if allowed:
                reads.add(item.actor.name)
                result.allowed[table.key, "select", item.actor.name].add("A")
        else:
            allowed = any(c.table == table.key for c in outcome.changes)
        expected = "unknown" if command == "select" else "deny"
        result.cells.append(
            Cell(
                table.key,
                command,
                item.actor.name,
                "shared",
                expected,
                "allow" if allowed else "deny",
            )
        )
        drop_box = command == "insert" and item.actor.name not in reads
        if allowed and command != "select" and not drop_box:
            blanket = table.rls and lab.refs.blanket(table, command, item.actor.role)
            outsider = item.actor.state in ("stranger", "anon") or not lab.model.tenanted
            if not outsider and table.rls:
                # A member may: some project-wide role decides; the outsiders tell.
                continue
            result.signals.append(
                Signal(
                    "shared.write",
                    "breach",
                    "high",
                    item.actor.name,
                    table.key,
                    command,
                    f"{command} as {item.actor.name} changed the shared rows",
                    "Rows shared by all tenants can be changed by anybody who has an account.",
                    f"Revoke {command} on {table.key} from {item.actor.role}, or write a policy.",
                    item.sql,
                    item.actor,
                    (table.key,),
                    "shared rows" if blanket else table.key,
                )
            )


def _role_bleed(lab: Lab, result: TableResult) -> None:
    """Check that the strongest role in A does not count in B, where the person is weakest."""
    if not lab.model.memberships or len(lab.model.roles) < 2:
        return
    weakest = f"B.{lab.model.roles[-1]}"
    both = next((a for a in lab.cast.actors if a.state == "both"), None)
    if both is None:
        return
    for table in lab.tables():
        if lab.model.of(table.key).kind not in ("tenant", "root"):
            continue
        for command in COMMANDS:
            can = "B" in result.allowed.get((table.key, command, both.name), ())
            should = "B" in result.allowed.get((table.key, command, weakest), ())
            if can and not should and not _without_seat(lab, table, command, both):
                result.signals.append(
                    Signal(
                        "role.other_tenant",
                        "escalation",
                        "critical",
                        both.name,
                        table.key,
                        command,
                        f"{both.name} is {lab.model.roles[0]} in A and {lab.model.roles[-1]} in B,"
                        f" and could {command} rows of B that {weakest} could not",
                        "A role held in one tenant is honoured in another.",
                        "Check the role for the row's own tenant, in the same sub-query.",
                        "",
                        both,
                        (table.key,),
                        table.key,
                    )
                )


def _without_seat(lab: Lab, table: Table, command: str, both: Actor) -> bool:
    """Whether the same person could do it without the membership of A: then A's role is not why.

    What it may do in B can hang on more than its role, such as on rows that name it.
    """
    clear = []
    for m in lab.model.memberships:
        members = lab.catalog.table(m.table)
        seats = [r.values for r in lab.fixtures.of(m.table, "A", both.user)]
        if members is not None and seats:
            clear.append(statements.erase(lab, members, lab.where_keys(members, seats)))
    if not clear or not lab.fixtures.replica:
        return False
    alone = replace(both, tenants={"B": both.tenants["B"]})
    if command == "select":
        plan = [p for p in [statements.select(lab, table, alone)] if p]
    else:
        plan = [p for p in _controls(lab, table, alone) if p.tag[0] == command]
    plan = [replace(p, pre=tuple(clear), replica=True) for p in plan]
    result = TableResult()
    _judged(lab, table, plan, result, {})
    return "B" in result.allowed.get((table.key, command, both.name), ())
