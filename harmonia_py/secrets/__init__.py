"""Secrets of organizations, sealed before they reach the database.

``envelope`` seals and opens, ``hierarchy`` holds the keys, ``providers`` hold the master key,
``store`` keeps it all in PostgreSQL. See docs/explanation/secrets.md.
"""

from harmonia_py.secrets.context import SecretContext, WrapContext, audience_of
from harmonia_py.secrets.envelope import MAX_PLAINTEXT, DataKey, SecretHandle
from harmonia_py.secrets.hierarchy import OrganizationKey
from harmonia_py.secrets.providers import KeyProvider, provider
from harmonia_py.secrets.value import Secret

__all__ = [
    "MAX_PLAINTEXT",
    "DataKey",
    "KeyProvider",
    "OrganizationKey",
    "Secret",
    "SecretContext",
    "SecretHandle",
    "WrapContext",
    "audience_of",
    "provider",
]
