"""AWS KMS: the master key never leaves the service."""

from __future__ import annotations

import importlib
from typing import Any

from harmonia_py.errors import (
    DecryptFailed,
    KeyProviderDenied,
    KeyProviderUnavailable,
    UsageError,
)
from harmonia_py.secrets.context import WrapContext
from harmonia_py.secrets.providers.base import KeyProvider

__all__ = ["AwsKms"]

_DENIED = {
    "AccessDeniedException",
    "DisabledException",
    "ExpiredTokenException",
    "IncorrectKeyException",
    "InvalidGrantTokenException",
    "InvalidKeyUsageException",
    "KMSInvalidStateException",
    "NotFoundException",
    "UnrecognizedClientException",
}


class AwsKms:
    """A KMS key by id, alias or ARN. Credentials and region come from the usual AWS places."""

    kind = "awskms"

    def __init__(self, key: str, *, client: Any = None) -> None:
        """Take the key's name; ``client`` is a boto3 KMS client (made on first use)."""
        self._key = key
        self._client = client
        self._arn: str | None = None

    @property
    def master_key_id(self) -> str:
        """``awskms:`` and the ARN, so that a moved alias is noticed."""
        if self._arn is None:
            self._arn = str(self._call("describe_key", KeyId=self._key)["KeyMetadata"]["Arn"])
        return f"awskms:{self._arn}"

    def wrap(self, key: bytes, context: WrapContext) -> bytes:
        """Encrypt under the KMS key with the context as encryption context."""
        answer = self._call(
            "encrypt",
            KeyId=self._resolved(),
            Plaintext=key,
            EncryptionContext=context.mapping(),
        )
        return bytes(answer["CiphertextBlob"])

    def unwrap(self, blob: bytes, context: WrapContext) -> bytes:
        """Decrypt; naming the key keeps a foreign blob from being opened with another one."""
        answer = self._call(
            "decrypt",
            KeyId=self._resolved(),
            CiphertextBlob=blob,
            EncryptionContext=context.mapping(),
        )
        return bytes(answer["Plaintext"])

    def rewrap(self, blob: bytes, context: WrapContext, new: KeyProvider) -> bytes | None:
        """Re-encrypt inside KMS when the new key lives there too."""
        if not isinstance(new, AwsKms):
            return None
        answer = self._call(
            "re_encrypt",
            CiphertextBlob=blob,
            SourceKeyId=self._resolved(),
            SourceEncryptionContext=context.mapping(),
            DestinationKeyId=new._resolved(),
            DestinationEncryptionContext=context.mapping(),
        )
        return bytes(answer["CiphertextBlob"])

    def _resolved(self) -> str:
        return self.master_key_id.removeprefix("awskms:")

    def _call(self, method: str, **arguments: Any) -> Any:
        try:
            exceptions = importlib.import_module("botocore.exceptions")
            if self._client is None:
                config = importlib.import_module("botocore.config").Config(
                    connect_timeout=5, read_timeout=10, retries={"max_attempts": 3}
                )
                self._client = importlib.import_module("boto3").client("kms", config=config)
        except ImportError:
            raise UsageError(
                "the AWS provider is not installed", hint="pip install 'harmonia[aws]'"
            ) from None
        except Exception as error:  # no region, broken profile, ...
            raise KeyProviderDenied(
                f"AWS KMS cannot be reached with this configuration: {type(error).__name__}"
            ) from None
        try:
            return getattr(self._client, method)(**arguments)
        except exceptions.ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "unknown"))
            if code == "InvalidCiphertextException":
                raise DecryptFailed(
                    "AWS KMS refused the wrapped key: altered, or of another organization"
                ) from None
            if code in _DENIED:
                raise KeyProviderDenied(f"AWS KMS refused: {code}") from None
            raise KeyProviderUnavailable(f"AWS KMS failed: {code}") from None
        except exceptions.NoCredentialsError:
            raise KeyProviderDenied("AWS KMS: no credentials were found") from None
        except exceptions.BotoCoreError as error:
            raise KeyProviderUnavailable(
                f"AWS KMS did not answer: {type(error).__name__}"
            ) from None
