"""The short forms of the connectives mean what z3's own mean."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import z3

from harmonia_py.isolation.proof.formulas import NO, YES, all_of, any_of, negated

PARTS = (YES, NO, z3.Bool("a"), z3.Bool("b"))


def mean_the_same(one: Any, other: Any) -> bool:
    solver = z3.Solver()
    solver.add(one != other)
    return bool(solver.check() == z3.unsat)


@pytest.mark.parametrize("count", range(4))
def test_each_is_what_z3_makes_of_it(count: int) -> None:
    for parts in product(PARTS, repeat=count):
        assert mean_the_same(all_of(*parts), z3.And(*parts, z3.BoolVal(val=True)))
        assert mean_the_same(any_of(*parts), z3.Or(*parts, z3.BoolVal(val=False)))


def test_a_negation_is_what_z3_makes_of_it() -> None:
    assert all(mean_the_same(negated(part), z3.Not(part)) for part in PARTS)
    assert not any(mean_the_same(negated(part), part) for part in PARTS)


def test_what_is_plain_stays_plain() -> None:
    a = z3.Bool("a")
    assert (all_of(), any_of(), negated(YES), negated(NO)) == (YES, NO, NO, YES)
    assert all_of(YES, a) is a and any_of(a, NO) is a
    assert all_of(a, NO) is NO and any_of(a, YES) is YES
