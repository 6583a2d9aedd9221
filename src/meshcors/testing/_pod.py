"""A preflight pod for tests: the real one, ``python -m meshcors.dummy``, on a free port."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from meshcors._policy.wording import printable
from meshcors.testing._kept_process import KeptProcess

# What the pod prints once it listens
_PORT: Final = re.compile(r"^port (\d+)$", re.MULTILINE)
_SECONDS: Final = 20.0
_LONGEST: Final = 400


class PodError(RuntimeError):
    """The pod did not start, or not with a policy; the message is one line with the reason."""


class PreflightPod:
    """A running pod; a context manager, as its process has to end.

    - `policy`: a file with a policy or rules, or what such a file holds, as a mapping:
      ``{"allowOrigins": ["https://ui.example"]}``.
    - `port`: its port on 127.0.0.1, for the services of a `MeshGateway`.

    Raises `PodError` with the pod's own words if it refuses the policy.
    """

    def __init__(self, policy: str | Path | Mapping[str, Any]) -> None:
        command = [sys.executable, "-m", "meshcors.dummy", "--host", "127.0.0.1", "--port", "0"]
        command += ["--admin-port", "0", "--drain", "0"]
        if isinstance(policy, Mapping):
            config, content = "config.json", json.dumps(policy).encode()
        else:
            config, content = str(Path(policy).absolute()), b"{}"
        command += ["--config", config]
        # variables of a policy would beat the file
        environ = {name: it for name, it in os.environ.items() if not name.startswith("MESHCORS_")}
        try:
            self._process = KeptProcess(command, content, env=environ)
        except OSError as error:
            raise PodError(f"the pod did not start: {error}") from None
        try:
            self.port: int = self._await_port()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> PreflightPod:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the pod."""
        self.stop()

    def stop(self) -> None:
        """End the pod."""
        self._process.stop()

    @property
    def log(self) -> str:
        """What the pod printed so far."""
        return self._process.log

    def _await_port(self) -> int:
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            if self._process.has_ended:
                said = printable(" ".join(self.log.split()), _LONGEST) or self._process.silence
                raise PodError(f"the pod has ended: {said}")
            if found := _PORT.search(self.log):
                return int(found[1])
            time.sleep(0.02)
        raise PodError(f"the pod does not listen after {_SECONDS:g} s")
