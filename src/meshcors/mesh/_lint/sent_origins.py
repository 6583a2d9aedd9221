"""Which origins a browser could send, of those that an entry of ``allowOrigins`` matches.

Browsers send scheme, host and port and nothing else (HTML 7.1.1, serialization of an origin).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from meshcors._policy.errors import OriginError
from meshcors._policy.origins import Origin
from meshcors._policy.regex_examples import examples_of
from meshcors._policy.strangers import MOST_STEPS, STRANGERS
from meshcors.mesh._analysis.origin_match import origin_match
from meshcors.mesh._routing.matching import compiled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._documents.model import StringMatch

# What no origin has. Other errors may be due to the example, such as an address with two numbers.
_NEVER_IN_ORIGINS: Final = frozenset(
    (
        "origin_default_port", "origin_fragment", "origin_path", "origin_query",
        "origin_trailing_slash", "origin_upper_case", "origin_user_info", "origin_wildcard",
    )
)  # fmt: skip
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+-]*(:/{0,2})?")
_STRANGER_ENDS: Final = (".stranger.invalid", "stranger.invalid")
_OTHER_ENDS: Final = ("", "x", "1", "x://ui.example", "://ui.example", "1]", "::1]")


def is_sent(text: str) -> bool:
    """Tell whether a browser could send this origin."""
    return _error(text) is None


def example_origins(regex: str) -> Iterator[str]:
    """Yield origins that a browser could send and a regex matches."""
    return filter(is_sent, examples_of(regex, most_steps=MOST_STEPS).texts)


def stranger_with(prefix: str) -> str:
    """Return a stranger's origin that begins with a prefix, or ``""``."""
    texts = (*STRANGERS, *(prefix + end for end in _STRANGER_ENDS))
    return next((text for text in texts if text.startswith(prefix) and is_sent(text)), "")


def why_never_sent(origin: StringMatch) -> str:
    """Return what to write instead of an entry that no browser's origin matches, or ``""``."""
    text = origin.value
    if origin.kind == "exact":
        error = None if text in {"*", "null"} else _error(text)
        return _instead(origin, error) if error else ""
    if origin.kind == "prefix":
        return _instead_of_prefix(origin)
    texts = examples_of(text, most_steps=MOST_STEPS).texts
    errors = [_error(each) for each in texts]
    if not errors or any(error is None or error.code not in _NEVER_IN_ORIGINS for error in errors):
        return ""
    # (?i) makes an example in capitals
    if any(is_sent(each.lower()) and compiled(text).fullmatch(each.lower()) for each in texts):
        return ""
    if r"\*" in text:
        return r"\* is a character, which no host has: write [a-z0-9-]+ for a wildcard"
    return errors[0].hint if errors[0] else ""


def _instead_of_prefix(origin: StringMatch) -> str:
    text = origin.value
    if "://" not in text and not _SCHEME.fullmatch(text):
        return "begin it with https://"
    if stranger_with(text) or any(is_sent(text + end) for end in _OTHER_ENDS):
        return ""
    error = _error(text + _STRANGER_ENDS[0])
    return _instead(origin, error) if error and error.code in _NEVER_IN_ORIGINS else ""


def _instead(origin: StringMatch, error: OriginError) -> str:
    if "*" not in origin.value:
        return error.hint
    reason = f"* is no wildcard in {origin.kind}"
    try:
        kind, value = origin_match(origin.value)
    except OriginError:
        return f"{reason}: write a regex, or list the origins"
    return f"{reason}: write {kind}: {value}"


def _error(text: str) -> OriginError | None:
    try:
        Origin.parse(text)
    except OriginError as error:
        return error
    return None
