from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from prometheus_client.parser import text_string_to_metric_families

from meshcors.dummy._counters import PREFLIGHT_REASONS, REQUEST_REASONS
from tests.dummy_process import (
    INSTALLED,
    KEY,
    PLAIN,
    POLICY_FLAGS,
    UI,
    PodProcess,
    preflight_fields,
    request,
    run,
    running,
)


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


class Reader(HTMLParser):
    """What a reader sees of a page, a line for each block, and the hidden fields of its forms."""

    INLINE = frozenset({"b", "code", "span", "strong", "time", "wbr"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen = ""
        self.forms: list[dict[str, str]] = []
        self.feed(page.partition("</style>")[2])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.seen += "" if tag in self.INLINE else "\n"
        if tag == "form":
            self.forms.append({})
        if given.get("type") == "hidden":
            self.forms[-1][given["name"]] = given["value"]

    def handle_endtag(self, tag: str) -> None:
        self.seen += "" if tag in self.INLINE else "\n"

    def handle_data(self, data: str) -> None:
        self.seen += data

    @property
    def lines(self) -> list[str]:
        return [line.strip() for line in self.seen.splitlines() if line.strip()]


def read(pod: PodProcess, form: dict[str, str] | None = None) -> Reader:
    page = pod.admin("/", "POST", urlencode(form)) if form else pod.admin("/")
    assert page.status == 200
    return Reader(page.text)


def answer(pod: PodProcess, form: dict[str, str]) -> list[str]:
    lines = read(pod, form).lines
    return lines[lines.index("Check") + 1 : lines.index("Answers", lines.index("Check"))]


def test_page_shows_refusals_escaped(pod: PodProcess) -> None:
    pod.preflight(origin="https://<b>&amp;.example", names="<script>alert(1)</script>")
    page = pod.admin("/").text
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "<b>" not in page
    assert {"https://<b>&amp;.example", "<script>alert(1)</script>"} <= set(Reader(page).lines)


@pytest.mark.parametrize(
    ("origin", "shown"),
    [
        pytest.param(
            "https://a.example/\u202eme", r"https://a.example/\xe2\x80\xaeme", id="turned"
        ),
        pytest.param("https://u\u200bi.example", r"https://u\xe2\x80\x8bi.example", id="unseen"),
        pytest.param("https://u\u0456.example", r"https://u\xd1\x96.example", id="look-alike"),
        pytest.param("https://ui.example\t.evil", r"https://ui.example\t.evil", id="tab"),
        pytest.param("https://ui.example\x85x", r"https://ui.example\xc2\x85x", id="control"),
    ],
)
def test_no_refused_origin_fools_a_reader(pod: PodProcess, origin: str, shown: str) -> None:
    pod.preflight(origin=origin.encode().decode("latin-1"))
    page = read(pod)
    assert shown in page.lines
    assert all(mark.isascii() and mark.isprintable() for mark in "".join(page.lines))


def test_refusals_of_one_kind_are_one_row_with_their_count_and_the_last_time(
    pod: PodProcess,
) -> None:
    for number in range(3):
        pod.ask("GET", "/counted/a%20%C3%BC", {"Origin": UI, "X-Request-Id": f"id-{number}"})
    lines = read(pod).lines
    at = lines.index("Key missing")
    assert re.fullmatch(r"3 times, last \d seconds? ago \(\d\d:\d\d:\d\d UTC\)", lines[at + 1])
    call = "GET https://localhost/counted/a%20%C3%BC"
    assert lines[at + 2 : at + 7] == ["Why?", "From", UI, "Call", call]


def test_why_of_a_refusal_asks_about_it(pod: PodProcess) -> None:
    pod.ask(
        "OPTIONS",
        "/v1/why",
        {
            "Host": "why.example",
            "Origin": "https://why.example:1",
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": f"content-type,{KEY}",
        },
    )
    asked = read(pod).forms[0]
    assert asked == {
        "origin": "https://why.example:1",
        "url": "https://why.example/v1/why",
        "method": "PATCH",
        "headers": f"content-type,{KEY}",
    }
    shown = answer(pod, asked)
    assert shown[:7] == [
        "No. The browser does not send the call: the policy does not allow the origin"
        " https://why.example:1.",
        "Fix: add these flags",
        "--allow-origin https://why.example:1",
        "--allow-method PATCH",
        "or, if a file lists the others, add to its corsPolicy",
        'allowOrigins: [{"exact": "https://why.example:1"}]',
        'allowMethods: ["PATCH"]',
    ]
    assert "1. The preflight gets 403." in shown
    assert "2. The browser never sends the call. From curl, it reaches a service." in shown
    consoles = shown[shown.index("Chromium's console") :]
    assert consoles[1].startswith("Access to fetch at 'https://why.example/v1/why' from origin")
    assert consoles[2:] == [
        "Firefox's console",
        "Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote resource"
        " at https://why.example/v1/why. (Reason: CORS header"
        " \u2018Access-Control-Allow-Origin\u2019 missing). Status code: 403.",
        "Safari's console",
        "Preflight response is not successful. Status code: 403",
        "Fetch API cannot load https://why.example/v1/why due to access control checks.",
    ]


def test_call_without_the_key_gets_401_though_the_page_may_read_it(pod: PodProcess) -> None:
    call = {"origin": UI, "url": "https://models.example/v1", "method": "GET", "headers": ""}
    got = f"gets 401 key_missing: it lacks the header {KEY}."
    shown = answer(pod, call)
    assert shown[0] == f"No. The page may read the answer, but the call {got}"
    assert shown[1:3] == ["Fix: in the page's script", f"send the header {KEY}"]
    assert shown[3:5] == ["1. No preflight is needed.", f"2. The call {got}"]
    assert "console" not in "".join(shown)
    shown = answer(pod, call | {"key": "on"})
    assert shown[0] == "Yes. The call reaches a service, and the page may read the answer."
    assert "1. The preflight gets 204." in shown
    # The call that no route took asks with the key.
    pod.ask("POST", "/unrouted", {"Origin": UI, KEY: "secret-of-this-test"})
    page = pod.admin("/").text
    assert "secret-of-this-test" not in page
    asked = Reader(page).forms[0]
    assert asked["key"] == "True"
    assert answer(pod, asked)[:3] == [
        "Yes. The call reaches a service, and the page may read the answer.",
        "Refused with no_route all the same?",
        "No route of the gateway takes the call: meshcors explain says why.",
    ]


def test_simple_call_of_a_stranger_reaches_the_service_and_is_hidden(pod: PodProcess) -> None:
    call = {"origin": "https://evil.example", "url": "https://models.example/v1", "method": "GET"}
    shown = answer(pod, call)
    assert shown[0].startswith(
        "No. The browser hides the answer from the page: the policy does not"
    )
    assert f"2. The call gets 401 key_missing: it lacks the header {KEY}." in shown


RULE_FILE = {
    "rules": [
        {
            "hosts": ["models.example", "*.models.example"],
            "pathPrefix": "/v1",
            "corsPolicy": {
                "allowOrigins": [{"exact": UI}],
                "allowMethods": ["PUT"],
                "allowHeaders": ["x-a"],
                "exposeHeaders": ["x-model"],
                "allowCredentials": True,
                "maxAge": "1h30m",
            },
            "key": {"header": KEY, "exemptPaths": ["/v1/health"]},
        },
        {"hosts": ["docs.example"], "corsPolicy": {"allowOrigins": [{"exact": "*"}]}},
    ]
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rules") / "rules.json"
    path.write_text(json.dumps(RULE_FILE))
    return path


@pytest.fixture(scope="module")
def ruled(file: Path) -> Iterator[PodProcess]:
    with running("--workers", "2", policy=("--config", str(file))) as started:
        yield started


def test_policy_is_shown_in_words(ruled: PodProcess) -> None:
    lines = read(ruled).lines
    always = "accept, accept-language, content-language, content-type, range"
    assert lines[lines.index("Policy", lines.index("Check")) :] == [
        *("Policy", "The first rule that covers the host and path decides."),
        "models.example, *.models.example, /v1 and below",
        *("Origins", UI, "Methods", "GET, HEAD, POST, PUT", "Headers", f"{always}, x-a"),
        *("Key", f"{KEY}, required, except on /v1/health", "Credentials", "allowed"),
        *("Max age", "1 hour 30 minutes", "Scripts may read", "x-model"),
        "docs.example, every path",
        *("Origins", "any", "Methods", "GET, HEAD, POST", "Headers", always, "Key", "none"),
        *("Credentials", "not allowed", "Max age", "not set: browsers keep it for 5 seconds"),
        "all of it as JSON",
    ]


def test_fix_for_rules_names_the_rule_or_is_a_new_one(ruled: PodProcess) -> None:
    call = {"origin": "https://b.example", "url": "https://models.example/v1/x", "method": "PUT"}
    assert answer(ruled, call)[1:3] == [
        "Fix: add to the corsPolicy for models.example, *.models.example, /v1 and below",
        'allowOrigins: [{"exact": "https://b.example"}]',
    ]
    shown = answer(ruled, call | {"url": "https://x.example/"})
    assert shown[0].endswith("does not send the call: no rule covers the host and path.")
    assert shown[1:4] == [
        "Fix: add to the rules",
        '- hosts: ["x.example"]',
        'corsPolicy: {allowOrigins: [{"exact": "https://b.example"}], allowMethods: ["PUT"]}',
    ]
    shown = answer(
        ruled, call | {"origin": UI, "url": "https://docs.example/", "credentials": "on"}
    )
    assert shown[:3] == [
        "No. The browser does not send the call: the policy does not allow credentials.",
        "Before you allow it",
        "with credentials any site could act as the user: list the origins, or leave out"
        " allowCredentials, which bearer tokens do not need",
    ]
    null = {"origin": "null", "url": "https://models.example/v1/x"}
    assert "dangerouslyAllowNullOrigin" in answer(ruled, null)[2]


def test_refusals_of_all_workers_are_counted_together(ruled: PodProcess) -> None:
    before = time.time()
    fields = preflight_fields("https://workers.example") | {"Host": "models.example"}
    for _ in range(20):
        ruled.ask("OPTIONS", "/v1/workers", fields)
    ruled.await_(lambda: "\n20 times, last " in read(ruled).seen)
    seen = read(ruled).seen
    last = re.search(r"20 times, last \d+ seconds? ago \((\d\d:\d\d:\d\d) UTC\)", seen)
    assert last is not None
    shown = {f"{datetime.fromtimestamp(before + n, UTC):%H:%M:%S}" for n in range(30)}
    assert last[1] in shown


def test_page_says_when_the_last_reloads_were(ruled: PodProcess, file: Path) -> None:
    assert "read at start" in read(ruled).seen
    good = file.read_text()
    file.write_text(good.replace(UI, f"{UI}/<i>"))
    ruled.await_(lambda: "The last reload failed" in read(ruled).lines)
    page = read(ruled)
    at = page.lines.index("The last reload failed")
    assert re.fullmatch(r"\d+ seconds? ago \(\d\d:\d\d:\d\d UTC\)", page.lines[at + 1])
    assert page.lines[at + 2].startswith(f"{file}: rules[0].allowOrigins: {UI}/<i>: ")
    assert page.lines[at + 3] == "The previous configuration stays active."
    file.write_text(good.replace(UI, "https://new.example"))
    ruled.await_(lambda: "The last reload failed" not in read(ruled).lines)
    assert re.search(r"Configuration [0-9a-f]{12}, reloaded \d+ seconds? ago", read(ruled).seen)
    assert "https://new.example" in read(ruled).lines


def test_page_may_load_and_run_nothing(pod: PodProcess) -> None:
    policy = pod.admin("/").headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert not any("unsafe" in part for part in policy)


def test_page_shows_only_the_last_refusals(pod: PodProcess) -> None:
    # More than the log's burst: some are left out, and counted.
    for number in range(60):
        pod.ask("GET", f"/number-{number:02}")
    seen = read(pod).seen
    assert 0 < seen.count("/number-") <= 50
    assert re.search(r"\d+ more came too fast to be kept\.", seen)
    assert pod.metric("meshcors_refusals_left_out_of_log_total") > 0


@pytest.mark.parametrize(
    ("form", "status", "expected"),
    [
        pytest.param(f"origin={UI}&url=https://a.example/&key=on", 200, "Yes.", id="allowed"),
        pytest.param(
            f"origin={UI}&url=https://a.example/&method=PUT", 200, "the method", id="method"
        ),
        pytest.param("", 200, "No browser makes this call.", id="empty"),
        pytest.param("origin=%3Cscript%3E", 200, "&lt;script&gt;", id="markup"),
        pytest.param("origin=%ff%fe", 200, "No browser makes this call.", id="no UTF-8"),
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
        assert "h99<wbr>.example" in page
        assert "h100<wbr>.example" not in page
        assert "And 4,900 more" in page
        # The pod's own CPU time, whatever else the machine runs.
        pod.admin("/metrics")
        before = cpu_seconds(pod)
        for _ in range(20):
            pod.admin("/policy", "HEAD")
            pod.admin("/", "HEAD")
            pod.admin("/metrics", "HEAD")
        assert cpu_seconds(pod) - before < 20 * MOST_SECONDS


def test_page_is_bounded_whatever_the_policy_and_the_requests_hold(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    policy = {"allowOrigins": [f"https://{'a.' * 6}o{number}.example" for number in range(80)]}
    hosts = ([f"{'h.' * 6}{rule}-{number}.example" for number in range(60)] for rule in range(150))
    path.write_text(json.dumps({"rules": [{"hosts": h, "corsPolicy": policy} for h in hosts]}))
    with running(policy=("--config", str(path))) as pod:
        for number in range(60):
            worst = f"{number:03}{'&.' * 300}"
            pod.ask("OPTIONS", f"/{'.' * 300}", preflight_fields(worst, worst, worst))
        page = pod.admin("/")
    assert page.text.count(", and 30 more") == 100
    assert len(page.body) < 1_500_000


# For all three pages. Made anew each time, the policy and its hash alone took about 0.2 s.
MOST_SECONDS = 0.05


def cpu_seconds(pod: PodProcess) -> float:
    tasks = Path(f"/proc/{pod.process.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def test_one_client_with_many_requests_does_not_hold_up_the_probes(pod: PodProcess) -> None:
    count = 5000
    with socket.create_connection(("127.0.0.1", pod.admin_port), timeout=20) as client:
        client.sendall(b"HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * count)
        assert pod.admin("/healthz").status == 200
        client.setblocking(False)
        received = b""
        with contextlib.suppress(BlockingIOError):
            while len(received) < 10_000_000:
                received += client.recv(1 << 20)
        assert received.count(b"HTTP/1.1 ") < count


@pytest.mark.parametrize("accept", ["text/plain;version=a", "\xff", ";;;,=", "a" * 9000])
def test_metrics_are_shown_whatever_is_accepted(pod: PodProcess, accept: str) -> None:
    shown = request(("127.0.0.1", pod.admin_port), "GET", "/metrics", {"Accept": accept})
    assert shown.status == 200
    assert "exception" not in pod.stderr()


@pytest.mark.parametrize(
    ("site", "status"), [("same-origin", 200), ("none", 200), ("cross-site", 403), ("", 403)]
)
def test_form_of_another_site_is_refused(pod: PodProcess, site: str, status: int) -> None:
    fields = {"Sec-Fetch-Site": site, "Content-Type": "application/x-www-form-urlencoded"}
    address = ("127.0.0.1", pod.admin_port)
    assert request(address, "POST", "/", fields, "origin=a").status == status
