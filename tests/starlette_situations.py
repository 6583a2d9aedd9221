"""What Starlette's own tests of CORSMiddleware check: settings, requests and what is expected.

Followed in tests/middleware/test_cors.py of Starlette 1.3.1; what 1.10 answers otherwise is left
out. A field's value is the whole value, None for its absence, or the names that its list holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

PAGE: Final = "https://example.org"
ACAO: Final = "access-control-allow-origin"
ACAC: Final = "access-control-allow-credentials"
ACAH: Final = "access-control-allow-headers"
ACAM: Final = "access-control-allow-methods"
ACEH: Final = "access-control-expose-headers"
ACAPN: Final = "access-control-allow-private-network"

Expected = Mapping[str, int | str | frozenset[str] | None]


class Asked(NamedTuple):
    """One request, and what is expected of its answer."""

    method: str
    fields: dict[str, str]
    expected: Expected


class Situation(NamedTuple):
    """A middleware with these settings, around an app whose answers have these fields."""

    name: str
    settings: dict[str, Any]
    asked: tuple[Asked, ...]
    answer: dict[str, str] = {}  # noqa: RUF012 (it is never changed)


def get(expected: Expected, origin: str | None = PAGE, **more: str) -> Asked:
    fields = {} if origin is None else {"origin": origin}
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return Asked("GET", {**fields, **named}, {"status": 200, **expected})


def preflight(
    expected: Expected,
    names: str | None = None,
    *,
    origin: str = PAGE,
    method: str = "GET",
    private: bool = False,
) -> Asked:
    fields = {"origin": origin, "access-control-request-method": method}
    if names is not None:
        fields["access-control-request-headers"] = names
    if private:
        fields["access-control-request-private-network"] = "true"
    return Asked("OPTIONS", fields, {"status": 200, **expected})


def has(*names: str) -> frozenset[str]:
    return frozenset(names)


_ECHOED: Final[Expected] = {ACAO: PAGE, ACAC: "true"}
_SAFELISTED: Final = ("accept", "accept-language", "content-language", "content-type")
_METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
_NAMED: Final = {"allow_origins": [PAGE]}
_ANY: Final = {"allow_origins": ["*"]}
_ACCEPT_ENCODING: Final = {"vary": "Accept-Encoding"}

SITUATIONS: Final = (
    Situation(
        "every origin, method and header, with credentials",
        {
            **_ANY,
            "allow_headers": ["*"],
            "allow_methods": ["*"],
            "expose_headers": ["X-Status"],
            "allow_credentials": True,
        },
        (
            preflight({**_ECHOED, ACAH: has("x-example"), "vary": has("origin")}, "X-Example"),
            get({**_ECHOED, ACEH: has("x-status")}),
            get({**_ECHOED, ACEH: has("x-status")}, cookie="star_cookie=sugar"),
            get({ACAO: None}, None),
        ),
    ),
    Situation(
        "every origin, method and header, without credentials",
        {**_ANY, "allow_headers": ["*"], "allow_methods": ["*"], "expose_headers": ["X-Status"]},
        (
            preflight({ACAO: "*", ACAC: None, ACAH: has("x-example")}, "X-Example"),
            get({ACAO: "*", ACAC: None, ACEH: has("x-status")}),
            get({ACAO: None}, None),
        ),
    ),
    Situation(
        "one origin, and two headers",
        {**_NAMED, "allow_headers": ["X-Example", "Content-Type"]},
        (
            preflight(
                {ACAO: PAGE, ACAC: None, ACAH: has(*_SAFELISTED, "x-example")},
                "X-Example, Content-Type",
            ),
            get({ACAO: PAGE, ACAC: None}),
            get({ACAO: None}, None),
        ),
    ),
    Situation(
        "preflights that are refused",
        {**_NAMED, "allow_headers": ["X-Example"]},
        (
            preflight(
                {"status": 400, ACAO: None},
                "X-Nope",
                origin="https://another.org",
                method="POST",
            ),
            preflight({"status": 400}, "X-Nope-1, X-Nope-2"),
        ),
    ),
    Situation(
        "a preflight where every origin is allowed, with credentials",
        {**_ANY, "allow_methods": ["POST"], "allow_credentials": True},
        (preflight({**_ECHOED, "vary": has("origin")}, method="POST"),),
    ),
    Situation(
        "a preflight where every method is allowed",
        {**_ANY, "allow_methods": ["*"]},
        (preflight({ACAM: has(*map(str.lower, _METHODS))}, method="POST"),),
    ),
    Situation(
        "calls with each method where every method is allowed",
        {**_ANY, "allow_methods": ["*"]},
        tuple(Asked(method, {"origin": PAGE}, {"status": 200}) for method in _METHODS),
    ),
    Situation(
        "an expression for every https origin, with credentials",
        {
            "allow_origin_regex": "https://.*",
            "allow_headers": ["X-Example", "Content-Type"],
            "allow_credentials": True,
        },
        (
            get(_ECHOED),
            get(_ECHOED, cookie="star_cookie=sugar"),
            get({ACAO: None}, "http://example.org"),
            preflight(
                {
                    ACAO: "https://another.com",
                    ACAC: "true",
                    ACAH: has(*_SAFELISTED, "x-example"),
                },
                "X-Example, content-type",
                origin="https://another.com",
            ),
            preflight({"status": 400, ACAO: None}, "X-Example", origin="http://another.com"),
        ),
    ),
    Situation(
        "an expression, and an origin that goes on after it",
        {
            "allow_origin_regex": r"https://.*\.example.org",
            "allow_headers": ["X-Example", "Content-Type"],
        },
        (
            get({ACAO: "https://sub.example.org", ACAC: None}, "https://sub.example.org"),
            get({ACAO: None}, "https://sub.example.org.hacker.com"),
        ),
    ),
    Situation("`vary` of a call", _NAMED, (get({"vary": has("origin")}),)),
    Situation(
        "the app's own `vary`, where every origin is allowed",
        _ANY,
        (get({"vary": has("accept-encoding")}),),
        _ACCEPT_ENCODING,
    ),
    Situation(
        "the app's own `vary`, where every origin is allowed, with credentials",
        {**_ANY, "allow_credentials": True},
        (get({"vary": has("accept-encoding", "origin")}),),
        _ACCEPT_ENCODING,
    ),
    Situation(
        "the app's own `vary`, where one origin is allowed",
        _NAMED,
        (get({"vary": has("accept-encoding", "origin")}),),
        _ACCEPT_ENCODING,
    ),
    Situation(
        "an allowed origin, another one, and the allowed one again",
        _NAMED,
        (get({ACAO: PAGE}), get({ACAO: None}, "https://other.org"), get({ACAO: PAGE})),
    ),
    Situation(
        "private networks, allowed",
        {**_ANY, "allow_methods": ["*"], "allow_private_network": True},
        (
            preflight({ACAPN: "true"}, private=True),
            preflight({ACAPN: None}),
            get(
                {ACAPN: None, ACAO: "*"},
                access_control_request_method="GET",
                access_control_request_private_network="true",
            ),
        ),
    ),
    Situation(
        "private networks, not allowed",
        {**_ANY, "allow_methods": ["*"], "allow_private_network": False},
        (
            preflight({ACAPN: None}),
            preflight({"status": 400, ACAPN: None}, private=True),
        ),
    ),
)
