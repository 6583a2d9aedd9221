"""Everything that is wrong with what was given, collected while it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import cast

from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.headers import token_at_start
from meshcors._policy.origins import OriginError
from meshcors._policy.wording import shown


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
        show: Callable[[object], str] = shown,
    ) -> list[object]:
        """Read a list, each item once, in order; a lone string is the commonest mistake.

        `hint` says what to write for an item that is none of the `kinds`, `show` returns
        what a problem shows of a value.
        """
        if isinstance(value, str):
            self.add("not_a_list", field, show(value), f"write a list: {_listed(value, show)}")
            return []
        if not is_list(value):
            self.add("not_a_list", field, show(value), "write a list")
            return []
        kept: dict[object, None] = {}
        for item in cast("Iterable[object]", value):
            if isinstance(item, kinds):
                kept[item] = None
            elif isinstance(item, OriginError):
                # A source that could not read this item hands on why.
                self.add(item.code, field, "", item.hint)
            else:
                self.add("wrong_type", field, show(item), hint(item))
        return list(kept)

    def texts(
        self, field: str, value: object, show: Callable[[object], str] = shown
    ) -> tuple[str, ...]:
        """Read a list of strings, each once, in order; see `items`."""
        items = self.items(field, value, (str,), lambda _: "not a string", show)
        return cast("tuple[str, ...]", tuple(items))

    def several(self, field: str, text: str, show: Callable[[object], str] = shown) -> bool:
        """Note an item that is several, with commas between; tell whether it is."""
        if "," not in text:
            return False
        self.add("comma_in_item", field, show(text), f"write a list: {_listed(text, show)}")
        return True


def token(value: object) -> str:
    """Return what is shown of a value that should be a method or a header's name.

    What follows a name may be a key's value: of a text the token at its start is shown, of anything
    else the type.
    """
    return shown(token_at_start(value)) if isinstance(value, str) else type(value).__name__


def _listed(text: str, show: Callable[[object], str]) -> str:
    """Return the list that somebody meant who wrote a text, with commas or blanks between."""
    if show is token:
        return f"[{token(text)}{', ...' if ',' in text else ''}]"
    return show(text.replace(",", " ").split() or [text])


def is_list(value: object) -> bool:
    """Tell whether `value` has items that can be meant as a list's."""
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
