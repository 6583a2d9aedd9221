"""A file's text to its VirtualServices and HTTPRoutes; documents of other kinds are passed over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from meshcors.mesh._documents.cursor import Cursor, Report
from meshcors.mesh._documents.http_route import read_http_route
from meshcors.mesh._documents.problems import DocumentError
from meshcors.mesh._documents.source import duplicate_keys, parse
from meshcors.mesh._documents.virtual_service import read_virtual_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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
    """What a file holds: ``documents`` that load, ``others`` unread, and why the rest would not.

    A document with a problem is in neither of them; the others of its file are not touched by it.
    """

    documents: tuple[VirtualService, ...]
    others: tuple[Cursor, ...]
    problems: tuple[DocumentProblem, ...]

    def checked(self) -> Objects:
        """Return itself; ``DocumentError`` where anything would not load."""
        if self.problems:
            raise DocumentError(self.problems)
        return self


def read_documents(text: str, file: str = "<text>") -> tuple[VirtualService, ...]:
    """Read every VirtualService and HTTPRoute of a YAML text, in the order of the text.

    ``file`` is the name that places bear. ``DocumentError`` lists all that Kubernetes, Istio or
    Envoy would refuse.
    """
    return read_objects(text, file).checked().documents


def read_objects(text: str, file: str = "<text>") -> Objects:
    """Read as `read_documents` does, each document for itself.

    ``DocumentError`` is raised only for what is no YAML, or more than is read.
    """
    return read_roots(parse(text, file), file)


def read_roots(roots: Iterable[Any], file: str) -> Objects:
    """Read what `source.parse` has made of a text; see `read_objects`."""
    report = Report(file)
    found: list[VirtualService] = []
    others: list[Cursor] = []
    for root in roots:
        for cursor in _objects(Cursor(root, "", report)):
            before = len(report.problems)
            read = _reader(cursor)
            if read is not None:
                report.problems.extend(duplicate_keys(cursor.node, file))
                document = read(cursor)
                if len(report.problems) == before:
                    found.append(document)
            elif len(report.problems) == before:
                others.append(cursor)
    return Objects(tuple(found), tuple(others), tuple(report.problems))


def _objects(cursor: Cursor) -> Iterator[Cursor]:
    """Yield the document, or the items of a ``List`` as ``kubectl get -o yaml`` prints it."""
    if cursor.is_null:
        return  # nothing between two ---
    if cursor.node.id != "mapping":
        message = "a document that is no Kubernetes object"
        cursor.problem("type", message, "it begins with apiVersion and kind")
        return
    entries = cursor.entries()
    if "kind" in entries and entries["kind"].node.value == "List" and "items" in entries:
        yield from (item for item in entries["items"].items() if item.node.id == "mapping")
    else:
        yield cursor


def _reader(cursor: Cursor) -> Callable[[Cursor], VirtualService] | None:
    entries = cursor.entries()
    if not {"apiVersion", "kind"} <= entries.keys():
        message = "a document without apiVersion and kind"
        cursor.problem("type", message, "write what it is, or pass another file")
        return None
    group, _, version = entries["apiVersion"].string().rpartition("/")
    known = _KINDS.get((group, entries["kind"].string()))
    if known is None:
        return None
    versions, read = known
    if version not in versions:
        message = f"{group} has no version {version!r}"
        entries["apiVersion"].problem("api_version", message, f"use {', '.join(versions)}")
    return read
