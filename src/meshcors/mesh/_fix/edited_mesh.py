"""Documents with changes, in the model alone: what a candidate would make of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from meshcors.mesh._analysis.mesh_documents import MeshDocuments
from meshcors.mesh._analysis.open_origins import is_open
from meshcors.mesh._documents.model import StringMatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshcors.mesh._documents.model import DocumentKey, HttpRule, NodePath, VirtualService
    from meshcors.mesh._fix.options import FixOptions


@dataclass(frozen=True, slots=True)
class NewRules:
    """The rules that a document gets before and behind its own."""

    first: tuple[HttpRule, ...] = ()
    last: tuple[HttpRule, ...] = ()


def with_rules(mesh: MeshDocuments, new: Mapping[DocumentKey, NewRules]) -> MeshDocuments:
    """Return the documents with new rules."""
    documents = tuple(
        with_new_rules(each, new[each.key]) if each.key in new else each for each in mesh.documents
    )
    return MeshDocuments(documents, mesh.others, mesh.texts)


def with_new_rules(document: VirtualService, new: NewRules) -> VirtualService:
    """Return a document with new rules."""
    if document.kind == "HTTPRoute":
        return replace(document, http=tuple(_of_http_route(document, new)))
    first, last = (
        tuple(
            replace(rule, label=f"{document.label} {rule.name}", path=("spec", where, at))
            for at, rule in enumerate(rules)
        )
        for where, rules in (("first", new.first), ("last", new.last))
    )
    # The old rules stay the same objects, which makes them cheap to compare.
    return replace(document, http=(*first, *document.http, *last))


def _of_http_route(document: VirtualService, new: NewRules) -> Iterator[HttpRule]:
    """Yield the rules of an HTTPRoute, each once for each of its matches."""
    old: dict[NodePath, list[HttpRule]] = {}
    for rule in document.http:
        old.setdefault(rule.path, []).append(rule)
    rules = (*map(_by_match, new.first), *old.values(), *map(_by_match, new.last))
    for at, parts in enumerate(rules):
        for rule in parts:
            path = ("spec", "rules", at)
            yield replace(rule, label=f"{document.label} rules[{at}]", path=path)


def _by_match(rule: HttpRule) -> list[HttpRule]:
    return [replace(rule, match=(match,), match_index=at) for at, match in enumerate(rule.match)]


def with_closed_origins(mesh: MeshDocuments, options: FixOptions) -> MeshDocuments:
    """Return the documents as they are once open origins with credentials are replaced.

    To close them is what the options ask for, and no harm.
    """
    documents = tuple(
        replace(each, http=tuple(_closed(rule, options) for rule in each.http))
        for each in mesh.documents
    )
    return MeshDocuments(documents, mesh.others, mesh.texts)


def _closed(rule: HttpRule, options: FixOptions) -> HttpRule:
    policy = rule.cors_policy
    if policy is None or not policy.allow_credentials:
        return rule
    if not any(map(is_open, policy.allow_origins)):
        return rule
    named = (
        StringMatch("regex" if kind == "regex" else "exact", value, policy.place)
        for kind, value in options.origins
    )
    kept = (each for each in policy.allow_origins if not is_open(each))
    return replace(rule, cors_policy=replace(policy, allow_origins=(*kept, *named)))
