"""What the mutator makes of a function's text, and when a mutant does not count."""

from __future__ import annotations

import pytest

from harmonia_py.isolation.catalog import Function
from harmonia_py.isolation.lab import Change, Outcome
from harmonia_py.isolation.mutation.bodies import bodies
from harmonia_py.isolation.mutation.redundancy import refused_anyway

SOURCE = """
begin
    delete from public.seats as s
    where
        s.id = p_id
        and s.user_id = v_user_id
        -- Whoever is suspended is looked at first.
        and s.user_id is not null;
    if not found then
        raise exception 'no';
    end if;
end;
"""


def _function(source: str) -> Function:
    return Function(
        1, "public", "leave", "f", (), "void", returns_set=False, language="plpgsql",
        volatility="v", definer=True, owner="postgres", source=source,
        definition=f"create function public.leave() ... as $$ {source} $$",
    )  # fmt: skip


def test_a_term_that_goes_leaves_no_comment_to_swallow_what_follows() -> None:
    made = list(bodies(_function(SOURCE), frozenset({"user_id"})))
    assert [b.description for b in made] == [
        "query without condition 1",
        "query without condition 2",
    ]
    last = made[1].statement.splitlines()
    comment = next(n for n, line in enumerate(last) if "--" in line)
    assert last[comment].endswith("first.")
    assert last[comment + 1] == ";"


def _outcome(code: str, *changes: Change, result: object = None) -> Outcome:
    return Outcome(code, code, "", "", 0, result, changes)


REFUSED = _outcome("PT404")
CHANGE = Change("public.seats", "gone", None, {})


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        ([_outcome("23503")], "a constraint refuses the same"),
        ([_outcome("42501")], "the statement that follows is refused as well"),
        ([_outcome("PT409")], "a later check refuses the same"),
        ([_outcome("00000", result=[None])], "nothing is changed and nothing told"),
        # Nothing was seen: no reason.
        ([REFUSED], None),
        # It came through, and did or told something.
        ([_outcome("00000", CHANGE)], None),
        ([_outcome("00000", result=[{"id": 1}])], None),
        ([_outcome("23503"), _outcome("00000", CHANGE)], None),
        # A timeout is no refusal.
        ([_outcome("57014")], None),
    ],
)
def test_a_reason_counts_only_when_it_was_seen_and_nothing_came_through(
    now: list[Outcome], reason: str | None
) -> None:
    found = refused_anyway([REFUSED] * len(now), now)
    assert found is None if reason is None else found is not None and reason in found
