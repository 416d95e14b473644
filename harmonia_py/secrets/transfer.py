"""Many secrets in and out: ``.env`` and JSON in, an age-encrypted document out and in."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from harmonia_py.errors import InvalidSecret, SecretAccessDenied
from harmonia_py.secrets.context import audience_of, check_name
from harmonia_py.secrets.recovery import decrypt, encrypt_to
from harmonia_py.secrets.store import SecretStore, checked, context_for, hint_of
from harmonia_py.secrets.value import Secret
from harmonia_py.secrets.vault import Actor

__all__ = ["Item", "export_to", "import_all", "parse_env", "parse_export", "parse_json"]

_LINE = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_FORMAT = "harmonia.secrets.v1"


@dataclass(frozen=True, slots=True)
class Item:
    """A secret on its way."""

    name: str
    value: Secret
    kind: str = "api_key"
    audience: str = ""
    provider: str | None = None


def parse_env(data: bytes) -> list[Item]:
    """Return the items of ``NAME=value`` lines; names become lower case, quotes are removed."""
    items: dict[str, Item] = {}
    for number, line in enumerate(_decoded(data).split("\n"), 1):
        text = line.strip(" \t\r")
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            raise InvalidSecret(f"line {number} is not NAME=value")
        value = match[2].strip(" \t")
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        name = check_name(match[1].lower())
        if name in items:
            raise InvalidSecret(f"line {number} sets {name} again")
        items[name] = Item(name, Secret(value))
    return list(items.values())


def parse_json(data: bytes) -> list[Item]:
    """Return the items of an object of names and text values."""
    document = _json(data)
    if not all(isinstance(value, str) for value in document.values()):
        raise InvalidSecret("every value must be a text")
    return [Item(check_name(name), Secret(value)) for name, value in document.items()]


def parse_export(data: bytes, identity: bytes) -> list[Item]:
    """Return the items of a file that :func:`export_to` made."""
    document = _json(decrypt(identity, data).reveal())
    if document.get("format") != _FORMAT:
        raise InvalidSecret("the file is not an export of secrets")
    try:
        return [
            Item(
                check_name(row["name"]),
                Secret(base64.b64decode(row["value"], validate=True)),
                row["kind"],
                row["audience"],
                row["provider"],
            )
            for row in document["secrets"]
        ]
    except (KeyError, TypeError, binascii.Error):
        raise InvalidSecret("the export is damaged") from None


def import_all(
    store: SecretStore,
    organization_id: UUID,
    items: Sequence[Item],
    *,
    actor: Actor,
    batch: int = 200,
) -> list[str]:
    """Set every item and return the names. Each batch is stored as a whole or not at all.

    All items are checked before the first is stored; what fails later leaves whole batches.
    """
    if not store.vault.authorize(organization_id, actor, "secrets.write"):
        raise SecretAccessDenied("this needs the permission secrets.write")
    latest = {check_name(item.name): item for item in items}
    for item in latest.values():
        checked(item.value, item.kind)
        audience_of(item.audience)
    names = list(latest)
    for start in range(0, len(names), batch):
        part = [latest[name] for name in names[start : start + batch]]
        store.retried(organization_id, partial(_store, store, organization_id, part, actor))
    return names


def _store(store: SecretStore, organization_id: UUID, items: Sequence[Item], actor: Actor) -> None:
    with store.vault.open(organization_id) as session:
        key = store.ring.active(session)
        locked = session.run(
            "lock_many",
            names=[item.name for item in items],
            kinds=[item.kind for item in items],
            user_id=actor.user_id,
        )
        rows = {name: (secret_id, int(newest) + 1) for secret_id, name, newest, _ in locked}
        columns: dict[str, list[Any]] = {
            name: []
            for name in (
                "secret_ids", "names", "versions", "kinds", "audiences", "providers", "hints",
                "fingerprints", "envelopes",
            )
        }  # fmt: skip
        for item in items:
            secret_id, version = rows[item.name]
            value, host = item.value.reveal(), audience_of(item.audience)
            context = context_for(organization_id, secret_id, item.name, host, item.kind)
            row = (
                secret_id, item.name, version, item.kind, host, item.provider,
                hint_of(value, item.kind), key.fingerprint(value),
                key.data_key.handle(context).seal(value, version),
            )  # fmt: skip
            for column, cell in zip(columns.values(), row, strict=True):
                column.append(cell)
        session.run(
            "store_many",
            key_id=key.id,
            actor=actor.name,
            user_id=actor.user_id,
            request_id=actor.request_id,
            **columns,
        )


def export_to(
    store: SecretStore,
    organization_id: UUID,
    recipients: Sequence[str],
    *,
    actor: Actor,
    purpose: str,
) -> tuple[bytes, list[str]]:
    """Return an age file of all current values that each recipient opens alone, and the names.

    Every value is recorded as revealed. Disabled and expired secrets are left out.
    """
    encrypt_to(recipients, Secret("checked before anything is revealed"))
    rows: list[dict[str, Any]] = []
    for info in store.list_all(organization_id, actor=actor):
        if info.status != "active":
            continue
        found = store.reveal(organization_id, info.name, actor=actor, purpose=f"export: {purpose}")
        rows.append(
            {
                "name": info.name,
                "value": base64.b64encode(found.value.reveal()).decode(),
                "kind": found.kind,
                "audience": found.audience,
                "provider": info.provider,
            }
        )
    document = Secret(json.dumps({"format": _FORMAT, "secrets": rows}))
    return encrypt_to(recipients, document), [row["name"] for row in rows]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidSecret("the input sets a name twice")
    return found


def _decoded(data: bytes) -> str:
    try:
        # Some editors put a mark at the beginning, which is no part of it.
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidSecret(
            "the input is not UTF-8", hint="set binary values one by one with secrets set"
        ) from None


def _json(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(_decoded(data), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise InvalidSecret("the input is not JSON") from None
    if not isinstance(document, dict):
        raise InvalidSecret("the input is not a JSON object")
    return document
