"""The type of a list that must not be a string."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)


class ListLike(Protocol[T_co]):
    """A list, tuple, set or other collection, but no `str`.

    A string is a collection of strings, and so of origins or names, to a type checker as well. But
    ``in`` takes only strings there, and that is what makes the difference here.
    """

    def __contains__(self, item: object, /) -> bool: ...
    def __iter__(self) -> Iterator[T_co]: ...
    def __len__(self) -> int: ...
