"""Reads YAML, JSON and TOML files as plain data; a problem is one clear line.

YAML tags, aliases and merge keys are refused, because a configuration needs none of them.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any, Final

from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.problem_codes import ProblemCode
from meshcors._policy.regular_file import FileError, read_text
from meshcors._policy.wording import file_label
from meshcors.config._yaml_data import data_of_yaml

_UNREAD: Final[dict[str, ProblemCode]] = {
    "unreadable": "file_unreadable",
    "too_large": "file_too_large",
    "not_utf8": "file_not_utf8",
}
# What tomllib quotes from a file, such as the name of a duplicate key, unless it is one character.
_QUOTED: Final = re.compile(r""" [('"].{3,}['")]""", re.DOTALL)

# The only error of Python's JSON and TOML parsers without a place.
_LONG_NUMBER: Final = "a number with too many digits"


def read_documents(path: str | Path, given_by: str = "path") -> list[object]:
    """Return the documents in the file at `path` as plain data.

    A ``.json`` or ``.toml`` file is one document. Any other file is YAML with any number of
    documents, and needs the extra ``dummy`` or ``cli``. Raises `PolicyError` for a file that is
    missing, unreadable, not a regular file, larger than 1 MiB, not UTF-8, or malformed. `given_by`
    is the flag, variable or argument that gave the path; messages name it if there is no file at
    `path`, because such a path may be a secret.
    """
    try:
        return documents_of_text(text_of(path, given_by), path)
    except PolicyError as error:
        problems = error.problems
    # Raised anew, without the original exception, which has the path and may quote the file.
    raise PolicyError(problems)


def text_of(path: str | Path, given_by: str = "path") -> str:
    """Return the text of the file at `path`; see `read_documents`."""
    try:
        return read_text(path)
    except FileError as error:
        code = _UNREAD[error.kind]
        if error.kind != "unreadable":
            raise _wrong(path, code, error.hint) from None
        # The problem is the path that was given, not what is in the file.
        named = str(path) if file_label(path, "") else ""
        raise PolicyError([Problem(code, given_by, named, error.hint)]) from None


def documents_of_text(text: str, path: str | Path) -> list[object]:
    """Return the documents in the text of a file at `path`; raises `PolicyError`."""
    path = Path(path)
    read = {".json": _read_json, ".toml": _read_toml}.get(path.suffix.lower(), _read_yaml)
    try:
        return read(path, text)
    except RecursionError:
        raise _wrong(path, "file_malformed", "nested too deeply") from None


def only_document(path: str | Path, documents: list[object]) -> object:
    """Return the only document of the file at `path`, or None; several are refused."""
    if len(documents) > 1:
        raise _wrong(path, "file_malformed", "write one document, not several")
    return documents[0] if documents else None


def _wrong(path: str | Path, code: ProblemCode, hint: str) -> PolicyError:
    return PolicyError([Problem(code, str(path), "", hint)])


def _read_json(path: Path, text: str) -> list[object]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                raise _wrong(path, "file_duplicate_key", "a field is given twice: leave one out")
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

    try:
        # Pure: the parser in C takes other texts for YAML, and not every machine has it.
        return data_of_yaml(YAML(typ="safe", pure=True), text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1} column {mark.column + 1}: " if mark else ""
        # The rest would quote a duplicate key with its values, or a tag.
        reason = re.split(' "| handle ', error.problem or error.context or "malformed")[0]
        if error.context == "while scanning an alias":
            reason = f'{reason}; quote the asterisk: "*"'
        elif "\\t" in reason:
            reason = "a tab where YAML expects spaces: indent with spaces"
        raise _wrong(path, "file_malformed", f"{place}{reason}") from None
    except (YAMLError, ValueError) as error:
        raise _wrong(path, "file_malformed", str(error).partition("\n")[0]) from None
