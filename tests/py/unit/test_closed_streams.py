"""What becomes of a command whose result or story nobody can be told."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import fix_cli
import pytest
from harmonia_cli import output

OPENS = """
import os
from harmonia_cli import start
start._keep_standard_streams()
number = os.open(os.devnull, os.O_RDONLY)
os.write(int(os.environ["TELL"]), str(number).encode())
"""


def run(words: str, folder: Path, **env: str) -> subprocess.CompletedProcess[bytes]:
    """Run the program as a shell does, which closes what it is told to close."""
    shell = words.replace("harmonia", shlex.join(fix_cli.command()), 1)
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", shell],
        cwd=folder, env=fix_cli.environment({"PYTHONUNBUFFERED": "", **env}),  # as people have it
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_no_file_takes_the_number_of_a_closed_stream(closed: tuple[int, ...]) -> None:
    """What a library says of itself would be written into a backup."""
    read, write = os.pipe()

    def close() -> None:
        for number in closed:
            os.close(number)

    done = subprocess.run(
        [sys.executable, "-c", OPENS],
        env={**os.environ, "TELL": str(write)}, pass_fds=[write], timeout=60, check=False,
        preexec_fn=close,
    )  # fmt: skip
    os.close(write)
    with os.fdopen(read) as told:
        assert done.returncode == 0 and int(told.read()) > 2


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_result_that_finds_a_closed_stdout_is_no_success(tmp_path: Path, form: str) -> None:
    words = f"harmonia backup list --folder . --output {form}"
    done = run(f"{words} >&-", tmp_path)
    assert done.returncode == 1 and b"stdout is closed" in done.stderr
    assert run(f"{words} 2>&-", tmp_path).returncode == 0
    assert run(f"{words} >/dev/null", tmp_path).returncode == 0
    failed = run(f"harmonia backup list --folder none --output {form} >&-", tmp_path)
    assert failed.returncode == 2 and b"there is no folder none" in failed.stderr


@pytest.mark.parametrize("stream", ["2>&-", "2>/dev/full", "2> >(exec 0<&-; sleep 1)"])
def test_a_failure_that_cannot_be_told_has_its_exit_code(tmp_path: Path, stream: str) -> None:
    assert run(f"harmonia backup list --folder none {stream}", tmp_path).returncode == 2
    done = run(f"harmonia backup list --folder none --output json {stream}", tmp_path)
    assert done.returncode == 2 and b"there is no folder none" in done.stdout


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("buffered", ["", "1"])
def test_no_room_for_a_result_is_told_on_stderr(tmp_path: Path, form: str, buffered: str) -> None:
    words = f"harmonia backup list --output {form} --folder"
    done = run(f"{words} . >/dev/full", tmp_path, PYTHONUNBUFFERED=buffered)
    assert done.returncode == 1 and b"its result cannot be written: No space left" in done.stderr
    # An error keeps its own code, and is told where it can be.
    done = run(f"{words} none >/dev/full", tmp_path, PYTHONUNBUFFERED=buffered)
    assert done.returncode == 2 and b"there is no folder none" in done.stderr
    assert b"Exception ignored" not in done.stderr


@pytest.mark.parametrize("words", ["--version", "--help", "backup --help"])
def test_no_room_for_help_is_a_line(tmp_path: Path, words: str) -> None:
    done = run(f"harmonia {words} >/dev/full", tmp_path)
    assert done.returncode == 1 and b"Traceback" not in done.stderr
    assert b"the output cannot be written: No space left on device" in done.stderr
    assert run(f"harmonia {words}", tmp_path).stdout


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space")])
def test_a_story_that_nobody_can_be_told_stops_no_work(
    monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    """An export ended in its middle when what watched its progress went away."""

    class Nobody:
        encoding = "utf-8"

        def write(self, _: str) -> int:
            raise error

        def isatty(self) -> bool:
            return False

        def flush(self) -> None:
            raise error

    monkeypatch.setattr(sys, "stderr", Nobody())
    terminal = output._Terminal(stderr=True)
    terminal.print("one table")
    terminal.print("and another")
    monkeypatch.setattr(sys, "stdout", Nobody())
    if not isinstance(error, BrokenPipeError):  # which ends a result in silence, as it should
        with pytest.raises(OSError, match="No space"):
            output._Terminal().print("a result")
