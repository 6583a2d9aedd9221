"""The route table of each host: its routes in order, their conditions, and the rules left out.

`gateway` answers requests from this table and `envoy` writes it as a bootstrap, so the two agree by
construction. `translation` makes it from documents, and `meshcors.mesh._envoy` from what an Envoy
runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias

from meshcors.mesh._documents.model import (
    DocumentKey,
    HttpRule,
    StringMatch,
    VirtualService,
)
from meshcors.mesh._routing.index import RouteIndex

if TYPE_CHECKING:
    from meshcors._policy.place import Place
    from meshcors.mesh._routing.doubts import Doubt

# A route's document, and its name in answers.
RouteKey: TypeAlias = tuple[DocumentKey, str]


@dataclass(frozen=True, slots=True)
class PathCondition:
    """A condition on the path; ``segments`` is a prefix of whole segments, as in HTTPRoutes."""

    kind: Literal["prefix", "segments", "exact", "regex"]
    value: str
    ignore_case: bool = False

    def __str__(self) -> str:
        kind = "prefix" if self.kind == "segments" else self.kind
        return f'{kind} "{self.value}"'


@dataclass(frozen=True, slots=True)
class HeaderCondition:
    """A condition on a header, including ``:method``, ``:authority`` and ``:scheme``.

    ``field`` is the condition's name in the document (``headers.x-key``, ``withoutHeaders.x-key``,
    ``method``).
    """

    field: str
    name: str
    match: StringMatch
    inverted: bool = False
    empty_if_missing: bool | None = None

    @property
    def missing_is_empty(self) -> bool:
        """Whether a missing header counts as an empty one: in Istio, if inverted."""
        return self.inverted if self.empty_if_missing is None else self.empty_if_missing


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """All conditions of one route; ``claims`` are those on JWT claims.

    Of what an Envoy runs, ``absent_query`` names parameters that must not be there, and ``unknown``
    the conditions that nobody can decide here.
    """

    path: PathCondition
    headers: tuple[HeaderCondition, ...] = ()
    query: tuple[tuple[str, StringMatch], ...] = ()
    claims: tuple[HeaderCondition, ...] = ()
    absent_query: tuple[str, ...] = ()
    unknown: tuple[Doubt, ...] = ()

    @property
    def is_catch_all(self) -> bool:
        """Whether Istio regards it as matching every request."""
        path = (self.path.kind, self.path.value) in {("prefix", "/"), ("regex", ".*")}
        return path and not (self.headers or self.query or self.claims)


@dataclass(frozen=True, slots=True)
class Route:
    """One route of a virtual host: a rule with one of its match entries.

    ``rule`` is its name in answers (``cheetah/model http[0] match[0]``). It is made from the rule
    ``source`` of ``document``, for the gateway's ``port``. ``doubts`` may change its answers.
    """

    rule: str
    place: Place
    match: RouteMatch
    document: VirtualService = field(repr=False)
    source: HttpRule = field(repr=False)
    port: int
    doubts: tuple[Doubt, ...] = ()

    @property
    def key(self) -> RouteKey:
        """What tells this route from all others of a table."""
        return self.document.key, self.rule

    @property
    def path_field(self) -> str:
        """What the condition on the path is called in the document."""
        return "uri" if self.document.kind == "VirtualService" else "path"

    @property
    def is_forward(self) -> bool:
        """Whether it leads to a service; Envoy's cors filter does nothing on other routes."""
        return self.source.redirect is None and self.source.direct_response is None


@dataclass(frozen=True, slots=True)
class DroppedRule:
    """A rule of the documents that is not in the table, and the reason.

    A "conflict" is one between the conditions of a delegate's rule and those of the root.
    """

    rule: str
    place: Place
    reason: Literal[
        "port", "gateway", "source", "behind_catch_all", "other_owner", "conflict", "not_exported"
    ]
    detail: str


@dataclass(frozen=True)
class RouteTable:
    """Routes in order, and the rules left out. Hosts of the same documents share one table."""

    routes: tuple[Route, ...]
    dropped: tuple[DroppedRule, ...]

    @cached_property
    def index(self) -> RouteIndex:
        """The routes, indexed for look-up."""
        return RouteIndex(self.routes)

    @cached_property
    def forbidden(self) -> tuple[HeaderCondition, ...]:
        """A condition for each header that a route does not want to see."""
        conditions = (it for route in self.routes for it in route.match.headers if it.inverted)
        return tuple({it.name: it for it in conditions}.values())


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """One domain (``*``, ``*.example.com``, ``api.example.com``) and its table."""

    domain: str
    table: RouteTable

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes in order."""
        return self.table.routes

    @property
    def dropped(self) -> tuple[DroppedRule, ...]:
        """The rules left out."""
        return self.table.dropped
