"""What the client makes of answers that are none of the API's, and of tokens that are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest

from harmonia_py import AsyncHarmonia, Harmonia, errors

KEY = "a.b.c"
PAGE = b"<html>Bad Gateway</html>"


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[Harmonia]:
    """Yield a client of a server on this machine that has one answer."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

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
