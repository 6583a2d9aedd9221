"""Options from ``MESHCORS_*`` variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Final

from meshcors._policy.errors import Problem
from meshcors._policy.wording import did_you_mean
from meshcors.config._options import OPTIONS, OTHER_VARIABLES
from meshcors.config._settings import Settings, hint_of_other_library, note_near_origins, store

# Kubernetes sets such variables in every pod for each service of its namespace. For a service named
# "meshcors" they are MESHCORS_SERVICE_HOST, MESHCORS_PORT and so on.
_SERVICE_LINK: Final = re.compile(
    r"MESHCORS_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)"
)


def read_environment(problems: list[Problem], environ: Mapping[str, str]) -> Settings:
    """Read the ``MESHCORS_*`` variables; an unknown one is a problem."""
    settings: Settings = {}
    known = {option.variable: option for option in OPTIONS}
    for variable, text in sorted(environ.items()):
        option = known.get(variable)
        if option is not None:
            # An empty secret must not become "any key will do".
            if text.strip() or option.name == "key.values":
                read = partial(option.format.read_text, text)
                store(problems, settings, option, (variable, "variable"), read)
        elif (
            variable.startswith("MESHCORS_")
            and variable not in OTHER_VARIABLES
            and not _SERVICE_LINK.fullmatch(variable)
        ):
            listed = environ.get("MESHCORS_ALLOW_ORIGINS", "").split(",")
            beside = [item.strip() for item in listed if item.strip()]
            name = variable.removeprefix("MESHCORS_")
            hint = hint_of_other_library(settings, name, (text, beside), (variable, "variable"))
            hint = hint or did_you_mean(variable, [*known, *OTHER_VARIABLES])
            note_near_origins(settings, hint, (variable, "variable"))
            problems.append(Problem("unknown_variable", variable, "", hint))
    return settings
