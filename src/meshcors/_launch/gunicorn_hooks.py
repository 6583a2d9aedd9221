"""gunicorn: a worker calls its `load_wsgi`, then its `run`; every class of worker has both.

The documented hooks of its configuration are the user's, and one given there replaces ours.
"""

from __future__ import annotations

import sys
from functools import wraps
from typing import Any

from meshcors._launch.outermost import around_asgi, around_wsgi, require


def hook_worker(module: Any) -> None:
    """Have every worker put the policy around the app that it loads, and look before it runs."""
    _ = module.Worker.load_wsgi, module.Worker.run
    init = module.Worker.__init__

    @wraps(init)
    def init_hooked(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        load_wsgi, run = self.load_wsgi, self.run

        def load_inside() -> None:
            load_wsgi()
            name = _attribute(self)
            if not _hands_to_uvicorn(self):
                around = around_asgi if name == "asgi" else around_wsgi
                setattr(self, name, around(getattr(self, name)))

        def run_checked() -> None:
            if not _hands_to_uvicorn(self):
                require(getattr(self, _attribute(self), None), "gunicorn")
            run()

        # Of the instance, as classes of workers have methods of their own.
        self.load_wsgi, self.run = load_inside, run_checked

    module.Worker.__init__ = init_hooked


def _attribute(worker: Any) -> str:
    return "asgi" if hasattr(worker, "asgi") else "wsgi"


def _hands_to_uvicorn(worker: Any) -> bool:
    """Tell whether a worker gives the app to a uvicorn, which has hooks of its own."""
    uvicorn = sys.modules.get("uvicorn.config")
    return uvicorn is not None and isinstance(getattr(worker, "config", None), uvicorn.Config)
