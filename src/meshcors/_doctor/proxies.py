"""A proxy that the environment names for a URL: browsers may use it, and doctor never does.

No browser uses one for this machine.
"""

from __future__ import annotations

import os
from typing import Final
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

from meshcors._doctor.local_network import is_this_machine

# For every scheme, after those of the scheme.
_ALL: Final = "all_proxy"


def named_proxy(url: str) -> str:
    """Return the variable that names a proxy for `url`, empty without one.

    Its value is not for output: it may have a password.
    """
    parts = urlsplit(url)
    if proxy_bypass(parts.netloc) or is_this_machine(parts.hostname or ""):
        return ""
    wanted = (f"{parts.scheme}_proxy", _ALL)
    found = [
        (wanted.index(name.lower()), name)
        for name, value in os.environ.items()
        if value and name.lower() in wanted
    ]
    return min(found)[1] if found else ""
