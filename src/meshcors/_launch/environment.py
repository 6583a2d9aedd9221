"""The environment that a program gets: the policy of all sources, as ``MESHCORS_*`` variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from meshcors._launch.handing_on import VARIABLE, led_by
from meshcors._launch.listening import OTHERS_VARIABLE
from meshcors._policy.errors import PolicyError, Problem
from meshcors.config._flags import read_flags
from meshcors.config._formats import SpellingError
from meshcors.config._loading import load
from meshcors.config._options import CONFIG_VARIABLE, OPTION_BY_NAME

FOLDER: Final = str(Path(__file__).with_name("site"))
VALUES_FLAG: Final = "--key-values-file"
_VALUES, _VALUES_FILE = "MESHCORS_KEY_VALUES", "MESHCORS_KEY_VALUES_FILE"


def program_environment(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    *,
    config: str | None = None,
    key_values_file: str | None = None,
    other_listeners: bool = False,
) -> dict[str, str]:
    """Return `environ` with the import hook and the policy of `flags`, `config` and `environ`.

    `flags` are values by option name. A flag beats the environment, which beats the file. Raises
    `PolicyError` for an invalid policy.
    """
    made = dict(environ)
    if key_values_file is not None:
        made.pop(_VALUES, None)
        made[_VALUES_FILE] = key_values_file
    try:
        load(flags, made, config=config)
    except PolicyError as error:
        if key_values_file is None:
            raise
        raise PolicyError([_with_flag(each) for each in error.problems]) from None
    if config is not None:
        made[CONFIG_VARIABLE] = config
    made |= _variables(flags)
    for name in (CONFIG_VARIABLE, _VALUES_FILE):
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
    return replace(problem, field=VALUES_FLAG) if problem.field == _VALUES_FILE else problem
