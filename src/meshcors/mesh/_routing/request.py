"""A request as Envoy's routing sees it, normalized by the connection manager.

Istio's gateways set ``normalize_path`` and ``use_remote_address``; hosts match without their ports.
Sources: ``source/common/http/path_utility.cc``, ``header_map_impl.cc``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from meshcors._policy.web_ports import WEB_PORTS

if TYPE_CHECKING:
    from collections.abc import Iterable

# Envoy joins the lines of these headers with commas; every other header keeps a value per line.
JOINED_HEADERS: Final = frozenset(
    (
        "accept", "accept-encoding", "access-control-request-headers",
        "access-control-request-method", "access-control-request-private-network",
        "authorization", "cache-control", "content-encoding", "content-type", "expect",
        "grpc-accept-encoding", "grpc-timeout", "if-match", "if-modified-since", "if-none-match",
        "if-range", "origin", "pragma", "referer", "user-agent", "via", "x-forwarded-host",
        "x-forwarded-port",
    )
)  # fmt: skip
# The connection manager of an edge proxy removes these.
HIDDEN_HEADERS: Final = frozenset(
    (
        "connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade",
        "x-forwarded-client-cert",
    )
)  # fmt: skip
# Stand-ins for values that it sets and nobody knows beforehand: a condition sees that they exist.
SOME_REQUEST_ID: Final = "00000000-0000-4000-8000-000000000000"
SOME_ADDRESS: Final = "192.0.2.1"

_PATH: Final = re.compile(r"/[!-\"$-~]*")
_DOT_PARAMETERS: Final = re.compile(r"(?<=/)(\.\.?);[^/]*")
_CHARACTER: Final = re.compile("%[0-9a-fA-F]{2}|.")
_HEX: Final = re.compile("[0-9a-fA-F]{2}")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ENCODED: Final = str.maketrans({char: f"%{ord(char):02X}" for char in '"<>^`{|}'})


@dataclass(frozen=True, eq=False)
class GatewayRequest:
    """One request at the gateway.

    ``headers`` are (name, value) pairs, one for each line, with names in any case. ``host`` may
    have a port, ``path`` a query. ``scheme`` is the client's (``http`` or ``https``), ``port`` the
    gateway's, by default the scheme's. ``ValueError`` is raised for a path that Envoy refuses with
    400 before any rule is tried: one that does not begin with ``/``, or contains ``#``, ``%00`` or
    anything but printable ASCII.
    """

    method: str
    host: str
    path: str
    headers: Iterable[tuple[str, str]] = ()
    scheme: str = "https"
    port: int = 0

    def __post_init__(self) -> None:
        """Check the path, and keep the headers, which may be an iterator."""
        if not _PATH.fullmatch(self.path) or "%00" in self.path.partition("?")[0]:
            raise ValueError(
                f"{self.path!r} is not a path: it begins with / and is ASCII without #"
            )
        object.__setattr__(self, "headers", tuple(self.headers))
        if not self.port:
            object.__setattr__(self, "port", WEB_PORTS.get(self.scheme, WEB_PORTS["http"]))

    @cached_property
    def values(self) -> dict[str, tuple[str, ...]]:
        """The values of each header by lower-case name, including pseudo headers."""
        found: dict[str, list[str]] = {}
        for name, value in self.headers:
            found.setdefault(name.lower(), []).append(value.strip(" \t"))
        joined = {
            name: (join(values),) if name in JOINED_HEADERS else tuple(values)
            for name, values in found.items()
            if name not in HIDDEN_HEADERS
        }
        addresses = [*found.get("x-forwarded-for", ()), SOME_ADDRESS]
        return joined | {
            ":method": (self.method,),
            ":authority": (self.host,),
            ":scheme": (self.scheme,),
            ":path": (self.target,),
            "x-forwarded-proto": (self.scheme,),
            "x-forwarded-for": (join(addresses),),
            "x-request-id": (SOME_REQUEST_ID,),
        }

    def value(self, name: str) -> str:
        """Return a header's first value, or an empty string."""
        return self.values.get(name, ("",))[0]

    @cached_property
    def target(self) -> str:
        """The path, normalized, and the query."""
        path, mark, query = self.path.partition("?")
        return self.read_path(path) + mark + query

    def read_path(self, path: str) -> str:
        """Return the path as Istio's gateways read it: normalized."""
        return normalized(path)

    @cached_property
    def path_only(self) -> str:
        """The normalized path without the query, as routes match it."""
        return self.target.partition("?")[0]

    @cached_property
    def query(self) -> dict[str, str]:
        """The first value of each query parameter; nothing is decoded."""
        found: dict[str, str] = {}
        for part in self.target.partition("?")[2].split("&"):
            name, _, value = part.partition("=")
            found.setdefault(name, value)
        return found


def join(values: Iterable[str]) -> str:
    """Join the lines of one header as Envoy's header map does, without the empty ones."""
    return ",".join(value for value in values if value)


def normalized(path: str) -> str:
    """Normalize a path as Envoy does with ``normalize_path`` (googleurl's canonicalization).

    Unreserved characters are decoded and ``"<>^`{|}`` encoded, a backslash becomes a slash, and
    ``.`` and ``..`` are resolved (RFC 3986 5.2.4), also with ``;parameters`` if not escaped.
    Repeated slashes stay.
    """
    bare = _DOT_PARAMETERS.sub(r"\1", path).replace("\\", "/")
    decoded = _unescaped(bare).translate(_ENCODED)
    segments: list[str] = []
    parts = decoded.split("/")[1:]
    for at, part in enumerate(parts):
        if part == "..":
            del segments[-1:]
        elif part != ".":
            segments.append(part)
            continue
        if at == len(parts) - 1:
            segments.append("")
    return "/" + "/".join(segments)


def _unescaped(path: str) -> str:
    """Decode unreserved characters; a stray ``%`` that would then start an escape is ``%25``."""
    found = [_decoded(char) for char in _CHARACTER.findall(path)]
    for at, char in enumerate(found):
        if char == "%" and _HEX.fullmatch("".join(found[at + 1 : at + 3])):
            found[at] = "%25"
    return "".join(found)


def _decoded(char: str) -> str:
    plain = chr(int(char[1:], 16)) if len(char) == 3 else ""
    return plain if plain in _UNRESERVED else char
