"""A rule is called unreached only where that is certain."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcors.mesh import Gateway
from meshcors.mesh._fix import FixOptions, fix
from meshcors.mesh._lint import lint
from meshcors.mesh._routing.matching import mismatches, takes_all_of
from tests.mesh_generator import spec
from tests.searching import examples
from tests.test_comparison import TO_A, TO_B, document
from tests.test_mesh_index import asked

CORS = "corsPolicy: {allowOrigins: [exact: https://b.example], unmatchedPreflights: IGNORE}"


@pytest.mark.parametrize(
    ("earlier", "rule", "unreached"),
    [
        ("uri: {prefix: /}", "uri: {regex: /x/.*}", True),
        ("uri: {regex: /.*}", "uri: {prefix: /x}", True),
        ("uri: {prefix: /x}", "uri: {prefix: /x/y}", True),
        ("uri: {prefix: /x}", "uri: {regex: /x/(a|b)}", True),
        ("uri: {regex: /x/.*}", "uri: {prefix: /x/y}", True),
        ("uri: {regex: /(a|b)}", "uri: {exact: /a}", True),
        ("uri: {regex: /(a|b)}", "uri: {regex: /(a|b)}", True),
        ("uri: {regex: /(a|b)}", "uri: {regex: /(a|c)}", False),
        ("uri: {regex: '/x|/x/.*'}", "uri: {prefix: /x}", False),
        ("uri: {exact: /x}", "uri: {prefix: /x}", False),
        ("uri: {prefix: /x}", "uri: {prefix: /x}, ignoreUriCase: true", False),
        ("uri: {prefix: /x}, ignoreUriCase: true", "uri: {prefix: /x}", False),
        ("headers: {k: {}}", "headers: {k: {exact: a}}", True),
        ("headers: {k: {exact: a}}", "headers: {k: {exact: a}, j: {}}", True),
        ("headers: {k: {regex: a|b}}", "headers: {k: {exact: a}}", True),
        ("headers: {k: {prefix: a}}", "headers: {k: {prefix: ab}}", True),
        ("headers: {k: {exact: a}}", "headers: {k: {regex: a|b}}", False),
        ("headers: {k: {exact: x}}", "headers: {k: {}}", False),
        ("headers: {k: {exact: a}}", "headers: {k: {prefix: a}}", False),
        ("headers: {x-forwarded-proto: {exact: https}}", "uri: {prefix: /x}", False),
        ("withoutHeaders: {k: {}}", "uri: {prefix: /x}", False),
        ("withoutHeaders: {k: {}}", "withoutHeaders: {k: {}}, uri: {prefix: /x}", True),
        ("method: {exact: POST}", "method: {regex: POST|GET}", False),
        ("queryParams: {q: {regex: '.*'}}", "queryParams: {q: {exact: a}}", True),
        ("queryParams: {q: {exact: a}}", "queryParams: {q: {regex: a|b}}", False),
        ("scheme: {exact: https}", "uri: {prefix: /x}", False),
    ],
)
def test_a_policy_behind_another_rule(earlier: str, rule: str, unreached: bool) -> None:
    text = document(f"match: [{{{earlier}}}]; {TO_A}", f"match: [{{{rule}}}]; {CORS}; {TO_B}")
    assert ("MC027" in {each.rule.id for each in lint({"a.yaml": text})}) is unreached


ROUTE = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: v, namespace: ns}
spec:
  parentRefs: [{name: g}]
  hostnames: [api.example]
  rules:
  - matches: [{path: {type: Exact, value: /v1}}]
    backendRefs: [{name: a, port: 80}]
  - matches:
    - path: {type: PathPrefix, value: /v1}
      method: OPTIONS
      headers: [{type: RegularExpression, name: access-control-request-method, value: .+}]
    backendRefs: [{name: pod, port: 80}]
"""


OLDER = document(f"match: [{{uri: {{prefix: /v1}}}}]; {TO_A}").replace(
    "metadata: {", "metadata: {namespace: ns, creationTimestamp: '2020-01-01T00:00:00Z', "
).replace("[gateway]", "[ns/g]")  # fmt: skip


@pytest.mark.parametrize(
    ("text", "hints"),
    [
        pytest.param(ROUTE, [], id="an exact path before it"),
        pytest.param(
            f"{OLDER}---\n{ROUTE}", ["give one of them a narrower match"], id="the same path"
        ),
    ],
)
def test_a_rule_for_preflights_behind_another_path(text: str, hints: list[str]) -> None:
    found = [each for each in lint({"a.yaml": text}) if each.rule.id == "MC016"]
    assert [each.hint for each in found] == hints


@pytest.mark.parametrize(
    "header",
    ["user-agent: {regex: '.*Mobile.*'}", "x-forwarded-for: {prefix: '10.'}",
     "x-envoy-internal: {exact: 'true'}"],
)  # fmt: skip
def test_what_every_request_carries_takes_the_preflight_along(header: str) -> None:
    listed = CORS.replace("],", "], allowHeaders: [content-type],")
    text = document(
        f"match: [{{headers: {{{header}}}}}]; {listed}; {TO_A}",
        f"{listed.replace('b.example', 'a.example')}; {TO_B}",
    )
    assert [str(each) for each in lint({"a.yaml": text})] == []
    assert fix(text, "a.yaml", FixOptions("mesh")).text == text


@examples(60)
@given(st.integers(0, 2**32))
def test_what_one_rule_is_said_to_take_it_takes(seed: int) -> None:
    made = spec(random.Random(seed), 12)
    gateway = Gateway.from_yaml(made.text)
    requests = [asked(each) for each in made.requests]
    for host in gateway.virtual_hosts(requests[0].port):
        for other in host.routes:
            taken = [it for it in requests if not any(mismatches(other.match, it))]
            for one in host.routes if taken else ():
                if takes_all_of(one.match, other.match):
                    assert not any(any(mismatches(one.match, it)) for it in taken)
