"""Who takes part in the comparison of middleware: the same app, alone and in each middleware.

All have one policy, as far as they have its options, and get the requests of a browser.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import django
from asgi_cors import asgi_cors
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.urls import path
from flask import Flask
from flask_cors import CORS
from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.middleware._internal.cors import CORSMiddleware as LitestarMiddleware
from starlette.middleware.cors import CORSMiddleware

from meshcors import HeaderKey, MeshCORS, Policy, wsgi

Call = Callable[..., None]

ORIGIN = "https://ui.example"
KEY = "model-api-key"
POLICY = Policy(
    allow_origins=[ORIGIN],
    allow_methods=["PUT", "DELETE"],
    allow_headers=["authorization"],
    expose_headers=["x-request-id"],
    max_age=600,
    key=HeaderKey(KEY, values=["xyz"]),
)
# The same policy, as far as the others have the options: neither checks the key.
STARLETTE = {
    "allow_origins": [ORIGIN],
    "allow_methods": ["GET", "HEAD", "POST", "PUT", "DELETE"],
    "allow_headers": ["authorization", KEY],
    "expose_headers": ["x-request-id"],
    "max_age": 600,
}
ASGI_CORS = {
    "hosts": [ORIGIN],
    "methods": ["GET", "HEAD", "POST", "PUT", "DELETE"],
    "headers": ["authorization", KEY],
}
FLASK_CORS = {
    "origins": [ORIGIN],
    "methods": ["GET", "HEAD", "POST", "PUT", "DELETE"],
    "allow_headers": ["authorization", KEY],
    "expose_headers": ["x-request-id"],
    "max_age": 600,
}
# What Chromium sends with fetch(), in its order.
BROWSER = {
    "host": "models.example",
    "connection": "keep-alive",
    "content-length": "2",
    "sec-ch-ua-platform": '"Linux"',
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0",
    "sec-ch-ua": '"Chromium";v="140", "Not=A?Brand";v="24"',
    "content-type": "application/json",
    KEY: "xyz",
    "sec-ch-ua-mobile": "?0",
    "accept": "*/*",
    "origin": ORIGIN,
    "sec-fetch-site": "cross-site",
    "sec-fetch-mode": "cors",
    "sec-fetch-dest": "empty",
    "referer": f"{ORIGIN}/",
    "accept-encoding": "gzip, deflate, br, zstd",
    "accept-language": "en-GB,en;q=0.9",
}
PREFLIGHT = {
    "host": "models.example",
    "connection": "keep-alive",
    "accept": "*/*",
    "access-control-request-method": "POST",
    "access-control-request-headers": f"content-type,{KEY}",
    "origin": ORIGIN,
    "user-agent": BROWSER["user-agent"],
    "sec-fetch-mode": "cors",
    "sec-fetch-site": "cross-site",
    "sec-fetch-dest": "empty",
    "referer": f"{ORIGIN}/",
    "accept-encoding": "gzip, deflate, br, zstd",
    "accept-language": "en-GB,en;q=0.9",
}


OURS = "meshcors"
FLOOR = "one constant header, no decision"
NO_ORIGIN = "a request without Origin"


@dataclass(frozen=True)
class Contest:
    """The same request to each of `contenders`, and to `bare`, which has no middleware.

    `bounds` are the most that ours may add, as a part of what a contender adds.
    """

    title: str
    bare: Call
    contenders: Mapping[str, Call]
    bounds: Mapping[str, float] = field(default_factory=dict)


async def no_op(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


async def silent(scope: Any, receive: Any, send: Any) -> None:
    """Do nothing: no app is behind a preflight."""


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b""}


def _start_response(status: str, headers: Any, exc_info: Any = None) -> Callable[..., object]:
    return _receive


async def _send(message: Any) -> None:
    """Discard what a server would write."""


def adds_one_header(app: Any) -> Any:
    """Return the least that a middleware can be: it adds a constant header."""

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"vary", b"origin"))
            await send(message)

        await app(scope, receive, sending)

    return middleware


# What Litestar's middleware looks up in the scope.
LITESTAR_APP = Litestar([])


def call_asgi(app: Any, method: str, headers: dict[str, str]) -> Call:
    """Return a call of `app`, which never waits: one step runs its coroutine to the end."""
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": "/v1/predict", "headers": raw}
    scope["litestar_app"] = LITESTAR_APP

    def call(send: Any = _send) -> None:
        coroutine = app(dict(scope), _receive, send)
        try:
            coroutine.send(None)
        except StopIteration:
            return
        raise RuntimeError("the app waited")

    return call


def call_wsgi(app: Any, headers: dict[str, str]) -> Call:
    environ = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/v1/predict",
        "QUERY_STRING": "",
        "SERVER_NAME": "models.example",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": BytesIO(),
        "wsgi.errors": BytesIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
    }

    def call(start_response: Any = _start_response) -> None:
        chunks = app(dict(environ), start_response)
        for _ in chunks:
            pass
        if hasattr(chunks, "close"):
            chunks.close()

    return call


def flask_app() -> Flask:
    app = Flask("bench")

    def predict() -> str:
        return "{}"

    app.add_url_rule("/v1/predict", view_func=predict, methods=["POST"])
    return app


def django_app(*middleware: str) -> WSGIHandler:
    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["*"],
            ROOT_URLCONF=__name__,
            CORS_ALLOWED_ORIGINS=[ORIGIN],
            CORS_ALLOW_METHODS=FLASK_CORS["methods"],
            CORS_ALLOW_HEADERS=FLASK_CORS["allow_headers"],
            CORS_EXPOSE_HEADERS=FLASK_CORS["expose_headers"],
            CORS_PREFLIGHT_MAX_AGE=600,
        )
        django.setup()
    settings.MIDDLEWARE = list(middleware)
    return WSGIHandler()


urlpatterns = [path("v1/predict", lambda request: HttpResponse("{}"))]


def asgi_contests() -> list[Contest]:
    ours, starlette = MeshCORS(no_op, POLICY), CORSMiddleware(no_op, **STARLETTE)
    litestar = LitestarMiddleware(
        no_op,
        CORSConfig(
            allow_origins=[ORIGIN],
            allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
            allow_headers=["authorization", "content-type", KEY],
            expose_headers=["x-request-id"],
            max_age=600,
        ),
    )
    around = {
        OURS: ours,
        "Starlette": starlette,
        "asgi-cors": asgi_cors(no_op, **ASGI_CORS),
        "Litestar": litestar,
        FLOOR: adds_one_header(no_op),
    }
    # asgi-cors leaves preflights to the app.
    answering = {OURS: ours, "Starlette": starlette, "Litestar": litestar}
    same_origin = {name: value for name, value in BROWSER.items() if name != "origin"}
    return [
        Contest(
            title,
            call_asgi(bare, method, headers),
            {name: call_asgi(app, method, headers) for name, app in apps.items()},
            {"Starlette": bound},
        )
        for title, bare, method, headers, apps, bound in (
            ("a real request, with the key", no_op, "POST", BROWSER, around, 0.34),
            (NO_ORIGIN, no_op, "POST", same_origin, around, 0.37),
            ("a preflight, whole", silent, "OPTIONS", PREFLIGHT, answering, 0.21),
        )
    ]


def wsgi_contests() -> list[Contest]:
    flask, flask_theirs = flask_app(), flask_app()
    CORS(flask_theirs, **FLASK_CORS)
    flasks = {OURS: wsgi.MeshCORS(flask.wsgi_app, POLICY), "flask-cors": flask_theirs}
    bare = django_app()
    djangos = {
        OURS: wsgi.MeshCORS(bare, POLICY),
        "django-cors-headers": django_app("corsheaders.middleware.CorsMiddleware"),
    }
    return [
        Contest(
            f"{framework}, a real request",
            call_wsgi(app, BROWSER),
            {name: call_wsgi(each, BROWSER) for name, each in apps.items()},
            bounds,
        )
        for framework, app, apps, bounds in (
            ("Flask", flask, flasks, {"flask-cors": 0.12}),
            ("Django", bare, djangos, {}),
        )
    ]


def checked(contests: list[Contest], allows: Callable[[Call], bool]) -> list[Contest]:
    """Refuse a contender that does not do the work: it would win."""
    for contest in contests:
        for name, call in contest.contenders.items():
            is_expected = name != FLOOR and contest.title != NO_ORIGIN
            if allows(call) is not is_expected:
                raise SystemExit(f"{contest.title}: {name} does not do the work")
    return contests


def allows_asgi(call: Call) -> bool:
    """Tell whether the answer of a call allows the origin."""
    sent: list[tuple[bytes, bytes]] = []

    async def send(message: Any) -> None:
        sent.extend((name.lower(), value) for name, value in message.get("headers", ()))

    call(send)
    return (b"access-control-allow-origin", ORIGIN.encode()) in sent


def allows_wsgi(call: Call) -> bool:
    """Tell whether the answer of a call allows the origin."""
    sent: list[tuple[str, str]] = []
    call(lambda status, headers, exc_info=None: sent.extend(headers))
    return ("access-control-allow-origin", ORIGIN) in [(name.lower(), at) for name, at in sent]
