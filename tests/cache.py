"""A shared HTTP cache (RFC 9111) that never forgets: what it may reuse, it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.drivers import Outcome
from tests.vectors import Call


@dataclass(frozen=True, slots=True)
class _Stored:
    call: Call
    answer: Outcome


class SharedCache:
    """The cache before `origin_server`. Time stands still in it: all that it stores stays fresh."""

    def __init__(self, origin_server: Callable[[Call], Outcome]) -> None:
        self._origin_server = origin_server
        self._stored: list[_Stored] = []
        self.hits = 0

    def serve(self, call: Call) -> Outcome:
        for stored in reversed(self._stored):
            if _may_answer(stored, call):
                self.hits += 1
                body = () if call.method == "HEAD" else stored.answer.chunks
                return replace(stored.answer, chunks=body)
        answer = self._origin_server(call)
        # RFC 9111 3; of the methods, GET and HEAD alone are kept by caches in use.
        if call.method in ("GET", "HEAD") and "no-store" not in _joined(
            answer.fields, "cache-control"
        ):
            self._stored.append(_Stored(call, answer))
        return answer


def _may_answer(stored: _Stored, call: Call) -> bool:
    """RFC 9111 4: the URL, the method (GET serves HEAD, 4.3.5), and what Vary selects (4.1)."""
    if stored.call.path != call.path:
        return False
    if stored.call.method != call.method and (stored.call.method, call.method) != ("GET", "HEAD"):
        return False
    names = [name.strip().lower() for name in _joined(stored.answer.fields, "vary").split(",")]
    return "*" not in names and all(
        _joined(stored.call.headers, name) == _joined(call.headers, name) for name in names
    )


def _joined(fields: tuple[tuple[str, str], ...], name: str) -> str:
    """The lines of a field as one value; blanks around do not count (RFC 9110 5.5)."""
    return ",".join(value.strip(" \t") for found, value in fields if found.lower() == name)
