"""Every option's name in every source, and how its values are written there: one table.

The environment, files, the pod's flags and their reference are all read off `OPTIONS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from meshcors.header_key import read_key_values
from meshcors.key_values import KeyValues, reveal
from meshcors.origins import AllowedOrigin, OriginError, Regex
from meshcors.policy import Policy

_TRUE: Final = frozenset({"1", "on", "true", "yes"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})
# Go's time.ParseDuration, as Istio's maxAge is written, down to whole seconds.
_DURATION: Final = re.compile(r"(?=\d)(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?")


class SpellingError(ValueError):
    """A value that its source cannot be read as: `code` for programs, `hint` for people."""

    def __init__(self, code: str, hint: str) -> None:
        super().__init__(hint)
        self.code = code
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of value is written.

    `read_text` reads an environment variable's text, `read_data` a file's plain data; both raise
    `SpellingError`. `print_text` and `print_data` are their inverses.
    """

    read_text: Callable[[str], object]
    read_data: Callable[[object], object]
    print_text: Callable[[object], str]
    print_data: Callable[[object], object]


def _split(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _join(values: object) -> str:
    texts = [str(value) for value in cast("tuple[object, ...]", values)]
    for number, text in enumerate(texts, start=1):
        if [text] != _split(text):
            raise SpellingError(
                "comma_in_list",
                f"number {number}: commas and blanks separate items in the environment: use a file",
            )
    return ",".join(texts)


def read_origin(text: str) -> AllowedOrigin:
    """Read an origin of the environment or of a flag: ``regex:`` marks a regular expression."""
    return Regex(text.removeprefix("regex:")) if text.startswith("regex:") else text


def _origins_from_text(text: str) -> object:
    return [read_origin(item) for item in _split(text)]


def _origins_from_data(data: object) -> object:
    """Read Istio's allowOrigins: texts, or StringMatch mappings of one key."""
    if not isinstance(data, list):
        return data
    return [_origin_from_data(item) for item in cast("list[object]", data)]


def _origin_from_data(item: object) -> object:
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
            return OriginError("origin_match", "write a text, {exact: ...} or {regex: ...}")


def _origins_to_data(values: object) -> object:
    return [
        {"regex": value.pattern} if isinstance(value, Regex) else {"exact": value}
        for value in cast("tuple[AllowedOrigin, ...]", values)
    ]


def _flag_from_text(text: str) -> object:
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
            "max_age_not_seconds", "write whole seconds, as 600, or a duration, as 10m or 24h"
        )
    hours, minutes, seconds = (int(part or 0) for part in duration.groups())
    return hours * 3600 + minutes * 60 + seconds


def _same(value: object) -> object:
    return value


ORIGINS: Final = Kind(_origins_from_text, _origins_from_data, _join, _origins_to_data)
NAMES: Final = Kind(_split, _same, _join, lambda values: list(cast("tuple[str, ...]", values)))
FLAG: Final = Kind(_flag_from_text, _same, lambda value: "true" if value else "false", _same)
SECONDS: Final = Kind(
    _seconds_from_text,
    lambda data: _seconds_from_text(data) if isinstance(data, str) else data,
    str,
    _same,
)
KEY_VALUES: Final = Kind(
    _split, _same, lambda values: _join(reveal(cast("KeyValues", values))), _same
)
TEXT: Final = Kind(str.strip, _same, str, _same)
KEY_FILE: Final = Kind(read_key_values, lambda data: read_key_values(cast("str", data)), str, _same)


@dataclass(frozen=True, slots=True)
class Option:
    """One option and its spelling in every source; None or () where a source has none.

    `name` is Python's (a field of `Policy`, or ``key.`` and a field of `HeaderKey`), `variable` the
    environment's, `file` the keys in a file from the outermost on, `flag` the pod's.
    """

    name: str
    kind: Kind
    variable: str
    file: tuple[str, ...]
    flag: str | None

    @property
    def file_label(self) -> str:
        """The keys in a file as people write them: ``key.header``."""
        return ".".join(self.file)


def _policy_option(name: str, kind: Kind, flag: str | None = None) -> Option:
    first, *others = name.split("_")
    camel = first + "".join(map(str.capitalize, others))
    return Option(name, kind, f"MESHCORS_{name.upper()}", (camel,), flag)


OPTIONS: Final = (
    _policy_option("allow_origins", ORIGINS, "--allow-origin"),
    _policy_option("allow_methods", NAMES, "--allow-method"),
    _policy_option("allow_headers", NAMES, "--allow-header"),
    _policy_option("expose_headers", NAMES, "--expose-header"),
    _policy_option("allow_credentials", FLAG, "--allow-credentials"),
    _policy_option("max_age", SECONDS, "--max-age"),
    _policy_option("allow_private_network", FLAG, "--allow-private-network"),
    _policy_option("dangerously_allow_null_origin", FLAG),
    _policy_option("dangerously_allow_insecure_origins", FLAG),
    _policy_option("dangerously_allow_public_suffixes", FLAG),
    Option("key.name", TEXT, "MESHCORS_KEY_HEADER", ("key", "header"), "--key-header"),
    # The values have two spellings in the environment; a file never holds them.
    Option("key.values", KEY_VALUES, "MESHCORS_KEY_VALUES", (), None),
    Option("key.values", KEY_FILE, "MESHCORS_KEY_VALUES_FILE", ("key", "valuesFile"), None),
    Option("key.exempt_paths", NAMES, "MESHCORS_KEY_EXEMPT_PATHS", ("key", "exemptPaths"), None),
)

CONFIG_VARIABLE: Final = "MESHCORS_CONFIG"
APP_VARIABLE: Final = "MESHCORS_APP"
# Who answers where no rule of a file covers a URL; see `RuleSet`.
UNCOVERED_VARIABLE: Final = "MESHCORS_UNCOVERED"
# The variables that are no option of a policy.
OTHER_VARIABLES: Final = (CONFIG_VARIABLE, APP_VARIABLE, UNCOVERED_VARIABLE)


def option_value(policy: Policy, option: Option) -> object:
    """Return the value that `policy` has for `option`; None where it has none."""
    name = option.name.removeprefix("key.")
    return getattr(policy if name == option.name else policy.key, name, None)
