"""The model of the browser, by its table; tests/e2e/test_browser_matrix.py asks real browsers."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcors.browser import (
    MAX_AGE_CAPS,
    PreflightCache,
    Request,
    Response,
    follow,
    judge,
    judge_response,
    preflight_for,
)
from tests.browser_cases import (
    ACAC,
    ACAH,
    ACAM,
    ACAO,
    ACMA,
    API,
    CACHE_CASES,
    CASES,
    FORBIDDEN,
    OTHER,
    PAGE,
    SAFELIST,
    CacheCase,
    Case,
    Pairs,
    play,
)
from tests.browser_departures import DEPARTURES

DOCS = Path(__file__).parent.parent / "docs" / "browser.md"
CODES = {
    "allowed",
    "network_error",
    "preflight_redirect",
    "acao_missing",
    "acao_multiple",
    "acao_mismatch",
    "acao_wildcard_with_credentials",
    "acac_not_true",
    "preflight_not_ok",
    "methods_malformed",
    "headers_malformed",
    "method_not_allowed",
    "header_not_allowed",
}


# --- The table -----------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
def test_a_row_has_its_verdict(case: Case) -> None:
    verdict = play(case).verdict
    assert (verdict.code, verdict.step, verdict.field) == (case.code, case.step, case.field)
    assert verdict.allowed is (case.code == "allowed")
    assert bool(verdict.messages["chromium"]) is not verdict.allowed


def test_the_table_covers_every_code() -> None:
    assert {case.code for case in CASES} == CODES
    assert len({case.id for case in CASES}) == len(CASES)
    known = {case.id for case in (*CASES, *CACHE_CASES)}
    assert {case_id for case_id, _ in DEPARTURES} <= known


@pytest.mark.parametrize(
    ("headers", "needed"), [pytest.param(*row, id=name) for name, row in SAFELIST.items()]
)
def test_a_header_needs_permission_or_not(headers: Pairs, needed: bool) -> None:
    request = Request(PAGE, API, headers=headers)
    assert (preflight_for(request) is not None) is needed


@pytest.mark.parametrize(("name", "value"), FORBIDDEN)
def test_a_script_cannot_set_a_forbidden_header(name: str, value: str) -> None:
    request = Request(PAGE, API, headers={name: value, name.upper(): value, "x-a": "1"})
    assert request.headers == (("x-a", "1"),)


# --- The whole messages, for one case of each ----------------------------------------------------

FETCH = f"Access to fetch at '{API}/v1' from origin '{PAGE}' has been blocked by CORS policy: "
CHECK = "Response to preflight request doesn't pass access control check: "
BLOCKED = (
    "Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote resource at "
)
CANNOT = f"Fetch API cannot load {API}/v1 due to access control checks."


def test_the_words_for_a_gateway_that_answers_404_to_the_preflight() -> None:
    request = Request(PAGE, f"{API}/v1", "POST", {"model-api-key": "xyz"})
    verdict = judge(request, preflight=Response(404, []), response=None)
    assert (verdict.code, verdict.step, verdict.field) == ("acao_missing", "preflight", ACAO)
    assert verdict.messages == {
        "chromium": f"{FETCH}{CHECK}No 'Access-Control-Allow-Origin' header is present on the "
        "requested resource.",
        "firefox": f"{BLOCKED}{API}/v1. (Reason: CORS header \u2018Access-Control-Allow-Origin"
        "\u2019 missing). Status code: 404.",
        "safari": f"Preflight response is not successful. Status code: 404\n{CANNOT}",
    }


def test_the_words_for_a_missing_header_name() -> None:
    request = Request(PAGE, f"{API}/v1", "POST", {"model-api-key": "xyz"})
    verdict = judge(request, preflight=Response(200, {ACAO: "*", ACAH: "content-type"}))
    assert (verdict.code, verdict.field) == ("header_not_allowed", "model-api-key")
    assert verdict.messages == {
        "chromium": f"{FETCH}Request header field model-api-key is not allowed by "
        "Access-Control-Allow-Headers in preflight response.",
        "firefox": f"{BLOCKED}{API}/v1. (Reason: header \u2018model-api-key\u2019 is not allowed "
        "according to header \u2018Access-Control-Allow-Headers\u2019 from CORS preflight "
        "response).",
        "safari": "Request header field model-api-key is not allowed by "
        f"Access-Control-Allow-Headers.\n{CANNOT}",
    }


def test_the_words_for_a_star_with_credentials() -> None:
    request = Request(PAGE, f"{API}/v1", credentials="include")
    verdict = judge(request, response=Response(200, {ACAO: "*", ACAC: "true"}))
    assert verdict.code == "acao_wildcard_with_credentials"
    assert verdict.messages["firefox"] == (
        f"{BLOCKED}\u2018{API}/v1\u2019. (Reason: Credential is not supported if the CORS header "
        "\u2018Access-Control-Allow-Origin\u2019 is \u2018*\u2019)."
    )


def test_the_words_for_an_error_page_without_headers() -> None:
    verdict = judge(Request(PAGE, f"{API}/v1"), response=Response(500))
    assert verdict.messages == {
        "chromium": f"{FETCH}No 'Access-Control-Allow-Origin' header is present on the "
        "requested resource.",
        "firefox": f"{BLOCKED}{API}/v1. (Reason: CORS header \u2018Access-Control-Allow-Origin"
        "\u2019 missing). Status code: 500.",
        "safari": f"Origin {PAGE} is not allowed by Access-Control-Allow-Origin. Status code: 500\n"
        f"{CANNOT}",
    }


@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param("null", "has a value 'null'", id="null"),
        pytest.param(f"{PAGE}/", f"has a value '{PAGE}/'", id="slash"),
        pytest.param("localhost:3000", "has a value 'localhost:3000'", id="reads as a scheme"),
        pytest.param("ui.example", "contains the invalid value 'ui.example'", id="no scheme"),
        pytest.param("", "contains the invalid value ''", id="empty"),
        pytest.param("https://", "contains the invalid value 'https://'", id="no host"),
        pytest.param("https://a:b", "contains the invalid value 'https://a:b'", id="port"),
        pytest.param("https://<a>", "contains the invalid value 'https://<a>'", id="no host name"),
        pytest.param(f"{PAGE} x", f"contains multiple values '{PAGE} x'", id="space"),
        pytest.param(f"{PAGE},x", f"contains multiple values '{PAGE},x'", id="comma"),
    ],
)
def test_chromium_tells_wrong_values_apart(value: str, words: str) -> None:
    verdict = judge(Request(PAGE, f"{API}/v1"), response=Response(200, {ACAO: value}))
    assert verdict.messages["chromium"].startswith(
        f"{FETCH}The 'Access-Control-Allow-Origin' header {words}"
    )


def test_after_a_redirect_chromium_names_the_page_and_the_first_url() -> None:
    request = Request(PAGE, f"{API}/v1")
    moved = follow(request, Response(307, {ACAO: "*", "location": f"{OTHER}/v2"}))
    assert moved is not None
    verdict = judge(moved, response=Response(200))
    assert verdict.messages["chromium"].startswith(
        f"Access to fetch at '{OTHER}/v2' (redirected from '{API}/v1') from origin '{PAGE}' has"
    )


def test_no_answer_at_the_pages_own_origin_is_nothing_to_firefox() -> None:
    verdict = judge(Request(PAGE, f"{PAGE}/v1"))
    assert verdict.messages == {
        "chromium": "Failed to load resource: net::ERR_…",
        "firefox": "",
        "safari": "Failed to load resource: …",
    }


def test_firefox_names_the_redirect_of_a_preflight_only_if_the_origin_is_right() -> None:
    request = Request(PAGE, f"{API}/v1", "PUT")
    bare, granting = (
        judge(request, preflight=Response(308, {"location": "/v1/", **headers}))
        for headers in ({}, {ACAO: "*"})
    )
    assert bare.code == granting.code == "preflight_redirect"
    assert "missing). Status code: 308." in bare.messages["firefox"]
    assert "external redirect not allowed" in granting.messages["firefox"]
    assert bare.messages["chromium"] == granting.messages["chromium"]


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        pytest.param([("x-b", "1"), ("x-a", "1")], "x-b", id="as the script sets them"),
        pytest.param([("x-b", "1"), ("etag", "1")], "ETag", id="names that it knows come first"),
        pytest.param([("x-b", "1"), ("x-listed", "1")], "x-b", id="an allowed one is none of them"),
    ],
)
def test_safari_names_a_refused_header(headers: Pairs, named: str) -> None:
    request = Request(PAGE, f"{API}/v1", headers=headers)
    verdict = judge(request, preflight=Response(204, {ACAO: "*", ACAH: "x-listed"}))
    assert verdict.messages["safari"].startswith(f"Request header field {named} is not allowed by")


def test_safari_quotes_the_whole_list_in_which_something_is_wrong() -> None:
    answer = Response(204, [(ACAO, "*"), (ACAM, "GET"), (ACAM, "PUT POST")])
    verdict = judge(Request(PAGE, f"{API}/v1", "PUT"), preflight=answer)
    assert verdict.messages["safari"].startswith(
        "Header Access-Control-Allow-Methods has an invalid value: GET, PUT POST\n"
    )


@pytest.mark.parametrize(
    ("location", "target"),
    [
        pytest.param("/v2", f"{API}/v2", id="joined"),
        pytest.param("http://[::1", "…", id="no URL"),
        pytest.param("/v2?token=secret#secret", f"{API}/v2?…", id="query"),
        pytest.param("https://a:secret@other.example", OTHER, id="user info"),
    ],
)
def test_safari_names_where_a_redirect_without_a_grant_leads(location: str, target: str) -> None:
    answer = Response(307, {"location": location})
    verdict = judge(Request(PAGE, f"{API}/v1"), response=answer)
    assert verdict.messages["safari"] == (
        f"Cross-origin redirection to {target} denied by Cross-Origin Resource Sharing policy: "
        f"Origin {PAGE} is not allowed by Access-Control-Allow-Origin. Status code: 307\n{CANNOT}"
    )


def test_braces_in_what_a_server_sends_are_only_text() -> None:
    request = Request(PAGE, f"{API}/{{field}}")
    verdict = judge(request, response=Response(200, {ACAO: "https://{value}{0}"}))
    assert "'https://{value}{0}'" in verdict.messages["chromium"]
    assert f"{API}/{{field}}. " in verdict.messages["firefox"]
    assert f"{API}/{{field}} due" in verdict.messages["safari"]


# --- Requests ------------------------------------------------------------------------------------


def test_the_preflight_of_the_first_example() -> None:
    headers = {"Content-Type": "application/json", "Model-API-Key": "xyz", "accept": "*/*"}
    request = Request("https://ui.example", "https://api.example/v1/predict", "post", headers)
    assert preflight_for(request) == (
        ("accept", "*/*"),
        ("access-control-request-headers", "content-type,model-api-key"),
        ("access-control-request-method", "POST"),
        ("origin", "https://ui.example"),
    )


def test_announced_names_are_sorted_unique_and_joined_by_bare_commas() -> None:
    headers = [(f"X-{letter}", "1") for letter in "qwertyuiopasdfghjklzxcvbnmqwerty"]
    fields = dict(preflight_for(Request(PAGE, API, headers=headers)) or ())
    expected = ",".join(f"x-{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")
    assert fields["access-control-request-headers"] == expected


def test_a_request_is_kept_normalized() -> None:
    request = Request(PAGE, "HTTPS://API.example:443?q=1#part", "put", {"X-A": " 1\t"})
    assert (request.url, request.method) == ("https://api.example/?q=1", "PUT")
    assert request.headers == (("x-a", "1"),)
    assert request == replace(request)
    assert Request(PAGE, f"{PAGE}:443/x").is_same_origin
    assert not Request(PAGE, f"{PAGE}:8443/x").is_same_origin
    assert Request("http://[::1]:3000", "http://[0::1]:3000/").url == "http://[0::1]:3000/"
    assert Request("http://[::1]:3000", "http://[::1]:3000/").is_same_origin


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"method": "TRACE"}, id="forbidden method"),
        pytest.param({"method": "connect"}, id="forbidden method in lower case"),
        pytest.param({"method": "GET POST"}, id="method is no token"),
        pytest.param({"method": ""}, id="no method"),
        pytest.param({"headers": {"x a": "1"}}, id="header name is no token"),
        pytest.param({"headers": {"x-a": "1\r\nx-b: 2"}}, id="line break in a value"),
        pytest.param({"headers": {"x-a": "\u20ac"}}, id="value is no byte string"),
        pytest.param({"origin": f"{PAGE}/"}, id="origin with a path"),
        pytest.param({"origin": "*"}, id="origin is a pattern"),
        pytest.param({"url": "/v1"}, id="relative URL"),
        pytest.param({"url": "ftp://api.example/"}, id="other scheme"),
        pytest.param({"url": "https://"}, id="no host"),
        pytest.param({"url": "https://[::1/"}, id="broken address"),
        pytest.param({"url": "https://api.example:99999/"}, id="port too high"),
        pytest.param({"url": "https://me:secret@api.example/"}, id="user info"),
        pytest.param({"credentials": "always"}, id="unknown mode"),
    ],
)
def test_what_fetch_refuses_is_no_request(arguments: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"^(?!.*secret)"):
        Request(**{"origin": PAGE, "url": API, **arguments})


# --- Redirects -----------------------------------------------------------------------------------


def test_a_redirect_taints_the_origin_and_leaves_authorization_behind() -> None:
    headers = {"authorization": "1", "content-type": "application/json"}
    request = Request(PAGE, f"{API}/v1", "POST", headers)
    moved = follow(request, Response(302, {"location": f"{OTHER}/v2#part"}))
    assert moved is not None
    assert (moved.origin, moved.url, moved.method) == ("null", f"{OTHER}/v2", "GET")
    assert moved.headers == ()
    assert moved.redirected_from == request
    again = follow(moved, Response(307, {"location": "v3"}))
    assert again is not None
    assert (again.origin, again.url, again.redirected_from) == ("null", f"{OTHER}/v3", request)


@pytest.mark.parametrize(
    ("status", "method", "becomes"),
    [
        *((status, method, method) for status in (307, 308) for method in ("HEAD", "POST", "PUT")),
        *((status, "POST", "GET") for status in (301, 302, 303)),
        *((status, "PUT", "PUT") for status in (301, 302)),
        *((status, "HEAD", "HEAD") for status in (301, 302, 303)),
        (303, "PUT", "GET"),
    ],
)
def test_a_redirect_keeps_the_method_or_makes_it_get(
    status: int, method: str, becomes: str
) -> None:
    headers = {"content-type": "text/html", "x-a": "1"}
    moved = follow(Request(PAGE, API, method, headers), Response(status, {"location": "/"}))
    assert moved is not None
    assert moved.method == becomes
    assert dict(moved.headers) == (headers if becomes == method else {"x-a": "1"})


def test_a_page_may_be_redirected_to_its_own_origin_with_user_info() -> None:
    request = Request(PAGE, f"{PAGE}/v1")
    response = Response(307, {"location": PAGE.replace("://", "://me:secret@") + "/v2"})
    assert judge_response(request, response).allowed
    moved = follow(request, response)
    assert moved is not None
    assert moved.url == f"{PAGE}/v2"


@pytest.mark.parametrize("location", ["https://[", "ftp://files.example", "//:80/", "//me@b"])
def test_a_redirect_to_nowhere_is_not_followed(location: str) -> None:
    request = Request(PAGE, f"{API}/v1")
    response = Response(307, {ACAO: "*", "location": location})
    assert judge_response(request, response).code == "network_error"
    assert follow(request, response) is None


# --- Whatever a server sends ---------------------------------------------------------------------

names = st.sampled_from([ACAO, ACAC, ACAM, ACAH, ACMA, "Location", "vary"])
values = st.one_of(
    st.text(st.characters(max_codepoint=255)),
    st.text("*,; /:@[]%x{}'\t\x00"),
    st.sampled_from([PAGE, "*", "null", "true", "PUT", "x-a, *", "//[", "https://x:0x/"]),
)
responses = st.builds(Response, st.integers(), st.lists(st.tuples(names, values), max_size=6))
requests = st.builds(
    Request,
    st.sampled_from([PAGE, "null", API]),
    st.sampled_from([f"{API}/v1", f"{API}/?a=b", PAGE]),
    st.sampled_from(["GET", "PUT", "patch", "*"]),
    st.dictionaries(
        st.sampled_from(["x-a", "authorization", "content-type", "range", "accept"]),
        st.text(st.characters(max_codepoint=126, min_codepoint=32)),
    ),
    st.sampled_from(["omit", "same-origin", "include"]),
)
answers = st.one_of(st.none(), responses)


@given(request=requests, preflight=answers, response=answers)
def test_judging_never_raises(
    request: Request, preflight: Response | None, response: Response | None
) -> None:
    verdict = judge(request, preflight=preflight, response=response)
    assert verdict.code in CODES
    assert verdict.allowed is (verdict.code == "allowed")
    if response is not None:
        follow(request, response)
    cache = PreflightCache(max_entries=8)
    if preflight is not None:
        cache.store(request, preflight, now=0)
    assert len(cache) <= 8
    cache.covers(request, now=1)
    cache.clear(request)
    assert len(cache) == 0


@given(request=requests, preflight=answers, response=answers)
def test_what_is_allowed_without_credentials_may_need_more_with_them(
    request: Request, preflight: Response | None, response: Response | None
) -> None:
    with_credentials = replace(request, credentials="include")
    if judge(with_credentials, preflight=preflight, response=response).allowed:
        without = replace(request, credentials="omit")
        assert judge(without, preflight=preflight, response=response).allowed


@given(request=requests)
def test_a_passed_preflight_is_remembered_for_the_same_request(request: Request) -> None:
    named = [(ACAH, name) for name, _ in request.headers]
    granting = Response(
        204,
        [(ACAO, request.origin), (ACAC, "true"), (ACMA, "60"), (ACAM, request.method), *named],
    )
    assert judge(request, preflight=granting, response=granting).allowed
    cache = PreflightCache()
    cache.store(request, granting, now=10)
    assert cache.covers(request, now=69)
    assert cache.covers(request, now=70) is (preflight_for(request) is None)


# --- The preflight cache -------------------------------------------------------------------------


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CACHE_CASES])
def test_a_second_call_is_covered_or_not(case: CacheCase) -> None:
    cache = PreflightCache()
    assert not cache.covers(case.first, now=0)
    cache.store(case.first, case.preflight, now=0)
    assert cache.covers(case.second, now=1) is case.covered


def test_an_answer_is_remembered_as_long_as_it_says_and_the_engine_allows() -> None:
    request = Request(PAGE, f"{API}/v1", "PUT")

    def remembered(max_age: str | None, cap: int) -> int:
        lines = [(ACAM, "PUT")] + ([(ACMA, max_age)] if max_age is not None else [])
        cache = PreflightCache(max_age_cap=cap)
        cache.store(request, Response(204, lines), now=100)
        return next(age for age in range(100_000) if not cache.covers(request, now=100 + age))

    assert MAX_AGE_CAPS == {"chromium": 7200, "firefox": 86400, "webkit": 600}
    assert [remembered("86400", cap) for cap in MAX_AGE_CAPS.values()] == [7200, 86400, 600]
    assert remembered("99999999999999999999999999", 600) == 600
    assert remembered("0007", 600) == 7
    assert [remembered(value, 600) for value in (None, "", "-1", "1.5", "10m", "7, 7")] == [5] * 6


def test_a_new_answer_renews_and_shortens() -> None:
    request = Request(PAGE, f"{API}/v1", "PUT")
    cache = PreflightCache()
    cache.store(request, Response(204, {ACAM: "PUT", ACMA: "60"}), now=0)
    cache.store(request, Response(204, {ACAM: "PUT", ACMA: "60"}), now=50)
    assert cache.covers(request, now=100)
    cache.store(request, Response(204, {ACAM: "PUT", ACMA: "0"}), now=100)
    assert not cache.covers(request, now=100)


def test_authorization_is_never_remembered_under_a_star() -> None:
    request = Request(PAGE, f"{API}/v1", headers={"authorization": "1"})
    cache = PreflightCache()
    cache.store(request, Response(204, {ACAH: "*", ACMA: "60"}), now=0)
    assert not cache.covers(request, now=1)
    assert cache.covers(replace(request, headers={"x-a": "1"}), now=1)


def test_clearing_forgets_one_place_only() -> None:
    here, there = (Request(PAGE, f"{API}/{path}", "PUT") for path in ("here", "there"))
    elsewhere = replace(here, origin=OTHER)
    cache = PreflightCache()
    for request in (here, there, elsewhere, replace(here, credentials="include")):
        cache.store(request, Response(204, {ACAM: "PUT", ACMA: "60"}), now=0)
    cache.clear(here)
    assert not cache.covers(here, now=1)
    assert not cache.covers(replace(here, credentials="include"), now=1)
    assert cache.covers(there, now=1)
    assert cache.covers(elsewhere, now=1)


def test_a_hostile_list_does_not_fill_the_memory() -> None:
    request = Request(PAGE, f"{API}/v1", headers={"x-a": "1"})
    names = ",".join(f"x-{number}" for number in range(10_000))
    cache = PreflightCache(max_entries=100)
    cache.store(request, Response(204, {ACAH: f"{names},x-a", ACMA: "60"}), now=0)
    assert len(cache) == 100
    assert cache.covers(request, now=1)


# --- The page in docs/ ---------------------------------------------------------------------------


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below ``heading`` in docs/browser.md."""
    section = DOCS.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    lines = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("|")]
    assert len(lines) > 2, f"no table under {heading!r}"
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def test_the_examples_of_the_docs_run() -> None:
    page = DOCS.read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == page.count("```python") > 0
    for block in blocks:
        exec(block, {})  # the page's own code


def test_the_docs_name_every_code_once() -> None:
    assert sorted(row[0].strip("`") for row in rows("The codes")) == sorted(CODES)


def test_the_docs_quote_the_consoles() -> None:
    for code, _, chromium, firefox, safari, _ in rows("The codes"):
        cases = [play(case).verdict for case in CASES if case.code == code.strip("`")]
        for engine, words in (("chromium", chromium), ("firefox", firefox), ("safari", safari)):
            assert any(words in verdict.messages[engine] for verdict in cases), (code, engine)
            # every message contains an empty text: only the code without messages may have empty
            # cells
            assert bool(words) is (code != "`allowed`")


def test_the_docs_name_every_departure_once_with_its_engines_and_versions() -> None:
    described = {
        row[0].strip("`"): row[1] for row in rows("Where engines depart from the standard")
    }
    engines: dict[str, set[str]] = {}
    for (_, engine), departure in DEPARTURES.items():
        engines.setdefault(departure.name, set()).add(engine)
    assert set(described) == set(engines)
    for name, names in engines.items():
        for engine in ("chromium", "firefox", "webkit"):
            found = re.search(rf"\b{engine} [0-9]+\.[0-9]+", described[name], re.IGNORECASE)
            assert (found is not None) is (engine in names), (name, engine)
