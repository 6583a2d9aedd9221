"""Which origins nginx means by a value: a text, ``$http_origin``, or a variable of map and set."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from meshcors.config._foreign.patterns import any_case, is_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshcors.config._foreign.nginx_syntax import Directive

# As in a policy file: a text, or {"regex": ...}.
Origins: TypeAlias = list[object]
# Which of the origins that get a value are meant by it.
_Wanted: TypeAlias = "Callable[[Directive, str, Origins], Origins]"

_VARIABLE: Final = re.compile(r"\$\{?(\w+)\}?")
_NAME_IT: Final = "name that file, too"
# Variables may be set by variables, over and over.
_MOST_SETS: Final = 100_000
_FALSE: Final = frozenset({"", "0"})
_ITSELF: Final = ("$http_origin", "${http_origin}")
_ANY: Final[Origins] = ["*"]
_DEEPEST: Final = 8
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
        self._maps: dict[str, list[Directive]] = {}
        self._looked_at = 0
        stack = [*roots]
        while stack:
            directive = stack.pop()
            stack += directive.block
            if directive.name in ("set", "map") and len(directive.words) == 3:
                is_set = directive.name == "set"
                known = self._sets if is_set else self._maps
                name = directive.words[1 if is_set else 2].strip("${}")
                known.setdefault(name, []).append(directive)
        for sets in self._sets.values():
            sets.sort(key=lambda each: (len(_scope(each)), each.place))

    def of(self, directive: Directive, value: str, text: str = "") -> Origins:
        """Return the origins that a `directive` lets in by the `value` that it sends them.

        With a `text`, those that it sends this text. ``["*"]`` is any. Raises
        `UnreadableOriginsError`.
        """
        wanted = partial(_equal, text) if text else _sent
        guard = self._guard(directive, 0)
        name = _other_variable(value)
        if name is None:
            return wanted(directive, value, guard)
        found = self._variable(directive, name, wanted, 0)
        if guard == _ANY or all(each in guard for each in found):
            return found
        if found == _ANY or all(each in found for each in guard):
            return guard
        raise _unreadable(directive, f"{value} is set for other origins than those of the if")

    def is_about_origins(self, condition: Directive, seen: frozenset[str] = frozenset()) -> bool:
        """Tell whether a condition depends on the origin, by variables too."""
        for name in _VARIABLE.findall(" ".join(condition.words[1:])):
            maps = [each.words[1] for each in self._maps.get(name, [])]
            if name == "http_origin" or any("http_origin" in each for each in maps):
                return True
            if name in seen or len(seen) > _DEEPEST:
                continue
            for each in self._sets.get(name, []):
                self._count(condition, 1)
                ifs = [outer for outer in each.outer if outer.name == "if"]
                if any(self.is_about_origins(outer, seen | {name}) for outer in (each, *ifs)):
                    return True
        return False

    def _variable(self, directive: Directive, name: str, wanted: _Wanted, depth: int) -> Origins:
        """Return the origins for which a variable has a `wanted` value at a directive."""
        maps = self._maps.get(name, [])
        if len(maps) + bool(self._sets.get(name)) > 1:
            raise _unreadable(directive, f"${name} is set in several places", "keep one map of it")
        if maps:
            return _mapped(maps[0], wanted)
        sets = self._visible(name, directive)
        if not sets:
            raise _unreadable(directive, f"${name} is set in another file", _NAME_IT)
        if depth > _DEEPEST:
            raise _unreadable(directive, f"${name} is computed")
        found: Origins = []
        for each in sets:
            found = self._after(found, each, wanted, depth + 1)
        return found

    def _after(self, found: Origins, line: Directive, wanted: _Wanted, depth: int) -> Origins:
        """Return the origins that are found after a line has set the variable, too."""
        guard = self._guard(line, depth)
        name = _other_variable(line.words[2])
        if name is None:
            new = wanted(line, line.words[2], guard)
        elif guard == _ANY:
            new = self._variable(line, name, wanted, depth)
        else:
            raise _unreadable(line, f"{line.words[1]} is computed")
        if all(outer.name != "if" for outer in line.outer):
            return new
        if new == guard or not found:
            return [*found, *new]
        if guard == _ANY or not all(isinstance(each, str) for each in (*found, *guard)):
            changed = [each for each in found if each not in new]
        else:
            # the origins of the guard have the new value only
            found = [each for each in found if each not in guard]
            changed = _ANY if "*" in found else []
        if changed:
            raise _unreadable(line, f"{line.words[1]} is taken away from some origins again")
        return [*found, *new]

    def _visible(self, variable: str, directive: Directive) -> list[Directive]:
        """Return what sets a variable for a directive: in the same server, or around it."""
        sets = self._sets.get(variable, [])
        self._count(directive, len(sets) + 1)
        scope = _scope(directive)
        for each in sets:
            inner = _scope(each)
            is_below = len(inner) > len(scope) and inner[: len(scope)] == scope
            # A block without an add_header inherits the directive.
            if is_below and all(line.name != "add_header" for line in inner[-1].block):
                raise _unreadable(each, f"${variable} is set again in this block")
        return [each for each in sets if all(outer in scope for outer in _scope(each))]

    def _count(self, directive: Directive, number: int) -> None:
        self._looked_at += number
        if self._looked_at > _MOST_SETS:
            raise _unreadable(directive, "too many lines set its variables")

    def _guard(self, directive: Directive, depth: int) -> Origins:
        """Return the origins for which a directive counts, by the ifs around it."""
        guard = _ANY
        for outer in directive.outer:
            if outer.name == "if":
                found = self._condition(outer, depth)
                if _ANY not in (guard, found):
                    raise _unreadable(outer, "one if about origins in another")
                guard = guard if found == _ANY else found
        return guard

    def _condition(self, condition: Directive, depth: int) -> Origins:
        words = _condition_words(condition)
        match words:
            case ["$http_origin"] | ["$http_origin", "!=", ""] | ["$request_method", *_]:
                return _ANY
            case ["$http_origin", "=", origin]:
                return [origin]
            case ["$http_origin", "~" | "~*" as how, pattern]:
                return _regex(condition, pattern, folds=how == "~*")
            case [variable] | [variable, "=", _] if _VARIABLE.fullmatch(variable):
                wanted = partial(_equal, words[2]) if words[1:] else _true
                name = _VARIABLE.sub(r"\1", variable)
                return unique(self._variable(condition, name, wanted, depth))
            case _:
                # not shown: it may compare a header with a key
                raise _unreadable(condition, "this condition is not understood")


def _mapped(mapped: Directive, wanted: _Wanted) -> Origins:
    """Return the origins to which a map gives a `wanted` value: a text counts before a pattern."""
    if mapped.words[1] not in ("$http_origin", "${http_origin}"):
        raise _unreadable(mapped, f"{mapped.words[2]} is a map of {mapped.words[1]}")
    exact: Origins = []
    patterns: Origins = []
    default: Origins = []
    left_out = pattern_left_out = False
    for entry in mapped.block:
        key, *values = entry.words
        value = values[0] if values else ""
        if key in ("hostnames", "volatile") and not values:
            continue
        if key == "include":
            raise _unreadable(entry, "the map is in another file", _NAME_IT)
        if key == "default":
            default = wanted(entry, value, _ANY)
        elif not key.startswith("~"):
            text: Origins = [key.removeprefix("\\")] if key else []
            exact += wanted(entry, value, text)
            left_out = left_out or wanted(entry, value, text) != text
        elif wanted(entry, value, _ANY):
            pattern = key.removeprefix("~").removeprefix("*")
            patterns += wanted(entry, value, _regex(mapped, pattern, folds=key.startswith("~*")))
            left_out = left_out or pattern_left_out
        else:
            pattern_left_out = True
    if (left_out and patterns) or ((left_out or pattern_left_out) and default):
        raise _unreadable(
            mapped, f"{mapped.words[2]} leaves out some of the origins that a pattern or the"
            " default lets in", "write a pattern without them",
        )  # fmt: skip
    return [*exact, *patterns, *default]


def _sent(directive: Directive, value: str, origins: Origins) -> Origins:
    """Return which of the origins are let in by a value that is sent to them."""
    if value in _FALSE:
        return []
    if value in ("*", *_ITSELF):
        return origins
    if "$" in value:
        raise _unreadable(directive, f"{value} is computed")
    if origins == _ANY or value in origins:
        return [value]
    if all(isinstance(each, str) for each in origins):
        return []
    raise _unreadable(directive, f"{value} is sent to other origins, too")


def _true(directive: Directive, value: str, origins: Origins) -> Origins:
    if "$" in value and value not in _ITSELF:
        raise _unreadable(directive, f"{directive.words[1]} is computed")
    return [] if value in _FALSE else origins


def _equal(text: str, directive: Directive, value: str, origins: Origins) -> Origins:
    if value in _ITSELF:
        return _sent(directive, text, origins)
    if "$" in value:
        raise _unreadable(directive, f"{directive.words[1]} is computed")
    return origins if value == text else []


def _scope(directive: Directive) -> list[Directive]:
    """Return the servers and locations around a directive, from the outside."""
    return [each for each in directive.outer if each.name in ("server", "location")]


def _other_variable(value: str) -> str | None:
    """Return the name of a variable that is the whole value, unless it is the origin itself."""
    named = _VARIABLE.fullmatch(value)
    return named[1] if named and value not in _ITSELF else None


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
