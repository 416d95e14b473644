"""Send what the outbox holds by SMTP, each message once, with its state of delivery."""

from __future__ import annotations

import os
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
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
    parts = urlsplit(url)
    security = {"smtp": "starttls", "smtps": "tls", "smtp+plain": "plain"}.get(parts.scheme)
    if security is None or not parts.hostname:
        raise UsageError("a mail server is named smtp://host:port or smtps://host:port")
    if security == "plain" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
        raise UsageError("mail without TLS is only for a server on this machine")
    if "@" not in sender or any(c in sender for c in "\r\n<>, "):
        raise UsageError("the sender is one e-mail address")
    port = parts.port or (465 if security == "tls" else 587)
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


@contextmanager
def _server(mail: Mailer) -> Iterator[smtplib.SMTP]:
    context = ssl.create_default_context()
    try:
        server: smtplib.SMTP
        if mail.security == "tls":
            server = smtplib.SMTP_SSL(mail.host, mail.port, timeout=_TIMEOUT, context=context)
        else:
            server = smtplib.SMTP(mail.host, mail.port, timeout=_TIMEOUT)
    except (OSError, smtplib.SMTPException) as error:
        raise MailRefused(
            f"the mail server {mail.host}:{mail.port} cannot be reached: {type(error).__name__}"
        ) from None
    try:
        try:
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
    id_, recipient, subject, body, age = row
    reason: str | None
    lost: str | None = None
    try:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = mail.sender, recipient, subject
        message["Message-ID"] = f"<{id_}@{mail.sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(body)
        if [a.addr_spec for a in message["To"].addresses] != [recipient]:
            raise ValueError
    except Exception:
        # The package raises whatever it likes over an odd address (IndexError, AttributeError,
        # ...), and one message must not hold up those behind it.
        reason = "this is not an e-mail address"
        conn.execute(
            statements.load("outbox_mark"), {"id": id_, "status": "failed", "error": reason}
        )
        return "failed", None
    try:
        server.send_message(message, to_addrs=[recipient])
        state, reason = "sent", None
    except smtplib.SMTPRecipientsRefused as error:
        code = next(iter(error.recipients.values()))[0]
        state, reason = ("failed" if code >= 500 else "pending"), f"recipient refused ({code})"
    except smtplib.SMTPResponseException as error:
        state, reason = "pending", f"the server answered {error.smtp_code}"
    except (OSError, smtplib.SMTPServerDisconnected) as error:
        state, reason = "pending", type(error).__name__
        lost = reason
    except smtplib.SMTPException as error:
        state, reason = "pending", type(error).__name__
    if state == "pending" and age > PATIENCE:
        state = "failed"
    conn.execute(statements.load("outbox_mark"), {"id": id_, "status": state, "error": reason})
    return state, lost
