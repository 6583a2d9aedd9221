"""Policies in a few words, for people who look at a log or a page.

A long list is cut: its first items, and how many more there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from meshcors._policy.policy import Policy
from meshcors._policy.rules import Rule

_MOST_NAMED: Final = 20


def covered(rule: Rule) -> str:
    """Return a rule's hosts and path prefix; empty where it covers everything."""
    return f"{_listed(rule.hosts)}{rule.path_prefix if rule.path_prefix != '/' else ''}"


def allowed(policy: Policy) -> str:
    """Return what a policy allows."""
    parts = [f"origins {_listed(policy.allow_origins)}"]
    methods = dict.fromkeys(["GET", "HEAD", "POST", *policy.allow_methods])
    parts.append(f"methods {_listed(tuple(methods))}")
    if policy.allow_headers:
        parts.append(f"headers {_listed(policy.allow_headers)}")
    if policy.key:
        parts.append(f"key header {policy.key.name}")
    if policy.allow_credentials:
        parts.append("with credentials")
    return "; ".join(parts)


def example_origin(policy: Policy) -> str | None:
    """Return an origin that is allowed, or None where all patterns are regular expressions."""
    patterns = [origin for origin in policy.allow_origins if isinstance(origin, str)]
    exact_first = sorted(patterns, key=lambda pattern: "*" in pattern)
    if not exact_first:
        return None
    if exact_first[0] == "*":
        return "https://ui.example"
    return exact_first[0].removesuffix(":*").replace("*.", "any.")


def curl(rule: Rule, address: str) -> str:
    """Return a curl line that sends a preflight, from ``ORIGIN`` where only a regex is allowed.

    `address` goes between ``curl -i -X OPTIONS `` and the path.
    """
    origin = example_origin(rule.policy) or "ORIGIN"
    line = f"curl -i -X OPTIONS {address}{quote(rule.path_prefix)} -H 'Origin: {origin}'"
    if rule.hosts:
        line += f" -H 'Host: {rule.hosts[0].replace('*', 'any')}'"
    line += " -H 'Access-Control-Request-Method: POST'"
    if rule.policy.key:
        line += f" -H 'Access-Control-Request-Headers: {rule.policy.key.name}'"
    return line


def _listed(names: Sequence[object]) -> str:
    left_out = len(names) - _MOST_NAMED
    shown = ", ".join(map(str, names[:_MOST_NAMED]))
    return f"{shown} and {left_out:,} more" if left_out > 0 else shown
