"""Several policies by host and path: the first rule that covers a URL decides.

One URL, one policy: browsers cache preflights by URL and header name, never by a header's value, so
no rule depends on a key's value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias, cast

from meshcors._policy.covered_urls import EVERY_HOST, EVERY_PATH, CoveredUrls
from meshcors._policy.errors import OriginError, PolicyError, Problem
from meshcors._policy.list_like import ListLike
from meshcors._policy.origins import OriginPattern
from meshcors._policy.paths import never_matches
from meshcors._policy.policy import Policy
from meshcors._policy.problem_collector import ProblemCollector
from meshcors._policy.pydantic_field import PydanticField
from meshcors._policy.wording import shown

# Who answers a URL that no rule covers: the app, or the middleware with a 404.
Uncovered: TypeAlias = Literal["app", "refuse"]

# The most characters of a path prefix; the Gateway API has the same limit.
LONGEST_PREFIX: Final = 1024

# The hint where one URL would need two policies.
ONE_URL_ONE_POLICY: Final = (
    "browsers cache preflights by URL and header name, never by value: give one URL one policy"
)


@dataclass(frozen=True, slots=True, init=False)
class Rule(PydanticField):
    """A policy, and the URLs that it covers.

    `hosts` are names (``api.example.com``), addresses, or all names below a domain
    (``*.example.com``: one or more labels before it), compared case-insensitively, ignoring the
    port; None covers every host. `path_prefix` covers itself and everything below it,
    case-sensitively and by whole segments: ``/v1`` covers ``/v1`` and ``/v1/x``, never ``/v1x``. It
    is compared with the path on which the app routes, decoded once, and never covers an ambiguous
    path, such as ``/v1/../x`` or ``//v1``.

    Raises `PolicyError`.
    """

    policy: Policy
    hosts: tuple[str, ...]
    path_prefix: str

    def __init__(
        self, policy: Policy, *, hosts: ListLike[str] | None = None, path_prefix: str = EVERY_PATH
    ) -> None:
        problems = ProblemCollector()
        if not isinstance(policy, Policy):
            hint = "pass a meshcors.Policy"
            problems.add("not_a_policy", "policy", type(policy).__name__, hint)
        kept_hosts = () if hosts is None else _hosts(problems, hosts)
        kept_prefix = _prefix(problems, path_prefix)
        problems.raise_if_any()
        object.__setattr__(self, "policy", policy)
        object.__setattr__(self, "hosts", kept_hosts)
        object.__setattr__(self, "path_prefix", kept_prefix)


@dataclass(frozen=True, slots=True, init=False)
class RuleSet(PydanticField):
    """Rules in order: the first that covers a URL decides.

    `uncovered` says what middleware does with a URL that no rule covers: ``"app"`` lets the app
    answer as if the middleware were not there, ``"refuse"`` answers 404 ``no_rule``. None means
    ``"refuse"`` if any rule has a key, because a client chooses its Host and path and could avoid
    the key; otherwise ``"app"``.

    Raises `PolicyError`, also for a rule that no URL reaches, and for two rules with the same host
    and path.
    """

    rules: tuple[Rule, ...]
    uncovered: Uncovered | None

    def __init__(self, rules: Iterable[Rule], *, uncovered: Uncovered | None = None) -> None:
        problems = ProblemCollector()
        kept = _rules(problems, rules)
        _check_reached(problems, kept)
        if uncovered not in (None, "app", "refuse"):
            problems.add("uncovered_unknown", "uncovered", "", "write app or refuse")
        problems.raise_if_any()
        object.__setattr__(self, "rules", kept)
        object.__setattr__(self, "uncovered", uncovered)

    @property
    def refuses_uncovered(self) -> bool:
        """Whether middleware refuses a URL that no rule covers."""
        if self.uncovered is None:
            return any(rule.policy.key for rule in self.rules)
        return self.uncovered == "refuse"

    def without_key_values(self) -> RuleSet:
        """Return the rules with their keys checked for presence only, as the pod checks them."""
        bare = (
            Rule(
                rule.policy.without_key_values(),
                hosts=rule.hosts or None,
                path_prefix=rule.path_prefix,
            )
            for rule in self.rules
        )
        return RuleSet(bare, uncovered=self.uncovered)


def with_uncovered(
    source: Policy | RuleSet, uncovered: Uncovered | None, label: str
) -> Policy | RuleSet:
    """Return `source` with this `uncovered`, unless that is None.

    `label` names its source in messages.
    """
    if uncovered is None:
        return source
    if isinstance(source, Policy):
        raise PolicyError([uncovered_without_rules(label)])
    try:
        return RuleSet(source.rules, uncovered=uncovered)
    except PolicyError as error:
        raise PolicyError(replace(each, field=label) for each in error.problems) from None


def uncovered_without_rules(label: str) -> Problem:
    """Return the problem of an `uncovered`, given as `label`, with a single policy."""
    hint = "a single policy covers every URL: leave this out"
    return Problem("uncovered_without_rules", label, "", hint)


def _rules(problems: ProblemCollector, rules: object) -> tuple[Rule, ...]:
    if isinstance(rules, str) or not isinstance(rules, Iterable):
        problems.add("not_a_list", "rules", type(rules).__name__, "write a list of meshcors.Rule")
        return ()
    kept = tuple(cast("Iterable[object]", rules))
    if not kept:
        problems.add("no_rules", "rules", "", "write at least one rule")
    for index, rule in enumerate(kept):
        if not isinstance(rule, Rule):
            problems.add(
                "wrong_type", f"rules[{index}]", type(rule).__name__, "write a meshcors.Rule"
            )
    return tuple(rule for rule in kept if isinstance(rule, Rule))


def _check_reached(problems: ProblemCollector, rules: tuple[Rule, ...]) -> None:
    """Find the rules that no request reaches, because of earlier ones."""
    covered_urls = CoveredUrls()
    for index, rule in enumerate(rules):
        for host in rule.hosts or (EVERY_HOST,):
            earlier = covered_urls.earliest(host, rule.path_prefix)
            if earlier is None:
                continue
            field, value = f"rules[{index}]", f"{host}{rule.path_prefix}"
            first = rules[earlier]
            if rule.path_prefix == first.path_prefix and host in (first.hosts or (EVERY_HOST,)):
                hint = f"rules[{earlier}] covers the same URLs: {ONE_URL_ONE_POLICY}"
                problems.add("rule_second_policy", field, value, hint)
            else:
                hint = f"never reached: rules[{earlier}] covers it; put this one before that"
                problems.add("rule_unreachable", field, value, hint)
        covered_urls.add(rule.hosts, rule.path_prefix, index)


def _hosts(problems: ProblemCollector, hosts: object) -> tuple[str, ...]:
    problems_before = len(problems.found)
    given = problems.texts("hosts", hosts)
    if not given and len(problems.found) == problems_before:
        problems.add("hosts_empty", "hosts", "", "leave hosts out to cover every host")
    for host in given:
        if host == "*":
            problems.add("host_wildcard", "hosts", host, "leave hosts out to cover every host")
        elif not _is_host(host):
            hint = (
                "write a host such as api.example.com or *.example.com, without scheme, port or"
                " path"
            )
            problems.add("host_malformed", "hosts", shown(host), hint)
    return tuple(dict.fromkeys(host.lower() for host in given))


def _is_host(host: str) -> bool:
    """Return whether an origin can have the `host`, in any letter case."""
    try:
        return host.isascii() and OriginPattern.parse(f"https://{host.lower()}").port is None
    except OriginError:
        return False


def _prefix(problems: ProblemCollector, path: object) -> str:
    field = "path_prefix"
    if not isinstance(path, str):
        problems.add("wrong_type", field, shown(path), "write a string")
        return EVERY_PATH
    if len(path) > LONGEST_PREFIX:
        # Each of its parents is looked up, so work would grow with the square of its length.
        hint = f"write at most {LONGEST_PREFIX:,} characters, as many as an HTTPRoute may have"
        problems.add("path_too_long", field, shown(path), hint)
        return EVERY_PATH
    if not path.startswith("/"):
        problems.add("path_not_absolute", field, shown(path), f"begin the path with /: /{path}")
    elif "*" in path:
        problems.add(
            "path_wildcard", field, shown(path), "a prefix covers all below it: leave out *"
        )
    elif wrong := never_matches(path):
        code, hint = wrong
        problems.add(code, field, shown(path), hint)
    return path.removesuffix("/") or EVERY_PATH


def rules_of(source: Policy | RuleSet) -> tuple[Rule, ...]:
    """Return the rules in order; a single policy is one rule that covers everything."""
    return (Rule(source),) if isinstance(source, Policy) else source.rules
