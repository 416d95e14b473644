"""Signing up: what the sign-up form sends must not decide what the new person may see.

Supabase Auth stores whatever a client passes as ``options.data`` in ``raw_user_meta_data``; a
trigger on ``auth.users`` that copies a right out of it lets everybody choose their own.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg

from harmonia_py.isolation.actors import Actor
from harmonia_py.isolation.finding import Signal
from harmonia_py.isolation.lab import Lab, Probe
from harmonia_py.isolation.probes import statements
from harmonia_py.isolation.probes.tickets.shares import sight
from harmonia_py.isolation.references import literals

__all__ = ["arrival", "probe", "signed_up"]

_KEY = re.compile(r"(?:->>?|\?)\s*'([^']+)'")
_PERSON = uuid.UUID("5b0e6d0e-7c3a-4d55-9c8e-2f64a1b7d913")
_MOST = 60


def probe(lab: Lab) -> list[Signal]:
    """Sign up with every value that could mean rights, and compare with a plain sign-up."""
    function, keys = _read(lab)
    look = sight(lab)
    if not keys or not look or not lab.wants(function):
        return []
    # A form that sends something is the usual case; a trigger may insist on it.
    plain: dict[str, Any] = {}
    usual = signed_up(lab, look, plain)
    if usual is None:
        plain = {key: f"hz-{key}"[:20] for key in keys}
        usual = signed_up(lab, look, plain)
    if usual is None:
        return []
    told: dict[str, Signal] = {}
    for key, value in _forms(lab, keys):
        seen = None if key in told else signed_up(lab, look, plain | {key: value})
        if seen is None:
            continue
        actor, visible, stored = seen
        # What the sign-up itself made (a profile, a first tenant) is the new person's own.
        more = [
            name
            for name, count in visible.items()
            if count - usual[1].get(name, 0) > max(0, stored[name] - usual[2].get(name, 0))
        ]
        if more:
            told[key] = _signal(lab, function, actor, key, value, more, look)
    return list(told.values())


def _read(lab: Lab) -> tuple[str, list[str]]:
    """Return the sign-up function that reads the form's data, and the keys it reads."""
    users = lab.catalog.platform.get("auth.users")
    names = {t.function.partition("(")[0] for t in users.triggers} if users else set()
    for function in lab.catalog.functions.values():
        if not function.is_trigger or not names & {
            f"{function.schema}.{function.name}",
            function.name,
        }:
            continue
        text = lab.refs.closure_text(function.source)
        if "raw_user_meta_data" in text:
            return function.key, list(dict.fromkeys(_KEY.findall(text)))[:12]
    return "", []


def _forms(lab: Lab, keys: list[str]) -> Iterator[tuple[str, Any]]:
    """List what a form may send under each key: truth, the other tenant, words for rights."""
    words = [v for v in literals(lab.refs.everything) if re.fullmatch(r"[A-Za-z_]{3,24}", v)]
    listed = [v for t in lab.catalog.tables.values() for c in t.columns for v in c.labels]
    known = set(listed) | {
        v for t in lab.catalog.tables.values() for k in t.checks for v in literals(k.expression)
    }
    # A word that some column may hold and that code asks for says more than any other.
    ranked = sorted(dict.fromkeys(words), key=lambda w: w not in known)
    values = [True, lab.cast.b.id, *lab.model.roles[:4], *ranked]
    count = max(4, _MOST // len(keys))
    for key in keys:
        for value in list(dict.fromkeys(map(str, values)))[:count]:
            yield key, value.lower() if value == "True" else value


def signed_up(
    lab: Lab,
    look: str,
    form: dict[str, Any],
    email: str = "hz-new@example.test",
    *,
    confirmed: bool = True,
) -> tuple[Actor, dict[str, int], dict[str, int]] | None:
    """Create a person as Supabase Auth does; return what they see and what there is."""
    user = str(_PERSON)
    with lab.rolled_back():
        try:
            with lab.conn.transaction():
                lab.conn.execute("set local statement_timeout = '2s'")
                row = lab.conn.execute(
                    arrival(lab, user, email, form, confirmed=confirmed).encode()
                ).fetchone()
                total = lab.conn.execute(look.encode()).fetchone()
        except psycopg.Error:
            return None
        given = row[0] if row else {}
        actor = Actor(
            "somebody new",
            "authenticated",
            user,
            "stranger",
            claims={
                "sub": user,
                "role": "authenticated",
                "aud": "authenticated",
                "email": email,
                "aal": "aal1",
                "is_anonymous": False,
                "app_metadata": given or {},
                "user_metadata": form,
            },
        )
        (outcome,) = lab.run([Probe(actor, look, rows=True)])
    if not outcome.ok or not isinstance(outcome.result, dict) or total is None:
        return None
    return actor, outcome.result, total[0]


def arrival(
    lab: Lab, user: str, email: str, form: dict[str, Any], *, confirmed: bool = True
) -> str:
    """Compose what Supabase Auth stores for somebody new, whose address is confirmed or not."""
    users = lab.catalog.platform["auth.users"]
    full: dict[str, Any] = {
        "id": user,
        "instance_id": "00000000-0000-0000-0000-000000000000",
        "aud": "authenticated",
        "role": "authenticated",
        "email": email,
        "email_confirmed_at": "2026-01-01T00:00:00Z" if confirmed else None,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "raw_app_meta_data": {"provider": "email"},
        "raw_user_meta_data": form,
        "is_sso_user": False,
        "is_anonymous": False,
    }
    return f"{statements.store(lab, users, full)} returning raw_app_meta_data"


def _signal(
    lab: Lab, function: str, actor: Actor, key: str, value: Any, more: list[str], look: str
) -> Signal:
    form = actor.claims["user_metadata"]
    came = arrival(lab, str(actor.user), str(actor.claims["email"]), form)
    return Signal(
        "escalation.signup",
        "escalation",
        "critical",
        actor.name,
        function,
        "execute",
        f"signing up with {key} = {value} shows more rows of {', '.join(more[:4])}",
        "Whoever signs up writes raw_user_meta_data: a right copied out of it is one that everybody"
        " can give themselves.",
        f"Do not read {key} from raw_user_meta_data in {function.partition('(')[0]}.",
        look,
        actor,
        tuple(more[:4]),
        group=f"{function} {key}",
        title="{object}: the sign-up form decides what a new person may see",
        pre=("set local session_replication_role = origin", came),
    )
