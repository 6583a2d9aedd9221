"""The page on coming from asgi-cors: both sides of what it says are run."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from asgi_cors import asgi_cors, asgi_cors_decorator

from meshcors import MeshCORS, Policy, PolicyError
from tests.calling import EVIL, UI, call_asgi, preflight
from tests.coming_from import ACAO, CALLS, Page, Serve, starlette_app, verdict

PAGE = Page("asgi-cors")
BEFORE, AFTER = PAGE.blocks()
PREFLIGHTED = {"PUT": {}, "POST": {"content-type": "application/json"}}


async def answers_options(scope: Any, receive: Any, send: Any) -> None:
    """An app that answers every path and method with 200, OPTIONS too."""
    own = [(ACAO.encode(), b"https://own.example")] if scope["path"] == "/own" else []
    await send({"type": "http.response.start", "status": 200, "headers": own})
    await send({"type": "http.response.body", "body": b"hello"})


def serve(block: str, app: Any = answers_options) -> Serve:
    return Serve(call_asgi, PAGE.run(block, app))


def theirs(**options: Any) -> Serve:
    return Serve(call_asgi, asgi_cors(answers_options, **options))


def ours(**options: Any) -> Serve:
    return Serve(call_asgi, MeshCORS(answers_options, **options))


def test_the_same_calls_pass_before_and_after_where_the_app_answers_options() -> None:
    before, after = (
        [verdict(serve(block), **each) == "allowed" for each in CALLS] for block in (BEFORE, AFTER)
    )
    assert before == after
    assert {True, False} == set(before)


def test_calls_with_a_preflight_pass_only_after_where_the_framework_refuses_options() -> None:
    for method, headers in PREFLIGHTED.items():
        codes = [
            verdict(serve(block, starlette_app()), method, headers) for block in (BEFORE, AFTER)
        ]
        assert codes == ["preflight_not_ok", "allowed"]


def test_every_option_has_its_row() -> None:
    known = set(inspect.signature(asgi_cors_decorator).parameters)
    assert known <= PAGE.options()


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("allow_all", True, "allow_origins"),
        ("hosts", [UI], "allow_origins"),
        ("host_wildcards", ["https://*.example.com"], "allow_origins"),
        ("callback", print, "allow_origins"),
        ("methods", ["PUT"], "allow_methods"),
        ("headers", ["x-version"], "allow_headers"),
    ],
)
def test_an_option_with_another_name_is_refused_with_what_to_write(
    option: str, value: object, says: str
) -> None:
    with pytest.raises(PolicyError) as raised:
        Policy(**{"allow_origins": [UI], option: value})
    (problem,) = raised.value.problems
    assert (problem.code, says in problem.hint) == ("unknown_option", True)


def test_origins() -> None:
    for each in (theirs(allow_all=True), ours(allow_origins=["*"])):
        assert each("GET", "/other").get(ACAO) == "*"
    assert not theirs()("GET", "/other", [("origin", UI)]).cors
    with pytest.raises(PolicyError, match="no_origins"):
        Policy()
    longer = "http://localhost.evil.example"
    assert verdict(theirs(host_wildcards=["http://localhost*"]), origin=longer) == "allowed"
    assert (
        verdict(theirs(host_wildcards=["http://[::1]*"]), origin="http://[::1]:3000") != "allowed"
    )
    with pytest.raises(PolicyError, match="origin_wildcard"):
        Policy(allow_origins=["http://localhost*"])


def test_headers_caches_and_the_apps_own_answer() -> None:
    json = {"content-type": "application/json"}
    assert verdict(theirs(hosts=[UI], headers=["x-a"]), headers=json) == "header_not_allowed"
    assert verdict(ours(allow_origins=[UI], allow_headers=["x-a"]), headers=json) == "allowed"
    page, stranger = [("origin", UI)], [("origin", EVIL)]
    for each, vary, to_strangers in (
        (theirs(hosts=[UI]), None, "https://own.example"),
        (ours(allow_origins=[UI]), "Origin", None),
    ):
        assert each("GET", "/own", page).get(ACAO) == UI
        assert each("GET", "/own", page).get("vary") == vary
        assert each("GET", "/own", stranger).get(ACAO) == to_strangers
    asked = "OPTIONS", "/", preflight(UI)
    sent = dict(theirs(hosts=[UI], max_age=600)(*asked).messages[0]["headers"])
    assert sent[b"access-control-max-age"] == "600"  # text, where ASGI says bytes
    assert ours(allow_origins=[UI], max_age=600)(*asked).get("access-control-max-age") == "600"


@pytest.mark.parametrize(
    ("wrap", "passes"),
    [
        (lambda seen: asgi_cors(seen, hosts=[UI]), True),
        (lambda seen: MeshCORS(seen, allow_origins=[UI]), False),
    ],
    ids=["asgi-cors", "meshcors"],
)
def test_websockets(wrap: Callable[[Any], Any], passes: bool) -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])
        await send({"type": "websocket.close"})

    raw = [(b"origin", EVIL.encode()), (b"host", b"own.example")]
    scope = {"type": "websocket", "path": "/", "headers": raw}
    call_asgi(wrap(app), scope=scope, received=[{"type": "websocket.connect"}])
    assert bool(seen) is passes
