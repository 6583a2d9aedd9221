"""How a process that must not serve ends: a line on stderr for each reason, and an exit code."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

BAD_USAGE = 2


def refuse(*reasons: str) -> NoReturn:
    """End the process; nothing that catches exceptions, and no other thread, goes on serving."""
    for reason in reasons:
        print(f"meshcors run: {reason}", file=sys.stderr, flush=True)
    # With any other code gunicorn would restart its workers forever.
    arbiter = getattr(sys.modules.get("gunicorn.arbiter"), "Arbiter", None)
    code = BAD_USAGE if arbiter is None else int(arbiter.APP_LOAD_ERROR)
    threading = sys.modules.get("threading")
    if threading is not None and threading.current_thread() is not threading.main_thread():
        # In another thread SystemExit would end the thread alone.
        os._exit(code)
    raise SystemExit(code)
