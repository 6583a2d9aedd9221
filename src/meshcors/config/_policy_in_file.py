"""A policy, or rules, in a file that is followed: a changed file is used, or changes nothing.

See `meshcors.config._following` for what counts as a change.
"""

from __future__ import annotations

import logging
from pathlib import Path
from threading import Event, Thread, current_thread
from time import monotonic
from typing import Final, TypeAlias
from weakref import ref

from meshcors._policy.errors import PolicyError, problem_lines
from meshcors._policy.wording import printable
from meshcors.config._document import text_of
from meshcors.config._following import FileContent, FollowedFile
from meshcors.config._loading import source_of_text
from meshcors.config._replaceable import ReplaceablePolicy, Source

# Seconds between two looks at the file.
INTERVAL: Final = 2.0
_SHORTEST: Final = 0.05
# A look at thousands of rules may take seconds, in which the app has less of the processor: pauses
# are so many times as long.
_REST: Final = 10.0
# Seconds for a look to end when the file is closed: its disk may not answer.
_PATIENCE: Final = 5.0
# The field of a key whose values are in a file of their own, which changes by itself.
_OTHER_FILE: Final = "valuesFile"

_LOGGER: Final = logging.getLogger("meshcors")

# Why something cannot be used, a line for each problem.
_Problems: TypeAlias = tuple[str, ...]


class PolicyFile(ReplaceablePolicy):
    """The policy or the rules in the YAML, JSON or TOML file at `path`, which is followed.

    Pass it to any adapter in place of a `Policy`. Every `interval` seconds, less often if it takes
    long, a thread checks the file, and the ``valuesFile`` of a key. A change is used once two
    checks in a row have found the same content. While that is not a valid policy, the last good one
    stays: `problems` says why, and so does the logger ``meshcors``, once.

    The file is one that `meshcors.config.from_file` or `meshcors.config.rules_from_file` can read.
    Raises `PolicyError` if it holds no valid policy now, and `ValueError` for an interval of less
    than 0.05 seconds.

    The file is followed until `close`, the end of a ``with`` block, or until nothing uses it any
    more; in forked processes too.
    """

    __module__ = "meshcors"

    def __init__(self, path: str | Path, *, interval: float = INTERVAL) -> None:
        if not interval >= _SHORTEST:
            raise ValueError(f"interval: write seconds, {_SHORTEST:g} or more")
        self.path: Path = Path(path)
        self._file = FollowedFile(self.path)
        self._problems: _Problems = ()
        super().__init__(self._first())
        self._interval = interval
        # What the last look found, where a key's values are in a file of their own.
        self._found: Source | _Problems = ()
        self._start()

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the content of the file is not used, line by line; empty if it is.

        A line for each problem, up to 50, and then the number of those left out.
        """
        return self._problems

    def close(self) -> None:
        """Stop following the file; apps go on answering by the last good policy."""
        self._closed.set()
        if self._thread is not current_thread():
            self._thread.join(_PATIENCE)

    def __enter__(self) -> PolicyFile:
        """Return itself, to be closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _start(self) -> None:
        self._closed = Event()
        watched = (ref(self), self._closed, self._interval)
        self._thread = Thread(target=_watch, args=watched, name="meshcors policy", daemon=True)
        self._thread.start()

    def _after_fork(self) -> None:
        super()._after_fork()
        if not self._closed.is_set():
            self._start()

    def _look(self) -> None:
        # Then it may have changed though this file has not.
        has_other_file = self._has_other_file()
        content = self._file.look(requested=has_other_file)
        if content is None:
            return
        found, before = self._read(content), self._found
        self._found = found
        if found == before or not has_other_file:
            self._use(found)
            # Only now: a process forked meanwhile finds the change again, and makes it too.
            self._file.taken = content

    def _has_other_file(self) -> bool:
        taken = self._file.taken
        return taken is not None and _OTHER_FILE in taken.text

    def _first(self) -> Source:
        """Return what apps answer by at the start; raises `PolicyError`."""
        return self._source(self._file.content())

    def _source(self, content: FileContent) -> Source:
        text = content.text if content.readable else text_of(self.path)
        return source_of_text(text, str(self.path))

    def _read(self, content: FileContent) -> Source | _Problems:
        try:
            return self._source(content)
        except PolicyError as error:
            return problem_lines(error.problems)
        except Exception as error:
            # Whatever it is, the file is followed. The error's text may hold a key's value.
            return (f"{self.path}: unexpected {type(error).__name__} while reading it",)

    def _use(self, found: Source | _Problems) -> None:
        before = self.current
        if not isinstance(found, tuple):
            found = self._replaced(found)
        # The same problem is found at each look while a file of values is missing.
        if found != self._problems:
            for problem in found:
                _LOGGER.error("policy not replaced: %s", printable(problem))
        self._problems = found
        if self.current != before:
            _LOGGER.info("policy replaced from %s", printable(str(self.path)))

    def _replaced(self, source: Source) -> _Problems:
        """Replace the policy, or return why that is not possible."""
        try:
            self.replace(source)
        except PolicyError as error:
            return problem_lines(error.problems)
        except Exception as error:
            return (f"{self.path}: unexpected {type(error).__name__} while using it",)
        return ()


def _watch(followed: ref[PolicyFile], closed: Event, interval: float) -> None:
    """Look at every interval, for as long as somebody uses what is followed."""
    pause = interval
    while not closed.wait(pause):
        found = followed()
        if found is None:
            return
        begun = monotonic()
        # A method would keep alive what the thread must not.
        found._look()  # pyright: ignore[reportPrivateUsage]
        pause = max(interval, _REST * (monotonic() - begun))
        # Kept no longer than the look takes.
        del found
