"""The receiver on a socket, with limits on what a connection may take: time, headers, number."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from harmonia_py.errors import PortInUse, UsageError

__all__ = ["HEADER_SECONDS", "LimitedHttp", "listen", "serve"]

HEADER_SECONDS = 10.0
_MAX_HEADERS = 65_536
_MAX_CONNECTIONS = 200


class LimitedHttp(H11Protocol):
    """HTTP/1.1 that closes a connection whose headers do not arrive in time.

    Uvicorn limits how long a connection may be idle between requests, not how long its first
    byte or the rest of its headers may take: a few hundred slow clients would hold every place.
    """

    seconds = HEADER_SECONDS
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for headers."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Read, and see whether the headers are complete."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Begin to wait for the headers of the next request."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._unwatch()
        super().connection_lost(exc)

    def _watch(self) -> None:
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._unwatch()  # the headers are here; the application limits the body
        elif self._late is None:
            self._late = self.loop.call_later(self.seconds, self._too_late)

    def _unwatch(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_late(self) -> None:
        self._late = None
        self.transport.abort()


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(f"port {port} is in use by another program") from None
        raise UsageError(f"cannot listen on {host}: {error.strerror}") from None


def serve(application: Starlette, on: socket.socket) -> None:
    """Serve until a signal asks to stop."""
    config = uvicorn.Config(
        application,
        http=LimitedHttp,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=20,
        h11_max_incomplete_event_size=_MAX_HEADERS,
        limit_concurrency=_MAX_CONNECTIONS,
    )
    uvicorn.Server(config).run(sockets=[on])
