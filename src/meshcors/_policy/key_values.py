"""The accepted values of a key, in a type that can be compared but not read.

`repr`, `asdict`, `vars`, pickle and JSON encoders do not find the values in it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, NoReturn, TypeVar

# So that a logged hash tells nothing about a value, even with PYTHONHASHSEED set.
_SALT: Final = os.urandom(16)

T = TypeVar("T")


class _Sealed:
    """Immutable, so a copy is the same object; never pickled."""

    __slots__ = ()

    def __copy__(self: T) -> T:
        return self

    def __deepcopy__(self: T, _: dict[int, object]) -> T:
        return self

    def __getstate__(self) -> NoReturn:
        # Every pickle protocol calls this, and so does all that is built on pickle.
        raise TypeError(
            "a key's values are never pickled: make the policy in the process that uses it,"
            " from its environment or a file"
        )


class _Value(_Sealed, bytes):
    """One value as it is sent. Its repr hides it, so its container can be printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<hidden>"

    __str__ = __repr__


class KeyValues(_Sealed):
    """The accepted values of a key: they can be compared and counted, but not read.

    ``"xyz" in values`` tests whether a text is one of them, in a time that does not depend on which
    one; ``len(values)`` is their number. Equal and hashed by value. They cannot be iterated over,
    and pickling raises `TypeError`. A `HeaderKey` makes this from the values it is given.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Iterable[str]) -> None:
        self._values = tuple(_Value(value.encode()) for value in dict.fromkeys(values))

    def __contains__(self, text: object) -> bool:
        return isinstance(text, str) and self.comparison()(text.encode(errors="surrogatepass"))

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return self._values == other._values if isinstance(other, KeyValues) else NotImplemented

    def __hash__(self) -> int:
        # No value contains a comma.
        return hash(_SALT + b",".join(self._values))

    def __repr__(self) -> str:
        return f"<{len(self)} hidden>"

    def comparison(self) -> Callable[[bytes], bool]:
        """Return a function that tests whether a field's value, as sent, is one of these.

        For a single value it is implemented in C.
        """
        # Late: with OpenSSL below it, its import takes a tenth of the package's.
        from hmac import compare_digest

        if len(self._values) == 1:
            return partial(compare_digest, self._values[0])
        return partial(_is_one, self._values, compare_digest)


def _is_one(
    values: tuple[bytes, ...], is_equal: Callable[[bytes, bytes], bool], given: bytes
) -> bool:
    right = False
    # No early exit, so the time does not depend on which value matches.
    for value in values:
        right |= is_equal(value, given)
    return right


def reveal(values: KeyValues) -> tuple[str, ...]:
    """Return the values in the clear, to be written to where they are kept."""
    # A function, because the type itself must not offer them.
    return tuple(value.decode() for value in values._values)  # pyright: ignore[reportPrivateUsage]
