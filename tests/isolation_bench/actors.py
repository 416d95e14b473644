"""The people every benchmark schema is seeded with, and the claims their tokens carry."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_TAIL = "-0000-4000-8000-000000000000"

USERS: Mapping[str, str] = {
    "alice": "a0000001" + _TAIL,  # owner of organization A
    "amy": "a0000002" + _TAIL,  # administrator of A
    "adam": "a0000003" + _TAIL,  # ordinary member of A
    "vera": "a0000004" + _TAIL,  # read-only member of A
    "sam": "a0000005" + _TAIL,  # suspended in A
    "dora": "a0000006" + _TAIL,  # soft-deleted or removed from A, still named in its rows
    "xena": "a0000007" + _TAIL,  # her access to A has expired
    "bob": "b0000001" + _TAIL,  # owner of organization B
    "beth": "b0000002" + _TAIL,  # ordinary member of B
    "tess": "ab000001" + _TAIL,  # member of A and of B
    "carl": "c0000001" + _TAIL,  # owner of C, an organization that was closed
    "ivan": "e0000001" + _TAIL,  # invited to A, not yet a member of anything
    "mallory": "e0000002" + _TAIL,  # signed up, belongs to nothing
    "ghost": "e0000003" + _TAIL,  # anonymous sign-in
}
ORGANIZATIONS: Mapping[str, str] = {
    "org_a": "aaaaaaaa" + _TAIL,
    "org_b": "bbbbbbbb" + _TAIL,
    "org_c": "cccccccc" + _TAIL,
}
_NAMES = {**USERS, **ORGANIZATIONS}
_VARIABLE = re.compile(r"(?<![:\w]):(" + "|".join(_NAMES) + r")\b")
_TEXT_VARIABLE = re.compile(r"\{(" + "|".join(_NAMES) + r")\}")


def substitute(sql: str) -> str:
    """Return ``sql`` with ``:alice`` as a quoted uuid and ``{alice}`` as its bare text."""
    sql = _VARIABLE.sub(lambda found: f"'{_NAMES[found[1]]}'::uuid", sql)
    return _TEXT_VARIABLE.sub(lambda found: _NAMES[found[1]], sql)


def role_of(actor: str) -> str:
    """Return the database role a request of ``actor`` runs as."""
    return {"anon": "anon", "gotrue": "supabase_auth_admin"}.get(actor, "authenticated")


def claims_of(
    actor: str, standing: Mapping[str, Any], changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the token claims of ``actor``.

    ``standing`` is what the schema's ``claims.json`` gives this actor; ``changes`` is what one
    exploit alters. A change to ``None`` removes the claim.
    """
    if actor in ("anon", "gotrue"):
        claims: dict[str, Any] = {"role": "anon"} if actor == "anon" else {}
    else:
        claims = {
            "sub": USERS[actor],
            "role": "authenticated",
            "aal": "aal1",
            "email": f"{actor}@bench.test",
            "is_anonymous": actor == "ghost",
            "app_metadata": {"provider": "email"},
            "user_metadata": {},
        }
    for source in (standing, changes):
        for key, value in source.items():
            if value is None:
                claims.pop(key, None)
            else:
                claims[key] = value
    return json.loads(substitute(json.dumps(claims)))  # type: ignore[no-any-return]
