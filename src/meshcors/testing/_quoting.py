"""What of a server's answer may be printed: never a value that the script sent, a body, a query.

A server may echo a key in any field, a redirect's URL or an error line, and may escape it as URLs,
HTML, JSON or Python do.
"""

from __future__ import annotations

import json
import re
import sys
from base64 import b64decode
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from meshcors._policy.headers import SAFELISTED_REQUEST_HEADERS
from meshcors._policy.wording import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshcors import browser
    from meshcors.testing._fetch import Exchange

HIDDEN: Final = "…"
LONGEST: Final = 120
LONGEST_FAILURE: Final = 240
_SHORT: Final = 3
# What every CORS answer may hold. Where a key is one of these words, nobody learns it from them.
_WORDS: Final = frozenset({"", "*", "true", "null"})


class Quoting:
    """Quotes texts of a server without what is secret in `request` and in its `body`."""

    def __init__(self, request: browser.Request | None = None, body: bytes = b"") -> None:
        values: set[str] = set()
        self._origin = ""
        if request is not None:
            self._origin = request.origin
            values.update(
                value for name, value in request.headers if name not in SAFELISTED_REQUEST_HEADERS
            )
            values.update(part for value in tuple(values) for part in _parts_of(value))
            query = parse_qsl(urlsplit(request.url).query, keep_blank_values=True)
            values.update(value or name for name, value in query)
        values.update(each for each in _texts(body) if len(each) > _SHORT)
        longest_first = sorted(values - _WORDS - {self._origin}, key=len, reverse=True)
        self._hide = _Hiding(longest_first)
        self._hide_long = _Hiding([each for each in longest_first if len(each) > _SHORT])

    def __call__(self, text: str) -> str:
        """Return `text` as it may be printed, on one line and not too long."""
        if text == self._origin or text in _WORDS:
            return text
        return printable(self._hide(text), LONGEST)

    def line(self, text: str) -> str:
        """Return one of our own lines, which may quote the server; it is not cut.

        A short key may be a part of our own words, and stays.
        """
        return printable(self._hide_long(text))

    def failure(self, exchange: Exchange) -> str:
        """Return what went wrong; it has numbers of our own, which a short key may be."""
        is_servers = exchange.kind == "protocol"
        hide = self._hide if is_servers else self._hide_long
        return printable(hide(exchange.failure), LONGEST_FAILURE)

    def own_url(self, url: str) -> str:
        """Return the URL of the call as it may be printed: its query hidden."""
        before, mark, _ = url.partition("?")
        return printable(f"{before}{mark}{HIDDEN if mark else ''}")

    def url(self, url: str) -> str:
        """Return a server's URL as it may be printed.

        Its query, its fragment and its user information are hidden.
        """
        before, mark, _ = url.partition("#")
        before, mark, _ = before.partition("?") if "?" in before else (before, mark, "")
        scheme, slashes, rest = before.partition("//")
        place, slash, path = rest.partition("/")
        if "@" in place:
            place = f"{HIDDEN}@{place.rpartition('@')[2]}"
        shown = self(f"{scheme}{slashes}{place}{slash}{path}")
        return f"{shown}{mark}{HIDDEN if mark else ''}"


def _texts(body: bytes) -> Iterator[str]:
    """Yield what a body says: all of it, and each value of JSON or of a form."""
    text = body.decode("utf-8", "replace")
    yield text
    try:
        left = [json.loads(text)]
    except (ValueError, RecursionError):
        yield from (value for _, value in parse_qsl(text))
        return
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += value.values()
        elif isinstance(value, list):
            left += value
        else:
            yield str(value)


# Escapes, as URLs, HTML, JSON and Python's repr have them, and what they stand for.
_ESCAPE: Final = re.compile(
    r"%(?P<url>[0-9a-f]{2})|\\x(?P<hex>[0-9a-f]{2})|\\u(?P<json>[0-9a-f]{4})|&#(?P<number>[0-9]{1,7});"
    r"|&#x(?P<html>[0-9a-f]{1,6});|&(?P<name>amp|lt|gt|quot|apos);|\\(?P<kept>[\\'\"/])",
    re.IGNORECASE,
)
_NAMED: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


# What stands in a value as ``name=value``: a cookie's or a credential's parameter.
_PARAMETER: Final = re.compile(r"=[ \t]*\"?([^\s\",;=]+)")


def _parts_of(value: str) -> Iterator[str]:
    """Yield what is secret by itself in a header's value, such as the password of ``Basic``."""
    # a scheme such as Bearer is none
    scheme, *words = value.split() or [""]
    yield from words
    yield from (each for each in _PARAMETER.findall(value) if len(each) > _SHORT)
    if scheme.lower() == "basic" and words:
        with suppress(ValueError):
            user = b64decode(words[0]).decode("utf-8", "replace")
            yield user
            yield user.partition(":")[2]


class _Hiding:
    """Hides secrets in any letter case, and however they are escaped."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._as_they_are = re.compile("|".join(map(re.escape, secrets)) or r"(?!)", re.IGNORECASE)
        written = {form for each in secrets for form in (each, each.replace(" ", "+"))}
        octets = {_octets(form, text) for form in written for text in (False, True)}
        found = b"|".join(map(re.escape, sorted(octets, key=len, reverse=True)))
        self._unescaped = re.compile(found or rb"(?!)", re.IGNORECASE)

    def __call__(self, text: str) -> str:
        """Return `text` without the secrets."""
        if not text.isascii() or _ESCAPE.search(text):
            text = self._escaped(text)
        return self._as_they_are.sub(HIDDEN, text)

    def _escaped(self, text: str) -> str:
        # The octets that the text stands for, and where in the text each of them is written
        plain, places = bytearray(), [0]
        for begin, end, octets in _parts(text):
            plain += octets
            places += [begin] * (len(octets) - 1) + [end]
        kept, after = [], 0
        for match in self._unescaped.finditer(plain):
            kept.append(text[after : places[match.start()]])
            after = max(after, places[match.end()])
        return HIDDEN.join([*kept, text[after:]])


def _parts(text: str) -> Iterator[tuple[int, int, bytes]]:
    """Yield where each escape and each other character begins and ends, and its octets."""
    after = 0
    for match in _ESCAPE.finditer(text):
        for at in range(after, match.start()):
            yield at, at + 1, _octets(text[at])
        after = match.end()
        yield match.start(), after, _meant(match)
    for at in range(after, len(text)):
        yield at, at + 1, _octets(text[at])


def _meant(match: re.Match[str]) -> bytes:
    """Return what an escape stands for."""
    kind = match.lastgroup or ""
    written = match[kind]
    if kind in ("url", "hex"):
        return bytes.fromhex(written)
    if kind == "name":
        return _octets(_NAMED[written.lower()])
    if kind == "kept":
        return _octets(written)
    code = int(written, 10 if kind == "number" else 16)
    return _octets(chr(code)) if code < sys.maxunicode else b""


def _octets(text: str, is_utf_8: bool = False) -> bytes:
    """Return text as a header has it, or, in UTF-8, as a URL does."""
    if not is_utf_8:
        with suppress(UnicodeEncodeError):
            return text.encode("latin-1")
    return text.encode("utf-8", "surrogatepass")
