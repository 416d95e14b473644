"""A small ASGI application that receives events: ``POST /webhooks/{organization}/{endpoint}``."""

from __future__ import annotations

import asyncio
import logging
import queue
from collections.abc import Callable
from functools import partial
from uuid import UUID

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from harmonia_py.errors import HarmoniaError, WebhookRejected
from harmonia_py.secrets.store import SecretStore
from harmonia_py.webhooks.inbox import MAX_BODY, Inbox, Received

__all__ = ["BODY_SECONDS", "STATEMENT_SECONDS", "TOTAL_SECONDS", "Pool", "application"]

BODY_SECONDS = 10.0
TOTAL_SECONDS = 15.0
STATEMENT_SECONDS = 5.0
_log = logging.getLogger("harmonia.webhooks")


class Pool:
    """A few inboxes, each with a connection of its own, made when needed."""

    def __init__(self, make: Callable[[], SecretStore], size: int = 4) -> None:
        self._make = make
        self._slots: queue.LifoQueue[Inbox | None] = queue.LifoQueue()
        for _ in range(size):
            self._slots.put(None)

    def receive(self, *arguments: object, **options: object) -> Received:
        """Run ``Inbox.receive`` on a free inbox; a broken connection is replaced."""
        try:
            inbox = self._slots.get(timeout=5)
        except queue.Empty:
            raise HarmoniaError("all connections are busy") from None
        try:
            if inbox is None or inbox.store.vault.broken:
                inbox = None
                inbox = Inbox(self._make())
            return inbox.receive(*arguments, **options)  # type: ignore[arg-type]
        finally:
            self._slots.put(inbox)


def application(pool: Pool, *, public_url: str = "", max_body: int = MAX_BODY) -> Starlette:
    """Return the application.

    ``public_url`` is what senders see (``https://hooks.example.com``); HubSpot and Twilio sign
    it, and it is never taken from a header. Answers 200 (stored, or known already), 401
    (refused), 404, 408, 413, 503 (try again). No answer says why something was refused: the log
    does.
    """

    async def receive(request: Request) -> Response:
        try:
            organization_id = UUID(request.path_params["organization_id"])
            endpoint_id = UUID(request.path_params["endpoint_id"])
        except ValueError:
            return _answer(404, "not found")
        try:
            body = await asyncio.wait_for(_body(request, max_body), BODY_SECONDS)
        except TimeoutError:
            return _answer(408, "the body did not arrive in time")
        except ClientDisconnect:
            return _answer(400, "the body did not arrive")
        if body is None:
            return _answer(413, f"the body is larger than {max_body} bytes")
        work = partial(
            pool.receive,
            organization_id,
            endpoint_id,
            body,
            request.headers.raw,
            method=request.method,
            url=public_url.rstrip("/") + _target(request.scope),
        )
        try:
            with anyio.fail_after(TOTAL_SECONDS):
                # The thread ends by itself, when the database's own limit stops it.
                done = await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        except WebhookRejected as error:
            _log.warning("refused endpoint=%s reason=%s", endpoint_id, error.reason)
            return _answer(401, "refused")
        except (HarmoniaError, TimeoutError) as error:
            code = error.code if isinstance(error, HarmoniaError) else "timeout"
            _log.error("failed endpoint=%s code=%s", endpoint_id, code)
            return _answer(503, "try again", {"Retry-After": "30"})
        return _answer(200, "duplicate" if done.duplicate else "stored")

    async def health(_: Request) -> Response:
        return _answer(200, "ok")

    return Starlette(
        routes=[
            Route("/webhooks/{organization_id}/{endpoint_id}", receive, methods=["POST"]),
            Route("/health", health, methods=["GET"]),
        ]
    )


def _target(scope: Scope) -> str:
    """Return path and query as they were sent; no header has a part in it, and nothing fails."""
    path: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")
    query: bytes = scope.get("query_string", b"")
    return (path + (b"?" + query if query else b"")).decode("latin-1")


async def _body(request: Request, limit: int) -> bytes | None:
    """Return the raw body, or None when it is larger than ``limit`` bytes."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
        return None
    parts: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            return None
        parts.append(chunk)
    return b"".join(parts)


def _answer(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"status": text}, status_code=status, headers=headers)
