"""The examples, started with the commands of their docstrings, and called."""

from __future__ import annotations

import re
import shlex
import sys
from http.client import HTTPConnection
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.e2e.processes import free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
ORIGIN = "http://localhost:3000"
KEY_HEADER = "model-api-key"
BODY = '{"text": "hello"}'

EXAMPLES = {
    "fastapi_service": ("xyz", b'{"model":"xyz","answer":"HELLO"}'),
    "flask_service": ("abc", b'{"answer":"olleh","model":"abc"}\n'),
    "plain_asgi": ("raw", b'{"model": "raw"}'),
    "litestar_service": ("def", b'{"model":"def","answer":"Hello"}'),
    "quart_service": ("ghi", b'{"answer":"HELLO","model":"ghi"}\n'),
}
PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": f"content-type,{KEY_HEADER}",
}


class Service(NamedTuple):
    port: int
    key: str
    says: bytes


class Called(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def start_command(source: str) -> list[str]:
    """The start command of the example's docstring, up to its port."""
    (line,) = re.findall(r"^    (.* --port) \d+$", source, re.MULTILINE)
    return shlex.split(line)


def call(port: int, method: str, headers: dict[str, str], path: str = "/v1/predict") -> Called:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    body = BODY if method == "POST" else None
    sent = {"origin": ORIGIN, "content-type": "application/json", **headers}
    try:
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        fields = {name.lower(): value for name, value in answer.getheaders()}
        return Called(answer.status, fields, answer.read())
    finally:
        connection.close()


@pytest.fixture(scope="module", params=EXAMPLES)
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    name: str = request.param
    command = start_command((ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8"))
    port = free_port()
    start = [sys.executable, "-m", *command, str(port)]
    with running(start, port):
        yield Service(port, *EXAMPLES[name])


def test_a_preflight_is_answered(service: Service) -> None:
    answer = call(service.port, "OPTIONS", PREFLIGHT)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert KEY_HEADER in answer.headers["access-control-allow-headers"].split(", ")
    assert answer.headers["access-control-max-age"] == "600"


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        pytest.param({KEY_HEADER: "guess"}, 403, b'"reason": "key_unknown"', id="wrong key"),
        pytest.param({}, 401, b'"reason": "key_missing"', id="no key"),
    ],
)
def test_a_refused_key_is_readable(
    service: Service, sent: dict[str, str], status: int, reason: bytes
) -> None:
    answer = call(service.port, "POST", sent)
    assert answer.status == status
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert reason in answer.body


def test_the_right_key_reaches_the_model(service: Service) -> None:
    answer = call(service.port, "POST", {KEY_HEADER: service.key})
    assert (answer.status, answer.body) == (200, service.says)
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_the_health_check_needs_no_key(service: Service) -> None:
    assert call(service.port, "GET", {}, "/healthz").status == 200


def test_another_origin_gets_no_permission(service: Service) -> None:
    for (method, headers), origin in product(
        [("OPTIONS", PREFLIGHT), ("POST", {KEY_HEADER: service.key})],
        ["https://evil.example", f"{ORIGIN}.evil.example"],
    ):
        answer = call(service.port, method, {**headers, "origin": origin})
        assert not any(name.startswith("access-control-") for name in answer.headers)
