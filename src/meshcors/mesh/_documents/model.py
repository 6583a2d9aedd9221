"""VirtualServices and HTTPRoutes as typed, frozen data; every part knows its place in the file.

The names are Istio's (``networking.istio.io`` VirtualService). An HTTPRoute is read into the same
rules (`http_route`), as Istio's own gateway controller does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from meshcors._policy.place import Place
from meshcors.mesh._documents.node_fields import entry
from meshcors.mesh._documents.yaml_nodes import place_of

# "range" (``1 <= n < 5``) occurs only in what an Envoy runs.
MatchKind: TypeAlias = Literal["exact", "prefix", "regex", "present", "range"]
# Names and numbers that lead from a document to one of its fields.
NodePath: TypeAlias = tuple[str | int, ...]
# A document's file, and its number among the Kubernetes objects of the file, from 0.
DocumentKey: TypeAlias = tuple[str, int]
NamedMatches: TypeAlias = tuple[tuple[str, "StringMatch"], ...]

# The fields of a corsPolicy that HTTPRoutes have too, as documents spell them. `CorsPolicy` has the
# same in snake case.
NAME_LISTS: Final = ("allowMethods", "allowHeaders", "exposeHeaders")
CORS_FIELDS: Final = ("allowOrigins", *NAME_LISTS, "maxAge", "allowCredentials")


@dataclass(frozen=True, slots=True)
class StringMatch:
    """A condition on a string; ``present`` (``{}``, null or regex ``*``) matches any value."""

    kind: MatchKind
    value: str
    place: Place

    def __str__(self) -> str:
        return "present" if self.kind == "present" else f'{self.kind} "{self.value}"'


@dataclass(frozen=True, slots=True)
class HttpMatch:
    """One entry of ``match``: a request has to meet all its conditions (HTTPMatchRequest)."""

    place: Place
    name: str = ""
    uri: StringMatch | None = None
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: NamedMatches = ()
    without_headers: NamedMatches = ()
    query_params: NamedMatches = ()
    ignore_uri_case: bool = False
    port: int = 0
    gateways: tuple[str, ...] = ()
    source_labels: tuple[tuple[str, str], ...] = ()
    source_namespace: str = ""


@dataclass(frozen=True, slots=True)
class CorsPolicy:
    """``corsPolicy``, with lists as written; ``max_age`` is in seconds, None if it is not set.

    Only an Envoy's own configuration has ``sent`` (the lists and the max age as it sends them, by
    field of `NAME_LISTS` and ``maxAge``) and ``private_network``, and may be ``is_partial``: then
    not all of its origins are known.
    """

    place: Place
    allow_origins: tuple[StringMatch, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: int | None = None
    allow_credentials: bool | None = None
    unmatched_preflights: Literal["UNSPECIFIED", "FORWARD", "IGNORE"] = "UNSPECIFIED"
    sent: tuple[tuple[str, str], ...] = ()
    private_network: bool = False
    is_partial: bool = False

    @property
    def name_lists(self) -> dict[str, tuple[str, ...]]:
        """The lists of `NAME_LISTS` by field."""
        lists = (self.allow_methods, self.allow_headers, self.expose_headers)
        return dict(zip(NAME_LISTS, lists, strict=True))

    @property
    def values(self) -> dict[str, str]:
        """What Envoy sends, by field: each list joined with commas, and ``maxAge``; or ``""``."""
        if self.sent:
            return dict(self.sent)
        age = "" if self.max_age is None else str(self.max_age)
        joined = {name: ",".join(names) for name, names in self.name_lists.items()}
        return {**joined, "maxAge": age}


@dataclass(frozen=True, slots=True)
class HeaderOperations:
    """``set``, ``add`` and ``remove`` for one direction.

    Only Envoy has the last two: the positions in ``set`` of what is set only if the header is
    there, and in ``add`` of what is added only if it is not.
    """

    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()
    set_if_present: frozenset[int] = frozenset()
    add_if_absent: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Headers:
    """``headers``: operations on the headers of the request and of the response."""

    request: HeaderOperations = HeaderOperations()
    response: HeaderOperations = HeaderOperations()


@dataclass(frozen=True, slots=True)
class Destination:
    """One entry of ``route``: a host as written, its port (0 is the gateway's), its weight.

    In what an Envoy runs the host may be the name of a cluster, which has no port.
    """

    place: Place
    host: str
    port: int = 0
    subset: str = ""
    weight: int = 0
    headers: Headers = Headers()


@dataclass(frozen=True, slots=True)
class Redirect:
    """``redirect``. A ``code`` of 0 means 301, a ``port`` of 0 none.

    Only Envoy has the fields from ``regex`` on. It sends the port ``as_written``, even if it is the
    scheme's own; ``keep_port`` is what ``require_tls`` does with the port of the request's host.
    """

    place: Place
    uri: str = ""
    prefix_rewrite: str = ""
    authority: str = ""
    scheme: str = ""
    port: int = 0
    derive_port: Literal["", "FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"] = ""
    code: int = 0
    regex: str = ""
    substitution: str = ""
    strip_query: bool = False
    as_written: bool = False
    keep_port: bool = False


@dataclass(frozen=True, slots=True)
class DirectResponse:
    """``directResponse``: the gateway answers by itself."""

    place: Place
    status: int
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """``rewrite``: the path and host that the destination sees instead of the request's own.

    ``is_partial`` if an Envoy also changes them in a way that is not modelled.
    """

    place: Place
    uri: str = ""
    authority: str = ""
    regex: str = ""
    substitution: str = ""
    is_partial: bool = False


class RuleKey(NamedTuple):
    """Which rule it is among all rules of all files, each time they are read.

    ``path`` leads to it in its document. ``match_index`` is the position of its match if it was
    read from an HTTPRoute, else 0. ``root`` is the rule that a delegate's rule stands in for.
    """

    document: DocumentKey
    path: NodePath
    match_index: int = 0
    root: RuleKey | None = None


@dataclass(frozen=True, slots=True)
class HttpRule:
    """One rule of ``spec.http``, or of an HTTPRoute's ``rules``.

    ``label`` is its name in answers and findings, such as ``cheetah/model http[0]``. ``path`` is
    where it is in its ``document``, such as ``("spec", "http", 0)``. An HTTPRoute's rule is read
    into one `HttpRule` for each of its matches.
    """

    place: Place
    label: str
    document: DocumentKey
    path: NodePath
    name: str = ""
    match: tuple[HttpMatch, ...] = ()
    route: tuple[Destination, ...] = ()
    redirect: Redirect | None = None
    direct_response: DirectResponse | None = None
    rewrite: Rewrite | None = None
    cors_policy: CorsPolicy | None = None
    headers: Headers = Headers()
    has_fault: bool = False
    # Of an HTTPRoute: the types of its filters whose effect is not modelled.
    unmodelled: tuple[str, ...] = ()
    # Of an HTTPRoute: the position of this match among the matches of its rule.
    match_index: int = 0
    # Of an Envoy's route: those of its virtual host and of the whole configuration.
    outer_headers: tuple[Headers, ...] = ()
    # The namespace and the name of the delegate whose rules take this rule's place.
    delegate: tuple[str, str] | None = None
    # Of a delegate's rule in the place of a root's rule: this rule, and whether the policy is its.
    root: RuleKey | None = None
    inherits_policy: bool = False
    # Why Istio leaves out a rule that it merges.
    left_out: Literal["", "conflict", "not_exported"] = ""
    # Of an Envoy's route: the document that a control plane says it has made it from.
    made_from: str = ""

    @property
    def key(self) -> RuleKey:
        """What tells this rule from all others."""
        return RuleKey(self.document, self.path, self.match_index, self.root)

    @property
    def policy_key(self) -> RuleKey:
        """The rule that its corsPolicy is written in."""
        if self.inherits_policy and self.root is not None:
            return self.root
        return self.key._replace(root=None)

    @property
    def leads_on(self) -> bool:
        """Whether it leads to a service, or to a delegate whose rules may."""
        return bool(self.route or self.delegate)


@dataclass(frozen=True, slots=True)
class VirtualService:
    """One document: a VirtualService, or what is read into the same rules, such as an HTTPRoute.

    ``gateways`` are ``namespace/name``, or ``mesh`` for sidecars. A delegate has no hosts and no
    gateways; it is for the namespaces of ``export_to``, or all. ``created`` is the creation
    timestamp as text (RFC 3339, so it sorts by time), empty if the file has none. ``number``
    counts the Kubernetes objects of the file from 0. ``node`` is the document's YAML: `node_at`
    and `place_at` find the written form of any field in it.
    """

    kind: Literal["VirtualService", "HTTPRoute", "RouteConfiguration"]
    place: Place
    namespace: str
    name: str
    hosts: tuple[str, ...]
    gateways: tuple[str, ...]
    http: tuple[HttpRule, ...]
    created: str = ""
    number: int = 0
    export_to: tuple[str, ...] = ()
    node: Any = field(default=None, repr=False, compare=False)

    @property
    def is_delegate(self) -> bool:
        """Whether it has rules only for the VirtualServices that delegate to it."""
        return self.kind == "VirtualService" and not self.hosts

    @property
    def key(self) -> DocumentKey:
        """What tells this document from all others, each time the files are read."""
        return self.place.file, self.number

    @property
    def label(self) -> str:
        """The name answers use: ``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    @property
    def rules_field(self) -> Literal["http", "rules"]:
        """The field of ``spec`` that has the rules."""
        return "http" if self.kind == "VirtualService" else "rules"

    def node_at(self, *path: str | int) -> Any:
        """Return the YAML node of a field's value; None if the document has no such field.

        The path consists of names and numbers, such as ``("spec", "http", 0)``; `HttpRule.path`
        leads to a rule. Merge keys (``<<``) are followed.
        """
        node = self.node
        for step in path:
            found = entry(node, step)
            if found is None:
                return None
            _, node = found
        return node

    def place_at(self, *path: str | int) -> Place:
        """Return the place of a field, as `node_at` finds it.

        For a field of a mapping this is the place of its key. Where the path leads nowhere, it is
        the place of its last part that exists.
        """
        node, place = self.node, self.place
        for step in path:
            found = entry(node, step)
            if found is None:
                break
            at, node = found
            place = place_of(at, place.file)
        return place
