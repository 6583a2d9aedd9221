"""uvicorn: the app is `Config.loaded_app` once `Config.load` has been called (both public)."""

from __future__ import annotations

from functools import wraps
from typing import Any

from meshcors._launch.outermost import around_asgi, require


def hook_config(module: Any) -> None:
    """Put the policy around what was loaded, and around what uvicorn itself puts around that."""
    load = module.Config.load

    @wraps(load)
    def load_inside(self: Any) -> None:
        load(self)
        self.loaded_app = around_asgi(self.loaded_app)

    module.Config.load = load_inside


def hook_server(module: Any) -> None:
    """Have a server look before it listens: each of its connections takes `loaded_app`."""
    startup = module.Server.startup

    @wraps(startup)
    async def startup_checked(self: Any, *args: Any, **kwargs: Any) -> None:
        require(self.config.loaded_app, "uvicorn")
        await startup(self, *args, **kwargs)

    module.Server.startup = startup_checked
