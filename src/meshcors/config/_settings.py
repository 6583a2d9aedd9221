"""The options that a source gives, each with the name it has there, and the policy they make.

Whatever is wrong is named as its source spells it, all of it at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial, reduce
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias, cast

from meshcors._policy import other_names
from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.header_key import HeaderKey
from meshcors._policy.policy import NEAR_ORIGINS, Policy, make
from meshcors._policy.warning import warn
from meshcors._policy.wording import did_you_mean, shown
from meshcors.config._spelling import (
    KEY_FILE,
    NAMES,
    OPTIONS,
    ORIGINS,
    OTHER_VARIABLES,
    Option,
    Source,
    SpellingError,
    flag_items,
    read_origin,
    respell,
)

# Kubernetes tells every pod of the services in its namespace: one that is called "meshcors"
# appears as MESHCORS_SERVICE_HOST, MESHCORS_PORT and their like.
_SERVICE_LINK: Final = re.compile(
    r"MESHCORS_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)"
)
# Fields of Istio's corsPolicy that say what the mesh does, which a policy has no part in.
_CAPITAL: Final = re.compile(r"(?<=[a-z])[A-Z]")
_MESH_ONLY: Final = frozenset({"unmatchedPreflights"})
# What a mapping holds, by the last of the keys that lead to it.
_MAPPINGS: Final = {
    "": "a file is a mapping of fields, such as allowOrigins: [...]",
    "corsPolicy": "write a mapping of fields, such as allowOrigins: [...]",
    "key": "write a mapping of fields, such as header: model-api-key",
}
# How people write a key's values into a file, which never holds them.
KEY_VALUES_FIELDS: Final = frozenset({"value", "values"})
NO_VALUES_HERE: Final = "values do not belong in this file: write valuesFile"


class Setting(NamedTuple):
    """An option's value, the `label` under which it was given, and by which kind of source."""

    value: object
    label: str
    source: Source


# The value of an option that was given, and could not be read.
_UNREAD: Final = object()

# By the option's name.
Settings: TypeAlias = dict[str, Setting]


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


def make_policy(
    problems: list[Problem], settings: Settings, labels: Mapping[str, str], source: Source
) -> Policy:
    """Make the policy; its problems and warnings speak as the source that gave the option does.

    An option that none gave has its name from `labels`, in a `source` of this kind. Raises
    `PolicyError` with them and with the `problems` that were found before.
    """

    def told(field: str, text: str) -> tuple[str, str]:
        given = settings.get(field)
        if given is None:
            return labels.get(field, field), respell(text, source)
        return given.label, respell(text, given.source)

    values = {name: each.value for name, each in settings.items() if each.value is not _UNREAD}
    found: list[Problem] = []
    key = None
    key_values = {name: values.pop(name) for name in list(values) if name.startswith("key.")}
    if key_values:
        try:
            key = _make_key(key_values)
        except PolicyError as error:
            found += error.problems
    policy = None
    notes: list[tuple[str, str]] = []
    try:
        policy, notes = make({**values, "key": key})
    except PolicyError as error:
        found += error.problems
    unread = "allow_origins" in settings and "allow_origins" not in values
    for each in found:
        if each.code == "no_origins" and unread:
            continue
        field, hint = told(each.field, each.hint)
        problems.append(replace(each, field=field, hint=hint))
    if policy is None or problems:
        raise PolicyError(dict.fromkeys(problems))
    for name, note in notes:
        warn(": ".join(told(name, note)))
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
                read = partial(option.kind.read_text, text)
                _keep(problems, settings, option, (variable, "variable"), read)
        elif (
            variable.startswith("MESHCORS_")
            and variable not in OTHER_VARIABLES
            and not _SERVICE_LINK.fullmatch(variable)
        ):
            listed = environ.get("MESHCORS_ALLOW_ORIGINS", "").split(",")
            beside = [item.strip() for item in listed if item.strip()]
            name = variable.removeprefix("MESHCORS_")
            hint = _elsewhere(settings, name, (text, beside), (variable, "variable"))
            hint = hint or did_you_mean(variable, [*known, *OTHER_VARIABLES])
            _note_near_origins(settings, hint, (variable, "variable"))
            problems.append(Problem("unknown_variable", variable, "", hint))
    return settings


def _elsewhere(
    settings: Settings, name: str, given: tuple[object, object], given_by: tuple[str, Source]
) -> str | None:
    """Return what to write for an option of another library: see `other_names.hint`.

    Where it says which origins are allowed, they are not missing as well.
    """
    hint = other_names.hint(name, *given)
    if other_names.means_origins(name, given[0]):
        settings.setdefault("allow_origins", Setting(_UNREAD, *given_by))
    return hint and respell(hint, given_by[1])


def _note_near_origins(settings: Settings, hint: str, given_by: tuple[str, Source]) -> None:
    """Note that the origins are not missing as well where a name is nearly theirs."""
    if hint == respell(NEAR_ORIGINS, given_by[1]):
        settings.setdefault("allow_origins", Setting(_UNREAD, *given_by))


def read_flags(problems: list[Problem], flags: Mapping[str, object]) -> Settings:
    """Read the pod's flags: their values by option name."""
    settings: Settings = {}
    for option in OPTIONS:
        if option.flag and option.name in flags:
            read = partial(_read_flag, option, option.flag, flags[option.name])
            _keep(problems, settings, option, (option.flag, "flag"), read)
    return settings


def _read_flag(option: Option, flag: str, value: object) -> object:
    if option.kind in {ORIGINS, NAMES}:
        items = flag_items(flag, cast("Iterable[str]", value), option.kind)
        value = [read_origin(text) for text in items] if option.kind is ORIGINS else items
    return option.kind.read_data(value)


def read_policy(problems: list[Problem], data: object, place: Place) -> Policy:
    """Return the policy in a file's plain `data`, found at `place`.

    Raises `PolicyError` with all that is wrong with it, and the `problems` found before.
    """
    settings = read_fields(problems, data, place)
    labels = {option.name: f"{_at(place, option.file)}" for option in OPTIONS if option.file}
    return make_policy(problems, settings, labels, "file")


def read_fields(problems: list[Problem], data: object, place: Place) -> Settings:
    """Read a policy's fields from a file's plain `data`; an unknown one is a problem."""
    settings: Settings = {}
    for part, at in _parts(data, place):
        if part is not None and not isinstance(part, Mapping):
            settings["allow_origins"] = Setting(_UNREAD, str(at), "file")
    for keys, value in _fields(problems, data, place):
        label = str(_at(place, keys))
        option = _FILE_OPTIONS.get(keys)
        if option is None:
            if keys[-1] not in _MESH_ONLY:
                near = [".".join(known) for known in _FILE_OPTIONS if len(known) == len(keys)]
                name = _CAPITAL.sub(r"_\g<0>", keys[-1])
                hint = None
                if keys[0] != "key":
                    hint = _elsewhere(settings, name, (value, ()), (label, "file"))
                if hint is not None:
                    problems.append(Problem("unknown_field", label, "", hint))
                else:
                    problems.append(unknown_field(place, keys, near))
                    _note_near_origins(settings, problems[-1].hint, (label, "file"))
        elif value is not None or option.kind is KEY_FILE:
            # Nothing where a secret is to be must not become "any key will do" either.
            if option.kind is KEY_FILE and isinstance(value, str):
                value = str(Path(place.file).parent / value)
            read = partial(option.kind.read_data, value)
            _keep(problems, settings, option, (label, "file"), read)
    return settings


def unknown_field(place: Place, keys: tuple[str, ...], known: Collection[str]) -> Problem:
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
        problems += [unknown_field(place, (name,), ["corsPolicy", "key"]) for name in top]
    else:
        body = top
    for name, value in body.items():
        yield (name,), value
    for name, value in read_mapping(problems, key, place.at("key")).items():
        yield ("key", name), value


def _parts(data: object, place: Place) -> Iterator[tuple[object, Place]]:
    """Yield what must be a mapping for a policy to be in it, and its place."""
    yield data, place
    if isinstance(data, Mapping):
        fields = cast("Mapping[object, object]", data)
        yield fields.get("corsPolicy"), place.at("corsPolicy")


def read_mapping(problems: list[Problem], data: object, place: Place) -> dict[str, object]:
    """Return the fields of a file's plain `data`; what is no mapping is a problem and has none."""
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        hint = _MAPPINGS.get(place.keys.rpartition(".")[2], "write a mapping of fields")
        problems.append(Problem("not_a_mapping", str(place), "", hint))
        return {}
    return {
        name if isinstance(name, str) else shown(name): item
        for name, item in cast("Mapping[object, object]", data).items()
    }


def _keep(
    problems: list[Problem],
    settings: Settings,
    option: Option,
    given_by: tuple[str, Source],
    read: Callable[[], object],
) -> None:
    """Read one value into `settings`, or say what is wrong with it."""
    label, _ = given_by
    before = settings.get(option.name)
    if before is not None and before.value is not _UNREAD:
        hint = f"{before.label} says it already: leave one out"
        problems.append(Problem("given_twice", label, "", hint))
        return
    try:
        settings[option.name] = Setting(_UNREAD, *given_by)
        settings[option.name] = Setting(read(), *given_by)
    except SpellingError as error:
        problems.append(Problem(error.code, label, "", error.hint))
    except PolicyError as error:
        problems += [replace(each, field=label) for each in error.problems]


_FILE_OPTIONS: Final = {option.file: option for option in OPTIONS if option.file}
# The fields of a corsPolicy in a file.
POLICY_FIELDS: Final = tuple(keys[0] for keys in _FILE_OPTIONS if len(keys) == 1)
