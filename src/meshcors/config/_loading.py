"""A policy from where it is written: keywords, the environment, a file, flags.

A flag beats the environment and the environment beats the file, option by option. Whatever is wrong
is named as its source spells it, all of it at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.policy import Policy
from meshcors._policy.rules import Rule, RuleSet, Uncovered
from meshcors.config._document import only_document, read_documents
from meshcors.config._rule_file import holds_rules, read_rules
from meshcors.config._settings import (
    Place,
    make_policy,
    read_environment,
    read_fields,
    read_flags,
    read_policy,
    uncovered_without_rules,
)
from meshcors.config._spelling import CONFIG_VARIABLE, OPTIONS, UNCOVERED_VARIABLE


def with_uncovered(
    source: Policy | RuleSet, uncovered: Uncovered | None, label: str
) -> Policy | RuleSet:
    """Return `source` with the `uncovered` that `label` gives, if it gives one."""
    if uncovered is None:
        return source
    if isinstance(source, Policy):
        raise PolicyError([uncovered_without_rules(label)])
    try:
        return RuleSet(source.rules, uncovered=uncovered)
    except PolicyError as error:
        raise PolicyError(replace(each, field=label) for each in error.problems) from None


def from_environment(environ: Mapping[str, str] = os.environ) -> Policy:
    """Return the policy that the ``MESHCORS_*`` variables of `environ` describe.

    Lists are separated by commas, an empty variable is treated as unset. ``MESHCORS_CONFIG``
    names a file (see `from_file`) whose options the other variables beat. Raises `PolicyError`,
    also for unknown ``MESHCORS_*`` names, and for a file of rules.
    """
    loaded = load(None, environ)
    if isinstance(loaded, RuleSet):
        raise _not_one_policy(environ[CONFIG_VARIABLE])
    return loaded


def from_file(path: str | Path) -> Policy:
    """Return the policy in the file at `path`: YAML, JSON or TOML, as Istio writes a corsPolicy.

    The file holds ``corsPolicy`` and, optionally, ``key``; or the fields of the corsPolicy beside
    ``key``. Raises `PolicyError`, for a file of rules too (see `rules_from_file`).
    """
    documents = read_documents(path)
    if holds_rules(documents):
        raise _not_one_policy(path)
    return read_policy([], _only_policy(path, documents), Place(path))


def rules_from_file(path: str | Path) -> RuleSet:
    """Return the rules in the file at `path`: YAML, JSON or TOML.

    The file holds a list ``rules``, each with ``corsPolicy``, ``key``, ``hosts`` and
    ``pathPrefix``, and optionally ``uncovered`` (see `RuleSet`); or VirtualServices, whose hosts,
    ``uri.prefix`` and ``corsPolicy`` are taken (a `PolicyWarning` says what is not); or a single
    policy (see `from_file`), for every URL. Raises `PolicyError`.
    """
    documents = read_documents(path)
    if holds_rules(documents):
        return read_rules([], documents, Place(path))
    return RuleSet([Rule(read_policy([], _only_policy(path, documents), Place(path)))])


def load(
    flags: Mapping[str, object] | None,
    environ: Mapping[str, str] = os.environ,
    *,
    config: str | Path | None = None,
) -> Policy | RuleSet:
    """Return the policy or the rules of all sources: `flags` beat `environ`, which beats the file.

    `flags` are values by option name (``allow_origins``, ``key.name``), or None where there is no
    command line; the file is `config`, or what ``MESHCORS_CONFIG`` names. If it holds rules, these
    are returned, and options beside it are refused. Raises `PolicyError`.
    """
    problems: list[Problem] = []
    path = config or environ.get(CONFIG_VARIABLE)
    given_by = CONFIG_VARIABLE if not config else "config" if flags is None else "--config"
    documents = read_documents(path, given_by) if path else []
    if path and holds_rules(documents):
        beside = read_environment(problems, environ) | read_flags(problems, flags or {})
        hint = f"{path} holds rules, each with a policy of its own: leave this out"
        given = [each.label for each in beside.values()]
        problems += [Problem("rules_and_options", label, "", hint) for label in given]
        rules = read_rules(problems, documents, Place(path))
        return with_uncovered(rules, _uncovered(environ), UNCOVERED_VARIABLE)
    settings = read_fields(problems, _only_policy(path, documents), Place(path)) if path else {}
    settings |= read_environment(problems, environ)
    settings |= read_flags(problems, flags or {})
    labels = {option.name: option.variable for option in reversed(OPTIONS)}
    if flags is not None:
        labels |= {
            option.name: f"{option.flag} or {option.variable}" for option in OPTIONS if option.flag
        }
    return with_uncovered(
        make_policy(problems, settings, labels, "variable"),
        _uncovered(environ),
        UNCOVERED_VARIABLE,
    )


def _uncovered(environ: Mapping[str, str]) -> Uncovered | None:
    # RuleSet refuses what is neither of both.
    return cast("Uncovered", environ.get(UNCOVERED_VARIABLE, "").strip()) or None


def _only_policy(path: str | Path, documents: list[object]) -> object:
    """Return the plain data of the one policy in a file's `documents`; raises `PolicyError`."""
    for document in documents:
        kind = document.get("kind") if isinstance(document, Mapping) else None
        if isinstance(kind, str):
            if kind == "VirtualService":
                field, kind, hint = "apiVersion", "", "write networking.istio.io/v1"
            else:
                field, hint = "kind", "give a policy, rules or a VirtualService"
            raise PolicyError([Problem("file_of_other_kind", f"{path}: {field}", kind, hint)])
    return only_document(path, documents)


def _not_one_policy(path: str | Path) -> PolicyError:
    hint = "it holds rules: read it with meshcors.config.rules_from_file, pass it as rules="
    return PolicyError([Problem("file_of_rules", str(path), "", hint)])
