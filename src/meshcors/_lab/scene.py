"""What the documents become in the lab: two gateways, the pod's policy, services, the page's calls.

Pure. ``before`` are the documents as they are given, ``after`` as ``meshcors fix --with pod``
writes them. All of one generation is made at once, and nothing of it changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from meshcors._lab.calls import (
    CallWishes,
    LabCall,
    MadeCalls,
    calls_of,
    named_origins,
    service_of,
    stranger_among,
)
from meshcors._lab.case import CASE_ORIGIN
from meshcors._lab.fixed import FixedDocuments, fixed_documents
from meshcors._lab.notes import about_middleware, left_out, unguarded
from meshcors._lab.policy import as_text, exact_origins, read_policy_text
from meshcors._lab.settings import LabError, LabSettings
from meshcors._policy.web_ports import WEB_PORTS
from meshcors._policy.wording import did_you_mean
from meshcors.mesh import DocumentError, Gateway
from meshcors.mesh._analysis.origin_match import origin_match
from meshcors.mesh._fix.known_services import Services

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors._lab.settings import SideName
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments

# How many rules have calls on the page, and how many destinations get a service.
MOST_RULES: Final = 12
MOST_SERVICES: Final = 1000


@dataclass(frozen=True, slots=True)
class Scene:
    """One generation of the lab.

    ``port`` is the gateway's port whose rules run. ``policy`` is the text of the pod's, empty if
    nothing leads to a pod. ``services`` are the destinations (``host:port``) of either side but the
    pod's. ``notes`` are sentences for people, and ``change`` says what is different ``after``.
    """

    settings: LabSettings
    before: Gateway
    after: Gateway
    port: int
    origin: str
    stranger: str
    policy: str
    services: tuple[str, ...]
    calls: tuple[LabCall, ...]
    change: str
    notes: tuple[str, ...]

    def gateway(self, side: SideName) -> Gateway:
        """Return the gateway of a side."""
        return self.before if side == "before" else self.after

    def check(self) -> None:
        """Raise `LabError` for a real service that nothing leads to, and as `check_size`."""
        known = {name for label in self.services for name in (label, label.rpartition(":")[0])}
        for name in self.settings.services:
            if name not in known:
                hint = did_you_mean(name, known)
                raise LabError(f"--service {name}: no rule leads there: {hint}")
        self.check_size()

    def check_size(self) -> None:
        """Raise `LabError` if there are too many destinations."""
        if len(self.services) > MOST_SERVICES:
            raise LabError(f"more than {MOST_SERVICES} destinations: pass fewer documents")

    @property
    def pods(self) -> frozenset[str]:
        """The destinations (``host:port``) of either side that are the pod."""
        sides = (self.before, self.after)
        return frozenset(each for side in sides for each in pods_of(side, self.port, self.settings))

    def has_middleware(self, side: SideName) -> bool:
        """Tell whether the model services of a side run the middleware: if its rules have a pod.

        The pod answers preflights for services that allow the same themselves.
        """
        return any(pods_of(self.gateway(side), self.port, self.settings))

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins that calls are made from, the page's first and the stranger's second."""
        others = (call.request.origin for call in self.calls)
        return tuple(dict.fromkeys((self.origin, self.stranger, *others)))


def scene_of(
    mesh: MeshDocuments,
    settings: LabSettings,
    *,
    checking: bool = False,
) -> Scene:
    """Return what the documents become.

    For ``--check``, every rule has calls, and ``after`` is the same as ``before``.

    Raises `DocumentError` if there is no gateway in them, and `LabError` for what an Envoy runs.
    """
    if mesh.problems and not mesh.merged:
        raise DocumentError(mesh.problems)
    for document in mesh.documents:
        if document.kind == "RouteConfiguration":
            hint = "pass the VirtualServices and HTTPRoutes that it comes from"
            raise LabError(f"{document.place.file}: this is the configuration of an Envoy; {hint}")
    file = settings.file
    before = Gateway.of(mesh.documents, file=file, name=settings.gateway)
    port = _port_of(before)
    origin = settings.origin or _page_origin(before, port, settings)
    made = _made_calls(before, port, origin, settings, None if checking else MOST_RULES)
    fixed = (
        FixedDocuments(None, mesh, "", ()) if checking else fixed_documents(mesh, settings, origin)
    )
    after = Gateway.of(fixed.after.documents, file=file, name=before.name)
    policy, about_policy = _policy_text(fixed, settings, (before, after), port, origin)
    return Scene(
        settings,
        before,
        after,
        port,
        origin,
        stranger_among([*named_origins(before, port), origin]),
        policy,
        tuple(_destinations((before, after), port, settings)),
        made.calls,
        fixed.change,
        (
            *fixed.notes,
            *about_policy,
            *about_middleware(
                before=bool(policy) and any(pods_of(before, port, settings)),
                after=bool(policy) and any(pods_of(after, port, settings)),
            ),
            *left_out(made.rules_left_out, mesh),
            *unguarded(mesh),
        ),
    )


def _port_of(gateway: Gateway) -> int:
    """Return 443, unless there are rules for other ports alone."""
    ports = {match.port for each in gateway.documents for rule in each.http for match in rule.match}
    https, http = WEB_PORTS["https"], WEB_PORTS["http"]
    wanted = (https, http, *sorted(ports - {0}))
    return next((port for port in wanted if gateway.virtual_hosts(port)), https)


def _page_origin(gateway: Gateway, port: int, settings: LabSettings) -> str:
    """Return an origin that the documents allow, or else the pod's policy."""
    named = named_origins(gateway, port)
    if not named and settings.policy is not None:
        named = exact_origins(read_policy_text(settings.policy))
    return next(iter(named), CASE_ORIGIN)


def _made_calls(
    gateway: Gateway, port: int, origin: str, settings: LabSettings, most_rules: int | None
) -> MadeCalls:
    wishes = CallWishes(
        origin,
        settings.is_pod,
        lambda label: settings.real_service(label) is not None,
        most_rules,
    )
    return calls_of(gateway, port, wishes)


def _destinations(gateways: tuple[Gateway, ...], port: int, settings: LabSettings) -> list[str]:
    found = dict.fromkeys(
        f"{to.host}:{to.port or route.port}"
        for gateway in gateways
        for host in gateway.virtual_hosts(port)
        for route in host.routes
        for to in route.source.route
    )
    return [label for label in found if not settings.is_pod(label)]


def _policy_text(
    fixed: FixedDocuments,
    settings: LabSettings,
    gateways: tuple[Gateway, Gateway],
    port: int,
    origin: str,
) -> tuple[str, list[str]]:
    """Return the text of the pod's policy, and what there is to say about it."""
    before, after = gateways
    pod = next(pods_of(after, port, settings), None)
    if pod is None:
        return "", []
    if settings.policy is not None:
        return settings.policy, []
    data = fixed.result.pod if fixed.result else None
    if data is not None and not any(pods_of(before, port, settings)):
        return as_text(data), []
    # What fix gives covers only the calls that it repairs, not those that a pod serves already.
    services = Services(fixed.after, settings.pod, None)
    data = services.pod_policy(pod)
    said = f"the documents do not say which policy the pod has ({pod})"
    if data is None and (data := services.pod_policy(pod, (origin_match(origin),))):
        return as_text(data), [f"{said}: the lab's allows {origin}; --config POLICY names another"]
    if data is None:
        return "", [f"{said}: no pod runs; name it with --config POLICY"]
    return as_text(data), []


def pods_of(gateway: Gateway, port: int, settings: LabSettings) -> Iterator[str]:
    """Yield the destination (``host:port``) of each rule that leads to the pod."""
    for host in gateway.virtual_hosts(port):
        for route in host.routes:
            if route.source.route and settings.is_pod(service_of(route)):
                yield service_of(route)
