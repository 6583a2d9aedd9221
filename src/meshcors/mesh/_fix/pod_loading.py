"""Whether the pod starts with a policy file: the file is read as the pod reads it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from meshcors._policy.errors import PolicyError
from meshcors._policy.warning import PolicyWarning
from meshcors.config._fields import FieldPath
from meshcors.config._policy_file import read_policy
from meshcors.config._rule_file import read_rules
from meshcors.mesh._fix.errors import cannot_fix

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from meshcors._policy.place import Place
    from meshcors.mesh._documents.model import StringMatch
    from meshcors.mesh._fix.blocked_calls import BlockedCalls


def refuse_unloadable(
    policy: Mapping[str, Any],
    blocked: Sequence[BlockedCalls],
    spelled: Callable[[StringMatch], str],
) -> None:
    """Raise ``DocumentError`` if the pod would refuse a policy file, given as plain data.

    The policy is for the calls of ``blocked``; ``spelled`` returns an origin as the file has it.
    """
    where = FieldPath("")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PolicyWarning)
        try:
            if "rules" in policy:
                read_rules([], [policy], where)
            else:
                read_policy([], policy, where)
        except PolicyError as error:
            problem = error.problems[0]
            place = _place(problem.value, blocked, spelled)
            raise cannot_fix(place, f"the pod refuses {problem.value}", problem.hint) from None


def _place(
    text: str, blocked: Sequence[BlockedCalls], spelled: Callable[[StringMatch], str]
) -> Place:
    """Return where an origin is written, or else the place of a document."""
    entries = (
        entry for each in blocked for policy in each.policies for entry in policy.allow_origins
    )
    found = (entry.place for entry in entries if spelled(entry).removeprefix("regex:") == text)
    return next(found, blocked[0].service.place)
