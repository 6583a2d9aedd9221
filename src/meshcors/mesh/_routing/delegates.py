"""Delegates: the rules of one VirtualService in the place of another's rule, as Istio merges them.

A VirtualService without hosts is a delegate. A rule of another one, the root, names it; Istio puts
the delegate's rules in its place, with the root's conditions added, one level deep.

Sources: ``MergeHTTPRoutes`` in ``pilot/pkg/model/virtualservice.go``, ``mergeVirtualServices`` in
``virtualservice_controller.go``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from meshcors.mesh._documents.model import Headers, HttpMatch, HttpRule, StringMatch
from meshcors.mesh._documents.virtual_service import resolve_gateway

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshcors.mesh._documents.model import Destination, VirtualService

_Value = TypeVar("_Value")


def merge_delegates(documents: Iterable[VirtualService]) -> tuple[VirtualService, ...]:
    """Return the documents that have hosts, with the rules of delegates in their places.

    A rule whose delegate is not among ``documents`` stays as it is.
    """
    roots: list[VirtualService] = []
    delegates: dict[tuple[str, str], VirtualService] = {}
    for document in documents:
        if document.is_delegate:
            delegates[document.namespace, document.name] = document
        else:
            roots.append(document)
    return tuple(_merged(root, delegates) for root in roots)


def _merged(
    root: VirtualService, delegates: Mapping[tuple[str, str], VirtualService]
) -> VirtualService:
    if not any(rule.delegate for rule in root.http):
        return root
    rules: list[HttpRule] = []
    for rule in root.http:
        found = delegates.get(rule.delegate) if rule.delegate else None
        if found is None:
            rules.append(rule)
        elif not _is_exported(found, root.namespace):
            rules.append(replace(rule, delegate=None, left_out="not_exported"))
        else:
            rules += [_merged_rule(rule, own, found, root.namespace) for own in found.http]
    return replace(root, http=tuple(rules))


def _is_exported(delegate: VirtualService, namespace: str) -> bool:
    names = {delegate.namespace if name == "." else name for name in delegate.export_to}
    return not names or not names.isdisjoint({"*", namespace})


def _merged_rule(
    root: HttpRule, own: HttpRule, delegate: VirtualService, namespace: str
) -> HttpRule:
    """Return a delegate's rule as it is in the root; what it sets itself comes first."""
    match = _merged_matches(root, own, delegate.namespace)
    return replace(
        own,
        label=f"{root.label} delegate {own.label}",
        root=root.key,
        name="-".join(filter(None, (root.name, own.name))),
        match=match or (),
        left_out="" if match is not None else "conflict",
        route=tuple(_reachable(to, delegate.namespace, namespace) for to in own.route),
        rewrite=own.rewrite or root.rewrite,
        direct_response=own.direct_response or root.direct_response,
        cors_policy=own.cors_policy or root.cors_policy,
        inherits_policy=own.cors_policy is None and root.cors_policy is not None,
        headers=root.headers if own.headers == Headers() else own.headers,
        has_fault=own.has_fault or root.has_fault,
    )


def _reachable(to: Destination, own: str, namespace: str) -> Destination:
    """Return a destination as the root's namespace names it: a short name is the delegate's."""
    is_short = "." not in to.host
    return replace(to, host=f"{to.host}.{own}") if is_short and own != namespace else to


def _merged_matches(root: HttpRule, own: HttpRule, namespace: str) -> tuple[HttpMatch, ...] | None:
    """Return the conditions of both; None if any of the delegate's fits none of the root's."""
    matches = [_resolved(match, namespace) for match in own.match]
    roots = [_resolved(match, root.label.partition("/")[0]) for match in root.match]
    if not matches:
        return tuple(replace(match, place=own.place) for match in roots)
    if not roots:
        return tuple(matches)
    found: list[HttpMatch] = []
    for match in matches:
        fitting = [_both(each, match) for each in roots if not _conflict(each, match)]
        if not fitting:
            return None
        found += fitting
    return tuple(found)


def _resolved(match: HttpMatch, namespace: str) -> HttpMatch:
    """Return a match with full names of gateways: each is relative to its own namespace."""
    return replace(match, gateways=tuple(resolve_gateway(it, namespace) for it in match.gateways))


def _both(root: HttpMatch, own: HttpMatch) -> HttpMatch:
    return replace(
        own,
        name="-".join(filter(None, (root.name, own.name))),
        uri=own.uri or root.uri,
        scheme=own.scheme or root.scheme,
        method=own.method or root.method,
        authority=own.authority or root.authority,
        headers=_joined(root.headers, own.headers),
        without_headers=_joined(root.without_headers, own.without_headers),
        query_params=_joined(root.query_params, own.query_params),
        port=own.port or root.port,
        source_labels=_joined(root.source_labels, own.source_labels),
        source_namespace=own.source_namespace or root.source_namespace,
        gateways=own.gateways or root.gateways,
    )


def _joined(
    root: tuple[tuple[str, _Value], ...], own: tuple[tuple[str, _Value], ...]
) -> tuple[tuple[str, _Value], ...]:
    return tuple((dict(root) | dict(own)).items())


def _conflict(root: HttpMatch, own: HttpMatch) -> bool:
    """Tell whether the conditions of both contradict each other to Istio (``hasConflict``)."""
    single = (
        (root.uri, own.uri),
        (root.scheme, own.scheme),
        (root.method, own.method),
        (root.authority, own.authority),
    )
    named = (
        (dict(of_root).get(name), match)
        for of_root, of_own in (
            (root.headers, own.headers),
            (root.without_headers, own.without_headers),
            (root.query_params, own.query_params),
        )
        for name, match in of_own
    )
    labels = dict(root.source_labels)
    return (
        any(_text_conflict(*pair) for pair in (*single, *named))
        or root.ignore_uri_case != own.ignore_uri_case
        or bool(root.port and own.port and root.port != own.port)
        or root.source_namespace not in {"", own.source_namespace}
        or any(labels.get(name, value) != value for name, value in own.source_labels)
        or bool(root.gateways and own.gateways and not _covers(root.gateways, own.gateways))
    )


def _covers(root: tuple[str, ...], own: tuple[str, ...]) -> bool:
    return len(root) >= len(own) and set(own) <= set(root)


def _text_conflict(root: StringMatch | None, own: StringMatch | None) -> bool:
    """Tell whether ``own`` does not narrow ``root`` (``stringMatchConflict``).

    Regexes are not compared: one beside any other condition is a conflict.
    """
    if root is None or own is None:
        return False
    if root.kind == "exact" and root.value:
        return (own.kind, own.value) != ("exact", root.value)
    if root.kind == "prefix" and root.value:
        narrows = own.kind in {"exact", "prefix"} and own.value.startswith(root.value)
        return not narrows
    return True
