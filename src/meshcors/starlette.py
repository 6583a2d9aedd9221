"""Starlette and FastAPI: the policy around the whole app, with its error and limit layers.

``app.add_middleware(MeshCORS, ...)`` covers the answers of routes and inner middleware; `init_app`
covers every answer of the app.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from meshcors._decision.observation import Observer
from meshcors._policy.policy import Policy, PolicyOptions
from meshcors._policy.rules import Rule, RuleSet, Uncovered
from meshcors.asgi import MeshCORS
from meshcors.config._replaceable import ReplaceablePolicy

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import ASGIApp
    from typing_extensions import Unpack

__all__ = ["init_app"]


def init_app(
    app: Starlette,
    policy: Policy | ReplaceablePolicy | None = None,
    *,
    rules: RuleSet | Iterable[Rule] | None = None,
    uncovered: Uncovered | None = None,
    observer: Observer | None = None,
    **options: Unpack[PolicyOptions],
) -> None:
    """Put the policy around everything that `app` answers, whatever is added to it later.

    Takes what `MeshCORS` takes: a `Policy` or `ReplaceablePolicy`, a policy's options as keywords,
    `rules`, `uncovered` and `observer`, or nothing (then the environment is read). Raises
    `PolicyError`, and `RuntimeError` when the app has served already.
    """
    if app.middleware_stack is not None:
        raise RuntimeError("call init_app before the first request: the app has already started")
    # The router stands in for the app's layers, which are made with the first request.
    outermost = MeshCORS(
        app.router, policy, rules=rules, uncovered=uncovered, observer=observer, **options
    )
    build = app.build_middleware_stack

    def build_inside() -> ASGIApp:
        outermost.app = build()
        return outermost

    # The one place where Starlette makes its outermost layer.
    app.build_middleware_stack = build_inside  # type: ignore[method-assign]
