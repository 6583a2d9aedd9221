"""The environment that a program gets: the policy of all sources, as ``MESHCORS_*`` variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from meshcors._launch.following import FOLLOW_VARIABLE
from meshcors._launch.handed_policy import FLAGS_VARIABLE, VALUES_FILE_VARIABLE, by_flags
from meshcors._launch.handing_on import VARIABLE, led_by
from meshcors._launch.listening import OTHERS_VARIABLE
from meshcors._policy.errors import PolicyError, Problem
from meshcors.config._flags import read_flags
from meshcors.config._formats import SpellingError
from meshcors.config._loading import load
from meshcors.config._options import CONFIG_VARIABLE, OPTION_BY_NAME
from meshcors.config._policy_in_file import INTERVAL

FOLDER: Final = str(Path(__file__).with_name("site"))
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
    own = (FOLLOW_VARIABLE, FLAGS_VARIABLE)
    made = {name: value for name, value in environ.items() if name not in own}
    written: list[str] = []
    if follow:
        made[FOLLOW_VARIABLE] = f"{INTERVAL:g}"
    if key_values_file is not None:
        made.pop(_VALUES, None)
        made[VALUES_FILE_VARIABLE] = key_values_file
        written.append(VALUES_FILE_VARIABLE)
    try:
        load(flags, made, config=config)
    except PolicyError as error:
        raise PolicyError(by_flags(error.problems, written)) from None
    if config:  # an empty flag is no flag
        made[CONFIG_VARIABLE] = config
        written.append(CONFIG_VARIABLE)
    of_flags = _variables(flags)
    made |= of_flags | {FLAGS_VARIABLE: " ".join([*written, *of_flags])}
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
