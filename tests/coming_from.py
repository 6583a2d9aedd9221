"""The pages on coming from other CORS software: what they say, and apps for both sides of it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from flask import Flask
from flask_cors import CORS
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import meshcors.flask
from meshcors import MeshCORS
from meshcors.browser import Request, Response, judge, preflight_for
from meshcors.testing import PageCall
from tests import written_pages
from tests.calling import EVIL, UI, Answered, call_asgi, call_wsgi

DOCS = Path(__file__).parent.parent / "docs" / "coming-from"


class Page:
    """A page: its text, its blocks of code and the names in its table of options."""

    def __init__(self, name: str) -> None:
        self.path = DOCS / f"{name}.md"
        self.text = self.path.read_text(encoding="utf-8")

    def blocks(self, language: str = "python") -> list[str]:
        pattern = rf"^```{language}\n(.*?)^```$"
        return re.findall(pattern, self.text, re.DOTALL | re.MULTILINE)

    def options(self) -> set[str]:
        """The names that the first column of the tables has."""
        cells = re.findall(r"^\| (.*?) \|", self.text, re.MULTILINE)
        return {name for cell in cells for name in re.findall(r"`(\w+)", cell)}

    def check(self, name: str, table: str) -> None:
        """Compare what is between the marks `name` and `end` with a table, or write it."""
        text = self.path.read_text(encoding="utf-8")
        before, mark, rest = text.partition(f"<!-- {name} -->\n")
        assert mark, f"{self.path.name} has no mark for {name}"
        after = rest[rest.index("<!-- end -->\n") :]
        written_pages.check(self.path, f"{before}{mark}\n{table}\n\n{after}")

    def run(self, block: str, app: Any) -> Any:
        """Run a block of the page's Python on an app, and return what it makes of it."""
        names = {"app": app}
        exec(compile(block, str(self.path), "exec"), names)
        return names["app"]


ACAO = "access-control-allow-origin"
ACAM = "access-control-allow-methods"
ACAH = "access-control-allow-headers"
PRIVATE = "access-control-request-private-network"


def starlette_app() -> Starlette:
    async def hello(request: Any) -> PlainTextResponse:
        return PlainTextResponse("hello")

    async def own(request: Any) -> PlainTextResponse:
        return PlainTextResponse("hello", headers={ACAO: "https://own.example"})

    async def boom(request: Any) -> PlainTextResponse:
        raise RuntimeError("boom")

    methods = ["GET", "POST", "PUT", "DELETE"]
    routes = [
        Route("/api/hello", hello, methods=methods),
        Route("/other", hello, methods=methods),
        Route("/api/own", own),
        Route("/api/boom", boom),
    ]
    return Starlette(routes=routes)


def flask_app() -> Flask:
    app = Flask(__name__)
    methods = ["GET", "POST", "PUT", "DELETE"]

    @app.route("/api/hello", methods=methods)
    @app.route("/apiary", methods=methods)
    @app.route("/other", methods=methods)
    def hello() -> str:
        return "hello"

    @app.get("/api/own")
    def own() -> tuple[str, dict[str, str]]:
        return "hello", {ACAO: "https://own.example"}

    @app.get("/api/boom")
    def boom() -> str:
        raise RuntimeError("boom")

    return app


def cell(status: int, code: str) -> str:
    """A status and the browser's verdict, as the tables show them."""
    link = f"[`{code}`](../console-messages.md#{code})"
    return f"{status}, {'passes' if code == 'allowed' else link}"


def cell_of(made: PageCall) -> str:
    """The status that decided a call over real HTTP, and its verdict."""
    response = made.decisive.response
    assert response is not None
    return cell(response.status, made.verdict.code)


class Serve(NamedTuple):
    """A whole app, and how it is called."""

    call: Callable[..., Answered]
    app: Any

    def __call__(self, method: str, path: str, headers: Any = ()) -> Answered:
        return self.call(self.app, method, path, headers)


def theirs(**options: Any) -> Serve:
    """Starlette with its CORSMiddleware."""
    app = starlette_app()
    app.add_middleware(CORSMiddleware, **options)
    return Serve(call_asgi, app)


def flask_cors(**options: Any) -> Serve:
    app = flask_app()
    CORS(app, **options)
    return Serve(call_wsgi, app)


def ours(**options: Any) -> Serve:
    app = starlette_app()
    app.add_middleware(MeshCORS, **options)
    return Serve(call_asgi, app)


def ours_in_flask(**options: Any) -> Serve:
    app = flask_app()
    meshcors.flask.init_app(app, **options)
    return Serve(call_wsgi, app)


def verdict(
    serve: Serve,
    method: str = "GET",
    headers: Any = (),
    *,
    origin: str = UI,
    path: str = "/api/hello",
    credentials: str = "omit",
) -> str:
    """What becomes of a page's call: the code."""
    call = Request(origin, f"https://api.example{path}", method, headers, credentials)
    asked = preflight_for(call)
    said = None if asked is None else serve("OPTIONS", path, asked)
    answered = serve(method, path, [*call.headers, ("origin", origin)])
    return judge(
        call,
        preflight=None if said is None else Response(said.status, said.headers),
        response=Response(answered.status, answered.headers),
    ).code


CALLS = [
    {
        "origin": origin,
        "method": method,
        "headers": headers,
        "credentials": credentials,
        "path": path,
    }
    for origin, method, headers, credentials, path in itertools.product(
        (UI, EVIL, "https://pr-7.preview.example", "https://pr-7.preview.example.evil.example"),
        ("GET", "POST", "PUT", "DELETE"),
        ({}, {"content-type": "application/json"}, {"x-version": "1"}, {"x-other": "1"}),
        ("omit", "include"),
        ("/api/hello", "/other"),
    )
]
