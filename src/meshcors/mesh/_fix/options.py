"""What `fix` and `separate` are asked to do, and what they return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from meshcors.mesh._fix.narrowing import JSON

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._analysis.origin_match import OriginMatch
    from meshcors.mesh._fix.blocked_calls import BlockedCalls

# Who answers preflights: the preflight pod, Envoy, or Envoy with the pod behind it.
Responder: TypeAlias = Literal["pod", "mesh", "both"]


@dataclass(frozen=True, slots=True)
class FixOptions:
    """Choices that the file does not make.

    ``responder`` answers preflights, ``pod`` is the host and port of the pod's service, and
    ``origins`` are the origins to allow where the file allows any or none. With ``unmatched``,
    the pod also gets a last rule, for requests that no other rule takes.
    """

    responder: Responder = "pod"
    pod: tuple[str, int] = ("meshcors-dummy", 8080)
    origins: tuple[OriginMatch, ...] = ()
    unmatched: bool = True

    @property
    def also_allowed(self) -> frozenset[str]:
        """The headers that count as allowed whatever a policy lists: the pod allows them."""
        return frozenset() if self.responder == "mesh" else JSON


@dataclass(frozen=True, slots=True)
class FixResult:
    """The written texts by file, and why they differ.

    ``blocked`` are the calls that browsers could not make before, in one group for each new rule.
    ``after`` is everything as it is read afterwards: the texts of `fix`, or the files and the new
    ones of `separate`. ``notes`` say what was left out. ``pod`` is the policy file of the pod, as
    plain data; None if there is no pod.
    """

    texts: Mapping[str, str]
    blocked: tuple[BlockedCalls, ...]
    after: MeshDocuments
    notes: tuple[str, ...] = ()
    pod: Mapping[str, Any] | None = None

    @property
    def text(self) -> str:
        """The text of the only file; empty if there is none."""
        return "".join(self.texts.values())
