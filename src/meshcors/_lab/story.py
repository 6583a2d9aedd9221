"""What the models say of a call on one side: sent, received, verdict, and the way as steps.

Pure. It is computed from the documents and the policy alone, so the page can hold it beside what
the browser and the gateway really did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from meshcors import browser
from meshcors._lab.policy import of_service
from meshcors._lab.scene import Scene
from meshcors._lab.sequence import SequenceStep, draw
from meshcors._lab.settings import SideName
from meshcors.mesh._analysis.page_call import trace_call
from meshcors.mesh._fix.known_services import decider_of_source, simulated
from meshcors.testing._story import cause_of_answers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshcors._decision.simulation import Decider
    from meshcors._lab.calls import LabCall
    from meshcors._lab.policy import PolicySource
    from meshcors._lab.sequence import StepKind
    from meshcors.mesh._analysis.page_call import Outcome, TracedCall, TracedExchange
    from meshcors.mesh._routing.gateway import GatewayAnswer

_BROWSER: Final = "browser"
_GATEWAY: Final = "gateway"
_POD: Final = "pod"
_KINDS: Final[Mapping[Outcome, StepKind]] = {"allowed": "ok", "blocked": "fault", "depends": "note"}
# The status by which a simulation says that the app answers.
_ITS_OWN: Final = 200
# As many rules that do not match are drawn one by one.
_DRAWN_RULES: Final = 3


class SideStory:
    """What the models know of one side, with a policy; None if no pod runs."""

    def __init__(self, scene: Scene, side: SideName, policy: PolicySource | None) -> None:
        self._scene, self._policy = scene, policy
        self._side: SideName = side
        self._pod = None if policy is None else decider_of_source(policy)
        self._models: dict[str, Decider] = {}

    def trace(self, call: LabCall) -> TracedCall:
        """Follow a call through the models of the gateway, the services and the browser."""
        gateway = self._scene.gateway(self._side)
        return trace_call(
            gateway,
            call.request,
            lambda answer: self._response(call, answer),
            port=self._scene.port,
        )

    def explain(self, call: LabCall) -> dict[str, Any]:
        """Return what `trace` finds, as plain data, with a picture."""
        traced = self.trace(call)
        sent = [
            each
            for each in traced.exchanges
            if each.step == "preflight" or traced.preflight is None
            or traced.preflight.outcome != "blocked"
        ]  # fmt: skip
        decisive = traced.decisive
        steps = list(self._steps(call, traced, sent))
        return {
            "sent": [
                {
                    "step": _step(each),
                    "method": each.sent.method,
                    "headers": [list(line) for line in each.sent.headers],
                }
                for each in sent
            ],
            "received": [self._received(call, each) for each in sent],
            "verdict": {
                "outcome": traced.outcome,
                "allowed": traced.outcome == "allowed",
                "code": decisive.verdict.code,
                "step": _step(decisive),
                "messages": dict(decisive.verdict.messages),
            },
            "why": self._why(traced),
            "steps": [
                {"from": each.sender, "to": each.receiver, "text": each.text, "kind": each.kind}
                for each in steps
            ],
            "svg": draw(steps, title=f"{call.title}, {self._side}", name=self._side),
        }

    def _why(self, traced: TracedCall) -> str:
        """Return why the call does not get to its service, or not back; empty if it does."""
        gateway, settings = self._scene.gateway(self._side), self._scene.settings
        cause = cause_of_answers(
            traced, gateway, lambda answer: settings.is_pod(answer.destination or "")
        )
        return cause.text if cause else ""

    def _received(self, call: LabCall, exchange: TracedExchange) -> dict[str, Any]:
        answer = exchange.answer
        if answer.kind == "forward":
            response = self._response(call, answer)
            status = None if response is None else response.status
            own = () if response is None else response.headers
            headers = answer.response_headers(own) if response is not None else []
        else:
            status, headers = answer.status, list(answer.headers)
        shown = [list(line) for line in headers]
        return {"step": _step(exchange), "status": status, "headers": shown}

    def _response(self, call: LabCall, answer: GatewayAnswer) -> browser.Response | None:
        """Return what a service answers; None if that is not known."""
        label = answer.destination or ""
        settings = self._scene.settings
        if settings.real_service(label) is not None:
            return None
        if settings.is_pod(label):
            return self._pod_response(answer)
        status = 500 if call.wish == "500" else 200
        if self._policy is None or not self._scene.has_middleware(self._side):
            return browser.Response(status)
        decided = simulated(self._model(label, self._policy), answer)
        is_own = decided.status == _ITS_OWN
        return browser.Response(status if is_own else decided.status, decided.headers)

    def _pod_response(self, answer: GatewayAnswer) -> browser.Response:
        if self._pod is None:
            return browser.Response(503)  # Envoy's, where nothing listens
        decided = simulated(self._pod, answer)
        # a request that no rule took
        status = 404 if decided.status == _ITS_OWN else decided.status
        return browser.Response(status, decided.headers)

    def _model(self, label: str, policy: PolicySource) -> Decider:
        if label not in self._models:
            gateway, port = self._scene.gateway(self._side), self._scene.port
            own = of_service(policy, gateway, port, label)
            self._models[label] = decider_of_source(own, with_key_values=True)
        return self._models[label]

    def _steps(
        self, call: LabCall, traced: TracedCall, sent: list[TracedExchange]
    ) -> Iterator[SequenceStep]:
        for exchange in sent:
            yield from self._exchange_steps(call, exchange)
        if len(sent) < len(traced.exchanges):
            text = f"{traced.call.method} is never sent"
            yield SequenceStep(_BROWSER, _BROWSER, text, "fault")

    def _exchange_steps(self, call: LabCall, exchange: TracedExchange) -> Iterator[SequenceStep]:
        answer, request = exchange.answer, exchange.sent
        path = request.path.partition("?")[0]
        what = "preflight: " if exchange.step == "preflight" else ""
        names = request.value("access-control-request-headers")
        names = f", asks for {names}" if names else ""
        yield SequenceStep(_BROWSER, _GATEWAY, f"{what}{request.method} {path}{names}", "note")
        yield from _tried(exchange)
        if answer.kind == "forward":
            label = answer.destination or ""
            there = _POD if self._scene.settings.is_pod(label) else _actor(label)
            yield SequenceStep(_GATEWAY, there, f"rule {answer.rule}", "note")
            response = self._response(call, answer)
            said = "its answer is not known" if response is None else str(response.status)
            yield SequenceStep(there, _GATEWAY, said, "note")
        yield SequenceStep(_GATEWAY, _BROWSER, _answer_text(exchange), _KINDS[exchange.outcome])


def _tried(exchange: TracedExchange) -> Iterator[SequenceStep]:
    failed = [tried for tried in exchange.answer.trail if not tried.matched]
    for tried in failed[:_DRAWN_RULES]:
        reason = next(iter(tried.mismatches), None)
        why = f": {reason.field} {_lacks(reason.actual)}" if reason else ""
        yield SequenceStep(_GATEWAY, _GATEWAY, f"not {tried.rule}{why}", "note")
    if len(failed) > _DRAWN_RULES:
        more = len(failed) - _DRAWN_RULES
        text = f"nor {more} more rule{'s' if more > 1 else ''}"
        yield SequenceStep(_GATEWAY, _GATEWAY, text, "note")
    if exchange.answer.kind == "no_route":
        yield SequenceStep(_GATEWAY, _GATEWAY, "no rule matches", "fault")


def _lacks(actual: tuple[str, ...]) -> str:
    return "is another" if actual else "is absent"


def _actor(label: str) -> str:
    """Return the name of a service without its port, unless another actor has it."""
    name = label.partition(":")[0]
    return label if name in (_BROWSER, _GATEWAY, _POD) else name


def _answer_text(exchange: TracedExchange) -> str:
    answer, verdict = exchange.answer, exchange.verdict
    status = f"{answer.status}, " if answer.kind != "forward" and answer.status else ""
    if exchange.outcome == "allowed":
        return f"{status}the browser accepts it"
    if exchange.outcome == "depends":
        return f"{status}it depends on the service"
    return f"{status}the browser blocks it: {verdict.code}"


def _step(exchange: TracedExchange) -> str:
    return "preflight" if exchange.step == "preflight" else "call"
