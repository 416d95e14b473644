"""The file of receipts, which has to be readable for as long as there are seals."""

from __future__ import annotations

import os
import resource
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from harmonia_py.audit.seal import Receipt, check_receipts, read_receipts, write_receipt
from harmonia_py.errors import NotWritable, UsageError

ONE = Receipt(1, "2026-01-01T00:00:00+00:00", "ab" * 32, 3, "cd" * 32, "ef" * 64)
TWO = replace(ONE, number=2)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "receipts"
    check_receipts(path)
    assert read_receipts(path) == []
    write_receipt(path, ONE)
    write_receipt(path, TWO)
    assert read_receipts(path) == [ONE, TWO]
    assert path.read_bytes().count(b"\n") == 2


def test_where_there_is_no_room_nothing_is_half_written(tmp_path: Path) -> None:
    """The next receipt was written behind the half of this one, and neither was read again."""
    path = tmp_path / "receipts"
    write_receipt(path, ONE)
    whole = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 20, hard))
    try:
        with pytest.raises(NotWritable, match="No space left"):
            write_receipt(path, TWO)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == whole
    write_receipt(path, TWO)
    assert read_receipts(path) == [ONE, TWO]


def test_what_a_power_cut_left_takes_no_other_with_it(tmp_path: Path) -> None:
    path = tmp_path / "receipts"
    write_receipt(path, ONE)
    path.write_bytes(path.read_bytes() + path.read_bytes()[:40])
    write_receipt(path, TWO)
    with pytest.raises(UsageError, match=f"line 2 of {path} is not a receipt") as refused:
        read_receipts(path)
    assert "delete the line" in (refused.value.hint or "")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])
    assert read_receipts(path) == [ONE, TWO]


@pytest.mark.parametrize("line", ["{}", "[]", "1", "[" * 100_000, '{"number": "1"}', "\x00"])
def test_another_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "receipts"
    write_receipt(path, ONE)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(UsageError, match="line 2 of"):
        read_receipts(path)


def test_what_has_no_end_is_not_read_to_it() -> None:
    with pytest.raises(UsageError, match="/dev/zero holds more than 64 MiB"):
        read_receipts(Path("/dev/zero"))


def test_a_pipe_takes_a_receipt_too(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[bytes] = []
    reader = Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()), daemon=True)
    reader.start()
    write_receipt(tmp_path / "pipe", ONE)
    reader.join(5)
    (tmp_path / "kept").write_bytes(read[0])
    assert read_receipts(tmp_path / "kept") == [ONE]
