"""The public-suffix list: read once, with the same results as publicsuffixlist."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from publicsuffixlist import PublicSuffixList

from meshcors import Policy
from meshcors._policy.public_suffixes import PublicSuffixes, Suffix, public_suffixes

LIST = public_suffixes()
ORACLE = PublicSuffixList()
RULES = sorted(
    {rule for name in LIST.top_level for rule in (name, *LIST.below(name))}
    | {"!www.ck", "!city.kobe.jp"}
)


@given(
    st.sampled_from(RULES),
    st.sampled_from(["", "a.", "a.b.", "a.b.c.", "x"]),
    st.sampled_from(["w", "xn--bcher-kva"]),
)
def test_suffix_is_what_the_package_says(rule: str, before: str, wild: str) -> None:
    host = before + rule.lstrip("!").replace("*", wild)
    assert LIST.suffix(host).name == ORACLE.publicsuffix(host)


@pytest.mark.parametrize("host", ["localhost", "corp", "a.corp", "xn--f"])
def test_an_unknown_top_level_domain_is_a_suffix(host: str) -> None:
    assert LIST.suffix(host) == Suffix(host.rpartition(".")[2], False, False)


@pytest.mark.parametrize(
    ("host", "private"), [("a.github.io", True), ("a.co.uk", False), ("a.com", False)]
)
def test_suffixes_of_companies_are_told_from_others(host: str, private: bool) -> None:
    assert LIST.suffix(host) == Suffix(host[2:], True, private)


@pytest.mark.parametrize(
    ("host", "given"),
    [
        ("com", True),
        ("uk", True),
        ("co.uk", True),
        ("github.io", True),
        ("ck", True),
        ("kobe.jp", True),
        ("a.kobe.jp", True),
        ("corp", True),
        # it has suffixes below
        ("amazonaws.com", True),
        ("eu-west-1.amazonaws.com", True),
        ("windows.net", True),
        ("core.windows.net", True),
        # nobody but the owner has names here
        ("example.com", False),
        ("example.co.uk", False),
        ("a.github.io", False),
        ("city.kobe.jp", False),
        ("www.ck", False),
        ("bucket.s3.amazonaws.com", False),
        ("xamazonaws.com", False),
    ],
)
def test_where_strangers_get_names(host: str, given: bool) -> None:
    assert LIST.gives_names(host) is given


def test_a_list_is_read_by_its_own_rules() -> None:
    lines = [
        *("// ===BEGIN ICANN DOMAINS===", "", "com", "*.ck", "!www.ck", "\u516c\u53f8.cn"),
        *("// ===BEGIN PRIVATE DOMAINS===", "s3.example.com", "*.run.example.com"),
    ]
    made = PublicSuffixes(lines)
    assert made.top_level == ("com",)
    assert list(made.below("example.com")) == ["s3.example.com", "*.run.example.com"]
    # Nobody registers names below an exception, but below its parent.
    assert list(made.below("ck")) == []
    assert made.suffix("a.xn--55qx5d.cn") == Suffix("xn--55qx5d.cn", True, False)
    assert made.suffix("b.a.run.example.com") == Suffix("a.run.example.com", True, True)
    assert made.suffix("run.example.com") == Suffix("run.example.com", True, True)
    assert made.suffix("a.www.ck") == Suffix("ck", True, False)


def test_the_list_is_read_once() -> None:
    public_suffixes.cache_clear()
    for number in range(40):
        Policy(allow_origins=[f"https://*.d{number}.example"], allow_credentials=True)
    assert public_suffixes.cache_info().misses == 1


def test_the_list_is_not_read_where_nobody_asks() -> None:
    public_suffixes.cache_clear()
    Policy(allow_origins=["https://*.github.io", "https://a.example"])
    Policy(allow_origins=["https://a.example", "http://localhost:*"], allow_credentials=True)
    assert public_suffixes.cache_info().misses == 0
