"""What makes findings incomplete or doubtful, though nothing is wrong in any document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors.mesh._documents.problems import DocumentProblem
from meshcors.mesh._documents.unrendered import KUSTOMIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from meshcors.mesh._documents.model import VirtualService

# The codes of notes, and what they are called.
NOTES: Final = {
    "unrendered": "not-checked",
    "delegate_missing": "not-checked",
    "delegate_unnamed": "not-checked",
    "there_twice": "there-twice",
    "filter_unmodelled": "not-checked",
}


def notes_on(documents: Sequence[VirtualService]) -> Iterator[DocumentProblem]:
    """Yield a problem for each delegate that is missing or not named, filter, and second document.

    Of filters, only those whose effect is not modelled; of documents, those of the same name.
    """
    delegates = {(it.namespace, it.name): it for it in documents if it.is_delegate}
    named: set[tuple[str, str]] = set()
    for document in documents:
        for rule in document.http:
            if rule.delegate is None:
                continue
            named.add(rule.delegate)
            if rule.delegate not in delegates:
                missing = "/".join(rule.delegate)
                yield DocumentProblem(
                    document.place_at(*rule.path, "delegate"),
                    "delegate_missing",
                    f"spec.http[{rule.path[-1]}].delegate",
                    f"its delegate {missing} is not in the given files or could not be read, so"
                    " its effect is not known",
                    "pass the file that has it too",
                )
    for name, document in delegates.items():
        if name not in named:
            message = "no VirtualService here delegates to it, so its routes are not checked"
            hint = f"pass the file that names it too, or render a patch first: {KUSTOMIZE}"
            message = f"{document.label} is a delegate: {message}"
            yield DocumentProblem(document.place, "delegate_unnamed", "", message, hint)
    yield from _unmodelled_filters(documents)
    yield from _there_twice(documents)


def _unmodelled_filters(documents: Iterable[VirtualService]) -> Iterator[DocumentProblem]:
    """Yield one problem for each document with such filters."""
    for document in documents:
        rule = next((rule for rule in document.http if rule.unmodelled), None)
        if rule is not None:
            path = (*rule.path, "filters")
            message = f"the effect of the filter {rule.unmodelled[0]} is not known"
            hint = "check by hand what it does to preflights"
            where = f"spec.rules[{rule.path[-1]}].filters"
            yield DocumentProblem(
                document.place_at(*path), "filter_unmodelled", where, message, hint
            )


def _there_twice(documents: Iterable[VirtualService]) -> Iterator[DocumentProblem]:
    first: dict[tuple[str, str, str], VirtualService] = {}
    for document in documents:
        other = first.setdefault((document.kind, document.namespace, document.name), document)
        if other is not document:
            message = (
                f"{document.label} is at {other.place} too, and a cluster has only one of them:"
                " findings on either may be wrong"
            )
            hint = "check each variant in a separate run"
            yield DocumentProblem(document.place, "there_twice", "", message, hint)
