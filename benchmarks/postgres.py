"""Which PostgreSQL a benchmark measures: the option that all of them have."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harmonia_py.engines import binaries
from harmonia_py.errors import BinariesNotFound

__all__ = ["add_option"]


def add_option(parser: argparse.ArgumentParser) -> None:
    """Declare ``--pg-bin DIR``; without it the embedded engine finds one itself.

    Where there is none, the program ends with one line before anything is measured.
    """
    # A default that is text is checked as well: HARMONIA_PG_BIN can be wrong, too.
    parser.add_argument(
        "--pg-bin", type=_checked, default="", metavar="DIR", help="PostgreSQL programs to use"
    )


def _checked(text: str) -> Path | None:
    try:
        binaries.find(text)
    except BinariesNotFound as error:
        sys.exit(f"{error.message}: {error.hint}" if error.hint else error.message)
    return Path(text) if text else None
