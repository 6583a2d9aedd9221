"""The HTTP connection managers of an Envoy's listeners: their routes, and the filters in front.

Source: ``envoy/extensions/filters/network/http_connection_manager/v3``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from meshcors.mesh._envoy.json_objects import snake_case
from meshcors.mesh._routing.doubts import Doubt
from meshcors.mesh._routing.running import ANY_PORT, Connection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshcors.mesh._envoy.part import Part

CORS: Final = "envoy.filters.http.cors"
SCOPES: Final = "scoped_routes"
_TYPE: Final = "envoy.extensions.filters.http."
# Filters that neither answer a request nor change the CORS headers of an answer. Rate limits are
# among them: what they do under load is not asked here.
_HARMLESS: Final = frozenset(
    (
        "adaptive_concurrency", "admission_control", "aws_request_signing", "bandwidth_limit",
        "buffer", "compressor", "credential_injector", "decompressor", "dynamic_forward_proxy",
        "file_system_buffer", "gcp_authn", "geoip", "grpc_field_extraction",
        "grpc_http1_reverse_bridge", "grpc_stats", "grpc_web", "header_to_metadata", "health_check",
        "json_to_metadata", "kill_request", "local_ratelimit", "on_demand", "original_src",
        "proto_message_extraction", "rate_limit_quota", "ratelimit", "router", "set_filter_state",
        "set_metadata", "stateful_session", "tap", "thrift_to_metadata", "upstream_codec",
    )
)  # fmt: skip
# Istio's own, by a part of their names: they only report.
_ISTIO: Final = ("alpn", "metadata_exchange", "peer_metadata", "stats", "istio_authn")
# Filters that refuse some requests, without CORS headers.
_DENIERS: Final = frozenset(("rbac", "jwt_authn", "basic_auth", "api_key_auth", "csrf"))
# They change requests before any route, or answers that Envoy makes by itself.
_OTHER_CHANGES: Final = {
    "early_header_mutation_extensions": False,
    "local_reply_config": True,
}
_NO_ACTION: Final = (None, 0, "IMPLEMENTATION_SPECIFIC_DEFAULT", "KEEP_UNCHANGED", "ALLOW")
_MANAGER: Final = "HttpConnectionManager"


@dataclass(frozen=True, slots=True)
class HttpFilter:
    """One HTTP filter: ``kind`` is the part of its type that names it, such as ``ext_authz``."""

    part: Part
    name: str
    kind: str
    is_disabled: bool

    def doubt(self, own: Part | None, *, behind_cors: bool) -> Doubt | None:
        """Return why answers are not certain with this filter in the chain; None if they are.

        ``own`` is its configuration for a route.
        """
        kind, label = self.kind, f"{self.name} {self.kind}"
        if kind in _HARMLESS or ("istio" in label and any(each in label for each in _ISTIO)):
            return None
        configs = [each for each in (self.part.child("typed_config"), own) if each is not None]
        needed = {"rbac": ("rules", "matcher", "rbac"), "fault": ("abort",)}.get(kind)
        if needed and not any(each.has(name) for each in configs for name in needed):
            return None
        return Doubt(
            self.part.place,
            self.name,
            "may answer by itself" if behind_cors else "is in front and may answer by itself",
            only_denies=kind in _DENIERS,
            spares_preflights=kind == "jwt_authn" and self._bypasses_preflights,
            behind_cors=behind_cors,
            in_front=not behind_cors,
        )

    @property
    def _bypasses_preflights(self) -> bool:
        config = self.part.child("typed_config")
        return config is not None and config.flag("bypass_cors_preflight")


@dataclass(frozen=True, slots=True)
class Manager:
    """One connection manager, with the routes it names or holds."""

    part: Part
    connection: Connection
    filters: tuple[HttpFilter, ...]
    route_name: str
    route_config: Part | None

    @property
    def cors(self) -> HttpFilter | None:
        """The cors filter."""
        return next((each for each in self.filters if each.kind == "cors"), None)

    @property
    def doubts(self) -> Iterator[Doubt]:
        """What the manager itself changes, beside its filters."""
        for name, only_own_answers in _OTHER_CHANGES.items():
            if self.part.has(name):
                reason = "is not modelled"
                yield Doubt(self.part.place, name, reason, behind_cors=only_own_answers)
        if self.part.has(SCOPES) and not self.route_name and self.route_config is None:
            yield Doubt(self.part.place, SCOPES, "decide by the request whether these routes apply")

    @property
    def hidden_filters(self) -> list[str]:
        """The names of filters whose configuration is not in the file: one may be cors."""
        return [each.name for each in self.filters if not each.kind]

    def together(self, other: Manager) -> Manager | None:
        """Return the two as one; None if they differ in more than their server names."""
        mine, theirs = self.connection, other.connection
        both = (*mine.server_names, *theirs.server_names)
        names = tuple(dict.fromkeys(both)) if mine.server_names and theirs.server_names else ()
        made = replace(mine, server_names=names)
        if made != replace(theirs, server_names=names):
            return None
        if [it.part.data for it in self.filters] != [it.part.data for it in other.filters]:
            return None
        return replace(self, connection=made)


def read_managers(listener: Part) -> Iterator[Manager]:
    """Yield the connection managers of a listener, with those of its filter chains in order."""
    chains = list(listener.children("filter_chains"))
    default = listener.child("default_filter_chain")
    for chain in (*chains, *([default] if default else ())):
        for filter_ in chain.children("filters"):
            config = filter_.child("typed_config")
            if config is not None and config.type_name() == _MANAGER:
                yield _manager(listener, chain, config)
    api = listener.child("api_listener")
    inner = api.child("api_listener") if api else None
    if inner is not None and inner.type_name() == _MANAGER:
        yield _manager(listener, listener, inner)


def _manager(listener: Part, chain: Part, part: Part) -> Manager:
    filters = tuple(_filter(each) for each in part.children("http_filters"))
    rds = part.child("rds")
    options = part.child("common_http_protocol_options")
    matched = chain.child("filter_chain_match")
    port = _port(listener)
    stripped: int | None = None
    if part.flag("strip_any_host_port"):
        stripped = ANY_PORT
    elif part.flag("strip_matching_host_port"):
        stripped = port
    connection = Connection(
        name=listener.text("name"),
        address=f"{_address(listener)}:{port}" if port else "",
        filters=tuple(each.name for each in filters),
        stripped_port=stripped,
        normalize_path=part.flag("normalize_path"),
        merge_slashes=part.flag("merge_slashes"),
        is_encrypted=chain.has("transport_socket"),
        server_names=tuple(matched.texts("server_names")) if matched else (),
        changes_slashes=_if_set(
            part, "path_with_escaped_slashes_action", "changes or refuses paths with %2F or %5C"
        ),
        refuses_underscores=_if_set(
            options, "headers_with_underscores_action", "refuses or drops header names with _"
        ),
    )
    return Manager(
        part,
        connection,
        filters,
        rds.text("route_config_name") if rds else "",
        part.child("route_config"),
    )


def _if_set(part: Part | None, name: str, reason: str) -> Doubt | None:
    """Return the doubt for an action; None if it is the default, which does nothing."""
    value = part.data.get(name) if part else None
    if part is None or value in _NO_ACTION:
        return None
    return Doubt(part.place, name, reason)


def _filter(part: Part) -> HttpFilter:
    name = part.text("name")
    config = part.child("typed_config")
    kind = ""
    if config is not None:
        inner = config.text("type_url") if config.has("type_url") else config.text("@type")
        before, _, after = inner.rpartition(_TYPE)
        kind = after.partition(".")[0] if before or inner.startswith(_TYPE) else inner
    elif not part.has("config_discovery"):
        # without a configuration the name says which filter it is
        kind = name.rpartition(".")[2]
    return HttpFilter(part, name, kind, part.flag("disabled"))


def filter_doubts(
    filters: Sequence[HttpFilter], configs: Sequence[Part], *, cors: HttpFilter | None
) -> Iterator[Doubt]:
    """Yield what is not certain because of the filters of a chain.

    ``configs`` are the ``typed_per_filter_config`` of a route, the most specific first.
    """
    behind = False
    for filter_ in filters:
        if filter_ is cors:
            behind = True
        elif is_enabled(filter_, configs):
            own = next(filter_configs(filter_.name, configs), None)
            found = filter_.doubt(own, behind_cors=behind)
            if found is not None:
                yield found


def is_enabled(filter_: HttpFilter, configs: Sequence[Part]) -> bool:
    """Tell whether a filter is switched on for a route."""
    for config in configs:
        outer = config.child(snake_case(filter_.name))
        if outer is not None:
            inner = outer.child("config") or outer
            empty_rbac = inner.type_name() == "RBACPerRoute" and not inner.has("rbac")
            return not (empty_rbac or outer.flag("disabled") or inner.flag("disabled"))
    return not filter_.is_disabled


def filter_configs(name: str, configs: Sequence[Part]) -> Iterator[Part]:
    """Yield what each level has for the filter ``name``, unpacked."""
    for config in configs:
        outer = config.child(snake_case(name))
        if outer is None:
            continue
        inner: Part | None = outer
        if outer.type_name() == "FilterConfig":
            # Envoy drops the configuration of a filter that it switches off
            inner = None if outer.flag("disabled") else outer.child("config")
        if inner is not None and inner.type_name() == "TypedStruct":
            inner = inner.child("value")
        if inner is not None:
            yield inner


def _port(listener: Part) -> int:
    address = listener.child("address")
    socket = address.child("socket_address") if address else None
    return socket.number("port_value") if socket else 0


def _address(listener: Part) -> str:
    address = listener.child("address")
    socket = address.child("socket_address") if address else None
    return socket.text("address") if socket else ""
