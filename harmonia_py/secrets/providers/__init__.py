"""Where the master key lives, by URI.

========================  =========================================================
``file:/run/secrets/h``   a file, mode 0600, ours or root's
``cmd:pass show h``       what a command prints (no shell)
``env:NAME``              an environment variable, removed after reading
``keyring:service/user``  the keyring of the operating system (extra ``keyring``)
``awskms:alias/h``        AWS KMS (extra ``aws``)
``gcpkms:projects/...``   Google Cloud KMS
``transit:https://...#k`` Vault or OpenBao transit
========================  =========================================================
"""

from __future__ import annotations

from harmonia_py.errors import UsageError
from harmonia_py.secrets.providers import local
from harmonia_py.secrets.providers.base import KeyProvider, LocalKey, Rewraps
from harmonia_py.secrets.value import Secret

__all__ = ["KeyProvider", "LocalKey", "Rewraps", "local_master_key", "provider"]


def provider(uri: str) -> KeyProvider:
    """Return the provider that a URI names; cloud modules are imported only when used."""
    scheme, _, rest = uri.partition(":")
    if scheme in local.SCHEMES and rest:
        return LocalKey(local.read(scheme, rest), scheme)
    if scheme == "awskms" and rest:
        from harmonia_py.secrets.providers.aws import AwsKms

        return AwsKms(rest)
    if scheme == "gcpkms" and rest:
        from harmonia_py.secrets.providers.gcp import GcpKms

        return GcpKms(rest)
    if scheme == "transit" and rest:
        from harmonia_py.secrets.providers.transit import VaultTransit

        return VaultTransit(rest)
    raise UsageError(
        "the key provider is not one of file: cmd: env: keyring: awskms: gcpkms: transit:",
        hint="for example --provider file:/run/secrets/harmonia",
    )


def local_master_key(uri: str) -> Secret:
    """Return the master key itself, for splitting; a cloud key cannot be exported."""
    scheme, _, rest = uri.partition(":")
    if scheme not in local.SCHEMES or not rest:
        raise UsageError(
            "only a file:, cmd:, env: or keyring: master key can be exported; "
            "a key in a cloud service is recovered by that service"
        )
    return local.read(scheme, rest)
