"""Verdicts as pgTAP files: what was judged can be checked again with psql alone."""

from harmonia_py.isolation.pgtap.emit import emit, write

__all__ = ["emit", "write"]
