"""What ``meshcors fix`` says besides the diff."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from meshcors._cli.mesh_files import for_this_verb
from meshcors._policy.wording import file_argument
from meshcors.mesh._fix.pod_commands import deploy_commands, deploy_namespaces, serve_command
from meshcors.mesh._fix.still_denied import still_denied
from meshcors.mesh._lint import diagnose

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._fix import FixOptions, FixResult

_LACKS: Final = (
    "without a pod, Envoy does not check the method and the headers of a preflight, sends no Vary,"
    " and answers a missing or unknown key with a bare 404 that pages cannot read"
)


def notes(
    result: FixResult, mesh: MeshDocuments, options: FixOptions, files: Sequence[str]
) -> Iterator[str]:
    """Yield what there is to say about a fix of ``mesh``, which is read from ``files``."""
    if result.pod is not None:
        yield from _about_pod(result.pod, result, options)
    elif result.blocked:
        yield _LACKS
    yield from result.notes
    named = any(calls.policies for calls in result.blocked)
    origins = [value for _, value in options.origins]
    if (
        named
        and origins
        and not any(it in text for it in origins for text in result.texts.values())
    ):
        which = files[0] if len(files) == 1 else "the files"
        verb = "already names" if len(files) == 1 else "already name"
        pronoun = "it allows" if len(files) == 1 else "they allow"
        yield f"{which} {verb} the origins that {pronoun}: --allow-origin changes nothing"
    leaving = dict.fromkeys(
        calls.service.label
        for calls in result.blocked
        if any(each.calls.route.source.cors_policy is None for each in calls.calls)
    )
    for label in leaving:
        yield (
            f"{label}: a rule without corsPolicy leaves CORS to its service: run MeshCORS in it, or"
            " give the rule a corsPolicy"
        )
    yield from still_denied(result.blocked, result.after)
    for problem in mesh.problems:
        yield f"not read, so its calls were not checked: {problem}"
    yield from (str(for_this_verb(note)) for note in mesh.notes)
    severities = Counter(finding.severity for finding in diagnose(result.after))
    left = [(severities[each], each) for each in ("error", "warning") if severities[each]]
    if left:
        counted = " and ".join(f"{count} {name}{'s' * (count > 1)}" for count, name in left)
        verb = "is" if sum(count for count, _ in left) == 1 else "are"
        lint = shlex.join(["meshcors", "lint", *map(file_argument, files)])
        yield f"{counted} {verb} left for you to fix: {lint}"


def _about_pod(policy: Mapping[str, Any], result: FixResult, options: FixOptions) -> Iterator[str]:
    """Yield how to start the pod that the new rules name, and how to deploy it."""
    address = ":".join(map(str, options.pod))
    command = serve_command(policy)
    if command is not None:
        yield f"start the pod behind {address} with: {command}"
    namespaces = deploy_namespaces(result.blocked, options)
    if not namespaces:
        return
    deploying = "or deploy" if command is not None else "deploy"
    one = " it" if len(namespaces) == 1 else ""
    if len(namespaces) > 1:
        named = ", ".join(each or "the current one" for each in namespaces)
        yield f"{deploying} one pod in each of these namespaces: {named}"
        deploying = "first"
    first, *others = deploy_commands(policy, namespaces, options)
    yield f"{deploying}{one}: {first}"
    for each in others:
        yield f"then: {each}"
    yield "build the pod's image and name it in that command with --image: see docs/kubernetes.md"
