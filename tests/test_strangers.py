"""Regular expressions: strangers that they let in are found, and only those."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcors import Policy, PolicyError
from meshcors._policy.errors import OriginError
from meshcors._policy.origin_set import OriginSet
from meshcors._policy.origins import Origin
from meshcors._policy.public_suffixes import public_suffixes
from meshcors._policy.regex import CompiledRegex, Regex
from meshcors._policy.regex_examples import examples_of
from meshcors._policy.strangers import MOST_STEPS, UnintendedOrigins, unintended_origins

STRANGERS = [
    # anyone
    ".*",
    "https://.*",
    "https?://.+",
    r"https://.+\..+",
    "https://[^/]+",
    "https://[a-z0-9.-]+",
    r"https://[0-9.]+",
    r"https://\S{1,60}",
    # another port
    "https://.+:8443",
    r"https://.+:\d{4}",
    r"https://[a-z.]+:(3000|9443)",
    # letters in front
    r"https://.*example\.com",
    r"https://.+example\.com",
    r"https://.?example\.com",
    r".*example\.com",
    r"https://[a-z-]*example\.com",
    r"https://(www\.)?.*example\.com",
    r"https://(ui|[a-z.]*)example\.com",
    r"https://([a-z]+\.)*example\.com|https://.*evil\.org:99",
    r"https://(app\.example|.*dev)\.com",
    r"https://[a-z]*ui\.example",
    r"https://[a-z]*\.?example\.com",
    r"https://[a-m]*example\.com",
    r"https://-*example\.com",
    r"https://\C*example\.com",
    r"https://(\w|\.)+example\.com",
    r"https://.{51,}example\.com",
    r"https://.{64,}example\.com",
    r"https://[b-p]+\.com",
    r"(?i)https://[B-P]+\.com",
    r"https://[b-p]{5}\.com",
    r"https://[b-p]*\.?example\.com",
    r"https://(dev|staging)*example\.com",
    r"https://app\.?example\.com",
    # a dot that is written in another way
    r"https://.*example[\.]com",
    r"https://[\w\-\.]*example[\.]com",
    r"https://([a-z]+[\.])*.*example[\.]com",
    r"https://.*example[^a-z]com",
    r"https://.*example[\.:]com",
    r"https://.*example\056com",
    r"https://.*example\pPcom",
    r"https://.*example\Q.\Ecom",
    # letters and a hyphen in front
    r"https://.*\bexample\.com",
    r"https://[\w.-]*\bexample\.com",
    r"https?://[\w.-]+\b(example|test)\.com",
    r"https://[a-z0-9.-]*(?:^|\b)example\.com",
    # an optional end
    r"https://.*\.example\.com?",
    # something after it
    r"https://example[\.]com.*",
    r"https://example[\.]com(:[0-9]+)?.*",
    r"https://([^\/]*[\.])?example[\.]com.*",
    r"https://example\.com.*",
    r"https://example\.com[a-z]*",
    r"https://example\.com\.[a-z]+",
    r"https://ui\.example\.com(\..*)?",
    r"https://ui\.example\.com:?.*",
    r"https://\Qui.example.com\E.*",
    r"(?i)https://UI\.example\.com.*",
    r"https://\pL+\.example\.com.*",
    r"https://ui\x2eexample\x{2e}com.*",
    # nested more deeply than is read
    "https://" + "(" * 60 + ")" * 60 + r"[a-z]*ui\.example:8443",
    r"https://\p{Greek}*ui\.example.*",
    # a dot for any character
    "https://app.example.com",
    r"https://app.example\.com",
    # any top-level domain, any name
    r"https://example\.[a-z]+",
    r"https://shop\.[a-z]{2,3}",
    r"https://example\.(com|[a-z]{2})",
    r"https://app[0-9]+\.com",
    r"https://[a-f0-9]{8}-preview\.com",
    r"https://app-[a-z]+\.co\.uk",
    r"https://example\.(com|[^.]{4})",
]
NEIGHBORS = [
    (r"https://[a-z]+\.github\.io", "github.io"),
    (r"https://my-app-[a-z]+\.vercel\.app", "vercel.app"),
    (r"https://[a-z]+\.com", "com"),
    (r"https://[a-z-]+\.co\.uk", "co.uk"),
    (r"https://[a-z]+\.corp", "corp"),
    (r"https://([a-z0-9-]+\.)+amazonaws\.com", "amazonaws.com"),
    (r"https://[a-z0-9.-]+\.windows\.net", "windows.net"),
    (r"https://(.+\.)?s3\.amazonaws\.com", "s3.amazonaws.com"),
]
INSECURE = [
    r"https?://[a-z]+\.example\.com",
    r"http://[a-z]+\.example\.com",
    r"(http|https)://ui\.example\.com",
    r".*://ui\.example\.com",
    r"https?://(localhost|ui\.example\.com)",
    r"http://10\.0\.0\.[0-9]+",
]
SANE = [
    r"https://[a-z]+\.example\.com",
    r"https://[a-z0-9-]+\.example\.com(:\d+)?",
    r"https://([a-z0-9_-]+\.)+example\.com(:[0-9]+)?",
    r"https://(.+\.)?example\.com",
    r"https://(.*\.)?example\.com",
    r"https://.*\.example\.com",
    r"https://.*\.example.com",
    r"https://[a-z]+\.example.com",
    r"https://\p{Greek}*ui\.example\.com",
    r"https://.*\.example\.com:?.{0}",
    r"https://[^.]+\.example\.com",
    r"https://[^/]+\.example\.com",
    r"^https://[\w-]+\.example\.co\.uk$",
    r"\Ahttps://ui\.example\.com\z",
    r"(?i)https://UI\.example\.com",
    r"https://\Qui.example.com\E",
    r"https://[[:alpha:]]+\.example\.com",
    r"https://(www\.)?example\.(com|org|net|io|de)",
    r"https://ui\.(example|test)\.com",
    r"https://ui\.example\.com(:.*)?",
    r"https://app\.example\.com:(3000|8443)",
    r"https://(a|b|ab)\.example",
    r"https://(shop|qshop)\.example",
    # names without a dot, as in an intranet: nobody can register them
    "https://[a-z]+",
    r"https://app[12]\.example",
    r"https://app[0-9]?\.example\.com",
    r"https://pr-[0-9]+\.preview\.example\.com",
    r"https://[a-f0-9]{8}-preview\.example\.com",
    r"https://[a-z]+-ui\.example\.com",
    r"https://[a-z]+\.my-app\.github\.io",
    r"https://[a-z]+\.bucket\.s3\.amazonaws\.com",
    r"https://[a-z]+\.city\.kobe\.jp",
    r"https://10\.0\.[0-9]+\.[0-9]+",
    r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?",
    r"http://[a-z]+\.localhost:[0-9]+",
    r"http://localhost:.*",
    r"https://xn--bcher-kva\.example(:8443)?",
    r"https://example\.com.?",
    "https://ui.example",
    r"https://(.*\.)?example[\.]com",
    r"https://([a-z0-9-]+\.)*example\.com(:[0-9]+)?",
    r"https://(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+example\.com",
    r"https://(app|admin)\.example\.(com|de)",
    r"https://example\.(com|co)",
    r"https://example\.co(m|\.uk)",
    r"https://examples?\.com",
    r"https://[a-z]+\.example\.com\.?",
    r"https://xn--[a-z0-9-]+\.example\.com",
    r"https://intranet(\.example\.com)?",
    r"https://app\d{1,3}\.example\.com:\d+",
    r"https://\w+\.sub\.example\.co\.jp",
    "chrome-extension://[a-p]{32}",
    "capacitor://localhost",
    # matches nothing that browsers send
    "ui",
    "https://(" + "|".join(f"a{number}" for number in range(200)) + r")\.example\.com",
]


# No intended origin is found, or there are too many to try.
UNCHECKED = [
    r"https://\p{Greek}+\.example\.com",
    r"https://[\x{3b1}-\x{3c9}]+\.example\.com",
    r"https://[a-z]{64}\.example\.com",
    r"https://[A-Z]+\.example\.com",
    "https://" + "(" * 60 + ")" * 60 + r"(ui|app)\.example\.com",
    *("https://" + "(a{50}){20}" * times + r"\.example\.com" for times in (1, 20, 40)),
    "https://" + "(a?b?)*" * 130 + r"\.example\.com",
    "https://" + "(.?){30}" * 100 + r"\.example\.com",
    "https://" + "(.{0,30}a|b.{2,40}){0,20}" * 10 + r"\.example\.com",
    r"https://[a-z]{50}\.[a-z]{50}\.[a-z]{50}\.("
    + "|".join(f"{a}{b}" for a in "abcdefghijklm" for b in "abcdefghijklmnopqrst")
    + r")\.example\.com",
]


def lets_in(text: str) -> UnintendedOrigins:
    regex = Regex(text)
    found = unintended_origins(regex)
    origins = OriginSet([regex])
    # What is found is true: browsers send it, and the regex matches it.
    for origin in {found.stranger, found.neighbor, found.insecure} - {""}:
        assert str(Origin.parse(origin)) == origin
        assert origin in origins
    return found


@pytest.mark.parametrize("text", STRANGERS)
def test_stranger_is_found(text: str) -> None:
    assert lets_in(text).stranger
    with pytest.raises(PolicyError) as caught:
        Policy(
            allow_origins=[Regex(text)],
            allow_credentials=True,
            dangerously_allow_insecure_origins=True,
            dangerously_allow_public_suffixes=True,
        )
    (problem,) = caught.value.problems
    assert problem.code == "origin_regex_open"
    assert lets_in(text).stranger in problem.hint
    Policy(allow_origins=[Regex(text)])


@pytest.mark.parametrize(
    ("text", "stranger"),
    [
        (".*", "https://stranger.invalid"),
        ("http://.*", "http://stranger.invalid"),
        ("https://.+:8443", "https://stranger.invalid:8443"),
        (r"https://[0-9.]+", "https://203.0.113.9"),
        (r"https://ui\.example.*", "https://ui.example.stranger.invalid"),
        (r"https://.*example\.com:8443", "https://qexample.com:8443"),
        ("https://app.example.com", "https://appqexample.com"),
        (r"https://example\.com[a-z]{3}", "https://example.comsec"),
        (r"https://example\.[a-z]+", "https://example.qa"),
    ],
)
def test_stranger_is_one_that_convinces(text: str, stranger: str) -> None:
    assert unintended_origins(Regex(text)).stranger == stranger


@pytest.mark.parametrize(("text", "below"), NEIGHBORS)
def test_names_that_anyone_gets_are_found(text: str, below: str) -> None:
    found = lets_in(text)
    assert not found.stranger
    assert found.suffix.endswith(below)
    assert found.neighbor.endswith(f".{found.suffix}") or ".vercel.app" in found.neighbor
    assert public_suffixes().suffix(found.suffix).name == found.suffix
    with pytest.raises(PolicyError, match=f"a name below {found.suffix}; ") as caught:
        Policy(allow_origins=[Regex(text)], allow_credentials=True)
    assert [problem.code for problem in caught.value.problems] == ["origin_public_suffix"]
    Policy(
        allow_origins=[Regex(text)],
        allow_credentials=True,
        dangerously_allow_public_suffixes=True,
    )


@pytest.mark.parametrize("text", INSECURE)
def test_http_is_found(text: str) -> None:
    found = lets_in(text)
    assert found == UnintendedOrigins(insecure=found.insecure)
    assert found.insecure.startswith("http://")
    with pytest.raises(PolicyError) as caught:
        Policy(allow_origins=[Regex(text)], allow_credentials=True)
    assert [problem.code for problem in caught.value.problems] == ["origin_insecure"]
    Policy(
        allow_origins=[Regex(text)],
        allow_credentials=True,
        dangerously_allow_insecure_origins=True,
    )


@pytest.mark.parametrize("text", SANE)
def test_nobody_is_found_where_nobody_is(text: str) -> None:
    assert lets_in(text) == UnintendedOrigins()
    Policy(allow_origins=[Regex(text)], allow_credentials=True)


@pytest.mark.parametrize("text", UNCHECKED)
def test_what_cannot_be_checked_is_refused_with_credentials(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    fullmatch = CompiledRegex.fullmatch

    def counted(compiled: CompiledRegex, origin: str) -> bool:
        tried.append(compiled.steps(origin))
        return fullmatch(compiled, origin)

    unintended_origins.cache_clear()
    monkeypatch.setattr(CompiledRegex, "fullmatch", counted)
    assert lets_in(text) == UnintendedOrigins(unchecked=True)
    assert sum(tried) < 2 * MOST_STEPS
    with pytest.raises(PolicyError, match="cannot be checked for strangers") as caught:
        Policy(allow_origins=[Regex(text)], allow_credentials=True)
    assert [problem.code for problem in caught.value.problems] == ["origin_regex_unchecked"]
    Policy(allow_origins=[Regex(text)])


@given(
    st.lists(
        st.sampled_from(
            [
                *("https://", "http://", "(", ")", "|", "?", "*", ".", r"\.", "a", "[a-z]", "com"),
                *("example", "github", "io", ":8443", "{2}", "[^.]", "(?i)", r"\d", "+"),
            ]
        ),
        max_size=12,
    )
)
def test_what_is_found_is_true(parts: list[str]) -> None:
    with suppress(OriginError):  # RE2 refuses it
        lets_in("".join(parts))


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ("(a|b(c|d))e", {"ae", "bce", "bde"}),
        ("((a|b)|(c|d))", {"a", "b", "c", "d"}),
        ("x?y", {"y", "xy"}),
        ("a.c", {"a.c", "axc"}),
        (r"\pL\p{Lu}?\x2e\x{62}", {"a.b"}),
        (r"\p{Greek}|b", {"b"}),
        ("(a|b)(c|d)?", {"a", "bc"}),
    ],
)
def test_examples_have_each_alternative(pattern: str, texts: set[str]) -> None:
    assert texts <= set(examples_of(pattern, most_steps=MOST_STEPS).texts)


@pytest.mark.parametrize(
    "pattern", ["(" * 60 + "a|b" + ")c?" * 60, "(" * 20 + "a|b" + ")?c?" * 20, ".?" * 400]
)
def test_examples_do_not_grow_without_bound(pattern: str) -> None:
    assert len(examples_of(pattern, most_steps=MOST_STEPS).texts) <= 512
