"""No plaintext in a dump, in heap or WAL files, or in a log: looked for byte by byte."""

from __future__ import annotations

import base64
import logging
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fix_cli import harmonia
from fix_vault import ALDER, WORKER, VaultBench
from psycopg import sql

from harmonia_py.errors import HarmoniaError
from harmonia_py.secrets import Secret, masterkey
from harmonia_py.secrets.oauth import OAuthTokens, TokenEndpoint
from harmonia_py.secrets.rotation import rotate_organization, verify

Connection = psycopg.Connection[Any]


def _canary() -> bytes:
    return b"CANARY-" + os.urandom(18).hex().encode()


def _forms(value: bytes) -> list[bytes]:
    """Return how a value could be written down: raw, hex, and base64 at each alignment."""
    shifted = [base64.b64encode(b"\0" * shift + value)[4:-4] for shift in range(3)]
    return [value, value.hex().encode(), value.hex().upper().encode(), *shifted]


def _places(admin: Connection, database: str) -> Iterator[tuple[str, bytes]]:
    """Yield every heap, index and WAL file, a dump, and the server's log."""
    admin.execute("checkpoint")
    admin.commit()
    row = admin.execute(
        "select current_setting('data_directory'), oid,"
        " (select setting from pg_config where name = 'BINDIR')"
        " from pg_database where datname = %s",
        [database],
    ).fetchone()
    admin.commit()
    assert row is not None
    data = Path(row[0])
    for folder in (data / "base" / str(row[1]), data / "pg_wal"):
        for path in folder.iterdir():
            if path.is_file():
                yield str(path.relative_to(data)), path.read_bytes()
    yield "server log", (data.parent / "log").read_bytes()
    dump = subprocess.run(
        [f"{row[2]}/pg_dump", "--inserts", database],
        env={
            **os.environ,
            "PGHOST": admin.info.host,
            "PGPORT": str(admin.info.port),
            "PGUSER": admin.info.user,
            "PGPASSWORD": admin.info.password,
        },
        capture_output=True,
        check=True,
    )
    yield "dump", dump.stdout


def test_no_plaintext_anywhere(
    vault_bench: VaultBench,
    admin: Connection,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    name = vault_bench.database.name
    # The loudest log there is, parameters included.
    admin.execute(
        sql.SQL("alter database {} set log_statement = 'all'").format(sql.Identifier(name))
    )
    admin.execute(
        sql.SQL("alter database {} set log_min_messages = 'debug1'").format(sql.Identifier(name))
    )
    admin.commit()
    caplog.set_level(logging.DEBUG)
    store = vault_bench.another()
    canaries = [_canary() for _ in range(10)]
    api_key, password, binary, access, refresh, client, failed, deleted, cli, old = canaries
    control, logged = _canary(), _canary()

    store.set(ALDER, "rotated", Secret(old), actor=WORKER)
    store.set(ALDER, "rotated", Secret(api_key), actor=WORKER, audience="api.hubapi.com")
    store.set(ALDER, "password", Secret(password), actor=WORKER, kind="password")
    store.set(ALDER, "bytes", Secret(b"\0\xff" + binary), actor=WORKER, kind="certificate")
    endpoint = TokenEndpoint("https://auth.example/token", "id", Secret(client))
    tokens = OAuthTokens(Secret(access), Secret(refresh), None, endpoint)
    store.set(ALDER, "oauth", tokens.seal(), actor=WORKER, kind="oauth2")
    with pytest.raises(HarmoniaError):
        store.set(ALDER, "failed", Secret(failed), actor=WORKER, provider="NOT VALID")
    store.set(ALDER, "deleted", Secret(deleted), actor=WORKER)
    _cli(vault_bench, ["set", "cli"], cli)
    revealed = _cli(vault_bench, ["reveal", "cli", "--purpose", "test"], b"")
    assert revealed == cli
    with store.vault.open(ALDER) as session:
        used_keys = [store.ring.active(session)]
    rotate_organization(store.vault, store.ring, ALDER, batch=2)
    with store.vault.open(ALDER) as session:
        used_keys.append(store.ring.active(session))
    store.rollback(ALDER, "rotated", 1, actor=WORKER)
    store.reveal(ALDER, "rotated", actor=WORKER, purpose="looking")
    store.get(ALDER, "password", audience="", actor=WORKER)
    store.delete(ALDER, "deleted", actor=WORKER)
    assert verify(store.vault, store.ring, ALDER).failed == {}

    # What is written in clear is found: the search itself works.
    with vault_bench.database.connect() as conn:
        conn.execute("update public.profiles set display_name = %s", [control.decode()[:50]])
        conn.execute("select %s::text", [logged.decode()])
        conn.commit()

    master = vault_bench.master_key.reveal()
    # Keys are as secret as values: the master key and the root of every generation.
    roots = [key._root.reveal() for key in used_keys]
    assert len(roots) == 2
    secret_forms = [form for value in [*canaries, master, *roots] for form in _forms(value)]
    secret_forms.append(masterkey.text(vault_bench.master_key).encode())
    found_control: set[str] = set()
    places = list(_places(admin, name))
    for place, content in places:
        for form in secret_forms:
            assert form not in content, f"plaintext in {place}"
        if control[:50] in content:
            found_control.add(place.split("/")[0])
        if place == "server log":
            assert logged in content and b"secret_versions" in content
    assert {"base", "pg_wal", "dump", "server log"} <= found_control
    output = capfd.readouterr()
    for text in (caplog.text, output.out, output.err):
        assert all(form.decode("latin-1") not in text for form in secret_forms)


def _cli(bench: VaultBench, words: list[str], given: bytes) -> bytes:
    """Run ``harmonia secrets`` as another process; it must not say a value on stderr."""
    env = {
        "DATABASE_URL": bench.database.owner_dsn,
        "HARMONIA_MASTER_KEY_PROVIDER": bench.key_uri,
        "HARMONIA_ORGANIZATION": str(ALDER),
    }
    done = harmonia("secrets", *words, env=env, given=given)
    assert given not in done.stderr if given else True
    return done.stdout
