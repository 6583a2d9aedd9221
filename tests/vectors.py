"""What every surface answers, as data: a policy, a request, an app, and the answer in full.

Nothing here imports the package. Each table's rows spell out what the answer has; the few loops
only cross the rows of small tables. The fields of an answer are complete: these and no others.
Values of Vary and of the access-control lists are compared as sets of names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Final

Fields = tuple[tuple[str, str], ...]

UI: Final = "https://ui.example"
REFUSED: Final = "https://evil.example"
# The content-length of the body, whatever it is.
EXACT: Final = "<exact>"

PREDICT: Final = "/v1/predict"


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it reaches a server: text is latin-1, the path is decoded."""

    method: str = "GET"
    path: str = PREDICT
    headers: Fields = ()
    # A WebSocket handshake; `denial`: the server can refuse it with an HTTP answer.
    websocket: bool = False
    denial: bool = True


@dataclass(frozen=True, slots=True)
class Vector:
    """One situation.

    `policy` and `app` are names in `POLICIES` and `APPS`; the app None is a ready-made one, which
    serves nothing. `body` is "app" (its chunks as sent), "none", or a problem's reason. `verdicts`
    are a browser's judgements of the answer in the credentials modes omit and include; None if no
    browser sends this request.
    """

    id: str
    policy: str
    call: Call
    app: str | None
    status: int
    fields: Fields
    body: str
    called: bool
    reason: str
    verdicts: tuple[str, str] | None = None
    traits: frozenset[str] = field(default=frozenset())


# --- policies

_PATTERNS: Final[dict[str, Any]] = {
    "allow_origins": [
        UI,
        "https://ui.example:8443",
        "http://[::1]:3000",
        "https://*.example.com",
        "http://localhost:*",
    ],
    "allow_methods": ["PUT", "DELETE"],
    "allow_headers": ["x-trace", "x-request-id"],
    "expose_headers": ["x-model", "etag"],
    "max_age": 600,
}
_KEY: Final = {
    "name": "Model-API-Key",
    "values": ["xyz", "second-Key"],
    "exempt_paths": ["/healthz", "/public/*"],
}

POLICIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "anonymous": _PATTERNS,
    "credentialed": {**_PATTERNS, "allow_credentials": True},
    "star": {**_PATTERNS, "allow_origins": ["*"]},
    "keyed-anonymous": {**_PATTERNS, "key": _KEY},
    "keyed-credentialed": {**_PATTERNS, "allow_credentials": True, "key": _KEY},
    "keyed-star": {**_PATTERNS, "allow_origins": ["*"], "key": _KEY},
    "any-key": {"allow_origins": [UI], "key": {"name": "model-api-key"}},
    "bare": {"allow_origins": [UI], "max_age": 0},
    "null": {"allow_origins": [UI, "null"], "dangerously_allow_null_origin": True},
    "regex": {"allow_origins": [{"regex": "https://(ui|admin)\\.[a-z]+\\.test"}]},
    "private-network": {"allow_origins": [UI], "allow_private_network": True},
    "wildcards": {
        "allow_origins": [UI],
        "allow_methods": ["*"],
        "allow_headers": ["*"],
        "expose_headers": ["*"],
        "key": {"name": "model-api-key"},
    },
    "wildcard-and-authorization": {"allow_origins": ["*"], "allow_headers": ["*", "Authorization"]},
    "mirrors": {
        "allow_origins": [UI],
        "allow_methods": ["*"],
        "allow_headers": ["*"],
        "allow_credentials": True,
        "allow_private_network": True,
    },
}

# --- apps: status, fields, chunks

_COOKIES: Final = (("set-cookie", "a=1; Path=/"), ("set-cookie", "b=2; Path=/"))
_TEXT: Final = ("content-type", "text/plain; charset=utf-8")
_PAGE: Final = (_TEXT, *_COOKIES)

APPS: Final[Mapping[str, tuple[int, Fields, tuple[bytes, ...]]]] = {
    "ok": (200, _PAGE, (b"first ", b"second")),
    "no-content": (204, _COOKIES, ()),
    "not-modified": (304, (("etag", '"v1"'), *_COOKIES), ()),
    "redirect": (307, (*_PAGE, ("location", "/v1/predict/")), (b"over ", b"there")),
    "not-found": (404, _PAGE, (b"not ", b"found")),
    "method-not-allowed": (405, (*_PAGE, ("allow", "PATCH")), (b"not ", b"so")),
    "too-large": (413, (*_PAGE, ("connection", "close")), (b"too ", b"large")),
    "fails": (500, (_TEXT, ("content-length", "21")), (b"Internal Server Error",)),
    "streams": (
        200,
        (("content-type", "text/event-stream"), ("cache-control", "no-cache"), *_COOKIES),
        (b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"),
    ),
    "own-cors": (
        200,
        (
            ("Access-Control-Allow-Origin", "*"),
            ("ACCESS-CONTROL-ALLOW-ORIGIN", "https://other.example"),
            ("access-control-Allow-Credentials", "true"),
            ("Access-Control-Expose-Headers", "x-secret"),
            ("Access-Control-Allow-Methods", "TRACE"),
            ("Access-Control-Allow-Headers", "x-any"),
            ("Access-Control-Max-Age", "31536000"),
            ("Access-Control-Allow-Private-Network", "true"),
            ("Vary", "Accept-Encoding"),
            *_PAGE,
        ),
        (b"first ", b"second"),
    ),
    "vary-origin": (200, (("Vary", "accept-encoding,ORIGIN"), *_PAGE), (b"first ", b"second")),
    "vary-lines": (200, (("vary", "Cookie"), ("Vary", "Accept"), *_PAGE), (b"first ", b"second")),
    "vary-star": (200, (("vary", "*"), *_PAGE), (b"first ", b"second")),
}

# --- what answers have

_SAFE: Final = "accept, accept-language, content-language, content-type, range"
_METHODS: Final = ("access-control-allow-methods", "PUT, DELETE")
_NAMES: Final = ("access-control-allow-headers", f"x-trace, x-request-id, {_SAFE}")
_KEYED_NAMES: Final = (
    "access-control-allow-headers",
    f"x-trace, x-request-id, model-api-key, {_SAFE}",
)
_AGE: Final = ("access-control-max-age", "600")
_EXPOSE: Final = ("access-control-expose-headers", "x-model, etag")
_ALLOW_CREDENTIALS: Final = ("access-control-allow-credentials", "true")
_VARY: Final = ("vary", "Origin")
_ANYONE: Final = ("access-control-allow-origin", "*")


def _allow(origin: str) -> tuple[str, str]:
    return ("access-control-allow-origin", origin)


# The policies that are combined with the tables below differ in their origins and in whether they
# have a key.
SHARING: Final = ("anonymous", "credentialed", "star")


def _shared(policy: str, origin: str | None) -> Fields:
    """Return the fields that let a page of `origin` read an answer; None if it must not."""
    if policy.endswith("star"):
        return (_ANYONE,)
    if origin is None:
        return ()
    if policy.endswith("credentialed"):
        return (_allow(origin), _ALLOW_CREDENTIALS)
    return (_allow(origin),)


def _preflight_fields(policy: str, origin: str) -> Fields:
    names = _KEYED_NAMES if policy.startswith("keyed") else _NAMES
    vary = () if policy.endswith("star") else (_VARY,)
    return (*_shared(policy, origin), _METHODS, names, _AGE, *vary)


def _real_fields(policy: str, origin: str | None, *own_vary: str) -> Fields:
    """Return the fields of a real answer besides the app's; `own_vary` is the app's Vary."""
    shared = _shared(policy, origin)
    exposed = (_EXPOSE,) if shared else ()
    by_origin = () if policy.endswith("star") else ("Origin",)
    by_key = ("model-api-key",) if policy.startswith("keyed") else ()
    vary = ", ".join((*own_vary, *by_origin, *by_key))
    return (*shared, *exposed, *([("vary", vary)] if vary else []))


def _verdicts(policy: str, code: str) -> tuple[str, str]:
    """Return a browser's verdicts in the modes omit and include.

    The check of the answer's origin and credentials comes before any other fault.
    """
    if policy.endswith("star"):
        return (code, "acao_wildcard_with_credentials")
    if code == "acao_missing" or policy.endswith("credentialed"):
        return (code, code)
    return (code, "acac_not_true")


def _code(policy: str, origin: str | None, reason: str) -> tuple[str, str] | None:
    """Return a browser's verdicts on a real answer; None without the origin of a page."""
    if reason == "no_origin":
        return None
    shared = origin is not None or policy.endswith("star")
    return _verdicts(policy, "allowed" if shared else "acao_missing")


def _reason(policy: str, reason: str) -> str:
    """Return the reason of a real request that reaches the app: ``*`` refuses no origin."""
    return "allowed" if policy.endswith("star") and reason == "origin_not_allowed" else reason


_PROBLEM: Final = (
    ("content-type", "application/problem+json"),
    ("content-length", EXACT),
    ("cache-control", "no-store"),
)
_ORIGIN_REFUSED: Final = (*_PROBLEM, ("x-content-type-options", "nosniff"), _VARY)


def _preflight(
    name: str,
    policy: str,
    headers: Fields,
    fields: Fields,
    *,
    reason: str = "allowed",
    verdicts: tuple[str, str] | None = None,
    path: str = PREDICT,
    traits: frozenset[str] = frozenset(),
) -> Vector:
    call = Call("OPTIONS", path, headers)
    if reason == "origin_not_allowed":
        return Vector(
            *(name, policy, call, "ok", 403, fields, reason, False, reason, verdicts, traits)
        )
    return Vector(*(name, policy, call, "ok", 204, fields, "none", False, reason, verdicts, traits))


# --- origins x policies x preflight and real request

_LONG: Final = f"https://{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 61}.example.com:12345"
_OVERLONG: Final = f"https://{'a.' * 151}example.com"

# situation, lines of Origin, the origin that is allowed (None: refused), whether browsers send it
_ORIGINS: Final[tuple[tuple[str, tuple[str, ...], str | None, bool], ...]] = (
    ("exact", (UI,), UI, True),
    ("exact-with-port", ("https://ui.example:8443",), "https://ui.example:8443", True),
    ("exact-ipv6", ("http://[::1]:3000",), "http://[::1]:3000", True),
    ("subdomain", ("https://a.example.com",), "https://a.example.com", True),
    ("deep-subdomain", ("https://c.b.a.example.com",), "https://c.b.a.example.com", True),
    ("any-port", ("http://localhost:5173",), "http://localhost:5173", True),
    ("any-port-none", ("http://localhost",), "http://localhost", True),
    ("blanks-around", (f" \t{UI} ",), UI, False),
    ("foreign", (REFUSED,), None, True),
    ("parent-of-subdomains", ("https://example.com",), None, True),
    ("lookalike-suffix", ("https://evilexample.com",), None, True),
    ("lookalike-prefix", ("https://ui.example.evil.example",), None, True),
    ("lookalike-dot", ("https://uixexample",), None, True),
    ("lookalike-port", ("http://localhost.evil.example:3000",), None, True),
    ("other-scheme", ("http://ui.example",), None, True),
    ("other-port", ("https://ui.example:9999",), None, True),
    ("subdomain-other-port", ("https://a.example.com:8443",), None, True),
    ("null", ("null",), None, True),
    ("path", ("https://a.example.com/x",), None, False),
    ("trailing-slash", (f"{UI}/",), None, False),
    ("query", ("https://a.example.com?x",), None, False),
    ("fragment", ("https://a.example.com#x",), None, False),
    ("user-info", ("https://user@a.example.com",), None, False),
    ("upper-case-scheme", ("HTTPS://a.example.com",), None, False),
    ("upper-case-host", ("https://A.example.com",), None, False),
    ("upper-case-exact", ("https://UI.example",), None, False),
    ("default-port", ("https://a.example.com:443",), None, False),
    ("port-zero", ("http://localhost:0",), None, False),
    ("port-leading-zero", ("http://localhost:03000",), None, False),
    ("port-too-large", ("http://localhost:65536",), None, False),
    ("port-missing", ("http://localhost:",), None, False),
    ("port-wildcard", ("http://localhost:*",), None, False),
    ("host-wildcard", ("https://*.example.com",), None, False),
    ("empty-label", ("https://a..example.com",), None, False),
    ("empty-first-label", ("https://.example.com",), None, False),
    ("trailing-dot", ("https://a.example.com.",), None, False),
    ("space-inside", ("https://a .example.com",), None, False),
    ("non-ascii", ("https://\xe4.example.com",), None, False),
    ("control-byte", ("https://a\x1b.example.com",), None, False),
    ("two-in-one-line", (f"{UI}, {UI}",), None, False),
    ("two-lines", (UI, "https://a.example.com"), None, False),
    ("two-equal-lines", (UI, UI), None, False),
    ("only-a-comma", (",",), None, False),
    ("star-literally", ("*",), None, False),
    ("host-too-long", (_LONG,), None, False),
    ("over-long", (_OVERLONG,), None, False),
)

_GOOD: Final = (
    ("access-control-request-method", "PUT"),
    ("access-control-request-headers", "content-type,x-trace"),
)


def _origin_vectors() -> Iterator[Vector]:
    for situation, lines, allowed, sent in _ORIGINS:
        headers = tuple(("origin", line) for line in lines)
        traits = frozenset({"control-bytes"} if "\x1b" in lines[0] else ())
        for policy in SHARING:
            origin = "*" if policy == "star" else allowed
            if origin is None:
                code, reason, fields = "acao_missing", "origin_not_allowed", _ORIGIN_REFUSED
            else:
                code, reason, fields = "allowed", "allowed", _preflight_fields(policy, origin)
            verdicts = _verdicts(policy, code) if sent else None
            yield _preflight(
                f"preflight-origin-{situation}-{policy}",
                policy,
                (*headers, *_GOOD),
                fields,
                reason=reason,
                verdicts=verdicts,
                traits=traits,
            )
            yield Vector(
                f"get-origin-{situation}-{policy}",
                policy,
                Call("GET", headers=headers),
                "ok",
                200,
                (*_PAGE, *_real_fields(policy, origin)),
                "app",
                True,
                reason,
                verdicts,
                traits,
            )


# policy, origin, whether it is allowed
_SPECIAL_ORIGINS: Final = (
    ("null", "null", True),
    ("null", REFUSED, False),
    ("regex", "https://admin.corp.test", True),
    ("regex", "https://admin.corp.test.evil.example", False),
    ("regex", "https://xadmin.corp.test", False),
    ("regex", "https://admin.corp.test:8443", False),
    ("bare", UI, True),
    ("bare", "null", False),
)


def _special_origin_vectors() -> Iterator[Vector]:
    for number, (policy, origin, allowed) in enumerate(_SPECIAL_ORIGINS):
        age = (("access-control-max-age", "0"),) if policy == "bare" else ()
        reason, status = ("allowed", "allowed") if allowed else ("origin_not_allowed", "refused")
        verdicts = _verdicts(policy, "allowed" if allowed else "acao_missing")
        # No methods are listed, so the answer names none.
        granted = (_allow(origin), ("access-control-allow-headers", _SAFE), *age, _VARY)
        yield _preflight(
            f"preflight-{policy}-policy-{status}-{number}",
            policy,
            (("origin", origin), ("access-control-request-method", "POST")),
            granted if allowed else _ORIGIN_REFUSED,
            reason=reason,
            verdicts=verdicts,
        )
        yield Vector(
            f"post-{policy}-policy-{status}-{number}",
            policy,
            Call("POST", headers=(("origin", origin),)),
            "ok",
            200,
            (*_PAGE, *([_allow(origin)] if allowed else []), _VARY),
            "app",
            True,
            reason,
            verdicts,
        )


# --- what a preflight requests

_LIST: Final = "access-control-request-headers"
_NOT_METHOD: Final = "method_not_allowed"
_NOT_HEADER: Final = "header_not_allowed"

# situation, requested method, lines of requested names, reason, whether browsers send this
_REQUESTED: Final[tuple[tuple[str, str, tuple[str, ...], str, bool], ...]] = (
    ("listed-method", "DELETE", (), "allowed", True),
    ("get-unlisted", "GET", (), "allowed", True),
    ("head-unlisted", "HEAD", (), "allowed", True),
    ("post-unlisted", "POST", (), "allowed", True),
    ("blanks-around-method", " PUT\t", (), "allowed", True),
    ("wrong-method", "PATCH", (), _NOT_METHOD, True),
    ("lower-case-method", "patch", (), _NOT_METHOD, True),
    ("lower-case-listed-method", "put", (), _NOT_METHOD, False),
    ("part-of-a-method", "PU", (), _NOT_METHOD, True),
    ("two-methods", "PUT, DELETE", (), _NOT_METHOD, False),
    ("method-star", "*", (), _NOT_METHOD, True),
    ("safelisted-names", "POST", (_SAFE.replace(" ", ""),), "allowed", True),
    ("listed-names", "POST", ("x-request-id,x-trace",), "allowed", True),
    ("wrong-name", "POST", ("x-other",), _NOT_HEADER, True),
    ("wrong-name-among-right", "PUT", ("content-type,x-other,x-trace",), _NOT_HEADER, True),
    ("authorization-unlisted", "POST", ("authorization",), _NOT_HEADER, True),
    ("part-of-a-name", "POST", ("x-tra",), _NOT_HEADER, True),
    ("longer-than-a-name", "POST", ("x-trace-id",), _NOT_HEADER, True),
    ("name-star", "POST", ("*",), _NOT_HEADER, True),
    ("wrong-method-and-name", "PATCH", ("x-other",), _NOT_METHOD, True),
    ("unsorted", "POST", ("x-trace,content-type,accept",), "allowed", True),
    ("upper-case-names", "POST", ("X-Trace,CONTENT-TYPE",), "allowed", True),
    ("spaces-and-tabs", "POST", (" content-type ,\tx-trace\t",), "allowed", True),
    ("several-lines", "POST", ("content-type", "x-trace", "accept"), "allowed", True),
    ("several-lines-one-wrong", "POST", ("content-type", "x-other"), _NOT_HEADER, True),
    ("empty-elements", "POST", (",,content-type, ,x-trace,",), "allowed", True),
    ("only-commas", "POST", (",,,",), "allowed", True),
    ("empty-list", "POST", ("",), "allowed", True),
    ("same-name-twice", "POST", ("x-trace,x-trace",), "allowed", True),
    ("no-token", "POST", ("x trace",), _NOT_HEADER, False),
    ("4096-bytes", "POST", (("x-trace," * 512),), "allowed", False),
    ("over-4096-bytes", "POST", ("x-trace," * 513,), _NOT_HEADER, False),
    ("over-4096-bytes-of-commas", "POST", ("," * 5000,), _NOT_HEADER, False),
    ("over-4096-bytes-in-lines", "POST", ("x-trace," * 300,) * 2, _NOT_HEADER, False),
)


def _requested_vectors() -> Iterator[Vector]:
    for policy in SHARING:
        for situation, method, lines, reason, sent in _REQUESTED:
            yield _preflight(
                f"preflight-{situation}-{policy}",
                policy,
                (
                    ("origin", UI),
                    ("access-control-request-method", method),
                    *((_LIST, line) for line in lines),
                ),
                _preflight_fields(policy, UI),
                reason=reason,
                verdicts=_verdicts(policy, reason) if sent else None,
            )


_MIRROR_VARY: Final = (
    "vary",
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers,"
    " Access-Control-Request-Private-Network",
)
_ASK_PRIVATE: Final = ("access-control-request-private-network", "true")
_PRIVATE: Final = ("access-control-allow-private-network", "true")
_PRIVATE_VARY: Final = ("vary", "Origin, Access-Control-Request-Private-Network")


def _acam(value: str) -> tuple[str, str]:
    return ("access-control-allow-methods", value)


def _acah(value: str) -> tuple[str, str]:
    return ("access-control-allow-headers", value)


def _asks(
    situation: str,
    policy: str,
    fields: Fields,
    method: str = "GET",
    names: str = "",
    *more: tuple[str, str],
    reason: str = "allowed",
    sent: bool = True,
) -> Vector:
    """Return a preflight for `method` and `names`; `sent` is whether browsers send it."""
    sharing = {"mirrors": "credentialed", "wildcard-and-authorization": "star"}
    listed = ((_LIST, names),) if names else ()
    return _preflight(
        f"preflight-{situation}-{policy}",
        policy,
        (("origin", UI), ("access-control-request-method", method), *listed, *more),
        fields,
        reason=reason,
        verdicts=_verdicts(sharing.get(policy, "anonymous"), reason) if sent else None,
    )


def _mirror(*fields: tuple[str, str]) -> Fields:
    return (_allow(UI), _ALLOW_CREDENTIALS, *fields, _MIRROR_VARY)


def _wildcard_vectors() -> Iterator[Vector]:
    wild = (_allow(UI), _acam("*"), _acah("*, model-api-key"), _VARY)
    yield _asks("any-method", "wildcards", wild, "PATCH")
    yield _asks("any-name", "wildcards", wild, "GET", "x-a,x-b")
    yield _asks("key-name", "wildcards", wild, "GET", "model-api-key")
    never = "authorization"
    yield _asks("never-authorization", "wildcards", wild, "GET", never, reason=_NOT_HEADER)
    listed = (_ANYONE, _acah("*, authorization"))
    policy = "wildcard-and-authorization"
    yield _asks("listed-authorization", policy, listed, "GET", "authorization,x-a")
    yield _asks("names-only", policy, listed, "PATCH", reason=_NOT_METHOD)


def _mirror_vectors() -> Iterator[Vector]:
    policy, get = "mirrors", _acam("GET")
    both = _mirror(_acam("PATCH"), _acah("authorization, x-a"))
    yield _asks("mirrored", policy, both, "PATCH", "authorization,x-a")
    yield _asks("mirrored-nothing", policy, _mirror(get))
    yield _asks("mirrored-once", policy, _mirror(get, _acah("x-a, x-b")), "GET", " x-a,,X-A , x-b")
    yield _asks("mirrored-private", policy, _mirror(get, _PRIVATE), "GET", "", _ASK_PRIVATE)
    names = ",".join(f"x-{number}" for number in range(64))
    yield _asks("mirrored-64-names", policy, _mirror(get, _acah(names)), "GET", names)
    more = f"{names},x-64"
    yield _asks("mirrored-65-names", policy, _mirror(get), "GET", more, reason=_NOT_HEADER)
    name = "a" * 4096
    yield _asks("mirrored-4096-bytes", policy, _mirror(get, _acah(name)), "GET", name)
    more = f"{name}a"
    yield _asks("mirrored-over-4096-bytes", policy, _mirror(get), "GET", more, reason=_NOT_HEADER)
    no_token = "x-a,x b"
    yield _asks(
        "mirrored-no-token", policy, _mirror(get), "GET", no_token, reason=_NOT_HEADER, sent=False
    )
    method = "M" * 64
    yield _asks("mirrored-method-of-64-bytes", policy, _mirror(_acam(method)), method)
    more = f"{method}M"
    yield _asks("mirrored-method-of-65-bytes", policy, _mirror(), more, reason=_NOT_METHOD)
    no_token = "P\xdcT"
    yield _asks(
        "mirrored-method-no-token", policy, _mirror(), no_token, reason=_NOT_METHOD, sent=False
    )


def _private_network_vectors() -> Iterator[Vector]:
    policy = "private-network"
    unasked = (_allow(UI), _acah(_SAFE), _PRIVATE_VARY)
    allowed = (*unasked, _PRIVATE)
    name = _ASK_PRIVATE[0]
    yield _asks("asked", policy, allowed, "GET", "", _ASK_PRIVATE)
    yield _asks("asked-blanks-around", policy, allowed, "GET", "", (name, " true "))
    yield _asks("not-asked", policy, unasked)
    yield _asks("asked-in-upper-case", policy, unasked, "GET", "", (name, "TRUE"))
    yield _asks("asked-twice", policy, unasked, "GET", "", _ASK_PRIVATE, _ASK_PRIVATE)
    whole = _preflight_fields("anonymous", UI)
    yield _asks("private-network-not-allowed", "anonymous", whole, "GET", "", _ASK_PRIVATE)


# --- what is not a preflight, and belongs to the app

_ASKS: Final = ("access-control-request-method", "PUT")

_UI: Final = ("origin", UI)

# situation, method, request fields, the origin that is allowed, reason
_REAL: Final[tuple[tuple[str, str, Fields, str | None, str], ...]] = (
    ("plain-options", "OPTIONS", (_UI,), UI, "allowed"),
    ("options-empty-requested-method", "OPTIONS", (_UI, (_ASKS[0], "")), UI, "allowed"),
    ("options-blank-requested-method", "OPTIONS", (_UI, (_ASKS[0], " ")), UI, "allowed"),
    ("options-only-requested-names", "OPTIONS", (_UI, (_LIST, "x-trace")), UI, "allowed"),
    ("plain-options-refused", "OPTIONS", (("origin", REFUSED),), None, "origin_not_allowed"),
    ("options-without-origin", "OPTIONS", (_ASKS,), None, "no_origin"),
    ("options-empty-origin", "OPTIONS", (("origin", ""), _ASKS), None, "no_origin"),
    ("options-blank-origin", "OPTIONS", (("origin", " \t"), _ASKS), None, "no_origin"),
    ("bare-options", "OPTIONS", (), None, "no_origin"),
    ("lower-case-options", "options", (_UI, _ASKS), UI, "allowed"),
    ("post-with-requested-method", "POST", (_UI, _ASKS), UI, "allowed"),
    ("get-with-requested-method", "GET", (_UI, _ASKS), UI, "allowed"),
    ("put", "PUT", (_UI,), UI, "allowed"),
    # Not listed: enforcing that is up to the browser.
    ("patch", "PATCH", (_UI,), UI, "allowed"),
    ("asks-private-network", "GET", (_UI, _ASK_PRIVATE), UI, "allowed"),
)


def _real_vectors() -> Iterator[Vector]:
    for policy in SHARING:
        for situation, method, headers, origin, reason in _REAL:
            yield Vector(
                f"real-{situation}-{policy}",
                policy,
                Call(method, headers=headers),
                "ok",
                200,
                (*_PAGE, *_real_fields(policy, origin)),
                "app",
                True,
                _reason(policy, reason),
                _code(policy, origin, reason),
                frozenset({"lower-case-method"} if method == "options" else ()),
            )


# --- what apps do

# The app, what is kept of its fields, and its Vary.
_KEPT: Final[tuple[tuple[str, Fields, tuple[str, ...]], ...]] = (
    ("ok", _PAGE, ()),
    ("no-content", _COOKIES, ()),
    ("not-modified", (("etag", '"v1"'), *_COOKIES), ()),
    ("redirect", (*_PAGE, ("location", "/v1/predict/")), ()),
    ("not-found", _PAGE, ()),
    ("method-not-allowed", (*_PAGE, ("allow", "PATCH")), ()),
    ("too-large", (*_PAGE, ("connection", "close")), ()),
    ("fails", (_TEXT, ("content-length", "21")), ()),
    (
        "streams",
        (("content-type", "text/event-stream"), ("cache-control", "no-cache"), *_COOKIES),
        (),
    ),
    ("own-cors", _PAGE, ("Accept-Encoding",)),
    ("vary-lines", _PAGE, ("Cookie", "Accept")),
)
# situation, Origin, reason
_CALLERS: Final[tuple[tuple[str, Fields, str | None, str], ...]] = (
    ("allowed", (("origin", UI),), UI, "allowed"),
    ("refused", (("origin", REFUSED),), None, "origin_not_allowed"),
    ("without-origin", (), None, "no_origin"),
)


def _app_vectors() -> Iterator[Vector]:
    for policy in (*SHARING, "keyed-anonymous"):
        key = (("model-api-key", "xyz"),) if policy.startswith("keyed") else ()
        for caller, headers, origin, reason in _CALLERS:
            for app, kept, vary in _KEPT:
                for method in ("GET", "POST", "HEAD") if app in ("ok", "fails") else ("GET",):
                    yield Vector(
                        f"{method.lower()}-app-{app}-{caller}-{policy}",
                        policy,
                        Call(method, headers=(*headers, *key)),
                        app,
                        APPS[app][0],
                        (*kept, *_real_fields(policy, origin, *vary)),
                        "none" if method == "HEAD" or not APPS[app][2] else "app",
                        True,
                        _reason(policy, reason),
                        _code(policy, origin, reason),
                    )


# The app's Vary has all of the names, or some. App, policy, the Vary that is sent.
_VARIES: Final = (
    ("vary-origin", "anonymous", "accept-encoding, ORIGIN"),
    ("vary-origin", "star", "accept-encoding, ORIGIN"),
    ("vary-origin", "keyed-anonymous", "accept-encoding, ORIGIN, model-api-key"),
    ("vary-star", "anonymous", "*"),
    ("vary-star", "star", "*"),
    ("vary-star", "keyed-anonymous", "*"),
)


def _vary_vectors() -> Iterator[Vector]:
    for app, policy, vary in _VARIES:
        for caller, headers, origin, reason in _CALLERS:
            exposed = (*_shared(policy, origin), _EXPOSE) if _shared(policy, origin) else ()
            yield Vector(
                f"get-app-{app}-{caller}-{policy}",
                policy,
                Call(headers=(*headers, ("model-api-key", "xyz"))),
                app,
                200,
                (*_PAGE, *exposed, ("vary", vary)),
                "app",
                True,
                _reason(policy, reason),
                _code(policy, origin, reason),
            )


# --- the key

_MISSING: Final = "key_missing"
_UNKNOWN: Final = "key_unknown"


def _origin(*values: str) -> Fields:
    """Return a line of Origin for each of `values`."""
    return tuple(("origin", value) for value in values)


_TWIN_RIGHT: Final = ("model_api_key", "xyz")
_TWIN_WRONG: Final = ("model_api_key", "abc")


def _key(*values: str) -> Fields:
    """Return a line of the key for each of `values`."""
    return tuple(("model-api-key", value) for value in values)


# situation, method, path, header lines, the refusal's reason (None: the app runs)
_KEYS: Final[tuple[tuple[str, str, str, Fields, str | None], ...]] = (
    ("right", "GET", PREDICT, _key("xyz"), None),
    ("second-right", "POST", PREDICT, _key("second-Key"), None),
    ("right-blanks-around", "GET", PREDICT, _key(" xyz\t"), None),
    ("right-beside-underscore-twin", "GET", PREDICT, (_TWIN_WRONG, *_key("xyz")), None),
    ("missing", "GET", PREDICT, (), _MISSING),
    ("missing-post", "POST", PREDICT, (), _MISSING),
    ("missing-head", "HEAD", PREDICT, (), _MISSING),
    ("missing-plain-options", "OPTIONS", PREDICT, (), _MISSING),
    ("empty", "GET", PREDICT, _key(""), _MISSING),
    ("blank", "GET", PREDICT, _key(" \t "), _MISSING),
    ("only-underscore-twin", "GET", PREDICT, (_TWIN_RIGHT,), _MISSING),
    ("wrong", "GET", PREDICT, _key("abc"), _UNKNOWN),
    ("wrong-head", "HEAD", PREDICT, _key("abc"), _UNKNOWN),
    ("wrong-plain-options", "OPTIONS", PREDICT, _key("abc"), _UNKNOWN),
    ("wrong-beside-underscore-twin", "GET", PREDICT, (_TWIN_RIGHT, *_key("abc")), _UNKNOWN),
    ("wrong-case", "GET", PREDICT, _key("XYZ"), _UNKNOWN),
    ("part", "GET", PREDICT, _key("xy"), _UNKNOWN),
    ("longer", "GET", PREDICT, _key("xyzz"), _UNKNOWN),
    ("non-ascii", "GET", PREDICT, _key("xyz\xff"), _UNKNOWN),
    ("over-long", "GET", PREDICT, _key("xyz" * 3000), _UNKNOWN),
    ("list", "GET", PREDICT, _key("xyz, second-Key"), _UNKNOWN),
    ("two-lines", "GET", PREDICT, _key("xyz", "second-Key"), _UNKNOWN),
    ("two-equal-lines", "GET", PREDICT, _key("xyz", "xyz"), _UNKNOWN),
    ("in-another-header", "GET", PREDICT, (("x-model-api-key", "xyz"),), _MISSING),
    ("exempt", "GET", "/healthz", (), None),
    ("exempt-below", "GET", "/public/css/main.css", (), None),
    ("exempt-decoded-once", "GET", "/public/%2e%2e/secret", (), None),
    ("exempt-non-ascii", "GET", "/public/\u00e4\u4e16", (), None),
    ("exempt-wrong-key", "GET", "/healthz", _key("abc"), None),
    ("exempt-other-case", "GET", "/Healthz", (), _MISSING),
    ("exempt-trailing-slash", "GET", "/healthz/", (), _MISSING),
    ("exempt-below-an-exact-one", "GET", "/healthz/x", (), _MISSING),
    ("exempt-part-of-a-segment", "GET", "/publicity", (), _MISSING),
    ("exempt-dot-dot", "GET", "/public/../secret", (), _MISSING),
    ("exempt-dot", "GET", "/public/./secret", (), _MISSING),
    ("exempt-double-slash", "GET", "/public//secret", (), _MISSING),
    ("exempt-below-elsewhere", "GET", "/v1/public/x", (), _MISSING),
)


def _key_refusal(policy: str, origin: str | None, reason: str) -> tuple[int, Fields]:
    fields = (*_PROBLEM, *_real_fields(policy, origin))
    return (401, (*fields, ("www-authenticate", "APIKey"))) if reason == _MISSING else (403, fields)


def _key_vectors() -> Iterator[Vector]:
    for caller, headers, origin, reason in _CALLERS:
        # Each refusal, and its reason, is the same whoever calls.
        rows = _KEYS if caller == "allowed" else _KEYS[:13]
        for policy in ("keyed-anonymous", "keyed-credentialed", "keyed-star"):
            for situation, method, path, lines, refusal in rows:
                status, fields = (200, (*_PAGE, *_real_fields(policy, origin)))
                if refusal:
                    status, fields = _key_refusal(policy, origin, refusal)
                body = refusal or "app"
                yield Vector(
                    f"key-{situation}-{caller}-{policy}",
                    policy,
                    Call(method, path, (*headers, *lines)),
                    "ok",
                    status,
                    fields,
                    "none" if method == "HEAD" else body,
                    refusal is None,
                    refusal or _reason(policy, reason),
                    _code(policy, origin, reason),
                )


# situation, origin, requested names, path, reason, whether browsers send this
_KEYED_PREFLIGHTS: Final = (
    ("without-key", UI, "content-type,model-api-key", PREDICT, "allowed"),
    ("key-name-upper-case", UI, "MODEL-API-KEY", PREDICT, "allowed"),
    ("key-name-with-underscore", UI, "model_api_key", PREDICT, _NOT_HEADER),
    ("exempt-path", UI, "model-api-key", "/public/x", "allowed"),
    ("double-slash", UI, "model-api-key", "//v1//predict", "allowed"),
    ("any-path", UI, "model-api-key", "/no/such/path/", "allowed"),
)


def _keyed_preflight_vectors() -> Iterator[Vector]:
    for policy in ("keyed-anonymous", "keyed-credentialed", "keyed-star"):
        for situation, origin, names, path, reason in _KEYED_PREFLIGHTS:
            yield _preflight(
                f"preflight-{situation}-{policy}",
                policy,
                (("origin", origin), ("access-control-request-method", "PUT"), (_LIST, names)),
                _preflight_fields(policy, origin),
                reason=reason,
                verdicts=_verdicts(policy, reason),
                path=path,
            )
    for policy in ("keyed-anonymous", "keyed-credentialed"):
        yield _preflight(
            f"preflight-refused-without-key-{policy}",
            policy,
            (("origin", REFUSED), *_GOOD),
            _ORIGIN_REFUSED,
            reason="origin_not_allowed",
            verdicts=_verdicts(policy, "acao_missing"),
        )


def _any_key_vectors() -> Iterator[Vector]:
    call = Call(headers=(("origin", UI), ("model-api-key", "whatever")))
    shared = (_allow(UI), ("vary", "Origin, model-api-key"))
    verdicts = _verdicts("any-key", "allowed")
    yield Vector(
        *("key-any-value", "any-key", call, "ok", 200, (*_PAGE, *shared), "app", True),
        *("allowed", verdicts),
    )
    missing = (*_PROBLEM, ("www-authenticate", "APIKey"), *shared)
    bare = Call(headers=(("origin", UI),))
    yield Vector(
        *("key-any-value-missing", "any-key", bare, "ok", 401, missing, _MISSING, False, _MISSING),
        verdicts,
    )
    exposed = (*shared, ("access-control-expose-headers", "*"))
    yield Vector(
        *("get-exposes-all", "wildcards", call, "ok", 200, (*_PAGE, *exposed), "app", True),
        *("allowed", verdicts),
    )


# --- WebSocket handshakes

_RIGHT: Final = ("model-api-key", "xyz")

_NO_ORIGIN: Final = "origin_not_allowed"
_PORT: Final = "https://api.example:8443"

# situation, policy, host, origins and keys, the refusal's reason (None: accepted), the origin that
# may read the refusal
_HANDSHAKES: Final[tuple[tuple[str, str, str, Fields, str | None, str | None], ...]] = (
    ("allowed", "anonymous", "api.example", _origin(UI), None, None),
    (
        "allowed-pattern",
        "credentialed",
        "api.example",
        _origin("https://a.example.com"),
        None,
        None,
    ),
    ("no-browser", "anonymous", "api.example", (), None, None),
    ("any-origin", "star", "api.example", _origin(REFUSED), None, None),
    ("own-host", "anonymous", "api.example", _origin("https://api.example"), None, None),
    ("own-host-upper", "anonymous", "API.example", _origin("http://api.example"), None, None),
    (
        "own-default-port",
        "anonymous",
        "api.example:443",
        _origin("https://api.example"),
        None,
        None,
    ),
    ("own-host-and-port", "anonymous", "api.example:8443", _origin(_PORT), None, None),
    ("right-key", "keyed-anonymous", "api.example", (*_origin(UI), *_key("xyz")), None, None),
    ("foreign", "anonymous", "api.example", _origin(REFUSED), _NO_ORIGIN, None),
    ("foreign-credentialed", "credentialed", "api.example", _origin(REFUSED), _NO_ORIGIN, None),
    ("null", "anonymous", "api.example", _origin("null"), _NO_ORIGIN, None),
    ("two-origins", "anonymous", "api.example", _origin(UI, UI), _NO_ORIGIN, None),
    ("own-other-port", "anonymous", "api.example", _origin(_PORT), _NO_ORIGIN, None),
    (
        "own-as-suffix",
        "anonymous",
        "api.example",
        _origin("https://x-api.example"),
        _NO_ORIGIN,
        None,
    ),
    ("no-host", "anonymous", "", _origin(REFUSED), _NO_ORIGIN, None),
    (
        *("foreign-right-key", "keyed-anonymous", "api.example"),
        *((*_origin(REFUSED), *_key("xyz")), _NO_ORIGIN, None),
    ),
    ("missing-key", "keyed-anonymous", "api.example", _origin(UI), _MISSING, UI),
    ("missing-key-credentialed", "keyed-credentialed", "api.example", _origin(UI), _MISSING, UI),
    ("missing-key-no-browser", "keyed-anonymous", "api.example", (), _MISSING, None),
    ("wrong-key", "keyed-anonymous", "api.example", (*_origin(UI), *_key("abc")), _UNKNOWN, UI),
    ("wrong-key-any-origin", "keyed-star", "api.example", _key("abc"), _UNKNOWN, None),
)


def _websocket_vectors() -> Iterator[Vector]:
    for situation, policy, host, lines, refusal, origin in _HANDSHAKES:
        headers = (("host", host), *lines)
        if refusal is None:
            call = Call(headers=headers, websocket=True)
            yield Vector(
                *(f"websocket-{situation}", policy, call, "ok", 101, (), "none", True, "allowed"),
                traits=frozenset({"websocket"}),
            )
            continue
        status, fields = 403, _ORIGIN_REFUSED
        if refusal != "origin_not_allowed":
            status, fields = _key_refusal(policy, origin, refusal)
        for denial in (True, False):
            yield Vector(
                f"websocket-{situation}-{'denied' if denial else 'closed'}",
                policy,
                Call(headers=headers, websocket=True, denial=denial),
                "ok",
                # Without the extension, ASGI closes: 1008 is RFC 6455's policy violation.
                status if denial else 1008,
                fields if denial else (),
                refusal if denial else "none",
                False,
                refusal,
                traits=frozenset({"websocket"}),
            )


# --- ready-made apps, without a service

_WRONG: Final = ("model-api-key", "abc")

# situation, policy, request fields, status and reason, the origin that may read it
_NOBODY: Final[tuple[tuple[str, str, Fields, str, str | None], ...]] = (
    ("without-key", "keyed-anonymous", (("origin", UI),), _MISSING, UI),
    ("empty-key", "keyed-credentialed", (("origin", UI), ("model-api-key", "")), _MISSING, UI),
    ("refused-without-key", "keyed-anonymous", (("origin", REFUSED),), _MISSING, None),
    ("without-key-star", "keyed-star", (), _MISSING, None),
    ("with-key", "keyed-anonymous", (("origin", UI), _RIGHT), "no_route", UI),
    ("with-wrong-key", "keyed-credentialed", (("origin", UI), _WRONG), _UNKNOWN, UI),
    ("with-any-key", "keyed-credentialed", (("origin", UI), _WRONG), "no_route", UI),
    ("with-key-refused", "keyed-anonymous", (("origin", REFUSED), _RIGHT), "no_route", None),
    ("with-key-star", "keyed-star", (("origin", REFUSED), _RIGHT), "no_route", None),
    ("no-key-in-policy", "anonymous", (("origin", UI),), "no_route", UI),
    ("no-key-in-policy-credentialed", "credentialed", (("origin", UI),), "no_route", UI),
    ("no-key-in-policy-star", "star", (), "no_route", None),
    ("no-browser", "anonymous", (), "no_route", None),
)


def _nobody_vectors() -> Iterator[Vector]:
    for situation, policy, headers, reason, origin in _NOBODY:
        for method in ("GET", "HEAD", "POST", "OPTIONS"):
            status, fields = 404, (*_PROBLEM, *_real_fields(policy, origin))
            if reason != "no_route":
                status, fields = _key_refusal(policy, origin, reason)
            traits = {"any-key"} if situation == "with-any-key" else {"ready-made"}
            sender = dict(headers).get("origin")
            yield Vector(
                f"nobody-{situation}-{method.lower()}",
                policy,
                Call(method, headers=headers),
                None,
                status,
                fields,
                "none" if method == "HEAD" else reason,
                False,
                reason,
                _code(policy, origin, "" if sender else "no_origin"),
                frozenset(traits),
            )


def _with_traits(vectors: Iterable[Vector]) -> Iterator[Vector]:
    """Add the traits that follow from the rest; `tests/drivers.py` says which driver runs which."""
    for vector in vectors:
        more = {"app-called"} if vector.called else set()
        more |= {"key-values"} if vector.reason == _UNKNOWN else set()
        more |= {"app-below"} if vector.app is not None and not vector.called else set()
        yield replace(vector, traits=vector.traits | more)


TABLES: Final = (
    _origin_vectors,
    _special_origin_vectors,
    _requested_vectors,
    _wildcard_vectors,
    _mirror_vectors,
    _private_network_vectors,
    _real_vectors,
    _app_vectors,
    _vary_vectors,
    _key_vectors,
    _keyed_preflight_vectors,
    _any_key_vectors,
    _websocket_vectors,
    _nobody_vectors,
)
VECTORS: Final = tuple(_with_traits(chain.from_iterable(table() for table in TABLES)))
