"""What is found: servers as functions, and for each the verdict, the findings and their layers."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast, get_args
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcors import HeaderKey, Policy, browser
from meshcors._cli.doctor_json import as_report
from meshcors._cli.doctor_text import report_lines
from meshcors._decision.engine import Engine
from meshcors._decision.rule_engine import NO_RULE, compile_engine
from meshcors._decision.simulation import Decider, simulate
from meshcors._doctor import sending
from meshcors._doctor.diagnosis import Diagnosis, diagnose
from meshcors._doctor.findings import FINDING_KINDS, FindingCode
from meshcors._doctor.fixes import FIXES, fix_for
from meshcors._doctor.grants import WantedGrant, grant
from meshcors._doctor.layer_names import Layer
from meshcors._doctor.probes import WRONG_KEY, key_header, other_origins
from meshcors._doctor.sending import MOST_REQUESTS, consult
from meshcors.testing._fetch import Exchange
from meshcors.testing._quoting import Quoting

UI, URL = "https://ui.example", "https://api.example/v1/predict"
KEY = ("model-api-key", "xyz")
Answer = tuple[int, Mapping[str, str] | list[tuple[str, str]], str]
Fields = dict[str, str]
Server = Callable[[str, Fields], Answer | str]

GRANT = {"access-control-allow-origin": UI, "vary": "Origin"}
LISTS = {"access-control-allow-headers": "model-api-key, content-type, authorization"}
ENVOY = {"server": "envoy"}
THROUGH = {**ENVOY, "x-envoy-upstream-service-time": "3"}
HTML = {"content-type": "text/html; charset=utf-8"}
UTF8 = {"content-type": "text/plain; charset=utf-8"}


@dataclass
class FakeWire:
    """A wire to a server that is a function; a text from it is a kind of failure."""

    server: Server
    sent: list[tuple[str, Fields, bytes | None]] = field(default_factory=list)

    def exchange(
        self,
        method: str,
        url: str,
        headers: browser.HeaderLines,
        body: bytes | None = None,
        *,
        body_timeout: float | None = None,
    ) -> Exchange:
        self.sent.append((method, {**dict(headers), ":url": url}, body))
        answer = self.server(method, {**dict(headers), ":url": url})
        if isinstance(answer, str):
            kind, _, cut = answer.partition("+")
            response = browser.Response(200, GRANT) if cut else None
            failure = f"{kind} happened"
            return Exchange(method, url, headers, response, "", b"", failure, cast("Any", kind))
        status, fields, text = answer
        response = browser.Response(status, fields)
        return Exchange(method, url, headers, response, "HTTP/2", text.encode(), "", "")


def ask(
    server: Server,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    *,
    credentials: bool = False,
    origin: str = UI,
    url: str = URL,
    decider: Decider | None = None,
    body: bytes | None = None,
) -> Diagnosis:
    headers = dict([KEY]) if headers is None else headers
    mode: browser.Credentials = "include" if credentials else "omit"
    request = browser.Request(origin, url, method, headers, mode)
    wire = cast("Any", FakeWire(server))
    with patch.object(sending, "_addresses", return_value=()):
        consultation = consult(wire, request, body, key_header(request), {})
    return diagnose(consultation, decider)


def is_pages(sent: Fields) -> bool:
    return sent.get("origin") == UI


def answering(
    preflight: Answer | str,
    call: Answer | str = (200, GRANT, "{}"),
    *,
    others: Answer = (403, {}, ""),
    no_key: Answer | None = None,
    wrong_key: Answer | None = None,
) -> Server:
    """A server that answers the page with these, and other origins with `others`."""

    def server(method: str, sent: Fields) -> Answer | str:
        if not is_pages(sent):
            return others
        if method == "OPTIONS":
            return preflight
        key = sent.get("model-api-key")
        if key is None and no_key is not None:
            return no_key
        return wrong_key if wrong_key is not None and key == WRONG_KEY else call

    return server


def of_policy(policy: Policy) -> Server:
    """What meshcors answers in an app."""
    engine = Engine(policy)

    def server(method: str, sent: Fields) -> Answer:
        fields = [(name, value) for name, value in sent.items() if name != ":url"]
        status, headers, reason = simulate(engine, method, "/v1/predict", fields)
        dashed = reason.replace("_", "-")
        return status, list(headers), f'{{"type": "urn:meshcors:problem:{dashed}"}}'

    return server


def echoing(credentials: str) -> Server:
    """CORSMiddleware and others with every origin."""

    def server(method: str, sent: Fields) -> Answer:
        origin = sent.get("origin", "")
        fields = {**LISTS, "access-control-allow-origin": origin, "vary": "Origin"}
        return 200, {**fields, "access-control-allow-credentials": credentials}, ""

    return server


def allowing(pattern: str) -> Server:
    """A regex that is matched at the beginning only."""

    def server(method: str, sent: Fields) -> Answer:
        origin = sent.get("origin", "")
        grant = {**GRANT, "access-control-allow-origin": origin}
        return 200, {**LISTS, **(grant if re.match(pattern, origin) else {})}, ""

    return server


def listing_options(answer: Answer | str) -> Answer:
    status, fields, text = cast("Answer", answer)
    lines = list(fields.items() if isinstance(fields, Mapping) else fields)
    if status == 204:
        lines.append(("access-control-allow-methods", "OPTIONS, GET"))
    return status, lines, text


OK = (204, {**GRANT, **LISTS, "access-control-max-age": "600"}, "")
NO_ROUTE = (404, ENVOY, "")
OPEN: dict[str, Any] = {"allow_headers": ["model-api-key"], "max_age": 600}
GOOD = Policy(allow_origins=[UI], max_age=600, key=HeaderKey("model-api-key", ["xyz"]))
TWICE = [("access-control-allow-origin", UI), ("access-control-allow-origin", UI), *LISTS.items()]

Found = dict[str, tuple[str, str]]


def pod_for_every_options(_: str, sent: Fields) -> Answer:
    if not is_pages(sent):
        return 403, {}, ""
    if "access-control-request-method" in sent:
        return 204, {**OK[1], "access-control-allow-methods": "OPTIONS"}, ""
    problem = {**GRANT, "content-type": "application/problem+json"}
    return 404, problem, '{"type": "urn:meshcors:problem:no-route"}'


def case(name: str, server: Server, verdict: str, found: Found, *args: Any, **options: Any) -> Any:
    return pytest.param(server, verdict, found, args, options, id=name)


E, W, N = "error", "warning", "note"
CASES = [
    case("healthy", of_policy(GOOD), "works", {}),
    case(
        "healthy with credentials",
        of_policy(Policy(**OPEN, allow_origins=[UI], allow_credentials=True)),
        *("works", {"key_not_checked": ("app", N)}),
        credentials=True,
    ),
    case(
        "not routed",
        answering(NO_ROUTE, (200, THROUGH, "{}"), others=NO_ROUTE, no_key=NO_ROUTE),
        *("blocked", {"preflight_not_routed": ("envoy_no_route", E)}),
    ),
    case(
        "the app answers 405",
        answering((405, {"allow": "POST"}, "")),
        *("blocked", {"preflight_unanswered": ("app", E)}),
    ),
    case(
        "a 200 without CORS",
        answering((200, {**HTML, "allow": "GET, OPTIONS"}, "")),
        *("blocked", {"preflight_unanswered": ("app", E)}),
    ),
    case(
        "a 500",
        answering((500, {}, "")),
        *("blocked", {"preflight_error_status": ("app", E)}),
    ),
    case(
        "a 401",
        answering((401, {"www-authenticate": "Bearer"}, "")),
        *("blocked", {"preflight_denied_by_auth": ("app", E)}),
    ),
    case(
        "a 405 with a grant",
        answering((405, GRANT, "")),
        *("blocked", {"preflight_unanswered": ("app", E)}),
    ),
    case(
        "RBAC in front",
        answering((403, ENVOY, "RBAC: access denied")),
        *("blocked", {"preflight_denied_by_auth": ("envoy_rbac", E)}),
    ),
    case(
        "JWT in front",
        answering((401, ENVOY, "Jwt is missing")),
        *("blocked", {"preflight_denied_by_auth": ("envoy_jwt", E)}),
    ),
    case(
        "a preflight that is sent elsewhere",
        answering((308, {"location": "https://www.api.example/v1/predict"}, "")),
        *("blocked", {"preflight_redirected": ("app", E)}),
    ),
    case(
        "a preflight that is asked to log in",
        answering((302, {"location": "https://login.example/oauth2/authorize"}, "")),
        *("blocked", {"preflight_redirected": ("login_redirect", E)}),
    ),
    case(
        "a preflight without the last slash",
        answering((307, {"location": f"{URL}/"}, "")),
        *("blocked", {"slash_redirect": ("app", E)}),
    ),
    case(
        "another origin in meshcors",
        of_policy(Policy(allow_origins=["https://other.example"])),
        *("blocked", {"origin_not_allowed": ("meshcors", E)}),
    ),
    case(
        "another origin without a preflight",
        of_policy(Policy(allow_origins=["https://other.example"])),
        *("blocked", {"grant_missing_on_call": ("app", E)}),
        *("GET", {}),
    ),
    case(
        "another origin in CORSMiddleware",
        answering((400, UTF8, "Disallowed CORS origin")),
        *("blocked", {"origin_not_allowed": ("starlette", E)}),
    ),
    case(
        "method and header in CORSMiddleware",
        answering((400, {**UTF8, **GRANT}, "Disallowed CORS method, headers")),
        "blocked",
        {"method_not_allowed": ("starlette", E), "header_not_allowed": ("starlette", E)},
        "PUT",
    ),
    case(
        "another origin in django-cors-headers",
        answering((200, {**HTML, "vary": "origin"}, "")),
        *("blocked", {"origin_not_allowed": ("django_cors_headers", E)}),
    ),
    case(
        "another origin in Envoy's filter",
        answering((200, {**ENVOY, **LISTS}, "")),
        *("blocked", {"origin_not_allowed": ("envoy_cors", E)}),
    ),
    case(
        "another origin in Spring",
        answering((403, {}, "Invalid CORS request")),
        *("blocked", {"origin_not_allowed": ("app", E)}),
    ),
    case(
        "another origin in Express",
        answering((500, HTML, "<pre>Error: Not allowed by CORS")),
        *("blocked", {"origin_not_allowed": ("app", E)}),
    ),
    case(
        "another origin in Express, without a preflight",
        answering("", (500, HTML, "<pre>Error: Not allowed by CORS")),
        *("blocked", {"origin_not_allowed": ("app", E)}, "GET", {}),
    ),
    case(
        "a bare 403 for this origin alone",
        lambda method, sent: (403 if "origin" in sent else 404, {}, ""),
        *("blocked", {"origin_not_allowed": ("app", E)}, "POST"),
    ),
    case(
        "a bare 403 for everybody",
        lambda method, sent: (403, {}, ""),
        *("blocked", {"preflight_denied_by_auth": ("app", E)}, "POST"),
    ),
    case(
        "always the same origin",
        answering(
            (204, {**LISTS, "access-control-allow-origin": "https://other.example"}, ""),
            others=(204, {**LISTS, "access-control-allow-origin": "https://other.example"}, ""),
        ),
        *("blocked", {"origin_not_allowed": ("app", E)}),
    ),
    case(
        "a list of origins",
        answering((204, {"access-control-allow-origin": f"https://a.example, {UI}"}, "")),
        *("blocked", {"origin_not_allowed": ("app", E)}),
    ),
    case(
        "two lines",
        answering((204, TWICE, "")),
        *("blocked", {"two_owners": ("app", E)}),
    ),
    case(
        "two lines that differ",
        answering((204, [*TWICE[:1], ("access-control-allow-origin", "https://a.example")], "")),
        *("blocked", {"two_owners": ("app", E)}),
    ),
    case(
        "a denial with a grant",
        answering((403, GRANT, "")),
        *("blocked", {"preflight_denied_by_auth": ("app", E)}),
    ),
    case(
        "two values in a line",
        answering((204, {**LISTS, "access-control-allow-origin": f"{UI},{UI}"}, "")),
        *("blocked", {"two_owners": ("app", E)}),
    ),
    case(
        "* and the origin",
        answering(OK, (200, {"access-control-allow-origin": f"*, {UI}"}, "")),
        *("blocked", {"two_owners": ("app", E)}),
    ),
    case(
        "two owners behind nginx",
        answering(OK, (200, [*TWICE, ("server", "nginx")], "")),
        *("blocked", {"two_owners": ("nginx", E)}),
    ),
    case(
        "a doubled max-age, which decides nothing",
        answering((204, [*OK[1].items(), ("access-control-max-age", "600")], "")),
        "works",
        {
            "two_owners": ("app", W),
            "max_age_capped": ("app", N),
            "key_not_checked": ("app", N),
        },
    ),
    case(
        "a header is missing",
        answering((204, {**GRANT, "access-control-allow-headers": "content-type"}, "")),
        *("blocked", {"header_not_allowed": ("app", E)}),
    ),
    case(
        "a method is missing",
        answering((204, {**GRANT, **LISTS, "access-control-allow-methods": "GET"}, "")),
        *("blocked", {"method_not_allowed": ("app", E)}, "PUT"),
    ),
    case(
        "a list that is none",
        answering((204, {**GRANT, "access-control-allow-headers": "a b"}, "")),
        *("blocked", {"list_malformed": ("app", E)}),
    ),
    case(
        "* with credentials",
        answering((204, {**LISTS, "access-control-allow-origin": "*"}, "")),
        *("blocked", {"wildcard_with_credentials": ("app", E)}),
        credentials=True,
    ),
    case(
        "* beside credentials in a call without",
        answering(
            (
                204,
                {**OK[1], "access-control-allow-origin": "*"}
                | {"access-control-allow-credentials": "true"},
                "",
            ),
        ),
        "works",
        {"wildcard_with_credentials": ("app", W), "key_not_checked": ("app", N)},
    ),
    case(
        "credentials are not allowed",
        answering(OK),
        *("blocked", {"credentials_not_allowed": ("app", E)}),
        credentials=True,
    ),
    case(
        "no grant on the call",
        answering(OK, (200, {}, "{}")),
        *("blocked", {"grant_missing_on_call": ("app", E)}),
    ),
    case(
        "no grant on a 500",
        answering(OK, (500, {"server": "uvicorn"}, "")),
        *("blocked", {"grant_missing_on_error": ("app", E)}),
    ),
    case(
        "no route for the call",
        answering(OK, NO_ROUTE),
        *("blocked", {"grant_missing_on_error": ("envoy_no_route", E)}),
    ),
    case(
        "refusals that no page can read",
        answering(OK, wrong_key=NO_ROUTE, no_key=NO_ROUTE),
        "works",
        {
            "grant_missing_on_error": ("envoy_no_route", W),
            "key_missing_unreadable": ("envoy_no_route", W),
        },
    ),
    case(
        "no service behind",
        answering(OK, (503, ENVOY, "no healthy upstream")),
        *("blocked", {"no_upstream": ("envoy_no_upstream", E)}),
    ),
    case(
        "no service behind, readable",
        answering(OK, (503, {**ENVOY, **GRANT}, "no healthy upstream")),
        *("works", {"no_upstream": ("envoy_no_upstream", W)}),
    ),
    case(
        "nginx reaches nobody",
        answering((502, {**HTML, "server": "nginx"}, "<center>nginx</center>")),
        *("blocked", {"no_upstream": ("nginx", E)}),
    ),
    case(
        "an error that the page can read",
        answering(OK, (422, GRANT, "")),
        *("works", {"call_refused": ("app", N)}),
    ),
    case(
        "the page's own OPTIONS, which the pod gets",
        pod_for_every_options,
        *("works", {"options_taken": ("pod", W)}),
        *("OPTIONS", {"model-api-key": "xyz"}),
    ),
    case(
        "a guard that says so",
        answering(OK, (403, {**UTF8, **GRANT}, "Invalid Origin header")),
        *("blocked", {"guard_refuses_origin": ("guard", E)}),
    ),
    case(
        "a guard that says nothing",
        lambda method, sent: (
            OK
            if method == "OPTIONS" and is_pages(sent)
            else (403 if "origin" in sent else 200, {}, "")
        ),
        *("blocked", {"guard_refuses_origin": ("guard", E)}),
    ),
    case(
        "a denial that has nothing to do with the Origin",
        answering(OK, (403, {}, ""), others=(403, {}, "")),
        *("blocked", {"grant_missing_on_error": ("app", E)}),
    ),
    case(
        "a guard of hosts",
        answering(OK, (421, UTF8, "Invalid Host header")),
        *("blocked", {"guard_refuses_host": ("guard", E)}),
    ),
    case(
        "a login instead of an answer",
        answering(OK, (302, {**GRANT, "location": "https://login.example/oauth2/authorize"}, "")),
        *("blocked", {"call_redirected_to_login": ("login_redirect", E)}),
    ),
    case(
        "another host without a grant",
        answering(OK, (301, {"location": "https://www.api.example/v1/predict"}, "")),
        *("blocked", {"call_redirected": ("app", E)}),
    ),
    case(
        "a slash without a grant",
        answering(OK, (307, {"location": f"{URL}/"}, "")),
        *("blocked", {"slash_redirect": ("app", E)}),
    ),
    case(
        "redirects without an end",
        answering(OK, (307, {**GRANT, "location": "/v1/predict/"}, "")),
        *("unknown", {"redirects_go_on": ("app", E)}),
    ),
    case(
        "a redirect to another server",
        lambda method, sent: (
            (200, {**LISTS, "access-control-allow-origin": "*", "access-control-max-age": "60"}, "")
            if method == "OPTIONS" or ":8443" in sent[":url"]
            else (307, {**GRANT, "location": "https://api.example:8443/v1/predict"}, "")
        ),
        *("unknown", {"redirected_elsewhere": ("app", E), "stranger_allowed": ("app", N)}),
    ),
    case(
        "a redirect that works",
        lambda method, sent: (
            (403, {}, "")
            if not is_pages(sent)
            else OK
            if method == "OPTIONS"
            else (200, GRANT, "{}")
            if sent[":url"].endswith("/")
            else (307, {**GRANT, "location": f"{URL}/"}, "")
        ),
        *("works", {"key_not_checked": ("app", N)}),
    ),
    case(
        "a stream that breaks off",
        answering(OK, "cut_short+answer"),
        *("blocked", {"stream_cut_short": ("app", E), "key_not_checked": ("app", N)}),
    ),
    case(
        "a stream that goes on",
        answering(OK, "timeout+answer"),
        *("works", {"key_not_checked": ("app", N)}),
    ),
    *(
        case(f"nobody: {kind}", lambda *_, kind=kind: kind, "unknown", {code: ("unreachable", E)})
        for kind, code in {
            "dns": "dns_fault",
            "refused": "refused",
            "tls": "tls_fault",
            "timeout": "timeout",
            "closed": "broken_answer",
            "reset": "broken_answer",
            "protocol": "broken_answer",
        }.items()
    ),
    case(
        "the call is reset",
        answering(OK, "reset"),
        *("blocked", {"broken_answer": ("unreachable", E)}),
    ),
    case(
        "the call takes too long",
        answering(OK, "timeout"),
        *("unknown", {"timeout": ("unreachable", E)}),
    ),
    case(
        "every origin with credentials",
        echoing("true"),
        "works",
        {
            "stranger_echoed_with_credentials": ("app", E),
            "max_age_missing": ("app", N),
            "key_not_checked": ("app", N),
        },
    ),
    case(
        "every origin without credentials",
        echoing("false"),
        "works",
        {
            "stranger_allowed": ("app", W),
            "max_age_missing": ("app", N),
            "key_not_checked": ("app", N),
        },
    ),
    case(
        "* is meant",
        of_policy(Policy(**OPEN, allow_origins=["*"])),
        *("works", {"stranger_allowed": ("meshcors", N), "key_not_checked": ("app", N)}),
    ),
    *(
        case(
            name,
            allowing(pattern),
            "works",
            {code: ("app", severity), "max_age_missing": ("app", N), "key_not_checked": ("app", N)},
        )
        for name, pattern, code, severity in (
            ("without an end", r"https://ui\.example", "look_alike_allowed", W),
            ("without a beginning", r"https://.*ui\.example$", "look_alike_allowed", W),
            ("null", r"(https://ui\.example|null)$", "null_allowed", W),
        )
        if name != "without a beginning"
    ),
    case(
        "with a dot",
        allowing(r"https://app.ui.example$"),
        "works",
        {
            "look_alike_allowed": ("app", W),
            "max_age_missing": ("app", N),
            "key_not_checked": ("app", N),
        },
        origin="https://app.ui.example",
    ),
    case(
        "without a beginning",
        allowing(r"https://.*ui\.example$"),
        "works",
        {
            "look_alike_allowed": ("app", W),
            "subdomain_allowed": ("app", N),
            "max_age_missing": ("app", N),
            "key_not_checked": ("app", N),
        },
    ),
    case(
        "subdomains",
        of_policy(Policy(**OPEN | {"max_age": 7200}, allow_origins=[UI, "https://*.ui.example"])),
        "works",
        {
            "subdomain_allowed": ("meshcors", N),
            "max_age_capped": ("meshcors", N),
            "key_not_checked": ("app", N),
        },
    ),
    case(
        "no Vary",
        answering((204, {**OK[1]}, ""), (200, {"access-control-allow-origin": UI}, "{}")),
        *("works", {"vary_missing": ("app", N), "key_not_checked": ("app", N)}),
    ),
    case(
        "Vary: *",
        answering(OK, (200, {**GRANT, "vary": "*"}, "")),
        *("works", {"key_not_checked": ("app", N)}),
    ),
    case(
        "no Vary, and kept",
        answering(
            OK,
            (200, {"access-control-allow-origin": UI, "cache-control": "public, max-age=60"}, ""),
        ),
        *("works", {"vary_missing": ("app", W), "key_not_checked": ("app", N)}),
    ),
    case(
        "no Vary where everybody gets the same",
        answering(OK, (200, {"access-control-allow-origin": UI}, ""), others=OK),
        *("works", {"key_not_checked": ("app", N)}),
    ),
    case(
        "no Vary where nothing is kept",
        answering(OK, (200, {"access-control-allow-origin": UI, "cache-control": "no-store"}, "")),
        *("works", {"key_not_checked": ("app", N)}),
    ),
    case(
        "authorization under *",
        answering((204, {**OK[1], "access-control-allow-headers": "*"}, "")),
        *("works", {"authorization_under_star": ("app", W)}),
        *("GET", {"authorization": "Bearer t"}),
    ),
    case(
        "authorization under * with credentials",
        answering((204, {**OK[1], "access-control-allow-headers": "*"}, "")),
        *("blocked", {"credentials_not_allowed": ("app", E)}),
        *("GET", {"authorization": "Bearer t"}),
        credentials=True,
    ),
    case(
        "* is a name like any other with credentials",
        answering(
            (
                204,
                {**OK[1], "access-control-allow-credentials": "true"}
                | {"access-control-allow-headers": "*"},
                "",
            ),
        ),
        *("blocked", {"header_not_allowed": ("app", E)}),
        *("GET", {"authorization": "Bearer t"}),
        credentials=True,
    ),
    case(
        "an https page and an http URL",
        of_policy(GOOD),
        *("blocked", {"mixed_content": ("meshcors", E)}),
        url="http://api.example/v1/predict",
    ),
    case("loopback is no mixed content", of_policy(GOOD), "works", {}, url="http://127.0.0.1/a"),
    case(
        "not what the policy says",
        of_policy(Policy(**OPEN, allow_origins=[UI, "https://stranger.invalid"])),
        "works",
        {
            "stranger_allowed": ("meshcors", W),
            "policy_differs": ("meshcors", W),
            "key_not_checked": ("app", N),
        },
        decider=compile_engine(GOOD.without_key_values(), NO_RULE),
    ),
    case(
        "just what the policy says, and OPTIONS",
        lambda method, sent: listing_options(of_policy(GOOD)(method, sent)),
        *("works", {}),
        decider=compile_engine(GOOD.without_key_values(), NO_RULE),
    ),
]


@pytest.mark.parametrize(("server", "verdict", "found", "args", "options"), CASES)
def test_what_is_found(
    server: Server, verdict: str, found: Found, args: tuple[Any, ...], options: dict[str, Any]
) -> None:
    diagnosis = ask(server, *args, **options)
    assert diagnosis.verdict == verdict
    assert {each.code: (each.layer, each.severity) for each in diagnosis.findings} == found
    assert all(each.works for each in diagnosis.engines.values()) == (verdict == "works")
    text = "\n".join(line.text for line in report_lines(diagnosis))
    for each in diagnosis.findings:
        assert each.message in text
        assert "{" not in each.message
        assert each.fix


def test_every_finding_is_in_the_table() -> None:
    codes = {code for each in CASES for code in cast("Found", each.values[2])}
    # of these, the addresses of a name are needed, and the environment
    assert codes == set(get_args(FindingCode)) - {"private_network", "proxy_not_used"}
    assert set(FINDING_KINDS) == set(FIXES) == set(get_args(FindingCode))


WORDS = ("origin", "host", "method", "field", "key", "missing_quoted", "missing_flags")


@pytest.mark.parametrize("code", FINDING_KINDS)
@pytest.mark.parametrize("origin", [UI, "null"])
def test_every_fix_is_filled_in_and_can_be_written(code: FindingCode, origin: str) -> None:
    want = WantedGrant(origin, URL, "PUT", ("model-api-key",), credentials=True, key="")
    for layer in get_args(Layer):
        fix = fix_for(code, layer, want, dict.fromkeys(WORDS, "word"))
        assert not re.search(r"\{[a-z_]+\}|\{\{", fix), layer
        # A policy with that origin does not start, and no other should have it.
        assert "null" not in re.sub(
            "explain FILE --origin null|The origin null|Remove null from", "", fix
        ), layer


def test_engines_may_differ() -> None:
    """Chromium drops a script's user-agent, and announces none."""
    names = {"access-control-allow-headers": "model-api-key"}
    server = answering((204, {**GRANT, **names}, ""))
    diagnosis = ask(server, headers={"user-agent": "mine", "model-api-key": "xyz"})
    assert {engine for engine, each in diagnosis.engines.items() if each.works} == {"chromium"}
    assert diagnosis.verdict == "blocked"
    lines = [line.text for line in report_lines(diagnosis)]
    assert "It works in Chromium, but not in Firefox or Safari." in lines
    assert {each.code for each in diagnosis.findings if each.severity == E} == {
        "header_not_allowed"
    }


def test_a_redirect_that_goes_on_is_not_called_a_missing_answer() -> None:
    diagnosis = ask(answering(OK, (307, {**GRANT, "location": "/v1/predict/"}, "")))
    lines = [line.text for line in report_lines(diagnosis)]
    assert "Cannot tell whether it works: it is redirected too far." in lines


def test_a_call_to_the_pages_own_origin_needs_no_cors() -> None:
    diagnosis = ask(lambda *_: (200, {}, "{}"), "PUT", origin="https://api.example")
    assert diagnosis.verdict == "works"
    lines = [line.text for line in report_lines(diagnosis)]
    assert "It is the page's own origin, to which CORS does not apply." in lines


def test_errors_come_first() -> None:
    found = ask(echoing("true")).findings
    severities = [each.severity for each in found]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)


@pytest.mark.parametrize("addresses", [("10.1.2.3",), ("8.8.8.8", "127.0.0.1"), ("fd00::1",)])
def test_a_private_address_is_named_for_a_public_page(addresses: tuple[str, ...]) -> None:
    request = browser.Request(UI, URL)
    wire = cast("Any", FakeWire(of_policy(GOOD)))
    with patch.object(sending, "_addresses", return_value=addresses):
        diagnosis = diagnose(consult(wire, request, None, "", {}))
    (found,) = [each for each in diagnosis.findings if each.code == "private_network"]
    assert "Safari" not in found.message


def test_an_older_safari_blocks_loopback_as_mixed_content() -> None:
    request = browser.Request(UI, "http://127.0.0.1/v1")
    wire = cast("Any", FakeWire(of_policy(GOOD)))
    with patch.object(sending, "_addresses", return_value=("127.0.0.1",)):
        diagnosis = diagnose(consult(wire, request, None, "", {}))
    (found,) = [each for each in diagnosis.findings if each.code == "private_network"]
    assert "Older versions of Safari" in found.message


def test_a_public_address_and_a_private_page_are_not() -> None:
    for origin, addresses in ((UI, ("8.8.8.8",)), ("http://localhost:3000", ("10.0.0.1",))):
        wire = cast("Any", FakeWire(of_policy(GOOD)))
        with patch.object(sending, "_addresses", return_value=addresses):
            diagnosis = diagnose(consult(wire, browser.Request(origin, URL), None, "", {}))
        assert "private_network" not in {each.code for each in diagnosis.findings}


@pytest.mark.parametrize(
    ("host", "asks"),
    [
        *((each, True) for each in ("192.168.1.5", "10.1.2.3", "169.254.1.1", "100.64.0.1")),
        *((each, True) for each in ("172.31.0.1", "[fd00::1]", "[fe80::1]", "nas.local")),
        *((each, False) for each in ("8.8.8.8", "203.0.113.9", "172.32.0.1", "[2606:4700::1]")),
        *((each, False) for each in ("nas", "nas.lan", "api.example", "local")),
    ],
)
def test_chromium_asks_for_what_others_block_as_mixed_content(host: str, asks: bool) -> None:
    wire = FakeWire(of_policy(GOOD))
    request = browser.Request(UI, f"http://{host}/v1", "POST", dict([KEY]))
    with patch.object(sending, "_addresses", return_value=()):
        diagnosis = diagnose(consult(cast("Any", wire), request, b"{}", KEY[0], {}))
    assert diagnosis.verdict == "blocked"
    works = {engine: each.works for engine, each in diagnosis.engines.items()}
    assert works == {"chromium": asks, "firefox": False, "safari": False}
    assert ("POST" in [sent for sent, *_ in wire.sent]) == asks
    (found,) = [each for each in diagnosis.findings if each.code == "mixed_content"]
    assert ("Chromium alone" in found.message) == asks


def test_no_redirect_to_a_private_address_is_followed_from_an_https_page() -> None:
    moved = (307, {**GRANT, "location": "http://192.168.1.5/v1"}, "")
    wire = FakeWire(answering(OK, moved))
    request = browser.Request(UI, URL, "POST", {"content-type": "text/plain"})
    with patch.object(sending, "_addresses", return_value=()):
        diagnosis = diagnose(consult(cast("Any", wire), request, b"{}", "", {}))
    assert not any("192.168" in fields[":url"] for _, fields, _ in wire.sent)
    assert not any(each.works for each in diagnosis.engines.values())


# --- what is sent -----------------------------------------------------------------------------


def sent_by(server: Server, method: str, headers: Mapping[str, str] | None = None) -> list[str]:
    request = browser.Request(UI, URL, method, dict([KEY]) if headers is None else headers)
    wire = FakeWire(server)
    consult(cast("Any", wire), request, b"{}", key_header(request), {("api.example", 443): "x"})
    return [sent for sent, _, _ in wire.sent]


def test_a_post_is_not_sent_after_a_preflight_that_was_refused() -> None:
    assert set(sent_by(answering(NO_ROUTE), "POST")) == {"OPTIONS"}
    assert sent_by(answering(NO_ROUTE), "GET").count("GET") == 3


def test_a_get_after_a_refused_preflight_follows_no_redirect() -> None:
    moved = (307, {**GRANT, "location": "/else"}, "")
    # the call, with a wrong key, and without one
    assert sent_by(answering(NO_ROUTE, moved), "GET") == ["OPTIONS", *["GET"] * 3, *["OPTIONS"] * 5]


def test_what_is_left_out_after_twelve_requests_is_said() -> None:
    moved = (307, {**GRANT, "location": "/v1/predict?again"}, "")
    diagnosis = ask(answering(OK, moved))
    (last,) = [each for each in diagnosis.consultation.tried if each.exchange is None]
    assert last is diagnosis.consultation.tried[-1]
    assert last.why_not == "12 requests were sent before"


def test_never_more_than_twelve_requests_are_sent() -> None:
    moved = (307, {**GRANT, "location": "/v1/predict?again"}, "")
    for server in (answering(OK, moved), answering(OK, (403, {}, "")), answering(OK)):
        for method in ("GET", "POST", "PUT"):
            assert len(sent_by(server, method)) <= MOST_REQUESTS == 12
    # the call, with a wrong key, without one, and without an Origin
    assert sent_by(answering(OK, (403, {}, "")), "POST").count("POST") == 4


@pytest.mark.parametrize("sent", range(9))
def test_after_a_minute_no_request_is_sent(sent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0
    asked = list[str]()

    def server(method: str, fields: Fields) -> Answer | str:
        nonlocal clock
        clock += 20 if len(asked) == sent - 1 else 0
        asked.append(method)
        moved = {**GRANT, **LISTS, "location": "/else"}
        return (307, moved, "") if len(asked) == 2 else (204, {**GRANT, **LISTS}, "")

    monkeypatch.setattr(sending, "monotonic", lambda: clock)
    monkeypatch.setattr(sending, "MOST_SECONDS", 10.0 if sent else -1.0)
    diagnosis = ask(server)
    assert len(asked) == sent
    lines = "\n".join(line.text for line in report_lines(diagnosis))
    assert lines.count("not sent: the requests before it took 60 seconds.") == 1
    assert as_report(diagnosis)


def test_other_origins_are_asked_by_preflights_alone_where_the_call_may_change_something() -> None:
    wire = FakeWire(answering(OK))
    request = browser.Request(UI, URL, "POST", {"content-type": "text/plain"})
    consult(cast("Any", wire), request, b"x", "", {("api.example", 443): "x"})
    assert [sent for sent, fields, _ in wire.sent if not is_pages(fields)] == ["OPTIONS"] * 5
    assert [body for sent, _, body in wire.sent if sent == "POST"] == [b"x"]


def test_the_body_is_sent_with_every_key() -> None:
    wire = FakeWire(answering(OK))
    request = browser.Request(UI, URL, "POST", dict([KEY]))
    consult(cast("Any", wire), request, b"{}", "model-api-key", {("api.example", 443): "x"})
    assert [body for sent, _, body in wire.sent if sent == "POST"] == [b"{}"] * 3


def test_a_denied_preflight_makes_no_guard_of_a_denied_call() -> None:
    def server(method: str, sent: Fields) -> Answer:
        return 200 if method == "OPTIONS" and "origin" not in sent else 403, {}, ""

    diagnosis = ask(server)
    assert [each.layer for each in diagnosis.consultation.layers[:2] if each] == ["app", "app"]


def test_nothing_more_is_sent_after_a_request_without_an_answer_in_time() -> None:
    assert sent_by(answering(OK, "timeout"), "GET") == ["OPTIONS", "GET"]


def test_a_page_without_an_origin_is_told_to_get_one() -> None:
    diagnosis = ask(of_policy(GOOD), origin="null")
    (found,) = [each for each in diagnosis.findings if each.severity == E]
    assert found.code == "origin_not_allowed"
    assert "Serve the page over http or https" in found.fix
    assert "null" not in found.fix.partition(".")[2]


def test_an_app_of_unknown_make_gets_the_fields_too() -> None:
    diagnosis = ask(answering((405, {}, "")), "PUT", credentials=True)
    (found,) = [each for each in diagnosis.findings if each.severity == E]
    assert "`MeshCORS(app, " in found.fix
    for line in (
        f"`access-control-allow-origin: {UI}`",
        "`access-control-allow-methods: PUT`",
        "`access-control-allow-headers: model-api-key`",
        "`access-control-allow-credentials: true`",
    ):
        assert line in found.fix.splitlines()


def test_nothing_more_is_sent_where_nobody_answers() -> None:
    assert sent_by(lambda *_: "refused", "GET") == ["OPTIONS"]


def test_the_key_is_the_header_that_is_no_usual_name() -> None:
    def of(**headers: str) -> str:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return key_header(browser.Request(UI, URL, headers=names))

    assert of(authorization="Bearer t", model_api_key="xyz", content_type="a/b") == "model-api-key"
    assert of(x_tenant="a") == "x-tenant"
    assert of(x_version="1", api_key="xyz") == "api-key"
    assert of(authorization="Bearer t", x_request_id="7") == ""
    request = browser.Request(UI, URL, headers={"api-key": "xyz", "authorization": "Bearer t"})
    assert key_header(request, "authorization") == "authorization"
    assert key_header(request, "x-other") == "api-key"


@pytest.mark.parametrize(
    ("origin", "others"),
    [
        (
            "https://ui.example.com:8443",
            {
                *("https://stranger.invalid", "null", "https://ui.example.com.evil.example:8443"),
                *("https://evilui.example.com:8443", "https://uixexample.com:8443"),
                "https://meshcors-doctor.ui.example.com:8443",
            },
        ),
        (
            "http://10.0.0.1",
            {"https://stranger.invalid", "null", "http://10.0.0.1.evil.example"},
        ),
        ("null", {"https://stranger.invalid"}),
    ],
)
def test_other_origins_are_like_the_pages(origin: str, others: set[str]) -> None:
    assert {each for _, each in other_origins(origin)} == others


# --- nothing secret is shown ------------------------------------------------------------------


def parrot(method: str, sent: Fields) -> Answer:
    """A server that sends every secret back, wherever it can."""
    heard = f"{sent.get('model-api-key', '')} {sent.get('authorization', '')} s3cret"
    fields = {
        "access-control-allow-origin": heard,
        "access-control-allow-methods": heard,
        "server": heard,
        "www-authenticate": heard,
        "location": f"https://login.example/{heard}?next=s3cret&k={heard}",
        "cf-ray": heard,
    }
    return (302 if method != "OPTIONS" else 400), fields, f"Disallowed CORS origin {heard}"


def granting_parrot(method: str, sent: Fields) -> Answer:
    status, fields, text = parrot(method, sent)
    granted = {**cast("Fields", fields), **GRANT, **LISTS}
    return (200 if method == "OPTIONS" else status), granted, text


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": [{"b": "b0dy-text"}], "c": 48151623}',
        b"a=b0dy-text&c=48151623",
        b"b0dy-text",
        b"\xff b0dy-text",
        b'["b0dy-text", 48151623',
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_a_body_that_a_server_sends_back_is_not_shown(body: bytes, whole: bool) -> None:
    said = body.decode("utf-8", "replace") if whole else "b0dy-text and 48151623"
    allowed = {"access-control-allow-origin": said, "server": said}
    for server in (
        answering(OK, (200, allowed, "{}")),
        answering(OK, (302, {**GRANT, "location": f"/login/{said}"}, "")),
        answering(OK, (401, ENVOY, f"Jwt {said}")),
    ):
        diagnosis = ask(server, "POST", body=body)
        text = "\n".join(line.text for line in report_lines(diagnosis))
        shown = text + json.dumps(as_report(diagnosis), ensure_ascii=False)
        if whole or b"{" in body or b"=" in body:
            assert "b0dy-text" not in shown
            assert "48151623" not in shown


def test_no_console_shows_what_firefox_alone_looks_at() -> None:
    """It looks at the origin before the status."""
    said = {"access-control-allow-origin": "s3cret", "server": "x"}
    diagnosis = ask(answering((400, said, "")), url=f"{URL}?token=s3cret")
    shown = "\n".join(each.console for each in diagnosis.engines.values())
    assert "does not match" in shown
    assert "s3cret" not in shown


@pytest.mark.parametrize(
    ("value", "ages"),
    [
        (None, (5, 5, 5)),
        ("0", (0, 0, 0)),
        ("600", (600, 600, 600)),
        ("3600", (3600, 3600, 600)),
        ("99999999", (7200, 86400, 600)),
        # docs/browser.md
        ("-1", (None, None, None)),
        ("10m", (5, None, 5)),
    ],
)
def test_how_long_each_engine_keeps_the_answer_to_the_preflight(
    value: str | None, ages: tuple[int | None, ...]
) -> None:
    named = {} if value is None else {"access-control-max-age": value}
    diagnosis = ask(answering((204, {**GRANT, **LISTS, **named}, "")))
    assert diagnosis.verdict == "works"
    assert tuple(each.max_age for each in diagnosis.engines.values()) == ages


def test_none_is_kept_without_a_preflight_or_of_a_blocked_call() -> None:
    for diagnosis in (ask(answering(OK), headers={}), ask(answering((403, {}, "")))):
        assert {each.max_age for each in diagnosis.engines.values()} == {None}


@pytest.mark.parametrize("server", [parrot, granting_parrot])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_secret_that_a_server_sends_back_is_not_shown(server: Server, method: str) -> None:
    headers = {"model-api-key": "k3y", "authorization": "Bearer t0k3n"}
    diagnosis = ask(server, method, headers, url=f"{URL}?token=s3cret", credentials=True)
    text = "\n".join(line.text for line in report_lines(diagnosis))
    shown = text + repr(as_report(diagnosis))
    assert "…" in shown
    for secret in ("k3y", "t0k3n", "s3cret"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("secret", "written"),
    [
        ("ab/cd+ef==", "ab/cd%2Bef%3D%3D"),
        ("ab/cd+ef==", "%61b%2fcd+ef=="),
        ('it\'s \\ "x"', repr(bytearray(b'it\'s \\ "x"'))),
        ('it\'s \\ "x"', json.dumps('it\'s \\ "x"')),
        ("it's <x>", "it&#39;s &lt;x&gt;"),
        ("it's <x>", "it&#x27;s+\\u003Cx>"),
        ("ma clé", "ma cl\\xc3\\xa9 and ma cl\\xe9 and ma+cl%C3%A9"),
        ("a%2Fb", "A%252fB"),
    ],
)
def test_a_secret_is_hidden_however_it_is_escaped(secret: str, written: str) -> None:
    quote = Quoting(browser.Request(UI, URL, headers={"k": secret}))
    for shown in (quote(f"<{written}>"), quote.line(f"<{written}>")):
        assert re.fullmatch(r"<(bytearray\(b)?[\"']?…( and …)*[\"']?\)?>", shown)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("Basic bWU6cGFzc3cwcmQ=", "me:passw0rd"),
        ("basic bWU6cGFzc3cwcmQ=", "passw0rd"),
        ('Token token="t0k3n", nonce="n"', "t0k3n"),
        ("theme=1; sid=s3ss10n", "s3ss10n"),
        ("Basic é", "é"),
    ],
)
def test_what_a_value_is_made_of_is_hidden(value: str, said: str) -> None:
    quote = Quoting(browser.Request(UI, URL, headers={"authorization": value}))
    assert quote(f"<{said}>") == "<…>"


def test_a_key_is_hidden_in_words_that_mark_a_layer() -> None:
    """Of what is read as a reason or as a list of refusals, anything may be a key."""
    body = '{"type": "urn:meshcors:problem:our-key"}'
    problem = (403, {"content-type": "application/problem+json"}, body)
    starlettes = (400, {"content-type": "text/plain"}, "Disallowed CORS our-key")
    for answer in (problem, starlettes):
        diagnosis = ask(lambda *_, answer=answer: answer, headers={"model-api-key": "our-key"})
        assert "our-key" not in json.dumps(as_report(diagnosis))


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://me:pw@login.example//x", "https://…@login.example//x"),
        ("https://login.example/a#access_token=t", "https://login.example/a#…"),
        ("https://login.example/a?b#c?d", "https://login.example/a?…"),
    ],
)
def test_what_a_redirect_carries_is_not_shown(location: str, shown: str) -> None:
    diagnosis = ask(answering(OK, (302, {**GRANT, "location": location}, "")))
    messages = [each.message for each in diagnosis.findings]
    assert f"The call is redirected to a login, {shown}: no script can log in there." in messages


@pytest.mark.parametrize("command", ["##[set-output name=a]b", "##vso[task.x]", "##teamcity[x]"])
def test_no_line_is_a_command_to_ci(command: str) -> None:
    diagnosis = ask(answering(OK, (200, {**GRANT, "server": f"a {command}"}, "")))
    text = "\n".join(line.text for line in report_lines(diagnosis))
    assert f"server: a \\x23{command[1:]}" in text
    assert command not in json.dumps(as_report(diagnosis))


def test_a_short_key_is_hidden_in_a_servers_own_words_alone() -> None:
    request = browser.Request(UI, URL, headers={"k": "1"})
    said = Exchange("GET", URL, (), None, "", b"", "api:81 does not answer in HTTP: 1", "protocol")
    assert Quoting(request).failure(said) == "api:8… does not answer in HTTP: …"
    ours = Exchange("GET", URL, (), None, "", b"", "cannot connect to api:81", "refused")
    assert Quoting(request).failure(ours) == "cannot connect to api:81"


# --- whatever a server answers ----------------------------------------------------------------

_names = st.sampled_from(
    [
        *("access-control-allow-origin", "access-control-allow-credentials", "location", "vary"),
        *("access-control-allow-headers", "access-control-allow-methods", "server", "via"),
        *("access-control-max-age", "content-type", "www-authenticate", "allow", "cache-control"),
        *("x-envoy-upstream-service-time", "cf-ray"),
    ]
)
_values = st.sampled_from(
    [
        *("", "*", UI, "null", "true", f"{UI}, {UI}", "envoy", "nginx", "origin", "600", "0"),
        *("-1", "9" * 30, "text/html", "text/plain", "application/problem+json", "a b", "é\xff"),
        *("//[", "http://[::1", "https://", "/login", "ftp://x", "\x00", "https://login.example/"),
        "model-api-key, accept, accept-language, content-language, content-type, range",
    ]
) | st.text(st.characters(max_codepoint=255), max_size=30)
_bodies = st.sampled_from(
    [
        *("", "OK", "Disallowed CORS origin", "Disallowed CORS ,,", "RBAC: access denied"),
        *("Jwt is missing", '{"type": "urn:meshcors:problem:no-route"}', "Invalid Origin header"),
        "no healthy upstream",
    ]
) | st.text(max_size=20)
_answers = st.tuples(
    st.sampled_from([200, 204, 301, 302, 307, 400, 401, 403, 404, 405, 421, 500, 502, 503, 999]),
    st.lists(st.tuples(_names, _values), max_size=6),
    _bodies,
)


@given(
    answers=st.lists(_answers | st.sampled_from(["reset", "cut_short+", "timeout+"]), min_size=1),
    method=st.sampled_from(["GET", "POST", "PUT"]),
    credentials=st.booleans(),
)
def test_whatever_a_server_answers_is_reported(
    answers: list[Answer | str], method: str, credentials: bool
) -> None:
    turns = itertools.cycle(answers)
    headers = {"model-api-key": "k3y-of-a-model", "authorization": "Bearer t0k3n"}
    diagnosis = ask(
        lambda *_: next(turns), method, headers, credentials=credentials, url=f"{URL}?q=s3cret"
    )
    lines = [line.text for line in report_lines(diagnosis)]
    shown = "\n".join(lines) + json.dumps(as_report(diagnosis))
    assert not any(secret in shown for secret in ("k3y-of-a-model", "t0k3n", "s3cret"))
    errors = {each.code for each in diagnosis.findings if each.severity == "error"}
    if diagnosis.verdict == "blocked":
        assert errors
    sent = [each for each in diagnosis.consultation.tried if each.exchange is not None]
    assert len(sent) <= MOST_REQUESTS


# --- what to write ----------------------------------------------------------------------------

WANTED = WantedGrant(UI, URL, "PUT", ("content-type", "model-api-key"), True, "model-api-key")


@pytest.mark.parametrize(
    ("layer", "lines"),
    [
        (
            "app",
            'MeshCORS(app, allow_origins=["https://ui.example"], allow_methods=["PUT"],'
            ' allow_headers=["model-api-key"], allow_credentials=True, max_age=600)',
        ),
        (
            "starlette",
            'app.add_middleware(CORSMiddleware, allow_origins=["https://ui.example"],'
            ' allow_methods=["PUT"], allow_headers=["content-type", "model-api-key"],'
            " allow_credentials=True)",
        ),
        (
            "flask_cors",
            'CORS(app, origins=["https://ui.example"], methods=["PUT"],'
            ' allow_headers=["content-type", "model-api-key"], supports_credentials=True)',
        ),
        (
            "django_cors_headers",
            'CORS_ALLOWED_ORIGINS = ["https://ui.example"]\n'
            'CORS_ALLOW_HEADERS = ["accept", "authorization", "content-type", "user-agent",'
            ' "x-csrftoken", "x-requested-with", "model-api-key"]\n'
            "CORS_ALLOW_CREDENTIALS = True",
        ),
        (
            "pod",
            "--allow-origin https://ui.example --key-header model-api-key --allow-method PUT"
            " --allow-credentials",
        ),
        (
            "envoy_cors",
            'corsPolicy: {allowOrigins: [{exact: "https://ui.example"}], allowMethods: [PUT],'
            " allowHeaders: [content-type, model-api-key], allowCredentials: true}",
        ),
    ],
)
def test_what_allows_a_call_is_one_line_of_each_layer(layer: Layer, lines: str) -> None:
    assert grant(layer, WANTED) == lines


def test_the_next_commands_have_the_very_call() -> None:
    assert WANTED.explain() == (
        f"meshcors explain FILE --origin {UI} --url {URL} --method PUT"
        " --header 'content-type: VALUE' --header 'model-api-key: VALUE' --credentials"
    )
    assert WANTED.fix() == f"meshcors fix FILE --with pod --allow-origin {UI}"
