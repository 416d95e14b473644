"""From an answer of the server to one hierarchy of errors: code, field, message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from harmonia_py.errors import (
    ApiConflict,
    ApiError,
    ApiInvalid,
    ApiNotFound,
    ApiUnavailable,
    NotSignedIn,
    PermissionDenied,
    RateLimited,
)

__all__ = ["from_answer", "not_there"]

_CONSTRAINT = re.compile(r'relation "(\w+)" violates check constraint "(\w+)"')
_UNIQUE = re.compile(r'unique constraint "(\w+)"')
_REFERENCE = re.compile(r'table "(\w+)" violates foreign key constraint "(\w+)"')
_COLUMN = re.compile(r'column "(\w+)"')
_UNKNOWN = re.compile(r"(?:the|Column) '(\w+)'")
_SECONDS = re.compile(r"in (\d+) seconds")
_SUFFIX = re.compile(r"_(?:check|safe|key|fkey|idx)$")

_BY_STATUS: dict[int, type[ApiError]] = {
    400: ApiInvalid,
    401: NotSignedIn,
    403: PermissionDenied,
    404: ApiNotFound,
    409: ApiConflict,
    411: ApiInvalid,
    413: ApiInvalid,
    422: ApiInvalid,
    503: ApiUnavailable,
}


def from_answer(body: Mapping[str, Any]) -> ApiError:
    """Return the error for PostgREST's ``{"code", "message", "details", "hint"}``."""
    code = str(body.get("code") or "")
    message = str(body.get("message") or "the server refused the request")
    details = str(body.get("details") or "")
    hint = str(body.get("hint") or "") or None
    if code == "PT429":
        found = _SECONDS.search(hint or "")
        return RateLimited(
            message, hint=hint, server_code=details, retry_after=int(found[1]) if found else 1
        )
    if re.fullmatch(r"PT\d{3}", code):
        kind = _BY_STATUS.get(int(code[2:]), ApiError)
        return kind(message, hint=hint, server_code=details)
    if re.fullmatch(r"[1-5]\d{2}", code):
        # No word of PostgREST's: a gateway before it answered with a page of its own.
        return _from_gateway(int(code), message)
    return _from_sqlstate(code, message, hint)


def _from_gateway(status: int, message: str) -> ApiError:
    if status == 429:
        return RateLimited(message, server_code="gateway.429", retry_after=1)
    kind = ApiUnavailable if status >= 500 else _BY_STATUS.get(status, ApiError)
    return kind(message, server_code=f"gateway.{status}")


def _from_sqlstate(code: str, message: str, hint: str | None) -> ApiError:
    field: str | None
    match code:
        case "23514" if found := _CONSTRAINT.search(message):
            field = _SUFFIX.sub("", found[2].removeprefix(f"{found[1]}_"))
            return _invalid("record.invalid", field, f"{field} is not valid", hint)
        case "23502" | "22004":
            field = _first(_COLUMN, message)
            return _invalid("record.required", field, f"{field} is required", hint)
        case "22P02" | "22007" | "22008" | "22003" | "22P05" | "22021" | "PGRST102":
            return _invalid("record.malformed", None, message, hint)
        case "PGRST204":
            field = _first(_UNKNOWN, message)
            return _invalid("record.unknown_field", field, message, hint)
        case "PGRST100" | "PGRST108" | "42703":
            return _invalid("request.filter", None, message, hint)
        case "23505":
            field = _SUFFIX.sub("", _first(_UNIQUE, message) or "")
            return ApiConflict(message, hint=hint, server_code="record.duplicate", field=field)
        case "23503":
            found = _REFERENCE.search(message)
            field = _SUFFIX.sub("", found[2].removeprefix(f"{found[1]}_")) if found else None
            return ApiConflict(message, hint=hint, server_code="record.reference", field=field)
        case "42501":
            return PermissionDenied(message, hint=hint, server_code="permission.denied")
        case "PGRST116":
            return not_there()
        case "PGRST202" | "PGRST205" | "42P01":
            return ApiNotFound(message, hint=hint, server_code="route.unknown")
        case "PGRST301" | "PGRST302" | "PGRST303":
            return NotSignedIn(message, hint=hint, server_code="session.expired")
        case "57014":
            return ApiUnavailable(message, hint=hint, server_code="request.timeout")
    return ApiError(message, hint=hint, server_code=code or "unknown")


def not_there() -> ApiNotFound:
    """Return the error for a record that is not there, or not there for the caller."""
    return ApiNotFound(
        "there is no such record, or it may not be seen or changed",
        hint="check the id, the active organization and the permissions",
        server_code="record.not_found",
    )


def _invalid(code: str, field: str | None, message: str, hint: str | None) -> ApiInvalid:
    return ApiInvalid(message, hint=hint, server_code=code, field=field)


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found[1] if found else None
