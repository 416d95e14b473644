"""Rich text: what is kept, what goes, and that twice is once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmonia_py.html import TAGS, sanitize


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("<p>Hi &amp; <b>bye</b></p>", "<p>Hi &amp; <b>bye</b></p>"),
        ("a < b > c & d", "a &lt; b &gt; c &amp; d"),
        ("<p>open", "<p>open</p>"),
        ("<p onclick=x class=y id=z>a</p>", "<p>a</p>"),
        ("<script>alert(1)</script>after", "after"),
        ("x<!-- c -->y", "xy"),
        ("<img src=https://x.example/pixel>", ""),
        (
            '<a href="https://x.example/?a=1&b=2" title="t">x</a>',
            '<a href="https://x.example/?a=1&amp;b=2" title="t"'
            ' rel="noopener noreferrer nofollow">x</a>',
        ),
        (
            "<a href=HTTPS://X.example>x</a>",
            '<a href="https://X.example" rel="noopener noreferrer nofollow">x</a>',
        ),
        ("<a href=/relative>x</a>", '<a rel="noopener noreferrer nofollow">x</a>'),
        ("<a href=javascript:x>x</a>", '<a rel="noopener noreferrer nofollow">x</a>'),
        ("nul\0byte", "nulbyte"),
    ],
)
def test_examples(written: str, stored: str) -> None:
    assert sanitize(written) == stored


@pytest.mark.parametrize("tag", sorted(TAGS - {"tbody", "td", "th", "thead", "tr"}))
def test_every_documented_element_is_kept(tag: str) -> None:
    assert f"<{tag}" in sanitize(f"<{tag}>x</{tag}>")


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_twice_is_once(value: str) -> None:
    once = sanitize(value)
    assert sanitize(once) == once
