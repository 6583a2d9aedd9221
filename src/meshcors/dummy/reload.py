"""A changed file becomes the pod's configuration, or changes nothing.

Files are compared by content, so that a ConfigMap's swapped symlinks, an editor's rename and a
write in place are one and the same. A file that is being written is left to settle: only content
that is the same at two looks is taken. The new configuration is read beside the serving and swapped
whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from meshcors.document import MAX_FILE_BYTES
from meshcors.dummy.configuration import Configuration
from meshcors.dummy.live import Live
from meshcors.dummy.logs import log
from meshcors.errors import PolicyError

# Between two looks, in seconds.
INTERVAL: Final = 0.5


def content_of(path: Path) -> bytes | None:
    """Return what is in the file, as far as it would be read; None where it cannot be."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError):
        return None


class Reloader:
    """Watches the file at `path` and replaces the configuration of `live`.

    `taken` is the content that the configuration was made of. `read` reads it anew and raises
    `PolicyError`. Of several processes that watch the same file, one `speaks`: its log tells of
    reloads.
    """

    def __init__(
        self,
        live: Live,
        path: Path,
        taken: bytes | None,
        read: Callable[[], Configuration],
        *,
        speaks: bool,
    ) -> None:
        self._live = live
        self._path = path
        self._read = read
        self._speaks = speaks
        self._reloading = asyncio.Lock()
        self._taken = taken

    async def watch(self) -> None:
        """Look at the file now and then, for as long as the process lives."""
        before = self._taken
        while True:
            await asyncio.sleep(INTERVAL)
            now = content_of(self._path)
            if now == before != self._taken:
                await self.reload()
            before = now

    async def reload(self) -> None:
        """Read the configuration now; one that is no good is logged and not taken."""
        async with self._reloading:
            content = content_of(self._path)
            try:
                # Large rule sets take long to read, and nobody waits for them.
                configuration = await asyncio.to_thread(self._read)
            except PolicyError as error:
                self._keep(content, *map(str, error.problems))
                return
            except Exception as error:
                # Whatever it is, the configuration that serves is not at fault.
                self._keep(content, f"{type(error).__name__}: {error}")
                return
            if content is not None and not content.strip():
                self._keep(content, f"{self._path}: the file is empty")
            elif content == content_of(self._path):
                self._taken = content
                self._replace(configuration)

    def _replace(self, configuration: Configuration) -> None:
        self._live.replace(configuration)
        if self._speaks:
            for warning in configuration.warnings:
                log(logging.WARNING, warning)
            log(logging.INFO, "configuration reloaded", hash=configuration.fingerprint())

    def _keep(self, content: bytes | None, *problems: str) -> None:
        self._taken = content
        self._live.keep(problems)
        if self._speaks:
            for problem in problems:
                log(logging.ERROR, "configuration not reloaded", problem=problem)
