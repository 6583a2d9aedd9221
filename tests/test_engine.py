"""The one decision, as a table of facts: no adapter, no framework."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meshcors import HeaderKey, Policy
from meshcors._decision.answers import INTERNAL_SERVER_ERROR, NO_ROUTE, Answer, Proceed
from meshcors._decision.engine import CACHED_ORIGINS, Engine
from meshcors._decision.preflight import (
    MAX_LIST_BYTES,
    MAX_MIRRORED_METHOD_BYTES,
    MAX_MIRRORED_NAMES,
)
from meshcors._policy.origins import MAX_ORIGIN_BYTES

UI = "https://ui.example"
SAFE = "accept, accept-language, content-language, content-type, range"


def facts(**fields: str | bytes) -> dict[bytes, bytes]:
    """Fields by name: `acrm`, `acrh` and `acrpn` for those of a preflight."""
    long = {
        "acrm": "access-control-request-method",
        "acrh": "access-control-request-headers",
        "acrpn": "access-control-request-private-network",
    }
    return {
        long.get(name, name).replace("_", "-").encode(): (
            value if isinstance(value, bytes) else value.encode("latin-1")
        )
        for name, value in fields.items()
    }


def policy(**options: Any) -> Policy:
    return Policy(**{"allow_origins": [UI], **options})


def preflight(made: Policy, *, origin: str = UI, acrm: str = "POST", **more: Any) -> Answer:
    answer = Engine(made).decide("OPTIONS", "/", facts(origin=origin, acrm=acrm, **more))
    assert isinstance(answer, Answer)
    assert len({name for name, _ in answer.headers}) == len(answer.headers)
    assert answer.raw_headers == tuple(
        (n.encode("latin-1"), v.encode("latin-1")) for n, v in answer.headers
    )
    return answer


def real(made: Policy, method: str = "GET", path: str = "/", **fields: Any) -> Answer | Proceed:
    return Engine(made).decide(method, path, facts(**fields))


def fields_of(decision: Answer | Proceed) -> dict[str, str]:
    merged = decision.headers if isinstance(decision, Answer) else decision.merge([])
    return dict(merged)


# --- what is a preflight ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "fields", "is_one"),
    [
        pytest.param("OPTIONS", {"origin": UI, "acrm": "PUT"}, True, id="all three"),
        pytest.param("OPTIONS", {"origin": f" {UI}\t", "acrm": " PUT "}, True, id="blanks"),
        pytest.param("OPTIONS", {"acrm": "PUT"}, False, id="no origin"),
        pytest.param("OPTIONS", {"origin": "", "acrm": "PUT"}, False, id="empty origin"),
        pytest.param("OPTIONS", {"origin": " \t", "acrm": "PUT"}, False, id="blank origin"),
        pytest.param("OPTIONS", {"origin": UI}, False, id="no method"),
        pytest.param("OPTIONS", {"origin": UI, "acrm": " "}, False, id="blank method"),
        pytest.param("options", {"origin": UI, "acrm": "PUT"}, False, id="lower case"),
        pytest.param("GET", {"origin": UI, "acrm": "PUT"}, False, id="another method"),
    ],
)
def test_preflight_is(method: str, fields: dict[str, str], is_one: bool) -> None:
    decision = Engine(policy()).decide(method, "/", facts(**fields))
    assert isinstance(decision, Answer) is is_one


# --- what a preflight is answered -------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        pytest.param(
            {},
            {
                "access-control-allow-origin": UI,
                "access-control-allow-headers": SAFE,
                "vary": "Origin",
            },
            id="bare",
        ),
        pytest.param(
            {
                "allow_methods": ["PUT", "DELETE"],
                "allow_headers": ["x-a", "content-type"],
                "expose_headers": ["x-b"],
                "allow_credentials": True,
                "max_age": 0,
                "key": HeaderKey("x-key", ["s"]),
            },
            {
                "access-control-allow-origin": UI,
                "access-control-allow-credentials": "true",
                "access-control-allow-methods": "PUT, DELETE",
                "access-control-allow-headers": (
                    "x-a, content-type, x-key, accept, accept-language, content-language, range"
                ),
                "access-control-max-age": "0",
                "vary": "Origin",
            },
            id="all",
        ),
        pytest.param(
            {"allow_origins": ["*"]},
            {"access-control-allow-origin": "*", "access-control-allow-headers": SAFE},
            id="any origin",
        ),
        pytest.param(
            {
                "allow_methods": ["*", "PUT"],
                "allow_headers": ["*", "authorization"],
                "key": HeaderKey("x-key"),
            },
            {
                "access-control-allow-origin": UI,
                "access-control-allow-methods": "*",
                "access-control-allow-headers": "*, authorization, x-key",
                "vary": "Origin",
            },
            id="wildcards",
        ),
        pytest.param(
            {"allow_private_network": True},
            {
                "access-control-allow-origin": UI,
                "access-control-allow-headers": SAFE,
                "vary": "Origin, Access-Control-Request-Private-Network",
            },
            id="private network, not asked",
        ),
        pytest.param(
            {"allow_origins": ["*"], "allow_private_network": True},
            {
                "access-control-allow-origin": "*",
                "access-control-allow-headers": SAFE,
                "vary": "Access-Control-Request-Private-Network",
            },
            id="private network, any origin",
        ),
    ],
)
def test_preflight_answer(options: dict[str, Any], fields: dict[str, str]) -> None:
    answer = preflight(policy(**options))
    assert (answer.status, answer.body, answer.reason) == (204, b"", "allowed")
    assert dict(answer.headers) == fields


@pytest.mark.parametrize(
    ("asked", "answered"),
    [("true", "true"), (" true ", "true"), ("TRUE", None), ("1", None), ("true,true", None)],
)
@pytest.mark.parametrize("credentials", [False, True])
@pytest.mark.filterwarnings("ignore:allow_headers:meshcors.PolicyWarning")
def test_private_network(asked: str, answered: str | None, credentials: bool) -> None:
    mirroring = policy(
        allow_private_network=True, allow_headers=["*"], allow_credentials=credentials
    )
    for made in (policy(allow_private_network=True), mirroring):
        answer = fields_of(preflight(made, acrpn=asked))
        assert answer.get("access-control-allow-private-network") == answered
    assert "access-control-allow-private-network" not in fields_of(preflight(policy(), acrpn=asked))


MIRRORS = {"allow_methods": ["*"], "allow_headers": ["*"], "allow_credentials": True}


@pytest.mark.parametrize(
    ("fields", "methods", "names", "reason"),
    [
        pytest.param({}, "POST", None, "allowed", id="no names"),
        pytest.param({"acrh": ""}, "POST", None, "allowed", id="empty names"),
        pytest.param({"acrh": "x-b,x-a"}, "POST", "x-b, x-a", "allowed", id="names"),
        pytest.param({"acrh": "X-A, x-a,,x-A"}, "POST", "x-a", "allowed", id="each once"),
        pytest.param({"acrh": "x a"}, "POST", None, "header_not_allowed", id="no token"),
        pytest.param({"acrh": b"x-\xff"}, "POST", None, "header_not_allowed", id="not ASCII"),
        pytest.param(
            {"acrh": ",".join(f"x-{n}" for n in range(MAX_MIRRORED_NAMES))},
            "POST",
            ", ".join(f"x-{n}" for n in range(MAX_MIRRORED_NAMES)),
            "allowed",
            id="64 names",
        ),
        pytest.param(
            {"acrh": ",".join(f"x-{n}" for n in range(MAX_MIRRORED_NAMES + 1))},
            "POST",
            None,
            "header_not_allowed",
            id="65 names",
        ),
        pytest.param(
            {"acrh": "x" * MAX_LIST_BYTES},
            "POST",
            "x" * MAX_LIST_BYTES,
            "allowed",
            id="4096 bytes",
        ),
        pytest.param(
            {"acrh": "x" * (MAX_LIST_BYTES + 1)},
            "POST",
            None,
            "header_not_allowed",
            id="4097 bytes",
        ),
        pytest.param({"acrm": "PURGE"}, "PURGE", None, "allowed", id="any method"),
        pytest.param({"acrm": "pUrge"}, "pUrge", None, "allowed", id="a method with its case"),
        pytest.param({"acrm": "A B"}, None, None, "method_not_allowed", id="method no token"),
        pytest.param(
            {"acrm": "M" * MAX_MIRRORED_METHOD_BYTES},
            "M" * MAX_MIRRORED_METHOD_BYTES,
            None,
            "allowed",
            id="method of 64",
        ),
        pytest.param(
            {"acrm": "M" * (MAX_MIRRORED_METHOD_BYTES + 1)},
            None,
            None,
            "method_not_allowed",
            id="method of 65",
        ),
    ],
)
def test_mirrored(
    fields: dict[str, Any], methods: str | None, names: str | None, reason: str
) -> None:
    answer = preflight(policy(**MIRRORS), **fields)
    sent = fields_of(answer)
    assert (answer.status, answer.reason) == (204, reason)
    assert sent.get("access-control-allow-methods") == methods
    assert sent.get("access-control-allow-headers") == names
    assert sent["vary"] == ("Origin, Access-Control-Request-Method, Access-Control-Request-Headers")


@pytest.mark.parametrize(
    ("options", "vary"),
    [
        ({"allow_methods": ["*"]}, "Origin, Access-Control-Request-Method"),
        ({"allow_headers": ["*"]}, "Origin, Access-Control-Request-Headers"),
    ],
    ids=["methods", "names"],
)
def test_only_what_is_mirrored_is_in_vary(options: dict[str, Any], vary: str) -> None:
    assert fields_of(preflight(policy(allow_credentials=True, **options)))["vary"] == vary


LISTED = {"allow_methods": ["PUT", "purge"], "allow_headers": ["x-a"], "key": HeaderKey("x-key")}
WILD = {"allow_methods": ["*"], "allow_headers": ["*"]}


@pytest.mark.parametrize(
    ("options", "fields", "reason"),
    [
        (LISTED, {"acrm": "PUT"}, "allowed"),
        (LISTED, {"acrm": "GET"}, "allowed"),
        (LISTED, {"acrm": "HEAD"}, "allowed"),
        (LISTED, {"acrm": "put"}, "method_not_allowed"),
        (LISTED, {"acrm": "PURGE"}, "method_not_allowed"),
        (LISTED, {"acrm": "purge"}, "allowed"),
        (LISTED, {"acrm": "DELETE"}, "method_not_allowed"),
        (LISTED, {"acrm": "PUT,GET"}, "method_not_allowed"),
        (LISTED, {"acrm": "DELETE", "acrh": "x-z"}, "method_not_allowed"),
        (LISTED, {"acrh": "x-a"}, "allowed"),
        (LISTED, {"acrh": "x-key"}, "allowed"),
        (LISTED, {"acrh": "content-type,x-a,x-key"}, "allowed"),
        (LISTED, {"acrh": " X-Key ,\tX-A,, range"}, "allowed"),
        (LISTED, {"acrh": "x-z"}, "header_not_allowed"),
        (LISTED, {"acrh": "x-a,x-z"}, "header_not_allowed"),
        (LISTED, {"acrh": "x-a x-key"}, "header_not_allowed"),
        (LISTED, {"acrh": b"x-a,\xff"}, "header_not_allowed"),
        (LISTED, {"acrh": "x-a," * 1024}, "allowed"),
        (LISTED, {"acrh": "x-a," * 1024 + ","}, "header_not_allowed"),
        (WILD, {"acrm": "DELETE", "acrh": "x-z"}, "allowed"),
        (WILD, {"acrh": "authorization"}, "header_not_allowed"),
        (WILD, {"acrh": "x-z,Authorization"}, "header_not_allowed"),
        ({"allow_headers": ["*", "Authorization"]}, {"acrh": "x-z,authorization"}, "allowed"),
        ({}, {"acrh": ""}, "allowed"),
        ({}, {"acrh": "range"}, "allowed"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
@pytest.mark.filterwarnings("ignore:allow_headers:meshcors.PolicyWarning")
def test_preflight_reason(options: dict[str, Any], fields: dict[str, Any], reason: str) -> None:
    answer = preflight(policy(**options), **fields)
    assert (answer.status, answer.reason) == (204, reason)
    # The answer to an allowed origin lists everything, whatever it requested.
    assert answer.headers == preflight(policy(**options)).headers


@pytest.mark.parametrize("origin", ["https://evil.example", "null", ",", "x" * 400, "\xff", "*"])
@pytest.mark.parametrize("options", [{}, MIRRORS], ids=["listed", "mirrored"])
def test_refused_preflight(origin: str, options: dict[str, Any]) -> None:
    answer = preflight(policy(**options), origin=origin)
    assert (answer.status, answer.reason) == (403, "origin_not_allowed")
    assert dict(answer.headers) == {
        "content-type": "application/problem+json",
        "content-length": str(len(answer.body)),
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "vary": "Origin",
    }


# --- what a real request is answered ----------------------------------------------------------

FULL = {"allow_credentials": True, "expose_headers": ["x-b", "etag"], "max_age": 5}


@pytest.mark.parametrize(
    ("options", "origin", "fields", "reason"),
    [
        pytest.param({}, None, {"vary": "Origin"}, "no_origin", id="no origin"),
        pytest.param({}, " ", {"vary": "Origin"}, "no_origin", id="blank origin"),
        pytest.param(
            {}, "https://evil.example", {"vary": "Origin"}, "origin_not_allowed", id="refused"
        ),
        pytest.param(
            {},
            UI,
            {"access-control-allow-origin": UI, "vary": "Origin"},
            "allowed",
            id="allowed",
        ),
        pytest.param(
            FULL,
            UI,
            {
                "access-control-allow-origin": UI,
                "access-control-allow-credentials": "true",
                "access-control-expose-headers": "x-b, etag",
                "vary": "Origin",
            },
            "allowed",
            id="allowed, all",
        ),
        pytest.param(
            FULL, "null", {"vary": "Origin"}, "origin_not_allowed", id="refused, nothing of it"
        ),
        pytest.param(
            {"allow_origins": ["*"], "expose_headers": ["*"]},
            None,
            {"access-control-allow-origin": "*", "access-control-expose-headers": "*"},
            "no_origin",
            id="any origin, none sent",
        ),
        pytest.param(
            {"allow_origins": ["*"], "key": HeaderKey("x-key")},
            "null",
            {"access-control-allow-origin": "*", "vary": "x-key"},
            "allowed",
            id="any origin, null sent",
        ),
    ],
)
def test_real_request(
    options: dict[str, Any], origin: str | None, fields: dict[str, str], reason: str
) -> None:
    sent = {} if origin is None else {"origin": origin}
    decision = real(policy(**options), x_key="there", **sent)
    assert isinstance(decision, Proceed)
    assert fields_of(decision) == fields
    assert decision.reason == reason
    assert repr(decision) == f"Proceed({reason!r})"
    raw = {n.decode(): v.decode() for n, v in decision.merge_raw([])}
    assert raw == fields


# --- the key ----------------------------------------------------------------------------------

KEYED = policy(
    key=HeaderKey("X-Key", ["right", "Second key"], exempt_paths=["/healthz", "/open/*", "/é"])
)


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("/", "right", None),
        ("/", "Second key", None),
        ("/", " \tright ", None),
        ("/", None, "key_missing"),
        ("/", "", "key_missing"),
        ("/", " \t", "key_missing"),
        ("/", "wrong", "key_unknown"),
        ("/", "Right", "key_unknown"),
        ("/", "righ", "key_unknown"),
        ("/", "right,", "key_unknown"),
        ("/", "right,right", "key_unknown"),
        ("/", "right\x00", "key_unknown"),
        ("/", b"\xff\xfe", "key_unknown"),
        ("/", "x" * 10_000, "key_unknown"),
        ("/healthz", None, None),
        ("/healthz", "wrong", None),
        ("/healthz/", None, "key_missing"),
        ("/healthz/x", None, "key_missing"),
        ("/Healthz", None, "key_missing"),
        # Many routers treat it like /open.
        ("/open/", None, "key_missing"),
        ("/open/a/", None, None),
        ("/open/a/b", None, None),
        ("/open", None, "key_missing"),
        ("/openx", None, "key_missing"),
        ("/open/../x", None, "key_missing"),
        ("/open/./x", None, "key_missing"),
        ("/open/..", None, "key_missing"),
        ("/open//x", None, "key_missing"),
        ("/open/...", None, None),
        ("/é", None, None),
        ("", None, "key_missing"),
    ],
)
def test_key_check(path: str, value: Any, reason: str | None) -> None:
    sent = {} if value is None else {"x_key": value}
    decision = Engine(KEYED).decide("GET", path, facts(origin=UI, **sent))
    if reason is None:
        assert isinstance(decision, Proceed)
        assert fields_of(decision)["vary"] == "Origin, x-key"
    else:
        assert isinstance(decision, Answer)
        assert decision.reason == reason
        assert decision.status == {"key_missing": 401, "key_unknown": 403}[reason]


def test_every_path_may_be_exempt() -> None:
    made = policy(key=HeaderKey("x-key", ["s"], exempt_paths=["/*"]))
    assert isinstance(real(made, path="/any/thing"), Proceed)
    assert isinstance(real(made, path="/any/../thing"), Answer)


def test_key_refusal_is_readable() -> None:
    answer = Engine(policy(key=HeaderKey("x-key", ["s"]), **FULL)).decide(
        "GET", "/", facts(origin=UI)
    )
    assert isinstance(answer, Answer)
    assert dict(answer.headers) == {
        "content-type": "application/problem+json",
        "content-length": str(len(answer.body)),
        "cache-control": "no-store",
        "www-authenticate": "APIKey",
        "access-control-allow-origin": UI,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "x-b, etag",
        "vary": "Origin, x-key",
    }


@pytest.mark.parametrize("origin", [{}, {"origin": "https://evil.example"}], ids=["no", "refused"])
def test_key_refusal_tells_a_refused_origin_nothing(origin: dict[str, str]) -> None:
    answer = Engine(KEYED).decide("GET", "/", facts(x_key="wrong", **origin))
    assert isinstance(answer, Answer)
    assert not [name for name, _ in answer.headers if name.startswith("access-control-")]
    assert "www-authenticate" not in dict(answer.headers)
    assert dict(answer.headers)["vary"] == "Origin, x-key"


def test_presence_is_enough_without_values() -> None:
    made = policy(key=HeaderKey("x-key"))
    assert isinstance(real(made, x_key="whatever"), Proceed)
    missing = real(made)
    assert isinstance(missing, Answer)
    assert missing.reason == "key_missing"


def test_preflight_needs_no_key() -> None:
    assert preflight(KEYED).status == 204


def test_engine_names_what_it_reads() -> None:
    engine = Engine(KEYED)
    assert engine.reads == set(facts(origin="", acrm="", acrh="", acrpn="", x_key=""))
    assert engine.reads_websocket == engine.reads | {b"host"}
    assert b"x-key" not in Engine(policy()).reads


# --- WebSocket --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({}, None, id="no browser"),
        pytest.param({"origin": UI}, None, id="allowed"),
        pytest.param({"origin": "https://api.example", "host": "api.example"}, None, id="own"),
        pytest.param({"origin": "https://api.example", "host": " API.example "}, None, id="case"),
        pytest.param({"origin": "https://api.example", "host": "api.example:443"}, None, id="443"),
        pytest.param({"origin": "http://api.example", "host": "api.example:80"}, None, id="80"),
        pytest.param({"origin": "http://a.example:81", "host": "a.example:81"}, None, id="81"),
        pytest.param(
            {"origin": "https://api.example", "host": "api.example:80"}, "origin_not_allowed"
        ),
        pytest.param(
            {"origin": "https://api.example:81", "host": "api.example"}, "origin_not_allowed"
        ),
        pytest.param(
            {"origin": "https://evil.example", "host": "api.example"}, "origin_not_allowed"
        ),
        pytest.param({"origin": "https://evil.example"}, "origin_not_allowed", id="no host"),
        pytest.param({"origin": "https://", "host": ""}, "origin_not_allowed", id="empty host"),
        pytest.param({"origin": "null", "host": "null"}, "origin_not_allowed", id="null"),
        pytest.param(
            {"origin": "ftp://api.example", "host": "api.example"}, "origin_not_allowed", id="ftp"
        ),
        pytest.param(
            {"origin": "https://a.example", "host": "a.example,a.example"},
            "origin_not_allowed",
            id="two hosts",
        ),
    ],
)
def test_websocket_origin(fields: dict[str, str], reason: str | None) -> None:
    refusal = Engine(policy()).decide_websocket("/", facts(**fields))
    assert (None if refusal is None else refusal.reason) == reason


@pytest.mark.parametrize(
    ("path", "fields", "reason"),
    [
        ("/", {"x_key": "right"}, None),
        ("/", {}, "key_missing"),
        ("/", {"x_key": "wrong", "origin": UI}, "key_unknown"),
        ("/healthz", {}, None),
        ("/", {"x_key": "right", "origin": "https://evil.example"}, "origin_not_allowed"),
        ("/healthz", {"origin": "https://evil.example"}, "origin_not_allowed"),
    ],
)
def test_websocket_key(path: str, fields: dict[str, str], reason: str | None) -> None:
    refusal = Engine(KEYED).decide_websocket(path, facts(**fields))
    assert (None if refusal is None else refusal.reason) == reason


def test_websocket_of_any_origin() -> None:
    assert Engine(policy(allow_origins=["*"])).decide_websocket("/", facts(origin="null")) is None


# --- answers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (preflight(policy(), origin="null"), 403, "origin_not_allowed"),
        (Engine(KEYED).decide("GET", "/", {}), 401, "key_missing"),
        (Engine(KEYED).decide("GET", "/", facts(x_key="wr0ng")), 403, "key_unknown"),
        (NO_ROUTE, 404, "no_route"),
    ],
    ids=["origin", "missing", "unknown", "route"],
)
def test_problem_details(answer: Answer, status: int, reason: str) -> None:
    problem = json.loads(answer.body)
    assert list(problem) == ["type", "title", "status", "detail", "reason"]
    assert problem["type"] == f"urn:meshcors:problem:{reason.replace('_', '-')}"
    assert (problem["status"], problem["reason"], answer.status) == (status, reason, status)
    assert dict(answer.headers)["content-length"] == str(len(answer.body))
    for told in ("wr0ng", UI, "x-key", "right"):
        assert told not in answer.body.decode()
    assert repr(answer) == f"Answer({status}, {reason!r})"


def test_error_answer_has_its_length() -> None:
    assert dict(INTERNAL_SERVER_ERROR.headers)["content-length"] == str(
        len(INTERNAL_SERVER_ERROR.body)
    )


def test_ready_answers_are_ready() -> None:
    engine = Engine(policy(allow_origins=["https://*.example.com"]))
    first = engine.decide("GET", "/", facts(origin="https://a.example.com"))
    assert engine.decide("GET", "/", facts(origin="https://a.example.com")) is first


def test_what_is_kept_ready_is_bounded() -> None:
    engine = Engine(policy(allow_origins=["https://*.example.com"]))
    for number in range(CACHED_ORIGINS + 10):
        engine.decide("GET", "/", facts(origin=f"https://a{number}.example.com"))
        engine.decide("GET", "/", facts(origin=f"https://{'x' * 400}{number}.example.com"))
        assert len(engine._answers) <= CACHED_ORIGINS
    assert f"https://a{number}.example.com".encode() in engine._answers
    assert max(map(len, engine._answers)) <= MAX_ORIGIN_BYTES


def test_blanks_around_a_long_origin_are_no_part_of_it() -> None:
    decision = real(policy(), origin=f"{' ' * 400}{UI}")
    assert decision.reason == "allowed"


def test_the_answer_to_an_exception_is_starlettes_own_word() -> None:
    answer = INTERNAL_SERVER_ERROR
    assert (answer.status, answer.reason, answer.body) == (
        500,
        "app_failed",
        b"Internal Server Error",
    )
    assert answer.headers == (
        ("content-type", "text/plain; charset=utf-8"),
        ("content-length", "21"),
    )


# --- what is cached ---------------------------------------------------------------------------

PATTERNS = policy(allow_origins=["https://*.example"], key=HeaderKey("model-api-key", ["xyz"]))


@pytest.mark.parametrize(
    ("blanks", "requested", "names", "kept"),
    [
        pytest.param(0, 3, 0, True, id="short"),
        pytest.param(2, 100, 1024 - 100 - 20, True, id="1024 bytes"),
        pytest.param(3, 100, 1024 - 100 - 20, False, id="1025 bytes, by the origin's blanks"),
        pytest.param(2, 101, 1024 - 100 - 20, False, id="1025 bytes, by the method"),
        pytest.param(2, 100, 1025 - 100 - 20, False, id="1025 bytes, by the names"),
        pytest.param(0, 2000, 0, False, id="a long method"),
        pytest.param(0, 3, 2000, False, id="long names"),
    ],
)
def test_preflight_is_kept_ready_if_it_is_short(
    blanks: int, requested: int, names: int, kept: bool
) -> None:
    engine = Engine(PATTERNS)
    sent = facts(origin=UI + " " * blanks, acrm="x" * requested, acrh="n" * names)
    assert len(UI) == 18
    first, second = (engine.decide("OPTIONS", "/", dict(sent)) for _ in range(2))
    assert first.reason == second.reason == "method_not_allowed"
    assert (first is second) is kept


@pytest.mark.parametrize(("length", "kept"), [(18, True), (320, True), (321, False), (4000, False)])
def test_what_an_origin_gets_is_kept_ready_if_it_is_short(length: int, kept: bool) -> None:
    engine = Engine(PATTERNS)
    sent = facts(origin=UI.ljust(length), model_api_key="xyz")
    first, second = (engine.decide("GET", "/", dict(sent)) for _ in range(2))
    assert first.reason == second.reason == "allowed"
    assert (first is second) is kept
    del sent[b"model-api-key"]
    refusals = [engine.decide_websocket("/", dict(sent)) for _ in range(2)]
    assert [refusal and refusal.reason for refusal in refusals] == ["key_missing"] * 2
    assert (refusals[0] is refusals[1]) is kept


def test_the_path_is_read_where_a_key_has_exempt_paths() -> None:
    key = HeaderKey("model-api-key")
    assert not Engine(policy()).reads_path
    assert not Engine(policy(key=key)).reads_path
    assert Engine(policy(key=HeaderKey("model-api-key", exempt_paths=["/a"]))).reads_path


def test_no_letters_are_trimmed() -> None:
    assert preflight(policy(allow_methods=["PUT"]), acrm="XPUT").reason == "method_not_allowed"


def test_a_websocket_without_a_host_has_no_own_origin() -> None:
    for origin in ("https://xx", "https://", "https://none"):
        refusal = Engine(policy()).decide_websocket("/", facts(origin=origin))
        assert refusal is not None
        assert refusal.reason == "origin_not_allowed"
