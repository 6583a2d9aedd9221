"""Documents that could not be read: whether one of them may share a host with a new rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshcors.mesh._documents.node_fields import entry
from meshcors.mesh._documents.yaml_nodes import place_of
from meshcors.mesh._fix.errors import cannot_fix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._documents.model import VirtualService


def refuse_unread(mesh: MeshDocuments, services: Iterable[VirtualService]) -> None:
    """Raise ``DocumentError`` if a document that could not be read shares a host with a service.

    Nobody knows whose calls new rules would take from it. The same goes for a delegate that is not
    given.
    """
    unread = [
        (f"{place} could not be read", hosts, "fix that document first")
        for place, hosts in (_unread(mesh) if mesh.problems else ())
    ]
    unread += [
        (f"{'/'.join(rule.delegate)}, a delegate of {each.label}, is not given", each.hosts,
         "pass the file that has it too")
        for each in mesh.merged for rule in each.http if rule.delegate
    ]  # fmt: skip
    for service in services:
        for reason, hosts, hint in unread:
            shared = next((host for host in hosts if _overlaps(host, service.hosts)), None)
            if shared is not None:
                raise cannot_fix(service.place, f"{reason}, and has the host {shared} too", hint)


def _unread(mesh: MeshDocuments) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the place and the hosts of each VirtualService and HTTPRoute that was not read."""
    read = {(each.place.file, each.node.start_mark.index) for each in mesh.documents if each.node}
    for file, roots in mesh.roots.items():
        for node in (each for root in roots for each in _objects(root)):
            kind = _value(node, "kind")
            if kind not in {"VirtualService", "HTTPRoute"}:
                continue
            if (file, node.start_mark.index) not in read:
                names = _value(node, "spec", "hosts") or _value(node, "spec", "hostnames") or ()
                hosts = [each.value for each in names if getattr(each, "id", "") == "scalar"]
                # An HTTPRoute without hostnames is for every host.
                yield str(place_of(node, file)), tuple(hosts or ["*"] * (kind == "HTTPRoute"))


def _objects(root: Any) -> Iterator[Any]:
    items = _value(root, "items")
    if isinstance(items, list):
        yield from (each for each in items if each.id == "mapping")
    elif root.id == "mapping":
        yield root


def _value(node: Any, *path: str) -> Any:
    for step in path:
        found = entry(node, step) if node.id == "mapping" else None
        if found is None:
            return None
        _, node = found
    return node.value


def _overlaps(host: str, others: Iterable[str]) -> bool:
    return any(_covers(host, other) or _covers(other, host) for other in others)


def _covers(host: str, other: str) -> bool:
    """Tell whether a host of a document covers another one, which may be a wildcard."""
    return host == other or (host.startswith("*") and other.endswith(host[1:]))
