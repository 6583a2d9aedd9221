"""What a running pod knows about itself: its configuration, its numbers and whether it is ready."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from meshcors.dummy._configuration import Configuration
from meshcors.dummy._counters import RELOADS, SERVING, Counters
from meshcors.dummy._refusals import Refusals


@dataclass(slots=True)
class PodState:
    """The state of a pod, as one of its processes sees it.

    `row` is the process's own row of the `counters`. `problems` are those of the last reload, if it
    failed; the previous configuration is then still active, and `failed_at` is when that was.
    `reloaded_at` is when the last good reload was.
    """

    configuration: Configuration
    counters: Counters
    row: memoryview
    refusals: Refusals
    draining: bool = False
    problems: tuple[str, ...] = ()
    reloaded_at: datetime | None = None
    failed_at: datetime | None = None

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
        self.reloaded_at = datetime.now(UTC)
        self.failed_at = None
        self.row[RELOADS["ok"]] += 1

    def keep_previous(self, problems: tuple[str, ...]) -> None:
        """Keep the previous configuration, because the new one has `problems`."""
        self.problems = problems
        self.failed_at = datetime.now(UTC)
        self.row[RELOADS["failed"]] += 1
