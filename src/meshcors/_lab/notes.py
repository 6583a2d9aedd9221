"""What the lab says about the documents, in sentences.

Pure. It is said at the start and on the page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors.mesh._analysis.guarded_workloads import namespace_of
from meshcors.mesh._analysis.untyped_objects import group_and_kind, text_of, value_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments

_MOST_PROBLEMS: Final = 12
_MIDDLEWARE: Final = (
    "each stand-in for a service runs the middleware, with the pod's policy and its own key"
)
_WITHOUT: Final = "; a service whose rule has a corsPolicy works without it too"
# What a real gateway runs in front of the rules.
_GUARDS: Final = ("AuthorizationPolicy", "EnvoyFilter", "RequestAuthentication")
_NAMED_GUARDS: Final = 3


def about_middleware(*, before: bool, after: bool) -> Iterator[str]:
    """Say on which sides there is a pod, and so the middleware in each model service."""
    if before:
        yield f"the documents send preflights to a pod, so {_MIDDLEWARE}{_WITHOUT}"
    elif after:
        yield f"after the fix, {_MIDDLEWARE}{_WITHOUT}"


def left_out(rules: int, mesh: MeshDocuments) -> Iterator[str]:
    """Say how many rules have no calls, and what could not be read."""
    if rules:
        yield f"{rules} more rule{' is' if rules == 1 else 's are'} not on this page"
    for problem in mesh.problems[:_MOST_PROBLEMS]:
        yield f"not read: {problem}"
    yield from map(str, mesh.notes[:_MOST_PROBLEMS])


def unguarded(mesh: MeshDocuments) -> Iterator[str]:
    """Say which objects this gateway runs without."""
    found = [
        f"{kind} {namespace_of(each)}/{text_of(value_at(each, 'metadata', 'name'))}"
        for each in mesh.others
        if (kind := group_and_kind(each)[1]) in _GUARDS
    ]
    if found:
        left = len(found) - _NAMED_GUARDS
        more = f" and {left} more" if left > 0 else ""
        named = ", ".join(found[:_NAMED_GUARDS])
        yield f"the lab's gateway runs without {named}{more}; meshcors explain judges these too"
