"""Objects that stand in front of routes, and what they do with a request.

Istio puts ext_authz, JWT and RBAC filters before the cors filter: their denials have no CORS
headers. AuthorizationPolicies, RequestAuthentications and EnvoyFilters that add ext_authz are
judged here for one request; whether the caller is one that they let in is not known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from meshcors.mesh._analysis.authorization import AuthorizedRequest, action_of, matches
from meshcors.mesh._analysis.guarded_workloads import (
    applies_to_gateway,
    applies_to_service,
    namespace_of,
    service_of,
)
from meshcors.mesh._analysis.unmodelled_cors import cors_doubts
from meshcors.mesh._analysis.untyped_objects import (
    group_and_kind,
    items_of,
    text_of,
    value_at,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshcors._policy.place import Place
    from meshcors.mesh._analysis.authorization import Holds
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._documents.cursor import Cursor
    from meshcors.mesh._routing.doubts import Doubt
    from meshcors.mesh._routing.gateway import Gateway, GatewayAnswer
    from meshcors.mesh._routing.request import GatewayRequest

GuardEffect: TypeAlias = Literal["denies", "may_deny", "passes"]

_SECURITY: Final = "security.istio.io"
_EXT_AUTHZ: Final = "ext_authz"


@dataclass(frozen=True, slots=True)
class GuardVerdict:
    """What one object does with a request; ``reason`` is the rest of a sentence about it.

    ``action`` is that of an AuthorizationPolicy. ``at`` is the service in front of which it stands,
    empty for the gateway.
    """

    kind: str
    name: str
    action: str
    place: Place
    effect: GuardEffect
    reason: str
    at: str = ""


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


@dataclass(frozen=True)
class Guards:
    """What stands in front of a gateway and of the services behind it."""

    mesh: MeshDocuments
    gateway: Gateway

    def verdicts(self, answer: GatewayAnswer) -> tuple[GuardVerdict, ...]:
        """Return what each object does with the request of an answer.

        Those of the service are named only if they may deny it: whether there is a sidecar or a
        waypoint that enforces them is not known.
        """
        found = guard_verdicts(self._of_gateway, answer.request)
        service = service_of(answer)
        if not service:
            return found
        behind = [each for each in self.mesh.others if applies_to_service(each, service)]
        guards = [guard for each in behind for guard in _guards(each, "maybe")]
        # what denies at the gateway is in front of the service too
        seen = {each.place for each in found}
        return found + tuple(
            replace(each, at=service)
            for each in guard_verdicts(guards, answer.request)
            if each.effect != "passes" and each.place not in seen
        )

    def doubts(self, answer: GatewayAnswer) -> tuple[Doubt, ...]:
        """Return what else applies CORS to a request, and is not modelled."""
        return tuple(cors_doubts(self.mesh, answer, self.gateway.name))

    @cached_property
    def _of_gateway(self) -> tuple[Guard, ...]:
        return tuple(
            guard
            for each in self.mesh.others
            for guard in _guards(each, applies_to_gateway(each, self.mesh, self.gateway))
        )


def _guards(other: Cursor, applies: Holds) -> Iterator[Guard]:
    """Yield what an object checks, if it applies and is of a kind that checks anything."""
    group, kind = group_and_kind(other)
    if applies == "never" or is_dry_run(other):
        return
    spec = value_at(other, "spec")
    name = f"{namespace_of(other)}/{text_of(value_at(other, 'metadata', 'name'))}"
    certain = applies == "always"
    if (group, kind) == (_SECURITY, "AuthorizationPolicy"):
        if (action := action_of(spec)) != "AUDIT":
            yield Guard(kind, name, action, spec or other, certain)
    elif (group, kind) == (_SECURITY, "RequestAuthentication"):
        if items_of(value_at(spec, "jwtRules")):
            yield Guard(kind, name, "JWT", spec or other, certain)
    elif kind == "EnvoyFilter":
        for patch in filter(adds_ext_authz, items_of(value_at(spec, "configPatches"))):
            yield Guard(kind, name, "EXT_AUTHZ", patch, certain)


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
            reason = f"{_asks_provider(asked)}{_SPARED if asked.is_preflight else ''}"
        if guard.action == "ALLOW" and effect != "passes" and allowed == "always":
            effect, reason = "passes", "another policy allows it"
        elif effect == "denies" and guard.action == "ALLOW" and allowed == "maybe":
            effect, reason = "may_deny", "none of its rules allows it, but another policy may"
    if effect == "denies" and not guard.is_certain:
        effect, reason = "may_deny", f"{reason}, if it applies here"
    return GuardVerdict(guard.kind, guard.name, guard.action, place, effect, reason)


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

_SPARED: Final = "; notMethods: [OPTIONS] in the operation of the rule keeps preflights from it"


def _asks_provider(asked: AuthorizedRequest) -> str:
    without = ", and a preflight carries no credentials" if asked.is_preflight else ""
    return f"its provider is asked{without}"


def is_dry_run(other: Cursor) -> bool:
    """Tell whether Istio only logs what a policy would do."""
    annotation = value_at(other, "metadata", "annotations", "istio.io/dry-run")
    return text_of(annotation) == "true"


def adds_ext_authz(patch: Cursor) -> bool:
    """Tell whether a patch adds ext_authz to a gateway."""
    if text_of(value_at(patch, "match", "context")).startswith("SIDECAR"):
        return False
    value = value_at(patch, "patch", "value")
    names = text_of(value_at(value, "name")), text_of(value_at(value, "typed_config", "@type"))
    return any(_EXT_AUTHZ in name for name in names)
