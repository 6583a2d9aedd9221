"""Origins and patterns of origins: parsed strictly, printed back byte for byte.

A pattern never matches as a substring or a prefix. An origin that is not serialized as browsers do
it matches nothing but ``*``.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from meshcors._policy.errors import OriginError
from meshcors._policy.hosts import check_host, is_loopback
from meshcors._policy.problem_codes import ProblemCode
from meshcors._policy.web_ports import WEB_PORTS
from meshcors._policy.wording import shown_origin

# A scheme of any registered length, "://", a host of 253 bytes, ":65535" and room to spare.
MAX_ORIGIN_BYTES: Final = 320

_DEFAULT_PORTS: Final = {
    **WEB_PORTS,
    "ftp": 21,
    "ws": WEB_PORTS["http"],
    "wss": WEB_PORTS["https"],
}
# What a URL may have and an origin never has.
_NEVER_AFTER_HOST: Final[tuple[tuple[str, ProblemCode, str], ...]] = (
    ("@", "origin_user_info", "an origin has no user info: leave out @ and what precedes it"),
    ("?", "origin_query", "an origin has no query: leave out ? and what follows"),
    ("#", "origin_fragment", "an origin has no fragment: leave out # and what follows"),
)
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")


class Origin(NamedTuple):
    """A tuple origin (HTML 7.1.1): scheme, host, and the port unless it is the scheme's default."""

    scheme: str
    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Origin:
        """Return the origin in `text`, serialized exactly as a browser sends it.

        Raises `OriginError` for anything that no browser sends: upper case, a path, a default port,
        a non-canonical IP address.
        """
        pattern = OriginPattern.parse(text)
        if pattern.subdomains or pattern.port == "*":
            raise OriginError("origin_wildcard", "an origin has no wildcard")
        return cls(pattern.scheme, pattern.host, pattern.port)

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"


class OriginPattern(NamedTuple):
    """A pattern of origins: one origin, all hosts below a domain, all ports of a host, or both.

    `subdomains` means ``*.`` before the host: one or more labels, never the host itself. The port
    ``"*"`` means any port or none.
    """

    scheme: str
    host: str
    port: int | Literal["*"] | None
    subdomains: bool = False

    @classmethod
    def parse(cls, text: str) -> OriginPattern:
        """Parse a pattern such as ``https://*.example.com`` or ``http://localhost:*``.

        `str` of the pattern is `text` again. Raises `OriginError`.
        """
        if len(text) > MAX_ORIGIN_BYTES:
            raise OriginError("origin_too_long", f"an origin has at most {MAX_ORIGIN_BYTES} bytes")
        if not text.isascii():
            raise OriginError(
                "origin_not_ascii", "write the host as browsers send it, in Punycode (xn--...)"
            )
        scheme, separator, rest = text.partition("://")
        if not separator:
            raise OriginError(
                "origin_scheme_missing", f"write a scheme: https://{shown_origin(text)}"
            )
        if text != text.lower():
            raise OriginError(
                "origin_upper_case", f"browsers send lower case: {shown_origin(text).lower()}"
            )
        if scheme == "file":
            raise OriginError(
                "origin_file",
                "browsers send null for file: pages; serve them over http, or write null",
            )
        if not _SCHEME.fullmatch(scheme):
            raise OriginError("origin_scheme", "write a scheme of letters, digits, +, . and -")
        host, port = _split_port(rest)
        subdomains = host.startswith("*.")
        if subdomains:
            host = host[2:]
        check_host(host, subdomains)
        return cls(scheme, host, _parse_port(scheme, host, port), subdomains)

    def matches(self, origin: Origin) -> bool:
        """Return whether the pattern matches `origin`."""
        if origin.scheme != self.scheme or (self.port != "*" and origin.port != self.port):
            return False
        if self.subdomains:
            return origin.host.endswith("." + self.host)
        return origin.host == self.host

    @property
    def is_loopback(self) -> bool:
        """Whether every host of the pattern is this machine."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        wildcard = "*." if self.subdomains else ""
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{wildcard}{self.host}{port}"


def _split_port(rest: str) -> tuple[str, str | None]:
    """Split "host:port"; raise `OriginError` for anything else after the host."""
    for mark, code, hint in _NEVER_AFTER_HOST:
        if mark in rest:
            raise OriginError(code, hint)
    if rest.endswith("/") and rest.count("/") == 1:
        raise OriginError("origin_trailing_slash", "an origin has no path: leave out the last /")
    if "/" in rest:
        raise OriginError("origin_path", "an origin has no path: leave out / and what follows")
    bracket = rest.rfind("]")
    colon = rest.find(":", bracket + 1)
    return (rest, None) if colon < 0 else (rest[:colon], rest[colon + 1 :])


def _parse_port(scheme: str, host: str, port: str | None) -> int | Literal["*"] | None:
    if port is None:
        return None
    if port == "*":
        return "*"
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise OriginError(
            "origin_port", "write a port from 1 to 65535, without leading zeros, or *"
        )
    if _DEFAULT_PORTS.get(scheme) == int(port):
        raise OriginError(
            "origin_default_port",
            f"browsers leave out the port {port} of {scheme}: {scheme}://{host}",
        )
    return int(port)
