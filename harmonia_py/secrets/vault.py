"""The door to the sealed tables: one role, one organization, one short transaction at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.types.json import Jsonb

from harmonia_py.errors import (
    Busy,
    HarmoniaError,
    KeysShredded,
    SecretAccessDenied,
    SecretError,
    StaleKey,
    UnknownOrganization,
    UsageError,
)
from harmonia_py.secrets.queries import queries

__all__ = ["Actor", "Session", "Vault"]

_SQL = queries("harmonia_py.secrets")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: a program by name, or a user by a token that the caller has verified.

    With ``claims`` (the payload of the access token) the database checks the user's permission;
    without them the program itself is trusted, as its key provider is.
    """

    name: str
    claims: Mapping[str, Any] | None = None
    request_id: str | None = None

    @property
    def user_id(self) -> UUID | None:
        """The user, when one asks."""
        subject = (self.claims or {}).get("sub")
        try:
            return UUID(str(subject)) if subject else None
        except ValueError:
            raise SecretAccessDenied("the token names no user of this database") from None


class Session:
    """An open transaction as ``harmonia_vault`` in one organization."""

    __slots__ = ("_connection", "organization_id")

    def __init__(self, connection: psycopg.Connection[Any], organization_id: UUID | None) -> None:
        self._connection = connection
        self.organization_id = organization_id

    def run(self, name: str, /, **values: object) -> psycopg.Cursor[Any]:
        """Run a named statement; ``organization_id`` is added."""
        return self._connection.execute(
            _SQL[name], {"organization_id": self.organization_id, **values}, binary=True
        )

    def statement(self, sql: bytes, **values: object) -> psycopg.Cursor[Any]:
        """Run a statement of another package; ``organization_id`` is added."""
        return self._connection.execute(
            sql, {"organization_id": self.organization_id, **values}, binary=True
        )

    def savepoint(self) -> AbstractContextManager[psycopg.Transaction]:
        """Return a block that can fail without ending the transaction."""
        return self._connection.transaction()

    def log(
        self,
        action: str,
        name: str,
        actor: Actor,
        outcome: str = "done",
        *,
        secret_id: UUID | None = None,
        version: int | None = None,
        purpose: str | None = None,
    ) -> None:
        """Add a line to the access log."""
        self.run(
            "log",
            secret_id=secret_id,
            name=name,
            version=version,
            action=action,
            actor=actor.name,
            user_id=actor.user_id,
            purpose=purpose,
            outcome=outcome,
            request_id=actor.request_id,
        )


class Vault:
    """Opens organizations over one connection, which it has for itself.

    The connection may belong to ``harmonia_vault`` or to a role that may become it. It needs no
    prepared statements and holds no transaction between calls, so poolers may stand between.
    ``patience`` is how many seconds a statement may take (None: as the database says).
    """

    def __init__(
        self, connection: psycopg.Connection[Any], *, patience: float | None = None
    ) -> None:
        if connection.info.transaction_status is not TransactionStatus.IDLE:
            raise UsageError("the vault needs a connection of its own, outside a transaction")
        connection.autocommit = True
        # Whoever waited for another's lock must see what that other did.
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        self._connection = connection
        self._patience = None if patience is None else f"{int(patience * 1000)}ms"

    @contextmanager
    def open(self, organization_id: UUID | None) -> Iterator[Session]:
        """Open one organization (or none) for a short transaction."""
        with _translated(), self._connection.transaction():
            self._connection.execute(
                _SQL["open"],
                {
                    "organization_id": str(organization_id) if organization_id else "",
                    "patience": self._patience,
                },
            )
            yield Session(self._connection, organization_id)

    def __enter__(self) -> Vault:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @property
    def broken(self) -> bool:
        """Whether the connection was lost."""
        return self._connection.closed or self._connection.broken

    def authorize(self, organization_id: UUID, actor: Actor, permission: str) -> bool:
        """Tell whether the actor may; a program without a user always may."""
        if actor.claims is None:
            return True
        if actor.user_id is None:
            return False
        with self.open(organization_id) as session:
            row = session.run(
                "authorize", permission=permission, claims=Jsonb(dict(actor.claims))
            ).fetchone()
        return bool(row and row[0])


# Deadlock or serialization failure, a lock not to be had, a time limit.
_BUSY = ("40", "55P03", "57014")
_BY_DETAIL: dict[str, type[SecretError]] = {
    "secret.stale_key": StaleKey,
    "secret.key_state": KeysShredded,
}


@contextmanager
def _translated() -> Iterator[None]:
    """Turn database errors into ours; the original would carry row contents in its detail."""
    try:
        yield
    except psycopg.errors.ForeignKeyViolation as error:
        if (error.diag.constraint_name or "").endswith("organization_id_fkey"):
            raise UnknownOrganization(
                "there is no such organization", hint="give its id: --organization UUID"
            ) from None
        raise SecretError(f"the database refused: {error.diag.constraint_name}") from None
    except psycopg.errors.InsufficientPrivilege:
        raise SecretAccessDenied(
            "this database user may not act as harmonia_vault",
            hint="grant harmonia_vault to the user, or log in as harmonia_vault",
        ) from None
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidParameterValue) as error:
        raise SecretError(
            f"the tables of the vault are missing ({error.sqlstate})",
            hint="run: harmonia migrate apply",
        ) from None
    except psycopg.errors.IntegrityError as error:
        if error.diag.constraint_name == "secret_versions_pkey":
            raise StaleKey("another writer stored the same version first") from None
        raise SecretError(f"the database refused: {error.diag.constraint_name}") from None
    except psycopg.errors.Error as error:
        hint = error.diag.message_hint or None
        known = _BY_DETAIL.get(error.diag.message_detail or "")
        if known is not None:
            raise known(error.diag.message_primary, hint=hint) from None
        if (error.sqlstate or "").startswith("PT"):
            raise SecretError(error.diag.message_primary, hint=hint) from None
        if (error.sqlstate or "").startswith(_BUSY):
            raise Busy(
                f"the database was busy (SQLSTATE {error.sqlstate}); nothing was changed",
                hint="try again",
            ) from None
        if isinstance(error, psycopg.OperationalError):
            raise HarmoniaError("the database did not answer") from None
        raise SecretError(f"the database failed with SQLSTATE {error.sqlstate}") from None
