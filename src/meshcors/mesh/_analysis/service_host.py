"""Host names of Kubernetes Services."""

from __future__ import annotations

import re
from typing import Final

# meshcors-dummy, meshcors-dummy.cheetah, meshcors-dummy.cheetah.svc.cluster.local
_SERVICE_HOST: Final = re.compile(r"([^.]+)(?:\.([^.]+)(?:\.svc(?:\..+)?)?)?\.?")


def service_of_host(host: str) -> tuple[str, str | None] | None:
    """Return the name and the namespace of the Service that a host names; None for other hosts.

    The namespace is None if the host does not say it.
    """
    found = _SERVICE_HOST.fullmatch(host)
    return None if found is None else (found[1], found[2])
