"""Which rule covers a host and a path prefix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

# Stand for every host, and for every path.
EVERY_HOST: Final = ""
EVERY_PATH: Final = "/"


class CoveredUrls:
    """Finds the first rule that covers all of a host, or a host pattern, and a path prefix.

    Only a single rule can: several together always leave hosts and paths that none of them names.
    """

    def __init__(self) -> None:
        self._added: dict[str, dict[str, int]] = {}

    def add(self, hosts: Iterable[str], prefix: str, index: int) -> None:
        """Add the rule number `index`: its `hosts`, none for every host, and its `prefix`."""
        for host in tuple(hosts) or (EVERY_HOST,):
            self._added.setdefault(host, {}).setdefault(prefix, index)

    def earliest(self, host: str, prefix: str) -> int | None:
        """Return the first of the added rules that covers `prefix` on `host`."""
        # Made once, so that each is hashed once.
        paths = tuple(_self_and_parents(prefix))
        added = (self._added[name] for name in covering(host) if name in self._added)
        return min((each[path] for each in added for path in paths if path in each), default=None)


def covering(host: str) -> Iterator[str]:
    """Yield what covers a host or pattern: itself, the patterns of its parents, every host."""
    yield host
    parent = host
    while parent := parent.partition(".")[2]:
        yield f"*.{parent}"
    yield EVERY_HOST


def _self_and_parents(prefix: str) -> Iterator[str]:
    while prefix and prefix != EVERY_PATH:
        yield prefix
        prefix = prefix.rpartition("/")[0]
    yield EVERY_PATH
