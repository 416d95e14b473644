"""``harmonia policies explain`` and ``matrix``: who may do what, and why."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harmonia_cli.options import DatabaseUrlOption, database_url
from harmonia_cli.output import OutputFormat, OutputOption, command, emit, stdout

if TYPE_CHECKING:
    from harmonia_py.isolation.explain import Condition, Explanation

__all__ = ["explain", "matrix"]


def explain(
    as_: Annotated[str, typer.Option("--as", help="E-mail address or id of a user, or anon.")],
    table: Annotated[str, typer.Option("--table", help="Table, as name or schema.name.")],
    row: Annotated[str | None, typer.Option("--row", help="Id of the row in question.")] = None,
    command_: Annotated[
        str, typer.Option("--command", help="select, insert, update or delete.")
    ] = "select",
    values: Annotated[
        str | None,
        typer.Option("--values", help="JSON object: a new row, or the changes of an update."),
    ] = None,
    aal: Annotated[str, typer.Option("--aal", help="Assurance level of the session.")] = "aal1",
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Say which policy, and which condition in it, decides about a row.

    Example: harmonia policies explain --as mia@acme.example --table contacts --row 0190…
    """
    with command(output):
        from harmonia_py.dsn import connect
        from harmonia_py.isolation.explain import explain as ask

        with connect(database_url(db_url)) as connection:
            answer = ask(
                connection,
                table=table,
                user=as_,
                command=command_,
                row=row,
                values=_object(values),
                claims={"aal": aal},
            )
        emit(asdict(answer), output, lambda _: _print_explanation(answer))


def matrix(
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Print what each API role may do to each table, before any row is looked at.

    Example: harmonia policies matrix
    """
    with command(output):
        from harmonia_py.dsn import connect
        from harmonia_py.isolation.explain.matrix import matrix as cells

        with connect(database_url(db_url)) as connection:
            found = cells(connection)
        emit({"cells": [asdict(cell) for cell in found]}, output, _print_matrix)


def _object(text: str | None) -> dict[str, Any] | None:
    from harmonia_py.errors import UsageError

    if text is None:
        return None
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"--values is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise UsageError("--values must be a JSON object")
    return value


def _line(text: str) -> None:
    stdout.print(text, highlight=False)


def _print_explanation(answer: Explanation) -> None:
    verdict = {True: "allowed", False: "denied", None: "depends on the row"}[answer.allowed]
    _line(f"{answer.command} on {answer.table} as {answer.user}: {verdict}")
    _line(f"  because {answer.because}")
    for grant in answer.grants:
        _line(f"  grant   {grant}")
    for policy in answer.policies:
        kind = "permissive" if policy.permissive else "restrictive"
        _line(f"  policy  {policy.name} ({kind}, {policy.clause})")
        _print_condition(policy.condition, 2)
    if answer.returning:
        _line(f"  note    {answer.returning}")
    if answer.visible is not None:
        _line(f"  rows    sees {answer.visible} of {answer.total}")
    if answer.scan:
        _line(f"  read by {answer.scan}")


def _print_condition(condition: Condition, depth: int) -> None:
    value = condition.value or "?"
    label = condition.text if not condition.parts else condition.operator
    error = f"  ({condition.error})" if condition.error else ""
    _line(f"{'  ' * depth}{value:<6} {label}{error}")
    for part in condition.parts:
        _print_condition(part, depth + 1)


def _print_matrix(data: dict[str, Any]) -> None:
    from rich.table import Table

    roles = sorted({cell["role"] for cell in data["cells"]})
    commands = ("select", "insert", "update", "delete")
    view = Table(title="Access by privilege and policy", title_justify="left", box=None)
    view.add_column("table", no_wrap=True)
    for role in roles:
        for name in commands:
            view.add_column(f"{role}\n{name}")
    cells = {(c["table"], c["role"], c["command"]): c["access"] for c in data["cells"]}
    for table in sorted({cell["table"] for cell in data["cells"]}):
        view.add_row(
            table,
            *(
                "-" if (access := cells[table, role, name]) == "none" else access
                for role in roles
                for name in commands
            ),
        )
    stdout.print(view)
