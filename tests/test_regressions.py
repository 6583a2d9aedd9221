"""Faults that other libraries shipped, each a test that is named after it.

Where the fault could be in either adapter the test runs on both.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from starlette.testclient import TestClient

import meshcors
import meshcors.flask
import meshcors.starlette
from meshcors import HeaderKey, MeshCORS, Policy, PolicyError
from meshcors._decision.answers import Proceed
from meshcors._decision.engine import Engine
from meshcors._policy.regex import Regex
from tests.calling import (
    ASGI,
    EVIL,
    SURFACES,
    UI,
    WSGI,
    App,
    Surface,
    call_asgi,
    call_wsgi,
    http_scope,
    preflight,
)

PLAIN = Policy(allow_origins=[UI])
CREDENTIALED = Policy(allow_origins=[UI], allow_credentials=True)

both = pytest.mark.parametrize("surface", [pytest.param(each, id=each.name) for each in SURFACES])


def refused(policy_options: dict[str, Any]) -> set[str]:
    """The codes of the problems for which a policy does not start."""
    with pytest.raises(PolicyError) as caught:
        Policy(**policy_options)
    return {problem.code for problem in caught.value.problems}


def allows(surface: Surface, policy: Policy, origin: str) -> bool:
    """Whether the origin may read an answer; preflight and real request must agree."""
    real = surface.serve(policy, headers=[("origin", origin)])
    flown = surface.serve(policy, "OPTIONS", headers=preflight(origin))
    assert flown.status == (204 if real.get("access-control-allow-origin") else 403)
    return real.get("access-control-allow-origin") is not None


# --- flask-cors and its kin -------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    "where", ["path", "origin", "request-headers", "request-method", "key"], ids=str
)
def test_flask_cors_cve_2024_1681_crlf_and_esc_forge_no_log_lines(
    surface: Surface, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    policy = Policy(allow_origins=[UI], key=HeaderKey("model-api-key", ["xyz"]))
    forged = "x\r\n2026-01-01 CRITICAL forged\x1b[31m"
    headers = dict(preflight(forged if where == "origin" else UI, names="x-a"))
    if where == "request-headers":
        headers["access-control-request-headers"] = forged
    if where == "request-method":
        headers["access-control-request-method"] = forged
    if where == "key":
        headers["model-api-key"] = forged
    path = f"/{forged}" if where == "path" else "/"
    for method in ("OPTIONS", "GET"):
        answered = surface.serve(policy, method, path, headers.items())
        sent = [part for field in answered.headers for part in field]
        assert not any("forged" in part for part in [*sent, answered.body.decode()])
    # The refusals that the middleware logs quote the path and the origin, on one printable line.
    lines = [record.getMessage() for record in caplog.records]
    assert all(line.isprintable() for line in lines)
    assert not any("forged" in line for line in lines if where not in ("path", "origin"))


@both
def test_flask_cors_cve_2024_6221_private_network_is_off_by_default(surface: Surface) -> None:
    asked = [*preflight(UI), ("access-control-request-private-network", "true")]
    answered = surface.serve(PLAIN, "OPTIONS", headers=asked)
    assert answered.status == 204
    assert answered.get("access-control-allow-private-network") is None
    allowing = Policy(allow_origins=[UI], allow_private_network=True)
    answered = surface.serve(allowing, "OPTIONS", headers=asked)
    assert answered.get("access-control-allow-private-network") == "true"
    assert "access-control-request-private-network" in answered.names("vary")


OPEN_PATHS = Policy(
    allow_origins=[UI],
    key=HeaderKey(
        "model-api-key", ["xyz"], exempt_paths=["/api/*", "/service path", "/admin", "/long/a/*"]
    ),
)


def needs_key(surface: Surface, path: str) -> bool:
    """Whether a request without the key is refused at `path`."""
    app = App()
    status = surface.serve(OPEN_PATHS, path=path, headers=[("origin", UI)], app=app).status
    assert (status, app.calls) in {(401, 0), (200, 1)}
    return status == 401


@both
@pytest.mark.parametrize(
    ("path", "needed"),
    [
        pytest.param("/api/x", False, id="below the open prefix"),
        pytest.param("/service path", False, id="flask-cors CVE-2024-6844, the exempt path itself"),
        pytest.param("/service+path", True, id="flask-cors CVE-2024-6844, plus is no blank"),
        pytest.param("/%61pi/x", True, id="flask-cors 6.0.5, decoded twice"),
        pytest.param("/admin", False, id="flask-cors CVE-2024-6866, the exempt path itself"),
        pytest.param("/Admin", True, id="flask-cors CVE-2024-6866, case folded"),
        pytest.param("/api/../foo.txt", True, id="flask-cors CVE-2020-25032, dot segments"),
        pytest.param("/api/./x", True, id="flask-cors CVE-2020-25032, dot segment"),
        pytest.param("/api//x", True, id="flask-cors CVE-2020-25032, empty segment"),
        pytest.param("/apiprivate", True, id="flask-cors idiom, no whole segment"),
        pytest.param("/api", True, id="flask-cors idiom, the prefix without a segment"),
        pytest.param("/x/api/x", True, id="flask-cors idiom, not anchored at the start"),
        pytest.param("/long/a/b", False, id="flask-cors CVE-2024-6839, below the longer prefix"),
        pytest.param("/long/b", True, id="flask-cors CVE-2024-6839, beside the longer prefix"),
    ],
)
def test_flask_cors_paths_are_compared_by_whole_segments_decoded_once(
    surface: Surface, path: str, needed: bool
) -> None:
    assert needs_key(surface, path) is needed


def test_flask_cors_typo_in_an_option_is_an_error_with_the_near_name() -> None:
    with pytest.raises(PolicyError) as caught:
        Policy(allow_origins=[UI], origin=["https://x.example"])
    assert [problem.code for problem in caught.value.problems] == ["unknown_option"]
    with pytest.raises(PolicyError, match="did you mean allow_origins"):
        MeshCORS(App().asgi, allow_origin=[UI])


@both
def test_flask_cors_a_part_of_a_method_is_no_method(surface: Surface) -> None:
    policy = Policy(allow_origins=[UI], allow_methods=["PUT", "PATCH"])
    answered = surface.serve(policy, "OPTIONS", headers=preflight(UI, "PU"))
    assert answered.get("access-control-allow-methods") == "PUT, PATCH"
    facts = {b"origin": UI.encode(), b"access-control-request-method": b"PU"}
    assert Engine(policy).decide("OPTIONS", "/", facts).reason == "method_not_allowed"


@both
@pytest.mark.parametrize("library", ["flask-cors", "asgi-cors"])
def test_ipv6_origin_is_no_character_class(surface: Surface, library: str) -> None:
    policy = Policy(allow_origins=["http://[::1]:3000"])
    assert allows(surface, policy, "http://[::1]:3000")
    assert not allows(surface, policy, "http://::3000")
    assert not allows(surface, policy, "http://1:3000")


# --- patterns ---------------------------------------------------------------------------------

UNANCHORED = Policy(allow_origins=[Regex(r"https://trusted\.com")])
SUBDOMAINS = Policy(allow_origins=["https://*.example.com", "http://localhost:*"])


@both
@pytest.mark.parametrize(
    ("policy", "origin"),
    [
        pytest.param(UNANCHORED, "https://trusted.com.attacker.io", id="sanic-cors CVE-2026-37737"),
        pytest.param(UNANCHORED, "https://trusted.comx", id="flask-cors, unanchored"),
        pytest.param(UNANCHORED, "xhttps://trusted.com", id="django-cors-headers, unanchored"),
        pytest.param(UNANCHORED, "https://trusted.com\n", id="Starlette 801, end before newline"),
        pytest.param(SUBDOMAINS, "https://example.community", id="gin CVE-2019-25211, host"),
        pytest.param(
            SUBDOMAINS, "http://localhost.example.com", id="gin CVE-2019-25211, localhost"
        ),
        pytest.param(SUBDOMAINS, "http://localhost:80.evil.example", id="gin CVE-2019-25211, port"),
        pytest.param(
            Policy(allow_origins=["https://foo.com", "https://bar.com"]),
            "https://barfoo.com",
            id="jub0bs GHSA-vhxv-fg4m-p2w8",
        ),
        pytest.param(
            Policy(allow_origins=["https://*.foo.com", "https://*.bar.com"]),
            "https://a.barfoo.com",
            id="jub0bs GHSA-vhxv-fg4m-p2w8, subdomains",
        ),
        pytest.param(SUBDOMAINS, "https://evilexample.com", id="Phoenix GHSA-p8f7-22gq-m7j9"),
        pytest.param(SUBDOMAINS, "https://example.com", id="Phoenix, the domain itself"),
        pytest.param(PLAIN, UI + "/x", id="django-cors-headers, path"),
        pytest.param(PLAIN, UI + "?x", id="django-cors-headers, query"),
        pytest.param(PLAIN, "HTTPS://ui.example", id="django-cors-headers, upper-case scheme"),
        pytest.param(SUBDOMAINS, "https://a.example.com/x", id="django-cors-headers, path, any"),
        pytest.param(SUBDOMAINS, "https://a.example.com?x", id="django-cors-headers, query, any"),
        pytest.param(SUBDOMAINS, "HTTPS://a.example.com", id="django-cors-headers, scheme, any"),
    ],
)
def test_origin_that_only_looks_alike_is_refused(
    surface: Surface, policy: Policy, origin: str
) -> None:
    assert not allows(surface, policy, origin)


@both
def test_express_the_same_origin_is_always_decided_alike(surface: Surface) -> None:
    wrapped = surface.wrap(App(), UNANCHORED)
    answers = [
        surface.call(wrapped, headers=[("origin", "https://trusted.com")]).cors for _ in range(4)
    ]
    assert answers == [{"access-control-allow-origin"}] * 4


@pytest.mark.parametrize("option", ["allow_origins", "allow_methods", "allow_headers"])
@pytest.mark.parametrize("library", ["Starlette", "Litestar"])
def test_string_for_a_list_is_refused(library: str, option: str) -> None:
    # With "https://ui.example" for a list, the origin "h" would be in it.
    assert "not_a_list" in refused({"allow_origins": [UI], option: "https://ui.example"})


@pytest.mark.parametrize(
    "library",
    [
        "rs CVE-2018-20744",
        "koa CVE-2023-49803",
        "Fiber CVE-2024-25124",
        "Langflow CVE-2025-34291",
        "Hono CVE-2026-54290",
    ],
)
@pytest.mark.parametrize(
    ("origins", "code"),
    [
        pytest.param(["*"], "origin_wildcard_with_credentials", id="wildcard"),
        pytest.param([], "no_origins", id="default"),
        pytest.param([Regex(".*")], "origin_regex_open", id="regex for any"),
        pytest.param([Regex("https?://.+")], "origin_regex_open", id="regex for any scheme"),
    ],
)
def test_any_origin_with_credentials_does_not_start(
    library: str, origins: list[Any], code: str
) -> None:
    assert code in refused({"allow_origins": origins, "allow_credentials": True})


@both
def test_langflow_any_origin_is_answered_by_the_wildcard_and_never_reflected(
    surface: Surface,
) -> None:
    policy = Policy(allow_origins=["*"])
    answered = surface.serve(policy, headers=[("origin", EVIL)])
    assert answered.get("access-control-allow-origin") == "*"
    assert answered.get("access-control-allow-credentials") is None


# --- hostile lists: work is counted, not timed ------------------------------------------------


class Counted(bytes):
    """A field's value that counts how many of its bytes are read."""

    read = 0

    def split(self, *args: Any, **kwargs: Any) -> Any:
        Counted.read += len(self)
        return super().split(*args, **kwargs)

    def lower(self) -> bytes:
        Counted.read += len(self)
        return super().lower()

    def decode(self, *args: Any, **kwargs: Any) -> str:
        Counted.read += len(self)
        return super().decode(*args, **kwargs)


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(PLAIN, id="listed"),
        pytest.param(
            Policy(allow_origins=[UI], allow_headers=["*", "authorization"]), id="wildcard"
        ),
        pytest.param(
            Policy(allow_origins=[UI], allow_headers=["*"], allow_credentials=True), id="mirrored"
        ),
    ],
)
@pytest.mark.parametrize("size", [4097, 65536, 1 << 20])
def test_flask_cors_commas_cost_nothing_above_4096_bytes(policy: Policy, size: int) -> None:
    Counted.read = 0
    facts = {
        b"origin": UI.encode(),
        b"access-control-request-method": b"POST",
        b"access-control-request-headers": Counted(b"," * size),
    }
    decision = Engine(policy).decide("OPTIONS", "/", facts)
    assert decision.reason == "header_not_allowed"
    assert Counted.read == 0


def test_rs_go_2024_2883_many_lines_of_commas_are_read_to_the_limit_only() -> None:
    policy = Policy(allow_origins=[UI], allow_headers=["*"], allow_credentials=True)
    lines = [("access-control-request-headers", "," * 1024)] * 1024
    answered = ASGI.serve(policy, "OPTIONS", headers=[*preflight(UI), *lines])
    assert answered.status == 204
    assert answered.get("access-control-allow-headers") is None
    # WSGI servers join the lines themselves.
    answered = WSGI.serve(policy, "OPTIONS", headers=[*preflight(UI), *lines])
    assert answered.get("access-control-allow-headers") is None


def test_rs_go_2024_2883_joining_lines_stops_at_the_limit() -> None:
    from meshcors._decision.fields import collect

    lines = [(b"x", b"," * 1024)] * 1024
    assert len(collect(lines, frozenset({b"x"}), 4096)[b"x"]) <= 4096 + 1 + 1024


# --- lists of names ---------------------------------------------------------------------------

LISTED = Policy(
    allow_origins=[UI],
    allow_headers=[
        "accept",
        "authorization",
        "content-type",
        "x-csrf-token",
        "x-request-id",
        "x-custom-header",
    ],
)


def reason(policy: Policy, names: bytes, method: bytes = b"POST") -> str:
    facts = {
        b"origin": UI.encode(),
        b"access-control-request-method": method,
        b"access-control-request-headers": names,
    }
    return Engine(policy).decide("OPTIONS", "/", facts).reason


def test_jub0bs_15_every_listed_name_is_allowed_alone_and_beside_the_others() -> None:
    names = [*LISTED.allow_headers, "user-agent"]
    with_user_agent = Policy(allow_origins=[UI], allow_headers=names)
    for first in range(len(names)):
        for last in range(first, len(names)):
            asked = ",".join(sorted(names[first : last + 1]))
            assert reason(with_user_agent, asked.encode()) == "allowed"
    assert reason(with_user_agent, b"x-custom") == "header_not_allowed"


@both
@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["authorization,x-request-id"], id="in one line"),
        pytest.param(["authorization", "x-request-id"], id="rs 184, over two lines"),
        pytest.param(["authorization, x-request-id"], id="gateway-api 4668, a blank"),
        pytest.param(["authorization ,\tx-request-id"], id="gateway-api 4668, tab and blank"),
        pytest.param(["x-request-id,authorization"], id="gateway-api 4668, not sorted"),
        pytest.param(["Authorization,X-Request-ID"], id="gateway-api 4668, upper case"),
        pytest.param([""], id="Starlette 1.10, empty list"),
        pytest.param(["authorization,"], id="Starlette 1.10, trailing comma"),
        pytest.param([",,authorization,,"], id="Starlette 1.10, empty elements"),
    ],
)
def test_requested_names_are_read_as_a_list(surface: Surface, lines: list[str]) -> None:
    joined = ",".join(lines).encode()
    assert reason(LISTED, joined) == "allowed"
    headers = [*preflight(UI), *(("access-control-request-headers", line) for line in lines)]
    answered = surface.serve(LISTED, "OPTIONS", headers=headers)
    assert answered.status == 204
    assert {"authorization", "x-request-id"} <= answered.names("access-control-allow-headers")


@both
def test_starlette_1_10_safelisted_method_needs_no_listing(surface: Surface) -> None:
    policy = Policy(allow_origins=[UI], allow_methods=["PUT"])
    answered = surface.serve(policy, "OPTIONS", headers=preflight(UI, "POST"))
    assert answered.status == 204
    assert reason(policy, b"", b"POST") == "allowed"


@both
def test_starlette_1_10_private_network_does_not_fail_the_preflight(surface: Surface) -> None:
    headers = [*preflight(UI), ("access-control-request-private-network", "true")]
    answered = surface.serve(PLAIN, "OPTIONS", headers=headers)
    assert answered.status == 204
    assert answered.get("access-control-allow-origin") == UI


# --- what the app sent ------------------------------------------------------------------------


@both
def test_hono_ghsa_q7jf_gf43_6x6p_the_requests_vary_stays_in_the_request(surface: Surface) -> None:
    sent = [("vary", "X-Forged"), ("origin", UI)]
    assert surface.serve(PLAIN, headers=sent).names("vary") == {"origin"}
    flown = surface.serve(PLAIN, "OPTIONS", headers=[*preflight(UI), ("vary", "X-Forged")])
    assert flown.names("vary") == {"origin"}


@both
def test_starlette_1_10_refused_origin_gets_no_part_of_a_grant(surface: Surface) -> None:
    echoing = App(headers=[("content-type", "text/plain"), ("Access-Control-Allow-Origin", EVIL)])
    answered = surface.serve(CREDENTIALED, headers=[("origin", EVIL)], app=echoing)
    assert answered.cors == set()


@both
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("Access-Control-Allow-Origin", id="Starlette 1.10, mixed case"),
        pytest.param("access-control-allow-origin", id="aiohttp-cors, handler sets it"),
    ],
)
def test_origin_that_the_app_allows_is_replaced(surface: Surface, name: str) -> None:
    app = App(headers=[("content-type", "text/plain"), (name, "https://other.example")])
    answered = surface.serve(PLAIN, headers=[("origin", UI)], app=app)
    assert (answered.status, answered.body) == (200, b"first second")
    assert answered.get("access-control-allow-origin") == UI


@both
@pytest.mark.parametrize("where", ["istio 9783", "Envoy"])
def test_refused_origin_does_not_get_the_apps_wildcard(surface: Surface, where: str) -> None:
    app = App(headers=[("content-type", "text/plain"), ("access-control-allow-origin", "*")])
    assert surface.serve(PLAIN, headers=[("origin", EVIL)], app=app).cors == set()


@both
def test_litestar_the_apps_vary_is_kept(surface: Surface) -> None:
    app = App(headers=[("content-type", "text/plain"), ("Vary", "Accept-Encoding")])
    answered = surface.serve(PLAIN, headers=[("origin", UI)], app=app)
    assert answered.names("vary") == {"accept-encoding", "origin"}


def test_litestar_404_and_405_are_reached() -> None:
    from litestar import Litestar, get
    from litestar.testing import TestClient as LitestarClient

    @get("/here", sync_to_thread=False)
    def here() -> str:
        return "here"

    with LitestarClient(MeshCORS(app=Litestar([here]), policy=PLAIN)) as client:
        for method, path, status in (("GET", "/gone", 404), ("PUT", "/here", 405)):
            answer = client.request(method, path, headers={"origin": UI})
            assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (
                status,
                UI,
            )


@both
def test_asgi_cors_vary_is_on_every_answer(surface: Surface) -> None:
    for headers in ([], [("origin", UI)], [("origin", EVIL)]):
        assert surface.serve(PLAIN, headers=headers).names("vary") == {"origin"}


@both
def test_asgi_cors_max_age_is_sent_as_text(surface: Surface) -> None:
    policy = Policy(allow_origins=[UI], max_age=600)
    answered = surface.serve(policy, "OPTIONS", headers=preflight(UI))
    assert answered.get("access-control-max-age") == "600"
    for message in answered.messages[:1]:
        assert all(type(part) is bytes for field in message["headers"] for part in field)
    assert "max_age_not_seconds" in refused({"allow_origins": [UI], "max_age": "600"})


@both
@pytest.mark.parametrize("library", ["tower-http 497", "express", "Litestar"])
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([], id="no origin"),
        pytest.param([("origin", UI)], id="no requested method"),
        pytest.param([("access-control-request-method", "PUT")], id="no origin but a method"),
        pytest.param(preflight(UI, ""), id="empty requested method"),
        pytest.param(preflight("", "PUT"), id="empty origin"),
    ],
)
def test_plain_options_belongs_to_the_app(
    surface: Surface, library: str, headers: list[tuple[str, str]]
) -> None:
    app = App(headers=[("content-type", "text/plain"), ("allow", "GET, OPTIONS")])
    answered = surface.serve(PLAIN, "OPTIONS", headers=headers, app=app)
    assert (answered.status, app.calls, answered.get("allow")) == (200, 1, "GET, OPTIONS")


@pytest.mark.parametrize("library", ["jub0bs 14", "rs 198"])
def test_header_lists_are_shared_with_nobody(library: str) -> None:
    # One list for all answers, as an app may have; an outer layer that changes what it is sent.
    shared = [(b"content-type", b"text/plain")]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": shared})
        await send({"type": "http.response.body", "body": b""})

    wrapped = MeshCORS(app, policy=PLAIN)

    async def defacing(scope: Any, receive: Any, send: Any) -> None:
        async def send_defaced(message: Any) -> None:
            await send(dict(message))
            for name in ("headers",):
                if isinstance(message.get(name), list):
                    message[name].append((b"x-defaced", b"1"))

        await wrapped(scope, receive, send_defaced)

    for headers in ([("origin", UI)], preflight(UI), [("origin", EVIL)], preflight(EVIL)):
        method = "OPTIONS" if len(headers) > 1 else "GET"
        first = call_asgi(defacing, method, headers=headers)
        second = call_asgi(wrapped, method, headers=headers)
        assert [f for f in first.headers if f[0] != "x-defaced"] == second.headers
        assert second.every("x-defaced") == []
    assert shared == [(b"content-type", b"text/plain")]


def test_jub0bs_14_wsgi_header_lists_are_shared_with_nobody() -> None:
    shared = [("Content-Type", "text/plain")]

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", shared)
        return [b""]

    wrapped = meshcors.wsgi.MeshCORS(app, PLAIN)

    def defacing(environ: Any, start_response: Any) -> Any:
        def start_defaced(status: str, headers: Any, *exc_info: Any) -> Any:
            write = start_response(status, list(headers), *exc_info)
            headers.append(("X-Defaced", "1"))
            return write

        return wrapped(environ, start_defaced)

    for headers in ([("origin", UI)], preflight(UI), preflight(EVIL)):
        method = "OPTIONS" if len(headers) > 1 else "GET"
        call_wsgi(defacing, method, headers=headers)
        assert call_wsgi(wrapped, method, headers=headers).every("x-defaced") == []
    assert shared == [("Content-Type", "text/plain")]


# --- baize: what is streamed, repeated, closed ------------------------------------------------


@both
def test_baize_chunks_cookies_and_close(surface: Surface) -> None:
    cookies = [("set-cookie", "a=1"), ("set-cookie", "b=2")]
    app = App(headers=[("content-type", "text/plain"), *cookies])
    answered = surface.serve(PLAIN, headers=[("origin", UI)], app=app)
    assert answered.body == b"first second"
    assert answered.every("set-cookie") == ["a=1", "b=2"]
    if surface is WSGI:
        assert app.closed == 1
    else:
        sent = [m["body"] for m in answered.messages if m["type"] == "http.response.body"]
        assert sent == [b"first ", b"second", b""]


@both
def test_baize_empty_body(surface: Surface) -> None:
    app = App(chunks=())
    answered = surface.serve(PLAIN, headers=[("origin", UI)], app=app)
    assert (answered.status, answered.body) == (200, b"")
    assert answered.get("access-control-allow-origin") == UI


# --- the key ----------------------------------------------------------------------------------


def keyed(**more: Any) -> Policy:
    return Policy(allow_origins=[UI], key=HeaderKey("X-Key", ["right"], **more))


@pytest.mark.parametrize("client", ["httpx-like", "gunicorn"])
def test_underscore_twin_of_the_key_is_no_key(client: str) -> None:
    """ASGI tells the two apart; a WSGI server drops X_Key or joins both, and none is right."""
    twin = [("origin", UI), ("x_key", "right")]
    assert ASGI.serve(keyed(), headers=twin).status == 401
    beside = [*twin, ("x-key", "wrong")]
    assert ASGI.serve(keyed(), headers=beside).status == 403
    assert WSGI.serve(keyed(), headers=beside).status == 403
    beside = [("x_key", "wrong"), ("x-key", "right")]
    assert ASGI.serve(keyed(), headers=beside).status == 200
    with pytest.raises(PolicyError, match="key_underscore"):
        HeaderKey("X_Key", ["right"])


# --- WebSocket --------------------------------------------------------------------------------


def websocket_scope(headers: Iterable[tuple[str, str]], **more: Any) -> dict[str, Any]:
    scope = http_scope(headers=headers)
    del scope["method"]
    return {**scope, "type": "websocket", "scheme": "ws", "subprotocols": [], **more}


@pytest.mark.parametrize(
    ("origin", "called"),
    [
        pytest.param(EVIL, False, id="foreign"),
        pytest.param("null", False, id="null"),
        pytest.param(UI, True, id="allowed"),
        pytest.param("https://api.example", True, id="own"),
        pytest.param(None, True, id="no browser"),
    ],
)
def test_semantica_ghsa_4643_wpgq_w329_websocket_origin_is_checked(
    origin: str | None, called: bool
) -> None:
    reached = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["type"])
        await receive()
        await send({"type": "websocket.close", "code": 1000})

    headers = [("host", "api.example")] + ([("origin", origin)] if origin else [])
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    asyncio.run(MeshCORS(app, PLAIN)(websocket_scope(headers), receive, send))
    assert bool(reached) is called
    if not called:
        assert messages == [
            {"type": "websocket.close", "code": 1008, "reason": "origin_not_allowed"}
        ]


# --- unhandled exceptions, and what lies outside the user's middleware ------------------------


def starlette_app() -> Any:
    from starlette.applications import Starlette
    from starlette.routing import Route

    async def boom(request: Any) -> Any:
        raise RuntimeError("boom")

    return Starlette(routes=[Route("/boom", boom, methods=["GET", "POST"])])


def fastapi_app() -> Any:
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/boom")
    def boom() -> None:
        raise RuntimeError("boom")

    return app


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(starlette_app, id="Starlette 1116"),
        pytest.param(starlette_app, id="Starlette 1175"),
        pytest.param(fastapi_app, id="FastAPI 775"),
        pytest.param(fastapi_app, id="FastAPI 1663"),
        pytest.param(fastapi_app, id="FastAPI 4071"),
    ],
)
@pytest.mark.parametrize("way", ["add_middleware", "init_app"])
def test_unhandled_exception_is_a_readable_500(make: Callable[[], Any], way: str) -> None:
    app = make()
    if way == "add_middleware":
        app.add_middleware(MeshCORS, policy=CREDENTIALED)
    else:
        meshcors.starlette.init_app(app, CREDENTIALED)
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/boom", headers={"origin": UI})
        assert (answer.status_code, answer.text) == (500, "Internal Server Error")
        assert answer.headers["access-control-allow-origin"] == UI
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert (
            "access-control-allow-origin"
            not in client.get("/boom", headers={"origin": EVIL}).headers
        )
    with TestClient(app) as client, pytest.raises(RuntimeError, match="boom"):
        client.get("/boom", headers={"origin": UI})


@both
def test_starlette_1116_plain_app_unhandled_exception_is_a_readable_500(surface: Surface) -> None:
    app = App(error=RuntimeError("boom"))
    answered = surface.serve(CREDENTIALED, headers=[("origin", UI)], app=app)
    assert (answered.status, answered.body) == (500, b"Internal Server Error")
    assert answered.get("access-control-allow-origin") == UI
    assert answered.raised is app.error


@pytest.mark.parametrize("framework", ["Starlette 1.10", "FastAPI"])
def test_413_of_the_body_limit_is_readable_with_init_app(framework: str) -> None:
    app = fastapi_app() if framework == "FastAPI" else starlette_app()
    if not hasattr(app, "max_body_size"):
        pytest.skip("this Starlette has no limit for bodies")
    app.max_body_size = 10
    meshcors.starlette.init_app(app, PLAIN)

    async def read(request: Any) -> Any:
        from starlette.responses import PlainTextResponse

        return PlainTextResponse(str(len(await request.body())))

    app.add_route("/read", read, methods=["POST"])
    with TestClient(app) as client:
        answer = client.post("/read", content=b"x" * 100, headers={"origin": UI})
    assert answer.status_code == 413
    assert answer.headers["access-control-allow-origin"] == UI


def test_aiohttp_cors_flask_handler_that_sets_allow_origin_is_answered() -> None:
    import flask

    app = flask.Flask(__name__)

    @app.get("/")
    def index() -> Any:
        return "ok", {"Access-Control-Allow-Origin": "*"}

    meshcors.flask.init_app(app, PLAIN)
    answer = app.test_client().get("/", headers={"origin": UI})
    assert answer.headers.getlist("Access-Control-Allow-Origin") == [UI]


# --- which hold as properties too -------------------------------------------------------------


@both
def test_no_answer_has_an_access_control_field_twice(surface: Surface) -> None:
    from meshcors._policy.headers import CORS_RESPONSE_HEADERS

    app = App(
        headers=[
            ("content-type", "text/plain"),
            *((name.title(), "x") for name in CORS_RESPONSE_HEADERS),
            *((name.upper(), "y") for name in CORS_RESPONSE_HEADERS),
        ]
    )
    for origin in (UI, EVIL):
        answered = surface.serve(CREDENTIALED, headers=[("origin", origin)], app=app)
        names = [name for name, _ in answered.headers]
        assert len(names) == len(set(names))
        assert answered.cors == (
            {"access-control-allow-origin", "access-control-allow-credentials"}
            if origin == UI
            else set()
        )


def test_answers_do_not_mix_between_threads() -> None:
    policy = Policy(allow_origins=["https://*.example.com"])
    engine = Engine(policy)
    wrong: list[str] = []

    def ask(number: int) -> None:
        for turn in range(200):
            origin = f"https://a{number}-{turn % 7}.example.com"
            decision = engine.decide("GET", "/", {b"origin": origin.encode()})
            assert isinstance(decision, Proceed)
            if dict(decision.merge([]))["access-control-allow-origin"] != origin:
                wrong.append(origin)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
