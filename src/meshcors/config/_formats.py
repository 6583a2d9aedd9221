"""How each type of value is written in variables, files and flags."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, cast

from meshcors._policy.errors import OriginError
from meshcors._policy.header_key import read_key_values
from meshcors._policy.headers import token_at_start
from meshcors._policy.key_values import KeyValues, reveal
from meshcors._policy.origin_set import AllowedOrigin
from meshcors._policy.problem_codes import ProblemCode
from meshcors._policy.regex import Regex

_TRUE: Final = frozenset({"1", "on", "true", "yes"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})
# Go's time.ParseDuration, as in Istio's maxAge, but with whole seconds only.
_DURATION: Final = re.compile(r"(?=\d)(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?")


class SpellingError(ValueError):
    """A source has a value in a wrong format: `code` is for programs, `hint` for people."""

    def __init__(self, code: ProblemCode, hint: str) -> None:
        super().__init__(hint)
        self.code: ProblemCode = code
        self.hint = hint


@dataclass(frozen=True, slots=True)
class ValueFormat:
    """How one type of value is written.

    `read_text` reads an environment variable's text, `read_data` a file's plain data; both raise
    `SpellingError`. `print_text` and `print_data` are their inverses.
    """

    read_text: Callable[[str], object]
    read_data: Callable[[object], object]
    print_text: Callable[[object], str]
    print_data: Callable[[object], object]


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _is_json_list(text: str) -> bool:
    try:
        return text.lstrip().startswith("[") and isinstance(json.loads(text), list)
    except (ValueError, RecursionError):
        return False


def _split(text: str) -> list[str]:
    """Read a list from a variable; refuse one that is written as JSON."""
    if _is_json_list(text):
        raise SpellingError(
            "json_list",
            "do not write JSON: separate the items by commas, without brackets and quotes",
        )
    return _items(text)


def _join(values: object) -> str:
    texts = [str(value) for value in cast("tuple[object, ...]", values)]
    for number, text in enumerate(texts, start=1):
        if [text] != _items(text):
            raise SpellingError(
                "comma_in_list",
                f"number {number}: commas separate items in the environment: use a file",
            )
    joined = ",".join(texts)
    _split(joined)
    return joined


def read_origin(text: str) -> AllowedOrigin:
    """Read an origin from a variable or a flag; ``regex:`` marks a regular expression."""
    return Regex(text.removeprefix("regex:")) if text.startswith("regex:") else text


def _origins_from_text(text: str) -> object:
    items = _split(text)
    for before, item in pairwise(items):
        if before.startswith("regex:") and "://" not in item and item not in {"*", "null"}:
            raise SpellingError(
                "comma_in_list", f"{before},{item}: write a regex with a comma in a file"
            )
    return [read_origin(item) for item in items]


def flag_items(flag: str, values: Iterable[str], value_format: ValueFormat) -> list[str]:
    """Return the values of a repeated flag; refuse a value that holds several."""
    items = list(values)
    for item in items:
        if _is_json_list(item):
            raise SpellingError("json_list", "do not write JSON: repeat the flag")
        several = _items(item)
        if len(several) > 1 and not item.startswith("regex:"):
            if value_format is NAMES:
                # What follows a header's name may be a key's value.
                several = [token_at_start(item), "..."]
            repeated = " ".join(f"{flag} {each}" for each in several)
            raise SpellingError("comma_in_item", f"repeat the flag: {repeated}")
    return items


def _origins_from_data(data: object) -> object:
    """Read Istio's allowOrigins: strings, or StringMatch mappings with one key."""
    if not isinstance(data, list):
        return data
    return [_origin_from_data(item) for item in cast("list[object]", data)]


def _origin_from_data(item: object) -> object:
    if item is None:
        return OriginError("wrong_type", 'quote it: "null"')
    if not isinstance(item, Mapping):
        return item
    match cast("Mapping[object, object]", item):
        case {"exact": str(origin), **more} if not more:
            return origin
        case {"regex": str(pattern), **more} if not more:
            return Regex(pattern)
        case {"prefix": str(prefix), **more} if not more:
            return OriginError(
                "origin_prefix",
                f"the prefix {prefix} also allows {prefix}.evil.example: write {{exact: ...}}, or"
                " https://*.example.com",
            )
        case _:
            return OriginError("origin_match", "write a string, {exact: ...} or {regex: ...}")


def _origins_to_data(values: object) -> object:
    return [_origin_to_data(each) for each in cast("tuple[AllowedOrigin, ...]", values)]


def _origin_to_data(origin: AllowedOrigin) -> object:
    if isinstance(origin, Regex):
        return {"regex": origin.pattern}
    # To Istio an exact origin with a star is no pattern.
    return origin if "*" in origin and origin != "*" else {"exact": origin}


def _boolean_from_text(text: str) -> object:
    lowered = text.strip().lower()
    if lowered in _TRUE | _FALSE:
        return lowered in _TRUE
    raise SpellingError("not_a_bool", "write true or false")


def _seconds_from_text(text: str) -> object:
    text = text.strip()
    if text.isascii() and text.isdecimal() and len(text) <= 9:
        return int(text)
    duration = _DURATION.fullmatch(text)
    if duration is None:
        raise SpellingError(
            "max_age_not_seconds",
            "write whole seconds, such as 600, or a duration such as 10m or 24h",
        )
    hours, minutes, seconds = (int(part or 0) for part in duration.groups())
    return hours * 3600 + minutes * 60 + seconds


def _same(value: object) -> object:
    return value


ORIGINS: Final = ValueFormat(_origins_from_text, _origins_from_data, _join, _origins_to_data)
NAMES: Final = ValueFormat(
    _split, _same, _join, lambda values: list(cast("tuple[str, ...]", values))
)
BOOLEAN: Final = ValueFormat(
    _boolean_from_text, _same, lambda value: "true" if value else "false", _same
)
SECONDS: Final = ValueFormat(
    _seconds_from_text,
    lambda data: _seconds_from_text(data) if isinstance(data, str) else data,
    str,
    _same,
)
KEY_VALUES: Final = ValueFormat(
    _split, _same, lambda values: _join(reveal(cast("KeyValues", values))), _same
)
TEXT: Final = ValueFormat(str.strip, _same, str, _same)
KEY_FILE: Final = ValueFormat(
    read_key_values, lambda data: read_key_values(cast("str", data)), str, _same
)
