"""Run the harness on one database and return its verdict; nothing it did remains."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg

from harmonia_py.dsn import connect, require_session
from harmonia_py.errors import CouldNotVerify
from harmonia_py.isolation import channels
from harmonia_py.isolation.actors import cast
from harmonia_py.isolation.catalog import Catalog, Table
from harmonia_py.isolation.finding import Coverage, Finding, NotJudged, Report, Signal
from harmonia_py.isolation.fixtures import seed
from harmonia_py.isolation.infer import infer
from harmonia_py.isolation.infer import merge as overlay
from harmonia_py.isolation.introspect import introspect
from harmonia_py.isolation.lab import Lab
from harmonia_py.isolation.model import TenancyModel, dump
from harmonia_py.isolation.probes.counterexamples.confirm import confirm
from harmonia_py.isolation.proof import Proof, merge, proving
from harmonia_py.isolation.references import References
from harmonia_py.isolation.twin import begin
from harmonia_py.isolation.verdict.findings import findings

__all__ = ["judge", "laboratory", "propose", "verify"]

Progress = Callable[[str], None]


def propose(dsn: str) -> TenancyModel:
    """Infer the model of the database behind ``dsn``, with the roles of each command as they are.

    It is a start: a person corrects what should not be so.
    """
    from harmonia_py.isolation.mutation.scoring import observed

    with connect(dsn) as conn, laboratory(conn) as lab:
        return observed(lab)


@contextmanager
def laboratory(
    conn: psycopg.Connection[Any],
    model: TenancyModel | None = None,
    *,
    schemas: Sequence[str] | None = None,
    timeout: float = 2.0,
    known: Callable[[Catalog, TenancyModel], object] = lambda *_: None,
) -> Iterator[Lab]:
    """Seed the fixtures in a transaction that is always rolled back and yield the lab.

    ``known`` is called with the catalog and the model before the rows are made.
    """
    try:
        with conn.transaction(force_rollback=True):
            begin(conn)
            catalog = introspect(conn, schemas=schemas or (model.schemas if model else None))
            _check(catalog.roles, len(catalog.tables))
            inferred = infer(catalog)
            final = overlay(inferred, model) if model else inferred
            known(catalog, final)
            people = cast(
                final,
                catalog.roles,
                one_each=_one_each(catalog, final),
                stale=_looked_up(catalog, final),
            )
            fixtures = seed(conn, catalog, final, people)
            yield Lab(conn, catalog, final, people, fixtures, timeout=timeout)
    except psycopg.errors.InsufficientPrivilege as error:
        raise CouldNotVerify(
            f"not enough rights: {error.diag.message_primary}",
            hint="connect as postgres or supabase_admin",
        ) from error
    except psycopg.OperationalError as error:
        raise CouldNotVerify(
            f"the database went away or refused: {str(error).strip().splitlines()[0]}",
            hint="nothing was left behind; run again",
        ) from error


def _one_each(catalog: Catalog, model: TenancyModel) -> bool:
    """Whether a user can be in one tenant only: the user alone is a key of the membership."""
    membership = model.membership
    table = catalog.tables.get(membership.table) if membership else None
    return (
        table is not None
        and membership is not None
        and any(u.columns == (membership.user,) and not u.predicate for u in table.uniques)
    )


def _looked_up(catalog: Catalog, model: TenancyModel) -> bool:
    """Whether policies read the memberships, whatever a token says."""
    refs = References(catalog)
    return any(refs.authority.get(m.table) or m.table in refs.feeds for m in model.memberships)


def _check(roles: Sequence[str], tables: int) -> None:
    if "authenticated" not in roles:
        raise CouldNotVerify(
            "this is not a Supabase database: there is no role authenticated",
            hint="run harmonia platform prepare first, or point at a Supabase project",
        )
    if tables == 0:
        raise CouldNotVerify(
            "there is no table to judge: the migrations are empty or were not applied",
            hint="apply the migrations, or check the URL",
        )


def verify(
    dsn: str,
    *,
    model: TenancyModel | None = None,
    schemas: Sequence[str] | None = None,
    stand_ins: Sequence[str] = (),
    timeout: float = 2.0,
    progress: Progress | None = None,
    afterwards: Callable[[Lab, Report], object] | None = None,
    copy: Callable[[], str] | None = None,
) -> Report:
    """Judge the database behind ``dsn``: seed, probe as every actor, roll back, report.

    ``timeout`` (seconds) bounds each probe; ``afterwards`` gets the laboratory, still seeded,
    and the report. ``copy`` makes one more database like this one and returns its URL: half of
    the probes then run there, meanwhile. Raises CouldNotVerify when no verdict is possible.
    """
    started = time.monotonic()
    require_session(dsn)
    twin = copy() if copy is not None else None
    say = progress or (lambda _: None)
    proofs: list[Callable[[], list[Proof]]] = []
    with connect(dsn) as conn:
        say("reading the catalog and seeding two tenants")
        with ExitStack() as open_:

            def known(catalog: Catalog, model: TenancyModel) -> None:
                # The solver needs no rows: it begins while they are made.
                proofs.append(open_.enter_context(proving(catalog, model)))

            lab = open_.enter_context(
                laboratory(conn, model, schemas=schemas, timeout=timeout, known=known)
            )
            report = judge(
                lab,
                progress=say,
                started=started,
                stand_ins=stand_ins,
                proofs=proofs[0],
                copy=twin,
            )
            if afterwards is not None:
                afterwards(lab, report)
        conn.rollback()
    return report


def judge(
    lab: Lab,
    *,
    progress: Progress | None = None,
    started: float | None = None,
    stand_ins: Sequence[str] = (),
    proofs: Callable[[], list[Proof]] = list,
    copy: str | None = None,
) -> Report:
    """Run every channel in an open laboratory and put the report together.

    ``copy`` is the URL of a copy of the database, as it was before the laboratory, for half of
    the channels. ``proofs`` is asked once the probes are done; worlds that refute a policy are
    then tried.
    """
    say = progress or (lambda _: None)
    started = time.monotonic() if started is None else started
    seeded = time.monotonic()
    result = channels.run(lab, progress=say, copy=copy)
    say("waiting for the last proofs")
    proven = proofs()
    result.signals += confirm(lab, proven, result.signals)
    errors = _errors(lab)
    result.timings["seed"] = seeded - started
    model = lab.model
    coverage = _coverage(lab, result)
    report = Report(
        findings=tuple(findings(lab, result.signals)),
        cells=tuple(result.cells),
        coverage=tuple(coverage),
        not_judged=(
            *result.not_judged,
            *_nothing_open(coverage),
            *_nothing_owned(lab, coverage),
            *_unexplained(proven, result.signals),
        ),
        errors=tuple(errors),
        stand_ins=tuple(stand_ins),
        model={
            "tenant_table": model.tenant_table,
            "membership": model.membership.table if model.membership else None,
            "inferred": model.inferred,
            "roles": list(model.roles),
            "kinds": {key: t.kind for key, t in sorted(model.tables.items())},
            "paths": {key: list(t.path) for key, t in sorted(model.tables.items()) if t.path},
            "toml": dump(model),
        },
        server=str(lab.catalog.server_version),
        seconds=time.monotonic() - started,
        probes=lab.count,
        timings=result.timings,
        roles=model.roles,
    )
    return merge(report, proven)


def _unexplained(proofs: Sequence[Proof], signals: Sequence[Signal]) -> list[NotJudged]:
    """List what failed to be proven for no reason that may be meant, and was not shown either.

    Policies that recurse are refused whatever they say: the finding that names them is enough.
    """
    shown = {s.object for s in signals if s.kind != "denied" or s.rule == "denied.recursion"}
    return [
        NotJudged(
            f"{proof.command} {proof.table}",
            "a proof failed and nothing explains why, but no row was found that shows it:"
            f" {proof.counterexample or proof.reason}",
        )
        for proof in proofs
        if proof.witness is not None and proof.status == "refuted" and proof.table not in shown
    ]


def _errors(lab: Lab) -> list[Finding]:
    """Report tables without rows: they give no verdict, and that is never a pass."""
    reachable = {t.key for t in lab.catalog.reachable()} | {"auth.users"}
    needed = {m.table for m in lab.model.memberships} | {lab.model.tenant_table}
    out = []
    for key, reason in sorted(lab.fixtures.errors.items()):
        if key not in reachable | needed:
            continue
        out.append(
            Finding(
                id=Finding.identify("seed", key),
                rule="seed",
                kind="error",
                severity="high",
                title=f"{key} could not be seeded, so nothing is known about it",
                object=key,
                commands=(),
                actors=(),
                evidence=(reason,),
                why="Probes against an empty table prove nothing.",
                fix="Make the constraint satisfiable for the harness or insert sample rows.",
                script="",
                members=(key,),
            )
        )
    unknown = {k: t.reason for k, t in sorted(lab.model.tables.items()) if t.kind == "unknown"}
    if unknown and not _owned(lab):
        out.append(_no_tenancy(unknown))
    return out


def _owned(lab: Lab) -> bool:
    """Whether any table is known to hold rows of a tenant or of a user."""
    return any(t.kind in ("tenant", "root", "user") for t in lab.model.tables.values())


def _no_tenancy(unknown: Mapping[str, str]) -> Finding:
    return Finding(
        id=Finding.identify("tenancy", "unknown"),
        rule="tenancy",
        kind="error",
        severity="high",
        title="No table is known to hold rows of a tenant or of a user, so nothing was compared",
        object=", ".join([*unknown][:8]),
        commands=(),
        actors=(),
        evidence=tuple(dict.fromkeys(unknown.values())),
        why="A verdict without anybody's rows would be empty.",
        fix="Run harmonia verify --init and say in harmonia.toml which column names the tenant.",
        script="",
        members=tuple(unknown),
    )


def _opened(table: Table, roles: Sequence[str]) -> bool:
    """Whether some permissive policy lets an API role do something."""
    return any(
        p.permissive
        for role in roles
        for command in ("select", "insert", "update", "delete")
        for p in table.policies_for(command, role)
    )


def _nothing_open(coverage: Sequence[Coverage]) -> list[NotJudged]:
    """Say so when no client can use any relation: then there was nothing to attack."""
    if coverage and all(c.status == "locked" for c in coverage):
        text = "no API role can use any relation, so only refusals were seen"
        return [NotJudged("every relation", text)]
    return []


def _nothing_owned(lab: Lab, coverage: Sequence[Coverage]) -> list[NotJudged]:
    """Say so when every relation was taken as shared, unless a person said that it is."""
    if lab.model.inferred and not _owned(lab) and any(c.status == "tested" for c in coverage):
        text = (
            "no table is known to hold rows of a tenant or of a user, so all were taken as shared"
        )
        return [NotJudged("every relation", text)]
    return []


def _coverage(lab: Lab, result: channels.ChannelResult) -> list[Coverage]:
    skipped = {n.object: n.reason for n in result.not_judged}
    out = []
    for table in lab.catalog.tables.values():
        if table.parent is not None:
            continue
        key = table.key
        controls = tuple(
            command
            for command in ("select", "insert", "update", "delete")
            if any(k[0] == key and k[1] == command and v for k, v in result.allowed.items())
        )
        probes = result.probes.get(key, 0)
        if key in lab.fixtures.errors:
            status, reason = "not judged", lab.fixtures.errors[key]
        elif key in skipped:
            status, reason = "not judged", skipped[key]
        elif not probes:
            status, reason = "locked", "no API role can reach it"
        elif table.is_base and table.rls and not _opened(table, lab.catalog.roles):
            status, reason = "locked", "row level security without a policy for any API role"
        else:
            status, reason = "tested", ""
        out.append(Coverage(key, table.kind, status, probes, controls, reason))
    return out
