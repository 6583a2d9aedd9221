"""What `Wire` sends is what real browsers send, field by field."""

from __future__ import annotations

from typing import Any

import pytest

from meshcors import browser
from meshcors.testing import Wire
from tests.e2e.browsers import ENGINES, launch
from tests.e2e.browsers.server import Received, message, serving

# Which browser it is, what it can read, and what it does with connections and cookies.
OWN = (
    *("accept-encoding", "accept-language", "connection", "priority", "user-agent"),
    *("sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform", "dnt", "sec-gpc", "te"),
    *("cache-control", "pragma", "sec-fetch-storage-access"),
)
FETCH = "async (url, init) => (await fetch(url, init)).status"
# Path, method, headers, credentials, body.
CALLS: list[tuple[str, str, dict[str, str], browser.Credentials, str | None]] = [
    ("/get", "GET", {}, "same-origin", None),
    ("/key", "GET", {"model-api-key": "xyz", "x-a": "b"}, "omit", None),
    ("/post", "POST", {"content-type": "application/json"}, "same-origin", "{}"),
    ("/empty", "POST", {}, "include", None),
    ("/accept", "PUT", {"accept": "text/event-stream"}, "same-origin", "a"),
    ("/near", "DELETE", {}, "same-origin", None),
    ("/moved", "GET", {}, "same-origin", None),
]


def answer(request: Received) -> bytes:
    origin = dict(request.headers).get("origin", "*")
    fields = [
        ("access-control-allow-origin", origin),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-headers", "model-api-key,x-a,content-type"),
        ("access-control-allow-methods", "DELETE,PUT"),
    ]
    if request.target == "/moved":
        return message(307, [*fields, ("location", "/get")])
    return message(200, fields, b"<!doctype html><title>page</title>")


def sent(requests: list[Received]) -> list[tuple[str, str, dict[str, str], bytes]]:
    return [
        (
            each.method,
            each.target,
            {name: value for name, value in each.headers if name not in OWN},
            each.body,
        )
        for each in requests
        if each.target not in ("/", "/favicon.ico")
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_is_sent(engine: str) -> None:
    with serving(answer, ports=2) as server, launch(engine) as real, Wire() as wire:
        page, api = server.ports
        tab = real.open(f"http://localhost:{page}/")
        for path, method, headers, credentials, body in CALLS:
            # another site, or another port of the page's
            host = "localhost" if path == "/near" else "127.0.0.1"
            url = f"http://{host}:{api}{path}"
            init: dict[str, Any] = {"method": method, "headers": headers}
            server.received.clear()
            tab.run(FETCH, url, {**init, "credentials": credentials, "body": body})
            theirs = sent(server.received)
            server.received.clear()
            lines = dict(headers)
            if body is not None:
                lines.setdefault("content-type", "text/plain;charset=UTF-8")
            request = browser.Request(f"http://localhost:{page}", url, method, lines, credentials)
            wire.fetch(request, None if body is None else body.encode())
            assert sent(server.received) == theirs, path
