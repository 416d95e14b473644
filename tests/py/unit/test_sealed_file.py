"""A sealed file opens whole or not at all: every byte of it, and every length, is tried."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from fix_disk import full

from harmonia_py.errors import FileDamaged, NotWritable
from harmonia_py.lifecycle import stream

KEY = bytes(range(32))
TEXT = bytes(range(256)) * 3


@pytest.fixture
def good(tmp_path: Path) -> Path:
    with stream.sealed(tmp_path / "file", KEY, {"kind": "test", "n": 1}) as out:
        out.write(TEXT)
    return tmp_path / "file"


def test_it_opens(good: Path) -> None:
    assert b"".join(stream.opened(good, KEY)) == TEXT
    assert stream.read_header(good) == {"kind": "test", "n": 1}
    assert TEXT[:32] not in good.read_bytes()


def test_no_byte_of_it_can_change(good: Path) -> None:
    content = good.read_bytes()
    for place in range(len(content)):
        for bit in (0x01, 0x80):
            changed = bytes([content[place] ^ bit])
            good.write_bytes(content[:place] + changed + content[place + 1 :])
            with pytest.raises(FileDamaged):
                b"".join(stream.opened(good, KEY))


def test_no_end_of_it_can_be_cut_off(good: Path) -> None:
    content = good.read_bytes()
    for length in range(len(content)):
        good.write_bytes(content[:length])
        with pytest.raises(FileDamaged):
            b"".join(stream.opened(good, KEY))


def test_nothing_can_be_added_or_swapped(good: Path, tmp_path: Path) -> None:
    content = good.read_bytes()
    with stream.sealed(tmp_path / "other", KEY, {"kind": "other", "n": 1}) as out:
        out.write(TEXT)
    header = len(content) - len(TEXT)
    other = (tmp_path / "other").read_bytes()
    for bad in (content + b"\0", content * 2, content[:header] + other[len(other) - len(TEXT) :]):
        good.write_bytes(bad)
        with pytest.raises(FileDamaged):
            b"".join(stream.opened(good, KEY))


@pytest.mark.parametrize("key", [bytes(32), KEY[::-1]])
def test_another_key_opens_nothing(good: Path, key: bytes) -> None:
    pieces = stream.opened(good, key)
    with pytest.raises(FileDamaged):
        b"".join(pieces)


def test_a_full_disk_is_said_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        full(patch)
        with pytest.raises(NotWritable, match="No space left"):
            with stream.sealed(tmp_path / "file", KEY, {"kind": "test"}) as out:
                out.write(os.urandom(4 << 20))
    assert list(tmp_path.iterdir()) == []


def test_what_lies_where_it_is_written_first_is_not_written_into(tmp_path: Path) -> None:
    """A link or an open file there would show what is written to whoever put it there."""
    secret, theirs = b"everything", tmp_path / "theirs"
    theirs.write_bytes(b"")
    theirs.chmod(0o666)
    beside = tmp_path / "file.partial"
    for put in (Path.symlink_to, Path.hardlink_to):
        put(beside, theirs)
        with stream.writing(tmp_path / "file") as out:
            out.write(secret)
        assert theirs.read_bytes() == b""
        assert (tmp_path / "file").read_bytes() == secret
        assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
        assert not beside.exists()
        (tmp_path / "file").unlink()


def test_of_two_writers_one_is_told(tmp_path: Path) -> None:
    """Else the one that ends first puts the other's half in the place of the whole."""
    path = tmp_path / "file"
    with ExitStack() as second:
        with pytest.raises(NotWritable, match="by another process"), stream.writing(path) as out:
            out.write(b"first")
            second.enter_context(stream.writing(path)).write(b"second")
        assert not path.exists()
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]


def empty_file(path: Path) -> None:
    path.write_bytes(b"theirs")


def link_to_nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.fixture(params=[True, False], ids=["links", "no links"])
def linking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system that knows one name for a file, as FAT does, and on any other."""

    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    if not request.param:
        monkeypatch.setattr(os, "link", refused)


@pytest.mark.usefixtures("linking")
@pytest.mark.parametrize("put", [empty_file, link_to_nowhere, Path.mkdir, os.mkfifo])
def test_what_was_put_there_meanwhile_stays(tmp_path: Path, put: Callable[[Path], object]) -> None:
    path = tmp_path / "file"
    with pytest.raises(NotWritable, match="exists and is not overwritten"):
        with stream.writing(path) as out:
            out.write(b"ours")
            put(path)
    assert list(tmp_path.iterdir()) == [path]
    assert not path.is_file() or path.read_bytes() == b"theirs"
    # And what was there before.
    with pytest.raises(NotWritable, match="exists and is not overwritten"), stream.writing(path):
        pass
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("linking")
def test_it_has_one_name_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with stream.writing(path) as out:
        out.write(b"ours")
    assert list(tmp_path.iterdir()) == [path] and path.stat().st_nlink == 1
    assert path.read_bytes() == b"ours"


def test_what_was_linked_in_the_place_of_ours_is_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer's half, put where ours lay since we looked."""
    link, path = os.link, tmp_path / "file"

    def theirs(one: Path, other: Path) -> None:
        one.unlink()
        one.write_bytes(b"half")
        link(one, other)

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", theirs)
        with pytest.raises(NotWritable, match="by another process"), stream.writing(path) as out:
            out.write(b"ours")
    assert not path.exists()


def test_what_may_not_last_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(stream, "sync_folder", failing)
        with pytest.raises(NotWritable, match="Input/output error"):
            with stream.writing(tmp_path / "file") as out:
                out.write(b"ours")
    assert list(tmp_path.iterdir()) == []
