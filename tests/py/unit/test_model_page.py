"""The reference of harmonia.toml names every key of the model, and no other."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from harmonia_py.errors import ModelError
from harmonia_py.isolation import model

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "harmonia-toml.md"


def example() -> str:
    found = re.search(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_holds_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    used: dict[str, set[str]] = defaultdict(set)
    allowed: dict[str, set[str]] = {}
    real = model._Reader.known

    def known(self: model._Reader, data: Any, keys: set[str], where: str) -> dict[str, Any]:
        used[re.sub(r"\[\d+\]", "", where)] |= set(data)
        allowed[re.sub(r"\[\d+\]", "", where)] = keys
        return real(self, data, keys, where)

    monkeypatch.setattr(model._Reader, "known", known)
    model.loads(example())
    assert len(allowed) > 8, "the reader no longer says which keys it knows"
    assert {k: v - used[k] for k, v in allowed.items() if v - used[k]} == {}


def test_every_part_of_the_model_comes_from_the_example() -> None:
    said = model.loads(example())
    empty = model.TenancyModel(tenant_table=None)
    same = {
        name for name in model.TenancyModel.__slots__ if getattr(said, name) == getattr(empty, name)
    }
    assert same == {"schemas", "tenant_key", "tenant_type"}  # shown with their defaults
    assert model.loads(model.dump(said)) == said


def test_every_kind_is_explained() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert tuple(rows) == model.KINDS


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(ModelError, match=r"isolation\.tenant\.tabel"):
        model.loads('[isolation.tenant]\ntabel = "x"')
