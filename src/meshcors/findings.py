"""Everything that is wrong with what was given, collected while it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import cast

from meshcors.errors import PolicyError, Problem, shown
from meshcors.origins import OriginError


class Findings:
    """The problems found so far, and how single values are read."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, code: str, field: str, value: str, hint: str) -> None:
        """Note a problem; see `Problem`."""
        self.problems.append(Problem(code, field, value, hint))

    def raise_if_wrong(self) -> None:
        """Raise `PolicyError` if there is a problem."""
        if self.problems:
            raise PolicyError(sorted(self.problems, key=lambda found: found.field))

    def items(
        self,
        field: str,
        value: object,
        kinds: tuple[type, ...],
        hint: Callable[[object], str],
    ) -> list[object]:
        """Read a list, each item once, in order; a lone string is the commonest mistake.

        `hint` says what to write for an item that is none of the `kinds`.
        """
        if isinstance(value, str):
            self.add("not_a_list", field, shown(value), f"write a list: {_listed(value)}")
            return []
        if not is_list(value):
            self.add("not_a_list", field, shown(value), "write a list")
            return []
        kept: dict[object, None] = {}
        for item in cast("Iterable[object]", value):
            if isinstance(item, kinds):
                kept[item] = None
            elif isinstance(item, OriginError):
                # A source that could not read this item hands on why.
                self.add(item.code, field, "", item.hint)
            else:
                self.add("wrong_type", field, shown(item), hint(item))
        return list(kept)

    def texts(self, field: str, value: object) -> tuple[str, ...]:
        """Read a list of strings, each once, in order."""
        items = self.items(field, value, (str,), lambda _: "not a string")
        return cast("tuple[str, ...]", tuple(items))

    def several(self, field: str, text: str) -> bool:
        """Note an item that is several, with commas between; tell whether it is."""
        if "," not in text:
            return False
        self.add("comma_in_item", field, shown(text), f"write a list: {_listed(text)}")
        return True


def _listed(text: str) -> str:
    """Return the list that somebody meant who wrote a text, with commas or blanks between."""
    return shown(text.replace(",", " ").split() or [text])


def is_list(value: object) -> bool:
    """Tell whether `value` has items that can be meant as a list's."""
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
