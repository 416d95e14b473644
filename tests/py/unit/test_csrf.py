"""Signed double-submit tokens."""

from __future__ import annotations

import pytest

from harmonia_py import csrf
from harmonia_py.errors import CsrfRejected, UsageError

SECRET = b"k" * 32


def test_a_token_is_accepted_for_its_session_until_it_is_too_old() -> None:
    token = csrf.issue("session-1", SECRET, now=1000)
    csrf.check(token, token, "session-1", SECRET, now=1000)
    csrf.check(token, token, "session-1", SECRET, now=1000 + csrf.MAX_AGE)
    for now in (1000 + csrf.MAX_AGE + 1, 1000 - 61):
        with pytest.raises(CsrfRejected, match="expired"):
            csrf.check(token, token, "session-1", SECRET, now=now)


def test_no_two_tokens_are_alike() -> None:
    assert csrf.issue("s", SECRET, now=1) != csrf.issue("s", SECRET, now=1)


@pytest.mark.parametrize(
    ("cookie", "header"), [(None, "t"), ("t", None), ("", ""), (None, None), ("a", "b")]
)
def test_both_halves_are_needed_and_equal(cookie: str | None, header: str | None) -> None:
    with pytest.raises(CsrfRejected):
        csrf.check(cookie, header, "s", SECRET)


def test_a_planted_token_of_another_session_or_secret_is_refused() -> None:
    for token in (csrf.issue("other", SECRET), csrf.issue("session-1", b"x" * 32)):
        with pytest.raises(CsrfRejected, match="not issued"):
            csrf.check(token, token, "session-1", SECRET)


def test_every_changed_character_is_noticed() -> None:
    token = csrf.issue("s", SECRET)
    for position in range(len(token)):
        other = "A" if token[position] != "A" else "Q"
        changed = token[:position] + other + token[position + 1 :]
        if position == len(token) - 1:
            continue  # its last bits are padding
        with pytest.raises(CsrfRejected):
            csrf.check(changed, changed, "s", SECRET)


@pytest.mark.parametrize("token", ["x", "é", "=" * 8, "A" * 9, "A" * 5000, "a b", "\x00", "\udcff"])
def test_garbage_is_refused_not_raised(token: str) -> None:
    with pytest.raises(CsrfRejected):
        csrf.check(token, token, "s", SECRET)


def test_a_weak_secret_or_no_session_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        csrf.issue("s", b"short")
    with pytest.raises(UsageError):
        csrf.issue("", SECRET)
