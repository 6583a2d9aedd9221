"""The rules that take preflights: what they match, what they allow, where they go."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import chain, count
from typing import TYPE_CHECKING, Final

from meshcors._policy.headers import SAFELISTED_METHODS
from meshcors._policy.max_age import LARGEST_USEFUL_MAX_AGE
from meshcors.mesh._analysis.service_host import full_host
from meshcors.mesh._analysis.useless_names import useless_header, useless_method
from meshcors.mesh._documents.model import (
    CorsPolicy,
    Destination,
    HttpMatch,
    HttpRule,
    StringMatch,
)
from meshcors.mesh._fix.errors import cannot_fix
from meshcors.mesh._fix.narrowing import JSON, preflight_matches, url_conditions
from meshcors.mesh._fix.origins import allowed_origins, closed_origins
from meshcors.mesh._fix.rule_data import match_data
from meshcors.mesh._routing.cors_filter import REQUEST_METHOD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors._policy.place import Place
    from meshcors.mesh._analysis.lost_calls import LostCalls
    from meshcors.mesh._analysis.origin_match import OriginMatch
    from meshcors.mesh._documents.model import MatchKind, RuleKey, VirtualService
    from meshcors.mesh._fix.blocked_calls import BlockedCalls
    from meshcors.mesh._fix.narrowing import Narrowing
    from meshcors.mesh._fix.options import FixOptions

UNMATCHED: Final = "unmatched"
_EVERY_PREFLIGHT: Final = {"method": {"exact": "OPTIONS"}, "headers": {REQUEST_METHOD: {}}}


def preflight_rules(
    blocked: BlockedCalls, options: FixOptions, narrowing: Narrowing
) -> list[tuple[BlockedCalls, HttpRule]]:
    """Return the rules, each with the calls that it is for.

    ``DocumentError`` if it is unclear which origins to allow.
    """
    service = blocked.service
    free = free_names(service, "preflight")
    parts = blocked.by_policy() if narrowing.apart else [blocked]
    return [(part, _rule(part, options, narrowing, next(free))) for part in parts]


def unmatched_rule(service: VirtualService, options: FixOptions) -> HttpRule:
    """Return the last rule, which takes to the pod what no other rule takes."""
    name = next(free_names(service, UNMATCHED))
    place = service.place
    # A VirtualService says the same by no match at all.
    anything = HttpMatch(place, uri=StringMatch("prefix", "/", place))
    match = (anything,) if service.kind == "HTTPRoute" else ()
    return HttpRule(place, "", service.key, (), name, match, route=(_pod(options, place),))


def preflight_policy(blocked: BlockedCalls, options: FixOptions) -> CorsPolicy:
    """Return the corsPolicy with which Envoy answers the preflights of these calls.

    ``DocumentError`` if it is unclear which origins to allow.
    """
    policies = blocked.policies
    origins = allowed_origins(blocked, options)
    _refuse_mixed(policies, origins, options)
    methods = [method for policy in policies for method in policy.allow_methods]
    methods += [each.calls.call.method for each in blocked.calls]
    headers = [name.lower() for policy in policies for name in policy.allow_headers]
    headers += [*([] if policies else ["content-type"]), *blocked.names]
    ages = [policy.max_age for policy in policies if policy.max_age is not None]
    place = blocked.service.place
    return CorsPolicy(
        place,
        allow_origins=tuple(StringMatch(_kind(kind), value, place) for kind, value in origins),
        allow_methods=_union([name for name in methods if not useless_method(name)]),
        allow_headers=_union([name for name in headers if not useless_header(name)]),
        allow_credentials=any(policy.allow_credentials for policy in policies) or None,
        max_age=min(*ages, LARGEST_USEFUL_MAX_AGE) if ages else None,
        unmatched_preflights="IGNORE" if _answers_all(blocked, options) else "FORWARD",
    )


def _refuse_mixed(
    policies: tuple[CorsPolicy, ...], origins: tuple[OriginMatch, ...], options: FixOptions
) -> None:
    """Raise ``DocumentError`` if an origin would get the credentials of another one's policy."""
    trusted: set[OriginMatch] = set()
    for policy in policies:
        if policy.allow_credentials:
            # Where a policy names no origin, the options do.
            trusted.update(closed_origins(policy, options) or options.origins)
    if trusted and not trusted.issuperset(origins):
        place = next(
            (each.place for each in policies if not each.allow_credentials), policies[0].place
        )
        message = (
            "one rule would allow the credentials of another policy to the origins of this one"
        )
        raise cannot_fix(place, message)


def _answers_all(blocked: BlockedCalls, options: FixOptions) -> bool:
    """Tell whether Envoy answers preflights of refused origins too; an HTTPRoute has no choice."""
    return options.responder == "mesh" or blocked.service.kind == "HTTPRoute"


def _rule(blocked: BlockedCalls, options: FixOptions, narrowing: Narrowing, name: str) -> HttpRule:
    service = blocked.service
    to = _pod(options, service.place)
    if options.responder == "mesh":
        # Envoy answers preflights itself, but only on a rule that routes somewhere.
        first = blocked.calls[0].calls.route.source.route[0]
        to = Destination(service.place, first.host, first.port, first.subset)
    policy = None if options.responder == "pod" else preflight_policy(blocked, options)
    if policy is not None and narrowing.json:
        policy = replace(policy, allow_headers=_union([*policy.allow_headers, *JSON]))
    return HttpRule(
        service.place, "", service.key, (), name,
        match=tuple(_matches(blocked, narrowing)), route=(to,), cors_policy=policy,
    )  # fmt: skip


def _pod(options: FixOptions, place: Place) -> Destination:
    host, port = options.pod
    return Destination(place, full_host(host), port)


def free_names(service: VirtualService, name: str) -> Iterator[str]:
    """Yield names for new rules of a document: ``name``, and ``name`` with a number."""
    taken = {rule.name for rule in service.http}
    numbered = (f"{name}-{number}" for number in count(2))
    return (each for each in chain([name], numbered) if each not in taken)


def _kind(kind: str) -> MatchKind:
    kinds: dict[str, MatchKind] = {"regex": "regex", "prefix": "prefix"}
    return kinds.get(kind, "exact")


def _union(names: list[str]) -> tuple[str, ...]:
    if "*" in names:
        return ("*",)
    return tuple(name for name in dict.fromkeys(names) if name not in SAFELISTED_METHODS)


def _matches(blocked: BlockedCalls, narrowing: Narrowing) -> list[HttpMatch]:
    """Return the match entries: one that takes everything is enough."""
    place = blocked.service.place
    entries = {
        (rule.key, match.place): match for rule in blocked.service.http for match in rule.match
    }
    found: dict[str, HttpMatch] = {}
    for lost in blocked.calls:
        shared = _shared(entries, lost, place)
        for match in preflight_matches(lost, shared, narrowing, place):
            data = match_data(match)
            if data == _EVERY_PREFLIGHT:
                return [match]
            found.setdefault(json.dumps(data, sort_keys=True), match)
    return list(found.values())


def _shared(
    entries: dict[tuple[RuleKey, Place], HttpMatch], lost: LostCalls, place: Place
) -> HttpMatch:
    """Return the conditions that a preflight meets if and only if its call does."""
    route = lost.calls.route
    match = entries.get((route.source.key, route.place))
    if match is None:
        return HttpMatch(place)
    return url_conditions(match, place)
