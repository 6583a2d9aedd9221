"""``meshcors doctor`` through its front door: the command line, against real servers."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast, get_args

import pytest

from meshcors import _cli as cli
from meshcors._doctor.consultation import RequestName
from meshcors._doctor.findings import FindingCode
from meshcors._doctor.layer_names import Layer
from tests import written_pages
from tests.e2e.processes import free_port, running
from tests.raw_servers import raw_server, say

pytest.importorskip("httpx", reason="python -m pip install 'meshcors[cli]'")

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "doctor.md"
UI = "https://ui.example"
URL = "https://api.example/v1"
KEY = ("--header", "model-api-key: xyz")
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TEXT = re.compile(r"^```text\n(\{.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
GOOD = """
from fastapi import FastAPI
from meshcors import HeaderKey, MeshCORS

app = FastAPI()
key = HeaderKey("model-api-key", values=["xyz"])
app.add_middleware(MeshCORS, allow_origins=["https://ui.example"], max_age=600, key=key)


@app.post("/v1/predict")
def predict() -> dict[str, str]:
    return {"model": "xyz"}
"""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """The page's service, one with meshcors, and the pod; no process is started twice."""
    home = tmp_path_factory.mktemp("services")
    (service,) = re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    (home / "service.py").write_text(service)
    (home / "good.py").write_text(GOOD)
    ports = {name: free_port() for name in ("service", "good", "pod")}
    uvicorn = [sys.executable, "-m", "uvicorn", "--app-dir", str(home), "--log-level", "warning"]
    pod = [sys.executable, "-m", "meshcors.dummy", "--allow-origin", UI, "--drain", "0"]
    with (
        running([*uvicorn, "service:app", "--port", str(ports["service"])], ports["service"]),
        running([*uvicorn, "good:app", "--port", str(ports["good"])], ports["good"]),
        running([*pod, "--port", str(ports["pod"]), "--key-header", "model-api-key"], ports["pod"]),
    ):
        yield ports


def doctor(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.run(["doctor", *words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def report(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    code, out, err = doctor(capsys, *words, "--format", "json")
    assert err == ""
    found: dict[str, Any] = json.loads(out)
    assert code == {"works": 0, "blocked": 1, "unknown": 2}[found["verdict"]]
    return found


def test_the_page_shows_what_is_printed(
    servers: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    text = PAGE.read_text(encoding="utf-8")
    ports = {"8000": str(servers["service"]), "8001": str(free_port())}
    code = 0
    made = text
    for block in BLOCK.findall(text):
        for command, shown in COMMAND.findall(block):
            program, *words = shlex.split(command)
            if program == "echo":
                printed = f"{code}\n"
            else:
                for public, real in ports.items():
                    words = [word.replace(f":{public}/", f":{real}/") for word in words]
                code = cli.run(words)
                printed = "".join(capsys.readouterr())
                for public, real in ports.items():
                    printed = printed.replace(f":{real}", f":{public}")
            made = made.replace(f"$ {command}\n{shown}", f"$ {command}\n{printed}", 1)
    written_pages.check(PAGE, made)


def test_a_healthy_service_has_no_errors_and_no_warnings(
    servers: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{servers['good']}/v1/predict"
    found = report(capsys, url, "--origin", UI, *KEY, "--data", "{}")
    assert found["verdict"] == "works"
    assert {each["severity"] for each in found["findings"]} <= {"note"}
    assert [each["name"] for each in found["requests"]][:4] == [
        *("preflight", "call", "wrong_key", "no_key"),
    ]
    layers = [each["layer"] for each in found["requests"]]
    assert layers == ["meshcors", "app", *["meshcors"] * 7]
    assert [each["status"] for each in found["requests"]] == [204, 200, 403, 401, *[403] * 5]
    works = {"works": True, "console": "", "max_age": 600}
    assert found["browsers"] == {"chromium": works, "firefox": works, "safari": works}
    _, text, _ = doctor(capsys, url, "--origin", UI, *KEY, "--data", "{}")
    assert "\nBrowsers keep the answer to the preflight for 600 s.\n" in text


def test_the_pod_is_known_by_its_own_answers(
    servers: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{servers['pod']}/v1/predict"
    found = report(capsys, url, "--origin", UI, *KEY, "--method", "POST")
    assert {each["layer"] for each in found["requests"]} == {"pod"}
    assert "call_refused" in {each["code"] for each in found["findings"]}


def test_where_the_answers_differ_from_a_policy_is_said(
    servers: dict[str, int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    policy = tmp_path / "policy.json"
    content: dict[str, Any] = {
        "corsPolicy": {"allowOrigins": [UI], "maxAge": 600},
        "key": {"header": KEY[1][:13]},
    }
    url = f"http://127.0.0.1:{servers['good']}/v1/predict"
    call = (url, "--origin", UI, *KEY, "--method", "POST", "--config", str(policy))
    policy.write_text(json.dumps(content))
    assert "policy_differs" not in {each["code"] for each in report(capsys, *call)["findings"]}
    content["corsPolicy"] |= {"allowMethods": ["PUT"], "maxAge": 60}
    policy.write_text(json.dumps(content))
    (found,) = [
        each for each in report(capsys, *call)["findings"] if each["code"] == "policy_differs"
    ]
    assert found["layer"] == "meshcors"
    assert "access-control-allow-methods is nothing and should be PUT" in found["message"]
    assert "access-control-max-age is 600 and should be 60" in found["message"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["api.example"], "URL: begin with https:// or http://, as the script calls it"),
        (["localhost:8000/v1"], "URL: begin with https:// or http://"),
        (["//api.example/v1"], "URL: begin with https:// or http://"),
        (["me:s3cret@api.example/"], "URL: begin with https:// or http://"),
        ([""], "URL: write https://HOST/PATH, as the script calls it"),
        (["ftp://api.example/"], "URL: write https://HOST/PATH, as the script calls it"),
        (["https://api.example:99999/"], "URL: write https://HOST/PATH"),
        (["https://[::1"], "URL: write https://HOST/PATH"),
        (["wss://api.example/v1"], "URL: this is a WebSocket's, to which CORS does not apply"),
        (["file:///home/s3cret"], "URL: a page cannot fetch a file"),
        (["https://me:s3cret@api.example/"], "URL: leave out the user and the password"),
        (["https://me:s3?cret@api.example/"], "URL: write https://HOST/PATH"),
        (["http://127.1/"], "URL: browsers call the address 127.0.0.1: write that"),
        (["http://2130706433/"], "URL: browsers call the address 127.0.0.1: write that"),
        (["http://0x7f.1/"], "URL: browsers call the address 127.0.0.1: write that"),
        (["http://1.2.3.999/"], "URL: write an IPv4 address as four numbers"),
        (["http://i❤.example/"], "URL: write the host as browsers send it, in Punycode"),
        ([URL, "--origin", "ui.example"], "--origin ui.example: "),
        ([URL, "--origin", f"{UI}/"], f"--origin {UI}/: an origin has no path: leave out the last"),
        ([URL, "--origin", f"{UI}/chat"], "an origin has no path: leave out / and what follows"),
        ([URL, "--origin", f"{UI}/?t=s3cret"], f"--origin {UI}/?…: an origin has no query"),
        ([URL, "--origin", f"{UI}#s3cret"], f"--origin {UI}#…: an origin has no fragment"),
        ([URL, "--origin", "https://me:s3cret@ui.example"], "--origin https://…@ui.example: an or"),
        ([URL, "--origin", "me:s3cret@ui.example"], "--origin …@ui.example: write a scheme"),
        ([URL, "--origin", "https://Me:s3cret@UI.example"], "lower case: https://…@ui.example"),
        ([URL, "--origin", "*"], "--origin: write the page's origin, such as https://ui.example"),
        ([URL, "--origin", ""], "--origin: write the page's origin, such as https://ui.example"),
        ([URL, "--method", "TRACE"], "fetch() refuses the method 'TRACE'"),
        ([URL, "--header", "s3cret"], "--header: write NAME:VALUE"),
        ([URL, "--header", "model-api-key s3cret"], "--header: write NAME:VALUE"),
        ([URL, "--header", ":s3cret"], "fetch() refuses the header '', or its value"),
        ([URL, "--header", "content-length: 9"], "--header content-length: browsers do not let"),
        ([URL, "--header", "Sec-Fetch-Site: x"], "--header Sec-Fetch-Site: browsers do not let"),
        ([URL, "--header", "a b: s3cret"], "fetch() refuses the header 'a b', or its value"),
        ([URL, "--header", "Cookie: s3cret"], "--header Cookie: browsers do not let a script set"),
        ([URL, "--header", "origin: x"], "--header origin: browsers do not let a script set it"),
        ([URL, "--method", "get", "--data", "s3cret"], "--data: a script cannot send a body with"),
        ([URL, "--resolve", "api.example:443"], "write HOST:PORT:ADDR, such as"),
        ([URL, "--resolve", "127.1:80:10.0.0.7"], "browsers call the address 127.0.0.1: write"),
        ([URL, "--resolve", "api.example:0:10.0.0.7"], "write HOST:PORT:ADDR, such as"),
        ([URL, "--resolve", "api.example:443:other.example"], "write HOST:PORT:ADDR, such as"),
        ([URL, "--timeout", "0"], "--timeout: write a number from 0.1 to 600"),
        ([URL, "--timeout", "soon"], "--timeout: write a number from 0.1 to 600"),
        ([URL, "--format", "yaml"], "--format: write text or json"),
        ([URL, "--config", "s3cret.yaml"], "--config: "),
        ([URL, "s3cret"], "expected only URL and flags: remove the extra argument"),
        ([], "URL: write the URL that the page calls, such as https://"),
    ],
)
def test_an_error_in_the_arguments_is_one_clear_line(
    words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    origin = [] if "--origin" in words else ["--origin", UI]
    code, out, err = doctor(capsys, *words, *origin)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert line in err
    assert "s3cret" not in err


@pytest.mark.parametrize(
    "around",
    ['"{}"', "'{}'", "<{}>", "`{}`", "  {}\t", '" {} "', "\u201c{}\u201d"],
)
def test_what_stands_around_a_pasted_text_goes(
    around: str, speaker: ThreadingHTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{speaker.server_port}/v1#above"
    words = [url, "--origin", UI, "--header", "content-type: application/json"]
    pasted = [each if each.startswith("--") else around.format(each) for each in words]
    assert report(capsys, *pasted) == report(capsys, *words)
    assert report(capsys, *words)["url"] == f"http://127.0.0.1:{speaker.server_port}/v1"


@pytest.mark.parametrize("host", ["bücher.example", "BÜCHER.example", "xn--bcher-kva.example"])
@pytest.mark.parametrize("resolved", ["bücher.example", "xn--bcher-kva.example"])
def test_a_host_is_called_as_browsers_send_it(
    host: str,
    resolved: str,
    speaker: ThreadingHTTPServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    port = speaker.server_port
    call = (f"http://{host}:{port}/v1", "--origin", "http://ui.example")
    found = report(capsys, *call, "--resolve", f"{resolved}:{port}:127.0.0.1")
    assert found["verdict"] == "works"
    place = f"xn--bcher-kva.example:{port}"
    assert found["url"] == f"http://{place}/v1"
    assert {each[1] for each in cast("Any", speaker).heard} == {place}


class Speaker(BaseHTTPRequestHandler):
    """Says what it was sent, and grants it."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        heard = [self.command, self.headers.get("host"), self.headers.get("content-type"), body]
        cast("Any", self.server).heard.append(heard)
        elsewhere = self.path.partition("?to=")[2]
        self.send_response(307 if elsewhere and self.command != "OPTIONS" else 200)
        self.send_header("location", elsewhere)
        self.send_header("access-control-allow-origin", self.headers.get("origin", "*"))
        self.send_header("access-control-allow-headers", "content-type, model-api-key")
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_POST = do_OPTIONS = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def speaker() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Speaker) as server:
        cast("Any", server).heard = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_name_is_resolved_as_it_is_told(
    speaker: ThreadingHTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    port = speaker.server_port
    place = f"models.example:{port}"
    call = (f"http://{place}/v1", "--origin", "http://ui.example")
    found = report(capsys, *call, "--resolve", f"{place}:127.0.0.1")
    assert found["verdict"] == "works"
    assert {host for _, host, *_ in cast("Any", speaker).heard} == {place}
    # the address is ours, and not what browsers find
    assert "private_network" not in {each["code"] for each in found["findings"]}


def test_an_ipv6_address_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        place = f"[::1]:{listener.getsockname()[1]}"
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        thread = threading.Thread(target=answer_each, args=(listener, answer), daemon=True)
        thread.start()
        found = report(capsys, f"http://{place}/v1", "--origin", UI)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert (found["url"], found["requests"][0]["status"]) == (f"http://{place}/v1", 200)
    found = report(capsys, f"http://{place}/v1", "--origin", UI)
    assert found["requests"][0]["error"] == f"cannot connect to {place}: connection refused"


def answer_each(listener: socket.socket, answer: bytes) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(65536)
            connection.sendall(answer)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"HTTP_PROXY": "http://me:s3cret@proxy.example:3128"}, "HTTP_PROXY"),
        ({"http_proxy": "http://me:s3cret@proxy.example:3128"}, "http_proxy"),
        ({"ALL_PROXY": "socks5://me:s3cret@proxy.example"}, "ALL_PROXY"),
        ({"HTTP_PROXY": "http://s3cret", "ALL_PROXY": "http://s3cret"}, "HTTP_PROXY"),
        ({"HTTPS_PROXY": "http://me:s3cret@proxy.example:3128"}, ""),
        ({"HTTP_PROXY": "http://me:s3cret@proxy.example:3128", "NO_PROXY": ".example"}, ""),
        ({"HTTP_PROXY": ""}, ""),
    ],
)
def test_a_proxy_of_the_environment_is_named_and_not_used(
    variables: dict[str, str],
    named: str,
    speaker: ThreadingHTTPServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        for spelled in (name, name.lower()):
            monkeypatch.delenv(spelled, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    place = f"models.example:{speaker.server_port}"
    call = (f"http://{place}/v1", "--origin", "http://ui.example")
    words = (*call, "--resolve", f"{place}:127.0.0.1")
    found = report(capsys, *words)
    assert found["verdict"] == "works"
    said = [each for each in found["findings"] if each["code"] == "proxy_not_used"]
    assert [each["message"].split()[0] for each in said] == ([named] if named else [])
    assert "s3cret" not in json.dumps(found) + doctor(capsys, *words)[1]
    # no browser uses one for this machine
    here = report(capsys, f"http://127.0.0.1:{speaker.server_port}/v1", "--origin", UI)
    assert "proxy_not_used" not in {each["code"] for each in here["findings"]}


@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
def test_nothing_that_is_mixed_content_changes_anything(
    kind: str, speaker: ThreadingHTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Browsers send none of it: not the call, and not where a redirect leads it."""
    place = f"models.example:{speaker.server_port}"
    words = ("--origin", UI, "--data", "{}", "--header", f"content-type: {kind}")
    found = report(capsys, f"http://{place}/v1", *words, "--resolve", f"{place}:127.0.0.1")
    assert "POST" not in [each[0] for each in cast("Any", speaker).heard]
    assert (found["verdict"], found["findings"][0]["code"]) == ("blocked", "mixed_content")
    url = f"http://127.0.0.1:{speaker.server_port}/v1?to=http://{place}/v1"
    found = report(capsys, url, *words, "--resolve", f"{place}:127.0.0.1")
    heard = cast("Any", speaker).heard
    assert ["POST", f"127.0.0.1:{speaker.server_port}"] in [each[:2] for each in heard]
    assert [place] not in [each[1:2] for each in heard if each[0] == "POST"]
    assert (found["verdict"], found["findings"][0]["code"]) == ("blocked", "mixed_content")
    (onward,) = [each for each in found["requests"] if each["name"] == "redirect_call"]
    assert onward["error"] == "not sent: the browser would not send it: it is mixed content"


@pytest.mark.parametrize(
    ("words", "gets"),
    [
        (KEY, ["OPTIONS"]),
        (("--data", "{}"), []),
        (("--method", "POST"), ["POST"]),
        ((), ["GET"]),
    ],
)
def test_a_redirect_takes_no_header_and_no_body_to_another_server(
    words: tuple[str, ...],
    gets: list[str],
    speaker: ThreadingHTTPServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    grant = "access-control-allow-origin: *\naccess-control-allow-headers: *"
    with raw_server(say(f"HTTP/1.1 200 OK\n{grant}\n\n")) as other:
        to = f"?to=http://127.0.0.1:{other.port}/v1"
        url = f"http://127.0.0.1:{speaker.server_port}/v1{to}"
        found = report(capsys, url, "--origin", "http://ui.example", *words)
    assert [each.split()[0].decode() for each in other.requests][:1] == gets
    assert not any(secret in b"".join(other.requests) for secret in (b"xyz", b"{}"))
    codes = {each["code"] for each in found["findings"]}
    elsewhere = gets in ([], ["OPTIONS"])
    assert (found["verdict"] == "unknown") is elsewhere
    assert ("redirected_elsewhere" in codes) is elsewhere


def test_a_body_is_sent_as_fetch_sends_a_text(
    speaker: ThreadingHTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{speaker.server_port}/v1"
    report(capsys, url, "--origin", UI, "--data", "a ä")
    posts = [each for each in cast("Any", speaker).heard if each[0] == "POST"]
    # a text needs no preflight
    assert [each[2:] for each in posts] == [["text/plain;charset=UTF-8", "a ä".encode()]]
    cast("Any", speaker).heard.clear()
    json_type = ("--header", "content-type: application/json")
    report(capsys, url, "--origin", UI, "--data", "{}", *json_type)
    asked = [each[0] for each in cast("Any", speaker).heard]
    assert asked[:2] == ["OPTIONS", "POST"]


def test_an_answer_that_does_not_come_in_time_is_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        found = report(capsys, url, "--origin", UI, "--timeout", "0.2")
    (finding,) = found["findings"]
    assert (found["verdict"], finding["code"]) == ("unknown", "timeout")
    (request,) = found["requests"]
    assert request["error"].startswith("no answer from 127.0.0.1:")
    assert (request["status"], request["layer"], request["http"]) == (None, "unreachable", "")


def test_of_a_body_that_drips_little_is_read_unless_it_is_the_calls(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.02)

    monkeypatch.setattr("meshcors._doctor.sending._BODY_SECONDS", 0.1)
    with raw_server(drip) as server:
        found = report(capsys, f"http://127.0.0.1:{server.port}/v1", "--origin", UI)
    late = ["had not ended in time" in each["error"] for each in found["requests"]]
    assert late == [False, *[True] * 5]


def test_colours_are_for_terminals(
    servers: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{servers['service']}/v1/models"
    code, out, _ = doctor(capsys, url, "--origin", UI, *KEY)
    assert code == 1
    assert "\x1b" not in out


def test_the_process_says_the_same(servers: dict[str, int]) -> None:
    url = f"http://127.0.0.1:{servers['pod']}/v1/predict"
    command = [sys.executable, "-m", "meshcors", "doctor", url, "--origin", UI, *KEY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    works = (
        "It works in Chromium, Firefox and Safari: the page can read the answer, which is an error,"
    )
    assert f"{works} 404." in done.stdout
    assert "xyz" not in done.stdout


def documented_shapes() -> list[Any]:
    """The JSON of the page as JSON: names, and null for what is no object and no list."""
    shapes: list[Any] = []
    for text in TEXT.findall(PAGE.read_text(encoding="utf-8")):
        named = re.sub(r': "[^"]*"', ": null", text)
        named = re.sub(r'"([^"]+)"(?=\s*[,}])', r'"\1": null', named)
        shapes.append(json.loads(re.sub(r'(?<!")\b(bool|str|int)\b(?!")', "null", named)))
    return shapes


def assert_shape(found: Any, shape: Any, where: str = "report") -> None:
    """Compare names; those of `shape` may be alternatives."""
    if isinstance(shape, list):
        assert isinstance(found, list), where
        for each in found:
            assert_shape(each, shape[0], f"{where}[]")
    elif isinstance(shape, dict):
        assert isinstance(found, dict), where
        ((names, inner), *more) = shape.items()
        if more or "|" not in names:
            assert list(found) == list(shape), where
            for name, each in found.items():
                assert_shape(each, shape[name], f"{where}.{name}")
        else:
            assert set(found) <= set(names.split("|")), where
            for name, each in found.items():
                assert_shape(each, inner, f"{where}.{name}")
    else:
        assert not isinstance(found, dict | list), where


def test_the_json_is_as_the_page_says(
    servers: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    call, console = documented_shapes()
    url = f"http://127.0.0.1:{servers['service']}/v1/models"
    found = report(capsys, url, "--origin", UI, *KEY)
    assert_shape(found, call)
    assert set(found["browsers"]) == {"chromium", "firefox", "safari"}
    lost = report(capsys, f"http://127.0.0.1:{free_port()}/", "--origin", UI)
    assert_shape(lost, call)
    assert [each["status"] for each in lost["requests"]] == [None]
    message = f"Access to fetch at '{url}' from origin '{UI}' has been blocked by CORS policy: "
    code, out, _ = doctor(
        capsys,
        *("--format", "json", "--console"),
        f"{message}No 'Access-Control-Allow-Origin' header is present on the requested resource.",
    )
    assert code == 0
    assert_shape(json.loads(out), console)


@pytest.mark.parametrize("names", [FindingCode, Layer, RequestName])
def test_every_name_of_the_json_is_on_the_page(names: Any) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [each for each in get_args(names) if f"`{each}`" not in text] == []
