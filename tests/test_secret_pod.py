"""A running pod never shows the value of the key's header, whatever the header's name."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.dummy_process import INSTALLED, KEY, PLAIN, UI, PodProcess, running

SECRET = "s3cretMarker"
EVIL = "https://evil.example"


def lines(first: str, *fields: str, body: str = "") -> bytes:
    return "\r\n".join([first, "Host: api.example", *fields, "", body]).encode("latin-1")


def requests(key: str) -> list[bytes]:
    """Requests with the key in the header `key`, in similar headers, and in other places."""
    asks = ("Access-Control-Request-Method: PUT", f"Access-Control-Request-Headers: {key}")
    sent = f"{key}: {SECRET}"
    return [
        lines("GET /v1/chat HTTP/1.1", sent),
        lines("GET /v1/chat HTTP/1.0", sent),
        lines("GET /nowhere?key=x HTTP/1.1", f"{key.title()}:{SECRET}"),
        lines(f"GET /v1/chat?{key}={SECRET} HTTP/1.1", f"Origin: {EVIL}"),
        lines("POST /v1/chat HTTP/1.1", f"Origin: {EVIL}", sent, sent),
        lines("HEAD / HTTP/1.1", f"Origin: {UI}", f"{key}: {SECRET}, {SECRET}"),
        lines("GET / HTTP/1.1", f"{key}: {SECRET[:6]}", f"{key}: {SECRET[6:]}{SECRET}"),
        lines("GET / HTTP/1.1", f"{key.replace('-', '_')}: {SECRET}"),
        lines("GET / HTTP/1.1", f"Authorization: Bearer {SECRET}", f"Cookie: key={SECRET}"),
        lines("GET / HTTP/1.1", f"X-Forwarded-For: {SECRET}", f"Referer: https://a/{SECRET}"),
        lines("OPTIONS /v1/chat HTTP/1.1", f"Origin: {EVIL}", *asks, sent),
        lines("OPTIONS /v1/chat HTTP/1.1", f"Origin: {UI}", *asks, sent),
        lines("OPTIONS * HTTP/1.1", f"Origin: {UI}", *asks, sent),
        lines("POST / HTTP/1.1", f"Content-Length: {len(SECRET)}", sent, body=SECRET),
        lines("POST / HTTP/1.1", "Transfer-Encoding: chunked", sent, body=f"{SECRET}\r\n"),
        lines("GET / HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket", sent),
        lines("GET / HTTP/1.1", f"{key}: \x00{SECRET}"),
        lines("GET / HTTP/1.1", f"{key} : {SECRET}"),
        lines("GET / HTTP/1.1", f"{key}: x", f" {SECRET}"),
        lines("GET / HTTP/1.1", f"{key}: \xe4{SECRET}"),
        lines("GET / HTTP/1.1", f"{key}: {SECRET * 8000}"),
        lines(f"GET / {SECRET}"),
        f"{SECRET}\r\n\r\n".encode(),
        f"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{SECRET}".encode(),
    ]


def tell(pod: PodProcess, request: bytes) -> str:
    """Send `request` on a connection of its own; return the answer, which may be incomplete."""
    answer = b""
    # A connection that is refused early may be reset.
    with socket.create_connection((pod.host, pod.port), 20) as connection, suppress(OSError):
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(65536):
            answer += part
    return answer.decode("latin-1")


def pages(pod: PodProcess) -> str:
    form = urlencode({"origin": EVIL, "url": "https://a.example/", "headers": KEY})
    return "\n".join(
        [
            *(pod.admin(path).text for path in ("/", "/policy", "/metrics", "/healthz", "/x")),
            pod.admin("/", "POST", form).text,
        ]
    )


@pytest.mark.parametrize("key", [KEY, "x-request-id", "traceparent"])
@pytest.mark.parametrize("start", [INSTALLED, PLAIN], ids=["httptools", "h11"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_nothing_tells_the_key(key: str, start: tuple[str, ...], workers: str) -> None:
    with running(
        *("--access-log", "--log-level", "debug", "--workers", workers),
        policy=("--allow-origin", UI, "--key-header", key),
        env={"MESHCORS_KEY_VALUES": f"{SECRET},{SECRET}2"},
        start=start,
    ) as pod:
        told = [tell(pod, request) for request in requests(key)]
        answered = sum(answer.startswith("HTTP/1.1 ") for answer in told)
        assert answered > 10
        pod.await_(lambda: pod.stderr().count("answered") > 10 and EVIL in pages(pod))
        told += [pages(pod), pod.stderr()]
    assert EVIL in told[-1]
    assert not [text for text in told if SECRET in text]


def test_a_header_that_has_ever_carried_the_key_is_not_told(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"

    def keyed_by(name: str) -> None:
        path.write_text(json.dumps({"allowOrigins": [UI], "key": {"header": name}}))

    keyed_by(KEY)
    with running("--access-log", policy=("--config", str(path))) as pod:
        pod.ask("GET", "/", {KEY: SECRET, "X-Request-ID": "an-id", "traceparent": "an-id"})
        # Two headers in two lines, "refused" and "answered".
        pod.await_(lambda: pod.stderr().count("an-id") == 4)
        keyed_by("x-request-id")
        pod.await_(lambda: pod.stderr().count("configuration reloaded") == 1)
        pod.ask("GET", "/", {"X-Request-ID": SECRET, "traceparent": "an-id"})
        keyed_by("traceparent")
        pod.await_(lambda: pod.stderr().count("configuration reloaded") == 2)
        pod.ask("GET", "/", {"X-Request-ID": SECRET, "traceparent": SECRET})
        pod.await_(lambda: pod.stderr().count('"answered"') == 3)
        told = pod.stderr() + pages(pod)
    assert told.count("an-id") == 6
    assert SECRET not in told


def test_a_worker_that_was_never_asked_under_an_old_key_does_not_tell_it(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"

    def keyed_by(name: str) -> None:
        path.write_text(json.dumps({"allowOrigins": [UI], "key": {"header": name}}))

    keyed_by(KEY)
    with running("--workers", "2", policy=("--config", str(path))) as pod:
        for number, name in enumerate(("x-request-id", "third-key"), 1):
            keyed_by(name)
            pod.await_(lambda n=number: pod.stderr().count("configuration reloaded") == n)
        for _ in range(10):
            pod.ask("GET", "/", {"X-Request-ID": SECRET})
        pod.await_(lambda: pod.stderr().count('"refused"') == 10)
        told = pod.stderr() + pages(pod)
    assert SECRET not in told
