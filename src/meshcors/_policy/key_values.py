"""A key's right values, in a type that can only be compared.

Nothing that shows, copies or sends an object finds them in it: no `repr`, `asdict` or `vars`, no
pickle and no encoder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from hmac import compare_digest
from typing import Final, NoReturn, TypeVar

# A hash that some log may have is no digest of a value, not even with PYTHONHASHSEED set.
_SALT: Final = os.urandom(16)

T = TypeVar("T")


class _Sealed:
    """Immutable, so that a copy is the thing itself; never pickled."""

    __slots__ = ()

    def __copy__(self: T) -> T:
        return self

    def __deepcopy__(self: T, _: dict[int, object]) -> T:
        return self

    def __getstate__(self) -> NoReturn:
        # What every protocol of pickle asks, and what is built on it.
        raise TypeError(
            "a key's values are never pickled: make the policy in the process that uses it,"
            " from its environment or a file"
        )


class _Value(_Sealed, bytes):
    """One value as it is sent; what holds it may be printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<hidden>"

    __str__ = __repr__


class KeyValues(_Sealed):
    """The right values of a key, which can be compared and counted, and are never shown.

    ``"xyz" in values`` tells whether a text is one of them, in a time that does not tell which;
    ``len(values)`` is their number. Equal and hashed by value. They cannot be iterated over, and
    pickling raises `TypeError`. A `HeaderKey` makes this of the values it is given.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Iterable[str]) -> None:
        self._values = tuple(_Value(value.encode()) for value in dict.fromkeys(values))

    def __contains__(self, text: object) -> bool:
        return isinstance(text, str) and self._is_one(text.encode(errors="surrogatepass"))

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return self._values == other._values if isinstance(other, KeyValues) else NotImplemented

    def __hash__(self) -> int:
        # No value has a comma.
        return hash(_SALT + b",".join(self._values))

    def __repr__(self) -> str:
        return f"<{len(self)} hidden>"

    def comparison(self) -> Callable[[bytes], bool]:
        """Return what tells of a field's value, as it was sent, whether it is one of these.

        For a single one it runs without a step of Python.
        """
        if len(self._values) == 1:
            return partial(compare_digest, self._values[0])
        return self._is_one

    def _is_one(self, given: bytes) -> bool:
        right = False
        # No early exit: each value is compared, whichever matches.
        for value in self._values:
            right |= compare_digest(value, given)
        return right


def reveal(values: KeyValues) -> tuple[str, ...]:
    """Return the values in the clear, for what writes them to where they are kept."""
    # A function: the type itself has no way to tell them.
    return tuple(value.decode() for value in values._values)  # pyright: ignore[reportPrivateUsage]
