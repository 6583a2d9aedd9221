"""A page's call over real sockets: what is sent, what comes back, and every fault of a network."""

from __future__ import annotations

import socket
import ssl
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h2.config
import h2.connection
import h2.events
import pytest

from meshcors import browser
from meshcors.testing import MissingExtraError, PageCall, Wire
from meshcors.testing._sent_fields import request_fields
from tests.certificates import Certificate, self_signed
from tests.e2e.processes import free_port, running
from tests.raw_servers import Act, in_turn, raw_server, reset, say

if TYPE_CHECKING:
    from collections.abc import Iterator

ORIGIN = "https://ui.example"
SECRET = "s3cret-key"
OK = f"HTTP/1.1 200 OK\nAccess-Control-Allow-Origin: {ORIGIN}\nContent-Length: 2\n\nhi"
GRANT = (
    f"HTTP/1.1 204 No Content\nAccess-Control-Allow-Origin: {ORIGIN}\n"
    "Access-Control-Allow-Headers: model-api-key\n\n"
)


def call(
    port: int, path: str = "/v1?token=hidden", *, host: str = "127.0.0.1", wire: Wire | None = None
) -> PageCall:
    request = browser.Request(ORIGIN, f"http://{host}:{port}{path}")
    with wire or Wire(timeout=1) as used:
        return used.fetch(request)


def keyed(port: int, method: str = "GET", path: str = "/v1") -> browser.Request:
    headers = {"model-api-key": SECRET}
    return browser.Request(ORIGIN, f"http://127.0.0.1:{port}{path}", method, headers)


def fields(head: bytes) -> list[tuple[str, str]]:
    lines = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    return [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]


def test_what_is_sent_is_what_a_browser_sends() -> None:
    with raw_server(in_turn(say(GRANT), say(OK))) as server, Wire() as wire:
        made = wire.fetch(keyed(server.port, "POST"), b"{}")
    preflight, request = server.requests
    added = [
        ("user-agent", "Mozilla/5.0 (compatible; meshcors)"),
        # no referer from https to http
        ("sec-fetch-dest", "empty"),
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-site", "cross-site"),
    ]
    host = ("host", f"127.0.0.1:{server.port}")
    assert preflight.startswith(b"OPTIONS /v1 HTTP/1.1\r\n")
    assert fields(preflight) == [
        host,
        ("accept", "*/*"),
        ("access-control-request-headers", "model-api-key"),
        ("access-control-request-method", "POST"),
        ("origin", ORIGIN),
        *added,
    ]
    assert request.startswith(b"POST /v1 HTTP/1.1\r\n")
    assert fields(request) == [
        host,
        ("model-api-key", SECRET),
        ("accept", "*/*"),
        ("origin", ORIGIN),
        *added,
        ("Content-Length", "2"),
    ]
    assert made.preflight is not None
    assert list(made.preflight.sent) == fields(preflight)
    assert ("content-length", "2") in made.answers[0].sent
    assert made.verdict.allowed
    assert made.answer is not None
    assert (made.answer.http_version, made.answer.body, made.answer.failure) == (
        "HTTP/1.1",
        b"hi",
        "",
    )


# The page, the URL and the method: the origin that is sent.
ORIGINS = [
    ("https://ui.example", "https://api.example/", "GET", "https://ui.example"),
    ("null", "https://api.example/", "GET", "null"),
    ("https://ui.example", "https://ui.example/", "GET", None),
    ("https://ui.example", "https://ui.example/", "HEAD", None),
    ("https://ui.example", "https://ui.example/", "POST", "https://ui.example"),
]


@pytest.mark.parametrize(("page", "url", "method", "origin"), ORIGINS)
def test_the_origin_is_sent_unless_a_page_reads_from_its_own(
    page: str, url: str, method: str, origin: str | None
) -> None:
    assert dict(request_fields(browser.Request(page, url, method))).get("origin") == origin


SITES = [
    ("https://ui.example", "https://ui.example/v1", "same-origin"),
    ("https://ui.example:8443", "https://ui.example/v1", "same-site"),
    ("https://ui.shop.co.uk", "https://api.shop.co.uk/", "same-site"),
    ("http://ui.shop.co.uk", "https://api.shop.co.uk/", "cross-site"),
    ("https://a.co.uk", "https://b.co.uk/", "cross-site"),
    ("https://10.0.0.1", "https://20.0.0.1/", "cross-site"),
    ("null", "https://ui.example/", "cross-site"),
    ("https://ui.example", "http://api.localhost:8000/", "cross-site"),
    ("https://ui.example", "http://api.example/", None),
    ("http://ui.example", "http://127.0.0.1/", "cross-site"),
]


@pytest.mark.parametrize(("origin", "url", "site"), SITES)
def test_sec_fetch_site(origin: str, url: str, site: str | None) -> None:
    sent = dict(request_fields(browser.Request(origin, url)))
    assert sent.get("sec-fetch-site") == site
    # Referrer Policy: none from https to http
    is_sent = origin != "null" and not (origin.startswith("https:") and url.startswith("http:"))
    assert sent.get("referer") == (f"{origin}/" if is_sent else None)


def wait(connection: socket.socket) -> None:
    connection.recv(1)  # until the client closes


def drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"a: b\r\n")
        time.sleep(0.1)


def stream(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
    connection.recv(1)


# What a server does: the status that is read, the kind of fault, and what its line says.
FAULTS: list[tuple[str, Act, int | None, str, str]] = [
    ("silent", wait, None, "timeout", "no answer from 127.0.0.1:PORT within 0.5 s"),
    ("dripping head", drip, None, "timeout", "no answer from 127.0.0.1:PORT within 0.5 s"),
    (
        "reset",
        reset,
        None,
        "reset",
        "127.0.0.1:PORT ended the connection: connection reset by peer",
    ),
    ("closed", say(""), None, "closed", "127.0.0.1:PORT closed the connection without an answer"),
    ("no HTTP", say("220 mail\n\n"), None, "protocol", "127.0.0.1:PORT does not answer in HTTP: "),
    (
        "HTTP/2 without TLS",
        lambda connection: connection.sendall(b"\0\0\0\x04\0\0\0\0\0"),
        None,
        "protocol",
        "127.0.0.1:PORT does not answer in HTTP: it may speak TLS, or HTTP/2 without TLS",
    ),
    (
        "no field",
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\na: b\0c\r\n\r\n"),
        None,
        "protocol",
        r"127.0.0.1:PORT does not answer in HTTP: illegal header line: a: b\x00c",
    ),
    (
        "another protocol",
        say("HTTP/1.1 101 Switching Protocols\nUpgrade: x\n\n"),
        None,
        "protocol",
        "127.0.0.1:PORT does not answer in HTTP: it switches to another protocol",
    ),
    (
        "a status that is none",
        say("HTTP/1.1 099 Odd\n\n"),
        None,
        "protocol",
        "127.0.0.1:PORT does not answer in HTTP: its status is none of HTTP's",
    ),
    (
        "a long head",
        say("HTTP/1.1 200 OK\n" + f"a: {'b' * 1000}\n" * 200),
        None,
        "protocol",
        "127.0.0.1:PORT does not answer in HTTP: the head of the answer is too long",
    ),
    (
        "half a body",
        say("HTTP/1.1 200 OK\nContent-Length: 9\n\nhalf"),
        200,
        "cut_short",
        "the answer ended early, after 4 bytes of its body",
    ),
    (
        "half a stream",
        say("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n4\nhalf\n"),
        200,
        "cut_short",
        "the answer ended early, after 4 bytes of its body",
    ),
    (
        "open stream",
        stream,
        200,
        "timeout",
        "the answer had not ended in time, after 2 bytes",
    ),
    ("whole", say(OK), 200, "", ""),
]


@pytest.mark.parametrize(
    ("act", "status", "kind", "line"),
    [case[1:] for case in FAULTS],
    ids=[case[0] for case in FAULTS],
)
def test_a_fault_is_one_clear_line(act: Act, status: int | None, kind: str, line: str) -> None:
    with raw_server(act) as server:
        made = call(server.port, wire=Wire(connect_timeout=0.5, timeout=0.5))
    answer = made.answer
    assert answer is not None
    assert answer.failure.startswith(line.replace("PORT", str(server.port)))
    assert (answer.kind, answer.failure.count("\n")) == (kind, 0)
    assert (answer.response.status if answer.response else None) == status
    assert made.verdict.code == (
        "network_error" if status is None else "allowed" if not kind else "acao_missing"
    )


def test_a_connection_that_is_made_too_late_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name has several addresses, and each may take as long as a connection may."""
    connect = socket.create_connection

    def connect_late(*args: Any, **options: Any) -> socket.socket:
        time.sleep(0.3)
        return connect(*args, **options)

    monkeypatch.setattr(socket, "create_connection", connect_late)
    with raw_server(drip) as server:
        answer = call(server.port, wire=Wire(connect_timeout=0.1, timeout=0.1)).answer
    assert answer is not None
    assert (answer.kind, answer.response) == ("timeout", None)


def test_a_port_where_nothing_listens() -> None:
    port = free_port()
    answer = call(port).answer
    assert answer is not None
    assert answer.kind == "refused"
    assert answer.failure == f"cannot connect to 127.0.0.1:{port}: connection refused"


def test_a_name_that_nobody_knows() -> None:
    answer = call(80, host="no-such-name.invalid").answer
    assert answer is not None
    assert answer.kind == "dns"
    assert answer.failure.startswith("no address found for no-such-name.invalid:80: ")


@pytest.mark.parametrize("host", ["a..example", f"{'a' * 64}.example"])
def test_a_host_that_is_no_name(host: str) -> None:
    answer = call(80, host=host).answer
    assert answer is not None
    assert (answer.kind, answer.failure) == ("dns", f"{host}:80 is no name that can be looked up")


@pytest.mark.parametrize("url", ["ftp://files.example/", "/v1", "http://", "http://[::1/"])
def test_a_url_that_cannot_be_called(url: str) -> None:
    with Wire() as wire:
        exchange = wire.exchange("GET", url, ())
    assert (exchange.kind, exchange.response) == ("protocol", None)
    assert exchange.failure == "this is no http or https URL that can be called"


def test_a_value_that_http_does_not_allow_is_not_shown() -> None:
    with raw_server(say(OK)) as server, Wire() as wire:
        url = f"http://127.0.0.1:{server.port}/"
        exchange = wire.exchange("GET", url, (("model-api-key", f"{SECRET}\n"),))
    assert (exchange.kind, exchange.failure) == (
        "protocol",
        "HTTP does not allow a field of this request",
    )


def test_no_value_and_no_query_is_in_a_repr() -> None:
    with raw_server(in_turn(say(GRANT), say(OK))) as server, Wire() as wire:
        made = wire.fetch(keyed(server.port, path="/v1?token=hidden"))
    assert repr(made) == f"<GET http://127.0.0.1:{server.port}/v1?… from {ORIGIN}: allowed>"
    assert repr(made.answers) == f"(<GET http://127.0.0.1:{server.port}/v1?…: 200>,)"


def test_lines_that_come_twice_stay_apart() -> None:
    twice = OK.replace("Content", "Access-Control-Allow-Origin: *\nContent", 1)
    with raw_server(say(twice)) as server:
        made = call(server.port)
    assert made.answer is not None
    assert made.answer.response is not None
    found = made.answer.response.headers
    assert [value for name, value in found if name == "access-control-allow-origin"] == [
        ORIGIN,
        "*",
    ]
    assert made.verdict.code == "acao_multiple"


def test_the_body_is_read_to_64_kib() -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 5000)

    with raw_server(endless) as server:
        answer = call(server.port).answer
    assert answer is not None
    assert (len(answer.body), answer.kind) == (65536, "")


def redirect(to: str, status: int = 307, more: str = "") -> Act:
    allow = f"Access-Control-Allow-Origin: {ORIGIN}\n{more}"
    return say(f"HTTP/1.1 {status} Moved\nLocation: {to}\n{allow}Content-Length: 0\n\n")


def test_the_redirect_of_a_preflight_is_not_followed() -> None:
    with raw_server(redirect("/v1/")) as server, Wire() as wire:
        made = wire.fetch(keyed(server.port))
    assert len(server.requests) == 1
    assert (made.verdict.code, made.verdict.step) == ("preflight_redirect", "preflight")
    assert (made.answer, made.decisive) == (None, made.preflight)


def test_the_redirect_of_a_call_is_followed_with_a_preflight_of_its_own() -> None:
    acts = (say(GRANT), redirect("/v1/"), say(GRANT.replace("model-", "other-")))
    with raw_server(in_turn(*acts)) as server, Wire() as wire:
        made = wire.fetch(keyed(server.port))
    assert [head.split(b" HTTP")[0] for head in server.requests] == [
        b"OPTIONS /v1",
        b"GET /v1",
        b"OPTIONS /v1/",
    ]
    assert (made.verdict.code, made.verdict.step) == ("header_not_allowed", "preflight")
    assert (made.decisive,) == made.hop_preflights


def test_a_post_becomes_a_get_without_its_body() -> None:
    with raw_server(in_turn(redirect("/done", 303), say(OK))) as server, Wire() as wire:
        request = browser.Request(ORIGIN, f"http://127.0.0.1:{server.port}/v1", "POST")
        made = wire.fetch(request, b"body")
    assert server.requests[0].endswith(b"body")
    assert server.requests[1].startswith(b"GET /done ")
    assert server.requests[1].endswith(b"\r\n\r\n")
    assert made.verdict.allowed
    assert len(made.answers) == 2


def test_a_loop_ends_after_twenty_redirects() -> None:
    with raw_server(redirect("/v1")) as server:
        made = call(server.port)
    assert len(made.answers) == len(server.requests) == 21
    assert made.verdict.code == "network_error"


def test_a_cache_spares_the_preflight_until_a_call_is_blocked() -> None:
    bare = say("HTTP/1.1 200 OK\nContent-Length: 0\n\n")
    acts = (say(GRANT), say(OK), bare, say(GRANT), say(OK))
    cache = browser.PreflightCache()
    with raw_server(in_turn(*acts)) as server, Wire() as wire:
        made = [wire.fetch(keyed(server.port), cache=cache) for _ in range(3)]
    assert [call.preflight is not None for call in made] == [True, False, True]
    assert [call.verdict.code for call in made] == ["allowed", "acao_missing", "allowed"]


def test_an_address_is_given_and_the_name_stays() -> None:
    with raw_server(say(OK)) as server:
        resolve = {("API.example", server.port): "127.0.0.1"}
        answer = call(server.port, host="api.example", wire=Wire(resolve=resolve)).answer
    assert ("host", f"api.example:{server.port}") in fields(server.requests[0])
    assert answer is not None
    assert answer.kind == ""


def test_a_name_below_localhost_is_this_machine() -> None:
    with raw_server(say(OK)) as server:
        assert call(server.port, host="api.example.localhost").verdict.allowed


def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    with raw_server(say(OK)) as server:
        assert call(server.port).verdict.allowed


@pytest.mark.parametrize(("module", "said"), [("httpx", "httpx"), ("h2", "h2")])
def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, module: str, said: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    line = f"{said} is not installed: python -m pip install 'meshcors[cli]'"
    with pytest.raises(MissingExtraError) as caught:
        Wire()
    assert str(caught.value) == line


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed(tmp_path_factory.mktemp("tls"), "api.example", "other.example")


def https(host: str, port: int) -> browser.Request:
    return browser.Request(ORIGIN, f"https://{host}:{port}/v1")


def tls_call(port: int, host: str = "api.example", *, insecure: bool = False) -> PageCall:
    resolve = {(host, port): "127.0.0.1"}
    with Wire(insecure=insecure, resolve=resolve, timeout=5) as wire:
        return wire.fetch(https(host, port))


@pytest.fixture(scope="module")
def tls_port(certificate: Certificate) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with raw_server(say(OK), context) as server:
        yield server.port


# Host, whether its certificate is known, whether any is accepted, and the fault.
CERTIFICATES = [
    ("api.example", True, False, ""),
    ("other.example", True, False, ""),
    ("api.example", False, True, ""),
    ("third.example", False, True, ""),
    ("api.example", False, False, "is not accepted: self-signed certificate"),
    ("third.example", True, False, "is not accepted: hostname mismatch, certificate is not valid"),
]


@pytest.mark.parametrize(("host", "known", "insecure", "fault"), CERTIFICATES)
def test_certificates_are_checked(
    tls_port: int,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    known: bool,
    insecure: bool,
    fault: str,
) -> None:
    if known:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
    answer = tls_call(tls_port, host, insecure=insecure).answer
    assert answer is not None
    assert fault in answer.failure
    assert answer.kind == ("tls" if fault else "")


def test_a_server_without_tls() -> None:
    with raw_server(say("HTTP/1.1 400 Bad Request\n\n"), reads=False) as server:
        answer = tls_call(server.port).answer
    assert answer is not None
    assert answer.kind == "tls"
    assert answer.failure.startswith(f"no TLS with api.example:{server.port} (at 127.0.0.1): ")


def test_a_server_that_waits_in_the_handshake() -> None:
    def wait_for_the_end(connection: socket.socket) -> None:
        while connection.recv(65536):
            pass

    with raw_server(wait_for_the_end, reads=False) as server:
        resolve = {("api.example", server.port): "127.0.0.1"}
        with Wire(resolve=resolve, connect_timeout=0.3, timeout=60) as wire:
            answer = wire.fetch(https("api.example", server.port)).answer
    place = f"api.example:{server.port} (at 127.0.0.1)"
    line = f"{place} does not answer the TLS handshake within 0.3 s: it may speak plain HTTP"
    assert answer is not None
    assert (answer.kind, answer.failure) == ("timeout", line)


@pytest.mark.parametrize("act", [say(""), wait], ids=["closed", "closed late"])
def test_a_server_that_hangs_up_in_the_handshake(act: Act) -> None:
    with raw_server(act, reads=False) as server:
        answer = tls_call(server.port).answer
    assert answer is not None
    line = "it closed the connection during the handshake"
    assert answer.kind == "tls"
    assert answer.failure == f"no TLS with api.example:{server.port} (at 127.0.0.1): {line}"


# Python forgets a socket that is reset before its handshake begins
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_reset_is_not_taken_for_a_port_where_nothing_listens() -> None:
    with raw_server(reset, reads=False) as server:
        answer = tls_call(server.port).answer
    assert answer is not None
    assert answer.kind in ("reset", "tls")
    assert "cannot connect" not in answer.failure


HTTP2_APP = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    headers = [(b"access-control-allow-origin", b"https://ui.example")]
    headers.append((b"x-host", dict(scope["headers"])[b"host"]))
    if scope["method"] == "OPTIONS":
        headers.append((b"access-control-allow-headers", b"model-api-key"))
    elif scope["path"] == "/twice":
        headers.append((b"access-control-allow-origin", b"*"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] == "/dies":
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError
    await send({"type": "http.response.body", "body": scope["http_version"].encode()})
"""


@pytest.fixture(scope="module")
def http2_port(tmp_path_factory: pytest.TempPathFactory, certificate: Certificate) -> Iterator[int]:
    directory = tmp_path_factory.mktemp("http2")
    Path(directory, "two.py").write_text(HTTP2_APP, encoding="utf-8")
    port = free_port()
    command = [sys.executable, "-m", "hypercorn", "--bind", f"127.0.0.1:{port}"]
    command += ["--certfile", str(certificate.certificate), "--keyfile", str(certificate.key)]
    with running([*command, "two:app"], port, env={"PYTHONPATH": str(directory)}):
        yield port


# Path, whether HTTP/2 is offered, the version that is spoken, the verdict, and the kind of fault.
HTTP2 = [
    ("/v1", True, "HTTP/2", "allowed", ""),
    ("/v1", False, "HTTP/1.1", "allowed", ""),
    ("/twice", True, "HTTP/2", "acao_multiple", ""),
    ("/dies", False, "HTTP/1.1", "allowed", "cut_short"),
]


@pytest.mark.parametrize(("path", "offered", "version", "code", "kind"), HTTP2)
def test_http_2(
    http2_port: int, path: str, offered: bool, version: str, code: str, kind: str
) -> None:
    host = "api.example"
    resolve = {(host, http2_port): "127.0.0.1"}
    url = f"https://{host}:{http2_port}{path}"
    with Wire(insecure=True, resolve=resolve, http2=offered) as wire:
        made = wire.fetch(browser.Request(ORIGIN, url, headers={"model-api-key": SECRET}))
    assert made.answer is not None
    assert made.answer.response is not None
    assert made.answer.response.get("x-host") == f"{host}:{http2_port}"
    assert (made.answer.http_version, made.verdict.code, made.answer.kind) == (version, code, kind)


def dying_stream(*, answers: bool) -> Act:
    """Reset the first stream of HTTP/2, after half an answer or before any."""

    def act(connection: socket.socket) -> None:
        http2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        http2.initiate_connection()
        connection.sendall(http2.data_to_send())
        while data := connection.recv(65536):
            for event in http2.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    if answers:
                        http2.send_headers(event.stream_id, [(":status", "200")])
                        http2.send_data(event.stream_id, b"half")
                    http2.reset_stream(event.stream_id)
            connection.sendall(http2.data_to_send())

    return act


@pytest.mark.parametrize(
    ("answers", "kind", "line"),
    [
        (True, "cut_short", "the answer ended early, after 4 bytes of its body"),
        (False, "reset", "api.example:PORT (at 127.0.0.1) closed the connection without an answer"),
    ],
)
def test_a_stream_that_is_reset(
    certificate: Certificate, answers: bool, kind: str, line: str
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.set_alpn_protocols(["h2"])
    with raw_server(dying_stream(answers=answers), context, reads=False) as server:
        answer = tls_call(server.port, insecure=True).answer
    assert answer is not None
    assert (answer.kind, answer.failure) == (kind, line.replace("PORT", str(server.port)))


def odd_status(connection: socket.socket) -> None:
    """Answer in HTTP/2 with a status that is no number."""
    settings = h2.config.H2Configuration(client_side=False, validate_outbound_headers=False)
    http2 = h2.connection.H2Connection(settings)
    http2.initiate_connection()
    connection.sendall(http2.data_to_send())
    while data := connection.recv(65536):
        for event in http2.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                http2.send_headers(event.stream_id, [(":status", "\x1b[31m")], end_stream=True)
        connection.sendall(http2.data_to_send())


def test_faulty_frames_are_the_servers(certificate: Certificate) -> None:
    """httpx calls them a fault of this side."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.set_alpn_protocols(["h2"])

    def act(connection: socket.socket) -> None:
        window_too_large = b"\x00\x00\x06\x04" + bytes(5) + b"\x00\x04\xff\xff\xff\xff"
        connection.sendall(window_too_large)
        while connection.recv(65536):
            pass

    with raw_server(act, context, reads=False) as server:
        made = tls_call(server.port, insecure=True)
    line = f"api.example:{server.port} (at 127.0.0.1) breaks the rules of HTTP/2"
    assert made.answer is not None
    assert (made.answer.kind, made.answer.failure) == ("protocol", line)


def test_a_status_that_is_no_number(certificate: Certificate) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.set_alpn_protocols(["h2"])
    with raw_server(odd_status, context, reads=False) as server:
        made = tls_call(server.port, insecure=True)
    line = f"api.example:{server.port} (at 127.0.0.1) does not answer in HTTP"
    assert made.answer is not None
    assert (made.answer.kind, made.answer.failure) == ("protocol", line)
