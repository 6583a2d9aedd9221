"""Writes a policy as environment variables, or as the plain data of a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.policy import Policy
from meshcors._policy.rules import Rule, RuleSet
from meshcors.config._formats import KEY_FILE, SpellingError
from meshcors.config._options import OPTIONS, Option, option_value


def to_environment(policy: Policy) -> dict[str, str]:
    """Return the ``MESHCORS_*`` variables of `policy`: the inverse of `from_environment`.

    They contain the key's values in the clear. Raises `PolicyError` for a list item with a comma,
    which the environment cannot express.
    """
    problems: list[Problem] = []
    variables: dict[str, str] = {}
    for option, value in _given_options(policy):
        if option.format is not KEY_FILE:
            try:
                variables[option.variable] = option.format.print_text(value)
            except SpellingError as error:
                problems.append(Problem(error.code, option.name, "", error.hint))
    if problems:
        raise PolicyError(problems)
    return variables


def to_document(
    policy: Policy | RuleSet, *, key_values_file: str | Path | None = None
) -> dict[str, Any]:
    """Return the plain data of a file that describes `policy`: the inverse of `from_file`.

    For rules it is the inverse of `rules_from_file`. A file never holds the key's values. If the
    policy has some, `key_values_file` is the path of the file that will hold them, one per line;
    without it `PolicyError` is raised.
    """
    if isinstance(policy, RuleSet):
        uncovered = {} if policy.uncovered is None else {"uncovered": policy.uncovered}
        rules = [_rule_document(rule, key_values_file) for rule in policy.rules]
        return {**uncovered, "rules": rules}
    document: dict[str, Any] = {"corsPolicy": {}}
    for option, value in _given_options(policy):
        if option.format is KEY_FILE and key_values_file is None:
            hint = "a file never holds them: name the file that does (key_values_file)"
            raise PolicyError([Problem("key_values_need_file", "key.values", "", hint)])
        if option.file:
            *group, name = option.file
            fields = document.setdefault(group[0], {}) if group else document["corsPolicy"]
            fields[name] = (
                str(key_values_file)
                if option.format is KEY_FILE
                else option.format.print_data(value)
            )
    return document


def _rule_document(rule: Rule, key_values_file: str | Path | None) -> dict[str, Any]:
    hosts = {"hosts": list(rule.hosts)} if rule.hosts else {}
    prefix = {} if rule.path_prefix == "/" else {"pathPrefix": rule.path_prefix}
    return {**hosts, **prefix, **to_document(rule.policy, key_values_file=key_values_file)}


def _given_options(policy: Policy) -> Iterator[tuple[Option, object]]:
    """Yield the options that differ from their defaults, with their values."""
    for option in OPTIONS:
        value = option_value(policy, option)
        if value is not None and value is not False and value != ():
            yield option, value
