"""Processes that are killed in the middle, and what must hold afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from fix_database import ROOT

from harmonia_py.errors import Refused

T = TypeVar("T")


@contextmanager
def killable(code: str, url: str, *arguments: str) -> Iterator[Iterator[str]]:
    """Run code with the URL on stdin; yield its output lines; kill -9 at the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdin and process.stdout
    with process.stdin, process.stdout:
        try:
            process.stdin.write(url + "\n")
            process.stdin.flush()
            yield iter(process.stdout)
            assert process.poll() is None, "it ended before it could be killed"
        finally:
            process.kill()
            process.wait()


def eventually(action: Callable[[], T], *, seconds: float = 20) -> T:
    """Repeat while refused: the server notices a moment later that a client is gone."""
    until = time.monotonic() + seconds
    while True:
        try:
            return action()
        except Refused:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
