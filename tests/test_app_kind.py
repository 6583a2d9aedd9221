"""An app and a middleware of different interfaces: the error names the right class.

And what a middleware shows of itself: its policy or its rules, and a repr without secrets.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, Mock

import django.core.handlers.asgi
import django.core.handlers.wsgi
import falcon
import falcon.asgi
import fastapi
import flask
import litestar
import pytest
import quart
import starlette.applications
import starlette.endpoints
import starlette.routing
import starlette.testclient
import werkzeug.local
from a2wsgi import ASGIMiddleware, WSGIMiddleware
from asgiref.wsgi import WsgiToAsgi

import meshcors.wsgi
from meshcors import HeaderKey, MeshCORS, Policy, Rule, RuleSet, create_app, create_wsgi_app
from meshcors._decision.app_kind import is_asgi, is_wsgi
from tests.calling import UI, environ_of, http_scope

POLICY = Policy(allow_origins=[UI], key=HeaderKey("x-key", ["a-secret"]))
RULES = RuleSet([Rule(POLICY, hosts=["api.example"])])


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


async def asgi_with_more(scope: Any, receive: Any, send: Any, note: str = "") -> None: ...


async def asgi_in_one(*connection: Any) -> None: ...


async def asgi_or_less(scope: Any, receive: Any = None, send: Any = None) -> None: ...


def wsgi(environ: Any, start_response: Any) -> Any: ...


def wsgi_with_more(environ: Any, start_response: Any, *, note: str = "") -> Any: ...


def wsgi_in_one(*call: Any, **options: Any) -> Any: ...


def needs_a_keyword(environ: Any, start_response: Any, *, note: str) -> Any: ...


@functools.wraps(wsgi)
async def asgi_of_wsgi(scope: Any, receive: Any, send: Any) -> None: ...


@functools.wraps(wsgi)
async def asgi_of_wsgi_in_one(*connection: Any) -> None: ...


@functools.wraps(asgi)
def wsgi_of_asgi_in_one(*call: Any) -> Any: ...


def lying(environ: Any, start_response: Any) -> Any: ...


class Methods:
    async def asgi(self, scope: Any, receive: Any, send: Any) -> None: ...

    def wsgi(self, environ: Any, start_response: Any) -> Any: ...

    @staticmethod
    def static(environ: Any, start_response: Any) -> Any: ...


class Callable2(Methods):
    __call__ = Methods.wsgi


class Callable3(Methods):
    __call__ = Methods.asgi


class Inherits(Callable3):
    pass


class Endpoint(starlette.endpoints.HTTPEndpoint):
    pass


class StaticCall:
    @staticmethod
    def __call__(environ: Any, start_response: Any) -> Any: ...


def unbound() -> Any:
    raise RuntimeError("nothing is here now")


ASGI = "asgi"
WSGI = "wsgi"
UNKNOWN = "unknown"
APPS: dict[str, tuple[Any, str]] = {
    "function of three": (asgi, ASGI),
    "function of two": (wsgi, WSGI),
    "three, and a default": (asgi_with_more, ASGI),
    "two, and a keyword with a default": (wsgi_with_more, WSGI),
    "two, and a keyword": (needs_a_keyword, UNKNOWN),
    "one to three": (asgi_or_less, UNKNOWN),
    "any number": (asgi_in_one, UNKNOWN),
    "any number and keywords": (wsgi_in_one, UNKNOWN),
    "ASGI that wraps WSGI": (asgi_of_wsgi, ASGI),
    "any number that wraps WSGI": (asgi_of_wsgi_in_one, UNKNOWN),
    "any number that wraps ASGI": (wsgi_of_asgi_in_one, UNKNOWN),
    "method of three": (Methods().asgi, ASGI),
    "method of two": (Methods().wsgi, WSGI),
    "static method of two": (Methods.static, WSGI),
    "instance called with three": (Callable3(), ASGI),
    "instance called with two": (Callable2(), WSGI),
    "instance of a subclass": (Inherits(), ASGI),
    "static call": (StaticCall(), UNKNOWN),
    "class": (Endpoint, UNKNOWN),
    "partial": (functools.partial(wsgi), UNKNOWN),
    "built in": (dict, UNKNOWN),
    "method in C": ({}.get, UNKNOWN),
    "mock": (Mock(), UNKNOWN),
    "mock with magic": (MagicMock(), UNKNOWN),
    "proxy of nothing": (werkzeug.local.LocalProxy(unbound), UNKNOWN),
    "not callable": (object(), UNKNOWN),
    "nothing": (None, UNKNOWN),
    "Starlette": (starlette.applications.Starlette(), ASGI),
    "Starlette's router": (starlette.routing.Router(), ASGI),
    "FastAPI": (fastapi.FastAPI(), ASGI),
    "Litestar": (litestar.Litestar([]), ASGI),
    "Quart": (quart.Quart("app"), ASGI),
    "Quart's asgi_app": (quart.Quart("app").asgi_app, ASGI),
    "Flask": (flask.Flask("app"), WSGI),
    "Flask's wsgi_app": (flask.Flask("app").wsgi_app, WSGI),
    "a2wsgi, WSGI in ASGI": (WSGIMiddleware(wsgi), ASGI),
    "a2wsgi, ASGI in WSGI": (ASGIMiddleware(asgi), WSGI),
    "asgiref, WSGI in ASGI": (WsgiToAsgi(wsgi), ASGI),
    "ours": (MeshCORS(asgi, POLICY), ASGI),
    "ours in WSGI": (meshcors.wsgi.MeshCORS(wsgi, POLICY), WSGI),
    "create_wsgi_app": (create_wsgi_app(POLICY), WSGI),
    "create_app": (create_app(POLICY), ASGI),
}
# Of classes that need settings to be made, only the call is read.
for kind, expected in (
    (django.core.handlers.asgi.ASGIHandler, ASGI),
    (django.core.handlers.wsgi.WSGIHandler, WSGI),
    (falcon.asgi.App, (ASGI, UNKNOWN)),  # compiled, where its wheel is
    (falcon.App, (WSGI, UNKNOWN)),
):
    APPS[f"{kind.__module__}.{kind.__qualname__}"] = (kind.__new__(kind), expected)


@pytest.mark.parametrize("name", APPS)
def test_what_an_app_certainly_is(name: str) -> None:
    app, expected = APPS[name]
    found = {(True, False): ASGI, (False, True): WSGI, (False, False): UNKNOWN}
    assert found[is_asgi(app), is_wsgi(app)] in expected


def test_a_signature_that_lies_does_not_count() -> None:
    lying.__signature__ = None  # type: ignore[attr-defined]  # wrong on purpose
    assert is_wsgi(lying)


@pytest.mark.parametrize("name", APPS)
def test_a_middleware_takes_every_app_that_may_be_its_own(name: str) -> None:
    app, _ = APPS[name]
    for make, other in (
        (MeshCORS, is_wsgi),
        (meshcors.wsgi.MeshCORS, is_asgi),
    ):
        if not other(app):
            assert make(app, POLICY).app is app


NOT_ASGI = r"^meshcors.MeshCORS is for ASGI apps, {} is WSGI: use meshcors.wsgi.MeshCORS$"
NOT_WSGI = r"^meshcors.wsgi.MeshCORS is for WSGI apps, {} is ASGI: use meshcors.MeshCORS$"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MeshCORS(flask.Flask("app"), POLICY), NOT_ASGI.format("Flask")),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: MeshCORS(flask.Flask("app").wsgi_app), NOT_ASGI.format("Flask.wsgi_app")),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: create_app(POLICY, app=wsgi), NOT_ASGI.format("wsgi")),  # type: ignore[call-overload]  # wrong on purpose
        (lambda: meshcors.wsgi.MeshCORS(fastapi.FastAPI(), POLICY), NOT_WSGI.format("FastAPI")),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: create_wsgi_app(POLICY, app=asgi), NOT_WSGI.format("asgi")),  # type: ignore[arg-type]  # wrong on purpose
    ],
)
def test_an_app_of_the_other_interface_is_refused_in_a_line(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        make()


def test_the_page_shows_these_messages() -> None:
    page = (Path(__file__).parent.parent / "docs" / "frameworks.md").read_text(encoding="utf-8")
    shown = re.findall(r"`TypeError: (.*?)`", page)
    raised = []
    for make in (
        lambda: MeshCORS(flask.Flask("app")),  # type: ignore[arg-type]  # wrong on purpose
        lambda: meshcors.wsgi.MeshCORS(fastapi.FastAPI()),  # type: ignore[arg-type]  # wrong on purpose
        lambda: meshcors.wsgi.MeshCORS(wsgi, POLICY)(http_scope()),
        lambda: MeshCORS(asgi, POLICY)(environ_of(), lambda *_: None),  # type: ignore[call-arg]  # wrong on purpose
    ):
        with pytest.raises(TypeError) as caught:
            make()
        raised.append(str(caught.value))
    assert raised == shown


def test_the_wsgi_class_given_to_starlette_names_the_right_one() -> None:
    app = starlette.applications.Starlette()
    app.add_middleware(meshcors.wsgi.MeshCORS, policy=POLICY)  # type: ignore[arg-type]  # wrong on purpose
    client = starlette.testclient.TestClient(app)
    with pytest.raises(TypeError, match=NOT_WSGI.format(r"\w+")):
        client.get("/")


@pytest.mark.parametrize("given", [(http_scope(),), (http_scope(), None, None)])
def test_the_wsgi_class_called_by_an_asgi_server_says_so(given: tuple[Any, ...]) -> None:
    app = meshcors.wsgi.MeshCORS(wsgi, POLICY)
    with pytest.raises(TypeError, match=r"^meshcors.wsgi.MeshCORS was called by an ASGI server: "):
        app(*given)


@pytest.mark.parametrize(
    ("make", "app", "shown"),
    [(MeshCORS, asgi, "MeshCORS"), (meshcors.wsgi.MeshCORS, wsgi, "wsgi.MeshCORS")],
)
def test_what_a_middleware_shows_of_itself(
    make: Any, app: Any, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(app, POLICY)
    assert (made.policy, made.rules) == (POLICY, None)
    assert repr(made) == f"<meshcors.{shown}: {POLICY!r}>"
    made = make(app, rules=RULES)
    assert (made.policy, made.rules) == (None, RULES)
    assert repr(made) == f"<meshcors.{shown}: {RULES!r}>"
    assert "a-secret" not in repr(made)
    monkeypatch.setenv("MESHCORS_ALLOW_ORIGINS", UI)
    assert make(app).policy == Policy(allow_origins=[UI])
    assert repr(make.__new__(make)).startswith(f"<meshcors.{shown}: ")


def test_what_an_invalid_middleware_shows_of_itself() -> None:
    app = starlette.applications.Starlette()
    app.add_middleware(MeshCORS, allow_origins=[f"{UI}/"])
    made: list[Any] = []

    class Outside:
        def __init__(self, app: Any) -> None:
            made.append(app)
            self.app = app

        async def __call__(self, *connection: Any) -> None:
            await self.app(*connection)

    app.add_middleware(Outside)
    assert starlette.testclient.TestClient(app).get("/").status_code == 500
    assert (made[0].policy, made[0].rules) == (None, None)
    assert repr(made[0]) == "<meshcors.MeshCORS: invalid policy>"
