"""Why a call does not work: the finding for the answer on which it turns.

The browser's code says what is wrong; the layer and the status say why.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from meshcors import browser
from meshcors._doctor.consultation import ACAC, ACAO, ELSEWHERE
from meshcors._doctor.rules import FoundFault, fault
from meshcors._doctor.seen_answer import redirect_target
from meshcors._doctor.signatures import CORS_REFUSAL, HOST_GUARD, starlettes_refusals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors._doctor.consultation import Consultation, TriedRequest
    from meshcors._doctor.findings import FindingCode
    from meshcors._doctor.layer_names import Layer
    from meshcors._doctor.layers import AnsweredBy
    from meshcors.testing._fetch import Exchange

_NETWORK: Final[dict[str, FindingCode]] = {
    "dns": "dns_fault",
    "refused": "refused",
    "tls": "tls_fault",
    "timeout": "timeout",
    "closed": "broken_answer",
    "reset": "broken_answer",
    "protocol": "broken_answer",
}
_STARLETTES: Final[dict[str, FindingCode]] = {
    "origin": "origin_not_allowed",
    "method": "method_not_allowed",
    "headers": "header_not_allowed",
}
# The codes of the browser that name their cause, in whichever answer.
_PLAIN: Final[dict[str, FindingCode]] = {
    "acao_wildcard_with_credentials": "wildcard_with_credentials",
    "methods_malformed": "list_malformed",
    "headers_malformed": "list_malformed",
    "method_not_allowed": "method_not_allowed",
    "header_not_allowed": "header_not_allowed",
}
_DENIALS: Final = frozenset({401, 403, 407})
_UNKNOWN_TO_THE_APP: Final = frozenset({404, 405, 501})
# Layers that answer CORS: where they name no origin, they refuse this one.
_ANSWER_CORS: Final = frozenset(
    {"pod", "meshcors", "starlette", "flask_cors", "django_cors_headers", "envoy_cors"}
)


def blocking_faults(consultation: Consultation) -> Iterator[FoundFault]:
    """Yield what keeps the page from the answer; nothing if the call works."""
    tried, verdict = consultation.deciding
    login = next((each for each in _calls(consultation) if _is_login(consultation, each)), None)
    if login is not None and not verdict.allowed:
        yield fault("call_redirected_to_login", consultation, login)
    elif leaves_the_server(consultation):
        redirecting = consultation.hops[-2].call
        yield fault("redirected_elsewhere", consultation, redirecting)
    elif not verdict.allowed:
        yield from _faults(consultation, tried, verdict)
    elif consultation.layer(tried).layer == "guard":
        yield fault(_guards_code(consultation, tried), consultation, tried)
    elif tried.exchange is not None and tried.exchange.kind == "cut_short":
        yield fault("stream_cut_short", consultation, tried)
    elif tried.response is not None and browser.follow(tried.request, tried.response) is not None:
        yield fault("redirects_go_on", consultation, tried)


def leaves_the_server(consultation: Consultation) -> bool:
    """Tell whether the call ends at a redirect to another server, which was not followed."""
    return consultation.hops[-1].call.why_not == ELSEWHERE


def _calls(consultation: Consultation) -> Iterator[TriedRequest]:
    return (call for _, call in consultation.hops if call.exchange is not None)


def _is_login(consultation: Consultation, tried: TriedRequest) -> bool:
    return consultation.layer(tried).layer == "login_redirect"


def _faults(
    consultation: Consultation, tried: TriedRequest, verdict: browser.Verdict
) -> Iterator[FoundFault]:
    exchange, response = tried.exchange, tried.response
    if exchange is None:
        return
    layer = consultation.layer(tried).layer
    if response is None:
        yield fault(_NETWORK.get(exchange.kind, "broken_answer"), consultation, tried)
    elif verdict.field == "location" or redirect_target(exchange) is not None:
        yield fault(_redirects_code(exchange, verdict), consultation, tried)
    elif layer == "guard":
        yield fault(_guards_code(consultation, tried), consultation, tried)
    elif layer == "starlette" and (refused := starlettes_refusals(exchange.body)):
        for each in refused:
            if each in _STARLETTES:
                yield _unlisted(_STARLETTES[each], consultation, tried, response, verdict)
    elif is_no_upstream(layer, response.status):
        yield fault("no_upstream", consultation, tried)
    elif verdict.code in _PLAIN:
        yield _unlisted(_PLAIN[verdict.code], consultation, tried, response, verdict)
    elif verdict.code in ("acao_multiple", "acao_mismatch", "acac_not_true"):
        yield _wrong_grant(consultation, tried, response, verdict)
    elif verdict.step == "preflight":
        code = _unanswered_code(consultation, tried, response)
        yield fault(code, consultation, tried, why=_why_not_routed(consultation))
    else:
        yield fault(_ungranted_code(consultation, tried, response), consultation, tried)


def _redirects_code(exchange: Exchange, verdict: browser.Verdict) -> FindingCode:
    here, there = urlsplit(exchange.url), redirect_target(exchange)
    moved = there is not None and here.netloc == there.netloc and here.path != there.path
    if moved and there is not None and here.path.rstrip("/") == there.path.rstrip("/"):
        return "slash_redirect"
    return "preflight_redirected" if verdict.step == "preflight" else "call_redirected"


def _guards_code(consultation: Consultation, tried: TriedRequest) -> FindingCode:
    evidence = consultation.layer(tried).evidence
    is_host = any(HOST_GUARD in each for each in evidence)
    return "guard_refuses_host" if is_host else "guard_refuses_origin"


def _unlisted(
    code: FindingCode,
    consultation: Consultation,
    tried: TriedRequest,
    response: browser.Response,
    verdict: browser.Verdict,
) -> FoundFault:
    """Return a fault with the headers of the call that the answer does not list."""
    listed = {name.lower() for name in response.elements("access-control-allow-headers")}
    asked = dict(browser.preflight_for(tried.request) or ())
    names = asked.get("access-control-request-headers", "").split(",")
    missing = [name for name in names if name and name not in listed]
    return fault(
        code,
        consultation,
        tried,
        field=verdict.field,
        missing=", ".join(missing),
        missing_quoted=", ".join(f'"{name}"' for name in missing),
        missing_flags=" ".join(f"--allow-header {name}" for name in missing),
    )


def _wrong_grant(
    consultation: Consultation,
    tried: TriedRequest,
    response: browser.Response,
    verdict: browser.Verdict,
) -> FoundFault:
    """Return the fault in a grant that is there and does not serve the page."""
    value = response.get(verdict.field) or ""
    if is_doubled(response, verdict.field, tried.request.origin):
        shown = consultation.quote(value)
        found = fault("two_owners", consultation, tried, field=verdict.field, value=shown)
        return owner_in_front(response, found)
    if verdict.field == ACAC:
        return fault("credentials_not_allowed", consultation, tried)
    shown = f": it allows {consultation.quote(value)}"
    return fault("origin_not_allowed", consultation, tried, value=shown)


def owner_in_front(response: browser.Response, found: FoundFault) -> FoundFault:
    """Return the fault of two owners with the one in front as its layer, where it is nginx."""
    is_nginx = (response.get("server") or "").startswith(("nginx", "openresty"))
    return replace(found, layer="nginx") if is_nginx else found


def is_no_upstream(layer: Layer, status: int) -> bool:
    """Tell whether something in front says that it does not reach the service."""
    in_front = layer in ("nginx", "cdn", "load_balancer") and status in (502, 503, 504)
    return layer == "envoy_no_upstream" or in_front


def is_doubled(response: browser.Response, name: str, origin: str) -> bool:
    """Tell whether two layers wrote a field that has one value.

    A line with several origins that are all different may be one owner's mistake.
    """
    lines = [value for found, value in response.headers if found == name]
    elements = response.elements(name)
    if len(lines) > 1 or len(elements) > len(set(elements)):
        return True
    return name == ACAO and len(elements) > 1 and "*" in elements and origin in elements


def _unanswered_code(
    consultation: Consultation, tried: TriedRequest, response: browser.Response
) -> FindingCode:
    """Return the code for an answer to a preflight that grants nothing, or has a bad status."""
    layer, status = consultation.layer(tried), response.status
    knows_cors = layer.layer in _ANSWER_CORS or _names_cors(response)
    if layer.layer == "envoy_no_route" or (layer.layer == "pod" and status == 404):
        return "preflight_not_routed"
    if layer.layer in ("envoy_rbac", "envoy_jwt", "envoy_ext_authz") or status in (401, 407):
        return "preflight_denied_by_auth"
    if ACAO not in dict(response.headers):
        if (knows_cors and status < 500) or _refuses_the_origin(consultation, layer, status):
            return "origin_not_allowed"
        if status == 403:
            return "preflight_denied_by_auth"
        if 200 <= status <= 299:
            return "preflight_unanswered"
    elif status in _DENIALS:
        return "preflight_denied_by_auth"
    return "preflight_unanswered" if status in _UNKNOWN_TO_THE_APP else "preflight_error_status"


def _refuses_the_origin(consultation: Consultation, layer: AnsweredBy, status: int) -> bool:
    """Tell whether an answer is a CORS middleware's, by its words or as others get another one."""
    if any(each.startswith(CORS_REFUSAL) for each in layer.evidence):
        return True
    without = consultation.find("no_origin")
    other = without.response.status if without is not None and without.response else status
    return status == 403 and layer.layer == "app" and other not in _DENIALS


def _why_not_routed(consultation: Consultation) -> str:
    """Return why no rule takes the preflight, as far as the other requests tell."""
    call, without = consultation.answer, consultation.find("no_key")
    key = consultation.key
    if not key:
        return "no rule takes OPTIONS on this host and path"
    if call is None or without is None:
        return f"it names {key} and does not carry it, or no rule takes OPTIONS"
    without_key, with_key = consultation.layer(without).layer, consultation.layer(call).layer
    if without_key == "envoy_no_route" and with_key != "envoy_no_route":
        return f"it names {key} and does not carry it, and a rule takes only calls that do"
    if with_key == "envoy_no_route":
        return "nor for the call itself, with this key, host and path"
    return "no rule takes OPTIONS on this host and path"


def _names_cors(response: browser.Response) -> bool:
    """Tell whether an answer without a grant was made with CORS in mind."""
    varies = {each.lower() for each in response.elements("vary")}
    return "origin" in varies or any(
        name.startswith("access-control-") and name != ACAO for name, _ in response.headers
    )


def _ungranted_code(
    consultation: Consultation, tried: TriedRequest, response: browser.Response
) -> FindingCode:
    """Return the code for an answer to the call itself that grants nothing."""
    layer = consultation.layer(tried)
    is_ours = layer.layer in ("pod", "meshcors")
    if is_ours or any(each.startswith(CORS_REFUSAL) for each in layer.evidence):
        return "origin_not_allowed"
    return "grant_missing_on_error" if response.status >= 400 else "grant_missing_on_call"
