"""The CORS check, the verdict on the answer to a preflight, and where a redirect leads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

from meshcors._policy.headers import SAFELISTED_METHODS, is_token
from meshcors.browser._consoles import FaultByEngine, console_lines
from meshcors.browser._faults import NO_FAULT, Code, Fault, Step
from meshcors.browser._request_response import (
    ACAC,
    ACAH,
    ACAM,
    ACAO,
    NON_WILDCARD_NAME,
    Request,
    Response,
    origin_of,
    preflight_for,
    unsafe_names,
)
from meshcors.browser._safari_console import first_name

# Fetch, "redirect status"
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# Fetch, "request-body-header name": dropped together with the body
_BODY_HEADERS: Final = frozenset(
    {"content-encoding", "content-language", "content-location", "content-type"}
)
_NO_ANSWER: Final[Fault] = ("network_error", "", "")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the browser does.

    - `allowed`: whether the script may read the answer.
    - `code`: ``allowed``, or the first fault in the order of the standard.
    - `step`: the answer at fault, ``preflight`` or ``response``.
    - `field`: the header at fault; the method for ``method_not_allowed``, the request header for
      ``header_not_allowed``, and empty if there is none.
    - `messages`: what "chromium", "firefox" and "safari" print in their consoles, empty if allowed.
      Chromium's and Safari's for ``network_error`` end with "…" in place of the failure. Safari's
      are two lines, the reason and the URL; of where a redirect leads they hide the query.
    """

    allowed: bool
    code: Code
    step: Step
    field: str
    messages: Mapping[str, str]


def judge(
    request: Request, *, preflight: Response | None = None, response: Response | None = None
) -> Verdict:
    """Return what a browser does with the answers to `request`, and why.

    `preflight` is the answer to the preflight, and is ignored unless `preflight_for` returns one.
    `response` is the answer to the request itself, and is ignored unless the preflight passed. None
    means no answer at all: refused, reset or timed out. A `response` that redirects is judged like
    any other; if it is allowed, `follow` returns the next request to judge.
    """
    if preflight_for(request) is not None:
        verdict = judge_preflight(request, preflight)
        if not verdict.allowed:
            return verdict
    return judge_response(request, response)


def judge_preflight(request: Request, preflight: Response | None) -> Verdict:
    """Judge the answer to the preflight of `request` ("CORS-preflight fetch" from step 6)."""
    fault = _preflight_fault(request, preflight)
    firefox, safari = fault, fault
    if preflight is not None:
        if fault[0] == "preflight_redirect":
            # Firefox checks the origin first, and reports the redirect only if that is allowed
            origin_fault = _cors_check(request, preflight)
            firefox = fault if origin_fault == NO_FAULT else origin_fault
        safari = _safari_preflight_fault(request, preflight, fault)
    return _verdict(request, "preflight", FaultByEngine(fault, firefox, safari), preflight)


def judge_response(request: Request, response: Response | None) -> Verdict:
    """Judge the answer to `request` itself, after its preflight passed or was not needed."""
    fault = _response_fault(request, response)
    return _verdict(request, "response", FaultByEngine(fault, fault, fault), response)


def follow(request: Request, response: Response) -> Request | None:
    """Return the request that a browser makes next when the allowed `response` redirects.

    Fetch, "HTTP-redirect fetch": POST may become GET, ``authorization`` is dropped across origins,
    and the origin becomes ``null`` when one foreign origin redirects to another. None if the
    response does not redirect, or to a URL that browsers do not follow. Browsers stop after 20
    redirects.
    """
    try:
        return _redirected(request, response)
    except ValueError:
        return None


def _preflight_fault(request: Request, preflight: Response | None) -> Fault:
    if preflight is None:
        return _NO_ANSWER
    # Redirect mode "error" (Fetch, HTTP fetch)
    if preflight.status in _REDIRECTS and preflight.get("location") is not None:
        return "preflight_redirect", "location", ""
    # Step 7: the CORS check and an ok status
    fault = _cors_check(request, preflight)
    if fault != NO_FAULT:
        return fault
    if not 200 <= preflight.status <= 299:
        return "preflight_not_ok", "", str(preflight.status)
    # Steps 7.1 to 7.3
    methods, names = preflight.elements(ACAM), preflight.elements(ACAH)
    if malformed := _malformed(methods):
        return "methods_malformed", ACAM, malformed
    if malformed := _malformed(names):
        return "headers_malformed", ACAH, malformed
    wildcards = request.credentials != "include"
    # Step 7.5: methods are compared case-sensitively
    listed = request.method in methods or (wildcards and "*" in methods)
    if not listed and request.method not in SAFELISTED_METHODS:
        return "method_not_allowed", request.method, ""
    for name in _refused_names(request, names):
        return "header_not_allowed", name, ""
    return NO_FAULT


def _refused_names(request: Request, listed: list[str]) -> list[str]:
    """Run steps 7.6 and 7.7: return the header names that the preflight does not allow."""
    # Names are compared case-insensitively; `*` never covers authorization
    allowed = {name.lower() for name in listed}
    if request.credentials != "include" and "*" in allowed:
        allowed |= set(unsafe_names(request)) - {NON_WILDCARD_NAME}
    return [name for name in unsafe_names(request) if name not in allowed]


def _safari_preflight_fault(request: Request, preflight: Response, fault: Fault) -> Fault:
    """Return what Safari reports where the standard finds `fault`."""
    code, field, _ = fault
    if code == "allowed":
        return fault
    # It looks at the status before the origin
    if not 200 <= preflight.status <= 299:
        return "preflight_not_ok", "", ""
    # It quotes the whole list, not the element that is wrong
    if code in ("methods_malformed", "headers_malformed"):
        return code, field, preflight.get(field) or ""
    # It goes through the headers in the order of its own table
    if code == "header_not_allowed":
        names = _refused_names(request, preflight.elements(ACAH))
        return code, first_name(request, names), ""
    return fault


def _response_fault(request: Request, response: Response | None) -> Fault:
    if response is None:
        return _NO_ANSWER
    # Fetch, HTTP fetch: checked before a redirect is followed
    fault = NO_FAULT if request.is_same_origin else _cors_check(request, response)
    if fault != NO_FAULT:
        return fault
    try:
        _redirected(request, response)
    except ValueError:
        return "network_error", "location", ""
    return NO_FAULT


def _cors_check(request: Request, response: Response) -> Fault:
    """Run the CORS check of Fetch."""
    allowed = response.get(ACAO)
    if allowed is None:
        return "acao_missing", ACAO, str(response.status)
    if allowed == "*":
        if request.credentials == "include":
            return "acao_wildcard_with_credentials", ACAO, allowed
        return NO_FAULT
    if allowed != request.origin:
        return ("acao_multiple" if "," in allowed else "acao_mismatch"), ACAO, allowed
    if request.credentials == "include" and (value := response.get(ACAC)) != "true":
        return "acac_not_true", ACAC, value or ""
    return NO_FAULT


def _malformed(elements: list[str]) -> str:
    """Return the first element that is not a token, or ""."""
    return next((element for element in elements if not is_token(element)), "")


def _redirected(request: Request, response: Response) -> Request | None:
    """Run Fetch's "HTTP-redirect fetch"; a network error is a `ValueError`."""
    location = response.get("location")
    if response.status not in _REDIRECTS or location is None:
        return None
    method, headers = request.method, request.headers
    if (response.status in (301, 302) and method == "POST") or (
        response.status == 303 and method not in ("GET", "HEAD")
    ):
        method = "GET"
        headers = tuple(line for line in headers if line[0] not in _BODY_HEADERS)
    origin, url = request.origin, urljoin(request.url, location)
    # Authorization is dropped, and the origin is tainted if a foreign origin redirects
    if origin_of(url) != origin_of(request.url):
        headers = tuple(line for line in headers if line[0] != NON_WILDCARD_NAME)
        origin = origin if request.is_same_origin else "null"
    elif request.is_same_origin:
        # A Location may contain user info only if CORS does not apply
        url = urlsplit(url)._replace(netloc=urlsplit(url).netloc.rpartition("@")[2]).geturl()
    first = request.redirected_from or request
    return Request(origin, url, method, headers, request.credentials, first)


def _verdict(
    request: Request, step: Step, faults: FaultByEngine, answer: Response | None
) -> Verdict:
    code, field, _ = faults.chromium
    status, redirect = 0, ""
    if answer is not None:
        status = answer.status
        if step == "response" and status in _REDIRECTS and (to := answer.get("location")):
            redirect = _shown_target(request.url, to)
    lines = console_lines(request, step, faults, status, redirect)
    return Verdict(code == "allowed", code, step, field, lines)


def _shown_target(url: str, location: str) -> str:
    """Return where `location` leads from `url`, without what may be secret in it."""
    try:
        parts = urlsplit(urljoin(url, location))
    except ValueError:
        return "…"
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query=parts.query and "…", fragment="").geturl()
