"""Origins and patterns: parsed strictly, printed back, matched as a whole."""

from __future__ import annotations

import re
import sys

import pytest

from meshcors import Policy
from meshcors._policy.errors import OriginError, PolicyError
from meshcors._policy.origin_set import OriginSet
from meshcors._policy.origins import Origin, OriginPattern
from meshcors._policy.regex import CompiledRegex, Regex
from meshcors._policy.wording import shown_origin

IPV6 = "[2001:db8::1]"
# A host of 253 bytes.
LONGEST_HOST = "https://" + "a." * 95 + "a" * 63


@pytest.mark.parametrize(
    "text",
    [
        "https://ui.example",
        "https://ui.example:8443",
        "http://localhost:*",
        "https://*.example.com",
        "https://*.example.com:8443",
        "https://*.example.com:*",
        "http://[::1]:3000",
        "http://[::]",
        "http://[1::]",
        "http://[1:0:0:2::]",
        "http://[1::2:0:0:3:4]",
        "http://[::ffff:102:304]",
        "http://[1:2:3:4:5:6:7:8]",
        "http://[1:0:2:3:4:5:6:7]",
        f"http://{IPV6}:*",
        "http://127.0.0.1:8000",
        "https://xn--bcher-kva.example",
        "https://xn--strae-oqa.example",
        "https://xn--ls8h.example",
        "https://xn--mgbh0fb.xn--kgbechtv",
        "https://xn--nxasmm1c.example",
        "https://a_b.example",
        "chrome-extension://abcdefghijklmnop",
        "https://" + ".".join(["a" * 63] * 3) + ".example:65535",
        "web+a5.x-y09://host",
        "https://a.x1",
        "https://a.1x",
        "https://a.0a",
        "https://a.a0",
        "https://a.0x1g",
        "https://a.00x1",
        "https://a.x",
        "https://a.0-",
        LONGEST_HOST,
        "x" * (320 - len(LONGEST_HOST)) + LONGEST_HOST,
    ],
)
def test_pattern_is_printed_as_it_was_read(text: str) -> None:
    assert str(OriginPattern.parse(text)) == text


WRONG = [
    ("https://a.example/", "origin_trailing_slash", "trailing slash"),
    ("https://a.example/x", "origin_path", "path"),
    ("https://a.example//", "origin_path", "two slashes"),
    ("https://a.example?x", "origin_query", "query"),
    ("https://a.example#x", "origin_fragment", "fragment"),
    ("https://u@a.example", "origin_user_info", "user info"),
    ("https://A.example", "origin_upper_case", "upper-case host"),
    ("HTTPS://a.example", "origin_upper_case", "upper-case scheme"),
    ("https://a.example:443", "origin_default_port", "default port of https"),
    ("http://a.example:80", "origin_default_port", "default port of http"),
    ("ftp://a.example:21", "origin_default_port", "default port of ftp"),
    ("https://*.a.example:443", "origin_default_port", "default port below a domain"),
    ("https://b\xfccher.example", "origin_not_ascii", "non-ASCII"),
    ("https://\ud800.example", "origin_not_ascii", "lone surrogate"),
    ("https://a.example:0", "origin_port", "port 0"),
    ("https://a.example:00", "origin_port", "port 00"),
    ("https://a.example:08443", "origin_port", "leading zero"),
    ("https://a.example:65536", "origin_port", "port too large"),
    ("https://a.example:", "origin_port", "port missing"),
    ("https://a.example:x", "origin_port", "port no number"),
    ("https://a.example:8*", "origin_port", "port with a wildcard in it"),
    ("https://a.example:1:2", "origin_port", "two ports"),
    ("https://a.example:123456", "origin_port", "port of six digits"),
    ("http://1.2.3", "origin_ip_address", "three numbers"),
    ("http://1.2.3.4.5", "origin_ip_address", "five numbers"),
    ("http://01.2.3.4", "origin_ip_address", "octal"),
    ("http://0x7f.1", "origin_ip_address", "hexadecimal"),
    ("ws://a.example:80", "origin_default_port", "default port of ws"),
    ("wss://a.example:443", "origin_default_port", "default port of wss"),
    ("http://[::1]:1]", "origin_ip_address", "two closing brackets"),
    ("https://a://b", "origin_path", "two schemes"),
    *[
        (f"http://a.{label}", "origin_ip_address", f"last label {label}")
        for label in ("1", "90", "0x", "0x0", "0x5", "0x9", "0xa", "0xc", "0xf", "0x1f", "00")
    ],
    ("http://256.1.1.1", "origin_ip_address", "number too large"),
    ("http://2130706433", "origin_ip_address", "one number"),
    ("http://[::1", "origin_ip_address", "bracket missing"),
    ("http://[]", "origin_ip_address", "brackets alone"),
    ("http://[0:0:0:0:0:0:0:1]", "origin_ip_address", "IPv6 written out"),
    ("http://[1:0:0:2:0:0:0:3]", "origin_ip_address", "IPv6 not compressed"),
    ("http://[1::2:0:0:0:3]", "origin_ip_address", "IPv6 the longest run, not the first"),
    ("http://[1::2:3:4:5:6:7]", "origin_ip_address", "IPv6 a run of one"),
    ("http://[::01]", "origin_ip_address", "IPv6 leading zero"),
    ("http://[::1.2.3.4]", "origin_ip_address", "IPv6 with dots"),
    ("http://[fe80::1%25eth0]", "origin_ip_address", "IPv6 zone"),
    ("http://[::1]x", "origin_ip_address", "after the bracket"),
    ("http://::1", "origin_host", "IPv6 without brackets"),
    ("file://", "origin_file", "file"),
    ("file:///x", "origin_file", "file with a path"),
    ("https://a.*.example", "origin_wildcard", "wildcard inside"),
    ("https://*", "origin_wildcard", "wildcard alone"),
    ("https://*a.example", "origin_wildcard", "wildcard in a label"),
    ("https://a*.example", "origin_wildcard", "wildcard at a label's end"),
    ("https://a.example*", "origin_wildcard", "wildcard at the end"),
    ("https://*.*.example", "origin_wildcard", "two wildcards"),
    ("https://*.[::1]:*", "origin_wildcard", "wildcard before IPv6, any port"),
    ("https://*.127.0.0.1:*", "origin_wildcard", "wildcard before IPv4, any port"),
    ("https://xn--f.example", "origin_punycode", "Punycode cut short"),
    ("https://a.xn--", "origin_punycode", "Punycode of nothing"),
    ("https://xn--abc-.example", "origin_punycode", "Punycode of ASCII"),
    ("https://xn---13msm.example", "origin_punycode", "Punycode written in another way"),
    ("https://xn--99999999999.example", "origin_punycode", "Punycode of no character"),
    ("https://xn--a.example", "origin_punycode", "Punycode of a control character"),
    ("https://xn--a-0nd.example", "origin_punycode", "Punycode that begins with a mark"),
    ("https://xn--bcher-2pa.example", "origin_punycode", "Punycode of a capital letter"),
    ("https://xn--jm6c.example", "origin_punycode", "Punycode of a ligature"),
    ("https://xn--u-ccb.example", "origin_punycode", "Punycode of what is not composed"),
    ("https://*.xn--f:*", "origin_punycode", "Punycode cut short, below it"),
    ("https://*.127.0.0.1", "origin_wildcard", "wildcard before IPv4"),
    ("https://*.[::1]", "origin_wildcard", "wildcard before IPv6"),
    ("https://*.", "origin_host", "wildcard before nothing"),
    ("*.example.com", "origin_scheme_missing", "wildcard and no scheme"),
    ("*://a.example", "origin_scheme", "wildcard for the scheme"),
    ("a.example", "origin_scheme_missing", "no scheme"),
    ("//a.example", "origin_scheme_missing", "no scheme but slashes"),
    ("https:/a.example", "origin_scheme_missing", "one slash"),
    ("", "origin_scheme_missing", "empty"),
    ("://a.example", "origin_scheme", "empty scheme"),
    ("1http://a.example", "origin_scheme", "scheme begins with a digit"),
    ("h ttp://a.example", "origin_scheme", "blank in the scheme"),
    ("https://", "origin_host", "no host"),
    ("https://:8443", "origin_host", "no host but a port"),
    ("https://a..example", "origin_host", "empty label"),
    ("https://.example", "origin_host", "empty first label"),
    ("https://a.example.", "origin_host", "trailing dot"),
    ("https://a b.example", "origin_host", "blank"),
    (" https://a.example", "origin_scheme", "blank before"),
    ("https://a.example ", "origin_host", "blank after"),
    ("https://a.example\n", "origin_host", "newline after"),
    ("https://a\x00.example", "origin_host", "NUL"),
    ("https://a%41.example", "origin_host", "percent"),
    ("https://a,b.example", "origin_host", "comma"),
    ("https://a\\b.example", "origin_host", "backslash"),
    ("https://" + "a" * 64 + ".example", "origin_host", "label of 64"),
    (LONGEST_HOST.replace("//", "//a"), "origin_host", "host of 254"),
    ("x" * (321 - len(LONGEST_HOST)) + LONGEST_HOST, "origin_too_long", "321 bytes"),
    ("https://" + ".".join(["a" * 63] * 4), "origin_host", "host of 255"),
    ("https://" + "a." * 200 + "example", "origin_too_long", "321 bytes and more"),
]


@pytest.mark.parametrize(("text", "code"), [pytest.param(t, c, id=name) for t, c, name in WRONG])
def test_wrong_pattern(text: str, code: str) -> None:
    with pytest.raises(OriginError) as caught:
        OriginPattern.parse(text)
    assert caught.value.code == code
    assert str(caught.value) == caught.value.hint != ""


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("https://a..example", "empty label"),
        ("https://", "host is missing"),
        ("https://:8443", "host is missing"),
        ("http://[::1", "write an IPv6 address in brackets"),
        ("http://[fe80::1%eth0]", "write an IPv6 address in brackets"),
        ("http://[0:0::0:1]", r"as browsers send it: \[::1\]"),
        ("http://[1:0:0:2:0:0:0:3]", r"as browsers send it: \[1:0:0:2::3\]"),
    ],
)
def test_hint_tells_just_what_is_wrong(text: str, hint: str) -> None:
    with pytest.raises(OriginError, match=hint):
        OriginPattern.parse(text)


@pytest.mark.parametrize("text", ["https://*.example.com", "http://localhost:*"])
def test_origin_has_no_wildcard(text: str) -> None:
    with pytest.raises(OriginError, match="no wildcard") as caught:
        Origin.parse(text)
    assert caught.value.code == "origin_wildcard"


def test_a_pattern_is_one_host_if_nothing_else_is_said() -> None:
    assert str(OriginPattern("https", "a.example", None)) == "https://a.example"


@pytest.mark.parametrize(
    ("pattern", "origin", "matches"),
    [
        ("https://a.example", "https://a.example", True),
        ("https://a.example", "http://a.example", False),
        ("https://a.example", "https://a.example:8443", False),
        ("https://a.example:8443", "https://a.example:8443", True),
        ("https://*.a.example", "https://b.a.example", True),
        ("https://*.a.example", "https://c.b.a.example", True),
        ("https://*.a.example", "https://a.example", False),
        ("https://*.a.example", "https://ba.example", False),
        ("https://*.a.example", "https://b.a.example:8443", False),
        ("https://*.a.example:8443", "https://b.a.example:8443", True),
        ("https://*.a.example", "http://b.a.example", False),
        ("http://localhost:*", "http://localhost", True),
        ("http://localhost:*", "http://localhost:1", True),
        ("http://localhost:*", "https://localhost:1", False),
        ("http://localhost:*", "http://a.localhost:1", False),
        ("http://[::1]:*", "http://[::1]:3000", True),
        ("https://*.a.example:*", "https://b.a.example", True),
        ("https://*.a.example:*", "https://b.a.example:8443", True),
        ("https://*.a.example:*", "https://c.b.a.example:1", True),
        ("https://*.a.example:*", "https://a.example:8443", False),
        ("https://*.a.example:*", "https://ba.example:8443", False),
        ("https://*.a.example:*", "http://b.a.example:8443", False),
        ("https://*.a.example:*", "https://b.a.example.evil.example", False),
    ],
)
def test_pattern_and_set_agree(pattern: str, origin: str, matches: bool) -> None:
    assert OriginPattern.parse(pattern).matches(Origin.parse(origin)) is matches
    assert (origin in OriginSet([pattern])) is matches


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("http://localhost", True),
        ("http://a.localhost", True),
        ("http://127.0.0.1", True),
        ("http://127.255.0.9", True),
        ("http://[::1]", True),
        ("http://127.example", False),
        ("http://xlocalhost", False),
        ("http://128.0.0.1", False),
        ("http://[::2]", False),
    ],
)
def test_loopback(text: str, loopback: bool) -> None:
    assert OriginPattern.parse(text).is_loopback is loopback
    assert str(Origin.parse(text)) == text


def test_origin_prints_its_port() -> None:
    assert str(Origin.parse("http://[::1]:3000")) == "http://[::1]:3000"


ALLOWED: list[str | Regex] = [
    "https://ui.example",
    "https://*.example.com",
    "https://*.example.org:8443",
    "http://localhost:*",
    "null",
    Regex(r"https://[a-z]+\.test"),
]


@pytest.mark.parametrize(
    "origin",
    [
        "https://ui.example",
        "https://a.example.com",
        "https://b.a.example.com",
        "https://a.example.org:8443",
        "http://localhost:5173",
        "null",
        "https://ab.test",
    ],
)
def test_set_has(origin: str) -> None:
    assert origin in OriginSet(ALLOWED)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "*",
        "NULL",
        "https://ui.example.",
        "https://example.com",
        "https://*.example.com",
        "http://localhost:*",
        "https://a.example.org",
        "https://ab.test.evil.example",
        "https://ab.test/x",
        "https://AB.test",
        "https://a.example.com" + "x" * 400,
    ],
)
def test_set_has_not(origin: str) -> None:
    assert origin not in OriginSet(ALLOWED)


def test_set_of_exact_origins_reads_nothing() -> None:
    assert "not an origin" not in OriginSet(["https://ui.example"])


@pytest.mark.parametrize("origin", ["https://any.example", "null", "x", ""])
def test_star_has_all(origin: str) -> None:
    everyone = OriginSet(["*"])
    assert everyone.any
    assert origin in everyone


def test_set_is_built_of_right_patterns_only() -> None:
    with pytest.raises(OriginError):
        OriginSet(["https://a.example/"])


@pytest.mark.parametrize(
    ("pattern", "code"),
    [
        pytest.param("(", "origin_regex_invalid", id="malformed"),
        pytest.param(r"(a)\1", "origin_regex_invalid", id="back-reference"),
        pytest.param("(?=a)", "origin_regex_invalid", id="look-ahead"),
        pytest.param("\ud800", "origin_regex_invalid", id="lone surrogate"),
        pytest.param("a" * 1025, "origin_regex_too_long", id="1025 characters"),
    ],
)
def test_wrong_regex(pattern: str, code: str) -> None:
    with pytest.raises(OriginError) as caught:
        CompiledRegex(Regex(pattern))
    assert caught.value.code == code


def test_what_re2_says_of_a_regex_is_told_once_and_as_text(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(OriginError, match=r"^RE2 refuses it: [a-z]") as caught:
        CompiledRegex(Regex("(a"))
    assert "'" not in caught.value.hint
    assert capfd.readouterr() == ("", "")


def test_regex_of_1024_characters() -> None:
    assert CompiledRegex(Regex("a" * 1024)).fullmatch("a" * 1024)


def test_set_of_regexes_alone() -> None:
    assert "https://a.example" in OriginSet([Regex("https://a\\.example")])


@pytest.mark.parametrize("pattern", [5, None, b"https://a", ["a"]])
def test_regex_is_a_text(pattern: object) -> None:
    with pytest.raises(OriginError, match="a regex is a str: write one, not ") as caught:
        Regex(pattern)  # type: ignore[arg-type]  # what an untyped caller may pass
    assert caught.value.code == "origin_regex_not_text"


def test_regex_is_no_compiled_pattern() -> None:
    with pytest.raises(OriginError, match=r'a regex is a str: write Regex\("\(\?i\)https://a"\)'):
        Regex(re.compile("https://a", re.IGNORECASE))  # type: ignore[arg-type]  # as above


def test_regex_prints_as_the_environment_spells_it() -> None:
    assert str(Regex("https://a")) == "regex:https://a"


def test_regex_without_its_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)
    with pytest.raises(OriginError, match=r"pip install 'meshcors\[regex\]'") as caught:
        CompiledRegex(Regex("a"))
    assert caught.value.code == "origin_regex_engine_missing"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("https://ui.example/chat", "https://ui.example/chat"),
        ("https://me:s3cret@ui.example", "https://…@ui.example"),
        ("https://me:s3/c@ret@ui.example:1", "https://…@ui.example:1"),
        ("https://me:s3?cret@ui.example", "https://…"),
        ("https://ui.example/?a=@s3cret", "https://…"),
        ("me:s3cret@ui.example", "…@ui.example"),
        ("https://ui.example/?t=s3cret#s3cret", "https://ui.example/?…"),
        ("https://me:x@ui.example/#s3cret", "https://…@ui.example/#…"),
    ],
)
def test_of_a_url_in_place_of_an_origin_no_secret_is_shown(written: str, shown: str) -> None:
    assert shown_origin(written) == shown
    if written.startswith("https://me"):
        with pytest.raises(PolicyError) as raised:
            Policy(allow_origins=[written])
        assert shown in str(raised.value)
        assert "s3cret" not in str(raised.value)
