"""What the middleware adds to a request, beside Starlette's CORSMiddleware and flask-cors.

In one process, without a server: each contender wraps the same app, and each round calls the bare
app, ours and theirs in turn, so that all of them meet the same state of the machine. A round's
costs are the CPU time that a contender adds to the bare app of the same round. A preflight reaches
no app, so it is compared with an empty call. The table shows medians over rounds.

    python tests/bench/bench_middleware.py [--rounds 300] [--calls 200]
"""

from __future__ import annotations

import argparse
import gc
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from io import BytesIO
from itertools import repeat
from statistics import median
from time import thread_time_ns
from typing import Any

from flask import Flask
from flask_cors import CORS
from starlette.middleware.cors import CORSMiddleware

from meshcors import HeaderKey, MeshCORS, Policy, wsgi

Call = Callable[[], object]

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
# From the service's own pages, or from a program.
NO_ORIGIN = {name: value for name, value in BROWSER.items() if name != "origin"}
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


@dataclass(frozen=True)
class Contest:
    """The same request to `ours`, to `theirs`, and to `bare`, without any middleware."""

    title: str
    rival: str
    target: float
    bare: Call
    ours: Call
    theirs: Call


@dataclass(frozen=True)
class Result:
    """Nanoseconds that each adds to a call, and the median over rounds of their ratio."""

    ours: float
    theirs: float
    ratio: float


async def no_op(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


async def silent(scope: Any, receive: Any, send: Any) -> None:
    """Do nothing: no app is behind a preflight."""


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b""}


async def _send(message: Any) -> None:
    """Discard what a server would write."""


def call_asgi(app: Any, method: str, headers: dict[str, str]) -> Call:
    """Return a call of `app`, which never waits: one step runs its coroutine to the end."""
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": "/v1/predict", "headers": raw}

    def call() -> None:
        coroutine = app(dict(scope), _receive, _send)
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

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Callable[..., object]:
        return environ.get

    def call() -> None:
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


def contests() -> list[Contest]:
    ours, theirs = MeshCORS(no_op, POLICY), CORSMiddleware(no_op, **STARLETTE)
    flask_bare, flask_theirs = flask_app(), flask_app()
    CORS(flask_theirs, **FLASK_CORS)
    flask_ours = wsgi.MeshCORS(flask_bare.wsgi_app, POLICY)
    return [
        Contest(
            "ASGI, a real request",
            "Starlette",
            0.34,
            call_asgi(no_op, "POST", BROWSER),
            call_asgi(ours, "POST", BROWSER),
            call_asgi(theirs, "POST", BROWSER),
        ),
        Contest(
            "ASGI, without an Origin",
            "Starlette",
            0.37,
            call_asgi(no_op, "POST", NO_ORIGIN),
            call_asgi(ours, "POST", NO_ORIGIN),
            call_asgi(theirs, "POST", NO_ORIGIN),
        ),
        Contest(
            "ASGI, a preflight",
            "Starlette",
            0.21,
            call_asgi(silent, "OPTIONS", PREFLIGHT),
            call_asgi(ours, "OPTIONS", PREFLIGHT),
            call_asgi(theirs, "OPTIONS", PREFLIGHT),
        ),
        Contest(
            "WSGI, a real request",
            "flask-cors",
            0.12,
            call_wsgi(flask_bare, BROWSER),
            call_wsgi(flask_ours, BROWSER),
            call_wsgi(flask_theirs, BROWSER),
        ),
    ]


def compare(contest: Contest, rounds: int, calls: int) -> Result:
    ours, theirs, ratios = [], [], []
    contenders = [contest.bare, contest.ours, contest.theirs]
    gc.collect()
    gc.freeze()
    for turn in range(rounds + 1):
        # In a different order each time.
        order = [contenders[(turn + place) % 3] for place in range(3)]
        spent = {contender: timed(contender, calls) for contender in order}
        if turn:  # the first round warms up
            bare, mine, other = (spent[contender] for contender in contenders)
            ours.append((mine - bare) / calls)
            theirs.append((other - bare) / calls)
            ratios.append((mine - bare) / max(1, other - bare))
    return Result(median(ours), median(theirs), median(ratios))


def timed(call: Call, calls: int) -> int:
    """Return nanoseconds of this thread's CPU time."""
    begin = thread_time_ns()
    for _ in repeat(None, calls):
        call()
    return thread_time_ns() - begin


def table(results: list[tuple[Contest, Result]]) -> str:
    lines = [
        "| request | meshcors adds | the other adds | ratio | at most |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {contest.title} | {result.ours / 1000:.2f} µs"
        f" | {result.theirs / 1000:.2f} µs ({contest.rival}) | {result.ratio:.2f}"
        f" | {contest.target:g} |"
        for contest, result in results
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--calls", type=int, default=200, help="calls of each in a round")
    options = parser.parse_args(arguments)
    results = [(each, compare(each, options.rounds, options.calls)) for each in contests()]
    names = ("meshcors", "starlette", "flask-cors")
    print(f"CPython {platform.python_version()},", ", ".join(f"{n} {version(n)}" for n in names))
    print()
    print(table(results))


if __name__ == "__main__":
    main()
