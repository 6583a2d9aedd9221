"""Documents that do not load: every problem has its place, its reason and a hint."""

from __future__ import annotations

import contextlib
import copy
import pickle
import traceback
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcors.mesh import DocumentError, DocumentProblem, Place, read_documents
from meshcors.mesh._documents.problems import SHOWN_PROBLEMS
from meshcors.mesh._documents.yaml_nodes import MAX_CHARACTERS, place_of
from tests.mesh_cases import CASES, ORIGINAL, route, to, vs

ONE = to()


def problems(text: str) -> list[tuple[str, str]]:
    with pytest.raises(DocumentError) as caught:
        read_documents(text, "mesh.yaml")
    return [(problem.code, problem.path) for problem in caught.value.problems]


# Rules in flow style, each with one problem: its code and its path.
RULES = [
    ("no_action", "{match: [{uri: {prefix: /}}]}", "action", ""),
    ("empty_route", "{route: []}", "action", ""),
    ("two_actions", f"{{{ONE}, redirect: {{uri: /}}}}", "action", ".redirect"),
    (
        "fault_with_redirect",
        "{redirect: {uri: /}, fault: {abort: {httpStatus: 500}}}",
        "action",
        ".fault",
    ),
    (
        "rewrite_with_direct",
        "{directResponse: {status: 200}, rewrite: {uri: /}}",
        "action",
        ".rewrite",
    ),
    ("delegate_of_nobody", "{delegate: {}}", "required", ".delegate"),
    ("delegate_and_route", f"{{delegate: {{name: b}}, {ONE}}}", "action", ".route"),
    (
        "delegate_and_redirect",
        "{delegate: {name: b}, redirect: {uri: /}}",
        "action",
        ".redirect",
    ),
    ("unknown_field", f"{{{ONE}, corsPolicies: {{}}}}", "unknown_field", ".corsPolicies"),
    ("unknown_match", f"{{{ONE}, match: [{{path: /}}]}}", "unknown_field", ".match[0].path"),
    ("wrong_type", f"{{{ONE}, match: {{}}}}", "type", ".match"),
    ("scalar_for_mapping", f"{{{ONE}, match: [x]}}", "type", ".match[0]"),
    (
        "two_kinds",
        f"{{{ONE}, match: [{{uri: {{exact: /, prefix: /}}}}]}}",
        "match",
        ".match[0].uri",
    ),
    ("empty_regex", f"{{{ONE}, match: [{{uri: {{regex: ''}}}}]}}", "match", ".match[0].uri.regex"),
    (
        "empty_prefix",
        f"{{{ONE}, match: [{{method: {{prefix: ''}}}}]}}",
        "match",
        ".match[0].method.prefix",
    ),
    (
        "broken_regex",
        f"{{{ONE}, match: [{{uri: {{regex: '('}}}}]}}",
        "regex",
        ".match[0].uri.regex",
    ),
    (
        "star_regex_in_uri",
        f"{{{ONE}, match: [{{uri: {{regex: '*'}}}}]}}",
        "regex",
        ".match[0].uri.regex",
    ),
    (
        "look_ahead",
        f"{{{ONE}, match: [{{uri: {{regex: '(?=a)'}}}}]}}",
        "regex",
        ".match[0].uri.regex",
    ),
    (
        "long_regex",
        f"{{{ONE}, match: [{{uri: {{regex: '{'a' * 1025}'}}}}]}}",
        "regex",
        ".match[0].uri.regex",
    ),
    (
        "header_name",
        f"{{{ONE}, match: [{{headers: {{'a b': {{}}}}}}]}}",
        "header",
        ".match[0].headers.a b",
    ),
    ("port", f"{{{ONE}, match: [{{port: 70000}}]}}", "range", ".match[0].port"),
    ("port_text", f"{{{ONE}, match: [{{port: '80'}}]}}", "type", ".match[0].port"),
    (
        "ignore_case",
        f"{{{ONE}, match: [{{ignoreUriCase: maybe}}]}}",
        "type",
        ".match[0].ignoreUriCase",
    ),
    (
        "gateway_name",
        f"{{{ONE}, match: [{{gateways: [a/b/c]}}]}}",
        "gateway",
        ".match[0].gateways[0]",
    ),
    (
        "label",
        f"{{{ONE}, match: [{{sourceLabels: {{app: 'a b'}}}}]}}",
        "label",
        ".match[0].sourceLabels.app",
    ),
    (
        "namespace",
        f"{{{ONE}, match: [{{sourceNamespace: a_b}}]}}",
        "namespace",
        ".match[0].sourceNamespace",
    ),
    (
        "origin_missing",
        f"{{{ONE}, corsPolicy: {{allowOrigins: [{{}}]}}}}",
        "required",
        ".corsPolicy.allowOrigins[0]",
    ),
    (
        "origin_star_regex",
        f"{{{ONE}, corsPolicy: {{allowOrigins: [{{regex: '*'}}]}}}}",
        "regex",
        ".corsPolicy.allowOrigins[0].regex",
    ),
    (
        "origin_text",
        f"{{{ONE}, corsPolicy: {{allowOrigins: ['*']}}}}",
        "type",
        ".corsPolicy.allowOrigins[0]",
    ),
    (
        "custom_method",
        f"{{{ONE}, corsPolicy: {{allowMethods: [PURGE]}}}}",
        "name",
        ".corsPolicy.allowMethods[0]",
    ),
    (
        "cors_header",
        f"{{{ONE}, corsPolicy: {{allowHeaders: ['a,b']}}}}",
        "name",
        ".corsPolicy.allowHeaders[0]",
    ),
    ("half_second", f"{{{ONE}, corsPolicy: {{maxAge: 1.5s}}}}", "duration", ".corsPolicy.maxAge"),
    ("zero_seconds", f"{{{ONE}, corsPolicy: {{maxAge: 0s}}}}", "duration", ".corsPolicy.maxAge"),
    ("bare_seconds", f"{{{ONE}, corsPolicy: {{maxAge: 600}}}}", "type", ".corsPolicy.maxAge"),
    (
        "unmatched",
        f"{{{ONE}, corsPolicy: {{unmatchedPreflights: DROP}}}}",
        "choice",
        ".corsPolicy.unmatchedPreflights",
    ),
    ("no_destination", "{route: [{weight: 1}]}", "required", ".route[0]"),
    ("no_host", "{route: [{destination: {}}]}", "required", ".route[0].destination"),
    ("star_host", "{route: [{destination: {host: '*'}}]}", "host", ".route[0].destination.host"),
    (
        "subset",
        "{route: [{destination: {host: a, subset: a_b}}]}",
        "subset",
        ".route[0].destination.subset",
    ),
    (
        "port_number",
        "{route: [{destination: {host: a, port: {}}}]}",
        "required",
        ".route[0].destination.port",
    ),
    (
        "no_weight",
        "{route: [{destination: {host: a}}, {destination: {host: b}}]}",
        "weight",
        ".route",
    ),
    (
        "host_response",
        f"{{{ONE}, headers: {{response: {{set: {{host: a}}}}}}}}",
        "header",
        ".headers.response.set.host",
    ),
    (
        "remove_pseudo",
        f"{{{ONE}, headers: {{request: {{remove: [':path']}}}}}}",
        "header",
        ".headers.request.remove[0]",
    ),
    (
        "empty_name",
        f"{{{ONE}, headers: {{request: {{set: {{'': a}}}}}}}}",
        "header",
        ".headers.request.set.",
    ),
    (
        "percent",
        f"{{{ONE}, headers: {{response: {{add: {{a: 50%}}}}}}}}",
        "header",
        ".headers.response.add.a",
    ),
    (
        "control",
        f'{{{ONE}, headers: {{response: {{add: {{a: "\\n"}}}}}}}}',
        "header",
        ".headers.response.add.a",
    ),
    (
        "two_hosts",
        f"{{{ONE}, rewrite: {{authority: a}}, headers: {{request: {{set: {{host: b}}}}}}}}",
        "authority",
        "",
    ),
    ("redirect_nothing", "{redirect: {redirectCode: 302}}", "redirect", ".redirect"),
    *(
        (f"line_{action}_{name}", rule, action, f".{action}.{name}")
        for action, name, rule in (
            ("redirect", "uri", '{redirect: {uri: "/a\\nb"}}'),
            ("redirect", "authority", '{redirect: {authority: "a\\rb"}}'),
            ("redirect", "prefixRewrite", '{redirect: {prefixRewrite: "/\\0"}}'),
            ("rewrite", "uri", f'{{{ONE}, rewrite: {{uri: "/a\\nb"}}}}'),
            ("rewrite", "authority", f'{{{ONE}, rewrite: {{authority: "a\\nb"}}}}'),
            (
                *("rewrite", "uriRegexRewrite.rewrite"),
                f'{{{ONE}, rewrite: {{uriRegexRewrite: {{match: /a, rewrite: "/\\n"}}}}}}',
            ),
        )
    ),
    (
        "redirect_code",
        "{redirect: {uri: /, redirectCode: 304}}",
        "redirect",
        ".redirect.redirectCode",
    ),
    ("redirect_scheme", "{redirect: {scheme: ftp}}", "redirect", ".redirect.scheme"),
    ("redirect_paths", "{redirect: {uri: /, prefixRewrite: /}}", "redirect", ".redirect"),
    (
        "redirect_ports",
        "{redirect: {port: 80, derivePort: FROM_REQUEST_PORT}}",
        "redirect",
        ".redirect",
    ),
    (
        "redirect_prefix",
        "{match: [{uri: {exact: /}}], redirect: {prefixRewrite: /}}",
        "redirect",
        ".redirect",
    ),
    ("direct_status", "{directResponse: {}}", "required", ".directResponse"),
    ("direct_range", "{directResponse: {status: 100}}", "range", ".directResponse.status"),
    (
        "direct_bodies",
        "{directResponse: {status: 200, body: {string: a, bytes: YQ==}}}",
        "body",
        ".directResponse.body",
    ),
    (
        "direct_base64",
        "{directResponse: {status: 200, body: {bytes: '!'}}}",
        "body",
        ".directResponse.body.bytes",
    ),
    ("rewrite_nothing", f"{{{ONE}, rewrite: {{}}}}", "rewrite", ".rewrite"),
    (
        "rewrite_both",
        f"{{{ONE}, rewrite: {{uri: /, uriRegexRewrite: {{match: a, rewrite: b}}}}}}",
        "rewrite",
        ".rewrite",
    ),
    (
        "rewrite_half",
        f"{{{ONE}, rewrite: {{uriRegexRewrite: {{match: a}}}}}}",
        "required",
        ".rewrite.uriRegexRewrite",
    ),
    (
        "rewrite_regex",
        f"{{{ONE}, rewrite: {{uriRegexRewrite: {{match: '[', rewrite: b}}}}}}",
        "regex",
        ".rewrite.uriRegexRewrite.match",
    ),
    *(
        (
            f"rewrite_{name}",
            f"{{{ONE}, rewrite: {{uriRegexRewrite: {{match: '/(a)', rewrite: '{rewrite}'}}}}}}",
            "rewrite",
            ".rewrite.uriRegexRewrite.rewrite",
        )
        for name, rewrite in (("group", r"/\2"), ("letter", r"/\n"), ("end", "/\\"))
    ),
    ("timeout", f"{{{ONE}, timeout: 0s}}", "duration", ".timeout"),
    ("timeout_words", f"{{{ONE}, timeout: soon}}", "duration", ".timeout"),
    ("retries", f"{{{ONE}, retries: {{perTryTimeout: 1s}}}}", "retries", ".retries"),
    ("fault_empty", f"{{{ONE}, fault: {{}}}}", "required", ".fault"),
    (
        "fault_percentage",
        f"{{{ONE}, fault: {{abort: {{httpStatus: 500, percentage: {{value: 101}}}}}}}}",
        "range",
        ".fault.abort.percentage",
    ),
    (
        "fault_http2",
        f"{{{ONE}, fault: {{abort: {{http2Error: x}}}}}}",
        "fault",
        ".fault.abort.http2Error",
    ),
    (
        "fault_exponential",
        f"{{{ONE}, fault: {{delay: {{exponentialDelay: 1s}}}}}}",
        "fault",
        ".fault.delay.exponentialDelay",
    ),
    (
        "fault_words",
        f"{{{ONE}, fault: {{delay: {{fixedDelay: 1s, percentage: {{value: all}}}}}}}}",
        "type",
        ".fault.delay.percentage.value",
    ),
    (
        "big_body",
        "{directResponse: {status: 200, body: {string: '" + "x" * 1048577 + "'}}}",
        "body",
        ".directResponse.body",
    ),
    ("mirrors", f"{{{ONE}, mirror: {{host: a}}, mirrors: []}}", "mirror", ".mirrors"),
    ("mirror_destination", f"{{{ONE}, mirrors: [{{}}]}}", "required", ".mirrors[0]"),
    ("mirror_percent", f"{{{ONE}, mirrorPercent: 101}}", "range", ".mirrorPercent"),
]


@pytest.mark.parametrize(
    ("rule", "code", "path"), [pytest.param(*row[1:], id=row[0]) for row in RULES]
)
def test_rule_istio_refuses(rule: str, code: str, path: str) -> None:
    assert problems(vs(rule)) == [(code, f"spec.http[0]{path}")]


HTTP = f"{{{ONE}}}"
HEADS = [
    ("two_hosts_overlap", vs(HTTP, hosts="['*.a.test', b.a.test]"), "duplicate_host"),
    ("two_wildcards", vs(HTTP, hosts="['*.a.test', '*.test']"), "duplicate_host"),
    ("same_host", vs(HTTP, hosts="[a.test, a.test]"), "duplicate_host"),
    ("exact_then_wildcard", vs(HTTP, hosts="[b.a.test, '*.a.test']"), "duplicate_host"),
    ("host_name", vs(HTTP, hosts="[a_b.test]"), "host"),
    ("host_url", vs(HTTP, hosts="['https://a.test']"), "host"),
    ("host_ends_in_number", vs(HTTP, hosts="[a.1]"), "host"),
    ("host_empty", vs(HTTP, hosts="['']"), "host"),
    ("wildcard_inside", vs(HTTP, hosts="[a.*.test]"), "host"),
    ("no_hosts", vs(HTTP, hosts="[]"), "delegate"),
    (
        "delegate_of_a_delegate",
        vs("{delegate: {name: b}}", hosts="[]").replace("  gateways: [gate]\n", ""),
        "delegate",
    ),
    ("star_in_mesh", vs(HTTP).replace("  gateways: [gate]\n", ""), "host"),
    ("gateway_empty", vs(HTTP).replace("[gate]", "['']"), "gateway"),
    ("gateway", vs(HTTP).replace("[gate]", "[a b]"), "gateway"),
    (
        "no_rules",
        vs(HTTP).replace("  http:\n", "  exportTo:\n").replace("  - {", "  - a  # {"),
        "required",
    ),
    ("no_name", vs(HTTP).replace("name: a,", ""), "required"),
    ("bad_name", vs(HTTP).replace("name: a,", "name: A_b,"), "name"),
    ("version", vs(HTTP).replace("istio.io/v1", "istio.io/v2"), "api_version"),
    ("no_kind", vs(HTTP).replace("kind", "kin"), "not_an_object"),
    ("duplicate_key", vs(HTTP) + "  hosts: [x.test]\n", "duplicate_key"),
    ("boolean_for_text", vs(HTTP).replace("name: a,", "name: yes,"), "type"),
    ("number_for_text", vs(HTTP).replace("name: a,", "name: 7,"), "type"),
    ("null_for_text", vs(HTTP, hosts="[~]"), "type"),
    ("list_for_text", vs(HTTP, hosts="[[]]"), "type"),
    ("text_for_list", vs(HTTP, hosts="a.test"), "type"),
    ("list_as_key", vs(HTTP).replace("{name: a,", "{? [x] : y, name: a,"), "type"),
]


@pytest.mark.parametrize(
    ("text", "code"), [pytest.param(text, code, id=name) for name, text, code in HEADS]
)
def test_document_istio_refuses(text: str, code: str) -> None:
    assert code in [found for found, _ in problems(text)]


ROUTES = [
    ("filter", "{filters: [{type: Other}]}", "filter"),
    ("filter_body", "{filters: [{type: CORS}]}", "filter"),
    ("extension", "{filters: [{type: ExtensionRef}]}", "filter"),
    ("method", "{matches: [{method: get}]}", "choice"),
    ("path", "{matches: [{path: {value: a}}]}", "path"),
    ("regex", "{matches: [{path: {type: RegularExpression, value: '('}}]}", "regex"),
    ("header", "{matches: [{headers: [{name: a}]}]}", "required"),
    ("query_name", "{matches: [{queryParams: [{value: a}]}]}", "required"),
    (
        "header_regex",
        "{matches: [{headers: [{name: a, type: RegularExpression, value: '('}]}]}",
        "regex",
    ),
    ("backend", "{backendRefs: [{port: 80}]}", "required"),
    ("modifier", "{filters: [{type: URLRewrite, urlRewrite: {path: {}}}]}", "required"),
    (
        "operation",
        "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{value: x}]}}]}",
        "header",
    ),
    (
        "redirect",
        "{filters: [{type: RequestRedirect, requestRedirect: {statusCode: 305}}]}",
        "redirect",
    ),
    ("max_age", "{filters: [{type: CORS, cors: {maxAge: 0}}]}", "range"),
]


@pytest.mark.parametrize(
    ("rule", "code"), [pytest.param(rule, code, id=name) for name, rule, code in ROUTES]
)
def test_http_route_the_api_refuses(rule: str, code: str) -> None:
    assert [found for found, _ in problems(route(rule))] == [code]


def test_http_route_hostnames_and_parents() -> None:
    text = route("{}", hostnames="['*', a_b.test]").replace("{name: gate}", "{namespace: b}")
    assert [code for code, _ in problems(text)] == ["required", "host", "host"]


BROKEN = [
    (
        "list_for_kind",
        "apiVersion: v1\nkind: []",
        "mesh.yaml:2:7: kind: must be a string, not a list",
    ),
    ("unfinished", "a: [", "mesh.yaml:1:5: not YAML"),
    (
        "tab",
        "a:\n\tb: 1",
        "mesh.yaml:2:1: not YAML: a tab where YAML expects spaces; indent with spaces",
    ),
    ("control", "a: \x00", "mesh.yaml:1:4: not YAML: unacceptable character 0x0; fix the YAML"),
    ("colon", "a: b: c", "mesh.yaml:1:5: not YAML: mapping values are not allowed here"),
    ("unknown_alias", "a: *b", "mesh.yaml:1:4: not YAML: found undefined alias"),
    ("text", "hello", "mesh.yaml:1:1: the document is not a Kubernetes object"),
    ("list", "- a", "mesh.yaml:1:1: the document is not a Kubernetes object"),
    ("deep", "[" * 20_000, "mesh.yaml:1:1: lists and mappings are nested too deeply"),
    (
        "large",
        "#" * (5 * 1024 * 1024),
        "mesh.yaml:1:1: the file has 5.0 MiB, and the limit is 2 MiB",
    ),
    (
        "list_in_itself",
        "&a {apiVersion: v1, kind: List, items: [*a]}",
        "mesh.yaml:1:1: nested too deeply; check for an alias inside its anchor",
    ),
    ("self", vs(f"{{match: [&m {{<<: *m, port: 80}}], {ONE}}}"), "nested too deeply"),
]


@pytest.mark.parametrize(
    ("text", "line"), [pytest.param(text, line, id=name) for name, text, line in BROKEN]
)
def test_broken_text_is_one_clear_line(text: str, line: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_documents(text, "mesh.yaml")
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_alias_bomb_is_defused() -> None:
    many = ", ".join(["*m"] * 999)
    bomb = vs(f"&r {{match: [&m {{}}, {many}], {ONE}}}") + "  - *r\n" * 999
    assert len(bomb) < 20_000 < 999**2
    ((code, _),) = problems(bomb)
    assert code == "alias_bomb"


def test_places_are_those_of_an_editor() -> None:
    text = ORIGINAL.replace("24h", "24x").replace("hosts", "host").replace("number: 8000", "nr: 1")
    with pytest.raises(DocumentError) as caught:
        read_documents(text, "mesh.yaml")
    lines = str(caught.value).splitlines()
    assert [line.split(" ")[0] for line in lines] == [
        "mesh.yaml:5:3:",
        "mesh.yaml:6:9:",
        "mesh.yaml:13:15:",
        "mesh.yaml:15:81:",
        "mesh.yaml:15:86:",
    ]
    assert lines[1].endswith("unknown field 'host'; did you mean hosts?")


def test_a_hundred_faults_are_not_a_hundred_lines() -> None:
    text = vs("\n".join(["{}"] * 100))
    with pytest.raises(DocumentError) as caught:
        read_documents(text)
    assert len(caught.value.problems) == 100
    assert len(str(caught.value).splitlines()) == SHOWN_PROBLEMS + 1


class OwnError(DocumentError):
    """A subclass of a user."""


@pytest.mark.parametrize("kind", [DocumentError, OwnError])
@pytest.mark.parametrize(
    "copied",
    [
        copy.copy,
        copy.deepcopy,
        *(
            pytest.param(
                lambda error, protocol=protocol: pickle.loads(pickle.dumps(error, protocol)),
                id=f"pickle {protocol}",
            )
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
        ),
    ],
)
def test_an_error_can_be_copied_and_pickled(
    kind: type[DocumentError], copied: Callable[[DocumentError], DocumentError]
) -> None:
    with pytest.raises(DocumentError) as caught:
        read_documents(vs("\n".join(["{}"] * 3)), "mesh.yaml")
    error = kind(caught.value.problems)
    error.add_note("a note")
    again = copied(error)
    assert type(again) is kind
    assert (again.problems, str(again), again.args) == (error.problems, str(error), error.args)
    assert again.__notes__ == ["a note"]


def test_a_traceback_names_the_error_as_it_is_imported() -> None:
    error = DocumentError([DocumentProblem(Place("a.yaml", 1, 2), "yaml", "", "broken", "fix it")])
    assert traceback.format_exception_only(error) == [
        "meshcors.mesh.DocumentError: a.yaml:1:2: broken; fix it\n"
    ]


def test_a_problem_is_one_line_whatever_the_file_is_called() -> None:
    with pytest.raises(DocumentError) as caught:
        read_documents("kind: x", "a\x1b[31m\nb.yaml")
    assert str(caught.value).startswith(r"a\x1b[31m\nb.yaml:1:1: ")


def test_other_kinds_are_passed_over_and_lists_opened() -> None:
    text = (
        "---\n# nothing\n---\napiVersion: v1\nkind: Service\nmetadata: {anything: goes}\n---\n"
        + "apiVersion: networking.istio.io/v1beta1\nkind: Gateway\n---\n"
        + "apiVersion: gateway.solo.io/v1\nkind: VirtualService\n---\n"
        + "apiVersion: v1\nkind: List\nitems:\n"
        + "".join(
            f"- {line}\n" if at == 0 else f"  {line}\n"
            for at, line in enumerate(vs(HTTP).splitlines())
        )
        + "---\n"
    )
    (document,) = read_documents(text)
    assert document.label == "ns/a"


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha3"])
def test_every_version_is_read(version: str) -> None:
    (document,) = read_documents(vs(HTTP).replace("istio.io/v1", f"istio.io/{version}"))
    assert document.hosts == ("*",)


def test_anchors_and_merge_keys_are_followed() -> None:
    text = vs(
        f"{{match: [&m {{method: {{exact: OPTIONS}}}}], {ONE}}}\n"
        "{<<: [{route: []}, {name: x}], match: [{<<: *m, port: 80}], route: ~, "
        "directResponse: {status: 200, body: {}}}"
    )
    (document,) = read_documents(text)
    merged = document.http[1]
    assert merged.name == "x"
    assert str(merged.match[0].method) == 'exact "OPTIONS"'
    assert merged.match[0].port == 80


def test_everything_the_model_leaves_aside_is_read() -> None:
    text = vs(
        f"{{name: x, {ONE}, timeout: 5s, corsPolicy: {{allowCredentials: off}}, "
        "retries: {attempts: 2, perTryTimeout: 1s, backoff: 25ms}, "
        "fault: {abort: {grpcStatus: INTERNAL, percentage: {value: 0.5}}, "
        "delay: {fixedDelay: 1m}}, "
        "mirrors: [{destination: {host: b, subset: v1}, percentage: {value: 10}}], "
        "match: [{name: m, statPrefix: s, sourceLabels: {a: b}, sourceNamespace: x}]}\n"
        f"{{{ONE}, mirror: {{host: b}}, mirrorPercent: 5, mirrorPercentage: {{value: 5}}}}",
        hosts="[10.0.0.1, 'a.test.', '::1']",
    )
    (document,) = read_documents(text)
    assert document.http[0].has_fault
    assert document.http[0].match[0].source_labels == (("a", "b"),)


def test_place_at_names_any_field() -> None:
    (document,) = read_documents(ORIGINAL, "mesh.yaml")
    headers = ("spec", "http", 0, "corsPolicy", "allowHeaders")
    assert document.place_at(*headers) == Place("mesh.yaml", 10, 7)
    assert document.place_at(*headers, 1) == Place("mesh.yaml", 10, 37)
    assert document.place_at(*headers, 99) == document.place_at(*headers)
    assert document.place_at("spec", "nothing", "here") == document.place_at("spec")
    assert document.place_at("apiVersion", "x") == Place("mesh.yaml", 1, 1)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("12345", "must be a string, not a number; put it in quotes"),
        ("yes", "must be a string, not a boolean; put it in quotes"),
        ("~", "must be a string, not null; write a string"),
        ("[12345]", "must be a string, not a list; write a string"),
    ],
)
def test_a_value_of_the_wrong_type_is_not_shown(value: str, said: str) -> None:
    """It may be a key's."""
    with pytest.raises(DocumentError) as caught:
        read_documents(vs(f"{{match: [{{sourceLabels: {{k: {value}}}}}], {ONE}}}"), "mesh.yaml")
    (line,) = str(caught.value).splitlines()
    assert line.endswith(f": spec.http[0].match[0].sourceLabels.k: {said}")


def test_a_merged_field_has_the_place_where_it_is_written() -> None:
    text = vs(f"&first {{name: x, {ONE}}}\n{{<<: *first, match: [{{port: 80}}]}}")
    (document,) = read_documents(text, "mesh.yaml")
    merged = ("spec", "http", 1)
    assert document.place_at(*merged, "name") == document.place_at("spec", "http", 0, "name")
    assert document.place_at(*merged, "match") > document.place_at(*merged)
    assert document.node_at(*merged, "name").value == "x"
    assert document.node_at(*merged, "nothing") is None
    quoted = text.replace("<<:", '"<<":')
    with pytest.raises(DocumentError, match="unknown field '<<'"):
        read_documents(quoted)


def test_a_rule_is_found_by_its_document_and_its_path() -> None:
    """The typed form and the YAML it was read from lead to one another, aliases or not."""
    seen = 0
    for case in CASES:
        documents = read_documents(case.text, "mesh.yaml")
        assert len({document.number for document in documents}) == len(documents)
        for document in documents:
            for rule in document.http:
                node = document.node_at(*rule.path)
                assert place_of(node, "mesh.yaml") == rule.place
                seen += 1
            if document.kind == "VirtualService":
                assert len({rule.path for rule in document.http}) == len(document.http)
    assert seen > len(CASES)


def test_a_document_knows_which_object_of_its_file_it_is() -> None:
    service = "apiVersion: v1\nkind: Service\n"
    item = vs(HTTP).replace("\n", "\n  ").rstrip()
    text = f"{service}---\n{vs(HTTP)}---\nkind: List\napiVersion: v1\nitems:\n- {item}\n- {item}\n"
    assert [document.number for document in read_documents(text)] == [1, 2, 3]


def test_missing_parts_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "re2", None)
    found = vs(f"{{match: [{{uri: {{regex: /a}}}}], {ONE}}}")
    with pytest.raises(DocumentError, match=r"pip install 'meshcors\[regex\]'"):
        read_documents(found)
    monkeypatch.setitem(__import__("sys").modules, "ruamel.yaml", None)
    with pytest.raises(DocumentError, match=r"pip install 'meshcors\[cli\]'"):
        read_documents(found)


def test_size_is_bounded_by_characters() -> None:
    assert read_documents("#" * MAX_CHARACTERS) == ()


LINES = st.sampled_from(
    [
        *ORIGINAL.splitlines(),
        *vs(HTTP).splitlines(),
        "---",
        "  - ",
        "\t",
        "{",
        "&a",
        "*a",
        "<<: *a",
        "? b",
    ]
)


@given(st.lists(LINES, max_size=25), st.text(max_size=20))
def test_no_text_makes_it_raise_anything_else(lines: list[str], rest: str) -> None:
    with contextlib.suppress(DocumentError):
        read_documents("\n".join([*lines, rest]))
