"""Rules compiled for look-ups by host and path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Generic, TypeVar

from meshcors._policy.bounded_cache import BoundedCache
from meshcors._policy.covered_urls import EVERY_HOST, EVERY_PATH, covering
from meshcors._policy.hosts import host_name
from meshcors._policy.paths import is_plain_path
from meshcors._policy.rules import RuleSet

T = TypeVar("T")

# The rules of so many hosts are cached, for Host fields of so many bytes at most: clients choose
# what they send.
CACHED_HOSTS: Final = 1024
MAX_HOST_BYTES: Final = 320


class RuleMap(Generic[T]):
    """Compiled rules; the time of a look-up does not depend on their number.

    `values` has one value for each of the rules, and a look-up finds one of them, or `outside` for
    a URL that no rule covers. It finds `ambiguous` for an ambiguous host if any rule names hosts,
    and for an ambiguous path on a host where the path decides: the app might read it as a path
    under another rule.
    """

    def __init__(self, rules: RuleSet, values: Sequence[T], outside: T, ambiguous: T) -> None:
        self._values = (*values, outside)
        self._ambiguous = ambiguous
        self._none = len(rules.rules)
        self._by_host: dict[str, _Prefixes] = {}
        for index, rule in enumerate(rules.rules):
            for host in rule.hosts or (EVERY_HOST,):
                self._by_host.setdefault(host, _Prefixes()).add(rule.path_prefix, index)
        names_hosts = any(rule.hosts for rule in rules.rules)
        self._ambiguous_host = (
            _Reach(ambiguous, self._none, ()) if names_hosts else self._reach(EVERY_HOST)
        )
        self._reaches = BoundedCache(
            self._look_up, CACHED_HOSTS, is_kept=lambda host: len(host) <= MAX_HOST_BYTES
        )

    def find(self, host: bytes, path: str) -> T:
        """Return the value for a request.

        `host` is its Host field: b"" if it has none, several joined with a comma. `path` is the
        path on which the app routes, decoded once.
        """
        reach = self._reaches[host]
        if not reach.by_path:
            return reach.value
        if not is_plain_path(path):
            return self._ambiguous
        first = reach.whole
        for prefixes in reach.by_path:
            first = prefixes.first(path, first)
        return self._values[first]

    def _look_up(self, host: bytes) -> _Reach[T]:
        named = host_name(host) if len(host) <= MAX_HOST_BYTES else None
        return self._ambiguous_host if named is None else self._reach(named)

    def _reach(self, host: str) -> _Reach[T]:
        found = [self._by_host[name] for name in covering(host) if name in self._by_host]
        whole = min((prefixes.whole(self._none) for prefixes in found), default=self._none)
        before = tuple(prefixes for prefixes in found if prefixes.begins_before(whole))
        return _Reach(self._values[whole], whole, before)


class _Reach(Generic[T]):
    """The rules for one host: the first one for every path, and the prefixes that precede it.

    `value` is that of the first one: a look-up that needs no path reads nothing else.
    """

    __slots__ = ("by_path", "value", "whole")

    def __init__(self, value: T, whole: int, by_path: tuple[_Prefixes, ...]) -> None:
        self.value = value
        self.whole = whole
        self.by_path = by_path


class _Prefixes:
    """The rules that name the same host, by path prefix.

    If two cover a path, the one with the longer prefix comes first: `RuleSet` allows no other
    order.
    """

    def __init__(self) -> None:
        self._by_prefix: dict[str, int] = {}
        self._longest = 0
        self._begin: int | None = None
        self._whole: int | None = None

    def add(self, prefix: str, index: int) -> None:
        if prefix == EVERY_PATH:
            self._whole = index
        else:
            self._by_prefix[prefix] = index
            self._begin = index if self._begin is None else min(index, self._begin)
            self._longest = max(self._longest, len(prefix))

    def whole(self, otherwise: int) -> int:
        return otherwise if self._whole is None else self._whole

    def begins_before(self, index: int) -> bool:
        return self._begin is not None and self._begin < index

    def first(self, path: str, otherwise: int) -> int:
        """Return the first rule that covers `path`, or `otherwise` if that is earlier."""
        index = self._by_prefix.get(path)
        end = self._longest + 1
        while index is None:
            end = path.rfind("/", 0, end)
            if end <= 0:
                return otherwise
            index = self._by_prefix.get(path[:end])
        return min(index, otherwise)
