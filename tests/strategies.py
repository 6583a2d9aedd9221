"""Hypothesis strategies: policies as plain data, origins, and requests, including hostile ones."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Final

from hypothesis import strategies as st

from meshcors.browser import Request
from tests.drivers import METHODS
from tests.vectors import APPS, Call

# Each pattern with origins that it matches, and no other pattern does.
MATCHES: Final[Mapping[str, tuple[str, ...]]] = {
    "https://ui.example": ("https://ui.example",),
    "https://ui.example:8443": ("https://ui.example:8443",),
    "http://127.0.0.1:3000": ("http://127.0.0.1:3000",),
    "http://[::1]:*": ("http://[::1]", "http://[::1]:3000"),
    "http://localhost:*": ("http://localhost", "http://localhost:5173"),
    "https://*.example.com": ("https://a.example.com", "https://c.b.a.example.com"),
    "https://*.example.org:*": ("https://a.example.org", "https://b.a.example.org:8443"),
    "regex:https://[a-z]+\\.corp\\.test": ("https://ui.corp.test", "https://admin.corp.test"),
    "null": ("null",),
}
NEVER_MATCHED: Final = (
    "https://evil.example",
    "https://example.com",
    "https://evilexample.com",
    "https://ui.example.evil.example",
    "http://ui.example",
    "http://localhost.evil.example:5173",
    "https://ui.corp.test.evil.example",
)
KEY_VALUES: Final = ("xyz", "second key", "k=3;q")
EXEMPT: Final = ("/healthz", "/public/*")
PATHS: Final = (
    *("/", "/v1/predict", "//v1", "/healthz", "/healthz/", "/public/x", "/public/../x"),
    *("/public//x", "/publicity", "/p\u00e4th/\u4e16", "/a b", "/%2e%2e/x"),
)
NAMES: Final = ("x-a", "X-B", "authorization", "content-type", "x-trace-id")

_label = st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,6}[a-z0-9_])?", fullmatch=True)
# With a number as its last label it would be an IP address.
_host = st.builds(
    lambda labels, last: ".".join([*labels, last]),
    st.lists(_label, max_size=4),
    st.from_regex(r"[a-z]{2,8}", fullmatch=True),
)
_ip = st.one_of(
    st.ip_addresses(v=4).map(str),
    # How Python writes IPv4-mapped addresses depends on its version.
    st.ip_addresses(v=6)
    .filter(lambda ip: isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is None)
    .map(lambda ip: f"[{ip}]"),
)


@st.composite
def patterns(draw: st.DrawFn) -> str:
    """A pattern of origins, as people write it."""
    scheme = draw(st.sampled_from(["https", "http", "app", "chrome-extension"]))
    default = {"https": 443, "http": 80}.get(scheme)
    port = st.integers(1, 65535).filter(lambda number: number != default).map(lambda n: f":{n}")
    if draw(st.booleans()):
        return f"{scheme}://*.{draw(_host)}{draw(st.sampled_from(['', ':*']) | port)}"
    host = draw(_host | _ip)
    return f"{scheme}://{host}{draw(st.sampled_from(['', ':*']) | port)}"


@st.composite
def keys(draw: st.DrawFn) -> dict[str, Any]:
    """A key as plain data; its values are any printable text that a header can have."""
    value = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=","))
    made: dict[str, Any] = {"name": draw(st.sampled_from(["model-api-key", "X-Api-Key"]))}
    if draw(st.booleans()):
        known = st.sampled_from(KEY_VALUES)
        made["values"] = draw(
            st.lists(known | value.filter(bool), min_size=1, max_size=4, unique=True)
        )
    made["exempt_paths"] = draw(st.lists(st.sampled_from(EXEMPT), unique=True))
    return made


@st.composite
def policies(draw: st.DrawFn, *, generated_origins: bool = True) -> dict[str, Any]:
    """A valid policy, as plain data (see `vectors.POLICIES`)."""
    credentials = draw(st.booleans())
    pattern = st.sampled_from(list(MATCHES))
    if generated_origins:
        pattern |= patterns()
    origins = draw(st.lists(pattern, min_size=1, max_size=4, unique=True))
    if not credentials and draw(st.integers(0, 4)) == 0:
        origins = ["*"]
    methods = ["PUT", "DELETE", "PATCH", "QUERY", "*"]
    exposed = ["x-model", "etag", *([] if credentials else ["*"])]
    return {
        "allow_origins": [
            {"regex": each.removeprefix("regex:")} if each.startswith("regex:") else each
            for each in origins
        ],
        "allow_methods": draw(st.lists(st.sampled_from(methods), unique=True)),
        "allow_headers": draw(st.lists(st.sampled_from([*NAMES, "*"]), unique=True)),
        "expose_headers": draw(st.lists(st.sampled_from(exposed), unique=True)),
        "allow_credentials": credentials,
        "max_age": draw(st.none() | st.integers(0, 7200)),
        "allow_private_network": draw(st.booleans()),
        "key": draw(st.none() | keys()),
        "dangerously_allow_null_origin": "null" in origins,
        "dangerously_allow_insecure_origins": credentials,
        "dangerously_allow_public_suffixes": credentials,
    }


_hostile = st.text(st.characters(max_codepoint=255), max_size=40)
_name_list = st.lists(
    st.sampled_from([*NAMES, "", " ", "accept", "X-API-KEY", "model-api-key", "*", "b d"])
).map(",".join)


def _lines(name: str, values: st.SearchStrategy[str], most: int) -> st.SearchStrategy[Any]:
    return st.lists(st.tuples(st.just(name), values | _hostile), max_size=most)


def matched_by(options: Mapping[str, Any]) -> list[str]:
    """Return origins that the policy allows, at least one."""
    matched: list[str] = []
    for pattern in options["allow_origins"]:
        text = f"regex:{pattern['regex']}" if isinstance(pattern, dict) else pattern
        generated = text.replace("://*.", "://a.").replace(":*", ":8081")
        matched += ["https://any.example"] if text == "*" else MATCHES.get(text, (generated,))
    return matched


@st.composite
def situations(draw: st.DrawFn, *, websocket: bool = False) -> tuple[dict[str, Any], Call]:
    """A policy, and a request that it may allow."""
    options = draw(policies())
    return options, draw(calls(matched_by(options), websocket=websocket))


@st.composite
def calls(draw: st.DrawFn, matched: list[str], *, websocket: bool = False) -> Call:
    """A request: often a preflight, and often from one of the `matched` origins."""
    others = [*(origin for origins in MATCHES.values() for origin in origins), *NEVER_MATCHED]
    origin = st.sampled_from(matched) | st.sampled_from([*others, f" {matched[0]}"])
    long = st.integers(0, 6000).map(lambda size: ("x-a," * size)[:size])
    key = st.sampled_from([*KEY_VALUES, "abc", ""])
    lines = [
        *draw(_lines("origin", origin, 1) | _lines("origin", origin, 2)),
        *draw(_lines("access-control-request-method", st.sampled_from([*METHODS, "get"]), 2)),
        *draw(_lines("access-control-request-headers", _name_list | long, 3)),
        *draw(_lines("access-control-request-private-network", st.just("true"), 2)),
        *draw(_lines("model-api-key", key, 2)),
        *draw(_lines("x-api-key", key, 1)),
        *draw(_lines("model_api_key", key, 1)),
        *draw(_lines("x-other", _hostile, 1)),
    ]
    handshake = websocket and draw(st.booleans())
    return Call(
        method="GET" if handshake else draw(st.just("OPTIONS") | st.sampled_from(METHODS)),
        path=draw(st.sampled_from(PATHS)),
        headers=(("host", "api.example"), *draw(st.permutations(lines))),
        websocket=handshake,
        denial=draw(st.booleans()),
    )


@st.composite
def visits(draw: st.DrawFn) -> list[Call]:
    """Requests for one URL from few origins and with few keys, so that some are alike."""
    origins = [("https://ui.example",), ("https://a.example.com",), (NEVER_MATCHED[0],), ()]
    keyed = [("xyz",), ("second key",), ("abc",), ()]
    made = st.builds(
        lambda method, origin, key: Call(
            method,
            headers=(
                *(("origin", value) for value in origin),
                *(("model-api-key", value) for value in key),
            ),
        ),
        st.sampled_from(["GET", "GET", "HEAD"]),
        st.sampled_from(origins),
        st.sampled_from(keyed),
    )
    return draw(st.lists(made, min_size=2, max_size=5))


behaviours: Final = st.sampled_from(list(APPS))


_VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "x-a": ("1",),
    "x-b": ("1",),
    "x-other": ("1",),
    "authorization": ("Bearer t",),
    "content-type": ("application/json", "text/plain"),
    "accept": ('"', "*/*"),
    "range": ("bytes=-1", "bytes=0-1"),
    "model-api-key": ("xyz", "abc"),
}


@st.composite
def pages(draw: st.DrawFn, *, url: str) -> tuple[dict[str, Any], Request]:
    """A policy, and a call by a script that it often allows."""
    options = draw(policies(generated_origins=False))
    known = {name.lower() for name in options["allow_headers"]} & _VALUES.keys()
    likely = ["accept", "content-type", "range", "authorization"]
    names = draw(
        st.lists(st.sampled_from([*sorted(known), *likely]), unique=True, max_size=3)
        | st.lists(st.sampled_from(list(_VALUES)), unique=True, max_size=3)
    )
    listed = [method for method in options["allow_methods"] if method != "*"]
    origin = st.sampled_from(matched_by(options)) | st.sampled_from(NEVER_MATCHED)
    others = [origin for origins in MATCHES.values() for origin in origins]
    credentials = ["omit", "include"] if options["allow_credentials"] else ["omit", "omit"]
    page = Request(
        draw(origin | origin | st.sampled_from(others)),
        url,
        draw(
            st.sampled_from(["GET", "HEAD", "POST", *listed])
            | st.sampled_from(["PUT", "DELETE", "PATCH", "QUERY", "patch", "REPORT"])
        ),
        [(name, draw(st.sampled_from(_VALUES[name]))) for name in names],
        draw(st.sampled_from([*credentials, "include"])),
    )
    return options, page
