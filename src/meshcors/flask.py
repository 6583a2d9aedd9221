"""Flask: the policy around the whole app, its redirects and error pages included."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from meshcors._decision.observation import Observer
from meshcors._policy.policy import Policy, PolicyOptions
from meshcors._policy.rules import Rule, RuleSet, Uncovered
from meshcors.config._replaceable import ReplaceablePolicy
from meshcors.wsgi import MeshCORS

if TYPE_CHECKING:
    from flask import Flask
    from typing_extensions import Unpack

__all__ = ["init_app"]


def init_app(
    app: Flask,
    policy: Policy | ReplaceablePolicy | None = None,
    *,
    rules: RuleSet | Iterable[Rule] | None = None,
    uncovered: Uncovered | None = None,
    observer: Observer | None = None,
    **options: Unpack[PolicyOptions],
) -> None:
    """Put the policy around everything that `app` answers.

    Takes what `MeshCORS` takes: a `Policy` or `ReplaceablePolicy`, a policy's options as keywords,
    `rules`, `uncovered` and `observer`, or nothing (then the environment is read). Raises
    `PolicyError`.
    """
    # Flask documents this assignment for WSGI middleware; to type checkers, wsgi_app is a method.
    app.wsgi_app = MeshCORS(  # type: ignore[method-assign]
        app.wsgi_app, policy, rules=rules, uncovered=uncovered, observer=observer, **options
    )
