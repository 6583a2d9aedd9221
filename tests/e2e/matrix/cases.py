"""The requests of the matrix, and what a policy exempts, written a second time for the tests.

Nothing here uses the library: a judge must not share its mistakes.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from tests.e2e.matrix.wire import HANDSHAKE, Request

# Paths that everybody reads alike, and that need a key.
PLAIN = ("/public/x", "/healthz", "/admin", "/admin/x", "/v1/predict", "/public", "/")
CLOSED = ("/admin", "/admin/x", "/v1/predict", "/public")

# Raw targets. {b} is where the app is mounted, {c} a path that needs the key.
TARGETS = (
    # as they are meant to be
    "{b}/public/x",
    "{b}/healthz",
    "{b}{c}",
    "{b}/",
    "{b}",
    # no slash, absolute form, authority form, asterisk form
    "{b}public/x",
    "public/x",
    "healthz",
    "x:{b}{c}",
    "x:{b}/public/x",
    "http:{b}{c}",
    "http://api.example{b}{c}",
    "http://api.example{b}/public/x",
    "http://open.example{b}{c}",
    "http://u@api.example:80{b}{c}",
    "HTTP://API.EXAMPLE{b}{c}",
    "http://api.example",
    "http:///{b}{c}",
    "api.example:80",
    "*",
    # encoded letters, once and twice
    "{b}/%70ublic/x",
    "{b}/%70%75%62%6c%69%63/..{c}",
    "{b}/%2570ublic/x",
    "{b}/%61dmin/x",
    "%2fpublic/x",
    # encoded slashes
    "{b}/public%2Fx",
    "{b}%2Fpublic%2Fx",
    "{b}/public%2F..{c}",
    "{b}/public%252Fx",
    "{b}%2fadmin%2fx",
    # dot segments, plain and encoded
    "{b}/public/..{c}",
    "{b}/public/x/../..{c}",
    "{b}/public/.{c}",
    "{b}/./public/x",
    "{b}/public/%2e%2e{c}",
    "{b}/public/%2E%2E%2fadmin",
    "{b}/public/%252e%252e{c}",
    "{b}/public/.%2e{c}",
    "{b}/public/..",
    "{b}/public/.",
    "{b}/healthz/..{c}",
    "{b}/admin/../public/x",
    "..{b}{c}",
    "./public/x",
    "{b}/public/..\\admin",
    "{b}/public/..%5cadmin",
    "{b}/public\\..\\admin",
    "\\public\\x",
    # empty segments
    "/{b}{c}",
    "/{b}/public/x",
    "{b}/{c}",
    "{b}//public/x",
    "{b}/public/{c}",
    "{b}/public//x",
    "//api.example{b}{c}",
    "///{b}{c}",
    "{b}/public/%2f{c}",
    "{b}/admin//x",
    # the end of a prefix
    "{b}/public",
    "{b}/public/",
    "{b}/publicx",
    "{b}/public./x",
    "{b}/public%20/x",
    "{b}/healthz/",
    "{b}/healthzx",
    "{b}/healthz%20",
    "{b}/healthz%0a",
    "{b}/admin/",
    # parameters, query, fragment
    "{b}/public/..;{c}",
    "{b}/public;x{c}",
    "{b}/public;/x",
    "{b}/;/public/x",
    "{b}{c};/public/x",
    "{b}/healthz;x",
    "{b}/healthz;{c}",
    "{b}{c}?/public/x",
    "{b}{c}%3f/public/x",
    "{b}/public/x?{c}",
    "{b}/public/x%3f/..{c}",
    "{b}{c}#/public/x",
    "{b}/public/x#{c}",
    "{b}/public/#/..{c}",
    "?{b}/public/x",
    "#{b}/public/x",
    # letter case
    "{b}/PUBLIC/x",
    "{b}/Healthz",
    "{b}/Admin/x",
    # NUL, control characters, what is not UTF-8, or not the shortest
    "{b}/public/%00{c}",
    "{b}/healthz%00",
    "{b}/healthz%00{c}",
    "{b}{c}%00/public/x",
    "{b}/public/\x00{c}",
    "{b}/healthz\x00",
    "{b}/public/%0d%0a{c}",
    "{b}/public/%09",
    "{b}/public/\t{c}",
    "{b}/public/%7f",
    "{b}/public/%ff",
    "{b}/%ff/public/x",
    "{b}/public/\xff",
    "{b}\xff/public/x",
    "{b}/healthz%ff",
    "{b}/adm%ffin/x",
    "{b}/public/%c0%ae%c0%ae{c}",
    "{b}/public%c0%afx",
    "{b}/public/\u2024\u2024{c}",
    "{b}/public/%e2%80%a4%e2%80%a4{c}",
    "{b}/public/%ef%bc%8e%ef%bc%8e{c}",
    "{b}/public/%85",
    "{b}/public/%c2%85",
    "{b}/public/%ed%a0%80",
    # broken escapes
    "{b}/public/%",
    "{b}/public/%zz{c}",
    "{b}/public/%u002e%u002e{c}",
    "{b}/%",
    # length
    "{b}/public/" + "a/" * 500,
    "{b}/public/" + "../" * 500 + "admin/x",
)

# Headers from which some server or framework takes a root path.
ROOT_FIELDS = (
    *(b"SCRIPT_NAME: " + value for value in (b"/public", b"/pub", b"/admin", b"/", b"public")),
    *(b"Daphne-Root-Path: " + value for value in (b"/public", b"/admin", b"/", b"%2fadmin", b"a")),
    b"X-Forwarded-Prefix: /public",
    b"X-Forwarded-Prefix: /admin",
)
# Where a root path occurs in the path: before it, in it, and in it before another one.
ROOT_TARGETS = ("/public/x", "/public/admin/x", "/admin/public/x", "/public/admin/admin/x")
# Headers in which proxies send a path or a host, or that look like them.
PROXY_FIELDS = (
    b"PATH_INFO: /public/x",
    b"Script-Name: /public",
    b"X-Script-Name: /public",
    b"Root-Path: /admin",
    b"X-Forwarded-Path: /public/x",
    b"X-Original-URL: /public/x",
    b"X-Rewrite-URL: /public/x",
    b"X-Forwarded-Host: open.example",
    b"X-Forwarded-Host: open.example, api.example",
    b"X-Forwarded-Port: x",
    b"X-Forwarded-Server: open.example",
    b"Forwarded: host=open.example",
    b"X-Folded: a\r\n Host: open.example",
)
# Wrong keys, incomplete preflights, folded lines (RFC 9112 5.2).
KEY_FIELDS = (
    b"X-HTTP-Method-Override: OPTIONS",
    b"Origin: https://ui.example",
    b"X-Folded: a\r\n\tx-key: right",
    b"x-key : right",
    b" x-key: right",
    b"x_key: wrong",
    b"x-key\x00: right",
    b"x-key: wrong",
    b"x-key:",
    b"x-key: RIGHT",
    b"x-key: right,right",
    b"x-key: right\r\nx-key: right",
    b"x-key: wrong\r\nx-key: right",
    b"x-key: right\r\nx-key: wrong",
    b"x-key: ri\r\n ght",
    b"x-key: right\x00",
    b"x-key: %72ight",
)
METHODS = (b"OPTIONS", b"HEAD", b"POST", b"get", b"CONNECT", b"X")

# Lines of the Host field, and the version of HTTP where it is another.
HOSTS: tuple[tuple[bytes, ...], ...] = (
    (b"api.example",),
    (b"open.example",),
    (b"other.example",),
    (),
    (b"",),
    (b" ",),
    *(
        (host + junk,)
        for host in (b"api.example", b"open.example")
        for junk in (
            *(
                b".",
                b"..",
                b":80",
                b":",
                b":0",
                b":080",
                b":x",
                b":80:80",
                b":65536",
                b":-1",
                b": 80",
                b".:80",
            ),
            *(
                b",",
                b", ",
                b",api.example",
                b",open.example",
                b"/",
                b"/v1",
                b"?",
                b"#",
                b"\\",
                b"%00",
            ),
            *(
                b"\x00",
                b"\xff",
                b"\x0b",
                b"%2e",
                b";",
                b"@",
                b" x",
                b"\t",
                b".x",
                b":80@api.example",
            ),
        )
    ),
    (b"u@api.example",),
    (b"open.example@api.example",),
    (b"api.example@open.example",),
    (b"API.EXAMPLE",),
    (b"Open.Example:80",),
    (b".open.example",),
    (b"a..open.example",),
    (b"%6fpen.example",),
    (b"open%2eexample",),
    (b"http://open.example",),
    (b"[::1]",),
    (b"[::1]:80",),
    (b"[open.example]",),
    (b"::1",),
    (b"127.0.0.1",),
    (b"open.example" + b"x" * 400,),
    (b"a." * 200 + b"open.example",),
    (b"open.example", b"api.example"),
    (b"api.example", b"open.example"),
    (b"api.example", b"api.example"),
    (b"open.example", b"open.example"),
    (b"", b"open.example"),
    (b"open.example", b""),
)


@dataclass(frozen=True)
class Case:
    """A request, and the policy of the app that gets it."""

    policy: str
    request: Request


def cases(at: str, *, root: bool) -> Iterator[Case]:
    """Yield the requests without a valid key for an app that is mounted at `at`.

    For a server with a `root` path, and for a mounted app, only those for which that may make a
    difference: how the path is read.
    """
    for number, target in enumerate(TARGETS):
        closed = CLOSED[number % len(CLOSED)]
        yield Case("exempt", Request(raw(target.format(b=at, c=closed))))
    for field in ROOT_FIELDS:
        for target in ROOT_TARGETS:
            yield Case("exempt", Request(raw(at + target), fields=(field,)))
    if at or root:
        # Past the mount, or as if a proxy had removed it.
        for target in (*PLAIN, "/public/public/x", "/publicpublic/x"):
            yield Case("exempt", Request(raw(target)))
    if root:
        return
    for field in PROXY_FIELDS:
        yield Case("exempt", Request(raw(at + "/admin/x"), fields=(field,)))
        yield Case("rules", Request(raw(at + "/v1/predict"), fields=(field,)))
    if at:
        return
    for target in TARGETS:
        yield Case("rules", Request(raw(target.format(b=at, c="/v1/predict"))))
    for field in KEY_FIELDS:
        yield Case("exempt", Request(b"/admin/x", fields=(field,)))
        yield Case("rules", Request(b"/v1/predict", fields=(field,)))
    for method in METHODS:
        yield Case("exempt", Request(b"/admin/x", method=method))
        yield Case("rules", Request(b"/v1/predict", method=method))
        yield Case("rules", Request(b"*", method=method))
    for lines in HOSTS:
        yield Case("rules", Request(b"/public/x", lines))
        yield Case("rules", Request(b"/v1/predict", lines))
        if len(b"".join(lines)) <= len(b"api.example"):
            yield Case("rules", Request(b"http://open.example/v1/predict", lines))
            # HTTP/1.0 may leave it out.
            yield Case("rules", Request(b"/v1/predict", lines, version=b"HTTP/1.0"))


def handshakes(at: str) -> Iterator[Request]:
    """Yield WebSocket handshakes without a valid key, for an app that is mounted at `at`."""
    for number, target in enumerate(TARGETS):
        closed = CLOSED[number % len(CLOSED)]
        yield Request(raw(target.format(b=at, c=closed)), fields=HANDSHAKE)
    for field in ROOT_FIELDS:
        for target in ROOT_TARGETS:
            yield Request(raw(at + target), fields=(field, *HANDSHAKE))


def raw(target: str) -> bytes:
    """Return a target's bytes: latin-1, or UTF-8 for other characters."""
    try:
        return target.encode("latin-1")
    except UnicodeEncodeError:
        return target.encode()


# --- what is open: the same policies as in `apps`, as anybody would read them


def is_exempt(policy: str, endpoint: str, path: str, host: str) -> bool:
    """Tell whether a policy exempts what an app routed to: `endpoint`, by `path` and `host`."""
    if policy == "exempt":
        return endpoint in ("healthz", "public") and is_open_path(path)
    if named(host) == "open.example":
        return True
    plain = is_plain(path) and (path == "/public" or path.startswith("/public/"))
    return named(host) == "api.example" and plain and endpoint in ("public", "public itself")


def is_open_path(path: str) -> bool:
    """Tell whether the policy with exempt paths exempts what an app routes on `path`."""
    return is_plain(path) and (path == "/healthz" or path.startswith("/public/"))


def is_plain(path: str) -> bool:
    return posixpath.normpath(path) == (path.rstrip("/") or "/") and path.isprintable()


def named(host: str) -> str:
    """Return the name in a framework's host, without port, blanks and upper case."""
    return host.strip().lower().partition(":")[0].removesuffix(".")


# --- what must be served

_RIGHT = (b"x-key: right",)
# For a policy: the path on which the app routes, the host, the headers, and the endpoint that
# answers, or the reason why none does.
_SERVED: tuple[tuple[str, str, bytes, tuple[bytes, ...], str], ...] = (
    ("exempt", "/public/x", b"api.example", (), "public"),
    ("exempt", "/%70ublic/x", b"", (), "public"),
    ("exempt", "/public/x/y", b"api.example", (b"x-key: wrong",), "public"),
    ("exempt", "/healthz", b"api.example", (), "healthz"),
    ("exempt", "/admin/x", b"api.example", (), "key_missing"),
    ("exempt", "/admin/x", b"api.example", (b"x-key: wrong",), "key_unknown"),
    ("exempt", "/admin/x", b"api.example", _RIGHT, "below admin"),
    ("exempt", "/v1/predict", b"", _RIGHT, "v1"),
    ("exempt", "/public", b"api.example", _RIGHT, "public itself"),
    # The rule for /v1 covers it, so the key is missing.
    ("rules", "/v1/predict", b"api.example", (), "key_missing"),
    ("rules", "/v1/predict", b"api.example:80", (b"x-key: wrong",), "key_unknown"),
    ("rules", "/v1/predict", b"api.example", _RIGHT, "v1"),
    ("rules", "/v1/predict", b"API.example.:443", (), "key_missing"),
    ("rules", "/v1/predict", b"api.example:443", _RIGHT, "v1"),
    ("rules", "/public/x", b"api.example", (), "public"),
    ("rules", "/public", b"api.example", (), "public itself"),
    ("rules", "/admin/x", b"open.example", (), "below admin"),
    ("rules", "/admin/x", b"api.example", _RIGHT, "no_rule"),
    ("rules", "/v1/predict", b"other.example", _RIGHT, "no_rule"),
    ("rules", "/v1x", b"api.example", _RIGHT, "no_rule"),
)


def served_cases(at: str) -> Iterator[tuple[str, Request, str]]:
    """Yield what an app at `at` must answer: the policy, the request, the endpoint or reason."""
    for policy, path, host, fields, expected in _SERVED:
        yield policy, Request(raw(at + path), (host or b"api.example",), fields), expected
