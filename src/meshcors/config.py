"""A policy from where it is written: keywords, the environment, a file, flags.

A flag beats the environment and the environment beats the file, option by option. Whatever is wrong
is named as its source spells it, all of it at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from meshcors.document import only_document, read_documents
from meshcors.errors import PolicyError, Problem, warn
from meshcors.policy import Policy, PolicyOptions
from meshcors.rulefile import holds_rules, read_rules
from meshcors.rules import Rule, RuleSet, Uncovered
from meshcors.settings import (
    Place,
    make_policy,
    read_environment,
    read_fields,
    read_flags,
    read_policy,
    uncovered_without_rules,
)
from meshcors.spelling import (
    CONFIG_VARIABLE,
    KEY_FILE,
    OPTIONS,
    UNCOVERED_VARIABLE,
    Option,
    SpellingError,
    option_value,
)


def resolve(
    policy: Policy | None,
    rules: RuleSet | Iterable[Rule] | None,
    options: PolicyOptions,
    uncovered: Uncovered | None = None,
    *,
    serves: bool = False,
) -> Policy | RuleSet:
    """Return what a middleware was given: a policy, rules, options, or the environment's.

    `uncovered` beats what the rules say of it. Where a service `serves` behind it, a key without
    values is warned of. Raises `PolicyError`.
    """
    given: object = policy
    if given is not None and not isinstance(given, Policy):
        hint = "pass a meshcors.Policy, or its options as keywords"
        raise PolicyError([Problem("not_a_policy", "policy", type(given).__name__, hint)])
    if rules is not None:
        beside = [*([] if policy is None else ["policy"]), *options]
        if beside:
            hint = "each rule has a policy of its own: pass rules alone"
            raise PolicyError([Problem("rules_and_options", ", ".join(beside), "", hint)])
        source: Policy | RuleSet = rules if isinstance(rules, RuleSet) else RuleSet(rules)
    elif policy is None:
        source = Policy(**options) if options else load(None)
    elif options:
        hint = "pass a policy or options, not both"
        raise PolicyError([Problem("policy_and_options", ", ".join(options), "", hint)])
    else:
        source = policy
    settled = _with_uncovered(source, uncovered, "uncovered")
    if serves:
        _warn_of_open_keys(settled)
    return settled


def _warn_of_open_keys(source: Policy | RuleSet) -> None:
    """Warn of keys that are checked for presence only, where a service is behind them."""
    policies = [source] if isinstance(source, Policy) else [rule.policy for rule in source.rules]
    keys = [policy.key for policy in policies if policy.key is not None]
    for name in dict.fromkeys(key.name for key in keys if key.values is None):
        warn(
            f"key: {name} has no values, so any value is accepted; set them with HeaderKey's"
            " values, MESHCORS_KEY_VALUES_FILE or key.valuesFile"
        )


def refuse_uncovered(source: Policy | RuleSet) -> Policy | RuleSet:
    """Return `source` with what no rule covers refused, whatever it says of that."""
    return source if isinstance(source, Policy) else RuleSet(source.rules, uncovered="refuse")


def _with_uncovered(
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


def argument(source: Policy | RuleSet) -> dict[str, Any]:
    """Return `source` as the keyword argument under which a middleware takes it."""
    return {"policy" if isinstance(source, Policy) else "rules": source}


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
        return _with_uncovered(rules, _uncovered(environ), UNCOVERED_VARIABLE)
    settings = read_fields(problems, _only_policy(path, documents), Place(path)) if path else {}
    settings |= read_environment(problems, environ)
    settings |= read_flags(problems, flags or {})
    labels = {option.name: option.variable for option in reversed(OPTIONS)}
    if flags is not None:
        labels |= {
            option.name: f"{option.flag} or {option.variable}" for option in OPTIONS if option.flag
        }
    return _with_uncovered(
        make_policy(problems, settings, labels, "variable"),
        _uncovered(environ),
        UNCOVERED_VARIABLE,
    )


def _uncovered(environ: Mapping[str, str]) -> Uncovered | None:
    # RuleSet refuses what is neither of both.
    return cast("Uncovered", environ.get(UNCOVERED_VARIABLE, "").strip()) or None


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


def to_document(
    policy: Policy | RuleSet, *, key_values_file: str | Path | None = None
) -> dict[str, Any]:
    """Return the plain data of a file that describes `policy`: `from_file` turned round.

    Of rules it is the file that `rules_from_file` reads. A file never holds the key's values: for a
    policy that has some, `key_values_file` is the path under which they will be found, one a line.
    Raises `PolicyError` where it is missing.
    """
    if isinstance(policy, RuleSet):
        uncovered = {} if policy.uncovered is None else {"uncovered": policy.uncovered}
        rules = [_rule_document(rule, key_values_file) for rule in policy.rules]
        return {**uncovered, "rules": rules}
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


def _rule_document(rule: Rule, key_values_file: str | Path | None) -> dict[str, Any]:
    hosts = {"hosts": list(rule.hosts)} if rule.hosts else {}
    prefix = {} if rule.path_prefix == "/" else {"pathPrefix": rule.path_prefix}
    return {**hosts, **prefix, **to_document(rule.policy, key_values_file=key_values_file)}


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


def _settled(policy: Policy) -> Iterator[tuple[Option, object]]:
    """Yield the options that the policy sets, with their values."""
    for option in OPTIONS:
        value = option_value(policy, option)
        if value is not None and value is not False and value != ():
            yield option, value


def _raise_if_wrong(problems: list[Problem]) -> None:
    if problems:
        raise PolicyError(problems)
