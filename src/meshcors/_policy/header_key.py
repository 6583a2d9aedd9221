"""The request header by which a service is picked: its name, its right values, its exceptions.

A key's value is a secret, and any text that is given for a key may be one that was pasted into the
wrong place: no problem shows what was given, and no repr shows a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from meshcors._policy.collector import Findings, is_list
from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.headers import (
    SAFELISTED_REQUEST_HEADERS,
    is_forbidden_request_header,
    is_token,
)
from meshcors._policy.key_values import KeyValues
from meshcors._policy.paths import never_matches
from meshcors._policy.pydantic_field import PydanticField
from meshcors._policy.regular_file import FileError, read_text

_UNREAD: Final = {
    "unreadable": "key_file_unreadable",
    "too_large": "key_file_too_large",
    "not_utf8": "key_file_not_utf8",
}


@dataclass(frozen=True, slots=True, init=False)
class HeaderKey(PydanticField):
    """The request header by which a service is picked, and the values that this service answers.

    `name` is a field name (kept in lower case) that a browser announces in a preflight: no
    CORS-safelisted and no forbidden one. `values` are the keys that are right here, compared
    whole and with case; None checks only that the header is there. They are kept as `KeyValues`,
    which may be given again: a type that can be compared and never shown. `exempt_paths` need no
    key: exact (``/healthz``) or all below a prefix of whole segments (``/public/*``).

    Raises `PolicyError`, whose problems never show what was given.
    """

    name: str
    values: KeyValues | None
    exempt_paths: tuple[str, ...]

    def __init__(
        self,
        name: str,
        values: Iterable[str] | KeyValues | None = None,
        *,
        exempt_paths: Iterable[str] = (),
    ) -> None:
        found = Findings()
        kept_name = _key_name(found, name)
        kept_values = _key_values(found, values)
        kept_paths = _exempt_paths(found, exempt_paths)
        found.raise_if_wrong()
        object.__setattr__(self, "name", kept_name)
        object.__setattr__(self, "values", kept_values)
        object.__setattr__(self, "exempt_paths", kept_paths)

    @classmethod
    def from_file(
        cls, name: str, path: str | Path, *, exempt_paths: Iterable[str] = ()
    ) -> HeaderKey:
        """Read the values from the UTF-8 file at `path`, one a line, as a mounted secret has them.

        White space around a line and empty lines are left out. Raises `PolicyError`, for an
        unreadable file too, and for one that is no regular file.
        """
        return cls(name, read_key_values(path), exempt_paths=exempt_paths)

    def __repr__(self) -> str:
        values = "" if self.values is None else f", values={self.values!r}"
        paths = f", exempt_paths={self.exempt_paths!r}" if self.exempt_paths else ""
        return f"HeaderKey({self.name!r}{values}{paths})"


def _key_name(found: Findings, name: object) -> str:
    field = "key.name"
    if not isinstance(name, str):
        found.add("wrong_type", field, type(name).__name__, "a header name is a string")
        return ""
    lowered = name.lower()
    if not is_token(name):
        hint = "not a header name: write one such as model-api-key, without the key's value"
        found.add("header_not_token", field, "", hint)
    elif "_" in name:
        found.add("key_underscore", field, "", "servers drop header names with _: write - instead")
    elif lowered in SAFELISTED_REQUEST_HEADERS:
        hint = "browsers send no preflight for a CORS-safelisted header: name one of your own"
        found.add("key_safelisted", field, "", hint)
    elif is_forbidden_request_header(lowered) or lowered.startswith("access-control-"):
        hint = "a page's script cannot set this header: name one of your own"
        found.add("key_forbidden", field, "", hint)
    return lowered


def read_key_values(path: str | Path) -> list[str]:
    """Read a key's values from the UTF-8 file at `path`, one a line; see `HeaderKey.from_file`."""
    content = _content(path)
    if isinstance(content, Problem):
        # Not raised below, where an exception is under way that holds the path or the content.
        raise PolicyError([content])
    return [line.strip() for line in content.splitlines() if line.strip()]


def _content(path: str | Path) -> str | Problem:
    try:
        return read_text(path)
    except FileError as error:
        return Problem(_UNREAD[error.kind], "key.values_file", "", error.hint)


def _texts(found: Findings, field: str, given: object) -> Iterator[tuple[str, str]]:
    """Yield the texts of a list, each with its place in it."""
    if not is_list(given):
        found.add("not_a_list", field, "", "write a list of strings")
        return
    for number, text in enumerate(cast("Iterable[object]", given), start=1):
        where = f"number {number}"
        if isinstance(text, str):
            yield where, text
        else:
            found.add("wrong_type", field, where, "not a string")


def _key_values(found: Findings, values: object) -> KeyValues | None:
    if values is None or isinstance(values, KeyValues):
        return values
    field = "key.values"
    problems_before = len(found.problems)
    texts = list(_texts(found, field, values))
    if not texts and len(found.problems) == problems_before:
        found.add("key_values_empty", field, "", "name at least one value, or None for any")
    for where, value in texts:
        if not value:
            found.add("key_value_empty", field, where, "a key's value is not empty")
        elif not (value.isascii() and value.isprintable()):
            found.add("key_value_not_printable", field, where, "a key is printable ASCII")
        elif value != value.strip():
            found.add("key_value_blank", field, where, "leave out the white space around it")
        elif "," in value:
            found.add(
                "key_value_comma",
                field,
                where,
                "a key cannot contain a comma, because two header lines are joined with one",
            )
    return None if found.problems else KeyValues(value for _, value in texts)


def _exempt_paths(found: Findings, paths: object) -> tuple[str, ...]:
    field = "key.exempt_paths"
    kept: dict[str, None] = {}
    for where, path in _texts(found, field, paths):
        kept[path] = None
        stem = path.removesuffix("/*")
        if not path.startswith("/"):
            found.add("path_not_absolute", field, where, "a path begins with /")
        elif "*" in stem:
            hint = "* stands only at the end, for all below: /prefix/*"
            found.add("path_wildcard", field, where, hint)
        elif wrong := never_matches(stem or "/"):
            code, hint = wrong
            found.add(code, field, where, hint)
    return tuple(kept)
