"""The command line as a process of its own, as a person or a script runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: What the shell of whoever runs the tests may hold and a command would take its target from.
TARGETS = ("DATABASE_URL", "HARMONIA_MASTER_KEY_PROVIDER", "HARMONIA_ORGANIZATION")


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a command: its exit code and, byte by byte, what it wrote."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """The result."""
        return self.stdout.decode()

    @property
    def story(self) -> str:
        """What was said beside the result."""
        return self.stderr.decode()

    @property
    def answer(self) -> Any:
        """The data of a result in JSON, or the error."""
        found = json.loads(self.stdout)
        return found["data"] if found["ok"] else found["error"]


def command(*arguments: str) -> list[str]:
    """Return the installed program and its arguments."""
    return [str(Path(sys.executable).with_name("harmonia")), *arguments]


def environment(env: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """Return ours without any target, overlaid with ``env``, where None removes a variable."""
    wanted = {**os.environ, **dict.fromkeys(TARGETS), **(env or {})}
    return {name: value for name, value in wanted.items() if value is not None}


def harmonia(
    *arguments: str,
    env: Mapping[str, str | None] | None = None,
    cwd: Path | None = None,
    code: int = 0,
    given: bytes = b"",
    first: Callable[[], None] | None = None,
) -> Done:
    """Run the program to its end and hold it to an exit code and to no traceback.

    ``env`` overlays the environment, ``given`` is its standard input, ``first`` is called in the
    new process before the program.
    """
    variables = environment(env)
    run = subprocess.run(
        command(*arguments),
        cwd=cwd, env=variables, input=given, preexec_fn=first,
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    done = Done(run.returncode, run.stdout, run.stderr)
    assert done.code == code, (arguments, done)
    assert b"Traceback" not in done.stderr or variables.get("HARMONIA_DEBUG"), done.story
    return done


def answer(
    *arguments: str,
    env: Mapping[str, str | None] | None = None,
    cwd: Path | None = None,
    code: int = 0,
) -> Any:
    """Run the program for a machine and return the data of its answer, or the error."""
    return harmonia(*arguments, "--output", "json", env=env, cwd=cwd, code=code).answer
