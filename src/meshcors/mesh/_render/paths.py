"""The path prefixes of rules, as a gateway compares them: encoded as in a URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcors._policy.rules import Rule

# What browsers leave as it is in a path, and the Gateway API accepts in one.
_SAFE: Final = "/!$&'()*+,;=:@"


def rules_by_prefix(rules: Iterable[Rule]) -> dict[str, Rule]:
    """Return the rules of one host by path prefix; the first rule for a path decides."""
    found: dict[str, Rule] = {}
    for rule in rules:
        found.setdefault(quote(rule.path_prefix, safe=_SAFE), rule)
    return found
