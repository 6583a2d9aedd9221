"""A request as a script makes it, the preflight that it needs, and a server's answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from meshcors._policy.headers import (
    FORBIDDEN_METHODS,
    NORMALIZED_METHODS,
    SAFELISTED_METHODS,
    is_forbidden_request_header,
    is_token,
)
from meshcors._policy.origins import Origin
from meshcors._policy.web_ports import WEB_PORTS

Credentials: TypeAlias = Literal["omit", "same-origin", "include"]
HeaderLines: TypeAlias = tuple[tuple[str, str], ...]

ACAO: Final = "access-control-allow-origin"
ACAC: Final = "access-control-allow-credentials"
ACAM: Final = "access-control-allow-methods"
ACAH: Final = "access-control-allow-headers"
ACMA: Final = "access-control-max-age"
# Fetch, "CORS non-wildcard request-header name": the only one
NON_WILDCARD_NAME: Final = "authorization"

_MODES: Final = ("omit", "same-origin", "include")
# Fetch, "normalize" a header value; and what no value contains
_HTTP_WHITESPACE: Final = " \t\r\n"
_NO_HEADER_VALUE: Final = re.compile(r"[\0\r\n]|[^\0-\xff]")
# Fetch, "forbidden request-header": forbidden only with some values
_METHOD_OVERRIDES: Final = frozenset(
    {"x-http-method", "x-http-method-override", "x-method-override"}
)
# Fetch, "CORS-safelisted request-header"
_SAFELISTED_VALUE_BYTES: Final = 128
_SAFELISTED_BYTES: Final = 1024
_UNSAFE_BYTE: Final = re.compile(r'[\x00-\x08\x0a-\x1f"():<>?@\[\\\]{}\x7f]')
_LANGUAGE: Final = re.compile(r"[0-9A-Za-z *,.;=-]*")
_RANGE: Final = re.compile(r"bytes=([0-9]+)-([0-9]*)")
_FORM_TYPES: Final = frozenset(
    {"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"}
)


@dataclass(frozen=True, slots=True, init=False)
class Request:
    """A call of ``fetch(url, {method, headers, credentials})`` from a page.

    - `origin`: that of the page, as the browser serializes it: ``https://ui.example``, or ``null``
      for a sandboxed frame or a ``data:`` URL.
    - `url`: absolute, http or https.
    - `headers`: those that the script sets, as a mapping or as pairs.
    - `credentials`: the mode; a script that does not set it has "same-origin".
    - `redirected_from`: the request that the script made; `follow` sets it.

    The values are kept normalized: the method as it is sent, header names in lower case, and no
    headers that scripts cannot set, which browsers drop silently. Raises `ValueError` where ``new
    Request()`` raises a TypeError: names that are not tokens, forbidden methods, user info in the
    URL.
    """

    origin: str
    url: str
    method: str
    headers: HeaderLines
    credentials: Credentials
    redirected_from: Request | None

    def __init__(
        self,
        origin: str,
        url: str,
        method: str = "GET",
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        credentials: Credentials = "same-origin",
        redirected_from: Request | None = None,
    ) -> None:
        if origin != "null":
            Origin.parse(origin)
        if credentials not in _MODES:
            raise ValueError(f"a credentials mode is one of {', '.join(_MODES)}: {credentials!r}")
        for name, value in {
            "origin": origin,
            "url": _serialize(url),
            "method": _normalize_method(method),
            "headers": _settable(headers),
            "credentials": credentials,
            "redirected_from": redirected_from,
        }.items():
            object.__setattr__(self, name, value)

    @property
    def is_same_origin(self) -> bool:
        """Whether CORS does not apply (Fetch, "main fetch": response tainting "basic")."""
        return self.origin == origin_of(self.url)


@dataclass(frozen=True, slots=True, init=False)
class Response:
    """A server's answer: its status and its header lines, including repeated ones.

    `headers` is a mapping or pairs of anything that a server may send. They are kept with
    lower-case names and without white space around values.
    """

    status: int
    headers: HeaderLines

    def __init__(
        self, status: int, headers: Mapping[str, str] | Sequence[tuple[str, str]] = ()
    ) -> None:
        lines = ((name.lower(), value.strip(_HTTP_WHITESPACE)) for name, value in _pairs(headers))
        object.__setattr__(self, "status", status)
        object.__setattr__(self, "headers", tuple(lines))

    def get(self, name: str) -> str | None:
        """Return the value of `name` (lower case), its lines joined by ", " (Fetch, "get")."""
        values = [value for found, value in self.headers if found == name]
        return ", ".join(values) if values else None

    def elements(self, name: str) -> list[str]:
        """Return the elements of the list `name` (lower case), of all its lines together.

        Fetch, "extract header list values", before it checks the elements.
        """
        return _elements(",".join(value for found, value in self.headers if found == name))


def preflight_for(request: Request) -> HeaderLines | None:
    """Return the fields of the preflight that precedes `request`, or None if it needs none.

    They are those of the standard (Fetch, "CORS-preflight fetch", steps 1 to 5), sorted by name.
    Engines add their own, such as user-agent and sec-fetch-mode.
    """
    unsafe = unsafe_names(request)
    # Fetch, HTTP fetch: the method or a header is not safelisted
    if request.is_same_origin or (request.method in SAFELISTED_METHODS and not unsafe):
        return None
    names = (("access-control-request-headers", ",".join(unsafe)),) if unsafe else ()
    return (
        ("accept", "*/*"),
        *names,
        ("access-control-request-method", request.method),
        ("origin", request.origin),
    )


def unsafe_names(request: Request) -> list[str]:
    """Return the names that need permission (Fetch, "CORS-unsafe request-header names")."""
    unsafe: set[str] = set()
    safelisted: set[str] = set()
    size = 0
    for name, value in request.headers:
        if _is_safelisted(name, value):
            safelisted.add(name)
            size += len(value)
        else:
            unsafe.add(name)
    return sorted(unsafe | safelisted if size > _SAFELISTED_BYTES else unsafe)


def _is_safelisted(name: str, value: str) -> bool:
    """Return whether a header needs no permission (Fetch, "CORS-safelisted request-header")."""
    if len(value) > _SAFELISTED_VALUE_BYTES:
        return False
    if name == "accept":
        return _UNSAFE_BYTE.search(value) is None
    if name in ("accept-language", "content-language"):
        return _LANGUAGE.fullmatch(value) is not None
    if name == "content-type":
        # The essence (MIME Sniffing 4.4); parameters make no difference
        essence = value.partition(";")[0].rstrip(_HTTP_WHITESPACE).lower()
        return _UNSAFE_BYTE.search(value) is None and essence in _FORM_TYPES
    if name == "range":
        found = _RANGE.fullmatch(value)
        # An open start, bytes=-5, counts from the end and is not safelisted
        return found is not None and (not found[2] or int(found[1]) <= int(found[2]))
    return False


def _elements(value: str) -> list[str]:
    """Return the elements of a list, trimmed, without empty ones (RFC 9110 5.6.1.2)."""
    trimmed = (element.strip(" \t") for element in value.split(","))
    return [element for element in trimmed if element]


def _normalize_method(method: str) -> str:
    """Normalize a method (Fetch): six methods, but not PATCH, are sent in upper case."""
    upper = method.upper()
    if not is_token(method) or upper in FORBIDDEN_METHODS:
        raise ValueError(f"fetch() refuses the method {method!r}")
    return upper if upper in NORMALIZED_METHODS else method


def _settable(headers: Mapping[str, str] | Sequence[tuple[str, str]]) -> HeaderLines:
    """Return the header lines that result from a script's headers (Fetch, guard "request")."""
    lines: list[tuple[str, str]] = []
    for name, text in _pairs(headers):
        lowered, value = name.lower(), text.strip(_HTTP_WHITESPACE)
        if not is_token(name) or _NO_HEADER_VALUE.search(value):
            raise ValueError(f"fetch() refuses the header {name!r}, or its value")
        # Fetch, "forbidden request-header"
        overrides = lowered in _METHOD_OVERRIDES and any(
            method.upper() in FORBIDDEN_METHODS for method in _elements(value)
        )
        if not is_forbidden_request_header(lowered) and not overrides:
            lines.append((lowered, value))
    return tuple(lines)


def _pairs(headers: Mapping[str, str] | Sequence[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    return headers.items() if isinstance(headers, Mapping) else headers


def origin_of(url: str) -> str:
    """Return the serialized origin of an http or https URL; raises `ValueError` for any other."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in WEB_PORTS or not host:
        raise ValueError(f"write an absolute http or https URL: {url!r}")
    port = "" if parts.port in (None, WEB_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://[{host}]{port}" if ":" in host else f"{parts.scheme}://{host}{port}"


def _serialize(url: str) -> str:
    """Return `url` as consoles print it; dots and percent signs in the path stay as they are."""
    origin, parts = origin_of(url), urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError("fetch() refuses a URL with user info")
    query = f"?{parts.query}" if parts.query else ""
    return f"{origin}{parts.path or '/'}{query}"
