"""Ask git whether a file is already where others may have applied it from."""

from __future__ import annotations

import subprocess
from pathlib import Path

__all__ = ["is_released"]


def is_released(path: Path) -> bool:
    """Tell whether ``path`` is on the upstream branch or in any tag.

    Upstream is the remote's default branch and what the present branch tracks. Without git, or
    without a remote and tags, nothing is released.
    """
    folder = path.parent
    refs = [line for line in _git(folder, "tag", "--list").splitlines() if line]
    refs += [ref for ref in _upstreams(folder) if ref]
    return any(_has(folder, ref, path.name) for ref in refs)


def _upstreams(folder: Path) -> list[str]:
    tracked = _git(folder, "rev-parse", "--abbrev-ref", "--symbolic-full-name", "@{upstream}")
    default = _git(folder, "for-each-ref", "--format=%(refname)", "refs/remotes/*/HEAD")
    named = _git(
        folder, "for-each-ref", "--format=%(refname)", "refs/remotes/*/main",
        "refs/remotes/*/master",
    )  # fmt: skip
    return list(dict.fromkeys([tracked.strip(), *default.splitlines(), *named.splitlines()]))


def _has(folder: Path, ref: str, name: str) -> bool:
    return bool(_git(folder, "ls-tree", "--name-only", ref, "--", name).strip())


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
