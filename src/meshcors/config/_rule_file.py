"""Rules in a file: a list of rules, or the corsPolicies of Istio VirtualServices.

The hosts, path prefixes and policies of a VirtualService are read. A `PolicyWarning` names what is
ignored, because it only concerns the mesh or a rule cannot express it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from meshcors._policy.coverage import EVERY_HOST, Coverage
from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.policy import Policy
from meshcors._policy.rules import ONE_URL_ONE_POLICY, Rule, RuleSet, Uncovered
from meshcors._policy.warning import warn
from meshcors.config._fields import FieldPath, read_mapping
from meshcors.config._policy_file import (
    KEY_VALUES_FIELDS,
    NO_VALUES_HERE,
    POLICY_FIELDS,
    read_policy,
    unknown_field,
)

_RULE_FIELDS: Final = ("hosts", "pathPrefix", "corsPolicy", "key")
# How people try to make a rule, or its key, depend on a header's value.
_BY_VALUE: Final = frozenset({"header", "headers", "match", "withoutHeaders"})
_KEY_BY_VALUE: Final = frozenset({"exact", "prefix", "regex"})
# Replaces a policy with problems, so that the problems of its rule are found as well.
_ANY_POLICY: Final = Policy(allow_origins=["*"])


def holds_rules(documents: list[object]) -> bool:
    """Return whether a file's `documents` hold rules rather than a single policy."""
    return _holds_list(documents) or any(map(_is_virtual_service, documents))


def read_rules(problems: list[Problem], documents: list[object], where: FieldPath) -> RuleSet:
    """Return the rules in the plain `documents` of the file `where`.

    Raises `PolicyError` with all their problems and the `problems` found before.
    """
    if not _holds_list(documents):
        return _VirtualServices(problems).read(documents, where)
    top = read_mapping(problems, documents[0], where)
    uncovered = cast("Uncovered | None", top.pop("uncovered", None))
    rules = _read_list(problems, top, where)
    whole = [rule for rule in rules if rule is not None]
    rule_set = None
    # Without one of the rules, the numbers of the others would be wrong.
    if len(whole) == len(rules):
        try:
            rule_set = RuleSet(whole, uncovered=uncovered)
        except PolicyError as error:
            problems += [replace(each, field=str(where.at(each.field))) for each in error.problems]
    if rule_set is None or problems:
        raise PolicyError(dict.fromkeys(problems))
    return rule_set


def _holds_list(documents: list[object]) -> bool:
    return len(documents) == 1 and isinstance(documents[0], Mapping) and "rules" in documents[0]


def _is_virtual_service(document: object) -> bool:
    if not isinstance(document, Mapping):
        return False
    fields = cast("Mapping[object, object]", document)
    version = str(fields.get("apiVersion", ""))
    return fields.get("kind") == "VirtualService" and version.startswith("networking.istio.io/")


def _read_list(
    problems: list[Problem], top: dict[str, object], where: FieldPath
) -> list[Rule | None]:
    for name in top:
        if name != "rules":
            hint = "only uncovered may be next to rules: write this inside a rule"
            problems.append(Problem("unknown_field", str(where.at(name)), "", hint))
    where = where.at("rules")
    items = _list(problems, top["rules"], where)
    return [_read_rule(problems, item, where.at(index)) for index, item in enumerate(items)]


def _read_rule(problems: list[Problem], item: object, where: FieldPath) -> Rule | None:
    fields = read_mapping(problems, item, where)
    if item is not None and not isinstance(item, Mapping):
        return None
    _refuse_values(problems, fields, where)
    known = _RULE_FIELDS if "corsPolicy" in fields else (*_RULE_FIELDS, *POLICY_FIELDS)
    for name in [name for name in fields if name not in known]:
        problems.append(unknown_field(where, (name,), known))
        del fields[name]
    hosts, prefix = fields.pop("hosts", None), fields.pop("pathPrefix", None)
    policy = _read_policy(problems, fields, where)
    paths = {"hosts": where.at("hosts"), "path_prefix": where.at("pathPrefix")}
    return _make_rule(problems, policy or _ANY_POLICY, hosts, prefix, paths)


def _read_policy(problems: list[Problem], data: object, where: FieldPath) -> Policy | None:
    try:
        return read_policy([], data, where)
    except PolicyError as error:
        problems += error.problems
        return None


def _make_rule(
    problems: list[Problem],
    policy: Policy,
    hosts: object,
    prefix: object,
    paths: Mapping[str, FieldPath],
) -> Rule | None:
    """Make a rule from plain `hosts` and `prefix`; `paths` are their paths by field of the rule."""
    urls: dict[str, Any] = {"hosts": hosts, "path_prefix": "/" if prefix is None else prefix}
    try:
        return Rule(policy, **urls)
    except PolicyError as error:
        problems += [replace(each, field=str(paths[each.field])) for each in error.problems]
        return None


def _refuse_values(problems: list[Problem], fields: dict[str, object], where: FieldPath) -> None:
    """Refuse and remove whatever would make a rule depend on a header's value."""
    key = fields.get("key")
    found = {where.at(name): ONE_URL_ONE_POLICY for name in fields if name in _BY_VALUE}
    if isinstance(key, Mapping):
        named = cast("Mapping[object, object]", key)
        for name, value in named.items():
            at = where.at("key").at(str(name))
            if name in KEY_VALUES_FIELDS:
                found[at] = NO_VALUES_HERE
            elif name in _KEY_BY_VALUE or (name == "header" and isinstance(value, Mapping)):
                found[at] = ONE_URL_ONE_POLICY
        if found:
            del fields["key"]
    for name in _BY_VALUE & fields.keys():
        del fields[name]
    problems += [Problem("rule_by_value", str(at), "", hint) for at, hint in found.items()]


def _list(problems: list[Problem], data: object, where: FieldPath) -> list[object]:
    if isinstance(data, list):
        return cast("list[object]", data)
    if data is not None:
        problems.append(Problem("not_a_list", str(where), "", "write a list"))
    return []


@dataclass(frozen=True, slots=True)
class _PlacedRule:
    """A rule made from a rule of a VirtualService, and the path of that rule."""

    rule: Rule
    where: FieldPath


class _VirtualServices:
    """Reads the corsPolicies of VirtualServices into rules.

    One rule of a VirtualService may become several of ours. Several that differ only in conditions
    which a preflight does not meet, such as header values, become one.
    """

    def __init__(self, problems: list[Problem]) -> None:
        self._problems = problems
        self._parts: list[_PlacedRule] = []
        self._coverage = Coverage()

    def read(self, documents: list[object], where: FieldPath) -> RuleSet:
        """Return the rules in all `documents` of a file; raises `PolicyError`."""
        for number, document in enumerate(documents, start=1):
            root = where if len(documents) == 1 else where.at(f"document {number}")
            if _is_virtual_service(document):
                ignored = list(self._read_document(cast("Mapping[str, object]", document), root))
            else:
                ignored = [root]
            if ignored:
                names = ", ".join(each.keys for each in ignored)
                warn(
                    f"{where.file}: only hosts, uri.prefix (by whole segments) and corsPolicy are"
                    f" read; ignored: {names}"
                )
        if not self._parts and not self._problems:
            hint = "found no corsPolicy with hosts and a path prefix that a rule can have"
            self._problems.append(Problem("no_rules", str(where), "", hint))
        if self._problems:
            raise PolicyError(dict.fromkeys(self._problems))
        return RuleSet(part.rule for part in self._parts)

    def _read_document(
        self, document: Mapping[str, object], where: FieldPath
    ) -> Iterator[FieldPath]:
        """Read what a rule can express; yield the paths of what is ignored."""
        where = where.at("spec")
        spec = read_mapping(self._problems, document.get("spec"), where)
        hosts = spec.pop("hosts", [])
        if isinstance(hosts, list) and "*" in hosts:
            hosts = None
        rules = _list(self._problems, spec.pop("http", None), where.at("http"))
        yield from map(where.at, spec)
        for index, item in enumerate(rules):
            at = where.at("http").at(index)
            rule = read_mapping(self._problems, item, at)
            if rule.get("corsPolicy") is None:
                yield at
            else:
                yield from self._read_rule(rule, hosts, at, where.at("hosts"))

    def _read_rule(
        self, rule: dict[str, object], hosts: object, where: FieldPath, hosts_path: FieldPath
    ) -> Iterator[FieldPath]:
        data = rule.pop("corsPolicy")
        policy = _read_policy(self._problems, data, where.at("corsPolicy"))
        matches = _list(self._problems, rule.pop("match", None), where.at("match")) or [{}]
        yield from map(where.at, rule)
        if isinstance(data, Mapping) and "unmatchedPreflights" in data:
            yield where.at("corsPolicy").at("unmatchedPreflights")
        for index, item in enumerate(matches):
            at = where.at("match").at(index)
            match = read_mapping(self._problems, item, at)
            uri = read_mapping(self._problems, match.pop("uri", None), at.at("uri"))
            if uri.keys() - {"prefix"}:
                # A rule covers a prefix, which is more than this condition.
                yield at
                continue
            yield from map(at.at, match)
            paths = {"hosts": hosts_path, "path_prefix": at.at("uri").at("prefix")}
            made = _make_rule(
                self._problems, policy or _ANY_POLICY, hosts, uri.get("prefix"), paths
            )
            if policy is not None and made is not None:
                self._add(made, where)

    def _add(self, rule: Rule, where: FieldPath) -> None:
        left: list[str] = []
        for host in rule.hosts or (EVERY_HOST,):
            earlier = self._coverage.earliest(host, rule.path_prefix)
            if earlier is None:
                left.append(host)
            elif self._parts[earlier].rule.policy != rule.policy:
                hint = f"{self._parts[earlier].where.keys} covers it too: {ONE_URL_ONE_POLICY}"
                value = f"{host}{rule.path_prefix}"
                self._problems.append(Problem("rule_second_policy", str(where), value, hint))
        if left:
            hosts = None if left == [EVERY_HOST] else left
            kept = Rule(rule.policy, hosts=hosts, path_prefix=rule.path_prefix)
            self._coverage.add(kept.hosts, kept.path_prefix, len(self._parts))
            self._parts.append(_PlacedRule(kept, where))
