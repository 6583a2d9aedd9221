"""The documents under analysis, all files together, and what every tool derives from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from meshcors._policy.web_ports import WEB_PORTS
from meshcors.mesh._analysis.alike_hosts import representatives
from meshcors.mesh._analysis.answered_elsewhere import answered_elsewhere
from meshcors.mesh._analysis.example_call import (
    EXAMPLE_ORIGIN,
    announced_headers,
    example_call,
    preflight_of,
)
from meshcors.mesh._analysis.located_policy import LocatedPolicy
from meshcors.mesh._analysis.mesh_notes import notes_on
from meshcors.mesh._analysis.preflight_rules import is_preflight_rule
from meshcors.mesh._analysis.routed_call import RoutedCall
from meshcors.mesh._analysis.sample_calls import call_it_takes
from meshcors.mesh._analysis.sample_origins import sample_origins
from meshcors.mesh._analysis.unreached_rules import unreached_rules
from meshcors.mesh._documents.problems import DocumentError
from meshcors.mesh._documents.reading import read_objects
from meshcors.mesh._envoy.reading import read_envoy
from meshcors.mesh._envoy.running_routes import running_routes
from meshcors.mesh._routing.delegates import merge_delegates
from meshcors.mesh._routing.gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshcors.mesh._analysis.answered_elsewhere import AnsweredElsewhere
    from meshcors.mesh._analysis.unreached_rules import InTheWay
    from meshcors.mesh._documents.cursor import Cursor
    from meshcors.mesh._documents.model import DocumentKey, HttpRule, RuleKey, VirtualService
    from meshcors.mesh._documents.problems import DocumentProblem
    from meshcors.mesh._envoy.running_routes import EnvoyFile
    from meshcors.mesh._routing.gateway import GatewayAnswer
    from meshcors.mesh._routing.request import GatewayRequest
    from meshcors.mesh._routing.routes import Route, RouteKey, VirtualHost


@dataclass(frozen=True)
class MeshDocuments:
    """All documents of all files, as one mesh.

    ``documents`` are the VirtualServices and HTTPRoutes, ``others`` the objects of other kinds,
    ``texts`` the files by name. ``problems`` are the reasons why the rest could not be read.
    ``roots`` are the YAML nodes of each file.
    """

    documents: tuple[VirtualService, ...]
    others: tuple[Cursor, ...]
    texts: Mapping[str, str]
    problems: tuple[DocumentProblem, ...] = ()
    roots: Mapping[str, tuple[Any, ...]] = field(default_factory=dict, repr=False)

    def of_file(self, file: str) -> MeshDocuments:
        """Return what one file holds, as a mesh of its own."""
        return MeshDocuments(
            tuple(each for each in self.documents if each.place.file == file),
            tuple(each for each in self.others if each.report.file == file),
            {file: self.texts[file]},
            tuple(each for each in self.problems if each.place.file == file),
            {file: self.roots.get(file, ())},
        )

    @cached_property
    def policies(self) -> tuple[LocatedPolicy, ...]:
        """Every corsPolicy whose origins are known."""
        return tuple(
            LocatedPolicy(document, rule, rule.cors_policy, (*rule.path, "corsPolicy"))
            for document in self.documents
            for rule in document.http
            if rule.cors_policy is not None and not rule.cors_policy.is_partial
        )

    @cached_property
    def merged(self) -> tuple[VirtualService, ...]:
        """The documents as gateways get them: without delegates, whose rules are in their roots."""
        return merge_delegates(self.documents)

    @cached_property
    def notes(self) -> tuple[DocumentProblem, ...]:
        """What makes findings incomplete or doubtful, though nothing is wrong."""
        return tuple(notes_on(self.documents))

    @cached_property
    def hosts(self) -> tuple[tuple[Gateway, int, VirtualHost], ...]:
        """The virtual hosts of every gateway, on 443 and on each port that a rule names.

        Of the hosts that route alike on every port, only the first is listed.
        """
        ports = sorted(
            {WEB_PORTS["https"]}
            | {
                match.port
                for document in self.merged
                for rule in document.http
                for match in rule.match
                if match.port
            },
            reverse=True,
        )
        bound: dict[str, list[VirtualService]] = {}
        for document in self.merged:
            for name in dict.fromkeys(document.gateways):
                bound.setdefault(name, []).append(document)
        found: list[tuple[Gateway, int, VirtualHost]] = []
        for name, documents in bound.items():
            gateway = Gateway(tuple(documents), name)
            chosen = representatives(gateway, ports)
            for port in ports:
                hosts = gateway.virtual_hosts(port)
                found += [(gateway, port, host) for host in hosts if host.domain in chosen]
        return tuple(found)

    @cached_property
    def calls(self) -> tuple[RoutedCall, ...]:
        """An example call for each route, except the rules for preflights alone.

        A route has none if no request is found that meets its conditions.
        """
        found: dict[tuple[str, str, RouteKey], RoutedCall] = {}
        for gateway, port, host in self.hosts:
            answers: dict[object, GatewayAnswer] = {}
            for route in host.routes:
                key = (gateway.name, host.domain, route.key)
                if key in found or is_preflight_rule(route) or route.source.delegate:
                    continue
                call = example_call(route, host.domain, port)
                if call is None:
                    continue
                names = announced_headers(route)
                policy = route.source.cors_policy
                # an origin that the rule means to allow
                origins = sample_origins(policy) if policy else ()
                origin = origins[0] if origins else EXAMPLE_ORIGIN
                # rules that differ only in the key's value have the same preflight
                same = (call.host, call.path, call.scheme, call.method, names, origin)
                if same not in answers:
                    answers[same] = gateway.handle(preflight_of(call, names, origin))
                routed = RoutedCall(route, call, names, answers[same])
                if not routed.is_misrouted or _takes(gateway, route, call):
                    found[key] = routed
                    continue
                call = call_it_takes(gateway, route, host.domain, port)
                if call is not None and _takes(gateway, route, call):
                    names = announced_headers(route, call)
                    answer = gateway.handle(preflight_of(call, names, origin))
                    found[key] = RoutedCall(route, call, names, answer)
        return tuple(found.values())

    @cached_property
    def preflight_policies(self) -> tuple[LocatedPolicy, ...]:
        """The policies that answer preflights, or would if preflights reached them."""
        rules: set[RuleKey] = set()
        for call in self.calls:
            route = call.route if call.is_unanswered else call.preflight_answer.route
            rules.update([route.source.policy_key] if route else [])
        for _, _, host in self.hosts:
            preflight_rules = filter(is_preflight_rule, host.routes)
            rules.update(route.source.policy_key for route in preflight_rules)
        found = (each for each in self.policies if each.rule.key in rules)
        return tuple(each for each in found if each.rule.leads_on)

    @cached_property
    def answered_elsewhere(self) -> tuple[AnsweredElsewhere, ...]:
        """Calls that a corsPolicy allows, and whose preflights another policy or a pod answers."""
        return tuple(answered_elsewhere(self))

    @cached_property
    def unreached(self) -> dict[RuleKey, InTheWay]:
        """The rules that no request reaches, and what is in the way."""
        return unreached_rules(self)

    def calls_of_rule(self, rule: HttpRule) -> list[RoutedCall]:
        """Return the calls that one rule takes, also as a part of a merged rule.

        A rule that delegates takes those of the delegate's rules without a policy of their own.
        """
        return self._calls_by_rule.get(rule.key, [])

    def calls_of_document(self, document: VirtualService) -> list[RoutedCall]:
        """Return the calls that the rules of one document take."""
        return self._calls_by_document.get(document.key, [])

    def policies_of(self, document: VirtualService) -> list[LocatedPolicy]:
        """Return the corsPolicies of one document."""
        return self._policies_by_document.get(document.key, [])

    def has_preflight_rule(self, document: VirtualService) -> bool:
        """Tell whether any route of a document is for preflights alone."""
        return document.key in self._documents_with_preflight_rules

    @cached_property
    def _calls_by_rule(self) -> dict[RuleKey, list[RoutedCall]]:
        found: dict[RuleKey, list[RoutedCall]] = {}
        for call in self.calls:
            rule = call.route.source
            for key in {rule.key, rule.key._replace(root=None), rule.policy_key}:
                found.setdefault(key, []).append(call)
        return found

    @cached_property
    def _calls_by_document(self) -> dict[DocumentKey, list[RoutedCall]]:
        found: dict[DocumentKey, list[RoutedCall]] = {}
        for call in self.calls:
            found.setdefault(call.route.document.key, []).append(call)
        return found

    @cached_property
    def _policies_by_document(self) -> dict[DocumentKey, list[LocatedPolicy]]:
        found: dict[DocumentKey, list[LocatedPolicy]] = {}
        for each in self.policies:
            found.setdefault(each.document.key, []).append(each)
        return found

    @cached_property
    def _documents_with_preflight_rules(self) -> set[DocumentKey]:
        return {
            route.document.key
            for _, _, host in self.hosts
            for route in host.routes
            if is_preflight_rule(route)
        }


def read_mesh(texts: Mapping[str, str]) -> MeshDocuments:
    """Read files, by name, as one mesh.

    What cannot be read is left out, and a problem says why. ``DocumentError`` is raised only if
    ruamel.yaml is not installed.
    """
    documents: list[VirtualService] = []
    others: list[Cursor] = []
    problems: list[DocumentProblem] = []
    roots: dict[str, tuple[Any, ...]] = {}
    dumps: list[EnvoyFile] = []
    kept = dict(texts)
    for file, text in texts.items():
        try:
            running = read_envoy(text, file)
        except DocumentError as error:
            problems += error.problems
            continue
        if running is not None:
            dumps.append(running)
            # a dump may be large, and JSON has no comments to look for
            kept[file] = "" if running.is_json else text
            continue
        read = read_objects(text, file)
        documents += read.documents
        others += read.others
        problems += read.problems
        roots[file] = read.roots
    running_documents, without_routes = running_routes(dumps)
    documents += running_documents
    problems += without_routes
    return MeshDocuments(tuple(documents), tuple(others), kept, tuple(problems), roots)


def _takes(gateway: Gateway, route: Route, call: GatewayRequest) -> bool:
    """Tell whether ``route`` takes the call: no earlier rule and no other host does."""
    taken = gateway.handle(call).route
    return taken is not None and taken.key == route.key
