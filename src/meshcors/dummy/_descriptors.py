"""How many connections a process has descriptors for; some are always left for probes and files."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from meshcors.dummy._listen import ListenError

DEFAULT_MOST: Final = 1000
# Probes, a scrape and a few people.
_MOST_ADMIN: Final = 64
# What is listened on, what the event loop opens, files that are read, and connections that are on
# their way out.
_SPARE: Final = 26


class Room(NamedTuple):
    """How many connections a process keeps open, on the pod's port and on the admin port."""

    pod: int
    admin: int


def room_for_connections(asked: int | None) -> Room:
    """Return the room that the limit on open files leaves, `asked` for by ``--max-connections``.

    Raises `ListenError` where there is not as much, or none. Counts what is open by now, before
    anything is listened on.
    """
    left = _left()
    if left is None:
        return Room(asked or DEFAULT_MOST, _MOST_ADMIN)
    admin = min(_MOST_ADMIN, left // 4)
    most = left - admin
    if most < (asked or 1) or not admin:
        what = f"room for {max(0, most)} connections" if asked else "no room for connections"
        hint = "raise it" if not asked or most < 1 else "raise it, or ask for fewer"
        raise ListenError(f"--max-connections: the limit on open files leaves {what}: {hint}")
    return Room(asked or min(DEFAULT_MOST, most), admin)


def _left() -> int | None:
    """Return how many files may be opened, all that the process itself needs left out."""
    try:
        import resource
    except ModuleNotFoundError:
        # Windows has no such limit.
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return None
    in_use = 3
    with suppress(OSError):
        in_use = len(list(Path("/dev/fd").iterdir()))
    return limit - in_use - _SPARE
