"""The record of who did what: verify it, seal it, read it. See docs/explanation/audit.md."""

from harmonia_py.audit.read import erase_payload, export, tail
from harmonia_py.audit.seal import Receipt, seal
from harmonia_py.audit.verify import Report, Tampering, verify, verify_within

__all__ = [
    "Receipt",
    "Report",
    "Tampering",
    "erase_payload",
    "export",
    "seal",
    "tail",
    "verify",
    "verify_within",
]
