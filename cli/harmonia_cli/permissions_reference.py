"""Writes docs/reference/permissions.md from the data of a database.

``python -m harmonia_cli.permissions_reference > docs/reference/permissions.md`` reads the
database that ``DATABASE_URL`` names; a test holds the page current.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import psycopg

__all__ = ["render"]

ROLES = ("owner", "admin", "manager", "member", "viewer")

HEAD = """\
# Permissions

Who may do what is data: `permissions` lists what can be permitted, `builtin_role_permissions` what
the five built-in roles hold in every organization, `role_permissions` what the roles hold that an
organization made itself. Policies and functions ask for permissions, never for roles. This page is
written from that data.

Records (companies, contacts, deals, activities, conversations, files) have an owner and a team, so
each command on them exists in three reaches:

- `contacts.read`: every contact of the organization;
- `contacts.read_team`: those whose team the caller is in;
- `contacts.read_own`: those the caller owns.

`write` adds and changes. A record can be handed to somebody else only as far as one's own `write`
reaches. `delete` moves records into the bin and out of it (`soft_delete()`, `restore()`), and
deletes them for good. What belongs to a record (messages, transcripts, tags, stage history,
participants of a deal) is visible and changeable exactly as far as the record itself.

Each built-in role holds everything the next lower one holds. While an organization is closing,
permissions that write are refused. Those marked *second factor* always need a session at `aal2`;
those marked *members only* can never be given to platform staff.
"""

QUERY = """
select
    p.key,
    p.description,
    p.writes,
    p.step_up,
    p.members_only,
    array(select b.role from public.builtin_role_permissions as b where b.permission = p.key)
from public.permissions as p
order by p.key
"""


def render(conn: psycopg.Connection[Any]) -> str:
    """Return the page for the permissions of a database."""
    lines = [HEAD]
    group = None
    for key, description, writes, step_up, members_only, roles in conn.execute(QUERY).fetchall():
        area = key.split(".")[0]
        if area != group:
            group = area
            lines += [
                f"## {area}\n",
                f"| permission | allows | {' | '.join(ROLES)} |",
                f"|---|---|{'---|' * len(ROLES)}",
            ]
        said = (("writes", writes), ("second factor", step_up), ("members only", members_only))
        notes = [note for note, on in said if on]
        text = description + (f" (*{', '.join(notes)}*)" if notes else "")
        marks = " | ".join("yes" if role in roles else "" for role in ROLES)
        lines.append(f"| `{key}` | {text} | {marks} |")
    page = "\n".join(lines) + "\n"
    return page.replace("|\n## ", "|\n\n## ")


if __name__ == "__main__":
    with psycopg.connect(os.environ["DATABASE_URL"]) as session:
        sys.stdout.write(render(session))
