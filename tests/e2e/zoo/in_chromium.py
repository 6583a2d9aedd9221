"""The set-ups' calls in a real Chromium, from pages of the very origins that the set-ups allow."""

from __future__ import annotations

import ssl
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from tests.certificates import self_signed
from tests.e2e.browsers import await_console, chromium
from tests.e2e.parts import need_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.e2e.zoo.set_up import Call

_FETCH = """async (url, init) => {
    try {
        const answer = await fetch(url, {...init, signal: AbortSignal.timeout(60000)});
        await answer.text();
        return "";
    } catch (error) {
        return String(error);
    }
}"""
# Which certificates are good is not looked at.
_FLAGS = ("--ignore-certificate-errors",)
# Nor which addresses a page may call, where no user can be asked.
NO_LOCAL_NETWORK = "--disable-features=LocalNetworkAccessChecks"


class Outcome(NamedTuple):
    """What a script saw of its call: an error, or an empty text; and the page's console."""

    error: str
    console: list[str]


class _Blank(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def calling(
    origins: set[str], *flags: str, here: Sequence[str] = ()
) -> Iterator[Callable[[Call, int, str], Outcome]]:
    """Start Chromium; yield what makes a call to a port, and waits for a line of the console.

    ``here`` are hosts that are this machine.
    """
    need_program("chromium", "chromium")
    hosts = sorted(urlsplit(each).hostname or "" for each in origins)
    with ExitStack() as started:
        port = started.enter_context(_pages(hosts))
        rules = ",".join(
            [
                *(f"MAP {host} 127.0.0.1:{port}" for host in hosts),
                *(f"MAP {host} 127.0.0.1" for host in here),
            ]
        )
        resolver = f"--host-resolver-rules={rules}"
        browser = started.enter_context(chromium.start(resolver, *_FLAGS, *flags))

        def call(made: Call, to: int, line: str) -> Outcome:
            page = browser.open(made.origin)
            try:
                init: dict[str, Any] = {
                    "method": made.method,
                    "headers": [each.split(": ", 1) for each in made.headers],
                    "credentials": "include" if made.credentials else "omit",
                }
                if made.data and made.method != "GET":
                    init["body"] = made.data
                error = page.run(_FETCH, f"{made.scheme}://{made.host}:{to}{made.path}", init)
                wait = 60.0 if line else 0.0
                found = await_console(page, lambda lines: any(line in each for each in lines), wait)
                return Outcome(error, found)
            finally:
                page.close()

        yield call


@contextmanager
def _pages(hosts: list[str]) -> Iterator[int]:
    """Serve empty pages of these hosts over TLS."""
    with (
        tempfile.TemporaryDirectory() as directory,
        ThreadingHTTPServer(("127.0.0.1", 0), _Blank) as server,
    ):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self_signed(Path(directory), *hosts))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
