"""``harmonia support``: access of platform staff to one organization, for a while."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import typer

from harmonia_cli.options import (
    DatabaseUrlOption,
    OnlyOrganizationOption,
    OrganizationOption,
    YesOption,
    consent,
    database_url,
)
from harmonia_cli.output import OutputFormat, OutputOption, command, emit, stdout

__all__ = ["app"]

app = typer.Typer(
    help="Ask for, approve, list and revoke time-limited support access.", no_args_is_help=True
)
staff = typer.Typer(help="Who is platform staff.", no_args_is_help=True)
app.add_typer(staff, name="staff")


@app.callback()
def root() -> None:
    """Ask for, approve, list and revoke time-limited support access."""


@app.command()
def request(
    organization: OrganizationOption,
    agent: Annotated[UUID, typer.Option("--agent", help="The member of staff who asks.")],
    permission: Annotated[
        list[str], typer.Option("--permission", help="What for; may be repeated.")
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why (10 characters or more).")],
    minutes: Annotated[int, typer.Option("--minutes", min=5, max=480, help="How long.")] = 60,
    writes: Annotated[
        bool, typer.Option("--writes", help="Ask for permissions that change data too.")
    ] = False,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Ask an organization for access.

    Example: harmonia support request --organization alder --agent
    e0000000-0000-4000-8000-000000000021 --permission contacts.read --reason "ticket 4711: the
    import stops"
    """
    with command(output):
        from harmonia_py.lifecycle import support

        url = database_url(db_url)
        consent(url, yes=yes, action="ask for support access")
        id_ = support.request(
            url,
            organization,
            agent=agent,
            permissions=permission,
            reason=reason,
            duration=timedelta(minutes=minutes),
            writes=writes,
        )
        emit({"request": str(id_)}, output, lambda d: stdout.print(d["request"]))


@app.command()
def approve(
    organization: OrganizationOption,
    request_id: Annotated[UUID, typer.Option("--request", help="The request's id.")],
    person: Annotated[UUID, typer.Option("--as", help="Who approves.")],
    break_glass: Annotated[
        bool,
        typer.Option(
            "--break-glass", help="As a second member of staff; the owners are told by e-mail."
        ),
    ] = False,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Approve a request, never one's own.

    Example: harmonia support approve --organization alder --request
    a0000000-0000-7000-8000-000000000009 --as e0000000-0000-4000-8000-000000000021
    """
    with command(output):
        from harmonia_py.lifecycle import support

        url = database_url(db_url)
        consent(url, yes=yes, action="approve support access")
        support.approve(url, organization, request_id, person=person, break_glass=break_glass)
        emit({"approved": str(request_id)}, output, lambda _: stdout.print("approved"))


@app.command("list")
def list_(
    organization: OnlyOrganizationOption = None,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """List requests and whether access exists right now.

    Example: harmonia support list
    """
    with command(output):
        from harmonia_py.lifecycle import support

        emit(support.list_access(database_url(db_url), organization), output, _print_access)


def _print_access(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        state = "live" if row["live"] else row["status"]
        stdout.print(
            f"{row['id']}  {state:<8} {row['organization_id']}  {row['agent_id']}  "
            f"{','.join(row['permissions'])}  {row['reason']}",
            highlight=False,
        )
    if not rows:
        stdout.print("nobody asked for access")


@app.command()
def revoke(
    organization: OrganizationOption,
    request_id: Annotated[
        UUID | None, typer.Option("--request", help="Only this request's access.")
    ] = None,
    person: Annotated[
        UUID | None, typer.Option("--as", help="As this member; else as the operator.")
    ] = None,
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """End access at once.

    Example: harmonia support revoke --organization alder
    """
    with command(output):
        from harmonia_py.lifecycle import support

        url = database_url(db_url)
        consent(url, yes=yes, action="revoke support access")
        count = support.revoke(url, organization, person=person, request_id=request_id)
        emit({"ended": count}, output, lambda d: stdout.print(f"ended {d['ended']} grants"))


@staff.command()
def add(
    user: Annotated[UUID, typer.Argument(help="The user's id.")],
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """Make a person platform staff. Gives no access to any organization.

    Example: harmonia support staff add e0000000-0000-4000-8000-000000000021
    """
    with command(output):
        from harmonia_py.lifecycle import support

        url = database_url(db_url)
        consent(url, yes=yes, action="add platform staff")
        support.add_staff(url, user)
        emit({"added": str(user)}, output, lambda _: stdout.print("added"))


@staff.command()
def remove(
    user: Annotated[UUID, typer.Argument(help="The user's id.")],
    yes: YesOption = False,
    db_url: DatabaseUrlOption = None,
    output: OutputOption = OutputFormat.text,
) -> None:
    """End a person's being staff, and every access they have, at once.

    Example: harmonia support staff remove e0000000-0000-4000-8000-000000000021
    """
    with command(output):
        from harmonia_py.lifecycle import support

        url = database_url(db_url)
        consent(url, yes=yes, action="remove platform staff")
        ended = support.remove_staff(url, user)
        emit({"ended": ended}, output, lambda d: stdout.print(f"ended {d['ended']} grants"))
