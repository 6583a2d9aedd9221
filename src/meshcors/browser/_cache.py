"""The browser's cache of preflights: requests need none if an earlier answer allows them.

It is keyed by origin, URL and credentials, and holds methods and header *names*, never the value of
a header (Fetch, "CORS-preflight cache"). It has no clock: the caller says what time it is.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

from meshcors._policy.headers import SAFELISTED_METHODS
from meshcors.browser._request_response import (
    ACAH,
    ACAM,
    ACMA,
    NON_WILDCARD_NAME,
    Request,
    Response,
    preflight_for,
    unsafe_names,
)

# Fetch, CORS-preflight fetch, step 7.9: for an answer without a max-age
_DEFAULT_MAX_AGE: Final = 5
# More than nine digits make no difference, because every cap is smaller.
_SECONDS: Final = re.compile(r"0*([0-9]{1,9})[0-9]*")

# What a name is the name of
NameKind: TypeAlias = Literal["method", "header"]
# Origin, URL, with credentials or not, and the method or header name that is allowed
Key: TypeAlias = tuple[str, str, bool, NameKind, str]


class PreflightCache:
    """The preflight cache of one browser.

    `max_age_cap` is the engine's own limit in seconds, see `MAX_AGE_CAPS`. Beyond `max_entries`,
    the oldest entries are dropped. Times (`now`) are the seconds of a clock that does not run
    backwards, such as `time.monotonic`.
    """

    def __init__(self, *, max_age_cap: int = 7200, max_entries: int = 4096) -> None:
        self._cap = max_age_cap
        self._max_entries = max_entries
        self._expiries: dict[Key, float] = {}

    def __len__(self) -> int:
        return len(self._expiries)

    def covers(self, request: Request, *, now: float) -> bool:
        """Return whether `request` is sent without a preflight (Fetch, "HTTP fetch").

        Either it needs none, or its method and all names that it announces are cached.
        """
        if preflight_for(request) is None:
            return True
        needed: list[tuple[NameKind, str]] = [("header", name) for name in unsafe_names(request)]
        if request.method not in SAFELISTED_METHODS:
            needed.append(("method", request.method))
        return all(self._remembers(request, kind, name, now) for kind, name in needed)

    def store(self, request: Request, preflight: Response, *, now: float) -> None:
        """Cache the answer to the preflight of `request`, which `judge_preflight` allowed.

        Fetch, "CORS-preflight fetch", steps 7.8 to 7.15. Its time starts `now`, also for what was
        cached before.
        """
        expiry = now + min(_max_age(preflight), self._cap)
        for method in preflight.elements(ACAM):
            self._remember(request, "method", method, expiry)
        for name in preflight.elements(ACAH):
            self._remember(request, "header", name.lower(), expiry)

    def clear(self, request: Request) -> None:
        """Drop everything for the origin and URL of `request`, because it was blocked.

        Fetch, "main fetch": after every network error of a request with a preflight.
        """
        place = (request.origin, request.url)
        self._expiries = {key: expiry for key, expiry in self._expiries.items() if key[:2] != place}

    def _remember(self, request: Request, kind: NameKind, name: str, expiry: float) -> None:
        new = (request.origin, request.url, request.credentials == "include", kind, name)
        for key in self._matches(request, kind, name) or [new]:
            self._expiries[key] = expiry
        if len(self._expiries) > self._max_entries:
            del self._expiries[next(iter(self._expiries))]

    def _matches(self, request: Request, kind: NameKind, name: str) -> list[Key]:
        """Return the keys of the entries that match `name` (Fetch, "cache entry match")."""
        # What is allowed with credentials is allowed without, but not the reverse
        modes = (True,) if request.credentials == "include" else (True, False)
        names = (name,) if name == NON_WILDCARD_NAME else (name, "*")
        keys: list[Key] = [
            (request.origin, request.url, mode, kind, each) for mode in modes for each in names
        ]
        return [key for key in keys if key in self._expiries]

    def _remembers(self, request: Request, kind: NameKind, name: str, now: float) -> bool:
        return any(self._expiries[key] > now for key in self._matches(request, kind, name))


def _max_age(preflight: Response) -> int:
    value = preflight.get(ACMA)
    seconds = None if value is None else _SECONDS.fullmatch(value)
    return _DEFAULT_MAX_AGE if seconds is None else int(seconds[1])
