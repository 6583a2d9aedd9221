"""What several processes answer by: one proposes it, all prepare it, then all switch together.

The process that watches the file writes a configuration into memory that all share, and each worker
prepares it in a thread. Once all have, it is committed: one integer changes, and workers look at it
before each request. So whatever any of them begins to answer after that is answered by it.
"""

from __future__ import annotations

import mmap
import pickle
import time
from collections.abc import Iterator
from typing import Final

from meshcors._policy.errors import PolicyError, Problem
from meshcors.dummy._configuration import Configuration
from meshcors.dummy._counters import PREPARED, SERVING, Counters, Numbers
from meshcors.dummy._reload import run_beside

# Bytes of a configuration. Pages that nobody has written take no memory.
MAX_BYTES: Final = 16 << 20
# Seconds between two looks at what the others have done.
_LOOK: Final = 0.05


class Agreement:
    """What `workers` answer by, in memory of all processes that are forked after this.

    A configuration has a label: its number and, in 32 bits, its size. That of the `first` is 0.
    """

    def __init__(self, first: Configuration, counters: Counters, workers: int) -> None:
        # Nothing is shared without workers, and a list is looked at in a fraction of the time.
        words: Numbers = memoryview(mmap.mmap(-1, 3 * 8)).cast("Q") if workers else [0, 0, 0]
        # The label that is committed, and those of what is in the two places: without a size while
        # it is written.
        self.committed, self._labels = words[:1], words[1:]
        self._places = [memoryview(mmap.mmap(-1, MAX_BYTES)) for _ in self._labels]
        self._rows = [(number, counters.row(number)) for number in range(workers)]
        # By label, in this process.
        self._prepared = {0: first}

    def agree(self, configuration: Configuration) -> Iterator[str]:
        """Have all workers prepare `configuration`, then commit it; yield where it stands.

        A worker that has died, or does not serve yet, is not waited for. Until the end, closing the
        iterator takes it back. Raises `PolicyError`.
        """
        content = pickle.dumps(configuration.source) if self._rows else b""
        if len(content) > MAX_BYTES:
            hint = "leave it out for so many rules"
            raise PolicyError([Problem("file_too_large", "--workers", "", hint)])
        # Not in the place of the committed one: a worker that is started needs it.
        place = int(self._labels[0] == self.committed[0])
        label = (max(self._labels) >> 32) + 1 << 32
        self._labels[place] = label
        self._places[place][: len(content)] = content
        self._labels[place] = label = label | len(content)
        while missing := [n for n, row in self._rows if row[SERVING] and row[PREPARED] != label]:
            yield f"worker {missing[0]} is not ready for it: kill it if it hangs"
            time.sleep(_LOOK)
        # The last moment to take it back.
        yield "all workers are ready for it"
        self._prepared = {**self._prepared, label: configuration}
        self.committed[0] = label
        self._prepared = {label: configuration}

    def follow(self, row: Numbers) -> None:
        """Prepare from now on what is proposed, and record it in the worker's `row`."""

        def watch() -> None:
            while True:
                row[PREPARED] = max(self._prepared, default=0)
                # Before the pause: by its end, what the label stands for is certainly in memory.
                newest = max(self._labels)
                time.sleep(_LOOK)
                self._prepare(newest)

        run_beside(watch)

    def current(self) -> Configuration:
        """Return what is committed; only a process that has just started has to prepare it."""
        while (found := self._prepared.get(label := self.committed[0])) is None:
            self._prepare(label)
        return found

    def _prepare(self, label: int) -> None:
        """Keep what is committed, and what has this label, unless another has taken its place."""
        wanted = {self.committed[0], label}
        kept = {each: self._prepared[each] for each in wanted & self._prepared.keys()}
        if label not in kept:
            for number, place in enumerate(self._places):
                content = place[: label & 0xFFFFFFFF].tobytes()
                # Looked at after the copy: it may have been overwritten meanwhile.
                if content and self._labels[number] == label:
                    # The pod's own memory, without any key's value.
                    kept[label] = Configuration.of(pickle.loads(content))  # noqa: S301
        self._prepared = kept
