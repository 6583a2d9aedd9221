"""A file's text to its VirtualServices and HTTPRoutes; other objects are kept unread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from meshcors.mesh._documents.cursor import Cursor, Report
from meshcors.mesh._documents.http_route import read_http_route
from meshcors.mesh._documents.problems import DocumentError
from meshcors.mesh._documents.unrendered import rendering_hint, unrendered_node, unrendered_text
from meshcors.mesh._documents.virtual_service import read_virtual_service
from meshcors.mesh._documents.yaml_nodes import AliasBudget, duplicate_keys, parse_each

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

    ``DocumentError`` is raised only if ruamel.yaml is not installed.
    """
    roots, problems = parse_each(text, file, unrendered_text)
    budget = AliasBudget(file, len(text))
    found: list[VirtualService] = []
    others: list[Cursor] = []
    for number, (listed, implied) in enumerate(_objects(roots, file, problems)):
        own = Report(file, number)
        cursor = replace(listed, report=own)
        too_large = budget.problem_of(cursor.node)
        if too_large is not None:
            problems.append(too_large)
            continue
        read = _reader(cursor, implied)
        source = unrendered_node(cursor.node, file) if read or own.problems else None
        if source is not None:
            problems.append(source)
            continue
        if read is None:
            others += [] if own.problems else [cursor]
        else:
            own.problems.extend(duplicate_keys(cursor.node, file))
            document = read(cursor)
            found += [] if own.problems else [document]
        problems += own.problems
    return Objects(tuple(found), tuple(others), tuple(_once(problems)), tuple(roots))


def _once(problems: Iterable[DocumentProblem]) -> Iterator[DocumentProblem]:
    """Yield all problems, but only the first of those that say the same of several documents."""
    said: set[str] = set()
    for problem in problems:
        if problem.code != "unrendered" or problem.message not in said:
            yield problem
        said.add(problem.message)


# An object, and the apiVersion and kind that its list implies, if any.
_Object: TypeAlias = tuple[Cursor, tuple[str, str]]


def _objects(roots: Iterable[Any], file: str, problems: list[DocumentProblem]) -> Iterator[_Object]:
    """Yield each object, and the items of each list: ``List`` or ``VirtualServiceList``."""
    for root in roots:
        report = Report(file)
        cursor = Cursor(root, "", report)
        if cursor.is_null:
            continue  # an empty document
        if root.id != "mapping":
            message = "the document is not a Kubernetes object"
            cursor.problem("not_an_object", message, "begin it with apiVersion and kind")
            problems += [unrendered_node(root, file) or report.problems[0]]
            continue
        fields = {key.value: value for key, value in root.value if key.id == "scalar"}
        kind, version = (
            fields[name].value if name in fields and fields[name].id == "scalar" else ""
            for name in ("kind", "apiVersion")
        )
        items = fields.get("items")
        if not kind.endswith("List") or items is None or items.id != "sequence":
            yield cursor, ("", "")
            continue
        # only a typed list's items may lack them
        implied = ("", "") if kind == "List" else (version, kind.removesuffix("List"))
        for at, item in enumerate(items.value):
            if item.id == "mapping":
                yield Cursor(item, f"items[{at}]", report, 2), implied


def _reader(cursor: Cursor, implied: tuple[str, str]) -> Callable[[Cursor], VirtualService] | None:
    entries = cursor.entries()
    own = [entries.get(name) for name in ("apiVersion", "kind")]
    api_version, kind = (
        value.string() if value else text for value, text in zip(own, implied, strict=True)
    )
    if not (own[0] or implied[0]) or not (own[1] or implied[1]):
        message = "the document has no apiVersion and kind"
        hint = rendering_hint(cursor.report.file) or "add them, or pass another file"
        cursor.problem("not_an_object", message, hint)
        return None
    group, _, version = api_version.rpartition("/")
    known = _KINDS.get((group, kind))
    if known is None:
        return None
    versions, read = known
    if version not in versions:
        message = f"{group} has no version {version!r}"
        (own[0] or cursor).problem("api_version", message, f"use one of {', '.join(versions)}")
    return read
