"""The preflight pod: ``python -m meshcors.dummy`` answers preflights for all services of a URL.

The command is called ``dummy`` because no service is behind it; everywhere else it is "the pod".
"""

import os
import signal


def end_on_sigterm() -> None:
    """End the process with exit code 0 at a SIGTERM, until a pod serves, which then drains.

    Process 1 of a container ignores every signal without a handler, so this comes before the
    imports, which take a tenth of a second. Nothing is open yet that would have to be closed.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))
