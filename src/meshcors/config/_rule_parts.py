"""The parts of a rule that both notations share: a list of rules, and VirtualServices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, cast

from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.policy import Policy
from meshcors._policy.rules import Rule
from meshcors.config._fields import FieldPath
from meshcors.config._policy_file import read_policy

# Replaces a policy with problems, so that the problems of its rule are found as well.
ANY_POLICY: Final = Policy(allow_origins=["*"])


def policy_of_rule(problems: list[Problem], data: object, where: FieldPath) -> Policy | None:
    """Return the policy in `data`; None if it has problems, which are added to `problems`."""
    try:
        return read_policy([], data, where)
    except PolicyError as error:
        problems += error.problems
        return None


def make_rule(
    problems: list[Problem],
    policy: Policy,
    hosts: object,
    prefix: object,
    paths: Mapping[str, FieldPath],
) -> Rule | None:
    """Return a rule with plain `hosts` and `prefix`; None if it has problems.

    `paths` are the paths of both, by field of the rule.
    """
    urls: dict[str, Any] = {"hosts": hosts, "path_prefix": "/" if prefix is None else prefix}
    try:
        return Rule(policy, **urls)
    except PolicyError as error:
        problems += [replace(each, field=str(paths[each.field])) for each in error.problems]
        return None


def read_list(problems: list[Problem], data: object, where: FieldPath) -> list[object]:
    """Return the items of the list `data`; anything else is a problem and has none."""
    if isinstance(data, list):
        return cast("list[object]", data)
    if data is not None:
        problems.append(Problem("not_a_list", str(where), "", "write a list"))
    return []
