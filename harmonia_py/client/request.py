"""What both clients send: filters, order, pages. Nothing here talks to a server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from harmonia_py.errors import ApiUnavailable, UsageError
from harmonia_py.html import sanitize

__all__ = ["MAX_PAGE", "apply_filters", "apply_order", "body", "check_tokens", "plain", "rows"]

#: Rows the server returns at most (PostgREST ``db-max-rows``).
MAX_PAGE = 1000

_OPERATORS = {"eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "is", "in", "not_null"}


def check_tokens(**tokens: str | None) -> None:
    """Raise :class:`UsageError` for what no header can hold, such as the newline of a file.

    Without a word of it: sent as it is, it would be in what goes wrong then.
    """
    for name, token in tokens.items():
        if token and not re.fullmatch(r"[!-~]+", token):
            raise UsageError(
                f"{name} holds white space or something else that no token holds",
                hint="a token that was read from a file often ends in a newline: strip it",
            )


def rows(data: Any) -> list[Any]:
    """Return the rows of an answer.

    Raises :class:`ApiUnavailable` for anything else: it came from between us and the server.
    """
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise ApiUnavailable("what answered is not the server's API", server_code="no_rows")
    return data


def plain(value: Any) -> Any:
    """Return a value as JSON has it: ids and times as text."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def body(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a record to write; rich text (``*_html``) is sanitized here."""
    return {
        name: sanitize(value) if name.endswith("_html") and isinstance(value, str) else plain(value)
        for name, value in values.items()
    }


def apply_filters(query: Any, filters: Mapping[str, Any]) -> Any:
    """Add ``field=value`` and ``field__operator=value`` filters to a supabase-py query.

    ``None`` means "is null", a list means "one of", ``field__not_null=True`` what it says.
    Raises :class:`UsageError` for an operator that is not known.
    """
    for key, value in filters.items():
        name, _, operator = key.partition("__")
        operator = operator or (
            "is" if value is None else "in" if isinstance(value, list | tuple | set) else "eq"
        )
        if operator not in _OPERATORS:
            raise UsageError(
                f"there is no filter {operator!r}", hint=f"use one of: {', '.join(_OPERATORS)}"
            )
        if operator == "is":
            query = query.is_(name, "null" if value is None else value)
        elif operator == "not_null":
            query = query.not_.is_(name, "null") if value else query.is_(name, "null")
        elif operator == "in":
            query = query.in_(name, [plain(item) for item in value])
        else:
            query = getattr(query, operator)(name, plain(value))
    return query


def apply_order(query: Any, order: str | None) -> Any:
    """Add ``"created_at.desc,id"``; without one, pages could repeat or skip rows."""
    for part in (order or "id").split(","):
        name, _, direction = part.strip().partition(".")
        if direction not in ("", "asc", "desc"):
            raise UsageError(f"{part!r} is no order", hint="write created_at.desc or name")
        query = query.order(name, desc=direction == "desc")
    return query
