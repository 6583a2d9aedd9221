"""Paths of fields in a file, and the fields of a mapping in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from meshcors._policy.errors import Problem
from meshcors._policy.wording import shown

# What a mapping holds, by the last of the keys that lead to it.
_MAPPINGS: Final = {
    "": "a file is a mapping of fields, such as allowOrigins: [...]",
    "corsPolicy": "write a mapping of fields, such as allowOrigins: [...]",
    "key": "write a mapping of fields, such as header: model-api-key",
}


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A place in a file: the `file` as the user named it, and the `keys` that lead there."""

    file: str | Path
    keys: str = ""

    def at(self, key: str | int) -> FieldPath:
        """Return the place of the field `key`, or of the item `key` of a list."""
        if isinstance(key, int):
            return FieldPath(self.file, f"{self.keys}[{key}]")
        return FieldPath(self.file, f"{self.keys}.{key}" if self.keys else key)

    def __str__(self) -> str:
        return f"{self.file}: {self.keys}" if self.keys else str(self.file)


def read_mapping(problems: list[Problem], data: object, place: FieldPath) -> dict[str, object]:
    """Return the fields of a file's plain `data`; what is no mapping is a problem and has none."""
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        hint = _MAPPINGS.get(place.keys.rpartition(".")[2], "write a mapping of fields")
        problems.append(Problem("not_a_mapping", str(place), "", hint))
        return {}
    return {
        name if isinstance(name, str) else shown(name): item
        for name, item in cast("Mapping[object, object]", data).items()
    }
