"""The commands that start the pod behind new rules, or deploy it."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, Final

from meshcors.mesh._analysis.service_host import service_of_host

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshcors.mesh._fix.blocked_calls import BlockedCalls
    from meshcors.mesh._fix.options import FixOptions

_SERVE: Final = ("python", "-m", "meshcors.dummy")


def serve_command(policy: Mapping[str, Any]) -> str | None:
    """Return the command line of the pod, quoted for a shell; None if it needs a file of rules."""
    if "rules" in policy:
        return None
    allowed = policy["corsPolicy"]
    words = list(_SERVE)
    for origin in allowed["allowOrigins"]:
        words += [
            "--allow-origin",
            origin if isinstance(origin, str) else f"regex:{origin['regex']}",
        ]
    for option in ("Method", "Header"):
        for name in allowed.get(f"allow{option}s", ()):
            words += [f"--allow-{option.lower()}", name]
    words += ["--key-header", policy["key"]["header"]] if "key" in policy else []
    words += ["--allow-credentials"] if allowed.get("allowCredentials") else []
    words += ["--max-age", allowed["maxAge"]] if "maxAge" in allowed else []
    return shlex.join(words)


def deploy_namespaces(blocked: Iterable[BlockedCalls], options: FixOptions) -> list[str]:
    """Return the namespaces of the Service that the new rules name; empty if it is no Service.

    ``""`` stands for the current one, where a document names none.
    """
    service = service_of_host(options.pod[0])
    if service is None:
        return []
    _, named = service
    return list(
        dict.fromkeys(
            named or (each.service.namespace if _has_namespace(each) else "") for each in blocked
        )
    )


def deploy_commands(
    policy: Mapping[str, Any], namespaces: Sequence[str], options: FixOptions
) -> list[str]:
    """Return the commands that deploy the pod as a Service in each of these namespaces.

    The first one writes the policy; for one namespace also the pod's objects, which the second
    one applies.
    """
    host, port = options.pod
    service = service_of_host(host)
    name = service[0] if service else host
    render = ["meshcors", "render", "--config", f"{name}.json", "--to", "kubernetes"]
    render += ["--pod", f"{name}:{port}"]
    text = shlex.quote(json.dumps(policy))
    write = f"printf %s {text} > {shlex.quote(name)}.json"

    def rendered(directory: str, namespace: str) -> str:
        where = f" --namespace {namespace}" if namespace else ""
        return f"{shlex.join(render)} --directory {directory}{where}"

    if len(namespaces) == 1:
        directory = shlex.quote(name)
        made = rendered(directory, shlex.quote(namespaces[0]) if namespaces[0] else "")
        return [f"{write} && {made}", f"kubectl apply -k {directory}"]
    commands = [write]
    if "" in namespaces:
        directory = shlex.quote(f"{name}-current")
        commands.append(f"{rendered(directory, '')} && kubectl apply -k {directory}")
    variable = '"$namespace"'
    directory = shlex.quote(name) + "-" + variable
    command = f"{rendered(directory, variable)} && kubectl apply -k {directory}"
    listed = shlex.join(each for each in namespaces if each)
    return [*commands, f"for namespace in {listed}; do {command}; done"]


def _has_namespace(blocked: BlockedCalls) -> bool:
    return blocked.service.node_at("metadata", "namespace") is not None
