"""A running lab: Envoy, the pod, the model services and the page server, and what they serve.

Each state of the documents is a generation: it is made as a whole, and replaces the last one only
once Envoy runs it. Documents that cannot be used change nothing; the page says why.
"""

from __future__ import annotations

import secrets
import threading
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from meshcors._lab.case import case_text
from meshcors._lab.envoy_config import Upstreams, lab_bootstrap
from meshcors._lab.names import LocalOrigins, local_host
from meshcors._lab.page_server import LabPages
from meshcors._lab.pod import LabPod
from meshcors._lab.policy import of_service, read_policy_text
from meshcors._lab.scene import Scene, scene_of
from meshcors._lab.services import ModelService
from meshcors._lab.serving import LoopbackServers, ServingError
from meshcors._lab.settings import LOOPBACK, SIDES, Address, LabError, SideName
from meshcors._lab.story import SideStory
from meshcors._lab.traffic import Traffic
from meshcors._policy.errors import PolicyError
from meshcors.mesh import DocumentError
from meshcors.testing._envoy_process import EnvoyError, EnvoyProcess
from meshcors.testing._pod import PodError

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshcors._lab.calls import LabCall
    from meshcors._lab.policy import PolicySource
    from meshcors._lab.settings import LabSettings
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments

_TITLES: Final[dict[SideName, str]] = {"before": "Before", "after": "After"}
_AS_GIVEN: Final = "The documents as they are; their TLS is left out."
_ACCESS_LOG: Final = "traffic.log"


@dataclass(frozen=True, slots=True)
class Generation:
    """One state of the documents, as it is served. ``policy`` is the text that the pod has."""

    number: int
    scene: Scene
    origins: LocalOrigins
    policy: str
    error: str | None = None

    @property
    def source(self) -> PolicySource | None:
        """The policy, None if no pod runs."""
        return read_policy_text(self.policy) if self.policy else None

    def call(self, name: str) -> LabCall | None:
        """Return a call by its id."""
        return next((each for each in self.scene.calls if each.id == name), None)


class RunningLab:
    """The lab of some documents, from start to `close`.

    ``files`` are the names that the page shows; ``ports`` are those of the listeners ``before`` and
    ``after``, and ``page_port`` the page's, 0 for a free one. ``say`` gets what is started.

    Raises `DocumentError`, `PolicyError` and `LabError`; then nothing is left running.
    """

    def __init__(
        self,
        mesh: MeshDocuments,
        settings: LabSettings,
        *,
        files: tuple[str, ...],
        ports: dict[str, int],
        page_port: int,
        say: Callable[[str], None],
    ) -> None:
        self._files, self._say, self._token = files, say, secrets.token_urlsafe(16)
        self._changed = threading.Condition()
        # What starts and replaces processes; only one thread at a time.
        self._work = threading.RLock()
        # each with its port
        self._services: dict[tuple[SideName, str], tuple[ModelService, int]] = {}
        self._pod: LabPod | None = None
        self._envoy: EnvoyProcess | None = None
        self._traffic: Traffic | None = None
        self._started = ExitStack()
        try:
            self._start(mesh, settings, ports, page_port)
        except BaseException:
            self._started.close()
            raise

    def _start(
        self, mesh: MeshDocuments, settings: LabSettings, ports: dict[str, int], page_port: int
    ) -> None:
        scene = scene_of(mesh, settings)
        scene.check()
        # The page stays where it is, whatever the documents say later.
        self._settings = replace(settings, origin=scene.origin)
        self._servers = self._started.enter_context(LoopbackServers())
        try:
            self._page_port = self._servers.add(LabPages(self, self._token), page_port)
        except ServingError as error:
            raise LabError(f"--page-port: {error}; name another") from None
        origins = LocalOrigins.of(scene.origins, self._page_port)
        self._page_address = origins.by_real[scene.origin]
        self._now = Generation(1, scene, origins, scene.policy)
        self._start_pod(scene.policy)
        count = len(scene.services)
        self._say(f"{count} service{'' if count == 1 else 's'}")
        try:
            config = self._config(scene, origins)
            self._say("Envoy")
            self._envoy = EnvoyProcess(config, ports=ports)
        except (EnvoyError, ServingError) as error:
            raise LabError(str(error)) from None
        self._started.callback(self._envoy.stop)
        self._traffic = Traffic(self._envoy.home / _ACCESS_LOG)

    def close(self) -> None:
        """End everything that was started."""
        self._started.close()

    def ended(self) -> str:
        """Return what has ended by itself, in one line; empty while all of it runs.

        To be called again and again: it also keeps Envoy's access log short.
        """
        with self._work:
            if self._traffic is not None:
                self._traffic.read()
            if self._envoy is not None and self._envoy.has_ended:
                try:
                    self._envoy.check()
                except EnvoyError as error:
                    return str(error)
            if self._pod is not None and self._pod.has_ended:
                return f"the pod has ended: {self._pod.last_words}"
        return ""

    def use(self, mesh: MeshDocuments) -> None:
        """Serve other documents from now on; if that fails, the last ones, and the page says so."""
        with self._work:
            try:
                self._replace(mesh)
            except (DocumentError, PolicyError) as error:
                self._note(str(error.problems[0]))
            except (EnvoyError, LabError, PodError, ServingError, OSError) as error:
                self._note(str(error))

    def refuse(self, reason: str) -> None:
        """Say on the page why the files cannot be read; the last documents are served."""
        with self._work:
            if self._now.error != reason:
                self._note(reason)

    @property
    def page_address(self) -> str:
        """The page's origin."""
        return self._page_address

    @property
    def page_url(self) -> str:
        """What to open in a browser. It has a token, for the user who started the lab alone."""
        return f"{self._page_address}/{self._token}/"

    @property
    def bases(self) -> dict[SideName, str]:
        """The address of each side's gateway, under the host of the first call."""
        call = next(iter(self._now.scene.calls), None)
        host = (local_host(call.host) if call else None) or "localhost"
        return {side: f"http://{host}:{self._port(side)}" for side in SIDES}

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to say about the documents."""
        return self._now.scene.notes

    def state(self) -> dict[str, Any]:
        """Return what the page shows."""
        now = self._now
        scene, bases = now.scene, self.bases
        stranger = {"origin": scene.stranger, "address": now.origins.by_real[scene.stranger]}
        notes = {"before": _AS_GIVEN, "after": scene.change}
        return {
            "files": list(self._files),
            "example": "" if self._files else case_text(),
            "generation": now.number,
            "error": now.error,
            "page": {"origin": scene.origin, "address": self._page_address},
            "stranger": stranger,
            "sides": {
                side: {
                    "title": _TITLES[side],
                    "base": bases[side],
                    "port": self._port(side),
                    "note": notes[side],
                }
                for side in SIDES
            },
            "calls": [self._call(now, each) for each in scene.calls if local_host(each.host)],
            "policy": now.policy,
            "notes": list(scene.notes),
        }

    def _call(self, now: Generation, call: LabCall) -> dict[str, Any]:
        origin = call.request.origin
        kind = {now.scene.origin: "page", now.scene.stranger: "stranger"}.get(origin, "other")
        return {
            "id": call.id,
            "title": call.title,
            "method": call.request.method,
            "path": call.target,
            "host": local_host(call.host),
            "headers": dict(call.request.headers),
            "credentials": call.request.credentials,
            "body": call.body,
            "stream": call.wish == "stream",
            "from": kind,
            "origin": origin,
            "frame": None if kind == "page" else now.origins.by_real[origin],
            "rule": call.rule,
            "service": call.service,
            "key": list(call.keys),
            "meant": call.is_meant,
        }

    def explain(self, side: str, call: str, policy: str | None) -> dict[str, Any]:
        """Return what the models say of a call; with a policy, what they would say with that."""
        now = self._now
        found = now.call(call)
        name: SideName = "before" if side == "before" else "after"
        if found is None or side not in SIDES:
            return {"error": "there is no such call: the documents have changed"}
        try:
            source = now.source if policy is None else read_policy_text(policy)
        except PolicyError as error:
            return {"error": str(error.problems[0])}
        return SideStory(now.scene, name, source).explain(found)

    def traffic(self, wanted: str) -> list[dict[str, Any]]:
        """Return what the gateway saw of the requests with an id."""
        return [] if self._traffic is None else self._traffic.of(wanted)

    def set_policy(self, text: str) -> str | None:
        """Give the pod and the services a policy; return why it is refused, None if it is not."""
        with self._work:
            try:
                read_policy_text(text)
                if self._pod is None:
                    return "no pod runs: nothing in the documents routes to one"
                self._pod.load(text)
            except PolicyError as error:
                return str(error.problems[0])
            except PodError as error:
                return str(error)
            self._now = replace(self._now, policy=text)
            self._give_policy(self._now.scene)
            return None

    def generation_after(self, known: int, timeout: float) -> int:
        """Wait for another generation than the known one; return the newest."""
        with self._changed:
            self._changed.wait_for(lambda: self._now.number != known, timeout)
            return self._now.number

    def _port(self, side: SideName) -> int:
        return 0 if self._envoy is None else self._envoy.ports[side]

    def _note(self, error: str) -> None:
        self._become(replace(self._now, number=self._now.number + 1, error=error))

    def _become(self, generation: Generation) -> None:
        with self._changed:
            self._now = generation
            self._changed.notify_all()

    def _replace(self, mesh: MeshDocuments) -> None:
        scene = scene_of(mesh, self._settings)
        last = self._now
        # A policy that was edited on the page stays, unless the documents ask for another one.
        policy = last.policy if scene.policy == last.scene.policy else scene.policy
        origins = LocalOrigins.of(scene.origins, self._page_port)
        if policy and self._pod is None:
            self._start_pod(policy)
        elif policy != last.policy and self._pod is not None and policy:
            self._pod.load(policy)
        new = Generation(last.number + 1, scene, origins, policy)
        config = self._config(scene, origins)
        if self._envoy is not None:
            self._envoy.replace(config)
            self._traffic = Traffic(self._envoy.home / _ACCESS_LOG)
        self._become(new)
        self._give_policy(scene)
        self._close_services(frozenset(scene.services))

    def _config(self, scene: Scene, origins: LocalOrigins) -> dict[str, Any]:
        """Return Envoy's configuration, with a service running for each destination."""
        upstreams: dict[SideName, dict[str, Address]] = {side: {} for side in SIDES}
        scene.check_size()
        for side in SIDES:
            for label in scene.services:
                real = scene.settings.real_service(label)
                upstreams[side][label] = real or (LOOPBACK, self._service(side, label))
            for label in scene.pods:
                if self._pod is not None:
                    upstreams[side][label] = (LOOPBACK, self._pod.port)
        self._give_policy(scene)
        return lab_bootstrap(scene, Upstreams(**upstreams), origins, _ACCESS_LOG)

    def _service(self, side: SideName, label: str) -> int:
        """Return the port of a model service, which is started if it is not there."""
        if (side, label) not in self._services:
            service = ModelService(label)
            self._services[side, label] = service, self._servers.add(service)
        return self._services[side, label][1]

    def _give_policy(self, scene: Scene) -> None:
        """Give each model service the policy that it runs with."""
        source = self._now.source
        for (side, label), (service, _) in self._services.items():
            if source is None or not scene.has_middleware(side):
                service.use(None)
            else:
                service.use(of_service(source, scene.gateway(side), scene.port, label))

    def _start_pod(self, policy: str) -> None:
        if not policy:
            return
        self._say("the pod")
        try:
            self._pod = LabPod(policy)
        except PodError as error:
            raise LabError(str(error)) from None
        self._started.callback(self._pod.stop)

    def _close_services(self, keep: frozenset[str]) -> None:
        left = [each for each in self._services if each[1] not in keep]
        self._servers.remove([self._services.pop(each)[1] for each in left])
