"""Write the reference of every command from what the commands say of themselves.

``python -m harmonia_cli.reference > docs/reference/cli.md``; a test holds the page current.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import typer

from harmonia_cli.main import app

__all__ = ["examples", "render"]

_EXAMPLE = "Example: "

_HEAD = """# Command line

Generated from `harmonia --help`; do not edit. Refresh it with
`python -m harmonia_cli.reference > docs/reference/cli.md`.

Results go to stdout, the story to stderr. With `--output json` a command prints one object:
`{"ok": true, "data": ...}` or `{"ok": false, "error": {"code", "message", "hint"}}`.

| exit code | meaning |
|---|---|
| 0 | done, or nothing to do |
| 1 | failed |
| 2 | called in a way it cannot follow |
| 3 | a check did not pass: pending, drift, stale, a finding |
| 4 | busy; safe to run again |
| 5 | isolation breach |
| 130, 143, 129 | ended by Ctrl-C, SIGTERM, SIGHUP; nothing is half written |
"""


def render() -> str:
    """Return the page."""
    # Typed loosely: some releases of Typer carry a Click of their own.
    root: Any = typer.main.get_command(app)
    return _HEAD + "".join(_sections(root, "harmonia"))


def _sections(command: Any, path: str) -> Iterator[str]:
    if hasattr(command, "commands"):
        if path != "harmonia":
            yield f"\n## {path}\n\n{_text(command)}\n"
        for name in sorted(command.commands):
            yield from _sections(command.commands[name], f"{path} {name}")
        return
    level = "###" if path.count(" ") > 1 else "##"
    arguments = [item for item in command.params if _is_argument(item)]
    usage = " ".join([path, "[OPTIONS]", *(_metavar(item) for item in arguments)])
    lines = "\n".join([usage, *(["", *examples(command)] if examples(command) else [])])
    yield f"\n{level} {path}\n\n{_text(command)}\n\n```\n{lines}\n```\n\n"
    rows = [_row(item) for item in command.params if item.name != "help"]
    if rows:
        yield "| option | meaning |\n|---|---|\n" + "".join(rows)


def _is_argument(item: Any) -> bool:
    return bool(item.param_type_name == "argument")


def examples(command: Any) -> list[str]:
    """Return the command lines that a command's help offers as examples."""
    paragraphs = [" ".join(p.split()) for p in (command.help or "").split("\n\n")]
    return [p.removeprefix(_EXAMPLE) for p in paragraphs if p.startswith(_EXAMPLE)]


def _text(command: Any) -> str:
    paragraphs = [" ".join(p.split()) for p in (command.help or "").split("\f")[0].split("\n\n")]
    return " ".join(p for p in paragraphs if not p.startswith(_EXAMPLE))


def _metavar(item: Any) -> str:
    name = item.metavar or (item.name or "").upper()
    return name if item.required else f"[{name}]"


def _row(item: Any) -> str:
    meaning = getattr(item, "help", None) or ""
    if not _is_argument(item):
        name = ", ".join(f"`{text}`" for text in [*item.opts, *item.secondary_opts])
        if item.envvar:
            meaning += f" Environment: `{item.envvar}`."
    else:
        name = f"`{item.metavar or (item.name or '').upper()}`"
    return f"| {name} | {meaning.strip().replace('|', chr(92) + '|')} |\n"


if __name__ == "__main__":
    sys.stdout.write(render())
