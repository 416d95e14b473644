"""The account itself: who was deleted or banned is out, and nobody's second factor is another's.

Asked only where the policies look at accounts or at factors, themselves or through helpers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from psycopg import sql

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.identity.assurance import factor
from harmonia_py.isolation.probes.sight import look, sample

__all__ = ["endings", "probe"]

_ENDS = {"deleted_at": "now()", "banned_until": "now() + interval '1 year'"}


def probe(lab: Lab) -> list[Signal]:
    """Look at what the strongest member of A sees, as things are and after each change."""
    boss = next(iter(lab.cast.members("A")), None)
    if (
        boss is None
        or not lab.fixtures.replica
        or not (_asked(lab, "users") or _asked(lab, "mfa_factors"))
    ):
        return []
    what = look(lab, sample(lab, "A", set()))
    return [*_ended(lab, boss, what), *_factors(lab, boss, what)] if what else []


def endings(lab: Lab, actor: Actor) -> Iterator[tuple[str, str]]:
    """Yield each column of an account that policies look at, and what ends the account by it."""
    users = lab.catalog.platform.get("auth.users")
    for column, value in _ENDS.items():
        if users is not None and users.has(column) and _asked(lab, "users", column):
            yield (
                column,
                statements.change(
                    lab,
                    users,
                    {column: sql.SQL(f"pg_catalog.{value}")},
                    lab.where(users, {"id": actor.user}),
                ),
            )


def _asked(lab: Lab, table: str, column: str = "") -> bool:
    """Whether a policy, or a helper that it asks, names a table of accounts (and its column).

    In one text: many projects have a table of users themselves, and mark rows of others as deleted.
    """
    qualified = re.compile(rf'\bauth"?\s*\.\s*"?{table}\b', re.I)
    ours = any(t.name == table for t in lab.catalog.tables.values())
    return any(
        (qualified.search(text) if ours else table in lab.refs.words(text))
        and (not column or column in lab.refs.words(text))
        for text in _texts(lab)
    )


def _texts(lab: Lab) -> list[str]:
    """Return the policies of each table, and each helper that they ask."""
    key = "texts of policies"
    if key not in lab.memo:
        policies = [lab.refs.policy_text(t) for t in lab.catalog.tables.values()]
        _, functions = lab.refs.reach("\n".join(policies))
        sources = [lab.catalog.functions[f].source for f in sorted(functions)]
        lab.memo[key] = [*policies, *sources]
    texts: list[str] = lab.memo[key]
    return texts


def _ended(lab: Lab, boss: Actor, text: str) -> Iterator[Signal]:
    for column, ended in endings(lab, boss):
        before, after = _pair(lab, boss, text, ended)
        open_ = sorted(k for k, n in _counts(after).items() if n and _counts(before).get(k))
        if open_:
            yield _signal(
                lab, boss, text, ended, "lifecycle.account",
                f"{column} of the account is set: {', '.join(open_[:6])} open",
            )  # fmt: skip


def _factors(lab: Lab, boss: Actor, text: str) -> Iterator[Signal]:
    other = next((a for a in lab.cast.members("B")), None)
    if not _asked(lab, "mfa_factors") or other is None:
        return
    weak = boss.with_claims(boss.name, aal="aal1")
    for theirs in factor(lab, other):
        before, after = (_counts(o) for o in _pair(lab, weak, text, theirs))
        if lost := sorted(k for k, n in before.items() if n and not after.get(k)):
            yield _signal(
                lab, weak, text, theirs, "account.factor",
                f"once somebody else has a second factor: {', '.join(lost[:6])} closed",
            )  # fmt: skip


def _pair(lab: Lab, actor: Actor, text: str, change: str) -> tuple[Outcome, Outcome]:
    plain = Probe(actor, text, rows=True)
    # As Supabase Auth does it, so that triggers which keep rights ready hear of it; quietly only
    # where one of them refuses rows that nobody signed up for.
    changed = Probe(actor, text, rows=True, pre=(change,))
    before, after = lab.run([plain, changed])
    if not after.ok:
        (after,) = lab.run([replace(changed, replica=True)])
    return before, after


def _counts(outcome: Outcome) -> dict[str, int]:
    return dict(outcome.result or {}) if outcome.ok else {}


def _signal(lab: Lab, actor: Actor, text: str, change: str, rule: str, evidence: str) -> Signal:
    denied = rule == "account.factor"
    return Signal(
        rule,
        "denied" if denied else "breach",
        "medium" if denied else "high",
        actor.name,
        "auth.mfa_factors" if denied else "auth.users",
        "select",
        evidence,
        "Policies look at the account, and do not decide by it."
        if not denied
        else "Policies ask for a second factor, and not of the one who has it.",
        "Compare the caller's own row in the helper that looks there.",
        text,
        actor,
        group="accounts",
        title="{object}: what became of an account makes no difference"
        if not denied
        else "{object}: one person's second factor is asked of another",
        pre=(change,),
    )
