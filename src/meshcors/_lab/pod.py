"""The lab's pod: a real one, whose policy can be replaced while it runs.

A policy that is written to its file is loaded at once, or refused, as in any pod.
"""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from meshcors._lab.policy import read_policy_text
from meshcors._policy.wording import printable
from meshcors.config import to_document
from meshcors.testing._pod import PodError, PreflightPod

if TYPE_CHECKING:
    from collections.abc import Iterator

_RELOAD: Final = 10.0
_PAUSE: Final = 0.02
_LONGEST: Final = 400


class LabPod(PreflightPod):
    """A running pod with the policy of a text; ended by `stop`.

    Raises `PolicyError` for the text, and `PodError` if the pod does not start.
    """

    def __init__(self, policy: str) -> None:
        super().__init__(_data(policy))
        self._read = 0

    @property
    def has_ended(self) -> bool:
        """Whether it no longer runs."""
        return self._process.has_ended

    @property
    def last_words(self) -> str:
        """The last line that it logged."""
        lines = self.log.strip().splitlines()
        return printable(lines[-1], _LONGEST) if lines else self._process.silence

    def load(self, policy: str) -> None:
        """Have the pod use another policy; returns when it does.

        Raises `PolicyError` for the text, and `PodError` if the pod does not load it.
        """
        made = self._process.home / "config.new"
        text = json.dumps(_data(policy))
        try:
            made.write_text(text, encoding="utf-8")
            for _ in self._logged():
                pass
            # in one step: the pod reads the old policy or the new one
            made.replace(self._process.home / "config.json")
        except OSError as error:
            raise PodError(f"the pod's policy cannot be written: {error.strerror}") from None
        with suppress(OSError):
            os.kill(self._process.pid, signal.SIGHUP)
        deadline = time.monotonic() + _RELOAD
        while time.monotonic() < deadline and not self.has_ended:
            for line in self._logged():
                if line.get("message") == "configuration reloaded":
                    return
                if line.get("message") == "configuration not reloaded":
                    raise PodError(str(line.get("problem", "the pod refuses the policy")))
            time.sleep(_PAUSE)
        raise PodError(f"the pod has not loaded the policy: {self.last_words}")

    def _logged(self) -> Iterator[dict[str, Any]]:
        """Yield the objects that are new in the log."""
        content = self.log
        end = content.rfind("\n") + 1
        lines, self._read = content[self._read : end].splitlines(), end
        for line in lines:
            with suppress(ValueError):
                found = json.loads(line)
                if isinstance(found, dict):
                    yield found


def _data(policy: str) -> dict[str, Any]:
    return to_document(read_policy_text(policy).without_key_values())
