"""The policy that ``meshcors run`` hands on in variables, read in a process below it.

A problem is named in the words of the command line: by the flag where a flag was given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final

from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.policy import Policy
from meshcors._policy.rules import RuleSet
from meshcors.config._loading import load
from meshcors.config._options import CONFIG_VARIABLE, OPTIONS

VALUES_FILE_VARIABLE: Final = "MESHCORS_KEY_VALUES_FILE"
VALUES_FLAG: Final = "--key-values-file"
# Set by the launcher: the names of the variables that it made of flags. No variable of a policy.
FLAGS_VARIABLE: Final = "_MESHCORS_RUN_FLAGS"

_FLAG_BY_VARIABLE: Final = {
    CONFIG_VARIABLE: "--config",
    VALUES_FILE_VARIABLE: VALUES_FLAG,
    **{option.variable: option.flag for option in OPTIONS if option.flag},
}


def handed_policy(environ: Mapping[str, str], text: str | None = None) -> Policy | RuleSet:
    """Return the policy, or the rules, of `environ`; see `load`.

    `text` is what the file holds, if it has been read. Raises `PolicyError`.
    """
    try:
        return load({}, environ, text=text)
    except PolicyError as error:
        written = environ.get(FLAGS_VARIABLE, "").split()
        raise PolicyError(by_flags(error.problems, written)) from None


def by_flags(problems: Iterable[Problem], written: Collection[str]) -> list[Problem]:
    """Return the `problems`, those of the `written` variables named by the flags for them."""
    flags = {name: flag for name, flag in _FLAG_BY_VARIABLE.items() if name in written}
    return [replace(each, field=flags.get(each.field, each.field)) for each in problems]
