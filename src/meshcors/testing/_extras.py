"""What an extra brings is imported where it is used; without it, one line says what to install."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

# Module -> the extra that brings it.
_EXTRAS: Final = {
    "certifi": "cli",
    "envoy": "lab",
    "h2": "cli",
    "httpx": "cli",
    "ruamel.yaml": "cli",
}


class MissingExtraError(ImportError):
    """Something is not installed; the message is the command that installs it."""


def needed(name: str) -> Any:
    """Return the module `name`; `MissingExtraError` names the extra that brings it."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # it is there, and something that it imports is not
        extra = _EXTRAS[name]
        raise MissingExtraError(
            f"{name} is not installed: python -m pip install 'meshcors[{extra}]'", name=name
        ) from None
