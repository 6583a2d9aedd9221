"""What a browser does with a server's answers: (request, answers, verdict), as plain data.

`CASES` is judged by the model in tests/test_browser.py and put to real browsers in
tests/e2e/test_browser_matrix.py, from the same rows. There the three origins below become origins
on loopback, by plain replacement of their text; nothing in a row may hang on their length.

Where an engine does not follow the standard, tests/browser_departures.py says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from meshcors.browser import Request, Response, Verdict, follow, judge, preflight_for

PAGE = "https://ui.example"
API = "https://api.example"
OTHER = "https://other.example"

ACAO = "access-control-allow-origin"
ACAC = "access-control-allow-credentials"
ACAM = "access-control-allow-methods"
ACAH = "access-control-allow-headers"
ACMA = "access-control-max-age"

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Answers:
    """The answers of a server at one URL, to preflight and request; None: it hangs up."""

    preflight: Response | None
    response: Response | None


@dataclass(frozen=True)
class Case:
    """A request, the answers at its URL and at those it is redirected to, and the verdict.

    ``id`` is the path of the URL too; the n-th redirect leads to ``/id/n``.
    """

    id: str
    request: Request
    answers: tuple[Answers, ...]
    code: str = "allowed"
    step: str = "response"
    field: str = ""

    def at(self, origins: Mapping[str, str]) -> Case:
        """The same case with each origin of ``origins`` replaced, in every text."""
        moved = moving(origins)

        def answer(response: Response | None) -> Response | None:
            if response is None:
                return None
            return Response(response.status, [(n, moved(v)) for n, v in response.headers])

        request = replace(
            self.request, origin=moved(self.request.origin), url=moved(self.request.url)
        )
        answers = tuple(Answers(answer(a.preflight), answer(a.response)) for a in self.answers)
        return replace(self, request=request, answers=answers)


def moving(origins: Mapping[str, str]) -> Callable[[str], str]:
    """Replace origins in texts, those in upper case as well."""

    def moved(text: str) -> str:
        for old, new in origins.items():
            text = text.replace(old, new).replace(old.upper(), new.upper())
        return text

    return moved


GRANT = Response(204, [(ACAO, "*"), (ACAM, "*"), (ACAH, "*")])
READABLE = Response(200, [(ACAO, "*")])
FIELDS = {"acao": ACAO, "acac": ACAC, "methods": ACAM, "headers": ACAH}


def _case(
    name: str,
    code: str = "allowed",
    field: str | None = None,
    *,
    step: str = "preflight",
    origin: str = PAGE,
    url: str = API,
    method: str = "PUT",
    headers: Mapping[str, str] | Pairs = (),
    credentials: str = "omit",
    preflight: Response | None = GRANT,
    response: Response | None = READABLE,
    then: tuple[Answers, ...] = (),
) -> Case:
    request = Request(origin, f"{url}/{name}", method, headers, credentials)
    if field is None:
        field = FIELDS.get(code.partition("_")[0], "") if "not_allowed" not in code else ""
    step = "response" if code == "allowed" else step
    return Case(name, request, (Answers(preflight, response), *then), code, step, field)


# --- The CORS check, on the preflight's answer and on the request's ------------------------------
# name: allow-origin lines, allow-credentials lines, credentials mode, code
CHECKS: dict[str, tuple[list[str], list[str], str, str]] = {
    "star": (["*"], [], "omit", "allowed"),
    "star-same-origin-mode": (["*"], [], "same-origin", "allowed"),
    "star-spaces": ([" * "], [], "omit", "allowed"),
    "origin": ([PAGE], [], "omit", "allowed"),
    "origin-spaces": ([f"  {PAGE}\t "], [], "omit", "allowed"),
    "origin-acac-ignored": ([PAGE], ["false"], "omit", "allowed"),
    "missing": ([], [], "omit", "acao_missing"),
    "missing-with-acac": ([], ["true"], "include", "acao_missing"),
    "empty": ([""], [], "omit", "acao_mismatch"),
    "other": ([OTHER], [], "omit", "acao_mismatch"),
    "null-for-page": (["null"], [], "omit", "acao_mismatch"),
    "slash": ([f"{PAGE}/"], [], "omit", "acao_mismatch"),
    "path": ([f"{PAGE}/app"], [], "omit", "acao_mismatch"),
    "upper": ([PAGE.upper()], [], "omit", "acao_mismatch"),
    "lookalike": (["https://evil-ui.example"], [], "omit", "acao_mismatch"),
    "scheme-like": (["localhost:3000"], [], "omit", "acao_mismatch"),
    "scheme-only": (["https://"], [], "omit", "acao_mismatch"),
    "user-info": (["https://user@ui.example"], [], "omit", "acao_mismatch"),
    "port-too-high": (["https://ui.example.org:99999"], [], "omit", "acao_mismatch"),
    "port-no-number": (["https://ui.example.org:port"], [], "omit", "acao_mismatch"),
    "ipv6": (["http://[::1]:3000"], [], "omit", "acao_mismatch"),
    "ipv6-broken": (["http://[::1"], [], "omit", "acao_mismatch"),
    "angle": (["<https://ui.example.org>"], [], "omit", "acao_mismatch"),
    "angle-in-host": (["https://<ui>.example.org"], [], "omit", "acao_mismatch"),
    "no-scheme": ([PAGE.partition("//")[2]], [], "omit", "acao_mismatch"),
    "pattern": (["https://*.example"], [], "omit", "acao_mismatch"),
    "quoted": ([f'"{PAGE}"'], [], "omit", "acao_mismatch"),
    "word": (["true"], [], "omit", "acao_mismatch"),
    "list": ([f"{PAGE}, {OTHER}"], [], "omit", "acao_multiple"),
    "list-by-space": ([f"{PAGE} {OTHER}"], [], "omit", "acao_mismatch"),
    "lines": ([PAGE, OTHER], [], "omit", "acao_multiple"),
    "lines-same": ([PAGE, PAGE], [], "omit", "acao_multiple"),
    "lines-star": (["*", "*"], [], "omit", "acao_multiple"),
    "star-and-origin": (["*", PAGE], [], "omit", "acao_multiple"),
    "trailing-comma": ([f"{PAGE},"], [], "omit", "acao_multiple"),
    "cred": ([PAGE], ["true"], "include", "allowed"),
    "cred-spaces": ([PAGE], [" true "], "include", "allowed"),
    "cred-star": (["*"], ["true"], "include", "acao_wildcard_with_credentials"),
    "cred-star-no-acac": (["*"], [], "include", "acao_wildcard_with_credentials"),
    "cred-other": ([OTHER], ["true"], "include", "acao_mismatch"),
    "cred-lines": ([PAGE, PAGE], ["true"], "include", "acao_multiple"),
    "cred-no-acac": ([PAGE], [], "include", "acac_not_true"),
    "cred-acac-empty": ([PAGE], [""], "include", "acac_not_true"),
    "cred-acac-false": ([PAGE], ["false"], "include", "acac_not_true"),
    "cred-acac-title": ([PAGE], ["True"], "include", "acac_not_true"),
    "cred-acac-upper": ([PAGE], ["TRUE"], "include", "acac_not_true"),
    "cred-acac-one": ([PAGE], ["1"], "include", "acac_not_true"),
    "cred-acac-list": ([PAGE], ["true, true"], "include", "acac_not_true"),
    "cred-acac-lines": ([PAGE], ["true", "true"], "include", "acac_not_true"),
}


def _checks() -> Iterator[Case]:
    passing = [(ACAO, PAGE), (ACAC, "true")]
    for name, (origins, credentials, mode, code) in CHECKS.items():
        lines = [*((ACAO, v) for v in origins), *((ACAC, v) for v in credentials)]
        yield _case(
            f"response-{name}",
            code,
            step="response",
            method="GET",
            credentials=mode,
            response=Response(200, lines),
        )
        yield _case(
            f"preflight-{name}",
            code,
            credentials=mode,
            preflight=Response(204, [*lines, (ACAM, "PUT")]),
            response=Response(200, passing),
        )


# --- Statuses ------------------------------------------------------------------------------------

PREFLIGHT_STATUSES = {
    **dict.fromkeys((200, 202, 204, 206, 226, 299), "allowed"),
    # 300 and 304 are not redirects, and neither is a redirect without a Location
    **dict.fromkeys((300, 302, 304, 307, 400, 401, 403, 404, 405, 500, 503), "preflight_not_ok"),
}
RESPONSE_STATUSES = (201, 204, 206, 300, 302, 400, 401, 404, 422, 500, 503)


def _statuses() -> Iterator[Case]:
    grant = [(ACAO, "*"), (ACAM, "PUT")]
    for status, code in PREFLIGHT_STATUSES.items():
        yield _case(f"preflight-status-{status}", code, preflight=Response(status, grant))
    for status in (301, 302, 303, 307, 308):
        lines = [*grant, ("location", f"{API}/preflight-redirect-{status}/1")]
        redirect = Response(status, lines)
        yield _case(
            f"preflight-redirect-{status}", "preflight_redirect", "location", preflight=redirect
        )
    bare = Response(307, [("location", "/login")])
    yield _case("preflight-redirect-bare", "preflight_redirect", "location", preflight=bare)
    # the CORS check comes before the status
    yield _case("preflight-404-bare", "acao_missing", preflight=Response(404, []))
    yield _case("preflight-500-other", "acao_mismatch", preflight=Response(500, [(ACAO, OTHER)]))
    yield _case(
        "preflight-404-methods", "preflight_not_ok", preflight=Response(404, [*grant, (ACAM, "@")])
    )
    for status in RESPONSE_STATUSES:
        response = Response(status, [(ACAO, "*")])
        yield _case(f"response-status-{status}", response=response)
    yield _case("response-404-bare", "acao_missing", step="response", response=Response(404, []))
    yield _case("response-500-bare", "acao_missing", step="response", response=Response(500, []))


# --- Methods: name: method, allow-methods lines, credentials mode, code --------------------------

METHODS: dict[str, tuple[str, list[str], str, str]] = {
    "get": ("GET", [], "omit", "allowed"),
    "head": ("HEAD", [], "omit", "allowed"),
    "post": ("POST", [], "omit", "allowed"),
    "post-lower": ("post", [], "omit", "allowed"),
    "put": ("PUT", ["PUT"], "omit", "allowed"),
    "put-lower": ("put", ["PUT"], "omit", "allowed"),
    "delete-mixed": ("DeLeTe", ["GET,DELETE"], "omit", "allowed"),
    "options": ("OPTIONS", ["OPTIONS"], "omit", "allowed"),
    "patch": ("PATCH", ["PATCH"], "omit", "allowed"),
    "patch-lower-both": ("patch", ["patch"], "omit", "allowed"),
    "patch-lower": ("patch", ["PATCH"], "omit", "method_not_allowed"),
    "patch-lower-listed": ("PATCH", ["patch"], "omit", "method_not_allowed"),
    "put-lower-listed": ("PUT", ["put"], "omit", "method_not_allowed"),
    "custom": ("CHICKEN", ["CHICKEN"], "omit", "allowed"),
    "custom-lower": ("chicken", ["CHICKEN"], "omit", "method_not_allowed"),
    "no-list": ("PUT", [], "omit", "method_not_allowed"),
    "empty-list": ("PUT", [""], "omit", "method_not_allowed"),
    "other-listed": ("PUT", ["GET, POST"], "omit", "method_not_allowed"),
    "prefix-listed": ("PUT", ["PUTT, PU"], "omit", "method_not_allowed"),
    "lines": ("PUT", ["GET", "PUT"], "omit", "allowed"),
    "empty-elements": ("PUT", [",GET,, ,PUT,"], "omit", "allowed"),
    "tabs": ("PUT", ["GET\t,\tPUT"], "omit", "allowed"),
    "star": ("PUT", ["*"], "omit", "allowed"),
    "star-same-origin-mode": ("PUT", ["*"], "same-origin", "allowed"),
    "star-custom": ("chicken", ["*"], "omit", "allowed"),
    "star-in-list": ("PUT", ["GET, *"], "omit", "allowed"),
    "star-cred": ("PUT", ["*"], "include", "method_not_allowed"),
    "star-and-put-cred": ("PUT", ["*, PUT"], "include", "allowed"),
    "star-cred-star-method": ("*", ["*"], "include", "allowed"),
    "put-cred": ("PUT", ["PUT"], "include", "allowed"),
    "malformed-space": ("PUT", ["GET PUT"], "omit", "methods_malformed"),
    "malformed-slash": ("PUT", ["PUT, GET/POST"], "omit", "methods_malformed"),
    "malformed-quotes": ("PUT", ['"PUT"'], "omit", "methods_malformed"),
    "malformed-semicolon": ("PUT", ["PUT; GET"], "omit", "methods_malformed"),
    "malformed-brackets": ("PUT", ["[PUT]"], "omit", "methods_malformed"),
    "malformed-second-line": ("PUT", ["PUT", "@"], "omit", "methods_malformed"),
    "malformed-star": ("PUT", ["*, @"], "omit", "methods_malformed"),
}


def _methods() -> Iterator[Case]:
    for name, (method, lines, mode, code) in METHODS.items():
        grant = [(ACAO, PAGE), (ACAC, "true")]
        yield _case(
            f"method-{name}",
            code,
            Request(PAGE, API, method).method if code == "method_not_allowed" else None,
            method=method,
            credentials=mode,
            preflight=Response(200, [*grant, *((ACAM, line) for line in lines)]),
            response=Response(200, grant),
        )
    # safelisted methods never need listing, whatever made the preflight necessary
    for method in ("GET", "HEAD", "POST"):
        preflight = Response(200, [(ACAO, "*"), (ACAM, "PUT"), (ACAH, "x-a")])
        yield _case(
            f"method-{method}-unlisted", method=method, headers={"x-a": "1"}, preflight=preflight
        )


# --- Allowed headers: name: headers, allow-headers lines, credentials mode, code, field -----------

HEADERS: dict[str, tuple[dict[str, str], list[str], str, str, str]] = {
    "none": ({"x-a": "1"}, [], "omit", "header_not_allowed", "x-a"),
    "empty": ({"x-a": "1"}, [""], "omit", "header_not_allowed", "x-a"),
    "listed": ({"x-a": "1"}, ["x-a"], "omit", "allowed", ""),
    "listed-upper": ({"x-a": "1"}, ["X-A"], "omit", "allowed", ""),
    "sent-upper": ({"X-A": "1"}, ["x-a"], "omit", "allowed", ""),
    "key": ({"model-api-key": "xyz"}, ["Model-API-Key"], "omit", "allowed", ""),
    "key-missing": (
        {"model-api-key": "xyz"},
        ["content-type"],
        "omit",
        "header_not_allowed",
        "model-api-key",
    ),
    "several": ({"x-b": "1", "x-a": "2"}, ["x-b,x-a"], "omit", "allowed", ""),
    "one-of-several": ({"x-b": "1", "x-a": "2"}, ["x-a"], "omit", "header_not_allowed", "x-b"),
    "two-missing": ({"x-b": "1", "x-a": "2"}, ["x-c"], "omit", "header_not_allowed", "x-a"),
    "first-is-authorization": (
        {"x-b": "1", "authorization": "2", "accept-x": "3"},
        ["x-c"],
        "omit",
        "header_not_allowed",
        "accept-x",
    ),
    "prefix": ({"x-ab": "1"}, ["x-a"], "omit", "header_not_allowed", "x-ab"),
    "lines": ({"x-a": "1", "x-b": "2"}, ["x-a", "X-B"], "omit", "allowed", ""),
    "empty-elements": ({"x-a": "1"}, [", ,x-b,,x-a,"], "omit", "allowed", ""),
    "json": ({"content-type": "application/json"}, ["content-type"], "omit", "allowed", ""),
    "json-unlisted": (
        {"content-type": "application/json"},
        ["x-a"],
        "omit",
        "header_not_allowed",
        "content-type",
    ),
    "star": ({"x-a": "1"}, ["*"], "omit", "allowed", ""),
    "star-in-list": ({"x-a": "1"}, ["x-b, *"], "omit", "allowed", ""),
    "star-cred": ({"x-a": "1"}, ["*"], "include", "header_not_allowed", "x-a"),
    "star-and-name-cred": ({"x-a": "1"}, ["*, x-a"], "include", "allowed", ""),
    "star-cred-star-name": ({"*": "1"}, ["*"], "include", "allowed", ""),
    "authorization": ({"authorization": "Bearer 1"}, ["authorization"], "omit", "allowed", ""),
    "authorization-star": (
        {"authorization": "Bearer 1"},
        ["*"],
        "omit",
        "header_not_allowed",
        "authorization",
    ),
    "authorization-star-both": (
        {"authorization": "1", "x-a": "1"},
        ["*, Authorization"],
        "omit",
        "allowed",
        "",
    ),
    "authorization-star-cred": (
        {"authorization": "1"},
        ["*"],
        "include",
        "header_not_allowed",
        "authorization",
    ),
    "authorization-cred": ({"authorization": "1"}, ["authorization"], "include", "allowed", ""),
    "malformed-space": ({"x-a": "1"}, ["x-a x-b"], "omit", "headers_malformed", ACAH),
    "malformed-colon": ({"x-a": "1"}, ["x-a:"], "omit", "headers_malformed", ACAH),
    "malformed-quotes": ({"x-a": "1"}, ['"x-a"'], "omit", "headers_malformed", ACAH),
    "malformed-second-line": ({"x-a": "1"}, ["x-a", "(x)"], "omit", "headers_malformed", ACAH),
    "malformed-star": ({"x-a": "1"}, ["*, x b"], "omit", "headers_malformed", ACAH),
    "underscore": ({"x_a": "1"}, ["x_a"], "omit", "allowed", ""),
    "user-agent": ({"user-agent": "me"}, ["user-agent"], "omit", "allowed", ""),
}


def _headers() -> Iterator[Case]:
    grant = [(ACAO, PAGE), (ACAC, "true")]
    for name, (headers, lines, mode, code, field) in HEADERS.items():
        yield _case(
            f"header-{name}",
            code,
            field,
            method="GET",
            headers=headers,
            credentials=mode,
            preflight=Response(200, [*grant, *((ACAH, line) for line in lines)]),
            response=Response(200, grant),
        )
    # malformed lists matter even if nothing in them is needed: methods first, then the status
    both = [(ACAO, "*"), (ACAM, "@"), (ACAH, "@")]
    yield _case("malformed-both", "methods_malformed", preflight=Response(200, both))
    unneeded = [(ACAO, "*"), (ACAM, "PUT"), (ACAH, "@")]
    yield _case("malformed-unneeded", "headers_malformed", preflight=Response(200, unneeded))
    # the method is checked before the headers
    neither = Response(200, [(ACAO, "*")])
    yield _case(
        "method-before-header", "method_not_allowed", "PUT", headers={"x-a": "1"}, preflight=neither
    )


# --- Safelisted headers: name: headers, whether a preflight is needed ----------------------------

LONG = "a" * 128
SAFELIST: dict[str, tuple[Pairs, bool]] = {
    "accept": ([("accept", "application/json;q=0.9, */*")], False),
    "accept-128": ([("accept", LONG)], False),
    "accept-129": ([("accept", LONG + "a")], True),
    "accept-quotes": ([("accept", 'text/plain;x="1"')], True),
    "accept-tab": ([("accept", "a\tb")], False),
    "accept-latin1": ([("accept", "\xe9")], False),
    "accept-spaces-trimmed": ([("accept", "  " + LONG + "  ")], False),
    **{
        f"accept-byte-{ord(byte):02x}": ([("accept", f"a{byte}b")], True)
        for byte in '\x01\x7f"():<>?@[\\]{}'
    },
    "accept-language": ([("accept-language", "en-GB, en;q=0.5, *")], False),
    "accept-language-slash": ([("accept-language", "en/GB")], True),
    "accept-language-tab": ([("accept-language", "en\tGB")], True),
    "accept-language-129": ([("accept-language", LONG + "a")], True),
    "content-language": ([("content-language", "de-CH")], False),
    "content-language-underscore": ([("content-language", "de_CH")], True),
    "form": ([("content-type", "application/x-www-form-urlencoded")], False),
    "multipart": ([("content-type", "multipart/form-data; boundary=x")], False),
    "text": ([("content-type", "text/plain")], False),
    "text-upper": ([("content-type", "TEXT/Plain;charset=UTF-8")], False),
    "text-space": ([("content-type", "text/plain ; a=b")], False),
    "text-params": ([("content-type", "text/plain;;; =;a")], False),
    "text-quoted": ([("content-type", 'text/plain; a="b"')], True),
    "text-129": ([("content-type", "text/plain; a=" + LONG)], True),
    "text-list": ([("content-type", "text/plain, application/json")], True),
    "json": ([("content-type", "application/json")], True),
    "html": ([("content-type", "text/html")], True),
    "no-subtype": ([("content-type", "text")], True),
    "empty-type": ([("content-type", "")], True),
    "slash-only": ([("content-type", "/plain")], True),
    "range-from": ([("range", "bytes=0-")], False),
    "range-both": ([("range", "bytes=10-20")], False),
    "range-one": ([("range", "bytes=5-5")], False),
    "range-backwards": ([("range", "bytes=20-10")], True),
    "range-suffix": ([("range", "bytes=-5")], True),
    "range-none": ([("range", "bytes=-")], True),
    "range-several": ([("range", "bytes=0-1,3-4")], True),
    "range-spaces": ([("range", "bytes=0 - 1")], True),
    "range-unit": ([("range", "lines=0-1")], True),
    "range-upper": ([("range", "Bytes=0-1")], True),
    "total-1024": (
        [("accept", LONG)] * 4 + [("accept-language", LONG)] * 2 + [("content-language", LONG)] * 2,
        False,
    ),
    "total-1025": (
        [("accept", LONG)] * 4
        + [("accept-language", LONG)] * 2
        + [("content-language", LONG)] * 2
        + [("accept-language", "a")],
        True,
    ),
    "empty-values": ([("accept", ""), ("accept-language", ""), ("content-language", "")], False),
    "x-header": ([("x-a", "")], True),
    "dpr": ([("dpr", "2")], True),
    "save-data": ([("save-data", "on")], True),
    "cache-control": ([("cache-control", "no-cache")], True),
    "if-none-match": ([("if-none-match", "1")], True),
    "x-requested-with": ([("x-requested-with", "XMLHttpRequest")], True),
    "last-event-id": ([("last-event-id", "1")], True),
}

# Dropped before they count, because scripts cannot set them.
FORBIDDEN = [
    ("accept-charset", "utf-8"),
    ("accept-encoding", "gzip"),
    ("access-control-request-headers", "x-a"),
    ("access-control-request-method", "PUT"),
    ("access-control-request-private-network", "true"),
    ("connection", "close"),
    ("content-length", "0"),
    ("cookie", "a=b"),
    ("cookie2", "a=b"),
    ("date", "now"),
    ("dnt", "1"),
    ("expect", "100-continue"),
    ("host", "evil.example"),
    ("keep-alive", "1"),
    ("origin", "https://evil.example"),
    ("proxy-anything", "1"),
    ("referer", "https://evil.example"),
    ("sec-anything", "1"),
    ("set-cookie", "a=b"),
    ("te", "trailers"),
    ("trailer", "x"),
    ("transfer-encoding", "chunked"),
    ("upgrade", "h2c"),
    ("via", "1.1 x"),
    ("x-http-method-override", "TRACE"),
    ("x-http-method", "get, connect"),
    ("x-method-override", "track"),
]


def _safelist() -> Iterator[Case]:
    grant = Response(200, [(ACAO, "*"), (ACAH, "*")])
    for name, (headers, _) in SAFELIST.items():
        yield _case(
            f"safelist-{name}",
            method="GET",
            headers=headers,
            preflight=grant,
        )
    for name, value in FORBIDDEN:
        yield _case(f"forbidden-{name}", method="GET", headers={name: value})
    yield _case(
        "safelist-override-harmless",
        method="GET",
        headers={"x-http-method-override": "PUT"},
        preflight=grant,
    )
    # GET and POST with nothing special: no preflight, whatever the credentials mode
    for mode in ("omit", "same-origin"):
        for method in ("GET", "HEAD", "POST"):
            yield _case(f"simple-{method}-{mode}", method=method, credentials=mode)


# --- Origins: opaque ones, and the page's own ----------------------------------------------------

NULLS: dict[str, tuple[list[str], str, str]] = {
    "star": (["*"], "omit", "allowed"),
    "null": (["null"], "omit", "allowed"),
    "null-cred": (["null"], "include", "allowed"),
    "star-cred": (["*"], "include", "acao_wildcard_with_credentials"),
    "upper": (["NULL"], "omit", "acao_mismatch"),
    "page": ([PAGE], "omit", "acao_mismatch"),
    "missing": ([], "omit", "acao_missing"),
    "lines": (["null", "null"], "omit", "acao_multiple"),
}


def _origins() -> Iterator[Case]:
    for name, (origins, mode, code) in NULLS.items():
        lines = [*((ACAO, v) for v in origins), (ACAC, "true")]
        yield _case(
            f"null-response-{name}",
            code,
            step="response",
            origin="null",
            method="GET",
            credentials=mode,
            response=Response(200, lines),
        )
        yield _case(
            f"null-preflight-{name}",
            code,
            origin="null",
            credentials=mode,
            preflight=Response(200, [*lines, (ACAM, "PUT")]),
            response=Response(200, [(ACAO, "null"), (ACAC, "true")]),
        )
    for method, headers in {
        "GET": {},
        "POST": {"content-type": "application/json"},
        "PUT": {"x-a": "1"},
        "patch": {"authorization": "1"},
    }.items():
        yield _case(
            f"same-origin-{method}",
            url=PAGE,
            method=method,
            headers=headers,
            credentials="include",
            response=Response(200, []),
        )
    yield _case("same-origin-404", url=PAGE, method="GET", response=Response(404, []))


# --- No answer -----------------------------------------------------------------------------------


def _network() -> Iterator[Case]:
    yield _case("network-preflight", "network_error", preflight=None)
    yield _case("network-response", "network_error", step="response", response=None)
    yield _case("network-simple", "network_error", step="response", method="GET", response=None)
    yield _case(
        "network-same-origin",
        "network_error",
        step="response",
        url=PAGE,
        method="GET",
        response=None,
    )


# --- Redirects of the request itself -------------------------------------------------------------


def _redirects() -> Iterator[Case]:
    grant = Response(204, [(ACAO, "*"), (ACAM, "PUT"), (ACAH, "x-a, authorization, content-type")])
    end = Answers(grant, Response(200, [(ACAO, "*")]))

    def to(url: str, status: int = 307, allow: str | None = "*") -> Response:
        return Response(status, [("location", url), *([(ACAO, allow)] if allow else [])])

    def case(name: str, where: str, code: str = "allowed", **more: Any) -> Case:
        name = f"redirect-{name}"
        status = more.pop("status", 307)
        allow = more.pop("allow", "*")
        more = {"method": "GET", "step": "response", "then": (end,), "preflight": grant, **more}
        response = to(f"{where}/{name}/1", status, allow)
        return _case(name, code, response=response, **more)

    yield case("same-host", API)
    yield case("relative", "")
    yield case("unpermitted", API, "acao_missing", allow=None)
    yield case("other-host", OTHER)
    bare = Answers(None, Response(200, []))
    yield case("to-missing", API, "acao_missing", then=(bare,))
    exact = Answers(grant, Response(200, [(ACAO, PAGE)]))
    yield case("tainted", OTHER, "acao_mismatch", then=(exact,))
    null = Answers(grant, Response(200, [(ACAO, "null")]))
    yield case("tainted-null", OTHER, then=(null,))
    yield case("home", PAGE, then=(null,))
    yield case("home-unpermitted", PAGE, "acao_missing", then=(bare,))
    yield case("away", API, url=PAGE, allow=None, then=(exact,))
    yield case("away-put", API, url=PAGE, allow=None, method="PUT", then=(end,))
    yield case("within-page", PAGE, url=PAGE, allow=None, then=(bare,))
    for status in (301, 302, 303, 307, 308):
        for method in ("GET", "POST", "PUT"):
            yield case(
                f"{status}-{method}",
                API,
                status=status,
                method=method,
                headers={"content-type": "application/json"},
            )
    yield case("authorization", OTHER, headers={"authorization": "1", "x-a": "1"})
    yield case("authorization-same-host", API, headers={"authorization": "1"})
    refusing = Answers(Response(404, []), None)
    yield case(
        "preflight-again",
        OTHER,
        "acao_missing",
        step="preflight",
        headers={"x-a": "1"},
        then=(refusing,),
    )
    userinfo = API.replace("://", "://user:password@")
    yield case("user-info", userinfo, "network_error", field="location")
    yield case("scheme", "ftp://files.example", "network_error", field="location")
    yield case("data", "data:text/plain,", "network_error", field="location")
    yield case("unparsable", "https://[", "network_error", field="location")
    yield case(
        "twice-unpermitted",
        API,
        "acao_missing",
        then=(Answers(grant, to(f"{OTHER}/redirect-twice-unpermitted/2")), bare),
    )
    yield case("twice", API, then=(Answers(grant, to(f"{OTHER}/redirect-twice/2")), null))


CASES: tuple[Case, ...] = tuple(
    case
    for table in (_checks, _statuses, _methods, _headers, _safelist, _origins, _network, _redirects)
    for case in table()
)


@dataclass
class Played:
    """What the model does with a case: its verdict, and what it sends before.

    A preflight is its method, its names and its origin; a request its method and its origin, which
    is None where CORS does not apply.
    """

    verdict: Verdict
    preflights: list[tuple[str, str, str]]
    requests: list[tuple[str, str | None]]


def play(case: Case) -> Played:
    """Let the model judge a case, following redirects."""
    request = case.request
    preflights: list[tuple[str, str, str]] = []
    requests: list[tuple[str, str | None]] = []
    for answers in case.answers:
        if (fields := preflight_for(request)) is not None:
            sent = dict(fields)
            names = sent.get("access-control-request-headers", "")
            preflights.append((sent["access-control-request-method"], names, sent["origin"]))
        verdict = judge(request, preflight=answers.preflight, response=answers.response)
        if verdict.step == "preflight":
            return Played(verdict, preflights, requests)
        requests.append((request.method, None if request.is_same_origin else request.origin))
        redirected = follow(request, answers.response) if verdict.allowed else None
        if redirected is None:
            return Played(verdict, preflights, requests)
        request = redirected
    raise AssertionError(f"{case.id} redirects once too often")


# --- The preflight cache: two requests to one URL, one after the other ---------------------------


@dataclass(frozen=True)
class CacheCase:
    """Two requests to one URL, the first allowed; ``covered``: the second needs no preflight."""

    id: str
    first: Request
    preflight: Response
    second: Request
    covered: bool

    def at(self, origins: Mapping[str, str]) -> CacheCase:
        """The same case with each origin of ``origins`` replaced."""
        moved = moving(origins)
        first, second = (
            replace(request, origin=moved(request.origin), url=moved(request.url))
            for request in (self.first, self.second)
        )
        lines = [(name, moved(value)) for name, value in self.preflight.headers]
        return replace(self, first=first, second=second, preflight=Response(204, lines))


# name: max-age lines, first call, second call, whether the second is covered; a call is
# method, headers, credentials mode, what follows the path
Call = tuple[str, dict[str, str], str, str]
PUT: Call = ("PUT", {}, "omit", "")
CACHE: dict[str, tuple[list[str], Call, Call, bool]] = {
    "default": ([], PUT, PUT, True),
    "zero": (["0"], PUT, PUT, False),
    "long": (["600"], PUT, PUT, True),
    "huge": (["99999999999999999999"], PUT, PUT, True),
    "malformed": (["10m"], PUT, PUT, True),
    "negative": (["-1"], PUT, PUT, True),
    "lines": (["0", "0"], PUT, PUT, True),
    "value": (["60"], ("GET", {"x-a": "1"}, "omit", ""), ("GET", {"x-a": "2"}, "omit", ""), True),
    "other-name": (
        ["60"],
        ("GET", {"x-a": "1"}, "omit", ""),
        ("GET", {"x-b": "1"}, "omit", ""),
        True,
    ),
    "unlisted-name": (
        ["60"],
        ("GET", {"x-a": "1"}, "omit", ""),
        ("GET", {"x-z": "1"}, "omit", ""),
        False,
    ),
    "other-method": (["60"], PUT, ("DELETE", {}, "omit", ""), True),
    "unlisted-method": (["60"], PUT, ("PATCH", {}, "omit", ""), False),
    "safelisted-method": (
        ["60"],
        ("GET", {"x-a": "1"}, "omit", ""),
        ("POST", {"x-a": "1"}, "omit", ""),
        True,
    ),
    "method-and-name": (["60"], PUT, ("PUT", {"x-a": "1"}, "omit", ""), True),
    "more-credentials": (["60"], PUT, ("PUT", {}, "include", ""), False),
    "fewer-credentials": (["60"], ("PUT", {}, "include", ""), PUT, True),
    "same-origin-mode": (["60"], PUT, ("PUT", {}, "same-origin", ""), True),
    "query": (["60"], PUT, ("PUT", {}, "omit", "?a=b"), False),
}


def _cache() -> Iterator[CacheCase]:
    grant = [(ACAO, PAGE), (ACAC, "true"), (ACAM, "PUT, DELETE"), (ACAH, "x-a, X-B")]
    wide = [(ACAO, "*"), (ACAM, "*"), (ACAH, "*")]

    def request(name: str, call: Call) -> Request:
        method, headers, mode, query = call
        return Request(PAGE, f"{API}/cache-{name}{query}", method, headers, mode)

    for name, (ages, first, second, covered) in CACHE.items():
        preflight = Response(204, [*grant, *((ACMA, age) for age in ages)])
        calls = request(name, first), request(name, second)
        yield CacheCase(f"cache-{name}", calls[0], preflight, calls[1], covered)
    for name, first, second, covered in (
        ("star-method", PUT, ("PATCH", {}, "omit", ""), True),
        ("star-name", ("GET", {"x-a": "1"}, "omit", ""), ("GET", {"x-z": "1"}, "omit", ""), True),
    ):
        calls = request(name, first), request(name, second)
        preflight = Response(204, [*wide, (ACMA, "60")])
        yield CacheCase(f"cache-{name}", calls[0], preflight, calls[1], covered)


CACHE_CASES: tuple[CacheCase, ...] = tuple(_cache())
