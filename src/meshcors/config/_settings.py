"""The options that the sources give, and the policy made of them.

Every problem is named as its source spells it, and all are reported at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple, TypeAlias, cast

from meshcors._policy import other_libraries
from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.header_key import HeaderKey
from meshcors._policy.policy import NEAR_ORIGINS, Policy, make
from meshcors._policy.warning import warn
from meshcors.config._formats import SpellingError
from meshcors.config._options import Option, Source
from meshcors.config._respelling import respell


class Setting(NamedTuple):
    """The value of an option, the `label` under which it was given, and the type of its source."""

    value: object
    label: str
    source: Source


# The value of an option that was given but could not be read.
UNREAD: Final = object()

# By the option's name.
Settings: TypeAlias = dict[str, Setting]


def make_policy(
    problems: list[Problem], settings: Settings, labels: Mapping[str, str], source: Source
) -> Policy:
    """Return the policy; problems and warnings name an option as the source that gave it does.

    An option that no source gave is named by `labels`, as in a `source` of that type. Raises
    `PolicyError` with all problems and the `problems` found before.
    """

    def respelled(field: str, text: str) -> tuple[str, str]:
        given = settings.get(field)
        if given is None:
            return labels.get(field, field), respell(text, source)
        return given.label, respell(text, given.source)

    values = {name: each.value for name, each in settings.items() if each.value is not UNREAD}
    found: list[Problem] = []
    key = None
    key_values = {name: values.pop(name) for name in list(values) if name.startswith("key.")}
    if key_values:
        try:
            key = _make_key(key_values)
        except PolicyError as error:
            found += error.problems
    policy = None
    notes: list[tuple[str, str]] = []
    try:
        policy, notes = make({**values, "key": key})
    except PolicyError as error:
        found += error.problems
    unread = "allow_origins" in settings and "allow_origins" not in values
    for each in found:
        if each.code == "no_origins" and unread:
            continue
        field, hint = respelled(each.field, each.hint)
        problems.append(replace(each, field=field, hint=hint))
    if policy is None or problems:
        raise PolicyError(dict.fromkeys(problems))
    for name, note in notes:
        warn(": ".join(respelled(name, note)))
    return policy


def _make_key(values: Mapping[str, object]) -> HeaderKey:
    if "key.name" not in values:
        hint = "name the header that carries the key"
        raise PolicyError([Problem("key_name_missing", "key.name", "", hint)])
    options = {name.removeprefix("key."): value for name, value in values.items()}
    return HeaderKey(**cast("dict[str, Any]", options))


def store(
    problems: list[Problem],
    settings: Settings,
    option: Option,
    given_by: tuple[str, Source],
    read: Callable[[], object],
) -> None:
    """Read a value into `settings`, or add its problem to `problems`."""
    label, _ = given_by
    before = settings.get(option.name)
    if before is not None and before.value is not UNREAD:
        hint = f"{before.label} gives it already: leave one out"
        problems.append(Problem("given_twice", label, "", hint))
        return
    try:
        settings[option.name] = Setting(UNREAD, *given_by)
        settings[option.name] = Setting(read(), *given_by)
    except SpellingError as error:
        problems.append(Problem(error.code, label, "", error.hint))
    except PolicyError as error:
        problems += [replace(each, field=label) for each in error.problems]


def hint_of_other_library(
    settings: Settings, name: str, given: tuple[object, object], given_by: tuple[str, Source]
) -> str | None:
    """Return what to write for an option of another library, or None; see `option_hint`.

    If the option names the allowed origins, they are not reported as missing as well.
    """
    hint = other_libraries.option_hint(name, *given)
    if other_libraries.means_origins(name, given[0]):
        settings.setdefault("allow_origins", Setting(UNREAD, *given_by))
    return hint and respell(hint, given_by[1])


def note_near_origins(settings: Settings, hint: str, given_by: tuple[str, Source]) -> None:
    """Do not report the origins as missing if `hint` is for a misspelling of their name."""
    if hint == respell(NEAR_ORIGINS, given_by[1]):
        settings.setdefault("allow_origins", Setting(UNREAD, *given_by))
