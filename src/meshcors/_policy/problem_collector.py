"""Collects the problems that are found while options are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import cast

from meshcors._policy.errors import OriginError, PolicyError, Problem
from meshcors._policy.headers import token_at_start
from meshcors._policy.problem_codes import ProblemCode
from meshcors._policy.wording import shown


class ProblemCollector:
    """The problems found so far (`found`), and how lists are read."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, code: ProblemCode, field: str, value: str, hint: str) -> None:
        """Add a problem; see `Problem`."""
        self.found.append(Problem(code, field, value, hint))

    def raise_if_any(self) -> None:
        """Raise `PolicyError` if a problem was found."""
        if self.found:
            raise PolicyError(sorted(self.found, key=lambda problem: problem.field))

    def items(
        self,
        field: str,
        value: object,
        types: tuple[type, ...],
        hint: Callable[[object], str],
        show: Callable[[object], str] = shown,
    ) -> list[object]:
        """Return the items of a list in order, each once. The commonest mistake is a lone string.

        `hint` returns what to write for an item that is not of the `types`, and `show` returns what
        a problem shows of a value.
        """
        if isinstance(value, str):
            self.add("not_a_list", field, show(value), f"write a list: {_listed(value, show)}")
            return []
        if not is_list(value):
            self.add("not_a_list", field, show(value), "write a list")
            return []
        kept: dict[object, None] = {}
        for item in cast("Iterable[object]", value):
            if isinstance(item, types):
                kept[item] = None
            elif isinstance(item, OriginError):
                # Its source could not read this item, and says why.
                self.add(item.code, field, "", item.hint)
            else:
                self.add("wrong_type", field, show(item), hint(item))
        return list(kept)

    def texts(
        self, field: str, value: object, show: Callable[[object], str] = shown
    ) -> tuple[str, ...]:
        """Return the strings of a list in order, each once; see `items`."""
        items = self.items(field, value, (str,), lambda _: "write a string", show)
        return cast("tuple[str, ...]", tuple(items))

    def several(self, field: str, text: str, show: Callable[[object], str] = shown) -> bool:
        """Return whether an item is really several, separated by commas, and add that problem."""
        if "," not in text:
            return False
        self.add("comma_in_item", field, show(text), f"write a list: {_listed(text, show)}")
        return True


def token(value: object) -> str:
    """Return what a problem shows of a value that should be a method or a header name.

    A key's value may follow a name, so only the token at the start of a text is shown, and only the
    type of anything else.
    """
    return shown(token_at_start(value)) if isinstance(value, str) else type(value).__name__


def _listed(text: str, show: Callable[[object], str]) -> str:
    """Return the list to write instead of a string with commas or spaces."""
    if show is token:
        return f"[{token(text)}{', ...' if ',' in text else ''}]"
    return show(text.replace(",", " ").split() or [text])


def is_list(value: object) -> bool:
    """Return whether `value` can be read as a list."""
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
