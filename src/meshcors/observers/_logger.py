"""The logger ``meshcors``: refusals at INFO, and observers that fail at ERROR.

Lines that clients cause are bounded in length and number, and have no characters that break a line
or control a terminal; no key's value is in them. Where nobody has imported `logging`, nobody reads
it, so it is not imported here.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any, Final

from meshcors._decision.observation import ObservedDecision, Observer
from meshcors.observers._rate import LogRate

_NAME: Final = "meshcors"
# For all middleware of this process together.
_REFUSALS: Final = LogRate()
_FAILURES: Final = LogRate()


def logs_refusals() -> bool:
    """Tell whether refusals are logged now: only then are they to be passed to `log_refusal`."""
    logging = sys.modules.get("logging")
    return logging is not None and bool(logging.getLogger(_NAME).isEnabledFor(logging.INFO))


def log_refusal(decision: ObservedDecision) -> None:
    """Log a refusal, if the rate allows it."""
    # An invalid policy is an error, and has been logged as such.
    if decision.reason == "app_failed" or not _REFUSALS.allows_one():
        return
    import logging

    logger = logging.getLogger(_NAME)
    if left_out := _REFUSALS.take_left_out():
        logger.info("%d refusals were left out of the log", left_out)
    # The texts are a client's: in quotes they cannot be taken for another part of the line.
    quoted = (json.dumps(each) for each in (decision.method, decision.path, decision.origin))
    told = (decision.reason, decision.kind, *quoted)
    logger.info("refused: %s: %s %s %s from %s", *told, extra={"fields": asdict(decision)})


def guarded(observer: Observer | None) -> Observer | None:
    """Return `observer`, without its exceptions: they are logged.

    Raises `TypeError` for one that cannot be called, or would have to be awaited.
    """
    if observer is None:
        return None
    given: Any = observer
    if not callable(given):
        raise TypeError(f"observer: {type(given).__name__} cannot be called: pass a function")
    if _is_awaited(given):
        raise TypeError("observer: it is called, not awaited: pass a plain function")

    def tell(decision: ObservedDecision) -> None:
        try:
            observer(decision)
        except Exception as error:
            _log_failure(error)

    return tell


def _is_awaited(given: Any) -> bool:
    from inspect import iscoroutinefunction

    return iscoroutinefunction(given) or iscoroutinefunction(type(given).__call__)


def _log_failure(error: Exception) -> None:
    if _FAILURES.allows_one():
        import logging

        logging.getLogger(_NAME).error("an observer failed", exc_info=error)
