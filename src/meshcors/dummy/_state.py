"""What a running pod knows about itself: its configuration, its numbers and whether it is ready."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from time import time

from meshcors.dummy._configuration import Configuration
from meshcors.dummy._counters import FAILED_AT, READ_AT, RELOADS, SERVING, Counters, Numbers
from meshcors.dummy._refusals import Refusal, Refusals


@dataclass(slots=True)
class PodState:
    """The state of a pod, as one of its processes sees it.

    `row` is the process's own row of the `counters`, that with this `number`; the process that
    watches the file counts reloads in its row and keeps their times. For `pass_on` see `Refusals`.
    `problems` are those of the last reload, if it failed; the previous configuration is then still
    active.
    """

    configuration: Configuration
    counters: Counters
    number: InitVar[int]
    pass_on: InitVar[Callable[[Refusal], None] | None] = None
    row: Numbers = field(init=False)
    refusals: Refusals = field(init=False)
    draining: bool = False
    problems: tuple[str, ...] = ()

    def __post_init__(self, number: int, pass_on: Callable[[Refusal], None] | None) -> None:
        self.row = self.counters.row(number)
        self.refusals = Refusals(self.counters, number, pass_on)
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
