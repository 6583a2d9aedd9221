"""The public engine: what an adapter gives it, and what comes back."""

from __future__ import annotations

import pytest

from meshcors import HeaderKey, Policy, PolicyError, ReplaceablePolicy, Rule
from meshcors.engine import Answer, PolicyEngine, Proceed, segmented_path
from tests.calling import EVIL, UI

POLICY = Policy(
    allow_origins=[UI], key=HeaderKey("model-api-key", ["xyz"], exempt_paths=["/public/*"])
)


@pytest.mark.parametrize(
    "headers",
    [
        [("Origin", UI), ("Model-API-Key", "xyz")],
        [(b"ORIGIN", UI.encode()), (b"model-api-key", b"xyz")],
        [("host", "a"), (b"origin", UI), ("model-api-key", b" xyz "), ("x-\u20ac", "\udc80")],
    ],
)
def test_headers_are_text_or_bytes_in_any_case(
    headers: list[tuple[str | bytes, str | bytes]],
) -> None:
    decision = PolicyEngine(POLICY).decide("GET", "/", iter(headers))
    assert isinstance(decision, Proceed)
    assert decision.reason == "allowed"
    sent = decision.merge([("Vary", "Accept"), ("Access-Control-Allow-Origin", "*")])
    assert dict(sent)["access-control-allow-origin"] == UI
    assert dict(sent)["Vary"] == "Accept, Origin, model-api-key"


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (None, "key_missing"),
        ("xy\u20ac", "key_unknown"),
        ("\ud800", "key_unknown"),
        (b"xyz,xyz", "key_unknown"),
    ],
)
def test_a_wrong_key_is_refused_whatever_its_characters(
    key: str | bytes | None, reason: str
) -> None:
    headers = [("origin", UI), *([] if key is None else [("model-api-key", key)])]
    decision = PolicyEngine(POLICY).decide("GET", "/", headers)
    assert isinstance(decision, Answer)
    assert decision.reason == reason


def test_lines_of_one_field_are_one_list() -> None:
    two = [("model-api-key", "xyz"), ("Model-API-Key", "xyz")]
    decision = PolicyEngine(POLICY).decide("GET", "/", two)
    assert isinstance(decision, Answer)


def test_websockets_are_refused_or_accepted() -> None:
    engine = PolicyEngine(POLICY)
    keyed = [("host", "a.example"), ("model-api-key", "xyz")]
    assert engine.decide_websocket("/", [*keyed, ("origin", "http://a.example")]) is None
    refused = engine.decide_websocket("/", [*keyed, ("origin", EVIL)])
    assert refused is not None
    assert refused.status == 403


def test_it_takes_what_middleware_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = PolicyEngine(rules=[Rule(Policy(allow_origins=[UI]), path_prefix="/v1")])
    assert rules.policy is None
    assert rules.rules is not None
    assert rules.decide("GET", "/v2", [("origin", UI)]) is None
    refusing = PolicyEngine(rules=rules.rules, uncovered="refuse")
    answer = refusing.decide("GET", "/v2", [("origin", UI)])
    assert isinstance(answer, Answer)
    assert answer.status == 404
    assert PolicyEngine(allow_origins=[UI]).policy == Policy(allow_origins=[UI])
    monkeypatch.setenv("MESHCORS_ALLOW_ORIGINS", UI)
    engine = PolicyEngine()
    assert engine.policy == Policy(allow_origins=[UI])
    assert UI in repr(engine)
    assert "xyz" not in repr(PolicyEngine(POLICY))
    with pytest.raises(PolicyError):
        PolicyEngine(POLICY, allow_origins=[UI])


def test_its_policy_can_be_replaced() -> None:
    replaceable = ReplaceablePolicy(POLICY)
    engine = PolicyEngine(replaceable)
    replaceable.replace(Policy(allow_origins=[EVIL]))
    decision = engine.decide("GET", "/", [("origin", EVIL)])
    assert isinstance(decision, Proceed)
    assert decision.reason == "allowed"
    assert engine.policy == replaceable.current


@pytest.mark.parametrize(
    ("encoded", "path"),
    [
        ("/public/x", "/public/x"),
        ("/%70ublic/x", "/public/x"),
        ("/%2570ublic/x", "/%70ublic/x"),
        ("/public%2Fx", "/public%2Fx"),
        ("/public/a%2fb%20c", "/public/a%2Fb c"),
        ("/%252F", "/%2F"),
        # Ambiguous: read in another way, it would be another path.
        ("/public/..%2Fx", "/public/../x"),
        ("/public/%2e%2e/x", "/public/../x"),
        ("/public%2F%2Fx", "/public//x"),
        ("/public/%ff", "/public/\ufffd"),
    ],
)
def test_an_encoded_slash_ends_no_segment(encoded: str, path: str) -> None:
    assert segmented_path(encoded) == path


@pytest.mark.parametrize(
    "encoded", ["/public%2Fx", "/public/..%2Fx", "/public/%2e%2e%2fx", "/public/x%2F%2Fy"]
)
def test_no_encoded_slash_makes_a_path_exempt(encoded: str) -> None:
    decision = PolicyEngine(POLICY).decide("GET", segmented_path(encoded), [])
    assert isinstance(decision, Answer)
