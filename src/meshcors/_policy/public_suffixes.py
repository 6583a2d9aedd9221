"""Public suffixes: the domains under which anyone can register a name (publicsuffix.org).

The list comes from the package publicsuffixlist. It is read when a policy first needs it, because
that takes some 30 ms and few policies do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final, NamedTuple

_BEGIN_PRIVATE: Final = "// ===BEGIN PRIVATE DOMAINS==="


class Suffix(NamedTuple):
    """The public suffix of a host: its `name`, and what the list says about it.

    `listed` is False for a top-level domain that is not in the list; by the list's rules it counts
    as a suffix. `private` is True if a company owns the suffix (``github.io``).
    """

    name: str
    listed: bool
    private: bool


class PublicSuffixes:
    """The list, parsed from the `lines` of its file."""

    def __init__(self, lines: Iterable[str]) -> None:
        private = False
        # rule -> whether a company owns the suffix
        self._rules: dict[str, bool] = {}
        # domain -> the rules further down
        self._below: dict[str, list[str]] = {}
        for line in lines:
            private = private or line.startswith(_BEGIN_PRIVATE)
            rule = "" if line.startswith("//") else line.strip()
            if not rule:
                continue
            if not rule.isascii():
                rule = rule.encode("idna").decode()
            self._rules[rule] = private
            parent = "" if rule.startswith("!") else rule.removeprefix("*.")
            while parent := parent.partition(".")[2]:
                self._below.setdefault(parent, []).append(rule)
        self.top_level: tuple[str, ...] = tuple(rule for rule in self._rules if "." not in rule)

    def suffix(self, host: str) -> Suffix:
        """Return the longest public suffix of `host`, a name in lower case."""
        name = host
        while True:
            parent = name.partition(".")[2]
            exception = self._rules.get(f"!{name}")
            if exception is not None:
                return Suffix(parent, True, exception)
            # what follows "*." is a public suffix too
            for rule in (name, f"*.{parent}", f"*.{name}"):
                if rule in self._rules:
                    return Suffix(name, True, self._rules[rule])
            if not parent:
                return Suffix(name, False, False)
            name = parent

    def below(self, host: str) -> Sequence[str]:
        """Return the list's rules for domains below `host`."""
        return self._below.get(host, ())

    def gives_names(self, host: str) -> bool:
        """Return whether `host`, or a domain below it, is a public suffix."""
        return self.suffix(host).name == host or host in self._below


@cache
def public_suffixes() -> PublicSuffixes:
    """Return the list."""
    from importlib import resources

    file = resources.files("publicsuffixlist") / "public_suffix_list.dat"
    return PublicSuffixes(file.read_text(encoding="utf-8").splitlines())
