"""The isolation benchmark is what it claims: leaks leak and refactorings do not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from isolation_bench import database, variants
from isolation_bench.attack import proof_holds
from isolation_bench.database import Bench
from isolation_bench.validate import problems_of, validate

from harmonia_py.engines import Engine
from harmonia_py.isolation import runner

CHANNELS = {
    "anon",
    "blind write",
    "claims",
    "column privilege",
    "default privileges",
    "dynamic SQL",
    "error text",
    "escalation",
    "foreign key oracle",
    "forged audit",
    "function",
    "helper body",
    "lifecycle",
    "materialized view",
    "move",
    "notice",
    "partition",
    "read",
    "realtime",
    "sequence",
    "steal",
    "storage",
    "table privilege",
    "temp schema",
    "unique oracle",
    "upsert",
    "view",
}


@pytest.fixture(scope="module")
def bench(engine: Engine) -> Bench:
    return Bench(engine)


def test_the_set_has_the_promised_size() -> None:
    counts = Counter(variant.kind for variant in variants.variants())
    assert len(variants.schemas()) >= 5
    assert counts["leaks"] >= 60
    assert counts["harmless"] >= 20
    assert counts["restrictions"] >= 5


def test_leaks_go_over_every_channel() -> None:
    assert CHANNELS <= {variant.channel for variant in variants.variants(kind="leaks")}


def test_each_sentence_is_its_own() -> None:
    said = Counter(variant.says for variant in variants.variants())
    assert [sentence for sentence, times in said.items() if times > 1] == []


@pytest.mark.parametrize("schema", variants.schemas())
def test_every_proof_holds_where_it_should(bench: Bench, schema: str) -> None:
    assert validate(bench, schema) == []


def test_a_variant_without_effect_is_noticed(bench: Bench) -> None:
    """The validator can fail: an empty patch is no leak, and a leak is not harmless."""
    leak = next(variants.variants(schema="helpdesk", kind="leaks"))
    empty = variants.Variant(
        leak.schema, leak.kind, leak.name, leak.channel, leak.object, leak.says,
        "select 1", leak.steps, leak.verdict,
    )  # fmt: skip
    called_harmless = variants.Variant(
        leak.schema, "harmless", leak.name, leak.channel, leak.object, leak.says,
        leak.patch, leak.steps, leak.verdict,
    )  # fmt: skip
    standing = database.standing_claims("helpdesk")
    with bench.populated("helpdesk") as connection:
        assert problems_of(connection, leak, standing) == []
        assert len(problems_of(connection, empty, standing)) == 1
        assert len(problems_of(connection, called_harmless, standing)) == 1


def test_a_clone_is_clean_and_the_patched_clone_is_not(bench: Bench) -> None:
    leak = next(
        variant
        for variant in variants.variants(schema="journal", kind="leaks")
        if variant.name == "profiles_public"
    )
    for variant, expected in ((None, False), (leak, True)):
        with bench.clone("journal", variant) as clone, clone.connect_admin() as connection:
            database.populate(connection, "journal")
            assert proof_holds(connection, leak, {})[0] is expected


@pytest.mark.parametrize("folder", sorted(variants.BROKEN.iterdir()), ids=lambda path: path.name)
def test_a_schema_that_cannot_be_seeded_is_never_safe(engine: Engine, folder: Path) -> None:
    built = database.build(engine, folder, f"broken_{folder.name}")
    try:
        report = runner.verify(built.owner_dsn)
    finally:
        engine.drop_database(built.name)
    assert not report.safe
    assert report.exit_code() in (1, 3, 5)  # 5 where a policy is plainly open as well
    unseeded = "team_users" if folder.name.startswith("membership") else "vault"
    # Where triggers and rules can be put aside, the table has rows after all and is judged.
    said = [f for f in (*report.errors, *report.findings) if unseeded in f.object]
    assert said
    assert all(f.evidence and f.evidence[0] for f in said)
