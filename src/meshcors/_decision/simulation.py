"""What a service inside the middleware would answer, without a server or an app.

What judges answers uses it: `meshcors explain`, and `page_check` for the pod's admin page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from meshcors._decision.answers import Answer, Fields, Proceed


class Decider(Protocol):
    """An engine of a policy, or of rules that refuse what they do not cover."""

    def decide(self, method: str, path: str, fields: Mapping[bytes, bytes]) -> Answer | Proceed:
        """Decide an HTTP request; see `Engine.decide`."""
        ...


def simulate(
    engine: Decider, method: str, path: str, fields: Iterable[tuple[str, str]]
) -> tuple[int, Fields, str]:
    """Return the status and the fields of the answer to a request with these `fields`, and why.

    Names are in lower case. Where `engine` lets the app answer, it is taken to answer 200 without
    fields of its own, and the reason is empty.
    """
    sent = {name.encode(): value.encode("latin-1", "replace") for name, value in fields}
    decision = engine.decide(method, path, sent)
    if isinstance(decision, Answer):
        return decision.status, decision.headers, decision.reason
    return 200, tuple(decision.merge(())), ""
