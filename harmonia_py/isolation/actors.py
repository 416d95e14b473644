"""The cast: who tries what. Every role of two tenants, those who lost access, and outsiders."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field, replace
from typing import Any

from harmonia_py.isolation.model import TenancyModel

__all__ = ["Actor", "Cast", "Tenant", "carrying", "cast", "user_id"]

_SPACE = uuid.UUID("6b1f7a52-0c1e-4a77-9d55-1f0e5c3a9a10")
_MAX_ROLES = 10


def user_id(name: str) -> str:
    """Return the fixed user id of an actor's name."""
    return str(uuid.uuid5(_SPACE, f"user:{name}"))


@dataclass(frozen=True, slots=True)
class Tenant:
    """One of the two tenants; B's token begins with A's, so that prefix tricks show."""

    label: str
    id: str
    token: str


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody with a database role, claims and memberships.

    ``state`` is active, inactive:<value>, deleted, ended:<column>, expired, removed, fresh, both,
    stranger, anonymous, anon or moved (now in A, once in B, where rows still name it).
    ``tenants`` maps the labels of the tenants the actor is an *active* member of to the role
    there; ``former`` is the tenant it once belonged to.
    """

    name: str
    role: str
    user: str | None
    state: str
    tenants: dict[str, str] = field(default_factory=dict)
    former: str | None = None
    claims: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def is_member(self) -> bool:
        """Whether the actor is an ordinary active member of exactly one tenant."""
        return self.state == "active"

    def session(self) -> dict[str, str]:
        """Return the settings PostgREST would make for this actor, by name."""
        out = {
            "request.jwt.claims": json.dumps(self.claims, separators=(",", ":")),
            "request.headers": json.dumps(self.headers, separators=(",", ":")),
            "request.jwt.claim.sub": self.user or "",
            "request.jwt.claim.role": self.role,
            "request.jwt.claim.email": str(self.claims.get("email", "")),
            "request.method": "POST",
            "request.path": "/",
        }
        return out | self.settings

    def with_claims(self, name: str, **claims: Any) -> Actor:
        """Return a copy under another name whose claims are overlaid; None removes one."""
        merged = {k: v for k, v in (self.claims | claims).items() if v is not None}
        return replace(self, name=name, claims=merged)


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody, and the two tenants."""

    a: Tenant
    b: Tenant
    actors: tuple[Actor, ...]

    def get(self, name: str) -> Actor:
        """Return the actor called ``name``; raises KeyError."""
        for actor in self.actors:
            if actor.name == name:
                return actor
        raise KeyError(name)

    def members(self, label: str) -> list[Actor]:
        """Return the ordinary active members of one tenant, strongest role first."""
        return [a for a in self.actors if a.is_member and label in a.tenants]

    def tenant(self, label: str) -> Tenant:
        """Return tenant A or B."""
        return self.a if label == "A" else self.b

    def labels(self) -> dict[str, str]:
        """Map both tenants' ids to their labels."""
        return {self.a.id: "A", self.b.id: "B"}


def cast(
    model: TenancyModel,
    roles: tuple[str, ...] = ("anon", "authenticated"),
    *,
    one_each: bool = False,
    stale: bool = False,
) -> Cast:
    """Make the actors a model calls for; ``roles`` are the API roles that exist.

    ``one_each`` says that a user can be a member of one tenant only; ``stale`` that policies look
    memberships up, so that a token which still names the tenant must be of no use.
    """
    a, b = _tenant(model, "A", "hza"), _tenant(model, "B", "hzab")
    actors: list[Actor] = []
    membership = model.membership
    for tenant in (a, b):
        for role in model.roles[:_MAX_ROLES]:
            actors.append(_actor(model, f"{tenant.label}.{role}", tenant, role, "active"))
    weakest = model.roles[-1]
    usual = model.roles[min(1, len(model.roles) - 1)]
    if membership:
        for value in membership.inactive[:3]:
            actors.append(_actor(model, f"A.{value}", a, usual, f"inactive:{value}"))
        if membership.deleted:
            actors.append(_actor(model, "A.deleted", a, usual, "deleted"))
        for column in membership.ended:
            actors.append(_actor(model, f"A.{column}", a, usual, f"ended:{column}"))
        if membership.expires:
            actors.append(_actor(model, "A.expired", a, usual, "expired"))
        actors.append(_actor(model, "A.removed", a, usual, "removed"))
        actors.append(_actor(model, "A.moved", a, usual, "moved"))
        both = _actor(model, "both", a, model.roles[0], "both")
        if not one_each:
            if model.claims and stale:
                # The token names one tenant at a time; what is looked up must be of that one.
                both = replace(_actor(model, "both", b, weakest, "both"), former="A")
            elif model.claims:
                both = _of_both(model, both, _actor(model, "both", b, weakest, "both"))
            actors.append(replace(both, tenants={"A": model.roles[0], "B": weakest}))
    if model.tenant_table or membership or model.claims:
        actors.append(_actor(model, "stranger", None, None, "stranger"))
    actors.append(_actor(model, "A.fresh", a, usual, "fresh"))
    actors.append(_actor(model, "B.fresh", b, usual, "fresh"))
    anonymous = _actor(model, "anonymous", None, None, "anonymous")
    actors.append(anonymous.with_claims("anonymous", is_anonymous=True, email=None))
    if "anon" in roles:
        actors.append(Actor("anon", "anon", None, "anon", claims={"role": "anon"}))
    if stale:
        actors = [
            _still(model, x, a) if x.former == "A" and x.state != "both" else x for x in actors
        ]
    return Cast(a, b, tuple(actors))


def _still(model: TenancyModel, actor: Actor, tenant: Tenant) -> Actor:
    """Give somebody who lost access the claims of the token that has not run out yet."""
    usual = model.roles[min(1, len(model.roles) - 1)]
    claims = _actor(model, actor.name, tenant, usual, "active").claims
    return replace(actor, claims=claims)


def _of_both(model: TenancyModel, one: Actor, other: Actor) -> Actor:
    """Give somebody of two tenants the token that names both, where one is an object of them."""
    claims = dict(one.claims)
    for path in {p.partition(".*")[0] for p in model.claims if ".*" in p}:
        _put(claims, path, _at(one.claims, path) | _at(other.claims, path))
    return replace(one, claims=claims)


def _at(claims: dict[str, Any], path: str) -> dict[str, Any]:
    place: Any = claims
    for key in path.split("."):
        place = place.get(key, {}) if isinstance(place, dict) else {}
    return place if isinstance(place, dict) else {}


def _tenant(model: TenancyModel, label: str, token: str) -> Tenant:
    kind = model.tenant_type
    if kind == "uuid":
        key = str(uuid.uuid5(_SPACE, f"tenant:{label}"))
    elif kind in ("bigint", "integer", "smallint", "numeric"):
        number = {"A": 7310001, "B": 73100012}[label]
        key = str(
            number // {"A": 1000, "B": 10000}[label] + (label == "B")
            if kind == "smallint"
            else number
        )
    else:
        key = token
    return Tenant(label, key, token)


#: When every token was made and when it ends: helpers refuse a token without these.
_ISSUED, _EXPIRES = 1_767_225_600, 4_102_444_800  # the first day of 2026, of 2100


def _actor(
    model: TenancyModel, name: str, tenant: Tenant | None, role: str | None, state: str
) -> Actor:
    user = user_id(name)
    token = tenant.token if tenant else "hzc"
    claims: dict[str, Any] = {
        "sub": user,
        "role": "authenticated",
        "aud": "authenticated",
        "iat": _ISSUED,
        "exp": _EXPIRES,
        "email": f"{name.lower().replace('.', '-').replace(' ', '-')}.{token}@example.test",
        "aal": "aal2",
        "session_id": str(uuid.uuid5(_SPACE, f"session:{name}")),
        "is_anonymous": False,
        "app_metadata": {"provider": "email"},
        "user_metadata": {},
    }
    settings: dict[str, str] = {}
    if tenant is not None and state in ("active", "both", "fresh", "moved"):
        for path, what in model.claims.items():
            carrying(claims, path, what, tenant, role)
        for name_, what in model.settings.items():
            if what == "role":
                settings[name_] = role or ""
            elif what == "user":
                settings[name_] = user
            elif what != "none":
                settings[name_] = tenant.id
    active = {tenant.label: role or ""} if tenant and state in ("active", "fresh", "moved") else {}
    former = tenant.label if tenant and not active else None
    return Actor(name, "authenticated", user, state, active, former, claims, settings)


def carrying(
    claims: dict[str, Any], path: str, what: str, tenant: Tenant, role: str | None
) -> None:
    """Put into a token what the model says of one claim; ``*`` stands for the tenant."""
    named = what in ("role", "roles") or (not what and "role" in path)
    value = role if named else tenant.id
    path = path.replace("*", tenant.id)
    if what in ("tenants", "roles"):
        _put(claims, path, [value])
    elif what != "none" and value is not None:
        _put(claims, path, value)


def _put(claims: dict[str, Any], path: str, value: Any) -> None:
    keys = path.split(".")
    place = claims
    for key in keys[:-1]:
        inner = place.get(key)
        if not isinstance(inner, dict):
            inner = {}
            place[key] = inner
        place = inner
    place[keys[-1]] = value
