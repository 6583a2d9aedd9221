"""The one decision: given a request's facts, answer it here or let the app answer, and with what.

Pure: no I/O, no clock, no framework. An engine is compiled from a policy once; what it hands out is
ready-made. CORS and the key are decided in the same call, so that a preflight never needs a key and
a refusal is always readable by the page that may read it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from hmac import compare_digest
from typing import Final, Literal, TypeAlias

from meshcors.headers import (
    BYTES,
    SAFELISTED_METHODS,
    SAFELISTED_REQUEST_HEADERS,
    TEXT,
    Merge,
    is_token,
    latin1,
    list_elements,
    text,
)
from meshcors.origins import MAX_ORIGIN_BYTES, OriginSet
from meshcors.policy import HeaderKey, Policy, is_plain_path

Reason: TypeAlias = Literal[
    "allowed",
    "no_origin",
    "origin_not_allowed",
    "method_not_allowed",
    "header_not_allowed",
    "key_missing",
    "key_unknown",
    "no_route",
    "no_rule",
    "app_failed",
]

# What a request's list may cost: a browser's own list is far shorter.
MAX_LIST_BYTES: Final = 4096
MAX_MIRRORED_NAMES: Final = 64
MAX_MIRRORED_METHOD_BYTES: Final = 64
# How many origins' answers are kept ready; a policy of patterns may match any number of them.
READY_ORIGINS: Final = 1024
# A preflight whose fields are longer is answered, but not kept ready.
MAX_READY_PREFLIGHT_BYTES: Final = 1024

Fields: TypeAlias = "tuple[tuple[str, str], ...]"

_ORIGIN: Final = b"origin"
_REQUEST_METHOD: Final = b"access-control-request-method"
_REQUEST_HEADERS: Final = b"access-control-request-headers"
_REQUEST_PRIVATE_NETWORK: Final = b"access-control-request-private-network"
HOST: Final = b"host"
_BLANK: Final = b" \t"


class Answer:
    """An answer that is given here, without the app.

    `status` (an int), `reason` (for logs and metrics), the header fields as `headers` (pairs of
    `str`, for WSGI) and as `raw_headers` (pairs of `bytes`, for ASGI), and the whole `body`.
    """

    __slots__ = ("body", "headers", "raw_headers", "reason", "status")

    def __init__(self, status: int, reason: Reason, headers: Fields, body: bytes) -> None:
        self.status = status
        self.reason: Reason = reason
        self.headers = headers
        self.raw_headers = tuple(BYTES.fields(headers))
        self.body = body

    def __repr__(self) -> str:
        return f"Answer({self.status}, {self.reason!r})"


@dataclass(frozen=True, slots=True)
class Proceed:
    """The app runs, and its fields leave through `merge` (WSGI) or `merge_raw` (ASGI).

    `reason` is what a browser would make of it: ``allowed``, ``origin_not_allowed`` or
    ``no_origin``.
    """

    reason: Reason
    merge: Callable[[Iterable[tuple[str, str]]], list[tuple[str, str]]]
    merge_raw: Callable[[Iterable[tuple[bytes, bytes]]], list[tuple[bytes, bytes]]]


def problem_answer(reason: Reason, *headers: tuple[str, str]) -> Answer:
    """Return the problem+json answer (RFC 9457) for `reason`, with `headers` after its own.

    It repeats nothing of the request and nothing of the policy.
    """
    status, title, detail = _PROBLEMS[reason]
    content = {
        "type": f"urn:meshcors:problem:{reason.replace('_', '-')}",
        "title": title,
        "status": status,
        "detail": detail,
        "reason": reason,
    }
    body = json.dumps(content).encode()
    own = (
        ("content-type", "application/problem+json"),
        ("content-length", str(len(body))),
        ("cache-control", "no-store"),
    )
    return Answer(status, reason, (*own, *headers), body)


_PROBLEMS: Final[dict[str, tuple[int, str, str]]] = {
    "origin_not_allowed": (
        403,
        "Origin not allowed",
        "The policy of this service does not allow pages of this origin.",
    ),
    "key_missing": (
        401,
        "Key missing",
        "The request carries no key in the header by which a service is picked.",
    ),
    "key_unknown": (
        403,
        "Key unknown",
        "The key in the request's header is not one of this service's.",
    ),
    "no_route": (404, "No route", "No service is routed for this request."),
    "no_rule": (404, "No rule", "No rule covers this host and path."),
}


class Engine:
    """A compiled policy.

    `reads` are the request fields (lower-case names) that `decide` looks at, for any method but
    OPTIONS `reads_unless_options` alone, `reads_websocket` those of `decide_websocket`. For
    `ready_origins` origins at most, answers are kept ready.
    """

    def __init__(self, policy: Policy, *, ready_origins: int = READY_ORIGINS) -> None:
        self._origins = OriginSet(policy.allow_origins)
        self._preflight = _Preflight(policy)
        self._key = None if policy.key is None else _KeyCheck(policy.key)
        key = () if self._key is None else (self._key.field,)
        self.reads_unless_options: frozenset[bytes] = frozenset({_ORIGIN, *key})
        self.reads: frozenset[bytes] = self.reads_unless_options | {
            _REQUEST_METHOD,
            _REQUEST_HEADERS,
            _REQUEST_PRIVATE_NETWORK,
        }
        self.reads_websocket: frozenset[bytes] = self.reads | {HOST}

        self._compile = partial(_compile, policy)
        self._no_origin = self._compile("no_origin", "*" if self._origins.any else None)
        self._anyone = self._compile("allowed", "*")
        self._refused = self._compile("origin_not_allowed", None)
        # Bounded in number and in size: what is looked up is whatever clients send.
        self._look_up = lru_cache(ready_origins)(self._look_up_origin)
        self._ready_preflight = lru_cache(ready_origins)(self._answer_preflight)

    def decide(self, method: str, path: str, fields: Mapping[bytes, bytes]) -> Answer | Proceed:
        """Decide an HTTP request: answer it here, or let the app answer.

        `method` with case, `path` decoded once, `fields` the request's values by lower-case name
        (at least those that `reads` names and the request has; several lines joined with a comma).
        """
        origin = fields.get(_ORIGIN, b"")
        if method == "OPTIONS":
            requested = fields.get(_REQUEST_METHOD, b"")
            names = fields.get(_REQUEST_HEADERS, b"")
            private = fields.get(_REQUEST_PRIVATE_NETWORK, b"")
            bytes_to_keep = len(origin) + len(requested) + len(names) + len(private)
            keep = bytes_to_keep <= MAX_READY_PREFLIGHT_BYTES
            answer_preflight = self._ready_preflight if keep else self._answer_preflight
            answer = answer_preflight(origin, requested, names, private)
            if answer is not None:
                return answer
        ready = self._ready(origin)
        if self._key is not None:
            refused = self._key.refuse(path, fields)
            if refused is not None:
                return ready.refusals[refused]
        return ready.proceed

    def decide_websocket(self, path: str, fields: Mapping[bytes, bytes]) -> Answer | None:
        """Decide a WebSocket handshake: the answer that refuses it, or None if it may go on.

        Browsers apply no CORS to WebSockets, so the server compares the Origin itself (RFC 6455
        10.2): it must be allowed by the policy or be the service's own. `fields` as for `decide`,
        with those that `reads_websocket` names.
        """
        origin = fields.get(_ORIGIN, b"")
        ready = self._ready(origin)
        if self._key is not None:
            refused = self._key.refuse(path, fields)
            if refused is not None:
                return ready.refusals[refused]
        if ready is self._refused and not _is_own(origin, fields.get(HOST, b"")):
            return ready.refusals["origin_not_allowed"]
        return None

    def _ready(self, origin: bytes) -> _Ready:
        if len(origin) <= MAX_ORIGIN_BYTES:
            return self._look_up(origin)
        # Too long to be kept; blanks apart, also too long to be an origin.
        return self._look_up_origin(origin)

    def _look_up_origin(self, origin: bytes) -> _Ready:
        sent = text(origin.strip(_BLANK))
        if not sent:
            return self._no_origin
        if self._origins.any:
            return self._anyone
        return self._compile("allowed", sent) if sent in self._origins else self._refused

    def _answer_preflight(
        self, origin: bytes, method: bytes, names: bytes, private: bytes
    ) -> Answer | None:
        """Fetch 4.8, CORS-preflight fetch, as the server's half of it; None for a real request."""
        ready = self._ready(origin)
        method = method.strip(_BLANK)
        if ready is self._no_origin or not method:
            return None
        if ready is self._refused:
            return ready.refusals["origin_not_allowed"]
        reason = self._preflight.reason(method, names)
        asks_private = private.strip(_BLANK) == b"true"
        fields = self._preflight.fields(ready.cors, method, names, private=asks_private)
        return Answer(204, reason, fields, b"")


@dataclass(frozen=True, slots=True)
class _Ready:
    """All that is ready-made for one origin."""

    cors: Fields
    proceed: Proceed
    refusals: Mapping[Reason, Answer]


def _compile(policy: Policy, reason: Reason, allow_origin: str | None) -> _Ready:
    """Make ready what an origin gets; `allow_origin` is None for one that is refused."""
    cors: Fields = ()
    if allow_origin is not None:
        credentials = ("true",) if policy.allow_credentials else ()
        cors = (
            ("access-control-allow-origin", allow_origin),
            *_field("access-control-allow-credentials", credentials),
        )
    own = (*cors, *_field("access-control-expose-headers", policy.expose_headers if cors else ()))
    vary = _origin_vary(policy)
    refusals: dict[Reason, Answer] = {"origin_not_allowed": _ORIGIN_REFUSALS[vary]}
    if policy.key is not None:
        vary = (*vary, policy.key.name)
    # Bound methods: called at once, where an object that can be called takes two steps.
    merge, merge_raw = Merge(own, vary, TEXT).__call__, Merge(own, vary, BYTES).__call__
    proceed = Proceed(reason, merge, merge_raw)
    if policy.key is not None:
        for name, made in _KEY_REFUSALS.items():
            readable = tuple(proceed.merge(made.headers))
            refusals[name] = Answer(made.status, name, readable, made.body)
    return _Ready(cors, proceed, refusals)


def _origin_vary(policy: Policy) -> tuple[str, ...]:
    """Return what every answer depends on: the Origin, unless all are allowed alike."""
    return () if "*" in policy.allow_origins else ("Origin",)


class _Preflight:
    """What a preflight of an allowed origin is answered, and what a browser makes of it.

    With credentials ``*`` has no meaning to a browser, so the answer repeats what was requested.
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
        self._allow_methods = _field(
            "access-control-allow-methods", ("*",) if any_method else policy.allow_methods
        )
        self._allow_headers = _field("access-control-allow-headers", listed)
        age = policy.max_age
        self._max_age = _field("access-control-max-age", () if age is None else (str(age),))
        self._vary = _field(
            "vary",
            (
                *_origin_vary(policy),
                *(["Access-Control-Request-Method"] if self._mirrors_method else []),
                *(["Access-Control-Request-Headers"] if self._mirrors_headers else []),
                *(["Access-Control-Request-Private-Network"] if self._private_network else []),
            ),
        )

    def reason(self, method: bytes, names: bytes) -> Reason:
        """Return what a browser makes of the answer, in the order of Fetch 4.8, step 7."""
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
        """Return the answer's fields; `cors` are those of its origin, the rest the request's."""
        allow_methods, allow_headers = self._allow_methods, self._allow_headers
        if self._mirrors_method:
            mirrored = _mirrored_method(method)
            allow_methods = _field(allow_methods[0][0], () if mirrored is None else (mirrored,))
        if self._mirrors_headers:
            allow_headers = _field(allow_headers[0][0], _mirrored_names(names) or ())
        allow_private = ("true",) if private and self._private_network else ()
        return (
            *cors,
            *allow_methods,
            *allow_headers,
            *self._max_age,
            *_field("access-control-allow-private-network", allow_private),
            *self._vary,
        )


def _mirrored_method(method: bytes) -> str | None:
    """Return the requested method if it may be repeated in an answer."""
    sent = text(method)
    return sent if len(sent) <= MAX_MIRRORED_METHOD_BYTES and is_token(sent) else None


def _mirrored_names(names: bytes) -> list[str] | None:
    """Return the requested names, each once, if they may be repeated in an answer."""
    if len(names) > MAX_LIST_BYTES:
        return None
    requested = dict.fromkeys(list_elements(text(names.lower())))
    if len(requested) > MAX_MIRRORED_NAMES or not all(map(is_token, requested)):
        return None
    return list(requested)


class _KeyCheck:
    """The header key: there or not, and right or not, whatever its path is not exempt."""

    def __init__(self, key: HeaderKey) -> None:
        self.field = latin1(key.name)
        self._values = None if key.values is None else [latin1(value) for value in key.values]
        self._exempt = frozenset(path for path in key.exempt_paths if not path.endswith("/*"))
        self._exempt_below = tuple(
            path.removesuffix("*") for path in key.exempt_paths if path.endswith("/*")
        )

    def refuse(self, path: str, fields: Mapping[bytes, bytes]) -> Reason | None:
        """Return why the request is refused, or None."""
        given = fields.get(self.field, b"").strip(_BLANK)
        if given:
            if self._values is None:
                return None
            right = False
            # No early exit: the time does not tell which value matched.
            for value in self._values:
                right |= compare_digest(value, given)
            if right:
                return None
        if self._is_exempt(path):
            return None
        return "key_unknown" if given else "key_missing"

    def _is_exempt(self, path: str) -> bool:
        if path not in self._exempt and not path.startswith(self._exempt_below):
            return False
        return is_plain_path(path)


def _is_own(origin: bytes, host: bytes) -> bool:
    """Tell whether `origin` names the same host and port as the Host field (RFC 9110 7.2)."""
    scheme, _, authority = origin.partition(b"://")
    default_port = {b"http": b":80", b"https": b":443"}.get(scheme)
    own = host.strip(_BLANK).lower()
    return default_port is not None and own != b"" and own.removesuffix(default_port) == authority


def _field(name: str, values: Iterable[str]) -> Fields:
    """Return the field `name` with the list `values`, or none without values."""
    value = ", ".join(values)
    return ((name, value),) if value else ()


# What the ready-made apps answer to a real request.
NO_ROUTE: Final = problem_answer("no_route")
# The answer to an exception that nothing below has answered, in Starlette's words.
INTERNAL_SERVER_ERROR: Final = Answer(
    500,
    "app_failed",
    (("content-type", "text/plain; charset=utf-8"), ("content-length", "21")),
    b"Internal Server Error",
)

_ORIGIN_REFUSALS: Final[dict[tuple[str, ...], Answer]] = {
    vary: problem_answer(
        "origin_not_allowed", ("x-content-type-options", "nosniff"), *_field("vary", vary)
    )
    for vary in ((), ("Origin",))
}
_KEY_REFUSALS: Final[dict[Reason, Answer]] = {
    "key_missing": problem_answer("key_missing", ("www-authenticate", "APIKey")),
    "key_unknown": problem_answer("key_unknown"),
}
