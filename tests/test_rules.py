"""Rules: what they cover, which are refused, how look-ups find them, and middleware with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import flask
import pytest
import starlette.applications
import starlette.responses
import starlette.routing
from hypothesis import assume, given
from hypothesis import strategies as st

import meshcors
import meshcors.flask
import meshcors.starlette
import meshcors.wsgi
from meshcors import HeaderKey, Policy, PolicyError, Rule, RuleSet
from meshcors._decision.answers import Answer, Proceed
from meshcors._decision.engine import Engine
from meshcors._decision.rule_engine import NO_RULE, RuleEngine, compile_engine
from meshcors._policy.hosts import host_name
from meshcors._policy.rule_map import MAX_HOST_BYTES, RuleMap
from meshcors._policy.rules import ONE_URL_ONE_POLICY, Uncovered
from tests.calling import UI, Answered, App, call_asgi, call_wsgi, http_scope, preflight

ADMIN = "https://admin.example"
POLICY = Policy(allow_origins=[UI])
OTHER = Policy(allow_origins=[ADMIN])


def codes(error: pytest.ExceptionInfo[PolicyError]) -> list[tuple[str, str]]:
    return [(problem.code, problem.field) for problem in error.value.problems]


def rule(hosts: Iterable[str] | None = None, path_prefix: str = "/") -> Rule:
    return Rule(POLICY, hosts=hosts, path_prefix=path_prefix)


def find(rules: Iterable[Rule], host: str, path: str) -> int | str:
    """The number of the rule that covers the URL, or ``outside``, or ``ambiguous``."""
    rule_set = RuleSet(rules)
    numbers: list[int | str] = list(range(len(rule_set.rules)))
    found = RuleMap(rule_set, numbers, outside="outside", ambiguous="ambiguous")
    return found.find(host.encode("latin-1"), path)


# --- one rule


@pytest.mark.parametrize(
    ("options", "code", "field"),
    [
        pytest.param({"hosts": "a.example"}, "not_a_list", "hosts", id="text-for-hosts"),
        pytest.param({"hosts": 3}, "not_a_list", "hosts", id="number-for-hosts"),
        pytest.param({"hosts": []}, "hosts_empty", "hosts", id="no-hosts"),
        pytest.param({"hosts": [3]}, "wrong_type", "hosts", id="number-as-host"),
        pytest.param({"hosts": ["*"]}, "host_wildcard", "hosts", id="star"),
        pytest.param({"hosts": ["https://a.example"]}, "host_malformed", "hosts", id="origin"),
        pytest.param({"hosts": ["a.example:8080"]}, "host_malformed", "hosts", id="port"),
        pytest.param({"hosts": ["a.example:443"]}, "host_malformed", "hosts", id="default-port"),
        pytest.param({"hosts": ["a.example/v1"]}, "host_malformed", "hosts", id="path-in-host"),
        pytest.param({"hosts": ["a.*.example"]}, "host_malformed", "hosts", id="inner-star"),
        pytest.param({"hosts": ["a..example"]}, "host_malformed", "hosts", id="empty-label"),
        pytest.param({"hosts": [""]}, "host_malformed", "hosts", id="empty-host"),
        pytest.param({"hosts": ["bücher.example"]}, "host_malformed", "hosts", id="not-ascii"),
        pytest.param({"hosts": ["\u212aube.example"]}, "host_malformed", "hosts", id="kelvin-sign"),
        pytest.param({"path_prefix": 3}, "wrong_type", "path_prefix", id="number-as-path"),
        pytest.param({"path_prefix": "v1"}, "path_not_absolute", "path_prefix", id="no-slash"),
        pytest.param({"path_prefix": ""}, "path_not_absolute", "path_prefix", id="empty-path"),
        pytest.param({"path_prefix": "/v1/*"}, "path_wildcard", "path_prefix", id="path-star"),
        pytest.param({"path_prefix": "/a%20b"}, "path_encoded", "path_prefix", id="encoded"),
        pytest.param({"path_prefix": "/a?b"}, "path_encoded", "path_prefix", id="query"),
        pytest.param({"path_prefix": "/a#b"}, "path_encoded", "path_prefix", id="fragment"),
        pytest.param({"path_prefix": "//a"}, "path_never_matches", "path_prefix", id="slashes"),
        pytest.param({"path_prefix": "/a/../b"}, "path_never_matches", "path_prefix", id="dots"),
        pytest.param({"path_prefix": "/a" * 513}, "path_too_long", "path_prefix", id="long"),
        pytest.param({"path_prefix": "x" * 1025}, "path_too_long", "path_prefix", id="long-text"),
        pytest.param({"policy": None}, "not_a_policy", "policy", id="no-policy"),
    ],
)
def test_a_rule_that_is_refused(options: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(PolicyError) as error:
        Rule(**{"policy": POLICY, **options})
    assert codes(error) == [(code, field)]


@pytest.mark.parametrize("make", [lambda: Rule(POLICY, hosts=[]), lambda: RuleSet([])])
def test_of_an_empty_list_there_is_no_value_to_show(make: Callable[[], object]) -> None:
    with pytest.raises(PolicyError) as error:
        make()
    assert [problem.value for problem in error.value.problems] == [""]


def test_a_rule_says_everything_that_is_wrong_at_once() -> None:
    with pytest.raises(PolicyError) as error:
        Rule(POLICY, hosts=["a.example:1", "*"], path_prefix="v1")
    assert codes(error) == [
        ("host_malformed", "hosts"),
        ("host_wildcard", "hosts"),
        ("path_not_absolute", "path_prefix"),
    ]
    assert error.value.problems[0].hint == (
        "write a host such as api.example.com or *.example.com, without scheme, port or path"
    )


def test_a_rule_is_kept_in_one_form() -> None:
    made = Rule(POLICY, hosts=["API.example.com", "api.example.com"], path_prefix="/v1/")
    assert made == Rule(POLICY, hosts=["api.example.com"], path_prefix="/v1")
    assert (made.hosts, made.path_prefix) == (("api.example.com",), "/v1")
    assert hash(made) == hash(Rule(POLICY, hosts=["api.example.com"], path_prefix="/v1"))
    assert rule().path_prefix == rule(path_prefix="/").path_prefix == "/"


def test_no_key_value_is_shown() -> None:
    key = HeaderKey("model-api-key", values=["s3cr3t"])
    rules = RuleSet([Rule(Policy(allow_origins=[UI], key=key))])
    assert "s3cr3t" not in repr(rules)
    with pytest.raises(PolicyError) as error:
        RuleSet([*rules.rules, *rules.rules])
    assert "s3cr3t" not in str(error.value)


# --- several


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param([], [("no_rules", "rules")], id="none"),
        pytest.param(3, [("not_a_list", "rules")], id="no-list"),
        pytest.param("ab", [("not_a_list", "rules")], id="text"),
        pytest.param([POLICY], [("wrong_type", "rules[0]")], id="policy-for-rule"),
        pytest.param([rule(), rule()], [("rule_second_policy", "rules[1]")], id="everything-twice"),
        pytest.param(
            [rule(["a.example"], "/v1"), rule(["b.example", "A.example"], "/v1/")],
            [("rule_second_policy", "rules[1]")],
            id="one-host-of-two-twice",
        ),
        pytest.param(
            [rule(), rule(["a.example"])], [("rule_unreachable", "rules[1]")], id="behind-all"
        ),
        pytest.param(
            [rule(["*.example"]), rule(["a.example"])],
            [("rule_unreachable", "rules[1]")],
            id="host-behind-its-domain",
        ),
        pytest.param(
            [rule(["*.example"]), rule(["*.a.example"], "/v1")],
            [("rule_unreachable", "rules[1]")],
            id="domain-behind-a-wider-one",
        ),
        pytest.param(
            [rule(None, "/v1"), rule(None, "/v1/models/x")],
            [("rule_unreachable", "rules[1]")],
            id="path-behind-its-prefix",
        ),
        pytest.param(
            [rule(None, "/v1"), rule(["a.example"], "/v1"), rule(None, "/v1")],
            [("rule_unreachable", "rules[1]"), ("rule_second_policy", "rules[2]")],
            id="all-at-once",
        ),
    ],
)
def test_rules_that_are_refused(rules: Any, expected: list[tuple[str, str]]) -> None:
    with pytest.raises(PolicyError) as error:
        RuleSet(rules)
    assert codes(error) == expected


def test_two_policies_for_one_url_are_refused_with_the_reason() -> None:
    def by_value(value: str) -> Rule:
        return Rule(Policy(allow_origins=[UI], key=HeaderKey("x-key", values=[value])))

    with pytest.raises(PolicyError) as error:
        RuleSet([by_value("xyz"), by_value("abc")])
    assert codes(error) == [("rule_second_policy", "rules[1]")]
    assert ONE_URL_ONE_POLICY in str(error.value)
    assert "by URL and header name, never by value" in ONE_URL_ONE_POLICY


def test_the_first_rule_that_stands_before_is_named() -> None:
    with pytest.raises(PolicyError, match=r"rules\[1\] covers it"):
        RuleSet(
            [
                rule(["b.example"]),
                rule(None, "/v1"),
                rule(["a.example"]),
                rule(["a.example"], "/v1"),
            ]
        )


def test_rules_that_only_overlap_are_kept() -> None:
    overlapping = [
        rule(["a.example"], "/v1/models"),
        rule(["*.example"], "/v1"),
        rule(["a.example"]),
        rule(None, "/v1/models"),
        rule(),
    ]
    assert RuleSet(overlapping).rules == tuple(overlapping)
    assert RuleSet(overlapping) == RuleSet(iter(overlapping))
    assert hash(RuleSet(overlapping)) == hash(RuleSet(overlapping))


@pytest.mark.parametrize("uncovered", [None, "app", "refuse"])
def test_without_key_values_keeps_all_else(uncovered: Uncovered | None) -> None:
    key = HeaderKey("x-key", values=["xyz"], exempt_paths=["/healthz"])
    rules = RuleSet(
        [
            Rule(Policy(allow_origins=[UI], key=key), hosts=["a.example"], path_prefix="/v1"),
            Rule(OTHER),
        ],
        uncovered=uncovered,
    )
    presence = HeaderKey("x-key", exempt_paths=["/healthz"])
    assert rules.without_key_values() == RuleSet(
        [
            Rule(Policy(allow_origins=[UI], key=presence), hosts=["a.example"], path_prefix="/v1"),
            Rule(OTHER),
        ],
        uncovered=uncovered,
    )


# --- the look-up

HOST_RULES = [
    rule(["api.example.com"]),
    rule(["*.example.com"]),
    rule(["[2001:db8::1]"]),
    rule(["127.0.0.1"]),
]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        pytest.param("api.example.com", 0, id="exact"),
        pytest.param("API.Example.COM", 0, id="case"),
        pytest.param("api.example.com:8443", 0, id="port"),
        pytest.param("api.example.com:1", 0, id="smallest-port"),
        pytest.param(" api.example.com\t", 0, id="blanks"),
        pytest.param("ui.example.com", 1, id="subdomain"),
        pytest.param("a.b.api.example.com:80", 1, id="deep-subdomain"),
        pytest.param("example.com", "outside", id="the-domain-itself"),
        pytest.param("evilexample.com", "outside", id="no-label-border"),
        pytest.param("api.example.com.evil.example", "outside", id="as-a-prefix"),
        pytest.param("[2001:DB8::1]:8080", 2, id="ipv6"),
        pytest.param("127.0.0.1:8080", 3, id="ipv4"),
        pytest.param("", "ambiguous", id="missing"),
        pytest.param("evil.example,api.example.com", "ambiguous", id="two-lines"),
        pytest.param("evil.example,x.example.com", "ambiguous", id="two-lines-one-below"),
        pytest.param(".example.com", "ambiguous", id="empty-label"),
        pytest.param("a..example.com", "ambiguous", id="inner-empty-label"),
        pytest.param("api.example.com:80:80", "ambiguous", id="two-ports"),
        pytest.param("api.example.com:http", "ambiguous", id="named-port"),
        pytest.param("user@api.example.com", "ambiguous", id="user-info"),
        pytest.param("api.example.com\xa0", "ambiguous", id="latin-1"),
        pytest.param("api.example.com.", 0, id="one-last-dot"),
        pytest.param("ui.example.com.:80", 1, id="one-last-dot-and-a-port"),
        pytest.param("api.example.com..", "ambiguous", id="two-last-dots"),
        pytest.param("api.example.com,", "ambiguous", id="comma"),
        pytest.param("api.example.com:65535", 0, id="largest-port"),
        pytest.param("api.example.com:65536", "ambiguous", id="port-too-large"),
        pytest.param("api.example.com:", "ambiguous", id="empty-port"),
        pytest.param("api.example.com:0", "ambiguous", id="port-0"),
        pytest.param("api.example.com:080", "ambiguous", id="port-with-a-leading-zero"),
        pytest.param("api.example.com:100000", "ambiguous", id="port-too-long"),
        pytest.param("[2001:db8::1]x", "ambiguous", id="after-ipv6"),
        pytest.param("[api.example.com]", "ambiguous", id="name-in-brackets"),
        pytest.param("[]", "ambiguous", id="brackets"),
        pytest.param("[::1]", "outside", id="another-ipv6"),
        pytest.param("api.example.com/v1", "ambiguous", id="path"),
        pytest.param("api.example.com%00", "ambiguous", id="encoded"),
        pytest.param(f"{'a.' * MAX_HOST_BYTES}example.com", "ambiguous", id="too-long"),
    ],
)
def test_hosts_are_compared_case_insensitively_ignoring_the_port(
    host: str, expected: object
) -> None:
    assert find(HOST_RULES, host, "/") == expected


@pytest.mark.parametrize(
    ("field", "host"),
    [
        ("api.example.com", "api.example.com"),
        ("\tXYZ.Example ", "xyz.example"),
        ("api.example.com.", "api.example.com"),
        ("api.example.com.:8080", "api.example.com"),
        ("a_b.c-d.e_f.g-h.x0", "a_b.c-d.e_f.g-h.x0"),
        ("_a.-b", "_a.-b"),
        ("a-b.example", "a-b.example"),
        # Werkzeug does not read a host with an impossible port.
        *((field, None) for field in ("localhost:", "localhost:0", "localhost:00080")),
        ("localhost:65535", "localhost"),
        ("10.0.0.1:1", "10.0.0.1"),
        ("[::1]", "[::1]"),
        ("[::FFFF:1.2.3.4]:8080", "[::ffff:1.2.3.4]"),
        ("[2001:db8::90ab]", "[2001:db8::90ab]"),
        ("[abcd::1]", "[abcd::1]"),
        ("[ef::]", "[ef::]"),
        *((field, None) for field in ("[fade]", "[f.a]", "[-::1]")),
        *(
            (field, None)
            for field in ("", " ", ".", "a..b", ".a", "a..", ":80", "a,b", "a b", "a/b")
        ),
        *((field, None) for field in ("a:65536", "a:123456", "a:x", "a:8:8", "a:-1", "u@a", "a\n")),
        *((field, None) for field in ("b\xfccher", "a%41", "*.a", "a:+1", "a\\b", "a|b")),
        *((field, None) for field in ("[::1", "::1]", "[[::1]", "[::1]]", "[::1].", "[]", "[::g]")),
        *((field, None) for field in ("[::1]x", "x[::1]", "[::1]:65536", "::1", "[fe80::1%eth0]")),
    ],
)
def test_host_name(field: str, host: str | None) -> None:
    assert host_name(field.encode("latin-1")) == host


def test_a_host_of_320_bytes_is_read_and_none_longer() -> None:
    rules = [rule(["a.example"]), rule()]
    assert find(rules, "a" * 320, "/") == 1
    assert find(rules, "a" * 321, "/") == "ambiguous"


def test_a_pattern_whose_first_rule_comes_before_a_hosts_own_and_another_after_it() -> None:
    below = ["*.example"]
    rules = [rule(below, "/x"), rule(["a.example"]), rule(below, "/y"), rule(below, "/z/longer")]
    assert find(rules, "a.example", "/x") == 0
    assert find(rules, "a.example", "/y") == find(rules, "a.example", "/z/longer") == 1
    assert find(rules, "b.example", "/y/z") == 2
    assert find(rules, "b.example", "/z/longer/still") == 3
    assert find(rules, "b.example", "/z") == "outside"


@pytest.mark.parametrize("host", ["", "a,b", "x@y", "a..b", "a" * 400])
def test_an_ambiguous_host_is_like_any_other_where_no_rule_names_hosts(host: str) -> None:
    assert find([rule(None, "/v1"), rule()], host, "/v1") == 0
    assert find([rule(None, "/v1")], host, "/v2") == "outside"


PATH_RULES = [
    rule(["a.example"], "/v1/models"),
    rule(None, "/v1/models/x"),
    rule(None, "/v1"),
    rule(["b.example"]),
]


@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        pytest.param("c.example", "/v1", 2, id="itself"),
        pytest.param("c.example", "/v1/", 2, id="trailing-slash"),
        pytest.param("c.example", "/v1/a/b", 2, id="below"),
        pytest.param("c.example", "/v1/models/x/y", 1, id="the-longer-first"),
        pytest.param("a.example", "/v1/models/x", 0, id="host-and-path-first"),
        pytest.param("a.example", "/v1/model", 2, id="a-shorter-segment"),
        pytest.param("b.example", "/v1", 2, id="path-before-host"),
        pytest.param("b.example", "/", 3, id="host"),
        pytest.param("b.example", "*", "ambiguous", id="asterisk-form"),
        pytest.param("b.example", "v1/x", "ambiguous", id="no-slash"),
        pytest.param("b.example", "http://b.example/v1", "ambiguous", id="absolute-form"),
        pytest.param("b.example", "/v1\n", "ambiguous", id="line-feed"),
        pytest.param("b.example", "/v1\0", "ambiguous", id="nul"),
        pytest.param("b.example", "/v1\x85", "ambiguous", id="next-line"),
        pytest.param("b.example", "/v1\ufffd", "ambiguous", id="no-utf-8"),
        pytest.param("b.example", "/v1\udcff", "ambiguous", id="surrogate"),
        pytest.param("b.example", "/v1/\u4e00", 2, id="utf-8"),
        pytest.param("c.example", "/v1beta", "outside", id="segments-not-strings"),
        pytest.param("c.example", "/V1", "outside", id="case"),
        pytest.param("c.example", "/", "outside", id="root"),
        pytest.param("c.example", "", "ambiguous", id="empty"),
        pytest.param("c.example", "/%76%31", "outside", id="not-decoded-again"),
        pytest.param("c.example", "/v1/.hidden/..x/...", 2, id="dots-that-are-names"),
        pytest.param("c.example", "/v1/../admin", "ambiguous", id="dot-dot"),
        pytest.param("b.example", "/v1/.", "ambiguous", id="dot"),
        pytest.param("c.example", "//v1", "ambiguous", id="slashes"),
        pytest.param("a.example", "../v1", "ambiguous", id="relative"),
    ],
)
def test_path_prefixes_match_whole_segments(host: str, path: str, expected: object) -> None:
    assert find(PATH_RULES, host, path) == expected


@pytest.mark.parametrize("path", ["//v1", "/v1/../x", "/./"])
def test_an_ambiguous_path_has_a_rule_where_the_path_decides_nothing(path: str) -> None:
    assert find([rule(["a.example"]), rule(None, "/v1")], "a.example", path) == 0
    assert find([rule(["a.example"], "/v1"), rule()], "b.example", path) == 1
    assert find([rule(["a.example"], "/v1"), rule()], "a.example", path) == "ambiguous"


LABELS = ["a", "b", "example"]
NAMES = st.lists(st.sampled_from(LABELS), min_size=1, max_size=3).map(".".join)
PATTERNS = st.one_of(NAMES, NAMES.map("*.{}".format))
SEGMENTS = st.sampled_from(["a", "b", "ab", "v1"])
PREFIXES = st.lists(SEGMENTS, max_size=3).map(lambda found: "/" + "/".join(found))
URLS = st.tuples(st.none() | st.lists(PATTERNS, min_size=1, max_size=2), PREFIXES)
HOSTS = st.tuples(NAMES, st.sampled_from(["", ":80"])).map("".join) | st.just("")
PATHS = st.lists(SEGMENTS | st.sampled_from(["", ".", ".."]), max_size=5).map(
    lambda found: "/" + "/".join(found)
)


def has_host(made: Rule, host: str) -> bool:
    host = host.partition(":")[0]
    return not made.hosts or any(
        host == name or (name[0] == "*" and host.endswith(name[1:])) for name in made.hosts
    )


def has_path(made: Rule, path: str) -> bool:
    prefix = made.path_prefix.rstrip("/")
    return path == prefix or path.startswith(f"{prefix}/")


def first(rules: tuple[Rule, ...], host: str, path: str) -> int | str:
    """Return the rule that covers a URL, as documented: one after the other."""
    ambiguous = "//" in path or any(segment in (".", "..") for segment in path.split("/"))
    if not host and any(made.hosts for made in rules):
        return "ambiguous"
    for number, made in enumerate(rules):
        if has_host(made, host):
            if ambiguous and made.path_prefix != "/":
                return "ambiguous"
            if has_path(made, path):
                return number
    return "outside"


@st.composite
def accepted_rules(draw: st.DrawFn) -> tuple[Rule, ...]:
    """Valid rules: those that an earlier one covers are left out."""
    kept: tuple[Rule, ...] = ()
    for hosts, prefix in draw(st.lists(URLS, min_size=1, max_size=8)):
        try:
            kept = RuleSet([*kept, rule(hosts, prefix)]).rules
        except PolicyError:
            continue
    return kept


@given(accepted_rules(), st.lists(st.tuples(HOSTS, PATHS), min_size=1))
def test_the_look_up_equals_a_scan(rules: tuple[Rule, ...], urls: list[tuple[str, str]]) -> None:
    for host, path in urls:
        assert find(rules, host, path) == first(rules, host, path)


@given(accepted_rules(), URLS)
def test_a_rule_is_refused_just_when_a_url_of_its_own_never_reaches_it(
    rules: tuple[Rule, ...], url: tuple[list[str] | None, str]
) -> None:
    made = rule(*url)
    # For each host and prefix, a URL that no rule names.
    hosts = [host.replace("*", "fresh") for host in made.hosts] or ["fresh"]
    path = f"{made.path_prefix.rstrip('/')}/fresh"
    reached = all(first(rules, host, path) == "outside" for host in hosts)
    if reached:
        assert RuleSet([*rules, made]).rules == (*rules, made)
    else:
        with pytest.raises(PolicyError):
            RuleSet([*rules, made])


# --- the engine

RULES = RuleSet(
    [
        Rule(
            Policy(allow_origins=[UI], key=HeaderKey("x-key", values=["xyz"])),
            hosts=["api.example"],
            path_prefix="/v1",
        ),
        Rule(OTHER, hosts=["api.example"], path_prefix="/admin"),
    ]
)


@given(
    st.sampled_from(["OPTIONS", "GET"]),
    st.sampled_from(["api.example", "API.example:1", "x.example"]),
    st.sampled_from(["/v1", "/v1/x", "/admin", "/", "/v1/../admin"]),
    st.fixed_dictionaries(
        {},
        optional={
            b"origin": st.sampled_from([UI.encode(), ADMIN.encode(), b"https://evil.example"]),
            b"access-control-request-method": st.sampled_from([b"POST", b"PUT"]),
            b"access-control-request-headers": st.just(b"x-key"),
            b"x-key": st.sampled_from([b"xyz", b"abc"]),
        },
    ),
)
def test_the_rule_decides_as_its_policy_alone(
    method: str, host: str, path: str, fields: dict[bytes, bytes]
) -> None:
    engine = RuleEngine(RULES, None)
    given_fields = {**fields, b"host": host.encode()}
    decided = engine.decide(method, path, given_fields)
    refused = engine.decide_websocket(path, given_fields)
    number = first(RULES.rules, host.lower(), path)
    if number == "outside":
        assert decided is refused is None
        assert RuleEngine(RULES, NO_RULE).decide(method, path, given_fields) is NO_RULE
        assert RuleEngine(RULES, NO_RULE).decide_websocket(path, given_fields) is NO_RULE
    elif number == "ambiguous":
        assert decided is refused is NO_RULE
    else:
        assert isinstance(number, int)
        alone = Engine(RULES.rules[number].policy)
        expected = alone.decide(method, path, given_fields)
        assert type(decided) is type(expected)
        assert isinstance(decided, Answer | Proceed)
        assert decided.reason == expected.reason
        if isinstance(decided, Answer) and isinstance(expected, Answer):
            assert (decided.status, decided.headers) == (expected.status, expected.headers)
        expected_refusal = alone.decide_websocket(path, given_fields)
        assert (refused and refused.reason) == (expected_refusal and expected_refusal.reason)


def test_the_engine_reads_what_any_of_its_rules_reads() -> None:
    engine = RuleEngine(RULES, None)
    assert engine.reads == engine.reads_websocket
    assert engine.reads == Engine(RULES.rules[0].policy).reads_websocket
    assert b"host" in engine.reads


def test_a_request_without_a_host_has_none() -> None:
    engine = RuleEngine(RuleSet([rule([host]) for host in ("xx", "localhost", "none")]), None)
    assert engine.decide("GET", "/", {b"origin": UI.encode()}) is NO_RULE
    assert engine.decide_websocket("/", {b"origin": UI.encode()}) is NO_RULE


def test_one_policy_has_an_engine_of_its_own_kind() -> None:
    assert isinstance(compile_engine(POLICY, None), Engine)
    assert isinstance(compile_engine(RULES, None), RuleEngine)


@pytest.mark.parametrize(("count", "each"), [(1, 1024), (4, 256), (2000, 16)])
def test_ready_origins_are_shared_among_the_policies(
    monkeypatch: pytest.MonkeyPatch, count: int, each: int
) -> None:
    kept: list[int] = []

    class Spy(Engine):
        def __init__(self, policy: Policy, *, cached_origins: int) -> None:
            kept.append(cached_origins)
            super().__init__(policy, cached_origins=cached_origins)

    monkeypatch.setattr("meshcors._decision.rule_engine.Engine", Spy)
    policies = [Policy(allow_origins=[UI], max_age=number) for number in range(count)]
    rules = [Rule(policy, hosts=[f"h{n}.example"]) for n, policy in enumerate(policies)]
    # Rules with the same policy share an engine.
    RuleEngine(RuleSet([*rules, Rule(policies[0])]), None)
    assert kept == [each] * count


# --- middleware and ready-made apps

Serve = Callable[..., Answered]


def plain_asgi(app: App, rules: RuleSet, uncovered: Any = None, **request: Any) -> Answered:
    wrapped = meshcors.MeshCORS(app.asgi, rules=rules, uncovered=uncovered)
    return call_asgi(wrapped, **request)


def plain_wsgi(app: App, rules: RuleSet, uncovered: Any = None, **request: Any) -> Answered:
    wrapped = meshcors.wsgi.MeshCORS(app.wsgi, rules=rules, uncovered=uncovered)
    return call_wsgi(wrapped, **request)


def starlette_app(app: App, rules: RuleSet, uncovered: Any = None, **request: Any) -> Answered:
    outer = starlette.applications.Starlette()
    outer.mount("/", app.asgi)
    meshcors.starlette.init_app(outer, rules=rules, uncovered=uncovered)
    return call_asgi(outer, **request)


def starlette_middleware(
    app: App, rules: RuleSet, uncovered: Any = None, **request: Any
) -> Answered:
    outer = starlette.applications.Starlette()
    outer.mount("/", app.asgi)
    outer.add_middleware(meshcors.MeshCORS, rules=rules, uncovered=uncovered)
    return call_asgi(outer, **request)


def flask_app(app: App, rules: RuleSet, uncovered: Any = None, **request: Any) -> Answered:
    outer = flask.Flask("rules")
    outer.wsgi_app = app.wsgi  # type: ignore[method-assign] # what lies below
    meshcors.flask.init_app(outer, rules=list(rules.rules), uncovered=uncovered)
    return call_wsgi(outer, **request)


SURFACES = pytest.mark.parametrize(
    "serve", [plain_asgi, plain_wsgi, starlette_app, starlette_middleware, flask_app]
)


@SURFACES
@pytest.mark.parametrize(
    ("path", "origin", "status"),
    [("/v1/x", UI, 204), ("/v1/x", ADMIN, 403), ("/admin", ADMIN, 204), ("/admin", UI, 403)],
)
def test_preflights_are_answered_by_their_rule(
    serve: Serve, path: str, origin: str, status: int
) -> None:
    app = App()
    fields = [("host", "api.example:8080"), *preflight(origin)]
    answered = serve(app, RULES, method="OPTIONS", path=path, headers=fields)
    assert (answered.status, app.calls) == (status, 0)
    expected = origin if status == 204 else None
    assert answered.get("access-control-allow-origin") == expected


@SURFACES
def test_the_key_is_checked_where_the_rule_has_one(serve: Serve) -> None:
    def ask(path: str, *headers: tuple[str, str]) -> int:
        fields = [("host", "api.example"), ("origin", UI), *headers]
        return serve(App(), RULES, path=path, headers=fields).status

    assert ask("/v1/x") == 401
    assert ask("/v1/x", ("x-key", "abc")) == 403
    assert ask("/v1/x", ("x-key", "xyz")) == 200
    assert ask("/admin") == 200


# The same URLs, but no rule has a key.
OPEN = RuleSet([Rule(POLICY, hosts=["api.example"], path_prefix="/v1")])
# Neither has a rule that covers it.
OUTSIDE = [("other.example", "/v1/x"), ("api.example", "/other"), ("api.example.org", "/v1")]


@SURFACES
@pytest.mark.parametrize("method", ["OPTIONS", "GET"])
@pytest.mark.parametrize(("host", "path"), OUTSIDE)
@pytest.mark.parametrize(("rules", "uncovered"), [(OPEN, None), (OPEN, "app"), (RULES, "app")])
def test_outside_every_rule_the_app_answers_untouched(
    serve: Serve, method: str, host: str, path: str, rules: RuleSet, uncovered: str | None
) -> None:
    sent = [("access-control-allow-origin", "*"), ("content-type", "text/plain"), ("vary", "a")]
    app = App(headers=sent)
    request = {"method": method, "path": path, "headers": [("host", host), *preflight(UI)]}
    answered = serve(app, rules, uncovered=uncovered, **request)
    assert (answered.status, answered.headers, answered.body) == (200, sent, b"first second")
    assert app.calls == 1


@SURFACES
@pytest.mark.parametrize("method", ["OPTIONS", "GET"])
@pytest.mark.parametrize(("host", "path"), OUTSIDE)
@pytest.mark.parametrize(
    ("rules", "uncovered"), [(RULES, None), (RULES, "refuse"), (OPEN, "refuse")]
)
def test_outside_every_rule_a_client_does_not_walk_around_the_key(
    serve: Serve, method: str, host: str, path: str, rules: RuleSet, uncovered: str | None
) -> None:
    app = App()
    request = {"method": method, "path": path, "headers": [("host", host), *preflight(UI)]}
    answered = serve(app, rules, uncovered=uncovered, **request)
    assert (answered.status, answered.cors, app.calls) == (404, set(), 0)
    assert json.loads(answered.body)["reason"] == "no_rule"


@pytest.mark.parametrize("serve", [plain_asgi, plain_wsgi])
def test_uncovered_by_keyword_beats_that_of_the_rules(serve: Serve) -> None:
    refusing = RuleSet(OPEN.rules, uncovered="refuse")
    url = {"path": "/", "headers": [("host", "other.example")]}
    assert serve(App(), refusing, **url).status == 404
    assert serve(App(), refusing, uncovered="app", **url).status == 200
    # Iterables have no `uncovered`.
    assert serve(App(), iter(RULES.rules), uncovered="app", **url).status == 200


@pytest.mark.parametrize(
    ("wrap", "app"), [(meshcors.MeshCORS, App().asgi), (meshcors.wsgi.MeshCORS, App().wsgi)]
)
def test_uncovered_that_says_nothing_is_refused(wrap: Any, app: Any) -> None:
    for options, code in (
        ({"policy": POLICY, "uncovered": "app"}, "uncovered_without_rules"),
        ({"allow_origins": [UI], "uncovered": "refuse"}, "uncovered_without_rules"),
        ({"rules": RULES, "uncovered": "all"}, "uncovered_unknown"),
        ({"rules": RULES, "uncovered": True}, "uncovered_unknown"),
    ):
        with pytest.raises(PolicyError) as error:
            wrap(app, **options)
        assert codes(error) == [(code, "uncovered")]


@pytest.mark.parametrize("serve", [plain_asgi, plain_wsgi])
def test_outside_every_rule_an_exception_is_left_alone(serve: Serve) -> None:
    app = App(error=ValueError("boom"))
    answered = serve(app, OPEN, path="/", headers=[("host", "other.example"), ("origin", UI)])
    assert answered.raised is app.error
    assert answered.status == 0


@SURFACES
@pytest.mark.parametrize("path", ["//v1/x", "/admin/../v1", "/v1/./x"])
def test_a_path_that_the_app_may_take_for_another_is_refused(serve: Serve, path: str) -> None:
    app = App()
    for method, headers in (("OPTIONS", preflight(UI)), ("GET", [("origin", UI)])):
        fields = [("host", "api.example"), *headers]
        answered = serve(app, RULES, method=method, path=path, headers=fields)
        assert (answered.status, answered.cors, app.calls) == (404, set(), 0)
        assert json.loads(answered.body)["reason"] == "no_rule"


@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        pytest.param("api.example", "/admin", "websocket.http.response.start", id="foreign"),
        pytest.param("other.example", "/admin", "websocket.http.response.start", id="outside"),
        pytest.param("api.example", "//admin", "websocket.http.response.start", id="ambiguous"),
    ],
)
def test_websockets_follow_the_rules(host: str, path: str, expected: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.close", "reason": "app"})

    scope = http_scope("GET", path, [("host", host), ("origin", UI)], type="websocket")
    scope["extensions"] = {"websocket.http.response": {}}
    connect = [{"type": "websocket.connect"}]
    answered = call_asgi(meshcors.MeshCORS(app, rules=RULES), scope=scope, received=connect)
    message = answered.messages[0]
    assert message.get("reason", message["type"]) == expected


def ready_asgi(rules: RuleSet, **request: Any) -> Answered:
    return call_asgi(meshcors.create_app(rules=rules), **request)


def ready_wsgi(rules: RuleSet, **request: Any) -> Answered:
    return call_wsgi(meshcors.create_wsgi_app(rules=rules.rules), **request)


@pytest.mark.parametrize("serve", [ready_asgi, ready_wsgi])
@pytest.mark.parametrize(
    ("host", "path", "headers", "method", "expected"),
    [
        pytest.param("api.example", "/v1", preflight(UI), "OPTIONS", (204, None), id="preflight"),
        pytest.param(
            "api.example",
            "/v1",
            preflight(ADMIN),
            "OPTIONS",
            (403, "origin_not_allowed"),
            id="other-rule",
        ),
        pytest.param("api.example", "/v1", [], "GET", (401, "key_missing"), id="no-key"),
        pytest.param(
            "api.example", "/v1", [("x-key", "abc")], "GET", (403, "key_unknown"), id="wrong-key"
        ),
        pytest.param(
            "api.example", "/v1", [("x-key", "xyz")], "GET", (404, "no_route"), id="right-key"
        ),
        pytest.param("api.example", "/admin", [], "GET", (404, "no_route"), id="no-key-in-rule"),
        pytest.param("api.example", "/", [("origin", UI)], "GET", (404, "no_rule"), id="path"),
        pytest.param("x.example", "/v1", preflight(UI), "OPTIONS", (404, "no_rule"), id="host"),
        pytest.param("api.example", "//v1", preflight(UI), "OPTIONS", (404, "no_rule"), id="doubt"),
    ],
)
def test_the_ready_made_apps_answer_by_rules(
    serve: Serve,
    host: str,
    path: str,
    headers: list[tuple[str, str]],
    method: str,
    expected: tuple[int, str | None],
) -> None:
    answered = serve(RULES, method=method, path=path, headers=[("host", host), *headers])
    reason = json.loads(answered.body)["reason"] if answered.body else None
    assert (answered.status, reason) == expected
    if reason == "no_rule":
        assert answered.cors == set()
        assert answered.get("content-type") == "application/problem+json"
        assert answered.get("content-length") == str(len(answered.body))


@pytest.mark.parametrize(
    ("wrap", "app"), [(meshcors.MeshCORS, App().asgi), (meshcors.wsgi.MeshCORS, App().wsgi)]
)
@pytest.mark.parametrize(
    ("options", "field"),
    [({"policy": POLICY}, "policy"), ({"allow_origins": [UI], "max_age": 3}, "allow_origins")],
)
def test_rules_stand_alone(wrap: Any, app: Any, options: dict[str, Any], field: str) -> None:
    with pytest.raises(PolicyError) as error:
        wrap(app, rules=RULES, **options)
    assert error.value.problems[0].code == "rules_and_options"
    assert field in error.value.problems[0].field


@given(accepted_rules())
def test_no_rule_set_is_refused_once_its_keys_are_dropped(rules: tuple[Rule, ...]) -> None:
    assume(rules)
    assert RuleSet(rules).without_key_values() == RuleSet(rules)


def test_what_uncovered_was_given_is_not_repeated() -> None:
    with pytest.raises(PolicyError) as caught:
        RuleSet([rule()], uncovered="all")  # type: ignore[arg-type]  # what an untyped caller may pass
    assert [(each.code, each.value) for each in caught.value.problems] == [
        ("uncovered_unknown", "")
    ]
