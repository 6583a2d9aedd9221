"""Rules from the corsPolicies of Istio VirtualServices.

The hosts, path prefixes and policies are read. A `PolicyWarning` names what is ignored, because it
only concerns the mesh or a rule cannot express it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from meshcors._policy.covered_urls import EVERY_HOST, CoveredUrls
from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.rules import ONE_URL_ONE_POLICY, Rule, RuleSet
from meshcors._policy.warning import warn
from meshcors.config._fields import FieldPath, read_mapping
from meshcors.config._rule_parts import ANY_POLICY, make_rule, policy_of_rule, read_list


def is_virtual_service(document: object) -> bool:
    """Return whether a document is an Istio VirtualService."""
    if not isinstance(document, Mapping):
        return False
    fields = cast("Mapping[object, object]", document)
    version = str(fields.get("apiVersion", ""))
    return fields.get("kind") == "VirtualService" and version.startswith("networking.istio.io/")


@dataclass(frozen=True, slots=True)
class _PlacedRule:
    """A rule made from a rule of a VirtualService, and the path of that rule."""

    rule: Rule
    where: FieldPath


class VirtualServices:
    """Reads the corsPolicies of VirtualServices into rules.

    One rule of a VirtualService may become several of ours. Several that differ only in conditions
    which a preflight does not meet, such as header values, become one.
    """

    def __init__(self, problems: list[Problem]) -> None:
        self._problems = problems
        self._parts: list[_PlacedRule] = []
        self._covered_urls = CoveredUrls()

    def read(self, documents: list[object], where: FieldPath) -> RuleSet:
        """Return the rules in all `documents` of a file; raises `PolicyError`."""
        for number, document in enumerate(documents, start=1):
            root = where if len(documents) == 1 else where.at(f"document {number}")
            if is_virtual_service(document):
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
        rules = read_list(self._problems, spec.pop("http", None), where.at("http"))
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
        self._refuse_stars(data, where.at("corsPolicy").at("allowOrigins"))
        policy = policy_of_rule(self._problems, data, where.at("corsPolicy"))
        matches = read_list(self._problems, rule.pop("match", None), where.at("match")) or [{}]
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
            made = make_rule(self._problems, policy or ANY_POLICY, hosts, uri.get("prefix"), paths)
            if policy is not None and made is not None:
                self._add(made, where)

    def _refuse_stars(self, data: object, where: FieldPath) -> None:
        """Refuse exact origins with a star: Istio compares them as they are, and none matches."""
        fields = cast("Mapping[str, object]", data) if isinstance(data, Mapping) else {}
        listed = fields.get("allowOrigins")
        for item in cast("list[object]", listed) if isinstance(listed, list) else []:
            match item:
                case {"exact": str(origin)} if "*" in origin and origin != "*":
                    hint = "never matches in Istio: list the origins, or write a regex"
                    self._problems.append(Problem("origin_wildcard", str(where), origin, hint))
                case _:
                    pass

    def _add(self, rule: Rule, where: FieldPath) -> None:
        left: list[str] = []
        for host in rule.hosts or (EVERY_HOST,):
            earlier = self._covered_urls.earliest(host, rule.path_prefix)
            if earlier is None:
                left.append(host)
            elif self._parts[earlier].rule.policy != rule.policy:
                hint = f"{self._parts[earlier].where.keys} covers it too: {ONE_URL_ONE_POLICY}"
                value = f"{host}{rule.path_prefix}"
                self._problems.append(Problem("rule_second_policy", str(where), value, hint))
        if left:
            hosts = None if left == [EVERY_HOST] else left
            kept = Rule(rule.policy, hosts=hosts, path_prefix=rule.path_prefix)
            self._covered_urls.add(kept.hosts, kept.path_prefix, len(self._parts))
            self._parts.append(_PlacedRule(kept, where))
