"""The browser's memory of preflights: which requests need none, because one was answered before.

It is keyed by origin, URL and credentials, and remembers methods and header *names*; a header's
value is no part of it (Fetch, CORS-preflight cache). It has no clock: the caller says what
time it is.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

from meshcors._policy.headers import SAFELISTED_METHODS
from meshcors.browser._messages import (
    ACAH,
    ACAM,
    ACMA,
    NON_WILDCARD_NAME,
    Request,
    Response,
    preflight_for,
    unsafe_names,
)

# The longest time in seconds that each engine keeps an answer, whatever it says.
MAX_AGE_CAPS: Final = {"chromium": 7200, "firefox": 86400, "webkit": 600}
# Fetch, CORS-preflight fetch, step 7.9: for an answer that does not say how long
_DEFAULT_MAX_AGE: Final = 5
# Digits beyond the ninth change nothing: every cap is smaller.
_SECONDS: Final = re.compile(r"0*([0-9]{1,9})[0-9]*")

# A method, or the name of a header
Kind: TypeAlias = Literal["method", "header"]
# Origin, URL, with credentials or not, and what is permitted there
Key: TypeAlias = tuple[str, str, bool, Kind, str]


class PreflightCache:
    """What one browser remembers of preflights.

    `max_age_cap` is the engine's own limit in seconds, see `MAX_AGE_CAPS`; `max_entries` bounds the
    memory, the oldest entries go first. Times (`now`) are seconds of any clock that does not run
    backwards, such as `time.monotonic`.
    """

    def __init__(self, *, max_age_cap: int = 7200, max_entries: int = 4096) -> None:
        self._cap = max_age_cap
        self._max_entries = max_entries
        self._expiries: dict[Key, float] = {}

    def __len__(self) -> int:
        return len(self._expiries)

    def covers(self, request: Request, *, now: float) -> bool:
        """Tell whether `request` goes out without a preflight (Fetch, HTTP fetch).

        Either it needs none, or its method and all the names that it announces are remembered.
        """
        if preflight_for(request) is None:
            return True
        needed: list[tuple[Kind, str]] = [("header", name) for name in unsafe_names(request)]
        if request.method not in SAFELISTED_METHODS:
            needed.append(("method", request.method))
        return all(self._remembers(request, kind, name, now) for kind, name in needed)

    def store(self, request: Request, preflight: Response, *, now: float) -> None:
        """Remember the answer to the preflight of `request`, which passed `judge_preflight`.

        Fetch, CORS-preflight fetch, steps 7.8 to 7.15. It counts from `now` on, for what was
        known before as well.
        """
        expiry = now + min(_max_age(preflight), self._cap)
        for method in preflight.elements(ACAM):
            self._remember(request, "method", method, expiry)
        for name in preflight.elements(ACAH):
            self._remember(request, "header", name.lower(), expiry)

    def clear(self, request: Request) -> None:
        """Forget all that is known for the origin and URL of `request`: it was blocked.

        Fetch, main fetch: after every network error of a request with a preflight.
        """
        place = (request.origin, request.url)
        self._expiries = {key: expiry for key, expiry in self._expiries.items() if key[:2] != place}

    def _remember(self, request: Request, kind: Kind, name: str, expiry: float) -> None:
        new = (request.origin, request.url, request.credentials == "include", kind, name)
        for key in self._matches(request, kind, name) or [new]:
            self._expiries[key] = expiry
        if len(self._expiries) > self._max_entries:
            del self._expiries[next(iter(self._expiries))]

    def _matches(self, request: Request, kind: Kind, name: str) -> list[Key]:
        """Return the entries that stand for `name` (Fetch, cache entry match)."""
        # What was permitted with credentials is permitted without, not the other way round
        modes = (True,) if request.credentials == "include" else (True, False)
        names = (name,) if name == NON_WILDCARD_NAME else (name, "*")
        keys: list[Key] = [
            (request.origin, request.url, mode, kind, each) for mode in modes for each in names
        ]
        return [key for key in keys if key in self._expiries]

    def _remembers(self, request: Request, kind: Kind, name: str, now: float) -> bool:
        return any(self._expiries[key] > now for key in self._matches(request, kind, name))


def _max_age(preflight: Response) -> int:
    value = preflight.get(ACMA)
    seconds = None if value is None else _SECONDS.fullmatch(value)
    return _DEFAULT_MAX_AGE if seconds is None else int(seconds[1])
