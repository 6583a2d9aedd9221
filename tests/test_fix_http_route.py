"""``meshcors fix`` on HTTPRoutes: what is written, where, and what is refused."""

from __future__ import annotations

import io
import json
import random
import shlex
from collections import Counter
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from meshcors._cli import run
from meshcors._policy.place import Place
from meshcors.mesh import DocumentError, Gateway, GatewayRequest, read_documents
from meshcors.mesh._analysis.http_route_cors import cors_origin
from meshcors.mesh._analysis.origin_match import origin_match
from meshcors.mesh._documents.model import StringMatch, VirtualService
from meshcors.mesh._fix import FixOptions, Responder, fix, separate
from tests.http_route_generator import http_routes

PLACE = Place("a.yaml", 1, 1)
ORIGINS = ["https://ui.example", "https://*.ui.example", "http://localhost:3000", "https://*", "*"]


def route(rules: str, namespace: str = "web") -> VirtualService:
    text = (
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
        f"metadata: {{name: model, namespace: {namespace}}}\n"
        f"spec:\n  parentRefs: [{{name: public}}]\n  rules: {rules}\n"
    )
    (document,) = read_documents(text, "a.yaml")
    return document


@pytest.mark.parametrize("origin", ORIGINS)
def test_an_origin_is_written_as_it_was_read(origin: str) -> None:
    cors = f"{{type: CORS, cors: {{allowOrigins: ['{origin}']}}}}"
    (rule,) = route(f"[{{filters: [{cors}], backendRefs: [{{name: a, port: 80}}]}}]").http
    assert rule.cors_policy is not None
    assert [cors_origin(each) for each in rule.cors_policy.allow_origins] == [origin]


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("https://ui.example", "https://ui.example"),
        ("https://*.ui.example", "https://*.ui.example"),
        ("https://*.ui.example:8443", "https://*.ui.example:8443"),
        ("*", "*"),
        # The API has no pattern for ports, no regular expressions, and no null.
        ("http://localhost:*", None),
        ("regex:https://(a|b).example", None),
    ],
)
def test_an_origin_of_the_options_is_written_as_the_api_spells_it(
    given: str, written: str | None
) -> None:
    kind, value = origin_match(given)
    match = StringMatch("regex" if kind == "regex" else "exact", value, PLACE)
    assert cors_origin(match) == written


HEAD = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: model
  namespace: web
spec:
  parentRefs:
  - name: public
    sectionName: https  # not for http
    port: 443
  hostnames: [api.example]
  rules:
"""
# Comments, and two ways of writing.
MODEL = (
    HEAD
    + """\
  # the model xyz
  - matches:
    - path:
        type: PathPrefix
        value: /v1
      headers:
      - name: model-api-key
        value: xyz
    filters:
    - type: CORS
      cors:
        allowOrigins: [https://ui.example]  # only the UI
        allowHeaders: [model-api-key]
        allowMethods: [PUT]
        allowCredentials: true
        maxAge: 600
    backendRefs:
    - name: model-xyz
      port: 8000
"""
)
ASKS = (
    ("origin", "https://ui.example"),
    ("access-control-request-method", "PUT"),
    ("access-control-request-headers", "model-api-key"),
)
POD = "meshcors-dummy:8080"


def preflight(text: str, path: str = "/v1/chat", asks: tuple[tuple[str, str], ...] = ASKS) -> str:
    """Who answers a preflight: a service, or Envoy."""
    answer = Gateway.from_yaml(text).handle(GatewayRequest("OPTIONS", "api.example", path, asks))
    return answer.destination or answer.kind


def lines_of(text: str) -> list[str]:
    return text.splitlines()


def test_the_new_rules_are_all_that_changes() -> None:
    fixed = fix(MODEL, "a.yaml", FixOptions()).text
    first = """\
  # A browser's preflight names model-api-key but never carries it.
  - matches:
    - path: {type: PathPrefix, value: /v1}
      method: OPTIONS
      headers: [{type: RegularExpression, name: access-control-request-method, value: ".+"}]
    timeouts: {request: 2s}
    backendRefs: [{name: meshcors-dummy, port: 8080}]
"""
    last = """\
  # Requests that no other rule takes go to the pod, whose answers pages can read.
  - matches: [{path: {type: PathPrefix, value: /}}]
    backendRefs: [{name: meshcors-dummy, port: 8080}]
"""
    at = MODEL.index("  # the model xyz")
    assert fixed == MODEL[:at] + first + MODEL[at:] + last
    assert fix(fixed, "a.yaml", FixOptions()).text == fixed


@pytest.mark.parametrize(
    ("responder", "preflights", "others"),
    [("pod", POD, POD), ("both", "cors", POD), ("mesh", "cors", "no_route")],
)
def test_who_answers(responder: Responder, preflights: str, others: str) -> None:
    fixed = fix(MODEL, "a.yaml", FixOptions(responder)).text
    assert preflight(MODEL) == "no_route"
    assert preflight(fixed) == preflights
    gateway = Gateway.from_yaml(fixed)
    for headers, destination in (
        ((("model-api-key", "xyz"),), "model-xyz:8000"),
        ((("model-api-key", "abc"),), others),
    ):
        answer = gateway.handle(GatewayRequest("POST", "api.example", "/v1/chat", headers))
        assert (answer.destination or answer.kind) == destination


def test_the_gateway_allows_what_the_rule_allows() -> None:
    fixed = fix(MODEL, "a.yaml", FixOptions("mesh")).text
    new, own = read_documents(fixed)[0].http
    assert new.cors_policy is not None
    assert own.cors_policy is not None
    for field in ("allow_headers", "allow_methods", "allow_credentials", "max_age"):
        assert getattr(new.cors_policy, field) == getattr(own.cors_policy, field)
    assert [it.value for it in new.cors_policy.allow_origins] == ["https://ui.example"]
    assert new.route[0].host == "model-xyz"


JSON = (
    '{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "m"},'
    ' "spec": {"parentRefs": [{"name": "public"}], "rules": ['
    '{"matches": [{"headers": [{"name": "k", "value": "1"}]}],'
    ' "backendRefs": [{"name": "a", "port": 80}]}]}}\r\n'
)


def test_json_stays_json_and_line_breaks_stay() -> None:
    fixed = fix(JSON, "a.json", FixOptions(origins=(("exact", "https://ui.example"),))).text
    assert fixed.endswith("\r\n")
    assert fixed.startswith(JSON[: JSON.index('{"matches"')])
    assert preflight(fixed, "/x") == POD
    assert preflight(fix(MODEL.replace("\n", "\r\n"), "a", FixOptions()).text) == POD


# Another rule of the same path has a policy of its own.
NEIGHBOUR = """\
  - matches:
    - path: {type: PathPrefix, value: /v1}
    filters:
    - type: CORS
      cors: {allowOrigins: [https://other.example], allowHeaders: [content-type]}
    backendRefs: [{name: other, port: 80}]
"""


@pytest.mark.parametrize("responder", ["pod", "mesh", "both"])
def test_a_neighbour_keeps_its_preflights(responder: Responder) -> None:
    text = MODEL + NEIGHBOUR
    fixed = fix(text, "a.yaml", FixOptions(responder)).text
    theirs = (
        ("origin", "https://other.example"),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "content-type"),
    )
    gateway, before = Gateway.from_yaml(fixed), Gateway.from_yaml(text)
    request = GatewayRequest("OPTIONS", "api.example", "/v1/chat", theirs)
    assert gateway.handle(request).headers == before.handle(request).headers
    assert preflight(fixed) == (POD if responder == "pod" else "cors")
    # By the name of the header, which an HTTPRoute can ask for too.
    assert "name: access-control-request-headers" in fixed


def test_every_path_of_the_lost_calls_is_taken() -> None:
    more = MODEL.replace("value: /v1\n", "value: /v2\n").split("  rules:\n")[1]
    fixed = fix(MODEL + more, "a.yaml", FixOptions()).text
    assert [preflight(fixed, path) for path in ("/v1/x", "/v2")] == [POD, POD]
    (new, other, *_) = read_documents(fixed)[0].http
    assert (new.path, other.path) == (("spec", "rules", 0), ("spec", "rules", 0))


STAR = MODEL.replace("[https://ui.example]", "['*', https://ui.example]")


@pytest.mark.parametrize(
    ("origins", "written"),
    [
        (["https://ui.example"], "allowOrigins: ['https://ui.example', https://ui.example]"),
        (["https://*.b.example"], "allowOrigins: ['https://*.b.example', https://ui.example]"),
    ],
)
def test_any_site_with_credentials_is_closed(origins: list[str], written: str) -> None:
    options = FixOptions(origins=tuple(map(origin_match, origins)))
    with pytest.raises(DocumentError, match="--allow-origin"):
        fix(STAR, "a.yaml", FixOptions())
    fixed = fix(STAR, "a.yaml", options).text
    assert written in fixed
    assert preflight(fixed) == POD


@pytest.mark.parametrize(
    ("text", "options", "reason"),
    [
        pytest.param(
            STAR,
            FixOptions(origins=(origin_match("regex:https://(a|b).example"),)),
            "an HTTPRoute cannot allow every origin that a regular expression does; name origins",
            id="a regular expression",
        ),
        pytest.param(
            MODEL.split("    filters:")[0] + "    backendRefs: [{name: a, port: 80}]\n",
            FixOptions("mesh"),
            "no corsPolicy says which pages may call",
            id="no origin",
        ),
        pytest.param(
            MODEL,
            FixOptions(pod=("pod.cors.example.com", 80)),
            "pod.cors.example.com is not a Service, and an HTTPRoute routes only to Services",
            id="a host outside",
        ),
        pytest.param(
            MODEL + NEIGHBOUR.replace("/v1", "/other") * 14,
            FixOptions(),
            "the HTTPRoute would have 17 rules; 16 are allowed; move some rules to an HTTPRoute",
            id="too many rules",
        ),
    ],
)
def test_what_cannot_be_fixed_is_one_line_with_its_place(
    text: str, options: FixOptions, reason: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        fix(text, "a.yaml", options)
    assert str(caught.value).startswith("a.yaml:")
    assert reason in str(caught.value)


def test_the_limit_of_rules_counts_the_written_ones() -> None:
    text = MODEL + NEIGHBOUR.replace("/v1", "/other") * 13
    fixed = fix(text, "a.yaml", FixOptions()).text
    assert len({rule.path for rule in read_documents(fixed)[0].http}) == 16


@pytest.mark.parametrize(
    ("hosts", "refused"),
    [("", True), ("hostnames: [api.example]", True), ("hostnames: [other.example]", False)],
)
def test_a_document_that_cannot_be_read_may_have_calls_of_its_own(
    hosts: str, refused: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = HEAD.replace("  hostnames: [api.example]\n", f"  {hosts}\n" if hosts else "")
    file = tmp_path / "a.yaml"
    file.write_text(f"{MODEL}---\n{broken}  - matches: [{{method: FETCH}}]\n")
    assert run(["fix", str(file)]) == (2 if refused else 0)
    said = capsys.readouterr()
    assert ("could not be read, and has the host" in said.err) == refused
    assert (said.out == "") == refused


def test_another_document_beside_it() -> None:
    made = separate(MODEL, "a.yaml", FixOptions()).text
    (new,) = read_documents(made)
    (own,) = read_documents(MODEL)
    assert (new.kind, new.name, new.namespace) == ("HTTPRoute", "model-preflight", "web")
    assert (new.hosts, new.gateways) == (own.hosts, own.gateways)
    assert "  - name: public\n    sectionName: https\n    port: 443\n" in made
    assert preflight(f"{MODEL}---\n{made}") == POD


def test_a_file_with_both_kinds() -> None:
    service = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: vs}
spec:
  hosts: [vs.example]
  gateways: [web/public]
  http:
  - match: [{headers: {k: {exact: a}}}]
    route: [{destination: {host: a}}]
---
"""
    result = fix(service + MODEL, "a.yaml", FixOptions(origins=(("exact", "https://ui.example"),)))
    assert [each.service.kind for each in result.blocked] == ["VirtualService", "HTTPRoute"]
    assert preflight(result.text) == POD
    assert fix(result.text, "a.yaml", FixOptions()).text == result.text


@pytest.mark.parametrize(
    ("flags", "note"),
    [
        ([], False),
        (["--pod", "meshcors-dummy.web:8080"], False),
        (["--pod", "meshcors-dummy.cors.svc.cluster.local:8080"], True),
        (["--pod", "meshcors-dummy.cors:8080", "--with", "mesh"], False),
    ],
)
def test_a_pod_in_another_namespace_needs_a_grant(
    flags: list[str], note: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(MODEL)
    assert run(["fix", str(file), "--write", *flags]) == 0
    said = capsys.readouterr().err
    wanted = "note: web/model routes to another namespace: this needs a ReferenceGrant in cors"
    assert (wanted in said) == note
    assert ("namespace: cors" in file.read_text()) == note


def test_a_backend_that_is_no_service_is_named_in_full() -> None:
    """An InferencePool, say: Envoy answers preflights on the route to it."""
    pool = "name: model-xyz\n      group: inference.networking.k8s.io\n      kind: InferencePool"
    text = MODEL.replace("name: model-xyz\n      port: 8000", pool)
    fixed = fix(text, "a.yaml", FixOptions("mesh")).text
    assert fixed.count("kind: InferencePool") == 2
    assert preflight(fixed) == "cors"


def test_rules_that_are_merged_in_are_refused() -> None:
    text = HEAD.replace("  rules:\n", "  <<: &shared\n    rules:\n") + "".join(
        f"  {line}\n" for line in lines_of(MODEL.split("  rules:\n")[1])
    )
    assert read_documents(text)[0].http
    with pytest.raises(DocumentError, match="the rules of this document come from an alias"):
        fix(text, "a.yaml", FixOptions())


def test_what_explain_tells_to_run_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(MODEL)
    call = ["explain", str(file), "--host", "api.example", "--origin", "https://ui.example"]
    call += ["--path", "/v1/chat", "--method", "POST", "--header", "model-api-key: xyz"]
    assert run([*call, "--format", "json"]) == 1
    hint = json.loads(capsys.readouterr().out)["hint"]
    commands = [shlex.split(line.partition("meshcors ")[2]) for line in hint if "fix" in line]
    assert [command[3] for command in commands] == ["pod", "mesh"]
    for command in commands:
        file.write_text(MODEL)
        assert run([*(it.replace("HOST:PORT", POD) for it in command), "--write"]) == 0
        assert run(call) == 0
        capsys.readouterr()


def written(rng: random.Random) -> str:
    """HTTPRoutes in one of many styles, with comments."""
    documents = http_routes(rng)
    if rng.random() < 0.3:
        indent = rng.choice([None, 2])
        items = {"apiVersion": "v1", "kind": "List", "items": documents}
        return json.dumps(items if len(documents) > 1 else documents[0], indent=indent)
    yaml = YAML()
    yaml.width = rng.choice([20, 80, 1000])
    step, offset = rng.choice([(2, 0), (2, 2), (4, 0), (4, 2), (3, 1)])
    yaml.indent(mapping=step, sequence=offset + 2, offset=offset)
    yaml.default_flow_style = rng.random() < 0.3
    stream = io.StringIO()
    yaml.dump_all(documents, stream)
    lines = stream.getvalue().splitlines()
    for at in reversed(range(len(lines))):
        if rng.random() < 0.1 and (lines[at].lstrip().startswith("-") or lines[at].endswith(":")):
            lines.insert(at, f"{rng.choice(['', '  '])}# - rules: comment")
    return rng.choice(["\n", "\r\n"]).join([*lines, ""][: rng.choice([len(lines) + 1, -1])])


@pytest.mark.parametrize("responder", ["pod", "mesh", "both"])
def test_any_file_keeps_its_lines_and_stays_fixed(responder: Responder) -> None:
    options = FixOptions(responder, origins=(("exact", "https://ui.example"),))
    rng, counts = random.Random(11), Counter[str]()
    for _ in range(20):
        text = written(rng)
        try:
            fixed = fix(text, "a.yaml", options).text
        except DocumentError as error:
            counts["unwritten" if "touching" in str(error) else "refused"] += 1
            continue
        counts["same" if fixed == text else "fixed"] += 1
        assert kept(text, fixed)
        assert fix(fixed, "a.yaml", options).text == fixed
    assert counts["unwritten"] == 0
    assert counts["fixed"] > 8


def kept(text: str, fixed: str) -> bool:
    """Whether all characters of a text are in the fixed one, in order, with insertions alone."""
    left = iter(fixed)
    return all(any(char == other for other in left) for char in text)
