"""Which layer answered: a table of answers as real servers give them, and the evidence for each."""

from __future__ import annotations

from typing import get_args

import pytest

from meshcors import browser
from meshcors._doctor.layer_names import LAYER_NAMES, Layer
from meshcors._doctor.layers import AnsweredBy, answered_by, with_the_pod
from meshcors._doctor.signatures import starlettes_refusals
from meshcors.testing._fetch import Exchange
from meshcors.testing._quoting import Quoting

UI = "https://ui.example"
URL = "https://api.example/v1/predict"
ENVOY = {"server": "istio-envoy"}
THROUGH = {**ENVOY, "x-envoy-upstream-service-time": "3"}
ACAO = {"access-control-allow-origin": UI}
PREFLIGHT = (("origin", UI), ("access-control-request-method", "POST"))
MESHCORS_LIST = "model-api-key, accept, accept-language, content-language, content-type, range"
PROBLEM = {"content-type": "application/problem+json"}
HTML, TEXT = {"content-type": "text/html; charset=utf-8"}, {"content-type": "text/plain"}
UTF8 = {"content-type": "text/plain; charset=utf-8"}
DJANGO = {**HTML, "content-length": "0", "vary": "origin"}


def problem(reason: str) -> str:
    return f'{{"type": "urn:meshcors:problem:{reason}", "title": "...", "status": 403}}'


def exchange(
    status: int, headers: dict[str, str], body: str = "", method: str = "OPTIONS", url: str = URL
) -> Exchange:
    sent = PREFLIGHT if method == "OPTIONS" else (("origin", UI),)
    response = browser.Response(status, headers)
    return Exchange(method, url, sent, response, "HTTP/1.1", body.encode(), "", "")


# layer, the method, the status, the fields, the body, a part of the evidence
CASES: list[tuple[Layer, str, int, dict[str, str], str, str]] = [
    ("envoy_no_route", "OPTIONS", 404, ENVOY, "", "404, an empty body"),
    ("envoy_no_route", "POST", 404, {"server": "envoy"}, "", "no x-envoy-upstream-service-time"),
    ("app", "POST", 404, THROUGH, "", "a service behind Envoy answered"),
    ("envoy_cors", "OPTIONS", 200, {**ENVOY, **ACAO}, "", "200 with CORS fields"),
    (
        *("envoy_cors", "OPTIONS", 200, {**ENVOY, "access-control-max-age": "600"}, ""),
        "200 with CORS fields",
    ),
    ("envoy_direct_response", "OPTIONS", 200, ENVOY, "", "no x-envoy-upstream-service-time"),
    ("envoy_direct_response", "POST", 429, {**ENVOY, **TEXT}, "local_rate_limited", "429"),
    (
        *("envoy_direct_response", "OPTIONS", 301, {**ENVOY, "location": f"{URL}2"}, ""),
        "301, a redirect",
    ),
    ("envoy_rbac", "OPTIONS", 403, {**ENVOY, **TEXT}, "RBAC: access denied", "RBAC: access denied"),
    # a sidecar's, which the gateway passes on
    ("envoy_rbac", "GET", 403, {**THROUGH, **TEXT}, "RBAC: access denied", "RBAC: access denied"),
    (
        *("envoy_jwt", "OPTIONS", 401, {**ENVOY, "www-authenticate": 'Bearer realm="x"'}),
        *("Jwt is missing", "the body begins: Jwt is missing"),
    ),
    ("envoy_jwt", "GET", 401, ENVOY, "Jwt is expired", "Jwt is expired"),
    ("envoy_jwt", "GET", 403, ENVOY, "Audiences in Jwt are not allowed", "Audiences"),
    ("envoy_ext_authz", "OPTIONS", 403, ENVOY, "", "403, an empty body"),
    ("envoy_ext_authz", "GET", 401, ENVOY, "log in first", "not the text of RBAC or JWT"),
    ("envoy_no_upstream", "GET", 503, ENVOY, "no healthy upstream", "no healthy upstream"),
    (
        *("envoy_no_upstream", "GET", 503, THROUGH),
        "upstream connect error or disconnect/reset before headers. reset reason: overflow",
        "upstream connect error",
    ),
    ("envoy_no_upstream", "GET", 504, ENVOY, "upstream request timeout", "timeout"),
    ("envoy_no_upstream", "GET", 503, ENVOY, "", "503, an empty body"),
    ("pod", "GET", 404, PROBLEM, problem("no-route"), "problem:no-route"),
    ("pod", "OPTIONS", 404, PROBLEM, problem("no-rule"), "problem:no-rule"),
    ("meshcors", "OPTIONS", 403, PROBLEM, problem("origin-not-allowed"), "origin-not-allowed"),
    ("meshcors", "GET", 403, {**THROUGH, **PROBLEM}, problem("key-unknown"), "key-unknown"),
    (
        *("meshcors", "OPTIONS", 204, {**ACAO, "access-control-allow-headers": MESHCORS_LIST}, ""),
        "the five safelisted names",
    ),
    # another's 204, and another's problem
    ("app", "OPTIONS", 204, {**ACAO, "access-control-allow-headers": "accept"}, "", "no mark"),
    ("app", "GET", 403, PROBLEM, '{"type": "https://api.example/problem"}', "no mark"),
    ("starlette", "OPTIONS", 400, UTF8, "Disallowed CORS origin", "Disallowed CORS origin"),
    ("starlette", "OPTIONS", 400, UTF8, "Disallowed CORS method, headers", "method, headers"),
    (
        *("starlette", "OPTIONS", 200, {**UTF8, **ACAO, "access-control-allow-methods": "GET"}),
        *("OK", "200, and the body says: OK"),
    ),
    ("app", "OPTIONS", 200, UTF8, "OK", "no mark"),
    ("flask_cors", "OPTIONS", 200, {**HTML, **ACAO, "allow": "GET, OPTIONS"}, "", "Allow"),
    ("app", "OPTIONS", 200, {**HTML, "allow": "GET, OPTIONS"}, "", "no mark"),
    ("django_cors_headers", "OPTIONS", 200, {**DJANGO, **ACAO}, "", "vary: origin in lower case"),
    ("django_cors_headers", "OPTIONS", 200, DJANGO, "", "vary: origin in lower case"),
    ("guard", "POST", 403, UTF8, "Cross-origin request blocked", "refuses the Origin"),
    ("guard", "POST", 403, UTF8, "Invalid Origin header", "refuses the Origin"),
    ("guard", "GET", 400, UTF8, f'"{UI} is not an accepted origin."', "refuses the Origin"),
    ("guard", "POST", 403, HTML, "<h1>Forbidden</h1><p>CSRF verification failed.", "the Origin"),
    ("guard", "POST", 403, HTML, f"Origin checking failed - {UI} does not match", "the Origin"),
    ("guard", "POST", 421, UTF8, "Invalid Host header", "refuses the Host"),
    ("guard", "POST", 400, UTF8, "Invalid host header", "refuses the Host"),
    # words that only look alike
    ("app", "GET", 400, UTF8, "the field original is invalid", "no mark"),
    ("app", "GET", 403, UTF8, "this user is not allowed to do that", "no mark"),
    ("app", "GET", 200, UTF8, "Invalid Origin header", "no mark"),
    ("app", "OPTIONS", 403, UTF8, "Invalid CORS request", "a CORS middleware's"),
    ("app", "OPTIONS", 500, HTML, "<pre>Error: Not allowed by CORS<br>", "a CORS middleware's"),
    ("app", "GET", 500, HTML, "<pre>Error: out of memory<br>", "no mark"),
    ("nginx", "OPTIONS", 405, {**HTML, "server": "nginx/1.26"}, "<center>nginx/1.26", "own"),
    ("nginx", "OPTIONS", 405, HTML, "<hr><center>nginx</center>", "a page of nginx's own"),
    ("nginx", "OPTIONS", 404, UTF8, "default backend - 404", "no rule of an Ingress"),
    ("nginx", "GET", 500, {"server": "nginx"}, "oops", "server: nginx"),
    ("cdn", "GET", 403, {"server": "cloudflare", "cf-ray": "8a-FRA"}, "1020", "cf-ray: 8a-FRA"),
    ("cdn", "OPTIONS", 403, {"x-amz-cf-id": "abc"}, "<H1>403 ERROR</H1>", "x-amz-cf-id"),
    ("cdn", "GET", 200, {"via": "1.1 abc.cloudfront.net (CloudFront)"}, "", "via"),
    ("cdn", "GET", 200, {"x-azure-ref": "0abc"}, "", "x-azure-ref"),
    ("cdn", "GET", 200, {"x-cache": "TCP_HIT from a.deploy.akamaitechnologies.com"}, "", "x-cache"),
    ("load_balancer", "GET", 503, {"server": "awselb/2.0"}, "<html>", "server: awselb/2.0"),
    ("load_balancer", "GET", 502, {"server": "Google Frontend"}, "<html>", "Google Frontend"),
    ("app", "GET", 200, {"server": "uvicorn"}, "{}", "server: uvicorn"),
    ("login_redirect", "GET", 302, {"location": "https://login.example/oauth2/authorize"}, "", ""),
    ("login_redirect", "GET", 302, {"location": "/login?next=/v1/predict"}, "", "302 to"),
    ("login_redirect", "OPTIONS", 303, {"location": "https://other.example/start"}, "", "host"),
    (
        *("login_redirect", "GET", 307, {"location": "https://id.example/go?client_id=7"}, ""),
        "its query has client_id",
    ),
    ("login_redirect", "GET", 307, {"location": "https://sso.example/start"}, "", "sso.example"),
    # Envoy's oauth2 filter
    ("login_redirect", "GET", 302, {**ENVOY, "location": "https://accounts.example/auth"}, "", ""),
    # a download, and what is no place to log in
    ("app", "GET", 302, {"location": "https://files.example/7?X-Amz-Signature=a"}, "", "no mark"),
    ("app", "GET", 302, {"location": "javascript:login()"}, "", "no mark"),
    ("app", "GET", 308, {"location": "https://www.api.example/v1/predict"}, "", "no mark"),
    ("app", "GET", 307, {"location": f"{URL}/"}, "", "no mark"),
    ("app", "GET", 307, {"location": "/v1/author/7"}, "", "no mark"),
]


@pytest.mark.parametrize(("layer", "method", "status", "headers", "body", "part"), CASES)
def test_the_layer_is_named_with_its_evidence(
    layer: Layer, method: str, status: int, headers: dict[str, str], body: str, part: str
) -> None:
    found = answered_by(exchange(status, headers, body, method))
    assert found.layer == layer
    assert found.evidence
    assert part in "; ".join(found.evidence)


def test_a_login_below_a_login_is_none() -> None:
    url = "https://api.example/v1/auth/token"
    moved = exchange(307, {"location": f"{url}/"}, "", "GET", url)
    assert answered_by(moved).layer == "app"


def test_every_layer_is_in_the_table_and_has_a_name() -> None:
    assert {case[0] for case in CASES} | {"unreachable"} == set(get_args(Layer))
    assert set(LAYER_NAMES) == set(get_args(Layer))


def test_nobody_answers_without_an_answer() -> None:
    lost = Exchange("GET", URL, (), None, "", b"", "cannot connect", "refused")
    assert answered_by(lost) == AnsweredBy("unreachable", ("cannot connect",))


def test_what_the_pod_and_an_app_say_alike_is_the_pods_where_the_pod_is_seen() -> None:
    granted = answered_by(exchange(204, {"access-control-allow-headers": MESHCORS_LIST, **ACAO}))
    unknown = answered_by(exchange(403, PROBLEM, problem("key-unknown"), "GET"))
    no_route = answered_by(exchange(404, PROBLEM, problem("no-route"), "GET"))
    app = answered_by(exchange(200, {}, "{}", "GET"))
    assert [each.layer for each in with_the_pod([granted, app, unknown])] == [
        *("meshcors", "app", "meshcors"),
    ]
    # the pod has no keys: it never says that one is unknown
    assert [each.layer for each in with_the_pod([granted, app, unknown, no_route])] == [
        *("pod", "app", "meshcors", "pod"),
    ]


def test_evidence_shows_no_secret_that_the_server_sends_back() -> None:
    request = browser.Request(
        UI, f"{URL}?token=s3cret", headers={"model-api-key": "xyz", "authorization": "Bearer t0k3n"}
    )
    for headers in (
        {"server": "gateway for xyz"},
        {"server": "gateway for XYZ"},
        {"cf-ray": "t0k3n"},
        {"location": "https://login.example/oauth2/xyz?token=s3cret"},
        {"location": "/login/s3cret"},
        {"server": "nginx/xyz"},
    ):
        status = 302 if "location" in headers else 200
        found = answered_by(exchange(status, headers, "", "GET"), Quoting(request))
        shown = "; ".join(found.evidence)
        assert not any(secret in shown.lower() for secret in ("xyz", "s3cret", "t0k3n")), shown


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (b"Disallowed CORS origin", ["origin"]),
        (b"Disallowed CORS origin, method, headers", ["origin", "method", "headers"]),
        (b"OK", []),
        (b"\xff\xfe", []),
    ],
)
def test_what_corsmiddleware_refuses_is_read(body: bytes, refused: list[str]) -> None:
    assert starlettes_refusals(body) == refused


@pytest.mark.parametrize("body", ["origin " * 4000, "not allowed " * 3000 + "origin", "<" * 9000])
def test_a_long_body_is_read_in_little_time(body: str) -> None:
    # Quadratic matching would take minutes.
    assert answered_by(exchange(403, UTF8, body, "GET")).layer in ("app", "guard")


def test_evidence_has_no_control_characters() -> None:
    found = answered_by(exchange(200, {"server": "\x1b[31mred"}, "", "GET"))
    assert "\x1b" not in "".join(found.evidence)
