"""``meshcors render --beside``: the rendered documents take no call of the documents given."""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from meshcors import Policy, Rule, RuleSet
from meshcors._cli import run
from meshcors.mesh import Gateway, GatewayRequest, read_documents
from meshcors.mesh._analysis.mesh_documents import read_mesh
from meshcors.mesh._render.beside import HarmError, render_beside
from meshcors.mesh._render.http_routes import http_routes
from meshcors.mesh._render.names import RouteNames
from meshcors.mesh._render.virtual_services import virtual_services
from tests.mesh_generator import spec

Document = dict[str, Any]
FORMS = ("virtualservice", "httproute")
POD = "meshcors-dummy:8080"
UNMATCHED = "has no rule for unmatched requests: "
KEY = {"header": "model-api-key"}


def policy(*paths: str, hosts: list[str] | None = None) -> Document:
    shared: Document = {"corsPolicy": {"allowOrigins": ["https://ui.example"]}, "key": KEY}
    named = {"hosts": hosts} if hosts else {}
    return {"rules": [{**shared, **named, "pathPrefix": path} for path in paths]}


def document(
    form: str,
    name: str,
    match: Document | None = None,
    rule: Document | None = None,
    *,
    hosts: list[str] | None = None,
    created: str = "",
    gateway: str = "public",
) -> Document:
    """A document with one rule; ``match`` is in the words of its form."""
    metadata = {"name": name, **({"creationTimestamp": created} if created else {})}
    if form == "virtualservice":
        route = {"route": [{"destination": {"host": name, "port": {"number": 8000}}}]}
        made = {**({"match": [match]} if match else {}), **(rule or route)}
        spec: Document = {"hosts": hosts or ["*"], "gateways": [gateway], "http": [made]}
        version = "networking.istio.io/v1"
        kind = "VirtualService"
    else:
        backend = {"backendRefs": [{"name": name, "port": 8000}]}
        made = {**({"matches": [match]} if match else {}), **(rule or backend)}
        spec = {"parentRefs": [{"name": gateway}], "rules": [made]}
        spec |= {"hostnames": hosts} if hosts else {}
        version, kind = "gateway.networking.k8s.io/v1", "HTTPRoute"
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def by_key(form: str, value: str = "xyz") -> Document:
    if form == "virtualservice":
        return {"headers": {"model-api-key": {"exact": value}}}
    return {"headers": [{"name": "model-api-key", "value": value}]}


def by_path(form: str, path: str) -> Document:
    if form == "virtualservice":
        return {"uri": {"prefix": path}}
    return {"path": {"type": "PathPrefix", "value": path}}


def redirect(form: str) -> Document:
    if form == "virtualservice":
        return {"redirect": {"authority": "www.example"}}
    return {
        "filters": [{"type": "RequestRedirect", "requestRedirect": {"hostname": "www.example"}}]
    }


class Rendered:
    """What ``render --beside`` did."""

    def __init__(self, code: int, out: str, err: str, beside: list[Document]) -> None:
        self.code, self.out, self.err = code, out, err
        self._beside = beside

    def takes(self, method: str, path: str, *headers: tuple[str, str]) -> str | None:
        """Where a request goes with the rendered documents beside the others."""
        text = "\n---\n".join([*map(json.dumps, self._beside), self.out])
        request = GatewayRequest(method, "api.example", path, headers)
        return Gateway.from_yaml(text).handle(request).destination


@pytest.fixture
def beside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def render(form: str, config: Document, documents: list[Document], *flags: str) -> Rendered:
        (tmp_path / "policy.json").write_text(json.dumps(config))
        names = []
        for at, each in enumerate(documents):
            names += ["--beside", str(tmp_path / f"{at}.json")]
            Path(names[-1]).write_text(json.dumps(each))
        args = ["--config", str(tmp_path / "policy.json"), "--to", form]
        args += [] if "--gateway" in flags else ["--gateway", "public"]
        code = run(["render", *args, *names, *flags])
        said = capsys.readouterr()
        return Rendered(code, said.out, said.err, documents)

    return render


ASKS = (("origin", "https://ui.example"), ("access-control-request-method", "POST"))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("created", ["", "2020-01-01T00:00:00Z"])
def test_a_model_picked_by_its_key_alone_keeps_its_calls(
    form: str, created: str, beside: Any
) -> None:
    made = beside(form, policy("/v1"), [document(form, "model", by_key(form), created=created)])
    assert (made.code, made.err) == (0, "")
    assert made.takes("POST", "/v1/chat", ("model-api-key", "xyz")) == "model:8000"
    assert made.takes("POST", "/v1/chat", ("model-api-key", "abc")) == POD
    assert made.takes("OPTIONS", "/v1/chat", *ASKS) == POD


@pytest.mark.parametrize("form", FORMS)
def test_an_unmatched_rule_that_harms_is_left_out(form: str, beside: Any) -> None:
    """Nobody's preflight is answered by a redirect, so the rule for preflights stays."""
    others = [document(form, "model", by_key(form)), document(form, "home", rule=redirect(form))]
    made = beside(form, policy("/v1"), others)
    assert made.code == 0
    assert made.err.startswith(f"note: meshcors-dummy {UNMATCHED}default/home ")
    assert "1.json:1:" in made.err
    assert " takes POST https://any.example/" in made.err
    assert made.err.count("\n") == 1
    assert made.takes("OPTIONS", "/v1/chat", *ASKS) == POD
    assert made.takes("POST", "/v1/chat", ("model-api-key", "abc")) is None


def test_a_path_that_is_a_regular_expression_is_outranked_by_every_prefix(beside: Any) -> None:
    match = {"path": {"type": "RegularExpression", "value": "/v1/.+"}, **by_key("httproute")}
    made = beside("httproute", policy("/v1"), [document("httproute", "model", match)])
    assert made.code == 0
    assert UNMATCHED in made.err
    assert made.takes("POST", "/v1/chat", ("model-api-key", "xyz")) == "model:8000"


@pytest.mark.parametrize(
    "first",
    [
        pytest.param({"uri": {"exact": "/"}}, id="the root"),
        pytest.param({"method": {"regex": "GET|POST"}}, id="some methods"),
        pytest.param({"uri": {"regex": "/v1.*"}}, id="the policy's path"),
    ],
)
@pytest.mark.parametrize("match", [None, {"uri": {"regex": ".*"}}, {"uri": {"prefix": "/"}}])
def test_what_earlier_rules_leave_to_a_last_one_stays_there(
    first: Document, match: Document | None, beside: Any
) -> None:
    form = "virtualservice"
    others = [document(form, "a", first), document(form, "b", match, rule=redirect(form))]
    made = beside(form, policy("/v2"), others)
    assert made.code == 0
    assert f"{UNMATCHED}default/b " in made.err


def test_only_the_document_that_harms_loses_its_unmatched_rule(beside: Any) -> None:
    config = {
        "rules": [
            *policy("/", hosts=["a.example"])["rules"],
            *policy("/v1", hosts=["b.example"])["rules"],
        ]
    }
    form = "virtualservice"
    others = [
        document(form, "a", by_key(form), hosts=["a.example"]),
        document(form, "b", rule=redirect(form), hosts=["b.example"]),
    ]
    made = beside(form, config, others)
    assert made.code == 0
    assert made.err.startswith(f"note: meshcors-dummy-2 {UNMATCHED}default/b ")
    assert made.out.count("name: unmatched") == 1


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("created", ["", "2020-01-01T00:00:00Z"])
def test_a_preflight_that_a_service_answers_today_is_not_taken(
    form: str, created: str, beside: Any
) -> None:
    other = document(form, "search", by_path(form, "/v1"), created=created)
    made = beside(form, policy("/v1"), [other])
    assert (made.code, made.out) == (2, "")
    assert made.err.count("\n") == 1
    kind = "http" if form == "virtualservice" else "rules"
    assert f"--beside: default/search {kind}[0] match" in made.err
    assert " takes the preflight of POST https://any.example/v1" in made.err
    assert "give the policy other hosts or paths" in made.err


def test_what_the_rendered_rules_cannot_reach_is_said(beside: Any) -> None:
    """An older VirtualService takes the preflights of its own path first."""
    form = "virtualservice"
    cors = {"allowOrigins": [{"exact": "https://ui.example"}], "allowHeaders": ["model-api-key"]}
    to = {"route": [{"destination": {"host": "model", "port": {"number": 8000}}}]}
    old = "2020-01-01T00:00:00Z"
    match = {**by_key(form), **by_path(form, "/v1")}
    model = document(form, "model", match, {"corsPolicy": cors, **to}, created=old)
    site = document(form, "site", by_path(form, "/v1"), redirect(form), created=old)
    made = beside(form, policy("/v1"), [model, site])
    assert made.code == 0
    (note,) = [line for line in made.err.splitlines() if "still takes" in line]
    assert note.startswith("note: default/site http[0] match[0] (")
    assert note.endswith(
        "takes the preflights of any.example/v1: let meshcors fix add a rule there"
    )


def test_a_longer_path_keeps_its_preflights(beside: Any) -> None:
    """In the Gateway API it outranks the rule for preflights."""
    other = document("httproute", "search", by_path("httproute", "/v1/search"))
    made = beside("httproute", policy("/v1"), [other])
    assert (made.code, made.err) == (0, "")
    assert made.takes("OPTIONS", "/v1/search", *ASKS) == "search:8000"


@pytest.mark.parametrize("form", FORMS)
def test_a_host_of_its_own_would_hide_the_others_rules(form: str, beside: Any) -> None:
    other = document(form, "model", by_key(form), hosts=["*.example"])
    made = beside(form, policy("/v1", hosts=["api.example"]), [other])
    assert (made.code, made.out) == (2, "")
    assert "--beside: default/model " in made.err
    assert made.err.count("\n") == 1


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("own", "others", "said"),
    [
        pytest.param(
            None,
            {"shop": ["api.acme.io"]},
            "hosts '*' never gets requests for api.acme.io, which default/shop has; give the policy"
            " a rule with hosts: [api.acme.io]",
            id="any host",
        ),
        pytest.param(
            ["*.acme.io"],
            {"shop": ["api.acme.io"], "site": ["*.eu.acme.io", "other.io"]},
            "hosts '*.acme.io' never gets requests for api.acme.io, *.eu.acme.io, which"
            " default/shop and others have; give the policy a rule with hosts: [api.acme.io,"
            " *.eu.acme.io]",
            id="a wildcard",
        ),
        pytest.param(
            None,
            {"shop": [f"h{at}.acme.io" for at in range(7)]},
            "h4.acme.io and 2 more, which default/shop has; give the policy a rule with hosts:"
            " [h0.acme.io, h1.acme.io, h2.acme.io, h3.acme.io, h4.acme.io, …]",
            id="many",
        ),
        pytest.param(["api.acme.io"], {"shop": ["api.acme.io"]}, "", id="the same host"),
        pytest.param(None, {"shop": []}, "", id="any host beside any host"),
    ],
)
def test_hosts_that_more_specific_ones_hide_are_named(
    form: str, own: list[str] | None, others: dict[str, list[str]], said: str, beside: Any
) -> None:
    documents = [document(form, name, by_key(form), hosts=of) for name, of in others.items()]
    made = beside(form, policy("/v1", hosts=own), documents)
    assert made.code == 0
    assert made.err.endswith(f"{said}\n" if said else "")
    assert made.err.count("never gets") == bool(said)
    # the model agrees: the pod gets no preflight of such a host
    if said and own is None:
        text = "\n---\n".join([*map(json.dumps, documents), made.out])
        asked = GatewayRequest("OPTIONS", next(iter(others.values()))[0], "/v1/chat", ASKS)
        assert Gateway.from_yaml(text).handle(asked).destination != POD
    elsewhere = document(form, "far", hosts=["far.acme.io"], gateway="other")
    assert beside(form, policy("/v1", hosts=own), [*documents, elsewhere]).err == made.err


@pytest.mark.parametrize("form", FORMS)
def test_a_rule_for_the_hidden_host_is_what_the_note_asks_for(form: str, beside: Any) -> None:
    other = document(form, "shop", by_key(form), hosts=["api.acme.io"])
    config = {
        "rules": [
            *policy("/v1", hosts=["api.acme.io"])["rules"],
            *policy("/v1")["rules"],
        ]
    }
    made = beside(form, config, [other])
    assert (made.code, made.err) == (0, "")
    text = "\n---\n".join([json.dumps(other), made.out])
    asked = GatewayRequest("OPTIONS", "api.acme.io", "/v1/chat", ASKS)
    assert Gateway.from_yaml(text).handle(asked).destination == POD


@pytest.mark.parametrize("form", FORMS)
def test_what_is_rendered_again_takes_its_own_place(form: str, beside: Any) -> None:
    model = document(form, "model", by_key(form))
    first = beside(form, policy("/v1"), [model])
    before = next(iter(Gateway.from_yaml(first.out).documents))
    assert before.name == "meshcors-dummy"
    again, *_ = YAML(typ="safe", pure=True).load_all(first.out)
    for paths in (["/v1"], ["/v2"]):
        made = beside(form, policy(*paths), [model, again])
        assert (made.code, made.err) == (0, "")
    assert "/v2" in made.out


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("kind: [", "1:8:", id="broken"),
        pytest.param("apiVersion: v1\nkind: Service\n", "--gateway: none", id="no routes"),
        pytest.param(
            json.dumps(document("virtualservice", "model", gateway="other")),
            "--gateway: none of the documents of --beside is bound to default/public; name one of"
            " default/other",
            id="another gateway",
        ),
        pytest.param(
            json.dumps(document("virtualservice", "model", {"uri": {"regex": "("}})),
            "regex",
            id="one that Istio refuses",
        ),
        pytest.param(
            json.dumps(
                document(
                    "virtualservice",
                    "model",
                    {"uri": {"prefix": "/v1"}},
                    {"delegate": {"name": "d"}},
                )
            ),
            "delegate",
            id="one whose rules are elsewhere",
        ),
    ],
)
def test_what_cannot_be_proved_is_one_line(
    text: str, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "policy.json").write_text(json.dumps(policy("/v1")))
    other = tmp_path / "other.yaml"
    other.write_text(text)
    args = ["--config", str(tmp_path / "policy.json"), "--to", "virtualservice"]
    assert run(["render", *args, "--gateway", "public", "--beside", str(other)]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert line in said.err


def test_a_gateway_of_another_namespace_is_named_in_full(beside: Any) -> None:
    model = document("virtualservice", "model", by_key("virtualservice"), gateway="web/public")
    assert beside("virtualservice", policy("/"), [model]).code == 2
    made = beside("virtualservice", policy("/"), [model], "--gateway", "web/public")
    assert made.code == 0
    made = beside("virtualservice", policy("/"), [model], "--namespace", "web")
    assert made.code == 0
    assert "  namespace: web\n" in made.out


def test_a_missing_file_is_not_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may be a secret that was pasted into the wrong place."""
    (tmp_path / "policy.json").write_text(json.dumps(policy("/v1")))
    args = ["--config", str(tmp_path / "policy.json"), "--to", "httproute", "--beside", "s3cret"]
    assert run(["render", *args]) == 2
    message = "meshcors: --beside: No such file or directory; pass a readable file\n"
    assert capsys.readouterr().err == message


def test_a_dump_is_read_from_standard_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``kubectl get virtualservice,httproute -A -o yaml | meshcors render --beside -``."""
    (tmp_path / "policy.json").write_text(json.dumps(policy("/v1")))
    items = [document("httproute", "home", rule=redirect("httproute"))]
    dump = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(dump.encode())))
    args = ["--config", str(tmp_path / "policy.json"), "--to", "httproute", "--gateway", "public"]
    assert run(["render", *args, "--beside", "-"]) == 0
    assert f"{UNMATCHED}default/home " in capsys.readouterr().err


def test_a_directory_is_read_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "policy.json").write_text(json.dumps(policy("/v1")))
    mesh = tmp_path / "mesh"
    mesh.mkdir()
    for form, name in (("virtualservice", "a.yaml"), ("httproute", "b.json")):
        (mesh / name).write_text(json.dumps(document(form, name[0], rule=redirect(form))))
    args = ["--config", str(tmp_path / "policy.json"), "--to", "virtualservice"]
    assert run(["render", *args, "--gateway", "public", "--beside", str(mesh)]) == 0
    assert UNMATCHED in capsys.readouterr().err


# --- generated documents


def some_rules(rng: random.Random) -> RuleSet:
    allowed = Policy(allow_origins=["https://ui.example"])
    hosts = rng.choice([None, None, ["api.example.com"], ["*.example.com"]])
    paths = rng.choice([["/"], ["/a"], ["/v1"], ["/a", "/v1"], ["/z"]])
    return RuleSet([Rule(allowed, hosts=hosts, path_prefix=path) for path in paths])


def texts(rules: RuleSet, form: str, without: Collection[str] = ()) -> str:
    names = RouteNames("meshcors-dummy", "gate", ("meshcors-dummy", 8080), "ns")
    make = http_routes if form == "httproute" else partial(virtual_services, responder="pod")
    return "\n---\n".join(map(json.dumps, make(rules, names, without_unmatched=without)))


def moved(text: str, rendered: str, requests: list[GatewayRequest]) -> Iterator[bool]:
    """Whether each request goes elsewhere with the rendered documents, the oldest or youngest."""
    documents, ours = read_documents(text), read_documents(rendered)
    for name in {name for each in documents for name in each.gateways}:
        before = Gateway(documents, name)
        for age in ("0", "~~"):
            after = Gateway((*documents, *(replace(each, created=age) for each in ours)), name)
            for request in requests:
                if (today := before.handle(request)).route is not None:
                    yield after.handle(request).rule != today.rule


def test_no_request_of_generated_documents_changes_hands() -> None:
    """Of what the documents take, only preflights may go to the pod."""
    counts: Counter[str] = Counter()
    for seed in range(300):
        rng = random.Random(seed)
        made = spec(rng, 20)
        rules, form = some_rules(rng), rng.choice(FORMS)
        # What a rule takes from a page only without a header is not sampled.
        if "withoutHeaders" in made.text:
            continue
        try:
            rendered, without = render_beside(
                partial(texts, rules, form), read_mesh({"mesh.yaml": made.text})
            )
        except HarmError:
            counts["refused"] += 1
            continue
        counts["without unmatched" if without else "whole"] += 1
        requests = [
            GatewayRequest(it["method"], it["host"], it["path"], it["headers"], scheme)
            for it in made.requests
            for scheme in ("http", "https")
            if it["method"] != "OPTIONS"
        ]
        results = list(moved(made.text, rendered, requests))
        assert not any(results), seed
        counts["requests"] += len(results)
    print(dict(counts))
    assert min(counts["refused"], counts["without unmatched"], counts["whole"]) > 10
    assert counts["requests"] > 1000
