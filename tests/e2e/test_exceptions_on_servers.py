"""An app's exception on real servers, with their default settings.

Each server runs the same apps with and without the middleware and gets the same requests: status
and the number of tracebacks in its log are equal, the app's exception is in the log, and the page
can read the answer unless a user's own layer makes it.
"""

from __future__ import annotations

import http.client
import time
from pathlib import Path

import pytest

from tests.calling import PYTHON, UI, clean_environment
from tests.e2e.parts import need
from tests.e2e.processes import free_port, running

APPS = (
    """
import os
import starlette.applications, starlette.responses, starlette.routing
import flask
import meshcors, meshcors.wsgi
from meshcors import Policy

OURS = os.environ["LAYER"] == "ours"
POLICY = Policy(allow_origins=["{ui}"])


def layer(app):
    return meshcors.MeshCORS(app, POLICY) if OURS else app


def wsgi_layer(app):
    return meshcors.wsgi.MeshCORS(app, POLICY) if OURS else app


async def raising(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({{"type": "lifespan.startup.complete"}})
        await receive()
        await send({{"type": "lifespan.shutdown.complete"}})
        return
    raise ValueError("for the log")


class Catching:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        try:
            await self.app(scope, receive, send)
        except ValueError:
            await starlette.responses.PlainTextResponse("caught", 503)(scope, receive, send)


def own(request, error):
    return starlette.responses.JSONResponse({{"own": str(error)}}, 500)


alone = layer(raising)
caught = Catching(layer(raising))


async def fail(request):
    raise ValueError("for the log")


app = starlette.applications.Starlette(
    routes=[starlette.routing.Route("/", fail)], exception_handlers={{Exception: own}}
)
app.add_middleware(layer)


def wsgi_raising(environ, start_response):
    if environ["PATH_INFO"] == "/started":
        start_response("200 OK", [("content-type", "text/plain")])
    raise ValueError("for the log")


def catching(app):
    def call(environ, start_response):
        try:
            return app(environ, start_response)
        except ValueError:
            start_response("503 Caught", [("content-type", "text/plain")])
            return [b"caught"]

    return call


wsgi_alone = wsgi_layer(wsgi_raising)
wsgi_caught = catching(wsgi_layer(wsgi_raising))
wsgi_flask = flask.Flask(__name__)
wsgi_flask.wsgi_app = wsgi_layer(wsgi_flask.wsgi_app)


@wsgi_flask.get("/")
def wsgi_fail():
    raise ValueError("for the log")


if __name__ == "__main__":
    import sys

    name, port = sys.argv[1:]
    found = globals()[name]
    if os.environ["SERVER"] == "werkzeug":
        import werkzeug.serving

        werkzeug.serving.run_simple("127.0.0.1", int(port), found)
    else:
        import wsgiref.simple_server

        wsgiref.simple_server.make_server("127.0.0.1", int(port), found).serve_forever()
""".replace("{ui}", UI)
    .replace("{{", "{")
    .replace("}}", "}")
)

ASGI = {
    "uvicorn, httptools": ["uvicorn", "failing:{app}", "--port", "{port}", "--http", "httptools"],
    "uvicorn, h11": ["uvicorn", "failing:{app}", "--port", "{port}", "--http", "h11"],
    "hypercorn": ["hypercorn", "failing:{app}", "--bind", "127.0.0.1:{port}"],
    "granian": ["granian", "--interface", "asgi", "failing:{app}", "--port", "{port}"],
    "gunicorn, asgi": ["gunicorn", "-k", "asgi", "failing:{app}", "-b", "127.0.0.1:{port}"],
    "daphne": ["daphne", "-p", "{port}", "failing:{app}"],
}
WSGI = {
    "gunicorn": ["gunicorn", "failing:{app}", "-b", "127.0.0.1:{port}"],
    "waitress": ["waitress", "--listen=127.0.0.1:{port}", "failing:{app}"],
    "granian": ["granian", "--interface", "wsgi", "failing:{app}", "--port", "{port}"],
    "werkzeug": ["failing", "{app}", "{port}"],
    "wsgiref": ["failing", "{app}", "{port}"],
}
# An app, the path, the status without the middleware, and whether the middleware answers.
CASES = [
    *((ASGI, name, app, "/") for name in ASGI for app in ("alone", "caught", "app")),
    *((WSGI, name, f"wsgi_{app}", "/") for name in WSGI for app in ("alone", "caught", "flask")),
    *((WSGI, name, "wsgi_alone", "/started") for name in WSGI),
]


@pytest.fixture
def apps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failing.py").write_text(APPS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")


def asked(
    server: list[str], name: str, app: str, path: str, layer: str, *, silent: bool
) -> tuple[int, int, str]:
    """The answer's status, the tracebacks in the log, and the origin that may read the answer.

    A server that is not `silent` logs one, which may come after the answer.
    """
    port = free_port()
    module, *rest = (part.format(app=app, port=port) for part in server)
    environment = clean_environment({"LAYER": layer, "SERVER": name})
    with running([PYTHON, "-m", module, *rest], port, env=environment) as process:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", path, headers={"origin": UI})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        deadline = time.monotonic() + 60
        while not silent and "ValueError: for the log" not in process.output:
            assert time.monotonic() < deadline, process.output
            time.sleep(0.02)
        # And a second one, or one of a silent server, would come now.
        time.sleep(0.2)
        tracebacks = process.output.count("ValueError: for the log")
    return answer.status, tracebacks, answer.getheader("access-control-allow-origin", "")


@pytest.mark.usefixtures("apps")
@pytest.mark.parametrize(
    ("servers", "name", "app", "path"),
    [pytest.param(*case, id=f"{case[1]}: {case[2]}{case[3]}") for case in CASES],
)
def test_exception(servers: dict[str, list[str]], name: str, app: str, path: str) -> None:
    server = servers[name]
    if server[0] != "failing":
        need(server[0])
    caught = app.endswith("caught")
    # gunicorn's ASGI worker logs no error after a whole answer, which is when Starlette raises it.
    silent = caught or (name, app) == ("gunicorn, asgi", "app")
    status, tracebacks, _ = asked(server, name, app, path, "nothing", silent=silent)
    with_us = asked(server, name, app, path, "ours", silent=silent)
    assert (status, tracebacks) == (503 if caught else 500, 0 if silent else 1)
    # The server ends an answer that has started; Flask answers inside the middleware.
    bare = caught or path == "/started"
    assert with_us == (status, tracebacks, "" if bare else UI)
