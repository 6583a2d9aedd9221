"""A RouteConfiguration as the tables that `Gateway` answers from.

Source: ``envoy/config/route/v3/route.proto`` and ``route_components.proto``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from meshcors.mesh._documents.model import HttpRule, Redirect, StringMatch
from meshcors.mesh._envoy import actions
from meshcors.mesh._envoy.conditions import read_match
from meshcors.mesh._envoy.connections import CORS, filter_configs, filter_doubts, is_enabled
from meshcors.mesh._envoy.cors_policies import read_policy
from meshcors.mesh._envoy.header_operations import FIELDS, read_headers
from meshcors.mesh._envoy.source_documents import source_document
from meshcors.mesh._routing.doubts import Doubt
from meshcors.mesh._routing.routes import (
    HeaderCondition,
    PathCondition,
    Route,
    RouteMatch,
    RouteTable,
    VirtualHost,
)
from meshcors.mesh._routing.running import Connection, RunningRoutes, UselessPolicy

if TYPE_CHECKING:
    from meshcors.mesh._documents.model import CorsPolicy, Headers
    from meshcors.mesh._envoy.connections import Manager
    from meshcors.mesh._envoy.part import Part

_EVERY_PATH: Final = PathCondition("prefix", "")
_CONFIGS: Final = "typed_per_filter_config"
_CONFIG: Final = (
    "@type", "name", "virtual_hosts", "internal_only_headers", *FIELDS, _CONFIGS, "metadata",
    "validate_clusters", "max_direct_response_body_size_bytes", "cluster_specifier_plugins",
    "request_mirror_policies", "ignore_port_in_host_matching", "vhds",
)  # fmt: skip
_HOST: Final = (
    "name", "domains", "routes", "require_tls", *FIELDS, _CONFIGS, "cors", "matcher", "metadata",
    "rate_limits", "include_request_attempt_count", "include_attempt_count_in_response",
    "include_is_timeout_retry_header", "retry_policy", "retry_policy_typed_config", "hedge_policy",
    "per_request_buffer_limit_bytes", "request_body_buffer_limit", "request_mirror_policies",
    "virtual_clusters",
)  # fmt: skip
_ROUTE: Final = (
    "name", "match", "route", "redirect", "direct_response", "metadata", "decorator", _CONFIGS,
    *FIELDS, "tracing", "stat_prefix", "per_request_buffer_limit_bytes",
    "request_body_buffer_limit",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Level:
    """A configuration or a virtual host, with what its routes inherit."""

    part: Part
    outer: tuple[Headers, ...]


class TableReader:
    """Reads one RouteConfiguration for one connection manager, or for none."""

    def __init__(self, config: Part, name: str, number: int, manager: Manager | None) -> None:
        """Read ``config`` as the document ``number`` of its file, under the gateway's ``name``."""
        self._config = config.scope()
        self._name = name
        self._number = number
        self._manager = manager
        self._rules: list[HttpRule] = []
        self._useless: dict[object, UselessPolicy] = {}
        self._labels: Counter[str] = Counter()

    def read(self) -> RunningRoutes:
        """Return the configuration as a document that has its tables."""
        config = self._config
        config.only(_CONFIG)
        headers = read_headers(config)
        if config.has("vhds"):
            config.doubt("vhds", "may bring virtual hosts that are not in this file")
        document = self._document(config)
        hosts: dict[str, VirtualHost] = {}
        # what cannot be read of hosts and domains concerns every request
        parts = [(part, part.texts("domains")) for part in config.children("virtual_hosts")]
        for part, domains in parts:
            table = self._table(part, headers, document)
            for domain in domains:
                hosts.setdefault(domain.lower(), VirtualHost(domain.lower(), table))
        if config.has("vhds"):
            hosts.setdefault("*", VirtualHost("*", self._unknown_table(config, "vhds", document)))
        return replace(
            document,
            hosts=tuple(hosts),
            http=tuple(self._rules),
            running_hosts=tuple(hosts.values()),
            doubts=(*config.doubts, *self._chain_doubts([])),
            useless_policies=tuple(self._useless.values()),
        )

    def _document(self, config: Part) -> RunningRoutes:
        connection = self._manager.connection if self._manager else Connection()
        ignore_port = config.flag("ignore_port_in_host_matching")
        connection = replace(connection, ignore_port=ignore_port)
        return RunningRoutes(
            "RouteConfiguration",
            config.place,
            "",
            self._name,
            hosts=(),
            gateways=(self._name,),
            http=(),
            number=self._number,
            connection=connection,
            running_hosts=(),
        )

    def _table(self, part: Part, outer: Headers, document: RunningRoutes) -> RouteTable:
        part, described = part.scope(), part.scope()
        part.only(_HOST)
        level = _Level(part, (read_headers(described), outer))
        self._labels = Counter(route.text("name") for route in part.scope().children("routes"))
        routes = self._tls_routes(part, document)
        if part.has("matcher"):
            routes += self._unknown_table(part, "matcher", document).routes
        for each in part.children("routes"):
            routes.append(self._route(each, level, document))
        extra = (*part.doubts, *described.doubts)
        if extra:
            routes = [replace(route, doubts=(*route.doubts, *extra)) for route in routes]
        if part.doubts:
            routes += self._unknown_table(part, "routes", document).routes
        return RouteTable(tuple(routes), ())

    def _tls_routes(self, part: Part, document: RunningRoutes) -> list[Route]:
        """Return the redirect of requests without TLS that ``require_tls`` asks for."""
        kind = part.choice("require_tls", ("NONE", "EXTERNAL_ONLY", "ALL"))
        if kind == "NONE":
            return []
        https = StringMatch("exact", "https", part.place)
        plain = HeaderCondition("require_tls", "x-forwarded-proto", https, inverted=True)
        unknown: tuple[Doubt, ...] = ()
        if kind == "EXTERNAL_ONLY":
            path = f"{part.path}.require_tls"
            unknown = (Doubt(part.place, path, "redirects only requests from outside"),)
        match = RouteMatch(_EVERY_PATH, (plain,), unknown=unknown)
        redirect = Redirect(part.place, scheme="https", as_written=True, keep_port=True)
        label = self._label(part, "", "require_tls")
        rule = HttpRule(part.place, label, document.key, (), redirect=redirect)
        return [Route(rule.label, rule.place, match, document, rule, 0)]

    def _unknown_table(self, part: Part, name: str, document: RunningRoutes) -> RouteTable:
        """Return a table of which nothing is known."""
        doubt = Doubt(part.place, f"{part.path}.{name}".lstrip("."), "is not modelled")
        match = RouteMatch(_EVERY_PATH, unknown=(doubt,))
        rule = HttpRule(part.place, self._label(part, "", name), document.key, ())
        return RouteTable((Route(rule.label, rule.place, match, document, rule, 0),), ())

    def _label(self, part: Part, name: str, field: str = "") -> str:
        """Return the name of a route, or where it is, if it has none of its own."""
        if name and self._labels[name] == 1:
            return name
        path = part.path.partition("virtual_hosts[")
        where = f"{self._name} {path[1]}{path[2]}" if path[1] else self._name
        where = f"{where}.{field}" if field else where
        return f"{name} ({where})" if name else where

    def _route(self, part: Part, level: _Level, document: RunningRoutes) -> Route:
        part = part.scope()
        part.only(_ROUTE)
        match_part = part.child("match")
        if match_part is None:
            part.doubt("match", "is not set")
            doubts = tuple(part.doubts)
            match = RouteMatch(_EVERY_PATH, unknown=doubts)
        else:
            match = read_match(match_part)
        rule = self._rule(part, level, document)
        configs = self._configs(part, level)
        doubts = (*part.doubts, *self._config.doubts, *self._chain_doubts(configs))
        self._rules.append(rule)
        return Route(rule.label, rule.place, match, document, rule, 0, doubts)

    def _rule(self, part: Part, level: _Level, document: RunningRoutes) -> HttpRule:
        label = self._label(part, part.text("name"))
        path = ("spec", "http", len(self._rules))
        made_from = source_document(part.data)
        rule = HttpRule(
            *(part.place, label, document.key, path),
            headers=read_headers(part),
            made_from=made_from,
        )
        action, direct = part.child("route"), part.child("direct_response")
        redirect = part.child("redirect")
        if redirect is not None:
            rule = replace(rule, redirect=actions.read_redirect(redirect))
        elif direct is not None:
            rule = replace(rule, direct_response=actions.read_direct_response(direct))
        elif action is not None:
            rule = replace(
                rule,
                route=actions.read_destinations(action),
                rewrite=actions.read_rewrite(action),
            )
        else:
            part.doubt("", "does something that is not modelled")
        policy = self._policy(part, action, level)
        return replace(rule, cors_policy=policy, outer_headers=level.outer)

    def _configs(self, part: Part, level: _Level) -> list[Part]:
        """Return the ``typed_per_filter_config`` of the levels, the most specific first."""
        levels = (part, level.part.scope(), self._config.scope())
        return [found for each in levels if (found := each.child(_CONFIGS)) is not None]

    def _policy(self, part: Part, action: Part | None, level: _Level) -> CorsPolicy | None:
        cors = self._manager.cors if self._manager else None
        configs = self._configs(part, level)
        levels = list(filter_configs(cors.name if cors else CORS, configs))
        if not levels:
            # the older fields count only if no level has a configuration of the filter
            owners = (*([action] if action else ()), level.part.scope())
            levels = [found for each in owners if (found := each.child("cors")) is not None]
        if not levels:
            return None
        policy = read_policy(levels)
        for doubt in (doubt for each in levels for doubt in each.doubts):
            if doubt not in part.doubts:
                part.doubts.append(doubt)
        place = levels[0].place
        reason = ""
        if policy is None:
            reason = "filter_enabled switches it off"
        elif self._manager is not None and cors is None:
            hidden = self._manager.hidden_filters
            where = self._manager.connection.name or "its listener"
            if hidden:
                named = ", ".join(hidden)
                part.doubt("", f"has a policy, and {named} may be the cors filter or not")
            else:
                reason = f"{where} has no cors filter"
        elif cors is not None and not is_enabled(cors, configs):
            reason = f"{cors.name} is switched off"
        if reason:
            self._useless.setdefault(place, UselessPolicy(place, reason))
            return None
        return policy

    def _chain_doubts(self, configs: list[Part]) -> tuple[Doubt, ...]:
        if self._manager is None:
            return ()
        found = filter_doubts(self._manager.filters, configs, cors=self._manager.cors)
        return (*found, *self._manager.doubts)
