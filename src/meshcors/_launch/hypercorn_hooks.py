"""hypercorn: `wrap_app` takes over every app, named or passed to `serve`, before `worker_serve`."""

from __future__ import annotations

from functools import wraps
from typing import Any

from meshcors._launch.outermost import around_asgi, around_wsgi, require


def hook_utils(module: Any) -> None:
    """Put the policy around the app, in the interface that hypercorn takes it for."""
    wrap_app = module.wrap_app

    @wraps(wrap_app)
    def wrap_app_inside(app: Any, wsgi_max_body_size: int, mode: str | None) -> Any:
        if mode is None:
            mode = "asgi" if module.is_asgi(app) else "wsgi"
        around = around_asgi if mode == "asgi" else around_wsgi
        return wrap_app(around(app), wsgi_max_body_size, mode)

    module.wrap_app = wrap_app_inside


def hook_run(module: Any) -> None:
    """Have a worker look before it listens."""
    worker_serve = module.worker_serve

    @wraps(worker_serve)
    async def worker_serve_checked(app: Any, *args: Any, **kwargs: Any) -> None:
        require(app.app, "hypercorn")
        await worker_serve(app, *args, **kwargs)

    module.worker_serve = worker_serve_checked
