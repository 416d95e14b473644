"""What the client makes of answers that are none of the API's, and of tokens that are none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from harmonia_py import AsyncHarmonia, Harmonia, errors

KEY = "a.b.c"
PAGE = b"<html>Bad Gateway</html>"
Answers: TypeAlias = Callable[[dict[str, list[str]]], bytes]


def tag(name: str) -> dict[str, Any]:
    now = "2026-01-01T00:00:00+00:00"
    ids = {"id": str(uuid4()), "organization_id": str(uuid4())}
    return {**ids, "name": name, "color": "#000000", "created_at": now, "updated_at": now}


@contextmanager
def answering(status: int, body: bytes | Answers, **headers: str) -> Iterator[Harmonia]:
    """Yield a client of a server on this machine that has one answer, or one to each query."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = body if isinstance(body, bytes) else body(parse_qs(urlsplit(self.path).query))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        with Harmonia(url, KEY, rest_url=url, timeout=5) as client:
            client.use(uuid4())
            yield client
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind"),
    [
        (502, PAGE, {}, errors.ApiUnavailable),
        (503, b"", {}, errors.ApiUnavailable),
        (504, PAGE, {}, errors.ApiUnavailable),
        (429, PAGE, {}, errors.RateLimited),
        (413, PAGE, {}, errors.ApiInvalid),
        (401, PAGE, {}, errors.NotSignedIn),
        (200, PAGE, {"content_type": "text/html"}, errors.ApiUnavailable),
        (200, b'{"secret": "row"}', {}, errors.ApiUnavailable),
        (200, b'["secret"]', {}, errors.ApiUnavailable),
        (200, b"secret", {"content_encoding": "gzip"}, errors.ApiUnavailable),
    ],
)
def test_an_answer_of_something_in_between(
    status: int, body: bytes, headers: dict[str, str], kind: type[errors.ApiError]
) -> None:
    """Every refusal is an ApiError, and says whether to try again; none repeats the answer."""
    with answering(status, body, **headers) as client:
        for ask in (client.tags.page, lambda: client.tags.get(uuid4()), client.organizations):
            with pytest.raises(errors.ApiError) as refused:
                ask()
            assert type(refused.value) is kind
            assert "secret" not in f"{refused.value} {refused.value.hint}"


def test_an_answer_of_the_api() -> None:
    with answering(200, b"[]") as client:
        assert not list(client.tags.page()) and not client.organizations()
        with pytest.raises(errors.ApiNotFound):
            client.tags.get(uuid4())
        with pytest.raises(errors.UsageError, match="begins at record 0"):
            client.tags.page(offset=-1)
        assert list(client.tags.page(offset=0)) == []


@pytest.mark.parametrize("most", [1, 3, 4, 7, 1000])
def test_all_are_all_whatever_the_server_returns_at_most(most: int) -> None:
    """``db-max-rows`` below the size of a page ended it after the first one, as if that was all."""
    names = [f"tag {number}" for number in range(7)]

    def answer(query: dict[str, list[str]]) -> bytes:
        start, limit = int(query["offset"][0]), int(query["limit"][0])
        return json.dumps([tag(name) for name in names[start : start + min(limit, most)]]).encode()

    with answering(200, answer) as client:
        assert [found.name for found in client.tags.all(page_size=4)] == names


@pytest.mark.parametrize("client", [Harmonia, AsyncHarmonia])
@pytest.mark.parametrize(
    "wrong", ["word\n", "w\u00f6rd", "word\r\nX-Role: admin", " word", "wo rd"]
)
def test_what_no_header_can_hold_is_no_token(client: Callable[..., Any], wrong: str) -> None:
    """A newline passed for a server that does not answer; other letters were in the error."""
    for given in ({"key": wrong}, {"access_token": wrong}, {"api_token": wrong}):
        with pytest.raises(errors.UsageError, match=next(iter(given))) as refused:
            client("http://127.0.0.1:1", **{"key": KEY, **given})
        assert wrong.strip() not in f"{refused.value} {refused.value.hint}"
    client("http://127.0.0.1:1", KEY, access_token="a-b_c.d=", api_token="harmonia_x")
