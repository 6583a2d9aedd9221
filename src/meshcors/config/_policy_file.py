"""A policy in a file: Istio's corsPolicy, and the key."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial, reduce
from pathlib import Path
from typing import Final, cast

from meshcors._policy.errors import Problem
from meshcors._policy.other_libraries import METHOD_LIMITS, NO_METHOD_LIMIT
from meshcors._policy.policy import Policy
from meshcors._policy.rules import uncovered_without_rules
from meshcors._policy.wording import did_you_mean
from meshcors.config._fields import FieldPath, read_mapping
from meshcors.config._formats import KEY_FILE
from meshcors.config._options import OPTIONS
from meshcors.config._settings import (
    UNREAD,
    Setting,
    Settings,
    hint_of_other_library,
    make_policy,
    note_near_origins,
    store,
)

# Fields of Istio's corsPolicy that only concern the mesh.
_CAPITAL: Final = re.compile(r"(?<=[a-z])[A-Z]")
_MESH_ONLY: Final = frozenset({"unmatchedPreflights"})
# How people try to write a key's values into a file, where they do not belong.
KEY_VALUES_FIELDS: Final = frozenset({"value", "values"})
NO_VALUES_HERE: Final = "values do not belong in this file: write valuesFile"
_FILE_OPTIONS: Final = {option.file: option for option in OPTIONS if option.file}
# The fields of a corsPolicy in a file.
POLICY_FIELDS: Final = tuple(keys[0] for keys in _FILE_OPTIONS if len(keys) == 1)


def read_policy(problems: list[Problem], data: object, where: FieldPath) -> Policy:
    """Return the policy in a file's plain `data`, found at `where`.

    Raises `PolicyError` with all its problems and the `problems` found before.
    """
    settings = read_fields(problems, data, where)
    labels = {option.name: f"{_at(where, option.file)}" for option in OPTIONS if option.file}
    return make_policy(problems, settings, labels, "file")


def read_fields(problems: list[Problem], data: object, where: FieldPath) -> Settings:
    """Read the fields of a policy from a file's plain `data`; an unknown field is a problem."""
    settings: Settings = {}
    for part, at in _parts(data, where):
        if part is not None and not isinstance(part, Mapping):
            settings["allow_origins"] = Setting(UNREAD, str(at), "file")
    for keys, value in _fields(problems, data, where):
        label = str(_at(where, keys))
        option = _FILE_OPTIONS.get(keys)
        if option is None:
            if keys[-1] not in _MESH_ONLY:
                near = [".".join(known) for known in _FILE_OPTIONS if len(known) == len(keys)]
                name = _snake(keys[-1])
                hint = None
                if keys[0] != "key":
                    hint = hint_of_other_library(settings, name, (value, ()), (label, "file"))
                if hint is not None:
                    problems.append(Problem("unknown_field", label, "", hint))
                else:
                    problems.append(unknown_field(where, keys, near))
                    note_near_origins(settings, problems[-1].hint, (label, "file"))
        elif value is not None or option.format is KEY_FILE:
            # An empty secret must not become "any key will do" here either.
            if option.format is KEY_FILE and isinstance(value, str):
                value = str(Path(where.file).parent / value)
            read = partial(option.format.read_data, value)
            store(problems, settings, option, (label, "file"), read)
    return settings


def unknown_field(where: FieldPath, keys: tuple[str, ...], known: Collection[str]) -> Problem:
    """Return the problem of a field that does not belong at `where`, unlike the `known` ones."""
    label = str(_at(where, keys))
    name = keys[-1]
    if name == "uncovered":
        if not where.keys:
            return uncovered_without_rules(label)
        hint = "write it next to rules, at the top of the file"
    elif keys[0] == "key" and name in KEY_VALUES_FIELDS:
        hint = NO_VALUES_HERE
    elif keys in _FILE_OPTIONS and "corsPolicy" in known:
        hint = "write it inside corsPolicy"
    elif ("key", name) in _FILE_OPTIONS and len(keys) == 1:
        hint = "write it inside key"
    elif keys == ("methods",) or _snake(name) in METHOD_LIMITS:
        # In a rule, next to its corsPolicy: that is no other library's name of allowMethods.
        hint = NO_METHOD_LIMIT
    else:
        hint = did_you_mean(".".join(keys), known)
        if keys[0] == "key" and len(keys) > 1:
            # Not shown: the name may be a key's value.
            label, hint = str(where.at("key")), f"one of its fields is {hint}"
    return Problem("unknown_field", label, "", hint)


def _snake(name: str) -> str:
    return _CAPITAL.sub(r"_\g<0>", name).lower()


def _at(where: FieldPath, keys: Iterable[str]) -> FieldPath:
    return reduce(FieldPath.at, keys, where)


def _fields(
    problems: list[Problem], data: object, where: FieldPath
) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield the fields with their keys, whether or not they are inside `corsPolicy`."""
    top = read_mapping(problems, data, where)
    key = top.pop("key", None)
    if "corsPolicy" in top:
        body = read_mapping(problems, top.pop("corsPolicy"), where.at("corsPolicy"))
        problems += [unknown_field(where, (name,), ["corsPolicy", "key"]) for name in top]
    else:
        body = top
    for name, value in body.items():
        yield (name,), value
    for name, value in read_mapping(problems, key, where.at("key")).items():
        yield ("key", name), value


def _parts(data: object, where: FieldPath) -> Iterator[tuple[object, FieldPath]]:
    """Yield what must be mappings if there is a policy in `data`, with their paths."""
    yield data, where
    if isinstance(data, Mapping):
        fields = cast("Mapping[object, object]", data)
        yield fields.get("corsPolicy"), where.at("corsPolicy")
