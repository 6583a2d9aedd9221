"""The policy or rules that middleware is given: as such, as keywords, or by the environment.

Also those that take their place later, see `meshcors.config._replaceable`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.policy import Policy, PolicyOptions
from meshcors._policy.rules import Rule, RuleSet, Uncovered, with_uncovered
from meshcors._policy.warning import warn
from meshcors.config._replaceable import ReplaceablePolicy, Source

T = TypeVar("T")


def resolve(
    policy: Policy | ReplaceablePolicy | None,
    rules: RuleSet | Iterable[Rule] | None,
    options: PolicyOptions,
) -> Source | ReplaceablePolicy:
    """Return what a middleware was given: a policy, rules, options, or the environment's.

    Raises `PolicyError`.
    """
    given: object = policy
    if given is not None and not isinstance(given, Policy | ReplaceablePolicy):
        hint = "pass a meshcors.Policy, or its options as keywords"
        raise PolicyError([Problem("not_a_policy", "policy", type(given).__name__, hint)])
    if rules is not None:
        beside = [*([] if policy is None else ["policy"]), *options]
        if beside:
            hint = "each rule has its own policy: pass only rules"
            raise PolicyError([Problem("rules_and_options", ", ".join(beside), "", hint)])
        if isinstance(rules, ReplaceablePolicy):
            hint = "pass it as policy=, even if it holds rules"
            raise PolicyError([Problem("not_a_list", "rules", type(rules).__name__, hint)])
        return rules if isinstance(rules, RuleSet) else RuleSet(rules)
    if policy is None:
        return Policy(**options) if options else _load()
    if options:
        hint = "pass a policy or options, not both"
        raise PolicyError([Problem("policy_and_options", ", ".join(options), "", hint)])
    return policy


def answer_by(
    given: Source | ReplaceablePolicy,
    uncovered: Uncovered | None,
    compiled: Callable[[Source], T],
    switch: Callable[[tuple[Source, T]], None],
    *,
    serves: bool = False,
    refuses_uncovered: bool = False,
) -> None:
    """Have a middleware answer by what it was `given`, and by what takes its place later.

    `switch`, a method of the middleware, is called with the policy or the rules, and with what is
    `compiled` from them; again with each replacement. `uncovered` overrides that of the rules. If
    the middleware `serves` a service, a key without values causes a warning. If it
    `refuses_uncovered` URLs, what the rules say of them does not matter. Raises `PolicyError`.
    """

    def prepare(source: Source) -> tuple[Source, T]:
        source = with_uncovered(source, uncovered, "uncovered")
        if refuses_uncovered and isinstance(source, RuleSet):
            source = RuleSet(source.rules, uncovered="refuse")
        if serves:
            _warn_of_open_keys(source)
        return source, compiled(source)

    if isinstance(given, ReplaceablePolicy):
        given.attach(prepare, switch)
    else:
        switch(prepare(given))


def _load() -> Policy | RuleSet:
    # Late, because most apps pass a policy: a third of the import's time would go into this.
    from meshcors.config._loading import load

    try:
        return load(None)
    except PolicyError as error:
        raise PolicyError(map(_in_code_too, error.problems)) from None


def _in_code_too(problem: Problem) -> Problem:
    """Return a problem with what to write in code, where nothing names an origin."""
    if problem.code != "no_origins" or problem.value:
        return problem
    return replace(problem, hint=f"{problem.hint}, or pass a meshcors.Policy")


def _warn_of_open_keys(source: Policy | RuleSet) -> None:
    """Warn about keys that are checked for presence only although they protect a service."""
    policies = [source] if isinstance(source, Policy) else [rule.policy for rule in source.rules]
    keys = [policy.key for policy in policies if policy.key is not None]
    for name in dict.fromkeys(key.name for key in keys if key.values is None):
        warn(
            f"key: {name} has no values, so any value is accepted; set them with HeaderKey's"
            " values, MESHCORS_KEY_VALUES_FILE or key.valuesFile"
        )


def policy_and_rules(source: Policy | RuleSet) -> tuple[Policy | None, RuleSet | None]:
    """Return `source` as the pair in which a middleware shows it; one of the two is None."""
    return (source, None) if isinstance(source, Policy) else (None, source)


def argument(given: Source | ReplaceablePolicy) -> dict[str, Any]:
    """Return what was given as a keyword argument of middleware."""
    return {"rules" if isinstance(given, RuleSet) else "policy": given}
