"""Secrets in a database: what works, what is refused, what stays when something fails."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from fix_vault import ALDER, BIRCH, WORKER, VaultBench

from harmonia_py.engines import Database
from harmonia_py.errors import (
    AudienceMismatch,
    DecryptFailed,
    InvalidSecret,
    KeysShredded,
    MasterKeyMismatch,
    SecretAccessDenied,
    SecretError,
    SecretExpired,
    SecretNotFound,
    SecretUnavailable,
    UnknownKey,
    UnknownOrganization,
    UsageError,
)
from harmonia_py.secrets import MAX_PLAINTEXT, Secret, masterkey
from harmonia_py.secrets.attest import attest, compare
from harmonia_py.secrets.bound import bound_client
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
from harmonia_py.secrets.vault import Actor, Vault

HOST = "api.hubapi.com"
NAME = "hubspot/token"
VALUE = Secret("pat-eu1-0123456789abcdef7Q4z")
OLGA = "e0000000-0000-4000-8000-000000000001"  # owner of Alder
VERA = "e0000000-0000-4000-8000-000000000005"  # viewer of Alder
OTTO = "e0000000-0000-4000-8000-000000000011"  # owner of Birch


def _user(user_id: str, aal: str = "aal2") -> Actor:
    claims = {"sub": user_id, "role": "authenticated", "aal": aal, "is_anonymous": False}
    return Actor("app", claims, "req-1")


def test_set_get_reveal(vault_bench: VaultBench) -> None:
    store = vault_bench.store
    info = store.set(
        ALDER, NAME, VALUE, actor=WORKER, audience=f"https://{HOST}/", provider="hubspot"
    )
    assert (info.version, info.audience, info.hint, info.status) == (1, HOST, "7Q4z", "active")
    assert info.fingerprint is not None and len(info.fingerprint) == 16
    found = store.get(ALDER, NAME, audience=HOST, actor=WORKER)
    assert found.value == VALUE and found.version == 1
    assert store.reveal(ALDER, NAME, actor=WORKER, purpose="debugging").value == VALUE
    assert VALUE.reveal().decode() not in repr(found)
    log = [(e.action, e.outcome, e.purpose) for e in store.access_log(ALDER, NAME)]
    assert log == [
        ("reveal", "granted", "debugging"),
        ("use", "granted", None),
        ("set", "done", None),
    ]
    assert store.show(ALDER, NAME, actor=WORKER).last_used_at is not None


def test_versions_and_rollback(vault_bench: VaultBench) -> None:
    store = vault_bench.store
    for number in range(1, 13):
        store.set(ALDER, NAME, Secret(f"value {number}"), actor=WORKER, audience=HOST)
    assert [v.version for v in store.history(ALDER, NAME, actor=WORKER)] == list(range(12, 2, -1))
    info = store.rollback(ALDER, NAME, 5, actor=WORKER)
    assert info.version == 13
    assert store.get(ALDER, NAME, audience=HOST, actor=WORKER).value == Secret("value 5")
    old = store.reveal(ALDER, NAME, actor=WORKER, purpose="compare", version=12)
    assert old.value == Secret("value 12")
    with pytest.raises(SecretNotFound):
        store.rollback(ALDER, NAME, 99, actor=WORKER)


def test_equal_values_show_only_inside_one_organization(vault_bench: VaultBench) -> None:
    store = vault_bench.store
    prints = [
        store.set(organization, name, VALUE, actor=WORKER).fingerprint
        for organization, name in ((ALDER, "a"), (ALDER, "b"), (BIRCH, "a"))
    ]
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize("value", [b"\xff\xfe\x00binary", b"\0", os.urandom(MAX_PLAINTEXT)])
def test_bytes_are_first_class(vault_bench: VaultBench, value: bytes) -> None:
    vault_bench.store.set(ALDER, NAME, Secret(value), actor=WORKER, kind="certificate")
    found = vault_bench.store.get(ALDER, NAME, audience="", actor=WORKER)
    assert found.value.reveal() == value


def test_bad_input_leaves_the_old_version_current(vault_bench: VaultBench) -> None:
    store = vault_bench.store
    store.set(ALDER, NAME, VALUE, actor=WORKER, audience=HOST)
    bad: list[tuple[Secret, dict[str, Any]]] = [
        (Secret(""), {}),
        (Secret(bytes(1 << 20)), {}),
        (VALUE, {"kind": "nuclear"}),
        (VALUE, {"audience": "https://u:p@host"}),
        (VALUE, {"provider": "NOT VALID"}),
        (VALUE, {"integration_id": uuid4()}),
    ]
    for value, arguments in bad:
        with pytest.raises(SecretError):
            store.set(ALDER, NAME, value, actor=WORKER, **arguments)
    with pytest.raises(InvalidSecret):
        store.set(ALDER, "Bad Name", VALUE, actor=WORKER)
    with pytest.raises(UnknownOrganization):
        store.set(uuid4(), NAME, VALUE, actor=WORKER)
    assert store.get(ALDER, NAME, audience=HOST, actor=WORKER).version == 1
    with pytest.raises(SecretNotFound):
        store.get(uuid4(), NAME, audience=HOST, actor=WORKER)
    with pytest.raises(SecretNotFound):
        store.get(BIRCH, NAME, audience=HOST, actor=WORKER)
    for purpose in (" ", "x" * 401, "two\nlines", "\x1b[2J", "nul\0"):
        with pytest.raises(InvalidSecret, match="purpose"):
            store.reveal(ALDER, NAME, actor=WORKER, purpose=purpose)
    store.reveal(ALDER, NAME, actor=WORKER, purpose="x" * 400)
    with pytest.raises(InvalidSecret, match="in the past"):
        store.set(ALDER, NAME, VALUE, actor=WORKER, expires_at=datetime.now(UTC))
    for name in ("nul\0", "UPPER", "x" * 1000):
        with pytest.raises(InvalidSecret):
            store.get(ALDER, name, audience="", actor=WORKER)


def test_expiry_and_disabling(vault_bench: VaultBench) -> None:
    store = vault_bench.store
    store.set(ALDER, NAME, VALUE, actor=WORKER)
    store.expire(ALDER, NAME, datetime.now(UTC) - timedelta(seconds=1), actor=WORKER)
    with pytest.raises(SecretExpired):
        store.get(ALDER, NAME, audience="", actor=WORKER)
    assert store.list_all(ALDER, actor=WORKER)[0].status == "expired"
    store.expire(ALDER, NAME, datetime.now(UTC) + timedelta(hours=1), actor=WORKER)
    store.get(ALDER, NAME, audience="", actor=WORKER)
    store.disable(ALDER, NAME, actor=WORKER)
    with pytest.raises(SecretUnavailable):
        store.get(ALDER, NAME, audience="", actor=WORKER)
    store.enable(ALDER, NAME, actor=WORKER)
    store.get(ALDER, NAME, audience="", actor=WORKER)
    store.delete(ALDER, NAME, actor=WORKER)
    with pytest.raises(SecretNotFound):
        store.delete(ALDER, NAME, actor=WORKER)
    outcomes = [e.outcome for e in store.access_log(ALDER, NAME) if e.action == "use"]
    assert outcomes == ["granted", "disabled", "granted", "expired"]


def test_a_secret_goes_to_its_host_only(vault_bench: VaultBench) -> None:
    store = vault_bench.store
    store.set(ALDER, NAME, VALUE, actor=WORKER, audience=HOST)
    for other in ("evil.example", "", f"{HOST}:8443", f"x.{HOST}"):
        with pytest.raises(AudienceMismatch):
            store.get(ALDER, NAME, audience=other, actor=WORKER)
    found = store.get(ALDER, NAME, audience=HOST, actor=WORKER)
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(302, headers={"location": "https://evil.example/"})

    with bound_client(found) as client:
        client._transport = httpx.MockTransport(answer)
        assert client.get(f"https://{HOST}/v1").status_code == 302
        with pytest.raises(AudienceMismatch):
            client.get(f"https://{HOST}/v1", follow_redirects=True)
        for url in ("https://evil.example/", f"http://{HOST}/", f"https://{HOST}.evil.example/"):
            with pytest.raises(AudienceMismatch):
                client.get(url)
    assert {request.url.host for request in seen} == {HOST}
    assert seen[0].headers["authorization"].endswith("7Q4z")


def test_a_user_needs_the_permission_and_the_second_factor(
    vault_bench: VaultBench, conn: psycopg.Connection[Any]
) -> None:
    store = vault_bench.store
    store.set(ALDER, NAME, VALUE, actor=_user(OLGA, "aal1"))
    assert store.reveal(ALDER, NAME, actor=_user(OLGA), purpose="moving").value == VALUE
    nobody: list[dict[str, Any]] = [{}, {"role": "service_role"}, {"role": "postgres"}]
    for claims in nobody:
        with pytest.raises(SecretAccessDenied):
            store.reveal(ALDER, NAME, actor=Actor("app", claims), purpose="moving")
    with pytest.raises(SecretAccessDenied, match="no user"):
        store.reveal(ALDER, NAME, actor=_user("user_2abc"), purpose="moving")
    refused = [_user(OLGA, "aal1"), _user(VERA), _user(OTTO), _user(str(uuid4()))]
    for actor in refused:
        with pytest.raises(SecretAccessDenied):
            store.reveal(ALDER, NAME, actor=actor, purpose="moving")
    for actor in refused[1:]:
        for act in (
            lambda a=actor: store.set(ALDER, NAME, VALUE, actor=a),
            lambda a=actor: store.delete(ALDER, NAME, actor=a),
            lambda a=actor: store.list_all(ALDER, actor=a),
            lambda a=actor: store.rollback(ALDER, NAME, 1, actor=a),
        ):
            with pytest.raises(SecretAccessDenied):
                act()
    log = store.access_log(ALDER, NAME)
    reveals = [
        (e.user_id and str(e.user_id), e.outcome, e.purpose) for e in log if e.action == "reveal"
    ]
    assert reveals[-1] == (OLGA, "granted", "moving")
    assert [r[1] for r in reveals[:-1]] == ["denied"] * 7
    assert log[-1].request_id == "req-1"
    # The same in the record that is chained: whoever may change tables cannot change it quietly.
    recorded = conn.execute(
        "select payload ->> 'user_id', payload ->> 'outcome', payload ->> 'purpose'"
        " from audit.events where action = 'secret.revealed' order by statement desc"
    ).fetchall()
    assert recorded == reveals


# Attacks on rows, by somebody who may write every table --------------------------------------


def _swap(admin: psycopg.Connection[Any], statement: str, *values: object) -> None:
    # The stale-writer trigger would refuse some of these; the thief is superuser.
    admin.execute("set session_replication_role = replica")
    assert admin.execute(statement.encode(), values).rowcount > 0
    admin.commit()


def test_moved_ciphertext_does_not_open(
    vault_bench: VaultBench, admin: psycopg.Connection[Any]
) -> None:
    store = vault_bench.store
    ids = {
        (organization, name): store.set(organization, name, Secret(f"{name}1"), actor=WORKER).id
        for organization, name in ((ALDER, "a"), (ALDER, "b"), (BIRCH, "a"))
    }
    copy = (
        "update private.secret_versions as t set envelope = s.envelope"
        " from private.secret_versions as s where s.secret_id = %s and t.secret_id = %s"
    )
    _swap(admin, copy, ids[ALDER, "a"], ids[ALDER, "b"])
    with pytest.raises(DecryptFailed):
        store.get(ALDER, "b", audience="", actor=WORKER)
    _swap(admin, copy, ids[BIRCH, "a"], ids[ALDER, "b"])
    with pytest.raises(UnknownKey):
        store.get(ALDER, "b", audience="", actor=WORKER)
    assert store.access_log(ALDER, "b")[0].outcome == "secret.unknown_key"
    assert verify(store.vault, store.ring, ALDER).failed == {"b version 1": "secret.unknown_key"}
    # Renamed, redirected, and an old version served as the new one.
    assert store.get(ALDER, "a", audience="", actor=WORKER).value == Secret("a1")
    _swap(admin, "update public.secrets set name = 'c' where id = %s", ids[ALDER, "a"])
    with pytest.raises(DecryptFailed):
        store.get(ALDER, "c", audience="", actor=WORKER)
    _swap(admin, "update public.secrets set name = 'a' where id = %s", ids[ALDER, "a"])
    _swap(
        admin,
        "update private.secret_versions set audience = 'evil.example' where secret_id = %s",
        ids[ALDER, "a"],
    )
    with pytest.raises(DecryptFailed):
        store.get(ALDER, "a", audience="evil.example", actor=WORKER)


def test_an_old_version_is_not_served_as_the_new_one(
    vault_bench: VaultBench, admin: psycopg.Connection[Any]
) -> None:
    store = vault_bench.store
    secret_id = store.set(ALDER, "a", Secret("old"), actor=WORKER).id
    document = attest(store, ALDER)
    store.set(ALDER, "a", Secret("new"), actor=WORKER)
    newer = attest(store, ALDER)
    assert compare(store, ALDER, document).newer == ["a"]
    _swap(
        admin,
        "update private.secret_versions as t set envelope = s.envelope"
        " from private.secret_versions as s"
        " where s.secret_id = %s and t.secret_id = s.secret_id and s.version = 1 and t.version = 2",
        secret_id,
    )
    with pytest.raises(DecryptFailed):
        store.get(ALDER, "a", audience="", actor=WORKER)
    # The whole row and its pointer put back: only what is kept outside shows it.
    _swap(admin, "update public.secrets set current_version = 1 where id = %s", secret_id)
    assert store.get(ALDER, "a", audience="", actor=WORKER).value == Secret("old")
    assert compare(store, ALDER, newer).rolled_back == ["a"]
    assert not compare(store, ALDER, newer).ok
    forged = {**newer, "secrets": document["secrets"]}
    assert compare(store, ALDER, forged).authentic is False
    with pytest.raises(InvalidSecret):
        compare(store, BIRCH, newer)
    store.delete(ALDER, "a", actor=WORKER)
    assert compare(store, ALDER, newer).missing == ["a"]
    store.set(ALDER, "b", Secret("put back"), actor=WORKER)
    assert compare(store, ALDER, newer).added == ["b"]


def test_a_wrapped_key_of_another_organization_does_not_serve(
    vault_bench: VaultBench, admin: psycopg.Connection[Any]
) -> None:
    store = vault_bench.store
    store.set(ALDER, "a", VALUE, actor=WORKER)
    store.set(BIRCH, "a", VALUE, actor=WORKER)
    _swap(
        admin,
        "update private.organization_keys as t set wrapped = s.wrapped"
        " from private.organization_keys as s"
        " where s.organization_id = %s and t.organization_id = %s",
        ALDER,
        BIRCH,
    )
    with pytest.raises(DecryptFailed):
        vault_bench.another().get(BIRCH, "a", audience="", actor=WORKER)
    assert vault_bench.another().get(ALDER, "a", audience="", actor=WORKER).value == VALUE
    # The whole row put under the other organization, for a worker that has the key at hand.
    _swap(admin, "delete from private.organization_keys where organization_id = %s", BIRCH)
    _swap(
        admin,
        "update private.organization_keys set organization_id = %s where organization_id = %s",
        BIRCH,
        ALDER,
    )
    store.ring.forget(BIRCH)
    with pytest.raises(DecryptFailed):
        store.set(BIRCH, "a", VALUE, actor=WORKER)


def test_the_wrong_master_key_is_named_and_no_other_is_tried(vault_bench: VaultBench) -> None:
    store = vault_bench.store
    store.set(ALDER, "a", VALUE, actor=WORKER)
    wrong = LocalKey(masterkey.generate(), "file")
    other = SecretStore(vault_bench.another().vault, KeyRing(wrong))
    for act in (
        lambda: other.get(ALDER, "a", audience="", actor=WORKER),
        lambda: other.ring.check(other.vault),
        lambda: other.ring.register(other.vault),
    ):
        with pytest.raises(MasterKeyMismatch):
            act()
    assert store.ring.check(store.vault).state == "active"


def test_the_vault_wants_its_own_connection(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("select 1")
        with pytest.raises(UsageError):
            Vault(connection)


# Rotation -------------------------------------------------------------------------------------


def test_rotation_with_a_stale_writer(vault_bench: VaultBench) -> None:
    store, writer = vault_bench.store, vault_bench.another()
    for number in range(30):
        store.set(ALDER, f"s{number}", Secret(f"v{number}"), actor=WORKER)
    writer.set(ALDER, "w", Secret("1"), actor=WORKER)  # its key is cached now
    first = rotate_organization(store.vault, store.ring, ALDER, batch=7, limit=14)
    assert (first.finished, first.old_generation, first.new_generation) == (False, 1, 2)
    writer.set(ALDER, "w", Secret("2"), actor=WORKER)
    second = rotate_organization(store.vault, store.ring, ALDER, batch=7)
    assert second.finished and second.new_generation == 2
    assert first.moved + second.moved == 31
    infos = {info.generation: info for info in key_infos(store.vault, ALDER)}
    assert (infos[1].state, infos[1].versions) == ("retired", 0)
    assert (infos[2].state, infos[2].versions) == ("active", 32)
    assert writer.get(ALDER, "w", audience="", actor=WORKER).value == Secret("2")
    assert writer.get(ALDER, "s7", audience="", actor=WORKER).value == Secret("v7")
    assert verify(store.vault, store.ring, ALDER).opened == 32
    with pytest.raises(UnknownOrganization):
        rotate_organization(store.vault, store.ring, BIRCH)


def test_the_database_refuses_a_stale_writer(
    vault_bench: VaultBench, conn: psycopg.Connection[Any]
) -> None:
    """The trigger, not the goodwill of the writer, keeps old keys out."""
    store = vault_bench.store
    secret_id = store.set(ALDER, "a", VALUE, actor=WORKER).id
    row = conn.execute(
        "select key_id, envelope from private.secret_versions where secret_id = %s", [secret_id]
    ).fetchone()
    assert row is not None
    conn.commit()
    insert = (
        "insert into private.secret_versions"
        " (organization_id, secret_id, version, key_id, kind, audience, envelope)"
        " values (%s, %s, %s, %s, 'api_key', '', %s)"
    )
    conn.execute(insert, [ALDER, secret_id, 2, *row])  # the active key is accepted
    conn.rollback()
    rotate_organization(store.vault, store.ring, ALDER)
    with pytest.raises(psycopg.Error, match="rotated"):
        conn.execute(insert, [ALDER, secret_id, 3, *row])
    conn.rollback()
    new = conn.execute(
        "select id from private.organization_keys where organization_id = %s and state = 'active'",
        [ALDER],
    ).fetchone()
    assert new is not None
    with pytest.raises(psycopg.Error, match="not sealed under"):
        conn.execute(insert, [ALDER, secret_id, 3, new[0], row[1]])
    conn.rollback()
    for statement in (
        "update private.organization_keys set state = 'active' where state = 'retired'",
        "update public.secrets set current_version = 0",
        "update public.secrets set name = 'other'",
        "update private.secret_access set outcome = 'done'",
        "delete from private.secret_access",
        "truncate private.secret_access",
    ):
        with pytest.raises(psycopg.Error) as refused:
            conn.execute(statement)
        assert refused.value.sqlstate in ("PT409", "PT403", "23514"), statement
        conn.rollback()


def test_a_damaged_row_is_parked(vault_bench: VaultBench, admin: psycopg.Connection[Any]) -> None:
    store = vault_bench.store
    ids = [store.set(ALDER, f"s{n}", Secret("v"), actor=WORKER).id for n in range(5)]
    _swap(
        admin,
        "update private.secret_versions set envelope = envelope || '\\x00'::bytea"
        " where secret_id = %s",
        ids[2],
    )
    done = rotate_organization(store.vault, store.ring, ALDER, batch=2)
    assert (done.moved, done.finished, done.parked) == (4, False, {"s2": "secret.altered"})
    store.delete(ALDER, "s2", actor=WORKER)
    again = rotate_organization(store.vault, store.ring, ALDER)
    assert again.finished and again.old_generation == 1


def test_two_rotations_share_the_work(vault_bench: VaultBench) -> None:
    store = vault_bench.store
    for number in range(60):
        store.set(ALDER, f"s{number}", Secret(f"v{number}"), actor=WORKER)
    start = Barrier(2)
    results: list[Any] = []

    def work(one: SecretStore) -> None:
        start.wait()
        results.append(rotate_organization(one.vault, one.ring, ALDER, batch=3))

    threads = [Thread(target=work, args=(vault_bench.another(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(result.finished for result in results)
    assert verify(store.vault, store.ring, ALDER).opened == 60
    live = [i for i in key_infos(store.vault, ALDER) if i.versions]
    assert [info.state for info in live] == ["active"]


def test_changing_the_master_key(vault_bench: VaultBench) -> None:
    store = vault_bench.store
    store.set(ALDER, "a", VALUE, actor=WORKER)
    store.set(BIRCH, "a", VALUE, actor=WORKER)
    old, new = LocalKey(vault_bench.master_key, "file"), LocalKey(masterkey.generate(), "file")
    both = KeyRing(new, old)
    # Stopped before the rows were moved: both keys are needed, and enough.
    both.add_successor(store.vault)
    assert SecretStore(store.vault, both).get(ALDER, "a", audience="", actor=WORKER).value == VALUE
    result = rewrap(store.vault, KeyRing(new, old))
    assert (result.moved, result.parked, result.retired) == (2, {}, [old.master_key_id])
    fresh = SecretStore(vault_bench.another().vault, KeyRing(new))
    assert fresh.get(BIRCH, "a", audience="", actor=WORKER).value == VALUE
    assert fresh.ring.check(fresh.vault).id == new.master_key_id
    with pytest.raises(MasterKeyMismatch):
        vault_bench.another().get(ALDER, "a", audience="", actor=WORKER)
    assert rewrap(store.vault, KeyRing(new, old)).moved == 0


def test_shredding(vault_bench: VaultBench, conn: psycopg.Connection[Any]) -> None:
    store = vault_bench.store
    store.set(ALDER, "a", VALUE, actor=WORKER)
    store.set(BIRCH, "a", VALUE, actor=WORKER)
    assert shred(store.vault, store.ring, ALDER, actor=WORKER) == 1
    for one in (store, vault_bench.another()):
        with pytest.raises(KeysShredded):
            one.get(ALDER, "a", audience="", actor=WORKER)
        with pytest.raises(KeysShredded):
            one.set(ALDER, "b", VALUE, actor=WORKER)
        assert one.get(BIRCH, "a", audience="", actor=WORKER).value == VALUE
    # Marking an organization purged shreds in the same transaction.
    conn.execute("update public.organizations set status = 'purged' where id = %s", [BIRCH])
    conn.commit()
    with pytest.raises(KeysShredded):
        store.get(BIRCH, "a", audience="", actor=WORKER)


def test_concurrent_writers_lose_nothing(vault_bench: VaultBench) -> None:
    stores = [vault_bench.another() for _ in range(4)]
    failures: list[BaseException] = []

    def work(place: int) -> None:
        try:
            for number in range(5):
                stores[place].set(ALDER, "shared", Secret(f"{place}/{number}"), actor=WORKER)
        except BaseException as error:
            failures.append(error)

    threads = [Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert vault_bench.store.show(ALDER, "shared", actor=WORKER).version == 20
    assert UUID(str(vault_bench.store.show(ALDER, "shared", actor=WORKER).id))
