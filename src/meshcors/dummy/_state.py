"""What a running pod knows about itself: its configuration, its numbers and whether it is ready."""

from __future__ import annotations

from dataclasses import dataclass
from time import time

from meshcors.dummy._configuration import Configuration
from meshcors.dummy._counters import FAILED_AT, READ_AT, RELOADS, SERVING, Counters, Numbers
from meshcors.dummy._refusals import Refusals


@dataclass(slots=True)
class PodState:
    """The state of a pod, as one of its processes sees it.

    `row` is the process's own row of the `counters`, in which the one that watches the file counts
    reloads and keeps their times. `problems` are those of the last reload, if it failed; the
    previous configuration is then still active.
    """

    configuration: Configuration
    counters: Counters
    row: Numbers
    refusals: Refusals
    draining: bool = False
    problems: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.refusals.hide(self.configuration.key_names)

    @property
    def is_ready(self) -> bool:
        """Whether the pod accepts new connections and is not draining."""
        return not self.draining and self.counters.total(SERVING) > 0

    def switch(self, configuration: Configuration) -> None:
        """Switch to a new configuration, as a whole."""
        self.refusals.hide(configuration.key_names)
        self.configuration = configuration

    def replace(self, configuration: Configuration) -> None:
        """Switch to a new configuration, and count a good reload."""
        self.switch(configuration)
        self.problems = ()
        self.row[READ_AT], self.row[FAILED_AT] = int(time()), 0
        self.row[RELOADS["ok"]] += 1

    def keep_previous(self, problems: tuple[str, ...]) -> None:
        """Keep the previous configuration, because the new one has `problems`."""
        self.problems = problems
        self.row[FAILED_AT] = int(time())
        self.row[RELOADS["failed"]] += 1
