"""The rule that takes preflights: what it matches, what it allows, where it goes. Plain data."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from meshcors._policy.headers import SAFELISTED_METHODS, SAFELISTED_REQUEST_HEADERS
from meshcors._policy.policy import LARGEST_USEFUL_MAX_AGE
from meshcors.mesh._analysis.open_origins import is_open
from meshcors.mesh._analysis.useless_names import useless_header, useless_method
from meshcors.mesh._documents.problems import DocumentError, DocumentProblem, Place
from meshcors.mesh._documents.virtual_service import MESH
from meshcors.mesh._fix.nodes import child, plain
from meshcors.mesh._routing.cors_filter import REQUEST_METHOD

if TYPE_CHECKING:
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._analysis.origin_match import OriginMatch
    from meshcors.mesh._analysis.routed_call import RoutedCall
    from meshcors.mesh._documents.model import CorsPolicy, HttpRule, VirtualService

Responder: TypeAlias = Literal["pod", "mesh", "both"]

# The conditions that a preflight meets exactly when the call behind it does.
_SHARED: Final = (
    "uri", "ignoreUriCase", "authority", "scheme", "queryParams", "port", "gateways",
    "sourceLabels", "sourceNamespace",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FixOptions:
    """What is asked for: who answers preflights, where the pod is, which origins are meant."""

    way: Responder = "pod"
    pod: tuple[str, int] = ("meshcors-dummy", 8080)
    origins: tuple[OriginMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class Need:
    """A VirtualService some of whose calls a browser cannot make, and those calls."""

    service: VirtualService
    calls: tuple[RoutedCall, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The headers by which its services are picked."""
        return tuple(dict.fromkeys(name for each in self.calls for name in each.names))

    @property
    def policies(self) -> tuple[CorsPolicy, ...]:
        """What the rules of those calls allow; else what any rule of the document does."""
        rules = {id(each.route.source): each.route.source for each in self.calls}.values()
        own = tuple(rule.cors_policy for rule in rules if rule.cors_policy)
        return own or tuple(rule.cors_policy for rule in self.service.http if rule.cors_policy)


def needs(subject: MeshDocuments) -> list[Need]:
    """Return the VirtualServices that need a rule for preflights."""
    found: list[Need] = []
    for service in subject.documents:
        if service.kind != "VirtualService":
            continue
        has_policy = any(rule.cors_policy for rule in service.http)
        # browsers call gateways; a sidecar's rules matter where somebody thought of CORS
        if not has_policy and service.gateways == (MESH,):
            continue
        lost = tuple(
            call
            for call in subject.calls_of_document(service)
            if (call.is_misrouted if has_policy else call.is_unanswered) and _asks(call)
        )
        if lost:
            found.append(Need(service, lost))
    return found


def _asks(routed: RoutedCall) -> bool:
    """Tell whether a browser sends a preflight before this call."""
    return routed.route.is_forward and routed.has_preflight


def preflight_rule(need: Need, wish: FixOptions) -> dict[str, Any]:
    """Return the rule; ``DocumentError`` where it would have to guess which origins are meant."""
    names = {rule.name for rule in need.service.http}
    free = (f"preflight{number}" for number in ("", *(f"-{n}" for n in range(2, 10_000))))
    rule: dict[str, Any] = {"name": next(name for name in free if name not in names)}
    rule["match"] = _matches(need)
    if wish.way != "pod":
        rule["corsPolicy"] = cors_policy(need, wish)
    if wish.way == "mesh":
        first = _node(need.service, need.calls[0].route.source)
        rule["route"] = [{"destination": plain(child(first, "route", 0, "destination"))}]
    else:
        host, port = wish.pod
        rule["route"] = [{"destination": {"host": host, "port": {"number": port}}}]
    return rule


def cors_policy(need: Need, wish: FixOptions) -> dict[str, Any]:
    """Return the corsPolicy by which Envoy answers the preflights of these calls."""
    policies = need.policies
    methods = [method for policy in policies for method in policy.allow_methods]
    methods += [each.call.method for each in need.calls]
    headers = [name.lower() for policy in policies for name in policy.allow_headers]
    headers += [*([] if policies else ["content-type"]), *need.names]
    made: dict[str, Any] = {
        "allowOrigins": [{kind: value} for kind, value in _origins(need, wish)],
        "allowMethods": _union([name for name in methods if not useless_method(name)]),
        "allowHeaders": _union([name for name in headers if not useless_header(name)]),
    }
    if any(policy.allow_credentials for policy in policies):
        made["allowCredentials"] = True
    ages = [policy.max_age for policy in policies if policy.max_age is not None]
    if ages:
        made["maxAge"] = _duration(min(*ages, LARGEST_USEFUL_MAX_AGE))
    made["unmatchedPreflights"] = "IGNORE" if wish.way == "mesh" else "FORWARD"
    return {name: value for name, value in made.items() if value != []}


def pod_command(need: Need, wish: FixOptions) -> str:
    """Return the command line of a pod that answers the preflights of these calls."""
    allowed: dict[str, Any]
    try:
        allowed = cors_policy(need, wish)
    except DocumentError:
        allowed = {"allowOrigins": [{"exact": "ORIGIN"}], "allowHeaders": list(need.names)}
    words = ["python", "-m", "meshcors.dummy"]
    for match in allowed["allowOrigins"]:
        for kind, value in match.items():
            words += ["--allow-origin", f"regex:{value}" if kind == "regex" else value]
    for method in allowed.get("allowMethods", ()):
        words += ["--allow-method", method]
    key = need.names[0] if len(need.names) == 1 else None
    for name in allowed.get("allowHeaders", ()):
        if name not in {key, *SAFELISTED_REQUEST_HEADERS}:
            words += ["--allow-header", name]
    words += ["--key-header", key] if key else []
    words += ["--allow-credentials"] if allowed.get("allowCredentials") else []
    words += ["--max-age", allowed["maxAge"]] if "maxAge" in allowed else []
    return shlex.join(words)


def _origins(need: Need, wish: FixOptions) -> tuple[OriginMatch, ...]:
    """Return the origins that the calls' own rules allow; those of ``wish`` fill what is open."""
    sets = {_resolved(policy, wish): policy for policy in need.policies}
    if len(sets) == 1 and all(sets):
        return next(iter(sets))
    if wish.origins:
        return wish.origins
    if not sets or not all(sets):
        place = need.service.place_at("spec", "http")
        raise asking(place, "no corsPolicy says which pages may call")
    place = list(sets.values())[1].place
    raise asking(place, "rules of one URL allow different origins, and share one preflight")


def _resolved(policy: CorsPolicy, wish: FixOptions) -> tuple[OriginMatch, ...]:
    found: dict[OriginMatch, None] = {}
    for origin in policy.allow_origins:
        if policy.allow_credentials and is_open(origin):
            if not wish.origins:
                raise asking(origin.place, "* with credentials lets any site act as the user")
            found.update(dict.fromkeys(wish.origins))
        else:
            found[origin.kind, origin.value] = None
    return tuple(found)


def asking(place: Place, message: str) -> DocumentError:
    """Return the refusal that asks for origins."""
    hint = "say which pages may call: --allow-origin https://ui.example"
    return DocumentError([DocumentProblem(place, "origins_needed", "", message, hint)])


def _duration(seconds: int) -> str:
    for unit, length in (("h", 3600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _union(names: list[str]) -> list[str]:
    if "*" in names:
        return ["*"]
    return [name for name in dict.fromkeys(names) if name not in SAFELISTED_METHODS]


def _matches(need: Need) -> list[dict[str, Any]]:
    """Return the match entries: all that a preflight shares with the calls, nothing else."""
    numbers = {
        (id(rule), match.place): (at, number)
        for at, rule in enumerate(need.service.http)
        for number, match in reversed(list(enumerate(rule.match)))
    }
    found: dict[str, dict[str, Any]] = {}
    for call in need.calls:
        at, number = numbers.get((id(call.route.source), call.route.place), (None, 0))
        node = None if at is None else child(need.service.node, "spec", "http", at, "match", number)
        written = {name: child(node, name) for name in _SHARED}
        shared = {name: plain(value) for name, value in written.items() if value is not None}
        shared = {name: value for name, value in shared.items() if value}
        if not shared:
            return [_entry({})]
        found.setdefault(json.dumps(shared, sort_keys=True), _entry(shared))
    return list(found.values())


def _entry(shared: dict[str, Any]) -> dict[str, Any]:
    return {**shared, "method": {"exact": "OPTIONS"}, "headers": {REQUEST_METHOD: {}}}


def _node(service: VirtualService, rule: HttpRule) -> Any:
    at = next(number for number, each in enumerate(service.http) if each is rule)
    return child(service.node, "spec", "http", at)
