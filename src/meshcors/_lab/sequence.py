"""A call's way through the rules as a sequence diagram in SVG, for one column of a page.

Pure. Every text is escaped, and every length has a bound, whatever the steps say. The picture has
no style of its own, as a strict Content-Security-Policy would drop it: the page colors its classes.
What a color says is also said by a mark, by the form of the line and in the description.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, Literal, TypeAlias

StepKind: TypeAlias = Literal["ok", "fault", "note"]

# In the picture's own units. It is drawn at some 320 pixels on a phone and at 420 on a desk.
_WIDTH: Final = 330
_HEAD: Final = 40
_LINE: Final = 16
_GAP: Final = 10
_LETTER: Final = 7.0
# Bounds: of columns, of steps, of the letters in a line, of the lines and the letters of a text.
_ACTORS: Final = 4
_STEPS: Final = 24
_LETTERS: Final = 40
_LINES: Final = 4
_TEXT: Final = 400
_NAME: Final = 120

_OTHERS: Final = "others"
_MARKS: Final[dict[StepKind, str]] = {"ok": "✓ ", "fault": "✗ ", "note": ""}
_SPOKEN: Final[dict[StepKind, str]] = {"ok": "", "fault": " (fails)", "note": ""}


@dataclass(frozen=True, slots=True)
class SequenceStep:
    """One arrow, or, where `sender` is also `receiver`, something that happens there."""

    sender: str
    receiver: str
    text: str
    kind: StepKind = "note"


def draw(steps: Sequence[SequenceStep], *, title: str, name: str) -> str:
    """Return the diagram of `steps` as an ``<svg>`` element.

    `title` names the picture for screen readers, which then read the steps as its description.
    `name` begins the ids in it, so it consists of letters and differs between two pictures of one
    page. A long way keeps its beginning and its end.
    """
    shown = _bounded(steps)
    columns = _columns(shown)
    parts: list[str] = []
    y = _HEAD + _GAP
    for step in shown:
        drawn, y = _step(step, columns, y)
        parts += drawn
    height = y + _GAP
    told = " ".join(f"{number}. {_told(step)}" for number, step in enumerate(shown, 1))
    return "".join(
        (
            '<svg xmlns="http://www.w3.org/2000/svg" class="sequence" role="img"',
            f' viewBox="0 0 {_WIDTH} {height}" aria-labelledby="{name}-title {name}-desc">',
            f'<title id="{name}-title">{_text(title)}</title>',
            f'<desc id="{name}-desc">{escape(told)}</desc>',
            *_heads(columns, height),
            *parts,
            "</svg>",
        )
    )


def _bounded(steps: Sequence[SequenceStep]) -> list[SequenceStep]:
    """Keep the first and the last steps, on at most `_ACTORS` columns."""
    kept = list(steps)
    if len(steps) > _STEPS:
        half = _STEPS // 2
        gap = SequenceStep(
            steps[half].sender, steps[half].sender, f"{len(steps) - _STEPS} more steps"
        )
        kept = [*steps[:half], gap, *steps[-half:]]
    actors = list(dict.fromkeys(actor for step in kept for actor in (step.sender, step.receiver)))
    if len(actors) > _ACTORS:
        rest = set(actors[_ACTORS - 1 :])
        kept = [
            SequenceStep(
                _OTHERS if step.sender in rest else step.sender,
                _OTHERS if step.receiver in rest else step.receiver,
                step.text,
                step.kind,
            )
            for step in kept
        ]
    return kept


def _columns(steps: Sequence[SequenceStep]) -> dict[str, float]:
    """Where each actor stands, in the order in which they appear."""
    actors = list(dict.fromkeys(actor for step in steps for actor in (step.sender, step.receiver)))
    room = _WIDTH / max(len(actors), 1)
    return {actor: room * (place + 0.5) for place, actor in enumerate(actors)}


def _heads(columns: dict[str, float], height: int) -> Iterator[str]:
    """Draw the names on top, and the line below each."""
    width = min(_WIDTH / max(len(columns), 1) - 8, 130)
    for actor, x in columns.items():
        lines = _name_lines(_plain(actor, _NAME), int((width - 8) / (_LETTER * 1.1)))
        first = (_HEAD + 9) / 2 - 7.5 * (len(lines) - 1)
        yield f'<line class="life" x1="{x:g}" y1="{_HEAD}" x2="{x:g}" y2="{height}"/>'
        yield (
            f'<rect class="actor" x="{x - width / 2:g}" y="1" width="{width:g}"'
            f' height="{_HEAD - 2}" rx="5"/>'
        )
        for place, line in enumerate(lines):
            yield _words(line, "actor-name", x, first + 15 * place)


def _name_lines(name: str, letters: int) -> list[str]:
    """Return a name on at most two lines; of a long one the beginning and the end."""
    if len(name) <= letters:
        return [name]
    hyphen = name.rfind("-", 0, letters + 1) + 1
    if hyphen and len(name) - hyphen <= letters:
        return [name[:hyphen], name[hyphen:]]
    if len(name) <= 2 * letters:
        return [name[:letters], name[letters:]]
    return [name[:letters], "…" + name[-(letters - 1) :]]


def _step(step: SequenceStep, columns: dict[str, float], y: int) -> tuple[list[str], int]:
    """Draw one step from `y` on; return its parts and where the next one begins."""
    begin, end = columns[step.sender], columns[step.receiver]
    lines = textwrap.wrap(
        _MARKS[step.kind] + _plain(step.text, _TEXT),
        _LETTERS,
        max_lines=_LINES,
        placeholder=" …",
        break_on_hyphens=False,
    )
    width = max(map(len, lines), default=0) * _LETTER + 12
    middle = min(max((begin + end) / 2, width / 2 + 2), _WIDTH - width / 2 - 2)
    height = len(lines) * _LINE + 6
    here = step.sender == step.receiver
    ground = "box" if here else "ground"
    parts = [
        f'<rect class="{ground} {step.kind}" x="{middle - width / 2:g}" y="{y}"'
        f' width="{width:g}" height="{height}" rx="5"/>'
    ]
    for place, line in enumerate(lines):
        parts.append(_words(line, step.kind, middle, y + 15 + place * _LINE))
    y += height
    if not here:
        y += 6
        parts += _arrow(begin, end, y, step.kind)
    return parts, y + _GAP + (0 if here else 4)


def _words(line: str, kind: str, x: float, y: float) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(line)}</text>'


def _arrow(begin: float, end: float, y: int, kind: StepKind) -> Iterator[str]:
    ahead = 1 if end > begin else -1
    tip = end - 2 * ahead
    yield f'<line class="arrow {kind}" x1="{begin:g}" y1="{y}" x2="{tip - 6 * ahead:g}" y2="{y}"/>'
    back = tip - 9 * ahead
    yield f'<path class="tip {kind}" d="M{tip:g} {y}L{back:g} {y - 5}L{back:g} {y + 5}Z"/>'


def _told(step: SequenceStep) -> str:
    way = _plain(step.sender, _NAME)
    if step.sender != step.receiver:
        way += f" to {_plain(step.receiver, _NAME)}"
    text = f"{way}: {_plain(step.text, _TEXT).rstrip('.')}{_SPOKEN[step.kind]}"
    return text if text.endswith("?") else f"{text}."


def _text(text: str) -> str:
    return escape(_plain(text, _TEXT))


def _plain(text: str, most: int) -> str:
    """At most so many letters, each one visible: what XML forbids or turns the line is escaped."""
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in cut
    )
