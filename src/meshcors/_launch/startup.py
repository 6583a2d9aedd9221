"""What happens at the start of every Python process below the launcher.

Nothing is imported here that the process may not need: a server's hooks come with the server.
"""

from __future__ import annotations

import sys

from meshcors._launch import handing_on
from meshcors._launch.imports import ImportWatch
from meshcors._launch.servers import WATCHED, hook


def begin(folder: str) -> None:
    """Watch the imports, and hand `folder`, which led here, on to every program that follows."""
    handing_on.keep(folder)
    sys.meta_path.insert(0, ImportWatch(WATCHED, hook))
    for name in WATCHED:
        module = sys.modules.get(name)
        if module is not None:
            hook(module)
