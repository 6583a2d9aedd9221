"""The alerts, each through what it is for and what it must not fire on; promtool runs the time.

A case is a table: series as Prometheus would have scraped them, and the namespaces (or pods) for
which the alert fires at some times.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.parts import need_program
from tests.test_kubernetes import MONITORING

(GROUP,) = MONITORING["PrometheusRule", "meshcors-dummy"]["spec"]["groups"]
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in GROUP["rules"]}
DAY = 24 * 60
JOB = MONITORING["Service", "meshcors-dummy-admin"]["metadata"]["name"]


def series(name: str, namespace: str, pod: str, **more: str) -> str:
    labels = {"job": JOB, "namespace": namespace, "pod": pod, **more}
    return name + "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"


def ready(namespace: str, pod: str, values: str) -> dict[str, str]:
    return {series("meshcors_ready", namespace, pod): values}


def scraped(namespace: str, pod: str, values: str) -> dict[str, str]:
    return {series("up", namespace, pod): values}


def last_reload(namespace: str, pod: str, values: str) -> dict[str, str]:
    return {series("meshcors_config_last_reload_successful", namespace, pod): values}


def policy(namespace: str, pod: str, digest: str, values: str) -> dict[str, str]:
    return {series("meshcors_policy_info", namespace, pod, hash=digest): values}


def preflights(namespace: str, pod: str, **values: str) -> dict[str, str]:
    """Counters by their reason, a sample a minute."""
    return {
        series("meshcors_preflights_total", namespace, pod, reason=reason): each
        for reason, each in values.items()
    }


@dataclass(frozen=True)
class Case:
    """`fires` has, for minutes after the beginning, the namespaces for which the alert fires.

    ``""`` stands for an alert without a namespace; ``prod/a`` is one for a pod.
    """

    name: str
    alert: str
    series: dict[str, str]
    fires: dict[int, tuple[str, ...]]


# In values, "0+60x10" is 0, 60, 120 and so on with ten more, "_x5" five missing samples.
CASES = [
    # --- MeshcorsDown
    Case(
        "all-ready",
        "MeshcorsDown",
        ready("prod", "a", "1x20") | ready("prod", "b", "1x20"),
        {1: (), 20: ()},
    ),
    Case(
        "none-ready-then-resolved",
        "MeshcorsDown",
        ready("prod", "a", "1x4 0x5 1x10") | ready("prod", "b", "1x4 0x9 1x6"),
        {4: (), 5: (), 6: ("prod",), 10: ("prod",), 11: (), 20: ()},
    ),
    Case(
        "one-ready-is-enough",
        "MeshcorsDown",
        ready("prod", "a", "0x20") | ready("prod", "b", "1x20"),
        {20: ()},
    ),
    Case(
        "prod-down-while-staging-is-up",
        "MeshcorsDown",
        ready("prod", "a", "1x4 0x15") | ready("staging", "a", "1x20"),
        {4: (), 8: ("prod",), 19: ("prod",)},
    ),
    Case(
        "prod-without-targets-while-staging-is-up",
        "MeshcorsDown",
        ready("prod", "a", "1x4 stale") | ready("staging", "a", "1x20"),
        {4: (), 8: ("prod",), 20: ("prod",)},
    ),
    Case(
        "not-scraped-while-staging-is-up",
        "MeshcorsDown",
        scraped("prod", "a", "0x20")
        | scraped("staging", "a", "1x20")
        | ready("staging", "a", "1x20"),
        {0: (), 2: ("prod",)},
    ),
    Case(
        "a-restart-of-one",
        "MeshcorsDown",
        ready("prod", "a", "1x5 _x3 1x11") | ready("prod", "b", "1x20"),
        {8: (), 20: ()},
    ),
    Case("first-day-before-any-pod", "MeshcorsDown", {}, {0: (), 2: ("",), 20: ("",)}),
    Case(
        "first-day-pods-that-start",
        "MeshcorsDown",
        scraped("prod", "a", "_x5 1x15") | ready("prod", "a", "_x5 1x15"),
        {4: ("",), 8: (), 20: ()},
    ),
    Case(
        "a-namespace-that-was-removed-yesterday",
        "MeshcorsDown",
        ready("old", "a", "1x4 stale") | ready("prod", "a", f"1x{DAY + 60}"),
        {10: ("old",), DAY + 30: ()},
    ),
    # --- MeshcorsOneLeft
    Case(
        "two-are-ready",
        "MeshcorsOneLeft",
        ready("prod", "a", "1x30") | ready("prod", "b", "1x30"),
        {30: ()},
    ),
    Case(
        "one-left-then-resolved",
        "MeshcorsOneLeft",
        ready("prod", "a", "1x40") | ready("prod", "b", "1x4 0x15 1x20"),
        {4: (), 14: (), 16: ("prod",), 20: ("prod",), 21: (), 40: ()},
    ),
    Case(
        "a-rolling-update",
        "MeshcorsOneLeft",
        ready("prod", "a", "1x9 0x3 stale")
        | ready("prod", "b", "1x40")
        | ready("prod", "c", "_x11 1x29"),
        {12: (), 25: (), 40: ()},
    ),
    Case(
        "one-left-in-prod-two-in-staging",
        "MeshcorsOneLeft",
        ready("prod", "a", "1x20") | ready("staging", "a", "1x20") | ready("staging", "b", "1x20"),
        {9: (), 15: ("prod",)},
    ),
    Case("nothing-known", "MeshcorsOneLeft", {}, {20: ()}),
    # --- MeshcorsReloadFailing
    Case(
        "a-good-file",
        "MeshcorsReloadFailing",
        last_reload("prod", "a", "1x20"),
        {0: (), 20: ()},
    ),
    Case(
        "as-long-as-the-file-is-bad",
        "MeshcorsReloadFailing",
        last_reload("prod", "a", "1x4 0x200 1x9") | last_reload("prod", "b", "1x215"),
        {4: (), 5: ("prod/a",), 20: ("prod/a",), 200: ("prod/a",), 206: (), 214: ()},
    ),
    Case(
        "a-restart-with-the-bad-file",
        "MeshcorsReloadFailing",
        last_reload("prod", "a", "1x4 0x5 _x2 0x10"),
        {9: ("prod/a",), 15: ("prod/a",)},
    ),
    Case(
        "a-bad-file-in-one-namespace",
        "MeshcorsReloadFailing",
        last_reload("prod", "a", "1x20") | last_reload("staging", "a", "0x20"),
        {20: ("staging/a",)},
    ),
    Case("no-pod", "MeshcorsReloadFailing", {}, {20: ()}),
    # --- MeshcorsPoliciesDiffer
    Case(
        "two-namespaces-with-different-policies",
        "MeshcorsPoliciesDiffer",
        policy("prod", "a", "1f", "1x40")
        | policy("prod", "b", "1f", "1x40")
        | policy("staging", "a", "2e", "1x40"),
        {15: (), 40: ()},
    ),
    Case(
        "one-lags-behind-then-follows",
        "MeshcorsPoliciesDiffer",
        policy("prod", "a", "1f", "1x4 stale")
        | policy("prod", "a", "2e", "_x5 1x40")
        | policy("prod", "b", "1f", "1x24 stale")
        | policy("prod", "b", "2e", "_x25 1x20"),
        {4: (), 14: (), 16: ("prod",), 24: ("prod",), 26: (), 45: ()},
    ),
    Case(
        "a-change-on-its-way",
        "MeshcorsPoliciesDiffer",
        policy("prod", "a", "1f", "1x4 stale")
        | policy("prod", "a", "2e", "_x5 1x30")
        | policy("prod", "b", "1f", "1x6 stale")
        | policy("prod", "b", "2e", "_x7 1x28"),
        {6: (), 20: (), 35: ()},
    ),
    Case("nobody-there", "MeshcorsPoliciesDiffer", {}, {20: ()}),
    # --- MeshcorsRefusalsRising
    Case(
        "three-requests-of-a-scanner",
        "MeshcorsRefusalsRising",
        preflights("prod", "a", allowed="0x60", origin_not_allowed="0x20 1 2 3x40"),
        {22: (), 25: (), 32: (), 60: ()},
    ),
    Case(
        "first-day-of-a-page-under-a-new-origin",
        "MeshcorsRefusalsRising",
        preflights("prod", "a", allowed="0+120x120", origin_not_allowed="0x30 60+60x30 1860x60"),
        {30: (), 40: (), 55: ("prod",), 61: ("prod",), 80: (), 120: ()},
    ),
    Case(
        "refused-yesterday-too",
        "MeshcorsRefusalsRising",
        preflights(
            "prod",
            "a",
            allowed=f"0+120x{DAY + 60}",
            header_not_allowed=f"0+60x{DAY + 60}",
        ),
        # On the first day there is nothing to compare with.
        {30: ("prod",), DAY + 40: ()},
    ),
    Case(
        "more-than-yesterday",
        "MeshcorsRefusalsRising",
        preflights(
            "prod",
            "a",
            allowed=f"0+120x{DAY + 120}",
            header_not_allowed=f"0+12x{DAY} {12 * DAY + 180}+180x119",
        ),
        {30: (), DAY: (), DAY + 30: ("prod",), DAY + 60: ("prod",)},
    ),
    Case(
        "no-traffic-yesterday",
        "MeshcorsRefusalsRising",
        preflights(
            "prod",
            "a",
            allowed=f"0x{DAY + 60}",
            origin_not_allowed=f"0x{DAY} 0+60x59",
        ),
        {DAY: (), DAY + 40: ("prod",)},
    ),
    Case(
        "no-traffic",
        "MeshcorsRefusalsRising",
        preflights("prod", "a", allowed="5x60", origin_not_allowed="7x60"),
        {30: (), 60: ()},
    ),
    Case(
        "a-counter-that-begins-again",
        "MeshcorsRefusalsRising",
        preflights(
            "prod",
            "a",
            allowed="10000+120x30 0+120x60",
            origin_not_allowed="9000+6x30 0+6x60",
        ),
        {30: (), 33: (), 45: (), 60: ()},
    ),
    Case(
        "refusals-in-staging-calls-in-prod",
        "MeshcorsRefusalsRising",
        preflights("prod", "a", allowed="0+6000x60", origin_not_allowed="0+6x60")
        | preflights("staging", "a", allowed="0+6x60", origin_not_allowed="0+60x60"),
        {30: ("staging",), 60: ("staging",)},
    ),
]


def labels(rule: dict[str, Any], who: str) -> dict[str, str]:
    namespace, _, pod = who.partition("/")
    found = dict(rule["labels"])
    if namespace:
        found["namespace"] = namespace
    if pod:
        found |= {"job": JOB, "pod": pod}
    return found


def annotations(rule: dict[str, Any], found: dict[str, str]) -> dict[str, str]:
    """What the templates in a rule's annotations say of an alert with these labels."""
    placed = re.compile(r"\{\{ \$labels\.(\w+) \}\}")
    return {
        name: placed.sub(lambda at: found.get(at[1], ""), text)
        for name, text in rule["annotations"].items()
    }


def promtool(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = need_program("promtool", "prometheus")
    return subprocess.run(
        [program, *arguments], cwd=directory, capture_output=True, text=True, check=False
    )


def as_promtool(case: Case) -> dict[str, Any]:
    """A case as promtool reads it."""
    rule = ALERTS[case.alert]
    expected = {
        minute: [labels(rule, who) for who in fires] for minute, fires in case.fires.items()
    }
    return {
        "name": case.name,
        "interval": "1m",
        "input_series": [
            {"series": name, "values": values} for name, values in case.series.items()
        ],
        "alert_rule_test": [
            {
                "eval_time": f"{minute}m",
                "alertname": case.alert,
                "exp_alerts": [
                    {"exp_labels": each, "exp_annotations": annotations(rule, each)}
                    for each in found
                ],
            }
            for minute, found in expected.items()
        ],
    }


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules as a file of Prometheus' own."""
    file = tmp_path_factory.mktemp("rules") / "rules.json"
    spec = MONITORING["PrometheusRule", "meshcors-dummy"]["spec"]
    file.write_text(json.dumps(spec), encoding="utf-8")
    return file


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_fires_when_it_should_and_only_then(alert: str, rules: Path) -> None:
    cases = [case for case in CASES if case.alert == alert]
    tests = {
        "rule_files": [rules.name],
        "evaluation_interval": "1m",
        "tests": [as_promtool(case) for case in cases],
    }
    file = rules.with_name(f"{alert}.json")
    file.write_text(json.dumps(tests), encoding="utf-8")
    done = promtool(rules.parent, "test", "rules", file.name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_nothing_wrong_with_the_rules(rules: Path) -> None:
    done = promtool(rules.parent, "check", "rules", "--lint-fatal", rules.name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_seen_firing_and_not_firing() -> None:
    assert {case.alert for case in CASES} == set(ALERTS)
    for alert in ALERTS:
        seen = [fires for case in CASES if case.alert == alert for fires in case.fires.values()]
        assert any(seen), alert
        assert not all(seen), alert
