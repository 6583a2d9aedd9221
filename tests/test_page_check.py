"""What becomes of a page's call: what a browser makes of it, what it gets, what is lacking."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcors import HeaderKey, Policy
from meshcors._decision.page_check import CheckResult, FetchCall, check_call
from meshcors._decision.rule_engine import NO_RULE, compile_engine
from meshcors._policy.policy import make
from meshcors._policy.regex import Regex
from meshcors._policy.rules import Rule, RuleSet

UI = "https://ui.example"
EVIL = "https://evil.example"
KEY = "model-api-key"
URL = "https://models.example/v1"
POLICY = Policy(allow_origins=[UI], key=HeaderKey(KEY))
RULES = RuleSet([Rule(POLICY, hosts=["models.example"], path_prefix="/v1")])


def asked(source: Policy | RuleSet, call: FetchCall) -> CheckResult | str:
    return check_call(source, compile_engine(source, NO_RULE), call)


def checked(source: Policy | RuleSet, call: FetchCall) -> CheckResult:
    result = asked(source, call)
    assert isinstance(result, CheckResult), result
    return result


@pytest.mark.parametrize(
    ("call", "code", "status", "reason", "lacking"),
    [
        pytest.param(FetchCall(UI, URL), "allowed", 401, "key_missing", {}, id="no key"),
        pytest.param(FetchCall(UI, URL, key=True), "allowed", 200, "", {}, id="the key"),
        pytest.param(
            FetchCall(UI, URL, "POST", f"content-type, {KEY.title()}"),
            "allowed",
            200,
            "",
            {},
            id="the key by its name",
        ),
        pytest.param(
            FetchCall(UI, URL, "PUT"),
            "method_not_allowed",
            401,
            "key_missing",
            {"allow_methods": ("PUT",)},
            id="method",
        ),
        pytest.param(
            FetchCall(UI, URL, "POST", "x-b,x-a", key=True),
            "header_not_allowed",
            200,
            "",
            {"allow_headers": ("x-a", "x-b")},
            id="headers",
        ),
        pytest.param(
            FetchCall(EVIL, URL, "PATCH", "x-a", True, True),
            "acao_missing",
            200,
            "",
            {
                "allow_origins": (EVIL,),
                "allow_credentials": (),
                "allow_methods": ("PATCH",),
                "allow_headers": ("x-a",),
            },
            id="everything",
        ),
        pytest.param(
            FetchCall(EVIL, URL, "GET"),
            "acao_missing",
            401,
            "key_missing",
            {"allow_origins": (EVIL,)},
            id="simple call",
        ),
        pytest.param(
            FetchCall(UI, URL, "POST", "", True, True),
            "acac_not_true",
            200,
            "",
            {"allow_credentials": ()},
            id="credentials",
        ),
        pytest.param(
            FetchCall("https://models.example", URL, "PUT"),
            "allowed",
            401,
            "key_missing",
            {},
            id="same origin",
        ),
    ],
)
@pytest.mark.parametrize("source", [POLICY, RULES], ids=["policy", "rules"])
def test_question_is_answered_by_a_browser_and_by_the_policy(
    source: Policy | RuleSet,
    call: FetchCall,
    code: str,
    status: int,
    reason: str,
    lacking: dict[str, Any],
) -> None:
    result = checked(source, call)
    assert (result.verdict.code, result.lacking, result.hints) == (code, lacking, ())
    assert (result.response.answer.status, result.response.reason) == (status, reason)
    assert result.succeeds == (code == "allowed" and status == 200)


@pytest.mark.parametrize(
    ("call", "why"),
    [
        pytest.param(FetchCall(), "", id="nothing filled in"),
        pytest.param(FetchCall(UI, URL, "TRACE"), "refuses the method 'TRACE'", id="forbidden"),
        pytest.param(FetchCall(UI, f"{URL}ü", "P P"), "refuses the method 'P P'", id="no method"),
        pytest.param(FetchCall(UI, "https://[x/", "PUT"), "", id="no URL"),
        pytest.param(FetchCall(UI, "/v1", "PUT"), "absolute", id="no host"),
    ],
)
def test_question_that_no_browser_asks(call: FetchCall, why: str) -> None:
    result = asked(POLICY, call)
    assert isinstance(result, str)
    assert why in result


@pytest.mark.parametrize(
    ("policy", "call", "hint"),
    [
        pytest.param(POLICY, FetchCall("null", URL), "dangerously_allow_null_origin", id="null"),
        pytest.param(
            Policy(allow_origins=["*"]),
            FetchCall(UI, URL, "GET", "", True),
            "any site could act as the user",
            id="any origin with credentials",
        ),
        pytest.param(POLICY, FetchCall(UI, URL, "patch"), "PATCH", id="method in lower case"),
    ],
)
def test_what_no_policy_can_allow_is_said(policy: Policy, call: FetchCall, hint: str) -> None:
    assert hint in " ".join(checked(policy, call).hints)


def test_question_about_a_url_that_no_rule_covers() -> None:
    result = checked(RULES, FetchCall(UI, "https://x.example/", "PUT"))
    assert result.verdict.code == "acao_missing"
    assert result.preflight is not None
    assert (result.preflight.answer.status, result.response.reason) == (404, "no_rule")
    assert (result.rule, result.lacking) == (
        None,
        {"allow_origins": (UI,), "allow_methods": ("PUT",)},
    )
    for ambiguous in ("https://models.example//v1", "https://models.example/v1/%2e%2e/x"):
        result = checked(RULES, FetchCall(UI, ambiguous))
        assert (result.rule, result.lacking) == (None, {})
        assert "ambiguous" in result.hints[0]


@given(st.text(), st.text(), st.text(), st.text(), st.booleans(), st.booleans())
def test_no_question_raises(
    origin: str, url: str, method: str, headers: str, credentials: bool, key: bool
) -> None:
    given = FetchCall(origin, f"https://x.example/{url}", method or "PUT", headers, credentials)
    for source in (POLICY, RULES):
        for call in (given, replace(given, origin=UI), replace(given, origin=UI, url=url)):
            asked(source, replace(call, key=key))
        asked(source, FetchCall(UI, f"https://{url}", "PUT", headers, credentials))


def test_what_is_lacking_is_bounded() -> None:
    names = [f"x-{number:02}" for number in range(50)]
    lacking = checked(POLICY, FetchCall(UI, URL, "POST", ",".join(names))).lacking
    assert lacking == {"allow_headers": tuple(names[:8])}
    # Methods are repeated up to a length, and no option makes that longer.
    options = {"allow_origins": [UI], "allow_methods": ["*"], "allow_credentials": True}
    long = checked(make(options)[0], FetchCall(UI, URL, "X" * 100))
    assert (long.lacking, long.hints) == ({"allow_methods": ("X" * 100,)}, ())


# With * in a list, `Policy` would warn about authorization.
POLICIES = st.sampled_from(
    [
        POLICY,
        Policy(allow_origins=["*"]),
        make({"allow_origins": ["*"], "allow_headers": ["*"], "allow_methods": ["*"]})[0],
        make(
            {
                "allow_origins": ["https://*.ui.example"],
                "allow_headers": ["*"],
                "allow_methods": ["*"],
                "allow_credentials": True,
            }
        )[0],
        Policy(allow_origins=[Regex(r"https://[a-z]+\.ui\.example")], allow_headers=["x-a"]),
    ]
)
ORIGINS = st.sampled_from([UI, EVIL, "https://a.ui.example", "http://localhost:3000", "null"])
METHODS = st.sampled_from(["GET", "POST", "PUT", "PATCH", "purge"])
NAMES = st.sets(st.sampled_from(["x-a", "x-b", "x-c", "content-type", "authorization"]))


@given(POLICIES, ORIGINS, METHODS, NAMES, st.booleans())
def test_policy_that_gets_what_it_lacks_allows_the_call(
    policy: Policy, origin: str, method: str, names: set[str], credentials: bool
) -> None:
    call = FetchCall(origin, URL, method, ",".join(names), credentials, key=True)
    result = checked(policy, call)
    options = {each.name: getattr(policy, each.name) for each in fields(Policy)}
    for name, items in result.lacking.items():
        options[name] = (*options[name], *items) if items else True
    if not result.hints:
        fixed = checked(make(options)[0], call)
        assert fixed.verdict.allowed
        assert fixed.response.reason == ""
        assert fixed.lacking == {}
    assert result.verdict.allowed == (not result.lacking)
