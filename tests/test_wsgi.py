"""The WSGI adapter: late, repeated and failing starts, and iterables returned unchanged."""

from __future__ import annotations

import io
import sys
from typing import Any
from wsgiref.handlers import SimpleHandler
from wsgiref.util import FileWrapper, setup_testing_defaults

import pytest

import meshcors.wsgi
from meshcors import HeaderKey, Policy, PolicyError, PolicyWarning
from tests.calling import EVIL, UI, App, as_server, call_wsgi, environ_of, preflight

MeshCORS = meshcors.wsgi.MeshCORS

PLAIN = Policy(allow_origins=[UI])
KEYED = Policy(allow_origins=[UI], key=HeaderKey("x-key", ["right"], exempt_paths=["/open/*"]))
ALLOWED = ("access-control-allow-origin", UI)
TEXT = [("Content-Type", "text/plain")]


def test_policy_as_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHCORS_ALLOW_ORIGINS", UI)
    app = App()
    for made in (
        MeshCORS(app.wsgi, PLAIN),
        MeshCORS(app=app.wsgi, policy=PLAIN),
        MeshCORS(app.wsgi, allow_origins=[UI]),
        MeshCORS(app.wsgi),
    ):
        assert ALLOWED in call_wsgi(made, headers=[("origin", UI)]).headers
        assert made.app == app.wsgi
    with pytest.raises(PolicyError, match="not both"):
        MeshCORS(app.wsgi, PLAIN, max_age=5)


def test_preflight_is_answered_here() -> None:
    app = App(error=RuntimeError("called"))
    answered = call_wsgi(MeshCORS(app.wsgi, KEYED), "OPTIONS", "//x/", preflight(UI, "PUT"))
    assert (answered.status, answered.body, app.calls) == (204, b"", 0)
    assert answered.get("content-type") is None


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_refusals_and_head(method: str) -> None:
    app = App()
    wrapped = MeshCORS(app.wsgi, KEYED)
    answered = call_wsgi(wrapped, method, headers=[("origin", UI)], validated=method == "GET")
    assert (answered.status, app.calls) == (401, 0)
    assert ALLOWED in answered.headers
    length = int(answered.get("content-length") or 0)
    assert length > 0
    assert len(answered.body) == (length if method == "GET" else 0)


@pytest.mark.parametrize(
    ("script", "path", "status"),
    [
        ("", "/open/x", 200),
        ("/app", "/open/x", 200),
        # gunicorn takes SCRIPT_NAME from a request header.
        ("/open", "/x", 401),
        ("/open", "", 401),
        ("/open/..", "/x", 401),
        ("/open", "/open/x", 200),
    ],
)
def test_path_is_the_one_on_which_the_app_routes(script: str, path: str, status: int) -> None:
    environ = environ_of(path=path)
    environ["SCRIPT_NAME"] = script
    app = MeshCORS(App().wsgi, KEYED)
    assert call_wsgi(app, environ=environ, validated=False).status == status


@pytest.mark.parametrize(
    ("path", "status"),
    [("/\u00e9\u4e00", 200), ("/\u00e9", 401)],
    ids=["the exempt one", "another"],
)
def test_path_is_decoded_from_its_latin_1(path: str, status: int) -> None:
    policy = Policy(
        allow_origins=[UI], key=HeaderKey("x-key", ["s"], exempt_paths=["/\u00e9\u4e00"])
    )
    assert call_wsgi(MeshCORS(App().wsgi, policy), path=path).status == status


def test_path_that_is_no_utf_8_is_no_error() -> None:
    environ = environ_of()
    environ["PATH_INFO"] = "/\xff"
    assert call_wsgi(MeshCORS(App().wsgi, KEYED), environ=environ).status == 401


def test_environ_without_a_path() -> None:
    environ = environ_of()
    del environ["PATH_INFO"], environ["SCRIPT_NAME"]
    app = MeshCORS(App().wsgi, KEYED)
    assert call_wsgi(app, environ=environ, validated=False).status == 401


@pytest.mark.parametrize("value", ["\xff\xfe", "\x00", "\r\n", "x" * 10**5, "\x1b[0m"])
@pytest.mark.parametrize(
    "name", ["origin", "x-key", "access-control-request-method", "access-control-request-headers"]
)
def test_odd_values_are_no_error(name: str, value: str) -> None:
    headers = {"x-key": "right", **dict(preflight(UI, "PUT", "x-a")), name: value}
    for method in ("OPTIONS", "GET"):
        answered = call_wsgi(MeshCORS(App().wsgi, KEYED), method, headers=headers.items())
        assert answered.raised is None
        assert answered.status in {200, 204, 401, 403}


# --- how apps start their answers -------------------------------------------------------------


def served(app: Any, *, validated: bool = True, **environ: Any) -> Any:
    made = {**environ_of(headers=[("origin", UI)]), **environ}
    return call_wsgi(MeshCORS(app, PLAIN), environ=made, validated=validated)


def generator_app(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", list(TEXT))
    yield b"one"
    yield b"two"


def late_app(environ: Any, start_response: Any) -> Any:
    yield b""
    start_response("200 OK", list(TEXT))
    yield b"onetwo"


def writing_app(environ: Any, start_response: Any) -> Any:
    write = start_response("200 OK", list(TEXT))
    write(b"one")
    return [b"two"]


class ClassApp:
    """PEP 3333: an app may be a class whose instances are iterables."""

    def __init__(self, environ: Any, start_response: Any) -> None:
        self._start = start_response

    def __iter__(self) -> Any:
        self._start("200 OK", list(TEXT))
        yield b"onetwo"


@pytest.mark.parametrize("app", [generator_app, writing_app, ClassApp])
def test_start(app: Any) -> None:
    answered = served(app)
    assert (answered.status, answered.body) == (200, b"onetwo")
    assert ALLOWED in answered.headers
    assert answered.get("vary") == "Origin"


def test_start_after_the_first_chunk() -> None:
    # wsgiref.validate requires the start earlier; PEP 3333 allows it with the first bytes.
    answered = served(late_app, validated=False)
    assert (answered.status, answered.body) == (200, b"onetwo")
    assert ALLOWED in answered.headers


def test_start_again_with_exc_info() -> None:
    seen: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [*TEXT, ("Vary", "Accept")])
        try:
            raise ValueError("x")
        except ValueError:
            seen.append(sys.exc_info())
            start_response("500 Oh", [*TEXT, ("Vary", "Cookie")], seen[0])
        return [b"oh"]

    answered = served(app)
    assert (answered.status, answered.body) == (500, b"oh")
    assert answered.get("vary") == "Cookie, Origin"
    assert answered.get("access-control-allow-origin") == UI


def test_start_again_after_bytes_are_out_raises_the_apps_error() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(TEXT))(b"out")
        try:
            raise ValueError("x")
        except ValueError:
            start_response("500 Oh", list(TEXT), sys.exc_info())
        return []

    output, errors = io.BytesIO(), io.StringIO()
    environ = environ_of(headers=[("origin", UI)])
    handler = SimpleHandler(io.BytesIO(), output, errors, environ)
    handler.run(MeshCORS(app, PLAIN))
    assert output.getvalue().count(b"Access-Control-Allow-Origin".lower()) == 1
    assert b"500" not in output.getvalue()
    assert "ValueError: x" in errors.getvalue()


def test_headers_of_the_app_are_never_changed() -> None:
    headers = [*TEXT, ("Vary", "x"), ("Access-Control-Allow-Origin", "*")]

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", headers)
        return [b""]

    kept = list(headers)
    assert served(app).get("vary") == "x, Origin"
    assert headers == kept


def test_file_wrapper_is_returned_as_it_came() -> None:
    wrapper = FileWrapper(io.BytesIO(b"file"))

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(TEXT))
        return wrapper

    started: list[Any] = []
    returned = MeshCORS(app, PLAIN)(environ_of(), lambda *args: started.append(args))  # type: ignore[arg-type,func-returns-value]  # a server's start_response, as far as this app goes
    assert returned is wrapper
    assert len(started) == 1


def test_iterable_is_closed_by_the_server_once() -> None:
    app = App()
    assert served(app.wsgi).body == b"first second"
    assert app.closed == 1


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", [UI, EVIL])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_error_before_the_start(origin: str, method: str) -> None:
    app = App(error=ValueError("x"))
    answered = call_wsgi(
        MeshCORS(app.wsgi, PLAIN), method, headers=[("origin", origin)], validated=method == "GET"
    )
    assert answered.raised is app.error
    assert answered.status == 500
    assert answered.body == (b"Internal Server Error" if method == "GET" else b"")
    assert (ALLOWED in answered.headers) is (origin == UI)


def test_error_reaches_the_servers_log_and_the_page_reads_the_answer() -> None:
    app = MeshCORS(App(error=ValueError("for the log")).wsgi, PLAIN)
    output, errors = io.BytesIO(), io.StringIO()
    handler = SimpleHandler(io.BytesIO(), output, errors, environ_of(headers=[("origin", UI)]))
    handler.run(app)
    head, _, body = output.getvalue().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 500 Internal Server Error")
    assert f"access-control-allow-origin: {UI}".encode() in head
    assert body == b"Internal Server Error"
    assert "ValueError: for the log" in errors.getvalue()


def test_error_after_the_start() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(TEXT))
        raise ValueError("x")

    answered = served(app)
    assert isinstance(answered.raised, ValueError)
    assert (answered.status, answered.body) == (200, b"")


def test_the_method_is_the_one_from_entry() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        environ["REQUEST_METHOD"] = "GET"
        raise ValueError("x")

    assert call_wsgi(MeshCORS(app, PLAIN), "HEAD", validated=False).body == b""


def test_exc_info_is_taken_by_keyword() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response(status="200 OK", headers=list(TEXT), exc_info=None)
        return [b"fine"]

    assert call_wsgi(MeshCORS(app, PLAIN), validated=False).body == b"fine"


def test_fields_that_cannot_be_merged_are_a_failure_of_the_app() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [None])

    answered = call_wsgi(MeshCORS(app, PLAIN), headers=[("origin", UI)], validated=False)
    assert isinstance(answered.raised, TypeError)
    assert (answered.status, ALLOWED in answered.headers) == (500, True)


def test_a_server_without_write_gets_the_answer_and_the_log() -> None:
    """Such as granian, whose start_response returns None."""
    environ = environ_of(headers=[("origin", UI)])
    started: list[Any] = []
    app = MeshCORS(App(error=ValueError("for the log")).wsgi, PLAIN)

    @as_server
    def serve() -> Any:
        return app(environ, lambda *given: started.append(given))  # type: ignore[arg-type]  # as granian

    body = serve()
    assert body == [b"Internal Server Error"]
    assert ALLOWED in started[0][1]
    assert environ["wsgi.errors"].getvalue().count("ValueError: for the log") == 1


def test_leaving_is_no_error() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        raise SystemExit(0)

    def start_response(*_: Any) -> Any:
        pytest.fail("nothing is answered")

    with pytest.raises(SystemExit):
        MeshCORS(app, PLAIN)(environ_of(), start_response)


def test_werkzeugs_debugger_is_left_alone() -> None:
    from werkzeug.debug import DebuggedApplication

    app = App(error=ValueError("on the page"))
    debugged = DebuggedApplication(MeshCORS(app.wsgi, PLAIN), evalex=True)
    answered = call_wsgi(debugged, headers=[("origin", UI)], validated=False)
    assert answered.status == 500
    assert b"on the page" in answered.body
    assert b"Traceback" in answered.body


# --- what servers make of names ---------------------------------------------------------------


def test_two_lines_of_a_key_are_no_key() -> None:
    app = MeshCORS(App().wsgi, KEYED)
    assert call_wsgi(app, headers=[("x-key", "right"), ("x-key", "right")]).status == 403


def test_testing_defaults_suffice() -> None:
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    assert call_wsgi(MeshCORS(App().wsgi, PLAIN), environ=environ, validated=False).status == 200


def test_a_key_without_values_is_warned_of() -> None:
    with pytest.warns(PolicyWarning, match="k has no values"):
        MeshCORS(App().wsgi, allow_origins=[UI], key=HeaderKey("k"))
