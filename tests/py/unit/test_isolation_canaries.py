"""Whose a value is: told by words and numbers, and not by the digits of what is random."""

from __future__ import annotations

import pytest

from harmonia_py.isolation.fixtures import Fixtures

UUID = "2f6c1d0e-5b1a-4c8e-9a57-3d1f0b7c9e42"
FIXTURES = Fixtures(canaries={"7000313": "B", UUID: "A", "hzb0042": "B"})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a total of 7000313", {"7000313": "B"}),
        ("INV7000313", {"7000313": "B"}),
        ("2026-7000313/x", {"7000313": "B"}),
        (f"see /files/{UUID}.pdf", {UUID: "A"}),
        ("copy-of-hzb0042x", {"hzb0042": "B"}),
    ],
)
def test_a_value_is_traced_wherever_it_stands(text: str, found: dict[str, str]) -> None:
    assert FIXTURES.owner_of(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "\\xab7000313cdef0123456789abcdef0123456789abcdef",
        "a7000313-1111-4111-8111-111111111111 of nobody",
        "01990000-0000-7000-8000-ab7000313cde",
    ],
)
def test_digits_inside_a_digest_or_a_random_id_are_nobody_s(text: str) -> None:
    assert FIXTURES.owner_of(text) == {}
