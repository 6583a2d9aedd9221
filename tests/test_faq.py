"""docs/faq.md: its recipes on real servers and in the mesh's model, and the error that names it."""

from __future__ import annotations

import json
import re
import sys
from http.client import HTTPConnection
from pathlib import Path

import pytest

from meshcors import PolicyError
from meshcors.browser import Request, preflight_for
from meshcors.config import from_environment, from_file, rules_from_file
from meshcors.mesh import Gateway, GatewayRequest
from tests.e2e.processes import free_port, running

PAGE = (Path(__file__).parent.parent / "docs" / "faq.md").read_text(encoding="utf-8")
FASTAPI, FLASK = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
(MESH,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
UI = "https://ui.example"
EVIL = "https://evil.example"
URL = "https://api.example/v1/predict"


@pytest.mark.parametrize(
    ("source", "command"),
    [
        pytest.param(FASTAPI, ("uvicorn", "--app-dir", "FOLDER", "service:app"), id="fastapi"),
        pytest.param(FLASK, ("flask", "--app", "FOLDER/service", "run"), id="flask"),
    ],
)
def test_a_route_limits_what_a_policy_cannot(
    source: str, command: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "service.py").write_text(source, encoding="utf-8")
    port = free_port()

    def call(method: str, path: str, origin: str, **fields: str) -> tuple[int, str | None]:
        connection = HTTPConnection("127.0.0.1", port, timeout=20)
        sent = {"origin": origin} | {
            name.replace("_", "-"): value for name, value in fields.items()
        }
        try:
            body = json.dumps({"text": "hello"}) if method == "POST" else None
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return answer.status, answer.getheader("access-control-allow-origin")
        finally:
            connection.close()

    words = [word.replace("FOLDER", str(tmp_path)) for word in command]
    with running([sys.executable, "-m", *words, "--port", str(port)], port):
        assert call("GET", "/v1/models", UI) == (200, UI)
        assert call("POST", "/v1/models", UI) == (405, UI)
        for kind in ("application/json", "application/json; charset=utf-8"):
            assert call("POST", "/v1/predict", UI, content_type=kind) == (200, UI)
        # What any page may send without a preflight.
        assert call("POST", "/v1/predict", EVIL, content_type="text/plain") == (415, None)
        assert call("POST", "/v1/predict", EVIL) == (415, None)
        assert call("POST", "/v1/predict", UI, content_type="text/plain") == (415, UI)
        asks = {
            "access_control_request_method": "POST",
            "access_control_request_headers": "content-type",
        }
        assert call("OPTIONS", "/v1/predict", UI, **asks) == (204, UI)
        assert call("OPTIONS", "/v1/predict", EVIL, **asks) == (403, None)


def test_only_what_is_declared_as_json_needs_a_preflight() -> None:
    for headers, needs in [
        ({}, False),
        ({"content-type": "text/plain"}, False),
        ({"content-type": "application/json"}, True),
        ({"model-api-key": "xyz"}, True),
    ]:
        asked = preflight_for(Request(EVIL, URL, "POST", headers))
        assert (asked is not None) == needs, headers


def test_a_rule_of_the_mesh_asks_for_the_method() -> None:
    gateway = Gateway.from_yaml(MESH)

    def answer(method: str, path: str, *fields: tuple[str, str]) -> object:
        request = GatewayRequest(method, "api.example", path, [("origin", UI), *fields])
        taken = gateway.handle(request)
        return taken.destination or taken.status

    key, asked = ("model-api-key", "xyz"), ("access-control-request-method", "POST")
    assert answer("GET", "/v1/models", key) == "model:8000"
    assert answer("POST", "/v1/models", key) == 405
    assert answer("POST", "/v1/predict", key) == "model:8000"
    assert answer("OPTIONS", "/v1/models", asked) == "meshcors-dummy:8080"


def test_whoever_writes_a_limit_finds_the_page(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    policy = {"allowOrigins": [UI]}
    limited = {**policy, "limitMethods": ["GET"]}
    for data in (limited, {"corsPolicy": limited}):
        path.write_text(json.dumps(data))
        with pytest.raises(PolicyError, match=r"limitMethods: no policy limits .* docs/faq\.md "):
            from_file(path)
    for field in ("methods", "limitMethods", "only_methods"):
        path.write_text(json.dumps({"rules": [{field: ["GET"], "corsPolicy": policy}]}))
        with pytest.raises(
            PolicyError, match=rf"\[0\]\.{field}: no policy limits .* docs/faq\.md "
        ):
            rules_from_file(path)
    variables = {"MESHCORS_ALLOW_ORIGINS": UI, "MESHCORS_LIMIT_METHODS": "GET"}
    with pytest.raises(PolicyError, match="MESHCORS_LIMIT_METHODS: no policy limits"):
        from_environment(variables)
