"""Webhooks: verify what comes in, sign what goes out, store each event once."""

from harmonia_py.webhooks.message import Verified
from harmonia_py.webhooks.schemes import HmacScheme
from harmonia_py.webhooks.sign import generate_secret, sign
from harmonia_py.webhooks.verify import SCHEMES, TOLERANCE, generic, scheme_of, verify

__all__ = [
    "SCHEMES",
    "TOLERANCE",
    "HmacScheme",
    "Verified",
    "generate_secret",
    "generic",
    "scheme_of",
    "sign",
    "verify",
]
