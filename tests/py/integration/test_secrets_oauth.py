"""OAuth refresh: one call however many workers, against a provider that revokes on reuse."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps
from threading import Barrier, Lock, Thread
from typing import Any
from urllib.parse import parse_qs

import psycopg
import pytest
from fix_vault import ALDER, WORKER, VaultBench

from harmonia_py.errors import (
    InvalidSecret,
    NeedsReauthorization,
    RefreshInProgress,
    SecretNotFound,
)
from harmonia_py.secrets import Secret
from harmonia_py.secrets.oauth import OAuthTokens, Refresher, TokenEndpoint

NAME = "hubspot/oauth"
HOST = "api.hubapi.com"


@dataclass
class FakeProvider:
    """Rotates refresh tokens; a second use of one revokes the whole family (RFC 9700)."""

    url: str = ""
    current: str = "refresh-0"
    calls: int = 0
    revoked: bool = False
    delay: float = 0.1
    fail: int = 0
    drop_answer: bool = False
    keep_refresh_token: bool = False
    junk: bytes | None = None
    lifetime: object = 3600
    lock: Lock = field(default_factory=Lock)

    def answer(self, form: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        with self.lock:
            self.calls += 1
            if self.fail:
                self.fail -= 1
                return 503, {"error": "temporarily_unavailable"}
            if form["client_id"] != ["client"] or form["client_secret"] != ["client-secret"]:
                return 401, {"error": "invalid_client"}
            if self.revoked or form["refresh_token"] != [self.current]:
                self.revoked = True
                return 400, {"error": "invalid_grant"}
            number = self.calls
            if self.keep_refresh_token:
                return 200, {"access_token": f"access-{number}", "expires_in": self.lifetime}
            self.current = f"refresh-{number}"
            return 200, {
                "access_token": f"access-{number}",
                "refresh_token": self.current,
                "expires_in": self.lifetime,
            }


@pytest.fixture
def token_server() -> Iterator[FakeProvider]:
    fake = FakeProvider()

    class Http(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            status, body = fake.answer(form)
            time.sleep(fake.delay)
            data = dumps(body).encode() if fake.junk is None else fake.junk
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Http)
    fake.url = f"http://127.0.0.1:{server.server_port}/token"
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield fake
    server.shutdown()
    server.server_close()


def _tokens(fake: FakeProvider, expires_in: float = -1) -> OAuthTokens:
    endpoint = TokenEndpoint(fake.url, "client", Secret("client-secret"))
    return OAuthTokens(Secret("access-0"), Secret("refresh-0"), time.time() + expires_in, endpoint)


def _connected(bench: VaultBench, fake: FakeProvider, expires_in: float = -1) -> Refresher:
    refresher = Refresher(bench.store)
    refresher.connect(ALDER, NAME, _tokens(fake, expires_in), audience=HOST, actor=WORKER)
    return refresher


def test_a_fresh_token_is_used_and_an_old_one_refreshed(
    vault_bench: VaultBench, token_server: FakeProvider
) -> None:
    refresher = _connected(vault_bench, token_server, 3600)
    found = refresher.access_token(ALDER, NAME, audience=HOST, actor=WORKER)
    assert (found.value, found.audience, token_server.calls) == (Secret("access-0"), HOST, 0)
    refresher.connect(ALDER, NAME, _tokens(token_server), audience=HOST, actor=WORKER)
    for _ in range(2):
        found = refresher.access_token(ALDER, NAME, audience=HOST, actor=WORKER)
        assert found.value == Secret("access-1")
    assert token_server.calls == 1
    entries = vault_bench.store.access_log(ALDER, NAME)
    assert [e.outcome for e in entries if e.action == "refresh"] == ["done"]


def test_many_workers_refresh_once(vault_bench: VaultBench, token_server: FakeProvider) -> None:
    _connected(vault_bench, token_server)
    workers = 24
    refreshers = [Refresher(vault_bench.another()) for _ in range(workers)]
    start, got, failures = Barrier(workers), [], []

    def work(refresher: Refresher) -> None:
        try:
            start.wait()
            found = refresher.access_token(ALDER, NAME, audience=HOST, actor=WORKER)
            got.append(found.value.reveal())
        except BaseException as error:
            failures.append(error)

    threads = [Thread(target=work, args=(refresher,)) for refresher in refreshers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert got == [b"access-1"] * workers
    assert (token_server.calls, token_server.revoked) == (1, False)


def test_without_the_lease_the_family_would_be_revoked(token_server: FakeProvider) -> None:
    """The provider of these tests does punish reuse: the test above could fail."""
    form = {
        "client_id": ["client"],
        "client_secret": ["client-secret"],
        "refresh_token": ["refresh-0"],
    }
    assert token_server.answer(form)[0] == 200
    assert token_server.answer(form)[0] == 400
    assert token_server.revoked


def test_a_lost_lease_leaves_a_candidate_for_the_next_worker(
    vault_bench: VaultBench,
    token_server: FakeProvider,
    conn: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = _connected(vault_bench, token_server)
    real = first._promote

    def too_late(*arguments: Any) -> None:
        # Somebody else holds the lease by the time the answer is stored.
        conn.execute(
            "update private.secret_leases set token = gen_random_uuid(), held_until = now()"
        )
        conn.commit()
        real(*arguments)

    monkeypatch.setattr(first, "_promote", too_late)
    found = first.access_token(ALDER, NAME, audience=HOST, actor=WORKER)
    assert found.value == Secret("access-1")
    states = vault_bench.store.history(ALDER, NAME, actor=WORKER)
    assert [(v.version, v.state) for v in states] == [(2, "candidate"), (1, "stored")]
    second = Refresher(vault_bench.another())
    found = second.access_token(ALDER, NAME, audience=HOST, actor=WORKER)
    assert (found.value, token_server.calls) == (Secret("access-1"), 1)
    states = vault_bench.store.history(ALDER, NAME, actor=WORKER)
    assert [(v.version, v.state) for v in states] == [(2, "stored"), (1, "stored")]


def test_no_new_refresh_token_keeps_the_old_one(
    vault_bench: VaultBench, token_server: FakeProvider
) -> None:
    token_server.keep_refresh_token = True
    refresher = _connected(vault_bench, token_server)
    refresher.access_token(ALDER, NAME, audience=HOST, actor=WORKER)
    stored = vault_bench.store.get(ALDER, NAME, audience=HOST, actor=WORKER)
    assert OAuthTokens.unseal(stored.value).refresh_token == Secret("refresh-0")


@pytest.mark.parametrize(
    ("lifetime", "kept"),
    [
        (3600, 3600),
        ("3600", 3600),  # some providers send text
        (None, None),
        ("soon", None),
        (float("nan"), None),
        (float("inf"), None),
        (-1, None),
        (10**400, None),
        ([], None),
    ],
)
def test_lifetimes(
    vault_bench: VaultBench, token_server: FakeProvider, lifetime: object, kept: float | None
) -> None:
    token_server.lifetime = lifetime
    refresher = _connected(vault_bench, token_server)
    found = refresher.access_token(ALDER, NAME, audience=HOST, actor=WORKER)
    assert found.value == Secret("access-1")
    stored = vault_bench.store.get(ALDER, NAME, audience=HOST, actor=WORKER)
    ends = OAuthTokens.unseal(stored.value).expires_at
    assert ends is None if kept is None else abs((ends or 0) - time.time() - kept) < 60


def test_a_revoked_grant_needs_a_person(
    vault_bench: VaultBench, token_server: FakeProvider
) -> None:
    refresher = _connected(vault_bench, token_server)
    token_server.revoked = True
    for _ in range(2):
        with pytest.raises(NeedsReauthorization):
            refresher.access_token(ALDER, NAME, audience=HOST, actor=WORKER)
    assert token_server.calls == 1
    assert vault_bench.store.show(ALDER, NAME, actor=WORKER).status == "needs_reauth"
    token_server.revoked, token_server.current = False, "refresh-0"
    refresher.connect(ALDER, NAME, _tokens(token_server), audience=HOST, actor=WORKER)
    assert refresher.access_token(ALDER, NAME, audience=HOST, actor=WORKER).version == 2


def test_a_provider_that_is_down(
    vault_bench: VaultBench, token_server: FakeProvider, conn: psycopg.Connection[Any]
) -> None:
    refresher = Refresher(vault_bench.store, wait=0.2)
    token_server.fail, token_server.delay = 99, 0
    refresher.connect(ALDER, NAME, _tokens(token_server, 60), audience=HOST, actor=WORKER)
    # Still valid for a minute: the caller is served and does not wait.
    found = refresher.access_token(ALDER, NAME, audience=HOST, actor=WORKER)
    assert (found.value, token_server.calls) == (Secret("access-0"), 1)
    # Backed off: the next call does not ask again.
    refresher.access_token(ALDER, NAME, audience=HOST, actor=WORKER)
    assert token_server.calls == 1
    refresher.connect(ALDER, NAME, _tokens(token_server), audience=HOST, actor=WORKER)
    with pytest.raises(RefreshInProgress, match="does not answer; it is asked again at"):
        refresher.access_token(ALDER, NAME, audience=HOST, actor=WORKER)
    assert token_server.calls == 1
    # A worker that holds the lease, or died with it, is another matter.
    conn.execute(
        "update private.secret_leases"
        " set token = gen_random_uuid(), held_until = now() + interval '1 minute', retry_at = null"
    )
    conn.commit()
    with pytest.raises(RefreshInProgress, match="another worker"):
        refresher.access_token(ALDER, NAME, audience=HOST, actor=WORKER)


@pytest.mark.parametrize("junk", [b"", b"<html>", b"[]", b"[" * 30_000, b"x" * 40_000, b"\xff"])
def test_an_answer_that_is_none(
    vault_bench: VaultBench, token_server: FakeProvider, junk: bytes
) -> None:
    token_server.junk = junk
    refresher = Refresher(vault_bench.store, wait=0.1)
    refresher.connect(ALDER, NAME, _tokens(token_server, 60), audience=HOST, actor=WORKER)
    found = refresher.access_token(ALDER, NAME, audience=HOST, actor=WORKER)
    assert (found.value, token_server.calls) == (Secret("access-0"), 1)


def test_bad_input(vault_bench: VaultBench, token_server: FakeProvider) -> None:
    with pytest.raises(InvalidSecret, match="three times"):
        Refresher(vault_bench.store, lease=20, timeout=15)
    refresher = Refresher(vault_bench.store)
    for url in ("http://auth.example/token", "ftp://auth.example", "https://u:p@auth.example"):
        endpoint = TokenEndpoint(url, "client")
        tokens = OAuthTokens(Secret("a"), Secret("r"), None, endpoint)
        with pytest.raises(InvalidSecret):
            refresher.connect(ALDER, NAME, tokens, audience=HOST, actor=WORKER)
    with pytest.raises(SecretNotFound):
        refresher.access_token(ALDER, NAME, audience=HOST, actor=WORKER)
    vault_bench.store.set(ALDER, NAME, Secret("no pair"), actor=WORKER, audience=HOST)
    with pytest.raises(InvalidSecret, match="token pair"):
        refresher.access_token(ALDER, NAME, audience=HOST, actor=WORKER)
    assert "access-0" not in repr(_tokens(token_server))
