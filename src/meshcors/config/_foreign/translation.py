"""Foreign policies as one policy file, which the project's own reader has to accept first.

What it refuses is said in the words of the source: its file, line and keyword.
"""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, cast

from meshcors._policy.covered_urls import EVERY_HOST, CoveredUrls
from meshcors._policy.errors import PolicyError
from meshcors._policy.headers import (
    SAFELISTED_METHODS,
    SAFELISTED_REQUEST_HEADERS,
    is_forbidden_request_header,
)
from meshcors._policy.rules import LONGEST_PREFIX
from meshcors._policy.warning import PolicyWarning
from meshcors.config._foreign.remarks import has_credentials, remarks
from meshcors.config._foreign.said import MOST_POLICIES, ForeignError, ForeignProblem
from meshcors.config._loading import source_of_text
from meshcors.config._writing import to_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshcors._policy.place import Place
    from meshcors.config._foreign.said import Field, ForeignOption, ForeignPolicy, Reading

_FILE: Final = "policy.json"
_NEVER_LISTED: Final = frozenset({*SAFELISTED_METHODS, "OPTIONS", "CONNECT", "TRACE"})
_RULE: Final = re.compile(r"rules\[(\d+)\]")
_DANGEROUS: Final = re.compile(r"set (dangerously\w+)")
_LAST_NAME: Final = re.compile(r"\w+$")
_FIELD: Final = re.compile(r"\b(allow|expose|max)[A-Z]\w+")


@dataclass(slots=True)
class Translated:
    """A policy file as plain data, what differs from the sources, and what else to say."""

    document: dict[str, Any]
    differences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def translate(reading: Reading) -> Translated:
    """Return the policy file for what was read; `ForeignError` says why there is none."""
    for policy in reading.policies[:MOST_POLICIES]:
        _refuse_wildcards(reading, policy)
        if len(policy.path_prefix) > LONGEST_PREFIX:
            message = f"a path of more than {LONGEST_PREFIX} characters"
            reading.refuse(policy.place, policy.system.name, message, "write a shorter one")
    for policy in reading.policies[MOST_POLICIES : MOST_POLICIES + 1]:
        message = f"more than {MOST_POLICIES} policies"
        reading.refuse(policy.place, policy.system.name, message, "name fewer or smaller files")
    if reading.problems:
        raise ForeignError(reading.problems)
    policies = _without_repetitions(reading.policies)
    notes = list(reading.notes)
    document = _document(policies)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PolicyWarning)
        try:
            source = source_of_text(json.dumps(document), _FILE)
        except PolicyError as error:
            raise ForeignError(_in_words_of_source(error, policies)) from None
    notes += dict.fromkeys(_of_source(str(each.message), policies) for each in caught)
    differences = [
        f"{policy.place}: {each}"
        for policy in _keyless(reading.policies)
        for each in remarks(policy)
    ]
    return Translated(to_document(source), list(dict.fromkeys(differences)), notes)


def _refuse_wildcards(reading: Reading, policy: ForeignPolicy) -> None:
    """Refuse a ``*`` in an origin that means nothing there, but something in a policy."""
    option = policy.options.get("allowOrigins")
    if option is None or policy.system.patterns or not isinstance(option.value, list):
        return
    for each in cast("list[object]", option.value):
        if isinstance(each, str) and "*" in each and each != "*":
            message = f"{each} never matches: {policy.system.name} compares whole texts"
            reading.refuse(option.place, option.keyword, message, policy.system.exact)


def _document(policies: Sequence[ForeignPolicy]) -> dict[str, Any]:
    only = policies[0]
    if len(policies) == 1 and not only.hosts and only.path_prefix == "/":
        return _fields(only)
    rules: list[dict[str, Any]] = []
    for policy in policies:
        hosts = {"hosts": list(policy.hosts)} if policy.hosts else {}
        prefix = {"pathPrefix": policy.path_prefix} if policy.path_prefix != "/" else {}
        rules.append({**hosts, **prefix, **_fields(policy)})
    return {"rules": rules}


def _fields(policy: ForeignPolicy) -> dict[str, Any]:
    """Return a policy's part of the file, without what every policy of meshcors allows."""
    literal_star = has_credentials(policy) and not policy.system.echoes
    body: dict[str, Any] = {}
    for name, option in policy.options.items():
        body[name] = _value(policy, name, option, literal_star=literal_star)
    kept = {name: value for name, value in body.items() if value != [] and value is not False}
    # Without origins, the reader says that they are missing.
    key = {"key": {"header": policy.key}} if policy.key else {}
    return {"corsPolicy": kept, **key}


def _value(
    policy: ForeignPolicy, name: Field, option: ForeignOption, *, literal_star: bool
) -> object:
    if name not in ("allowOrigins", "allowMethods", "allowHeaders", "exposeHeaders"):
        return option.value
    if not isinstance(option.value, list):
        return option.value
    items = list(cast("list[object]", option.value))
    if name == "allowOrigins":
        return ["*"] if "*" in items else _once(items)
    if literal_star:
        items = [each for each in items if each != "*"]
    if name == "allowMethods":
        items = [each for each in items if each not in _NEVER_LISTED]
    elif name == "allowHeaders":
        items = [each.lower() if isinstance(each, str) else each for each in items]
        items = [each for each in items if not _needless(each, policy.key)]
        if "*" in items and policy.system.echoes and not has_credentials(policy):
            items.append("authorization")
    if "*" in items:
        # Browsers do not count this header as *.
        written_out = name == "allowHeaders" and not has_credentials(policy)
        items = [each for each in items if each == "*" or (written_out and each == "authorization")]
    return _once(items)


def _needless(name: object, key: str) -> bool:
    return isinstance(name, str) and (
        name in SAFELISTED_REQUEST_HEADERS or name == key or is_forbidden_request_header(name)
    )


def _once(items: list[object]) -> list[object]:
    kept: dict[str, object] = {}
    for each in items:
        kept.setdefault(json.dumps(each, sort_keys=True, default=repr), each)
    return list(kept.values())


def _without_repetitions(policies: Sequence[ForeignPolicy]) -> list[ForeignPolicy]:
    """Return the policies without those whose URLs an equal one covers before them."""
    same_key = _keyless(policies)
    covered = CoveredUrls()
    kept: list[ForeignPolicy] = []
    for policy in same_key:
        left = [
            host
            for host in policy.hosts or (EVERY_HOST,)
            if (at := covered.earliest(host, policy.path_prefix)) is None
            or _fields(kept[at]) != _fields(policy)
        ]
        if left:
            covered.add(left, policy.path_prefix, len(kept))
            kept.append(replace(policy, hosts=() if left == [EVERY_HOST] else tuple(left)))
    return kept


def _keyless(policies: Sequence[ForeignPolicy]) -> list[ForeignPolicy]:
    """Return the policies, with a key only where every one for the same URLs has it."""
    keys: dict[tuple[tuple[str, ...], str], set[str]] = {}
    for policy in policies:
        keys.setdefault((policy.hosts, policy.path_prefix), set()).add(policy.key)
    return [
        policy if len(keys[policy.hosts, policy.path_prefix]) == 1 else replace(policy, key="")
        for policy in policies
    ]


def _in_words_of_source(
    error: PolicyError, policies: Sequence[ForeignPolicy]
) -> list[ForeignProblem]:
    found: list[ForeignProblem] = []
    for problem in error.problems:
        policy, place, keyword = _source_of(problem.field, policies, problem.value)
        hint = _hint(problem.hint, policy, policies)
        message = _TITLES.get(problem.code) or problem.value or "not possible"
        found.append(ForeignProblem(place, keyword, message, hint))
    return found


def _source_of(
    label: str, policies: Sequence[ForeignPolicy], value: str = ""
) -> tuple[ForeignPolicy, Place, str]:
    """Return whose field a `label` is, where its `value` is set, and by which keyword."""
    rule = _RULE.search(label)
    policy = policies[int(rule[1]) if rule else 0]
    name = _LAST_NAME.search(label)
    option = policy.options.get(cast("Field", name[0] if name else ""))
    if option is None:
        return policy, policy.place, policy.system.name
    option = option.adder_of(value)
    return policy, option.place, option.keyword


def _of_source(warning: str, policies: Sequence[ForeignPolicy]) -> str:
    """Return a warning in the words of the source."""
    label, _, text = warning.removeprefix(f"{_FILE}: ").partition(": ")
    _, place, keyword = _source_of(label, policies)
    return f"{place}: {keyword}: {text}"


_TITLES: Final = {
    "no_origins": "no origin is allowed",
    "not_a_list": "not a list",
    "rule_second_policy": "a second policy for the same URLs",
    "rule_unreachable": "it decides about no URL",
    "max_age_not_seconds": "not a number of seconds",
}


def _hint(hint: str, policy: ForeignPolicy, policies: Sequence[ForeignPolicy]) -> str:
    def keyword(found: re.Match[str]) -> str:
        option = policy.options.get(cast("Field", found[0]))
        return option.keyword if option else found[0]

    hint = _RULE.sub(lambda found: f"the one at {policies[int(found[1])].place}", hint)
    hint = _DANGEROUS.sub(r"write the policy by hand, with \1: true", hint)
    return _FIELD.sub(keyword, hint)
