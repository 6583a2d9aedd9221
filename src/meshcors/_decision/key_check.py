"""The check of the header key: whether it is present, accepted, and needed for the path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from meshcors._decision.answers import Reason
from meshcors._decision.fields import latin1
from meshcors._policy.header_key import HeaderKey
from meshcors._policy.paths import is_plain_path

_BLANK: Final = b" \t"


class KeyCheck:
    """The check of one key.

    `field` is the name of its header. `is_valid` tests a value as it was sent, b"" for none; its
    time does not depend on which value matches. Call `refuse` where it returns False: the path may
    be exempt.
    """

    __slots__ = ("_exempt", "_exempt_below", "field", "is_valid")

    def __init__(self, key: HeaderKey) -> None:
        self.field = latin1(key.name)
        self.is_valid: Callable[[bytes], bool] = (
            _is_present if key.values is None else key.values.comparison()
        )
        self._exempt = frozenset(path for path in key.exempt_paths if not path.endswith("/*"))
        self._exempt_below = tuple(
            path.removesuffix("*") for path in key.exempt_paths if path.endswith("/*")
        )

    def refuse(self, path: str, given: bytes) -> Reason | None:
        """Return why a request with the value `given` is refused, or None if it is not."""
        sent = given.strip(_BLANK)
        if self.is_valid(sent) or self._is_exempt(path):
            return None
        return "key_unknown" if sent else "key_missing"

    def _is_exempt(self, path: str) -> bool:
        # Without a trailing slash, because many routers treat /public/ like /public.
        below = path.removesuffix("/") or "/"
        if path not in self._exempt and not below.startswith(self._exempt_below):
            return False
        return is_plain_path(path)


def _is_present(given: bytes) -> bool:
    return bool(given.strip(_BLANK))
