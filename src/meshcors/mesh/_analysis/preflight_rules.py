"""Which rules are there for preflights alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcors.mesh._analysis.example_call import CALL_METHODS
from meshcors.mesh._routing.cors_filter import REQUEST_METHOD
from meshcors.mesh._routing.matching import text_matches

if TYPE_CHECKING:
    from meshcors.mesh._routing.routes import Route


def is_preflight_rule(route: Route) -> bool:
    """Tell whether a rule takes OPTIONS alone, or asks for a header that only preflights have."""
    for condition in route.match.headers:
        if condition.inverted:
            continue
        if condition.name == REQUEST_METHOD:
            return True
        if condition.name == ":method" and not any(
            text_matches(condition.match, method) for method in CALL_METHODS
        ):
            return text_matches(condition.match, "OPTIONS")
    return False
