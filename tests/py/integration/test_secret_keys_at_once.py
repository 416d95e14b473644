"""Keys made, rotated, rewrapped and destroyed at once: every race is forced, none is hoped for."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from threading import Barrier, Event, Thread
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from fix_vault import ALDER, BIRCH, WORKER, VaultBench

from harmonia_py.engines import Database
from harmonia_py.errors import (
    Busy,
    HarmoniaError,
    KeyProviderDenied,
    KeysShredded,
    MasterKeyMismatch,
    SecretError,
)
from harmonia_py.secrets import KeyProvider, Secret, WrapContext, masterkey
from harmonia_py.secrets.keyring import KeyRing
from harmonia_py.secrets.providers import LocalKey
from harmonia_py.secrets.rewrapping import rewrap
from harmonia_py.secrets.rotation import (
    key_infos,
    rotate_organization,
    shred,
    verify,
)
from harmonia_py.secrets.store import SecretStore
from harmonia_py.secrets.vault import Session, Vault

Connection = psycopg.Connection[Any]
VALUE = Secret("pat-eu1-0123456789abcdef7Q4z")
PATIENCE = 30.0


class Act(Thread):
    """Does something elsewhere and keeps what came of it."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self.act = act
        self.done: object = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.done = self.act()
        except BaseException as error:
            self.error = error

    def ended(self) -> BaseException | None:
        """Wait for the end and return the error there was."""
        self.join(PATIENCE)
        assert not self.is_alive(), "it hangs"
        return self.error


class Waiting(LocalKey):
    """A master key that can be held up in the middle of wrapping, as a slow service would be."""

    def __init__(self, key: Secret) -> None:
        super().__init__(key, "file")
        self.hold = Event()
        self.reached = Event()
        self.go = Event()

    def wrap(self, key: bytes, context: WrapContext) -> bytes:
        if self.hold.is_set():
            self.reached.set()
            assert self.go.wait(PATIENCE)
        return super().wrap(key, context)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _waiting(admin: Connection, kind: str = "advisory") -> int:
    row = admin.execute(
        "select count(*) from pg_locks where locktype = %s and not granted", [kind]
    ).fetchone()
    admin.commit()
    assert row is not None
    return int(row[0])


# The first key of an organization ------------------------------------------------------------

# Both writers have looked and found no key. Without a lock both would be in the middle of their
# insert when they meet, behind the first of the indexes, which an expression here holds up.
_MEET = """
create function public.meet(uuid) returns uuid language plpgsql immutable as $$
begin
    perform pg_catalog.pg_advisory_lock_shared(4711);
    perform pg_catalog.pg_advisory_unlock_shared(4711);
    return $1;
end;
$$;
grant execute on function public.meet(uuid) to harmonia_vault;
create index meet_idx on private.organization_keys (public.meet(organization_id));
alter table private.organization_keys drop constraint organization_keys_generation_key;
alter table private.organization_keys add constraint organization_keys_generation_key
unique (organization_id, generation);
drop index private.organization_keys_active_key;
create unique index organization_keys_active_key on private.organization_keys (organization_id)
where state = 'active';
"""


def test_two_writers_make_the_first_key_at_once(vault_bench: VaultBench, admin: Connection) -> None:
    admin.execute(_MEET)
    admin.execute("select pg_advisory_lock(4711)")
    admin.commit()
    writers = [
        Act(
            partial(
                vault_bench.another().set, ALDER, f"s{place}", Secret(f"v{place}"), actor=WORKER
            )
        )
        for place in range(2)
    ]
    _until(lambda: _waiting(admin) == 2)
    admin.execute("select pg_advisory_unlock(4711)")
    admin.commit()
    assert [writer.ended() for writer in writers] == [None, None]
    store = vault_bench.store
    for place in range(2):
        found = store.get(ALDER, f"s{place}", audience="", actor=WORKER)
        assert found.value == Secret(f"v{place}")
    infos = key_infos(store.vault, ALDER)
    assert [(info.generation, info.state, info.versions) for info in infos] == [(1, "active", 2)]


def test_a_key_made_between_two_looks_is_used(
    vault_bench: VaultBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It must not be taken for the remains of destroyed ones."""
    real = Session.run
    slow, quick = vault_bench.another(), vault_bench.another()
    looks: list[str] = []

    def run(session: Session, name: str, /, **values: object) -> psycopg.Cursor[Any]:
        found = real(session, name, **values)
        if name == "active_key" and not looks:
            looks.append(name)
            quick.set(ALDER, "quick", VALUE, actor=WORKER)
        return found

    monkeypatch.setattr(Session, "run", run)
    slow.set(ALDER, "slow", VALUE, actor=WORKER)
    assert looks
    infos = key_infos(vault_bench.store.vault, ALDER)
    assert [(info.generation, info.versions) for info in infos] == [(1, 2)]


def test_a_closed_organization_gets_no_first_key(vault_bench: VaultBench, conn: Connection) -> None:
    store = vault_bench.store
    store.set(BIRCH, "before", VALUE, actor=WORKER)
    conn.execute("update public.organizations set status = 'closed' where id <> %s", [uuid4()])
    conn.commit()
    with pytest.raises(SecretError, match="closed for good"):
        store.set(ALDER, "a", VALUE, actor=WORKER)
    assert key_infos(store.vault, ALDER) == []
    assert store.get(BIRCH, "before", audience="", actor=WORKER).value == VALUE


# Rotation and destruction --------------------------------------------------------------------


def _slow(bench: VaultBench) -> tuple[SecretStore, Waiting]:
    key = Waiting(bench.master_key)
    return SecretStore(bench.another().vault, KeyRing(key)), key


def test_a_key_that_a_rotation_has_just_made_is_destroyed_too(
    vault_bench: VaultBench, admin: Connection, conn: Connection
) -> None:
    store = vault_bench.store
    for number in range(5):
        store.set(ALDER, f"s{number}", VALUE, actor=WORKER)
    slow, key = _slow(vault_bench)
    slow.ring.check(slow.vault)
    key.hold.set()
    rotation = Act(lambda: rotate_organization(slow.vault, slow.ring, ALDER))
    assert key.reached.wait(PATIENCE)
    # The next generation is about to be stored. Without a lock the end would miss it.
    other = vault_bench.another()
    end = Act(lambda: shred(other.vault, other.ring, ALDER, actor=WORKER))
    _until(lambda: _waiting(admin) == 1)
    key.go.set()
    assert end.ended() is None
    assert end.done == 2
    # The rotation finds that there is nothing to move, and does not try for ever.
    error = rotation.ended()
    assert error is None or isinstance(error, KeysShredded)
    left = conn.execute(
        "select generation, state, wrapped from private.organization_keys order by generation"
    ).fetchall()
    assert left == [(1, "shredded", None), (2, "shredded", None)]
    with pytest.raises(KeysShredded):
        rotate_organization(store.vault, store.ring, ALDER)


def test_a_rotation_stops_when_the_keys_are_destroyed(vault_bench: VaultBench) -> None:
    store = vault_bench.store
    for number in range(6):
        store.set(ALDER, f"s{number}", VALUE, actor=WORKER)
    other = vault_bench.another()

    def destroy(done: int, _: int) -> None:
        if done == 2:
            shred(other.vault, other.ring, ALDER, actor=WORKER)

    rotation = Act(
        lambda: rotate_organization(store.vault, store.ring, ALDER, batch=2, progress=destroy)
    )
    assert isinstance(rotation.ended(), KeysShredded)


def test_a_destroyed_key_is_in_no_record(vault_bench: VaultBench, conn: Connection) -> None:
    vault_bench.store.set(ALDER, "a", VALUE, actor=WORKER)
    row = conn.execute("select wrapped from private.organization_keys").fetchone()
    assert row is not None
    recorded = conn.execute(
        "select count(*), coalesce(bool_or(e.payload::text ilike %s), false)"
        " from audit.events as e where e.table_name = 'private.organization_keys'",
        [f"%{row[0].hex()}%"],
    ).fetchone()
    assert recorded is not None
    assert recorded[0] > 0 and not recorded[1]


def test_a_rotation_does_not_wait_for_writers(vault_bench: VaultBench, conn: Connection) -> None:
    """Nor they for it: they share a lock on the new key, and each may hold what the other wants."""
    store = vault_bench.store
    for number in range(6):
        store.set(ALDER, f"s{number}", VALUE, actor=WORKER)
    rotate_organization(store.vault, store.ring, ALDER, batch=2, limit=2)
    conn.execute(
        "select 1 from private.organization_keys"
        " where organization_id = %s and state = 'active' for share",
        [ALDER],
    )
    rotation = Act(lambda: rotate_organization(store.vault, store.ring, ALDER, batch=2))
    assert rotation.ended() is None
    conn.rollback()
    assert verify(store.vault, store.ring, ALDER).opened == 6


def test_two_rotations_report_the_same_generation(vault_bench: VaultBench) -> None:
    vault_bench.store.set(ALDER, "a", VALUE, actor=WORKER)
    slow, key = _slow(vault_bench)
    key.hold.set()
    first = Act(lambda: rotate_organization(slow.vault, slow.ring, ALDER, limit=1))
    assert key.reached.wait(PATIENCE)
    other = vault_bench.another()
    second = Act(lambda: rotate_organization(other.vault, other.ring, ALDER))
    key.go.set()
    assert (first.ended(), second.ended()) == (None, None)
    infos = key_infos(vault_bench.store.vault, ALDER)
    assert [info.state for info in infos if info.versions] == ["active"]
    for rotated in (first.done, second.done):
        assert rotated.new_generation == rotated.old_generation + 1  # type: ignore[attr-defined]


# Counting what a key sealed ------------------------------------------------------------------


_AGAIN = """
insert into private.secret_versions
(organization_id, secret_id, version, key_id, kind, audience, envelope)
select organization_id, secret_id, %s, key_id, kind, audience, envelope
from private.secret_versions where secret_id = %s and version = 1
"""


def test_writers_that_count_do_not_deadlock(
    vault_bench: VaultBench, conn: Connection, admin: Connection
) -> None:
    store = vault_bench.store
    one, two = (store.set(ALDER, name, VALUE, actor=WORKER).id for name in ("one", "two"))
    row = admin.execute(
        "select pg_get_functiondef('private.tg_secret_versions__active_key'::regproc)"
    ).fetchone()
    assert row is not None and "pg_catalog.random()" in row[0]
    admin.execute(row[0].replace("pg_catalog.random()", "current_setting('test.chance')::float"))
    admin.commit()
    conn.execute("select set_config('test.chance', '1', false)")
    conn.execute(_AGAIN, [2, one])
    with vault_bench.database.connect() as other:
        other.execute("select set_config('test.chance', '0', false)")

        def count() -> None:
            other.execute(_AGAIN, [2, two])
            other.commit()

        counting = Act(count)
        # It counts while the first transaction has not ended, or waits for it.
        counting.join(1)
        conn.execute("select set_config('test.chance', '0', false)")
        conn.execute(_AGAIN, [3, one])
        conn.commit()
        assert counting.ended() is None
    assert [info.seals for info in key_infos(store.vault, ALDER)] == [2048]


def test_a_worn_key_seals_nothing_more(vault_bench: VaultBench, conn: Connection) -> None:
    store = vault_bench.store
    store.set(ALDER, "a", VALUE, actor=WORKER)
    insert = (
        "insert into private.key_seals (organization_id, key_id, seals)"
        " select organization_id, id, %s from private.organization_keys where state = 'active'"
        " on conflict (organization_id, key_id) do update set seals = excluded.seals"
    )
    conn.execute(insert, [2**30])
    conn.commit()
    store.set(ALDER, "a", VALUE, actor=WORKER)
    conn.execute(insert, [2**30 + 1])
    conn.commit()
    with pytest.raises(SecretError, match="2\\^30") as refused:
        store.set(ALDER, "a", Secret("new"), actor=WORKER)
    assert refused.value.hint == "run: harmonia keys rotate-organization"
    assert store.get(ALDER, "a", audience="", actor=WORKER).value == VALUE
    assert rotate_organization(store.vault, store.ring, ALDER).finished
    store.set(ALDER, "a", Secret("new"), actor=WORKER)


# Master keys ---------------------------------------------------------------------------------


def test_two_master_keys_registered_at_once(database: Database) -> None:
    meet = Barrier(2)

    class Meeting(LocalKey):
        def wrap(self, key: bytes, context: WrapContext) -> bytes:
            meet.wait(PATIENCE)
            return super().wrap(key, context)

    with (
        Vault(database.connect(autocommit=True)) as one,
        Vault(database.connect(autocommit=True)) as two,
    ):
        rings = [KeyRing(Meeting(masterkey.generate(), "file")) for _ in range(2)]
        acts = [
            Act(partial(ring.register, vault))
            for ring, vault in zip(rings, (one, two), strict=True)
        ]
        errors = [act.ended() for act in acts]
        assert {type(error) for error in errors} == {MasterKeyMismatch, type(None)}
        states = rings[0].states(one)
    winner = rings[errors.index(None)]
    assert [(s.id, s.state) for s in states] == [(winner.provider.master_key_id, "active")]


def test_a_rewrap_without_the_former_key_changes_nothing(vault_bench: VaultBench) -> None:
    store = vault_bench.store
    store.set(ALDER, "a", VALUE, actor=WORKER)
    new = LocalKey(masterkey.generate(), "file")
    for others in ((), (LocalKey(masterkey.generate(), "file"),)):
        with pytest.raises(MasterKeyMismatch):
            rewrap(store.vault, KeyRing(new, *others))
        # Whoever works goes on working.
        assert [s.state for s in store.ring.states(store.vault)] == ["active"]
        assert store.ring.check(store.vault).id != new.master_key_id
        vault_bench.another().set(ALDER, "a", VALUE, actor=WORKER)


def test_a_master_key_that_cannot_decrypt_is_not_registered(
    vault_bench: VaultBench, plain_database: Database
) -> None:
    class EncryptOnly(LocalKey):
        def unwrap(self, blob: bytes, context: WrapContext) -> bytes:
            raise KeyProviderDenied("no permission to decrypt")

    store = vault_bench.store
    store.set(ALDER, "a", VALUE, actor=WORKER)
    deaf = EncryptOnly(masterkey.generate(), "awskms")
    with pytest.raises(KeyProviderDenied):
        rewrap(store.vault, KeyRing(deaf, LocalKey(vault_bench.master_key, "file")))
    assert [s.id for s in store.ring.states(store.vault)] == [store.ring.provider.master_key_id]
    assert vault_bench.another().get(ALDER, "a", audience="", actor=WORKER).value == VALUE


def test_a_key_on_its_way_is_not_left_under_a_replaced_master_key(
    vault_bench: VaultBench, conn: Connection
) -> None:
    store = vault_bench.store
    for organization in (ALDER, BIRCH):
        store.set(organization, "a", VALUE, actor=WORKER)
    old, new = Waiting(vault_bench.master_key), LocalKey(masterkey.generate(), "file")
    slow = SecretStore(vault_bench.another().vault, KeyRing(old, new))
    old.hold.set()
    rotation = Act(lambda: rotate_organization(slow.vault, slow.ring, ALDER))
    assert old.reached.wait(PATIENCE)
    # The rotation has wrapped its next key with the old master key and not stored it yet.
    ring = KeyRing(new, LocalKey(vault_bench.master_key, "file"))
    first = rewrap(vault_bench.another().vault, ring)
    assert (first.moved, first.retired, first.waiting) == (1, [], [old.master_key_id])
    old.go.set()
    assert rotation.ended() is None
    second = rewrap(vault_bench.another().vault, ring)
    assert (second.retired, second.waiting) == ([old.master_key_id], [])
    under = conn.execute(
        "select distinct master_key_id from private.organization_keys where wrapped is not null"
    ).fetchall()
    assert under == [(new.master_key_id,)]
    fresh = SecretStore(vault_bench.another().vault, KeyRing(new))
    for organization in (ALDER, BIRCH):
        assert fresh.get(organization, "a", audience="", actor=WORKER).value == VALUE


def test_the_newest_version_of_the_same_master_key(vault_bench: VaultBench) -> None:
    """The service moves the blobs itself; neither key ever shows."""

    class Service(LocalKey):
        moved = 0

        def rewrap(self, blob: bytes, context: WrapContext, new: KeyProvider) -> bytes | None:
            self.moved += 1
            return self.wrap(self.unwrap(blob, context), context)

    store = vault_bench.store
    for organization in (ALDER, BIRCH):
        store.set(organization, "a", VALUE, actor=WORKER)
    service = Service(vault_bench.master_key, "transit")
    done = rewrap(store.vault, KeyRing(service))
    assert (done.moved, service.moved, done.retired, done.waiting) == (2, 2, [], [])
    assert [s.state for s in store.ring.states(store.vault)] == ["active"]
    assert vault_bench.another().get(BIRCH, "a", audience="", actor=WORKER).value == VALUE
    # A key in this process has no versions: nothing is moved, and nothing is said to be.
    assert rewrap(store.vault, vault_bench.another().ring).moved == 0


def test_the_database_keeps_a_master_key_in_use(vault_bench: VaultBench, conn: Connection) -> None:
    """The function and the trigger, not the goodwill of the caller, hold to it."""
    vault_bench.store.set(ALDER, "a", VALUE, actor=WORKER)
    key_id = vault_bench.store.ring.provider.master_key_id
    conn.execute("update private.master_keys set state = 'retiring'")
    assert conn.execute("select private.retire_master_key(%s)", [key_id]).fetchone() == (False,)
    with pytest.raises(psycopg.Error, match="replaced"), conn.transaction():
        conn.execute("update private.organization_keys set wrapped = wrapped || '\\x00'::bytea")
    conn.execute("update private.organization_keys set state = 'shredded', wrapped = null")
    assert conn.execute("select private.retire_master_key(%s)", [key_id]).fetchone() == (True,)
    conn.rollback()


# What the database says when it is busy ------------------------------------------------------


def test_a_lock_that_is_not_to_be_had_is_said_to_be_one(
    vault_bench: VaultBench, conn: Connection
) -> None:
    store = vault_bench.store
    store.set(ALDER, "a", VALUE, actor=WORKER)
    conn.execute("select 1 from public.secrets for update")
    busy = vault_bench.another()
    busy.vault._connection.execute("set lock_timeout = '50ms'")
    with pytest.raises(Busy, match="55P03") as refused:
        busy.set(ALDER, "a", Secret("new"), actor=WORKER)
    assert refused.value.exit_code == 4 and isinstance(refused.value, HarmoniaError)
    conn.rollback()
    assert busy.get(ALDER, "a", audience="", actor=WORKER).value == VALUE
