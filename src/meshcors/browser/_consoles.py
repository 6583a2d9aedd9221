"""What the engines print in their consoles for one fault: each has its words, and its order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from meshcors.browser._chromium_console import chromium_line
from meshcors.browser._faults import NO_FAULT, Fault, Step
from meshcors.browser._firefox_console import firefox_line
from meshcors.browser._request_response import Request
from meshcors.browser._safari_console import safari_lines


class FaultByEngine(NamedTuple):
    """What is wrong in an answer by the standard, whose order Chromium follows, and to the others.

    Engines that look at the same answer in another order report another fault.
    """

    chromium: Fault
    firefox: Fault
    safari: Fault


def console_lines(
    request: Request, step: Step, faults: FaultByEngine, status: int = 0, redirect: str = ""
) -> Mapping[str, str]:
    """Return what "chromium", "firefox" and "safari" print; empty if there is no fault.

    `status` is that of the answer at fault, and `redirect` where it leads if it is one to the call.
    """
    if faults.chromium == NO_FAULT:
        return {"chromium": "", "firefox": "", "safari": ""}
    return {
        "chromium": chromium_line(request, step, faults.chromium),
        "firefox": firefox_line(request, faults.firefox),
        "safari": safari_lines(request, faults.safari, status, redirect),
    }
