"""The lab's pod: ``python -m meshcors.dummy`` as a child process, with the policy in a file.

Like Envoy, it and its directory end with the lab, however that ends. A policy that is written to
the file is loaded at once, or refused, as in any pod.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from meshcors._lab.policy import read_policy_text
from meshcors._policy.wording import printable
from meshcors.config import to_document
from meshcors.testing._envoy_process import KeptProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

_START: Final = 20.0
_RELOAD: Final = 10.0
_PAUSE: Final = 0.02
_LONGEST: Final = 400
_FLAGS: Final = ("--host", "127.0.0.1", "--port", "0", "--admin-port", "0", "--drain", "0")


class PodError(Exception):
    """The pod does not start, or does not load a policy; the message is one line."""


class LabPod:
    """A running pod with the policy of a text; ended by `close`.

    Raises `PolicyError` for the text, and `PodError` if the pod does not start.
    """

    def __init__(self, policy: str) -> None:
        command = [sys.executable, "-m", "meshcors.dummy", "--config", "config.json", *_FLAGS]
        self._process = KeptProcess([*command, "--log-format", "json"], _data(policy))
        self._read = 0
        try:
            self.port = self._await_port()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it no longer runs."""
        return self._process.has_ended

    @property
    def last_words(self) -> str:
        """The last line that it logged."""
        lines = self._process.log.strip().splitlines()
        return printable(lines[-1], _LONGEST) if lines else "it said nothing"

    def load(self, policy: str) -> None:
        """Have the pod use another policy; returns when it does.

        Raises `PolicyError` for the text, and `PodError` if the pod does not load it.
        """
        made = self._process.home / "config.new"
        made.write_text(json.dumps(_data(policy)), encoding="utf-8")
        for _ in self._logged():
            pass
        # in one step: the pod reads the old policy or the new one
        made.replace(self._process.home / "config.json")
        with suppress(OSError):
            os.kill(self.pid, signal.SIGHUP)
        deadline = time.monotonic() + _RELOAD
        while time.monotonic() < deadline and not self.has_ended:
            for line in self._logged():
                if line.get("message") == "configuration reloaded":
                    return
                if line.get("message") == "configuration not reloaded":
                    raise PodError(str(line.get("problem", "the pod refuses the policy")))
            time.sleep(_PAUSE)
        raise PodError(f"the pod has not loaded the policy: {self.last_words}")

    def close(self) -> None:
        """End the process."""
        self._process.stop()

    def _await_port(self) -> int:
        deadline = time.monotonic() + _START
        port = 0
        while time.monotonic() < deadline and not self._process.has_ended:
            for line in self._logged():
                port = int(line.get("port", port))
                if port and "listening on" in str(line.get("message", "")):
                    return port
            time.sleep(_PAUSE)
        raise PodError(f"the pod does not start: {self.last_words}")

    def _logged(self) -> Iterator[dict[str, Any]]:
        """Yield what is new in the log: its objects, and the port that is printed beside them."""
        content = self._process.log
        end = content.rfind("\n") + 1
        lines, self._read = content[self._read : end].splitlines(), end
        for line in lines:
            name, _, number = line.partition(" ")
            if name == "port" and number.isdecimal():
                yield {"port": number}
            else:
                with suppress(ValueError):
                    found = json.loads(line)
                    if isinstance(found, dict):
                        yield found


def _data(policy: str) -> dict[str, Any]:
    return to_document(read_policy_text(policy).without_key_values())
