"""A file's text to its VirtualServices and HTTPRoutes; other objects are kept unread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from meshcors.mesh._documents.cursor import Cursor, Report
from meshcors.mesh._documents.http_route import read_http_route
from meshcors.mesh._documents.problems import DocumentError
from meshcors.mesh._documents.virtual_service import read_virtual_service
from meshcors.mesh._documents.yaml_nodes import duplicate_keys, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshcors.mesh._documents.model import VirtualService
    from meshcors.mesh._documents.problems import DocumentProblem

_KINDS: Final[dict[tuple[str, str], tuple[tuple[str, ...], Callable[[Cursor], VirtualService]]]] = {
    ("networking.istio.io", "VirtualService"): (
        ("v1", "v1beta1", "v1alpha3"),
        read_virtual_service,
    ),
    ("gateway.networking.k8s.io", "HTTPRoute"): (("v1", "v1beta1"), read_http_route),
}


@dataclass(frozen=True, slots=True)
class Objects:
    """The Kubernetes objects of a file.

    ``documents`` are the VirtualServices and HTTPRoutes that load, ``others`` the objects of other
    kinds, ``problems`` the reasons why the rest does not load, and ``roots`` the YAML nodes of the
    whole file. One object with a problem does not affect the others.
    """

    documents: tuple[VirtualService, ...]
    others: tuple[Cursor, ...]
    problems: tuple[DocumentProblem, ...]
    roots: tuple[Any, ...]

    def checked(self) -> Objects:
        """Return the objects themselves; ``DocumentError`` if any has a problem."""
        if self.problems:
            raise DocumentError(self.problems)
        return self


def read_documents(text: str, file: str = "<text>") -> tuple[VirtualService, ...]:
    """Read every VirtualService and HTTPRoute of a YAML text, in the order of the text.

    ``file`` is the file name in their places. ``DocumentError`` lists everything that Kubernetes,
    Istio or Envoy would refuse.
    """
    return read_objects(text, file).checked().documents


def read_objects(text: str, file: str = "<text>") -> Objects:
    """Read as `read_documents` does, each object on its own.

    ``DocumentError`` is raised only for a text that is not YAML, or too large to be read.
    """
    roots = parse(text, file)
    report = Report(file)
    found: list[VirtualService] = []
    others: list[Cursor] = []
    objects = (each for root in roots for each in _objects(Cursor(root, "", report)))
    for number, cursor in enumerate(objects):
        before = len(report.problems)
        read = _reader(cursor)
        if read is not None:
            report.problems.extend(duplicate_keys(cursor.node, file))
            document = read(cursor)
            if len(report.problems) == before:
                found.append(replace(document, number=number))
        elif len(report.problems) == before:
            others.append(cursor)
    return Objects(tuple(found), tuple(others), tuple(report.problems), tuple(roots))


def _objects(cursor: Cursor) -> Iterator[Cursor]:
    """Yield the object, or the items of a ``List``, as ``kubectl get -o yaml`` prints it."""
    if cursor.is_null:
        return  # an empty document
    if cursor.node.id != "mapping":
        message = "the document is not a Kubernetes object"
        cursor.problem("type", message, "begin it with apiVersion and kind")
        return
    entries = cursor.entries()
    if "kind" in entries and entries["kind"].node.value == "List" and "items" in entries:
        yield from (item for item in entries["items"].items() if item.node.id == "mapping")
    else:
        yield cursor


def _reader(cursor: Cursor) -> Callable[[Cursor], VirtualService] | None:
    entries = cursor.entries()
    if not {"apiVersion", "kind"} <= entries.keys():
        message = "the document has no apiVersion and kind"
        cursor.problem("type", message, "add them, or pass another file")
        return None
    group, _, version = entries["apiVersion"].string().rpartition("/")
    known = _KINDS.get((group, entries["kind"].string()))
    if known is None:
        return None
    versions, read = known
    if version not in versions:
        message = f"{group} has no version {version!r}"
        entries["apiVersion"].problem("api_version", message, f"use one of {', '.join(versions)}")
    return read
