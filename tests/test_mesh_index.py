"""An index finds what a plain scan finds, and work grows no faster than the input."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcors import mesh
from meshcors.mesh import DocumentError, Gateway, GatewayRequest
from meshcors.mesh._analysis import mesh_documents
from meshcors.mesh._documents import reading
from meshcors.mesh._documents.checks import covered_hosts
from meshcors.mesh._documents.problems import DocumentProblem
from meshcors.mesh._documents.yaml_nodes import parse_each
from meshcors.mesh._fix import FixOptions, fix
from meshcors.mesh._lint import lint
from meshcors.mesh._routing.index import HostIndex
from meshcors.mesh._routing.matching import compiled, mismatches, without_port
from meshcors.mesh._routing.routes import RouteTable, VirtualHost
from tests.bench.bench_toolbox import SHAPES, VERBS, Shape
from tests.mesh_cases import CASES, to, vs
from tests.mesh_generator import spec
from tests.searching import examples

MESH = Path(mesh.__file__).parent
WISH = FixOptions(origins=(("exact", "https://ui.example"),))
SEEDS = st.integers(0, 2**32)
# Some hosts cover others, some route alike.
HOSTS = (
    "*", "*.example.com", "api.example.com", "*.b.example.com", "*-x.example.com", "a.test",
    "any.example.com", "any.example", "b.example.com", "x.b.example.com", "API.example.com", "*a",
)  # fmt: skip
AUTHORITIES = (*HOSTS, "", "example.com", ".example.com", "y-x.example.com", "a.test:80", "B.Test")


def asked(each: Mapping[str, Any]) -> GatewayRequest:
    return GatewayRequest(
        each["method"], each["host"], each["path"], each["headers"], scheme="http"
    )


def assert_first_is_that_of_a_scan(gateway: Gateway, sent: GatewayRequest) -> None:
    for host in gateway.virtual_hosts(sent.port):
        found = host.table.index
        plain = [it for it in host.routes if not any(mismatches(it.match, sent))]
        assert found.first(sent) is next(iter(plain), None)
        candidates = [id(it) for it in found.candidates(sent)]
        assert candidates == [id(it) for it in host.routes if id(it) in set(candidates)]
        assert {id(it) for it in plain} <= set(candidates)


@examples(60)
@given(SEEDS)
def test_the_first_route_is_that_of_a_plain_scan(seed: int) -> None:
    made = spec(random.Random(seed), 12)
    gateway = Gateway.from_yaml(made.text)
    for each in made.requests:
        assert_first_is_that_of_a_scan(gateway, asked(each))


def test_the_first_route_of_every_case_is_that_of_a_plain_scan() -> None:
    for case in CASES:
        sent = GatewayRequest(case.method, case.host, case.path, case.headers, scheme="http")
        assert_first_is_that_of_a_scan(Gateway.from_yaml(case.text), sent)


@pytest.mark.parametrize("lines", [("a", "k7"), ("k7", "a"), ("k7",), ("a",), ()])
def test_lines_of_one_header_are_looked_up_one_by_one(lines: tuple[str, ...]) -> None:
    rules = "\n".join(
        f"{{match: [{{headers: {{x-key: {{exact: k{n}}}}}}}], {to('two')}}}" for n in range(9)
    )
    gateway = Gateway.from_yaml(vs(rules))
    sent = GatewayRequest("GET", "a", "/", [("x-key", line) for line in lines])
    assert_first_is_that_of_a_scan(gateway, sent)
    taken = "ns/a http[7] match[0]" if "k7" in lines else None
    assert gateway.handle(sent).rule == taken


@given(st.lists(st.sampled_from(HOSTS), unique_by=str.lower), st.sampled_from(AUTHORITIES))
def test_the_virtual_host_is_that_of_a_plain_scan(domains: list[str], authority: str) -> None:
    hosts = tuple(VirtualHost(each.lower(), RouteTable((), ())) for each in domains)
    name = without_port(authority).lower()
    fitting = [
        host
        for host in hosts
        if host.domain in {name, "*"}
        or (
            host.domain.startswith("*")
            and name.endswith(host.domain[1:])
            and len(name) >= len(host.domain)
        )
    ]
    # the exact one, else the longest
    fitting.sort(key=lambda host: (host.domain == name, len(host.domain)), reverse=True)
    assert HostIndex(hosts).find(authority) is next(iter(fitting), None)


@given(st.lists(st.one_of(st.sampled_from(HOSTS), st.text(alphabet="*ab.", max_size=5))))
def test_the_host_that_covers_another_is_that_of_a_plain_scan(hosts: list[str]) -> None:
    expected = [
        next((other for other in hosts[:at] if overlap(host, other)), None)
        for at, host in enumerate(hosts)
    ]
    assert covered_hosts(hosts) == expected


def overlap(one: str, other: str) -> bool:
    if one.startswith("*") and other.startswith("*"):
        return one[1:].endswith(other[1:]) or other[1:].endswith(one[1:])
    if one.startswith("*"):
        return other.endswith(one[1:])
    return one.endswith(other[1:]) if other.startswith("*") else one == other


@given(
    st.from_regex(
        r"[/a-c]{0,3}(\(a\|b\)|\[ab\]|\.\*|\(\?i\)k|\|b|x\?|\\\.|c\{2\}|\\C)*", fullmatch=True
    ),
    st.text(alphabet="/abckKxé.\u212a", max_size=8),
)
def test_a_literal_prefix_begins_every_match(pattern: str, text: str) -> None:
    try:
        regex = compiled(pattern)
    except ValueError:
        return
    prefix = regex.literal_prefix()
    for each in (text, prefix, prefix + text, pattern.replace("\\", "")):
        assert not regex.fullmatch(each) or each.startswith(prefix)


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [
        ("/m1/.*", "/m1/"),
        ("/m1(/.*)?", "/m1"),
        ("/a(b|c)", "/a"),
        ("k1|k2", "k"),
        ("(?i)k1", ""),
        ("é|è", ""),
        (".*", ""),
        (r"\C*", ""),  # RE2 gives no range for it
    ],
)
def test_the_literal_prefix_is_all_that_is_certain(pattern: str, prefix: str) -> None:
    assert compiled(pattern).literal_prefix() == prefix


def documents(rng: random.Random) -> str:
    """VirtualServices of many hosts; some rules have conditions on the host, too."""
    rules = (
        f"{{match: [{{headers: {{x-key: {{exact: a}}}}}}], {CORS}, {to('two')}}}",
        f"{{match: [{{authority: {{exact: api.example.com}}}}], {CORS}, {to('two')}}}",
        f"{{match: [{{authority: {{prefix: any}}, port: 8443}}], {CORS}, {to('two')}}}",
        f"{{match: [{{withoutHeaders: {{':authority': {{prefix: b}}}}}}], {to('two')}}}",
        f"{{match: [{{method: {{exact: OPTIONS}}}}], {to('two')}}}",
        f"{{match: [{{uri: {{prefix: /v1}}, method: {{exact: PUT}}}}], {CORS}, {to('two')}}}",
        f"{{{CORS}, {to('two')}}}",
    )
    texts: list[str] = []
    for number in range(rng.randint(1, 4)):
        hosts: list[str] = []
        for host in rng.sample(HOSTS, rng.randint(1, 8)):
            if not any(overlap(host, other) for other in hosts):
                hosts.append(host)
        chosen = "\n".join(rng.sample(rules, rng.randint(1, 4)))
        texts.append(vs(chosen, hosts=str(hosts)).replace("name: a,", f"name: a{number},"))
    return "---\n".join(texts)


CORS = "corsPolicy: {allowOrigins: [exact: 'https://ui.example'], allowHeaders: [x-key]}"


@examples(15)
@given(SEEDS)
def test_hosts_that_route_alike_stand_for_one_another(seed: int) -> None:
    """Looking at every host finds the same and writes the same."""
    text = documents(random.Random(seed))

    def outcome() -> tuple[list[str], str]:
        try:
            fixed = fix(text, "a.yaml", WISH).text
        except DocumentError as error:
            fixed = str(error)
        return [str(each) for each in lint({"a.yaml": text})], fixed

    found = outcome()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mesh_documents, "representatives", every_domain)
        assert outcome() == found


def test_a_wildcard_whose_example_has_a_host_of_its_own_stands_for_no_other() -> None:
    rule = f"{{match: [{{headers: {{x-key: {{exact: a}}}}}}], {CORS}, {to('two')}}}"
    wildcards = vs(rule, hosts="['*.example.com', '*.example.org']")
    own = vs(f"{{{to('two')}}}", name="own", hosts="[any.example.com]")
    found = lint({"a.yaml": f"{wildcards}---\n{own}"})
    assert "MC001" in {each.rule.id for each in found}


def every_domain(gateway: Gateway, ports: list[int]) -> frozenset[str]:
    return frozenset(host.domain for port in ports for host in gateway.virtual_hosts(port))


def parse_uncounted(*args: Any) -> tuple[list[Any], list[DocumentProblem]]:
    before = sys.getprofile()
    sys.setprofile(None)
    try:
        return parse_each(*args)
    finally:
        sys.setprofile(before)


def work(done: Callable[[], object]) -> int:
    """Return how many function calls the modules of the mesh make."""
    count = 0

    def counted(frame: FrameType, event: str, _arg: object) -> None:
        nonlocal count
        if event in {"call", "c_call"}:
            count += frame.f_code.co_filename.startswith(str(MESH))

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        done()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(
    ("shape", "verb"),
    [
        pytest.param(shape, verb, id=f"{verb}, {name}")
        for name, shape in SHAPES.items()
        for verb in shape.verbs
    ],
)
def test_twice_the_input_is_twice_the_work(
    shape: Shape, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Function calls are counted, not seconds, and none for reading YAML."""
    monkeypatch.setattr(reading, "parse_each", parse_uncounted)
    small, large = (partial(VERBS[verb], shape.text(number)) for number in (50, 100))
    small()  # fill the caches
    assert work(large) < 2.15 * work(small)
