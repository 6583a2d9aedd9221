"""What the pod is configured with: read from all sources, checked, compiled, described to people.

The pod holds no secret: it checks that a key is there, and discards the key's values.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import quote

from meshcors._decision.rule_engine import NO_RULE, compile_engine
from meshcors._policy.policy import Policy
from meshcors._policy.rules import Rule, RuleSet
from meshcors._policy.warning import PolicyWarning
from meshcors.config import to_document
from meshcors.config._loading import load
from meshcors.config._options import CONFIG_VARIABLE, OPTIONS
from meshcors.dummy._app import PodEngine

_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Configuration:
    """A valid policy, or valid rules, ready to serve.

    `source` has no key values; `engine` is compiled from it; `warnings` were given when it was
    read. `json` is a policy file that says the same. `fingerprint` is twelve hexadecimal digits,
    the same for all pods that answer alike. Both take long to make for many rules, so they are made
    once, where no request waits.
    """

    source: Policy | RuleSet
    engine: PodEngine
    warnings: tuple[str, ...]
    json: bytes
    fingerprint: str

    @classmethod
    def of(cls, source: Policy | RuleSet, warnings: tuple[str, ...] = ()) -> Configuration:
        """Return the configuration made from `source`."""
        source = source.without_key_values()
        document = to_document(source)
        # The pod always refuses what no rule covers, so that setting makes no difference.
        answered = document | {"uncovered": "refuse"}
        digest = sha256(json.dumps(answered, sort_keys=True).encode()).hexdigest()
        return cls(
            source,
            compile_engine(source, NO_RULE),
            warnings,
            json.dumps(document, indent=2).encode(),
            digest[:_DIGITS],
        )

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in order; a single policy is one rule that covers everything."""
        return _rules(self.source)

    @property
    def key_names(self) -> frozenset[str]:
        """The names of the headers in which any rule's key is sent."""
        return frozenset(rule.policy.key.name for rule in self.rules if rule.policy.key)

    def introduction(self, address: str) -> Iterator[str]:
        """Yield what a pod logs on start: what it allows, and a curl line to try.

        `address` goes between ``curl -i -X OPTIONS `` and the path.
        """
        for rule in self.rules:
            where = _where(rule)
            yield f"{where}: allows {_what(rule)}" if where else f"allows {_what(rule)}"
        rule = self.rules[0]
        origin = _allowed_origin(rule.policy)
        url = f"{address}{quote(rule.path_prefix)}"
        line = f"curl -i -X OPTIONS {url} -H 'Origin: {origin or 'ORIGIN'}'"
        if rule.hosts:
            line += f" -H 'Host: {rule.hosts[0].replace('*', 'any')}'"
        line += " -H 'Access-Control-Request-Method: POST'"
        if rule.policy.key:
            line += f" -H 'Access-Control-Request-Headers: {rule.policy.key.name}'"
        fill_in = "" if origin else ", with ORIGIN replaced by one that the regex allows"
        yield f"try{fill_in}: {line}"


def read(flags: Mapping[str, object], config: str | Path | None) -> Configuration:
    """Return the configuration of `flags`, the environment and the file; see `config.load`.

    Raises `PolicyError`.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PolicyWarning)
        given = load(flags, os.environ, config=config)
    noted = [str(each.message) for each in caught]
    if any(rule.policy.key and rule.policy.key.values for rule in _rules(given)):
        noted.append(
            f"{_key_values_label(config)}: ignored: the pod checks that a key is present, not its"
            " value; leave it out unless services read it too"
        )
    return Configuration.of(given, tuple(dict.fromkeys(noted)))


def _key_values_label(config: str | Path | None) -> str:
    """Return the source of the key's values: a variable, else the configuration file."""
    for option in OPTIONS:
        if option.name == "key.values" and os.environ.get(option.variable, "").strip():
            return option.variable
    return f"{config or os.environ[CONFIG_VARIABLE]}: key.valuesFile"


def _where(rule: Rule) -> str:
    """Return a rule's hosts and path prefix; empty where it covers everything."""
    return f"{', '.join(rule.hosts)}{rule.path_prefix if rule.path_prefix != '/' else ''}"


def _what(rule: Rule) -> str:
    policy = rule.policy
    parts = [f"origins {', '.join(map(str, policy.allow_origins))}"]
    methods = dict.fromkeys(["GET", "HEAD", "POST", *policy.allow_methods])
    parts.append(f"methods {', '.join(methods)}")
    if policy.allow_headers:
        parts.append(f"headers {', '.join(policy.allow_headers)}")
    if policy.key:
        parts.append(f"key header {policy.key.name}")
    if policy.allow_credentials:
        parts.append("with credentials")
    return "; ".join(parts)


def _allowed_origin(policy: Policy) -> str | None:
    """Return an origin that is allowed, or None where all patterns are regular expressions."""
    patterns = [origin for origin in policy.allow_origins if isinstance(origin, str)]
    exact_first = sorted(patterns, key=lambda pattern: "*" in pattern)
    if not exact_first:
        return None
    if exact_first[0] == "*":
        return "https://ui.example"
    return exact_first[0].removesuffix(":*").replace("*.", "any.")


def _rules(source: Policy | RuleSet) -> tuple[Rule, ...]:
    return (Rule(source),) if isinstance(source, Policy) else source.rules
