"""A policy expression as a tree whose leaves are evaluated one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from pglast import ast as pg_ast
from pglast import enums
from pglast.stream import RawStream

from harmonia_py.isolation.proof.expressions import expression

__all__ = ["Condition", "conditions"]

ast: Any = pg_ast


@dataclass(frozen=True, slots=True)
class Condition:
    """One node: ``operator`` is and, or, not, or leaf; ``value`` is true, false, null or error.

    ``text`` is the SQL of the node. ``value`` is None until it was evaluated.
    """

    operator: str
    text: str
    parts: tuple[Condition, ...] = ()
    value: str | None = None
    error: str | None = None

    def leaves(self) -> Iterator[Condition]:
        """Yield the conditions that are not themselves made of conditions."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()

    def evaluated(self, ask: Callable[[str], tuple[str, str | None]]) -> Condition:
        """Return the tree with a value at every node; ``ask`` gives value and error of SQL."""
        value, error = ask(self.text)
        parts = tuple(part.evaluated(ask) for part in self.parts)
        return replace(self, parts=parts, value=value, error=error)

    def decisive(self) -> Condition:
        """Return the smallest condition that makes this one what it is."""
        for part in self.parts:
            if self.operator == "and" and self.value != "true" and part.value != "true":
                return part.decisive()
            if self.operator == "or" and self.value == "true" and part.value == "true":
                return part.decisive()
        return self


def conditions(text: str) -> Condition:
    """Split a policy expression at its AND, OR and NOT."""
    return _split(expression(text))


def _split(node: Any) -> Condition:
    text = RawStream()(node)
    if isinstance(node, ast.BoolExpr):
        names = {
            enums.BoolExprType.AND_EXPR: "and",
            enums.BoolExprType.OR_EXPR: "or",
            enums.BoolExprType.NOT_EXPR: "not",
        }
        return Condition(names[node.boolop], text, tuple(_split(a) for a in node.args))
    return Condition("leaf", text)
