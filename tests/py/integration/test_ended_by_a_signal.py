"""Whatever asks a command to end is told in a line, and leaves nothing half written."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fix_cli import command, environment, harmonia

from harmonia_py.engines import Database

ORG = "a0000000-0000-7000-8000-000000000001"
SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGKILL: -9}

# A dump that would take a minute, in the real program.
SLOWLY = """
import sys, time
from harmonia_py.lifecycle import backup

def dump(tool, url, snapshot, out):
    out.write(bytes(1 << 20))
    print("dumping", flush=True)
    time.sleep(60)

backup._dump = dump
from harmonia_cli.start import main
main()
"""


@pytest.fixture(autouse=True)
def as_from_a_terminal() -> Iterator[None]:
    """Let children take the signals, though nohup or a shell in the background ignore some."""
    ignored = [number for number in SIGNALS if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture
def key(tmp_path: Path) -> str:
    harmonia("audit", "keygen", str(tmp_path / "key"))
    return f"file:{tmp_path / 'key'}"


def ends(process: subprocess.Popen[bytes], sent: signal.Signals) -> str:
    """Send the signal; return what was said."""
    process.send_signal(sent)
    if sent is signal.SIGTERM:
        process.send_signal(sent)  # as somebody does who has no patience
    said = process.communicate(timeout=30)[1].decode()
    assert process.returncode == SIGNALS[sent], said
    assert "Traceback" not in said
    assert ("error (interrupted)" in said) == (sent is not signal.SIGKILL)
    return said


@pytest.mark.parametrize("sent", SIGNALS)
def test_a_backup(database: Database, key: str, tmp_path: Path, sent: signal.Signals) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    env = environment({"DATABASE_URL": database.admin_dsn})
    words = ["backup", "create", "--key", key, "--folder", str(folder)]
    with subprocess.Popen(
        [sys.executable, "-c", SLOWLY, *words],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stdout.readline() == b"dumping\n"
        assert [path.suffix for path in folder.iterdir()] == [".partial"]
        ends(process, sent)
    # Nobody can clean up after a kill -9, and nobody takes what it left for a backup.
    assert [path.suffix for path in folder.iterdir()] == [".partial"] * (sent is signal.SIGKILL)
    listed = harmonia("backup", "list", "--folder", str(folder)).text
    assert "there are no backups" in listed


@pytest.mark.parametrize("sent", SIGNALS)
def test_an_export(database: Database, tmp_path: Path, sent: signal.Signals) -> None:
    out = tmp_path / "events"
    words = ["audit", "export", "--organization", ORG, "--out", str(out)]
    env = environment({"DATABASE_URL": database.admin_dsn})
    with database.connect() as holder:
        holder.execute("lock table audit.events")
        with subprocess.Popen(
            command(*words), env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            until = time.monotonic() + 30
            while not (tmp_path / "events.partial").exists():
                assert process.poll() is None and time.monotonic() < until
                time.sleep(0.02)
            ends(process, sent)
    assert [p.name for p in tmp_path.iterdir()] == ["events.partial"] * (sent is signal.SIGKILL)
    # What was left is in nobody's way.
    harmonia(*words, env={"DATABASE_URL": database.admin_dsn})
    assert [p.name for p in tmp_path.iterdir()] == ["events"]


def test_what_was_to_be_ignored_still_is(database: Database, tmp_path: Path) -> None:
    """As nohup asks it of a command that is to outlive its terminal."""
    out = tmp_path / "events"
    words = ["audit", "export", "--organization", ORG, "--out", str(out)]
    with database.connect() as holder:
        holder.execute("lock table audit.events")
        with subprocess.Popen(
            ["nohup", *command(*words)],
            env=environment({"DATABASE_URL": database.admin_dsn}),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            until = time.monotonic() + 30
            while not (tmp_path / "events.partial").exists():
                assert process.poll() is None and time.monotonic() < until
                time.sleep(0.02)
            process.send_signal(signal.SIGHUP)
            time.sleep(0.3)
            assert process.poll() is None
            holder.rollback()
            said = process.communicate(timeout=30)[1]
            assert process.returncode == 0, said
    assert out.exists()
