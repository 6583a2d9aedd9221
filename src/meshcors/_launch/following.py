"""The policy of all sources, made anew while the app runs whenever the file has changed.

The launcher has checked it. A process that starts later, such as a worker in the place of another
one, may find no valid policy any more: its app is answered for with a 503 until there is one. An
older one, which only others know, might allow what has been taken back since.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from meshcors._decision.answers import Answer
from meshcors._decision.observation import AppEngine
from meshcors._launch.handed_policy import VALUES_FILE_VARIABLE, handed_policy
from meshcors._policy.errors import PolicyError, Problem, problem_lines
from meshcors._policy.policy import Policy
from meshcors._policy.rules import Rule, RuleSet
from meshcors._policy.wording import printable
from meshcors.config._following import FileContent
from meshcors.config._options import CONFIG_VARIABLE
from meshcors.config._policy_in_file import PolicyFile
from meshcors.config._replaceable import Source

# Set by ``meshcors run --follow``: the seconds between two looks. It is no variable of a policy.
FOLLOW_VARIABLE: Final = "_MESHCORS_RUN_FOLLOW"

# Stands in for a policy where there is none: no host has this name (RFC 2606).
_NONE: Final = RuleSet(
    [Rule(Policy(allow_origins=["https://none.invalid"]), hosts=["none.invalid"])],
    uncovered="refuse",
)
_BODY: Final = b"Service Unavailable: no valid policy\n"
_UNAVAILABLE: Final = Answer(
    503,
    "app_failed",
    (
        ("content-type", "text/plain; charset=utf-8"),
        ("content-length", str(len(_BODY))),
        ("cache-control", "no-store"),
    ),
    _BODY,
)
_LOGGER: Final = logging.getLogger("meshcors")


class FollowedPolicy(PolicyFile):
    """What `handed_policy` makes of `environ`, with the file of ``MESHCORS_CONFIG`` as it is now.

    Raises `PolicyError` if `environ` names no file, and `ValueError` for an interval that is none.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        # As it is now: the program may change its environment.
        self._environ: Final = dict(environ)
        path = environ.get(CONFIG_VARIABLE, "")
        if not path.strip():
            hint = f"keep it as it was set, with {FOLLOW_VARIABLE}: there is no file to follow"
            raise PolicyError([Problem("file_unreadable", CONFIG_VARIABLE, "", hint)])
        super().__init__(path, interval=float(environ[FOLLOW_VARIABLE]))

    def _first(self) -> Source:
        try:
            return super()._first()
        except PolicyError as error:
            self._problems = problem_lines(error.problems)
        for problem in self._problems:
            _LOGGER.error("no valid policy, so requests get a 503: %s", printable(problem))
        # So the next looks find a change, whatever it holds.
        self._file.taken = None
        return _NONE

    def _has_other_file(self) -> bool:
        return bool(self._environ.get(VALUES_FILE_VARIABLE)) or super()._has_other_file()

    def _source(self, content: FileContent) -> Policy | RuleSet:
        return handed_policy(self._environ, content.text if content.readable else None)


def answering_by(source: Source, engine: AppEngine) -> tuple[Source, AppEngine]:
    """Return the two that middleware switches to: with no valid policy, an engine that refuses."""
    return source, NO_POLICY if source is _NONE else engine


class _NoPolicy:
    """Stands in for the engine while there is no valid policy: it answers each request."""

    reads: frozenset[bytes] = frozenset()
    reads_unless_options = reads_websocket = reads
    reads_path = False

    def decide(self, method: str, path: str, fields: Mapping[bytes, bytes]) -> Answer:
        return _UNAVAILABLE

    def decide_websocket(self, path: str, fields: Mapping[bytes, bytes]) -> Answer:
        return _UNAVAILABLE

    def rule_of(self, path: str, fields: Mapping[bytes, bytes]) -> None:
        """Name no rule."""


NO_POLICY: Final = _NoPolicy()
