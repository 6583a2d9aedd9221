"""What a running pod knows of itself, for those who look at it from outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from meshcors.dummy._configuration import Configuration
from meshcors.dummy._counters import RELOADS, SERVING, Board
from meshcors.dummy._refusals import Refusals


@dataclass(slots=True)
class Live:
    """The state of a pod, as one of its processes sees it.

    `numbers` is the process's own row of the `board`. `problems` are those of the last reload, if
    it failed; the configuration is then still the last good one.
    """

    configuration: Configuration
    board: Board
    numbers: memoryview
    refusals: Refusals
    draining: bool = False
    problems: tuple[str, ...] = ()
    when_replaced: list[Callable[[Configuration], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.refusals.hide(self.configuration.key_names)

    @property
    def is_ready(self) -> bool:
        """Whether new connections are welcome."""
        return not self.draining and self.board.total(SERVING) > 0

    def replace(self, configuration: Configuration) -> None:
        """Take a new configuration, as a whole."""
        self.refusals.hide(configuration.key_names)
        self.configuration = configuration
        self.problems = ()
        self.numbers[RELOADS["ok"]] += 1
        for call in self.when_replaced:
            call(configuration)

    def keep(self, problems: tuple[str, ...]) -> None:
        """Keep the configuration there is: the new one has `problems`."""
        self.problems = problems
        self.numbers[RELOADS["failed"]] += 1
