"""FastAPI with the usual mistakes of CORSMiddleware, guards, and what stands in front of them."""

from __future__ import annotations

from dataclasses import replace

from tests.e2e.zoo.set_up import GET, JSON, KEY, LOGGED_IN, Call, Change, Insert, SetUp, codes

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
    "twice": "app = AnyOrigin(AnyOrigin(fastapi_app()))",
    "slashed": 'app = fastapi_app("/v1/predict/")',
    "good": _MESHCORS,
    "denies": "app = BearerAuth(fastapi_app())",
}

# Where a line goes that puts something around all of the app.
SERVE = "# served as it is\n"
OUTERMOST = Insert(
    'MeshCORS(app, allow_origins=["https://ui.example"], allow_headers=["model-api-key"],'
    " max_age=600)",
    before=SERVE.rstrip(),
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
    return f"{_STARLETTE}app.add_middleware({middleware})\n{SERVE}"


ASGI = (
    SetUp(
        name="FastAPI without CORS",
        config=f"app = fastapi_app()\n{SERVE}",
        layer="app",
        codes=codes("preflight_unanswered"),
        fix=OUTERMOST,
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
        fix=OUTERMOST,
    ),
    SetUp(
        name="a middleware that fails on preflights",
        config=_outside("ReadsBody"),
        layer="app",
        codes=codes("preflight_error_status"),
        fix=OUTERMOST,
    ),
    SetUp(
        name="CORSMiddleware inside a middleware that wants a token",
        config=_outside("BearerAuth"),
        call=Call(headers=(JSON, KEY, "authorization: Bearer t")),
        layer="app",
        codes=codes("preflight_denied_by_auth"),
        fix=replace(
            OUTERMOST,
            new='MeshCORS(app, allow_origins=["https://ui.example"],'
            ' allow_headers=["authorization", "model-api-key"], max_age=600)',
        ),
    ),
    SetUp(
        name="CORSMiddleware: a 500 without its headers",
        config=f"{_STARLETTE}{SERVE}",
        call=Call(path="/v1/fail"),
        layer="app",
        codes=codes("grant_missing_on_error"),
        fix=OUTERMOST,
    ),
    SetUp(
        name="FastAPI redirects to a path with a slash",
        config=f'app = AnyOrigin(fastapi_app("/v1/predict/"))\n{SERVE}',
        layer="app",
        codes=codes("slash_redirect"),
        fix=OUTERMOST,
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
    SetUp(
        name="MeshCORS in FastAPI, a key that it does not know",
        config=_MESHCORS,
        call=Call(headers=(JSON, "model-api-key: other")),
        verdict="works",
        layer="meshcors",
    ),
    SetUp(
        name="MeshCORS in FastAPI, which redirects to a path with a slash",
        config=Change("fastapi_app()", 'fastapi_app("/v1/predict/")').apply(_MESHCORS),
        verdict="works",
        layer="meshcors",
    ),
    SetUp(
        name="MeshCORS in FastAPI, with credentials",
        config=Change("max_age=600,", "max_age=600,\n    allow_credentials=True,").apply(_MESHCORS),
        call=LOGGED_IN,
        verdict="works",
        layer="meshcors",
    ),
    SetUp(name="CORSMiddleware well set", config=_STARLETTE, verdict="works", layer="starlette"),
    SetUp(
        name="CORSMiddleware for every site, without credentials",
        config=_starlette('["https://ui.example"]', '["*"]'),
        verdict="works",
        layer="starlette",
    ),
)
