"""What a problem of a policy, a key or rules says: its code, its field and the value shown."""

from __future__ import annotations

from typing import Any

import pytest

from meshcors import Policy, PolicyError

UI = "https://ui.example"
CREDENTIALS = {"allow_credentials": True}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        pytest.param({}, ("no_origins", "allow_origins", ""), id="no origins"),
        pytest.param(
            {"allow_origins": [UI], "nonsense": 1},
            ("unknown_option", "nonsense", ""),
            id="unknown option",
        ),
        pytest.param(
            {"allow_origins": [UI], "key": "s3cret"}, ("not_a_key", "key", ""), id="no key"
        ),
        pytest.param(
            {"allow_origins": ["*", UI]},
            ("origin_wildcard_beside_others", "allow_origins", "*"),
            id="* beside others",
        ),
        pytest.param(
            {"allow_origins": ["*"], **CREDENTIALS},
            ("origin_wildcard_with_credentials", "allow_origins", "*"),
            id="* with credentials",
        ),
        pytest.param(
            {"allow_origins": [UI], "expose_headers": ["*"], **CREDENTIALS},
            ("expose_wildcard_with_credentials", "expose_headers", "*"),
            id="expose * with credentials",
        ),
        pytest.param(
            {"allow_origins": ["http://a.example"], **CREDENTIALS},
            ("origin_insecure", "allow_origins", "http://a.example"),
            id="http with credentials",
        ),
        pytest.param(
            {"allow_origins": ["https://*.co.uk"], **CREDENTIALS},
            ("origin_public_suffix", "allow_origins", "https://*.co.uk"),
            id="below a public suffix, with credentials",
        ),
    ],
)
def test_problem_of_a_policy(options: dict[str, Any], problem: tuple[str, str, str]) -> None:
    with pytest.raises(PolicyError) as caught:
        Policy(**options)
    assert [(each.code, each.field, each.value) for each in caught.value.problems] == [problem]


def test_a_public_suffix_itself_is_an_origin_like_any_other() -> None:
    assert Policy(allow_origins=["https://github.io"], allow_credentials=True)
