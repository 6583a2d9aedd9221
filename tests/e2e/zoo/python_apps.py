"""FastAPI, Flask and Django with the usual mistakes of their CORS middleware, in one process."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.e2e.parts import need
from tests.e2e.zoo.set_up import (
    GET,
    JSON,
    KEY,
    LOGGED_IN,
    Call,
    Change,
    Insert,
    SetUp,
    by_name,
    codes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_STARLETTE = """
app = fastapi_app()
app.add_middleware(
    CORSMiddleware,
    allow_origins=["https://ui.example"],
    allow_methods=["POST", "PUT"],
    allow_headers=["content-type", "model-api-key"],
)
"""
_MESHCORS = """
app = fastapi_app()
app.add_middleware(
    MeshCORS,
    allow_origins=["https://ui.example"],
    max_age=600,
    key=HeaderKey("model-api-key", ["xyz"]),
)
"""

# Upstreams of the other servers' set-ups: they are no set-ups themselves.
UPSTREAMS = {
    "bare": "app = fastapi_app()",
    "starred": "app = AnyOrigin(fastapi_app())",
    "slashed": 'app = fastapi_app("/v1/predict/")',
    "good": _MESHCORS,
    "denies": "app = BearerAuth(fastapi_app())",
}

# Where a line goes that puts something around all of the app.
_SERVE = "# served as it is\n"
_OUTERMOST = Insert(
    'MeshCORS(app, allow_origins=["https://ui.example"], allow_headers=["model-api-key"],'
    " max_age=600)",
    before=_SERVE.rstrip(),
    begin="app = ",
)


def _starlette(old: str, new: str) -> str:
    return Change(old, new).apply(_STARLETTE)


def _inside(middleware: str) -> str:
    """The app with good CORS in front of a middleware that answers by itself."""
    return _STARLETTE.replace(
        "fastapi_app()\n", f"fastapi_app()\napp.add_middleware({middleware})\n"
    )


def _outside(middleware: str) -> str:
    """The app with a middleware that answers by itself in front of good CORS."""
    return f"{_STARLETTE}app.add_middleware({middleware})\n{_SERVE}"


ASGI = (
    SetUp(
        name="FastAPI without CORS",
        config=f"app = fastapi_app()\n{_SERVE}",
        layer="app",
        codes=codes("preflight_unanswered"),
        fix=_OUTERMOST,
    ),
    SetUp(
        name="CORSMiddleware: an origin with a trailing slash",
        config=_starlette('["https://ui.example"]', '["https://ui.example/"]'),
        layer="starlette",
        codes=codes("origin_not_allowed"),
        fix=Change('allow_origins=["https://ui.example/"]', 'allow_origins=["https://ui.example"]'),
    ),
    SetUp(
        name="CORSMiddleware: * with credentials",
        config=_starlette('["https://ui.example"],', '["*"],\n    allow_credentials=True,'),
        call=LOGGED_IN,
        verdict="works",
        layer="starlette",
        codes=codes("stranger_echoed_with_credentials"),
        fix=Change('allow_origins=["*"]', 'allow_origins=["https://ui.example"]'),
    ),
    SetUp(
        name="CORSMiddleware: allow_headers without the key",
        config=_starlette('["content-type", "model-api-key"]', '["content-type"]'),
        layer="starlette",
        codes=codes("header_not_allowed"),
        fix=Change(
            'allow_headers=["content-type"]', 'allow_headers=["content-type", "model-api-key"]'
        ),
    ),
    SetUp(
        name="CORSMiddleware: allow_methods without the method",
        config=_starlette('["POST", "PUT"]', '["POST"]'),
        call=Call(method="PUT"),
        layer="starlette",
        codes=codes("method_not_allowed"),
        fix=Change('allow_methods=["POST"]', 'allow_methods=["PUT"]'),
    ),
    SetUp(
        name="CORSMiddleware: no allow_credentials",
        config=_STARLETTE,
        call=LOGGED_IN,
        layer="starlette",
        codes=codes("credentials_not_allowed"),
        fix=Insert("allow_credentials=True", before="allow_methods", end=","),
    ),
    SetUp(
        name="CORSMiddleware: null among the origins",
        config=_starlette('["https://ui.example"]', '["https://ui.example", "null"]'),
        verdict="works",
        layer="starlette",
        codes=codes("null_allowed"),
    ),
    SetUp(
        name="a 401 for the call alone, without CORSMiddleware's headers",
        config=_outside("BearerAuth, preflights=False"),
        layer="app",
        codes=codes("grant_missing_on_error"),
        fix=_OUTERMOST,
    ),
    SetUp(
        name="a middleware that fails on preflights",
        config=_outside("ReadsBody"),
        layer="app",
        codes=codes("preflight_error_status"),
        fix=_OUTERMOST,
    ),
    SetUp(
        name="CORSMiddleware inside a middleware that wants a token",
        config=_outside("BearerAuth"),
        call=Call(headers=(JSON, KEY, "authorization: Bearer t")),
        layer="app",
        codes=codes("preflight_denied_by_auth"),
        fix=replace(
            _OUTERMOST,
            new='MeshCORS(app, allow_origins=["https://ui.example"],'
            ' allow_headers=["authorization", "model-api-key"], max_age=600)',
        ),
    ),
    SetUp(
        name="CORSMiddleware: a 500 without its headers",
        config=f"{_STARLETTE}{_SERVE}",
        call=Call(path="/v1/fail"),
        layer="app",
        codes=codes("grant_missing_on_error"),
        fix=_OUTERMOST,
    ),
    SetUp(
        name="FastAPI redirects to a path with a slash",
        config=f'app = AnyOrigin(fastapi_app("/v1/predict/"))\n{_SERVE}',
        layer="app",
        codes=codes("slash_redirect"),
        fix=_OUTERMOST,
    ),
    SetUp(
        name="a guard like MLflow's behind a green preflight",
        config=_inside('MlflowGuard, flags="--cors-allowed-origins http://localhost:5000"'),
        layer="guard",
        codes=codes("guard_refuses_origin"),
        fix=Change(
            "--cors-allowed-origins http://localhost:5000",
            "--cors-allowed-origins https://ui.example",
        ),
    ),
    SetUp(
        name="a guard like MCP's behind a green preflight",
        config=_inside("McpGuard, allowed_origins=[]"),
        layer="guard",
        codes=codes("guard_refuses_origin"),
        fix=Change("allowed_origins=[]", 'allowed_origins=["https://ui.example"]'),
    ),
    SetUp(
        name="a guard like Socket.IO's behind a green preflight",
        config=_inside("SocketIoGuard, cors_allowed_origins=[]"),
        layer="guard",
        codes=codes("guard_refuses_origin"),
        fix=Change("cors_allowed_origins=[]", 'cors_allowed_origins=["https://ui.example"]'),
    ),
    SetUp(
        name="a login in front of the preflight",
        config=_outside("Login"),
        call=LOGGED_IN,
        layer="login_redirect",
        codes=codes("preflight_redirected"),
    ),
    SetUp(
        name="a login in front of the call",
        config=_outside("Login, preflights=False").replace(
            '["POST", "PUT"],', '["POST", "PUT"],\n    allow_credentials=True,'
        ),
        call=LOGGED_IN,
        layer="login_redirect",
        codes=codes("call_redirected_to_login"),
    ),
    SetUp(
        name="a stream that ends in the middle",
        config=_MESHCORS,
        call=Call(path="/v1/stream"),
        layer="app",
        codes=codes("stream_cut_short"),
    ),
    SetUp(
        name="MeshCORS: the policy lacks the origin",
        config=Change("ui.example", "other.example").apply(_MESHCORS),
        layer="meshcors",
        codes=codes("origin_not_allowed"),
        fix=Change(
            'allow_origins=["https://other.example"]',
            'allow_origins=["https://ui.example"]',
        ),
    ),
    SetUp(
        name="MeshCORS: the policy lacks a header",
        config=_MESHCORS,
        call=Call(headers=(JSON, KEY, "x-request-id: 7")),
        layer="meshcors",
        codes=codes("header_not_allowed"),
        fix=Insert('allow_headers=["x-request-id"]', before="max_age", end=","),
    ),
    SetUp(name="MeshCORS in FastAPI", config=_MESHCORS, verdict="works", layer="meshcors"),
    SetUp(
        name="MeshCORS in FastAPI, a GET",
        config=_MESHCORS,
        call=GET,
        verdict="works",
        layer="meshcors",
    ),
    SetUp(name="CORSMiddleware well set", config=_STARLETTE, verdict="works", layer="starlette"),
)

_FLASK = """
app = flask_app()
CORS(
    app,
    resources={r"/v1/*": {"origins": ["https://ui.example"]}},
    allow_headers=["content-type", "model-api-key"],
    max_age=600,
)
"""
_DJANGO = """
MIDDLEWARE = [
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.common.CommonMiddleware",
]
CORS_ALLOWED_ORIGINS = ["https://ui.example"]
CORS_ALLOW_HEADERS = (*default_headers, "model-api-key")
app = django_app(globals())
"""
WSGI = (
    SetUp(
        name="flask-cors: resources that miss the path",
        config=Change("/v1/*", "/api/*").apply(_FLASK),
        layer="app",
        codes=codes("preflight_unanswered"),
    ),
    SetUp(
        name="flask-cors: every origin with credentials",
        config=Change(
            'resources={r"/v1/*": {"origins": ["https://ui.example"]}}', "supports_credentials=True"
        ).apply(_FLASK),
        call=LOGGED_IN,
        verdict="works",
        layer="flask_cors",
        codes=codes("stranger_echoed_with_credentials"),
        fix=Insert('origins=["https://ui.example"]', before="supports_credentials", end=","),
    ),
    SetUp(
        name="flask-cors: an origin that is a regex, which matches the beginning",
        config=Change(
            'resources={r"/v1/*": {"origins": ["https://ui.example"]}}',
            r'origins=r"https://ui\.example"',
        ).apply(_FLASK),
        verdict="works",
        layer="flask_cors",
        codes=codes("look_alike_allowed"),
        fix=Change(r'origins=r"https://ui\.example"', 'origins=["https://ui.example"]'),
    ),
    SetUp(
        name="flask-cors: allow_headers without the key",
        config=Change(', "model-api-key"', "").apply(_FLASK),
        layer="flask_cors",
        codes=codes("header_not_allowed"),
        fix=Change(
            'allow_headers=["content-type"]', 'allow_headers=["content-type", "model-api-key"]'
        ),
    ),
    SetUp(
        name="django-cors-headers: the origin is missing",
        config=Change('["https://ui.example"]', '["https://other.example"]').apply(_DJANGO),
        layer="django_cors_headers",
        codes=codes("origin_not_allowed"),
        fix=Change('["https://other.example"]', '["https://ui.example"]'),
    ),
    SetUp(
        name="django-cors-headers: the key is missing",
        config=Change('CORS_ALLOW_HEADERS = (*default_headers, "model-api-key")\n', "").apply(
            _DJANGO
        ),
        layer="django_cors_headers",
        codes=codes("header_not_allowed"),
        fix=Insert(
            'CORS_ALLOW_HEADERS = ["accept", "authorization", "content-type", "user-agent",'
            ' "x-csrftoken", "x-requested-with", "model-api-key"]',
            before="CORS_ALLOWED_ORIGINS",
        ),
    ),
    SetUp(
        name="django-cors-headers: every origin with credentials",
        config=Change(
            'CORS_ALLOWED_ORIGINS = ["https://ui.example"]',
            "CORS_ALLOW_ALL_ORIGINS = True\nCORS_ALLOW_CREDENTIALS = True",
        ).apply(_DJANGO),
        call=LOGGED_IN,
        verdict="works",
        layer="django_cors_headers",
        codes=codes("stranger_echoed_with_credentials"),
        fix=Change(
            "CORS_ALLOW_ALL_ORIGINS = True", 'CORS_ALLOWED_ORIGINS = ["https://ui.example"]'
        ),
    ),
    SetUp(
        name="django-cors-headers: the check for CSRF behind a green preflight",
        config=Change(
            '    "django.middleware.common.CommonMiddleware",\n',
            '    "django.middleware.csrf.CsrfViewMiddleware",\n',
        ).apply(_DJANGO),
        layer="guard",
        codes=codes("guard_refuses_origin"),
    ),
    SetUp(
        name="django-cors-headers after CommonMiddleware, which adds a slash",
        config=_DJANGO.replace(
            """    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.common.CommonMiddleware",
""",
            """    "django.middleware.common.CommonMiddleware",
    "corsheaders.middleware.CorsMiddleware",
""",
        ),
        call=Call(path="/v1/slashed"),
        layer="app",
        codes=codes("slash_redirect"),
    ),
    SetUp(
        name="MeshCORS in Flask",
        config="""
app = flask_app()
meshcors.flask.init_app(
    app,
    Policy(
        allow_origins=["https://ui.example"],
        max_age=600,
        key=HeaderKey("model-api-key", ["xyz"]),
    ),
)
""",
        verdict="works",
        layer="meshcors",
    ),
    SetUp(name="flask-cors well set", config=_FLASK, verdict="works", layer="flask_cors"),
    SetUp(
        name="django-cors-headers well set",
        config=_DJANGO,
        verdict="works",
        layer="django_cors_headers",
    ),
)


# What the process imports: modules, and the packages that bring them.
_PARTS = (
    ("corsheaders", "django-cors-headers"),
    ("django", "django"),
    ("fastapi", "fastapi"),
    ("flask", "flask"),
    ("flask_cors", "flask-cors"),
    ("uvicorn", "uvicorn"),
    ("waitress", "waitress"),
)


@contextmanager
def running() -> Iterator[dict[str, int]]:
    """Start the process; yield the port of each set-up and of each upstream."""
    for module, package in _PARTS:
        need(module, package)
    texts_by_kind = {
        "asgi": UPSTREAMS | by_name(ASGI),
        "wsgi": {"flask_cors": _FLASK} | by_name(WSGI),
    }
    apps = {
        name: {"kind": kind, "lines": lines}
        for kind, texts in texts_by_kind.items()
        for name, lines in texts.items()
    }
    command = [sys.executable, "-m", "tests.e2e.zoo.app_process"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        json.dump(apps, process.stdin)
        process.stdin.close()
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=20)
        process.stdout.close()
