"""What `fix` and `separate` are asked to do, and what they return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._analysis.origin_match import OriginMatch
    from meshcors.mesh._fix.blocked_calls import BlockedCalls

# Who answers preflights: the preflight pod, Envoy, or Envoy with the pod behind it.
Responder: TypeAlias = Literal["pod", "mesh", "both"]


@dataclass(frozen=True, slots=True)
class FixOptions:
    """Choices that the file does not make.

    ``responder`` answers preflights, ``pod`` is the host and port of the pod's service, and
    ``origins`` are the origins to allow where the file allows any or none.
    """

    responder: Responder = "pod"
    pod: tuple[str, int] = ("meshcors-dummy", 8080)
    origins: tuple[OriginMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class FixResult:
    """The written text, and why it differs.

    ``blocked`` are the calls that browsers could not make before, by VirtualService: each of these
    got a rule for preflights. ``after`` is everything as it is read afterwards: the text of `fix`,
    both files of `separate`.
    """

    text: str
    blocked: tuple[BlockedCalls, ...]
    after: MeshDocuments
