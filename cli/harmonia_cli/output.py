"""How a command speaks: the result on stdout, the story on stderr, one exit code.

Every command body runs inside :func:`command`, which turns a ``HarmoniaError`` into one line
(or one JSON object) and its exit code, and an unknown exception into exit 1 without a traceback
(``HARMONIA_DEBUG=1`` shows it).
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from harmonia_py.errors import HarmoniaError, NotWritable

__all__ = [
    "OutputFormat",
    "OutputOption",
    "check_stdout",
    "command",
    "emit",
    "no_room",
    "nobody_reads",
    "print_what_there_is_no_letter_for",
    "progress_bar",
    "stderr",
    "stdout",
    "usage_error",
    "working",
    "write",
]

# Controls but line feed and tab, and what turns the direction of the text around.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class _Terminal(Console):
    """A console on which text is text: names are chosen by tenants.

    No markup (``[/x]`` in a name would stop the command), no emoji codes, and what a terminal
    would obey is shown.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, soft_wrap=True, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Render a string; every string that is printed comes through here."""
        shown = _UNPRINTABLE.sub(lambda m: ascii(m[0])[1:-1], text)
        return super().render_str(shown, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; a story that nobody can be told is not told, and stops no work."""
        try:
            super().print(*objects, **options)
        except OSError:
            if not self.stderr:
                raise
            self.quiet = True

    def on_broken_pipe(self) -> None:
        """Take note that nobody reads any more: of a result that is the end, of a story not."""
        if not self.stderr:
            super().on_broken_pipe()
        self.quiet = True


stdout = _Terminal()
stderr = _Terminal(stderr=True)


class OutputFormat(StrEnum):
    """What stdout carries."""

    text = "text"
    json = "json"


OutputOption = Annotated[
    OutputFormat,
    typer.Option(
        "--output",
        "-o",
        # Read before the others: what goes wrong with them is told in its form.
        is_eager=True,
        help="Result as text or as one JSON object.",
    ),
]


def print_what_there_is_no_letter_for() -> None:
    """Write what the output's encoding has no letter for as an escape, instead of failing on it.

    A command has done its work by then; names are in any script, and a path may be no text.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def emit(data: Any, output: OutputFormat, render: Callable[[Any], None]) -> None:
    """Print ``data`` as ``{"ok": true, "data": ...}`` or through ``render``.

    Raises ``NotWritable`` where there is no room for it.
    """
    if sys.stdout is None:
        raise NotWritable(
            "the command did its work, and its result cannot be written: stdout is closed",
            hint="send the output to a file or a program; /dev/null takes what nobody needs",
        )
    try:
        if output is OutputFormat.json:
            typer.echo(json.dumps({"ok": True, "data": data}, default=str))
        else:
            render(data)
    except BrokenPipeError:
        raise
    except OSError as error:
        nobody_reads()
        raise NotWritable(
            f"the command did its work, and its result cannot be written: {error.strerror}",
            hint="send the output where there is room for it",
        ) from None


def check_stdout() -> None:
    """Raise ``NotWritable`` where stdout is closed, before what is written there is opened."""
    if sys.stdout is None:
        raise NotWritable("stdout is closed", hint="send the output to a file or a program")


def write(data: bytes) -> None:
    """Write bytes to stdout as they are, all of them.

    Raises ``NotWritable`` where there is no room, and ends quietly where nobody reads any more.
    """
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        nobody_reads()
        raise typer.Exit(1) from None
    except OSError as error:
        nobody_reads()
        raise NotWritable(
            f"the result cannot be written: {error.strerror}",
            hint="send the output where there is room for it",
        ) from None


def no_room(error: OSError) -> int:
    """Say that what is no result of a command cannot be written; return the exit code."""
    nobody_reads()
    refused = NotWritable(f"the output cannot be written: {error.strerror}")
    _report(refused.code, refused.message, refused.hint, OutputFormat.text)
    return refused.exit_code


def nobody_reads() -> None:
    """Give up on stdout: what is left in its buffer would fail once more as Python ends.

    An error that follows is no more written there either, but told on stderr.
    """
    if sys.stdout is None:
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.stdout = None


@contextmanager
def progress_bar(label: str, total: int) -> Iterator[Callable[[int, int], None] | None]:
    """Yield a function of rows done and rows in all; None where nobody is watching."""
    if not stderr.is_terminal:
        yield None
        return
    from rich.progress import Progress, TimeRemainingColumn

    with Progress(
        *Progress.get_default_columns()[:3], TimeRemainingColumn(), console=stderr
    ) as bar:
        task = bar.add_task(label, total=total)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def working(label: str) -> Iterator[None]:
    """Say what is being done while it takes time of an unknown length, where somebody watches."""
    if not stderr.is_terminal:
        yield
        return
    with stderr.status(label):
        yield


@contextmanager
def command(output: OutputFormat) -> Iterator[None]:
    """Run a command body and translate what it raises into a message and an exit code."""
    try:
        yield
    except HarmoniaError as error:
        _fail(error.code, error.message, error.hint, error.exit_code, output)
    except KeyboardInterrupt:
        _fail(
            "interrupted",
            "interrupted; what was complete stays, nothing is half written",
            None,
            130,
            output,
        )
    except (typer.Exit, typer.Abort):
        raise
    except UnicodeEncodeError:
        # What is no UTF-8 reaches Python as lone surrogates, which nothing can take further.
        _fail("usage", "an argument or a setting is not UTF-8 text", None, 2, output)
    except Exception as error:
        if os.environ.get("HARMONIA_DEBUG"):
            raise
        _fail(*_unexpected(error), output)


def _unexpected(error: Exception) -> tuple[str, str, str, int]:
    """Return code, message, hint and exit code of what nobody raised on purpose."""
    if isinstance(error, OSError) and error.filename is not None:
        # What a command looks at before it uses it: a name too long, a folder it may not enter.
        return (
            "path.unusable",
            f"cannot use {os.fsdecode(error.filename)}: {error.strerror}",
            "check how it is written, and the owner and mode of it and of the folders it is in",
            1,
        )
    return (
        "unexpected",
        f"unexpected {type(error).__name__}",
        "run again with HARMONIA_DEBUG=1 to see where",
        1,
    )


def usage_error(error: Any, arguments: Sequence[str], asked: str) -> int:
    """Report what Click could not parse, in the shape of every other error; return the exit code.

    ``arguments`` are those of the command line: the options were not parsed, so what is asked of
    the output is read from them. ``asked`` is the command they begin with: not every error of
    Click says in which it was.
    """
    context = error.ctx
    if context is not None and type(error).__name__ == "NoArgsIsHelpError":
        # Typer prints the help as it makes this error; without rich, the message holds it.
        if help_text := error.format_message():
            stderr.print(help_text, highlight=False)
        return int(error.exit_code)
    line = " ".join(arguments).replace("=", " ")
    output = OutputFormat.json if re.search(r"(--output|-o) ?json\b", line) else OutputFormat.text
    path = context.command_path if context is not None else asked
    _report("usage", error.format_message(), f"see `{path} --help`", output)
    return int(error.exit_code)


def _fail(code: str, message: str, hint: str | None, exit_code: int, output: OutputFormat) -> None:
    _report(code, message, hint, output)
    raise typer.Exit(exit_code)


def _report(code: str, message: str, hint: str | None, output: OutputFormat) -> None:
    if output is OutputFormat.json and sys.stdout is None:
        output = OutputFormat.text
    if output is OutputFormat.json:
        error = {"code": code, "message": message, "hint": hint}
        try:
            typer.echo(json.dumps({"ok": False, "error": error}))
        except BrokenPipeError:
            raise
        except OSError:  # no room on stdout: whoever watches stderr should know
            nobody_reads()
            output = OutputFormat.text
    if output is OutputFormat.text:
        stderr.print("error", style="red", end=" ")
        stderr.print(f"({code})", style="dim", end=": ")
        stderr.print(message, highlight=False)
        if hint:
            stderr.print("hint:", style="dim", end=" ")
            stderr.print(hint, highlight=False)
