"""A real Prometheus scrapes a pod: each query of the alerts and of the dashboard has an answer."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.dummy_process import PodProcess, preflight_fields, running
from tests.e2e.parts import need_program
from tests.e2e.processes import free_port
from tests.e2e.processes import running as running_process
from tests.test_alerts import ALERTS, JOB
from tests.test_kubernetes import BASE, MONITORING, UI

GOOD = BASE["ConfigMap", "meshcors-dummy-policy"]["data"]["policy.yaml"]
DASHBOARD = json.loads(
    MONITORING["ConfigMap", "meshcors-dummy-dashboard"]["data"]["dashboard.json"]
)
PANELS: dict[str, dict[str, Any]] = {panel["title"]: panel for panel in DASHBOARD["panels"]}
# What Grafana would fill in.
VARIABLES = {"$namespace": ".*", "$__rate_interval": "5s"}


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus, the pod that it scrapes, and the pod's policy file."""

    port: int
    pod: PodProcess
    policy: Path

    def api(self, path: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters)
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{query}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api("query", query=expression)["result"]
        return found

    def firing(self) -> set[str]:
        found = self.api("alerts")["alerts"]
        return {each["labels"]["alertname"] for each in found if each["state"] == "firing"}


def await_(holds: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    program = need_program("prometheus", "prometheus")
    home = tmp_path_factory.mktemp("prometheus")
    policy = home / "policy.yaml"
    policy.write_text(GOOD, encoding="utf-8")
    spec = MONITORING["PrometheusRule", "meshcors-dummy"]["spec"]
    (home / "rules.json").write_text(json.dumps(spec), encoding="utf-8")
    with running(policy=(f"--config={policy}",)) as pod:
        # What the operator makes of the ServiceMonitor.
        target = {
            "targets": [f"127.0.0.1:{pod.admin_port}"],
            "labels": {"job": JOB, "namespace": "prod", "pod": "a"},
        }
        config = {
            "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
            "rule_files": ["rules.json"],
            "scrape_configs": [
                {"job_name": JOB, "scrape_timeout": "500ms", "static_configs": [target]}
            ],
        }
        (home / "prometheus.json").write_text(json.dumps(config), encoding="utf-8")
        port = free_port()
        command = [
            program,
            f"--config.file={home / 'prometheus.json'}",
            f"--storage.tsdb.path={home / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with running_process(command, port):
            found = Prometheus(port, pod, policy)
            ready = f'count_over_time(meshcors_ready{{job="{JOB}"}}[5s]) > 3'

            def scraped() -> list[dict[str, Any]]:
                with contextlib.suppress(OSError):
                    return found.query(ready)
                return []

            await_(scraped)
            yield found


def preflights(pod: PodProcess) -> None:
    """One that is allowed, one that is not, one that no rule covers, and a request without key."""
    host = {"Host": "api.example.com"}
    assert pod.ask("OPTIONS", "/v1/chat", host | preflight_fields(UI)).status == 204
    assert pod.ask("OPTIONS", "/v1/chat", host | preflight_fields("https://no")).status == 403
    assert pod.ask("OPTIONS", "/v1/chat", preflight_fields(UI)).status == 404
    assert pod.ask("POST", "/v1/chat", host | {"Origin": UI}).status == 401


@pytest.mark.parametrize("title", PANELS)
def test_every_panel_of_the_dashboard_shows_something(prometheus: Prometheus, title: str) -> None:
    preflights(prometheus.pod)
    for target in PANELS[title]["targets"]:
        expression = target["expr"]
        for name, value in VARIABLES.items():
            expression = expression.replace(name, value)
        assert "$" not in expression
        await_(lambda query=expression: prometheus.query(query))
        # Grafana writes the labels that a legend names.
        for sample in prometheus.query(expression):
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert named <= set(sample["metric"])


def test_the_dashboards_variable_finds_the_namespaces(prometheus: Prometheus) -> None:
    (variable,) = (each for each in DASHBOARD["templating"]["list"] if each["type"] == "query")
    shape = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
    assert shape
    assert {each["metric"][shape[2]] for each in prometheus.query(shape[1])} == {"prod"}


def test_every_metric_that_an_alert_names_is_there(prometheus: Prometheus) -> None:
    preflights(prometheus.pod)
    for alert in ALERTS.values():
        selectors = re.findall(r"\w+\{[^}]*\}", alert["expr"])
        assert selectors
        for selector in selectors:
            await_(lambda query=selector: prometheus.query(query))


def test_an_alert_stands_while_the_file_is_bad_and_no_other_one_does(
    prometheus: Prometheus,
) -> None:
    def healthy() -> bool:
        (group,) = prometheus.api("rules")["groups"]
        return {rule["health"] for rule in group["rules"]} == {"ok"}

    await_(healthy)
    assert prometheus.firing() == set()
    prometheus.policy.write_text("rules: [", encoding="utf-8")
    await_(lambda: prometheus.firing() == {"MeshcorsReloadFailing"})
    prometheus.policy.write_text(GOOD, encoding="utf-8")
    await_(lambda: prometheus.firing() == set())


def test_promtool_finds_nothing_wrong_with_the_pods_metrics(prometheus: Prometheus) -> None:
    program = need_program("promtool", "prometheus")
    done = subprocess.run(
        [program, "check", "metrics"],
        input=prometheus.pod.admin("/metrics").text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
