"""The case it began with, from a page in three real browsers: before, and after.

The page has one origin; a real Envoy is the gateway; behind it the pod and two model services.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from meshcors._doctor.console import read_console
from meshcors.browser import Request, Response, judge
from meshcors.mesh import Gateway
from meshcors.mesh.envoy import bootstrap
from tests.e2e.browsers import CONSOLES, ENGINES, await_console, launch
from tests.e2e.envoy import running_envoy
from tests.e2e.services import KEY_HEADER, Services, running_services

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.browsers import Browser, Page

DATA = Path(__file__).parent.parent / "data"

CALL = """async (url, headers, credentials) => {
    try {
        const answer = await fetch(url, {method: "POST", headers, credentials});
        return [answer.status, await answer.text()];
    } catch (error) {
        return ["blocked", error.name];
    }
}"""
# Reads the first event, then asks the model to go on, then reads the rest.
READ_STREAM = """async (url, headers) => {
    const reader = (await fetch(url, {headers})).body.getReader();
    const text = async () => new TextDecoder().decode((await reader.read()).value);
    const first = await text();
    await fetch(url + "/go-on", {method: "POST", headers});
    return [first, await text()];
}"""


class Stage(NamedTuple):
    """One browser, and the gateway as it was and as it is."""

    browser: Browser
    page_origin: str
    before: str
    after: str
    services: Services

    def open(self) -> Page:
        return self.browser.open(f"{self.page_origin}/")


@contextmanager
def page_server() -> Iterator[int]:
    """An empty page, of which nothing else is known."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", "15")
            self.end_headers()
            self.wfile.write(b"<!doctype html>")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("localhost", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def backend() -> Iterator[tuple[str, str, str, Services]]:
    with ExitStack() as started:
        services = started.enter_context(running_services("--access-log"))
        urls = []
        for name, xyz in (("original", services.bare), ("with_pod", services.fastapi)):
            text = (DATA / f"virtualservice_{name}.yaml").read_text()
            config = bootstrap({name: Gateway.from_yaml(text)}, services.upstreams(xyz=xyz))
            port = started.enter_context(running_envoy(config)).port
            urls.append(f"http://localhost:{port}")
        page = started.enter_context(page_server())
        yield f"http://localhost:{page}", *urls, services


@pytest.fixture(scope="module", params=ENGINES)
def stage(request: pytest.FixtureRequest, backend: Any) -> Iterator[Stage]:
    with launch(request.param) as browser:
        yield Stage(browser, *backend)


def test_before_the_page_is_blocked(stage: Stage) -> None:
    page = stage.open()
    url = f"{stage.before}/v1/predict"
    headers = {"content-type": "application/json", KEY_HEADER: "xyz"}
    outcome, _ = page.run(CALL, url, headers, "omit")
    assert outcome == "blocked"

    request = Request(stage.page_origin, url, "POST", headers, credentials="omit")
    verdict = judge(request, preflight=Response(404, []), response=None)
    assert (verdict.step, verdict.code) == ("preflight", "acao_missing")
    expected = verdict.messages[CONSOLES[stage.browser.name]]
    printed = await_console(page, lambda lines: expected in lines)
    assert expected in printed
    (message,) = read_console("\n".join(printed))
    assert (message.engine, message.url) == (CONSOLES[stage.browser.name], url)
    assert message.code == ("preflight_not_ok" if message.engine == "safari" else "acao_missing")


@pytest.mark.parametrize("key", ["xyz", "abc"])
def test_after_each_model_answers_its_own_key(stage: Stage, key: str) -> None:
    headers = {"content-type": "application/json", KEY_HEADER: key}
    status, body = stage.open().run(CALL, f"{stage.after}/v1/predict", headers, "omit")
    assert (status, f'"{key}"' in body) == (200, True)


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        pytest.param({KEY_HEADER: "guess"}, 404, "no_route", id="wrong-key"),
        pytest.param({}, 401, "key_missing", id="no-key"),
    ],
)
def test_after_a_refusal_is_readable(
    stage: Stage, headers: dict[str, str], status: int, reason: str
) -> None:
    answer = stage.open().run(CALL, f"{stage.after}/v1/predict", headers, "omit")
    assert (answer[0], f'"reason": "{reason}"' in answer[1]) == (status, True)


def test_after_events_arrive_one_by_one(stage: Stage) -> None:
    events = stage.open().run(READ_STREAM, f"{stage.after}/v1/stream", {KEY_HEADER: "xyz"})
    assert events == ["data: first\n\n", "data: second\n\n"]


def test_after_cookies_are_kept_with_credentials(stage: Stage) -> None:
    page = stage.open()
    url = f"{stage.after}/v1/predict"
    answers = [
        page.run(CALL, url, {KEY_HEADER: "xyz"}, credentials)
        for credentials in ("include", "include", "omit")
    ]
    assert [status for status, _ in answers] == [200, 200, 200]
    assert ["remembered" in body for _, body in answers] == [False, True, False]


def test_after_a_preflight_is_kept_by_the_browser(stage: Stage) -> None:
    page = stage.open()
    path = f"/v1/predict/{stage.browser.name}"
    seen = []
    for _ in range(2):
        status, _ = page.run(CALL, f"{stage.after}{path}", {KEY_HEADER: "xyz"}, "omit")
        assert status == 200
        lines = stage.services.pod_process.output.splitlines()
        seen.append([line for line in lines if "OPTIONS" in line and path in line])
    assert len(seen[0]) == 1, "the first call asks"
    assert seen[1] == seen[0], "the second one does not"


def test_after_a_failed_model_is_readable(stage: Stage) -> None:
    # Last: uvicorn closes the connection after an exception, under the gateway's next request.
    answer = stage.open().run(CALL, f"{stage.after}/v1/fail", {KEY_HEADER: "xyz"}, "omit")
    assert answer == [500, "Internal Server Error"]
