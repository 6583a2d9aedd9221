"""Which rule comes nearest to a request that none takes, and what keeps them apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from meshcors.mesh._analysis.preflight_rules import is_preflight_rule

if TYPE_CHECKING:
    from meshcors._policy.place import Place
    from meshcors.mesh._routing.gateway import GatewayAnswer, TriedRule
    from meshcors.mesh._routing.matching import Mismatch
    from meshcors.mesh._routing.routes import PathCondition

# What keeps a request from the rule that comes nearest.
Obstacle: TypeAlias = Literal["no_path", "no_method", "wrong_header", "missing_header", "condition"]

_SHOWN_PATHS = 3


@dataclass(frozen=True, slots=True)
class NearestRule:
    """The rule, what the request fails, and how many other rules fail it by the same names.

    ``names`` are headers for ``wrong_header`` and ``missing_header``, else conditions as they are
    called in the document. ``wanted`` are the paths or methods that rules take, the nearest first.
    """

    rule: str
    place: Place
    obstacle: Obstacle
    names: tuple[str, ...]
    others: int
    wanted: tuple[str, ...]


def nearest_rule(answer: GatewayAnswer) -> NearestRule | None:
    """Return the rule that comes nearest to a request that no rule of its host takes."""
    routes = answer.virtual_host.routes if answer.virtual_host else ()
    tried = [
        (each, route.match.path)
        for each, route in zip(answer.trail, routes, strict=False)
        if each.mismatches and not is_preflight_rule(route)
    ]
    on_path = [each for each, _ in tried if each.mismatches[0].field not in {"uri", "path"}]
    if not on_path:
        return _by_path(answer.request.path_only, tried) if tried else None
    best = min(on_path, key=_distance)
    obstacle, names = _obstacle(best.mismatches)
    alike = [each for each in on_path if _obstacle(each.mismatches) == (obstacle, names)]
    methods: dict[str, None] = {}
    if obstacle == "no_method":
        failed = (mismatch for each in alike for mismatch in each.mismatches)
        methods = dict.fromkeys(each.expected for each in failed if each.field == "method")
    return NearestRule(best.rule, best.place, obstacle, names, len(alike) - 1, tuple(methods))


def _distance(tried: TriedRule) -> tuple[int, bool]:
    """Order rules by how many conditions fail; one with a wrong value before one without any."""
    return len(tried.mismatches), _obstacle(tried.mismatches)[0] != "wrong_header"


def _by_path(path: str, tried: list[tuple[TriedRule, PathCondition]]) -> NearestRule:
    def distance(each: tuple[TriedRule, PathCondition]) -> int:
        condition = each[1]
        if condition.kind == "regex":
            return 1  # where a regex begins to differ is not known: it comes last
        pairs = enumerate(zip(condition.value, path, strict=False))
        shortest = min(len(condition.value), len(path))
        return -next((at for at, (one, other) in pairs if one != other), shortest)

    first = min(tried, key=distance)[0]
    paths = dict.fromkeys(str(condition) for _, condition in sorted(tried, key=distance))
    return NearestRule(
        first.rule, first.place, "no_path", (), len(tried) - 1, tuple(paths)[:_SHOWN_PATHS]
    )


def _obstacle(failed: tuple[Mismatch, ...]) -> tuple[Obstacle, tuple[str, ...]]:
    headers = [each for each in failed if each.field.startswith("headers.")]
    headers = [each for each in headers if not each.field.startswith("headers.@")]  # JWT claims
    if wrong := [each for each in headers if each.actual]:
        return "wrong_header", tuple(map(_name, wrong))
    if headers:
        return "missing_header", tuple(map(_name, headers))
    if any(each.field == "method" for each in failed):
        return "no_method", ("method",)
    return "condition", tuple(each.field for each in failed)


def _name(header: Mismatch) -> str:
    return header.field.partition(".")[2]
