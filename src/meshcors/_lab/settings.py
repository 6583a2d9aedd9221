"""What the lab is asked to do, and the words for its two sides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

SideName: TypeAlias = Literal["before", "after"]
SIDES: Final[tuple[SideName, ...]] = ("before", "after")
LOOPBACK: Final = "127.0.0.1"
# A host and a port.
Address: TypeAlias = tuple[str, int]
DEFAULT_POD: Final[Address] = ("meshcors-dummy", 8080)


class LabError(Exception):
    """The lab cannot start, or cannot go on; the message is one line."""


@dataclass(frozen=True, slots=True)
class LabSettings:
    """What the command line says.

    ``origin`` is the page's, None for that of the documents; ``gateway`` the name of the gateway,
    None for the first one; ``policy`` the text of the pod's policy, None for that of ``fix``;
    ``services`` are real services by what the documents call them: ``host`` or ``host:port``.
    ``file`` is how a message calls documents that have no gateway.
    """

    origin: str | None = None
    pod: Address = DEFAULT_POD
    gateway: str | None = None
    policy: str | None = None
    services: Mapping[str, Address] = field(default_factory=dict)
    unmatched: bool = True
    file: str = "FILE"

    def real_service(self, label: str) -> Address | None:
        """Return where the real service of a destination (``host:port``) is, None without one."""
        return self.services.get(label) or self.services.get(label.rpartition(":")[0])

    def is_pod(self, label: str) -> bool:
        """Tell whether a destination (``host:port``) is the pod."""
        host = label.rpartition(":")[0]
        return host == self.pod[0] or host.startswith(f"{self.pod[0]}.")
