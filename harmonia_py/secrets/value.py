"""A value that does not show itself."""

from __future__ import annotations

import hmac
from typing import NoReturn

__all__ = ["Secret"]

_SHOWN = "Secret('**********')"


class Secret:
    """Secret bytes that appear as stars wherever Python prints, logs, copies or stores them.

    Only :meth:`reveal` gives the value. Python cannot wipe memory: keep the revealed bytes in
    the narrowest scope there is.
    """

    __slots__ = ("_Secret__value",)
    __value: bytes

    def __init__(self, value: bytes | str) -> None:
        """Take bytes, or text that is kept as UTF-8."""
        if not isinstance(value, bytes | str):
            # bytes(5) would be five zeros, and an error of bytes() might show the value.
            raise TypeError(f"a Secret is bytes or text, not {type(value).__name__}")
        object.__setattr__(
            self, "_Secret__value", value.encode() if isinstance(value, str) else value
        )

    def reveal(self) -> bytes:
        """Return the bytes."""
        return self.__value

    def __repr__(self) -> str:
        return _SHOWN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(_SHOWN, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value, other.__value)

    # A hash would be an oracle for the value in any structure that prints it.
    __hash__ = None  # type: ignore[assignment]

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret cannot change")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is not copied or pickled; pass its name and open it again")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Secret has no state to show")

    def __bytes__(self) -> NoReturn:
        raise TypeError("call reveal() to read a Secret")

    def __iter__(self) -> NoReturn:
        raise TypeError("call reveal() to read a Secret")
