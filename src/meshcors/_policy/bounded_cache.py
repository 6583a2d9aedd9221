"""A cache of what is made for keys that clients choose: bounded in number and in size."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import TypeVar
from weakref import WeakMethod

K = TypeVar("K")
V = TypeVar("V")


class BoundedCache(dict[K, V]):
    """Makes the value of a key when it is first looked up, as in ``cache[key]``, and keeps it.

    At most `most` values are kept, and only those of keys that `is_kept` accepts. A full cache
    starts again from nothing: that needs neither a lock nor an order of use, and a client that
    fills it costs others one computation each. Threads may share it; `make` may then run more than
    once for a key. It is not kept alive if it is a method of the cache's owner: so both are freed
    at once, without waiting for the garbage collector.
    """

    __slots__ = ("_is_kept", "_make", "_most")

    def __init__(self, make: Callable[[K], V], most: int, *, is_kept: Callable[[K], bool]) -> None:
        super().__init__()
        self._make = WeakMethod(make) if isinstance(make, MethodType) else lambda: make
        self._most = most
        self._is_kept = is_kept

    def __missing__(self, key: K) -> V:
        make = self._make()
        if make is None:
            raise ReferenceError("the cache's owner is gone")
        value = make(key)
        if self._is_kept(key):
            self[key] = value
            # Afterwards, so that the last of several threads sees what all of them have added.
            if len(self) > self._most:
                self.clear()
        return value
