"""The middleware that ``meshcors run`` puts around an app, by the policy of the environment."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import meshcors.wsgi
from meshcors import asgi
from meshcors._decision.observation import AppEngine
from meshcors._launch.following import FOLLOW_VARIABLE, FollowedPolicy, answering_by
from meshcors._launch.handed_policy import handed_policy
from meshcors._launch.refusing import refuse
from meshcors._launch.servers import apps, missed
from meshcors._policy.errors import PolicyError, problem_lines
from meshcors.config._replaceable import Source
from meshcors.config._resolving import argument


class OutermostASGI(asgi.MeshCORS):
    """What the launcher put around an ASGI app: a server serves nothing else."""

    def _switch(self, answering: tuple[Source, AppEngine]) -> None:
        super()._switch(answering_by(*answering))


class OutermostWSGI(meshcors.wsgi.MeshCORS):
    """What the launcher put around a WSGI app: a server serves nothing else."""

    def _switch(self, answering: tuple[Source, AppEngine]) -> None:
        super()._switch(answering_by(*answering))


def around_asgi(app: Any) -> OutermostASGI:
    """Return `app` with the policy around it, once."""
    if isinstance(app, OutermostASGI):
        return app
    made = OutermostASGI(app, **_policy())
    apps.add("asgi")
    return made


def around_wsgi(app: Any) -> OutermostWSGI:
    """Return `app` with the policy around it, once."""
    if isinstance(app, OutermostWSGI):
        return app
    made = OutermostWSGI(app, **_policy())
    apps.add("wsgi")
    return made


def require(app: Any, server: str) -> None:
    """End the process if `server` is about to serve an app that has no policy around it."""
    if not isinstance(app, OutermostASGI | OutermostWSGI):
        refuse(missed(server))


@cache
def _policy() -> dict[str, Any]:
    try:
        follows = FOLLOW_VARIABLE in os.environ
        return argument(FollowedPolicy(os.environ) if follows else handed_policy(os.environ))
    except PolicyError as error:
        refuse(*problem_lines(error.problems))
    except ValueError:
        refuse(f"{FOLLOW_VARIABLE}: leave it out: meshcors run --follow sets it")
