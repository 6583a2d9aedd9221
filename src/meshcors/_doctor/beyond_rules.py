"""What is wrong beyond the verdict: who else is let in, which errors pages cannot read, caches."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from meshcors import browser
from meshcors._doctor.consultation import ACAC, ACAO, LOOK_ALIKES
from meshcors._doctor.fault_rules import is_doubled, is_no_upstream, owner_in_front
from meshcors._doctor.rules import FoundFault, fault
from meshcors._policy.max_age import MAX_AGE_CAPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors._doctor.consultation import Consultation, TriedRequest
    from meshcors._doctor.findings import Severity

_ACMA: Final = "access-control-max-age"
_ENGINES: Final = {"chromium": "Chromium", "firefox": "Firefox", "webkit": "Safari"}
_SECONDS: Final = re.compile("[0-9]{1,9}")
# An answer without these is kept by hardly any cache (RFC 9111 4.2).
_KEPT: Final = re.compile(r"\b(?:public|s-maxage|max-age=[1-9])")
_NEVER_KEPT: Final = re.compile(r"\b(?:no-store|private)")


def beyond_the_verdict(consultation: Consultation) -> Iterator[FoundFault]:
    """Yield what is wrong or good to know, whether the call works or not."""
    yield from _owners(consultation)
    yield from _strangers(consultation)
    if not consultation.deciding[1].allowed:
        return
    yield from _keys(consultation)
    yield from _readable_refusal(consultation)
    yield from _vary(consultation)
    yield from _star(consultation)
    yield from _max_age(consultation)


def _owners(consultation: Consultation) -> Iterator[FoundFault]:
    """Find fields that are doubled where that does not decide, and * beside credentials."""
    deciding, verdict = consultation.deciding
    for tried in (consultation.hops[0].preflight, consultation.hops[0].call):
        if tried is None or tried.response is None:
            continue
        is_decisive = tried is deciding and not verdict.allowed
        for name in (ACAO, ACAC, _ACMA):
            decides = is_decisive and verdict.field == name
            if not decides and is_doubled(tried.response, name, tried.request.origin):
                value = consultation.quote(tried.response.get(name) or "")
                found = fault("two_owners", consultation, tried, "warning", field=name, value=value)
                yield owner_in_front(tried.response, found)
                return
        star = tried.response.get(ACAO) == "*" and tried.response.get(ACAC) == "true"
        if star and not is_decisive:
            yield fault("wildcard_with_credentials", consultation, tried, "warning")
            return


def _strangers(consultation: Consultation) -> Iterator[FoundFault]:
    """Find out who else is allowed; where any site is, nobody else is named."""
    stranger = consultation.find("stranger")
    if stranger is None:
        return
    asked = stranger.request.origin
    if stranger.grants_credentials:
        yield fault("stranger_echoed_with_credentials", consultation, stranger, value=asked)
        return
    if stranger.grants_origin:
        is_star = stranger.response is not None and stranger.response.get(ACAO) == "*"
        severity: Severity | None = "note" if is_star else None
        shown = "*" if is_star else asked
        yield fault("stranger_allowed", consultation, stranger, severity, value=shown)
        return
    null = consultation.find("null_origin")
    if null is not None and null.grants_origin:
        yield fault("null_allowed", consultation, null)
    found = [consultation.find(name) for name in LOOK_ALIKES]
    alike = [each for each in found if each is not None and each.grants_origin]
    if alike:
        names = ", ".join(each.request.origin for each in alike)
        yield fault("look_alike_allowed", consultation, alike[0], value=names)
    subdomain = consultation.find("subdomain")
    if subdomain is not None and subdomain.grants_origin:
        yield fault("subdomain_allowed", consultation, subdomain, value=subdomain.request.origin)


def _keys(consultation: Consultation) -> Iterator[FoundFault]:
    """Find refusals of a wrong key or none that the page cannot read."""
    wrong, none = consultation.find("wrong_key"), consultation.find("no_key")
    if wrong is not None and wrong.response is not None:
        if not _is_readable(wrong) and wrong.response.status >= 400:
            yield fault("grant_missing_on_error", consultation, wrong, "warning")
        elif 200 <= wrong.response.status <= 299:
            yield fault("key_not_checked", consultation, wrong)
    is_refused = none is not None and none.response is not None and none.response.status >= 400
    if none is not None and is_refused and not _is_readable(none):
        yield fault("key_missing_unreadable", consultation, none)


def _is_readable(tried: TriedRequest) -> bool:
    return browser.judge_response(tried.request, tried.response).allowed


def _readable_refusal(consultation: Consultation) -> Iterator[FoundFault]:
    call = consultation.answer
    if call is None or call.response is None or call.response.status < 400:
        return
    layer = consultation.layer(call).layer
    if is_no_upstream(layer, call.response.status):
        yield fault("no_upstream", consultation, call, "warning")
    elif layer == "pod" and call.request.method == "OPTIONS":
        yield fault("options_taken", consultation, call)
    elif layer != "guard":
        yield fault("call_refused", consultation, call)


def _vary(consultation: Consultation) -> Iterator[FoundFault]:
    """Find an answer that depends on the Origin and does not say so."""
    call, stranger = consultation.answer, consultation.find("stranger")
    if call is None or call.response is None or stranger is None or stranger.response is None:
        return
    response, origin = call.response, call.request.origin
    if response.get(ACAO) != origin or stranger.response.get(ACAO) == origin:
        return  # the same for everybody
    varies = {each.lower() for each in response.elements("vary")}
    if varies & {"origin", "*"}:
        return
    cached = response.get("cache-control") or ""
    if call.request.method not in ("GET", "HEAD") or _NEVER_KEPT.search(cached):
        return
    dated = response.get("expires") or response.get("last-modified")
    severity: Severity | None = "warning" if _KEPT.search(cached) or dated else None
    yield fault("vary_missing", consultation, call, severity)


def _star(consultation: Consultation) -> Iterator[FoundFault]:
    for preflight, _ in consultation.hops:
        if preflight is not None and preflight.response is not None:
            found = browser.judge_preflight(preflight.request, preflight.response)
            if not found.allowed:
                yield fault("authorization_under_star", consultation, preflight)


def _max_age(consultation: Consultation) -> Iterator[FoundFault]:
    preflight = consultation.hops[0].preflight
    if preflight is None or preflight.response is None:
        return
    value = preflight.response.get(_ACMA)
    if value is None:
        yield fault("max_age_missing", consultation, preflight)
    elif not _SECONDS.fullmatch(value):
        shown = f"{consultation.quote(value)}, which is no number of seconds: browsers ask again"
        yield fault("max_age_capped", consultation, preflight, value=shown)
    elif int(value) > min(MAX_AGE_CAPS.values()):
        kept = (f"{name} {min(int(value), MAX_AGE_CAPS[key])}" for key, name in _ENGINES.items())
        shown = f"{value}, and the answer is kept for these seconds: {', '.join(kept)}"
        yield fault("max_age_capped", consultation, preflight, value=shown)
