"""What to change so that a call that is not allowed is, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors._policy.headers import SAFELISTED_REQUEST_HEADERS
from meshcors.mesh._fix.pod_commands import serve_command

if TYPE_CHECKING:
    from meshcors import browser
    from meshcors.mesh._analysis.cause import Cause
    from meshcors.mesh._analysis.page_call import TracedCall
    from meshcors.mesh._explain.fixes import FixCommands

# Those that a pod always allows.
_ALLOWED_METHODS: Final = ("GET", "HEAD", "POST")


def hints(cause: Cause | None, page_call: TracedCall, commands: FixCommands) -> list[str]:
    """Return what to change, line by line; nothing for a call that is allowed."""
    if cause is None:
        return []
    lines = list(cause.advice)
    if cause.needs_preflight_rule:
        taken = page_call.decisive.answer.route is not None and cause.code != "preflight_strayed"
        lines.append(f"Put a rule that takes preflights {'before this one' if taken else 'first'}:")
        lines += commands.lines(page_call)
    if cause.code == "service_unknown":
        lines.append("To assume that they answer by a policy, pass its file with --config.")
    if cause.code == "pod_unknown" and page_call.call.origin == "null":
        lines.append("Pass the pod's policy with --config.")  # none should allow null
    elif cause.code == "pod_unknown":
        lines.append("Start the pod with a policy that allows the call:")
        lines.append(_pod_command(page_call.call))
        lines.append("or pass its policy with --config.")
    return lines


def _pod_command(call: browser.Request) -> str:
    """Return the command line of a pod that allows a call."""
    names = dict.fromkeys(name.lower() for name, _ in call.headers)
    policy = {
        "allowOrigins": [call.origin],
        "allowMethods": [call.method] if call.method not in _ALLOWED_METHODS else [],
        "allowHeaders": [name for name in names if name not in SAFELISTED_REQUEST_HEADERS],
        "allowCredentials": call.credentials == "include",
    }
    return serve_command({"corsPolicy": policy}) or ""
