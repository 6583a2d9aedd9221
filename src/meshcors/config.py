"""A policy from where it is written: keywords, the environment, a file, flags.

A flag beats the environment and the environment beats the file, option by option. Whatever is wrong
is named as its source spells it, all of it at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from meshcors.document import read_document
from meshcors.errors import PolicyError, Problem, did_you_mean, shown
from meshcors.policy import HeaderKey, Policy, PolicyOptions
from meshcors.spelling import (
    APP_VARIABLE,
    CONFIG_VARIABLE,
    KEY_FILE,
    OPTIONS,
    ORIGINS,
    Option,
    SpellingError,
    option_value,
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


def resolve_policy(policy: Policy | None, options: PolicyOptions) -> Policy:
    """Return the policy a middleware was given: itself, its options, or the environment's.

    Raises `PolicyError`.
    """
    if policy is None:
        return Policy(**options) if options else from_environment()
    given: object = policy
    if not isinstance(given, Policy):
        hint = "pass a meshcors.Policy, or its options as keywords"
        raise PolicyError([Problem("not_a_policy", "policy", type(given).__name__, hint)])
    if options:
        hint = "pass a policy or options, not both"
        raise PolicyError([Problem("policy_and_options", ", ".join(options), "", hint)])
    return policy


def from_environment(environ: Mapping[str, str] = os.environ) -> Policy:
    """Return the policy that the ``MESHCORS_*`` variables of `environ` describe.

    Lists are separated by commas, an empty variable is as good as none. ``MESHCORS_CONFIG`` names a
    file (see `from_file`) whose options the other variables beat. Raises `PolicyError`, also for
    unknown ``MESHCORS_*`` names.
    """
    return load(None, environ)


def from_file(path: str | Path) -> Policy:
    """Return the policy in the file at `path`: YAML, JSON or TOML, as Istio writes a corsPolicy.

    The file holds ``corsPolicy`` and, optionally, ``key``; or the fields of the corsPolicy beside
    ``key``. Raises `PolicyError`.
    """
    problems: list[Problem] = []
    settings = _read_file(problems, path)
    labels = {option.name: f"{path}: {option.file_label}" for option in OPTIONS if option.file}
    return _assemble(problems, settings, labels)


def load(
    flags: Mapping[str, object] | None,
    environ: Mapping[str, str] = os.environ,
    *,
    config: str | Path | None = None,
) -> Policy:
    """Return the policy of all sources: `flags` beat `environ`, which beats the file.

    `flags` are values by option name (``allow_origins``, ``key.name``), or None where there is no
    command line; the file is `config`, or what ``MESHCORS_CONFIG`` names. Raises `PolicyError`.
    """
    problems: list[Problem] = []
    path = config or environ.get(CONFIG_VARIABLE)
    settings = _read_file(problems, path) if path else {}
    settings |= _read_environment(problems, environ)
    settings |= _read_flags(problems, flags or {})
    labels = {option.name: option.variable for option in reversed(OPTIONS)}
    if flags is not None:
        labels |= {
            option.name: f"{option.flag} or {option.variable}" for option in OPTIONS if option.flag
        }
    return _assemble(problems, settings, labels)


def to_environment(policy: Policy) -> dict[str, str]:
    """Return the ``MESHCORS_*`` variables that describe `policy`: `from_environment` turned round.

    The key's values are among them, in the clear. Raises `PolicyError` for what the environment
    cannot say: an item of a list with a comma.
    """
    problems: list[Problem] = []
    variables: dict[str, str] = {}
    for option, value in _settled(policy):
        if option.kind is not KEY_FILE:
            try:
                variables[option.variable] = option.kind.print_text(value)
            except SpellingError as error:
                problems.append(Problem(error.code, option.name, "", error.hint))
    _raise_if_wrong(problems)
    return variables


def to_document(policy: Policy, *, key_values_file: str | Path | None = None) -> dict[str, Any]:
    """Return the plain data of a file that describes `policy`: `from_file` turned round.

    A file never holds the key's values: for a policy that has some, `key_values_file` is the path
    under which they will be found, one a line. Raises `PolicyError` where it is missing.
    """
    document: dict[str, Any] = {"corsPolicy": {}}
    for option, value in _settled(policy):
        if option.kind is KEY_FILE and key_values_file is None:
            hint = "a file never holds them: say where they are (key_values_file)"
            raise PolicyError([Problem("key_values_need_file", "key.values", "", hint)])
        if option.file:
            *group, name = option.file
            fields = document.setdefault(group[0], {}) if group else document["corsPolicy"]
            fields[name] = (
                str(key_values_file) if option.kind is KEY_FILE else option.kind.print_data(value)
            )
    return document


def _settled(policy: Policy) -> Iterator[tuple[Option, object]]:
    """Yield the options that the policy sets, with their values."""
    for option in OPTIONS:
        value = option_value(policy, option)
        if value is not None and value is not False and value != ():
            yield option, value


def _raise_if_wrong(problems: list[Problem]) -> None:
    if problems:
        raise PolicyError(problems)


def _assemble(problems: list[Problem], settings: Settings, labels: Mapping[str, str]) -> Policy:
    """Make the policy; its problems are named by `labels`, or as the source spelled the option."""
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


def _read_environment(problems: list[Problem], environ: Mapping[str, str]) -> Settings:
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
            and variable not in (CONFIG_VARIABLE, APP_VARIABLE)
            and not _SERVICE_LINK.fullmatch(variable)
        ):
            hint = did_you_mean(variable, [*known, CONFIG_VARIABLE, APP_VARIABLE])
            problems.append(Problem("unknown_variable", variable, "", hint))
    return settings


def _read_flags(problems: list[Problem], flags: Mapping[str, object]) -> Settings:
    settings: Settings = {}
    for option in OPTIONS:
        if option.flag and option.name in flags:
            value = flags[option.name]
            if option.kind is ORIGINS:
                value = [read_origin(text) for text in cast("Iterable[str]", value)]
            _keep(problems, settings, option, option.flag, partial(option.kind.read_data, value))
    return settings


def _read_file(problems: list[Problem], path: str | Path) -> Settings:
    document = read_document(path)
    settings: Settings = {}
    for keys, value in _file_items(problems, path, document):
        label = f"{path}: {'.'.join(keys)}"
        option = _FILE_OPTIONS.get(keys)
        if option is None:
            if keys[-1] not in _MESH_ONLY:
                near = [".".join(known) for known in _FILE_OPTIONS if len(known) == len(keys)]
                hint = did_you_mean(".".join(keys), near)
                problems.append(Problem("unknown_field", label, "", hint))
        elif value is not None:
            if option.kind is KEY_FILE and isinstance(value, str):
                value = str(Path(path).parent / value)
            _keep(problems, settings, option, label, partial(option.kind.read_data, value))
    return settings


def _file_items(
    problems: list[Problem], path: str | Path, document: object
) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield the fields of a file with their keys; `corsPolicy` may be written out or left out."""
    top = _mapping(problems, str(path), document)
    key = top.pop("key", None)
    if "corsPolicy" in top:
        body = _mapping(problems, f"{path}: corsPolicy", top.pop("corsPolicy"))
        for name in top:
            hint = did_you_mean(name, ["corsPolicy", "key"])
            problems.append(Problem("unknown_field", f"{path}: {name}", "", hint))
    else:
        body = top
    for name, value in body.items():
        yield (name,), value
    for name, value in _mapping(problems, f"{path}: key", key).items():
        yield ("key", name), value


def _mapping(problems: list[Problem], label: str, value: object) -> dict[str, object]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        problems.append(Problem("not_a_mapping", label, "", "write fields: name: value"))
        return {}
    return {
        name if isinstance(name, str) else shown(name): item
        for name, item in cast("Mapping[object, object]", value).items()
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
