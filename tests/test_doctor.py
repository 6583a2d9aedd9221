"""``meshcors doctor`` through its front door: the command line, against real servers."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meshcors import _cli as cli
from tests import written_pages
from tests.e2e.processes import free_port, running

pytest.importorskip("httpx", reason="python -m pip install 'meshcors[cli]'")

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "doctor.md"
UI = "https://ui.example"
KEY = ("--header", "model-api-key: xyz")
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
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
    assert layers == ["meshcors", "app", *["meshcors"] * 8]
    assert [each["status"] for each in found["requests"]] == [204, 200, 403, 401, *[403] * 6]
    works = {"works": True, "console": ""}
    assert found["browsers"] == {"chromium": works, "firefox": works, "safari": works}


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
