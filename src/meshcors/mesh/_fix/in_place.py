"""Fix the documents of some files, and change nothing else in them.

The documents say what is wrong and what to write; the YAML nodes they were read from say where in
the text. The edits are spliced in there, so everything else stays byte for byte. The result is read
again: it must contain the intended changes and nothing else, a preflight that is still lost is an
error, and so is a call that worked and is harmed.
"""

from __future__ import annotations

import json
from itertools import product
from typing import TYPE_CHECKING, Any

from meshcors._policy.place import Place
from meshcors.mesh._analysis.comparison import answered_as_before, harmed_calls
from meshcors.mesh._analysis.lost_calls import lost_calls
from meshcors.mesh._analysis.mesh_documents import MeshDocuments, read_mesh
from meshcors.mesh._fix.blocked_calls import blocked_calls
from meshcors.mesh._fix.changes import (
    changed_lists,
    differs_only_in,
    new_first_rule,
    new_last_rule,
    new_origins,
)
from meshcors.mesh._fix.edited_mesh import with_closed_origins
from meshcors.mesh._fix.edits import apply
from meshcors.mesh._fix.errors import (
    cannot_fix,
    refuse_running,
    would_harm,
    would_stay_blocked,
)
from meshcors.mesh._fix.file import read_file
from meshcors.mesh._fix.http_route_limits import refuse_beyond_limits
from meshcors.mesh._fix.options import FixResult
from meshcors.mesh._fix.origins import refuse_open_origins, replaced_origins
from meshcors.mesh._fix.owned import without_owned
from meshcors.mesh._fix.plan import planned
from meshcors.mesh._fix.pod_policy import pod_policy, summed_policies
from meshcors.mesh._fix.unread import refuse_unread

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshcors.mesh._documents.model import HttpRule, VirtualService
    from meshcors.mesh._fix.blocked_calls import BlockedCalls
    from meshcors.mesh._fix.changes import Change
    from meshcors.mesh._fix.edits import Edit
    from meshcors.mesh._fix.file import File
    from meshcors.mesh._fix.options import FixOptions
    from meshcors.mesh._fix.plan import Plan


def fix(text: str, name: str, options: FixOptions) -> FixResult:
    """Return ``text`` with every document in it fixed; unchanged if nothing is wrong.

    See `fix_mesh`. ``name`` is the file's name in messages.
    """
    return fix_file(read_file(text, name), options)


def fix_file(file: File, options: FixOptions) -> FixResult:
    """Return what `fix` does, for a file that is read once and fixed with several options."""
    file.refuse_if_empty()
    return fix_mesh(file.mesh, options)


def fix_mesh(mesh: MeshDocuments, options: FixOptions) -> FixResult:
    """Return the texts of all files with every VirtualService and HTTPRoute in them fixed.

    Each document with calls that a browser cannot make gets first rules for preflights. Where
    a policy allows any origin with credentials, the origins of ``options`` replace it.

    ``DocumentError`` is raised if origins have to be named, if a file cannot be changed without
    touching the rest or a controller overwrites it, and if every rule would harm somebody's calls.
    """
    refuse_running(mesh.documents)
    before = with_closed_origins(mesh, options)
    blocked, left = without_owned(mesh, blocked_calls(before))
    refuse_open_origins(mesh, options)
    replaced = replaced_origins(mesh, options)
    pod = pod_policy(blocked, options)
    plan = planned(before, blocked, options)
    plan.notes += [*left, *(summed_policies(blocked, options) if pod else ())]
    changes = _new_rules(mesh, plan)
    for each in replaced:
        changes.setdefault(each.file, []).append(new_origins(mesh.texts[each.file], each))
    if not changes:
        return FixResult(mesh.texts, (), mesh, tuple(plan.notes))
    refuse_unread(mesh, plan.services)
    after = _joined(mesh, {file: _changed(mesh, file, found) for file, found in changes.items()})
    for lost in answered_as_before(before, after, plan.lost_beside_kept):
        raise would_stay_blocked(lost)
    repaired = {service.key for service in plan.services}
    refuse_beyond_limits(each for each in after.documents if each.key in repaired)
    prove(before, after, plan)
    return FixResult(after.texts, plan.blocked, after, tuple(plan.notes), pod)


def prove(before: MeshDocuments, after: MeshDocuments, plan: Plan) -> None:
    """Raise ``DocumentError`` if anybody is harmed, or a call of the plan is still lost."""
    for harmed in harmed_calls(before, after, plan.also):
        raise would_harm(harmed)
    for lost in answered_as_before(before, after, plan.lost_beside_kept):
        raise would_stay_blocked(lost)
    repaired = {service.key for service in plan.services}
    for lost in lost_calls(after):
        if lost.calls.route.document.key in repaired:
            raise would_stay_blocked(lost)


def comment(blocked: BlockedCalls, rule: HttpRule) -> str:
    """Return why a new rule is there, for a comment above it."""
    if rule.label:
        return rule.label
    if not blocked.names:
        return "Browsers' preflights, which the rules below do not take."
    them = "them" if len(blocked.names) > 1 else "it"
    return f"A browser's preflight names {', '.join(blocked.names)} but never carries {them}."


def _last_comment(service: VirtualService) -> str:
    # The order of an HTTPRoute's rules means nothing.
    others = "rule above" if service.kind == "VirtualService" else "other rule"
    return f"Requests that no {others} takes go to the pod, whose answers pages can read."


def _new_rules(mesh: MeshDocuments, plan: Plan) -> dict[str, list[Change]]:
    """Return the changes that write the rules of a plan, by file."""
    changes: dict[str, dict[tuple[int, int, str], Change]] = {}

    def add(service: VirtualService, rule: HttpRule, why: str, *, first: bool) -> None:
        file = service.place.file
        make = new_first_rule if first else new_last_rule
        change = make(mesh.texts[file], _spec(service), plan.written(rule, service), why)
        # Documents that share a list by an alias share its new rules too.
        key = (change.target.start_mark.index, change.number, json.dumps(change.new))
        changes.setdefault(file, {}).setdefault(key, change)

    for key, rules in plan.rules.items():
        for blocked, rule in rules:
            add(blocked.service, rule, comment(blocked, rule), first=True)
        if key in plan.unmatched:
            service = rules[0][0].service
            add(service, plan.unmatched[key], _last_comment(service), first=False)
    return {file: list(found.values()) for file, found in changes.items()}


def _spec(service: VirtualService) -> Any:
    """Return the node of a ``spec`` that has rules of its own."""
    spec = service.node_at("spec")
    if not any(key.value == service.rules_field for key, _ in spec.value):
        place = service.place_at("spec")
        field = service.rules_field
        raise cannot_fix(place, f"the {field} of this document come from an alias, merged in")
    return spec


def _changed(mesh: MeshDocuments, file: str, changes: Sequence[Change]) -> MeshDocuments:
    """Return a changed file as it is read again: it has all the changes, and no others."""
    lists = changed_lists(changes)
    for edits in _alternatives(changes):
        after = read_mesh({file: apply(mesh.texts[file], edits)})
        before = mesh.of_file(file)
        same_number = (
            len(after.roots[file]) == len(before.roots[file])
            and len(after.problems) == len(before.problems)
            and len(after.documents) == len(before.documents)
        )
        if same_number and differs_only_in(lists, before.roots[file], after.roots[file]):
            return after
    raise cannot_fix(Place(file, 1, 1), "this file cannot be changed without touching the rest")


def _alternatives(changes: Sequence[Change]) -> Iterator[list[Edit]]:
    """Yield the edits of all changes: the first alternative of each, then the last of some."""
    if not all(change.alternatives for change in changes):
        return
    for first, other in product((0, -1), repeat=2):
        yield [
            edit
            for change in changes
            for edit in change.alternatives[other if change.number else first]
        ]


def _joined(mesh: MeshDocuments, changed: dict[str, MeshDocuments]) -> MeshDocuments:
    """Return the files together, in the order of ``mesh``."""
    parts = [changed.get(file) or mesh.of_file(file) for file in mesh.texts]
    return MeshDocuments(
        tuple(each for part in parts for each in part.documents),
        tuple(each for part in parts for each in part.others),
        {file: text for part in parts for file, text in part.texts.items()},
        tuple(each for part in parts for each in part.problems),
        {file: roots for part in parts for file, roots in part.roots.items()},
    )
