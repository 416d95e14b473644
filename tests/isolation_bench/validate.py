"""Prove the benchmark itself: what is called a leak leaks, and nothing else does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from isolation_bench.attack import Outcome, proof_holds
from isolation_bench.database import Bench, standing_claims
from isolation_bench.variants import Variant, variants

Standing = Mapping[str, Mapping[str, Any]]


def try_proof(
    connection: psycopg.Connection[Any],
    variant: Variant,
    standing: Standing,
    *,
    patch: str,
) -> tuple[bool, list[Outcome]]:
    """Evaluate the proof of ``variant`` with ``patch`` applied, and roll everything back."""
    with connection.transaction(force_rollback=True):
        if patch:
            connection.execute("set local session authorization postgres")
            connection.execute(patch.encode())
            connection.execute("reset session authorization")
        return proof_holds(connection, variant, standing)


def problems_of(
    connection: psycopg.Connection[Any], variant: Variant, standing: Standing
) -> list[str]:
    """Return what is wrong with one variant: nothing, if it does what it says."""
    expected = {
        "leaks": (False, True),
        "restrictions": (True, False),
        "harmless": (True, True),
    }[variant.kind]
    problems: list[str] = []
    for state, patch, wanted in zip(
        ("clean", "patched"), ("", variant.patch), expected, strict=True
    ):
        holds, outcomes = try_proof(connection, variant, standing, patch=patch)
        if holds is not wanted:
            problems.append(
                f"{variant.id}: proof is {holds} on the {state} schema, not {wanted}: {outcomes}"
            )
    return problems


def crossed(
    connection: psycopg.Connection[Any],
    harmless: Variant,
    others: Sequence[Variant],
    standing: Standing,
) -> list[str]:
    """Run every exploit of the schema against a harmless variant: none may succeed.

    What over-restrictions take away must still be there.
    """
    problems: list[str] = []
    for other in others:
        if other.kind == "harmless":
            continue
        holds, outcomes = try_proof(connection, other, standing, patch=harmless.patch)
        if holds is (other.kind == "leaks"):
            problems.append(f"{harmless.id}: changes {other.id}: {outcomes}")
    return problems


def validate(bench: Bench, schema: str) -> list[str]:
    """Return the problems of one schema and all its variants."""
    members = tuple(variants(schema=schema))
    standing = standing_claims(schema)
    problems: list[str] = []
    with bench.populated(schema) as connection:
        for variant in members:
            problems += problems_of(connection, variant, standing)
            if variant.kind == "harmless":
                problems += crossed(connection, variant, members, standing)
    return problems
