"""What the services behind the gateway answer: by a policy, or by the one that the pod would have.

The pod is recognised by the name of its service.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from meshcors import browser
from meshcors._policy.warning import PolicyWarning
from meshcors.mesh import DocumentError
from meshcors.mesh._analysis.lost_calls import LostCalls
from meshcors.mesh._analysis.sample_calls import sample_calls
from meshcors.mesh._fix.blocked_calls import BlockedCalls
from meshcors.mesh._fix.options import FixOptions
from meshcors.mesh._fix.pod_command import pod_command
from meshcors.mesh._fix.preflight_rule import preflight_policy
from meshcors.mesh._fix.rule_data import policy_data

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors._decision.engine import Engine
    from meshcors._policy.policy import Policy
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._routing.gateway import GatewayAnswer

_FORWARDING_FIELD: Final = "unmatchedPreflights"


@dataclass
class Services:
    """What is known of the services; ``assumed`` is the pod's command, once that was assumed.

    ``engine`` is the one of ``--config``: with it, all of them are known.
    """

    mesh: MeshDocuments
    pod: tuple[str, int]
    engine: Engine | None
    assumed: str = field(default="", init=False)

    def answer(self, answer: GatewayAnswer) -> browser.Response | None:
        """Return what the service of a forwarded request answers, None if that is not known."""
        engine = self.engine
        if engine is None and self.is_pod(answer):
            engine = self._pod_engine(answer)
        return None if engine is None else _simulated(engine, answer)

    def is_pod(self, answer: GatewayAnswer) -> bool:
        """Tell whether a request goes to the pod."""
        name, host = (answer.destination or "").rpartition(":")[0], self.pod[0]
        return name == host or name.startswith(f"{host}.")

    def _pod_engine(self, answer: GatewayAnswer) -> Engine | None:
        """Return the decisions of the pod that ``meshcors fix`` would start behind a rule.

        None if the documents do not say which origins it allows.
        """
        sent_there = tuple(self._sent_to(answer.destination or ""))
        if not sent_there:
            return None
        blocked = BlockedCalls(sent_there[0].calls.route.document, sent_there)
        options = FixOptions("pod", self.pod)
        try:
            allowed = policy_data(preflight_policy(blocked, options))
        except DocumentError:
            return None
        policy = _policy_of({k: v for k, v in allowed.items() if k != _FORWARDING_FIELD})
        if policy is None:
            return None
        self.assumed = pod_command(blocked, options)
        return _engine(policy)

    def _sent_to(self, pod: str) -> Iterator[LostCalls]:
        """Yield a call of every rule whose preflights go to ``pod``."""
        for gateway, port, host in self.mesh.hosts:
            for calls in sample_calls(gateway, port, host.domain):
                for asked in calls.requests[:1]:
                    answer = gateway.handle(calls.preflight(asked))
                    if answer.destination == pod:
                        yield LostCalls(calls, (asked,), answer)


def engine_of(config: str) -> Engine:
    """Return the decisions of the policy in a file; raises `PolicyError`."""
    from meshcors.config import from_file

    return _engine(from_file(config))


def _engine(policy: Policy) -> Engine:
    from meshcors._decision.engine import Engine

    return Engine(policy.without_key_values())


def _policy_of(allowed: dict[str, object]) -> Policy | None:
    """Return the policy that a corsPolicy stands for; None if a pod would refuse it."""
    from meshcors.config._fields import FieldPath
    from meshcors.config._rule_parts import policy_of_rule

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PolicyWarning)
        return policy_of_rule([], allowed, FieldPath("corsPolicy"))


def _simulated(engine: Engine, answer: GatewayAnswer) -> browser.Response:
    from meshcors._decision.simulation import simulate

    sent = answer.request
    path = sent.path.partition("?")[0]
    return browser.Response(*simulate(engine, sent.method, path, sent.headers))
