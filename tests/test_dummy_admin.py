from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from meshcors.dummy._counters import PREFLIGHT_REASONS, REQUEST_REASONS
from tests.dummy_process import INSTALLED, KEY, PLAIN, POLICY_FLAGS, UI, PodProcess, run, running


@pytest.fixture(scope="module")
def pod() -> Iterator[PodProcess]:
    with running("--allow-method", "OPTIONS") as started:
        yield started


def test_probes_say_that_it_lives_and_is_ready(pod: PodProcess) -> None:
    assert (pod.admin("/healthz").status, pod.admin("/healthz").text) == (200, "ok\n")
    assert (pod.admin("/readyz").status, pod.admin("/readyz").text) == (200, "ready\n")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/policy", "/"])
def test_pages_are_read_only_complete_and_never_cached(pod: PodProcess, path: str) -> None:
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


def test_admin_paths_shadow_nothing_on_the_pods_own_port(pod: PodProcess) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/policy"):
        assert json.loads(pod.ask("GET", path).body)["reason"] == "key_missing"
    assert pod.admin("/v1/chat").status == 404


def test_policy_is_shown_with_its_warnings(pod: PodProcess) -> None:
    shown = json.loads(pod.admin("/policy").body)
    assert shown["effective"]["corsPolicy"]["allowOrigins"] == [{"exact": UI}]
    assert shown["effective"]["key"] == {"header": KEY}
    assert "OPTIONS" in shown["warnings"][0]
    assert re.fullmatch("[0-9a-f]{12}", shown["hash"])


def samples(pod: PodProcess, name: str) -> list[Any]:
    families = text_string_to_metric_families(pod.admin("/metrics").text)
    (found,) = [family for family in families if family.name == name]
    return found.samples


def counts(pod: PodProcess, name: str) -> dict[str, float]:
    kept = [sample for sample in samples(pod, name) if sample.name == f"{name}_total"]
    return {sample.labels["reason"]: sample.value for sample in kept}


def test_every_answer_is_counted_by_a_reason_out_of_a_fixed_list(pod: PodProcess) -> None:
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


def test_histogram_has_every_preflight(pod: PodProcess) -> None:
    pod.preflight()
    found = samples(pod, "meshcors_preflight_seconds")
    buckets = [sample for sample in found if sample.name.endswith("_bucket")]
    total = sum(counts(pod, "meshcors_preflights").values())
    values = [sample.value for sample in buckets]
    assert values == sorted(values)
    assert (buckets[-1].labels["le"], values[-1]) == ("+Inf", total)
    (took,) = [sample.value for sample in found if sample.name.endswith("_sum")]
    assert 0 < took < total


def test_metrics_tell_the_process_the_build_and_the_policy(pod: PodProcess) -> None:
    names = {family.name for family in text_string_to_metric_families(pod.admin("/metrics").text)}
    assert {"process_resident_memory_bytes", "meshcors_build_info", "meshcors_ready"} <= names
    (policy,) = samples(pod, "meshcors_policy_info")
    assert policy.labels["hash"] == json.loads(pod.admin("/policy").body)["hash"]


def test_no_label_is_taken_from_a_request(pod: PodProcess) -> None:
    pod.preflight(origin="https://label.example", method="LABEL", names="x-label")
    pod.ask("LABEL", "/label", {"Host": "label.example"})
    assert "label" not in pod.admin("/metrics").text.lower()


def test_plain_install_says_what_metrics_need() -> None:
    with running(start=PLAIN) as plain:
        page = plain.admin("/metrics")
        assert page.status == 501
        assert "python -m pip install 'meshcors[dummy]'" in page.text
        assert plain.admin("/").status == 200


def test_page_shows_refusals_escaped(pod: PodProcess) -> None:
    pod.preflight(origin="https://<b>&amp;.example", names="<script>alert(1)</script>")
    page = pod.admin("/").text
    assert "https://&lt;b&gt;&amp;amp;.example" in page
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "<b>" not in page


def test_page_may_load_and_run_nothing(pod: PodProcess) -> None:
    policy = pod.admin("/").headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert not any("unsafe" in part for part in policy)


def test_page_shows_only_the_last_refusals(pod: PodProcess) -> None:
    # More than the log's burst: some are left out, and counted.
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
        pytest.param("x=" + "x" * 20_000, 413, "Too Large", id="too large"),
        pytest.param("&".join(f"f{n}=1" for n in range(99)), 400, "not a form", id="many fields"),
    ],
)
def test_form_is_answered(pod: PodProcess, form: str, status: int, expected: str) -> None:
    page = pod.admin("/", "POST", form)
    assert page.status == status
    assert expected in page.text
    assert "<script>" not in page.text


def hosts(pod: PodProcess, path: str, *lines: str, method: str = "GET") -> tuple[int, str]:
    """The status and text of the admin port's answer to a request with these Host lines."""
    with socket.create_connection(("127.0.0.1", pod.admin_port), timeout=20) as client:
        fields = "".join(f"Host: {line}\r\n" for line in lines)
        request = f"{method} {path} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n"
        client.sendall(request.encode("latin-1"))
        received = b""
        while part := client.recv(65536):
            received += part
    return int(received.split(b" ")[1]), received.partition(b"\r\n\r\n")[2].decode()


KNOWN = [
    *("127.0.0.1", "127.0.0.1:9090", "10.1.2.3:80", "[::1]", "[::1]:9090", "[2001:db8::1]"),
    *("localhost", "localhost:9090", "LocalHost", "localhost."),
    *("admin.example", "ADMIN.example:9090", "admin.example."),
]
UNKNOWN = [
    *("evil.example", "evil.example:9090", "localhost.evil.example", "127.0.0.1.evil.example"),
    *("x.admin.example", "admin.example.evil.example", "1.2.3", "1.2.3.4.5", "1.2.3.256"),
    *("", "localhost,evil.example", "u@localhost", "localhost:x", "[::1", "::1", "[evil]"),
    *(
        "localhost/",
        "localhost:",
        "http://localhost",
        "admin.example:99999",
        "xlocalhost",
        "l\xf6calhost",
    ),
]


@pytest.fixture(scope="module", params=[INSTALLED, PLAIN], ids=["extra", "plain install"])
def named(request: pytest.FixtureRequest) -> Iterator[PodProcess]:
    flags = ("--admin-host-name", "Admin.example", "--admin-host-name", "b.example")
    with running(*flags, start=request.param) as started:
        yield started


@pytest.mark.parametrize(("path", "method"), [("/", "GET"), ("/policy", "GET"), ("/", "POST")])
def test_policy_is_shown_under_addresses_and_known_names_only(
    named: PodProcess, path: str, method: str
) -> None:
    for host in KNOWN:
        assert hosts(named, path, host, method=method)[0] == 200, host
    for host in UNKNOWN:
        status, text = hosts(named, path, host, method=method)
        # The server itself may refuse a malformed Host.
        assert status in (421, 400), host
        assert UI not in text
    for several in (("localhost", "localhost"), ("localhost", "evil.example")):
        assert hosts(named, path, *several, method=method)[0] in (421, 400)
    assert hosts(named, path, method=method)[0] in (421, 400)


def test_refusal_says_what_to_do(named: PodProcess) -> None:
    status, text = hosts(named, "/policy", "evil.example")
    assert status == 421
    assert text == (
        "this page is shown only if the Host is an IP address, localhost or a name given with"
        " --admin-host-name\n"
    )


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probes_and_metrics_are_answered_under_any_name(named: PodProcess, path: str) -> None:
    for host in ("10.1.2.3:9090", "preflight.mesh.svc", "evil.example"):
        assert hosts(named, path, host)[0] in (200, 501)


@pytest.mark.parametrize("name", ["", "https://a.example", "a.example:9090", "*.example", "a b"])
def test_host_name_that_is_none_is_refused(name: str) -> None:
    ended = run(*POLICY_FLAGS, "--check", "--admin-host-name", name)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    hint = "write the host name alone, such as admin.example"
    assert line == f"meshcors.dummy: --admin-host-name: {hint}"


def test_many_rules_are_shown_without_holding_up_preflights(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    rules = [
        {"hosts": [f"h{number}.example"], "corsPolicy": {"allowOrigins": [UI]}}
        for number in range(5000)
    ]
    path.write_text(json.dumps({"rules": rules}))
    with running(policy=("--config", str(path))) as pod:
        shown = json.loads(pod.admin("/policy").body)
        assert [rule["hosts"] for rule in shown["effective"]["rules"]] == [
            rule["hosts"] for rule in rules
        ]
        page = pod.admin("/").text
        assert "h199.example" in page
        assert "h200.example" not in page
        assert "And 4800 more" in page
        # The pod's own CPU time, whatever else the machine runs.
        pod.admin("/metrics")
        before = cpu_seconds(pod)
        for _ in range(20):
            pod.admin("/policy", "HEAD")
            pod.admin("/", "HEAD")
            pod.admin("/metrics", "HEAD")
        assert cpu_seconds(pod) - before < 20 * MOST_SECONDS


# For all three pages. Made anew each time, the policy and its hash alone took about 0.2 s.
MOST_SECONDS = 0.05


def cpu_seconds(pod: PodProcess) -> float:
    tasks = Path(f"/proc/{pod.process.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
