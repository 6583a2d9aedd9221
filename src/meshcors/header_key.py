"""The request header by which a service is picked: its name, its right values, its exceptions.

A key's value is a secret: no repr, no problem and no warning ever shows one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from meshcors.errors import PolicyError, Problem, shown
from meshcors.findings import Findings, is_list
from meshcors.headers import (
    SAFELISTED_REQUEST_HEADERS,
    is_forbidden_request_header,
    is_token,
)
from meshcors.paths import is_plain_path
from meshcors.regular_file import FileError, read_text

_UNREAD: Final = {
    "unreadable": "key_file_unreadable",
    "too_large": "key_file_too_large",
    "not_utf8": "key_file_not_utf8",
}


@dataclass(frozen=True, slots=True, init=False)
class HeaderKey:
    """The request header by which a service is picked, and the values that this service answers.

    `name` is a field name (kept in lower case) that a browser announces in a preflight: no
    CORS-safelisted and no forbidden one. `values` are the keys that are right here, compared
    whole and with case; None checks only that the header is there. `exempt_paths` need no key:
    exact (``/healthz``) or all below a prefix of whole segments (``/public/*``).

    Values never appear in its repr. Raises `PolicyError`.
    """

    name: str
    values: tuple[str, ...] | None = field(repr=False)
    exempt_paths: tuple[str, ...]

    def __init__(
        self,
        name: str,
        values: Iterable[str] | None = None,
        *,
        exempt_paths: Iterable[str] = (),
    ) -> None:
        found = Findings()
        kept_name = _key_name(found, name)
        kept_values = None if values is None else _key_values(found, values)
        kept_paths = found.texts("key.exempt_paths", exempt_paths)
        for path in kept_paths:
            _check_exempt_path(found, path)
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
        values = "" if self.values is None else f", values=<{len(self.values)} hidden>"
        paths = f", exempt_paths={self.exempt_paths!r}" if self.exempt_paths else ""
        return f"HeaderKey({self.name!r}{values}{paths})"


def _key_name(found: Findings, name: object) -> str:
    field = "key.name"
    if not isinstance(name, str):
        # Not shown: with name and values exchanged it would be the values.
        found.add("wrong_type", field, type(name).__name__, "a header name is a string")
        return ""
    lowered = name.lower()
    if not is_token(name):
        found.add("header_not_token", field, shown(name), "a header name is a token")
    elif "_" in name:
        found.add(
            "key_underscore", field, name, f"servers drop names with _: {name.replace('_', '-')}"
        )
    elif lowered in SAFELISTED_REQUEST_HEADERS:
        found.add(
            "key_safelisted", field, name, "browsers send no preflight for it: name one of your own"
        )
    elif is_forbidden_request_header(lowered) or lowered.startswith("access-control-"):
        found.add(
            "key_forbidden", field, name, "a page's script cannot set it: name one of your own"
        )
    return lowered


def read_key_values(path: str | Path) -> list[str]:
    """Read a key's values from the UTF-8 file at `path`, one a line; see `HeaderKey.from_file`."""
    try:
        lines = read_text(path).splitlines()
    except FileError as error:
        problem = Problem(_UNREAD[error.kind], "key.values_file", str(path), error.hint)
        raise PolicyError([problem]) from None
    return [line.strip() for line in lines if line.strip()]


def _key_values(found: Findings, values: object) -> tuple[str, ...]:
    """Read key values; no problem ever shows one."""
    field = "key.values"
    if not is_list(values):
        found.add("not_a_list", field, "", "write a list of strings")
        return ()
    kept = list(cast("Iterable[object]", values))
    if not kept:
        found.add("key_values_empty", field, "", "name at least one value, or None for any")
    for number, value in enumerate(kept, start=1):
        where = f"number {number}"
        if not isinstance(value, str):
            found.add("wrong_type", field, where, "a key's value is a string")
        elif not value:
            found.add("key_value_empty", field, where, "a key's value is not empty")
        elif not (value.isascii() and value.isprintable()):
            found.add("key_value_not_printable", field, where, "a key is printable ASCII")
        elif value != value.strip():
            found.add(
                "key_value_blank", field, where, "white space around a field's value is not sent"
            )
        elif "," in value:
            found.add(
                "key_value_comma",
                field,
                where,
                "two header lines are joined with a comma: a key has none",
            )
    return tuple(dict.fromkeys(value for value in kept if isinstance(value, str)))


def _check_exempt_path(found: Findings, path: str) -> None:
    field = "key.exempt_paths"
    stem = path.removesuffix("/*")
    if not path.startswith("/"):
        found.add("path_not_absolute", field, shown(path), f"a path begins with /: /{path}")
    elif "*" in stem:
        found.add(
            "path_wildcard",
            field,
            shown(path),
            "* stands only at the end, for all below: /prefix/*",
        )
    elif not is_plain_path(stem or "/"):
        hint = "no . or .. segments, no // and no control characters"
        found.add("path_never_matches", field, shown(path), hint)
