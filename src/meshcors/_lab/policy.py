"""The one policy of the lab: what the pod runs with, and each model service with its own key.

Pure. The text is what the page shows and edits; no value of a key is in it.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.header_key import HeaderKey
from meshcors._policy.policy import Policy
from meshcors._policy.rules import Rule, RuleSet
from meshcors._policy.warning import PolicyWarning
from meshcors.config import to_document
from meshcors.config._loading import source_of_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshcors.mesh._routing.gateway import Gateway

PolicySource: TypeAlias = Policy | RuleSet

MOST_POLICY_BYTES: Final = 64 * 1024
# How messages call the text.
_NAME: Final = "policy"


def read_policy_text(text: str) -> PolicySource:
    """Return the policy or the rules in a text (YAML, and so JSON); raises `PolicyError`."""
    if len(text.encode(errors="replace")) > MOST_POLICY_BYTES:
        hint = f"write at most {MOST_POLICY_BYTES // 1024} KiB"
        raise PolicyError([Problem("file_too_large", _NAME, "", hint)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PolicyWarning)
        return source_of_text(text, _NAME)


def written(source: PolicySource) -> str:
    """Return the text of a policy or of rules, without key values."""
    return as_text(to_document(source.without_key_values()))


def as_text(data: Mapping[str, Any]) -> str:
    """Return the plain data of a policy file as a text that people edit."""
    return json.dumps(data, indent=2) + "\n"


def exact_origins(source: PolicySource) -> list[str]:
    """Return the origins that a policy or its rules allow by name."""
    policies = [source] if isinstance(source, Policy) else [rule.policy for rule in source.rules]
    named = (each for policy in policies for each in policy.allow_origins)
    return [each for each in named if isinstance(each, str) and "://" in each and "*" not in each]


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """What the rules that lead to a service ask of a header: ``values``, or None for any value.

    ``is_optional`` if one of them does not ask for the header at all.
    """

    values: frozenset[str] | None
    is_optional: bool

    def __repr__(self) -> str:
        return f"<ServiceKey, optional: {self.is_optional}>"


def service_key(gateway: Gateway, port: int, service: str, header: str) -> ServiceKey:
    """Return the key of the service ``host:port`` in a header, as the gateway's rules have it."""
    found: set[str] | None = set()
    is_optional = False
    for route in (route for host in gateway.virtual_hosts(port) for route in host.routes):
        if service not in (f"{to.host}:{to.port or route.port}" for to in route.source.route):
            continue
        conditions = [
            each.match for each in route.match.headers if each.name == header and not each.inverted
        ]
        is_optional |= not conditions
        exact = [each.value for each in conditions if each.kind == "exact"]
        if found is not None and exact:
            found.update(exact)
        elif conditions:
            found = None
    return ServiceKey(None if not found else frozenset(found), is_optional)


def of_service(source: PolicySource, gateway: Gateway, port: int, service: str) -> PolicySource:
    """Return the policy that a service runs with: the pod's, and the service's own key."""

    def own(policy: Policy) -> Policy:
        if policy.key is None:
            return policy
        key = service_key(gateway, port, service, policy.key.name)
        return _with_key(policy, None if key.is_optional else _header_key(policy.key, key.values))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PolicyWarning)
        if isinstance(source, Policy):
            return own(source)
        rules = (
            Rule(own(rule.policy), hosts=rule.hosts or None, path_prefix=rule.path_prefix)
            for rule in source.rules
        )
        return RuleSet(rules, uncovered=source.uncovered)


def _header_key(key: HeaderKey, values: Iterable[str] | None) -> HeaderKey:
    try:
        return HeaderKey(
            key.name, None if values is None else sorted(values), exempt_paths=key.exempt_paths
        )
    except PolicyError:
        # A rule may ask for a value that no client can send.
        return HeaderKey(key.name, exempt_paths=key.exempt_paths)


def _with_key(policy: Policy, key: HeaderKey | None) -> Policy:
    options: Any = {each.name: getattr(policy, each.name) for each in fields(policy)}
    return Policy(**(options | {"key": key}))
