"""The answer to the preflight of an allowed origin: what it lists, and how a browser judges it.

It lists everything that is allowed, whatever was requested, so that the browser's console names
what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from meshcors._decision.answers import Fields, Reason, field
from meshcors._decision.fields import latin1, text
from meshcors._policy.headers import (
    SAFELISTED_METHODS,
    SAFELISTED_REQUEST_HEADERS,
    is_token,
    list_elements,
)
from meshcors._policy.policy import Policy

# Limits on what a request may list; the lists of browsers are far shorter.
MAX_LIST_BYTES: Final = 4096
MAX_MIRRORED_NAMES: Final = 64
MAX_MIRRORED_METHOD_BYTES: Final = 64


class PreflightAnswers:
    """The answers to preflights of allowed origins, and how a browser judges them.

    With credentials, browsers do not treat ``*`` as a wildcard, so the answer repeats what was
    requested.
    """

    def __init__(self, policy: Policy) -> None:
        any_method = "*" in policy.allow_methods
        any_header = "*" in policy.allow_headers
        self._mirrors_method = any_method and policy.allow_credentials
        self._mirrors_headers = any_header and policy.allow_credentials
        self._any_method = any_method and not policy.allow_credentials
        self._any_header = any_header and not policy.allow_credentials
        self._private_network = policy.allow_private_network

        key = () if policy.key is None else (policy.key.name,)
        listed = (*policy.allow_headers, *key)
        if not any_header:
            listed += SAFELISTED_REQUEST_HEADERS
        listed = tuple(dict.fromkeys(listed))
        self._methods = {*map(latin1, policy.allow_methods), *map(latin1, SAFELISTED_METHODS)}
        self._names = {latin1(name) for name in listed}
        self._allow_methods = field(
            "access-control-allow-methods", ("*",) if any_method else policy.allow_methods
        )
        self._allow_headers = field("access-control-allow-headers", listed)
        age = policy.max_age
        self._max_age = field("access-control-max-age", () if age is None else (str(age),))
        self._vary = field(
            "vary",
            (
                *origin_vary(policy),
                *(["Access-Control-Request-Method"] if self._mirrors_method else []),
                *(["Access-Control-Request-Headers"] if self._mirrors_headers else []),
                *(["Access-Control-Request-Private-Network"] if self._private_network else []),
            ),
        )

    def reason(self, method: bytes, names: bytes) -> Reason:
        """Return how a browser judges the answer, in the order of Fetch 4.8, step 7."""
        if not self._allows_method(method):
            return "method_not_allowed"
        return "allowed" if self._allows_headers(names) else "header_not_allowed"

    def _allows_method(self, method: bytes) -> bool:
        if method in self._methods or self._any_method:
            return True
        return self._mirrors_method and _mirrored_method(method) is not None

    def _allows_headers(self, names: bytes) -> bool:
        if len(names) > MAX_LIST_BYTES:
            return False
        if self._mirrors_headers:
            return _mirrored_names(names) is not None
        requested = (latin1(name) for name in list_elements(text(names.lower())))
        if self._any_header:
            return all(name != b"authorization" or name in self._names for name in requested)
        return all(name in self._names for name in requested)

    def fields(self, cors: Fields, method: bytes, names: bytes, private: bool) -> Fields:
        """Return the answer's fields. `cors` are those of the origin; the rest is the request's."""
        allow_methods, allow_headers = self._allow_methods, self._allow_headers
        if self._mirrors_method:
            mirrored = _mirrored_method(method)
            allow_methods = field(allow_methods[0][0], () if mirrored is None else (mirrored,))
        if self._mirrors_headers:
            allow_headers = field(allow_headers[0][0], _mirrored_names(names) or ())
        allow_private = ("true",) if private and self._private_network else ()
        return (
            *cors,
            *allow_methods,
            *allow_headers,
            *self._max_age,
            *field("access-control-allow-private-network", allow_private),
            *self._vary,
        )


def _mirrored_method(method: bytes) -> str | None:
    """Return the requested method, or None if it cannot be repeated in an answer."""
    sent = text(method)
    return sent if len(sent) <= MAX_MIRRORED_METHOD_BYTES and is_token(sent) else None


def _mirrored_names(names: bytes) -> list[str] | None:
    """Return the requested names, each once, or None if they cannot be repeated in an answer."""
    if len(names) > MAX_LIST_BYTES:
        return None
    requested = dict.fromkeys(list_elements(text(names.lower())))
    if len(requested) > MAX_MIRRORED_NAMES or not all(map(is_token, requested)):
        return None
    return list(requested)


def is_preflight(method: str, fields: Mapping[bytes, bytes]) -> bool:
    """Tell whether a request is a preflight, also one that no engine has decided."""
    asked = fields.get(b"access-control-request-method", b"").strip(b" \t")
    return method == "OPTIONS" and asked != b"" and fields.get(b"origin", b"").strip(b" \t") != b""


def origin_vary(policy: Policy) -> tuple[str, ...]:
    """Return what every answer depends on: the Origin, unless every origin is allowed."""
    return () if "*" in policy.allow_origins else ("Origin",)
