"""A vault for tests: a registered master key and the two organizations of the seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from harmonia_py.engines import Database
from harmonia_py.secrets import Secret, masterkey
from harmonia_py.secrets.keyring import KeyRing
from harmonia_py.secrets.providers import LocalKey
from harmonia_py.secrets.providers.local import write_file
from harmonia_py.secrets.store import SecretStore
from harmonia_py.secrets.vault import Actor, Vault

ALDER = UUID("a0000000-0000-7000-8000-000000000001")
BIRCH = UUID("b0000000-0000-7000-8000-000000000001")
WORKER = Actor("test worker")


@dataclass(frozen=True)
class VaultBench:
    """A database with a master key, and as many stores as a test wants."""

    database: Database
    master_key: Secret
    key_file: Path
    store: SecretStore
    another: Callable[[], SecretStore]

    @property
    def key_uri(self) -> str:
        return f"file:{self.key_file}"


@pytest.fixture
def vault_bench(database: Database, tmp_path: Path) -> Iterator[VaultBench]:
    key = masterkey.generate()
    key_file = tmp_path / "master.key"
    write_file(key_file, key)
    with ExitStack() as stack:

        def another() -> SecretStore:
            connection = stack.enter_context(database.connect(autocommit=True))
            return SecretStore(Vault(connection), KeyRing(LocalKey(key, "file")))

        store = another()
        store.ring.register(store.vault)
        yield VaultBench(database, key, key_file, store, another)
