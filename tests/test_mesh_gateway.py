"""The model of the gateway, without Envoy: every row of the table, and the parts of an answer."""

from __future__ import annotations

from typing import Any

import pytest

from meshcors.mesh import DocumentError, Gateway, GatewayAnswer, GatewayRequest, Mismatch, Place
from meshcors.mesh._routing.request import normalized
from tests.mesh_cases import ALLOW, CASES, ORIGINAL, TWO_SERVICES, UI, MeshCase, route, to, vs

COMPARED = ("access-control-", "x-resp", "location", "vary")


def ask(text: str, method: str = "GET", path: str = "/", **more: Any) -> GatewayAnswer:
    """Ask the default gateway of ``text``."""
    return Gateway.from_yaml(text).handle(GatewayRequest(method, "api.example.com", path, **more))


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
def test_case(case: MeshCase) -> None:
    request = GatewayRequest(case.method, case.host, case.path, case.headers, scheme="http")
    answer = Gateway.from_yaml(case.text).handle(request)
    seen = sorted((name.lower(), value) for name, value in answer.response_headers(case.answer))
    assert answer.kind == case.kind
    assert answer.rule == case.rule
    assert answer.destination == case.destination
    assert answer.status == (None if case.kind == "forward" else case.status)
    assert tuple(pair for pair in seen if pair[0].startswith(COMPARED)) == case.seen
    if case.forwarded_path is not None:
        assert answer.forwarded_path == case.forwarded_path
        assert answer.forwarded_host() == case.forwarded_host


def test_trail_says_why_each_rule_did_not_match() -> None:
    text = vs(
        "{match: [{uri: {exact: /b}, method: {exact: POST}}, {headers: {k: {prefix: x}}}], "
        f"{to()}}}\n"
        "{match: [{withoutHeaders: {origin: {}}, queryParams: {q: {exact: '1'}, r: {}}}], "
        f"{to()}}}\n"
        f"{{match: [{{headers: {{'@request.auth.claims.a': {{exact: b}}}}}}], {to()}}}\n"
        f"{{match: [{{scheme: {{exact: https}}}}], {to('three')}}}\n{{{to('four')}}}"
    )
    answer = ask(text, path="/a?q=2", headers=[("Origin", UI), ("K", "y"), ("k", "z")])
    assert [(step.rule.removeprefix("ns/a "), step.mismatches) for step in answer.trail] == [
        (
            "http[0] match[0]",
            (
                Mismatch("uri", 'exact "/b"', ("/a",)),
                Mismatch("method", 'exact "POST"', ("GET",)),
            ),
        ),
        ("http[0] match[1]", (Mismatch("headers.k", 'prefix "x"', ("y", "z")),)),
        (
            "http[1] match[0]",
            (
                Mismatch("withoutHeaders.origin", "not present", (UI,)),
                Mismatch("queryParams.q", 'exact "1"', ("2",)),
                Mismatch("queryParams.r", "present", ()),
            ),
        ),
        ("http[2] match[0]", (Mismatch("headers.@request.auth.claims.a", 'exact "b"', ()),)),
        ("http[3] match[0]", ()),
    ]
    assert [step.matched for step in answer.trail] == [False] * 4 + [True]
    assert answer.place == answer.trail[-1].place
    assert answer.destination == "three:80"


def test_places_lead_back_to_the_file() -> None:
    gateway = Gateway.from_yaml(ORIGINAL, file="mesh.yaml")
    (step,) = gateway.handle(GatewayRequest("OPTIONS", "api.example.com", "/")).trail
    assert step.place == Place("mesh.yaml", 14, 13)


def test_an_unknown_host_has_no_trail() -> None:
    answer = Gateway.from_yaml(vs(f"{{{to()}}}", hosts="[a.test]")).handle(
        GatewayRequest("GET", "b", "/")
    )
    assert (answer.kind, answer.trail, answer.dropped, answer.place) == ("no_route", (), (), None)
    assert answer.destinations == ()
    assert answer.forwarded_path is None
    assert answer.forwarded_host() is None


DROPPED = [
    ("other_port", f"{{match: [{{port: 8080}}], {to()}}}", "port", "8080"),
    ("other_gateway", f"{{match: [{{gateways: [b/other]}}], {to()}}}", "gateway", "b/other"),
    ("label", f"{{match: [{{sourceLabels: {{app: x, v: '1'}}}}], {to()}}}", "source", "app=x, v=1"),
    ("namespace", f"{{match: [{{sourceNamespace: x}}], {to()}}}", "source", "x"),
]


@pytest.mark.parametrize(
    ("rule", "reason", "detail"), [pytest.param(*row[1:], id=row[0]) for row in DROPPED]
)
def test_rules_for_somebody_else_are_dropped(rule: str, reason: str, detail: str) -> None:
    answer = ask(vs(f"{rule}\n{{{to('three')}}}\n{{{to()}}}"))
    assert answer.rule == "ns/a http[1]"
    assert [(it.rule, it.reason, it.detail) for it in answer.dropped] == [
        ("ns/a http[0] match[0]", reason, detail),
        ("ns/a http[2]", "behind_catch_all", "ns/a http[1]"),
    ]


def test_rules_for_this_gateway_by_any_of_its_names_stay() -> None:
    for name in ("gate", "ns/gate", "gate.ns", "gate.ns.svc.cluster.local"):
        text = vs(f"{{match: [{{gateways: [{name}], sourceLabels: {{app: x}}}}], {to()}}}")
        assert ask(text).rule == "ns/a http[0] match[0]"


def test_a_gateways_own_labels_namespace_and_port_let_rules_in() -> None:
    text = vs(f"{{match: [{{sourceLabels: {{app: x}}, sourceNamespace: in, port: 8443}}], {to()}}}")
    gateway = Gateway.from_yaml(text, labels={"app": "x", "v": "1"}, namespace="in")
    assert gateway.handle(GatewayRequest("GET", "a.test", "/", port=8443)).destination == "one:80"
    assert gateway.handle(GatewayRequest("GET", "a.test", "/")).kind == "no_route"


def test_a_destination_without_port_takes_the_gateways() -> None:
    assert ask(vs("{route: [{destination: {host: a}}]}")).destination == "a:443"
    assert ask(vs("{route: [{destination: {host: a}}]}"), port=81).destination == "a:81"


def test_weights_are_listed_and_each_destination_has_its_own_headers() -> None:
    text = vs(
        "{route: [{destination: {host: a}, weight: 10, headers: {response: {set: {x: a}}}}, "
        "{destination: {host: b}, weight: 90}, {destination: {host: c}}]}"
    )
    answer = ask(text)
    assert answer.destinations == (("a:443", 10), ("b:443", 90))
    assert answer.destination == "b:443"
    assert answer.response_headers([("X", "y")]) == [("X", "y")]
    assert answer.response_headers([("X", "y")], "a:443") == [("x", "a")]


def test_a_service_that_is_not_there_still_gets_the_policy() -> None:
    answer = ask(vs(f"{{corsPolicy: {{{ALLOW}}}, {to()}}}"), headers=[("origin", UI)])
    assert answer.response_headers([]) == [("access-control-allow-origin", UI)]


def test_direct_bodies() -> None:
    assert ask(vs("{directResponse: {status: 200, body: {string: hé}}}")).body == "hé".encode()
    assert ask(vs("{directResponse: {status: 200, body: {bytes: /w==}}}")).body == b"\xff"


class TestChoosingTheGateway:
    """Files with several gateways, with none, or for sidecars."""

    BOTH = vs(f"{{{to()}}}", name="a") + "---\n" + vs(f"{{{to('b')}}}", name="b").replace(
        "[gate]", "[mesh, other/gate, gate.ns.svc.cluster.local]"
    ).replace('["*"]', "[b, b.test]")  # fmt: skip

    def test_the_first_one_named_is_the_default(self) -> None:
        gateway = Gateway.from_yaml(self.BOTH)
        assert gateway.name == "ns/gate"
        assert gateway.names == ("ns/gate", "mesh", "other/gate")
        hosts = [host.domain for host in gateway.virtual_hosts()]
        assert hosts == ["*", "b.ns.svc.cluster.local", "b.test"]

    def test_another_is_named(self) -> None:
        gateway = Gateway.from_yaml(self.BOTH, name="other/gate")
        assert gateway.handle(GatewayRequest("GET", "b.test", "/")).rule == "ns/b http[0]"
        assert gateway.handle(GatewayRequest("GET", "a.test", "/")).kind == "no_route"

    def test_an_unknown_one_is_refused_with_the_known(self) -> None:
        with pytest.raises(DocumentError, match="bound to a/b; name one of ns/gate, mesh, other"):
            Gateway.from_yaml(self.BOTH, name="a/b")

    def test_a_file_without_routes_is_refused(self) -> None:
        with pytest.raises(DocumentError, match="no VirtualService and no HTTPRoute in this file"):
            Gateway.from_yaml("apiVersion: v1\nkind: Service")

    def test_sidecars_know_a_service_by_its_short_names(self) -> None:
        gateway = Gateway.from_yaml(self.BOTH, name="mesh")
        for host in ("b", "b.ns", "b.ns.svc:80", "B.ns.svc.cluster.local"):
            assert gateway.handle(GatewayRequest("GET", host, "/")).rule == "ns/b http[0]"

    def test_sidecars_do_not_merge(self) -> None:
        text = TWO_SERVICES.replace("  gateways: [gate]\n", "").replace('["*"]', "[a.test]")
        answer = Gateway.from_yaml(text).handle(GatewayRequest("GET", "a.test", "/"))
        assert [step.rule for step in answer.trail] == ["ns/model http[0] match[0]"]
        (dropped,) = answer.dropped
        assert (dropped.reason, dropped.detail) == ("other_owner", "ns/model")

    def test_a_service_without_rules_for_this_gateway_does_not_own_the_host(self) -> None:
        text = (
            vs(f"{{match: [{{port: 1}}], {to()}}}", name="a")
            + "---\n"
            + vs(f"{{{to()}}}", name="b")
        )
        assert ask(text).rule == "ns/b http[0]"


def test_equal_age_is_settled_by_name_and_the_unborn_come_last() -> None:
    def one(name: str, meta: str = "") -> str:
        return vs(
            f"{{match: [{{uri: {{prefix: /}}}}, {{port: 1}}], {to(name)}}}", name=name, meta=meta
        )

    old = ", creationTimestamp: '2020-01-01T00:00:00Z'"
    assert ask("---\n".join([one("b"), one("a")])).destination == "a:80"
    assert ask("---\n".join([one("a"), one("b", old)])).destination == "b:80"
    assert ask("---\n".join([one("c", old), one("b", old), one("a")])).destination == "b:80"


def test_http_routes_of_one_host_are_one_list() -> None:
    text = "---\n".join(
        [
            route(
                "{matches: [{path: {value: /a}}], backendRefs: [{name: one, port: 80}]}", name="a"
            ),
            route(
                "{matches: [{path: {type: Exact, value: /a}}, {path: {value: /a/b}}], "
                "backendRefs: [{name: two, namespace: x, port: 80}]}",
                name="b",
            ),
        ]
    )
    assert ask(text, path="/a").rule == "ns/b rules[0] matches[0]"
    assert ask(text, path="/a/b/c").rule == "ns/b rules[0] matches[1]"
    assert ask(text, path="/a/b").destination == "two.x:80"
    assert ask(text, path="/a/c").rule == "ns/a rules[0] matches[0]"


def test_http_route_matches_and_filters() -> None:
    text = route(
        "{name: r, matches: [{queryParams: [{name: q, value: '1'}], headers: [{name: A, value: x}, "
        "{name: a, value: z}]}], backendRefs: [{name: one, port: 80, weight: 0}, "
        "{name: two, port: 80, filters: [{type: ResponseHeaderModifier, "
        "responseHeaderModifier: {add: [{name: x, value: z}]}}]}], "
        "filters: [{type: RequestMirror, requestMirror: {}}, "
        "{type: URLRewrite, urlRewrite: {hostname: in.test}}, "
        "{type: RequestHeaderModifier, requestHeaderModifier: {remove: [b]}}]}"
    )
    answer = ask(text, path="/?q=1", headers=[("a", "x")])
    assert answer.destinations == (("two:80", 1),)
    assert answer.forwarded_host() == "in.test"
    assert answer.response_headers([]) == [("x", "z")]
    assert ask(text, path="/?q=1", headers=[("a", "z")]).kind == "no_route"


def test_http_route_origins_are_read_as_istio_does() -> None:
    text = route(
        "{filters: [{type: CORS, cors: {allowOrigins: ['https://*.a.test', 'https://b.*', '']}}], "
        "backendRefs: [{name: one, port: 80}]}"
    )
    for origin, allowed in (
        ("https://x.a.test", True),
        ("https://x.y.a.test", True),
        ("https://xya-test", False),
        ("https://b.evil.test", True),
        ("http://x.a.test", False),
    ):
        seen = ask(text, headers=[("origin", origin)]).response_headers([])
        assert bool(seen) is allowed, origin


REWRITES = [
    ("prefix_gone", "/a", "{type: ReplacePrefixMatch, replacePrefixMatch: /}", "/a/b?q", "/b?q"),
    ("prefix_alone", "/a", "{type: ReplacePrefixMatch, replacePrefixMatch: /}", "/a", "/"),
    ("root", "/", "{type: ReplacePrefixMatch, replacePrefixMatch: /}", "/a/b", "/a/b"),
    ("new", "/a", "{type: ReplacePrefixMatch, replacePrefixMatch: /n/}", "/a/b", "/n/b"),
    ("full", "/a", "{type: ReplaceFullPath, replaceFullPath: /f}", "/a/b?q", "/f?q"),
]


@pytest.mark.parametrize(
    ("prefix", "path", "asked", "seen"), [pytest.param(*row[1:], id=row[0]) for row in REWRITES]
)
def test_http_route_rewrites(prefix: str, path: str, asked: str, seen: str) -> None:
    text = route(
        f"{{matches: [{{path: {{value: {prefix}}}}}], backendRefs: [{{name: one, port: 80}}], "
        f"filters: [{{type: URLRewrite, urlRewrite: {{path: {path}}}}}]}}"
    )
    assert ask(text, path=asked).forwarded_path == seen


LOCATIONS = [
    ("authority", "{authority: b.test}", {}, "https://b.test/a?q=1"),
    ("uri", "{uri: /n}", {}, "https://api.example.com/n?q=1"),
    ("uri_with_query", "{uri: '/n?x'}", {}, "https://api.example.com/n?x"),
    ("downgrade", "{scheme: http}", {}, "http://api.example.com/a?q=1"),
    ("port", "{port: 8443}", {}, "https://api.example.com:8443/a?q=1"),
    (
        "own_port",
        "{derivePort: FROM_REQUEST_PORT}",
        {"port": 81},
        "https://api.example.com:81/a?q=1",
    ),
    (
        "default_port",
        "{derivePort: FROM_PROTOCOL_DEFAULT}",
        {"port": 81},
        "https://api.example.com/a?q=1",
    ),
    ("known_port", "{port: 443, scheme: https}", {}, "https://api.example.com/a?q=1"),
]


@pytest.mark.parametrize(
    ("redirect", "more", "url"), [pytest.param(*row[1:], id=row[0]) for row in LOCATIONS]
)
def test_redirects_lead_to(redirect: str, more: dict[str, int], url: str) -> None:
    answer = ask(vs(f"{{redirect: {redirect}}}"), path="/a?q=1", **more)
    assert (answer.kind, answer.status, answer.headers) == ("redirect", 301, (("location", url),))


def test_hosts_with_ports_and_addresses() -> None:
    text = vs(f"{{{to()}}}", hosts="['::1', 10.0.0.1]")
    gateway = Gateway.from_yaml(text)
    assert gateway.handle(GatewayRequest("GET", "10.0.0.1:8080", "/")).kind == "forward"
    assert gateway.handle(GatewayRequest("GET", "::1", "/")).kind == "forward"
    assert gateway.handle(GatewayRequest("GET", "[::2]:80", "/")).kind == "no_route"


@pytest.mark.parametrize("path", ["", "a", "*", "/a#b", "/é", "/ ", "/%00", "http://a/"])
def test_paths_envoy_refuses_are_no_requests(path: str) -> None:
    with pytest.raises(ValueError, match="is not a path"):
        GatewayRequest("GET", "a", path)


PATHS = [
    ("/a/./b/../c", "/a/c"),
    ("/..", "/"),
    ("/a/..", "/"),
    ("/a/.", "/a/"),
    ("//a", "//a"),
    ("/%7e%41%2d", "/~A-"),
    ("/%2f%3f%zz", "/%2f%3f%zz"),
    ("/a\\..\\b", "/b"),
    ("/a/..;x/b", "/b"),
    ("/a/%2e%2e;x/b", "/a/..;x/b"),
    ("/a/.;x\\/b", "/a/b"),
    ("/%%61a", "/%25aa"),
    ("/%a%61", "/%25aa"),
    ("/%%61%62%", "/%25ab%"),
    ("/%%61g", "/%ag"),
    ('/"<>^`{|}', "/%22%3C%3E%5E%60%7B%7C%7D"),
]


@pytest.mark.parametrize(("path", "seen"), PATHS)
def test_paths_are_normalized(path: str, seen: str) -> None:
    assert normalized(path) == seen


def test_headers_the_connection_manager_owns() -> None:
    request = GatewayRequest(
        "GET", "a", "/", iter([("TE", "trailers"), ("x-forwarded-for", "1.2.3.4"), ("a", " b\t")])
    )
    assert "te" not in request.values
    assert request.values["x-forwarded-for"] == ("1.2.3.4,192.0.2.1",)
    assert request.value("a") == "b"
    assert request.value("missing") == ""


def test_tables_of_many_ports_are_not_kept() -> None:
    gateway = Gateway.from_yaml(ORIGINAL)
    for port in range(1, 50):
        gateway.virtual_hosts(port)
    assert gateway.virtual_hosts(7) == gateway.virtual_hosts(7)
    assert len(gateway._tables) < 20


def test_http_routes_of_a_service_are_no_gateways() -> None:
    text = route("{}").replace("{name: gate}", "{kind: Service, group: '', name: a}")
    gateway = Gateway.from_yaml(text)
    assert gateway.names == ()
    assert gateway.handle(GatewayRequest("GET", "a", "/")).kind == "no_route"


def test_http_route_redirects() -> None:
    text = route(
        "{matches: [{path: {type: RegularExpression, value: '/a.*'}}], filters: [{type: "
        "RequestRedirect, requestRedirect: {scheme: http, hostname: b.test, statusCode: 301, "
        "path: {type: ReplaceFullPath, replaceFullPath: /n}}}]}",
        hostnames="['*.example.com']",
    )
    answer = ask(text, path="/ab")
    assert (answer.rule, answer.status) == ("ns/a rules[0] matches[0]", 301)
    assert answer.headers == (("location", "http://b.test/n"),)


@pytest.mark.parametrize(
    ("rewrite", "seen"),
    [
        (r"/x\1", "/xa/b"),
        (r"/x\0", "/x/a/b"),
        (r"/x\10", "/xa0/b"),
        (r"/x\2", "/x/b"),
        (r"/x\\1", r"/x\1/b"),
        (r"/\g<1>", None),
        (r"/x\3", None),
    ],
)
def test_a_regex_rewrite_has_the_groups_of_re2(rewrite: str, seen: str | None) -> None:
    """One digit names a group, and a group without a match is empty."""
    rule = (
        f"{{{to('a')}, rewrite: {{uriRegexRewrite: {{match: '/(a)(z)?', rewrite: '{rewrite}'}}}}}}"
    )
    if seen is None:
        with pytest.raises(DocumentError, match="group"):
            ask(vs(rule))
    else:
        assert ask(vs(rule), path="/a/b").forwarded_path == seen
