"""A rule that keeps the answer to preflights at a path, before a new rule that would take them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from meshcors.mesh._documents.model import HttpRule
from meshcors.mesh._fix.narrowing import Narrowing, url_conditions
from meshcors.mesh._fix.rule_data import match_data

if TYPE_CHECKING:
    from meshcors._policy.place import Place
    from meshcors.mesh._analysis.comparison import HarmedCall
    from meshcors.mesh._documents.model import HttpMatch, VirtualService
    from meshcors.mesh._routing.routes import Route

# With a rule that keeps answers, only the narrowest ones are of use.
BESIDE_KEPT: Final = Narrowing("only", methods=True, origins=True, apart=True)
MOST_KEPT: Final = 8


def kept_rule(
    service: VirtualService, harmed: HarmedCall, new: HttpRule, name: str
) -> HttpRule | None:
    """Return a rule of ``service`` that answers a harmed call's preflight as it is answered today.

    It takes what the rule ``new`` would take, at the URLs of the rule that answers today, or else
    of the rule that takes the call. None if that is every URL, or if the answer cannot be repeated
    in a few words. Its label says why it is there.
    """
    answering, taking = harmed.exchange.answer.route, harmed.before.request.answer.route
    if harmed.exchange.step != "preflight" or answering is None or taking is None:
        return None
    if service.kind == "HTTPRoute" or not _can_repeat(answering, service):
        return None
    place = service.place
    shared = _url(answering, place) or _url(taking, place)
    if shared is None:
        return None
    matches = {
        str(match_data(match)): match
        for match in (
            replace(
                shared,
                method=each.method,
                headers=each.headers,
                without_headers=each.without_headers,
            )
            for each in new.match
        )
    }
    source = answering.source
    return HttpRule(
        place,
        f"Preflights here stay with {answering.rule}.",
        service.key,
        (),
        name,
        match=tuple(matches.values()),
        route=tuple(replace(to, place=place) for to in source.route),
        cors_policy=source.cors_policy,
    )


def _url(route: Route, place: Place) -> HttpMatch | None:
    """Return the conditions of a rule on the URL, or None if it has none."""
    entry = next((match for match in route.source.match if match.place == route.place), None)
    shared = url_conditions(entry, place) if entry is not None else None
    return shared if shared is not None and match_data(shared) else None


def _can_repeat(route: Route, service: VirtualService) -> bool:
    """Tell whether a copy of what a rule does, in another document, does the same."""
    rule = route.source
    if not route.is_forward or rule.rewrite or rule.has_fault or len(rule.route) != 1:
        return False
    to = rule.route[0]
    # A name without dots is a service of the document's namespace.
    is_same_name = "." in to.host or route.document.namespace == service.namespace
    plain = replace(to, place=rule.place, host="", port=0, subset="", weight=0)
    bare = replace(plain, headers=type(to.headers)())
    is_bare = plain == bare and rule.headers == type(rule.headers)() and to.weight in {0, 100}
    return is_same_name and is_bare and route.document.kind == "VirtualService"
