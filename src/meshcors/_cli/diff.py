"""A unified diff in about linear time.

Lines that occur once in each text are matched first, and `difflib` compares the few lines between
them (patience diff, Bram Cohen). On whole files with many changes, `difflib` alone would take
quadratic time.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from difflib import Match, SequenceMatcher
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")


def unified_diff(before: str | None, after: str, name: str) -> str:
    """Return a diff that ``patch`` applies, whatever the line breaks are.

    ``before`` is None if there is no such file yet.
    """
    old, new = _LINE.findall(before or ""), _LINE.findall(after)
    groups = list(_Matcher(old, new).get_grouped_opcodes())
    if not groups:
        return ""
    label = _label(name)
    lines = [f"--- {'/dev/null' if before is None else label}\n", f"+++ {label}\n"]
    for group in groups:
        (_, old_start, _, new_start, _), (_, _, old_end, _, new_end) = group[0], group[-1]
        ranges = f"-{_range(old_start, old_end)} +{_range(new_start, new_end)}"
        lines.append(f"@@ {ranges} @@\n")
        for kind, i1, i2, j1, j2 in group:
            if kind == "equal":
                lines += [f" {line}" for line in old[i1:i2]]
            else:
                lines += [f"-{line}" for line in old[i1:i2]]
                lines += [f"+{line}" for line in new[j1:j2]]
    ended = (
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
    return "".join(ended)


def _label(name: str) -> str:
    """Return a file's name as git and ``patch`` read it.

    A name with characters that are not printable is quoted as in C, and a tab ends one with spaces.
    """
    if name.isprintable() and not name.startswith('"'):
        return f"{name}\t" if " " in name else name
    found = name.encode(errors="surrogateescape")
    return f'"{"".join(map(_quoted, found))}"'


def _quoted(byte: int) -> str:
    if chr(byte) in '"\\':
        return f"\\{chr(byte)}"
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}"


def _range(start: int, end: int) -> str:
    """Return lines as a hunk's header has them: an empty range names the line before it."""
    length = end - start
    first = start + 1 if length else start
    return str(first) if length == 1 else f"{first},{length}"


class _Matcher(SequenceMatcher[str]):
    """The matcher of `difflib`, with the texts cut at lines that occur once in each."""

    def __init__(self, old: Sequence[str], new: Sequence[str]) -> None:
        super().__init__(None, old, new, autojunk=False)
        self._old = old
        self._new = new

    def get_matching_blocks(self) -> list[Match]:
        """Return the runs of equal lines; the last one has length 0, as in `difflib`."""
        blocks: list[Match] = []
        old_at = new_at = 0
        ends = (len(self._old), len(self._new))
        for old_end, new_end in (*_anchors(self._old, self._new), ends):
            piece = SequenceMatcher(
                None, self._old[old_at:old_end], self._new[new_at:new_end], autojunk=False
            )
            for found in piece.get_matching_blocks()[:-1]:
                _append(blocks, old_at + found.a, new_at + found.b, found.size)
            if (old_end, new_end) != ends:
                _append(blocks, old_end, new_end, 1)
            old_at, new_at = old_end + 1, new_end + 1
        return [*blocks, Match(*ends, 0)]


def _append(blocks: list[Match], old_at: int, new_at: int, size: int) -> None:
    if blocks and (blocks[-1].a + blocks[-1].size, blocks[-1].b + blocks[-1].size) == (
        old_at,
        new_at,
    ):
        last = blocks.pop()
        old_at, new_at, size = last.a, last.b, last.size + size
    blocks.append(Match(old_at, new_at, size))


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Return the longest series of lines that occur once in each text, in the same order."""
    counts = Counter(new)
    places = {line: at for at, line in enumerate(new) if counts[line] == 1}
    counts = Counter(old)
    pairs = [
        (at, places[line]) for at, line in enumerate(old) if counts[line] == 1 and line in places
    ]
    # The longest increasing subsequence, by the last element of each length.
    tails: list[int] = []
    chains: list[_Chain] = []
    for pair in pairs:
        length = bisect_left(tails, pair[1])
        chain = (pair, chains[length - 1] if length else None)
        tails[length : length + 1] = [pair[1]]
        chains[length : length + 1] = [chain]
    found: list[tuple[int, int]] = []
    last = chains[-1] if chains else None
    while last is not None:
        found.append(last[0])
        last = last[1]
    return found[::-1]


_Chain: TypeAlias = "tuple[tuple[int, int], _Chain | None]"
