"""An origin that an entry of ``allowOrigins`` lets in."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from meshcors._policy.errors import OriginError
from meshcors._policy.origins import Origin
from meshcors._policy.regex_examples import examples_of
from meshcors.mesh._analysis.example_call import EXAMPLE_ORIGIN
from meshcors.mesh._routing.matching import text_matches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._documents.model import CorsPolicy, StringMatch

# No document names it. Only a policy for any site lets it in.
STRANGER: Final = "https://stranger.invalid"
# What makes an origin of a prefix.
_ENDINGS: Final = ("", "x", ".example", "x.example", "//x.example", "://x.example")
_MOST_STEPS: Final = 100_000


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
