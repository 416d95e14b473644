"""The splitter, without a database. The Supabase CLI itself is asked in the integration tests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmonia_py.migrations.split import leading_words, split, split_with_offsets


@pytest.mark.parametrize(
    ("script", "statements"),
    [
        ("select 1; select 2", ["select 1", "select 2"]),
        ("select 'a;b'; select \";\";", ["select 'a;b'", 'select ";"']),
        ("select $$;$$; select $x$ $$;$$ $x$;", ["select $$;$$", "select $x$ $$;$$ $x$"]),
        ("select e'\\';'; select 2", ["select e'\\';'", "select 2"]),
        ("-- a;\nselect 1; /* b; /* c; */ */", ["-- a;\nselect 1", "/* b; /* c; */ */"]),
        (";;\n;", []),
        ("select a$1; select b$1", ["select a$1", "select b$1"]),
        (
            "create function f() returns int begin atomic select case when true then 1 end;"
            " select 2; end; select 3",
            [
                "create function f() returns int begin atomic select case when true then 1 end;"
                " select 2; end",
                "select 3",
            ],
        ),
        ("create rule r as on insert to t do also (select 1; select 2)", None),
    ],
)
def test_split(script: str, statements: list[str] | None) -> None:
    assert split(script) == ([script] if statements is None else statements)


@given(st.text(alphabet="ab1;'\"$-/*()\n \\Eébeginatomc", max_size=60))
def test_offsets_point_at_the_statement(script: str) -> None:
    end = 0
    for statement in split_with_offsets(script):
        assert script.startswith(statement.text, statement.offset)
        assert statement.offset >= end
        end = statement.offset + len(statement.text)


def test_words_are_outside_comments_and_quotes() -> None:
    text = "/* drop */ create -- table\n unique index concurrently \"begin\" on t ('commit')"
    assert leading_words(text) == [
        "create",
        "unique",
        "index",
        "concurrently",
        "''",
        "on",
        "t",
        "''",
    ]
