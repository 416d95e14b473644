"""What strangers and insiders may try with the receiver. Each refusal has its allowed twin."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import logging
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Barrier, Thread
from typing import Any
from uuid import UUID

import psycopg
import pytest
import uvicorn
from fix_vault import ALDER, BIRCH, WORKER, VaultBench
from starlette.applications import Starlette

from harmonia_py.errors import SecretAccessDenied, WebhookRejected
from harmonia_py.secrets import Secret
from harmonia_py.secrets.store import SecretStore
from harmonia_py.secrets.vault import Actor, Vault
from harmonia_py.webhooks import generate_secret, receiver, sign
from harmonia_py.webhooks.inbox import Inbox, Received
from harmonia_py.webhooks.receiver import Pool, application
from harmonia_py.webhooks.server import LimitedHttp

Connection = psycopg.Connection[Any]
SECRET = generate_secret()
ORIGIN = "https://hooks.example.com"
VERA = "e0000000-0000-4000-8000-000000000005"  # viewer of Alder


@dataclass
class Bench:
    vault: VaultBench
    inbox: Inbox
    endpoint: UUID

    @property
    def path(self) -> str:
        return f"/webhooks/{ALDER}/{self.endpoint}"

    def app(self) -> Starlette:
        return application(Pool(self.vault.another, 2), public_url=ORIGIN)


@pytest.fixture
def bench(vault_bench: VaultBench) -> Bench:
    vault_bench.store.set(ALDER, "hook", SECRET, actor=WORKER, kind="webhook")
    inbox = Inbox(vault_bench.another())
    return Bench(vault_bench, inbox, inbox.register(ALDER, "in", "standard", secret="hook"))


def _stored(conn: Connection) -> int:
    row = conn.execute("select count(*) from public.webhook_events").fetchone()
    conn.commit()
    assert row is not None
    return int(row[0])


def _ask(
    app: Starlette,
    path: str,
    headers: list[tuple[bytes, bytes]],
    body: bytes = b"{}",
    query: bytes = b"",
) -> tuple[int, dict[str, Any]]:
    """Send what no well-behaved client would let through, straight to the application."""
    sent: list[dict[str, Any]] = []
    given = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return given.pop(0) if given else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query,
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])


def _raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


@pytest.mark.parametrize(
    ("extra", "query"),
    [
        ([(b"host", b"[")], b""),
        ([(b"host", b"a\xe2\x84\x80b")], b""),
        ([(b"host", b"\xff\xfe")], b""),
        ([(b"host", b"one"), (b"host", b"two")], b""),
        ([], b"\xff\xfe%zz"),
        ([(b"content-length", b"-1")], b""),
        ([(b"content-length", b"9" * 5000)], b""),
        ([(b"content-type", b"\xff" * 500)], b""),
        ([(b"\xff\xc0", b"\xff")], b""),
    ],
)
def test_no_other_header_matters(
    bench: Bench, conn: Connection, extra: list[tuple[bytes, bytes]], query: bytes
) -> None:
    """A signed event is stored, and an unsigned one refused, whatever else stands there."""
    app = bench.app()
    signed = _raw(sign(b"{}", [SECRET]))
    too_large = any(value.startswith(b"99") for _, value in extra)
    status, said = _ask(app, bench.path, [*extra, *signed], query=query)
    assert (status, said["status"]) == (413, said["status"]) if too_large else (200, "stored")
    assert _ask(app, bench.path, extra, query=query)[0] == (413 if too_large else 401)
    assert _stored(conn) == (0 if too_large else 1)


@pytest.mark.parametrize("name", [b"webhook-id", b"webhook-timestamp", b"webhook-signature"])
@pytest.mark.parametrize("value", [b"\xff", "é".encode(), b"", b"\xc3"])
def test_signature_headers_are_ascii_and_single(bench: Bench, name: bytes, value: bytes) -> None:
    app = bench.app()
    good = _raw(sign(b"{}", [SECRET]))
    assert _ask(app, bench.path, [*good, (name, value)])[0] == 401
    changed = [(key, value if key == name else text) for key, text in good]
    assert _ask(app, bench.path, changed)[0] == 401
    assert _ask(app, bench.path, good)[0] == 200


def test_one_delivery_many_times_at_once(bench: Bench, conn: Connection) -> None:
    workers = 6
    inboxes = [Inbox(bench.vault.another()) for _ in range(workers)]
    for inbox in inboxes:
        inbox._endpoint(ALDER, bench.endpoint)
    headers = sign(b"{}", [SECRET], event_id="msg_once")
    start = Barrier(workers)
    results: list[Received | BaseException] = []

    def deliver(inbox: Inbox) -> None:
        try:
            start.wait(30)
            results.append(inbox.receive(ALDER, bench.endpoint, b"{}", headers))
        except BaseException as error:
            results.append(error)

    threads = [Thread(target=deliver, args=(inbox,), daemon=True) for inbox in inboxes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    duplicates = [result.duplicate for result in results if isinstance(result, Received)]
    assert sorted(duplicates) == [False] + [True] * (workers - 1)
    assert _stored(conn) == 1


def test_a_delivery_waits_for_its_twin_and_takes_its_place_if_that_fails(
    bench: Bench, conn: Connection
) -> None:
    conn.execute(
        "insert into private.webhook_receipts (organization_id, endpoint_id, dedupe_key)"
        " values (%s, %s, 'id:msg_1')",
        [ALDER, bench.endpoint],
    )
    results: list[Received] = []
    headers = sign(b"{}", [SECRET], event_id="msg_1")
    waiting = Thread(
        target=lambda: results.append(bench.inbox.receive(ALDER, bench.endpoint, b"{}", headers)),
        daemon=True,
    )
    waiting.start()
    waiting.join(0.5)
    assert results == []
    conn.rollback()
    waiting.join(30)
    assert [result.duplicate for result in results] == [False]
    assert _stored(conn) == 1


def test_a_delivery_to_one_organization_is_none_to_another(bench: Bench, conn: Connection) -> None:
    store = bench.vault.store
    store.set(BIRCH, "hook", generate_secret(), actor=WORKER, kind="webhook")
    other = bench.inbox.register(BIRCH, "in", "standard", secret="hook")
    headers = sign(b"{}", [SECRET])
    for organization, endpoint in ((BIRCH, other), (BIRCH, bench.endpoint), (ALDER, other)):
        with pytest.raises(WebhookRejected):
            bench.inbox.receive(organization, endpoint, b"{}", headers)
    assert not bench.inbox.receive(ALDER, bench.endpoint, b"{}", headers).duplicate
    # One signing secret for all tenants, as some senders have it: a signed URL still tells them.
    shared = Secret("the app's own secret")
    endpoints = {}
    for organization in (ALDER, BIRCH):
        store.set(organization, "hs", shared, actor=WORKER, kind="webhook")
        endpoints[organization] = bench.inbox.register(organization, "hs", "hubspot", secret="hs")
    stamp = str(int(time.time() * 1000))
    url = f"{ORIGIN}/webhooks/{ALDER}/{endpoints[ALDER]}"
    tag = hmac.digest(shared.reveal(), f"POST{url}[]{stamp}".encode(), "sha256")
    to_alder = _raw(
        {
            "x-hubspot-signature-v3": base64.b64encode(tag).decode(),
            "x-hubspot-request-timestamp": stamp,
        }
    )
    app = bench.app()
    for organization, status in ((BIRCH, 401), (ALDER, 200)):
        path = f"/webhooks/{organization}/{endpoints[organization]}"
        assert _ask(app, path, to_alder, b"[]")[0] == status


@pytest.mark.parametrize(
    ("change", "undo", "reason"),
    [
        (
            "update public.organizations set status = 'closing'",
            "update public.organizations set status = 'active'",
            "organization_closed",
        ),
        (
            "update public.webhook_endpoints set status = 'disabled'",
            "update public.webhook_endpoints set status = 'active'",
            "endpoint_disabled",
        ),
        ("delete from public.webhook_endpoints", None, "unknown_endpoint"),
    ],
)
def test_what_is_closed_takes_nothing_from_then_on(
    bench: Bench, conn: Connection, change: str, undo: str | None, reason: str
) -> None:
    def deliver(number: int) -> Received:
        body = b"%d" % number
        return bench.inbox.receive(ALDER, bench.endpoint, body, sign(body, [SECRET]))

    deliver(0)  # the endpoint is remembered now
    conn.execute(change.encode())
    conn.commit()
    for number in (1, 2):
        with pytest.raises(WebhookRejected, match=reason):
            deliver(number)
    with pytest.raises(WebhookRejected, match=reason):
        Inbox(bench.vault.another()).receive(ALDER, bench.endpoint, b"3", sign(b"3", [SECRET]))
    assert conn.execute("select count(*) from private.webhook_receipts").fetchone() in ((1,), (0,))
    conn.commit()
    if undo is not None:
        conn.execute(undo.encode())
        conn.commit()
        fresh = Inbox(bench.vault.another())
        assert not fresh.receive(ALDER, bench.endpoint, b"4", sign(b"4", [SECRET])).duplicate


def test_no_other_kind_of_secret_verifies(bench: Bench, conn: Connection) -> None:
    """Whoever may change endpoints could test guesses of a password against the receiver."""
    password = b"correct horse"
    row = bench.vault.store.set(ALDER, "db", Secret(password), actor=WORKER, kind="password")
    bench.vault.store.set(ALDER, "own", Secret(password), actor=WORKER, kind="webhook")
    endpoint = bench.inbox.register(
        ALDER, "guess", "generic", secret="own", options={"header": "X-Sig"}
    )
    headers = {"x-sig": hmac.digest(password, b"{}", "sha256").hex()}
    assert not bench.inbox.receive(ALDER, endpoint, b"{}", headers).duplicate
    conn.execute(
        "update public.webhook_endpoints set secret_id = %s where id = %s", [row.id, endpoint]
    )
    conn.commit()
    with pytest.raises(WebhookRejected, match="no_secret"):
        Inbox(bench.vault.another()).receive(ALDER, endpoint, b"{}", headers)


def test_strangers_write_nothing_into_the_access_log(bench: Bench) -> None:
    bench.vault.store.disable(ALDER, "hook", actor=WORKER)
    headers = sign(b"{}", [SECRET])
    before = len(bench.vault.store.access_log(ALDER))
    for _ in range(5):
        with pytest.raises(WebhookRejected, match="no_usable_secret"):
            bench.inbox.receive(ALDER, bench.endpoint, b"{}", headers)
    assert len(bench.vault.store.access_log(ALDER)) == before + 1


def test_a_rotation_that_is_not_allowed_changes_nothing(bench: Bench, conn: Connection) -> None:
    claims = {"sub": VERA, "role": "authenticated", "aal": "aal2", "is_anonymous": False}
    with pytest.raises(SecretAccessDenied):
        bench.inbox.rotate_secret(
            ALDER, bench.endpoint, generate_secret(), overlap=60, actor=Actor("app", claims)
        )
    row = conn.execute("select previous_until from public.webhook_endpoints").fetchone()
    assert row == (None,)


# A database that hangs, and clients that take their time -----------------------------------------


def test_a_database_that_hangs_is_not_waited_for(
    bench: Bench, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = application(Pool(bench.vault.another, 1), public_url=ORIGIN)
    headers = _raw(sign(b"{}", [SECRET]))
    conn.execute("lock table private.webhook_receipts in access exclusive mode")
    with monkeypatch.context() as patch:
        patch.setattr(receiver, "TOTAL_SECONDS", 0.5)
        start = time.monotonic()
        assert _ask(app, bench.path, headers)[0] == 503
        assert time.monotonic() - start < 10
    conn.rollback()
    # The one connection is back; what was still on its way was stored, and is known.
    status, said = _ask(app, bench.path, headers)
    assert (status, said["status"]) == (200, "duplicate")


def test_a_statement_has_a_limit_of_its_own(bench: Bench, conn: Connection) -> None:
    """So that the connection is free again, and not only the client."""

    def make() -> SecretStore:
        store = bench.vault.another()
        return SecretStore(Vault(store.vault._connection, patience=0.2), store.ring)

    app = application(Pool(make, 1), public_url=ORIGIN)
    headers = _raw(sign(b"{}", [SECRET]))
    conn.execute("lock table private.webhook_receipts in access exclusive mode")
    assert _ask(app, bench.path, headers)[0] == 503
    conn.rollback()
    assert _ask(app, bench.path, headers)[0] == 200


class Impatient(LimitedHttp):
    seconds = 2.0


@pytest.fixture
def address(bench: Bench) -> Iterator[tuple[str, int]]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            bench.app(),
            http=Impatient,
            ws="none",
            lifespan="off",
            log_level="error",
            timeout_keep_alive=30,
        )
    )
    thread = Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield listening.getsockname()
    server.should_exit = True
    thread.join(30)
    listening.close()


def _request(bench: Bench, body: bytes, *more: str) -> bytes:
    lines = [f"POST {bench.path} HTTP/1.1", "Host: x", *more]
    lines += [f"{name}: {value}" for name, value in sign(body, [SECRET]).items()]
    return "\r\n".join([*lines, "", ""]).encode()


def _answer(client: socket.socket) -> bytes:
    """Return everything until the server closes the connection."""
    client.settimeout(20)
    said = b""
    try:
        while chunk := client.recv(65536):
            said += chunk
    except ConnectionResetError:
        pass
    return said


@pytest.mark.parametrize("start", [b"", b"P", b"POST / HTTP/1.1\r\nHost: x\r\nX: "])
def test_headers_that_do_not_come(address: tuple[str, int], start: bytes) -> None:
    with socket.create_connection(address) as client:
        client.sendall(start)
        began = time.monotonic()
        assert _answer(client) == b""
    assert 1.5 < time.monotonic() - began < 30


def test_headers_that_come_byte_by_byte(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as client:
        began = time.monotonic()
        with pytest.raises(OSError):
            for _ in range(200):
                client.sendall(b"X")
                time.sleep(0.1)
    assert time.monotonic() - began < 30


def test_the_second_request_of_a_connection_is_limited_too(
    bench: Bench, address: tuple[str, int]
) -> None:
    with socket.create_connection(address) as client:
        client.sendall(_request(bench, b"{}", "Content-Length: 2") + b"{}")
        client.settimeout(20)
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        client.sendall(b"POST /")
        assert b"HTTP/1.1" not in _answer(client)


def test_a_slow_body_within_the_limit_is_taken(bench: Bench, address: tuple[str, int]) -> None:
    """The limit of the headers does not cut off a body on a slow line."""
    with socket.create_connection(address) as client:
        client.sendall(_request(bench, b"{}", "Content-Length: 2", "Connection: close"))
        time.sleep(Impatient.seconds + 1)
        client.sendall(b"{}")
        assert _answer(client).startswith(b"HTTP/1.1 200")


def test_a_body_that_does_not_come(
    bench: Bench, address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "BODY_SECONDS", 0.3)
    with socket.create_connection(address) as client:
        client.sendall(_request(bench, b"{}", "Content-Length: 2"))
        assert _answer(client).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("length", ["Content-Length: 99999999", "Transfer-Encoding: chunked"])
def test_a_body_without_end(
    bench: Bench, address: tuple[str, int], conn: Connection, length: str
) -> None:
    """Refused when it is declared or found to be too large, and then no longer listened to."""
    piece = bytes(65536)
    chunk = b"10000\r\n" + piece + b"\r\n" if "chunked" in length else piece
    with socket.create_connection(address) as client:
        client.settimeout(20)
        client.sendall(_request(bench, b"{}", length))
        said = b""
        sent = 0
        try:
            while sent < 2000:
                client.sendall(chunk)
                sent += 1
            said = _answer(client)
        except OSError:
            pass
        assert sent < 2000 or said.startswith(b"HTTP/1.1 413")
    assert _stored(conn) == 0


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 2", "Content-Length: 3"),
        ("Content-Length: two",),
        ("Content-Length: 2", "Transfer-Encoding: chunked"),
        ("X: \x00",),
    ],
)
def test_ambiguous_lengths_are_not_interpreted(
    bench: Bench,
    address: tuple[str, int],
    conn: Connection,
    lines: tuple[str, ...],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    with socket.create_connection(address) as client:
        client.sendall(_request(bench, b"{}", *lines, "Connection: close") + b"{}")
        said = _answer(client)
    assert said.startswith((b"HTTP/1.1 400", b"HTTP/1.1 408")) or said == b""
    assert _stored(conn) == 0
    assert "Traceback" not in caplog.text
