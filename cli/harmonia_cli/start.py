"""The entry point of the ``harmonia`` script: whatever asks it to end is one line and no half work.

Ctrl-C does so by itself. So here do what a service manager or a container sends, and a terminal
that goes away; the exit code then names the signal.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress
from types import FrameType

__all__ = ["main"]

_INTERRUPTED = 130
_STORY = "error (interrupted): interrupted; what was complete stays, nothing is half written\n"
#: New objects between two looks for those that only refer to each other, of which a command makes
#: few: Python's own 700 is for programs that stay.
_BETWEEN_LOOKS = 50_000


def main() -> None:
    """Load the command line and run it."""
    gc.set_threshold(_BETWEEN_LOOKS)
    _keep_standard_streams()
    ended = _end_like_an_interrupt()
    try:
        from harmonia_cli.main import main as run

        run()
    except KeyboardInterrupt:
        with suppress(OSError):
            if sys.stderr is not None:
                sys.stderr.write(_STORY)
        sys.exit(_code(ended))
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            sys.exit(_code(ended))
        raise
    finally:
        _drop_what_stderr_did_not_take()
        # The end of the process frees all at once; Python would look through it all before.
        gc.freeze()


def _keep_standard_streams() -> None:
    """Open what was closed to nothing, as the next file that is opened would take its number.

    What a library, or a program that we start, then says of itself would be written into a backup.
    """
    with suppress(OSError):
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(descriptor, True)
        os.close(descriptor)


def _drop_what_stderr_did_not_take() -> None:
    """Let the exit code stand: Python ends with 120 where it finds something left to write."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.flush()
    except OSError:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stderr.fileno())
        os.close(nothing)


def _end_like_an_interrupt() -> list[int]:
    """Let signals that would end us on the spot clean up first; return where they are noted."""
    ended: list[int] = []

    def end(number: int, _: FrameType | None) -> None:
        # Once: a second one would break off the cleaning up.
        if not ended:
            ended.append(number)
            raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        # Not where it was to be ignored, as by nohup.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end)
    return ended


def _code(ended: list[int]) -> int:
    return 128 + ended[0] if ended else _INTERRUPTED
