"""What of a server's answer may be printed: never a value that the script sent, a body, a query.

A server may echo a key in any field, a redirect's URL or an error line.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

from meshcors._policy.headers import SAFELISTED_REQUEST_HEADERS
from meshcors._policy.wording import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshcors import browser
    from meshcors.testing._fetch import Exchange

HIDDEN: Final = "…"
LONGEST: Final = 120
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
            # a scheme such as Bearer is none
            values.update(part for value in tuple(values) for part in value.split()[1:])
            query = parse_qsl(urlsplit(request.url).query, keep_blank_values=True)
            values.update(value or name for name, value in query)
        values.update(each for each in _texts(body) if len(each) > _SHORT)
        written = {
            spelled
            for value in values - _WORDS - {self._origin}
            for spelled in (value, quote(value, safe=""), quote_plus(value))
        }
        longest_first = sorted(written, key=len, reverse=True)
        self._secrets = _pattern(longest_first)
        self._long_secrets = _pattern([each for each in longest_first if len(each) > _SHORT])

    def __call__(self, text: str) -> str:
        """Return `text` as it may be printed, on one line and not too long."""
        if text == self._origin or text in _WORDS:
            return text
        return printable(self._secrets.sub(HIDDEN, text), LONGEST)

    def line(self, text: str) -> str:
        """Return one of our own lines, which may quote the server; it is not cut.

        A short key may be a part of our own words, and stays.
        """
        return printable(self._long_secrets.sub(HIDDEN, text))

    def failure(self, exchange: Exchange) -> str:
        """Return what went wrong; it has numbers of our own, which a short key may be."""
        is_servers = exchange.kind == "protocol"
        secrets = self._secrets if is_servers else self._long_secrets
        return printable(secrets.sub(HIDDEN, exchange.failure))

    def own_url(self, url: str) -> str:
        """Return the URL of the call as it may be printed: its query hidden."""
        before, mark, _ = url.partition("?")
        return printable(f"{before}{mark}{HIDDEN if mark else ''}")

    def url(self, url: str) -> str:
        """Return a server's URL as it may be printed: its query and user information hidden."""
        before, mark, _ = url.partition("?")
        scheme, slashes, rest = before.rpartition("//")
        place, slash, path = rest.partition("/")
        if "@" in place:
            place = f"{HIDDEN}@{place.rpartition('@')[2]}"
        return self(f"{scheme}{slashes}{place}{slash}{path}") + (f"?{HIDDEN}" if mark else "")


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


def _pattern(secrets: Sequence[str]) -> re.Pattern[str]:
    """Return what finds any of these in any letter case; nothing if there are none."""
    return re.compile("|".join(map(re.escape, secrets)) or r"(?!)", re.IGNORECASE)
