"""Assertions about a page's call; their messages tell its story."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from meshcors._policy.wording import did_you_mean
from meshcors.browser import Code
from meshcors.testing._story import story

if TYPE_CHECKING:
    from meshcors.browser import Step
    from meshcors.testing._fetch import PageCall


def assert_allowed(call: PageCall) -> None:
    """Assert that the script may read the answer, whatever its status is.

    The message of the `AssertionError` is the story of the call: what was sent and answered, what
    the consoles print, and, through a `MeshGateway`, the way through its rules and the fix.
    """
    __tracebackhide__ = True
    if not call.verdict.allowed:
        raise AssertionError(story(call))


def assert_blocked(call: PageCall, code: Code | None = None, *, step: Step | None = None) -> None:
    """Assert that a browser blocks the call, with this code and at this step if they are given.

    `code` is one of `meshcors.browser.Code`, such as ``acao_missing``; `ValueError` for any other.
    The message of the `AssertionError` is the story of the call.
    """
    __tracebackhide__ = True
    if code is not None and code not in get_args(Code):
        raise ValueError(f"code: {did_you_mean(code, get_args(Code))}")
    verdict = call.verdict
    wanted = " ".join(["blocked", *([f"with {code}"] if code else []), *_at(step)])
    is_met = code in (None, verdict.code) and step in (None, verdict.step)
    if verdict.allowed or not is_met:
        raise AssertionError(f"The call should be {wanted}.\n{story(call)}")


def _at(step: Step | None) -> list[str]:
    return [] if step is None else [f"at the {'preflight' if step == 'preflight' else 'request'}"]
