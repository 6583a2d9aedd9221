"""Lint rules about the names and the max age in a corsPolicy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcors._policy.max_age import LARGEST_USEFUL_MAX_AGE, max_age_note
from meshcors.mesh._analysis.useless_names import WHY_USELESS
from meshcors.mesh._lint.finding import Finding
from meshcors.mesh._lint.other_policies import all_policies, policies_for_preflights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments


def names_without_effect(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find names in the lists that need no permission, or that pages can never use.

    One finding for each list, at the first of the names; they are summed up by document.
    """
    for located in policies_for_preflights(mesh):
        for field, names in located.policy.name_lists.items():
            groups: dict[str, list[str]] = {}
            numbers: list[int] = []
            for number, name in enumerate(names):
                if why := WHY_USELESS[field](name):
                    groups.setdefault(why, []).append(name)
                    numbers.append(number)
            if groups:
                sentences = (_sentence(listed, why) for why, listed in groups.items())
                hint = f"remove {'them' if len(numbers) > 1 else 'it'}"
                place = located.place(field, numbers[0])
                reason = f"{field}: {'; '.join(sentences)}"
                yield Finding(place, reason, hint, located.document.place)


def _sentence(names: list[str], reason: str) -> str:
    if len(names) > 1:
        verb, _, rest = reason.partition(" ")
        reason = f"{ {'needs': 'need', 'is': 'are'}.get(verb, verb) } {rest}"
    return f"{', '.join(names)} {reason}"


def long_max_age(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a maxAge longer than browsers keep the answer to a preflight."""
    for located in policies_for_preflights(mesh):
        age = located.policy.max_age
        if age is not None and age > LARGEST_USEFUL_MAX_AGE:
            hint = f"write {LARGEST_USEFUL_MAX_AGE // 3600}h"
            yield Finding(located.place("maxAge"), max_age_note(age), hint, located.document.place)


def literal_stars(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a ``*`` that does not mean what it seems to."""
    for located in all_policies(mesh):
        policy = located.policy
        *requested, exposed = policy.name_lists.items()
        for field, names in requested:
            if "*" in names and len(names) > 1:
                meaning = "literally" if policy.allow_credentials else "as all names"
                reason = (
                    f"{field}: * among other names is sent literally, and browsers read it"
                    f" {meaning}"
                )
                hint = "write * alone, and Envoy echoes what is asked for, or write the names"
                yield Finding(located.place(field, names.index("*")), reason, hint)
        field, names = exposed
        if policy.allow_credentials and "*" in names:
            reason = f"{field}: with credentials browsers read * literally"
            yield Finding(located.place(field, names.index("*")), reason, "name the headers")
        stars = [origin for origin in policy.allow_origins if origin.value == "*"]
        if stars and len(policy.allow_origins) > 1:
            reason = "allowOrigins: * already allows every origin"
            yield Finding(stars[0].place, reason, "remove the others, or remove *")
