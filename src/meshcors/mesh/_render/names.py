"""What rendered documents are called, and what they refer to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sized

# A Kubernetes object as plain data.
Document: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RouteNames:
    """The names in documents that route to the pod.

    The documents are called `name` and bound to `gateway`, which is ``namespace/name``, or ``name``
    in the documents' own `namespace`. `pod` is the host and port of the pod's Service. Without a
    `namespace`, whoever applies the documents chooses it.
    """

    name: str
    gateway: str
    pod: tuple[str, int]
    namespace: str | None = None

    def metadata(self, suffix: str) -> Document:
        """Return the metadata of the document with a `suffix`."""
        return named(self.name + suffix, self.namespace)


def named(name: str, namespace: str | None) -> Document:
    """Return the metadata of an object, without a namespace if it is None."""
    return {"name": name} if namespace is None else {"name": name, "namespace": namespace}


def suffixes(items: Sized) -> list[str]:
    """Return what tells the names of items apart: ``-1``, ``-2``; nothing for a single item."""
    count = len(items)
    return [f"-{number}" for number in range(1, count + 1)] if count > 1 else [""] * count
