"""Samples of regular expressions: one that matches, or none, never an error."""

from __future__ import annotations

import re

import pytest

from harmonia_py.isolation.fixtures.values import sample


@pytest.mark.parametrize("pattern", [r"^[A-Z]{3}-\d+$", r"^(new|won)_[^a]$", r"x.y{2,}?z"])
def test_a_sample_matches(pattern: str) -> None:
    made = sample(pattern, "seed")
    assert made is not None
    assert re.search(pattern, made)


@pytest.mark.parametrize("pattern", [r"^(a|b)\1$", r"(a)?(?(1)b|c)", "[", "a{2,1}"])
def test_what_cannot_be_sampled_gives_none(pattern: str) -> None:
    assert sample(pattern, "seed") is None
