"""What marks an answer as a layer's: a table of signatures, tried in order.

What marks an answer for certain comes first; then what only tells who passed it on. Sources:
Envoy's local replies (``source/common/http/``, and cors, rbac, jwt_authn, ext_authz, router in
``source/extensions/filters/http/``), Starlette's ``middleware/cors.py``, flask-cors's ``core.py``,
django-cors-headers's ``middleware.py``, and the answers of meshcors itself (docs/answers.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import parse_qs, urlsplit

from meshcors._doctor.seen_answer import UPSTREAM_TIME, SeenAnswer
from meshcors._policy.headers import SAFELISTED_REQUEST_HEADERS

if TYPE_CHECKING:
    from meshcors._doctor.layer_names import Layer

_ACAO: Final = "access-control-allow-origin"
# The evidence that an answer is a layer's; none if it is not.
Signature: TypeAlias = Callable[[SeenAnswer], Iterable[str] | None]

OWN_LIST: Final = "204, with the five safelisted names in access-control-allow-headers"
_TYPE: Final = "problem details of type urn:meshcors:problem:"
ORIGIN_REFUSAL: Final = f"{_TYPE}origin-not-allowed"
KEY_MISSING: Final = f"{_TYPE}key-missing"
_PROBLEM: Final = re.compile(r'"type": ?"urn:meshcors:problem:([a-z-]{1,40})"')
# What only the pod and the ready-made apps say.
_PODS_REASONS: Final = frozenset({"no-route", "no-rule"})


def _problem(seen: SeenAnswer) -> str:
    if seen.field("content-type") != "application/problem+json":
        return ""
    found = _PROBLEM.search(seen.text)
    return seen.quote(found[1]) if found else ""


def _is_pod(seen: SeenAnswer) -> Iterable[str] | None:
    reason = _problem(seen)
    if reason in _PODS_REASONS:
        return [f"{_TYPE}{reason}"]
    return None


def _is_meshcors(seen: SeenAnswer) -> Iterable[str] | None:
    if reason := _problem(seen):
        return [f"{_TYPE}{reason}"]
    listed = set(seen.response.elements("access-control-allow-headers"))
    if seen.is_preflight and seen.status == 204 and listed >= {*SAFELISTED_REQUEST_HEADERS}:
        return [OWN_LIST]
    return None


_DISALLOWED: Final = re.compile(r"Disallowed CORS ([a-z, -]{1,60})\Z")


def starlettes_refusals(body: bytes) -> list[str]:
    """Return what CORSMiddleware says that it refuses: ``origin``, ``method``, ``headers``."""
    found = _DISALLOWED.match(body[:200].decode("utf-8", "replace"))
    return [each.strip() for each in found[1].split(",")] if found else []


def _is_starlette(seen: SeenAnswer) -> Iterable[str] | None:
    if not seen.is_preflight or not seen.field("content-type").startswith("text/plain"):
        return None
    if seen.status == 400 and (found := _DISALLOWED.match(seen.text)):
        return [f"400, and the body says: Disallowed CORS {seen.quote(found[1])}"]
    if seen.status == 200 and seen.text == "OK" and seen.field("access-control-allow-methods"):
        return ["200, and the body says: OK"]
    return None


def _is_flask_cors(seen: SeenAnswer) -> Iterable[str] | None:
    # Flask's own answer to OPTIONS, which flask-cors adds its fields to
    if seen.status == 200 and seen.is_preflight and seen.is_empty and seen.field("allow"):
        granted = any(name.startswith("access-control-") for name, _ in seen.response.headers)
        if granted and seen.field("content-type").startswith("text/html"):
            return ["200, an empty body of type text/html, Allow, and CORS fields"]
    return None


def _is_django_cors_headers(seen: SeenAnswer) -> Iterable[str] | None:
    is_empty = seen.status == 200 and seen.is_empty and not seen.field("allow")
    is_djangos = seen.field("content-type").startswith("text/html") or bool(seen.field(_ACAO))
    if seen.is_preflight and is_empty and is_djangos and "origin" in seen.vary:
        return ["200, an empty body, no Allow, and vary: origin in lower case"]
    return None


_RBAC: Final = re.compile(r"RBAC: access denied")
_JWT: Final = re.compile(r"(Jwt |Jwks |Audiences in Jwt )")
_NO_UPSTREAM: Final = re.compile(
    r"no healthy upstream|upstream connect error or disconnect/reset before headers"
    r"|upstream request timeout|no_cluster|delayed connect error"
)


def _is_rbac(seen: SeenAnswer) -> Iterable[str] | None:
    if seen.status == 403 and _RBAC.match(seen.text):
        return ["403, and the body says: RBAC: access denied"]
    return None


def _is_jwt(seen: SeenAnswer) -> Iterable[str] | None:
    if seen.status in (401, 403) and _JWT.match(seen.text):
        asks = seen.field("www-authenticate").lower().startswith("bearer")
        says = f"{seen.status}, and the body begins: {seen.quote(seen.text)[:40]}"
        return [says, *(["www-authenticate: Bearer"] if asks else [])]
    return None


def _is_no_upstream(seen: SeenAnswer) -> Iterable[str] | None:
    if seen.status in (502, 503, 504) and (found := _NO_UPSTREAM.match(seen.text)):
        return [f"{seen.status}, and the body says: {found[0]}"]
    if seen.status == 503 and seen.is_envoys_own and seen.is_empty:
        return ["503, an empty body", *_envoys_own(seen)]
    return None


def _envoys_own(seen: SeenAnswer) -> list[str]:
    return [seen.named("server"), f"no {UPSTREAM_TIME}"]


def _is_no_route(seen: SeenAnswer) -> Iterable[str] | None:
    if seen.is_envoys_own and seen.status == 404 and seen.is_empty:
        return ["404, an empty body", *_envoys_own(seen)]
    return None


def _is_envoy_cors(seen: SeenAnswer) -> Iterable[str] | None:
    # an origin that it refuses gets the other fields (unmatchedPreflights: IGNORE)
    names_cors = any(name.startswith("access-control-") for name, _ in seen.response.headers)
    if seen.is_envoys_own and seen.is_preflight and seen.status == 200 and names_cors:
        return ["200 with CORS fields", *_envoys_own(seen)]
    return None


def _is_ext_authz(seen: SeenAnswer) -> Iterable[str] | None:
    if seen.is_envoys_own and seen.status in (401, 403):
        body = "an empty body" if seen.is_empty else "not the text of RBAC or JWT"
        return [f"{seen.status}, {body}", *_envoys_own(seen)]
    return None


def _is_direct_response(seen: SeenAnswer) -> Iterable[str] | None:
    if not seen.is_envoys_own:
        return None
    redirect = seen.target is not None
    return [f"{seen.status}{', a redirect' if redirect else ''}", *_envoys_own(seen)]


_LOGIN: Final = re.compile(
    r"(?:^|[/._-])(?:log-?in|sign-?in|oauth2?|oidc|openid[a-z-]*|sso|saml2?|auth|authorize"
    r"|accounts?|idp|keycloak|cas|adfs)(?:[/._-]|$)",
    re.IGNORECASE,
)
_LOGIN_PARAMETERS: Final = frozenset(
    {"redirect_uri", "client_id", "samlrequest", "return_to", "next", "rd", "returnurl", "continue"}
)


def _is_login(seen: SeenAnswer) -> Iterable[str] | None:
    target = seen.target
    if target is None or target.scheme not in ("http", "https"):
        return None
    here, there = urlsplit(seen.exchange.url), target.hostname or ""
    where = f"{seen.status} to {seen.quote.url(target.geturl())}"
    asks = {name.lower() for name in parse_qs(target.query)} & _LOGIN_PARAMETERS
    new_path = target.path if _LOGIN.search(here.path) is None else ""
    if _LOGIN.search(new_path) or (there != here.hostname and _LOGIN.search(there)):
        return [where]
    if asks and (there != here.hostname or target.path != here.path):
        return [where, f"its query has {min(asks)}"]
    # a call may be sent on to a download
    if there != here.hostname and seen.status in (302, 303) and seen.is_preflight:
        return [where, "another host, for the time being"]
    return None


_FROM_PAGES: Final = r"(?:cross[- ]?(?:origin|site)|\borigin\b|\bcsrf\b)"
_NO: Final = (
    r"(?:not (?:an? )?(?:allowed|accepted|permitted|trusted|valid)|n[o']t match|block|invalid"
    r"|forbid|reject|den(?:y|ied)|disallow|mismatch|fail|untrusted)"
)
_GUARD: Final = re.compile(
    rf"{_NO}[^.<]{{0,60}}{_FROM_PAGES}|{_FROM_PAGES}[^<]{{0,80}}{_NO}", re.IGNORECASE
)
_HOST_GUARD: Final = re.compile(
    rf"{_NO}[^.<]{{0,20}}\bhost\b|\bhost\b[^.<]{{0,40}}{_NO}", re.IGNORECASE
)
HOST_GUARD: Final = "its body refuses the Host"


def _is_guard(seen: SeenAnswer) -> Iterable[str] | None:
    if seen.status not in (400, 401, 403, 421):
        return None
    if _GUARD.search(seen.text):
        return [f"{seen.status}, and the body refuses the Origin"]
    if _HOST_GUARD.search(seen.text[:200]):
        return [f"{seen.status}, and {HOST_GUARD}"]
    return None


# What frameworks say to an origin that is not on their list: Spring, and Express with a callback.
_REFUSALS: Final = re.compile(r"Invalid CORS request|(?:Error: )?Not allowed by CORS")
CORS_REFUSAL: Final = "the body is a CORS middleware's: "


def _is_refusal(seen: SeenAnswer) -> Iterable[str] | None:
    found = _REFUSALS.search(seen.text[:400]) if seen.status in (403, 500) else None
    return [str(seen.status), f"{CORS_REFUSAL}{found[0]}"] if found else None


def _is_behind_envoy(seen: SeenAnswer) -> Iterable[str] | None:
    if seen.is_through_envoy and not seen.is_envoys_own:
        return [f"{UPSTREAM_TIME}: a service behind Envoy answered"]
    return None


# A field that only one kind of server sends, and a text in its value.
_CDNS: Final = (
    ("cf-ray", ""),
    ("x-amz-cf-id", ""),
    ("x-azure-ref", ""),
    ("x-fastly-request-id", ""),
    ("x-served-by", "cache-"),
    ("x-akamai-request-id", ""),
    ("x-vercel-id", ""),
    ("x-nf-request-id", ""),
    ("server", "cloudflare"),
    ("server", "akamai"),
    ("via", "cloudfront"),
    ("via", "varnish"),
    ("x-cache", "cloudfront"),
    ("x-cache", "akamai"),
)
_BALANCERS: Final = (
    ("server", "awselb"),
    ("server", "google frontend"),
    ("server", "microsoft-azure-application-gateway"),
    ("server", "kong"),
    ("server", "bigip"),
    ("via", "1.1 google"),
    ("via", "kong"),
    ("x-amz-apigw-id", ""),
    ("x-amzn-requestid", ""),
    ("x-kong-response-latency", ""),
)


def _marked(marks: Iterable[tuple[str, str]]) -> Signature:
    def signature(seen: SeenAnswer) -> Iterable[str] | None:
        for name, text in marks:
            value = seen.response.get(name)
            if value is not None and text in value.lower():
                return [seen.named(name)]
        return None

    return signature


def _is_nginx(seen: SeenAnswer) -> Iterable[str] | None:
    is_named = seen.field("server").lower().startswith(("nginx", "openresty"))
    own_page = "<center>nginx" in seen.text or "<center>openresty" in seen.text
    if own_page:
        return [*([seen.named("server")] if is_named else []), "a page of nginx's own"]
    if seen.status == 404 and seen.text.startswith("default backend - 404"):
        return ["404 of ingress-nginx: no rule of an Ingress takes it"]
    return [seen.named("server")] if is_named else None


SIGNATURES: Final[tuple[tuple[Layer, Signature], ...]] = (
    ("pod", _is_pod),
    ("meshcors", _is_meshcors),
    ("envoy_rbac", _is_rbac),
    ("envoy_jwt", _is_jwt),
    ("envoy_no_upstream", _is_no_upstream),
    ("starlette", _is_starlette),
    ("flask_cors", _is_flask_cors),
    ("app", _is_refusal),
    ("guard", _is_guard),
    ("login_redirect", _is_login),
    ("envoy_no_route", _is_no_route),
    ("envoy_cors", _is_envoy_cors),
    ("django_cors_headers", _is_django_cors_headers),
    ("envoy_ext_authz", _is_ext_authz),
    ("envoy_direct_response", _is_direct_response),
    ("app", _is_behind_envoy),
    ("cdn", _marked(_CDNS)),
    ("load_balancer", _marked(_BALANCERS)),
    ("nginx", _is_nginx),
)
