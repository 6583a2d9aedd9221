"""Werkzeug's server, of ``flask run``: `run_simple` and `make_server` make a `BaseWSGIServer`."""

from __future__ import annotations

from functools import wraps
from typing import Any

from meshcors._launch.outermost import around_wsgi, require


def hook_serving(module: Any) -> None:
    """Put the policy around the app of every server, and have it look before it serves."""
    server = module.BaseWSGIServer
    init, serve_forever = server.__init__, server.serve_forever

    @wraps(init)
    def init_inside(self: Any, host: Any, port: Any, app: Any, *args: Any, **kwargs: Any) -> None:
        init(self, host, port, around_wsgi(app), *args, **kwargs)

    @wraps(serve_forever)
    def serve_checked(self: Any, *args: Any, **kwargs: Any) -> None:
        require(self.app, "werkzeug")
        serve_forever(self, *args, **kwargs)

    server.__init__, server.serve_forever = init_inside, serve_checked
