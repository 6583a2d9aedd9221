"""A gateway for tests: a page's calls through a real Envoy, by the documents' own host names."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshcors.browser import PreflightCache, Request
from meshcors.mesh import DocumentError
from meshcors.testing import (
    EnvoyError,
    MeshGateway,
    PodError,
    PreflightPod,
    assert_allowed,
    assert_blocked,
    story,
)
from tests.e2e.envoy import require_envoy
from tests.raw_servers import RawServer, raw_server, say

if TYPE_CHECKING:
    from collections.abc import Iterator

ORIGIN = "https://ui.example"
SECRET = "s3cret-key"
ACAO = "access-control-allow-origin"
DATA = Path(__file__).parents[1] / "data"

DOCUMENTS = f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: model, namespace: team}}
spec:
  hosts: [api.example, "*.models.example"]
  gateways: [ingress/public]
  http:
  - name: encrypted
    match: [{{uri: {{exact: /scheme}}, scheme: {{exact: https}}}}]
    directResponse: {{status: 200, body: {{string: https}}}}
  - match: [{{uri: {{exact: /port}}, port: 80}}]
    directResponse: {{status: 201}}
  - match: [{{uri: {{exact: /moved}}}}]
    redirect: {{authority: eu.models.example, uri: /v1/}}
  - name: open
    match: [{{uri: {{prefix: /open}}}}]
    corsPolicy: {{allowOrigins: [{{exact: "{ORIGIN}"}}], allowMethods: [PUT], maxAge: 10m}}
    route: [{{destination: {{host: model, port: {{number: 8000}}}}}}]
  - name: preflight
    match: [{{method: {{exact: OPTIONS}}, headers: {{access-control-request-method: {{}}}}}}]
    route: [{{destination: {{host: meshcors-dummy, port: {{number: 8080}}}}}}]
  - name: keyed
    match: [{{uri: {{prefix: /v1}}, headers: {{model-api-key: {{exact: {SECRET}}}}}}}]
    route: [{{destination: {{host: model.team.svc.cluster.local, port: {{number: 8000}}}}}}]
"""
OK = f"HTTP/1.1 200 OK\nAccess-Control-Allow-Origin: {ORIGIN}\nConnection: close\n\nhi"
POLICY = {
    "allowOrigins": [ORIGIN],
    "allowHeaders": ["model-api-key"],
    "maxAge": 600,
}


@pytest.fixture(scope="module")
def model() -> Iterator[RawServer]:
    with raw_server(say(OK)) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(model: RawServer) -> Iterator[MeshGateway]:
    require_envoy()
    with PreflightPod(POLICY) as pod:
        services: dict[str, int | str] = {"meshcors-dummy": pod.port, "model:8000": model.port}
        with MeshGateway(DOCUMENTS, services) as running:
            yield running


def page(path: str, method: str = "GET", scheme: str = "https", **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(ORIGIN, f"{scheme}://api.example{path}", method, named)


# Path, method, scheme, headers: the verdict, the rule of the last request and its status.
CALLS: list[tuple[str, str, str, dict[str, str], str, str | None, int]] = [
    ("/v1/a?k=v", "POST", "https", {"model_api_key": SECRET}, "allowed", "keyed", 200),
    ("/v1/a", "POST", "https", {"model_api_key": "other"}, "acao_missing", None, 404),
    ("/v1/a", "POST", "https", {"x_other": "a"}, "header_not_allowed", "preflight", 204),
    ("/open", "PUT", "https", {}, "allowed", "open", 200),
    ("/open", "PUT", "http", {}, "allowed", "open", 200),
    ("/scheme", "GET", "https", {}, "acao_missing", "encrypted", 200),
    ("/scheme", "GET", "http", {}, "acao_missing", None, 404),
    ("/port", "GET", "http", {}, "acao_missing", "http[1]", 201),
    ("/port", "GET", "https", {}, "acao_missing", None, 404),
]


@pytest.mark.parametrize(("path", "method", "scheme", "headers", "code", "rule", "status"), CALLS)
def test_a_call_is_routed_as_the_documents_say(
    gateway: MeshGateway,
    path: str,
    method: str,
    scheme: str,
    headers: dict[str, str],
    code: str,
    rule: str | None,
    status: int,
) -> None:
    made = gateway.fetch(page(path, method, scheme, **headers))
    assert made.verdict.code == code
    last = made.requests[-1]
    assert (last.status, last.path, last.scheme) == (status, path.partition("?")[0], scheme)
    names = {"keyed": 5, "preflight": 4, "open": 3, "encrypted": 0, "http[1]": 1}
    expected = None if rule is None else f"team/model http[{names[rule]}] match[0]"
    assert (last.rule, made.rule) == (expected, expected)


def test_the_requests_say_where_each_went(gateway: MeshGateway) -> None:
    made = gateway.fetch(page("/v1/a", "POST", model_api_key=SECRET))
    assert [(each.method, each.destination) for each in made.requests] == [
        ("OPTIONS", "meshcors-dummy:8080"),
        ("POST", "model.team.svc.cluster.local:8000"),
    ]
    assert gateway.requests[-2:] == made.requests


def test_the_services_get_the_documents_host(gateway: MeshGateway, model: RawServer) -> None:
    gateway.fetch(page("/open"))
    assert b"\r\nhost: api.example\r\n" in model.requests[-1]


def test_a_redirect_to_another_host_of_the_documents_stays_in_the_gateway(
    gateway: MeshGateway,
) -> None:
    request = Request("https://api.example", "https://api.example/moved")
    made = gateway.fetch(request)
    assert [each.host for each in made.requests] == ["api.example", "eu.models.example"]
    assert made.verdict.code == "acao_missing"


def test_a_preflight_is_remembered(gateway: MeshGateway) -> None:
    cache = PreflightCache()
    made = [gateway.fetch(page("/open", "PUT"), cache=cache) for _ in range(2)]
    assert [call.preflight is not None for call in made] == [True, False]


def test_a_plain_client_reaches_it_by_its_url(gateway: MeshGateway) -> None:
    from meshcors.testing import Wire

    with Wire() as wire:
        url = gateway.url("api.example.localhost", "/scheme")
        assert wire.exchange("GET", url, ()).kind == ""
        exchange = wire.exchange("GET", gateway.url(path="/open"), ())
    assert exchange.response is not None
    assert exchange.response.status == 404  # no document has this host


def test_the_assertions_tell_the_story(gateway: MeshGateway) -> None:
    made = gateway.fetch(page("/v1/a?token=hidden", "POST", model_api_key="not-the-key"))
    with pytest.raises(AssertionError) as caught:
        assert_allowed(made)
    text = str(caught.value)
    assert text == story(made)
    assert text.startswith(
        "The browser blocks the call: acao_missing, in the answer to the request"
    )
    for part in (
        "  OPTIONS https://api.example/v1/a?…: 204, HTTP/1.1\n",
        "    access-control-allow-headers: ",
        "  In the gateway, OPTIONS /v1/a: team/model http[4] match[0] took it, which leads to",
        "  In the gateway, POST /v1/a: no rule took it (Envoy's flags: NR).",
        "As `meshcors explain` tells it, with these answers:",
        '"keyed" (<documents>:',
        "Chromium: Access to fetch at 'https://api.example/v1/a?…' from origin",
        "Why: ",
        "Fix: ",
    ):
        assert part in text
    for hidden in ("not-the-key", SECRET, "token", "/tmp/"):
        assert hidden not in text
    assert_blocked(made, "acao_missing", step="response")
    with pytest.raises(AssertionError, match=r"^The call should be blocked with acao_multiple\.\n"):
        assert_blocked(made, "acao_multiple")


def test_a_service_without_cors_is_the_cause(model: RawServer) -> None:
    require_envoy()
    with (
        raw_server(say("HTTP/1.1 200 OK\nConnection: close\n\n")) as bare,
        PreflightPod(POLICY) as pod,
        MeshGateway(DOCUMENTS, {"model": bare.port, "meshcors-dummy": pod.port}) as running,
    ):
        text = story(running.fetch(page("/v1/a", model_api_key=SECRET)))
    assert "  GET https://api.example/v1/a: 200, HTTP/1.1\n" in text
    assert (
        "Why: team/model http[5] match[0] (<documents>:24:13) has no corsPolicy: "
        "model.team.svc.cluster.local:8000 answers, without CORS headers.\n" in text
    )
    assert f"Fix: model.team.svc.cluster.local:8000 must send {ACAO}: {ORIGIN}.\n" in text
    assert "--config" not in text


def test_a_service_that_the_test_did_not_start_is_the_cause(model: RawServer) -> None:
    require_envoy()
    with MeshGateway(DOCUMENTS, {"model": model.port}) as running:
        text = story(running.fetch(page("/v1/a", model_api_key=SECRET)))
    assert "OPTIONS https://api.example/v1/a: 503, HTTP/1.1" in text
    assert "(Envoy's flags: UH)" in text
    assert "Why" not in text
    assert text.endswith("  Fix: Nothing answers for meshcors-dummy:8080: give it in services.")


MISTAKES: list[tuple[Any, dict[str, int | str], type[Exception], str]] = [
    (DOCUMENTS, {"modell:8000": 80}, ValueError, "services: modell:8000: unknown; did you mean"),
    (DOCUMENTS, {"model": 0}, ValueError, "services: model: write a port or http://HOST:PORT"),
    (DOCUMENTS, {"model": "https://a:1"}, ValueError, "services: model: write a port or http"),
    (DOCUMENTS, {"model": "a:b"}, ValueError, "services: model: write a port or http"),
    ("no-such.yaml", {}, DocumentError, "no-such.yaml:1:1: No such file or directory; name a"),
    (DOCUMENTS.replace("hosts:", "hots:"), {}, DocumentError, "<documents>:6:9: spec.hots"),
    ("a: 1\n", {}, DocumentError, "<documents>:1:1: "),
    ([DATA / "policy.yaml"], {}, DocumentError, "policy.yaml:1:1: "),
]


@pytest.mark.parametrize(("documents", "services", "error", "line"), MISTAKES)
def test_a_mistake_is_one_clear_line(
    documents: Any, services: dict[str, int | str], error: type[Exception], line: str
) -> None:
    require_envoy()
    with pytest.raises(error) as caught:
        MeshGateway(documents, services)
    assert line in str(caught.value)


def test_documents_are_read_from_files_and_directories(tmp_path: Path, model: RawServer) -> None:
    require_envoy()
    nested = tmp_path / "k8s" / "base"
    nested.mkdir(parents=True)
    (nested / "routes.yaml").write_text(DOCUMENTS, encoding="utf-8")
    (nested / "values.yaml").write_text("replicas: 1\n", encoding="utf-8")
    (tmp_path / "k8s" / ".hidden.yaml").write_text("{", encoding="utf-8")
    address = f"http://127.0.0.1:{model.port}/"
    with MeshGateway([tmp_path / "k8s"], {"model": address}) as running:
        assert_allowed(running.fetch(page("/open", "PUT")))


def test_an_http_route_is_routed_too(model: RawServer) -> None:
    require_envoy()
    services: dict[str, int | str] = {"model-xyz": model.port, "docs": model.port}
    with MeshGateway(DATA / "http_route.yaml", services) as running:
        made = running.fetch(page("/v1", model_api_key="xyz"))
    # the preflight goes to the documentation, whose answer does not name the header
    assert [each.rule for each in made.requests] == ["default/model rules[1] matches[0]"]
    assert_blocked(made, "header_not_allowed", step="preflight")


def test_other_documents_and_services_take_over_at_the_same_address(model: RawServer) -> None:
    require_envoy()
    with MeshGateway(DOCUMENTS) as running:
        ports = running.ports
        assert running.fetch(page("/open")).requests[0].flags == "UH"
        running.replace(services={"model": model.port})
        assert_allowed(running.fetch(page("/open")))
        running.replace(DOCUMENTS.replace(ORIGIN, "https://other.example"))
        assert_blocked(running.fetch(page("/open", "PUT")), "method_not_allowed", step="preflight")
        with pytest.raises(DocumentError):
            running.replace("a: 1\n")
        assert_blocked(running.fetch(page("/open", "PUT")), "method_not_allowed", step="preflight")
        assert running.ports == ports


def test_an_envoy_that_has_ended_is_noticed() -> None:
    require_envoy()
    with MeshGateway(DOCUMENTS) as running:
        os.kill(running._envoy.pid, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while not running._envoy.has_ended and time.monotonic() < deadline:
            time.sleep(0.02)
        with pytest.raises(EnvoyError, match="Envoy has ended"):
            running.fetch(page("/open"))


def test_a_pod_reads_a_file_and_refuses_a_wrong_policy() -> None:
    with PreflightPod(DATA / "policy.yaml") as pod:
        assert f"port {pod.port}\n" in pod.log
    with pytest.raises(PodError, match=r"the pod has ended: .*allowOrigins"):
        PreflightPod({"allowOrigins": ["ui.example"]})
