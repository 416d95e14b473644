"""Organization keys in use: unwrapped by the right master key, cached for minutes."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from harmonia_py.errors import KeysShredded, MasterKeyMismatch
from harmonia_py.secrets import masterkey
from harmonia_py.secrets.context import WrapContext
from harmonia_py.secrets.hierarchy import OrganizationKey, new_root
from harmonia_py.secrets.providers import KeyProvider
from harmonia_py.secrets.providers.local import write_file
from harmonia_py.secrets.vault import Session, Vault

__all__ = [
    "CACHE_SECONDS",
    "CACHE_SIZE",
    "KeyRing",
    "MasterKeyState",
    "make_master_key",
    "master_keys",
]

CACHE_SECONDS = 300.0
CACHE_SIZE = 1000
_CHECK = b"harmonia check value, 32 bytes.."
_CHECK_CONTEXT = WrapContext(UUID(int=0), UUID(int=0))


@dataclass(frozen=True, slots=True)
class MasterKeyState:
    """One line of the table of master keys."""

    id: str
    provider: str
    state: str


def master_keys(vault: Vault) -> list[MasterKeyState]:
    """Return which master keys the database knows."""
    with vault.open(None) as session:
        return [MasterKeyState(*row[:3]) for row in session.run("master_keys")]


def make_master_key(vault: Vault, path: Path) -> bool:
    """Make a master key in a new file, for a database that has none; False: the file exists.

    A file made beside a database that has another key already would only be mistaken for it.
    """
    if path.exists():
        return False
    known = master_keys(vault)
    if known:
        active = next((key.id for key in known if key.state == "active"), "another")
        raise MasterKeyMismatch(
            f"the database already has the master key {active}, and {path} does not exist",
            hint="name the file that holds it; to change it: harmonia keys rewrap",
        )
    write_file(path, masterkey.generate())
    return True


class KeyRing:
    """Master keys by id, and the organization keys they opened.

    The first provider is the current one; further ones are needed only while a change of the
    master key is under way. A key is chosen by the id in the row, never by trying.
    """

    def __init__(self, provider: KeyProvider, *others: KeyProvider) -> None:
        self._current = provider
        self._all = (provider, *others)
        self._cache: OrderedDict[tuple[UUID, UUID], tuple[float, OrganizationKey]] = OrderedDict()
        self._active: dict[UUID, tuple[float, UUID]] = {}

    def copy(self) -> KeyRing:
        """Return a ring with the same master keys and a cache of its own, for another thread."""
        return KeyRing(*self._all)

    @property
    def provider(self) -> KeyProvider:
        """The current provider."""
        return self._current

    def named(self, master_key_id: str) -> KeyProvider:
        """Return the provider with this id, or raise ``MasterKeyMismatch``."""
        for provider in self._all:
            if provider.master_key_id == master_key_id:
                return provider
        raise MasterKeyMismatch(
            f"the row needs master key {master_key_id}; at hand: "
            + ", ".join(provider.master_key_id for provider in self._all),
            hint="point --provider (HARMONIA_MASTER_KEY_PROVIDER) at the right key; "
            "no other key was tried",
        )

    # The master key ---------------------------------------------------------------------------

    def states(self, vault: Vault) -> list[MasterKeyState]:
        """Return which master keys the database knows."""
        return master_keys(vault)

    def register(self, vault: Vault) -> MasterKeyState:
        """Make the current provider's key the active one of an empty database."""
        key_id = self._current.master_key_id
        check_value = self._proven()
        with vault.open(None) as session:
            session.run("lock_keys")
            known = [row[:3] for row in session.run("master_keys")]
            if not known:
                self._insert(session, check_value)
            elif not any(row[0] == key_id and row[2] == "active" for row in known):
                raise MasterKeyMismatch(
                    "the database already has another master key",
                    hint="to change it: harmonia keys rewrap",
                )
        return self.check(vault)

    def _proven(self) -> bytes:
        """Return the check value of the current key, after opening it again.

        A cloud key that may encrypt and not decrypt would lock everything up.
        """
        check_value = self._current.wrap(_CHECK, _CHECK_CONTEXT)
        if self._current.unwrap(check_value, _CHECK_CONTEXT) != _CHECK:
            raise MasterKeyMismatch(
                f"master key {self._current.master_key_id} does not open what it wraps"
            )
        return check_value

    def check(self, vault: Vault) -> MasterKeyState:
        """Open the check value of the active master key; ``MasterKeyMismatch`` says which is due.

        No other key is tried.
        """
        with vault.open(None) as session:
            rows = session.run("master_keys").fetchall()
        for row in rows:
            if row[2] == "active":
                self._opens(*row[:4])
                return MasterKeyState(*row[:3])
        raise MasterKeyMismatch(
            "the database has no master key yet", hint="run: harmonia keys init"
        )

    def _opens(self, key_id: str, kind: str, state: str, check_value: bytes) -> None:
        if self.named(key_id).unwrap(bytes(check_value), _CHECK_CONTEXT) != _CHECK:
            raise MasterKeyMismatch(f"master key {key_id} opens the wrong check value")

    def add_successor(self, vault: Vault) -> str:
        """Make the current provider's key active and the former one retiring; return its id.

        Every key that still wraps something must be at hand and open: a database whose active
        master key is a new one, with the former missing, would be of no use to anybody.
        """
        key_id = self._current.master_key_id
        check_value = self._proven()
        with vault.open(None) as session:
            session.run("lock_keys")
            rows = session.run("master_keys").fetchall()
            for row in rows:
                if row[2] != "retired" and row[0] != key_id:
                    self._opens(*row[:4])
            states = {row[0]: row[2] for row in rows}
            active = next((name for name, state in states.items() if state == "active"), None)
            if active is None:
                raise MasterKeyMismatch(
                    "the database has no master key yet", hint="run: harmonia keys init"
                )
            if active != key_id:
                session.run("set_master_key_state", id=active, state="retiring")
                if key_id in states:
                    session.run("set_master_key_state", id=key_id, state="active")
                else:
                    self._insert(session, check_value)
        return key_id

    def _insert(self, session: Session, check_value: bytes) -> None:
        session.run(
            "add_master_key",
            id=self._current.master_key_id,
            provider=self._current.kind,
            check_value=check_value,
        )

    # Keys of organizations --------------------------------------------------------------------

    def unwrap(
        self,
        key_id: UUID,
        organization_id: UUID,
        generation: int,
        state: str,
        master_key_id: str,
        wrapped: bytes | None,
    ) -> OrganizationKey:
        """Return the key of a row, from the cache when it is fresh."""
        now = time.monotonic()
        # By organization too: a row put under another one must be unwrapped, and fail.
        place = (organization_id, key_id)
        entry = self._cache.get(place)
        if wrapped is None:
            self._cache.pop(place, None)
            raise KeysShredded(
                f"the key of generation {generation} was {state}: what it sealed is unreadable"
            )
        if entry is not None and now - entry[0] < CACHE_SECONDS:
            return entry[1]
        root = self.named(master_key_id).unwrap(
            bytes(wrapped), WrapContext(organization_id, key_id)
        )
        key = OrganizationKey(key_id, organization_id, generation, root)
        self._cache[place] = (now, key)
        while len(self._cache) > CACHE_SIZE:
            self._cache.popitem(last=False)
        return key

    def active(self, session: Session) -> OrganizationKey:
        """Return the key to seal with; an organization's first one is made here."""
        organization_id = _of(session)
        remembered = self._active.get(organization_id)
        if remembered is not None and time.monotonic() - remembered[0] < CACHE_SECONDS:
            entry = self._cache.get((organization_id, remembered[1]))
            if entry is not None:
                return entry[1]
        row = session.run("active_key").fetchone()
        if row is None:
            # Another writer may be making the first key: wait, and look again.
            session.run("lock_keys")
            if session.run("any_key").fetchone() is None:
                self.add_generation(session, 1)
            row = session.run("active_key").fetchone()
        if row is None:
            raise KeysShredded(f"the keys of organization {organization_id} were destroyed")
        key = self.unwrap(*row)
        self._active[organization_id] = (time.monotonic(), key.id)
        return key

    def add_generation(self, session: Session, generation: int) -> None:
        """Store a new random key. The caller holds the lock of the organization's keys."""
        organization_id = _of(session)
        states = {row[0]: row[2] for row in session.run("master_keys")}
        if not states:
            raise MasterKeyMismatch(
                "the database has no master key yet", hint="run: harmonia keys init"
            )
        active = next(name for name, state in states.items() if state == "active")
        provider = self.named(active)
        key_id, root = uuid4(), new_root()
        key = OrganizationKey(key_id, organization_id, generation, root)
        session.run(
            "add_key",
            id=key_id,
            generation=generation,
            master_key_id=active,
            wrapped=provider.wrap(root, WrapContext(organization_id, key_id)),
            commitment=key.commitment,
        )

    def forget(self, organization_id: UUID) -> None:
        """Drop what is remembered of one organization, after a rotation or a stale key."""
        self._active.pop(organization_id, None)
        for place in [place for place in self._cache if place[0] == organization_id]:
            del self._cache[place]


def _of(session: Session) -> UUID:
    if session.organization_id is None:
        raise ValueError("no organization is open")
    return session.organization_id
