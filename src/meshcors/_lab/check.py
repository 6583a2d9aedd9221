"""``meshcors lab --check``: the calls of the page through the real Envoy, without a browser.

The documents are taken as they are given. Each call is sent as a browser sends it, and judged by
the browser model. A call that a rule is meant to serve, and that a browser blocks, is a failure.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from meshcors import browser
from meshcors._lab.envoy_config import check_bootstrap
from meshcors._lab.pod import LabPod
from meshcors._lab.policy import of_service, read_policy_text
from meshcors._lab.services import ModelService
from meshcors._lab.serving import LoopbackServers, ServingError
from meshcors._lab.settings import LOOPBACK, Address, LabError
from meshcors.testing._envoy_process import EnvoyError, EnvoyProcess
from meshcors.testing._fetch import Wire
from meshcors.testing._pod import PodError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors._lab.calls import LabCall
    from meshcors._lab.scene import Scene
    from meshcors.testing._fetch import PageCall


@dataclass(frozen=True, slots=True)
class CheckedCall:
    """A call of the lab, and what became of it."""

    call: LabCall
    made: PageCall

    @property
    def is_failure(self) -> bool:
        """Whether a rule is meant to serve it and a browser would block it."""
        return self.call.is_meant and not self.made.verdict.allowed

    @property
    def statuses(self) -> list[int | None]:
        """The status of each answer: the preflight's, if there was one, and the call's."""
        exchanges = [*([self.made.preflight] if self.made.preflight else []), *self.made.answers]
        return [each.response.status if each.response else None for each in exchanges]

    @property
    def line(self) -> str:
        """What is printed: no value of a header is in it."""
        call, verdict = self.call, self.made.verdict
        word = "FAIL" if self.is_failure else "ok" if call.is_meant else "info"
        path = call.target.partition("?")[0]
        said = "the page reads the answer" if verdict.allowed else f"blocked: {verdict.code}"
        statuses = " then ".join(
            "no answer" if each is None else str(each) for each in self.statuses
        )
        title = call.title.lower()
        where = f"{call.request.method} {call.host}{path} from {call.request.origin}"
        return f"{word:4} {call.rule}: {title}: {where}: {statuses}, {said}"

    def as_data(self) -> dict[str, Any]:
        """Return it as plain data."""
        call, verdict = self.call, self.made.verdict
        return {
            "rule": call.rule,
            "service": call.service,
            "call": call.title,
            "method": call.request.method,
            "host": call.host,
            "path": call.target.partition("?")[0],
            "origin": call.request.origin,
            "headers": [name for name, _ in call.request.headers],
            "credentials": call.request.credentials,
            "meant": call.is_meant,
            "statuses": self.statuses,
            "verdict": "allowed" if verdict.allowed else "blocked",
            "code": verdict.code,
            "step": "preflight" if verdict.step == "preflight" else "call",
            "messages": dict(verdict.messages),
            "failure": self.is_failure,
        }


def check(scene: Scene) -> Iterator[CheckedCall]:
    """Yield the calls of a scene, made through a real Envoy with the documents as given.

    Raises `LabError` if it does not start. Nothing is left running at the end.
    """
    scene.check()
    with ExitStack() as started:
        try:
            envoy = EnvoyProcess(check_bootstrap(scene, _upstreams(scene, started)))
        except (EnvoyError, PodError, ServingError) as error:
            raise LabError(str(error)) from None
        started.callback(envoy.stop)
        port = envoy.ports["before"]
        hosts = {(call.host.lower(), port): LOOPBACK for call in scene.calls}
        wire = started.enter_context(Wire(resolve=hosts, http2=False))
        for call in scene.calls:
            body = None if call.body is None else call.body.encode()
            yield CheckedCall(call, wire.fetch(_through(call, port), body))
            if envoy.has_ended:
                raise LabError("Envoy has ended")


def _through(call: LabCall, port: int) -> browser.Request:
    """Return the call to the port on which the gateway listens here."""
    return replace(call.request, url=f"http://{call.host}:{port}{call.target}")


def _upstreams(scene: Scene, started: ExitStack) -> dict[str, Address]:
    """Start what is behind the gateway, and return where it is."""
    found: dict[str, Address] = {}
    source = read_policy_text(scene.policy) if scene.policy else None
    servers = started.enter_context(LoopbackServers())
    for label in scene.services:
        real = scene.settings.real_service(label)
        if real is None:
            service = ModelService(label, pause=0)
            if source is not None and scene.has_middleware("before"):
                service.use(of_service(source, scene.before, scene.port, label))
            real = (LOOPBACK, servers.add(service))
        found[label] = real
    if scene.policy and scene.pods:
        pod = LabPod(scene.policy)
        started.callback(pod.stop)
        found |= dict.fromkeys(scene.pods, (LOOPBACK, pod.port))
    return found
