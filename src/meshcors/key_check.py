"""The check of the header key: is it there, is it right, and does its path need one."""

from __future__ import annotations

from collections.abc import Mapping
from hmac import compare_digest
from typing import Final

from meshcors.answers import Reason
from meshcors.header_key import HeaderKey
from meshcors.headers import latin1
from meshcors.paths import is_plain_path

_BLANK: Final = b" \t"


class KeyCheck:
    """The header key: there or not, and right or not, whatever its path is not exempt."""

    def __init__(self, key: HeaderKey) -> None:
        self.field = latin1(key.name)
        self._values = None if key.values is None else [latin1(value) for value in key.values]
        self._exempt = frozenset(path for path in key.exempt_paths if not path.endswith("/*"))
        self._exempt_below = tuple(
            path.removesuffix("*") for path in key.exempt_paths if path.endswith("/*")
        )

    def refuse(self, path: str, fields: Mapping[bytes, bytes]) -> Reason | None:
        """Return why the request is refused, or None."""
        given = fields.get(self.field, b"").strip(_BLANK)
        if given:
            if self._values is None:
                return None
            right = False
            # No early exit: the time does not tell which value matched.
            for value in self._values:
                right |= compare_digest(value, given)
            if right:
                return None
        if self._is_exempt(path):
            return None
        return "key_unknown" if given else "key_missing"

    def _is_exempt(self, path: str) -> bool:
        if path not in self._exempt and not path.startswith(self._exempt_below):
            return False
        return is_plain_path(path)
