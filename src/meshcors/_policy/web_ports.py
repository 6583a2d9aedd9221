"""The default ports of the two schemes that pages and services have (URL standard, 4.2)."""

from __future__ import annotations

from typing import Final

WEB_PORTS: Final = {"http": 80, "https": 443}
