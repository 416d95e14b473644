"""The receiver: verified once, stored once, and nothing a sender writes makes it fail."""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from fix_database import as_user
from fix_vault import ALDER, BIRCH, WORKER, VaultBench
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from harmonia_py.errors import SecretNotFound, UsageError, WebhookRejected
from harmonia_py.secrets import Secret
from harmonia_py.webhooks import generate_secret, sign
from harmonia_py.webhooks.inbox import Inbox
from harmonia_py.webhooks.receiver import Pool, application

SECRET = generate_secret()
OLGA = "e0000000-0000-4000-8000-000000000001"
OTTO = "e0000000-0000-4000-8000-000000000011"


class Client:
    """Sends requests to an application in this process."""

    def __init__(self, app: Starlette) -> None:
        self.app = app

    def post(self, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self._send("POST", path, options))

    def get(self, path: str) -> httpx.Response:
        return asyncio.run(self._send("GET", path, {}))

    async def _send(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://internal") as client:
            return await client.request(method, path, **options)


@dataclass
class Bench:
    vault: VaultBench
    inbox: Inbox
    client: Client
    endpoint: UUID

    @property
    def path(self) -> str:
        return f"/webhooks/{ALDER}/{self.endpoint}"


@pytest.fixture
def bench(vault_bench: VaultBench) -> Bench:
    vault_bench.store.set(ALDER, "hook", SECRET, actor=WORKER, kind="webhook")
    inbox = Inbox(vault_bench.another())
    endpoint = inbox.register(ALDER, "events", "standard", secret="hook")
    app = application(Pool(vault_bench.another, 2), public_url="https://hooks.example.com")
    return Bench(vault_bench, inbox, Client(app), endpoint)


def _count(bench: Bench) -> int:
    with bench.vault.database.connect() as conn:
        row = conn.execute("select count(*) from public.webhook_events").fetchone()
    assert row is not None
    return int(row[0])


def test_an_event_is_stored_once(bench: Bench, conn: psycopg.Connection[object]) -> None:
    body = b'{"type": "contact.created", "n": 1}'
    headers = {**sign(body, [SECRET], event_id="msg_1"), "content-type": "application/json"}
    first = bench.client.post(bench.path, content=body, headers=headers)
    assert (first.status_code, first.json()) == (200, {"status": "stored"})
    again = bench.client.post(bench.path, content=body, headers=headers)
    assert (again.status_code, again.json()) == (200, {"status": "duplicate"})
    # The sender tries again later: a new signature, the same id.
    later = sign(body, [SECRET], event_id="msg_1", timestamp=int(time.time()) + 60)
    assert (
        bench.client.post(bench.path, content=body, headers=later).json()["status"] == "duplicate"
    )
    assert _count(bench) == 1
    with as_user(conn, OLGA):
        rows = conn.execute(
            "select event_id, body, payload ->> 'type', status, content_type"
            " from public.webhook_events"
        ).fetchall()
    assert rows == [("msg_1", body, "contact.created", "received", "application/json")]
    with as_user(conn, OTTO):
        assert conn.execute("select count(*) from public.webhook_events").fetchone() == (0,)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b'{"a": "\\u0000"}',
        b'{"a": "\\ud800"}',
        b"[" * 20_000 + b"]" * 20_000,
        b"{" + b" " * 100,
        b'{"n": ' + b"9" * 5000 + b"}",
        b'{"n": NaN}',
        b"plain text",
    ],
)
def test_a_signed_body_of_any_kind_is_stored(bench: Bench, body: bytes) -> None:
    answer = bench.client.post(bench.path, content=body, headers=sign(body, [SECRET]))
    assert answer.status_code == 200
    assert _count(bench) == 1


def test_what_is_refused(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    body = b"{}"
    good = sign(body, [SECRET])
    old = sign(body, [SECRET], timestamp=int(time.time()) - 1000)
    cases: list[tuple[str, bytes, dict[str, str], int]] = [
        (bench.path, b"{ }", good, 401),
        (bench.path, body, {}, 401),
        (bench.path, body, old, 401),
        (bench.path, body, sign(body, [generate_secret()]), 401),
        (f"/webhooks/{BIRCH}/{bench.endpoint}", body, good, 401),
        (f"/webhooks/{ALDER}/{uuid4()}", body, good, 401),
        ("/webhooks/x/y", body, good, 404),
        ("/", body, good, 404),
        (bench.path, bytes(1_048_577), good, 413),
    ]
    with caplog.at_level(logging.WARNING, "harmonia.webhooks"):
        for path, content, headers, status in cases:
            answer = bench.client.post(path, content=content, headers=headers)
            assert answer.status_code == status, (path, status)
            assert answer.json() == {"status": "refused"} if status == 401 else True
    reasons = [record.getMessage().split("reason=")[1] for record in caplog.records]
    assert reasons == [
        "signature_mismatch",
        "missing_header",
        "timestamp_too_old",
        "signature_mismatch",
        "unknown_endpoint",
        "unknown_endpoint",
    ]
    assert SECRET.reveal().decode() not in caplog.text
    assert bench.client.get(bench.path).status_code == 405
    assert bench.client.get("/health").status_code == 200

    # Sent in pieces, without a length: still limited.
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield bytes(100_000)

    assert bench.client.post(bench.path, content=pieces(), headers=good).status_code == 413
    assert _count(bench) == 0
    assert bench.client.post(bench.path, content=body, headers=good).status_code == 200


def test_two_secrets_while_the_sender_changes_over(bench: Bench) -> None:
    new = generate_secret()
    bench.inbox.rotate_secret(ALDER, bench.endpoint, new, overlap=3600, actor=WORKER)
    for number, secret in enumerate((SECRET, new)):
        body = b"%d" % number
        headers = list(sign(body, [secret]).items())
        assert bench.client.post(bench.path, content=body, headers=dict(headers)).status_code == 200
    # Without overlap only the newest counts.
    newest = generate_secret()
    bench.inbox.rotate_secret(ALDER, bench.endpoint, newest, overlap=0, actor=WORKER)
    fresh = Inbox(bench.vault.another())
    with pytest.raises(WebhookRejected, match="signature_mismatch"):
        fresh.receive(ALDER, bench.endpoint, b"x", sign(b"x", [new]))
    fresh.receive(ALDER, bench.endpoint, b"x", sign(b"x", [newest]))


def test_a_failed_event_leaves_no_receipt(bench: Bench, conn: psycopg.Connection[object]) -> None:
    """Receipt and event are one transaction: a crash between them loses nothing."""
    conn.execute("alter table public.webhook_events add constraint c check (false) not valid")
    conn.commit()
    headers = sign(b"{}", [SECRET])
    answer = bench.client.post(bench.path, content=b"{}", headers=headers)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    conn.execute("alter table public.webhook_events drop constraint c")
    conn.commit()
    assert (
        bench.client.post(bench.path, content=b"{}", headers=headers).json()["status"] == "stored"
    )


def test_a_sender_without_ids_is_recognized_by_the_body(bench: Bench) -> None:
    bench.vault.store.set(ALDER, "gh", Secret("mysecret"), actor=WORKER, kind="webhook")
    endpoint = bench.inbox.register(ALDER, "gh", "github", secret="gh")
    tag = hmac.digest(b"mysecret", b"{}", "sha256").hex()
    path = f"/webhooks/{ALDER}/{endpoint}"
    for delivery, status in (("1", "stored"), ("2", "duplicate")):
        # The delivery id is not signed: changing it must not replay the event.
        headers = {"X-Hub-Signature-256": f"sha256={tag}", "X-GitHub-Delivery": delivery}
        assert bench.client.post(path, content=b"{}", headers=headers).json()["status"] == status


def test_the_public_url_counts_not_the_host_header(bench: Bench) -> None:
    bench.vault.store.set(ALDER, "hs", Secret("key"), actor=WORKER, kind="webhook")
    endpoint = bench.inbox.register(ALDER, "hs", "hubspot", secret="hs")
    path = f"/webhooks/{ALDER}/{endpoint}"

    def headers(origin: str) -> dict[str, str]:
        stamp = str(int(time.time() * 1000))
        text = f"POST{origin}{path}?a=1[]{stamp}".encode()
        tag = base64.b64encode(hmac.digest(b"key", text, "sha256")).decode()
        return {"x-hubspot-signature-v3": tag, "x-hubspot-request-timestamp": stamp}

    good = headers("https://hooks.example.com")
    assert bench.client.post(f"{path}?a=1", content=b"[]", headers=good).status_code == 200
    other = {**headers("https://evil.example"), "host": "evil.example"}
    assert bench.client.post(f"{path}?a=1", content=b"[]", headers=other).status_code == 401


def test_endpoints_that_cannot_verify_refuse(
    bench: Bench, conn: psycopg.Connection[object]
) -> None:
    with pytest.raises(SecretNotFound):
        bench.inbox.register(ALDER, "x", "standard", secret="absent")
    with pytest.raises(UsageError):
        bench.inbox.register(ALDER, "x", "generic", secret="hook")
    generic = bench.inbox.register(
        ALDER, "generic", "generic", secret="hook", options={"header": "X-Sig"}
    )
    tag = hmac.digest(SECRET.reveal(), b"{}", "sha256").hex()
    assert not bench.inbox.receive(ALDER, generic, b"{}", {"x-sig": tag}).duplicate
    for change, reason in (
        ("status = 'disabled'", "endpoint_disabled"),
        ("status = 'active', secret_id = null", "no_secret"),
    ):
        conn.execute(f"update public.webhook_endpoints set {change}".encode())
        conn.commit()
        with pytest.raises(WebhookRejected, match=reason):
            Inbox(bench.vault.another()).receive(
                ALDER, bench.endpoint, b"{}", sign(b"{}", [SECRET])
            )


_JUNK = st.lists(
    st.tuples(
        st.sampled_from(
            [b"webhook-id", b"webhook-timestamp", b"webhook-signature", b"content-type", b"x-y"]
        ),
        st.binary(max_size=60).filter(lambda b: not set(b) & set(b"\r\n\0")),
    ),
    max_size=8,
)


@given(headers=_JUNK, body=st.binary(max_size=50))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_header_makes_it_fail(
    bench: Bench, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    answer = bench.client.post(bench.path, content=body, headers=headers)
    assert answer.status_code == 401
