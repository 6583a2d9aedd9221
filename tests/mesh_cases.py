"""What a mesh does with a request: plain data that the model and a real Envoy are tested with.

Each case is one request to one file. ``rule`` and ``destination`` have to take it. ``seen`` are the
headers that the client gets, as far as they are compared (`access-control-*`, `location`, `vary`,
`x-resp*`), sorted. ``answer`` are the headers of the service's answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

UI = "https://ui.example"
PREFLIGHT = (("origin", UI), ("access-control-request-method", "POST"))
ORIGINAL = Path(__file__).with_name("data").joinpath("virtualservice_original.yaml").read_text()


@dataclass(frozen=True)
class MeshCase:
    """One request and its expected answer."""

    id: str
    text: str
    rule: str | None
    status: int
    method: str = "GET"
    host: str = "api.example.com"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    answer: tuple[tuple[str, str], ...] = ()
    kind: str = "forward"
    destination: str | None = None
    seen: tuple[tuple[str, str], ...] = ()
    forwarded_path: str | None = None
    forwarded_host: str | None = None


def vs(http: str, *, name: str = "a", hosts: str = '["*"]', meta: str = "") -> str:
    """Return a VirtualService with these rules: YAML in flow style, one on each line."""
    rules = "\n".join(f"  - {line.strip()}" for line in http.strip().splitlines())
    return (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        f"metadata: {{name: {name}, namespace: ns{meta}}}\n"
        f"spec:\n  gateways: [gate]\n  hosts: {hosts}\n  http:\n{rules}\n"
    )


def route(rules: str, *, name: str = "a", hostnames: str = "[]") -> str:
    """Return an HTTPRoute with these rules, written in the same way."""
    lines = "\n".join(f"  - {line.strip()}" for line in rules.strip().splitlines())
    return (
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
        f"metadata: {{name: {name}, namespace: ns}}\n"
        f"spec:\n  parentRefs: [{{name: gate}}]\n  hostnames: {hostnames}\n  rules:\n{lines}\n"
    )


def to(host: str = "one", port: int = 80) -> str:
    """Return a route to one destination."""
    return f"route: [{{destination: {{host: {host}, port: {{number: {port}}}}}}}]"


ALLOW = f"allowOrigins: [{{exact: '{UI}'}}]"
GRANT = (("access-control-allow-origin", UI),)
TWO_SERVICES = "\n---\n".join(
    [
        vs(f"{{match: [{{headers: {{model-api-key: {{exact: xyz}}}}}}], {to()}}}", name="model"),
        vs(
            "{match: [{method: {exact: OPTIONS}, headers: {access-control-request-method: {}}}], "
            f"corsPolicy: {{{ALLOW}, unmatchedPreflights: IGNORE}}, {to('dummy', 8080)}}}",
            name="preflight",
        ),
    ]
)


def delegate(http: str, *, name: str = "d", namespace: str = "other", more: str = "") -> str:
    """Return a delegate: a VirtualService without hosts and gateways."""
    text = vs(http, name=name, hosts="[]").replace("  gateways: [gate]\n  hosts: []\n", more)
    return text.replace("namespace: ns", f"namespace: {namespace}")


def delegating(root: str, *delegates: str) -> str:
    """Return a VirtualService with these rules, and delegates."""
    return "---\n".join([vs(root), *delegates])


TO_OTHER = "delegate: {name: d, namespace: other}"
IN_OTHER = "ns/a http[0] delegate other/d http[0]"

CASES: tuple[MeshCase, ...] = (
    MeshCase(
        "a_delegates_rules_take_the_place_of_the_roots_rule",
        delegating(
            f"{{match: [{{uri: {{prefix: /v1}}}}], {TO_OTHER}}}\n{{{to('two')}}}",
            delegate(f"{{match: [{{uri: {{prefix: /v1/chat}}}}], {to()}}}"),
        ),
        f"{IN_OTHER} match[0]",
        200,
        path="/v1/chat",
        destination="one.other:80",
    ),
    MeshCase(
        "what_the_delegate_does_not_take_goes_to_the_next_rule_of_the_root",
        delegating(
            f"{{match: [{{uri: {{prefix: /v1}}}}], {TO_OTHER}}}\n{{{to('two')}}}",
            delegate(f"{{match: [{{uri: {{prefix: /v1/chat}}}}], {to()}}}"),
        ),
        "ns/a http[1]",
        200,
        path="/v1/other",
        destination="two:80",
    ),
    MeshCase(
        "a_delegates_rule_without_conditions_gets_those_of_the_root",
        delegating(
            f"{{match: [{{uri: {{prefix: /v1}}}}], {TO_OTHER}}}\n{{{to('two')}}}",
            delegate(f"{{{to()}}}"),
        ),
        "ns/a http[1]",
        200,
        path="/v2",
        destination="two:80",
    ),
    MeshCase(
        "a_header_of_the_root_and_one_of_the_delegate_are_both_asked_for",
        delegating(
            f"{{match: [{{headers: {{x-root: {{exact: r}}}}}}], {TO_OTHER}}}\n{{{to('two')}}}",
            delegate(f"{{match: [{{headers: {{x-own: {{exact: o}}}}}}], {to()}}}"),
        ),
        "ns/a http[1]",
        200,
        headers=(("x-own", "o"),),
        destination="two:80",
    ),
    MeshCase(
        "conditions_that_contradict_those_of_the_root_drop_the_rule",
        delegating(
            f"{{match: [{{uri: {{prefix: /v1}}}}], {TO_OTHER}}}\n{{{to('two')}}}",
            delegate(f"{{match: [{{uri: {{prefix: /v2}}}}], {to()}}}\n{{{to('three')}}}"),
        ),
        "ns/a http[1]",
        200,
        path="/v2",
        destination="two:80",
    ),
    MeshCase(
        "a_regex_beside_any_other_condition_drops_the_rule",
        delegating(
            f"{{match: [{{uri: {{prefix: /v1}}}}], {TO_OTHER}}}\n{{{to('two')}}}",
            delegate(f"{{match: [{{uri: {{regex: /v1/.*}}}}], {to()}}}\n{{{to('three')}}}"),
        ),
        "ns/a http[0] delegate other/d http[1] match[0]",
        200,
        path="/v1/x",
        destination="three.other:80",
    ),
    MeshCase(
        "the_roots_policy_is_for_rules_without_one",
        delegating(
            f"{{corsPolicy: {{{ALLOW}}}, {TO_OTHER}}}",
            delegate(f"{{{to('one', 80)}}}"),
        ),
        IN_OTHER,
        200,
        method="OPTIONS",
        headers=PREFLIGHT,
        kind="cors",
        seen=GRANT,
    ),
    MeshCase(
        "the_delegates_own_policy_comes_first",
        delegating(
            f"{{corsPolicy: {{{ALLOW}}}, {TO_OTHER}}}",
            delegate(
                "{corsPolicy: {allowOrigins: [{exact: 'https://x.example'}], "
                f"unmatchedPreflights: IGNORE}}, {to('one', 80)}}}"
            ),
        ),
        IN_OTHER,
        200,
        method="OPTIONS",
        headers=PREFLIGHT,
        kind="cors",
    ),
    MeshCase(
        "headers_and_rewrite_of_the_root_are_for_rules_without_them",
        delegating(
            "{headers: {response: {set: {x-resp-root: r}}}, rewrite: {uri: /new}, "
            f"match: [{{uri: {{prefix: /v1}}}}], {TO_OTHER}}}",
            delegate(f"{{{to('one', 80)}}}"),
        ),
        f"{IN_OTHER} match[0]",
        200,
        path="/v1/x",
        destination="one.other:80",
        seen=(("x-resp-root", "r"),),
        forwarded_path="/new/x",
        forwarded_host="api.example.com",
    ),
    MeshCase(
        "a_direct_response_of_the_root_answers_for_the_delegate",
        delegating(
            f"{{directResponse: {{status: 418}}, {TO_OTHER}}}", delegate(f"{{{to('one', 80)}}}")
        ),
        IN_OTHER,
        418,
        kind="direct_response",
    ),
    MeshCase(
        "a_delegate_that_is_not_exported_is_left_out",
        delegating(
            f"{{{TO_OTHER}}}\n{{{to('two')}}}",
            delegate(f"{{{to()}}}", more="  exportTo: ['.']\n"),
        ),
        "ns/a http[1]",
        200,
        destination="two:80",
    ),
    MeshCase(
        "a_delegate_of_the_same_namespace_needs_no_namespace",
        delegating("{delegate: {name: d}}", delegate(f"{{{to()}}}", namespace="ns")),
        "ns/a http[0] delegate ns/d http[0]",
        200,
        destination="one:80",
    ),
    MeshCase(
        "original_curl_with_the_key_reaches_the_model",
        ORIGINAL,
        "cheetah/model http[0] match[0]",
        200,
        method="POST",
        headers=(("model-api-key", "xyz"),),
        destination="model-deploy-01j46dj4ah5abd1zz8pc21vkg9:8000",
    ),
    MeshCase(
        "original_preflight_meets_no_rule_and_a_bare_404",
        ORIGINAL,
        None,
        404,
        method="OPTIONS",
        headers=(*PREFLIGHT, ("access-control-request-headers", "model-api-key")),
        kind="no_route",
    ),
    MeshCase(
        "original_star_with_credentials_echoes_any_site",
        ORIGINAL,
        "cheetah/model http[0] match[0]",
        200,
        method="POST",
        headers=(("model-api-key", "xyz"), ("origin", "https://evil.example")),
        destination="model-deploy-01j46dj4ah5abd1zz8pc21vkg9:8000",
        seen=(
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-origin", "https://evil.example"),
        ),
    ),
    MeshCase(
        "separate_preflight_rule_answers_an_allowed_origin",
        TWO_SERVICES,
        "ns/preflight http[0] match[0]",
        200,
        method="OPTIONS",
        headers=PREFLIGHT,
        kind="cors",
        seen=GRANT,
    ),
    MeshCase(
        "separate_preflight_rule_ignores_a_refused_origin",
        TWO_SERVICES,
        "ns/preflight http[0] match[0]",
        200,
        method="OPTIONS",
        headers=(("origin", "https://evil.example"), ("access-control-request-method", "GET")),
        kind="cors",
    ),
    MeshCase(
        "refused_preflight_is_forwarded_by_default_and_the_services_star_stands",
        vs(f"{{corsPolicy: {{{ALLOW}}}, {to()}}}"),
        "ns/a http[0]",
        200,
        method="OPTIONS",
        headers=(("origin", "https://evil.example"), ("access-control-request-method", "GET")),
        answer=(("access-control-allow-origin", "*"),),
        destination="one:80",
        seen=(("access-control-allow-origin", "*"),),
    ),
    MeshCase(
        "options_without_request_method_is_no_preflight",
        vs(f"{{corsPolicy: {{{ALLOW}, unmatchedPreflights: IGNORE}}, {to()}}}"),
        "ns/a http[0]",
        200,
        method="OPTIONS",
        headers=(("origin", UI),),
        destination="one:80",
        seen=GRANT,
    ),
    MeshCase(
        "preflight_answer_lists_everything_and_checks_nothing",
        vs(
            f"{{corsPolicy: {{{ALLOW}, allowMethods: [GET, '*'], allowHeaders: [a, b], "
            f"exposeHeaders: [x], maxAge: 1m30s, allowCredentials: true}}, {to()}}}"
        ),
        "ns/a http[0]",
        200,
        method="OPTIONS",
        headers=(("origin", UI), ("access-control-request-method", "PURGE")),
        kind="cors",
        seen=(
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-headers", "a,b"),
            ("access-control-allow-methods", "GET,*"),
            ("access-control-allow-origin", UI),
            ("access-control-expose-headers", "x"),
            ("access-control-max-age", "90"),
        ),
    ),
    MeshCase(
        "lone_star_echoes_what_is_asked",
        vs(f"{{corsPolicy: {{{ALLOW}, allowMethods: ['*'], allowHeaders: ['*']}}, {to()}}}"),
        "ns/a http[0]",
        200,
        method="OPTIONS",
        headers=(*PREFLIGHT, ("access-control-request-headers", "x-a, x-b")),
        kind="cors",
        seen=(
            ("access-control-allow-headers", "x-a, x-b"),
            ("access-control-allow-methods", "POST"),
            *GRANT,
        ),
    ),
    MeshCase(
        "lone_star_without_requested_headers_is_an_empty_line",
        vs(f"{{corsPolicy: {{{ALLOW}, allowHeaders: ['*']}}, {to()}}}"),
        "ns/a http[0]",
        200,
        method="OPTIONS",
        headers=PREFLIGHT,
        kind="cors",
        seen=(("access-control-allow-headers", ""), *GRANT),
    ),
    MeshCase(
        "exact_star_allows_null",
        vs(f"{{corsPolicy: {{allowOrigins: [{{exact: '*'}}]}}, {to()}}}"),
        "ns/a http[0]",
        200,
        method="OPTIONS",
        headers=(("origin", "null"), ("access-control-request-method", "GET")),
        kind="cors",
        seen=(("access-control-allow-origin", "null"),),
    ),
    MeshCase(
        "prefix_origin_allows_a_longer_host",
        vs(f"{{corsPolicy: {{allowOrigins: [{{prefix: 'https://app'}}]}}, {to()}}}"),
        "ns/a http[0]",
        200,
        headers=(("origin", "https://app.evil.example"),),
        destination="one:80",
        seen=(("access-control-allow-origin", "https://app.evil.example"),),
    ),
    MeshCase(
        "cors_policy_on_a_direct_response_does_nothing",
        vs(f"{{corsPolicy: {{{ALLOW}}}, directResponse: {{status: 204}}}}"),
        "ns/a http[0]",
        204,
        method="OPTIONS",
        headers=PREFLIGHT,
        kind="direct_response",
    ),
    MeshCase(
        "cors_policy_on_a_redirect_does_nothing",
        vs(f"{{corsPolicy: {{{ALLOW}}}, redirect: {{authority: new.test, redirectCode: 308}}}}"),
        "ns/a http[0]",
        308,
        method="OPTIONS",
        path="/a?q=1",
        headers=PREFLIGHT,
        kind="redirect",
        seen=(("location", "http://new.test/a?q=1"),),
    ),
    MeshCase(
        "httproute_without_backends_is_a_direct_response_without_cors",
        route(f"{{filters: [{{type: CORS, cors: {{allowOrigins: ['{UI}']}}}}]}}"),
        "ns/a rules[0] matches[0]",
        500,
        method="OPTIONS",
        headers=PREFLIGHT,
        kind="direct_response",
    ),
    MeshCase(
        "httproute_method_beats_headers_on_one_path",
        route(
            "{matches: [{headers: [{name: model-api-key, value: xyz}]}], "
            "backendRefs: [{name: one, port: 80}]}\n"
            "{matches: [{method: OPTIONS}], backendRefs: [{name: dummy, port: 8080}]}"
        ),
        "ns/a rules[1] matches[0]",
        200,
        method="OPTIONS",
        headers=(("model-api-key", "xyz"),),
        destination="dummy:8080",
    ),
    MeshCase(
        "httproute_prefix_is_whole_segments",
        route(
            "{matches: [{path: {value: /a/}}], backendRefs: [{name: one, port: 80}]}\n"
            "{backendRefs: [{name: three, port: 80}]}"
        ),
        "ns/a rules[1] matches[0]",
        200,
        path="/ab",
        destination="three:80",
    ),
    MeshCase(
        "httproute_cors_star_echoes_a_real_origin_and_refuses_null",
        route(
            "{filters: [{type: CORS, cors: {allowOrigins: ['*'], allowCredentials: true}}], "
            "backendRefs: [{name: one, port: 80}]}"
        ),
        "ns/a rules[0] matches[0]",
        200,
        headers=(("origin", "null"),),
        destination="one:80",
    ),
    MeshCase(
        "uri_prefix_is_raw_text",
        vs(f"{{match: [{{uri: {{prefix: /a}}}}], {to()}}}"),
        "ns/a http[0] match[0]",
        200,
        path="/ab",
        destination="one:80",
    ),
    MeshCase(
        "regex_wants_the_whole_path_without_its_query",
        vs(f"{{match: [{{uri: {{regex: '/a/[0-9]+'}}}}], {to()}}}"),
        "ns/a http[0] match[0]",
        200,
        path="/a/12?x=/b",
        destination="one:80",
    ),
    MeshCase(
        "dots_in_a_path_are_resolved_before_matching",
        vs(f"{{match: [{{uri: {{exact: /b}}}}], {to()}}}"),
        "ns/a http[0] match[0]",
        200,
        path="/a/%2e%2e/%62",
        destination="one:80",
    ),
    MeshCase(
        "repeated_lines_match_value_by_value",
        vs(f"{{match: [{{headers: {{model-api-key: {{exact: xyz}}}}}}], {to()}}}"),
        "ns/a http[0] match[0]",
        200,
        headers=(("model-api-key", "xyz"), ("model-api-key", "abc")),
        destination="one:80",
    ),
    MeshCase(
        "one_line_with_a_comma_is_one_value",
        vs(f"{{match: [{{headers: {{model-api-key: {{exact: xyz}}}}}}], {to()}}}"),
        None,
        404,
        headers=(("model-api-key", "xyz,abc"),),
        kind="no_route",
    ),
    MeshCase(
        "lines_of_a_registered_name_are_one_value",
        vs(f"{{match: [{{headers: {{accept: {{exact: 'xyz,abc'}}}}}}], {to()}}}"),
        "ns/a http[0] match[0]",
        200,
        headers=(("accept", "xyz"), ("accept", ""), ("accept", "abc")),
        destination="one:80",
    ),
    MeshCase(
        "without_headers_takes_a_missing_one_for_empty",
        vs(f"{{match: [{{withoutHeaders: {{x-tenant: {{exact: ''}}}}}}], {to()}}}"),
        None,
        404,
        kind="no_route",
    ),
    MeshCase(
        "without_headers_present_wants_it_missing",
        vs(f"{{match: [{{withoutHeaders: {{x-tenant: {{}}}}}}], {to()}}}"),
        "ns/a http[0] match[0]",
        200,
        destination="one:80",
    ),
    MeshCase(
        "requested_header_names_can_be_matched",
        vs(
            "{match: [{headers: {access-control-request-headers: "
            f"{{regex: '(?i)(.*[, ])?model-api-key([, ].*)?'}}}}}}], {to()}}}"
        ),
        "ns/a http[0] match[0]",
        200,
        method="OPTIONS",
        headers=(*PREFLIGHT, ("access-control-request-headers", "content-type, Model-Api-Key")),
        destination="one:80",
    ),
    MeshCase(
        "jwt_claim_is_not_there_in_a_preflight",
        vs(
            f"{{match: [{{headers: {{'@request.auth.claims.group': {{exact: a}}}}}}], {to()}}}\n"
            "{match: [{withoutHeaders: {'@request.auth.claims[a][b]': {}}}], "
            f"{to('three')}}}"
        ),
        "ns/a http[1] match[0]",
        200,
        destination="three:80",
    ),
    MeshCase(
        "oldest_virtual_service_goes_first",
        vs(f"{{match: [{{uri: {{prefix: /}}}}, {{port: 443}}], {to()}}}", name="a")
        + "---\n"
        + vs(
            f"{{match: [{{uri: {{prefix: /b}}}}], {to('three')}}}",
            name="b",
            meta=", creationTimestamp: '2026-01-01T00:00:00Z'",
        ),
        "ns/b http[0] match[0]",
        200,
        path="/b",
        destination="three:80",
    ),
    MeshCase(
        "true_catch_alls_of_one_host_move_last",
        vs(f"{{{to()}}}", name="a")
        + "---\n"
        + vs(f"{{match: [{{method: {{exact: OPTIONS}}}}], {to('dummy', 8080)}}}", name="b"),
        "ns/b http[0] match[0]",
        200,
        method="OPTIONS",
        destination="dummy:8080",
    ),
    MeshCase(
        "longest_wildcard_host_wins",
        vs(f"{{{to()}}}", name="a", hosts='["*.example.com"]')
        + "---\n"
        + vs(f"{{{to('three')}}}", name="b", hosts='["*.b.example.com"]'),
        "ns/b http[0]",
        200,
        host="A.B.example.com:8080",
        destination="three:80",
    ),
    MeshCase(
        "wildcard_host_wants_at_least_one_character",
        vs(f"{{{to()}}}", hosts='["*.example.com"]'),
        None,
        404,
        host=".example.com",
        kind="no_route",
    ),
    MeshCase(
        "removing_the_services_header_beside_a_policy_leaves_one",
        vs(
            f"{{corsPolicy: {{{ALLOW}}}, {to()}, "
            "headers: {response: {remove: [access-control-allow-origin]}}}"
        ),
        "ns/a http[0]",
        200,
        headers=(("origin", UI),),
        answer=(("access-control-allow-origin", "*"), ("access-control-allow-origin", "null")),
        destination="one:80",
        seen=GRANT,
    ),
    MeshCase(
        "two_lines_of_a_service_arrive_as_one",
        vs(f"{{{to()}}}"),
        "ns/a http[0]",
        200,
        answer=(("access-control-allow-origin", "a"), ("access-control-allow-origin", "b")),
        destination="one:80",
        seen=(("access-control-allow-origin", "a,b"),),
    ),
    MeshCase(
        "operations_set_everything_before_they_add",
        vs(
            "{route: [{destination: {host: one, port: {number: 80}}, "
            "headers: {response: {set: {x-resp: '100%%'}}}}], "
            "headers: {response: {add: {x-resp: more}}}}"
        ),
        "ns/a http[0]",
        200,
        answer=(("x-resp", "gone"),),
        destination="one:80",
        seen=(("x-resp", "100%"), ("x-resp", "more")),
    ),
    MeshCase(
        "rewritten_prefix_and_host",
        vs(
            f"{{match: [{{uri: {{prefix: /v1/}}}}], {to()}, "
            "rewrite: {uri: /, authority: inner.test}}"
        ),
        "ns/a http[0] match[0]",
        200,
        path="/v1/predict?q=1",
        destination="one:80",
        forwarded_path="/predict?q=1",
        forwarded_host="inner.test",
    ),
    MeshCase(
        "rules_host_beats_a_weighted_destinations",
        vs(
            "{route: [{destination: {host: one, port: {number: 80}}, weight: 100, "
            "headers: {request: {set: {host: theirs.test}}}}, "
            "{destination: {host: three, port: {number: 80}}}], rewrite: {authority: own.test}}"
        ),
        "ns/a http[0]",
        200,
        destination="one:80",
        forwarded_path="/",
        forwarded_host="own.test",
    ),
    MeshCase(
        "redirected_prefix_keeps_the_rest",
        vs("{match: [{uri: {prefix: /old}}], redirect: {prefixRewrite: /new, scheme: https}}"),
        "ns/a http[0] match[0]",
        301,
        host="api.example.com:80",
        path="/old/x?q=1",
        kind="redirect",
        seen=(("location", "https://api.example.com/new/x?q=1"),),
    ),
    MeshCase(
        "forwarded_proto_is_the_gateways",
        vs(
            "{match: [{headers: {x-forwarded-proto: {exact: http}}}], "
            "directResponse: {status: 403}}"
        ),
        "ns/a http[0] match[0]",
        403,
        headers=(("x-forwarded-proto", "https"),),
        kind="direct_response",
    ),
    MeshCase(
        "first_query_value_counts_and_nothing_is_decoded",
        vs(f"{{match: [{{queryParams: {{q: {{exact: '%31'}}}}}}], {to()}}}"),
        "ns/a http[0] match[0]",
        200,
        path="/?q=%31&q=2",
        destination="one:80",
    ),
    MeshCase(
        "nothing_asked_of_a_uri_is_every_uri",
        vs(f"{{match: [{{uri: {{}}, headers: {{k: ~}}}}], {to()}}}"),
        "ns/a http[0] match[0]",
        200,
        headers=(("K", ""),),
        destination="one:80",
        forwarded_path="/",
        forwarded_host="api.example.com",
    ),
    MeshCase(
        "regex_star_on_a_header_is_present",
        vs(f"{{match: [{{headers: {{k: {{regex: '*'}}}}}}], {to()}}}"),
        None,
        404,
        kind="no_route",
    ),
    MeshCase(
        "keys_of_headers_that_have_fields_of_their_own_are_ignored",
        vs(f"{{match: [{{headers: {{method: {{exact: POST}}, k: {{}}}}}}], {to()}}}"),
        "ns/a http[0] match[0]",
        200,
        headers=(("k", "v"),),
        destination="one:80",
    ),
    MeshCase(
        "case_of_an_exact_uri_can_be_ignored",
        vs(
            f"{{match: [{{uri: {{exact: /A}}, ignoreUriCase: true}}], {to()}, "
            "rewrite: {uri: /n}}"
        ),
        "ns/a http[0] match[0]",
        200,
        path="/a?q",
        destination="one:80",
        forwarded_path="/n?q",
        forwarded_host="api.example.com",
    ),
    MeshCase(
        "case_of_a_regex_cannot",
        vs(f"{{match: [{{uri: {{regex: /A}}, ignoreUriCase: true}}], {to()}}}"),
        None,
        404,
        path="/a",
        kind="no_route",
    ),
    MeshCase(
        "host_set_among_the_requests_headers",
        vs(f"{{{to()}, headers: {{request: {{set: {{Host: in.test, x: v}}}}}}}}"),
        "ns/a http[0]",
        200,
        path="/a",
        destination="one:80",
        forwarded_path="/a",
        forwarded_host="in.test",
    ),
    MeshCase(
        "policy_without_origins_answers_no_preflight",
        vs(f"{{corsPolicy: {{allowMethods: [POST]}}, {to()}}}"),
        "ns/a http[0]",
        200,
        method="OPTIONS",
        headers=PREFLIGHT,
        destination="one:80",
    ),
    MeshCase(
        "weighted_destination_sets_its_own_host",
        vs(
            "{route: [{destination: {host: one, port: {number: 80}}, weight: 1, "
            "headers: {request: {set: {':authority': theirs.test}}}}, {destination: {host: b}}]}"
        ),
        "ns/a http[0]",
        200,
        destination="one:80",
        forwarded_path="/",
        forwarded_host="theirs.test",
    ),
    MeshCase(
        "httproute_prefix_is_removed_and_one_slash_stays",
        route(
            "{matches: [{path: {value: /a-b}}], backendRefs: [{name: one, port: 80}], filters: "
            "[{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, "
            "replacePrefixMatch: /}}}]}"
        ),
        "ns/a rules[0] matches[0]",
        200,
        path="/a-b?q",
        destination="one:80",
        forwarded_path="/?q",
        forwarded_host="api.example.com",
    ),
    MeshCase(
        "redirect_to_the_gateways_port_leaves_the_default_one_out",
        vs("{redirect: {authority: b.test, derivePort: FROM_REQUEST_PORT, uri: /n}}"),
        "ns/a http[0]",
        301,
        kind="redirect",
        seen=(("location", "http://b.test/n"),),
    ),
    MeshCase(
        "redirect_to_another_port_replaces_the_clients",
        vs("{redirect: {port: 8443, scheme: https}}"),
        "ns/a http[0]",
        301,
        host="api.example.com:81",
        kind="redirect",
        seen=(("location", "https://api.example.com:8443/"),),
    ),
    MeshCase(
        "direct_response_with_a_body",
        vs("{directResponse: {status: 403, body: {string: gone}}}"),
        "ns/a http[0]",
        403,
        kind="direct_response",
    ),
    MeshCase(
        "without_headers_fails_on_one_value_of_several",
        vs(f"{{match: [{{withoutHeaders: {{x-tenant: {{exact: xyz}}}}}}], {to()}}}"),
        None,
        404,
        headers=(("x-tenant", "abc"), ("x-tenant", "xyz")),
        kind="no_route",
    ),
    MeshCase(
        "regex_keeps_the_case_of_the_path",
        vs(f"{{match: [{{uri: {{regex: '/A+'}}}}], {to()}}}"),
        "ns/a http[0] match[0]",
        200,
        path="/AA",
        destination="one:80",
    ),
    MeshCase(
        "two_vary_lines_of_a_service_arrive_as_one",
        vs(f"{{{to()}}}"),
        "ns/a http[0]",
        200,
        answer=(("Vary", "accept"), ("vary", "")),
        destination="one:80",
        seen=(("vary", "accept"),),
    ),
    MeshCase(
        "stray_percent_before_a_decoded_digit_is_escaped",
        vs(f"{{{to()}}}"),
        "ns/a http[0]",
        200,
        path="/%%61a/%41",
        destination="one:80",
        forwarded_path="/%25aa/A",
        forwarded_host="api.example.com",
    ),
    MeshCase(
        "dot_segments_lose_their_parameters",
        vs(f"{{match: [{{uri: {{exact: /b}}}}], {to()}}}"),
        "ns/a http[0] match[0]",
        200,
        path="/a/..;x=1/b",
        destination="one:80",
    ),
)
