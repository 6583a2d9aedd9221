"""The environment that a program gets: the policy of all sources, as ``MESHCORS_*`` variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from meshcors._launch.following import FOLLOW_VARIABLE, VALUES_FILE_VARIABLE
from meshcors._launch.handing_on import VARIABLE, led_by
from meshcors._launch.listening import OTHERS_VARIABLE
from meshcors._policy.errors import PolicyError, Problem
from meshcors.config._flags import read_flags
from meshcors.config._formats import SpellingError
from meshcors.config._loading import load
from meshcors.config._options import CONFIG_VARIABLE, OPTION_BY_NAME
from meshcors.config._policy_in_file import INTERVAL

FOLDER: Final = str(Path(__file__).with_name("site"))
VALUES_FLAG: Final = "--key-values-file"
_VALUES: Final = "MESHCORS_KEY_VALUES"


def program_environment(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    *,
    config: str | None = None,
    key_values_file: str | None = None,
    other_listeners: bool = False,
    follow: bool = False,
) -> dict[str, str]:
    """Return `environ` with the import hook and the policy of `flags`, `config` and `environ`.

    `flags` are values by option name. A flag beats the environment, which beats the file. With
    `follow`, the program follows the file. Raises `PolicyError` for an invalid policy.
    """
    made = {name: value for name, value in environ.items() if name != FOLLOW_VARIABLE}
    if follow:
        made[FOLLOW_VARIABLE] = f"{INTERVAL:g}"
    if key_values_file is not None:
        made.pop(_VALUES, None)
        made[VALUES_FILE_VARIABLE] = key_values_file
    try:
        load(flags, made, config=config)
    except PolicyError as error:
        if key_values_file is None:
            raise
        raise PolicyError([_with_flag(each) for each in error.problems]) from None
    if config:  # an empty flag is no flag
        made[CONFIG_VARIABLE] = config
    made |= _variables(flags)
    for name in (CONFIG_VARIABLE, VALUES_FILE_VARIABLE):
        if made.get(name, "").strip():
            # Programs change their folder. A link stays one: what it leads to may change.
            made[name] = os.path.abspath(made[name])  # noqa: PTH100
    if other_listeners:
        made[OTHERS_VARIABLE] = "1"
    made[VARIABLE] = led_by(FOLDER, made.get(VARIABLE, ""))
    return made


def _variables(flags: Mapping[str, object]) -> dict[str, str]:
    """Return the variables that say what `flags` say."""
    problems: list[Problem] = []
    variables: dict[str, str] = {}
    for name, setting in read_flags(problems, flags).items():
        option = OPTION_BY_NAME[name]
        try:
            variables[option.variable] = option.format.print_text(setting.value)
        except SpellingError as error:
            # With the label of the flag: it is the variable that cannot say it.
            problems.append(Problem(error.code, setting.label, "", error.hint))
    if problems:
        raise PolicyError(problems)
    return variables


def _with_flag(problem: Problem) -> Problem:
    return replace(problem, field=VALUES_FLAG) if problem.field == VALUES_FILE_VARIABLE else problem
