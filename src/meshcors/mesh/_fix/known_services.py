"""What the services behind the gateway answer: by a policy, or by the one that the pod would have.

The pod is recognised by the name of its service.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from meshcors import browser
from meshcors._policy.errors import PolicyError
from meshcors._policy.warning import PolicyWarning
from meshcors.mesh import DocumentError
from meshcors.mesh._analysis.lost_calls import LostCalls
from meshcors.mesh._analysis.sample_calls import HostCalls
from meshcors.mesh._fix.blocked_calls import BlockedCalls
from meshcors.mesh._fix.options import FixOptions
from meshcors.mesh._fix.pod_commands import serve_command
from meshcors.mesh._fix.pod_policy import pod_policy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshcors._decision.simulation import Decider
    from meshcors._policy.policy import Policy
    from meshcors._policy.rules import RuleSet
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._analysis.origin_match import OriginMatch
    from meshcors.mesh._documents.model import DocumentKey
    from meshcors.mesh._routing.gateway import GatewayAnswer

_Source: TypeAlias = "Policy | RuleSet"


@dataclass
class Services:
    """What is known of the services; ``assumed`` is what the pod is taken to run with, if it is.

    ``decider`` is that of ``--config``: with it, all of them are known.
    """

    mesh: MeshDocuments
    pod: tuple[str, int]
    decider: Decider | None
    assumed: str = field(default="", init=False)

    def answer(self, answer: GatewayAnswer) -> browser.Response | None:
        """Return what the service of a forwarded request answers, None if that is not known."""
        decider = self.decider
        if decider is None and self.is_pod(answer):
            decider = self._pod_decider(answer)
        return None if decider is None else simulated(decider, answer)

    def is_pod(self, answer: GatewayAnswer) -> bool:
        """Tell whether a request goes to the pod."""
        name, host = (answer.destination or "").rpartition(":")[0], self.pod[0]
        return name == host or name.startswith(f"{host}.")

    def _pod_decider(self, answer: GatewayAnswer) -> Decider | None:
        policy = self.pod_policy(answer.destination or "")
        source = None if policy is None else source_of(policy)
        if policy is None or source is None:
            return None
        self.assumed = serve_command(policy) or "a rule for each host"
        return decider_of_source(source)

    def pod_policy(
        self, pod: str, origins: tuple[OriginMatch, ...] = ()
    ) -> Mapping[str, Any] | None:
        """Return the policy of the pod that ``meshcors fix`` would start behind these rules.

        ``pod`` is the pod's ``host:port`` in them, and ``origins`` are allowed where the documents
        do not say which. None if nobody says.
        """
        sent_there: dict[DocumentKey, list[LostCalls]] = {}
        for each in self._sent_to(pod):
            sent_there.setdefault(each.calls.route.document.key, []).append(each)
        blocked = [
            BlockedCalls(calls[0].calls.route.document, tuple(calls))
            for calls in sent_there.values()
        ]
        if not blocked:
            return None
        try:
            return pod_policy(blocked, FixOptions("pod", self.pod, origins))
        except DocumentError:
            return None

    def _sent_to(self, pod: str) -> Iterator[LostCalls]:
        """Yield a call of every rule whose preflights go to ``pod``, and its calls do not."""
        for gateway, port, host in self.mesh.hosts:
            for calls in HostCalls(gateway, port, host.domain).of_rules():
                if self.is_pod(gateway.handle(calls.call)):
                    continue
                for asked in calls.requests[:1]:
                    answer = gateway.handle(calls.preflight(asked))
                    if answer.destination == pod:
                        yield LostCalls(calls, (asked,), answer)


def decider_of(config: str) -> Decider:
    """Return the decisions of the policy or rules in a file; raises `PolicyError`."""
    from meshcors.config._loading import load

    return decider_of_source(load({}, {}, config=config))


def decider_of_source(source: _Source, *, with_key_values: bool = False) -> Decider:
    """Return what the pod decides by a policy or rules; with key values, what a service does."""
    from meshcors._decision.rule_engine import NO_RULE, compile_engine

    return compile_engine(source if with_key_values else source.without_key_values(), NO_RULE)


def source_of(policy: Mapping[str, Any]) -> _Source | None:
    """Return a policy file's plain data as a pod reads it; None if it would refuse it."""
    from meshcors.config._fields import FieldPath
    from meshcors.config._policy_file import read_policy
    from meshcors.config._rule_file import read_rules

    where = FieldPath("pod")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PolicyWarning)
        try:
            if "rules" in policy:
                return read_rules([], [policy], where)
            return read_policy([], policy, where)
        except PolicyError:
            return None


def simulated(decider: Decider, answer: GatewayAnswer) -> browser.Response:
    """Return what a service answers to a forwarded request where a policy decides."""
    from meshcors._decision.simulation import simulate

    sent = answer.request
    path = sent.path.partition("?")[0]
    fields = [("host", sent.host), *sent.headers]
    status, headers, _ = simulate(decider, sent.method, path, fields)
    return browser.Response(status, headers)
