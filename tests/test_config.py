"""Policies from the environment, files and flags: read, written back, and refused by name."""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from meshcors import HeaderKey, Policy, PolicyError, create_wsgi_app
from meshcors._policy.key_values import KeyValues
from meshcors._policy.regex import Regex
from meshcors.config import from_environment, from_file, to_document, to_environment
from meshcors.config._loading import load
from meshcors.config._options import OPTIONS

UI = "https://ui.example"


def environment(**variables: str) -> dict[str, str]:
    return {f"MESHCORS_{name}": text for name, text in variables.items()}


def problems(read: Any, *args: Any, **more: Any) -> list[tuple[str, str]]:
    """The fields and codes of the problems."""
    with pytest.raises(PolicyError) as caught:
        read(*args, **more)
    lines = str(caught.value).splitlines()
    assert len(lines) == (1 if len(lines) == 1 else len(caught.value.problems) + 1)
    assert all(line.isprintable() for line in lines)
    return [(problem.field, problem.code) for problem in caught.value.problems]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# --- every source says the same ---------------------------------------------------------------

FULL = Policy(
    allow_origins=[UI, "https://*.example.com", Regex(r"https://[a-z]+\.example\.net"), "null"],
    allow_methods=["PUT", "DELETE"],
    allow_headers=["authorization"],
    expose_headers=["x-request-id"],
    allow_credentials=True,
    max_age=600,
    allow_private_network=True,
    key=HeaderKey("model-api-key", ["one", "two"], exempt_paths=["/healthz", "/open/*"]),
    dangerously_allow_null_origin=True,
    dangerously_allow_insecure_origins=True,
    dangerously_allow_public_suffixes=True,
)

FULL_ENVIRONMENT = environment(
    ALLOW_ORIGINS=rf" {UI}, https://*.example.com,regex:https://[a-z]+\.example\.net ,null,",
    ALLOW_METHODS="PUT,DELETE",
    ALLOW_HEADERS="Authorization",
    EXPOSE_HEADERS="X-Request-ID",
    ALLOW_CREDENTIALS="true",
    MAX_AGE="10m",
    ALLOW_PRIVATE_NETWORK="1",
    KEY_HEADER=" Model-API-Key ",
    KEY_VALUES="one, two",
    KEY_EXEMPT_PATHS="/healthz,/open/*",
    DANGEROUSLY_ALLOW_NULL_ORIGIN="yes",
    DANGEROUSLY_ALLOW_INSECURE_ORIGINS="on",
    DANGEROUSLY_ALLOW_PUBLIC_SUFFIXES="TRUE",
)

FULL_DOCUMENT = {
    "corsPolicy": {
        "allowOrigins": [
            {"exact": UI},
            "https://*.example.com",
            {"regex": r"https://[a-z]+\.example\.net"},
            "null",
        ],
        "allowMethods": ["PUT", "DELETE"],
        "allowHeaders": ["authorization"],
        "exposeHeaders": ["x-request-id"],
        "allowCredentials": True,
        "maxAge": "10m",
        "allowPrivateNetwork": True,
        "dangerouslyAllowNullOrigin": True,
        "dangerouslyAllowInsecureOrigins": True,
        "dangerouslyAllowPublicSuffixes": True,
    },
    "key": {
        "header": "Model-API-Key",
        "valuesFile": "keys.txt",
        "exemptPaths": ["/healthz", "/open/*"],
    },
}


def as_yaml(data: Any, path: Path) -> None:
    YAML(typ="safe", pure=True).dump(data, path)


def as_json(data: Any, path: Path) -> None:
    path.write_text(json.dumps(data))


def as_toml(data: Any, path: Path) -> None:
    # JSON's strings, lists and booleans are TOML's.
    lines = []
    for table, fields in data.items():
        lines.append(f"[{table}]")
        for name, value in fields.items():
            plain = (
                [
                    item.get("exact", item) if isinstance(item, dict) and "exact" in item else item
                    for item in value
                ]
                if isinstance(value, list)
                else value
            )
            text = json.dumps(plain).replace('{"regex": ', "{regex = ")
            lines.append(f"{name} = {text}")
    path.write_text("\n".join(lines))


def test_environment() -> None:
    assert from_environment(FULL_ENVIRONMENT) == FULL
    assert from_environment(to_environment(FULL)) == FULL


@pytest.mark.parametrize(
    ("suffix", "dump"),
    [
        (".yaml", as_yaml),
        (".yml", as_yaml),
        (".json", as_json),
        (".JSON", as_json),
        (".toml", as_toml),
        ("", as_yaml),
    ],
)
def test_file(suffix: str, dump: Any, tmp_path: Path) -> None:
    path = tmp_path / f"policy{suffix}"
    # Next to the file, wherever the process runs.
    (tmp_path / "keys.txt").write_text("one\ntwo\n")
    dump(FULL_DOCUMENT, path)
    assert from_file(path) == FULL
    assert from_file(str(path)) == FULL
    dump(to_document(FULL, key_values_file="keys.txt"), path)
    assert from_file(path) == FULL


def test_flags() -> None:
    flags = {
        "allow_origins": (UI, "https://*.example.com", r"regex:https://[a-z]+\.example\.net"),
        "allow_methods": ("PUT", "DELETE"),
        "allow_headers": ("authorization",),
        "expose_headers": ("x-request-id",),
        "allow_credentials": True,
        "max_age": "10m",
        "allow_private_network": True,
        "key.name": "model-api-key",
    }
    expected = Policy(
        allow_origins=FULL.allow_origins[:3],
        allow_methods=FULL.allow_methods,
        allow_headers=FULL.allow_headers,
        expose_headers=FULL.expose_headers,
        allow_credentials=True,
        max_age=600,
        allow_private_network=True,
        key=HeaderKey("model-api-key"),
    )
    assert load(flags, {}) == expected


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"allowOrigins": [UI], "maxAge": 5}, id="fields alone"),
        pytest.param({"allowOrigins": [UI], "maxAge": 5, "key": None}, id="key nothing"),
        pytest.param({"allowOrigins": [UI], "maxAge": 5, "allowMethods": None}, id="field nothing"),
        pytest.param(
            {"allowOrigins": [UI], "maxAge": 5, "unmatchedPreflights": "FORWARD"}, id="Istio's own"
        ),
        pytest.param(
            {"corsPolicy": {"allowOrigins": [{"exact": UI}], "maxAge": "5s"}}, id="written out"
        ),
    ],
)
def test_file_of_one_policy(document: Any, tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    as_json(document, path)
    assert from_file(path) == Policy(allow_origins=[UI], max_age=5)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (0, 0),
        (600, 600),
        ("600", 600),
        ("10m", 600),
        ("1h", 3600),
        ("1h30m5s", 5405),
        ("0s", 0),
        (" 5 ", 5),
        ("24h", 86400),
        (600.0, 600),
    ],
)
@pytest.mark.filterwarnings("ignore::meshcors.PolicyWarning")
def test_max_age(written: Any, seconds: int, tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    as_json({"allowOrigins": [UI], "maxAge": written}, path)
    assert from_file(path).max_age == seconds
    if isinstance(written, str):
        found = from_environment(environment(ALLOW_ORIGINS=UI, MAX_AGE=written))
        assert found.max_age == seconds


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("", None),
        ("ten", "max_age_not_seconds"),
        ("-5", "max_age_not_seconds"),
        ("1.5s", "max_age_not_seconds"),
        ("500ms", "max_age_not_seconds"),
        ("5m1h", "max_age_not_seconds"),
        ("h", "max_age_not_seconds"),
        ("\u0665", "max_age_not_seconds"),
        ("9" * 5000, "max_age_not_seconds"),
        ("9" * 30 + "s", "max_age_not_seconds"),
        ("999999999h", "max_age_too_large"),
    ],
)
def test_wrong_max_age_of_the_environment(written: str, code: str | None) -> None:
    variables = environment(ALLOW_ORIGINS=UI, MAX_AGE=written)
    if code is None:
        assert from_environment(variables).max_age is None
    else:
        assert problems(from_environment, variables) == [("MESHCORS_MAX_AGE", code)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("TRUE", True),
        ("1", True),
        ("yes", True),
        ("on", True),
        (" true ", True),
        ("false", False),
        ("0", False),
        ("no", False),
        ("off", False),
        ("", False),
    ],
)
def test_flag_of_the_environment(text: str, value: bool) -> None:
    variables = environment(ALLOW_ORIGINS=UI, ALLOW_CREDENTIALS=text)
    assert from_environment(variables).allow_credentials is value


# --- what beats what --------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "keys.txt").write_text("of-file\n")
    return write(
        tmp_path / "policy.json",
        json.dumps(
            {
                "corsPolicy": {
                    "allowOrigins": ["https://file.example"],
                    "maxAge": 1,
                    "allowCredentials": True,
                    "allowHeaders": ["x-listed"],
                },
                "key": {"header": "x-file", "valuesFile": "keys.txt", "exemptPaths": ["/file"]},
            }
        ),
    )


def test_environment_beats_the_file_option_by_option(config: Path) -> None:
    found = from_environment(
        environment(CONFIG=str(config), MAX_AGE="2", ALLOW_CREDENTIALS="false", KEY_VALUES="of-env")
    )
    assert found == Policy(
        allow_origins=["https://file.example"],
        allow_headers=["x-listed"],
        max_age=2,
        key=HeaderKey("x-file", ["of-env"], exempt_paths=["/file"]),
    )


def test_key_file_of_the_environment_beats_that_of_the_file(config: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other", "of-env-file")
    variables = environment(CONFIG=str(config), KEY_VALUES_FILE=str(other))
    found = from_environment(variables)
    assert found.key is not None
    assert found.key.values == KeyValues(["of-env-file"])


def test_flag_beats_the_environment_and_the_file(config: Path) -> None:
    variables = environment(ALLOW_ORIGINS="https://env.example", MAX_AGE="2", KEY_HEADER="x-env")
    found = load(
        {"allow_origins": ["https://flag.example"], "key.name": "x-flag"}, variables, config=config
    )
    assert isinstance(found, Policy)
    assert found.allow_origins == ("https://flag.example",)
    assert found.max_age == 2
    assert found.key is not None
    assert found.key.name == "x-flag"


def test_file_of_the_command_line_beats_that_of_the_environment(
    config: Path, tmp_path: Path
) -> None:
    other = write(tmp_path / "other.json", json.dumps({"allowOrigins": [UI]}))
    assert load({}, environment(CONFIG=str(config)), config=other) == Policy(allow_origins=[UI])


def test_an_empty_variable_is_as_good_as_none(config: Path) -> None:
    variables = environment(CONFIG=str(config), MAX_AGE="", ALLOW_ORIGINS=" ", KEY_HEADER="")
    assert from_environment(variables) == from_file(config)
    assert from_environment(environment(CONFIG="", ALLOW_ORIGINS=UI)) == Policy(allow_origins=[UI])


# --- missing secrets -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["KEY_VALUES", "KEY_VALUES_FILE"])
@pytest.mark.parametrize("text", ["", " ", ",", " , "])
@pytest.mark.parametrize("with_file", [False, True])
def test_an_empty_secret_never_lets_any_key_through(
    name: str, text: str, with_file: bool, config: Path
) -> None:
    variables = environment(ALLOW_ORIGINS=UI, KEY_HEADER="x-key", **{name: text})
    if with_file:
        variables |= environment(CONFIG=str(config))
    ((field, code),) = problems(from_environment, variables)
    assert field == f"MESHCORS_{name}"
    assert code in {"key_values_empty", "key_file_unreadable"}


@pytest.mark.parametrize("value", [None, "", 5, ["keys.txt"], {}, True, "a\0b"], ids=repr)
def test_a_missing_values_file_never_lets_any_key_through(value: Any, tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    as_json({"allowOrigins": [UI], "key": {"header": "x-key", "valuesFile": value}}, path)
    assert problems(from_file, path) == [(f"{path}: key.valuesFile", "key_file_unreadable")]


@pytest.mark.parametrize(
    "variables",
    [
        environment(KEY_VALUES="s"),
        environment(KEY_VALUES="s", KEY_HEADER=""),
        environment(KEY_EXEMPT_PATHS="/a"),
    ],
)
def test_key_without_its_header(variables: dict[str, str]) -> None:
    found = problems(from_environment, {**environment(ALLOW_ORIGINS=UI), **variables})
    assert found == [("MESHCORS_KEY_HEADER", "key_name_missing")]


# --- what is refused, by the name it has there ------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        pytest.param({}, [("MESHCORS_ALLOW_ORIGINS", "no_origins")], id="nothing"),
        pytest.param(
            environment(ALLOW_ORIGINS="https://a.example/,null"),
            [
                ("MESHCORS_ALLOW_ORIGINS", "origin_trailing_slash"),
                ("MESHCORS_ALLOW_ORIGINS", "origin_null"),
            ],
            id="origins",
        ),
        pytest.param(
            environment(ALLOW_ORIGINS="https://\udcff.example"),
            [("MESHCORS_ALLOW_ORIGINS", "origin_not_ascii")],
            id="bytes that are no UTF-8",
        ),
        pytest.param(
            environment(ALLOW_ORIGIN=UI, ALLOW_ORIGINS=UI),
            [("MESHCORS_ALLOW_ORIGIN", "unknown_variable")],
            id="unknown",
        ),
        pytest.param(
            environment(ALLOW_ALL="1", ALLOW_ORIGINS=UI, ORIGINS="x"),
            [("MESHCORS_ALLOW_ALL", "unknown_variable"), ("MESHCORS_ORIGINS", "unknown_variable")],
            id="origins in several ways",
        ),
        pytest.param(
            environment(ALLOW_ORIGINS=UI, KEY_VALUES="a", KEY_VALUES_FILE="b", KEY_HEADER="k"),
            [("MESHCORS_KEY_VALUES_FILE", "given_twice")],
            id="values twice",
        ),
        pytest.param(
            environment(
                ALLOW_ORIGINS=UI,
                ALLOW_METHODS="put",
                ALLOW_HEADERS="a b",
                MAX_AGE="x",
                ALLOW_CREDENTIALS="maybe",
                KEY_HEADER="a_b",
                KEY_VALUES="\xe4",
                KEY_EXEMPT_PATHS="a",
                ORIGINS="x",
            ),
            [
                ("MESHCORS_ALLOW_CREDENTIALS", "not_a_bool"),
                ("MESHCORS_MAX_AGE", "max_age_not_seconds"),
                ("MESHCORS_ORIGINS", "unknown_variable"),
                ("MESHCORS_KEY_EXEMPT_PATHS", "path_not_absolute"),
                ("MESHCORS_KEY_HEADER", "key_underscore"),
                ("MESHCORS_KEY_VALUES", "key_value_not_printable"),
                ("MESHCORS_ALLOW_HEADERS", "header_not_token"),
                ("MESHCORS_ALLOW_METHODS", "method_case"),
            ],
            id="all at once",
        ),
        pytest.param(
            environment(ALLOW_ORIGINS=UI, KEY_HEADER="k", KEY_VALUES_FILE="/no/such"),
            [("MESHCORS_KEY_VALUES_FILE", "key_file_unreadable")],
            id="key file",
        ),
        pytest.param(
            environment(CONFIG="/no/such"), [("MESHCORS_CONFIG", "file_unreadable")], id="file"
        ),
    ],
)
def test_wrong_environment(variables: dict[str, str], expected: list[tuple[str, str]]) -> None:
    assert problems(from_environment, variables) == expected


def test_unknown_variable_names_the_nearest() -> None:
    with pytest.raises(PolicyError, match="did you mean MESHCORS_KEY_HEADER"):
        from_environment(environment(ALLOW_ORIGINS=UI, KEY_HEADERS="x"))


def test_flags_and_variables_are_both_named_where_there_are_both() -> None:
    assert problems(load, {}, {}) == [("--allow-origin or MESHCORS_ALLOW_ORIGINS", "no_origins")]
    wrong = {"max_age": "x", "allow_origins": ["x"]}
    assert problems(load, wrong, {}) == [
        ("--max-age", "max_age_not_seconds"),
        ("--allow-origin", "origin_scheme_missing"),
    ]


KUBERNETES = {
    "MESHCORS_SERVICE_HOST": "10.0.0.1",
    "MESHCORS_SERVICE_PORT": "80",
    "MESHCORS_SERVICE_PORT_HTTP": "80",
    "MESHCORS_PORT": "tcp://10.0.0.1:80",
    "MESHCORS_PORT_80_TCP": "tcp://10.0.0.1:80",
    "MESHCORS_PORT_80_TCP_PROTO": "tcp",
    "MESHCORS_PORT_80_TCP_PORT": "80",
    "MESHCORS_PORT_80_TCP_ADDR": "10.0.0.1",
    "MESHCORS_PORT_53_UDP_ADDR": "10.0.0.1",
    "MESHCORS_DUMMY_SERVICE_HOST": "10.0.0.2",
    "MESHCORS_DUMMY_PORT_8080_TCP_ADDR": "10.0.0.2",
}


@pytest.mark.parametrize("variable", KUBERNETES)
def test_variables_of_kubernetes_services_are_no_options(variable: str) -> None:
    variables = {**environment(ALLOW_ORIGINS=UI), variable: KUBERNETES[variable]}
    assert from_environment(variables) == Policy(allow_origins=[UI])


@pytest.mark.parametrize("variable", ["MESHCORS_PORTS", "MESHCORS_PORT_", "MESHCORS_SERVICE"])
def test_variables_that_only_look_like_them_are_refused(variable: str) -> None:
    variables = {**environment(ALLOW_ORIGINS=UI), variable: "x"}
    assert problems(from_environment, variables) == [(variable, "unknown_variable")]


def test_other_variables_are_nobodys_business() -> None:
    variables = {**environment(ALLOW_ORIGINS=UI, APP="a:b"), "MESHCORSX": "1", "PATH": "x"}
    assert from_environment(variables) == Policy(allow_origins=[UI])


# --- files ------------------------------------------------------------------------------------

WRONG_DOCUMENTS: list[tuple[str, Any, list[tuple[str, str]]]] = [
    ("a list", [1], [("", "not_a_mapping")]),
    ("a number", 5, [("", "not_a_mapping")]),
    ("nearly the origins", {"allowOrigin": [UI]}, [("allowOrigin", "unknown_field")]),
    ("nothing", None, [("allowOrigins", "no_origins")]),
    (
        "unknown fields",
        {"allowOrigins": [UI], "allowOrigin": 1, "a\nb": 1, "\ud800": 1},
        [("allowOrigin", "unknown_field"), ("a\nb", "unknown_field"), ("\ud800", "unknown_field")],
    ),
    (
        "unknown fields of the key",
        {"allowOrigins": [UI], "key": {"header": "k", "values": ["s"], "other": "s"}},
        [("key.values", "unknown_field"), ("key", "unknown_field")],
    ),
    (
        "unknown fields at the top",
        {"corsPolicy": {"allowOrigins": [UI]}, "maxAge": 5},
        [("maxAge", "unknown_field")],
    ),
    (
        "no mappings",
        {"corsPolicy": "x", "key": "y"},
        [("corsPolicy", "not_a_mapping"), ("key", "not_a_mapping")],
    ),
    ("a string for a list", {"allowOrigins": UI}, [("allowOrigins", "not_a_list")]),
    ("a match for a list", {"allowOrigins": {"exact": UI}}, [("allowOrigins", "not_a_list")]),
    (
        "prefixes, and what else is wrong",
        {"allowOrigins": [{"prefix": "https://a"}, {"prefix": "https://b"}, UI + "/"]},
        [("allowOrigins", "origin_prefix")] * 2 + [("allowOrigins", "origin_trailing_slash")],
    ),
    (
        "matches of no known form",
        {"allowOrigins": [{}, {"exact": 5}, {"exact": UI, "regex": "x"}, {"suffix": "x"}]},
        [("allowOrigins", "origin_match")],
    ),
    ("a prefix of no text", {"allowOrigins": [{"prefix": 5}]}, [("allowOrigins", "origin_match")]),
    ("an origin of no text", {"allowOrigins": [5, None]}, [("allowOrigins", "wrong_type")] * 2),
    (
        "a flag as text",
        {"allowOrigins": [UI], "allowCredentials": "true"},
        [("allowCredentials", "not_a_bool")],
    ),
    (
        "a max age of a boolean",
        {"allowOrigins": [UI], "maxAge": True},
        [("maxAge", "max_age_not_seconds")],
    ),
    (
        "a max age of NaN",
        {"allowOrigins": [UI], "maxAge": float("nan")},
        [("maxAge", "max_age_not_seconds")],
    ),
    (
        "a header of a number",
        {"allowOrigins": [UI], "key": {"header": 5}},
        [("key.header", "wrong_type")],
    ),
    (
        "a key without its header",
        {"allowOrigins": [UI], "key": {"exemptPaths": []}},
        [("key.header", "key_name_missing")],
    ),
    (
        "a regex that is none",
        {"allowOrigins": [{"regex": "("}]},
        [("allowOrigins", "origin_regex_invalid")],
    ),
]


@pytest.mark.parametrize(
    ("document", "expected"), [pytest.param(d, e, id=name) for name, d, e in WRONG_DOCUMENTS]
)
def test_wrong_document(document: Any, expected: list[tuple[str, str]], tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    as_json(document, path)
    labelled = [(f"{path}: {field}" if field else str(path), code) for field, code in expected]
    found = problems(from_file, path)
    assert [(f, c) for f, c in found] == labelled


@pytest.mark.parametrize("field", ["value", "values"])
def test_key_values_in_a_file_are_refused_unseen(field: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    as_json({"allowOrigins": [UI], "key": {"header": "k", field: ["s3cret"]}}, path)
    with pytest.raises(PolicyError) as caught:
        from_file(path)
    hint = "values do not belong in this file: write valuesFile"
    assert str(caught.value) == f"{path}: key.{field}: {hint} [unknown_field]"


def test_prefix_is_refused_with_its_danger(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    as_json({"allowOrigins": [{"prefix": "https://app"}]}, path)
    with pytest.raises(PolicyError, match=r"https://app\.evil\.example"):
        from_file(path)


UNREADABLE: list[tuple[str, str, str | bytes, str, str]] = [
    # YAML
    ("tab", "p.yaml", "a:\tb", "file_malformed", "line 1 column 3"),
    ("unclosed", "p.yaml", "[", "file_malformed", "line 1 column 2"),
    ("NUL", "p.yaml", "a: \0", "file_malformed", "#x0000"),
    (
        "asterisk in a list",
        "p.yaml",
        "allowOrigins: [*]",
        "file_malformed",
        'quote the asterisk: "*"',
    ),
    (
        "asterisk in a line",
        "p.yaml",
        "allowOrigins:\n  - *",
        "file_malformed",
        'quote the asterisk: "*"',
    ),
    (
        "alias",
        "p.yaml",
        "a: &x b\nc: *x",
        "file_malformed",
        "line 2 column 4: aliases are not supported: write the value out",
    ),
    (
        "billion laughs",
        "p.yaml",
        "a: &a [x]\nb: &b [*a,*a]\nc: [*b,*b]",
        "file_malformed",
        "aliases",
    ),
    (
        "tag",
        "p.yaml",
        "a: !!python/object:os.system x",
        "file_malformed",
        "tags are not supported: leave them out",
    ),
    (
        "tag of a boolean",
        "p.yaml",
        "a: !!bool x",
        "file_malformed",
        "tags are not supported: leave them out",
    ),
    (
        "tag of a number",
        "p.yaml",
        "a: !!int ''",
        "file_malformed",
        "tags are not supported: leave them out",
    ),
    (
        "tag of a mapping",
        "p.yaml",
        "!!map {a: b}",
        "file_malformed",
        "tags are not supported: leave them out",
    ),
    ("bad date", "p.yaml", "maxAge: 2020-99-99", "file_malformed", "month"),
    ("long number", "p.yaml", "maxAge: " + "1" * 5000, "file_malformed", "digits"),
    ("key twice", "p.yaml", "a: s3cret\na: s3cret", "file_malformed", "found duplicate key ["),
    ("unhashable key", "p.yaml", "? {a: b}\n: c", "file_malformed", "quote what begins"),
    ("template", "p.yaml", "{{ .Values.x }}", "file_malformed", "line 1 column 2: a mapping or"),
    ("tab", "p.yaml", "a:\n\t- b", "file_malformed", "line 2 column 1: a tab where YAML expects"),
    ("several documents", "p.yaml", "a: 1\n---\na: 2", "file_malformed", "one document"),
    ("other version", "p.yaml", "%YAML 9.9\n---\na: b", "file_malformed", "version"),
    ("no constructor", "p.yaml", "a: =", "file_malformed", "line 1 column 4"),
    ("deep", "p.yaml", "[" * 5000 + "]" * 5000, "file_malformed", "deep"),
    # JSON
    ("empty JSON", "p.json", "", "file_malformed", "line 1 column 1"),
    ("broken JSON", "p.json", '{"a": 1\n "b"}', "file_malformed", "line 2 column 2"),
    (
        "key twice in JSON",
        "p.json",
        '{"a": "s3cret", "a": "s3cret"}',
        "file_duplicate_key",
        "a field is given twice: leave one out",
    ),
    ("long number in JSON", "p.json", "1" * 5000, "file_malformed", "too many digits"),
    ("deep JSON", "p.json", "[" * 200_000, "file_malformed", "deep"),
    ("byte order mark", "p.json", b"\xef\xbb\xbf{}", "file_malformed", "BOM"),
    # TOML
    ("broken TOML", "p.toml", "a", "file_malformed", "Expected '='"),
    ("long number in TOML", "p.toml", "a = " + "1" * 5000, "file_malformed", "too many digits"),
    ("deep TOML", "p.toml", "a = " + "[" * 200_000, "file_malformed", "deep"),
    ("key twice in TOML", "p.toml", "a = 1\na = 2", "file_malformed", "overwrite a value (at"),
    ("table twice in TOML", "p.toml", "[s3cret]\n[s3cret]", "file_malformed", "declare twice (at"),
    # any
    ("UTF-16", "p.yaml", "a: b".encode("utf-16"), "file_not_utf8", "UTF-8"),
    ("too large", "p.json", "x" * ((1 << 20) + 1), "file_too_large", "1 MiB"),
]


@pytest.mark.parametrize(
    ("name", "content", "code", "said"),
    [pytest.param(n, c, code, said, id=i) for i, n, c, code, said in UNREADABLE],
)
def test_unreadable_file(
    name: str, content: str | bytes, code: str, said: str, tmp_path: Path
) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(PolicyError) as caught:
        from_file(path)
    (problem,) = caught.value.problems
    assert (problem.code, problem.field) == (code, str(path))
    line = str(caught.value)
    assert said in line
    assert line.isprintable()
    assert "s3cret" not in line


@pytest.mark.parametrize(
    "path",
    ["missing.yaml", ".", "a\0b", "\ud800", "", None, 5, b"x", "x" * 5000],
    ids=["missing", "folder", "NUL", "surrogate", "empty", "None", "number", "bytes", "too long"],
)
def test_no_file(path: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ((_, code),) = problems(from_file, path)
    assert code == "file_unreadable"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_no_regular_file_is_named_by_what_gave_it(make: Any, tmp_path: Path) -> None:
    path = tmp_path / "ff"
    make(path)
    for given_by, read in (
        ("path", lambda: from_file(path)),
        ("config", lambda: load(None, {}, config=path)),
        ("--config", lambda: load({}, {}, config=path)),
        ("MESHCORS_CONFIG", lambda: from_environment(environment(CONFIG=str(path)))),
    ):
        with pytest.raises(PolicyError) as caught:
            read()
        assert re.match(rf"{given_by}: {re.escape(str(path))}: a \w+, not", str(caught.value))


@pytest.mark.parametrize(
    ("content", "field"),
    [("1: 2", "1"), ("null: 2", "None"), ("? [a]\n: b", "('a',)"), ("true: 2", "True")],
)
def test_keys_that_are_no_text(content: str, field: str, tmp_path: Path) -> None:
    path = write(tmp_path / "p.yaml", f"allowOrigins: [{UI}]\n{content}")
    assert problems(from_file, path) == [(f"{path}: {field}", "unknown_field")]


def test_hexadecimal_number_of_any_length(tmp_path: Path) -> None:
    path = write(tmp_path / "p.yaml", f"allowOrigins: [{UI}]\nmaxAge: 0x{'f' * 5000}")
    assert problems(from_file, path) == [(f"{path}: maxAge", "max_age_too_large")]


def test_depth_of_yaml_is_bounded(tmp_path: Path) -> None:
    """The time to read is quadratic in it, and recursion is limited to some thousand."""
    path = tmp_path / "p.yaml"
    for depth, code in ((62, "unknown_field"), (64, "file_malformed")):
        write(path, f"allowOrigins: [{UI}]\nkey: {{header: k, x: {'[' * depth}{']' * depth}}}")
        ((_, found),) = problems(from_file, path)
        assert found == code


def test_many_keys_of_json_are_read_in_one_pass(tmp_path: Path) -> None:
    names = {f"k{n}": n for n in range(50_000)}
    path = tmp_path / "p.json"
    as_json({"allowOrigins": [UI], "key": {"header": "k", "x": names}}, path)
    assert problems(from_file, path) == [(f"{path}: key", "unknown_field")]


def test_yaml_without_its_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ruamel.yaml", None)
    path = write(tmp_path / "p.yaml", "a: b")
    with pytest.raises(PolicyError, match=r"pip install 'meshcors\[dummy\]', or write JSON"):
        from_file(path)


# --- printed back -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(Policy(allow_origins=[Regex("https://(a|b){1,2}")]), id="comma in a regex"),
        pytest.param(Policy(allow_origins=[Regex("https://a ")]), id="blank after a regex"),
        pytest.param(
            Policy(allow_origins=[UI], key=HeaderKey("k", exempt_paths=["/a,b"])), id="path"
        ),
        pytest.param(
            Policy(allow_origins=[UI], key=HeaderKey("k", exempt_paths=["/a "])), id="blank"
        ),
    ],
)
def test_what_the_environment_cannot_say(policy: Policy, tmp_path: Path) -> None:
    ((_, code),) = problems(to_environment, policy)
    assert code == "comma_in_list"
    path = tmp_path / "p.json"
    as_json(to_document(policy), path)
    assert from_file(path) == policy


@pytest.mark.parametrize(
    "policy",
    [
        Policy(allow_origins=["*"]),
        Policy(allow_origins=[UI], max_age=0),
        Policy(allow_origins=[UI], key=HeaderKey("k")),
    ],
    ids=["any", "age 0", "key for presence"],
)
def test_round_trip(policy: Policy, tmp_path: Path) -> None:
    assert from_environment(to_environment(policy)) == policy
    path = tmp_path / "p.json"
    as_json(to_document(policy), path)
    assert from_file(path) == policy


def test_a_file_never_holds_key_values() -> None:
    policy = Policy(allow_origins=[UI], key=HeaderKey("k", ["s3cret"]))
    assert problems(to_document, policy) == [("key.values", "key_values_need_file")]
    document = to_document(policy, key_values_file="/run/keys")
    assert document["key"] == {"header": "k", "valuesFile": "/run/keys"}
    assert "s3cret" not in repr(document)


# --- the table of spellings -------------------------------------------------------------------


def test_every_option_of_a_policy_has_a_spelling() -> None:
    own = {name for name in Policy.__slots__ if name != "key"}
    of_key = {f"key.{name}" for name in HeaderKey.__slots__}
    assert {option.name for option in OPTIONS} == own | of_key


def test_spellings_are_told_apart() -> None:
    for spelling in ("variable", "file", "flag"):
        said = [getattr(option, spelling) for option in OPTIONS if getattr(option, spelling)]
        assert len(said) == len(set(said))


# --- the language of the source ---------------------------------------------------------------

# A policy with many problems, in the words of each source.
WRONG_TEXTS = {
    "allow_origins": [
        *("*", "null", "http://a.example", "https://*.github.io", r"https://.*\.example\.com"),
        *("https://a.example/", r"regex:https?://[a-z]+\.github\.io", r"regex:https://.*a\.com"),
    ],
    "allow_methods": ["put"],
    "allow_headers": ["a b", "access-control-x"],
    "expose_headers": ["*"],
    "key.name": "cookie",
}
PYTHON = re.compile(
    r"\b(?:allow|expose|max|key|dangerously|exempt)_\w+|HeaderKey|\bRegex\b|True|False|None|meshcors\."
)


def wrong_environment() -> None:
    from_environment(
        {
            **environment(ALLOW_CREDENTIALS="1", ORIGINS="x", ALLOW_ORIGIN_REGEX="a"),
            **environment(RESOURCES="/v1/*", SEND_WILDCARD="1", CALLBACK="x", KEY_VALUES=""),
            **environment(KEY_EXEMPT_PATHS="a", MAX_AGE="999999h"),
            **{
                option.variable: ",".join(value) if isinstance(value, list) else value
                for option in OPTIONS
                if (value := WRONG_TEXTS.get(option.name)) is not None
            },
        }
    )


def wrong_flags() -> None:
    load({**WRONG_TEXTS, "allow_credentials": True, "max_age": "999999h"}, {})


def wrong_file() -> None:
    path = Path("policy.json")
    fields: dict[str, Any] = {
        option.file_label: WRONG_TEXTS[option.name]
        for option in OPTIONS
        if option.name in WRONG_TEXTS and option.name != "key.name"
    }
    fields["allowOrigins"] = [
        *(each for each in fields["allowOrigins"] if not each.startswith("regex:")),
        *({"regex": each[6:]} for each in fields["allowOrigins"] if each.startswith("regex:")),
        *(5, {"suffix": "x"}, "https://a.example,https://b.example"),
    ]
    others = {"allowOriginRegex": "a", "resources": {"/v1/*": {}}, "origins": "*", "callback": 1}
    more = {"allowCredentials": True, "allowPrivateNetwork": "yes", "maxAge": -1}
    (path.parent / "empty").write_text("")
    key = {"header": "cookie", "valuesFile": "empty", "exemptPaths": ["a"]}
    as_json({**fields, **others, **more, "key": key}, path)
    from_file(path)


@pytest.mark.parametrize("read", [wrong_environment, wrong_flags, wrong_file])
def test_problems_speak_the_language_of_their_source(
    read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PolicyError) as caught:
        read()
    assert len({each.field for each in caught.value.problems}) >= len(WRONG_TEXTS)
    told = [f"{each.field}: {each.hint}" for each in caught.value.problems]
    assert [each for each in told if PYTHON.search(each)] == []


@pytest.mark.parametrize(
    ("name", "text", "hint"),
    [
        ("ALLOW_ORIGINS", "null", "set MESHCORS_DANGEROUSLY_ALLOW_NULL_ORIGIN ["),
        ("ALLOW_ORIGINS", r"https://.*\.x", r"write regex:https://.*\.x ["),
        (
            "ALLOW_ORIGINS",
            '["https://a.example"]',
            "do not write JSON: separate the items by commas",
        ),
        ("ALLOW_ORIGINS", "regex:a{1,3},https://b", "write a regex with a comma in a file ["),
        ("ALLOW_METHODS", ' ["PUT"]', "do not write JSON"),
        ("KEY_VALUES", '["s3cret"]', "MESHCORS_KEY_VALUES: do not write JSON"),
        ("ALLOW_ORIGIN_REGEX", "https://a", "write MESHCORS_ALLOW_ORIGINS=regex:https://a ["),
        ("ALLOW_ORIGIN_REGEX", "a{1,2}", 'write allowOrigins: [{regex: "a{1,2}"}] in a file: '),
        ("ORIGINS", "x", "here it is called MESHCORS_ALLOW_ORIGINS ["),
        ("CORS_ALLOW_ALL_ORIGINS", "1", "write the origin * into MESHCORS_ALLOW_ORIGINS ["),
        ("ALLOW_ORIGIN", UI, "did you mean MESHCORS_ALLOW_ORIGINS? ["),
        ("ALLOW_ORIGINS", f"{UI} {UI}:1", "spaces between: separate them by commas ["),
        ("ALLOW_ORIGINS", f'"{UI}"', "leave out the quotes ["),
        ("CORS_MAX_AGE", "5", "here it is called MESHCORS_MAX_AGE ["),
        ("KEY_NAME", "s3cret", "write MESHCORS_KEY_HEADER and MESHCORS_KEY_VALUES_FILE ["),
        ("PATH_PREFIX", "/v2", "in a file, rules: [{pathPrefix: /v2, corsPolicy: {...}}] ["),
        ("RESOURCES", "/v2/*", "in a file, rules: [{pathPrefix: /v2, corsPolicy: {...}}] ["),
    ],
)
def test_hint_of_a_variable(name: str, text: str, hint: str) -> None:
    variables = environment(KEY_HEADER="x-key", KEY_VALUES="k") | environment(**{name: text})
    with pytest.raises(PolicyError) as caught:
        from_environment(variables)
    said = str(caught.value)
    assert hint in said
    assert "s3cret" not in said
    # One problem about the origins is enough.
    expected = {"ALLOW_METHODS", "KEY_VALUES", "KEY_NAME", "PATH_PREFIX", "CORS_MAX_AGE"}
    assert ("no_origins" in said) == (name in expected)


def test_hint_of_a_variable_has_what_another_gives() -> None:
    variables = environment(ALLOW_ORIGINS=f"{UI}, regex:https://a", ALLOW_ORIGIN_REGEX="https://b")
    expected = f"write MESHCORS_ALLOW_ORIGINS={UI},regex:https://a,regex:https://b ["
    with pytest.raises(PolicyError, match=re.escape(expected)):
        from_environment(variables)


@pytest.mark.parametrize("text", ["[a", "[abc]", "a[]", "[" * 100_000])
def test_a_key_in_brackets_is_no_list(text: str) -> None:
    found = from_environment(environment(ALLOW_ORIGINS=UI, KEY_HEADER="k", KEY_VALUES=text))
    assert found == Policy(allow_origins=[UI], key=HeaderKey("k", [text]))


def test_what_reads_as_json_cannot_be_a_variable() -> None:
    key = HeaderKey("k", ['["a"', '"b"]'])
    with pytest.raises(PolicyError) as caught:
        to_environment(Policy(allow_origins=[UI], key=key))
    assert [problem.code for problem in caught.value.problems] == ["json_list"]


@pytest.mark.parametrize(
    ("flags", "hint"),
    [
        (
            {"allow_origins": ["https://a.example,https://b.example"]},
            "--allow-origin: repeat the flag: --allow-origin https://a.example --allow-origin"
            " https://b.example [comma_in_item]",
        ),
        (
            {"allow_origins": [UI], "allow_methods": ["PUT", "PATCH, DELETE"]},
            "--allow-method: repeat the flag: --allow-method PATCH --allow-method ... [",
        ),
        (
            {"allow_origins": ['["https://a"]']},
            "--allow-origin: do not write JSON: repeat the flag [",
        ),
        (
            {"allow_origins": [UI], "allow_methods": ['["PUT", "PATCH"]']},
            "do not write JSON: repeat",
        ),
        ({"allow_origins": [f"{UI} {UI}:1"]}, "several origins with spaces between: repeat the fl"),
        ({"allow_origins": ["null"]}, "set MESHCORS_DANGEROUSLY_ALLOW_NULL_ORIGIN ["),
        (
            {"allow_origins": ["*"], "allow_credentials": True},
            "or leave out --allow-credentials, which",
        ),
    ],
)
def test_hint_of_a_flag(flags: dict[str, Any], hint: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load(flags, {})
    assert len(caught.value.problems) == 1
    assert hint in str(caught.value)


def test_a_flag_may_have_a_regex_with_a_comma() -> None:
    found = load({"allow_origins": [r"regex:https://[a-z]{1,3}\.example"]}, {})
    assert found == Policy(allow_origins=[Regex(r"https://[a-z]{1,3}\.example")])


@pytest.mark.parametrize(
    ("fields", "hint"),
    [
        ({"allowOrigins": ["null"]}, "set dangerouslyAllowNullOrigin ["),
        ({"allowOriginRegex": r"a\.b"}, r'write allowOrigins: [{regex: "a\\.b"}] ['),
        ({"allowOrigins": [r"https://.*\.x"]}, r'write {regex: "https://.*\\.x"} ['),
        ({"origins": "*"}, "here it is called allowOrigins ["),
        ([UI], ".json: write a mapping of fields, such as allowOrigins: [...] ["),
        ({"corsPolicy": 5}, "corsPolicy: write a mapping of fields, such as allowOrigins: [...] ["),
        ({"allowOrigins": [UI], "key": "s3cret"}, "fields, such as header: model-api-key ["),
        ({"allowOrigins": [{}]}, "write a string, {exact: ...} or {regex: ...} ["),
        (
            {"allowOrigins": [UI], "maxAge": "x"},
            "write whole seconds, such as 600, or a duration such as 10m or 24h [",
        ),
        ({"allowOrigins": ["regex:https://x"]}, 'write {regex: "https://x"} ['),
        ({"allowOrigins": [f"{UI} {UI}:1"]}, "several origins with spaces between: write a list ["),
        ({"allowOrigins": [None]}, 'allowOrigins: quote it: "null" ['),
        ({"resources": {"/v2/*": {}}}, "rules: write rules: [{pathPrefix: /v2, corsPolicy: {...}}"),
        (
            {"allowOrigins": [UI], "hosts": ["a.example"]},
            "write rules: [{hosts: [api.example.com], corsPolicy: {...}}] [",
        ),
        (
            {"allowOrigins": [UI], "keyValues": ["s3cret"]},
            "keyValues: write key: {header: model-api-key, valuesFile: PATH} [",
        ),
        ({"allowOrigins": [5]}, "a string, {exact: ...} or {regex: ...} ["),
        ({"allowOrigins": [UI], "allowCredentials": "yes"}, "write true or false ["),
        ({"allowOrigins": [UI], "allowMethods": ["PUT, PATCH"]}, "write a list: ['PUT', ...]"),
    ],
)
def test_hint_of_a_file(fields: Any, hint: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    as_json(fields, path)
    with pytest.raises(PolicyError) as caught:
        from_file(path)
    assert len(caught.value.problems) == 1
    assert hint in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_warnings_speak_the_language_of_their_source(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    as_json({"allowOrigins": [UI], "allowMethods": ["OPTIONS"]}, path)
    variables = environment(MAX_AGE="24h", CONFIG=str(path))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load({"allow_headers": ["*"]}, variables)
    assert [str(each.message).rpartition(": ")[0].partition(" ")[0] for each in caught] == [
        f"{path}:",
        "--allow-header:",
        "MESHCORS_MAX_AGE:",
    ]
    assert str(caught[0].message).startswith(f"{path}: allowMethods: OPTIONS")
    assert {each.filename for each in caught} == {__file__}


def test_middleware_that_is_given_nothing_says_what_to_write_in_code_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in os.environ if name.startswith("MESHCORS_")]:
        monkeypatch.delenv(name)
    with pytest.raises(PolicyError) as caught:
        create_wsgi_app()
    (problem,) = caught.value.problems
    assert (problem.field, problem.code) == ("MESHCORS_ALLOW_ORIGINS", "no_origins")
    assert problem.hint.endswith(", or pass a meshcors.Policy")
