"""What a service inside the middleware answers, for the tools that judge it: no server, no app."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from meshcors._decision.answers import Answer, Fields, Proceed
from meshcors._decision.fields import BYTES


class Decider(Protocol):
    """An engine that answers everything itself, or lets the app answer."""

    def decide(self, method: str, path: str, fields: Mapping[bytes, bytes]) -> Answer | Proceed:
        """Decide an HTTP request; see `Engine.decide`."""
        ...


def simulate(
    engine: Decider, method: str, path: str, fields: Iterable[tuple[str, str]]
) -> tuple[int, Fields]:
    """Return the status and the fields that a request with these `fields` (lower case) gets.

    Where `engine` lets the app answer, the app answers 200 without any fields of its own.
    """
    decision = engine.decide(method, path, dict(BYTES.fields(fields)))
    if isinstance(decision, Answer):
        return decision.status, decision.headers
    return 200, tuple(decision.merge(()))
