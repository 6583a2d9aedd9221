"""What the lab's Envoy saw: its access log, read line by line, the last requests kept.

The log is a file, to which Envoy appends. It is emptied from time to time, so that it stays small.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from meshcors._lab.envoy_config import destination_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_KEPT: Final = 500
_LARGEST_FILE: Final = 4 * 1024 * 1024
_MOST_BEHIND: Final = 4
_ID: Final = re.compile(r"[?&]lab=([A-Za-z0-9_-]{1,64})(?:&|$)")
# What Envoy adds to a request; no browser sends it.
_ADDED: Final = ("x-forwarded-", "x-envoy-", "x-request-id")


class Traffic:
    """The requests that Envoy has logged, by the id in their URL."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._left = b""
        self._kept: deque[tuple[str, dict[str, Any]]] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()
        path.touch(mode=0o600)

    def of(self, wanted: str) -> list[dict[str, Any]]:
        """Return the requests with an id, in the order in which they ended."""
        self.read()
        with self._lock:
            return [each for found, each in self._kept if found == wanted]

    def read(self) -> None:
        """Read what is new; to be called now and then, so that the file stays small."""
        with self._lock:
            self._kept.extend(self._new())

    def _new(self) -> Iterator[tuple[str, dict[str, Any]]]:
        try:
            with self._path.open("r+b") as file:
                if file.seek(0, os.SEEK_END) > _MOST_BEHIND * _LARGEST_FILE:
                    # more comes than is read, or it never pauses: what is there is dropped
                    file.truncate(0)
                    self._read, self._left = 0, b""
                file.seek(self._read)
                content = file.read(_LARGEST_FILE)
                self._read += len(content)
                *lines, self._left = (self._left + content).split(b"\n")
                if self._read >= _LARGEST_FILE and not (self._left or file.read(1)):
                    # Envoy appends, so it goes on at the beginning.
                    file.truncate(0)
                    self._read = 0
        except OSError:
            return  # Envoy has ended, and its files with it
        for line in lines:
            found = read_line(line)
            if found is not None:
                yield found


def read_line(line: bytes) -> tuple[str, dict[str, Any]] | None:
    """Return a logged request and its id; None for a line without one."""
    try:
        logged = json.loads(line)
        kept = logged["lab"]
        found = _ID.search(kept["path"])
        if found is None:
            return None
        return found[1], {
            "side": logged["side"],
            "method": kept["method"],
            "host": kept["host"],
            "path": kept["path"],
            "sent": [pair for pair in kept["sent"] if not pair[0].startswith(_ADDED)],
            "status": logged["status"],
            # an empty list of the filter is an empty object here
            "received": kept.get("received") or [],
            "rule": logged["rule"] or "",
            "flags": "" if logged["flags"] == "-" else logged["flags"],
            "upstream": destination_of(logged["cluster"] or ""),
        }
    except (ValueError, KeyError, TypeError):
        return None
