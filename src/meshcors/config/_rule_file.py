"""Rules from a file: a list of them, or the corsPolicies of Istio VirtualServices.

Of a VirtualService the hosts, the path prefixes and the policies are taken. What is ignored, as the
mesh's business or because a rule cannot say it, is told in a `PolicyWarning`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.policy import Policy
from meshcors._policy.rules import (
    EVERY_HOST,
    ONE_URL_ONE_POLICY,
    Coverage,
    Rule,
    RuleSet,
    Uncovered,
)
from meshcors._policy.warning import warn
from meshcors.config._settings import (
    KEY_VALUES_FIELDS,
    NO_VALUES_HERE,
    POLICY_FIELDS,
    Place,
    read_mapping,
    read_policy,
    unknown_field,
)

_RULE_FIELDS: Final = ("hosts", "pathPrefix", "corsPolicy", "key")
# How people write that a rule depends on a header's value, in a rule and in its key.
_BY_VALUE: Final = frozenset({"header", "headers", "match", "withoutHeaders"})
_KEY_BY_VALUE: Final = frozenset({"exact", "prefix", "regex"})
# Stands in for a policy with problems, so that those of its rule are found too.
_ANY_POLICY: Final = Policy(allow_origins=["*"])


def holds_rules(documents: list[object]) -> bool:
    """Tell whether a file's `documents` are rules, and no single policy."""
    return _holds_list(documents) or any(map(_is_virtual_service, documents))


def read_rules(problems: list[Problem], documents: list[object], place: Place) -> RuleSet:
    """Return the rules in a file's plain `documents`; the file is `place`.

    Raises `PolicyError` with all that is wrong with them, and the `problems` found before.
    """
    if not _holds_list(documents):
        return _VirtualServices(problems).read(documents, place)
    top = read_mapping(problems, documents[0], place)
    uncovered = cast("Uncovered | None", top.pop("uncovered", None))
    rules = _read_list(problems, top, place)
    whole = [rule for rule in rules if rule is not None]
    settled = None
    # Where a rule has no URLs, the numbers of the others would be wrong.
    if len(whole) == len(rules):
        try:
            settled = RuleSet(whole, uncovered=uncovered)
        except PolicyError as error:
            problems += [replace(each, field=str(place.at(each.field))) for each in error.problems]
    if settled is None or problems:
        raise PolicyError(dict.fromkeys(problems))
    return settled


def _holds_list(documents: list[object]) -> bool:
    return len(documents) == 1 and isinstance(documents[0], Mapping) and "rules" in documents[0]


def _is_virtual_service(document: object) -> bool:
    if not isinstance(document, Mapping):
        return False
    fields = cast("Mapping[object, object]", document)
    version = str(fields.get("apiVersion", ""))
    return fields.get("kind") == "VirtualService" and version.startswith("networking.istio.io/")


def _read_list(problems: list[Problem], top: dict[str, object], place: Place) -> list[Rule | None]:
    for name in top:
        if name != "rules":
            hint = "beside rules there is only uncovered: write it inside a rule"
            problems.append(Problem("unknown_field", str(place.at(name)), "", hint))
    place = place.at("rules")
    items = _list(problems, top["rules"], place)
    return [_read_rule(problems, item, place.at(index)) for index, item in enumerate(items)]


def _read_rule(problems: list[Problem], item: object, place: Place) -> Rule | None:
    fields = read_mapping(problems, item, place)
    if item is not None and not isinstance(item, Mapping):
        return None
    _refuse_values(problems, fields, place)
    known = _RULE_FIELDS if "corsPolicy" in fields else (*_RULE_FIELDS, *POLICY_FIELDS)
    for name in [name for name in fields if name not in known]:
        problems.append(unknown_field(place, (name,), known))
        del fields[name]
    hosts, prefix = fields.pop("hosts", None), fields.pop("pathPrefix", None)
    policy = _read_policy(problems, fields, place)
    places = {"hosts": place.at("hosts"), "path_prefix": place.at("pathPrefix")}
    return _make_rule(problems, policy or _ANY_POLICY, hosts, prefix, places)


def _read_policy(problems: list[Problem], data: object, place: Place) -> Policy | None:
    try:
        return read_policy([], data, place)
    except PolicyError as error:
        problems += error.problems
        return None


def _make_rule(
    problems: list[Problem],
    policy: Policy,
    hosts: object,
    prefix: object,
    places: Mapping[str, Place],
) -> Rule | None:
    """Make a rule of plain `hosts` and `prefix`; `places` are theirs by field of the rule."""
    urls: dict[str, Any] = {"hosts": hosts, "path_prefix": "/" if prefix is None else prefix}
    try:
        return Rule(policy, **urls)
    except PolicyError as error:
        problems += [replace(each, field=str(places[each.field])) for each in error.problems]
        return None


def _refuse_values(problems: list[Problem], fields: dict[str, object], place: Place) -> None:
    """Take out, and refuse, what would make a rule depend on a header's value."""
    key = fields.get("key")
    found = {place.at(name): ONE_URL_ONE_POLICY for name in fields if name in _BY_VALUE}
    if isinstance(key, Mapping):
        named = cast("Mapping[object, object]", key)
        for name, value in named.items():
            at = place.at("key").at(str(name))
            if name in KEY_VALUES_FIELDS:
                found[at] = NO_VALUES_HERE
            elif name in _KEY_BY_VALUE or (name == "header" and isinstance(value, Mapping)):
                found[at] = ONE_URL_ONE_POLICY
        if found:
            del fields["key"]
    for name in _BY_VALUE & fields.keys():
        del fields[name]
    problems += [Problem("rule_by_value", str(at), "", hint) for at, hint in found.items()]


def _list(problems: list[Problem], data: object, place: Place) -> list[object]:
    if isinstance(data, list):
        return cast("list[object]", data)
    if data is not None:
        problems.append(Problem("not_a_list", str(place), "", "write a list"))
    return []


@dataclass(frozen=True, slots=True)
class _Part:
    """Some hosts and a path prefix of a VirtualService's rule, and where they stand."""

    rule: Rule
    place: Place


class _VirtualServices:
    """Reads the corsPolicies of VirtualServices into rules.

    One rule of theirs may stand for many of ours, and many for one: those that differ in other
    conditions only, header values for one, are the same to a preflight.
    """

    def __init__(self, problems: list[Problem]) -> None:
        self._problems = problems
        self._parts: list[_Part] = []
        self._coverage = Coverage()

    def read(self, documents: list[object], place: Place) -> RuleSet:
        """Return the rules in all of a file's `documents`; raises `PolicyError`."""
        for number, document in enumerate(documents, start=1):
            root = place if len(documents) == 1 else place.at(f"document {number}")
            if _is_virtual_service(document):
                ignored = list(self._read_document(cast("Mapping[str, object]", document), root))
            else:
                ignored = [root]
            if ignored:
                names = ", ".join(each.keys for each in ignored)
                warn(
                    f"{place.file}: only hosts, uri.prefix (by whole segments) and corsPolicy are"
                    f" taken; ignored: {names}"
                )
        if not self._parts and not self._problems:
            hint = "no corsPolicy here whose hosts and path prefix could be taken"
            self._problems.append(Problem("no_rules", str(place), "", hint))
        if self._problems:
            raise PolicyError(dict.fromkeys(self._problems))
        return RuleSet(part.rule for part in self._parts)

    def _read_document(self, document: Mapping[str, object], place: Place) -> Iterator[Place]:
        """Take what can be taken; yield the places of what is ignored."""
        place = place.at("spec")
        spec = read_mapping(self._problems, document.get("spec"), place)
        hosts = spec.pop("hosts", [])
        if isinstance(hosts, list) and "*" in hosts:
            hosts = None
        rules = _list(self._problems, spec.pop("http", None), place.at("http"))
        yield from map(place.at, spec)
        for index, item in enumerate(rules):
            at = place.at("http").at(index)
            rule = read_mapping(self._problems, item, at)
            if rule.get("corsPolicy") is None:
                yield at
            else:
                yield from self._read_rule(rule, hosts, at, place.at("hosts"))

    def _read_rule(
        self, rule: dict[str, object], hosts: object, place: Place, hosts_place: Place
    ) -> Iterator[Place]:
        data = rule.pop("corsPolicy")
        policy = _read_policy(self._problems, data, place.at("corsPolicy"))
        matches = _list(self._problems, rule.pop("match", None), place.at("match")) or [{}]
        yield from map(place.at, rule)
        if isinstance(data, Mapping) and "unmatchedPreflights" in data:
            yield place.at("corsPolicy").at("unmatchedPreflights")
        for index, item in enumerate(matches):
            at = place.at("match").at(index)
            match = read_mapping(self._problems, item, at)
            uri = read_mapping(self._problems, match.pop("uri", None), at.at("uri"))
            if uri.keys() - {"prefix"}:
                # A rule covers a prefix; more would be said to more URLs than are meant.
                yield at
                continue
            yield from map(at.at, match)
            places = {"hosts": hosts_place, "path_prefix": at.at("uri").at("prefix")}
            made = _make_rule(
                self._problems, policy or _ANY_POLICY, hosts, uri.get("prefix"), places
            )
            if policy is not None and made is not None:
                self._add(made, place)

    def _add(self, rule: Rule, place: Place) -> None:
        left: list[str] = []
        for host in rule.hosts or (EVERY_HOST,):
            earlier = self._coverage.earliest(host, rule.path_prefix)
            if earlier is None:
                left.append(host)
            elif self._parts[earlier].rule.policy != rule.policy:
                hint = f"{self._parts[earlier].place.keys} covers it too: {ONE_URL_ONE_POLICY}"
                value = f"{host}{rule.path_prefix}"
                self._problems.append(Problem("rule_second_policy", str(place), value, hint))
        if left:
            hosts = None if left == [EVERY_HOST] else left
            kept = Rule(rule.policy, hosts=hosts, path_prefix=rule.path_prefix)
            self._coverage.add(kept, len(self._parts))
            self._parts.append(_Part(kept, place))
