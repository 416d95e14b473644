"""What makes a policy file safe to stop after any statement, checked on its parse tree.

The property: after any prefix of the file nobody sees more than before it. It holds when every
table is locked down before anything is granted or allowed on it, when restrictive policies come
before the permissive ones they limit, and when no statement ends or escapes the transaction.
"""

from __future__ import annotations

import re
from typing import Any

from harmonia_py.errors import PolicySyntax
from harmonia_py.migrations.split import Statement, leading_words, split_with_offsets
from harmonia_py.policies import carrier
from harmonia_py.policies.source import PolicyFile

__all__ = ["check"]

_FORBIDDEN = {
    "begin", "commit", "end", "abort", "rollback", "savepoint", "release", "start", "prepare",
    "lock", "vacuum", "cluster", "copy",
}  # fmt: skip
# What states access and may be stated again. All else belongs in a migration.
_ALLOWED = {
    "", "CallStmt", "GrantStmt", "CreatePolicyStmt", "DropStmt", "CommentStmt",
    "CreateFunctionStmt", "AlterDefaultPrivilegesStmt", "VariableSetStmt",
}  # fmt: skip
# Dropped with a table would be its rows, with each release again.
_DROPPED = {"OBJECT_POLICY", "OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE"}


def check(files: list[PolicyFile]) -> dict[str, str]:
    """Return the file that speaks for each table.

    Raises ``PolicySyntax`` for the first statement that breaks a rule, with file and line.
    """
    owner: dict[str, str] = {}
    for file in files:
        locked = _check_file(file)
        for table in locked:
            if table in owner:
                raise PolicySyntax(
                    f"{file.name}: {table} is already locked down by {owner[table]}",
                    hint="one file speaks for a table: move the statements together",
                )
            owner[table] = file.name
    return owner


def _check_file(file: PolicyFile) -> set[str]:
    locked: set[str] = set()
    dropped: set[tuple[str, str]] = set()
    permissive: set[str] = set()
    parts = split_with_offsets(file.text)
    _refuse_unreadable(file)
    if not parts:
        raise _refuse(file, 0, "the file is empty", "delete it, or lock a table down in it")
    for part in parts:
        _refuse_words(file, part)
        kind, node = _parse(file, part)
        if kind == "CallStmt" and (table := _lock_down_argument(node)):
            locked.add(table)
            permissive.discard(table)
        elif kind == "DropStmt" and node.missing_ok and (policy := _dropped_policy(node)):
            dropped.add(policy)
        elif kind == "CreatePolicyStmt":
            table = _relation(node.table)
            if table not in locked and (table, node.policy_name) not in dropped:
                raise _refuse(
                    file,
                    part.offset,
                    f"a policy on {table} before the table is locked down",
                    f"put call private.lock_down('{table}'); before it (drop policy if exists "
                    "for a table of the platform)",
                )
            if node.permissive:
                permissive.add(table)
            elif table in permissive:
                raise _refuse(
                    file,
                    part.offset,
                    f"a restrictive policy on {table} after a permissive one",
                    "put restrictive policies first, so that no prefix of the file is open",
                )
        elif kind == "GrantStmt" and node.is_grant:
            _check_grant(file, part, node, locked)
        else:
            _refuse_migration(file, part, kind, node)
    return locked


def _refuse_unreadable(file: PolicyFile) -> None:
    """Refuse what the carrier could not be read back from."""
    if re.search(r"\s", file.name):
        raise _refuse(
            file, 0, "a policy file's name holds no space", "give it a name like 10_things.sql"
        )
    if (mark := carrier.SECTION.search(file.text)) is not None:
        raise _refuse(
            file,
            mark.start(),
            "a line like this begins a section of the generated migration",
            "write the comment otherwise",
        )


def _check_grant(file: PolicyFile, part: Statement, node: Any, locked: set[str]) -> None:
    if node.targtype.name == "ACL_TARGET_ALL_IN_SCHEMA":
        raise _refuse(
            file,
            part.offset,
            "a grant on everything in a schema",
            "name each object: tables that are not locked down here would open too",
        )
    for table in _granted_tables(node):
        if table not in locked:
            raise _refuse(
                file,
                part.offset,
                f"a grant on {table} before the table is locked down",
                f"put call private.lock_down('{table}'); before it",
            )


def _refuse_migration(file: PolicyFile, part: Statement, kind: str, node: Any) -> None:
    if kind == "CreateFunctionStmt" and not node.replace:
        raise _refuse(
            file,
            part.offset,
            "`create function` fails the second time",
            "write `create or replace function`",
        )
    if kind == "DropStmt" and not node.missing_ok:
        raise _refuse(
            file, part.offset, "`drop` fails the second time", "write `drop ... if exists`"
        )
    if kind == "DropStmt" and node.behavior.name == "DROP_CASCADE":
        raise _refuse(
            file,
            part.offset,
            "`cascade` drops what is not named, policies too",
            "drop each thing by its name, or move the statement to a migration",
        )
    if (
        kind not in _ALLOWED
        or (kind == "DropStmt" and node.removeType.name not in _DROPPED)
        or (kind == "AlterDefaultPrivilegesStmt" and node.action.is_grant)
    ):
        raise _refuse(
            file,
            part.offset,
            "this statement belongs in a migration: a policy file states access, again and again",
            "move it (`harmonia migrate new NAME`)",
        )


def _refuse_words(file: PolicyFile, part: Statement) -> None:
    words = [*leading_words(part.text), ""]
    if words[0] in _FORBIDDEN or "concurrently" in words[:6] or words[:2] == ["alter", "system"]:
        raise _refuse(
            file,
            part.offset,
            f"`{words[0]}` has no place in a policy file",
            "the migration that carries it already runs in one transaction; remove it",
        )


def _parse(file: PolicyFile, part: Statement) -> tuple[str, Any]:
    from pglast import parse_sql
    from pglast.parser import ParseError

    try:
        tree = parse_sql(part.text)
    except ParseError as error:
        place = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], int) else 0
        message = f"{error.args[0]} (the file is half written)"
        raise _refuse(file, part.offset + place, message, PolicySyntax.hint or "") from None
    if len(tree) > 1:
        message = "PostgreSQL reads more than one statement here"
        raise _refuse(file, part.offset, message, "save the file with Unix line endings")
    if not tree:  # a comment after the last semicolon
        return "", None
    node = tree[0].stmt
    return type(node).__name__, node


def _lock_down_argument(node: Any) -> str | None:
    call = node.funccall
    if [name.sval for name in call.funcname] != ["private", "lock_down"] or not call.args:
        return None
    value = getattr(getattr(call.args[0], "val", None), "sval", None)
    return str(value) if value else None


def _dropped_policy(node: Any) -> tuple[str, str] | None:
    names = [getattr(part, "sval", "") for part in node.objects[0]] if node.objects else []
    if node.removeType.name != "OBJECT_POLICY" or len(names) < 2:
        return None
    return ".".join(names[:-1]), names[-1]


def _granted_tables(node: Any) -> list[str]:
    if node.objtype.name != "OBJECT_TABLE" or node.targtype.name != "ACL_TARGET_OBJECT":
        return []
    return [_relation(item) for item in node.objects]


def _relation(node: Any) -> str:
    return f"{node.schemaname or 'public'}.{node.relname}"


def _refuse(file: PolicyFile, offset: int, message: str, hint: str) -> PolicySyntax:
    line = file.text.count("\n", 0, offset) + 1
    return PolicySyntax(f"{file.name}:{line}: {message}", hint=hint)
