"""A policy from a file: Istio's corsPolicy, and the key beside it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial, reduce
from pathlib import Path
from typing import Final, cast

from meshcors._policy.errors import Problem
from meshcors._policy.policy import Policy
from meshcors._policy.wording import did_you_mean
from meshcors.config._fields import FieldPath, read_mapping
from meshcors.config._formats import KEY_FILE
from meshcors.config._options import OPTIONS
from meshcors.config._settings import (
    UNREAD,
    Setting,
    Settings,
    hint_of_other_library,
    keep,
    make_policy,
    note_near_origins,
)

# Fields of Istio's corsPolicy that say what the mesh does, which a policy has no part in.
_CAPITAL: Final = re.compile(r"(?<=[a-z])[A-Z]")
_MESH_ONLY: Final = frozenset({"unmatchedPreflights"})
# How people write a key's values into a file, which never holds them.
KEY_VALUES_FIELDS: Final = frozenset({"value", "values"})
NO_VALUES_HERE: Final = "values do not belong in this file: write valuesFile"
_FILE_OPTIONS: Final = {option.file: option for option in OPTIONS if option.file}
# The fields of a corsPolicy in a file.
POLICY_FIELDS: Final = tuple(keys[0] for keys in _FILE_OPTIONS if len(keys) == 1)


def read_policy(problems: list[Problem], data: object, place: FieldPath) -> Policy:
    """Return the policy in a file's plain `data`, found at `place`.

    Raises `PolicyError` with all that is wrong with it, and the `problems` found before.
    """
    settings = read_fields(problems, data, place)
    labels = {option.name: f"{_at(place, option.file)}" for option in OPTIONS if option.file}
    return make_policy(problems, settings, labels, "file")


def read_fields(problems: list[Problem], data: object, place: FieldPath) -> Settings:
    """Read a policy's fields from a file's plain `data`; an unknown one is a problem."""
    settings: Settings = {}
    for part, at in _parts(data, place):
        if part is not None and not isinstance(part, Mapping):
            settings["allow_origins"] = Setting(UNREAD, str(at), "file")
    for keys, value in _fields(problems, data, place):
        label = str(_at(place, keys))
        option = _FILE_OPTIONS.get(keys)
        if option is None:
            if keys[-1] not in _MESH_ONLY:
                near = [".".join(known) for known in _FILE_OPTIONS if len(known) == len(keys)]
                name = _CAPITAL.sub(r"_\g<0>", keys[-1])
                hint = None
                if keys[0] != "key":
                    hint = hint_of_other_library(settings, name, (value, ()), (label, "file"))
                if hint is not None:
                    problems.append(Problem("unknown_field", label, "", hint))
                else:
                    problems.append(unknown_field(place, keys, near))
                    note_near_origins(settings, problems[-1].hint, (label, "file"))
        elif value is not None or option.format is KEY_FILE:
            # Nothing where a secret is to be must not become "any key will do" either.
            if option.format is KEY_FILE and isinstance(value, str):
                value = str(Path(place.file).parent / value)
            read = partial(option.format.read_data, value)
            keep(problems, settings, option, (label, "file"), read)
    return settings


def unknown_field(place: FieldPath, keys: tuple[str, ...], known: Collection[str]) -> Problem:
    """Return what is wrong with a field that does not belong at `place`, where the `known` do."""
    label = str(_at(place, keys))
    name = keys[-1]
    if name == "uncovered":
        if not place.keys:
            return uncovered_without_rules(label)
        hint = "write it beside rules, at the top of the file"
    elif keys[0] == "key" and name in KEY_VALUES_FIELDS:
        hint = NO_VALUES_HERE
    elif keys in _FILE_OPTIONS and "corsPolicy" in known:
        hint = "belongs inside corsPolicy"
    elif ("key", name) in _FILE_OPTIONS and len(keys) == 1:
        hint = "belongs inside key"
    else:
        hint = did_you_mean(".".join(keys), known)
        if keys[0] == "key" and len(keys) > 1:
            # Not shown: the name may be a key's value.
            label, hint = str(place.at("key")), f"one of its fields is {hint}"
    return Problem("unknown_field", label, "", hint)


def uncovered_without_rules(label: str) -> Problem:
    """Return the problem of an `uncovered`, given as `label`, beside a single policy."""
    hint = "a single policy covers every URL: leave this out"
    return Problem("uncovered_without_rules", label, "", hint)


def _at(place: FieldPath, keys: Iterable[str]) -> FieldPath:
    return reduce(FieldPath.at, keys, place)


def _fields(
    problems: list[Problem], data: object, place: FieldPath
) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield the fields with their keys; `corsPolicy` may be written out or left out."""
    top = read_mapping(problems, data, place)
    key = top.pop("key", None)
    if "corsPolicy" in top:
        body = read_mapping(problems, top.pop("corsPolicy"), place.at("corsPolicy"))
        problems += [unknown_field(place, (name,), ["corsPolicy", "key"]) for name in top]
    else:
        body = top
    for name, value in body.items():
        yield (name,), value
    for name, value in read_mapping(problems, key, place.at("key")).items():
        yield ("key", name), value


def _parts(data: object, place: FieldPath) -> Iterator[tuple[object, FieldPath]]:
    """Yield what must be a mapping for a policy to be in it, and its place."""
    yield data, place
    if isinstance(data, Mapping):
        fields = cast("Mapping[object, object]", data)
        yield fields.get("corsPolicy"), place.at("corsPolicy")
