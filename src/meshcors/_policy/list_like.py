"""The type of a list that must not be a string."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)


class ListLike(Protocol[T_co]):
    """A list, tuple, set or other collection, but not a `str`.

    To type checkers a string is a collection of strings. But unlike other collections it only
    accepts strings before ``in``, which is how this protocol excludes it.
    """

    def __contains__(self, item: object, /) -> bool: ...
    def __iter__(self) -> Iterator[T_co]: ...
    def __len__(self) -> int: ...
