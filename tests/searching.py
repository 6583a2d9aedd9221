"""How many examples a property is tried with: its own number, scaled by the profile of this run."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# What a property without a number of its own gets where nothing is scaled.
USUAL = 100


def examples(count: int, *suppressed: HealthCheck) -> settings:
    """Try a property with `count` examples: fewer in the quick loop, more in a long search."""
    return settings(
        max_examples=max(5, count * settings.default.max_examples // USUAL),
        suppress_health_check=[*settings.default.suppress_health_check, *suppressed],
    )
