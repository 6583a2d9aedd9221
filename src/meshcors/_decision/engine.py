"""The one decision: given a request's facts, answer it here or let the app answer, and with what.

Pure: no I/O, no clock, no framework. An engine is compiled from a policy once; what it hands out is
ready-made. CORS and the key are decided in the same call, so that a preflight never needs a key and
a refusal is always readable by the page that may read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final

from meshcors._decision.answers import (
    KEY_REFUSALS,
    ORIGIN_REFUSALS,
    Answer,
    Fields,
    Proceed,
    Reason,
    field,
)
from meshcors._decision.fields import BYTES, TEXT, Merge, text
from meshcors._decision.key_check import KeyCheck
from meshcors._decision.preflight import PreflightAnswers, origin_vary
from meshcors._policy.origins import MAX_ORIGIN_BYTES, OriginSet
from meshcors._policy.policy import Policy

# How many origins' answers are kept ready; a policy of patterns may match any number of them.
READY_ORIGINS: Final = 1024
# A preflight whose fields are longer is answered, but not kept ready.
MAX_READY_PREFLIGHT_BYTES: Final = 1024

_ORIGIN: Final = b"origin"
_REQUEST_METHOD: Final = b"access-control-request-method"
_REQUEST_HEADERS: Final = b"access-control-request-headers"
_REQUEST_PRIVATE_NETWORK: Final = b"access-control-request-private-network"
HOST: Final = b"host"
_BLANK: Final = b" \t"


class Engine:
    """A compiled policy.

    `reads` are the request fields (lower-case names) that `decide` looks at, for any method but
    OPTIONS `reads_unless_options` alone, `reads_websocket` those of `decide_websocket`.
    `reads_path` tells whether the path matters. For `ready_origins` origins at most, answers are
    kept ready.
    """

    def __init__(self, policy: Policy, *, ready_origins: int = READY_ORIGINS) -> None:
        self._origins = OriginSet(policy.allow_origins)
        self._preflight = PreflightAnswers(policy)
        self._key = None if policy.key is None else KeyCheck(policy.key)
        key = () if self._key is None else (self._key.field,)
        self.reads_unless_options: frozenset[bytes] = frozenset({_ORIGIN, *key})
        self.reads: frozenset[bytes] = self.reads_unless_options | {
            _REQUEST_METHOD,
            _REQUEST_HEADERS,
            _REQUEST_PRIVATE_NETWORK,
        }
        self.reads_websocket: frozenset[bytes] = self.reads | {HOST}
        self.reads_path = policy.key is not None and bool(policy.key.exempt_paths)

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
            private = fields.get(_REQUEST_PRIVATE_NETWORK, b"").strip(_BLANK) == b"true"
            keep = len(origin) + len(requested) + len(names) <= MAX_READY_PREFLIGHT_BYTES
            answer_preflight = self._ready_preflight if keep else self._answer_preflight
            answer = answer_preflight(origin, requested, names, private)
            if answer is not None:
                return answer
        # `_ready`, without the step into it: every request comes by here.
        keep = len(origin) <= MAX_ORIGIN_BYTES
        ready = self._look_up(origin) if keep else self._look_up_origin(origin)
        key = self._key
        if key is not None and not key.is_right(given := fields.get(key.field, b"")):
            refused = key.refuse(path, given)
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
            refused = self._key.refuse(path, fields.get(self._key.field, b""))
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
        self, origin: bytes, method: bytes, names: bytes, private: bool
    ) -> Answer | None:
        """Fetch 4.8, CORS-preflight fetch, as the server's half of it; None for a real request."""
        ready = self._ready(origin)
        method = method.strip(_BLANK)
        if ready is self._no_origin or not method:
            return None
        if ready is self._refused:
            return ready.refusals["origin_not_allowed"]
        reason = self._preflight.reason(method, names)
        fields = self._preflight.fields(ready.cors, method, names, private)
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
            *field("access-control-allow-credentials", credentials),
        )
    own = (*cors, *field("access-control-expose-headers", policy.expose_headers if cors else ()))
    vary = origin_vary(policy)
    refusals: dict[Reason, Answer] = {"origin_not_allowed": ORIGIN_REFUSALS[vary]}
    if policy.key is not None:
        vary = (*vary, policy.key.name)
    # Bound methods: called at once, where an object that can be called takes two steps.
    merge, merge_raw = Merge(own, vary, TEXT).__call__, Merge(own, vary, BYTES).__call__
    proceed = Proceed(reason, merge, merge_raw)
    if policy.key is not None:
        for name, made in KEY_REFUSALS.items():
            readable = tuple(proceed.merge(made.headers))
            refusals[name] = Answer(made.status, name, readable, made.body)
    return _Ready(cors, proceed, refusals)


def _is_own(origin: bytes, host: bytes) -> bool:
    """Tell whether `origin` names the same host and port as the Host field (RFC 9110 7.2)."""
    scheme, _, authority = origin.partition(b"://")
    default_port = {b"http": b":80", b"https": b":443"}.get(scheme)
    own = host.strip(_BLANK).lower()
    return default_port is not None and own != b"" and own.removesuffix(default_port) == authority
