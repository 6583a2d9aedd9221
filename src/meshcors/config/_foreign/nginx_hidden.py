"""What nginx does with origins beside the lines that are read: the policy would allow more.

A block with an add_header of its own inherits none, so the lines of an if are all that it sends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors.config._foreign.nginx_origins import UnreadableOriginsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshcors.config._foreign.nginx_origins import NginxOrigins
    from meshcors.config._foreign.nginx_syntax import Directive

_ORIGIN: Final = "access-control-allow-origin"
_CREDENTIALS: Final = "access-control-allow-credentials"


def refuse_what_is_hidden(
    origins: NginxOrigins, block: Directive, lines: Sequence[Directive]
) -> None:
    """Raise `UnreadableOriginsError` if the `lines` of a `block` are not all that decides."""
    around = (each for outer in block.outer for each in outer.block)
    for each in (*around, *inside(block)):
        if each.name == "if" and _refuses(each) and origins.is_about_origins(each):
            reason = "it refuses some origins, which the policy would let in"
            hint = "write a map of the origins that may, in its place"
            raise UnreadableOriginsError(each, reason, hint)
    groups = _groups(lines)
    for group in groups:
        _refuse_two_lines(group)
    _refuse_some_credentials(lines, groups)
    if len(groups) > 1 and any(
        outer.name == "if" and origins.is_about_origins(outer)
        for group in groups
        for outer in group[0].outer
    ):
        _refuse_differences(lines)


def inside(directive: Directive) -> Iterator[Directive]:
    """Yield all directives in a block, and in the blocks in it."""
    for each in directive.block:
        yield each
        yield from inside(each)


def _refuses(condition: Directive) -> bool:
    return any(
        each.name == "return" and each.words[1:2] and not each.words[1].startswith("2")
        for each in condition.block
    )


def _groups(lines: Sequence[Directive]) -> list[list[Directive]]:
    """Return the lines that are sent together, of each block that allows an origin."""
    groups: dict[int, list[Directive]] = {}
    for line in lines:
        groups.setdefault(id(line.outer[-1]) if line.outer else 0, []).append(line)
    return [group for group in groups.values() if any(_header(each) == _ORIGIN for each in group)]


def _refuse_two_lines(group: Sequence[Directive]) -> None:
    sent = [each for each in group if _header(each) == _ORIGIN]
    for each in sent:
        value = each.words[2] if each.words[2:] else ""
        is_always_sent = value == "$http_origin" or (value and "$" not in value)
        if is_always_sent and len(sent) > 1:
            reason = "it is sent twice, so browsers take neither"
            raise UnreadableOriginsError(each, reason, "write one line, with a map of the origins")


def _refuse_some_credentials(
    lines: Sequence[Directive], groups: Sequence[Sequence[Directive]]
) -> None:
    with_them = [each for each in lines if _header(each) == _CREDENTIALS and _value(each)]
    for group in groups:
        if with_them and not any(each in with_them for each in group):
            reason = "not every line that allows an origin has it next to it"
            hint = "write it next to each of them, or leave it out"
            raise UnreadableOriginsError(with_them[0], reason, hint)


def _refuse_differences(lines: Sequence[Directive]) -> None:
    said: dict[str, str] = {}
    for each in lines:
        name = _header(each)
        is_of_cors = name.startswith("access-control-") and name != _ORIGIN
        if is_of_cors and said.setdefault(name, _value(each)) != _value(each):
            reason = "it differs from one origin to another"
            raise UnreadableOriginsError(each, reason, "write the same for all of them")


def _header(line: Directive) -> str:
    return line.words[1].lower()


def _value(line: Directive) -> str:
    value = line.words[2] if line.words[2:] else ""
    return "" if value == "false" else value
