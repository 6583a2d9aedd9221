"""The options that a source gives, each with the name it has there, and the policy they make.

Whatever is wrong is named as its source spells it, all of it at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial, reduce
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from meshcors.errors import PolicyError, Problem, did_you_mean, shown
from meshcors.header_key import HeaderKey
from meshcors.policy import Policy, PolicyOptions
from meshcors.spelling import (
    KEY_FILE,
    OPTIONS,
    ORIGINS,
    OTHER_VARIABLES,
    Option,
    SpellingError,
    read_origin,
)

# Kubernetes tells every pod of the services in its namespace: one that is called "meshcors"
# appears as MESHCORS_SERVICE_HOST, MESHCORS_PORT and their like.
_SERVICE_LINK: Final = re.compile(
    r"MESHCORS_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)"
)
# Fields of Istio's corsPolicy that say what the mesh does, which a policy has no part in.
_MESH_ONLY: Final = frozenset({"unmatchedPreflights"})

# Option name -> its value, and the spelling under which a source gave it.
Settings: TypeAlias = dict[str, tuple[object, str]]


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file: the `file` as the user named it, and the `keys` that lead there."""

    file: str | Path
    keys: str = ""

    def at(self, key: str | int) -> Place:
        """Return the place of the field `key`, or of the item `key` of a list."""
        if isinstance(key, int):
            return Place(self.file, f"{self.keys}[{key}]")
        return Place(self.file, f"{self.keys}.{key}" if self.keys else key)

    def __str__(self) -> str:
        return f"{self.file}: {self.keys}" if self.keys else str(self.file)


def make_policy(problems: list[Problem], settings: Settings, labels: Mapping[str, str]) -> Policy:
    """Make the policy; its problems are named by `labels`, or as the source spelled the option.

    Raises `PolicyError` with them and with the `problems` that were found before.
    """
    spelled = {**labels, **{name: label for name, (_, label) in settings.items()}}
    values = {name: value for name, (value, _) in settings.items()}
    found: list[Problem] = []
    key = None
    key_values = {name: values.pop(name) for name in list(values) if name.startswith("key.")}
    if key_values:
        try:
            key = _make_key(key_values)
        except PolicyError as error:
            found += error.problems
    policy = None
    try:
        policy = Policy(**cast("PolicyOptions", {**values, "key": key}))
    except PolicyError as error:
        found += error.problems
    problems += [replace(each, field=spelled.get(each.field, each.field)) for each in found]
    if policy is None or problems:
        raise PolicyError(dict.fromkeys(problems))
    return policy


def _make_key(values: Mapping[str, object]) -> HeaderKey:
    if "key.name" not in values:
        hint = "name the header that carries the key"
        raise PolicyError([Problem("key_name_missing", "key.name", "", hint)])
    options = {name.removeprefix("key."): value for name, value in values.items()}
    return HeaderKey(**cast("dict[str, Any]", options))


def read_environment(problems: list[Problem], environ: Mapping[str, str]) -> Settings:
    """Read the ``MESHCORS_*`` variables; an unknown one is a problem."""
    settings: Settings = {}
    known = {option.variable: option for option in OPTIONS}
    for variable, text in sorted(environ.items()):
        option = known.get(variable)
        if option is not None:
            # An empty secret must not become "any key will do".
            if text.strip() or option.name == "key.values":
                _keep(problems, settings, option, variable, partial(option.kind.read_text, text))
        elif (
            variable.startswith("MESHCORS_")
            and variable not in OTHER_VARIABLES
            and not _SERVICE_LINK.fullmatch(variable)
        ):
            hint = did_you_mean(variable, [*known, *OTHER_VARIABLES])
            problems.append(Problem("unknown_variable", variable, "", hint))
    return settings


def read_flags(problems: list[Problem], flags: Mapping[str, object]) -> Settings:
    """Read the pod's flags: their values by option name."""
    settings: Settings = {}
    for option in OPTIONS:
        if option.flag and option.name in flags:
            value = flags[option.name]
            if option.kind is ORIGINS:
                value = [read_origin(text) for text in cast("Iterable[str]", value)]
            _keep(problems, settings, option, option.flag, partial(option.kind.read_data, value))
    return settings


def read_policy(problems: list[Problem], data: object, place: Place) -> Policy:
    """Return the policy in a file's plain `data`, found at `place`.

    Raises `PolicyError` with all that is wrong with it, and the `problems` found before.
    """
    settings = read_fields(problems, data, place)
    labels = {option.name: f"{_at(place, option.file)}" for option in OPTIONS if option.file}
    return make_policy(problems, settings, labels)


def read_fields(problems: list[Problem], data: object, place: Place) -> Settings:
    """Read a policy's fields from a file's plain `data`; an unknown one is a problem."""
    settings: Settings = {}
    for keys, value in _fields(problems, data, place):
        label = str(_at(place, keys))
        option = _FILE_OPTIONS.get(keys)
        if option is None:
            if keys[-1] not in _MESH_ONLY:
                near = [".".join(known) for known in _FILE_OPTIONS if len(known) == len(keys)]
                hint = did_you_mean(".".join(keys), near)
                problems.append(Problem("unknown_field", label, "", hint))
        elif value is not None or option.kind is KEY_FILE:
            # Nothing where a secret is to be must not become "any key will do" either.
            if option.kind is KEY_FILE and isinstance(value, str):
                value = str(Path(place.file).parent / value)
            _keep(problems, settings, option, label, partial(option.kind.read_data, value))
    return settings


def _at(place: Place, keys: Iterable[str]) -> Place:
    return reduce(Place.at, keys, place)


def _fields(
    problems: list[Problem], data: object, place: Place
) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield the fields with their keys; `corsPolicy` may be written out or left out."""
    top = read_mapping(problems, data, place)
    key = top.pop("key", None)
    if "corsPolicy" in top:
        body = read_mapping(problems, top.pop("corsPolicy"), place.at("corsPolicy"))
        for name in top:
            hint = did_you_mean(name, ["corsPolicy", "key"])
            problems.append(Problem("unknown_field", str(place.at(name)), "", hint))
    else:
        body = top
    for name, value in body.items():
        yield (name,), value
    for name, value in read_mapping(problems, key, place.at("key")).items():
        yield ("key", name), value


def read_mapping(problems: list[Problem], data: object, place: Place) -> dict[str, object]:
    """Return the fields of a file's plain `data`; what is no mapping is a problem and has none."""
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        problems.append(Problem("not_a_mapping", str(place), "", "write fields: name: value"))
        return {}
    return {
        name if isinstance(name, str) else shown(name): item
        for name, item in cast("Mapping[object, object]", data).items()
    }


def _keep(
    problems: list[Problem],
    settings: Settings,
    option: Option,
    label: str,
    read: Callable[[], object],
) -> None:
    """Read one value into `settings`, or say what is wrong with it."""
    if option.name in settings:
        hint = f"{settings[option.name][1]} says it already: leave one out"
        problems.append(Problem("given_twice", label, "", hint))
        return
    try:
        settings[option.name] = (read(), label)
    except SpellingError as error:
        problems.append(Problem(error.code, label, "", error.hint))
    except PolicyError as error:
        problems += [replace(each, field=label) for each in error.problems]


_FILE_OPTIONS: Final = {option.file: option for option in OPTIONS if option.file}
# The fields of a corsPolicy in a file.
POLICY_FIELDS: Final = tuple(keys[0] for keys in _FILE_OPTIONS if len(keys) == 1)
