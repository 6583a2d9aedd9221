"""What docs/console-messages.md says of XMLHttpRequest: the words that real consoles print."""

from __future__ import annotations

import pytest

from meshcors.browser import Request, Response, judge
from tests.e2e.browsers import CONSOLES, await_console, launch
from tests.e2e.browsers.server import Received, message, serving

CALL = """(url) => new Promise((done) => {
    const call = new XMLHttpRequest();
    call.open("GET", url);
    call.onloadend = () => done(call.status);
    call.send();
})"""


def hello(request: Received) -> bytes:
    return message(200, [("content-type", "text/html")], b"<!doctype html>")


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ("chromium", ("Access to fetch at", "Access to XMLHttpRequest at")),
        ("firefox", ("", "")),
        ("webkit", ("Fetch API cannot load", "XMLHttpRequest cannot load")),
    ],
)
def test_a_call_by_xml_http_request_has_the_same_message_but_the_name(
    engine: str, words: tuple[str, str]
) -> None:
    with serving(hello, ports=2) as server, launch(engine) as browser:
        page, api = (f"http://127.0.0.1:{port}" for port in server.ports)
        verdict = judge(Request(page, f"{api}/"), response=Response(200))
        expected = verdict.messages[CONSOLES[engine]].replace(*words)
        tab = browser.open(f"{page}/")
        assert tab.run(CALL, f"{api}/") == 0
        assert expected in await_console(tab, lambda lines: expected in lines)
