"""A policy written out: as environment variables, or as the plain data of a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.policy import Policy
from meshcors._policy.rules import Rule, RuleSet
from meshcors.config._spelling import KEY_FILE, OPTIONS, Option, SpellingError, option_value


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
    if problems:
        raise PolicyError(problems)
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


def _settled(policy: Policy) -> Iterator[tuple[Option, object]]:
    """Yield the options that the policy sets, with their values."""
    for option in OPTIONS:
        value = option_value(policy, option)
        if value is not None and value is not False and value != ():
            yield option, value
