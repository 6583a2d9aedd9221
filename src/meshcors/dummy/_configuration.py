"""What the pod is configured with: read from all sources, checked, compiled, described to people.

The pod holds no secret: it checks that a key is there, and discards the key's values.
"""

from __future__ import annotations

import json
import os
import pickle
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from meshcors._decision.rule_engine import NO_RULE, compile_engine
from meshcors._policy.in_words import allowed, covered, curl, example_origin
from meshcors._policy.policy import Policy
from meshcors._policy.rules import Rule, RuleSet, rules_of
from meshcors._policy.warning import PolicyWarning
from meshcors._policy.wording import first_lines
from meshcors.config import to_document
from meshcors.config._loading import key_values_source, load
from meshcors.dummy._app import PodEngine


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
            digest[:12],
        )

    @property
    def key_names(self) -> frozenset[str]:
        """The names of the headers in which any rule's key is sent."""
        return frozenset(rule.policy.key.name for rule in rules_of(self.source) if rule.policy.key)

    def introduction(self, address: str) -> Iterator[str]:
        """Yield what a pod logs on start: what it allows, and a curl line to try; see `curl`."""
        rules = rules_of(self.source)
        yield from first_lines([_allowed_by(rule) for rule in rules], "rule")
        rule = rules[0]
        is_ready = example_origin(rule.policy) is not None
        fill_in = "" if is_ready else ", with ORIGIN replaced by one that the regex allows"
        yield f"try{fill_in}: {curl(rule, address)}"


def read(flags: Mapping[str, object], config: str | Path | None) -> Configuration:
    """Return the configuration of `flags`, the environment and the file; see `config.load`.

    Raises `PolicyError`.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PolicyWarning)
        given = load(flags, os.environ, config=config)
    noted = [str(each.message) for each in caught]
    if any(rule.policy.key and rule.policy.key.values for rule in rules_of(given)):
        hint = "leave it out unless services read it too"
        given_in = key_values_source(os.environ, config)
        # First, where it is not left out of many.
        noted.insert(
            0, f"{given_in}: ignored: the pod checks that a key is present, not its value; {hint}"
        )
    # A copy lies together, once the file's text and all that its reader made of it is gone: the
    # system gets that memory back, which strings in its midst would hold.
    content = pickle.dumps(given.without_key_values())
    del given
    shown = first_lines(list(dict.fromkeys(noted)), "warning")
    return Configuration.of(pickle.loads(content), shown)  # noqa: S301 - own


def _allowed_by(rule: Rule) -> str:
    where = covered(rule)
    return f"{f'{where}: ' if where else ''}allows {allowed(rule.policy)}"
