"""What VirtualServices and HTTPRoutes say, typed and frozen, every part with its place in the file.

Names are Istio's (``networking.istio.io`` VirtualService); an HTTPRoute is read into the same rules
(`httproute`), as Istio's own gateway controller does. Nothing here decides anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from meshcors.mesh._documents.problems import Place

MatchKind: TypeAlias = Literal["exact", "prefix", "regex", "present"]
NamedMatches: TypeAlias = tuple[tuple[str, "StringMatch"], ...]

# The fields of a corsPolicy that HTTPRoutes have too, as documents spell them. `CorsPolicy` has the
# same in snake case.
NAME_LISTS: Final = ("allowMethods", "allowHeaders", "exposeHeaders")
CORS_FIELDS: Final = ("allowOrigins", *NAME_LISTS, "maxAge", "allowCredentials")


@dataclass(frozen=True, slots=True)
class StringMatch:
    """A condition on a text; ``present`` asks only that it is there (``{}``, null, regex ``*``)."""

    kind: MatchKind
    value: str
    place: Place

    def __str__(self) -> str:
        return "present" if self.kind == "present" else f'{self.kind} "{self.value}"'


@dataclass(frozen=True, slots=True)
class HttpMatch:
    """One entry of ``match``: all its conditions hold together (HTTPMatchRequest)."""

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
    """``corsPolicy``: lists as written; ``max_age`` in seconds, None where it is not set."""

    place: Place
    allow_origins: tuple[StringMatch, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: int | None = None
    allow_credentials: bool | None = None
    unmatched_preflights: Literal["UNSPECIFIED", "FORWARD", "IGNORE"] = "UNSPECIFIED"

    @property
    def name_lists(self) -> dict[str, tuple[str, ...]]:
        """The lists of `NAME_LISTS` by field."""
        lists = (self.allow_methods, self.allow_headers, self.expose_headers)
        return dict(zip(NAME_LISTS, lists, strict=True))


@dataclass(frozen=True, slots=True)
class HeaderOperations:
    """``set``, ``add`` and ``remove`` on one direction."""

    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Headers:
    """``headers``: operations on the request and on the response."""

    request: HeaderOperations = HeaderOperations()
    response: HeaderOperations = HeaderOperations()


@dataclass(frozen=True, slots=True)
class Destination:
    """One entry of ``route``: a host as written, its port (0: the gateway's), its weight."""

    place: Place
    host: str
    port: int = 0
    subset: str = ""
    weight: int = 0
    headers: Headers = Headers()


@dataclass(frozen=True, slots=True)
class Redirect:
    """``redirect``: ``code`` 0 is 301; ``port`` 0 leaves it out."""

    place: Place
    uri: str = ""
    prefix_rewrite: str = ""
    authority: str = ""
    scheme: str = ""
    port: int = 0
    derive_port: Literal["", "FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"] = ""
    code: int = 0


@dataclass(frozen=True, slots=True)
class DirectResponse:
    """``directResponse``: answered by the gateway itself."""

    place: Place
    status: int
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """``rewrite``: what the destination sees instead of the request's own path and host."""

    place: Place
    uri: str = ""
    authority: str = ""
    regex: str = ""
    substitution: str = ""


@dataclass(frozen=True, slots=True)
class HttpRule:
    """One rule of ``spec.http``, or of an HTTPRoute's ``rules``.

    ``label`` is how answers and findings call it, such as ``cheetah/model http[0]``.
    """

    place: Place
    label: str
    name: str = ""
    match: tuple[HttpMatch, ...] = ()
    route: tuple[Destination, ...] = ()
    redirect: Redirect | None = None
    direct_response: DirectResponse | None = None
    rewrite: Rewrite | None = None
    cors_policy: CorsPolicy | None = None
    headers: Headers = Headers()
    has_fault: bool = False
    # an HTTPRoute's match entries are sorted among the rules; this is where this one stood
    match_index: int = 0


@dataclass(frozen=True, slots=True)
class VirtualService:
    """One document. ``kind`` tells which; ``node`` is its YAML, for `place_at`.

    ``gateways`` are ``namespace/name``, or ``mesh`` for sidecars. ``created`` is the creation
    timestamp as text (RFC 3339, sorts as it reads), empty where the file has none.
    """

    kind: Literal["VirtualService", "HTTPRoute"]
    place: Place
    namespace: str
    name: str
    hosts: tuple[str, ...]
    gateways: tuple[str, ...]
    http: tuple[HttpRule, ...]
    created: str = ""
    node: Any = field(default=None, repr=False, compare=False)

    @property
    def label(self) -> str:
        """The name answers use: ``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    def place_at(self, *path: str | int) -> Place:
        """Return the place of a field, such as ``("spec", "http", 0, "corsPolicy")``.

        Of a mapping's field it is the place of its key; where the path ends early, the place of
        the last part there is.
        """
        node, place = self.node, self.place
        for step in path:
            found = _step(node, step)
            if found is None:
                break
            at, node = found
            place = Place(place.file, at.start_mark.line + 1, at.start_mark.column + 1)
        return place


def _step(node: Any, step: str | int) -> tuple[Any, Any] | None:
    if isinstance(step, int):
        inside = node.id == "sequence" and -len(node.value) <= step < len(node.value)
        return (node.value[step], node.value[step]) if inside else None
    pairs = node.value if node.id == "mapping" else ()
    return next(((key, value) for key, value in pairs if key.value == step), None)
