"""Send what the outbox holds by SMTP, each message once, with its state of delivery."""

from __future__ import annotations

import os
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

from psycopg.rows import dict_row

from harmonia_py.connection import Connection, ConnectionOrDsn, session
from harmonia_py.errors import MailRefused, Refused, UsageError
from harmonia_py.lifecycle import sql as statements
from harmonia_py.lifecycle.refusal import translate

__all__ = ["PATIENCE", "Delivered", "Mailer", "deliver", "mailer", "retry", "undelivered"]

# As long as mail servers themselves go on trying (RFC 5321, 4.5.4.1: four to five days).
PATIENCE = timedelta(days=5)
_TIMEOUT = 15.0
# Of everything before the first message, and of one message: a server that sends a byte now and
# then never runs into the timeout of a single read.
_SESSION = 30.0
_MESSAGE = 120.0


@dataclass(frozen=True, slots=True)
class Mailer:
    """How to reach the mail server. The password stays out of the repr."""

    host: str
    port: int
    sender: str
    security: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Delivered:
    """What happened: sent, put off to a later attempt, given up."""

    sent: int
    deferred: int
    failed: int


def mailer(url: str, sender: str) -> Mailer:
    """Read ``smtp://host:port`` (STARTTLS), ``smtps://`` (TLS) or ``smtp+plain://`` (loopback).

    The password comes from the URL or ``HARMONIA_SMTP_PASSWORD``. Raises :class:`UsageError`.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError("the URL of the mail server cannot be read") from None
    security = {"smtp": "starttls", "smtps": "tls", "smtp+plain": "plain"}.get(parts.scheme)
    if security is None or not parts.hostname:
        raise UsageError("a mail server is named smtp://host:port or smtps://host:port")
    if security == "plain" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
        raise UsageError("mail without TLS is only for a server on this machine")
    if not _is_address(sender):
        raise UsageError("the sender is one e-mail address")
    port = port or (465 if security == "tls" else 587)
    password = unquote(parts.password) if parts.password else None
    return Mailer(
        parts.hostname,
        port,
        sender,
        security,
        unquote(parts.username) if parts.username else None,
        password or os.environ.get("HARMONIA_SMTP_PASSWORD"),
    )


def deliver(target: ConnectionOrDsn, mail: Mailer, *, limit: int = 500) -> Delivered:
    """Send what is due. Two senders at once share the work; a message is taken by one of them.

    A message is marked in the transaction that locks it, after the server took it; the
    ``Message-ID`` is always the same, so a repetition after a crash is recognised as one. What the
    server would not take now is put off (1 min, doubling to 4 h) for :data:`PATIENCE`; a refused
    address fails for good. Raises :class:`MailRefused` when the server cannot be reached, or goes
    away in the middle: the message it went away over is put off, those behind it stay due.
    """
    sent = deferred = failed = 0
    with session(target) as conn, _server(mail) as server:
        for _ in range(limit):
            with conn.transaction():
                row = conn.execute(statements.load("outbox_next")).fetchone()
                if row is None:
                    break
                state, lost = _send(conn, server, mail, row)
            sent, deferred, failed = (
                sent + (state == "sent"),
                deferred + (state == "pending"),
                failed + (state == "failed"),
            )
            if lost is not None:
                raise MailRefused(
                    f"the mail server {mail.host}:{mail.port} went away ({lost})"
                    f" after {sent} messages were sent"
                )
    return Delivered(sent, deferred, failed)


def undelivered(target: ConnectionOrDsn) -> list[dict[str, Any]]:
    """Return what waits and what was given up, with the reason, the oldest first."""
    with session(target) as conn, conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(statements.load("outbox_undelivered"))
        return cursor.fetchall()


def retry(target: ConnectionOrDsn, message: UUID, *, recipient: str | None = None) -> None:
    """Let a message that was given up be sent again, to another address if one is named.

    Raises :class:`Refused` when there is no such message.
    """
    with session(target) as conn, translate():
        changed = conn.execute(
            statements.load("outbox_retry"), {"id": message, "recipient": recipient}
        ).rowcount
    if not changed:
        raise Refused(
            f"no message {message} was given up",
            code="outbox.unknown",
            status=404,
            hint="list them with: harmonia outbox list",
        )


def _is_address(text: str) -> bool:
    """Return whether a header can hold the text, and it is one address there."""
    header = EmailMessage()
    try:
        header["To"] = text
        (address,) = header["To"].addresses
    except Exception:
        # The package raises whatever it likes over an odd address: IndexError, AttributeError...
        return False
    return bool(address.addr_spec == text and address.username and address.domain)


@contextmanager
def _within(server: smtplib.SMTP, seconds: float) -> Iterator[None]:
    """Hang up when the block takes longer. Raises ``SMTPServerDisconnected`` if it then fails."""
    hung_up = threading.Event()

    def hang_up() -> None:
        hung_up.set()
        if server.sock is not None:
            with suppress(OSError):
                server.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, smtplib.SMTPException):
        # Half a line may have looked like an answer.
        if hung_up.is_set():
            raise smtplib.SMTPServerDisconnected("too slow") from None
        raise
    finally:
        timer.cancel()


class _Bounded(smtplib.SMTP):
    """Waits for the greeting no longer than for the rest of the session's beginning."""

    def connect(self, *arguments: Any, **options: Any) -> tuple[int, bytes]:
        """Connect; the constructor calls it."""
        with _within(self, _SESSION):
            return super().connect(*arguments, **options)


class _BoundedTls(_Bounded, smtplib.SMTP_SSL):
    pass


@contextmanager
def _server(mail: Mailer) -> Iterator[smtplib.SMTP]:
    context = ssl.create_default_context()
    try:
        server: smtplib.SMTP
        if mail.security == "tls":
            server = _BoundedTls(mail.host, mail.port, timeout=_TIMEOUT, context=context)
        else:
            server = _Bounded(mail.host, mail.port, timeout=_TIMEOUT)
    except (OSError, smtplib.SMTPException) as error:
        raise MailRefused(
            f"the mail server {mail.host}:{mail.port} cannot be reached: {type(error).__name__}"
        ) from None
    try:
        try:
            with _within(server, _SESSION):
                if mail.security == "starttls":
                    server.starttls(context=context)
                if mail.user is not None:
                    server.login(mail.user, mail.password or "")
        except (OSError, smtplib.SMTPException) as error:
            raise MailRefused(
                f"the mail server {mail.host}:{mail.port} refused the session:"
                f" {type(error).__name__}"
            ) from None
        yield server
    finally:
        server.close()


def _send(conn: Connection, server: smtplib.SMTP, mail: Mailer, row: Any) -> tuple[str, str | None]:
    """Return the state of the message, and why the server is gone if it is."""
    id_, recipient, _, _, age = row
    state, lost = "failed", None
    reason: str | None = "this is not an e-mail address"
    # One message must not hold up those behind it.
    if _is_address(recipient):
        state, reason, lost = _hand_over(server, _written(mail, row))
    if state == "pending" and age > PATIENCE:
        state = "failed"
    conn.execute(statements.load("outbox_mark"), {"id": id_, "status": state, "error": reason})
    return state, lost


def _written(mail: Mailer, row: Any) -> EmailMessage:
    id_, recipient, subject, body, _ = row
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = mail.sender, recipient, subject
    message["Message-ID"] = f"<{id_}@{mail.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(body)
    return message


def _hand_over(server: smtplib.SMTP, message: EmailMessage) -> tuple[str, str | None, str | None]:
    """Return the state, the reason for it, and why the server is gone if it is."""
    lost = None
    try:
        with _within(server, _MESSAGE):
            server.send_message(message)
        state, reason = "sent", None
    except smtplib.SMTPRecipientsRefused as error:
        code = next(iter(error.recipients.values()))[0]
        state, reason = ("failed" if code >= 500 else "pending"), f"recipient refused ({code})"
    except smtplib.SMTPResponseException as error:
        state, reason = "pending", f"the server answered {error.smtp_code}"
    except smtplib.SMTPNotSupportedError:
        state, reason = "failed", "the server takes no address beyond ASCII"
    # Every exception of the package is an OSError too: what is no more than refused comes first.
    except smtplib.SMTPServerDisconnected as error:
        state, reason = "pending", type(error).__name__
        lost = reason
    except smtplib.SMTPException as error:
        state, reason = "pending", type(error).__name__
    except OSError as error:
        state, reason = "pending", type(error).__name__
        lost = reason
    return state, reason, lost
