"""The call that ``meshcors explain`` follows, read from its options.

No message shows a header's value or a query: either may be a key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

import click

from meshcors import browser
from meshcors._policy.errors import OriginError
from meshcors._policy.web_ports import WEB_PORTS
from meshcors._policy.wording import shown_origin
from meshcors.mesh import Gateway, GatewayRequest
from meshcors.mesh._explain.values import shown_target

if TYPE_CHECKING:
    from collections.abc import Sequence

# What a browser leaves as it is in a path or query; anything else it escapes.
_KEPT: Final = "".join(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True, slots=True)
class CalledUrl:
    """The parts of a URL that is called.

    ``target`` is the path and query, ``host`` may have a port, and ``port`` is the gateway's.
    """

    scheme: str
    host: str
    target: str
    port: int


def read_url(text: str, given_by: str = "--url") -> CalledUrl:
    """Return the parts of a URL; ``click.UsageError`` if it is none that a script calls."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    # After an empty port stands a password that begins with a slash, or nothing that was meant.
    is_odd = "@" in parts.netloc or parts.netloc.endswith(":") or port == 0
    if parts.scheme not in WEB_PORTS or not parts.hostname or is_odd:
        raise click.UsageError(f"{given_by}: write https://HOST/PATH, as the script calls it")
    query = f"?{quote(parts.query, safe=_KEPT)}" if parts.query else ""
    target = quote(parts.path, safe=_KEPT) or "/"
    port = port or WEB_PORTS[parts.scheme]
    return CalledUrl(parts.scheme, parts.netloc.lower(), f"{target}{query}", port)


def default_host(gateway: Gateway, port: int) -> str:
    """Return a host that the documents' first host name or wildcard covers."""
    hosts = gateway.virtual_hosts(port)
    domain = hosts[0].domain if hosts else "*"
    return "api.example" if domain == "*" else domain.replace("*", "api", 1)


def read_call(
    origin: str, url: CalledUrl, method: str, headers: Sequence[str], *, credentials: bool
) -> browser.Request:
    """Return the call, the query in its URL hidden; ``click.UsageError`` if no script makes it."""
    shown = shown_target(url.target)
    try:
        GatewayRequest("GET", url.host, url.target)
    except ValueError:
        raise click.UsageError(
            f"{shown}: begin the path with /, and write it in ASCII without # and %00"
        ) from None
    pairs = [read_header(text) for text in headers]
    mode: browser.Credentials = "include" if credentials else "omit"
    try:
        return browser.Request(origin, f"{url.scheme}://{url.host}{shown}", method, pairs, mode)
    except OriginError as error:
        raise click.UsageError(f"--origin {shown_origin(origin)}: {error.hint}") from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def read_header(text: str) -> tuple[str, str]:
    """Return the name and value of ``--header``; ``click.UsageError`` without a colon."""
    name, colon, value = text.partition(":")
    if not colon:
        # Not shown: it may be a key's value.
        raise click.UsageError("--header: write NAME:VALUE")
    return name.strip(), value.strip()
