"""What ``meshcors fix`` says besides the diff."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

from meshcors.mesh._fix.pod_policy import deploy_commands, serve_command
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
        yield f"{label}: a rule without corsPolicy leaves CORS to its service"
    for problem in mesh.problems:
        yield f"not read, so its calls were not looked at: {problem}"
    left = sum(finding.severity == "error" for finding in diagnose(result.after))
    if left:
        errors = "1 error is" if left == 1 else f"{left} errors are"
        yield f"{errors} left for you to fix: {shlex.join(['meshcors', 'lint', *files])}"


def _about_pod(policy: Mapping[str, Any], result: FixResult, options: FixOptions) -> Iterator[str]:
    """Yield how to start the pod that the new rules name, and how to deploy it."""
    address = ":".join(map(str, options.pod))
    command = serve_command(policy)
    if command is not None:
        yield f"start the pod behind {address} with: {command}"
    deploying = "or deploy it" if command is not None else "deploy it"
    for number, each in enumerate(deploy_commands(policy, result.blocked, options)):
        yield f"{'then' if number % 2 else deploying}: {each}"
