"""The page on coming from aiohttp-cors: both sides of what it says are run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from aiohttp import web
from aiohttp_cors import ResourceOptions
from aiohttp_cors import setup as set_up_theirs

import meshcors.aiohttp
from meshcors import Policy, PolicyError
from tests.aiohttp_server import AiohttpServer, exchange
from tests.calling import EVIL, UI, Answered, preflight
from tests.coming_from import CALLS, Page, Serve, verdict
from tests.vectors import Call

PAGE = Page("aiohttp-cors")
ACAO = "access-control-allow-origin"
ACAH = "access-control-allow-headers"
EXPOSED = "access-control-expose-headers"


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello", headers={"x-request-id": "1"})


def call_aiohttp(server: AiohttpServer, method: str, path: str, headers: Any) -> Answered:
    received = exchange(server.port, Call(method, path, tuple(headers)))
    return Answered(received.status, received.fields, received.body)


@contextmanager
def served(set_up: Callable[[web.Application], object]) -> Iterator[Serve]:
    app = web.Application()
    for path in ("/api/hello", "/other"):
        for method in ("GET", "POST", "PUT"):
            app.router.add_route(method, path, hello)
    set_up(app)
    server = AiohttpServer(app)
    try:
        yield Serve(call_aiohttp, server)
    finally:
        server.stop()


def theirs(app: web.Application, origin: str = UI, **more: Any) -> None:
    cors = set_up_theirs(app, defaults={origin: ResourceOptions(**more)})
    for route in list(app.router.routes()):
        cors.add(route)


def test_the_same_calls_pass_before_and_after() -> None:
    passed, ages = [], []
    for block in PAGE.blocks():
        with served(partial(PAGE.run, block)) as serve:
            passed.append([verdict(serve, **each) == "allowed" for each in CALLS])
            asked = preflight(UI, "PUT")
            ages.append(serve("OPTIONS", "/api/hello", asked).get("access-control-max-age"))
    assert passed[0] == passed[1]
    assert {True, False} == set(passed[0])
    assert ages == ["600", "600"]


def test_every_option_has_its_row() -> None:
    assert set(ResourceOptions._fields) <= PAGE.options()


def test_every_origin() -> None:
    with served(lambda app: theirs(app, "*", allow_credentials=True)) as serve:
        assert serve("GET", "/other", [("origin", EVIL)]).get(ACAO) == EVIL
        assert verdict(serve, origin=EVIL, credentials="include") == "allowed"
    with served(lambda app: meshcors.aiohttp.setup(app, allow_origins=["*"])) as serve:
        assert serve("GET", "/other", [("origin", EVIL)]).get(ACAO) == "*"
    with pytest.raises(PolicyError, match="origin_wildcard_with_credentials"):
        Policy(allow_origins=["*"], allow_credentials=True)


def test_defaults_and_stars() -> None:
    json = {"content-type": "application/json"}
    asked = preflight(UI, "GET", "x-a,authorization")
    page = [("origin", UI)]
    with served(theirs) as serve:
        assert verdict(serve, headers=json) == "acao_missing"
        assert verdict(serve, "PUT") == "allowed"
        assert verdict(serve, "DELETE") == "acao_missing"
        assert verdict(serve, path="/gone") == "acao_missing"
        answered = serve("GET", "/other", page)
        assert (answered.get("vary"), answered.get(EXPOSED)) == (None, None)
        statuses = [serve("OPTIONS", "/other", preflight(it, "PUT")).status for it in (UI, EVIL)]
        assert statuses == [200, 403]
    with served(lambda app: meshcors.aiohttp.setup(app, allow_origins=[UI])) as serve:
        assert verdict(serve, headers=json) == "allowed"
        assert verdict(serve, "PUT") == "method_not_allowed"
        assert verdict(serve, path="/gone") == "allowed"
        assert serve("GET", "/other", page).get("vary") == "Origin"
        statuses = [serve("OPTIONS", "/other", preflight(it, "PUT")).status for it in (UI, EVIL)]
        assert statuses == [204, 403]
    with served(lambda app: theirs(app, allow_headers="*", expose_headers="*")) as serve:
        assert serve("OPTIONS", "/other", asked).names(ACAH) == {"x-a", "authorization"}
        assert "x-request-id" in serve("GET", "/other", page).names(EXPOSED)
    stars = {"allow_headers": ["*", "authorization"], "expose_headers": ["*"]}
    with served(lambda app: meshcors.aiohttp.setup(app, allow_origins=[UI], **stars)) as serve:
        assert {"*", "authorization"} <= serve("OPTIONS", "/other", asked).names(ACAH)
        assert serve("GET", "/other", page).get(EXPOSED) == "*"
