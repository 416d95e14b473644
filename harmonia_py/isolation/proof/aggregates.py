"""Which queries aggregate: they give a row even where there is nothing to aggregate."""

from __future__ import annotations

from typing import Any

from pglast import ast as pg_ast
from pglast import enums

# The nodes are built at run time: their static types say less than nothing.
ast: Any = pg_ast

__all__ = ["PICKS", "aggregates", "groups_nothing", "is_aggregate", "is_builtin", "may_be_empty"]

#: Aggregates that give one of the values they are given.
PICKS = frozenset({"min", "max", "bool_or", "bool_and", "every", "any_value"})
_AGGREGATES = PICKS | frozenset(
    "array_agg avg bit_and bit_or bit_xor corr count covar_pop covar_samp cume_dist dense_rank"
    " json_agg json_agg_strict json_object_agg json_object_agg_strict json_object_agg_unique"
    " json_object_agg_unique_strict jsonb_agg jsonb_agg_strict jsonb_object_agg"
    " jsonb_object_agg_strict jsonb_object_agg_unique jsonb_object_agg_unique_strict mode"
    " percent_rank percentile_cont percentile_disc range_agg range_intersect_agg rank regr_avgx"
    " regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev"
    " stddev_pop stddev_samp string_agg sum var_pop var_samp variance xmlagg".split()
)
_SYNTAX = ("JsonArrayAgg", "JsonObjectAgg")


def is_builtin(call: Any) -> bool:
    """Whether a call may be of a function of PostgreSQL's own."""
    return len(call.funcname) == 1 or call.funcname[0].sval == "pg_catalog"


def is_aggregate(node: Any, own: frozenset[str]) -> bool:
    """Whether a node is an aggregate, of PostgreSQL's or one of the project's ``own``."""
    if type(node).__name__ in _SYNTAX:
        return True
    if not isinstance(node, ast.FuncCall) or node.over is not None:
        return False
    said = node.agg_star or node.agg_filter or node.agg_order or node.agg_within_group
    name = node.funcname[-1].sval
    return bool(said) or name in own or (is_builtin(node) and name in _AGGREGATES)


def aggregates(select: Any, own: frozenset[str]) -> list[Any]:
    """Return the aggregates of a query, wherever they stand, but for those of its sub-queries."""
    found: list[Any] = []
    todo = [select.targetList, select.havingClause, select.sortClause, select.distinctClause]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.SubLink):
            continue
        if is_aggregate(node, own):
            found.append(node)
        elif isinstance(node, tuple | list):
            todo += node
        elif isinstance(node, ast.Node):
            todo += [getattr(node, name) for name in node]
    return found


def groups_nothing(select: Any) -> bool:
    """Whether a set that is grouped by is of no columns: it is there without any row."""
    kinds = enums.GroupingSetKind
    return any(
        isinstance(item, ast.GroupingSet) and item.kind != kinds.GROUPING_SET_SIMPLE
        for item in select.groupClause or ()
    )


def may_be_empty(select: Any) -> bool:
    """Whether LIMIT, OFFSET or a set operation may leave nothing of rows that there are."""
    kinds = enums.SetOperation
    if select.op in (kinds.SETOP_INTERSECT, kinds.SETOP_EXCEPT) or select.limitOffset is not None:
        return True
    limit = getattr(getattr(select.limitCount, "val", None), "ival", None)
    return select.limitCount is not None and not limit
