"""The one decision for several rules: the URL picks the engine, the engine decides.

Pure, as `engine` is, and compiled once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Generic, TypeVar

from meshcors._decision.answers import Answer, Proceed, problem_answer
from meshcors._decision.engine import HOST, READY_ORIGINS, Engine
from meshcors._policy.policy import Policy
from meshcors._policy.rules import RuleMap, RuleSet

Uncovered = TypeVar("Uncovered", bound="Answer | None")

# What a URL gets that no rule covers, where nobody else answers; preflights too, without CORS.
NO_RULE: Final = problem_answer("no_rule")

_LEAST_READY_ORIGINS: Final = 16


class RuleEngine(Generic[Uncovered]):
    """Compiled rules, with the interface of `Engine`.

    `uncovered` is the decision for a URL that no rule covers: an answer, or None where the app is
    to answer as if nothing stood before it. A URL in doubt (see `RuleMap`) is always answered
    `NO_RULE`.
    """

    def __init__(self, rules: RuleSet, uncovered: Uncovered) -> None:
        policies = dict.fromkeys(rule.policy for rule in rules.rules)
        # All engines together keep about as many origins ready as one would.
        ready = max(_LEAST_READY_ORIGINS, READY_ORIGINS // len(policies))
        engines = {policy: Engine(policy, ready_origins=ready) for policy in policies}
        self._deciders: RuleMap[Engine | _Fixed[Uncovered] | _Fixed[Answer]] = RuleMap(
            rules,
            [engines[rule.policy] for rule in rules.rules],
            outside=_Fixed(uncovered),
            uncertain=_Fixed(NO_RULE),
        )
        self.reads_path = True
        reads = (engine.reads_websocket for engine in engines.values())
        self.reads: frozenset[bytes] = frozenset({HOST}).union(*reads)
        self.reads_websocket: frozenset[bytes] = self.reads
        reads = (engine.reads_unless_options for engine in engines.values())
        self.reads_unless_options: frozenset[bytes] = frozenset({HOST}).union(*reads)

    def decide(
        self, method: str, path: str, fields: Mapping[bytes, bytes]
    ) -> Answer | Proceed | Uncovered:
        """Decide an HTTP request by the first rule that covers it; see `Engine.decide`."""
        decider = self._deciders.find(fields.get(HOST, b""), path)
        return decider.decide(method, path, fields)

    def decide_websocket(self, path: str, fields: Mapping[bytes, bytes]) -> Answer | None:
        """Decide a WebSocket handshake by the first rule that covers it; see `Engine`."""
        decider = self._deciders.find(fields.get(HOST, b""), path)
        return decider.decide_websocket(path, fields)


class _Fixed(Generic[Uncovered]):
    """Decides everything alike."""

    def __init__(self, decision: Uncovered) -> None:
        self._decision = decision

    def decide(self, method: str, path: str, fields: Mapping[bytes, bytes]) -> Uncovered:
        return self._decision

    def decide_websocket(self, path: str, fields: Mapping[bytes, bytes]) -> Uncovered:
        return self._decision


def uncovered_answer(source: Policy | RuleSet) -> Answer | None:
    """Return what middleware answers where no rule covers a URL; None lets the app answer."""
    return NO_RULE if isinstance(source, RuleSet) and source.refuses_uncovered else None


def compile_engine(
    source: Policy | RuleSet, uncovered: Uncovered
) -> Engine | RuleEngine[Uncovered]:
    """Return the engine of a policy or of rules; for `uncovered` see `RuleEngine`."""
    return Engine(source) if isinstance(source, Policy) else RuleEngine(source, uncovered)
