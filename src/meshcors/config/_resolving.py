"""What a middleware is given: a policy, rules, options as keywords, or nothing at all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.policy import Policy, PolicyOptions
from meshcors._policy.rules import Rule, RuleSet, Uncovered
from meshcors._policy.warning import warn
from meshcors.config._loading import load, with_uncovered


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
    settled = with_uncovered(source, uncovered, "uncovered")
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


def argument(source: Policy | RuleSet) -> dict[str, Any]:
    """Return `source` as the keyword argument under which a middleware takes it."""
    return {"policy" if isinstance(source, Policy) else "rules": source}
