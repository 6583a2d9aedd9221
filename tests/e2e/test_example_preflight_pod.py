"""The example of a pod behind a gateway: its Envoy file in a real Envoy, and its own commands."""

from __future__ import annotations

import re
import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from tests.e2e.envoy import running_envoy, validate
from tests.e2e.processes import free_port, running
from tests.test_examples import EXAMPLES, KEY_HEADER, ORIGIN, PREFLIGHT, call

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "preflight_pod"
README = (EXAMPLE / "README.md").read_text(encoding="utf-8")


def envoy_file() -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load((EXAMPLE / "envoy.yaml").read_text("utf-8"))
    return loaded


def moved(config: dict[str, Any], ports: dict[str, int]) -> dict[str, Any]:
    """The file with its clusters on these tests' ports, and otherwise unchanged."""
    for cluster in config["static_resources"]["clusters"]:
        (endpoint,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        endpoint["endpoint"]["address"]["socket_address"]["port_value"] = ports[cluster["name"]]
    return config


@pytest.fixture(scope="module")
def gateway() -> Iterator[int]:
    """The port of the gateway, with the pod and both services behind it."""
    (pod,) = re.findall(r"^\$ python (-m meshcors\.dummy .*)$", README, re.MULTILINE)
    commands = {
        "meshcors-dummy": [*shlex.split(pod), "--drain", "0", "--port"],
        "xyz": shlex.split("-m uvicorn --app-dir examples fastapi_service:app --port"),
        "abc": shlex.split("-m flask --app examples/flask_service.py run --port"),
    }
    ports = {name: free_port() for name in commands}
    with ExitStack() as started:
        for name, command in commands.items():
            port = ports[name]
            started.enter_context(running([sys.executable, *command, str(port)], port))
        yield started.enter_context(running_envoy(moved(envoy_file(), ports))).port


def test_envoy_loads_the_file_as_it_is() -> None:
    assert validate(envoy_file()) is None


def test_the_readme_names_the_file_from_the_root() -> None:
    (path,) = re.findall(r"^\$ envoy -c (\S+)$", README, re.MULTILINE)
    assert (EXAMPLE.parent.parent / path).samefile(EXAMPLE / "envoy.yaml")


def test_a_preflight_reaches_the_pod(gateway: int) -> None:
    answer = call(gateway, "OPTIONS", PREFLIGHT)
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert KEY_HEADER in answer.headers["access-control-allow-headers"].split(", ")


@pytest.mark.parametrize("example", ["fastapi_service", "flask_service"])
def test_a_key_leads_to_its_service(gateway: int, example: str) -> None:
    key, says = EXAMPLES[example]
    answer = call(gateway, "POST", {KEY_HEADER: key})
    assert (answer.status, answer.body) == (200, says)
    assert answer.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        pytest.param({KEY_HEADER: "guess"}, 404, b'"reason": "no_route"', id="unknown key"),
        pytest.param({}, 401, b'"reason": "key_missing"', id="no key"),
    ],
)
def test_what_leads_nowhere_is_told_readably(
    gateway: int, sent: dict[str, str], status: int, reason: bytes
) -> None:
    answer = call(gateway, "POST", sent)
    assert answer.status == status
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert reason in answer.body
