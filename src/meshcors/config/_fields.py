"""Paths of fields in a file, and the fields of a mapping in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from meshcors._policy.errors import Problem
from meshcors._policy.wording import shown

# What to write for a mapping, by the last key of its path.
_MAPPINGS: Final = {
    "": "write a mapping of fields, such as allowOrigins: [...]",
    "corsPolicy": "write a mapping of fields, such as allowOrigins: [...]",
    "key": "write a mapping of fields, such as header: model-api-key",
}


@dataclass(frozen=True, slots=True)
class FieldPath:
    """The path of a field: the `file` as the user named it, and the `keys` in it."""

    file: str | Path
    keys: str = ""

    def at(self, key: str | int) -> FieldPath:
        """Return the path of the field `key` in this one, or of the list item number `key`."""
        if isinstance(key, int):
            return FieldPath(self.file, f"{self.keys}[{key}]")
        return FieldPath(self.file, f"{self.keys}.{key}" if self.keys else key)

    def __str__(self) -> str:
        return f"{self.file}: {self.keys}" if self.keys else str(self.file)


def read_mapping(problems: list[Problem], data: object, where: FieldPath) -> dict[str, object]:
    """Return the fields of the mapping `data`; anything else is a problem and has none."""
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        hint = _MAPPINGS.get(where.keys.rpartition(".")[2], "write a mapping of fields")
        problems.append(Problem("not_a_mapping", str(where), "", hint))
        return {}
    return {
        name if isinstance(name, str) else shown(name): item
        for name, item in cast("Mapping[object, object]", data).items()
    }
