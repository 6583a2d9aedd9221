"""Turns YAML into plain data in one pass: no nodes, no aliases, no tags, and a bound on the depth.

A node for each value, with its place, would take several times the memory of the data, and a file
of 1 MiB has a hundred thousand values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

# The time that the YAML reader takes is quadratic in the depth.
_MAX_DEPTH: Final = 64
_TEXT: Final = "tag:yaml.org,2002:str"
_MERGE: Final = "tag:yaml.org,2002:merge"


def data_of_yaml(yaml: Any, text: str) -> list[object]:
    """Return the documents in a YAML text, without empty ones; `yaml` is ruamel.yaml's ``YAML``.

    Raises ruamel.yaml's ``YAMLError``, with the place of what is wrong or not supported, and
    ``ValueError``.
    """
    return list(_Builder(yaml, text).documents())


class _Builder:
    """Builds data from the events of one text."""

    def __init__(self, yaml: Any, text: str) -> None:
        from ruamel.yaml import events, nodes

        self._kinds: Any = events
        self._new_scalar: Any = nodes.ScalarNode
        self._yaml = yaml
        self._events: Iterator[Any] = yaml.parse(text)
        # The same few keys again and again.
        self._keys: dict[object, object] = {}

    def documents(self) -> Iterator[object]:
        for event in self._events:
            if isinstance(event, self._kinds.DocumentStartEvent):
                found = self._value(next(self._events), 0)
                if found is not None:
                    yield found

    def _value(self, event: Any, depth: int) -> object:
        if isinstance(event, self._kinds.AliasEvent):
            _refuse("aliases are not supported: write the value out", event)
        if event.tag is not None:
            _refuse("tags are not supported: leave them out", event)
        if isinstance(event, self._kinds.ScalarEvent):
            return self._scalar(event, self._tag(event))
        if depth == _MAX_DEPTH:
            _refuse("nested too deeply", event)
        if isinstance(event, self._kinds.SequenceStartEvent):
            return self._list(depth + 1)
        return self._mapping(depth + 1)

    def _tag(self, event: Any) -> str:
        return str(self._yaml.resolver.resolve(self._new_scalar, event.value, event.implicit))

    def _scalar(self, event: Any, tag: str) -> object:
        if tag == _TEXT:
            return event.value
        if tag == _MERGE:
            _refuse("merge keys (<<) are not supported: write the fields out", event)
        node = self._new_scalar(tag, event.value, event.start_mark, event.end_mark)
        return self._yaml.constructor.construct_object(node)

    def _list(self, depth: int) -> list[object]:
        found: list[object] = []
        while not isinstance(event := next(self._events), self._kinds.SequenceEndEvent):
            found.append(self._value(event, depth))
        return found

    def _mapping(self, depth: int) -> dict[object, object]:
        found: dict[object, object] = {}
        while not isinstance(event := next(self._events), self._kinds.MappingEndEvent):
            key = self._key(event, depth)
            if key in found:
                _refuse("found duplicate key", event)
            found[self._keys.setdefault(key, key)] = self._value(next(self._events), depth)
        return found

    def _key(self, event: Any, depth: int) -> object:
        found = self._value(event, depth)
        if isinstance(found, list):
            found = tuple(found)
        try:
            hash(found)
        except TypeError:
            _refuse(
                "a mapping or a list as the name of a field: quote what begins with { or [", event
            )
        return found


def _refuse(reason: str, event: Any) -> NoReturn:
    from ruamel.yaml.composer import ComposerError

    raise ComposerError(None, None, reason, event.start_mark)
