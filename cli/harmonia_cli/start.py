"""The entry point of the ``harmonia`` script: Ctrl-C while the program still loads is one line."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Load the command line and run it."""
    try:
        from harmonia_cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write(
            "error (interrupted): interrupted; what was complete stays, nothing is half written\n"
        )
        sys.exit(130)
