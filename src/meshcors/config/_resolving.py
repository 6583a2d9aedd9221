"""The policy or rules that middleware is given: as such, as keywords, or by the environment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.policy import Policy, PolicyOptions
from meshcors._policy.rules import Rule, RuleSet, Uncovered, with_uncovered
from meshcors._policy.warning import warn


def resolve(
    policy: Policy | None,
    rules: RuleSet | Iterable[Rule] | None,
    options: PolicyOptions,
    uncovered: Uncovered | None = None,
    *,
    serves: bool = False,
) -> Policy | RuleSet:
    """Return what a middleware was given: a policy, rules, options, or the environment's.

    `uncovered` overrides that of the rules. If the middleware `serves` a service, a key without
    values causes a warning. Raises `PolicyError`.
    """
    given: object = policy
    if given is not None and not isinstance(given, Policy):
        hint = "pass a meshcors.Policy, or its options as keywords"
        raise PolicyError([Problem("not_a_policy", "policy", type(given).__name__, hint)])
    if rules is not None:
        beside = [*([] if policy is None else ["policy"]), *options]
        if beside:
            hint = "each rule has its own policy: pass only rules"
            raise PolicyError([Problem("rules_and_options", ", ".join(beside), "", hint)])
        source: Policy | RuleSet = rules if isinstance(rules, RuleSet) else RuleSet(rules)
    elif policy is None:
        source = Policy(**options) if options else _load()
    elif options:
        hint = "pass a policy or options, not both"
        raise PolicyError([Problem("policy_and_options", ", ".join(options), "", hint)])
    else:
        source = policy
    source = with_uncovered(source, uncovered, "uncovered")
    if serves:
        _warn_of_open_keys(source)
    return source


def _load() -> Policy | RuleSet:
    # Late, because most apps pass a policy: a third of the import's time would go into this.
    from meshcors.config._loading import load

    return load(None)


def _warn_of_open_keys(source: Policy | RuleSet) -> None:
    """Warn about keys that are checked for presence only although they protect a service."""
    policies = [source] if isinstance(source, Policy) else [rule.policy for rule in source.rules]
    keys = [policy.key for policy in policies if policy.key is not None]
    for name in dict.fromkeys(key.name for key in keys if key.values is None):
        warn(
            f"key: {name} has no values, so any value is accepted; set them with HeaderKey's"
            " values, MESHCORS_KEY_VALUES_FILE or key.valuesFile"
        )


def refuse_uncovered(source: Policy | RuleSet) -> Policy | RuleSet:
    """Return `source`, changed to refuse a URL that no rule covers."""
    return source if isinstance(source, Policy) else RuleSet(source.rules, uncovered="refuse")


def policy_and_rules(source: Policy | RuleSet) -> tuple[Policy | None, RuleSet | None]:
    """Return `source` as the pair in which a middleware shows it; one of the two is None."""
    return (source, None) if isinstance(source, Policy) else (None, source)


def argument(source: Policy | RuleSet) -> dict[str, Any]:
    """Return `source` as a keyword argument of middleware."""
    return {"policy" if isinstance(source, Policy) else "rules": source}
