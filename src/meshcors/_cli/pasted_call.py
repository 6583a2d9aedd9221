"""A URL, an origin and a header as people paste them.

What a page, a chat or a shell put around them goes. A host is written as browsers send it, because
they call and print that. What no script can call is one line with the fix, without the text: it may
hold a secret.
"""

from __future__ import annotations

import re
import socket
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import click

from meshcors._cli.explain_call import CalledUrl, read_url

# Pairs that people put around a text.
_AROUND: Final = {'"': '"', "'": "'", "`": "`", "<": ">", "“": "”", "\u2018": "\u2019"}
# WHATWG URL 3.5: a host whose last label is a number is an IPv4 address.
_NUMBER: Final = re.compile(r"(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?\Z")


def unquoted(text: str) -> str:
    """Return `text` without white space and quotation marks around it."""
    text = text.strip()
    while len(text) > 1 and _AROUND.get(text[0]) == text[-1]:
        text = text[1:-1].strip()
    return text


def read_pasted_url(text: str) -> CalledUrl:
    """Return the parts of a URL; ``click.UsageError`` says what to write if no script calls it."""
    text = unquoted(text)
    scheme, colon_slashes, rest = text.partition("://")
    scheme = scheme.lower()
    if not colon_slashes and text:
        raise _refused("begin with https:// or http://, as the script calls it")
    if scheme in ("ws", "wss"):
        raise _refused("this is a WebSocket's, to which CORS does not apply: docs/websockets.md")
    if scheme == "file":
        raise _refused("a page cannot fetch a file: serve it over http, and call that")
    if "@" in re.split(r"[/?#\\]", rest, maxsplit=1)[0]:
        raise _refused("leave out the user and the password: fetch() refuses a URL with them")
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        return read_url(text, "URL")
    try:
        sent = ascii_host(host)
    except ValueError as error:
        raise _refused(str(error)) from None
    if sent != host:
        netloc = parts.netloc.lower().replace(host, sent, 1)
        text = urlunsplit(parts._replace(netloc=netloc))
    return read_url(text, "URL")


def ascii_host(host: str) -> str:
    """Return a host as browsers send it; `ValueError` says what to write in its place."""
    if not host.isascii():
        import idna  # comes with httpx

        try:
            host = idna.encode(host, uts46=True, std3_rules=False).decode("ascii")
        except idna.IDNAError:
            raise ValueError("write the host as browsers send it, in Punycode (xn--...)") from None
    if ":" not in host and _NUMBER.match(host.rpartition(".")[2]):
        try:
            address = socket.inet_ntoa(socket.inet_aton(host))
        except OSError:
            raise ValueError("write an IPv4 address as four numbers, such as 192.0.2.1") from None
        if address != host:
            raise ValueError(f"browsers call the address {address}: write that")
    return host


def _refused(fix: str) -> click.UsageError:
    return click.UsageError(f"URL: {fix}")
