"""The policy of all sources, made anew while the app runs whenever the file has changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from meshcors._policy.policy import Policy
from meshcors._policy.rules import RuleSet
from meshcors.config._following import FileContent
from meshcors.config._loading import load
from meshcors.config._options import CONFIG_VARIABLE
from meshcors.config._policy_in_file import PolicyFile

# Set by ``meshcors run --follow``: the seconds between two looks. It is no variable of a policy.
FOLLOW_VARIABLE: Final = "_MESHCORS_RUN_FOLLOW"
VALUES_FILE_VARIABLE: Final = "MESHCORS_KEY_VALUES_FILE"


class FollowedPolicy(PolicyFile):
    """What `load` makes of `environ`, with the file of ``MESHCORS_CONFIG`` as it is now.

    Raises `PolicyError` if that is no valid policy at the start.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        # As it is now: the program may change its environment.
        self._environ: Final = dict(environ)
        super().__init__(environ[CONFIG_VARIABLE], interval=float(environ[FOLLOW_VARIABLE]))

    def _has_other_file(self) -> bool:
        return bool(self._environ.get(VALUES_FILE_VARIABLE)) or super()._has_other_file()

    def _source(self, content: FileContent) -> Policy | RuleSet:
        return load(None, self._environ, text=content.text if content.readable else None)
