"""``response_headers_to_add`` and ``_to_remove``, as operations on the headers of an answer.

Source: ``envoy/config/core/v3/base.proto`` (HeaderValueOption).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors.mesh._documents.model import HeaderOperations, Headers

if TYPE_CHECKING:
    from meshcors.mesh._envoy.part import Part

_ACTIONS: Final = (
    "APPEND_IF_EXISTS_OR_ADD", "ADD_IF_ABSENT", "OVERWRITE_IF_EXISTS_OR_ADD", "OVERWRITE_IF_EXISTS"
)  # fmt: skip
FIELDS: Final = (
    "request_headers_to_add", "request_headers_to_remove",
    "response_headers_to_add", "response_headers_to_remove",
)  # fmt: skip


def read_headers(part: Part) -> Headers:
    """Read what a route, a virtual host or a configuration does with the headers of answers."""
    added: list[tuple[str, str]] = []
    replaced: list[tuple[str, str]] = []
    absent: set[int] = set()
    present: set[int] = set()
    for each in part.children("response_headers_to_add"):
        header = each.child("header")
        if header is None:
            each.doubt("header", "is not set")
            continue
        name, value = header.text("key"), header.text("value")
        _check_value(header, name, value)
        action = _action(each)
        if not (value or each.flag("keep_empty_value")):
            continue
        if action == "ADD_IF_ABSENT":
            absent.add(len(added))
        elif action == "OVERWRITE_IF_EXISTS":
            present.add(len(replaced))
        (replaced if action.startswith("OVERWRITE") else added).append((name, value))
    return Headers(
        response=HeaderOperations(
            set=tuple(replaced),
            set_if_present=frozenset(present),
            add=tuple(added),
            add_if_absent=frozenset(absent),
            remove=tuple(part.texts("response_headers_to_remove")),
        )
    )


def _action(part: Part) -> str:
    """Return the action; the older ``append`` says the same."""
    if part.has("append") and not part.has("append_action"):
        return _ACTIONS[0] if part.flag("append") else _ACTIONS[2]
    return part.choice("append_action", _ACTIONS)


def _check_value(header: Part, name: str, value: str) -> None:
    """Doubt a value that Envoy computes, where a browser looks at it."""
    if name.lower().startswith("access-control-") and "%" in value.replace("%%", ""):
        header.doubt("value", f"is computed by Envoy, for {name}")
