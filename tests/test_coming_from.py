"""The pages on coming from CORSMiddleware and flask-cors: both sides of what they say are run."""

from __future__ import annotations

import inspect
import logging
import re
import shlex
from collections.abc import Callable
from datetime import timedelta
from importlib.metadata import metadata, requires
from typing import Any

import fastapi.middleware.cors
import pytest
from flask_cors import CORS
from flask_cors.core import CONFIG_OPTIONS, probably_regex
from packaging.requirements import Requirement
from starlette.middleware.cors import CORSMiddleware

import meshcors.flask
import meshcors.starlette
from meshcors import MeshCORS, Policy, PolicyError, Regex, Rule
from tests.calling import EVIL, UI, Answered, call_asgi, call_wsgi, preflight
from tests.coming_from import (
    ACAH,
    ACAM,
    ACAO,
    CALLS,
    PRIVATE,
    Page,
    Serve,
    flask_app,
    flask_cors,
    ours,
    ours_in_flask,
    starlette_app,
    theirs,
    verdict,
)

INDEX, STARLETTE, FLASK = Page("index"), Page("starlette"), Page("flask-cors")


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    """No traceback of the errors that are raised on purpose."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(
    ("make", "call", "page"),
    [
        (starlette_app, call_asgi, STARLETTE),
        (flask_app, call_wsgi, FLASK),
    ],
    ids=["CORSMiddleware", "flask-cors"],
)
def test_the_same_calls_pass_before_and_after(
    make: Callable[[], Any], call: Callable[..., Answered], page: Page
) -> None:
    serves = []
    for block in page.blocks():
        app = make()
        page.run(block, app)
        serves.append(Serve(call, app))
    passed = [[verdict(serve, **each) == "allowed" for each in CALLS] for serve in serves]
    assert passed[0] == passed[1]
    assert {True, False} == set(passed[0])
    ages = [serve("OPTIONS", "/api/hello", preflight(UI, "PUT")) for serve in serves]
    assert {each.get("access-control-max-age") for each in ages} == {"600"}


PYTHON_PAGES = ("starlette", "flask-cors", "django-cors-headers", "aiohttp-cors", "asgi-cors")


@pytest.mark.parametrize("name", PYTHON_PAGES)
def test_the_line_that_installs_brings_what_after_needs(name: str) -> None:
    page = Page(name)
    (line,) = re.findall(r"^    python -m pip install (.*)$", page.text, re.MULTILINE)
    wanted = Requirement(*shlex.split(line))
    assert wanted.name == "meshcors"
    assert wanted.extras <= {*metadata("meshcors").get_all("Provides-Extra", [])}
    declared = map(Requirement, requires("meshcors") or [])
    brought = {
        each.name
        for each in declared
        for extra in wanted.extras
        if each.marker is not None and each.marker.evaluate({"extra": extra})
    }
    assert ("google-re2" in brought) is ("Regex(" in page.blocks()[-1])


# --- The tables of options -----------------------------------------------------------------------


def test_the_class_of_fastapi_is_the_same() -> None:
    assert "`fastapi.middleware.cors.CORSMiddleware`" in STARLETTE.text
    assert fastapi.middleware.cors.CORSMiddleware is CORSMiddleware


def test_every_option_of_cors_middleware_has_its_row() -> None:
    known = set(inspect.signature(CORSMiddleware).parameters) - {"app"}
    assert known <= STARLETTE.options()


def test_every_option_of_flask_cors_has_its_row() -> None:
    known = {name.removeprefix("CORS_").lower() for name in CONFIG_OPTIONS}
    assert known <= FLASK.options()
    assert "`@cross_origin(...)`" in FLASK.text


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("allow_origin_regex", r"https://.*\.example\.com"),
        ("origins", [UI]),
        ("methods", ["PUT"]),
        ("supports_credentials", True),
        ("send_wildcard", True),
        ("vary_header", True),
        ("automatic_options", True),
        ("intercept_exceptions", True),
        ("always_send", True),
        ("resources", {r"/api/*": {"origins": [UI]}}),
    ],
)
def test_an_option_with_another_name_is_refused_with_what_to_write(
    option: str, value: object
) -> None:
    with pytest.raises(PolicyError) as raised:
        Policy(**{"allow_origins": [UI], option: value})
    (problem,) = raised.value.problems
    assert (problem.code, problem.field) == ("unknown_option", option)
    rows = dict(re.findall(r"^\| `(\w+).*? \| (.*?) \|", STARLETTE.text + FLASK.text, re.MULTILINE))
    says = re.findall(r"Regex\(|Rule\(|leave it out|allow_\w+", rows[option])[0]
    assert says in problem.hint
    assert problem.hint.startswith("leave it out") is rows[option].startswith("leave it out")


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({}, "no_origins"),
        ({"allow_origins": ["https://ui.example/"]}, "origin_trailing_slash"),
        ({"allow_origins": ["*"], "allow_credentials": True}, "origin_wildcard_with_credentials"),
        (
            {"allow_origins": [UI], "expose_headers": ["*"], "allow_credentials": True},
            "expose_wildcard_with_credentials",
        ),
        (
            {"allow_origins": [Regex("https://.*example.*")], "allow_credentials": True},
            "origin_regex_open",
        ),
        ({"allow_origins": [Regex("https://(?!evil).*")]}, "origin_regex_invalid"),
        ({"allow_origins": [Regex(r"https://(a)\1")]}, "origin_regex_invalid"),
        ({"allow_origins": UI}, "not_a_list"),
        ({"allow_origins": [UI], "expose_headers": "x-a"}, "not_a_list"),
        ({"allow_origins": [UI], "max_age": "600"}, "max_age_not_seconds"),
    ],
)
def test_what_is_said_to_be_an_error_is_one(wrong: dict[str, Any], code: str) -> None:
    with pytest.raises(PolicyError) as raised:
        Policy(**wrong)
    assert [problem.code for problem in raised.value.problems] == [code]


def test_elsewhere_every_site_may_act_as_the_user() -> None:
    for serve in (
        theirs(allow_origins=["*"], allow_credentials=True),
        flask_cors(supports_credentials=True),
    ):
        assert verdict(serve, origin=EVIL, credentials="include") == "allowed"


def test_in_cors_middleware_a_trailing_slash_never_matches() -> None:
    assert verdict(theirs(allow_origins=[f"{UI}/"])) == "acao_missing"


def test_methods() -> None:
    json = {"content-type": "application/json"}
    assert verdict(theirs(allow_origins=[UI]), "POST", json) == "preflight_not_ok"
    assert verdict(ours(allow_origins=[UI]), "POST", json) == "allowed"
    assert verdict(flask_cors(origins=[UI]), "DELETE") == "allowed"
    assert verdict(ours_in_flask(allow_origins=[UI]), "DELETE") == "method_not_allowed"

    def told(serve: Serve) -> str | None:
        return serve("OPTIONS", "/api/hello", preflight(UI, "PUT")).get(ACAM)

    assert "PATCH" in (told(theirs(allow_origins=[UI], allow_methods=["*"])) or "")
    assert told(ours(allow_origins=[UI], allow_methods=["*"])) == "*"
    both = {"allow_methods": ["*"], "allow_credentials": True}
    assert told(ours(allow_origins=[UI], **both)) == "PUT"


def test_headers() -> None:
    def told(serve: Serve) -> set[str]:
        return serve("OPTIONS", "/api/hello", preflight(UI, "GET", "x-a,authorization")).names(ACAH)

    safelisted = {"accept", "accept-language", "content-language", "content-type"}
    assert told(theirs(allow_origins=[UI])) == safelisted
    assert told(ours(allow_origins=[UI])) == {*safelisted, "range"}
    asked = {"x-a", "authorization"}
    anything = {"allow_origins": [UI], "allow_headers": ["*"]}
    assert told(theirs(**anything)) == asked
    assert told(ours(**anything, allow_credentials=True)) == asked
    with pytest.warns(meshcors.PolicyWarning, match="does not cover authorization"):
        assert told(ours(**anything)) == {"*"}
    named = {"allow_origins": [UI], "allow_headers": ["*", "authorization"]}
    for headers in ({"authorization": "1"}, {"x-a": "1", "authorization": "1"}):
        assert verdict(flask_cors(origins=[UI]), headers=headers) == "allowed"
        assert verdict(ours_in_flask(**named), headers=headers) == "allowed"
    json = {"content-type": "application/json"}
    listed = {"allow_headers": ["x-version"]}
    assert verdict(flask_cors(origins=[UI], **listed), headers=json) == "header_not_allowed"
    assert verdict(ours_in_flask(allow_origins=[UI], **listed), headers=json) == "allowed"


def test_regular_expressions() -> None:
    pattern = r"https://ui\.example"
    longer, upper = f"{UI}.evil.example", "https://UI.example"
    assert verdict(flask_cors(origins=[pattern]), origin=longer) == "allowed"
    assert flask_cors(origins=[pattern])("GET", "/other", [("origin", upper)]).get(ACAO) == upper
    for serve in (
        theirs(allow_origin_regex=pattern),
        ours_in_flask(allow_origins=[Regex(pattern)]),
    ):
        assert verdict(serve) == "allowed"
        assert verdict(serve, origin=longer) == "acao_missing"
        assert serve("GET", "/other", [("origin", upper)]).get(ACAO) is None
    hints = set(re.findall(r"a string that contains one of `(.*?)`", FLASK.text)[0])
    assert hints == {
        character for character in map(chr, range(33, 127)) if probably_regex(character)
    }


def test_private_networks() -> None:
    fields = [*preflight(UI, "GET"), (PRIVATE, "true")]
    answers = [
        serve("OPTIONS", "/api/hello", fields)
        for serve in (
            theirs(allow_origins=[UI]),
            flask_cors(origins=[UI]),
            ours(allow_origins=[UI]),
        )
    ]
    said = [(each.status, each.get("access-control-allow-private-network")) for each in answers]
    assert said == [(400, None), (200, "false"), (204, None)]


def test_ages() -> None:
    serves = (theirs(allow_origins=[UI]), flask_cors(origins=[UI]), ours(allow_origins=[UI]))
    answers = [serve("OPTIONS", "/api/hello", preflight(UI, "GET")) for serve in serves]
    assert [each.get("access-control-max-age") for each in answers] == ["600", None, None]
    assert Policy(allow_origins=[UI], max_age=timedelta(minutes=10)).max_age == 600


def test_wildcards_and_vary() -> None:
    page = [("origin", UI)]
    for serve, allowed, vary, without in (
        (theirs(allow_origins=["*"]), "*", "Origin", None),
        (flask_cors(), UI, "Origin", "*"),
        (flask_cors(send_wildcard=True), "*", None, "*"),
        (ours(allow_origins=["*"]), "*", None, "*"),
        (ours_in_flask(allow_origins=["*"]), "*", None, "*"),
        (flask_cors(origins=[UI]), UI, None, UI),
        (ours_in_flask(allow_origins=[UI]), UI, "Origin", None),
    ):
        answered = serve("GET", "/api/hello", page)
        assert (answered.get(ACAO), answered.get("vary")) == (allowed, vary)
        assert serve("GET", "/api/hello").get(ACAO) == without


def test_paths() -> None:
    resources = {r"/api/*": {"origins": [UI]}}
    rules = [Rule(Policy(allow_origins=[UI]), path_prefix="/api")]
    for serve, covered in (
        (flask_cors(resources=resources), {"/api/hello", "/apiary"}),
        (ours_in_flask(rules=rules), {"/api/hello"}),
    ):
        paths = ("/api/hello", "/apiary", "/other")
        assert {path for path in paths if verdict(serve, path=path) == "allowed"} == covered
    specific = {r"/api/.*": {"origins": [EVIL]}, r"/api/hello": {"origins": [UI]}}
    assert verdict(flask_cors(resources=specific)) == "allowed"
    first = Rule(Policy(allow_origins=[EVIL]), path_prefix="/api")
    both = [Rule(Policy(allow_origins=[UI]), path_prefix="/api/hello"), first]
    assert verdict(ours_in_flask(rules=both)) == "allowed"


# --- Beside each other -----------------------------------------------------------------------


def test_the_headers_of_the_old_one_inside_are_dropped() -> None:
    inside, extension = starlette_app(), flask_app()
    inside.add_middleware(CORSMiddleware, allow_origins=[EVIL], allow_methods=["*"])
    CORS(extension, origins=[EVIL])
    meshcors.starlette.init_app(inside, allow_origins=[UI])
    meshcors.flask.init_app(extension, allow_origins=[UI])
    for serve in (Serve(call_asgi, inside), Serve(call_wsgi, extension)):
        assert verdict(serve) == "allowed"
        assert verdict(serve, origin=EVIL) == "acao_missing"
        assert serve("OPTIONS", "/api/hello", preflight(EVIL, "PUT")).status == 403


def test_a_cors_middleware_outside_answers_in_its_place() -> None:
    app = starlette_app()
    app.add_middleware(MeshCORS, allow_origins=[UI])
    app.add_middleware(CORSMiddleware, allow_origins=[EVIL])
    assert call_asgi(app, "OPTIONS", "/api/hello", preflight(UI, "GET")).status == 400


def test_init_app_is_outside_whatever_is_added_later() -> None:
    app = starlette_app()
    meshcors.starlette.init_app(app, allow_origins=[UI])
    app.add_middleware(CORSMiddleware, allow_origins=[EVIL])
    assert call_asgi(app, "OPTIONS", "/api/hello", preflight(UI, "GET")).status == 204


def test_websockets() -> None:
    def handshake(serve: Serve, origin: str) -> str:
        seen: list[str] = []

        async def echo(scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope["type"])
            await send({"type": "websocket.close"})

        middleware = serve.app.user_middleware[0]
        raw = [(b"origin", origin.encode()), (b"host", b"own.example")]
        scope = {"type": "websocket", "path": "/", "headers": raw}
        app = middleware.cls(echo, *middleware.args, **middleware.kwargs)
        call_asgi(app, scope=scope, received=[{"type": "websocket.connect"}])
        return "passes" if seen else "refused"

    assert handshake(theirs(allow_origins=[UI]), EVIL) == "passes"
    assert handshake(ours(allow_origins=[UI]), EVIL) == "refused"
    assert handshake(ours(allow_origins=[UI]), UI) == "passes"
    assert handshake(ours(allow_origins=[UI]), "https://own.example") == "passes"
