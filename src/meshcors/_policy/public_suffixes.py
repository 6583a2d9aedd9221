"""Public suffixes: the domains directly below which strangers get names (publicsuffix.org).

The list is what the package publicsuffixlist carries. It is read once per process, when a policy
first asks: that takes some 30 ms, and few policies do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

_BEGIN_PRIVATE: Final = "// ===BEGIN PRIVATE DOMAINS==="


class Suffix(NamedTuple):
    """The public suffix of a host: its `name`, and what the list says of it.

    `listed` is False where a top-level domain that the list does not have is taken for one, as the
    list's own rules want it; `private` is True where a company owns it (``github.io``).
    """

    name: str
    listed: bool
    private: bool


class PublicSuffixes:
    """The list, from the `lines` of its file."""

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
        """Return the public suffix of `host`, a name in lower case: the longest one there is."""
        name = host
        while True:
            parent = name.partition(".")[2]
            exception = self._rules.get(f"!{name}")
            if exception is not None:
                return Suffix(parent, True, exception)
            # what "*." stands before is a public suffix too
            for rule in (name, f"*.{parent}", f"*.{name}"):
                if rule in self._rules:
                    return Suffix(name, True, self._rules[rule])
            if not parent:
                return Suffix(name, False, False)
            name = parent

    def below(self, host: str) -> Sequence[str]:
        """Return the list's rules for domains further down than `host`."""
        return self._below.get(host, ())

    def gives_names(self, host: str) -> bool:
        """Tell whether strangers get names below `host`: it, or a domain further down, is one."""
        return self.suffix(host).name == host or host in self._below


@cache
def public_suffixes() -> PublicSuffixes:
    """Return the list."""
    file = resources.files("publicsuffixlist") / "public_suffix_list.dat"
    return PublicSuffixes(file.read_text(encoding="utf-8").splitlines())
