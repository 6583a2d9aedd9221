"""The one decision for several rules: the URL picks the engine, and the engine decides.

Pure and compiled once, like `engine`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Final, Generic, TypeVar

from meshcors._decision.answers import Answer, Proceed, problem_answer
from meshcors._decision.engine import CACHED_ORIGINS, HOST, Engine
from meshcors._decision.observation import AppEngine, ObservedEngine, Observer
from meshcors._policy.policy import Policy
from meshcors._policy.rule_map import RuleMap
from meshcors._policy.rules import RuleSet

# What the app's side of a decision is, where no rule covers the URL.
U = TypeVar("U", bound="Answer | None")

# The answer to a URL that no rule covers, also to preflights, without CORS.
NO_RULE: Final = problem_answer("no_rule")

_MIN_CACHED_ORIGINS: Final = 16


class RuleEngine(Generic[U]):
    """Compiled rules, with the interface of `Engine`.

    `uncovered` is the decision for a URL that no rule covers: an answer, or None to let the app
    answer as if there were no middleware. The answer to an ambiguous URL (see `RuleMap`) is always
    `NO_RULE`.
    """

    def __init__(self, rules: RuleSet, uncovered: U) -> None:
        policies = dict.fromkeys(rule.policy for rule in rules.rules)
        # All engines together cache about as many origins as a single one.
        cached = max(_MIN_CACHED_ORIGINS, CACHED_ORIGINS // len(policies))
        engines = {policy: Engine(policy, cached_origins=cached) for policy in policies}
        self._deciders: RuleMap[Engine | _SameForAll[U] | _SameForAll[Answer]] = RuleMap(
            rules,
            [engines[rule.policy] for rule in rules.rules],
            outside=_SameForAll(uncovered),
            ambiguous=_SameForAll(NO_RULE),
        )
        self._rules = rules
        self.reads_path = True
        reads = (engine.reads_websocket for engine in engines.values())
        self.reads: frozenset[bytes] = frozenset({HOST}).union(*reads)
        self.reads_websocket: frozenset[bytes] = self.reads
        reads = (engine.reads_unless_options for engine in engines.values())
        self.reads_unless_options: frozenset[bytes] = frozenset({HOST}).union(*reads)

    def decide(self, method: str, path: str, fields: Mapping[bytes, bytes]) -> Answer | Proceed | U:
        """Decide an HTTP request by the first rule that covers it; see `Engine.decide`."""
        decider = self._deciders.find(fields.get(HOST, b""), path)
        return decider.decide(method, path, fields)

    def decide_websocket(self, path: str, fields: Mapping[bytes, bytes]) -> Answer | None:
        """Decide a WebSocket handshake by the first rule that covers it; see `Engine`."""
        decider = self._deciders.find(fields.get(HOST, b""), path)
        return decider.decide_websocket(path, fields)

    def rule_of(self, path: str, fields: Mapping[bytes, bytes]) -> str | None:
        """Return a name of the first rule that covers a URL; None if there is none.

        It has the first of the rule's hosts, or ``*``, and its path prefix. No two have the same.
        """
        return self._names.find(fields.get(HOST, b""), path)

    @cached_property
    def _names(self) -> RuleMap[str | None]:
        # Only made where somebody asks.
        names = [f"{(rule.hosts or '*')[0]}{rule.path_prefix}" for rule in self._rules.rules]
        return RuleMap(self._rules, names, outside=None, ambiguous=None)


class _SameForAll(Generic[U]):
    """Makes the same decision for every request."""

    def __init__(self, decision: U) -> None:
        self._decision = decision

    def decide(self, method: str, path: str, fields: Mapping[bytes, bytes]) -> U:
        return self._decision

    def decide_websocket(self, path: str, fields: Mapping[bytes, bytes]) -> U:
        return self._decision


def compile_engine(source: Policy | RuleSet, uncovered: U) -> Engine | RuleEngine[U]:
    """Return the engine of a policy or of rules; for `uncovered` see `RuleEngine`."""
    return Engine(source) if isinstance(source, Policy) else RuleEngine(source, uncovered)


def app_engine(source: Policy | RuleSet, observer: Observer | None = None) -> AppEngine:
    """Return the engine for middleware: the app answers what no rule covers, unless refused.

    The `observer` is called with each decision.
    """
    refuses = isinstance(source, RuleSet) and source.refuses_uncovered
    engine = compile_engine(source, NO_RULE if refuses else None)
    return engine if observer is None else ObservedEngine(engine, observer)
