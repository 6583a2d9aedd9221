"""What of a server's answer may be printed: never a value that the script sent, nor a query.

A server may echo a key in any field, a redirect's URL or an error line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

from meshcors._policy.headers import SAFELISTED_REQUEST_HEADERS
from meshcors._policy.wording import printable

if TYPE_CHECKING:
    from meshcors import browser

HIDDEN: Final = "…"
LONGEST: Final = 120
_SHORT: Final = 3
# What every CORS answer may hold. Where a key is one of these words, nobody learns it from them.
_WORDS: Final = frozenset({"", "*", "true", "null"})


class Quoting:
    """Quotes texts of a server without what is secret in `request`."""

    def __init__(self, request: browser.Request | None = None) -> None:
        values: set[str] = set()
        self._origin = ""
        if request is not None:
            self._origin = request.origin
            values.update(
                value for name, value in request.headers if name not in SAFELISTED_REQUEST_HEADERS
            )
            # a scheme such as Bearer is none
            values.update(part for value in tuple(values) for part in value.split()[1:])
            values.update(value for _, value in parse_qsl(urlsplit(request.url).query))
        written = {
            spelled
            for value in values - _WORDS
            for spelled in (value, quote(value, safe=""), quote_plus(value))
        }
        self._secrets = sorted(written, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return `text` as it may be printed, on one line and not too long."""
        if text == self._origin or text in _WORDS:
            return text
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return printable(text, LONGEST)

    def failure(self, line: str) -> str:
        """Return a line of our own about a failure; it has numbers, which a short key may be."""
        for secret in self._secrets:
            if len(secret) > _SHORT:
                line = line.replace(secret, HIDDEN)
        return printable(line)

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
