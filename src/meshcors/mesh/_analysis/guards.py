"""Objects that stand in front of routes, and what they do with a request.

Istio puts ext_authz, JWT and RBAC filters before the cors filter: their denials have no CORS
headers. AuthorizationPolicies, RequestAuthentications and EnvoyFilters that add ext_authz are
judged here for one request; whether the caller is one that they let in is not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from meshcors.mesh._analysis.authorization import AuthorizedRequest, action_of, matches
from meshcors.mesh._analysis.untyped_objects import (
    fields_of,
    group_and_kind,
    items_of,
    text_of,
    value_at,
)
from meshcors.mesh._documents.virtual_service import MESH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcors.mesh._analysis.authorization import Holds
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._documents.cursor import Cursor
    from meshcors.mesh._documents.problems import Place
    from meshcors.mesh._routing.gateway import Gateway
    from meshcors.mesh._routing.request import GatewayRequest

GuardEffect: TypeAlias = Literal["denies", "may_deny", "passes"]

_ROOT_NAMESPACE: Final = "istio-system"
_GATEWAY_NAME: Final = "gateway.networking.k8s.io/gateway-name"
_SECURITY: Final = "security.istio.io"
_EXT_AUTHZ: Final = "ext_authz"


@dataclass(frozen=True, slots=True)
class GuardVerdict:
    """What one object does with a request; ``reason`` is the rest of a sentence about it."""

    kind: str
    name: str
    place: Place
    effect: GuardEffect
    reason: str


@dataclass(frozen=True, slots=True)
class Guard:
    """An object in front of a gateway; ``is_certain`` unless it may be for another workload.

    ``part`` is what judges: the spec of a policy, the patch of an EnvoyFilter.
    """

    kind: str
    name: str
    action: str
    part: Cursor
    is_certain: bool


def guards_of(mesh: MeshDocuments, gateway: Gateway) -> tuple[Guard, ...]:
    """Return the objects that apply to a gateway, or may, in the order of the files."""
    found: list[Guard] = []
    for other in mesh.others:
        group, kind = group_and_kind(other)
        is_policy = group == _SECURITY and kind in {"AuthorizationPolicy", "RequestAuthentication"}
        if not is_policy and kind != "EnvoyFilter":
            continue
        applies = _applies(other, mesh, gateway)
        if applies == "never" or _is_dry_run(other):
            continue
        certain = applies == "always"
        spec = value_at(other, "spec")
        name = f"{_namespace(other)}/{text_of(value_at(other, 'metadata', 'name'))}"
        if kind == "AuthorizationPolicy":
            if (action := action_of(spec)) != "AUDIT":
                found.append(Guard(kind, name, action, spec or other, certain))
        elif kind == "RequestAuthentication":
            if items_of(value_at(spec, "jwtRules")):
                found.append(Guard(kind, name, "JWT", spec or other, certain))
        else:
            patches = filter(adds_ext_authz, items_of(value_at(spec, "configPatches")))
            found += [Guard(kind, name, "EXT_AUTHZ", patch, certain) for patch in patches]
    return tuple(found)


def guard_verdicts(guards: Iterable[Guard], request: GatewayRequest) -> tuple[GuardVerdict, ...]:
    """Return what each object does with ``request``."""
    guards = tuple(guards)
    asked = AuthorizedRequest.of(request)
    allowed = _allowed([each for each in guards if each.action == "ALLOW"], asked)
    return tuple(_verdict(guard, asked, allowed) for guard in guards)


def _allowed(policies: Iterable[Guard], asked: AuthorizedRequest) -> Holds:
    """Return whether a request gets past all ALLOW policies: one of them has to match it."""
    found = {(matches(each.part, asked)[0], each.is_certain) for each in policies}
    if ("always", True) in found:
        return "always"
    return "never" if all(matched == "never" for matched, _ in found) else "maybe"


def _verdict(guard: Guard, asked: AuthorizedRequest, allowed: Holds) -> GuardVerdict:
    place = guard.part.place
    effect: GuardEffect
    if guard.action == "JWT":
        # Istio asks for no token here, and lets preflights pass without looking for one
        effect = "passes" if asked.is_preflight else "may_deny"
        reason = "a token that it does not accept gets 401"
    elif guard.action == "EXT_AUTHZ":
        effect, reason = "may_deny", _asks_provider(asked)
    else:
        matched, rule = matches(guard.part, asked)
        if matched != "never" or guard.action == "ALLOW":
            place = rule.place
        effect, reason = _POLICY_VERDICTS[guard.action, matched]
        if guard.action == "CUSTOM" and effect == "may_deny":
            reason = _asks_provider(asked)
        if guard.action == "ALLOW" and effect != "passes" and allowed == "always":
            effect, reason = "passes", "another policy allows it"
        elif effect == "denies" and guard.action == "ALLOW" and allowed == "maybe":
            effect, reason = "may_deny", "none of its rules allows it, but another policy may"
    if effect == "denies" and not guard.is_certain:
        effect, reason = "may_deny", f"{reason}, if it applies to this gateway"
    return GuardVerdict(guard.kind, guard.name, place, effect, reason)


# By action, and whether a rule matches.
_POLICY_VERDICTS: Final[dict[tuple[str, Holds], tuple[GuardEffect, str]]] = {
    ("ALLOW", "always"): ("passes", "this rule allows it"),
    ("ALLOW", "maybe"): ("may_deny", "whether its rules allow it depends on the caller"),
    ("ALLOW", "never"): ("denies", "none of its rules allows it"),
    ("DENY", "always"): ("denies", "this rule matches it"),
    ("DENY", "maybe"): ("may_deny", "whether this rule matches it depends on the caller"),
    ("DENY", "never"): ("passes", "none of its rules matches it"),
    ("CUSTOM", "always"): ("may_deny", ""),
    ("CUSTOM", "maybe"): ("may_deny", ""),
    ("CUSTOM", "never"): ("passes", "none of its rules asks its provider"),
}


def _asks_provider(asked: AuthorizedRequest) -> str:
    without = ", and a preflight carries no credentials" if asked.is_preflight else ""
    return f"its provider is asked{without}"


def _applies(other: Cursor, mesh: MeshDocuments, gateway: Gateway) -> Holds:
    """Tell whether an object is for the pods of a gateway, as far as the files tell."""
    spec = value_at(other, "spec")
    targets = [value_at(spec, "targetRef"), *items_of(value_at(spec, "targetRefs"))]
    named = [target for target in targets if target]
    if named:
        names = [f"{_namespace(other)}/{text_of(value_at(target, 'name'))}" for target in named]
        kinds = [text_of(value_at(target, "kind")) for target in named]
        is_named = ("Gateway", gateway.name) in zip(kinds, names, strict=True)
        return "always" if is_named else "maybe" if "GatewayClass" in kinds else "never"
    labels = {
        name: text_of(value)
        for path in (("selector", "matchLabels"), ("workloadSelector", "labels"))
        for name, value in fields_of(value_at(spec, *path)).items()
    }
    if labels:
        return _selects(labels, mesh, gateway)
    namespace = _namespace(other)
    if namespace == _ROOT_NAMESPACE:
        return "always"
    if gateway.name == MESH or namespace != gateway.name.partition("/")[0]:
        return "never"
    # a Gateway may be in the namespace of its routes, far from the pods that it selects
    bound = [each for each in mesh.documents if gateway.name in each.gateways]
    return "maybe" if any(each.namespace == namespace for each in bound) else "always"


def _selects(labels: dict[str, str], mesh: MeshDocuments, gateway: Gateway) -> Holds:
    own_name = gateway.name.partition("/")[2]
    pods = {_GATEWAY_NAME: own_name} if _GATEWAY_NAME in labels else _selector(mesh, gateway)
    if pods:
        if any(pods.get(name, value) != value for name, value in labels.items()):
            return "never"
        return "always" if labels.keys() <= pods.keys() else "maybe"
    text = " ".join(f"{name}={value}" for name, value in labels.items())
    return "always" if "gateway" in text and "egress" not in text else "never"


def _selector(mesh: MeshDocuments, gateway: Gateway) -> dict[str, str]:
    """Return the labels that the Istio Gateway of this name selects its pods by, if it is given."""
    for other in mesh.others:
        if group_and_kind(other) == ("networking.istio.io", "Gateway"):
            name = f"{_namespace(other)}/{text_of(value_at(other, 'metadata', 'name'))}"
            if name == gateway.name:
                selector = fields_of(value_at(other, "spec", "selector"))
                return {label: text_of(value) for label, value in selector.items()}
    return {}


def _namespace(other: Cursor) -> str:
    return text_of(value_at(other, "metadata", "namespace")) or "default"


def _is_dry_run(other: Cursor) -> bool:
    annotation = value_at(other, "metadata", "annotations", "istio.io/dry-run")
    return text_of(annotation) == "true"


def adds_ext_authz(patch: Cursor) -> bool:
    """Tell whether a patch adds ext_authz to a gateway."""
    if text_of(value_at(patch, "match", "context")).startswith("SIDECAR"):
        return False
    value = value_at(patch, "patch", "value")
    names = text_of(value_at(value, "name")), text_of(value_at(value, "typed_config", "@type"))
    return any(_EXT_AUTHZ in name for name in names)
