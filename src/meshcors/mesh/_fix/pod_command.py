"""The command line of the pod behind a new rule."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from meshcors._policy.headers import SAFELISTED_REQUEST_HEADERS
from meshcors.mesh._documents.problems import DocumentError
from meshcors.mesh._fix.preflight_rule import preflight_policy
from meshcors.mesh._fix.rule_data import policy_data

if TYPE_CHECKING:
    from meshcors.mesh._fix.blocked_calls import BlockedCalls
    from meshcors.mesh._fix.options import FixOptions


def pod_command(blocked: BlockedCalls, options: FixOptions) -> str:
    """Return the command line, quoted for a shell, of a pod that allows these calls.

    ``ORIGIN`` stands for an origin that neither the file nor the options name.
    """
    allowed: dict[str, Any]
    try:
        allowed = policy_data(preflight_policy(blocked, options))
    except DocumentError:
        allowed = {"allowOrigins": [{"exact": "ORIGIN"}], "allowHeaders": list(blocked.names)}
    words = ["python", "-m", "meshcors.dummy"]
    for match in allowed["allowOrigins"]:
        for kind, value in match.items():
            words += ["--allow-origin", f"regex:{value}" if kind == "regex" else value]
    for method in allowed.get("allowMethods", ()):
        words += ["--allow-method", method]
    key = blocked.names[0] if len(blocked.names) == 1 else None
    for name in allowed.get("allowHeaders", ()):
        if name not in {key, *SAFELISTED_REQUEST_HEADERS}:
            words += ["--allow-header", name]
    words += ["--key-header", key] if key else []
    words += ["--allow-credentials"] if allowed.get("allowCredentials") else []
    words += ["--max-age", allowed["maxAge"]] if "maxAge" in allowed else []
    return shlex.join(words)
