"""Read the benchmark set: one directory per schema, one file per variant.

A variant file is SQL with a small header, a patch, and a proof::

    -- channel: blind write
    -- object: public.tickets
    -- says: The delete policy forgets the organization.
    drop policy ...;
    -- exploit as adam
    delete from public.tickets;
    -- leaks when not exists (select from public.tickets where org_id = :org_b)

``-- exploit as NAME [with JSON]`` may be repeated; the JSON changes the actor's claims, except the
key ``headers``, which becomes ``request.headers``, and ``topic``, which becomes
``realtime.topic``. The last line says when the proof holds:

* ``rows``: the last statement returned a row;
* ``error REGEX`` / ``notice REGEX``: the last error (``SQLSTATE message detail``) or notice fits;
* ``differs``: the last two statements ended differently (rows or error);
* anything else: a boolean expression evaluated afterwards as superuser.

Over-restrictions prove the reverse, ``-- works when``: true on the base, false when patched.
Harmless files may use either; their proof must hold on both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SCHEMAS = Path(__file__).parent / "schemas"
BROKEN = Path(__file__).parent / "broken_seeding"
KINDS = ("leaks", "harmless", "restrictions")

_HEADER = re.compile(r"^-- (channel|object|says): (.+)$")
_STEP = re.compile(r"^-- (?:exploit|request) as (\w+)(?: with (\{.*\}))?$")
_VERDICT = re.compile(r"^-- (leaks|works) when (.+)$")


@dataclass(frozen=True, slots=True)
class Step:
    """What one actor sends, with the changes to that actor's claims."""

    actor: str
    changes: Mapping[str, Any]
    sql: str


@dataclass(frozen=True, slots=True)
class Variant:
    """One patch on a clean schema, with the script that proves what it does."""

    schema: str
    kind: str
    name: str
    channel: str
    object: str
    says: str
    patch: str
    steps: tuple[Step, ...]
    verdict: str

    @property
    def id(self) -> str:
        """``schema/kind/name``: unique over the whole set."""
        return f"{self.schema}/{self.kind}/{self.name}"


@dataclass(slots=True)
class _Draft:
    header: dict[str, str] = field(default_factory=dict)
    patch: list[str] = field(default_factory=list)
    steps: list[tuple[str, dict[str, Any], list[str]]] = field(default_factory=list)
    verdict: str = ""


def parse(path: Path) -> Variant:
    """Return the variant in ``path``; raise ``ValueError`` when its header or proof is missing."""
    draft = _Draft()
    for line in path.read_text(encoding="utf-8").splitlines():
        if found := _HEADER.match(line):
            draft.header[found[1]] = found[2]
        elif found := _STEP.match(line):
            draft.steps.append((found[1], json.loads(found[2] or "{}"), []))
        elif found := _VERDICT.match(line):
            draft.verdict = found[2]
        elif draft.verdict:
            # A long expression goes on in the comment lines that follow.
            draft.verdict += " " + line.removeprefix("--").strip()
        elif draft.steps:
            draft.steps[-1][2].append(line)
        else:
            draft.patch.append(line)
    missing = {"channel", "object", "says"} - draft.header.keys()
    if missing or not draft.steps or not draft.verdict:
        raise ValueError(f"{path}: incomplete variant ({sorted(missing) or 'no proof'})")
    return Variant(
        schema=path.parent.parent.name,
        kind=path.parent.name,
        name=path.stem,
        patch="\n".join(draft.patch).strip(),
        steps=tuple(Step(actor, with_, "\n".join(sql)) for actor, with_, sql in draft.steps),
        verdict=draft.verdict.strip(),
        **draft.header,
    )


def schemas() -> tuple[str, ...]:
    """Return the names of the benchmark schemas."""
    return tuple(sorted(path.name for path in SCHEMAS.iterdir() if path.is_dir()))


def variants(
    *, schema: str | None = None, kind: str | None = None, only: Collection[str] = ()
) -> Iterator[Variant]:
    """Yield the variants: those of one schema, of one kind, or whose id has one of some parts."""
    for name in schemas():
        if schema not in (None, name):
            continue
        for folder in KINDS:
            if kind in (None, folder):
                for path in sorted((SCHEMAS / name / folder).glob("*.sql")):
                    variant = parse(path)
                    if not only or any(part in variant.id for part in only):
                        yield variant


def migrations(folder: Path) -> tuple[Path, ...]:
    """Return the migration files of a schema folder in order."""
    return tuple(sorted((folder / "supabase" / "migrations").glob("*.sql")))
