"""The original file, fixed by ``meshcors fix``, in a real Envoy: with the pod, and without it.

The pod is started with the very flags that ``fix`` says it needs.
"""

from __future__ import annotations

import http.client
import re
import shlex
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from meshcors import _cli as cli
from meshcors import browser
from meshcors.mesh import Gateway
from meshcors.mesh.envoy import bootstrap
from tests.e2e.envoy import running_envoy
from tests.e2e.processes import free_port, running
from tests.e2e.services import KEY_HEADER, ORIGIN, POD, XYZ_SERVICE

if TYPE_CHECKING:
    from collections.abc import Iterator

ORIGINAL = Path(__file__).parent.parent / "data" / "virtualservice_original.yaml"
STRANGER = "https://stranger.example"


class Outcome(NamedTuple):
    """What a page gets: the preflight's status, whether the call is allowed, and its status."""

    preflight: int
    allowed: bool
    call: int | None = None


ALLOWED_BY_POD = Outcome(204, allowed=True, call=200)
ALLOWED_BY_ENVOY = Outcome(200, allowed=True, call=200)
# way -> origin -> outcome, with the pod and when it is stopped
WITH_POD = {
    "pod": {ORIGIN: ALLOWED_BY_POD, STRANGER: Outcome(403, allowed=False)},
    "mesh": {ORIGIN: ALLOWED_BY_ENVOY, STRANGER: Outcome(200, allowed=False)},
    "both": {ORIGIN: ALLOWED_BY_ENVOY, STRANGER: Outcome(403, allowed=False)},
}
POD_STOPPED = {
    "pod": {ORIGIN: Outcome(503, allowed=False), STRANGER: Outcome(503, allowed=False)},
    "mesh": WITH_POD["mesh"],
    "both": {ORIGIN: ALLOWED_BY_ENVOY, STRANGER: Outcome(503, allowed=False)},
}


@pytest.fixture(scope="module")
def model() -> Iterator[int]:
    """The port of the model as it was: it knows nothing of CORS."""
    port = free_port()
    app = ["-m", "uvicorn", "--log-level", "critical", "tests.e2e.services:bare_app"]
    with running([sys.executable, *app, "--port", str(port)], port):
        yield port


def browse(port: int, origin: str) -> Outcome:
    """Call the model as a page of ``origin`` does, with credentials, by a browser's rules."""
    url = "https://api.example.com/v1/predict"
    headers = {"content-type": "application/json", KEY_HEADER: "xyz"}
    request = browser.Request(origin, url, "POST", headers, "include")
    announced = browser.preflight_for(request)
    assert announced is not None
    answer = send(port, "OPTIONS", dict(announced))
    verdict = browser.judge_preflight(request, answer)
    if not verdict.allowed:
        return Outcome(answer.status, allowed=False)
    response = send(port, "POST", {"origin": origin, **headers})
    allowed = browser.judge_response(request, response).allowed
    return Outcome(answer.status, allowed, response.status)


def send(port: int, method: str, headers: dict[str, str]) -> browser.Response:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, "/v1/predict", headers={"host": "api.example.com", **headers})
        answer = connection.getresponse()
        answer.read()
        return browser.Response(answer.status, answer.getheaders())
    finally:
        connection.close()


@pytest.mark.parametrize("apart", [False, True], ids=["in the file", "separate"])
@pytest.mark.parametrize("way", list(WITH_POD))
def test_a_browser_gets_in(
    way: str,
    apart: bool,
    model: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "model.yaml"
    shutil.copy(ORIGINAL, path)
    command = ["fix", str(path), "--with", way, "--allow-origin", ORIGIN, "--write"]
    assert cli.run([*command, *(["--separate"] if apart else [])]) == 0
    notes = capsys.readouterr().err
    text = "---\n".join(each.read_text() for each in sorted(tmp_path.glob("*.yaml")))

    with ExitStack() as started:
        port = free_port()
        flags = re.search(r"python -m meshcors\.dummy (.*)", notes)
        assert (flags is None) == (way == "mesh")
        pod = started.enter_context(ExitStack())
        if flags:
            words = [sys.executable, "-m", "meshcors.dummy", *shlex.split(flags[1])]
            pod.enter_context(running([*words, "--drain", "0", "--port", str(port)], port))
        config = bootstrap({"model": Gateway.from_yaml(text)}, {XYZ_SERVICE: model, POD: port})
        envoy = started.enter_context(running_envoy(config))
        for origin, outcome in WITH_POD[way].items():
            assert browse(envoy.port, origin) == outcome
        pod.close()
        for origin, outcome in POD_STOPPED[way].items():
            assert browse(envoy.port, origin) == outcome
