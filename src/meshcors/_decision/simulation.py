"""What a service with the middleware would answer: for tools, without a server and an app."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from meshcors._decision.answers import Answer, Fields, Proceed
from meshcors._decision.fields import BYTES


class AnyEngine(Protocol):
    """An engine that answers everything itself, or lets the app answer."""

    def decide(self, method: str, path: str, fields: Mapping[bytes, bytes]) -> Answer | Proceed:
        """Decide an HTTP request; see `Engine.decide`."""
        ...


def simulate(
    engine: AnyEngine, method: str, path: str, fields: Iterable[tuple[str, str]]
) -> tuple[int, Fields]:
    """Return the status and the fields of the answer to a request with these `fields` (lower case).

    If `engine` lets the app answer, that is a 200 without fields of its own.
    """
    decision = engine.decide(method, path, dict(BYTES.fields(fields)))
    if isinstance(decision, Answer):
        return decision.status, decision.headers
    return 200, tuple(decision.merge(()))
