"""Which Kubernetes object, or which route of an Envoy, is at a place in a file."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from meshcors._policy.place import Place
from meshcors.mesh._analysis.untyped_objects import items_of, text_of, value_at
from meshcors.mesh._documents.cursor import Cursor, Report
from meshcors.mesh._routing.running import RunningRoutes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments


@dataclass(frozen=True, slots=True)
class NamedObject:
    """An object from ``place`` to ``end``; ``name`` is empty if it has no name or no kind.

    ``is_alone`` says that the file has no other. ``source`` is the document that a control plane
    has made it from, if it tells.
    """

    name: str
    place: Place
    end: Place
    is_alone: bool = False
    source: str = ""


class ObjectNames:
    """The objects of a mesh, by place."""

    def __init__(self, mesh: MeshDocuments) -> None:
        self._mesh = mesh
        self._of_file = cache(self._listed)

    def at(self, place: Place) -> NamedObject | None:
        """Return the object at a place; None between objects."""
        objects = self._of_file(place.file)
        number = bisect_right(objects, place, key=lambda each: each.place)
        found = objects[number - 1] if number else None
        return None if found is None or found.end < place else found

    def _listed(self, file: str) -> list[NamedObject]:
        found = [each for root in self._mesh.roots.get(file, ()) for each in _objects(root, file)]
        running: dict[Place, NamedObject] = {}
        for each in self._running(file):
            running.setdefault(each.place, each)
        found += running.values()
        if len(found) == 1:
            found = [replace(found[0], is_alone=True)]
        return sorted(found, key=lambda each: each.place)

    def _running(self, file: str) -> Iterator[NamedObject]:
        """Yield, where they begin, the configurations of an Envoy, their routes and policies."""
        for document in self._mesh.documents:
            if document.place.file != file or not isinstance(document, RunningRoutes):
                continue
            name = f"{document.kind} {document.name}"
            yield NamedObject(name, document.place, document.place)
            routes: list[NamedObject] = []
            for host in document.running_hosts:
                for route in host.routes:
                    called = f"{name}, virtual host {host.domain}, route {route.rule}"
                    policy, source = route.source.cors_policy, route.source.made_from
                    places = [route.place]
                    if policy is not None:
                        places += [policy.place, *(each.place for each in policy.allow_origins)]
                    routes += [NamedObject(called, at, at, source=source) for at in places]
            routes.sort(key=lambda each: each.place)
            yield from routes
            for useless in document.useless_policies:
                number = bisect_right(routes, useless.place, key=lambda each: each.place)
                if number:
                    yield replace(routes[number - 1], place=useless.place, end=useless.place)


def _objects(root: Any, file: str) -> Iterator[NamedObject]:
    """Yield an object, or the items of a list."""
    cursor = Cursor(root, "", Report(file))
    kind, items = text_of(value_at(cursor, "kind")), value_at(cursor, "items")
    if not kind.endswith("List") or items is None:
        yield _named(cursor, kind)
        return
    for item in items_of(items):
        yield _named(item, text_of(value_at(item, "kind")) or kind.removesuffix("List"))


def _named(cursor: Cursor, kind: str) -> NamedObject:
    name = text_of(value_at(cursor, "metadata", "name"))
    namespace = text_of(value_at(cursor, "metadata", "namespace")) or "default"
    mark = cursor.node.end_mark
    end = Place(cursor.report.file, mark.line + 1, mark.column + 1)
    return NamedObject(f"{kind} {namespace}/{name}" if kind and name else "", cursor.place, end)
