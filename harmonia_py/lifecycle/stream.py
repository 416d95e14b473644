"""Files in authenticated encryption: exports and backups.

``HXF1``, the length of the header (32 bits, big-endian), the header (JSON), then Cobblestone256
(C2SP chunked encryption) with everything before it as its context. So a header cannot be changed,
a piece cannot be left out, moved or cut off, and the wrong key is noticed at the first chunk.
"""

from __future__ import annotations

import errno
import json
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag

from harmonia_py.durable import sync_folder
from harmonia_py.errors import FileDamaged, NotWritable

__all__ = [
    "MAGIC",
    "Sealer",
    "content",
    "is_sealed",
    "opened",
    "read_header",
    "replacing",
    "sealed",
    "writing",
]

MAGIC = b"HXF1"
BLOCK = 1 << 20
_LONGEST = 1 << 20
# What a file system that knows one name for a file says, such as FAT.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Sealer:
    """Write plaintext in, ciphertext comes out in ``file``. Not readable before ``close()``."""

    def __init__(self, file: IO[bytes], key: bytes, header: dict[str, Any]) -> None:
        """Write the header."""
        text = json.dumps(header, sort_keys=True).encode()
        start = MAGIC + struct.pack(">I", len(text)) + text
        self._file = file
        self._encryptor = Cobblestone256Encryptor(key, start)
        file.write(start)

    def write(self, data: bytes | memoryview) -> int:
        """Encrypt a piece."""
        self._file.write(self._encryptor.update(bytes(data)))
        return len(data)

    def close(self) -> None:
        """Write the last chunk, which proves that nothing was cut off."""
        self._file.write(self._encryptor.finalize())

    def __enter__(self) -> Sealer:
        """Return the sealer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: object, __: TracebackType | None
    ) -> None:
        """Finish, unless the block failed: then the file must stay unreadable."""
        if kind is None:
            self.close()


@contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file beside ``path`` that takes its place when the block is done, and is synced.

    It is ours and has mode 0600, whatever lay there. Raises :class:`NotWritable` when ``path``
    exists, for a full disk and beside another writer of ``path``; nothing stays then.
    """
    if os.path.lexists(path):
        raise _there(path)
    if not path.parent.is_dir():
        # Not made here: where a disk was not mounted, it would be made on the wrong one.
        raise NotWritable(
            f"there is no folder {path.parent}", hint="make it first, or mount what it lies on"
        )
    with _beside(path, _name) as file:
        yield file


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file as :func:`writing` does, which replaces what is at ``path``."""
    with _beside(path, _replace) as file:
        yield file


@contextmanager
def _beside(path: Path, name: Callable[[Path, Path, os.stat_result], None]) -> Iterator[IO[bytes]]:
    partial = path.with_name(path.name + ".partial")
    try:
        # Left by an interrupted run, or put there by whoever wants to read what is written.
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, _FLAGS, 0o600)
    except OSError as error:
        raise NotWritable(f"cannot write {path}: {error.strerror}") from None
    ours = os.fstat(descriptor)
    try:
        # Open to the end: the number of a deleted file is given to the next that is made.
        with os.fdopen(descriptor, "wb") as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                if not _is(partial, ours):
                    raise _shared(path)
                name(partial, path, ours)
            finally:
                if _is(partial, ours):
                    partial.unlink(missing_ok=True)
    except OSError as error:
        raise NotWritable(f"cannot write {path}: {error.strerror}") from None


def _replace(partial: Path, path: Path, _: os.stat_result) -> None:
    partial.replace(path)
    sync_folder(path)


def _there(path: Path) -> NotWritable:
    return NotWritable(f"{path} exists and is not overwritten")


def _shared(path: Path) -> NotWritable:
    return NotWritable(f"{path} is being written by another process as well")


def _name(partial: Path, path: Path, ours: os.stat_result) -> None:
    """Give the file its name and make it last, unless something has that name by now."""
    try:
        # Renamed, it would replace what was put there since we looked.
        os.link(partial, path)
    except FileExistsError:
        if not _is(path, ours):  # some servers say so of a link they have just made
            raise _there(path) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(path):
            raise _there(path) from None
        partial.rename(path)
    try:
        if not _is(path, ours):
            raise _shared(path)
        if _is(partial, ours):
            partial.unlink()
        sync_folder(path)
    except (OSError, NotWritable):
        path.unlink(missing_ok=True)  # not ours, or not sure to last
        raise


def _is(path: Path, state: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.lstat(), state)
    except FileNotFoundError:
        return False


@contextmanager
def sealed(path: Path, key: bytes, header: dict[str, Any]) -> Iterator[Sealer]:
    """Yield a sealer whose file appears at ``path`` only when it is complete."""
    with writing(path) as file, Sealer(file, key, header) as sealer:
        yield sealer


def _check_file(path: Path) -> None:
    # Opening a pipe would wait for whoever writes into it.
    if path.exists() and not path.is_file():
        raise FileDamaged(f"cannot read {path}: it is not a file")


def read_header(path: Path) -> dict[str, Any]:
    """Return the header, not yet authenticated. Raises :class:`FileDamaged`."""
    _check_file(path)
    try:
        with path.open("rb") as file:
            return _header(path, file)[0]
    except OSError as error:
        raise FileDamaged(f"cannot read {path}: {error.strerror}") from None


def _header(path: Path, file: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    start = file.read(8)
    if len(start) < 8 or start[:4] != MAGIC:
        raise FileDamaged(f"{path} is not a file of Harmonia, or it is cut off")
    length = struct.unpack(">I", start[4:])[0]
    text = file.read(length) if length <= _LONGEST else b""
    try:
        header = json.loads(text)
    except ValueError:
        header = None
    if len(text) != length or not isinstance(header, dict):
        raise FileDamaged(f"the header of {path} is damaged")
    return header, start + text


def is_sealed(path: Path) -> bool:
    """Tell whether a file begins as sealed ones do. Raises :class:`FileDamaged`."""
    _check_file(path)
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError as error:
        raise FileDamaged(f"cannot read {path}: {error.strerror}") from None


def content(path: Path, key: bytes | None) -> Iterator[bytes]:
    """Yield what a file holds: as :func:`opened` does with a key, else as it is."""
    if key is not None:
        yield from opened(path, key)
        return
    _check_file(path)
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                yield block
    except OSError as error:
        raise FileDamaged(f"cannot read {path}: {error.strerror}") from None


def opened(path: Path, key: bytes) -> Iterator[bytes]:
    """Yield the plaintext in pieces; each is authentic, the whole only at the end.

    Raises :class:`FileDamaged` for a wrong key, a changed byte or a file that was cut off. Use
    what was yielded only after the iterator is exhausted, or in a transaction.
    """
    _check_file(path)
    try:
        with path.open("rb") as file:
            _, context = _header(path, file)
            decryptor = Cobblestone256Decryptor(key, context)
            while block := file.read(BLOCK):
                yield decryptor.update(block)
            yield decryptor.finalize()
    except (InvalidTag, ValueError):
        raise FileDamaged(
            f"{path} cannot be opened: another key, a changed byte, or it is cut off",
            hint="check the key; if it is the right one, take another copy of the file",
        ) from None
    except OSError as error:
        raise FileDamaged(f"cannot read {path}: {error.strerror}") from None
