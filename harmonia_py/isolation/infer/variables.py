"""Settings of a project's own that name the caller or the tenant, and what sets them."""

from __future__ import annotations

import re

from harmonia_py.isolation.catalog import Catalog, Function
from harmonia_py.isolation.infer.claims import SETTING, builtin_setting
from harmonia_py.isolation.references import References, names_caller

__all__ = ["setters", "settings_in"]


def settings_in(refs: References, text: str) -> dict[str, str]:
    """Map each setting that the text, or a function it calls, reads to what it seems to hold."""
    names = dict.fromkeys(SETTING.findall(refs.closure_text(text)))
    return {name: _holds(name) for name in names if not builtin_setting(name)}


def _holds(name: str) -> str:
    if names_caller(name):
        return "user"
    return "role" if "role" in name.rpartition(".")[2].lower() else "tenant"


def setters(catalog: Catalog, name: str, *, asking: bool = False) -> list[Function]:
    """Return what may be the project's pre-request function: it takes nothing, and sets ``name``.

    What may take the value from its caller is no such function, and returned for ``asking`` only.
    """
    word = re.escape(name)
    sets = re.compile(rf"set_config\(\s*'{word}'|\bset\s+(?:local\s+|session\s+)?{word}\b", re.I)
    return [
        f
        for f in catalog.functions.values()
        if bool(f.arguments) == asking and not f.is_trigger and sets.search(f.source)
    ]
