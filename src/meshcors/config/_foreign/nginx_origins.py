"""Which origins nginx means by a value: a text, ``$http_origin``, or a variable of map and set."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from meshcors.config._foreign.patterns import any_case, is_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshcors.config._foreign.nginx_syntax import Directive

# As in a policy file: a text, or {"regex": ...}.
Origins: TypeAlias = list[object]

_VARIABLE: Final = re.compile(r"\$\{?(\w+)\}?")
_NAME_IT: Final = "name that file, too"
# Variables may be set by variables, over and over.
_MOST_SETS: Final = 100_000
_FALSE: Final = frozenset({"", "0"})
_EVERY_REGEX: Final = frozenset({".*", "^.*$", ".+", "^.+$", "^.*", "^.+", "^https?://", "."})


class UnreadableOriginsError(Exception):
    """The origins of a value are not known: `reason` and `hint` say why, and what to write."""

    def __init__(self, directive: Directive, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.place = directive.place
        # of several add_header lines, which one it is
        self.keyword = " ".join(directive.words[: 2 if directive.name == "add_header" else 1])
        self.reason = reason
        self.hint = hint


class NginxOrigins:
    """Answers for the directives of files that belong together."""

    def __init__(self, roots: Sequence[Directive]) -> None:
        self._sets: dict[str, list[Directive]] = {}
        self._maps: dict[str, Directive] = {}
        self._looked_at = 0
        stack = [*roots]
        while stack:
            directive = stack.pop()
            stack += directive.block
            if directive.name == "set" and len(directive.words) == 3:
                self._sets.setdefault(directive.words[1].strip("${}"), []).append(directive)
            elif directive.name == "map" and len(directive.words) == 3:
                self._maps[directive.words[2].strip("${}")] = directive
        for sets in self._sets.values():
            sets.sort(key=lambda each: each.place)

    def of(self, directive: Directive, value: str, depth: int = 0) -> Origins:
        """Return the origins that a `directive` lets in by the `value` that it sends them.

        ``["*"]`` is any. Raises `UnreadableOriginsError`.
        """
        guard = self._guard(directive, depth)
        if value == "*" and guard is not None:
            return guard
        if value and value not in _FALSE and "$" not in value:
            return [value]
        if value in _FALSE:
            return []
        named = _VARIABLE.fullmatch(value)
        if named is None or depth > 8:
            raise _unreadable(directive, f"{value} is computed")
        if named[1] == "http_origin":
            return ["*"] if guard is None else guard
        if named[1] in self._maps:
            return self._mapped(self._maps[named[1]])
        sets = self._visible(named[1], directive)
        if not sets:
            raise _unreadable(directive, f"{value} is set in another file", _NAME_IT)
        found: Origins = []
        for each in sets:
            found += self.of(each, each.words[2], depth + 1)
        return found

    def _visible(self, variable: str, directive: Directive) -> list[Directive]:
        """Return what sets a variable for a directive: in the same server, or around it."""
        sets = self._sets.get(variable, [])
        self._looked_at += len(sets) + 1
        if self._looked_at > _MOST_SETS:
            raise _unreadable(directive, "too many lines set its variables")
        scope = [each for each in directive.outer if each.name in ("server", "location")]
        return [
            each
            for each in sets
            if all(outer in scope for outer in each.outer if outer.name in ("server", "location"))
        ]

    def _guard(self, directive: Directive, depth: int) -> Origins | None:
        """Return the origins for which a directive counts, by the ifs around it; None for any."""
        guard: Origins | None = None
        for outer in directive.outer:
            if outer.name == "if":
                found = self._condition(outer, depth)
                guard = guard if found is None else found
        return guard

    def _condition(self, condition: Directive, depth: int) -> Origins | None:
        words = _condition_words(condition)
        match words:
            case ["$http_origin"] | ["$http_origin", "!=", ""] | ["$request_method", *_]:
                return None
            case ["$http_origin", "=", origin]:
                return [origin]
            case ["$http_origin", "~" | "~*" as how, pattern]:
                return _regex(condition, pattern, folds=how == "~*")
            case [variable] | [variable, "=", _] if _VARIABLE.fullmatch(variable) and depth <= 8:
                value = words[2] if words[1:] else None
                return self._when(condition, _VARIABLE.sub(r"\1", variable), value, depth)
            case _:
                # not shown: it may compare a header with a key
                raise _unreadable(condition, "this condition is not understood")

    def _when(
        self, condition: Directive, variable: str, value: str | None, depth: int
    ) -> Origins | None:
        """Return the origins for which a variable has a value, or is true for None."""
        if variable in self._maps:
            return self._mapped(self._maps[variable])
        sets = self._visible(variable, condition)
        if not sets:
            raise _unreadable(condition, f"${variable} is set in another file", _NAME_IT)
        found: Origins = []
        for each in sets:
            text = each.words[2]
            if "$" in text and text != "$http_origin":
                raise _unreadable(each, f"${variable} is computed")
            true = text not in _FALSE if value is None else text == value
            if true:
                guard = self._guard(each, depth + 1)
                if guard is None:
                    return None
                found += guard
        return found

    def _mapped(self, mapped: Directive) -> Origins:
        if mapped.words[1] not in ("$http_origin", "${http_origin}"):
            raise _unreadable(mapped, f"{mapped.words[2]} is a map of {mapped.words[1]}")
        found: Origins = []
        for entry in mapped.block:
            key, *values = entry.words
            value = values[0] if values else ""
            if key in ("hostnames", "volatile") and not values:
                continue
            if key == "include":
                raise _unreadable(entry, "the map is in another file", _NAME_IT)
            if value in _FALSE:
                continue
            if key == "default":
                if value != "$http_origin":
                    # Sent to every page, it lets in the pages of this origin only.
                    found.append(value)
                    continue
                return ["*"]
            if key.startswith("~"):
                pattern = key.removeprefix("~").removeprefix("*")
                found += _regex(mapped, pattern, folds=key.startswith("~*"))
            elif key:
                found.append(key.removeprefix("\\"))
        return found


def _condition_words(condition: Directive) -> list[str]:
    words = list(condition.words[1:])
    words[:1] = [words[0].removeprefix("(")] if words else []
    if words:
        words[-1] = words[-1].removesuffix(")") if words[-1].endswith(")") else words[-1]
    return [each for each in words if each] or [""]


def _regex(directive: Directive, pattern: str, *, folds: bool) -> Origins:
    if pattern in _EVERY_REGEX:
        return ["*"]
    if not is_whole(pattern):
        raise UnreadableOriginsError(
            directive,
            f"{pattern} may match a part of an origin, which lets strangers in",
            "write ^ at its beginning and $ at its end",
        )
    return [{"regex": any_case(pattern) if folds else pattern}]


def _unreadable(
    directive: Directive,
    reason: str,
    hint: str = "write the origins here, or in a map of $http_origin",
) -> UnreadableOriginsError:
    return UnreadableOriginsError(directive, reason, hint)


def unique(origins: Sequence[object]) -> list[object]:
    """Return origins without repetitions; ``*`` stands for all others."""
    if "*" in origins:
        return ["*"]
    return list({repr(each): each for each in origins}.values())
