"""The origins of a policy, compiled for look-ups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

from meshcors._policy.errors import OriginError
from meshcors._policy.origins import Origin, OriginPattern
from meshcors._policy.regex import CompiledRegex, Regex

AllowedOrigin: TypeAlias = "str | Regex"


class OriginSet:
    """The entries of `allow_origins`, compiled.

    The time of a look-up does not depend on their number, except for regexes, which are tried one
    after the other, each in linear time. Raises `OriginError` for the first invalid entry.
    """

    def __init__(self, allowed: Iterable[AllowedOrigin]) -> None:
        self.any = False
        self._exact: set[str] = set()
        self._any_port: set[tuple[str, str]] = set()
        self._subdomains: set[tuple[str, int | Literal["*"] | None, str]] = set()
        self._regexes: list[CompiledRegex] = []
        for item in allowed:
            self._add(item)
        self._has_patterns = bool(self._any_port or self._subdomains or self._regexes)

    def _add(self, item: AllowedOrigin) -> None:
        if isinstance(item, Regex):
            self._regexes.append(CompiledRegex(item))
        elif item == "*":
            self.any = True
        elif item == "null":
            self._exact.add(item)
        else:
            pattern = OriginPattern.parse(item)
            if pattern.subdomains:
                self._subdomains.add((pattern.scheme, pattern.port, pattern.host))
            elif pattern.port == "*":
                self._any_port.add((pattern.scheme, pattern.host))
            else:
                self._exact.add(item)

    def __contains__(self, text: str) -> bool:
        """Return whether the origin `text`, as a request sent it, is allowed."""
        if self.any or text in self._exact:
            return True
        if not self._has_patterns:
            return False
        try:
            origin = Origin.parse(text)
        except OriginError:
            return False
        return (
            (origin.scheme, origin.host) in self._any_port
            or self._is_below(origin)
            or any(regex.fullmatch(text) for regex in self._regexes)
        )

    def _is_below(self, origin: Origin) -> bool:
        if not self._subdomains:
            return False
        parent = origin.host
        while parent := parent.partition(".")[2]:
            for port in (origin.port, "*"):
                if (origin.scheme, port, parent) in self._subdomains:
                    return True
        return False
