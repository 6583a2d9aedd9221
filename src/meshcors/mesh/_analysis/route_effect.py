"""What a rule takes and does, as values: rules with equal values are alike, wherever they are."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from meshcors._policy.place import Place

if TYPE_CHECKING:
    from meshcors.mesh._routing.routes import Route


def conditions(route: Route) -> object:
    """Return what ``route`` takes."""
    return route.port, plain(route.match)


def effect(route: Route | None) -> object:
    """Return what ``route`` does with what it takes; None if no rule takes it."""
    return None if route is None else (answerer(route), cors_effect(route))


def answerer(route: Route) -> object:
    """Return who answers what ``route`` takes, and what is asked: services, a redirect, a text."""
    rule = route.source
    # These change a part of the path that the condition names.
    path = plain(route.match.path) if rule.rewrite or rule.redirect else None
    actions = (rule.route, rule.redirect, rule.direct_response, rule.rewrite, rule.headers.request)
    return (route.port, path, *map(plain, actions))


def cors_effect(route: Route) -> object:
    """Return what ``route`` means for browsers, whichever service answers."""
    rule = route.source
    operations = [rule.headers.response, *(to.headers.response for to in rule.route)]
    # A redirect and a fixed answer have a status.
    actions = (rule.redirect, rule.direct_response)
    return (*map(plain, actions), plain(rule.cors_policy), *map(plain, operations))


def plain(value: Any) -> Any:
    """Return a value without the places in it."""
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    if not is_dataclass(value) or isinstance(value, type):
        return value
    return tuple(plain(getattr(value, name)) for name in _names(type(value)))


@lru_cache(maxsize=64)
def _names(kind: type) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind) if each.type not in {"Place", Place})
