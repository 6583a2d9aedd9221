"""Delegates and the rules that name them, where one of the two is not among the documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors.mesh._documents.problems import DocumentProblem
from meshcors.mesh._documents.unrendered import KUSTOMIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshcors.mesh._documents.model import VirtualService

# What is not checked is no fault.
NOTES: Final = frozenset(("delegate_missing", "delegate_unnamed"))


def unknown_delegates(documents: Iterable[VirtualService]) -> Iterator[DocumentProblem]:
    """Yield a problem for each rule without its delegate, and for each delegate without a rule."""
    delegates: dict[tuple[str, str], VirtualService] = {}
    roots: list[VirtualService] = []
    for document in documents:
        if document.is_delegate:
            delegates[document.namespace, document.name] = document
        else:
            roots.append(document)
    named: set[tuple[str, str]] = set()
    for root in roots:
        for rule in root.http:
            if rule.delegate is None:
                continue
            named.add(rule.delegate)
            if rule.delegate not in delegates:
                message = f"its delegate {'/'.join(rule.delegate)} is not in the given files"
                path = ".".join(map(str, rule.path)).replace(".http.", ".http[") + "].delegate"
                yield DocumentProblem(
                    root.place_at(*rule.path, "delegate"),
                    "delegate_missing",
                    path,
                    f"{message}, so what it does is not known",
                    "pass the file that has it too",
                )
    for name, document in delegates.items():
        if name not in named:
            message = "no VirtualService here delegates to it, so its routes are not checked"
            yield DocumentProblem(
                document.place,
                "delegate_unnamed",
                "",
                f"{document.label} is a delegate: {message}",
                f"pass the file that names it too, or render a patch first: {KUSTOMIZE}",
            )
