"""The header key: the name of the request header that picks a service, its values, exempt paths.

A key's value is a secret, and it may have been pasted into the wrong place. So no problem shows
anything that was given for a key, and no repr shows a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Final, cast

from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.headers import (
    SAFELISTED_REQUEST_HEADERS,
    is_forbidden_request_header,
    is_token,
)
from meshcors._policy.key_values import KeyValues
from meshcors._policy.list_like import ListLike
from meshcors._policy.paths import never_matches
from meshcors._policy.problem_codes import ProblemCode
from meshcors._policy.problem_collector import ProblemCollector, is_list
from meshcors._policy.pydantic_field import PydanticField
from meshcors._policy.regular_file import FileError, read_text

_UNREAD: Final[dict[str, ProblemCode]] = {
    "unreadable": "key_file_unreadable",
    "too_large": "key_file_too_large",
    "not_utf8": "key_file_not_utf8",
}


@dataclass(frozen=True, slots=True, init=False)
class HeaderKey(PydanticField):
    """The request header that picks a service, and the values that this service accepts.

    `name` is a header name, kept in lower case. Browsers must announce it in preflights, so it is
    neither a CORS-safelisted nor a forbidden one. `values` are the accepted values, compared as a
    whole and case-sensitively; None checks only that the header is present. They are kept as
    `KeyValues`, a type that can be compared and passed on, but never shown. `exempt_paths` need no
    key: exact paths (``/healthz``), or everything below a prefix of whole segments (``/public/*``).

    Raises `PolicyError`; its problems never show what was given.
    """

    name: str
    values: KeyValues | None
    exempt_paths: tuple[str, ...]

    def __init__(
        self,
        name: str,
        values: ListLike[str] | KeyValues | None = None,
        *,
        exempt_paths: ListLike[str] = (),
    ) -> None:
        problems = ProblemCollector()
        kept_name = _key_name(problems, name)
        kept_values = _key_values(problems, values)
        kept_paths = _exempt_paths(problems, exempt_paths)
        problems.raise_if_any()
        object.__setattr__(self, "name", kept_name)
        object.__setattr__(self, "values", kept_values)
        object.__setattr__(self, "exempt_paths", kept_paths)

    @classmethod
    def from_file(
        cls, name: str, path: str | PathLike[str], *, exempt_paths: ListLike[str] = ()
    ) -> HeaderKey:
        """Return a key with the values in the UTF-8 file at `path`, such as a mounted secret.

        The file has one value per line. White space around a value and empty lines are ignored.
        Raises `PolicyError`, also if the file cannot be read or is not a regular file.
        """
        return cls(name, read_key_values(path), exempt_paths=exempt_paths)

    def __repr__(self) -> str:
        values = "" if self.values is None else f", values={self.values!r}"
        paths = f", exempt_paths={self.exempt_paths!r}" if self.exempt_paths else ""
        return f"HeaderKey({self.name!r}{values}{paths})"


def _key_name(problems: ProblemCollector, name: object) -> str:
    field = "key.name"
    if not isinstance(name, str):
        problems.add("wrong_type", field, type(name).__name__, "write a string")
        return ""
    lowered = name.lower()
    if not is_token(name):
        hint = "not a header name: write one such as model-api-key, without the key's value"
        problems.add("header_not_token", field, "", hint)
    elif "_" in name:
        problems.add(
            "key_underscore", field, "", "servers drop header names with _: write - instead"
        )
    elif lowered in SAFELISTED_REQUEST_HEADERS:
        hint = "browsers send no preflight for a CORS-safelisted header: name one of your own"
        problems.add("key_safelisted", field, "", hint)
    elif is_forbidden_request_header(lowered) or lowered.startswith("access-control-"):
        hint = "a page's script cannot set this header: name one of your own"
        problems.add("key_forbidden", field, "", hint)
    return lowered


def read_key_values(path: str | PathLike[str]) -> list[str]:
    """Return the values in the UTF-8 file at `path`; see `HeaderKey.from_file`."""
    content = _content(path)
    if isinstance(content, Problem):
        # Raised here, because the exception handled below holds the path or the content.
        raise PolicyError([content])
    return [line.strip() for line in content.splitlines() if line.strip()]


def _content(path: str | PathLike[str]) -> str | Problem:
    try:
        return read_text(path)
    except FileError as error:
        return Problem(_UNREAD[error.kind], "key.values_file", "", error.hint)


def _texts(problems: ProblemCollector, field: str, given: object) -> Iterator[tuple[str, str]]:
    """Yield the strings of a list, each with its position."""
    if not is_list(given):
        problems.add("not_a_list", field, "", "write a list of strings")
        return
    for number, text in enumerate(cast("Iterable[object]", given), start=1):
        where = f"number {number}"
        if isinstance(text, str):
            yield where, text
        else:
            problems.add("wrong_type", field, where, "write a string")


def _key_values(problems: ProblemCollector, values: object) -> KeyValues | None:
    if values is None or isinstance(values, KeyValues):
        return values
    field = "key.values"
    problems_before = len(problems.found)
    texts = list(_texts(problems, field, values))
    if not texts and len(problems.found) == problems_before:
        problems.add("key_values_empty", field, "", "name at least one value, or None for any")
    for where, value in texts:
        if not value:
            problems.add("key_value_empty", field, where, "write a value that is not empty")
        elif not (value.isascii() and value.isprintable()):
            hint = "write printable ASCII only"
            problems.add("key_value_not_printable", field, where, hint)
        elif value != value.strip():
            problems.add("key_value_blank", field, where, "leave out the white space around it")
        elif "," in value:
            problems.add(
                "key_value_comma",
                field,
                where,
                "write a value without commas: two header lines are joined with one",
            )
    return None if problems.found else KeyValues(value for _, value in texts)


def _exempt_paths(problems: ProblemCollector, paths: object) -> tuple[str, ...]:
    field = "key.exempt_paths"
    kept: dict[str, None] = {}
    for where, path in _texts(problems, field, paths):
        kept[path] = None
        stem = path.removesuffix("/*")
        if not path.startswith("/"):
            problems.add("path_not_absolute", field, where, "begin the path with /")
        elif "*" in stem:
            hint = "* is allowed only at the end: /prefix/*"
            problems.add("path_wildcard", field, where, hint)
        elif wrong := never_matches(stem or "/"):
            code, hint = wrong
            problems.add(code, field, where, hint)
    return tuple(kept)
