"""What holds for a browser, and for a cache in between, whatever the policy and the page."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcors.asgi import MeshCORS
from meshcors.browser import Credentials, Request, Response, judge, judge_response, preflight_for
from tests.cache import SharedCache
from tests.drivers import (
    Driver,
    Outcome,
    behaviour_below,
    each_driver,
    make_policy,
    named_policy,
    run_engine,
    serve_asgi,
)
from tests.searching import examples
from tests.strategies import MATCHES, pages, policies, visits
from tests.vectors import Call, Fields

# Keys without values, and * without authorization, are served too, with a warning.
pytestmark = pytest.mark.filterwarnings("ignore::meshcors.PolicyWarning")

_URL = "https://api.example/v1/predict"


def expected_code(options: dict[str, Any], page: Request) -> str:
    """Return what the policy means for the page, in the order of Fetch, without any answer."""
    allowed = [
        origin
        for pattern in options["allow_origins"]
        for origin in MATCHES.get(
            f"regex:{pattern['regex']}" if isinstance(pattern, dict) else pattern, ()
        )
    ]
    anyone = options["allow_origins"] == ["*"]
    credentials = options["allow_credentials"]
    if not anyone and page.origin not in allowed:
        return "acao_missing"
    if page.credentials == "include" and not credentials:
        return "acao_wildcard_with_credentials" if anyone else "acac_not_true"
    preflight = dict(preflight_for(page) or ())
    methods = {"GET", "HEAD", "POST", *options["allow_methods"]}
    if preflight and page.method not in methods and "*" not in methods:
        return "method_not_allowed"
    names = {name.lower() for name in options["allow_headers"]}
    names |= {options["key"]["name"].lower()} if options["key"] else set()
    for name in preflight.get("access-control-request-headers", "").split(","):
        covered = "*" in names and (name != "authorization" or credentials)
        if name not in ("", "accept", "content-type", "range", *names) and not covered:
            return "header_not_allowed"
    return "allowed"


@each_driver
@examples(100)
@given(case=pages(url=_URL))
def test_a_browser_allows_what_the_policy_allows_and_nothing_else(
    driver: Driver, case: tuple[dict[str, Any], Request]
) -> None:
    options, page = case
    policy = make_policy(options)
    app = behaviour_below(driver, "ok")

    def answer(method: str, fields: Fields) -> Response:
        outcome = driver.run(policy, Call(method, headers=fields), app)
        return Response(outcome.status, outcome.fields)

    asked = preflight_for(page)
    verdict = judge(
        page,
        preflight=None if asked is None else answer("OPTIONS", asked),
        response=answer(page.method, (("origin", page.origin), *page.headers)),
    )
    assert verdict.code == expected_code(options, page)
    if asked is not None:
        # The log says what the browser does, apart from the credentials mode.
        reason = run_engine(policy, Call("OPTIONS", headers=asked), "ok").reason
        told = {"acao_missing": "origin_not_allowed"}.get(verdict.code, verdict.code)
        assert told in (reason, "acac_not_true", "acao_wildcard_with_credentials")


# --- a cache between the browser and the service


class Models:
    """A service with several models, each with its own key: the answer depends on the key."""

    def __init__(self, vary: Fields) -> None:
        fields = (("cache-control", "public, max-age=600"), *vary)
        self._fields = [(name.encode(), value.encode()) for name, value in fields]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        keys = [value for name, value in scope["headers"] if name == b"model-api-key"]
        start = {"type": "http.response.start", "status": 200, "headers": self._fields}
        await send(start)
        body = b"" if scope["method"] == "HEAD" else b"answer of " + b",".join(keys)
        await send({"type": "http.response.body", "body": body})


@examples(150)
@given(
    options=policies(generated_origins=False),
    asked=visits(),
    vary=st.sampled_from([(), (("vary", "Accept-Encoding"),), (("vary", "*"),)]),
)
def test_a_cache_between_never_makes_a_wrong_verdict(
    options: dict[str, Any], asked: list[Call], vary: Fields
) -> None:
    if options["key"]:
        options["key"]["name"] = "model-api-key"
    app = MeshCORS(Models(vary), make_policy(options))
    cache = SharedCache(lambda call: serve_asgi(app, call))
    for call in asked:
        through, direct = cache.serve(call), serve_asgi(app, call)
        assert verdicts(call, through) == verdicts(call, direct)
        assert through.status == direct.status
        if options["key"]:
            # The answer of another model is wrong, even if it is readable.
            assert through.body == direct.body


def test_the_cache_between_is_one() -> None:
    app = MeshCORS(Models(()), named_policy("keyed-anonymous"))
    cache = SharedCache(lambda call: serve_asgi(app, call))
    headers = (("origin", "https://ui.example"), ("model-api-key", "xyz"))
    for method in ("GET", "GET", "HEAD"):
        cache.serve(Call(method, headers=headers))
    assert cache.hits == 2


def verdicts(call: Call, outcome: Outcome) -> list[str]:
    origin = dict(call.headers).get("origin")
    if origin is None:
        return []
    modes: tuple[Credentials, ...] = ("omit", "include")
    pages = [Request(origin, _URL, call.method, (), mode) for mode in modes]
    answer = Response(outcome.status, outcome.fields)
    return [judge_response(page, answer).code for page in pages]
