"""Try the worlds in which the prover says that policies fail: build the rows, and attack.

A proof that fails is a suspicion; what an attacker then really reaches is a finding. Each world
is built in a savepoint by the bypass role and tried as the role in question.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Outcome, Probe
from harmonia_py.isolation.probes.counterexamples.scene import FORGEABLE, OUTSIDER, Attack, Scene
from harmonia_py.isolation.proof import Proof
from harmonia_py.isolation.proof.witness import Witness

__all__ = ["confirm"]


def confirm(lab: Lab, proofs: Iterable[Proof], known: Sequence[Signal]) -> list[Signal]:
    """Return a signal for each refuted proof whose world was built and did leak.

    What ``known`` already says of the same object and command is not tried again.
    """
    seen = {(s.object, s.command) for s in known if s.kind != "denied"}
    out = []
    for proof in proofs:
        if proof.witness is None or (proof.table, proof.command) in seen:
            continue
        if not lab.wants(proof.table):
            continue
        if proof.command == "insert" and lab.model.of(proof.table).kind == "root":
            continue  # a new tenant is nobody else's
        signal = _try(lab, proof, proof.witness)
        if signal is not None:
            seen.add((proof.table, proof.command))
            out.append(signal)
    return out


def _try(lab: Lab, proof: Proof, witness: Witness) -> Signal | None:
    attack = _successful(lab, proof, list(Scene(lab, proof, witness).attacks()))
    if attack is None:
        return None
    forged = _forged(attack.actor)
    return Signal(
        rule="claims.forged" if forged else "cross_tenant",
        group=forged,
        title=f"What a user can write decides what it sees: {forged}" if forged else "",
        kind="breach",
        severity="high" if lab.model.of(proof.table).kind == "user" else "critical",
        actor=f"an outsider ({proof.role})" if attack.actor.name == OUTSIDER else attack.actor.name,
        object=proof.table,
        command=proof.command,
        evidence=f"a row of another tenant passes when {proof.counterexample or 'it exists'}",
        why="The policies let a row of another tenant pass: a proof failed, and its"
        " counter-example was built and worked.",
        fix="Compare the row's own tenant with the tenants of the caller's active memberships.",
        statement=attack.statement,
        who=attack.actor,
        tables=(proof.table,),
        pre=attack.pre,
    )


def _successful(lab: Lab, proof: Proof, attacks: Sequence[Attack]) -> Attack | None:
    """Run the attacks on one world, and return the first that worked."""
    reads = proof.command == "select"
    probes = [Probe(a.actor, a.statement, rows=reads, pre=a.pre, replica=True) for a in attacks]
    outcomes = lab.run(probes)
    if proof.command in ("update", "delete") and proof.clause == "using":
        # The same statement without the row in question: what remains is what it reached.
        bare = [
            Probe(a.actor, a.statement, pre=a.pre[1:] or ("select 1",), replica=True)
            for a in attacks
        ]
        for attack, outcome, without in zip(attacks, outcomes, lab.run(bare), strict=True):
            if outcome.ok and without.ok and outcome.affected > without.affected:
                return attack
        return None
    return next(
        (a for a, o in zip(attacks, outcomes, strict=True) if _passed(o, proof.command)), None
    )


def _passed(outcome: Outcome, command: str) -> bool:
    if command == "select":
        return outcome.ok and outcome.result is not None
    # Constraints come after policies.
    return outcome.constraint or (outcome.ok and (command == "insert" or outcome.affected > 0))


def _forged(actor: Actor) -> str:
    """Name what the caller wrote itself, where it needed to."""
    if any(actor.claims.get(name) for name in FORGEABLE):
        return "forged user_metadata"
    return "forged request headers" if actor.headers else ""
