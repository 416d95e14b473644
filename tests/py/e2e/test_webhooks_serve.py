"""The receiver as a process of its own."""

from __future__ import annotations

import socket
import subprocess
import time

import httpx
from fix_cli import command, environment, harmonia
from fix_vault import ALDER, WORKER, VaultBench

from harmonia_py.webhooks import generate_secret, sign
from harmonia_py.webhooks.inbox import Inbox


def test_it_serves(vault_bench: VaultBench) -> None:
    secret = generate_secret()
    vault_bench.store.set(ALDER, "hook", secret, actor=WORKER, kind="webhook")
    endpoint = Inbox(vault_bench.store).register(ALDER, "in", "standard", secret="hook")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {
        "DATABASE_URL": vault_bench.database.owner_dsn,
        "HARMONIA_MASTER_KEY_PROVIDER": vault_bench.key_uri,
    }
    words = ["webhooks", "serve", "--port", str(port)]
    process = subprocess.Popen(
        command(*words), env=environment(env), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while True:
            try:
                assert httpx.get(f"{url}/health").status_code == 200
                break
            except httpx.TransportError:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.1)
        headers = sign(b"{}", [secret])
        answers = [
            httpx.post(f"{url}/webhooks/{ALDER}/{endpoint}", content=body, headers=headers)
            for body in (b"{}", b"{}", b"[]")
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 401]
        assert [answer.json()["status"] for answer in answers[:2]] == ["stored", "duplicate"]
        assert f"port {port} is in use" in harmonia(*words, env=env, code=1).story
    finally:
        process.terminate()
        said = process.communicate(timeout=20)[1]
    assert secret.reveal() not in said and b"Traceback" not in said
