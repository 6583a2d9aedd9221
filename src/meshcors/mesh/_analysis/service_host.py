"""Host names of Kubernetes Services."""

from __future__ import annotations

import re
from typing import Final

# meshcors-dummy, meshcors-dummy.cheetah, meshcors-dummy.cheetah.svc.cluster.local
_SERVICE_HOST: Final = re.compile(r"([^.]+)(?:\.([^.]+)(?:\.svc(?:\..+)?)?)?\.?")

# cors.web, cors.web.svc
_WITH_NAMESPACE: Final = re.compile(r"([^.]+\.[^.]+)(?:\.svc)?\.?")


def service_of_host(host: str) -> tuple[str, str | None] | None:
    """Return the name and the namespace of the Service that a host names; None for other hosts.

    The namespace is None if the host does not say it.
    """
    found = _SERVICE_HOST.fullmatch(host)
    return None if found is None else (found[1], found[2])


def full_host(host: str) -> str:
    """Return a host as Istio knows it: it completes ``cors``, but not ``cors.web``.

    Source: ``pkg/config/host/names.go`` and ``pilot/pkg/model/virtualservice.go`` of Istio
    (ResolveShortnameToFQDN): a name with a dot is taken as it is.
    """
    short = _WITH_NAMESPACE.fullmatch(host)
    return host if short is None else f"{short[1]}.svc.cluster.local"
