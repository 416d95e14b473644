"""From the server's answers to errors a form can show."""

from __future__ import annotations

from pathlib import Path

import pytest

import harmonia_py.client
from harmonia_py import errors
from harmonia_py.client.problems import from_answer
from harmonia_py.reference.unasync import derive


@pytest.mark.parametrize(
    ("body", "kind", "code", "field"),
    [
        (
            {
                "code": "23514",
                "message": 'new row for relation "contacts" violates check constraint'
                ' "contacts_email_check"',
            },
            errors.ApiInvalid,
            "record.invalid",
            "email",
        ),
        (
            {
                "code": "23514",
                "message": 'new row for relation "activities" violates check constraint'
                ' "activities_body_html_safe"',
            },
            errors.ApiInvalid,
            "record.invalid",
            "body_html",
        ),
        (
            {"code": "23502", "message": 'null value in column "name" of relation "tags"'},
            errors.ApiInvalid,
            "record.required",
            "name",
        ),
        (
            {
                "code": "PGRST204",
                "message": "Could not find the 'x' column of 'tags' in the schema cache",
            },
            errors.ApiInvalid,
            "record.unknown_field",
            "x",
        ),
        (
            {"code": "42501", "message": "permission denied for table x"},
            errors.PermissionDenied,
            "permission.denied",
            None,
        ),
        (
            {"code": "PT403", "message": "m", "details": "role.outranked", "hint": "h"},
            errors.PermissionDenied,
            "role.outranked",
            None,
        ),
        (
            {"code": "PGRST301", "message": "JWT expired"},
            errors.NotSignedIn,
            "session.expired",
            None,
        ),
        ({"code": "22P02", "message": "bad uuid"}, errors.ApiInvalid, "record.malformed", None),
        ({"code": "XX000", "message": "?"}, errors.ApiError, "XX000", None),
        ({}, errors.ApiError, "unknown", None),
    ],
)
def test_each_answer_has_a_class_a_code_and_a_field(
    body: dict[str, str], kind: type[errors.ApiError], code: str, field: str | None
) -> None:
    error = from_answer(body)
    assert type(error) is kind
    assert (error.server_code, error.field) == (code, field)


def test_too_many_requests_say_when_to_come_back() -> None:
    error = from_answer(
        {"code": "PT429", "details": "rate_limit.exceeded", "hint": "try again in 7 seconds"}
    )
    assert isinstance(error, errors.RateLimited)
    assert error.retry_after == 7


def test_the_plain_client_is_the_asynchronous_one_without_await() -> None:
    folder = Path(harmonia_py.client.__file__).parent
    derived = derive((folder / "asynchronous.py").read_text(encoding="utf-8"))
    assert (folder / "synchronous.py").read_text(encoding="utf-8") == derived
