"""Lint rules about a corsPolicy whose preflights another rule takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors.mesh._analysis.preflight_rules import is_preflight_rule
from meshcors.mesh._lint.finding import Finding
from meshcors.mesh._lint.routing import NEVER_APPLIES, first_calls, how_to_add, what_it_lacks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.answered_elsewhere import AnsweredElsewhere
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._documents.model import CorsPolicy, RuleKey

_NARROW: Final = "narrow it by path, or by access-control-request-headers"


def strayed_preflights(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a corsPolicy whose preflights go to another service, or meet a policy that refuses."""
    for located, call in first_calls(mesh, "other_service"):
        answer = call.preflight_answer
        end = f"{answer.rule} sends it to {answer.destination}"
        lack = what_it_lacks(call.names, call.route)
        yield Finding(
            located.place(), f"{lack}: {end}{NEVER_APPLIES}", how_to_add(located.document)
        )
    refusing: dict[RuleKey, AnsweredElsewhere] = {}
    for each in mesh.answered_elsewhere:
        if each.refused and not each.is_taken:
            refusing.setdefault(each.calls.route.source.policy_key, each)
    for located in mesh.policies:
        found = refusing.get(located.rule.key)
        if found is not None and found.refused is not None:
            _, what = found.refused
            lack = what_it_lacks(found.calls.names, found.calls.route)
            kind = found.taker.document.kind
            what_answers = "CORS filter" if kind == "HTTPRoute" else "corsPolicy"
            end = f"the {what_answers} of {found.taker.rule} answers it and does not allow {what}"
            is_meant = is_preflight_rule(found.taker)
            hint = "allow it there too" if is_meant else how_to_add(located.document)
            yield Finding(located.place(), f"{lack}: {end}{NEVER_APPLIES}", hint)


def taken_preflights(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a rule for preflights that takes those which another rule's corsPolicy would allow.

    One finding for each rule for preflights.
    """
    found: dict[RuleKey, list[AnsweredElsewhere]] = {}
    for each in mesh.answered_elsewhere:
        if is_preflight_rule(each.taker):
            found.setdefault(each.taker.source.key, []).append(each)
    for listed in found.values():
        first = next((each for each in listed if each.is_taken and each.refused), None)
        if first is not None and first.refused is not None:
            _, what = first.refused
            reason = (
                f"this rule takes the preflights of {first.calls.route.rule}, whose own corsPolicy"
                f" would allow them, and does not allow {what}"
            )
            yield Finding(first.taker.place, reason, f"{_NARROW}, or allow it here too")
        elif left := _left_to_a_service(listed):
            yield left


def _left_to_a_service(listed: list[AnsweredElsewhere]) -> Finding | None:
    """Return the finding on a rule for preflights whose service may not know all policies.

    The service is there for the rules that no preflight reaches, so it knows their policy. If there
    are none, it knows the policy that all rules share.
    """
    taker = listed[0].taker
    known = {_value(each.calls.route.source.cors_policy) for each in listed if not each.is_taken}
    known |= {_value(policy) for policy in [taker.source.cors_policy] if policy}
    taken = [each for each in listed if each.is_taken and each.is_unknown]
    values = {_value(each.calls.route.source.cors_policy) for each in taken}
    if not (values - known if known else len(values) > 1):
        return None
    others = [each for each in taken if _value(each.calls.route.source.cors_policy) not in known]
    rules = list(dict.fromkeys(each.calls.route.rule for each in others))
    to = taker.source.route[0].host
    if len(rules) == 1:
        own, hint = "own corsPolicy would answer them and differs", f"give {to} that policy too"
    else:
        own, hint = "own policies would answer them and differ", f"give {to} all of them"
    more = f" and {len(rules) - 1} more" if len(rules) > 1 else ""
    than = "from that of the rules that need this one" if known else "from one another"
    reason = f"this rule takes the preflights of {rules[0]}{more}, whose {own} {than}"
    return Finding(taker.place, reason, f"{_NARROW}, or {hint}")


def _value(policy: CorsPolicy | None) -> object:
    """Return what a policy allows, whichever way it is written."""
    if policy is None:
        return None
    origins = frozenset((origin.kind, origin.value) for origin in policy.allow_origins)
    headers = frozenset(name.lower() for name in policy.allow_headers)
    return origins, frozenset(policy.allow_methods), headers, bool(policy.allow_credentials)
