"""The page to look up a console's message: it is the model's, and what it says to write works.

Causes and fixes are those of ``meshcors doctor --console``: what holds here holds there.
"""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from meshcors import HeaderKey, MeshCORS, browser, config, create_app
from meshcors._doctor.console import read_console
from meshcors.browser import Request, Response, judge_preflight, judge_response, preflight_for
from meshcors.mesh import Gateway, GatewayRequest
from meshcors.mesh._lint import lint
from tests import console_page, written_pages
from tests.calling import Answered, call_asgi
from tests.console_page import CODES, EXAMPLES, OTHERS, PATH, Example

# Writes the page's index and messages anew instead of comparing them.
TEXT = PATH.read_text(encoding="utf-8")
SECTIONS = console_page.sections(TEXT)
LINT = Path(__file__).parent / "data" / "lint"
FIXED = [each for each in EXAMPLES if each.code != "network_error"]
EXAMPLE = pytest.mark.parametrize(
    "example", FIXED, ids=lambda each: f"{each.code}-{each.verdict.step}{'-2' * bool(each.note)}"
)


def rows(code: str) -> dict[str, str]:
    """The table of fixes of a section: where, and what to write."""
    return dict(re.findall(r"^\| (\w+) \| (.*) \|$", SECTIONS[code].text, re.MULTILINE))


def written(code: str, where: str) -> str | None:
    """What a row says to write, its first text in code; None where it names none."""
    begins = {"app": "MeshCORS(app", "pod": "--", "mesh": "corsPolicy: "}[where]
    found = re.match(r"`([^`]*)`", rows(code)[where])
    return found[1] if found and found[1].startswith(begins) else None


def test_the_page_is_what_the_model_prints() -> None:
    made = console_page.filled(TEXT)
    written_pages.check(PATH, made)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.code)
def test_an_example_fails_with_its_code(example: Example) -> None:
    assert example.verdict.code == example.code


def test_every_code_has_its_section() -> None:
    assert sorted(SECTIONS) == sorted(CODES)


@pytest.mark.parametrize("code", CODES)
def test_a_heading_is_the_stable_part_of_its_messages(code: str) -> None:
    for engine in console_page.ENGINES:
        heading = getattr(SECTIONS[code], engine).replace("\\*", "*")
        # Safari looks at a preflight's status first: there a code may have two messages.
        either = [".*".join(map(re.escape, each.split("…"))) for each in heading.split(", or ")]
        pattern = "|".join(either)
        examples = [each for each in EXAMPLES if each.code == code and not each.note]
        assert examples
        for example in examples:
            assert re.search(pattern, example.verdict.messages[engine]), heading


def test_only_what_is_no_fault_of_cors_has_no_fix() -> None:
    assert {code for code in CODES if not rows(code)} == {"network_error"}
    for code in {each.code for each in FIXED}:
        assert [where for where in ("app", "pod", "mesh") if where not in rows(code)] == []
        assert written(code, "app")
        assert written(code, "mesh")


@pytest.mark.parametrize(("code", "lines"), OTHERS.items())
def test_a_line_beside_cors_is_known_to_the_command(code: str, lines: str) -> None:
    whole = {
        "private_network": "Access to fetch at 'x' from origin 'y' has been blocked by CORS "
        "policy: Permission was denied for this request to access the `loopback` address space.",
        "mixed_content": "Blocked loading mixed active content \u201chttp://api.example/\u201d",
        "content_security_policy": "Connecting to 'https://api.example/' violates the following "
        "Content Security Policy directive",
        "error_status": "Failed to load resource: the server responded with a status of 404",
    }
    for line in [whole[code]] if code in whole else lines.split("; "):
        assert [each.code for each in read_console(line)] == [code]


def as_response(answered: Answered) -> Response:
    return Response(answered.status, answered.headers)


def fields_of(call: Request) -> list[tuple[str, str]]:
    return [*call.headers, ("origin", call.origin)]


def broken_app(example: Example) -> Any:
    """An app that answers as the example's server does."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        answer = example.preflight if scope["method"] == "OPTIONS" else example.response
        assert answer is not None
        raw = [(name.encode(), value.encode()) for name, value in answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        await send({"type": "http.response.body", "body": b""})

    return app


def called(app: Any, call: Request) -> tuple[Response, Response]:
    """What an app answers to the call's preflight, and to the call."""
    asked = preflight_for(call)
    assert asked is not None
    return (
        as_response(call_asgi(app, "OPTIONS", "/v1/predict", asked)),
        as_response(call_asgi(app, call.method, "/v1/predict", fields_of(call))),
    )


@EXAMPLE
def test_the_fix_in_the_app_lets_the_call_pass(example: Example) -> None:
    broken = broken_app(example)
    preflight, response = called(broken, example.call)
    assert browser.judge(example.call, preflight=preflight, response=response).code == example.code
    source = written(example.code, "app")
    assert source is not None
    names = {"MeshCORS": MeshCORS, "HeaderKey": HeaderKey, "app": broken}
    preflight, response = called(eval(source, names), example.call)
    assert browser.judge(example.call, preflight=preflight, response=response).allowed


@cache
def checked(flags: str) -> str:
    """The policy that the pod reads from its flags."""
    return subprocess.run(
        [sys.executable, "-m", "meshcors.dummy", *flags.split(), "--check"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout


@pytest.mark.parametrize("code", sorted({each.code for each in FIXED}))
def test_the_fix_in_the_pod_lets_the_preflight_pass(code: str, tmp_path: Path) -> None:
    flags = written(code, "pod")
    if flags is None:
        # A pod cannot add the header twice: it never answers a call that a service takes.
        assert code == "acao_multiple"
        return
    policy = tmp_path / "policy.json"
    policy.write_text(checked(flags))
    app = create_app(config.from_file(policy))
    for example in FIXED:
        if example.code == code:
            preflight, response = called(app, example.call)
            assert preflight.status == 204
            assert judge_preflight(example.call, preflight).allowed
            # no rule took the call: the page can read why
            assert response.status == 404
            assert judge_response(example.call, response).allowed


MESH = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: models}}
spec:
  hosts: [api.example]
  gateways: [public]
  http:
  - match: [{{method: {{exact: OPTIONS}}, headers: {{access-control-request-method: {{}}}}}}]
    {policy}
    route: [{{destination: {{host: model-xyz, port: {{number: 8000}}}}}}]
  - match: [{{headers: {{model-api-key: {{exact: xyz}}}}}}]
    {policy}
    route: [{{destination: {{host: model-xyz, port: {{number: 8000}}}}}}]
"""


def through(gateway: Gateway, example: Example) -> tuple[Response, Response]:
    """What a page sees of the example's server behind the gateway."""
    call, seen = example.call, []
    asked = preflight_for(call)
    assert asked is not None
    url = ("api.example", "/v1/predict")
    for method, fields, answer in (
        ("OPTIONS", asked, example.preflight),
        (call.method, fields_of(call), example.response),
    ):
        taken = gateway.handle(GatewayRequest(method, *url, fields))
        if taken.status is not None:
            seen.append(Response(taken.status, taken.headers))
        else:
            assert answer is not None
            seen.append(Response(answer.status, taken.response_headers(answer.headers)))
    return seen[0], seen[1]


@EXAMPLE
def test_the_fix_in_the_mesh_lets_the_call_pass(example: Example) -> None:
    pytest.importorskip("ruamel.yaml", reason="python -m pip install 'meshcors[cli]'")
    preflight, response = through(Gateway.from_yaml(MESH.format(policy="name: x")), example)
    assert browser.judge(example.call, preflight=preflight, response=response).code == example.code
    gateway = Gateway.from_yaml(MESH.format(policy=written(example.code, "mesh")))
    preflight, response = through(gateway, example)
    assert preflight.status == 200
    assert browser.judge(example.call, preflight=preflight, response=response).allowed


LINTED = [
    (code, rule)
    for code in CODES
    for rule in re.findall(r"\(lint/(mc\d+)\.md\)", rows(code).get("lint", ""))
]


@pytest.mark.parametrize(("code", "rule"), LINTED)
def test_what_a_lint_rule_finds_ends_in_the_message(code: str, rule: str) -> None:
    """On the rule's own file, or one with another value or `add` for `set`, some call ends so."""
    pytest.importorskip("ruamel.yaml", reason="python -m pip install 'meshcors[cli]'")
    if rule == "mc019":
        # What comes before routing is not in the model of the mesh; docs/mesh.md says so.
        return
    if rule == "mc000":
        option = {"methods_malformed": "allowMethods", "headers_malformed": "allowHeaders"}[code]
        value = (
            f'corsPolicy: {{allowOrigins: [{{exact: "{console_page.PAGE}"}}], {option}: ["A B"]}}'
        )
        findings = lint({"models.yaml": MESH.format(policy=value)})
        assert {each.rule.id for each in findings} == {"MC000"}
        return
    text = (LINT / f"{rule}_found.yaml").read_text(encoding="utf-8")
    assert code in {
        each
        for variant in (
            text,
            text.replace("set:", "add:"),
            text.replace('origin: "*"', f"origin: {console_page.OTHER}"),
        )
        for each in codes_on(variant)
    }


@cache
def codes_on(text: str) -> set[str]:
    """The codes in which calls through a file end, whatever its services say of CORS."""
    gateway = Gateway.from_yaml(text)
    hosts = re.findall(r"hosts: \[([\w.]+)\]", text)
    assert hosts
    codes: set[str] = set()
    for origin, host, path, method, headers, credentials, allowed in itertools.product(
        (console_page.PAGE, console_page.OTHER),
        hosts,
        ("/", "/a", "/old"),
        ("POST", "PUT"),
        ({"model-api-key": "xyz"}, {"content-type": "application/json"}, {"authorization": "1"}),
        ("omit", "include"),
        ({}, {console_page.ACAO: "*"}),
    ):
        call = Request(origin, f"https://{host}{path}", method, headers, credentials)
        asked = preflight_for(call)
        assert asked is not None
        seen = []
        for sent, fields in (("OPTIONS", asked), (method, fields_of(call))):
            taken = gateway.handle(GatewayRequest(sent, host, path, fields))
            status = 200 if taken.status is None else taken.status
            fields = taken.response_headers(list(allowed.items()))
            seen.append(Response(status, fields if taken.status is None else taken.headers))
        codes.add(browser.judge(call, preflight=seen[0], response=seen[1]).code)
    return codes
