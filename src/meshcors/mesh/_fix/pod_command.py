"""The command line of the pod behind one new rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcors.mesh._fix.pod_policy import pod_policy, serve_command

if TYPE_CHECKING:
    from meshcors.mesh._fix.blocked_calls import BlockedCalls
    from meshcors.mesh._fix.options import FixOptions


def pod_command(blocked: BlockedCalls, options: FixOptions) -> str:
    """Return the command line, quoted for a shell, of a pod that allows these calls.

    ``ORIGIN`` stands for an origin that neither the file nor the options name.
    """
    policy = pod_policy([blocked], options)
    return (serve_command(policy) if policy is not None else None) or ""
