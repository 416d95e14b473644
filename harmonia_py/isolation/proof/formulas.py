"""The connectives of z3 formulas, with what is plain left out, and functions of values.

Most values are never NULL, so most of what SQL's three-valued logic says is about ``false``. z3's
own ways look at the sort of each part anew, which took longer than to solve the questions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import z3
from z3 import z3core

__all__ = ["NO", "YES", "all_of", "any_of", "applied", "negated"]

YES: Any = z3.BoolVal(val=True)
NO: Any = z3.BoolVal(val=False)
_CONTEXT = z3.main_ctx()
_TRUTH = z3.BoolSort()


def all_of(*formulas: Any) -> Any:
    """Return the conjunction of z3 Bools: ``YES`` without any."""
    return _joined(formulas, z3core.Z3_mk_and, YES, NO)


def any_of(*formulas: Any) -> Any:
    """Return the disjunction of z3 Bools: ``NO`` without any."""
    return _joined(formulas, z3core.Z3_mk_or, NO, YES)


def negated(formula: Any) -> Any:
    """Return what is true exactly where a z3 Bool is not."""
    if formula is YES:
        return NO
    if formula is NO:
        return YES
    return z3.BoolRef(z3core.Z3_mk_not(_CONTEXT.ref(), formula.as_ast()), _CONTEXT)


def applied(function: Any, inputs: Sequence[Any]) -> Any:
    """Return what a z3 function makes of inputs of the sorts it takes; z3 refuses others."""
    asts = (z3.Ast * len(inputs))(*(given.as_ast() for given in inputs))
    made = z3core.Z3_mk_app(_CONTEXT.ref(), function.ast, len(inputs), asts)
    kind = z3.BoolRef if function.range() == _TRUTH else z3.ExprRef
    return kind(made, _CONTEXT)


def _joined(formulas: Iterable[Any], join: Any, neutral: Any, decisive: Any) -> Any:
    parts = [part for part in formulas if part is not neutral]
    if any(part is decisive for part in parts):
        return decisive
    if len(parts) < 2:
        return parts[0] if parts else neutral
    asts = (z3.Ast * len(parts))(*(part.as_ast() for part in parts))
    return z3.BoolRef(join(_CONTEXT.ref(), len(parts), asts), _CONTEXT)
