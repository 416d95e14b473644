"""Figures in the documentation: each section of a page is written by the benchmark it names.

A page marks a section with ``<!-- NAME -->`` and ``<!-- end of NAME -->``; what stands between
them belongs to the program. A benchmark declares the option, prints what it found and keeps it:

    report.add_option(parser)              # --into docs/performance.md
    report.publish("rls-18", report.made_by(engine.label) + table, options.into)
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["add_option", "at_least_one", "keep", "made_by", "publish", "table"]


def add_option(parser: argparse.ArgumentParser) -> None:
    """Declare ``--into PAGE``."""
    parser.add_argument(
        "--into", type=_page, metavar="PAGE", help="also keep the figures in this page"
    )


def at_least_one(text: str) -> int:
    """Read an argument that counts something: of nothing there is nothing to measure."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1 on")
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return int(text)


def _page(text: str) -> Path:
    # Before an hour of measuring, not after it.
    page = Path(text)
    if not page.is_file():
        raise argparse.ArgumentTypeError(f"there is no page {text}")
    return page


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [list(head), ["---"] * len(head), *([str(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def made_by(engine: str = "") -> str:
    """Return the line that says which command made the figures, and on what."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    arguments = list(sys.argv[1:])
    if "--into" in arguments:  # where the figures are kept says nothing about them
        at = arguments.index("--into")
        del arguments[at : at + 2]
    program = spec.name.removesuffix(".__main__") if spec else Path(sys.argv[0]).name
    command = shlex.join(["python", "-m", program, *arguments])
    where = f"{engine}, " if engine else ""
    return f"`{command}`: {where}{os.cpu_count()} cores, Python {sys.version.split()[0]}\n\n"


def publish(name: str, text: str, into: Path | None) -> None:
    """Print the text of a section, and keep it in the page if there is one."""
    print(text, flush=True)
    if into is not None:
        keep(name, text, into)


def keep(name: str, text: str, page: Path) -> None:
    """Replace the section ``name`` of a page; ValueError if the page does not have exactly one."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    old = page.read_text(encoding="utf-8")
    before, _, rest = old.partition(begin)
    _, _, after = rest.partition(end)
    if old.count(begin) != 1 or old.count(end) != 1 or end in before:
        raise ValueError(f"{page} does not have one section between {begin} and {end}")
    page.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}", encoding="utf-8")
