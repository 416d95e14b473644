"""Why a user may, or may not, do something to a row: grants, policies, and every condition."""

from harmonia_py.isolation.explain.access import Explanation, PolicyAnswer, explain
from harmonia_py.isolation.explain.conditions import Condition

__all__ = ["Condition", "Explanation", "PolicyAnswer", "explain"]
