"""A rotation of 10,000 secrets, killed with SIGKILL five times while others write."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from threading import Event, Thread
from typing import Any

import psycopg
import pytest
from fix_cli import command, environment
from fix_vault import ALDER, WORKER, VaultBench

from harmonia_py.secrets import Secret
from harmonia_py.secrets.rotation import key_infos, verify
from harmonia_py.secrets.store import SecretStore
from harmonia_py.secrets.transfer import Item, import_all

SECRETS = 10_000
KILLS = 5


class Writer(Thread):
    """Sets random secrets and remembers what was acknowledged."""

    def __init__(self, store: SecretStore, seed: int) -> None:
        super().__init__(daemon=True)
        self.store = store
        self.random = random.Random(seed)
        self.seed = seed
        self.acknowledged: dict[str, bytes] = {}
        self.stopped = Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        number = 0
        try:
            while not self.stopped.is_set():
                # Each writer has names of its own, so the last acknowledged value is known.
                name = f"s{self.random.randrange(self.seed, SECRETS, 2):05}"
                value = f"{name}/{self.seed}/{number}".encode()
                self.store.set(ALDER, name, Secret(value), actor=WORKER)
                self.acknowledged[name] = value
                number += 1
                time.sleep(0.005)
        except BaseException as error:
            self.failure = error


def _rotate(bench: VaultBench) -> subprocess.Popen[bytes]:
    env = {
        "DATABASE_URL": bench.database.owner_dsn,
        "HARMONIA_MASTER_KEY_PROVIDER": bench.key_uri,
    }
    words = ["keys", "rotate-organization", "--organization", str(ALDER), "--batch", "100"]
    return subprocess.Popen(
        command(*words),
        env=environment(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _under_new_key(conn: psycopg.Connection[Any]) -> int:
    row = conn.execute(
        "select count(*) from private.secret_versions as v"
        " join private.organization_keys as k on k.id = v.key_id where k.generation = 2"
    ).fetchone()
    return int(row[0]) if row else 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_rotation_loses_nothing(vault_bench: VaultBench) -> None:
    store = vault_bench.store
    names = [f"s{number:05}" for number in range(SECRETS)]
    items = [Item(name, Secret(f"first value of {name}")) for name in names]
    import_all(store, ALDER, items, actor=WORKER)
    writers = [Writer(vault_bench.another(), seed) for seed in (0, 1)]
    for writer in writers:
        writer.start()
    chance = random.Random(20261101)
    killed_at = []
    with vault_bench.database.connect(autocommit=True) as conn:
        for kill in range(KILLS):
            # Somewhere inside this fifth of the work.
            goal = int((kill + chance.uniform(0.1, 0.9)) * SECRETS / (KILLS + 1))
            process = _rotate(vault_bench)
            while process.poll() is None and _under_new_key(conn) < goal:
                time.sleep(0.03)
            assert process.poll() is None, process.communicate()[0]
            time.sleep(chance.uniform(0, 0.02))
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
            process.communicate()
            killed_at.append(_under_new_key(conn))
        assert killed_at == sorted(killed_at) and 0 < killed_at[0] and killed_at[-1] < SECRETS
        last = _rotate(vault_bench)
        said = last.communicate(timeout=300)[0]
        assert last.returncode == 0, said
    for writer in writers:
        writer.stopped.set()
    for writer in writers:
        writer.join()
        assert writer.failure is None
        assert len(writer.acknowledged) > 20
    reader = vault_bench.another()
    result = verify(reader.vault, reader.ring, ALDER)
    assert result.failed == {}
    generations = {info.generation: info for info in key_infos(store.vault, ALDER)}
    assert (generations[1].state, generations[1].versions) == ("retired", 0)
    assert generations[2].state == "active"
    infos = {info.name: info for info in store.list_all(ALDER, actor=WORKER)}
    assert sorted(infos) == names
    assert result.opened == generations[2].versions == sum(i.version for i in infos.values())
    expected = {name: f"first value of {name}".encode() for name in names}
    for writer in writers:
        expected |= writer.acknowledged
    # Every acknowledged write is there; the untouched ones are sampled.
    touched = [name for writer in writers for name in writer.acknowledged]
    for name in {*touched, *chance.sample(names, 200)}:
        assert reader.get(ALDER, name, audience="", actor=WORKER).value.reveal() == expected[name]
