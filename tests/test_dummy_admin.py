from __future__ import annotations

import json
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from meshcors.dummy.counters import PREFLIGHT_REASONS, REQUEST_REASONS
from tests.dummy_process import KEY, PLAIN, UI, running


@pytest.fixture(scope="module")
def pod():
    with running("--allow-method", "OPTIONS") as started:
        yield started


def test_probes_say_that_it_lives_and_is_ready(pod):
    assert (pod.admin("/healthz").status, pod.admin("/healthz").text) == (200, "ok\n")
    assert (pod.admin("/readyz").status, pod.admin("/readyz").text) == (200, "ready\n")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/policy", "/"])
def test_pages_are_read_only_complete_and_never_cached(pod, path):
    page = pod.admin(path)
    assert page.status == 200
    assert int(page.headers["content-length"]) == len(page.body) > 0
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-content-type-options"] == "nosniff"
    head = pod.admin(path, "HEAD")
    assert (head.status, head.body) == (200, b"")
    for method in ("PUT", "DELETE", *(["POST"] if path != "/" else [])):
        refused = pod.admin(path, method)
        assert refused.status == 405
        assert refused.headers["allow"].startswith("GET, HEAD")


def test_admin_paths_shadow_nothing_on_the_pods_own_port(pod):
    for path in ("/healthz", "/readyz", "/metrics", "/policy"):
        assert json.loads(pod.ask("GET", path).body)["reason"] == "key_missing"
    assert pod.admin("/v1/chat").status == 404


def test_policy_is_shown_with_its_warnings(pod):
    shown = json.loads(pod.admin("/policy").body)
    assert shown["effective"]["corsPolicy"]["allowOrigins"] == [{"exact": UI}]
    assert shown["effective"]["key"] == {"header": KEY}
    assert "OPTIONS" in shown["warnings"][0]
    assert re.fullmatch("[0-9a-f]{12}", shown["hash"])


def samples(pod, name):
    families = text_string_to_metric_families(pod.admin("/metrics").text)
    (found,) = [family for family in families if family.name == name]
    return found.samples


def counts(pod, name):
    kept = [sample for sample in samples(pod, name) if sample.name == f"{name}_total"]
    return {sample.labels["reason"]: sample.value for sample in kept}


def test_every_answer_is_counted_by_a_reason_out_of_a_fixed_list(pod):
    before = counts(pod, "meshcors_preflights"), counts(pod, "meshcors_requests")
    pod.preflight()
    pod.preflight(origin="https://evil.example")
    pod.preflight(method="PUT")
    pod.preflight(names="x-other")
    pod.ask("GET", "/")
    pod.ask("GET", "/", {KEY: "abc"})
    after = counts(pod, "meshcors_preflights"), counts(pod, "meshcors_requests")
    assert set(after[0]) == set(PREFLIGHT_REASONS)
    assert set(after[1]) == set(REQUEST_REASONS)
    assert {reason: after[0][reason] - before[0][reason] for reason in after[0]} == {
        "allowed": 1,
        "origin_not_allowed": 1,
        "method_not_allowed": 1,
        "header_not_allowed": 1,
        "no_rule": 0,
    }
    assert {reason: after[1][reason] - before[1][reason] for reason in after[1]} == {
        "key_missing": 1,
        "no_route": 1,
        "no_rule": 0,
    }


def test_histogram_has_every_preflight(pod):
    pod.preflight()
    found = samples(pod, "meshcors_preflight_seconds")
    buckets = [sample for sample in found if sample.name.endswith("_bucket")]
    total = sum(counts(pod, "meshcors_preflights").values())
    values = [sample.value for sample in buckets]
    assert values == sorted(values)
    assert (buckets[-1].labels["le"], values[-1]) == ("+Inf", total)
    (took,) = [sample.value for sample in found if sample.name.endswith("_sum")]
    assert 0 < took < total


def test_metrics_tell_the_process_the_build_and_the_policy(pod):
    names = {family.name for family in text_string_to_metric_families(pod.admin("/metrics").text)}
    assert {"process_resident_memory_bytes", "meshcors_build_info", "meshcors_ready"} <= names
    (policy,) = samples(pod, "meshcors_policy_info")
    assert policy.labels["hash"] == json.loads(pod.admin("/policy").body)["hash"]


def test_no_label_is_taken_from_a_request(pod):
    pod.preflight(origin="https://label.example", method="LABEL", names="x-label")
    pod.ask("LABEL", "/label", {"Host": "label.example"})
    assert "label" not in pod.admin("/metrics").text.lower()


def test_plain_install_says_what_metrics_need():
    with running(start=PLAIN) as plain:
        page = plain.admin("/metrics")
        assert page.status == 501
        assert "python -m pip install 'meshcors[dummy]'" in page.text
        assert plain.admin("/").status == 200


def test_page_shows_refusals_escaped(pod):
    pod.preflight(origin="https://<b>&amp;.example", names="<script>alert(1)</script>")
    page = pod.admin("/").text
    assert "https://&lt;b&gt;&amp;amp;.example" in page
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "<b>" not in page


def test_page_may_load_and_run_nothing(pod):
    policy = pod.admin("/").headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert not any("unsafe" in part for part in policy)


def test_page_shows_only_the_last_refusals(pod):
    # More than the log's rate lets through at once: some are left out, and counted.
    for number in range(60):
        pod.ask("GET", f"/number-{number:02}")
    rows = pod.admin("/").text.count("<td>key_missing</td><td></td>")
    assert 0 < rows <= 50
    assert pod.metric("meshcors_refusals_left_out_of_log_total") > 0


@pytest.mark.parametrize(
    ("form", "status", "expected"),
    [
        pytest.param(f"origin={UI}&url=https://a.example/&method=POST", 200, "Yes", id="allowed"),
        pytest.param(
            f"origin={UI}&url=https://a.example/&method=PUT", 200, "method_not_allowed", id="method"
        ),
        pytest.param("", 200, "no_such_call", id="empty"),
        pytest.param("origin=%3Cscript%3E", 200, "&lt;script&gt;", id="markup"),
        pytest.param("origin=%ff%fe", 200, "no_such_call", id="no UTF-8"),
        pytest.param("x=" + "x" * 20_000, 413, "too large", id="too large"),
        pytest.param("&".join(f"f{n}=1" for n in range(99)), 400, "not a form", id="many fields"),
    ],
)
def test_form_is_answered(pod, form, status, expected):
    page = pod.admin("/", "POST", form)
    assert page.status == status
    assert expected in page.text
    assert "<script>" not in page.text
