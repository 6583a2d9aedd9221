"""What an observer gets of a decision. It changes none: the engine has decided already.

Everything that a client chooses is cut to a length, and printable. Of its header values only the
origin is passed on, never that of a key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias

from meshcors._decision.answers import Answer, Proceed, Reason
from meshcors._decision.preflight import is_preflight
from meshcors._policy.wording import printable

# Characters of one text.
MAX_TEXT: Final = 256

Kind: TypeAlias = Literal["preflight", "real", "websocket"]


@dataclass(frozen=True, slots=True)
class ObservedDecision:
    """A decision about a request, for an observer.

    `kind` is ``preflight``, ``real`` (any other HTTP request) or ``websocket`` (a handshake).
    `reason` is one of those in docs/answers.md, such as ``allowed`` or ``key_missing``; ``no_rule``
    also where no rule covers the URL and the app answers as if there were no middleware. `status`
    is that of the answer that is sent here, and None where the app answers.

    `method`, `path` and `origin` are the request's, each of at most 256 characters, without
    characters that would break a line; `path` is the one on which the app routes. `rule` names the
    rule that covers the URL (``api.example.com/v1``), and is empty for a single policy.
    """

    kind: Kind
    reason: Reason
    status: int | None
    method: str
    path: str
    origin: str
    rule: str

    @property
    def refused(self) -> bool:
        """Whether a page is refused: by an answer here, or because it cannot read the app's."""
        return self.reason not in ("allowed", "no_origin") and not (
            self.reason == "no_rule" and self.status is None
        )


# Called with each decision; what it returns does not matter.
Observer: TypeAlias = Callable[[ObservedDecision], object]


class AppEngine(Protocol):
    """What middleware answers by: an engine, whose decision of None lets the app answer."""

    @property
    def reads(self) -> frozenset[bytes]: ...
    @property
    def reads_unless_options(self) -> frozenset[bytes]: ...
    @property
    def reads_websocket(self) -> frozenset[bytes]: ...
    @property
    def reads_path(self) -> bool: ...

    def decide(
        self, method: str, path: str, fields: Mapping[bytes, bytes]
    ) -> Answer | Proceed | None:
        """Decide an HTTP request; see `Engine.decide`."""
        ...

    def decide_websocket(self, path: str, fields: Mapping[bytes, bytes]) -> Answer | None:
        """Decide a WebSocket handshake; see `Engine.decide_websocket`."""
        ...

    def rule_of(self, path: str, fields: Mapping[bytes, bytes]) -> str | None:
        """Name the rule that covers a URL: "" for a single policy, None where there is none."""
        ...


class ObservedEngine:
    """An engine that calls `observer` with each decision, before it is carried out."""

    __slots__ = ("_engine", "_observer", "reads", "reads_unless_options", "reads_websocket")

    reads_path = True

    def __init__(self, engine: AppEngine, observer: Observer) -> None:
        self._engine = engine
        self._observer = observer
        self.reads: frozenset[bytes] = engine.reads
        self.reads_unless_options: frozenset[bytes] = engine.reads_unless_options
        self.reads_websocket: frozenset[bytes] = engine.reads_websocket

    def decide(
        self, method: str, path: str, fields: Mapping[bytes, bytes]
    ) -> Answer | Proceed | None:
        """Decide as the engine does."""
        decision = self._engine.decide(method, path, fields)
        self._observer(observed(self._engine, decision, method, path, fields))
        return decision

    def decide_websocket(self, path: str, fields: Mapping[bytes, bytes]) -> Answer | None:
        """Decide as the engine does."""
        refusal = self._engine.decide_websocket(path, fields)
        self._observer(observed_websocket(self._engine, refusal, path, fields))
        return refusal

    def rule_of(self, path: str, fields: Mapping[bytes, bytes]) -> str | None:
        """Name the rule as the engine does."""
        return self._engine.rule_of(path, fields)


def observed(
    engine: AppEngine,
    decision: Answer | Proceed | None,
    method: str,
    path: str,
    fields: Mapping[bytes, bytes],
) -> ObservedDecision:
    """Return what an observer gets of the `decision` about an HTTP request; see `Engine.decide`."""
    return ObservedDecision(
        kind="preflight" if is_preflight(method, fields) else "real",
        reason="no_rule" if decision is None else decision.reason,
        status=decision.status if isinstance(decision, Answer) else None,
        method=_shown(method),
        path=_shown(path),
        origin=_origin(fields),
        rule=engine.rule_of(path, fields) or "",
    )


def observed_websocket(
    engine: AppEngine, refusal: Answer | None, path: str, fields: Mapping[bytes, bytes]
) -> ObservedDecision:
    """Return what an observer gets of a handshake, which is accepted if there is no `refusal`."""
    origin, rule = _origin(fields), engine.rule_of(path, fields)
    reason: Reason = "allowed" if origin else "no_origin"
    if refusal is not None:
        reason = refusal.reason
    elif rule is None:
        reason = "no_rule"
    return ObservedDecision(
        kind="websocket",
        reason=reason,
        status=None if refusal is None else refusal.status,
        method="GET",
        path=_shown(path),
        origin=origin,
        rule=rule or "",
    )


def _origin(fields: Mapping[bytes, bytes]) -> str:
    # One more than is shown, so that what is cut has its ellipsis.
    return _shown(fields.get(b"origin", b"")[: MAX_TEXT + 1].decode("latin-1").strip(" \t"))


def _shown(text: str) -> str:
    """Return a text of a request with at most `MAX_TEXT` characters, none of which breaks lines."""
    shown = printable(text[: MAX_TEXT + 1])
    return shown if len(shown) <= MAX_TEXT else f"{shown[: MAX_TEXT - 3]}..."
