"""Origins that the entries of ``allowOrigins`` let in."""

from __future__ import annotations

from functools import cached_property, lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final

from meshcors._policy.errors import OriginError
from meshcors._policy.origins import Origin
from meshcors._policy.regex_examples import branches_of, examples_of
from meshcors.mesh._analysis.example_call import EXAMPLE_ORIGIN
from meshcors.mesh._routing.cors_filter import origin_allowed
from meshcors.mesh._routing.matching import text_matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshcors.mesh._documents.model import CorsPolicy, StringMatch

# No document names it. Only a policy for any site lets it in.
STRANGER: Final = "https://stranger.invalid"
# What makes an origin of a prefix.
_ENDINGS: Final = ("", "x", ".example", "x.example", "//x.example", "://x.example")
_MOST_STEPS: Final = 100_000
# How many of a policy's own are tried, and how many of the others that it allows.
_OWN_ORIGINS: Final = 6
_MORE: Final = 6
_MOST_POLICIES: Final = 16
_MOST_ORIGINS: Final = 128
_MOST_BRANCHES: Final = 8


def sample_origins(policy: CorsPolicy) -> tuple[str, ...]:
    """Return an origin for each entry of a policy's ``allowOrigins``, if one is found."""
    found = (sample_origin(entry) for entry in policy.allow_origins)
    return tuple(dict.fromkeys(origin for origin in found if origin))


def sample_origin(entry: StringMatch) -> str:
    """Return an origin that a browser could send and ``entry`` allows, or ``""``.

    Where the entry allows any site, it is the same one for every entry.
    """
    if text_matches(entry, "*") or text_matches(entry, STRANGER):
        return EXAMPLE_ORIGIN
    return _sample(entry.kind, entry.value)


class HostOrigins:
    """The origins of the policies of one host."""

    def __init__(self, policies: Iterable[CorsPolicy]) -> None:
        self._policies = {_entries(policy): policy for policy in policies}
        self._own: dict[object, tuple[str, ...]] = {}

    @cached_property
    def every(self) -> tuple[str, ...]:
        """One for each entry of each policy."""
        found = (it for policy in self._policies.values() for it in sample_origins(policy))
        return tuple(dict.fromkeys(found))

    def of(self, policy: CorsPolicy) -> tuple[str, ...]:
        """Return some that a policy allows, whether other policies allow them too or not."""
        key = _entries(policy)
        if key not in self._own:
            some = sample_origins(policy)[:_OWN_ORIGINS]
            more = islice((it for it in self._told_apart if origin_allowed(policy, it)), _MORE)
            self._own[key] = tuple(dict.fromkeys([*some, *more]))
        return self._own[key]

    @cached_property
    def _told_apart(self) -> list[str]:
        """One of the origins that the same policies allow."""
        policies = list(self._policies.values())[:_MOST_POLICIES]
        if len(policies) < 2:
            return []
        entries = (entry for policy in policies for entry in policy.allow_origins)
        every = dict.fromkeys(origin for entry in entries for origin in _some(entry))
        found: dict[object, str] = {}
        for origin in islice(every, _MOST_ORIGINS):
            allowing = tuple(origin_allowed(policy, origin) for policy in policies)
            found.setdefault(allowing, origin)
        return list(found.values())


def _entries(policy: CorsPolicy) -> object:
    return tuple((entry.kind, entry.value) for entry in policy.allow_origins)


def _some(entry: StringMatch) -> tuple[str, ...]:
    """Return an origin for each alternative of an entry."""
    first = sample_origin(entry)
    if entry.kind != "regex" or first == EXAMPLE_ORIGIN:
        return (first,) if first else ()
    return (first, *filter(_is_origin, branches_of(entry.value, most=_MOST_BRANCHES)))


@lru_cache(maxsize=32768)
def _sample(kind: str, value: str) -> str:
    return next((text for text in _guesses(kind, value) if _is_origin(text)), "")


def _guesses(kind: str, value: str) -> Iterator[str]:
    if kind == "exact":
        yield value
    elif kind == "prefix":
        yield from (value + ending for ending in _ENDINGS)
    else:
        yield from examples_of(value, most_steps=_MOST_STEPS).texts


def _is_origin(text: str) -> bool:
    if text == "null":
        return True
    try:
        Origin.parse(text)
    except OriginError:
        return False
    return True
