"""Origins and patterns of origins: parsed strictly, printed back byte for byte, matched whole.

A pattern is never compared as a substring or a prefix of an origin, and an origin that is not in
the serialized form browsers send matches nothing but ``*``.
"""

from __future__ import annotations

import ipaddress
import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, Literal, TypeAlias, cast

from meshcors._policy.errors import Problem

# A scheme of any registered length, "://", a host of 253 bytes, ":65535" and room to spare.
MAX_ORIGIN_BYTES: Final = 320
# Envoy's and Istio's own limit for a regex in a route.
MAX_REGEX_LENGTH: Final = 1024

_DEFAULT_PORTS: Final = {"ftp": 21, "http": 80, "https": 443, "ws": 80, "wss": 443}
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*")
_LABEL: Final = re.compile(r"[a-z0-9_-]{1,63}")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
# Folding case would change them, but they stay in names: UTS #46, deviation characters.
_UNMAPPED: Final = frozenset("\xdf\u03c2\u200c\u200d")
# Controls, formats, surrogates, private use, and blanks.
_NEVER_IN_NAMES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Zs"})
_NUMERIC_LABEL: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")

# What a look-up takes beside the matching, in the unit of `CompiledRegex.steps`.
_STEPS_AT_LEAST: Final = 1000


class OriginError(ValueError):
    """A text that is no origin, or no pattern of one: `code` for programs, `hint` for people."""

    def __init__(self, code: str, hint: str) -> None:
        super().__init__(hint)
        self.code = code
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Regex:
    """Origins as an RE2 regular expression, matched against the whole origin.

    `pattern` is RE2's syntax, at most 1024 characters, as in Istio's ``allowOrigins: [{regex:
    ...}]``. It needs the extra ``regex``. Raises `OriginError` for a pattern that is no text.
    """

    pattern: str

    def __post_init__(self) -> None:
        given: object = self.pattern
        if not isinstance(given, str):
            written = written_regex(given)
            hint = f"write {written}" if written else f"not {type(given).__name__}"
            raise OriginError("origin_regex_not_text", f"a regex is a str: {hint}")

    def __str__(self) -> str:
        return f"regex:{self.pattern}"


@dataclass(frozen=True, slots=True)
class Origin:
    """A tuple origin: scheme, host, and a port where it is not the scheme's own (HTML 7.1.1)."""

    scheme: str
    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Origin:
        """Read the serialization of an origin, exactly as a browser sends it.

        Raises `OriginError` for all that no browser would send: upper case, a path, a default
        port, a non-canonical IP address.
        """
        pattern = OriginPattern.parse(text)
        if pattern.subdomains or pattern.port == "*":
            raise OriginError("origin_wildcard", "an origin has no wildcard")
        return cls(pattern.scheme, pattern.host, pattern.port)

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"


@dataclass(frozen=True, slots=True)
class OriginPattern:
    """A pattern of origins: one origin, all hosts below a domain, all ports of a host, or both.

    `subdomains` stands for ``*.`` before the host (one or more labels, never the host itself);
    the port ``"*"`` for any port or none.
    """

    scheme: str
    host: str
    port: int | Literal["*"] | None
    subdomains: bool = False

    @classmethod
    def parse(cls, text: str) -> OriginPattern:
        """Read a pattern such as ``https://*.example.com:*`` or ``http://localhost:*``.

        `str` of the result is `text` again. Raises `OriginError`.
        """
        if len(text) > MAX_ORIGIN_BYTES:
            raise OriginError("origin_too_long", f"an origin has at most {MAX_ORIGIN_BYTES} bytes")
        if not text.isascii():
            raise OriginError(
                "origin_not_ascii", "write the host as browsers send it, in Punycode (xn--...)"
            )
        scheme, separator, rest = text.partition("://")
        if not separator:
            raise OriginError("origin_scheme_missing", f"write a scheme: https://{text}")
        if text != text.lower():
            raise OriginError("origin_upper_case", f"browsers send lower case: {text.lower()}")
        if scheme == "file":
            raise OriginError("origin_file", "browsers send null for file: pages")
        if not _SCHEME.fullmatch(scheme):
            raise OriginError("origin_scheme", "a scheme is letters, digits, +, . and -")
        host, port = _split_port(rest)
        subdomains = host.startswith("*.")
        if subdomains:
            host = host[2:]
        _check_host(host, subdomains)
        return cls(scheme, host, _parse_port(scheme, host, port), subdomains)

    def matches(self, origin: Origin) -> bool:
        """Tell whether `origin` is one of those that the pattern stands for."""
        if origin.scheme != self.scheme or (self.port != "*" and origin.port != self.port):
            return False
        if self.subdomains:
            return origin.host.endswith("." + self.host)
        return origin.host == self.host

    @property
    def is_loopback(self) -> bool:
        """Whether every host of the pattern is this machine."""
        return _is_loopback(self.host)

    def __str__(self) -> str:
        wildcard = "*." if self.subdomains else ""
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{wildcard}{self.host}{port}"


def written_regex(pattern: object) -> str | None:
    """Return how to write a text or a compiled `re.Pattern` as a `Regex`; None for all else."""
    if isinstance(pattern, re.Pattern):
        folded = "(?i)" if pattern.flags & re.IGNORECASE else ""
        text = cast("re.Pattern[str] | re.Pattern[bytes]", pattern).pattern
        pattern = folded + (text if isinstance(text, str) else text.decode("latin-1"))
    return f"Regex({json.dumps(pattern)})" if isinstance(pattern, str) else None


AllowedOrigin: TypeAlias = "str | Regex"


class OriginSet:
    """Many patterns, compiled: a look-up takes the same time whatever their number.

    Regexes are the exception: they are tried one after the other, each in linear time.
    Built from the texts and `Regex` of a policy; raises `OriginError` for the first bad one.
    """

    def __init__(self, allowed: Iterable[AllowedOrigin]) -> None:
        self.any = False
        self._exact: set[str] = set()
        self._any_port: set[tuple[str, str]] = set()
        self._subdomains: set[tuple[str, int | Literal["*"] | None, str]] = set()
        self._regexes: list[CompiledRegex] = []
        for item in allowed:
            self._add(item)
        self._has_patterns = bool(self._any_port or self._subdomains or self._regexes)

    def _add(self, item: AllowedOrigin) -> None:
        if isinstance(item, Regex):
            self._regexes.append(CompiledRegex(item))
        elif item == "*":
            self.any = True
        elif item == "null":
            self._exact.add(item)
        else:
            pattern = OriginPattern.parse(item)
            if pattern.subdomains:
                self._subdomains.add((pattern.scheme, pattern.port, pattern.host))
            elif pattern.port == "*":
                self._any_port.add((pattern.scheme, pattern.host))
            else:
                self._exact.add(item)

    def __contains__(self, text: str) -> bool:
        """Tell whether the origin that a request sent, `text`, is matched by a pattern."""
        if self.any or text in self._exact:
            return True
        if not self._has_patterns:
            return False
        try:
            origin = Origin.parse(text)
        except OriginError:
            return False
        return (
            (origin.scheme, origin.host) in self._any_port
            or self._is_below(origin)
            or any(regex.fullmatch(text) for regex in self._regexes)
        )

    def _is_below(self, origin: Origin) -> bool:
        if not self._subdomains:
            return False
        parent = origin.host
        while parent := parent.partition(".")[2]:
            for port in (origin.port, "*"):
                if (origin.scheme, port, parent) in self._subdomains:
                    return True
        return False


class CompiledRegex:
    """A `Regex` made ready on RE2; raises `OriginError` where RE2 is missing or refuses it."""

    def __init__(self, regex: Regex) -> None:
        if len(regex.pattern) > MAX_REGEX_LENGTH:
            raise OriginError(
                "origin_regex_too_long", f"a regex has at most {MAX_REGEX_LENGTH} characters"
            )
        try:
            import re2
        except ModuleNotFoundError:
            raise OriginError(
                "origin_regex_engine_missing",
                "regexes run on RE2: python -m pip install 'meshcors[regex]'",
            ) from None
        options = re2.Options()
        options.log_errors = False
        try:
            self._compiled = re2.compile(regex.pattern, options)
        except re2.error as error:
            reason = error.args[0]
            shown = reason.decode() if isinstance(reason, bytes) else reason
            raise OriginError("origin_regex_invalid", f"RE2 refuses it: {shown}") from None
        except UnicodeEncodeError:
            raise OriginError(
                "origin_regex_invalid", "RE2 reads UTF-8: no lone surrogates"
            ) from None

    def fullmatch(self, text: str) -> bool:
        """Tell whether the whole of `text` matches."""
        return self._compiled.fullmatch(text) is not None

    def steps(self, text: str) -> int:
        """Return how much work it is at most to match `text`, in no unit."""
        size = int(self._compiled.programsize)
        # Large programs outgrow the memory of RE2's fast way: each character costs more then.
        return _STEPS_AT_LEAST + len(text) * (size + size * size // 1000)

    def literal_prefix(self) -> str:
        """Return a text with which every full match begins; it may be empty."""
        import re2

        try:
            least, most = self._compiled.possiblematchrange(MAX_REGEX_LENGTH)
        except re2.error:  # RE2 knows nothing of it
            return ""
        # What the least and the most begin with, every text between them does.
        pairs = zip(least, most, strict=False)
        same = bytes(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        return same.decode(errors="ignore")


def _split_port(rest: str) -> tuple[str, str | None]:
    """Split "host:port"; all that an origin cannot carry after its host is refused by name."""
    for mark, code, hint in (
        ("@", "origin_user_info", "an origin has no user info"),
        ("?", "origin_query", "an origin has no query: leave out ? and what follows"),
        ("#", "origin_fragment", "an origin has no fragment: leave out # and what follows"),
    ):
        if mark in rest:
            raise OriginError(code, hint)
    if rest.endswith("/") and rest.count("/") == 1:
        raise OriginError("origin_trailing_slash", "an origin has no path: leave out the last /")
    if "/" in rest:
        raise OriginError("origin_path", "an origin has no path: leave out / and what follows")
    bracket = rest.rfind("]")
    colon = rest.find(":", bracket + 1)
    return (rest, None) if colon < 0 else (rest[:colon], rest[colon + 1 :])


def _check_host(host: str, subdomains: bool) -> None:
    if "*" in host:
        raise OriginError(
            "origin_wildcard",
            "* stands only for the first labels (https://*.example.com) or the port (:*)",
        )
    if host.startswith("["):
        canonical = _canonical_ipv6(host)
        if subdomains:
            raise OriginError("origin_wildcard", "an IP address has no subdomains")
        if canonical != host:
            raise OriginError("origin_ip_address", f"browsers send {canonical}")
        return
    labels = host.split(".")
    if labels[-1] == "" and "" not in labels[:-1] and labels != [""]:
        raise OriginError("origin_host", "leave out the last dot")
    if "" in labels:
        raise OriginError("origin_host", "the host is missing or has an empty label")
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise OriginError(
            "origin_host", "a host is labels of at most 63 letters, digits, - and _; 253 in all"
        )
    for label in labels:
        if label.startswith("xn--") and not _is_punycode(label):
            raise OriginError(
                "origin_punycode", f"{label} is not valid Punycode, so no browser sends it"
            )
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        # WHATWG URL 3.5: a host whose last label is a number is an IPv4 address.
        if not _is_ipv4(host):
            raise OriginError(
                "origin_ip_address", "write an IPv4 address as four numbers, such as 192.0.2.1"
            )
        if subdomains:
            raise OriginError("origin_wildcard", "an IP address has no subdomains")


def _is_punycode(label: str) -> bool:
    """Tell whether "xn--..." stands for a name, as browsers read one (UTS #46, processing).

    Not looked at are which characters are assigned, and which may stand beside which.
    """
    try:
        name = label[4:].encode().decode("punycode")
        # Not the only way to write it, or one that nobody needs to write.
        if name.isascii() or name.encode("punycode").decode() != label[4:]:
            return False
    except (UnicodeError, OverflowError):
        return False
    if unicodedata.category(name[0]).startswith("M") or unicodedata.normalize("NFC", name) != name:
        return False
    # What is mapped to something else (a capital letter, a ligature) is not left in a name.
    return all(
        char in _UNMAPPED
        or (
            unicodedata.category(char) not in _NEVER_IN_NAMES
            and unicodedata.normalize("NFKC", char.casefold()) == char
        )
        for char in name
    )


def _parse_port(scheme: str, host: str, port: str | None) -> int | Literal["*"] | None:
    if port is None:
        return None
    if port == "*":
        return "*"
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise OriginError("origin_port", "a port is 1 to 65535, without leading zeros, or *")
    if _DEFAULT_PORTS.get(scheme) == int(port):
        raise OriginError(
            "origin_default_port",
            f"browsers leave out the port {port} of {scheme}: {scheme}://{host}",
        )
    return int(port)


def _is_ipv4(host: str) -> bool:
    try:
        return str(ipaddress.IPv4Address(host)) == host
    except ValueError:
        return False


def _canonical_ipv6(host: str) -> str:
    """Return the WHATWG URL serialization of "[...]": lower-case hex, the longest run as "::"."""
    try:
        if not host.endswith("]") or "%" in host:
            raise ValueError(host)
        packed = ipaddress.IPv6Address(host[1:-1]).packed
    except ValueError:
        raise OriginError("origin_ip_address", "not an IPv6 address in brackets") from None
    pieces = [f"{packed[i] << 8 | packed[i + 1]:x}" for i in range(0, 16, 2)]
    # The first longest run of two zero pieces or more; a run of seven colons cannot be mistaken.
    longest = max(
        (run for run in re.finditer(r"\b0(:0)+\b", ":".join(pieces))),
        key=lambda run: len(run.group()),
        default=None,
    )
    text = ":".join(pieces)
    if longest is not None:
        text = text[: longest.start()].rstrip(":") + "::" + text[longest.end() :].lstrip(":")
    return f"[{text}]"


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost") or host == "[::1]":
        return True
    return host.startswith("127.") and _is_ipv4(host)


def problem(error: OriginError, field: str, value: str) -> Problem:
    """Return what `error` says of the `value` in `field`, as a problem of a policy."""
    return Problem(error.code, field, value, error.hint)
