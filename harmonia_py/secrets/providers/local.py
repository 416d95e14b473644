"""Master keys that this process reads: a file, a command, the environment, the OS keyring."""

from __future__ import annotations

import importlib
import os
import re
import selectors
import shlex
import stat
import subprocess
import time
from pathlib import Path

from harmonia_py.durable import sync_folder
from harmonia_py.errors import (
    InvalidMasterKey,
    KeyProviderDenied,
    KeyProviderUnavailable,
    UsageError,
)
from harmonia_py.secrets import masterkey
from harmonia_py.secrets.value import Secret

__all__ = [
    "SCHEMES",
    "read",
    "read_command",
    "read_env",
    "read_file",
    "read_keyring",
    "write_file",
]

COMMAND_TIMEOUT = 15.0
_MAX_BYTES = 4096
_SETTING = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
_KEY = re.compile(r"hmk1_[A-Za-z0-9_-]{20}")


def read(scheme: str, place: str) -> Secret:
    """Return the key that one of the :data:`SCHEMES` names."""
    if _KEY.search(place):
        # Every error below names the place.
        raise UsageError(
            f"{scheme}: is followed by a key itself, not by where it is",
            hint="others can read what a command line holds: replace this key, and name the place "
            "of the new one, such as file:PATH",
        )
    return _READERS[scheme](place)


def read_file(path: str) -> Secret:
    """Return the key in a regular file that is ours (or root's) and that nobody else may read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except PermissionError:
        raise KeyProviderDenied(f"no permission to read the key file {path}") from None
    except FileNotFoundError:
        raise KeyProviderUnavailable(
            f"there is no key file {path}",
            hint="put the key back there, or make one: "
            f"harmonia keys init --provider {shlex.quote('file:' + path)} for a master key, "
            f"harmonia audit keygen {shlex.quote(path)} for any other",
        ) from None
    except OSError as error:
        raise KeyProviderUnavailable(f"cannot open the key file {path}: {error.strerror}") from None
    try:
        # Checked on the open file, not on the path, which may change in between.
        _check(path, os.fstat(descriptor))
        _check_folders(path)
        return masterkey.parse(os.read(descriptor, _MAX_BYTES))
    finally:
        os.close(descriptor)


def _check(path: str, state: os.stat_result) -> None:
    if not stat.S_ISREG(state.st_mode):
        raise InvalidMasterKey(f"{path} is not a regular file")
    if state.st_uid not in (0, os.geteuid()):
        raise KeyProviderDenied(
            f"the key file {path} belongs to user {state.st_uid}",
            hint=f"chown it to the user that runs Harmonia: chown {os.geteuid()} {path}",
        )
    if state.st_mode & 0o077:
        raise KeyProviderDenied(
            f"others may read the key file {path} (mode {stat.S_IMODE(state.st_mode):04o})",
            hint=f"chmod 600 {path}; if others could have read it, replace it with "
            "another (harmonia keys rewrap for a master key)",
        )


def _check_folders(path: str) -> None:
    """Refuse a file that others could put another in the place of, or take away for good.

    Links are followed one by one: whoever may change a link chooses the key.
    """
    places = [Path(os.path.abspath(path))]
    try:
        while places[-1].is_symlink() and len(places) < 40:
            places.append(Path(os.path.abspath(places[-1].parent / os.readlink(places[-1]))))
        places.append(Path(os.path.realpath(path)))
        for folder in sorted({folder for place in places for folder in place.parents}):
            _check_folder(path, folder, os.stat(folder))
    except OSError as error:
        raise KeyProviderUnavailable(
            f"cannot look at the folders of the key file {path}: {error.strerror}"
        ) from None


def _check_folder(path: str, folder: Path, state: os.stat_result) -> None:
    # In a sticky folder, as /tmp is, nobody may move what belongs to another.
    if state.st_mode & 0o022 and not state.st_mode & stat.S_ISVTX:
        raise KeyProviderDenied(
            f"others may replace the key file {path}: they may write to {folder} "
            f"(mode {stat.S_IMODE(state.st_mode):04o})",
            hint=f"chmod go-w {folder}",
        )
    if state.st_uid not in (0, os.geteuid()):
        raise KeyProviderDenied(
            f"the folder {folder} of the key file {path} belongs to user {state.st_uid}",
            hint="keep the key in a folder of the user that runs Harmonia, or of root",
        )


def write_file(path: Path, key: Secret) -> None:
    """Create the file with mode 0600; an existing one is never overwritten."""
    if path.parent.exists():
        _check_folders(str(path))
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        raise UsageError(f"{path} exists and is not overwritten") from None
    except OSError as error:
        raise KeyProviderUnavailable(f"cannot create {path}: {error.strerror}") from None
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(masterkey.text(key).encode() + b"\n")
            file.flush()
            os.fsync(descriptor)
        sync_folder(path)
    except BaseException as error:
        path.unlink(missing_ok=True)  # half a key, which the next attempt would not overwrite
        if isinstance(error, OSError):
            raise KeyProviderUnavailable(f"cannot write {path}: {error.strerror}") from None
        raise


def read_command(command: str) -> Secret:
    """Return the key that a command prints. No shell; its error output is not shown."""
    try:
        argv = shlex.split(command)
    except ValueError:
        raise UsageError("the key command has an unclosed quote") from None
    if not argv:
        raise UsageError("the key command is empty", hint="write cmd:pass show harmonia")
    if setting := _SETTING.match(argv[0]):
        # Its value may be a secret, and every error below names what was run.
        raise UsageError(
            f"the key command begins with a setting ({setting[1]}=...), and no shell reads it",
            hint=f"set {setting[1]} in the environment of Harmonia; the command inherits it",
        )
    try:
        status, printed = _printed(argv)
    except subprocess.TimeoutExpired:
        raise KeyProviderUnavailable(
            f"the key command {argv[0]} did not answer in {COMMAND_TIMEOUT:.0f} s"
        ) from None
    except OSError as error:
        raise KeyProviderUnavailable(
            f"cannot run the key command {argv[0]}: {error.strerror}"
        ) from None
    if len(printed) > _MAX_BYTES:
        raise InvalidMasterKey(
            f"the key command {argv[0]} prints more than {_MAX_BYTES} bytes, which is no key"
        )
    if status != 0:
        raise KeyProviderDenied(f"the key command {argv[0]} ended with status {status}")
    if not printed.strip():
        raise InvalidMasterKey(f"the key command {argv[0]} prints nothing")
    return masterkey.parse(printed)


def _printed(argv: list[str]) -> tuple[int, bytes]:
    """Return status and output of a command, which is ended where it prints without end."""
    deadline = time.monotonic() + COMMAND_TIMEOUT
    data = b""
    with (
        subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process,
        selectors.DefaultSelector() as waiting,
    ):
        try:
            if process.stdout is None:
                raise AssertionError("stdout is a pipe")
            waiting.register(process.stdout, selectors.EVENT_READ)
            while len(data) <= _MAX_BYTES:
                if not waiting.select(max(deadline - time.monotonic(), 0)):
                    raise subprocess.TimeoutExpired(argv, COMMAND_TIMEOUT)
                block = os.read(process.stdout.fileno(), _MAX_BYTES + 1)
                if not block:
                    return process.wait(max(deadline - time.monotonic(), 0)), data
                data += block
            return 0, data
        finally:
            if process.poll() is None:
                process.kill()


def read_env(name: str) -> Secret:
    """Return the key in an environment variable and remove it, so that children do not get it."""
    value = os.environ.pop(name, None)
    if value is None:
        raise KeyProviderUnavailable(f"the environment variable {name} is not set")
    return masterkey.parse(value.encode())


def read_keyring(entry: str) -> Secret:
    """Return the key in the keyring of the operating system (``service/user``)."""
    service, _, user = entry.partition("/")
    if not service or not user:
        raise UsageError("write keyring:service/user")
    try:
        keyring = importlib.import_module("keyring")
    except ImportError:
        raise UsageError(
            "the keyring provider is not installed", hint="pip install 'harmonia[keyring]'"
        ) from None
    try:
        value = keyring.get_password(service, user)
    except Exception as error:  # back ends raise whatever they like
        raise KeyProviderUnavailable(
            f"the keyring of the operating system failed: {type(error).__name__}"
        ) from None
    if value is None:
        raise KeyProviderUnavailable(f"the keyring has no entry {entry}")
    return masterkey.parse(str(value).encode())


_READERS = {"file": read_file, "cmd": read_command, "env": read_env, "keyring": read_keyring}
SCHEMES = frozenset(_READERS)
