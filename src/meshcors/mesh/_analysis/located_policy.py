"""A corsPolicy with its place in the documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshcors._policy.place import Place
    from meshcors.mesh._documents.model import CorsPolicy, HttpRule, VirtualService


@dataclass(frozen=True, slots=True)
class LocatedPolicy:
    """A corsPolicy, its rule and document, and its path in the document."""

    document: VirtualService
    rule: HttpRule
    policy: CorsPolicy
    path: tuple[str | int, ...]

    def place(self, *inner: str | int) -> Place:
        """Return the place of the policy, or of a part of it, such as ``("allowHeaders", 2)``."""
        if self.document.kind == "HTTPRoute":
            return self.policy.place
        return self.document.place_at(*self.path, *inner)

    def is_set(self, field: str) -> bool:
        """Tell whether the document sets a field of the policy: not to null, nor an empty list."""
        node = self.document.node_at(*self.path, field)
        return node is not None and bool(node.value) and node.tag != "tag:yaml.org,2002:null"

    def strings(self, field: str) -> list[str]:
        """Return the list of strings that the document sets a field to."""
        node = self.document.node_at(*self.path, field)
        if node is None or node.id != "sequence":
            return []
        return [str(item.value) for item in node.value]
