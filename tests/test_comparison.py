"""Whether an edit harms anybody: what the comparison of documents sees, and what it lets pass."""

from __future__ import annotations

import pytest

from meshcors.mesh._analysis.comparison import harmed_calls
from meshcors.mesh._analysis.lost_calls import lost_calls
from meshcors.mesh._analysis.mesh_documents import MeshDocuments
from meshcors.mesh._documents.reading import read_objects

KEY = "match: [{headers: {k: {exact: v}}}]"
TO_A = "route: [{destination: {host: a}}]"
TO_B = "route: [{destination: {host: b}}]"
TO_POD = "route: [{destination: {host: pod}}]"
CORS_A = "corsPolicy: {allowOrigins: [{exact: https://a.example}], allowHeaders: [k]}"
CORS_B = "corsPolicy: {allowOrigins: [{exact: https://b.example}], allowHeaders: [content-type]}"
PREFLIGHT = "method: {exact: OPTIONS}, headers: {access-control-request-method: {}"
ALL = f"match: [{{{PREFLIGHT}}}}}]"
NAMING_K = (
    f"match: [{{{PREFLIGHT}, access-control-request-headers: "
    "{regex: '(?i)(.*[, ])?k([, ].*)?'}}}]"
)
FROM_A_NAMING_K_ALONE = (
    f"match: [{{{PREFLIGHT.replace('{}', '{regex: POST|GET}')}, "
    "access-control-request-headers: {exact: k}, "
    "origin: {exact: https://a.example}}}]"
)


def document(*rules: str, name: str = "model", hosts: str = "api.example", more: str = "") -> str:
    lines = "".join("  - " + rule.replace("; ", "\n    ") + "\n" for rule in rules)
    return (
        f"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}}}\n"
        f"spec:\n  hosts: ['{hosts}']\n  gateways: [gateway]\n{more}  http:\n{lines}"
    )


def mesh(*documents: str) -> MeshDocuments:
    text = "---\n".join(documents)
    read = read_objects(text, "a.yaml").checked()
    return MeshDocuments(read.documents, read.others, {"a.yaml": text})


TWO = (f"{KEY}; {CORS_A}; {TO_A}", f"{CORS_B}; {TO_B}")
ALONE = (f"{KEY}; {CORS_A}; {TO_A}",)
WITHOUT = (f"{KEY}; {CORS_A}; {TO_A}", TO_B)


@pytest.mark.parametrize(
    ("before", "after", "harmed"),
    [
        pytest.param(TWO, TWO, "", id="nothing changes"),
        pytest.param(ALONE, (f"{ALL}; {TO_POD}", *ALONE), "", id="nobody else is there"),
        pytest.param(
            TWO, (f"{ALL}; {TO_POD}", *TWO),
            "POST https://api.example/ from https://b.example with content-type",
            id="the pod takes a policy's preflights",
        ),
        pytest.param(
            TWO, (f"{ALL}; {CORS_A}; {TO_A}", *TWO),
            "POST https://api.example/ from https://b.example with content-type",
            id="another policy refuses",
        ),
        pytest.param(
            TWO, (f"{NAMING_K}; {TO_POD}", *TWO),
            "POST https://api.example/ from https://stranger.invalid with k",
            id="a service might have answered",
        ),
        pytest.param(
            TWO, (f"{NAMING_K}; {TO_POD}", *TWO),
            "POST https://api.example/ from https://a.example with k, content-type",
            id="a service might have allowed more headers",
        ),
        pytest.param(TWO, (f"{FROM_A_NAMING_K_ALONE}; {TO_POD}", *TWO), "", id="only what is lost"),
        pytest.param(
            WITHOUT, (f"{ALL}; {TO_POD}", *WITHOUT),
            "POST https://api.example/ from https://stranger.invalid with k",
            id="a catch-all without a policy",
        ),
        pytest.param(
            (TO_B,), (f"{KEY}; {TO_A}", TO_B), "", id="a new rule that no sample call meets"
        ),
        pytest.param(
            (f"match: [{{uri: {{prefix: /v1}}}}]; {TO_B}", f"{KEY}; {TO_A}"),
            (f"{KEY}; {TO_A}", f"match: [{{uri: {{prefix: /v1}}}}]; {TO_B}"),
            "POST https://api.example/v1 from https://stranger.invalid with k",
            id="rules trade places",
        ),
        pytest.param(ALONE, (*ALONE, TO_POD), "", id="a last rule"),
        pytest.param(
            (TO_B,), (TO_POD, TO_B), "POST https://api.example/ from https://stranger.invalid",
            id="another service",
        ),
        pytest.param(
            (f"match: [{{uri: {{regex: /a/.*/x}}}}]; {CORS_B}; {TO_B}", f"{CORS_B}; {TO_B}"),
            (
                f"match: [{{uri: {{exact: /a/b/x}}, {PREFLIGHT}}}}}]; {TO_POD}",
                f"match: [{{uri: {{regex: /a/.*/x}}}}]; {CORS_B}; {TO_B}", f"{CORS_B}; {TO_B}",
            ),
            "POST https://api.example/a/b/x from https://b.example with content-type",
            id="at the path of the new rule",
        ),
    ],
)  # fmt: skip
def test_a_call_that_worked_is_found_if_it_is_harmed(
    before: tuple[str, ...], after: tuple[str, ...], harmed: str
) -> None:
    found = [str(each) for each in harmed_calls(mesh(document(*before)), mesh(document(*after)))]
    assert (harmed in found) if harmed else (found == []), found


def test_a_neighbour_in_another_document_is_seen() -> None:
    web = document(f"match: [{{uri: {{prefix: /web}}}}]; {CORS_B}; {TO_B}", name="web")
    before = mesh(document(*ALONE), web)
    after = mesh(document(f"{ALL}; {TO_POD}", *ALONE), web)
    (first, *_) = harmed_calls(before, after)
    assert first.exchange.answer.rule == "default/web http[0] match[0]"


def test_an_exact_host_can_take_the_calls_of_a_wildcard() -> None:
    """A document whose rules are for one port has no virtual host on another, until it gets one."""
    on_8080 = f"match: [{{port: 8080, headers: {{k: {{exact: v}}}}}}]; {TO_A}"
    web = document(TO_B, name="web", hosts="*.example")
    before = mesh(document(on_8080), web)
    after = mesh(document(on_8080, TO_POD), web)
    (first, *_) = harmed_calls(before, after)
    assert str(first) == "POST https://api.example/ from https://stranger.invalid"


@pytest.mark.parametrize(
    ("rules", "lost"),
    [
        pytest.param(ALONE, 1, id="no rule takes them"),
        pytest.param(WITHOUT, 1, id="they stray to another service"),
        pytest.param(TWO, 1, id="they stray, refused by another policy"),
        pytest.param(
            (ALONE[0], f"{CORS_B}; {TO_B}".replace("[c", "[k, c").replace("b.ex", "a.ex")), 0,
            id="another policy permits them",
        ),
        pytest.param(
            (ALONE[0], f"{CORS_B}; {TO_B}".replace("b.ex", "a.ex")), 1,
            id="another policy does not allow the header",
        ),
        pytest.param(
            (ALONE[0], f"{CORS_B}; {TO_B}".replace("]}", "], unmatchedPreflights: IGNORE}")), 1,
            id="another policy refuses the origin",
        ),
        pytest.param((f"{CORS_A}; {TO_A}",), 0, id="the rule's own policy answers"),
        pytest.param((f"{ALL}; {TO_POD}", *TWO), 0, id="a rule for preflights takes them"),
        pytest.param((f"{KEY}; {TO_A}",), 1, id="no policy, and no rule"),
        pytest.param((f"{KEY}; {TO_A}", TO_B), 0, id="no policy, but a service"),
        pytest.param(
            (f"match: [{{method: {{exact: PUT}}}}]; {CORS_A}; {TO_A}",), 1, id="by method"
        ),
        pytest.param(
            (f"match: [{{method: {{exact: GET}}}}]; {TO_A}",), 0, id="a call without a preflight"
        ),
        pytest.param(
            (ALONE[0], "redirect: {authority: elsewhere.example}"), 1, id="a redirect answers"
        ),
    ],
)  # fmt: skip
def test_calls_whose_preflights_get_no_permission_are_lost(
    rules: tuple[str, ...], lost: int
) -> None:
    assert len(list(lost_calls(mesh(document(*rules))))) == lost
