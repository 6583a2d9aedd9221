"""The syntax of nginx: directives with arguments, in blocks; nothing of their meaning."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from meshcors._policy.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_DEPTH: Final = 32
_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+|\#[^\n]*)
    | (?P<end>[;{}])
    | "(?P<double>(?:\\.|[^"\\])*)"
    | '(?P<single>(?:\\.|[^'\\])*)'
    | (?P<word>(?:\\.|\$\{[^}\s]*\}|[^\s;{}"'\\])(?:\\.|\$\{[^}\s]*\}|[^\s;{}\\])*)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED: Final = re.compile(r"""\\(["'\\])""")


class NginxSyntaxError(Exception):
    """A text is not a configuration of nginx: `place` says where."""

    def __init__(self, place: Place, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.place = place
        self.reason = reason
        self.hint = hint


@dataclass(slots=True)
class Directive:
    """A directive: its name is the first of its `words`. `block` is empty for one with ``;``."""

    place: Place
    words: list[str]
    block: list[Directive] = field(default_factory=list)
    # What it stands in, from the outside.
    outer: tuple[Directive, ...] = ()

    @property
    def name(self) -> str:
        """The name of the directive."""
        return self.words[0]

    def all(self, name: str) -> Iterator[Directive]:
        """Yield the directives of the block that are called `name`."""
        return (each for each in self.block if each.name == name)


def parse_nginx(text: str, file: str) -> Directive:
    """Return a directive without a name that has those of the whole text in its block."""
    root = Directive(Place(file, 1, 1), [""])
    open_blocks = [root]
    words: list[str] = []
    at, line, line_start, start = 0, 1, 0, root.place

    def fail(reason: str, hint: str) -> NginxSyntaxError:
        return NginxSyntaxError(Place(file, line, at - line_start + 1), reason, hint)

    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise fail("not a configuration of nginx", "close the quotes")
        kind = found.lastgroup
        if kind != "space" and not words:
            start = Place(file, line, at - line_start + 1)
        if kind == "end":
            mark = found[0]
            if mark == "}":
                if words or len(open_blocks) == 1:
                    raise fail("not a configuration of nginx: unexpected }", "check the braces")
                open_blocks.pop()
            elif not words:
                raise fail(f"not a configuration of nginx: unexpected {mark}", "check this line")
            else:
                made = Directive(start, words, outer=tuple(open_blocks[1:]))
                open_blocks[-1].block.append(made)
                words = []
                if mark == "{":
                    if len(open_blocks) > _MAX_DEPTH:
                        raise fail("nested too deeply", "check the braces")
                    open_blocks.append(made)
        elif kind in ("double", "single"):
            words.append(_ESCAPED.sub(r"\1", found[kind]))
        elif kind == "word":
            words.append(found[0])
        if newlines := found[0].count("\n"):
            line += newlines
            line_start = at + found[0].rindex("\n") + 1
        at = found.end()
    if words or len(open_blocks) > 1:
        missing = "}" if not words else ";"
        raise fail(f"not a configuration of nginx: {missing} is missing", "check the end")
    return root
