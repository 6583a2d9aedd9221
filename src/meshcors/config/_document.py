"""A YAML, JSON or TOML file as plain data, or one clear line that says what is wrong with it.

YAML is read without tags and without aliases: a configuration needs neither.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.regular_file import FileError, read_text
from meshcors._policy.wording import file_label

_UNREAD: Final = {
    "unreadable": "file_unreadable",
    "too_large": "file_too_large",
    "not_utf8": "file_not_utf8",
}
# The YAML reader takes quadratic time in the depth.
_MAX_DEPTH: Final = 64

# What tomllib quotes of a file, more than a character, as the name that stands twice.
_QUOTED: Final = re.compile(r""" [('"].{3,}['")]""", re.DOTALL)

# The one thing that Python's parsers of JSON and TOML refuse without a place.
_LONG_NUMBER: Final = "a number of too many digits"


def read_documents(path: str | Path, given_by: str = "path") -> list[object]:
    """Return what the file at `path` holds: mappings, lists, texts, numbers, booleans and None.

    ``.json`` and ``.toml`` by their suffix are one document, all else is YAML, of any number, which
    needs the extra ``dummy`` or ``cli``. Raises `PolicyError` for a file that is missing,
    unreadable, no regular file, larger than 1 MiB, not UTF-8, or malformed. `given_by` is the flag,
    variable or argument that gave the path: a path where nothing is may be a secret, and is not
    shown.
    """
    try:
        return _documents(path, given_by)
    except PolicyError as error:
        problems = error.problems
    # Raised anew, for what led to it has the path, and may quote the file.
    raise PolicyError(problems)


def _documents(path: str | Path, given_by: str) -> list[object]:
    try:
        text = read_text(path)
    except FileError as error:
        code = _UNREAD[error.kind]
        if error.kind != "unreadable":
            raise _wrong(path, code, error.hint) from None
        # What is wrong is the path that was given, and not what is in the file.
        named = str(path) if file_label(path, "") else ""
        raise PolicyError([Problem(code, given_by, named, error.hint)]) from None
    path = Path(path)
    read = {".json": _read_json, ".toml": _read_toml}.get(path.suffix.lower(), _read_yaml)
    try:
        return read(path, text)
    except RecursionError:
        raise _wrong(path, "file_malformed", "nested too deeply") from None


def only_document(path: str | Path, documents: list[object]) -> object:
    """Return the one document of the file at `path`, None for none; several are refused."""
    if len(documents) > 1:
        raise _wrong(path, "file_malformed", "one document is read here, not several")
    return documents[0] if documents else None


def _wrong(path: str | Path, code: str, hint: str) -> PolicyError:
    return PolicyError([Problem(code, str(path), "", hint)])


def _read_json(path: Path, text: str) -> list[object]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                raise _wrong(path, "file_duplicate_key", "a field stands twice")
            found[name] = value
        return found

    try:
        return [json.loads(text, object_pairs_hook=once)]
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise _wrong(path, "file_malformed", f"{place}: {error.msg}") from None
    except PolicyError:
        raise
    except ValueError:
        raise _wrong(path, "file_malformed", _LONG_NUMBER) from None


def _read_toml(path: Path, text: str) -> list[object]:
    try:
        return [tomllib.loads(text)]
    except tomllib.TOMLDecodeError as error:
        reason, at, place = str(error).rpartition(" (at ")
        raise _wrong(path, "file_malformed", _QUOTED.sub("", reason) + at + place) from None
    except ValueError:
        raise _wrong(path, "file_malformed", _LONG_NUMBER) from None


def _read_yaml(path: Path, text: str) -> list[object]:
    try:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError
    except ModuleNotFoundError:
        hint = "YAML needs ruamel.yaml: python -m pip install 'meshcors[dummy]', or write JSON"
        raise _wrong(path, "yaml_missing", hint) from None

    yaml = YAML(typ="safe", pure=True)
    # The warning would quote the file.
    yaml.composer.warn_double_anchors = False
    try:
        _refuse_what_is_not_needed(yaml.parse(text))
        return [document for document in yaml.load_all(text) if document is not None]
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1} column {mark.column + 1}: " if mark else ""
        # Of a duplicate key it would also tell name and values, of a tag what stands there.
        reason = re.split(' "| handle ', error.problem or error.context or "malformed")[0]
        if error.context == "while scanning an alias":
            reason = f'{reason}; an asterisk is a string only in quotes: quote it: "*"'
        raise _wrong(path, "file_malformed", f"{place}{reason}") from None
    except (YAMLError, ValueError) as error:
        raise _wrong(path, "file_malformed", str(error).partition("\n")[0]) from None


def _refuse_what_is_not_needed(events: Iterable[Any]) -> None:
    """Refuse tags, aliases (nested, they stand for any number of values) and deep nesting."""
    from ruamel.yaml.composer import ComposerError
    from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

    depth = 0
    for event in events:
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise ComposerError(None, None, "nested too deeply", event.start_mark)
        if isinstance(event, AliasEvent):
            hint = "write the value out: no aliases here"
            raise ComposerError(None, None, hint, event.start_mark)
        if getattr(event, "tag", None) is not None:
            raise ComposerError(None, None, "no tags here", event.start_mark)
