"""The page on Istio's corsPolicy: its documents on a real Envoy, judged as a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from meshcors import _cli as cli
from meshcors.browser import Request, Response, judge, preflight_for
from meshcors.config import from_file
from meshcors.mesh import Gateway, GatewayRequest
from meshcors.mesh._documents.cors_policy import _FIELDS
from meshcors.testing import MeshGateway, PreflightPod
from tests.calling import EVIL, UI
from tests.coming_from import Page, cell_of
from tests.e2e.envoy import require_envoy
from tests.raw_servers import raw_server, say

PAGE = Page("istio")
BEFORE, AFTER, RULE, POLICY = PAGE.blocks("yaml")
XYZ, ABC = {"model-api-key": "xyz"}, {"model-api-key": "abc"}
JSON = {"content-type": "application/json"}


class Case(NamedTuple):
    """A page's call."""

    what: str
    method: str = "POST"
    headers: dict[str, str] = XYZ
    origin: str = UI

    @property
    def call(self) -> Request:
        url = "https://api.example/v1/predict"
        return Request(self.origin, url, self.method, self.headers, "include")


CASES = (
    Case("POST with JSON and the key `xyz`", headers={**XYZ, **JSON}),
    Case("PUT with the key `abc`", "PUT", ABC),
    Case("DELETE, which is not listed", "DELETE"),
    Case("a header that is not listed", headers={**XYZ, "x-other": "1"}),
    Case("from another origin", origin=EVIL),
    Case("a key that no rule has", headers={"model-api-key": "old"}),
    Case("GET without a key", "GET", {}),
)


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Each document, made by the page's commands."""
    found = {"before": BEFORE}
    with pytest.MonkeyPatch.context() as patch:
        for way in ("pod", "mesh"):
            patch.chdir(tmp_path_factory.mktemp(way))
            Path("models.yaml").write_text(BEFORE, encoding="utf-8")
            (command,) = re.findall(
                rf"`meshcors (fix models.yaml --with {way} --write)`", PAGE.text
            )
            assert cli.run(command.split()) == 0
            found[way] = Path("models.yaml").read_text(encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def gateways(documents: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """A gateway for each document."""
    require_envoy()
    policy = tmp_path_factory.mktemp("pod") / "policy.yaml"
    policy.write_text(POLICY, encoding="utf-8")
    with ExitStack() as stack:
        pod = stack.enter_context(PreflightPod(policy))
        service = stack.enter_context(raw_server(say("HTTP/1.1 200 OK\nConnection: close\n\nhi")))
        models: dict[str, int | str] = {"model-xyz:8000": service.port, "model-abc": service.port}
        made = {}
        for name, text in documents.items():
            services = {**models, "meshcors-dummy": pod.port} if name == "pod" else models
            made[name] = stack.enter_context(MeshGateway(text, services))
        yield made


def test_the_page_shows_what_its_commands_write(
    documents: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert documents["pod"] == AFTER
    assert RULE in documents["mesh"]
    (tmp_path / "models.yaml").write_text(BEFORE, encoding="utf-8")
    assert cli.run(["fix", str(tmp_path / "models.yaml"), "--with", "pod"]) == 0
    (printed,) = re.findall(r"printf %s '(.*?)' >", capsys.readouterr().err)
    policies = []
    for name, text in (("noted.json", printed), ("shown.yaml", POLICY)):
        (tmp_path / name).write_text(text, encoding="utf-8")
        policies.append(from_file(tmp_path / name))
    assert json.loads(printed)
    assert policies[0] == policies[1]


def test_every_field_has_its_row() -> None:
    assert {*_FIELDS} <= PAGE.options()


def test_the_table_is_what_envoy_answers(gateways: dict[str, MeshGateway]) -> None:
    lines = ["| call | before | with the pod | without a pod |", "|---|---|---|---|"]
    for case in CASES:
        cells = [cell_of(each.fetch(case.call)) for each in gateways.values()]
        lines.append(f"| {case.what} | {' | '.join(cells)} |")
    PAGE.check("answers", "\n".join(lines))


def modelled(gateway: Gateway, call: Request) -> str:
    """The verdict on what the model says, of services that answer 200 without CORS."""

    def ask(method: str, headers: tuple[tuple[str, str], ...]) -> Response:
        said = gateway.handle(GatewayRequest(method, "api.example", "/v1/predict", headers))
        return Response(said.status or 200, said.response_headers([]))

    asked = preflight_for(call)
    answers = ask(call.method, (*call.headers, ("origin", call.origin)))
    return judge(
        call, preflight=None if asked is None else ask("OPTIONS", tuple(asked)), response=answers
    ).code


@pytest.mark.parametrize("name", ["before", "mesh"])
def test_the_model_says_the_same(gateways: dict[str, MeshGateway], name: str) -> None:
    gateway = gateways[name]
    for case in CASES:
        assert modelled(gateway.model, case.call) == gateway.fetch(case.call).verdict.code
