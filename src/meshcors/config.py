"""A policy from where it is written: keywords, the environment, a file, flags.

A flag beats the environment and the environment beats the file, option by option. Whatever is wrong
is named as its source spells it, all of it at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from meshcors.document import read_document
from meshcors.errors import PolicyError, Problem
from meshcors.policy import Policy, PolicyOptions
from meshcors.settings import (
    Place,
    make_policy,
    read_environment,
    read_fields,
    read_flags,
    read_policy,
)
from meshcors.spelling import (
    CONFIG_VARIABLE,
    KEY_FILE,
    OPTIONS,
    Option,
    SpellingError,
    option_value,
)


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
    return read_policy([], read_document(path), Place(path))


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
    settings = read_fields(problems, read_document(path), Place(path)) if path else {}
    settings |= read_environment(problems, environ)
    settings |= read_flags(problems, flags or {})
    labels = {option.name: option.variable for option in reversed(OPTIONS)}
    if flags is not None:
        labels |= {
            option.name: f"{option.flag} or {option.variable}" for option in OPTIONS if option.flag
        }
    return make_policy(problems, settings, labels)


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
