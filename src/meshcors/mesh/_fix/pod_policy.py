"""The policy of the pod behind new rules, and the commands that start or deploy it."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from meshcors._policy.headers import SAFELISTED_REQUEST_HEADERS
from meshcors.mesh._analysis.http_route_cors import cors_origin
from meshcors.mesh._analysis.service_host import service_of_host
from meshcors.mesh._documents.model import StringMatch
from meshcors.mesh._documents.problems import DocumentError
from meshcors.mesh._fix.errors import origins_needed
from meshcors.mesh._fix.narrowing import literal
from meshcors.mesh._fix.preflight_rule import preflight_policy
from meshcors.mesh._fix.rule_data import policy_data

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshcors.mesh._documents.model import CorsPolicy, DocumentKey
    from meshcors.mesh._fix.blocked_calls import BlockedCalls
    from meshcors.mesh._fix.options import FixOptions

_SERVE: Final = ("python", "-m", "meshcors.dummy")


def pod_policy(blocked: Iterable[BlockedCalls], options: FixOptions) -> dict[str, Any] | None:
    """Return the policy file, as plain data, of a pod that allows all these calls.

    None if no pod answers.

    There is a rule for each set of hosts, if their policies differ. ``ORIGIN`` stands for an origin
    that neither the files nor the options name. ``DocumentError`` is raised if rules of the same
    hosts allow any origin, and credentials.
    """
    if options.responder == "mesh":
        return None
    by_document: dict[DocumentKey, list[BlockedCalls]] = {}
    for each in blocked:
        by_document.setdefault(each.service.key, []).append(each)
    by_hosts: dict[tuple[str, ...], list[BlockedCalls]] = {}
    for parts in by_document.values():
        by_hosts.setdefault(tuple(sorted(parts[0].service.hosts)), []).extend(parts)
    policies = {hosts: _policy(parts, options) for hosts, parts in by_hosts.items()}
    first, *others = policies.values()
    if all(other == first for other in others):
        return first
    # The first rule that covers a host decides.
    ordered = sorted(policies, key=lambda hosts: ("*" in hosts, any("*" in it for it in hosts)))
    return {
        "rules": [
            {**({} if "*" in hosts else {"hosts": list(hosts)}), **policies[hosts]}
            for hosts in ordered
        ]
    }


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


def deploy_commands(
    policy: Mapping[str, Any], blocked: Iterable[BlockedCalls], options: FixOptions
) -> list[str]:
    """Return the commands that deploy the pod as the Service that the new rules name.

    The first one writes the policy and the pod's objects, the second one applies them. There is a
    pair for each namespace from which the rules name the Service. Nothing is returned for a host
    that is no Service.
    """
    host, port = options.pod
    service = service_of_host(host)
    if service is None:
        return []
    name, named = service
    namespaces = dict.fromkeys(
        named or (each.service.namespace if _has_namespace(each) else "") for each in blocked
    )
    commands: list[str] = []
    for namespace in namespaces:
        directory = name if len(namespaces) == 1 else f"{name}-{namespace or 'default'}"
        render = ["meshcors", "render", "--config", f"{directory}.json", "--to", "kubernetes"]
        render += ["--directory", directory, "--pod", f"{name}:{port}"]
        render += ["--namespace", namespace] if namespace else []
        text = shlex.quote(json.dumps(policy))
        write = f"printf %s {text} > {shlex.quote(directory)}.json"
        commands += [f"{write} && {shlex.join(render)}", f"kubectl apply -k {directory}"]
    return commands


def _has_namespace(blocked: BlockedCalls) -> bool:
    return blocked.service.node_at("metadata", "namespace") is not None


def _policy(parts: list[BlockedCalls], options: FixOptions) -> dict[str, Any]:
    """Return one policy for calls to the same hosts."""
    found: list[CorsPolicy] = []
    named = True
    for part in (inner for each in parts for inner in each.by_policy()):
        try:
            found.append(preflight_policy(part, options))
        except DocumentError:
            named = False
    names = list(dict.fromkeys(name for part in parts for name in part.names))
    key = names[0] if len(names) == 1 else None
    allowed: dict[str, Any] = {}
    if found:
        allowed = policy_data(_union(found))
        allowed.pop("unmatchedPreflights", None)
    allowed["allowOrigins"] = list(
        dict.fromkeys(_origin(each) for policy in found for each in policy.allow_origins)
    ) + ([] if named else ["ORIGIN"])
    headers = [*allowed.get("allowHeaders", ()), *names]
    headers = [each for each in dict.fromkeys(headers) if each not in _ALWAYS and each != key]
    # Envoy answers * with the names that were asked for, and for a browser * has an exception.
    allowed["allowHeaders"] = ["*", "authorization"] if "*" in headers else headers
    if "*" in allowed["allowOrigins"]:
        allowed["allowOrigins"] = ["*"]
        if allowed.get("allowCredentials"):
            if not options.origins:
                place = parts[0].service.place
                raise origins_needed(place, "rules of one pod allow any origin, and credentials")
            named_by_user = (
                StringMatch("regex" if kind == "regex" else "exact", text, parts[0].service.place)
                for kind, text in options.origins
            )
            allowed["allowOrigins"] = list(map(_origin, named_by_user))
    cors = {
        field: [_origin_data(text) for text in value] if field == "allowOrigins" else value
        for field, value in allowed.items()
        if value
    }
    return {"corsPolicy": cors, **({"key": {"header": key}} if key else {})}


# The pod allows these without being told.
_ALWAYS: Final = frozenset(SAFELISTED_REQUEST_HEADERS)


def _union(policies: list[CorsPolicy]) -> CorsPolicy:
    first = policies[0]
    ages = [policy.max_age for policy in policies if policy.max_age is not None]
    methods = dict.fromkeys(name for policy in policies for name in policy.allow_methods)
    headers = dict.fromkeys(name for policy in policies for name in policy.allow_headers)
    return replace(
        first,
        allow_methods=("*",) if "*" in methods else tuple(methods),
        allow_headers=("*",) if "*" in headers else tuple(headers),
        allow_credentials=any(policy.allow_credentials for policy in policies) or None,
        max_age=min(ages) if ages else None,
    )


def _origin(match: StringMatch) -> str:
    """Return an origin or a pattern as the pod's flags spell it."""
    if match.kind == "prefix":
        return f"regex:{literal(match.value)}.*"
    pattern = cors_origin(match) if match.kind == "regex" else match.value
    return pattern or f"regex:{match.value}"


def _origin_data(text: str) -> str | dict[str, str]:
    return {"regex": text.removeprefix("regex:")} if text.startswith("regex:") else text
