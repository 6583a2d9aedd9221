"""The one decision: answer a request here, or let the app answer it.

Pure: no I/O, no clock, no framework. A policy is compiled into an engine once, and its answers are
compiled in advance or cached. CORS and the key are decided in the same call, so that a preflight
never needs a key, and a page that is allowed can read why its request was refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final, TypeAlias

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
from meshcors._policy.bounded_cache import BoundedCache
from meshcors._policy.origin_set import OriginSet
from meshcors._policy.origins import MAX_ORIGIN_BYTES
from meshcors._policy.policy import Policy
from meshcors._policy.web_ports import WEB_PORTS

# The answers to so many origins are cached; a pattern may match any number of origins.
CACHED_ORIGINS: Final = 1024
# The answer to a preflight with longer fields is not cached.
MAX_CACHED_PREFLIGHT_BYTES: Final = 1024

_ORIGIN: Final = b"origin"
_REQUEST_METHOD: Final = b"access-control-request-method"
_REQUEST_HEADERS: Final = b"access-control-request-headers"
_REQUEST_PRIVATE_NETWORK: Final = b"access-control-request-private-network"
HOST: Final = b"host"
_BLANK: Final = b" \t"
_DEFAULT_PORTS: Final = {name.encode(): b":%d" % port for name, port in WEB_PORTS.items()}

# What the answer to a preflight depends on: the values of its Origin, and of the fields
# Access-Control-Request-Method, -Headers and -Private-Network.
_Asked: TypeAlias = tuple[bytes, bytes, bytes, bytes]


class Engine:
    """A compiled policy.

    `reads` are the request fields (lower-case names) that `decide` needs; for any method but
    OPTIONS, `reads_unless_options` suffice. `reads_websocket` are those of `decide_websocket`.
    `reads_path` is whether the path matters. The answers to at most `cached_origins` origins are
    cached.
    """

    # Slots keep an engine's data close together, which counts with a thousand of them.
    __slots__ = (
        *("_answers", "_any_origin", "_compile", "_key", "_no_origin", "_origins", "_preflight"),
        *("_preflights", "_refused", "reads", "reads_path", "reads_unless_options"),
        *("reads_websocket", "__weakref__"),
    )

    def __init__(self, policy: Policy, *, cached_origins: int = CACHED_ORIGINS) -> None:
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
        is_open = self._origins.any
        self._any_origin = self._compile("allowed", "*") if is_open else self._no_origin
        self._refused = self._compile("origin_not_allowed", None)
        self._answers = BoundedCache(self._find_answers, cached_origins, is_kept=_is_short_origin)
        self._preflights = BoundedCache(self._answer_preflight, cached_origins, is_kept=_is_short)

    def decide(self, method: str, path: str, fields: Mapping[bytes, bytes]) -> Answer | Proceed:
        """Decide an HTTP request: answer it here, or let the app answer.

        `method` is case-sensitive, `path` is decoded once, and `fields` are the request's
        values by lower-case name: those that `reads` names, several lines joined with a comma.
        """
        origin = fields.get(_ORIGIN, b"")
        if method == "OPTIONS":
            answer = self._preflights[
                origin,
                fields.get(_REQUEST_METHOD, b""),
                fields.get(_REQUEST_HEADERS, b""),
                fields.get(_REQUEST_PRIVATE_NETWORK, b""),
            ]
            if answer is not None:
                return answer
        answers = self._answers[origin]
        key = self._key
        if key is not None:
            is_valid, given = key.is_valid, fields.get(key.field, b"")
            if not is_valid(given):
                refused = key.refuse(path, given)
                if refused is not None:
                    return answers.refusals[refused]
        return answers.proceed

    def decide_websocket(self, path: str, fields: Mapping[bytes, bytes]) -> Answer | None:
        """Decide a WebSocket handshake: return the answer that refuses it, or None to accept it.

        Browsers apply no CORS to WebSockets, so the server checks the Origin itself (RFC 6455
        10.2): the policy must allow it, or it must be the service's own. `fields` are as for
        `decide`, those that `reads_websocket` names.
        """
        origin = fields.get(_ORIGIN, b"")
        answers = self._answers[origin]
        if self._key is not None:
            refused = self._key.refuse(path, fields.get(self._key.field, b""))
            if refused is not None:
                return answers.refusals[refused]
        if answers is self._refused and not _is_own(origin, fields.get(HOST, b"")):
            return answers.refusals["origin_not_allowed"]
        return None

    def rule_of(self, path: str, fields: Mapping[bytes, bytes]) -> str:
        """Return "", as a single policy has no rules; see `RuleEngine.rule_of`."""
        return ""

    def _find_answers(self, origin: bytes) -> _CompiledAnswers:
        sent = text(origin.strip(_BLANK))
        if not sent:
            return self._no_origin
        if self._origins.any:
            return self._any_origin
        return self._compile("allowed", sent) if sent in self._origins else self._refused

    def _answer_preflight(self, asked: _Asked) -> Answer | None:
        """Answer a preflight, the server's side of Fetch 4.8; None if the request is not one."""
        origin, method, names, private = asked
        method = method.strip(_BLANK)
        if not origin.strip(_BLANK) or not method:
            return None
        answers = self._answers[origin]
        if answers is self._refused:
            return answers.refusals["origin_not_allowed"]
        reason = self._preflight.reason(method, names)
        fields = self._preflight.fields(
            answers.cors, method, names, private.strip(_BLANK) == b"true"
        )
        return Answer(204, reason, fields, b"")


class _CompiledAnswers:
    """What one origin is sent, compiled."""

    __slots__ = ("cors", "proceed", "refusals")

    def __init__(self, cors: Fields, proceed: Proceed, refusals: Mapping[Reason, Answer]) -> None:
        self.cors = cors
        self.proceed = proceed
        self.refusals = refusals


def _compile(policy: Policy, reason: Reason, allow_origin: str | None) -> _CompiledAnswers:
    """Compile what an origin is sent; `allow_origin` is None for one that is refused."""
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
    # Bound methods: calling them is faster than calling an object with `__call__`.
    merge, merge_raw = Merge(own, vary, TEXT).__call__, Merge(own, vary, BYTES).__call__
    proceed = Proceed(reason, merge, merge_raw)
    if policy.key is not None:
        for name, made in KEY_REFUSALS.items():
            readable = tuple(proceed.merge(made.headers))
            refusals[name] = Answer(made.status, name, readable, made.body)
    return _CompiledAnswers(cors, proceed, refusals)


def _is_short_origin(origin: bytes) -> bool:
    # Apart from white space, anything longer is no origin.
    return len(origin) <= MAX_ORIGIN_BYTES


def _is_short(asked: _Asked) -> bool:
    return sum(map(len, asked)) <= MAX_CACHED_PREFLIGHT_BYTES


def _is_own(origin: bytes, host: bytes) -> bool:
    """Return whether `origin` has the host and port of the Host field (RFC 9110 7.2)."""
    scheme, _, authority = origin.partition(b"://")
    default_port = _DEFAULT_PORTS.get(scheme)
    own = host.strip(_BLANK).lower()
    return default_port is not None and own != b"" and own.removesuffix(default_port) == authority
