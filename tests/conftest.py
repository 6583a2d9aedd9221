"""What all tests share."""

from __future__ import annotations

import os

from hypothesis import settings

# Deterministic where a failure must be the change's own; no deadlines: machines differ.
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("local", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "local")
