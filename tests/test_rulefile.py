"""Files of rules and VirtualServices: what is read, ignored with a warning, or refused."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import meshcors._policy.rules
import meshcors.config._rule_file
import meshcors.config._rule_parts
import meshcors.config._virtual_services
from meshcors import HeaderKey, Policy, PolicyError, PolicyWarning, Rule, RuleSet, config
from meshcors.config._loading import load
from tests.calling import UI, App, call_asgi, call_wsgi, preflight
from tests.test_rules import accepted_rules

DATA = Path(__file__).parent / "data"
ADMIN = "https://admin.example"


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(content: object, name: str = "policy.yaml") -> Path:
        path = tmp_path / name
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def problems(error: pytest.ExceptionInfo[PolicyError]) -> list[tuple[str, str]]:
    """The code and the path of each problem, without the name of the file."""
    return [
        (problem.code, problem.field.rpartition("policy.yaml")[2].removeprefix(": "))
        for problem in error.value.problems
    ]


def warned(path: Path) -> tuple[RuleSet, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PolicyWarning)
        rules = config.rules_from_file(path)
    return rules, [str(warning.message).removeprefix(f"{path}: ") for warning in caught]


EXAMPLE = """
rules:
  - hosts: [api.example.com]
    pathPrefix: /v1
    corsPolicy: {allowOrigins: [https://ui.example], allowHeaders: [content-type], maxAge: 10m}
    key: {header: model-api-key}
  - corsPolicy: {allowOrigins: [https://admin.example]}
"""
EXAMPLE_RULES = RuleSet(
    [
        Rule(
            Policy(
                allow_origins=[UI],
                allow_headers=["content-type"],
                max_age=600,
                key=HeaderKey("model-api-key"),
            ),
            hosts=["api.example.com"],
            path_prefix="/v1",
        ),
        Rule(Policy(allow_origins=[ADMIN])),
    ]
)
TOML = """
[[rules]]
hosts = ["api.example.com"]
pathPrefix = "/v1"
corsPolicy = {allowOrigins = ["https://ui.example"], allowHeaders = ["content-type"], maxAge = 600}
key = {header = "model-api-key"}
[[rules]]
corsPolicy = {allowOrigins = ["https://admin.example"]}
"""


def test_the_same_rules_in_every_format(file: Any) -> None:
    assert config.rules_from_file(file(EXAMPLE)) == EXAMPLE_RULES
    assert config.rules_from_file(file(TOML, "policy.toml")) == EXAMPLE_RULES
    data = config.to_document(EXAMPLE_RULES)
    assert config.rules_from_file(file(data, "policy.json")) == EXAMPLE_RULES


@given(accepted_rules())
def test_rules_survive_a_file(tmp_path_factory: Any, rules: tuple[Rule, ...]) -> None:
    path = tmp_path_factory.mktemp("rules") / "rules.json"
    path.write_text(json.dumps(config.to_document(RuleSet(rules))), encoding="utf-8")
    assert config.rules_from_file(path) == RuleSet(rules)


def test_a_file_of_one_policy_is_a_rule_for_every_url(file: Any) -> None:
    path = file({"allowOrigins": [UI]})
    assert config.rules_from_file(path) == RuleSet([Rule(Policy(allow_origins=[UI]))])


def test_a_rule_may_be_written_without_cors_policy(file: Any) -> None:
    path = file({"rules": [{"hosts": ["a.example"], "allowOrigins": [UI]}]})
    expected = RuleSet([Rule(Policy(allow_origins=[UI]), hosts=["a.example"])])
    assert config.rules_from_file(path) == expected


def test_key_values_come_from_files_beside_it(file: Any, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("xyz\n", encoding="utf-8")
    rule = {"corsPolicy": {"allowOrigins": [UI]}, "key": {"header": "x-key", "valuesFile": "keys"}}
    rules = config.rules_from_file(file({"rules": [rule]}))
    assert rules.rules[0].policy.key == HeaderKey("x-key", values=["xyz"])
    written = config.to_document(rules, key_values_file="keys")
    assert written["rules"][0]["key"] == {"header": "x-key", "valuesFile": "keys"}
    with pytest.raises(PolicyError, match="key_values_need_file"):
        config.to_document(rules)


POLICY = {"corsPolicy": {"allowOrigins": [UI]}}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param({"rules": []}, [("no_rules", "rules")], id="none"),
        pytest.param({"rules": None}, [("no_rules", "rules")], id="null"),
        pytest.param({"rules": {}}, [("not_a_list", "rules"), ("no_rules", "rules")], id="mapping"),
        pytest.param(
            {"rules": [3]},
            [("not_a_mapping", "rules[0]")],
            id="number",
        ),
        pytest.param(
            {"rules": [POLICY], **POLICY}, [("unknown_field", "corsPolicy")], id="policy-beside"
        ),
        pytest.param(
            {"rules": [{**POLICY, "host": ["a.example"]}]},
            [("unknown_field", "rules[0].host")],
            id="unknown",
        ),
        pytest.param(
            {"rules": [{"allowOrigins": [UI], "pathprefix": "/"}]},
            [("unknown_field", "rules[0].pathprefix")],
            id="unknown-beside-fields",
        ),
        pytest.param(
            {"rules": [{**POLICY, "hosts": ["a:1"], "pathPrefix": "v1"}, POLICY, POLICY]},
            [("host_malformed", "rules[0].hosts"), ("path_not_absolute", "rules[0].pathPrefix")],
            id="urls",
        ),
        pytest.param(
            {"rules": [{"allowOrigins": ["x"]}, POLICY]},
            [
                ("origin_scheme_missing", "rules[0].allowOrigins"),
                ("rule_second_policy", "rules[1]"),
            ],
            id="policy-and-order",
        ),
        pytest.param(
            {"rules": [POLICY, {**POLICY, "hosts": ["a.example"]}]},
            [("rule_unreachable", "rules[1]")],
            id="unreachable",
        ),
        *(
            pytest.param(
                {"rules": [{**POLICY, **fields}]},
                [("rule_by_value", f"rules[0].{place}")],
                id=f"by-value-{place}",
            )
            for fields, place in [
                ({"headers": {"x-key": {"exact": "xyz"}}}, "headers"),
                ({"match": [{"headers": {}}]}, "match"),
                ({"key": {"header": "x-key", "value": "xyz"}}, "key.value"),
                ({"key": {"header": "x-key", "values": ["xyz"]}}, "key.values"),
                ({"key": {"header": {"exact": "xyz"}}}, "key.header"),
            ]
        ),
    ],
)
def test_files_that_are_refused(file: Any, document: Any, expected: list[tuple[str, str]]) -> None:
    with pytest.raises(PolicyError) as error:
        config.rules_from_file(file(document))
    assert problems(error) == expected
    assert "xyz" not in str(error.value)
    if expected[0][1].endswith(("key.value", "key.values")):
        assert "values do not belong in this file: write valuesFile [" in str(error.value)
    elif "by_value" in expected[0][0]:
        assert "browsers cache preflights by URL and header name, never by value" in str(
            error.value
        )


NAMES = st.sampled_from(
    ["hosts", "pathPrefix", "corsPolicy", "key", "header", "match", "uri", "prefix", "http", "spec"]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=3)
    | st.just(["https://a.example"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES, st.sampled_from(["rules", "spec", "http", "hosts"]))
@pytest.mark.filterwarnings("ignore::meshcors.PolicyWarning")
def test_no_file_makes_anything_but_rules_or_problems(
    tmp_path_factory: pytest.TempPathFactory, value: object, field: str
) -> None:
    documents: dict[str, object] = {
        "rules": {"rules": value},
        "spec": {**virtual_service(), "spec": value},
        "http": {**virtual_service(), "spec": {"hosts": ["*"], "http": value}},
        "hosts": virtual_service({"match": value, **cors()}, hosts=value),
    }
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(documents[field]), encoding="utf-8")
    try:
        rules = config.rules_from_file(path)
    except PolicyError:
        return
    assert rules.rules


def test_options_beside_rules_are_refused_all_at_once(file: Any) -> None:
    path = file({"rules": [{"allowOrigins": ["x"]}]})
    environ = {"MESHCORS_CONFIG": str(path), "MESHCORS_MAX_AGE": "3", "MESHCORS_ALLOW_HEADERS": ""}
    with pytest.raises(PolicyError) as error:
        load({"allow_origins": [UI]}, {**environ, "MESHCORS_MAXAGE": "3"})
    assert problems(error) == [
        ("unknown_variable", "MESHCORS_MAXAGE"),
        ("rules_and_options", "MESHCORS_MAX_AGE"),
        ("rules_and_options", "--allow-origin"),
        ("origin_scheme_missing", "rules[0].allowOrigins"),
    ]


def test_one_loader_returns_either(file: Any) -> None:
    assert load({}, {"MESHCORS_CONFIG": str(file(EXAMPLE))}) == EXAMPLE_RULES
    assert load({}, {}, config=file(EXAMPLE)) == EXAMPLE_RULES
    policy = load({"max_age": "10m"}, {}, config=file({"allowOrigins": [UI]}))
    assert policy == Policy(allow_origins=[UI], max_age=600)


def test_where_one_policy_is_asked_for_rules_are_refused(file: Any) -> None:
    path = file(EXAMPLE)
    for read in (config.from_file, lambda path: config.from_environment({"MESHCORS_CONFIG": path})):
        with pytest.raises(PolicyError) as error:
            read(str(path))
        assert [problem.code for problem in error.value.problems] == ["file_of_rules"]


@pytest.mark.filterwarnings("ignore:key:meshcors.PolicyWarning")
def test_middleware_takes_rules_from_the_environment(
    file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESHCORS_CONFIG", str(file(EXAMPLE)))
    for host, path, origin in (("api.example.com", "/v1/x", UI), ("x.example", "/", ADMIN)):
        headers = [("host", host), *preflight(origin)]
        for app in (meshcors.MeshCORS(App().asgi), meshcors.create_app()):
            answered = call_asgi(app, "OPTIONS", path, headers)
            assert answered.get("access-control-allow-origin") == origin


KEYED_FILE: dict[str, Any] = {
    "rules": [{"pathPrefix": "/v1", "corsPolicy": {"allowOrigins": [UI]}}]
}
KEYED_FILE["rules"][0]["key"] = {"header": "model-api-key"}


@pytest.mark.filterwarnings("ignore:key:meshcors.PolicyWarning")
@pytest.mark.parametrize(
    ("in_file", "variable", "status"),
    [
        (None, None, 404),
        ("app", None, 200),
        ("refuse", None, 404),
        (None, "app", 200),
        ("app", "refuse", 404),
        ("refuse", " app ", 200),
        ("app", "", 200),
    ],
)
def test_uncovered_of_a_file_and_of_the_environment(
    file: Any,
    monkeypatch: pytest.MonkeyPatch,
    in_file: str | None,
    variable: str | None,
    status: int,
) -> None:
    path = file(KEYED_FILE if in_file is None else {**KEYED_FILE, "uncovered": in_file})
    monkeypatch.setenv("MESHCORS_CONFIG", str(path))
    if variable is not None:
        monkeypatch.setenv("MESHCORS_UNCOVERED", variable)
    assert call_asgi(meshcors.MeshCORS(App().asgi), path="/v2").status == status
    assert call_wsgi(meshcors.wsgi.MeshCORS(App().wsgi), path="/v2").status == status
    # A file may be shared, but the ready-made apps always refuse.
    assert call_asgi(meshcors.create_app(), path="/v2").status == 404
    assert call_wsgi(meshcors.create_wsgi_app(), path="/v2").status == 404
    if variable is None:
        rules = config.rules_from_file(path)
        assert config.to_document(rules).get("uncovered") == in_file
        again = config.rules_from_file(file(config.to_document(rules)))
        assert again == rules


def test_uncovered_that_says_nothing_is_refused(file: Any) -> None:
    with pytest.raises(PolicyError) as error:
        config.rules_from_file(file({**KEYED_FILE, "uncovered": "all"}))
    assert problems(error) == [("uncovered_unknown", "uncovered")]
    environ = {"MESHCORS_CONFIG": str(file(KEYED_FILE)), "MESHCORS_UNCOVERED": "all"}
    with pytest.raises(PolicyError) as error:
        load(None, environ)
    assert problems(error) == [("uncovered_unknown", "MESHCORS_UNCOVERED")]
    with pytest.raises(PolicyError) as error:
        load(None, {"MESHCORS_ALLOW_ORIGINS": UI, "MESHCORS_UNCOVERED": "app"})
    assert problems(error) == [("uncovered_without_rules", "MESHCORS_UNCOVERED")]


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"allowOrigins": [UI], "uncovered": "app"}, id="fields"),
        pytest.param({"corsPolicy": {"allowOrigins": [UI]}, "uncovered": "app"}, id="beside"),
        pytest.param({"corsPolicy": {"allowOrigins": [UI], "uncovered": "app"}}, id="inside"),
    ],
)
def test_uncovered_in_the_file_of_a_single_policy(file: Any, document: Any) -> None:
    path = file(document)
    told = "uncovered: a single policy covers every URL: leave this out [uncovered_without_rules]"
    for read in (
        config.rules_from_file,
        config.from_file,
        lambda path: load({}, {}, config=path),
    ):
        with pytest.raises(PolicyError) as error:
            read(path)
        assert str(error.value) == f"{path}: {told}"


BESIDE = {"corsPolicy": {"allowOrigins": [UI]}}


@pytest.mark.parametrize(
    ("fields", "hint"),
    [
        ({"uncovered": "app"}, "uncovered: write it next to rules, at the top of the file ["),
        ({"exposeHeaders": ["x"]}, "exposeHeaders: write it inside corsPolicy ["),
        ({"exemptPaths": ["/x"]}, "exemptPaths: write it inside key ["),
        ({"pathprefix": "/x"}, "pathprefix: unknown; did you mean pathPrefix? ["),
    ],
)
def test_hint_of_a_misplaced_field_of_a_rule(file: Any, fields: Any, hint: str) -> None:
    with pytest.raises(PolicyError) as error:
        config.rules_from_file(file({"rules": [{**BESIDE, **fields}]}))
    assert f"rules[0].{hint}" in str(error.value)


@pytest.mark.parametrize(
    ("fields", "hint"),
    [
        ({"dangerouslyAllowNullOrigin": True}, "write it inside corsPolicy ["),
        ({"exposeHeaders": ["x"]}, "write it inside corsPolicy ["),
        ({"valuesFile": "keys"}, "write it inside key ["),
    ],
)
def test_hint_of_a_misplaced_field_of_a_policy(file: Any, fields: Any, hint: str) -> None:
    with pytest.raises(PolicyError) as error:
        config.from_file(file({**BESIDE, **fields}))
    assert f"{next(iter(fields))}: {hint}" in str(error.value)


# --- VirtualServices


def virtual_service(*http: object, hosts: object = ("*",), **spec: object) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "model"},
        "spec": {"hosts": hosts, "http": list(http), **spec},
    }


def cors(origin: str = UI, **fields: object) -> dict[str, Any]:
    return {"corsPolicy": {"allowOrigins": [{"exact": origin}], **fields}}


def by_key(value: str, **conditions: object) -> dict[str, Any]:
    return {"match": [{"headers": {"model-api-key": {"exact": value}}, **conditions}]}


TAKEN = "only hosts, uri.prefix (by whole segments) and corsPolicy are read; ignored: "


def test_the_original_file_says_what_is_dangerous() -> None:
    with pytest.raises(PolicyError) as error, pytest.warns(PolicyWarning):
        config.rules_from_file(DATA / "virtualservice_original.yaml")
    assert [problem.code for problem in error.value.problems] == [
        "origin_wildcard_with_credentials"
    ]
    assert "spec.http[0].corsPolicy.allowOrigins" in str(error.value)
    assert "xyz" not in str(error.value)


def test_the_original_file_with_an_origin_is_taken(tmp_path: Path) -> None:
    text = (DATA / "virtualservice_original.yaml").read_text(encoding="utf-8")
    path = tmp_path / "policy.yaml"
    path.write_text(text.replace('exact: "*"', f'exact: "{UI}"'), encoding="utf-8")
    rules, said = warned(path)
    assert said[-1] == (f"{TAKEN}spec.gateways, spec.http[0].route, spec.http[0].match[0].headers")
    (rule,) = rules.rules
    assert (rule.hosts, rule.path_prefix) == ((), "/")
    assert rule.policy.allow_origins == (UI,)
    assert rule.policy.max_age == 86400
    assert "model-api-key" in rule.policy.allow_headers


def test_rules_that_differ_by_header_value_only_are_one(file: Any) -> None:
    path = file(virtual_service({**by_key("xyz"), **cors()}, {**by_key("abc"), **cors()}))
    rules, said = warned(path)
    assert rules == RuleSet([Rule(Policy(allow_origins=[UI]))])
    assert said == [f"{TAKEN}spec.http[0].match[0].headers, spec.http[1].match[0].headers"]


def test_two_policies_by_header_value_are_refused_with_the_reason(file: Any) -> None:
    path = file(virtual_service({**by_key("xyz"), **cors()}, {**by_key("abc"), **cors(ADMIN)}))
    with pytest.raises(PolicyError) as error, pytest.warns(PolicyWarning):
        config.rules_from_file(path)
    assert problems(error) == [("rule_second_policy", "spec.http[1]")]
    assert "spec.http[0] covers it too" in str(error.value)
    assert "never by value" in str(error.value)
    assert "abc" not in str(error.value)


def test_hosts_and_prefixes_are_taken_in_order(file: Any) -> None:
    path = file(
        virtual_service(
            {"match": [{"uri": {"prefix": "/v1/models"}}, {"uri": {"prefix": "/v2/"}}], **cors()},
            {"match": [{"uri": {"prefix": "/v1"}, "name": "rest"}], **cors(ADMIN)},
            {**cors(ADMIN, unmatchedPreflights="IGNORE")},
            hosts=["api.example.com", "*.example.org"],
        )
    )
    rules, said = warned(path)
    hosts = ["api.example.com", "*.example.org"]
    ui, admin = Policy(allow_origins=[UI]), Policy(allow_origins=[ADMIN])
    assert rules == RuleSet(
        [
            Rule(ui, hosts=hosts, path_prefix="/v1/models"),
            Rule(ui, hosts=hosts, path_prefix="/v2"),
            Rule(admin, hosts=hosts, path_prefix="/v1"),
            Rule(admin, hosts=hosts),
        ]
    )
    assert said == [
        f"{TAKEN}spec.http[1].match[0].name, spec.http[2].corsPolicy.unmatchedPreflights"
    ]


def test_what_a_rule_cannot_say_is_left_out(file: Any) -> None:
    path = file(
        virtual_service(
            {"match": [{"uri": {"exact": "/a"}}, {"uri": {"prefix": "/b"}}], **cors(ADMIN)},
            {"match": [{"uri": {"regex": "/c.*"}}], **cors(ADMIN)},
            {"match": [{"method": {"exact": "OPTIONS"}}], "route": []},
            cors(),
        )
    )
    rules, said = warned(path)
    admin = Rule(Policy(allow_origins=[ADMIN]), path_prefix="/b")
    assert rules == RuleSet([admin, Rule(Policy(allow_origins=[UI]))])
    assert said == [f"{TAKEN}spec.http[0].match[0], spec.http[1].match[0], spec.http[2]"]


def test_nothing_ignored_is_nothing_said(file: Any) -> None:
    rules, said = warned(file(virtual_service(cors())))
    assert (len(rules.rules), said) == (1, [])


def test_several_documents_are_read_one_after_the_other(file: Any) -> None:
    documents = [
        {"apiVersion": "v1", "kind": "Service", "spec": {}},
        virtual_service(cors(), hosts=["a.example"]),
        "text",
        virtual_service(cors(), hosts=["a.example", "b.example"]),
        virtual_service(cors(ADMIN)),
    ]
    path = file("\n---\n".join(map(json.dumps, documents)))
    rules, said = warned(path)
    ui, admin = Policy(allow_origins=[UI]), Policy(allow_origins=[ADMIN])
    assert rules == RuleSet(
        [Rule(ui, hosts=["a.example"]), Rule(ui, hosts=["b.example"]), Rule(admin)]
    )
    assert said == [f"{TAKEN}document 1", f"{TAKEN}document 3"]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param(virtual_service(), [("no_rules", "")], id="no-http"),
        pytest.param(virtual_service({"route": []}), [("no_rules", "")], id="no-cors-policy"),
        pytest.param(
            virtual_service({"match": [{"uri": {"exact": "/"}}], **cors()}),
            [("no_rules", "")],
            id="nothing-that-could-be-taken",
        ),
        pytest.param(
            virtual_service(cors(), hosts=["a.example:80"]),
            [("host_malformed", "spec.hosts")],
            id="hosts",
        ),
        pytest.param(
            virtual_service(cors(), hosts="a.example"), [("not_a_list", "spec.hosts")], id="text"
        ),
        pytest.param(
            {**virtual_service(), "spec": {"http": [cors()]}},
            [("hosts_empty", "spec.hosts")],
            id="no-hosts",
        ),
        pytest.param(
            {**virtual_service(), "spec": 3}, [("not_a_mapping", "spec")], id="spec-number"
        ),
        pytest.param(
            {**virtual_service(), "spec": {"hosts": ["*"], "http": 3}},
            [("not_a_list", "spec.http")],
            id="http-number",
        ),
        pytest.param(
            virtual_service({"match": [3], "corsPolicy": {"allowOrigins": [{"exact": "x"}]}}, 3),
            [
                ("origin_scheme_missing", "spec.http[0].corsPolicy.allowOrigins"),
                ("not_a_mapping", "spec.http[0].match[0]"),
                ("not_a_mapping", "spec.http[1]"),
            ],
            id="all-at-once",
        ),
        pytest.param(
            virtual_service(
                {
                    "corsPolicy": {
                        "allowOrigins": [{"exact": "https://*.ui.example"}, {"exact": "*"}]
                    }
                }
            ),
            [
                ("origin_wildcard", "spec.http[0].corsPolicy.allowOrigins"),
                ("origin_wildcard_beside_others", "spec.http[0].corsPolicy.allowOrigins"),
            ],
            id="a-star-that-istio-compares-as-it-is",
        ),
        pytest.param(
            virtual_service({"match": [{"uri": {"prefix": "v1"}}], **cors()}),
            [("path_not_absolute", "spec.http[0].match[0].uri.prefix")],
            id="prefix",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::meshcors.PolicyWarning")
def test_virtual_services_that_are_refused(
    file: Any, document: Any, expected: list[tuple[str, str]]
) -> None:
    with pytest.raises(PolicyError) as error:
        config.rules_from_file(file(document))
    assert problems(error) == expected


def test_a_kind_of_another_group_is_no_virtual_service(file: Any) -> None:
    document = {**virtual_service(cors()), "apiVersion": "example.com/v1"}
    with pytest.raises(PolicyError) as error:
        config.rules_from_file(file(document))
    assert str(error.value).endswith(
        "apiVersion: write networking.istio.io/v1 [file_of_other_kind]"
    )


@pytest.mark.parametrize("kind", ["HTTPRoute", "ConfigMap"])
@pytest.mark.parametrize("count", [1, 2])
def test_another_kind_is_refused_in_a_line(file: Any, kind: str, count: int) -> None:
    path = file("---\n".join([f"apiVersion: v1\nkind: {kind}\ndata: {{}}\n"] * count))
    for read in (
        config.from_file,
        config.rules_from_file,
        lambda path: load({}, {}, config=path),
    ):
        with pytest.raises(PolicyError) as error:
            read(path)
        hint = "write a policy, rules or a VirtualService"
        assert str(error.value) == f"{path}: kind: {kind}: {hint} [file_of_other_kind]"


def test_several_policies_in_a_file_are_refused(file: Any) -> None:
    path = file("allowOrigins: [https://ui.example]\n---\nallowOrigins: [https://b.example]\n")
    with pytest.raises(PolicyError) as error:
        config.rules_from_file(path)
    assert problems(error) == [("file_malformed", "")]


# --- the docs

PAGE = (DATA.parent.parent / "docs" / "rules.md").read_text(encoding="utf-8")


def test_the_page_shows_files_that_are_read(file: Any) -> None:
    first, second = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert config.rules_from_file(file(first)) == EXAMPLE_RULES
    rules, said = warned(file(second))
    assert [(rule.hosts, rule.path_prefix) for rule in rules.rules] == [
        (("api.example.com",), "/v1")
    ]
    assert said[0].removeprefix(TAKEN) in PAGE


def test_the_page_shows_python_that_runs() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {"app": App().asgi}
    exec(compile(block, "docs/rules.md", "exec"), names)
    headers = [("host", "api.example.com"), *preflight(UI)]
    answered = call_asgi(names["app"], "OPTIONS", "/v1/x", headers)
    assert answered.get("access-control-allow-origin") == UI


def test_the_page_explains_every_code() -> None:
    sources = [
        Path(module.__file__ or "")
        for module in (
            meshcors._policy.rules,
            meshcors.config._rule_file,
            meshcors.config._rule_parts,
            meshcors.config._virtual_services,
        )
    ]
    code = "".join(source.read_text(encoding="utf-8") for source in sources)
    codes = set(re.findall(r"""(?:Problem|\badd)\(\s*"(\w+)",""", code))
    explained = re.findall(r"^\| `(\w+)`", PAGE, re.MULTILINE)
    assert len(codes & set(explained)) > len(explained) // 2, "the pattern finds few of them"
    assert [each for each in sorted(codes) if f"`{each}`" not in PAGE] == []


def test_a_prefix_of_many_segments_is_refused_in_a_short_line(file: Any) -> None:
    path = file({"rules": [{"pathPrefix": "/a" * 100_000, "corsPolicy": {"allowOrigins": [UI]}}]})
    with pytest.raises(PolicyError) as error:
        config.rules_from_file(path)
    assert problems(error) == [("path_too_long", "rules[0].pathPrefix")]
    (line,) = map(str, error.value.problems)
    assert ": write at most 1,024 characters, as many as an HTTPRoute may have" in line
    assert len(line) < 600
    path = file({"rules": [{"pathPrefix": "/a" * 512, "corsPolicy": {"allowOrigins": [UI]}}]})
    assert config.rules_from_file(path).rules[0].path_prefix == "/a" * 512
