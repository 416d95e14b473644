"""The guard in front of every request, through a real PostgREST."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest
from fix_api import ALDER, MIKA, OLGA, STEN, Api, Person
from fix_database import create_user

Limits = Callable[..., None]


@pytest.fixture
def limits(api: Api) -> Iterator[Limits]:
    """Change limits for one test: ``limits("read", per_user=20, window_seconds=5)``."""
    with api.database.connect(autocommit=True) as conn:

        def change(route_class: str, **columns: int | None) -> None:
            for name, value in columns.items():
                conn.execute(
                    psycopg.sql.SQL(
                        "update private.rate_limits set {} = %s where route_class = %s"
                    ).format(psycopg.sql.Identifier(name)),
                    [value, route_class],
                )

        yield change


def wait_for_window(seconds: int) -> None:
    """Sleep until a window of so many seconds begins, so that a burst falls into one."""
    time.sleep(seconds - time.time() % seconds + 0.02)


def wait_for_room(seconds: int = 20) -> None:
    """Sleep only if less than so many seconds are left of the longest window, one minute.

    Tests that use it choose limits of their own: a limit is what a count belongs to.
    """
    if time.time() % 60 > 60 - seconds:
        wait_for_window(60)


def burst(api: Api, count: int, path: str) -> list[httpx.Response]:
    """Ask for the same as one person, from many threads at once."""
    threads = 12

    def ask(times: int) -> list[httpx.Response]:
        # A client for each thread: one that threads share may close the connection under a request
        # of another thread (encode/httpcore, issue 1110).
        with api.client(OLGA) as client:
            return [client.get(path) for _ in range(times)]

    with ThreadPoolExecutor(threads) as pool:
        return [answer for part in pool.map(ask, [count // threads] * threads) for answer in part]


def codes(answers: list[httpx.Response]) -> dict[int, int]:
    found: dict[int, int] = {}
    for answer in answers:
        found[answer.status_code] = found.get(answer.status_code, 0) + 1
    return found


def test_reads_are_limited_exactly_under_concurrency(api: Api, limits: Limits) -> None:
    limits("read", per_user=100, window_seconds=60)
    wait_for_room()
    answers = burst(api, 300, "/organizations?select=id")
    assert len(answers) == 300
    found = codes(answers)
    assert set(found) == {200, 429}
    # Never one too many; each of ten connections may keep a little to itself.
    assert 85 <= found[200] <= 100, found
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["details"] == "rate_limit.exceeded"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["ratelimit"].startswith('"user";r=0;t=')
    assert refused.headers["ratelimit-policy"] == '"user";q=100;w=60'


def test_failing_requests_count_too(api: Api, limits: Limits) -> None:
    limits("write", per_user=30, window_seconds=60)
    with api.client(OLGA) as client:
        wait_for_room()
        answers = [client.post("/contacts", json={"organization_id": ALDER}) for _ in range(45)]
    found = codes(answers)
    assert found == {400: 30, 429: 15}, found


def test_the_next_window_starts_afresh_and_others_are_not_affected(
    api: Api, limits: Limits
) -> None:
    limits("read", per_user=6, window_seconds=4)
    with api.client(OLGA) as olga, api.client(MIKA) as mika:
        wait_for_window(4)
        assert codes([olga.get("/tags") for _ in range(8)]) == {200: 6, 429: 2}
        assert mika.get("/tags").status_code == 200
        wait_for_window(4)
        assert olga.get("/tags").status_code == 200


def test_a_changed_limit_holds_at_once(api: Api, limits: Limits) -> None:
    limits("read", per_user=5, window_seconds=60)
    with api.client(OLGA) as client:
        wait_for_room()
        assert codes([client.get("/tags") for _ in range(7)]) == {200: 5, 429: 2}
        limits("read", per_user=20)
        assert codes([client.get("/tags") for _ in range(22)]) == {200: 20, 429: 2}
        limits("read", per_user=3)
        assert codes([client.get("/tags") for _ in range(5)]) == {200: 3, 429: 2}


def test_visitors_are_limited_by_the_address_a_trusted_proxy_saw(api: Api, limits: Limits) -> None:
    limits("rpc", per_address=4, window_seconds=60)

    def call(forwarded: str) -> int:
        with api.client() as client:
            return client.post(
                "/rpc/my_permissions",
                json={"organization_id": ALDER},
                headers={"x-forwarded-for": forwarded},
            ).status_code

    wait_for_room()
    # What stands before the last entry is the client's own claim and changes nothing.
    first = [call(f"10.9.9.{i}, 203.0.113.7") for i in range(6)]
    assert first == [401, 401, 401, 401, 429, 429]
    assert call("203.0.113.8") == 401
    same_network = [call(f"2001:db8:1:2::{i}") for i in range(1, 7)]
    assert same_network == [401, 401, 401, 401, 429, 429]
    assert call("2001:db8:1:3::1") == 401


def test_anonymous_users_are_counted_by_address_for_they_cost_nothing(
    api: Api, limits: Limits
) -> None:
    limits("read", per_address=5, window_seconds=60)
    with api.database.connect() as conn:
        ids = [f"ee000000-0000-4000-8000-0000000000{n:02}" for n in range(8)]
        for user_id in ids:
            create_user(conn, user_id, "", anonymous=True)
        conn.commit()
    wait_for_room()
    headers = {"x-forwarded-for": "203.0.113.20"}
    answers = []
    for user_id in ids:
        with api.client(Person(user_id, ""), is_anonymous=True) as client:
            answers.append(client.get("/tags", headers=headers))
    assert codes(answers) == {200: 5, 429: 3}
    with api.client(OLGA) as client:
        assert client.get("/tags", headers=headers).status_code == 200


def test_guessing_tokens_of_api_keys_is_counted(api: Api, limits: Limits) -> None:
    limits("sensitive", per_address=4, window_seconds=60)
    wait_for_room()
    with api.client() as client:
        guesses = [
            client.get(
                "/tags", headers={"x-harmonia-token": f"ht_{n}", "x-forwarded-for": "203.0.113.30"}
            )
            for n in range(6)
        ]
    assert [guess.status_code for guess in guesses] == [401] * 4 + [429] * 2
    assert guesses[0].json()["details"] == "api_key.token_invalid"


def test_who_comes_around_the_proxy_is_counted_together(api: Api, limits: Limits) -> None:
    limits("read", per_address=3, window_seconds=60)
    with api.database.connect() as conn:
        conn.execute("update private.request_settings set trusted_proxy_hops = 2")
        conn.commit()
    wait_for_room()
    with api.client() as client:
        sent = [{}, {"x-forwarded-for": "1.1.1.1"}, {"x-forwarded-for": "2.2.2.2"}]
        answers = [client.get("/tags", headers=headers) for headers in [*sent, *sent]]
        assert [answer.status_code == 429 for answer in answers] == [False] * 3 + [True] * 3
        through = client.get("/tags", headers={"x-forwarded-for": "3.3.3.3, 10.0.0.1"})
        assert through.status_code != 429


def test_a_cookie_needs_the_header_that_another_site_cannot_send(api: Api) -> None:
    row = {"organization_id": ALDER, "first_name": "Cora", "email": "cora@x.example"}
    with api.client(OLGA) as client:
        refused = client.post("/contacts", json=row, headers={"cookie": "sb=1"})
        assert refused.status_code == 403
        assert refused.json()["details"] == "csrf.header_required"
        named = client.post(
            "/contacts", json=row, headers={"cookie": "sb=1", "x-harmonia-csrf": "1"}
        )
        assert named.status_code == 201, named.text
        # Reading changes nothing, so it needs no proof.
        assert client.get("/contacts", headers={"cookie": "sb=1"}).status_code == 200


def test_a_foreign_origin_needs_the_header_unless_it_is_on_the_list(api: Api) -> None:
    row = {"organization_id": ALDER, "first_name": "Ora", "email": "ora@x.example"}
    headers = {"origin": "https://app.alder.example"}
    with api.client(OLGA, active_organization_id=ALDER) as client:
        assert client.post("/contacts", json=row, headers=headers).status_code == 403
        with api.database.connect() as conn:
            conn.execute(
                "insert into public.allowed_origins values (%s, %s)", [ALDER, headers["origin"]]
            )
            conn.commit()
        assert client.post("/contacts", json=row, headers=headers).status_code == 201
        other = {"origin": "https://app.alder.example.evil.example"}
        assert client.post("/contacts", json=row, headers=other).status_code == 403


def test_maintenance_answers_503_with_a_time(api: Api) -> None:
    with api.database.connect(autocommit=True) as conn, api.client(OLGA) as client:
        conn.execute("update private.request_settings set maintenance = 'read_only'")
        try:
            assert client.get("/tags").status_code == 200
            refused = client.post("/tags", json={})
            assert refused.status_code == 503
            # PostgREST puts its own reconnection delay in front of ours.
            assert refused.headers.get_list("retry-after", split_commas=True)[-1] == "60"
            assert refused.json()["details"] == "service.maintenance"
            conn.execute("update private.request_settings set maintenance = 'full'")
            assert client.get("/tags").status_code == 503
        finally:
            conn.execute("update private.request_settings set maintenance = 'off'")
        assert client.get("/tags").status_code == 200


def test_banned_and_unknown_accounts_are_refused(api: Api) -> None:
    with api.database.connect(autocommit=True) as conn, api.client(MIKA) as client:
        assert client.get("/tags").status_code == 200
        conn.execute(
            "update auth.users set banned_until = now() + interval '1 day' where id = %s",
            [MIKA.id],
        )
        refused = client.get("/tags")
        conn.execute("update auth.users set banned_until = null where id = %s", [MIKA.id])
        assert refused.status_code == 403
        assert refused.json()["details"] == "account.suspended"
        assert client.get("/tags").status_code == 200
    with api.client(STEN) as suspended:
        # The account is fine; the seat in the organization is suspended.
        assert suspended.get("/tags").json() == []


def test_bodies_have_a_size_and_a_length(api: Api) -> None:
    with api.client(OLGA) as client:
        big = client.post("/tags", content=b'{"name": "' + b"x" * 10_000_000 + b'"}')
        assert big.status_code == 413
        assert big.json()["details"] == "request.too_large"
        chunked = client.post("/tags", content=iter([b"{}"]))
        assert chunked.status_code == 411
        assert client.post("/tags", json={"organization_id": ALDER, "name": "sized"}).is_success


@pytest.mark.parametrize("claim", ["{0:030}", "5\r\nTransfer-Encoding: chunked"])
def test_a_false_length_is_no_way_around_the_limit(api: Api, claim: str) -> None:
    body = b'{"name": "' + b"x" * 2_000_000 + b'"}'
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    request = (
        f"POST /tags HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.token(OLGA)}\r\n"
        f"Content-Type: application/json\r\nConnection: close\r\n"
        f"Content-Length: {claim.format(len(body))}\r\n\r\n"
    )
    port = int(api.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
        peer.sendall(request.encode() + (chunked if "chunked" in claim else body))
        assert peer.recv(200).startswith(b"HTTP/1.1 411 ")


def test_an_escaped_path_does_not_dodge_its_class(api: Api) -> None:
    with api.client() as client:
        body = {"api_key": "hk_none"}
        assert client.post("/rpc/exchange_api_key", json=body).status_code == 401
        dodge = client.post("/rpc/%65xchange_api_key", json=body)
        assert dodge.status_code == 400
        assert dodge.json()["details"] == "request.path"


def test_a_path_without_its_slash_does_not_dodge_its_class(api: Api) -> None:
    """An HTTP client writes the slash; whoever writes the request by hand need not."""
    body = b'{"api_key": "hk_none"}'
    port = int(api.url.rpartition(":")[2])

    def call(path: str) -> bytes:
        request = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
            peer.sendall(request.encode() + body)
            return peer.recv(200)

    assert call("/rpc/exchange_api_key").startswith(b"HTTP/1.1 401 ")
    assert call("rpc/exchange_api_key").startswith(b"HTTP/1.1 400 ")
