"""Which values of a page's call are printed, and what stands for those that are not.

The value of a header or of a query parameter may be a key, the call's as well as a rule's. It is
shown as ``…``; where a report has several values of one name, they are numbered, the call's own
value first. Equal values have equal numbers, and nothing else about a value can be told.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from meshcors._policy.headers import SAFELISTED_REQUEST_HEADERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh import Mismatch
    from meshcors.mesh._analysis.page_call import TracedCall

# Those that a rule sets in an answer, and that say something about CORS.
_PUBLIC: Final = frozenset({*SAFELISTED_REQUEST_HEADERS, "host", "origin", "vary"})
_HIDDEN: Final = "…"
_QUOTED: Final = re.compile('".*"', re.DOTALL)
# What stands before the @ of a host: a name and a password (RFC 3986 3.2.1).
_USER: Final = re.compile("(^|//)[^/?#@]*@")
_HEADERS: Final = ("headers", "withoutHeaders")


class ShownValues:
    """What a report prints in place of each value."""

    def __init__(self, page_call: TracedCall) -> None:
        self._numbers: dict[str, dict[str, int]] = {}
        for name, value in _hidden_values(page_call):
            numbers = self._numbers.setdefault(name, {})
            numbers.setdefault(value, len(numbers) + 1)

    @property
    def has_numbers(self) -> bool:
        """Whether any value is shown by a number."""
        return any(len(numbers) > 1 for numbers in self._numbers.values())

    def header(self, name: str, value: str) -> str:
        """Return a request header's value as it is shown."""
        return value if is_public(name) else self._hidden(name, value)

    def answer_header(self, name: str, value: str) -> str:
        """Return a response header's value as it is shown."""
        if name.lower() == "location":
            return shown_target(value)
        return value if is_public(name.lower()) else _HIDDEN

    def mismatch(self, mismatch: Mismatch) -> tuple[str, list[str]]:
        """Return the expected and the actual values as they are shown."""
        name = _hidden_name(mismatch)
        if not name:
            return mismatch.expected, list(mismatch.actual)
        expected = _QUOTED.sub(
            lambda found: f'"{self._hidden(name, found[0][1:-1])}"', mismatch.expected
        )
        return expected, [self._hidden(name, value) for value in mismatch.actual]

    def _hidden(self, name: str, value: str) -> str:
        numbers = self._numbers.get(name, {})
        return f"{_HIDDEN}{numbers[value]}" if len(numbers) > 1 and value in numbers else _HIDDEN


def is_public(name: str) -> bool:
    """Tell whether only browsers set a header, so that it is no key."""
    return name in _PUBLIC or name.startswith("access-control-")


def shown_target(target: str) -> str:
    """Return a path, host or URL as it is shown, its query and user information hidden."""
    path, mark, _ = _USER.sub(rf"\1{_HIDDEN}@", target).partition("?")
    return f"{path}{mark}{_HIDDEN if mark else ''}"


def _hidden_values(page_call: TracedCall) -> Iterator[tuple[str, str]]:
    """Yield the names and values that are hidden, the call's own first."""
    for name, value in page_call.call.headers:
        if not is_public(name):
            yield name, value
    for exchange in page_call.exchanges:
        for tried in exchange.answer.trail:
            for mismatch in tried.mismatches:
                if name := _hidden_name(mismatch):
                    yield from ((name, value) for value in mismatch.actual)
                    if found := _QUOTED.search(mismatch.expected):
                        yield name, found[0][1:-1]


def _hidden_name(mismatch: Mismatch) -> str:
    """Return the name under which a condition's values are numbered; empty if they are shown."""
    group, _, name = mismatch.field.partition(".")
    if group in _HEADERS:
        return "" if is_public(name.lower()) else name.lower()
    return f"?{name}" if group == "queryParams" else ""
