"""Every option's name in every source, and how its values are written there: one table.

The environment, files, the pod's flags and their reference are all read off `OPTIONS`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, TypeAlias, cast

from meshcors._policy.header_key import read_key_values
from meshcors._policy.headers import token_at_start
from meshcors._policy.key_values import KeyValues, reveal
from meshcors._policy.origins import AllowedOrigin, OriginError, Regex
from meshcors._policy.other_names import KEY_HINT
from meshcors._policy.policy import SEVERAL_ORIGINS, Policy

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


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _is_json_list(text: str) -> bool:
    try:
        return text.lstrip().startswith("[") and isinstance(json.loads(text), list)
    except (ValueError, RecursionError):
        return False


def _split(text: str) -> list[str]:
    """Read a list of the environment; one that is written as JSON is refused by that name."""
    if _is_json_list(text):
        raise SpellingError(
            "json_list", "no JSON here: separate the items by commas, without brackets and quotes"
        )
    return _items(text)


def _join(values: object) -> str:
    texts = [str(value) for value in cast("tuple[object, ...]", values)]
    for number, text in enumerate(texts, start=1):
        if [text] != _items(text):
            raise SpellingError(
                "comma_in_list",
                f"number {number}: commas and blanks separate items in the environment: use a file",
            )
    joined = ",".join(texts)
    _split(joined)
    return joined


def read_origin(text: str) -> AllowedOrigin:
    """Read an origin of the environment or of a flag: ``regex:`` marks a regular expression."""
    return Regex(text.removeprefix("regex:")) if text.startswith("regex:") else text


def _origins_from_text(text: str) -> object:
    items = _split(text)
    for before, item in pairwise(items):
        if before.startswith("regex:") and "://" not in item and item not in {"*", "null"}:
            raise SpellingError(
                "comma_in_list", f"{before},{item}: a regex with a comma belongs in a file"
            )
    return [read_origin(item) for item in items]


def flag_items(flag: str, values: Iterable[str], kind: Kind) -> list[str]:
    """Return the values of a repeated flag of this `kind`; one that is several is refused."""
    items = list(values)
    for item in items:
        if _is_json_list(item):
            raise SpellingError("json_list", "no JSON here: repeat the flag")
        several = _items(item)
        if len(several) > 1 and not item.startswith("regex:"):
            if kind is NAMES:
                # What follows a header's name may be a key's value.
                several = [token_at_start(item), "..."]
            repeated = " ".join(f"{flag} {each}" for each in several)
            raise SpellingError("comma_in_item", f"repeat the flag: {repeated}")
    return items


def _origins_from_data(data: object) -> object:
    """Read Istio's allowOrigins: texts, or StringMatch mappings of one key."""
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
            "max_age_not_seconds",
            "write whole seconds, such as 600, or a duration such as 10m or 24h",
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


# Where a policy is written, if not in Python.
Source: TypeAlias = Literal["variable", "file", "flag"]

_OPTION_BY_NAME: Final = {option.name: option for option in reversed(OPTIONS)}
_OPTION_NAME: Final = re.compile(rf"(?<![.\w])({'|'.join(map(re.escape, _OPTION_BY_NAME))})\b")
# Python as hints have it: a text or Regex("..."), and allow_origins=[...] of these.
_ITEM: Final = re.compile(r'(?P<regex>Regex\()?(?P<text>"(?:[^"\\]|\\.)*")(?(regex)\))')
_ORIGINS: Final = re.compile(r'allow_origins=\[((?:[^"\]]|"(?:[^"\\]|\\.)*")*)\]')
_PHRASES: Final = (
    (", with meshcors.Regex", ""),
    ("a string or a meshcors.Regex", "a string, {exact: ...} or {regex: ...}"),
    ("a meshcors.Regex", "a regular expression"),
    ("write True or False", "write true or false"),
    ("or None for any", "or leave this out for any"),
)
_RULES: Final = re.compile(
    r'write rules=\[.*(?:path_prefix="([^"]*)"|hosts=\["(.*)"\])\)\], with meshcors\.Rule'
)
# Whole hints that every source has in words of its own.
_HINTS: Final[Mapping[tuple[str, Source], str]] = {
    (SEVERAL_ORIGINS, "variable"): "several origins with blanks between: separate them by commas",
    (SEVERAL_ORIGINS, "flag"): "several origins with blanks between: repeat the flag",
    (KEY_HINT, "file"): "write key: {header: model-api-key, valuesFile: PATH}",
    (KEY_HINT, "variable"): "write MESHCORS_KEY_HEADER and MESHCORS_KEY_VALUES_FILE",
}


def respell(text: str, source: Source) -> str:
    """Return a hint or a warning, which has Python's names, in the words of another source."""
    text = _HINTS.get((text, source), text)
    text = _ORIGINS.sub(lambda found: _origins_as_written(found[1], source), text)
    text = _ITEM.sub(lambda found: _regex_as_written(found, source), text)
    text = _RULES.sub(lambda found: _rules_as_written(found, source), text)
    for ours, theirs in _PHRASES:
        text = text.replace(ours, theirs)
    return _OPTION_NAME.sub(lambda found: spelled(found[1], source), text)


def spelled(name: str, source: Source) -> str:
    """Return the name that the option `name` has in `source`; the variable where it has no flag."""
    option = _OPTION_BY_NAME[name]
    if source == "file":
        return option.file_label
    return (option.flag if source == "flag" else None) or option.variable


def _rules_as_written(found: re.Match[str], source: Source) -> str:
    urls = f"pathPrefix: {found[1]}" if found[1] else f"hosts: [{found[2]}]"
    where = "write" if source == "file" else "in a file,"
    return f"{where} rules: [{{{urls}, corsPolicy: {{...}}}}]"


def _regex_as_written(found: re.Match[str], source: Source) -> str:
    return _origin_as_written(found, source) if found["regex"] else found[0]


def _origin_as_written(found: re.Match[str], source: Source) -> str:
    if source == "file":
        return f"{{regex: {found['text']}}}" if found["regex"] else found["text"]
    text = str(json.loads(found["text"]))
    return f"regex:{text}" if found["regex"] else text


def _origins_as_written(items: str, source: Source) -> str:
    texts = [_origin_as_written(found, source) for found in _ITEM.finditer(items)]
    if source == "file":
        return f"allow_origins: [{', '.join(texts)}]"
    if not any("," in text for text in texts):
        return f"allow_origins={','.join(texts)}"
    listed = _origins_as_written(items, "file").replace("allow_origins", "allowOrigins")
    return f"{listed} in a file: commas separate a variable's items"
