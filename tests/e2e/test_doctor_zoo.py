"""`meshcors doctor` on real servers, broken and healthy: it names layer, cause and fix.

Each set-up is started as it is, and once more with the fix that doctor prints: the call works then.
"""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import replace
from typing import Any

import pytest

from meshcors import _cli as cli
from meshcors.mesh import Gateway
from meshcors.mesh.envoy import bootstrap
from tests import written_pages
from tests.e2e.envoy import validate
from tests.e2e.processes import free_port
from tests.e2e.processes import running as running_process
from tests.e2e.zoo import envoy, in_chromium, network, nginx, page, python_apps
from tests.e2e.zoo.asgi_apps import ASGI
from tests.e2e.zoo.set_up import UI, Option, PodFlags, SetUp, fixed
from tests.e2e.zoo.wsgi_apps import WSGI

GROUPS = {
    "Envoy": envoy.ENVOY,
    "nginx": nginx.NGINX,
    "FastAPI and Starlette": ASGI,
    "Flask and Django": WSGI,
    "The network": network.NETWORK,
}
SET_UPS = [each for group in GROUPS.values() for each in group]
BROKEN = [each for each in SET_UPS if not each.is_healthy]
HEALTHY = [each for each in SET_UPS if each.is_healthy]
FIXED = [each for each in SET_UPS if each.fix is not None]
EXIT_CODES = {"works": 0, "blocked": 1, "unknown": 2}
# As the fixes of the zoo say that the pod has to be started.
POD_FLAGS = (
    *("--allow-origin", "https://ui.example", "--key-header", "model-api-key"),
    *("--allow-credentials", "--max-age", "600", "--drain", "0"),
    *("--allow-method", "OPTIONS"),
)

Doctor = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    """The port of each set-up, by its name."""
    with ExitStack() as started:
        apps = started.enter_context(python_apps.running())
        fixes = [each.fix for each in SET_UPS if isinstance(each.fix, PodFlags)]
        flags = {"meshcors-dummy": POD_FLAGS}
        flags |= {each.name: (*POD_FLAGS, *shlex.split(each.new)[:2]) for each in fixes}
        pods = {name: free_port() for name in flags}
        for name, port in pods.items():
            command = [sys.executable, "-m", "meshcors.dummy", *flags[name], "--port", str(port)]
            started.enter_context(running_process(command, port))
        yield (
            apps
            | started.enter_context(nginx.running(apps))
            | started.enter_context(envoy.running(apps, pods))
            | started.enter_context(network.running(apps))
        )


@pytest.fixture(scope="module")
def doctor(ports: dict[str, int]) -> Doctor:
    """What doctor says of a set-up, as it is or after its fix; each is asked once."""
    reports: dict[str, dict[str, Any]] = {}

    def say(set_up: SetUp, *, after_fix: bool = False) -> dict[str, Any]:
        name = fixed(set_up.name) if after_fix else set_up.name
        if name not in reports:
            is_option = after_fix and isinstance(set_up.fix, Option)
            port = ports[set_up.name if is_option else name]
            words = ["doctor", *set_up.call.arguments(port), "--format", "json"]
            if is_option:
                words.append(set_up.fix.new)
            printed, errors = io.StringIO(), io.StringIO()
            with redirect_stdout(printed), redirect_stderr(errors):
                code = cli.run(words)
            assert printed.getvalue(), errors.getvalue()
            assert not [each for each in set_up.call.secrets if each in printed.getvalue()]
            report = json.loads(printed.getvalue())
            assert code == EXIT_CODES[report["verdict"]]
            reports[name] = report
        return reports[name]

    return say


def by_id(set_ups: list[SetUp]) -> Any:
    return pytest.mark.parametrize("set_up", [pytest.param(each, id=each.id) for each in set_ups])


def grave(report: dict[str, Any]) -> dict[str, Any]:
    """The errors and warnings of a report, by code."""
    return {
        each["code"]: each
        for each in report["findings"]
        if each["severity"] in ("error", "warning")
    }


def test_the_zoo_is_as_large_as_promised() -> None:
    assert len(BROKEN) >= 30
    assert len(HEALTHY) >= 6
    assert len({each.id for each in SET_UPS}) == len(SET_UPS)


@by_id(BROKEN)
def test_layer_and_cause_are_named(set_up: SetUp, doctor: Doctor) -> None:
    report = doctor(set_up)
    assert report["verdict"] == set_up.verdict
    found = {each["code"]: each for each in report["findings"]}
    # nothing that was put there is missed, and nothing else is called wrong
    assert set_up.codes <= found.keys()
    assert grave(report).keys() <= set_up.codes
    assert {found[code]["layer"] for code in set_up.codes} == {set_up.layer}
    assert all(found[code]["message"] and found[code]["fix"] for code in set_up.codes)
    assert len(report["requests"]) <= 12


@by_id(HEALTHY)
def test_nothing_is_found_where_all_is_well(set_up: SetUp, doctor: Doctor) -> None:
    report = doctor(set_up)
    assert grave(report) == {}
    assert report["verdict"] == "works"
    assert report["requests"][0]["layer"] == set_up.layer
    version = "HTTP/2" if set_up.call.scheme == "https" else "HTTP/1.1"
    assert {each["http"] for each in report["requests"]} == {version}
    assert all(each["works"] for each in report["browsers"].values())


@by_id(FIXED)
def test_the_fix_that_doctor_prints_is_one(set_up: SetUp, doctor: Doctor) -> None:
    assert set_up.fix is not None
    report = doctor(set_up)
    fixes = "\n".join(each["fix"] for each in report["findings"] if each["code"] in set_up.codes)
    assert squeezed(set_up.fix.new) in squeezed(fixes)
    after = doctor(set_up, after_fix=True)
    assert after["verdict"] == "works"
    assert not set_up.codes & {each["code"] for each in after["findings"]}
    assert not [each for each in after["findings"] if each["severity"] == "error"]


def test_a_regex_that_is_none_is_not_loaded() -> None:
    """So no page's call can show it."""
    (set_up,) = (each for each in SET_UPS if each.name == 'regex ".*" with credentials')
    config = json.dumps(bootstrap({"public": Gateway.from_yaml(set_up.config)}, {}))
    assert validate(json.loads(config)) is None
    complaint = validate(json.loads(config.replace('".*"', '"*"')))
    assert complaint is not None
    assert "no argument for repetition operator" in complaint


def squeezed(text: str) -> str:
    """The text without its white space and backticks, which depend on where a line is put."""
    return "".join(text.replace("`", "").split())


@pytest.mark.parametrize(
    "name",
    ["corsPolicy only on the rule of the key", "nginx well set", "a port where nothing listens"],
)
def test_the_command_line_says_the_same(name: str, ports: dict[str, int], doctor: Doctor) -> None:
    (set_up,) = (each for each in SET_UPS if each.name == name)
    words = ["doctor", *set_up.call.arguments(ports[name]), "--format", "json"]
    command = [sys.executable, "-m", "meshcors", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == EXIT_CODES[set_up.verdict], done.stderr
    assert without_times(json.loads(done.stdout)) == without_times(doctor(set_up))


def without_times(report: dict[str, Any]) -> dict[str, Any]:
    return {name: report[name] for name in ("verdict", "browsers", "findings")}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    origins = {each.call.origin for each in SET_UPS}
    with in_chromium.calling(origins, in_chromium.NO_LOCAL_NETWORK) as call:
        yield call


ONE_HEADER = re.compile(r"(?<=Request header field )\S+")
# A guard's refusal is an answer to a script, and doctor calls it a call that does not work.
ANSWERED_ALL_THE_SAME = {"guard_refuses_origin", "guard_refuses_host"}


@by_id([each for each in SET_UPS if each.call.host == "127.0.0.1" and not each.call.options])
def test_chromium_does_as_doctor_says(
    set_up: SetUp, doctor: Doctor, ports: dict[str, int], chromium: Any
) -> None:
    report = doctor(set_up)
    if set_up.fix == Option("--insecure"):
        report = doctor(set_up, after_fix=True)
    said = report["browsers"]["chromium"]
    # of several headers, Chromium names any one
    begin, *end = ONE_HEADER.split(said["console"])
    found = chromium(set_up.call, ports[set_up.name], begin)
    assert (found.error == "") == (said["works"] or bool(set_up.codes & ANSWERED_ALL_THE_SAME))
    assert not begin or any(
        line.startswith(begin) and all(each in line for each in end) for line in found.console
    )
    blocked = [line for line in found.console if "blocked by CORS policy" in line]
    assert bool(blocked) == ("blocked by CORS policy" in said["console"])


LOCAL = ("10.1.2.3", "192.168.1.5", "100.64.0.1", "nas.local")


@pytest.mark.parametrize("host", [*LOCAL, "nas.example", "203.0.113.9"])
def test_chromium_lets_secure_pages_call_private_addresses(
    host: str, ports: dict[str, int], local_network: Any
) -> None:
    """The page of this test is on this machine too, so that no user is asked."""
    (set_up,) = (each for each in SET_UPS if each.name == "MeshCORS in FastAPI, a GET")
    port = ports[set_up.name]
    made = replace(set_up.call, host=host, options=("--resolve", f"{host}:{port}:127.0.0.1"))
    printed = io.StringIO()
    with redirect_stdout(printed):
        cli.run(["doctor", *made.arguments(port), "--format", "json"])
    said = json.loads(printed.getvalue())["browsers"]["chromium"]
    found = local_network(made, port, said["console"])
    assert (found.error == "") == said["works"] == (host in LOCAL)
    assert any(said["console"] in line for line in found.console)


@pytest.fixture(scope="module")
def local_network() -> Iterator[Any]:
    with in_chromium.calling({UI}, here=(*LOCAL, "nas.example", "203.0.113.9")) as call:
        yield call


def test_page_is_what_doctor_says(doctor: Doctor) -> None:
    rows = {title: [(each, doctor(each)) for each in group] for title, group in GROUPS.items()}
    written_pages.check(page.PAGE, page.filled(rows))
