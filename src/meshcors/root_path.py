"""The root path that an app sets itself, whatever the server says of it.

Only looked up, never imported: without a framework's module no app is one of its.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def own_root_path(app: Any) -> Callable[[], str] | None:
    """Return what tells the root path that the ASGI `app` sets, or None for one that sets none.

    FastAPI puts its own ``root_path`` into the scope, Django its ``FORCE_SCRIPT_NAME``. The app may
    be wrapped: attributes called ``app`` are followed, as most middleware has them.
    """
    fastapi = sys.modules.get("fastapi.applications")
    django = sys.modules.get("django.core.handlers.asgi")
    seen: list[int] = []
    while app is not None and id(app) not in seen:
        found = app
        if fastapi is not None and isinstance(found, fastapi.FastAPI):
            return lambda: str(found.root_path or "")
        if django is not None and isinstance(found, django.ASGIHandler):
            settings = sys.modules["django.conf"].settings
            return lambda: str(settings.FORCE_SCRIPT_NAME or "")
        seen.append(id(found))
        app = getattr(found, "app", None)
    return None
