"""Valid policies and keys, and invalid ones with all their problems."""

from __future__ import annotations

import copy
import math
import pickle
import re
import warnings
from dataclasses import FrozenInstanceError, replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from meshcors import HeaderKey, Policy, PolicyError, PolicyWarning
from meshcors._policy.header_key import read_key_values
from meshcors._policy.key_values import KeyValues
from meshcors._policy.regex import Regex

UI = "https://ui.example"


def codes(**options: Any) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        Policy(**options)
    for problem in caught.value.problems:
        assert problem.hint
        assert str(problem).isprintable()
    return [problem.code for problem in caught.value.problems]


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def with_origin(*origins: Any, **more: Any) -> dict[str, Any]:
    return {"allow_origins": list(origins), **more}


CREDENTIALS = {"allow_credentials": True}

ERRORS: list[tuple[str, dict[str, Any], list[str]]] = [
    # origins
    ("no options", {}, ["no_origins"]),
    ("no origins", {"allow_origins": []}, ["no_origins"]),
    ("origins None", {"allow_origins": None}, ["no_origins"]),
    ("origins a string", {"allow_origins": UI}, ["not_a_list"]),
    ("origins bytes", {"allow_origins": UI.encode()}, ["not_a_list"]),
    ("origins a mapping", {"allow_origins": {UI: True}}, ["not_a_list"]),
    ("origins a number", {"allow_origins": 5}, ["not_a_list"]),
    ("an origin of bytes", with_origin(UI.encode()), ["wrong_type"]),
    ("an origin unhashable", with_origin([UI], {}), ["wrong_type", "wrong_type"]),
    ("an origin without repr", with_origin(Odd()), ["wrong_type"]),
    ("path", with_origin(UI + "/x"), ["origin_path"]),
    ("trailing slash", with_origin(UI + "/"), ["origin_trailing_slash"]),
    ("query", with_origin(UI + "?x"), ["origin_query"]),
    ("fragment", with_origin(UI + "#x"), ["origin_fragment"]),
    ("user info", with_origin("https://u:p@ui.example"), ["origin_user_info"]),
    ("upper case", with_origin("https://UI.example"), ["origin_upper_case"]),
    ("default port", with_origin(UI + ":443"), ["origin_default_port"]),
    ("non-ASCII", with_origin("https://b\xfccher.example"), ["origin_not_ascii"]),
    ("lone surrogate", with_origin("https://\ud800"), ["origin_not_ascii"]),
    ("control characters", with_origin("https://a\r\nb\x1b"), ["origin_host"]),
    ("port 0", with_origin(UI + ":0"), ["origin_port"]),
    ("port 65536", with_origin(UI + ":65536"), ["origin_port"]),
    ("IP not canonical", with_origin("http://127.1"), ["origin_ip_address"]),
    ("IPv6 not canonical", with_origin("http://[0::1]"), ["origin_ip_address"]),
    ("file", with_origin("file://"), ["origin_file"]),
    ("wildcard inside", with_origin("https://a.*.example"), ["origin_wildcard"]),
    ("several wildcards", with_origin("https://*.*.example.com:*"), ["origin_wildcard"]),
    ("Punycode of nothing", with_origin("https://xn--f.example"), ["origin_punycode"]),
    ("a compiled pattern", with_origin(re.compile("https://a")), ["wrong_type"]),
    ("origins a compiled pattern", {"allow_origins": re.compile("https://a")}, ["not_a_list"]),
    ("origins in one text", with_origin("https://a.example,https://b.example"), ["comma_in_item"]),
    ("no scheme", with_origin("ui.example"), ["origin_scheme_missing"]),
    ("over-long", with_origin("https://" + "a." * 10**5), ["origin_too_long"]),
    ("* with others", with_origin("*", UI), ["origin_wildcard_beside_others"]),
    ("* with credentials", with_origin("*", **CREDENTIALS), ["origin_wildcard_with_credentials"]),
    ("null", with_origin("null"), ["origin_null"]),
    ("http with credentials", with_origin("http://a.example", **CREDENTIALS), ["origin_insecure"]),
    (
        "http subdomains with credentials",
        with_origin("http://*.a.example", **CREDENTIALS),
        ["origin_insecure"],
    ),
    (
        "public suffix with credentials",
        with_origin("https://*.github.io", **CREDENTIALS),
        ["origin_public_suffix"],
    ),
    (
        "top level with credentials",
        with_origin("https://*.com", **CREDENTIALS),
        ["origin_public_suffix"],
    ),
    (
        "parent of public suffixes with credentials",
        with_origin("https://*.amazonaws.com", **CREDENTIALS),
        ["origin_public_suffix"],
    ),
    (
        "parent of public suffixes, any port, with credentials",
        with_origin("https://*.windows.net:*", **CREDENTIALS),
        ["origin_public_suffix"],
    ),
    (
        "http public suffix with credentials",
        with_origin("http://*.github.io", **CREDENTIALS),
        ["origin_insecure", "origin_public_suffix"],
    ),
    (
        "expose * with credentials",
        with_origin(UI, expose_headers=["*"], **CREDENTIALS),
        ["expose_wildcard_with_credentials"],
    ),
    ("regex malformed", with_origin(Regex("(")), ["origin_regex_invalid"]),
    ("regex too long", with_origin(Regex("a" * 2000)), ["origin_regex_too_long"]),
    (
        "regex for any with credentials",
        with_origin(Regex("https://.*"), **CREDENTIALS),
        ["origin_regex_open"],
    ),
    # lists of names
    ("methods a string", with_origin(UI, allow_methods="PUT"), ["not_a_list"]),
    ("headers a string", with_origin(UI, allow_headers="x-a"), ["not_a_list"]),
    ("exposed a string", with_origin(UI, expose_headers="x-a"), ["not_a_list"]),
    ("methods a boolean", with_origin(UI, allow_methods=True), ["not_a_list"]),
    ("methods in one text", with_origin(UI, allow_methods=["PUT,DELETE"]), ["comma_in_item"]),
    ("headers in one text", with_origin(UI, allow_headers=["x-a, x-b"]), ["comma_in_item"]),
    ("exposed in one text", with_origin(UI, expose_headers=["x-a,x-b"]), ["comma_in_item"]),
    ("a method no token", with_origin(UI, allow_methods=["P UT"]), ["method_not_token"]),
    ("a method empty", with_origin(UI, allow_methods=[""]), ["method_not_token"]),
    ("a method lower case", with_origin(UI, allow_methods=["put"]), ["method_case"]),
    ("a method mixed case", with_origin(UI, allow_methods=["Patch"]), ["method_case"]),
    ("a method no text", with_origin(UI, allow_methods=[5]), ["wrong_type"]),
    ("a header no token", with_origin(UI, allow_headers=["x a"]), ["header_not_token"]),
    ("a header with a colon", with_origin(UI, allow_headers=["x-a:"]), ["header_not_token"]),
    (
        "a header not ASCII",
        with_origin(UI, allow_headers=["\u212aey"]),
        ["header_not_token"],
    ),
    ("a header no text", with_origin(UI, allow_headers=[None]), ["wrong_type"]),
    ("exposed no token", with_origin(UI, expose_headers=["x\n"]), ["header_not_token"]),
    (
        "access-control as request header",
        with_origin(UI, allow_headers=["Access-Control-Request-Method"]),
        ["header_access_control"],
    ),
    # single values
    ("max_age negative", with_origin(UI, max_age=-1), ["max_age_negative"]),
    ("max_age a fraction", with_origin(UI, max_age=1.5), ["max_age_not_seconds"]),
    ("max_age a Fraction", with_origin(UI, max_age=Fraction(5)), ["max_age_not_seconds"]),
    ("max_age a text", with_origin(UI, max_age="600"), ["max_age_not_seconds"]),
    ("max_age a boolean", with_origin(UI, max_age=True), ["max_age_not_seconds"]),
    ("max_age NaN", with_origin(UI, max_age=math.nan), ["max_age_not_seconds"]),
    ("max_age infinite", with_origin(UI, max_age=math.inf), ["max_age_not_seconds"]),
    ("max_age huge", with_origin(UI, max_age=10**5000), ["max_age_too_large"]),
    ("max_age hugely negative", with_origin(UI, max_age=-(10**5000)), ["max_age_negative"]),
    ("max_age above 31 bits", with_origin(UI, max_age=2**31), ["max_age_too_large"]),
    (
        "max_age milliseconds",
        with_origin(UI, max_age=timedelta(milliseconds=1500)),
        ["max_age_not_seconds"],
    ),
    ("a flag 1", with_origin(UI, allow_credentials=1), ["not_a_bool"]),
    ("a flag a text", with_origin(UI, allow_private_network="false"), ["not_a_bool"]),
    ("a key no key", with_origin(UI, key="model-api-key"), ["not_a_key"]),
    # unknown options
    ("an unknown option", with_origin(UI, allow_orgins=[UI]), ["unknown_option"]),
    ("Starlette's regex", {"allow_origin_regex": "https://a"}, ["unknown_option"]),
    ("flask-cors's names", {"origins": "*", "resources": {}}, ["unknown_option", "unknown_option"]),
    ("no origins in other names", {"send_wildcard": True}, ["no_origins", "unknown_option"]),
    ("an option named policy", {"policy": 1}, ["no_origins", "unknown_option"]),
    ("an unknown option of odd name", with_origin(UI, **{"a\nb": 1}), ["unknown_option"]),
]


@pytest.mark.parametrize(
    ("options", "expected"), [pytest.param(o, c, id=name) for name, o, c in ERRORS]
)
def test_policy_that_does_not_start(options: dict[str, Any], expected: list[str]) -> None:
    assert codes(**options) == expected


def test_all_problems_at_once() -> None:
    found = codes(
        allow_origins=[UI + "/", "null", "ui.example"],
        allow_methods=["put", "a b"],
        allow_headers=["x y"],
        max_age=-1,
        allow_credentials="yes",
        key=5,
        orgin=[UI],
    )
    assert sorted(found) == [
        "header_not_token",
        "max_age_negative",
        "method_case",
        "method_not_token",
        "not_a_bool",
        "not_a_key",
        "origin_null",
        "origin_scheme_missing",
        "origin_trailing_slash",
        "unknown_option",
    ]


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        pytest.param({"orgin": 1}, "did you mean allow_origins?", id="option"),
        pytest.param({"allow_method": 1}, "did you mean allow_methods?", id="singular"),
        pytest.param({"credentials": 1}, "did you mean allow_credentials?", id="short"),
        pytest.param({"allow_origins": "x"}, "write a list: ['x']", id="string"),
        pytest.param({"allow_origins": ["a.example"]}, "https://a.example", id="scheme"),
        pytest.param({"allow_methods": ["put"]}, "PUT", id="method"),
        pytest.param({"allow_origins": ["https://A.example"]}, "https://a.example", id="case"),
        pytest.param(
            {"allow_origins": ["https://a.example:443"]}, ": https://a.example [", id="port"
        ),
        pytest.param({"allow_origins": ["null"]}, "dangerously_allow_null_origin", id="null"),
        pytest.param(
            {"allow_origins": ["*"], **CREDENTIALS}, "which bearer tokens do not need", id="*"
        ),
        pytest.param(
            {"allow_origins": "https://a.example, https://b.example"},
            "write a list: ['https://a.example', 'https://b.example'] [",
            id="string of several",
        ),
        pytest.param({"allow_origins": ","}, "write a list: [','] [", id="string of a comma"),
        pytest.param(
            {"allow_origins": ["https://a.example,https://b.example"]},
            "write a list: ['https://a.example', 'https://b.example'] [",
            id="several origins in one",
        ),
        pytest.param(
            {"allow_methods": ["PUT,DELETE"]}, "write a list: ['PUT', ...] [", id="methods"
        ),
        # a regular expression, as other libraries write it
        pytest.param(
            {"allow_origin_regex": r"https://.*\.example\.com"},
            r'write allow_origins=[Regex("https://.*\\.example\\.com")], with meshcors.',
            id="allow_origin_regex",
        ),
        pytest.param(
            {"allow_origins": [UI], "allow_origin_regex": re.compile("https://a", re.IGNORECASE)},
            'write allow_origins=["https://ui.example", Regex("(?i)https://a")], with',
            id="allow_origin_regex compiled, with others",
        ),
        pytest.param(
            {"cors_allowed_origin_regexes": ["https://a", "https://b"]},
            'write allow_origins=[Regex("https://a"), Regex("https://b")], with',
            id="django's regexes",
        ),
        pytest.param(
            {"allow_origin_regex": None},
            "write a meshcors.Regex into",
            id="regex None",
        ),
        pytest.param(
            {"allow_origins": [re.compile(r"https://a\.b")]},
            r'write Regex("https://a\\.b"), with meshcors.Regex [',
            id="compiled",
        ),
        pytest.param(
            {"allow_origins": [re.compile(rb"https://a")]}, 'write Regex("https://a")', id="bytes"
        ),
        pytest.param(
            {"allow_origins": re.compile("https://a")},
            'write a list: [Regex("https://a")] [',
            id="compiled for a list",
        ),
        pytest.param(
            {"allow_origins": [r"https://.*\.example\.com"]},
            r'if it is a regular expression, write Regex("https://.*\\.example\\.com") [',
            id="a regex as a text",
        ),
        # other libraries' names
        pytest.param({"origins": "*"}, "unknown; here it is called allow_origins [", id="origins"),
        pytest.param(
            {"supports_credentials": 1}, "here it is called allow_credentials [", id="supports"
        ),
        pytest.param(
            {"methods": 1}, "here it is called allow_methods [", id="methods of flask-cors"
        ),
        pytest.param(
            {"CORS_PREFLIGHT_MAX_AGE": 1}, "here it is called max_age [", id="django's max_age"
        ),
        pytest.param({"limit_methods": ["GET"]}, "no policy limits methods: the app", id="limit"),
        pytest.param({"vary_header": 1}, "vary_header: leave it out: Vary", id="vary_header"),
        pytest.param({"allow_all": 1}, "write the origin * into allow_origins [", id="allow_all"),
        pytest.param(
            {"resources": {r"/v1/*": {"origins": "*"}}},
            'rules: write rules=[Rule(Policy(...), path_prefix="/v1")], with meshcors.Rule [',
            id="resources",
        ),
        pytest.param({"path_prefix": "/v1"}, 'Rule(Policy(...), path_prefix="/v1")]', id="prefix"),
        pytest.param(
            {"hosts": ["a.example"]},
            'write rules=[Rule(Policy(...), hosts=["api.example.com"])], with meshcors.Rule [',
            id="hosts of a rule",
        ),
        pytest.param({"hosts": [UI]}, "here it is called allow_origins [", id="hosts of asgi-cors"),
        *(
            pytest.param(
                {name: "s3cret"},
                f'{name}: write key=HeaderKey("model-api-key", values=[...]) [',
                id=name,
            )
            for name in ("key_header", "key_values")
        ),
        *(
            pytest.param(
                {f"CORS_{name.upper()}": 1},
                f"unknown; here it is called {name} [",
                id=f"django's {name}",
            )
            for name in (
                *("allow_credentials", "allow_methods", "allow_headers", "expose_headers"),
                *("max_age", "allow_private_network"),
            )
        ),
        pytest.param(
            {"allow_origins": [UI], "allow_methods": ["put"]},
            "put: methods are case-sensitive: write PUT [",
            id="case of a method",
        ),
        pytest.param(
            {"allow_origins": [UI], "allow_methods": ["P UT"]},
            ": not a method name: write one word, such as PUT [",
            id="no method",
        ),
        pytest.param(
            {"allow_origins": [UI], "allow_headers": ["x a"]},
            ": not a header name: write letters, digits and -, without spaces [",
            id="no header",
        ),
        pytest.param(
            {"allow_origins": ["https://xn--f.example"]},
            ": xn--f is not valid Punycode, so no browser sends it [",
            id="no Punycode",
        ),
        pytest.param(
            {"allow_origins": ["https://1.2.3"]},
            ": write an IPv4 address as four numbers, such as 192.0.2.1 [",
            id="no IPv4 address",
        ),
        # slips of the pen around an origin
        pytest.param(
            {"allow_origins": ["regex:https://.*"]},
            ': write Regex("https://.*"), with meshcors.Regex [',
            id="regex: of other sources",
        ),
        pytest.param(
            {"allow_origins": [{"regex": "x"}]}, ': write Regex("x"), with', id="regex of a file"
        ),
        pytest.param({"allow_origins": [{"exact": UI}]}, f": write '{UI}' [", id="exact of a file"),
        pytest.param({"allow_origins": [{"suffix": UI}]}, "write a string or", id="another match"),
        pytest.param(
            {"allow_origins": "https://a.example https://b.example"},
            "write a list: ['https://a.example', 'https://b.example'] [",
            id="string of several with blanks",
        ),
        pytest.param(
            {"allow_origins": ["https://a.example https://b.example"]},
            ": several origins with spaces between: write a list [",
            id="several with blanks",
        ),
        pytest.param(
            {"allow_origins": [f" {UI}"]}, f"' {UI}': leave out the white space [", id="blank"
        ),
        pytest.param(
            {"allow_origins": [f"{UI}\n"]}, ": leave out the white space [", id="line end"
        ),
        pytest.param({"allow_origins": [f'"{UI}"']}, ": leave out the quotes [", id="quotes"),
        pytest.param({"allow_origins": [""]}, "'': an empty origin: leave it out [", id="empty"),
        pytest.param(
            {"allow_origins": [f"{UI}."]}, ": leave out the trailing dot [", id="last dot"
        ),
        pytest.param({"allow_origins": ["https://"]}, ": the host is missing or", id="no host"),
        pytest.param(
            {"allow_origins": ["https://a.."]},
            "an empty label: write one such as ui.example [",
            id="two last dots",
        ),
        pytest.param({"resources": 5}, 'path_prefix="/api")]', id="resources of a number"),
        pytest.param({"urls_regex": r"^/x/.*$"}, 'path_prefix="/x")]', id="django's urls"),
    ],
)
def test_hint_says_what_to_write(options: dict[str, Any], hint: str) -> None:
    with pytest.raises(PolicyError) as caught:
        Policy(**options)
    assert hint in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"resources": {"/v1/*": {"origins": "*"}}},
        {"allow_origin": [UI]},
        {"origins": [UI]},
        {"hosts": [UI]},
        {"CORS_ALLOW_ORIGINS": UI},
    ],
    ids=str,
)
def test_origins_of_another_name_are_not_missing_as_well(options: dict[str, Any]) -> None:
    assert codes(**options) == ["unknown_option"]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(with_origin("null", dangerously_allow_null_origin=True), id="null"),
        pytest.param(
            with_origin("http://a.example", dangerously_allow_insecure_origins=True, **CREDENTIALS),
            id="insecure",
        ),
        pytest.param(
            with_origin(
                "https://*.github.io", dangerously_allow_public_suffixes=True, **CREDENTIALS
            ),
            id="public suffix",
        ),
        pytest.param(with_origin("http://localhost:*", **CREDENTIALS), id="loopback"),
        pytest.param(with_origin("http://*.localhost", **CREDENTIALS), id="below loopback"),
        pytest.param(with_origin("http://[::1]:3000", **CREDENTIALS), id="IPv6 loopback"),
        pytest.param(with_origin("https://*.example.com", **CREDENTIALS), id="below a domain"),
        pytest.param(with_origin("https://*.github.io"), id="public suffix, no credentials"),
        pytest.param(with_origin("https://*.amazonaws.com:*"), id="its parent, no credentials"),
        pytest.param(
            with_origin(
                "https://*.amazonaws.com", dangerously_allow_public_suffixes=True, **CREDENTIALS
            ),
            id="parent of public suffixes",
        ),
        pytest.param(with_origin("https://*.example.com:*", **CREDENTIALS), id="any port below"),
        pytest.param(with_origin("https://*.city.kobe.jp", **CREDENTIALS), id="an exception"),
        pytest.param(with_origin("http://*.localhost:*", **CREDENTIALS), id="any loopback"),
        pytest.param(with_origin("http://[::1]:*", **CREDENTIALS), id="any port of loopback"),
        pytest.param(with_origin("https://xn--bcher-kva.example"), id="Punycode"),
        pytest.param(
            with_origin(UI, allow_headers=["*", "Authorization"]), id="* and authorization"
        ),
        pytest.param(with_origin(UI, allow_headers=["*"], **CREDENTIALS), id="* mirrored"),
        pytest.param(
            with_origin(UI, allow_headers=["*"], key=HeaderKey("Authorization")),
            id="* and authorization as the key",
        ),
        pytest.param(with_origin("http://a.example"), id="http, no credentials"),
        pytest.param(with_origin(Regex("https://.*")), id="open regex, no credentials"),
        pytest.param(
            with_origin(Regex(r"https://[a-z]+\.example\.com"), **CREDENTIALS), id="closed regex"
        ),
        pytest.param(with_origin(UI, expose_headers=["*"]), id="expose *, no credentials"),
        pytest.param(with_origin(UI, max_age=0), id="max_age 0"),
        pytest.param(with_origin(UI, max_age=600.0), id="max_age a whole float"),
        pytest.param(with_origin(UI, max_age=None, key=None, allow_methods=None), id="None"),
        pytest.param({"allow_origins": (o for o in [UI])}, id="a generator"),
        pytest.param({"allow_origins": {UI}}, id="a set"),
        pytest.param(with_origin(UI, allow_methods=["purge", "QUERY"]), id="methods of its own"),
    ],
)
def test_policy_that_starts(options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Policy(**options)


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        ({"allow_methods": ["OPTIONS"]}, ["allow_methods: OPTIONS"]),
        ({"allow_methods": ["CONNECT", "TRACE"]}, ["CONNECT", "TRACE"]),
        ({"allow_methods": ["TRACK"]}, ["TRACK"]),
        ({"allow_methods": ["GET", "HEAD", "POST", "PUT"]}, ["GET", "HEAD", "POST"]),
        ({"allow_headers": ["Cookie", "sec-x"]}, ["cookie", "sec-x"]),
        ({"expose_headers": ["set-cookie"]}, ["expose_headers: set-cookie"]),
        ({"max_age": 7201}, ["max_age: 7201 seconds"]),
        ({"max_age": timedelta(days=1)}, ["max_age: 86400 seconds"]),
        ({"max_age": 2**31 - 1}, ["max_age: 2147483647 seconds"]),
        (
            {"allow_headers": ["X-Key"], "key": HeaderKey("x-key")},
            ["allow_headers: x-key: the key is always allowed"],
        ),
        (
            {"allow_headers": ["*"]},
            ["allow_headers: * does not cover authorization, the header of bearer tokens"],
        ),
        ({"max_age": 7200, "allow_headers": ["content-type"]}, []),
    ],
    ids=lambda value: ",".join(map(str, value)) if isinstance(value, dict) else "",
)
def test_what_has_no_effect_is_a_warning(options: dict[str, Any], texts: list[str]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Policy(allow_origins=[UI], **options)
    assert len(caught) == len(texts)
    for warning, text in zip(caught, texts, strict=True):
        assert warning.category is PolicyWarning
        assert text in str(warning.message)
        # It points at the line that made the policy.
        assert warning.filename == __file__


def test_policy_is_a_value() -> None:
    options: dict[str, Any] = {
        "allow_origins": [UI, UI, "https://*.example.com"],
        "allow_methods": ["PUT"],
        "allow_headers": ["X-A", "x-a", "Authorization"],
        "expose_headers": ["X-B"],
        "allow_credentials": True,
        "max_age": timedelta(minutes=10),
        "key": HeaderKey("Model-API-Key", ["xyz"], exempt_paths=["/healthz"]),
    }
    policy = Policy(**options)
    assert policy.allow_origins == (UI, "https://*.example.com")
    assert policy.allow_headers == ("x-a", "authorization")
    assert policy.max_age == 600
    assert policy == Policy(**options)
    assert hash(policy) == hash(Policy(**options))
    assert policy != replace(policy, max_age=601)
    assert len({policy, Policy(**options)}) == 1
    assert copy.copy(policy) == copy.deepcopy(policy) == policy
    bare = policy.without_key_values()
    assert pickle.loads(pickle.dumps(bare)) == bare
    with pytest.raises(FrozenInstanceError):
        policy.max_age = 5  # type: ignore[misc]  # frozen: that is the point
    assert not hasattr(policy, "__dict__")
    assert eval(repr(Policy(allow_origins=[UI, Regex("a")]))) == Policy(
        allow_origins=[UI, Regex("a")]
    )


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        (HeaderKey("x-key", ["a"], exempt_paths=["/h"]), HeaderKey("x-key", exempt_paths=["/h"])),
        (HeaderKey("x-key"), HeaderKey("x-key")),
        (None, None),
    ],
    ids=["values", "presence", "no key"],
)
def test_policy_without_key_values(key: HeaderKey | None, kept: HeaderKey | None) -> None:
    policy = Policy(allow_origins=[UI], max_age=5, key=key)
    assert policy.without_key_values() == Policy(allow_origins=[UI], max_age=5, key=kept)
    assert policy.key is key


# --- keys -------------------------------------------------------------------------------------

KEY_ERRORS: list[tuple[str, tuple[Any, ...], dict[str, Any], list[str]]] = [
    ("name no token", ("x key",), {}, ["header_not_token"]),
    ("name empty", ("",), {}, ["header_not_token"]),
    ("name with underscore", ("x_key",), {}, ["key_underscore"]),
    ("name not ASCII", ("\u212aey",), {}, ["header_not_token"]),
    ("name no text", (5,), {}, ["wrong_type"]),
    ("name of bytes", (b"x-key",), {}, ["wrong_type"]),
    ("name forbidden", ("Cookie",), {}, ["key_forbidden"]),
    ("name with sec-", ("Sec-Key",), {}, ["key_forbidden"]),
    ("name access-control-", ("access-control-x",), {}, ["key_forbidden"]),
    ("name safelisted", ("Content-Type",), {}, ["key_safelisted"]),
    ("values empty", ("x-key", []), {}, ["key_values_empty"]),
    ("values a string", ("x-key", "xyz"), {}, ["not_a_list"]),
    ("values bytes", ("x-key", b"xyz"), {}, ["not_a_list"]),
    ("values a mapping", ("x-key", {"xyz": 1}), {}, ["not_a_list"]),
    ("values a number", ("x-key", 5), {}, ["not_a_list"]),
    ("a value empty", ("x-key", ["a", ""]), {}, ["key_value_empty"]),
    ("a value with a newline", ("x-key", ["a\n"]), {}, ["key_value_not_printable"]),
    ("a value with NUL", ("x-key", ["a\x00"]), {}, ["key_value_not_printable"]),
    ("a value not ASCII", ("x-key", ["\xe4"]), {}, ["key_value_not_printable"]),
    ("a value of a lone surrogate", ("x-key", ["\udcff"]), {}, ["key_value_not_printable"]),
    ("a value with a blank before", ("x-key", [" a"]), {}, ["key_value_blank"]),
    ("a value with a comma", ("x-key", ["a,b"]), {}, ["key_value_comma"]),
    ("a value of bytes", ("x-key", [b"a"]), {}, ["wrong_type"]),
    ("a value unhashable", ("x-key", [["a"]]), {}, ["wrong_type"]),
    ("paths a string", ("x-key",), {"exempt_paths": "/a"}, ["not_a_list"]),
    ("a path not absolute", ("x-key",), {"exempt_paths": ["a"]}, ["path_not_absolute"]),
    ("a path empty", ("x-key",), {"exempt_paths": [""]}, ["path_not_absolute"]),
    ("a path with a wildcard", ("x-key",), {"exempt_paths": ["/a/*/b"]}, ["path_wildcard"]),
    ("a path ending in a*", ("x-key",), {"exempt_paths": ["/a*"]}, ["path_wildcard"]),
    ("a path with //", ("x-key",), {"exempt_paths": ["//a"]}, ["path_never_matches"]),
    ("a path with ..", ("x-key",), {"exempt_paths": ["/a/../b"]}, ["path_never_matches"]),
    ("a path with .", ("x-key",), {"exempt_paths": ["/./*"]}, ["path_never_matches"]),
    ("an encoded path", ("x-key",), {"exempt_paths": ["/%41"]}, ["path_encoded"]),
    ("an encoded prefix", ("x-key",), {"exempt_paths": ["/%41/*"]}, ["path_encoded"]),
    ("a path with a query", ("x-key",), {"exempt_paths": ["/a?x"]}, ["path_encoded"]),
    ("a path with a fragment", ("x-key",), {"exempt_paths": ["/a#x"]}, ["path_encoded"]),
    ("a path no text", ("x-key",), {"exempt_paths": [Path("/a")]}, ["wrong_type"]),
    ("name and values exchanged", (["xyz"], "x-key"), {}, ["wrong_type", "not_a_list"]),
    (
        "all at once",
        ("x_key", ["", "a,b"]),
        {"exempt_paths": ["a"]},
        ["path_not_absolute", "key_underscore", "key_value_empty", "key_value_comma"],
    ),
]


@pytest.mark.parametrize(
    ("args", "more", "expected"), [pytest.param(a, m, c, id=name) for name, a, m, c in KEY_ERRORS]
)
def test_key_that_does_not_start(
    args: tuple[Any, ...], more: dict[str, Any], expected: list[str]
) -> None:
    with pytest.raises(PolicyError) as caught:
        HeaderKey(*args, **more)
    assert [problem.code for problem in caught.value.problems] == expected
    assert "xyz" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("x-key: s3cret", "x", "key.name: not a header name: write one such as model-api-key,"),
        ("x-key", "s3cret ", "number 1: leave out the white space around it ["),
        (
            "x-key",
            "s3cret,b",
            "1: write a value without commas: two header lines are joined with one [",
        ),
    ],
)
def test_hint_of_a_key(name: str, value: str, hint: str) -> None:
    with pytest.raises(PolicyError) as caught:
        HeaderKey(name, [value])
    assert hint in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_key_is_a_value_and_keeps_its_secret() -> None:
    key = HeaderKey("X-Key", ["s3cret", "s3cret", "other"], exempt_paths=["/*", "/a b"])
    assert (key.name, key.values) == ("x-key", KeyValues(["s3cret", "other"]))
    assert repr(key) == "HeaderKey('x-key', values=<2 hidden>, exempt_paths=('/*', '/a b'))"
    assert repr(HeaderKey("x-key")) == "HeaderKey('x-key')"
    assert key == HeaderKey("x-key", ["s3cret", "other"], exempt_paths=["/*", "/a b"])
    assert key != HeaderKey("x-key", ["other", "s3cret"], exempt_paths=["/*", "/a b"])
    assert hash(key) == hash(replace(key))


# --- key files --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b"one\ntwo\n", b"one\r\ntwo", b"\n\n  one \n\ttwo\n\n", b"one\rtwo"],
    ids=["lines", "CRLF, no last", "blanks and empty lines", "CR"],
)
def test_key_from_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(content)
    key = HeaderKey.from_file("x-key", path, exempt_paths=["/healthz"])
    assert key == HeaderKey("x-key", ["one", "two"], exempt_paths=["/healthz"])
    assert read_key_values(str(path)) == ["one", "two"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(b"", "key_values_empty", id="empty"),
        pytest.param(b"\n \n", "key_values_empty", id="only blanks"),
        pytest.param(b"\xff\xfes", "key_file_not_utf8", id="UTF-16"),
        pytest.param(b"\xef\xbb\xbfsecret", "key_value_not_printable", id="byte order mark"),
        pytest.param(b"s\n" * 600_000, "key_file_too_large", id="more than 1 MiB"),
        pytest.param(b"a,b", "key_value_comma", id="comma"),
    ],
)
def test_wrong_key_file(content: bytes, code: str, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(content)
    with pytest.raises(PolicyError) as caught:
        HeaderKey.from_file("x-key", path)
    assert [problem.code for problem in caught.value.problems] == [code]
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "path",
    ["missing", ".", "a\0b", "\ud800", "", None, 5, b"x", "x" * 5000],
    ids=["missing", "folder", "NUL", "surrogate", "empty", "None", "number", "bytes", "too long"],
)
def test_unreadable_key_file(path: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PolicyError) as caught:
        HeaderKey.from_file("x-key", path)
    (problem,) = caught.value.problems
    assert problem.code == "key_file_unreadable"
    assert problem.field == "key.values_file"
    assert len(str(caught.value).splitlines()) == 1
