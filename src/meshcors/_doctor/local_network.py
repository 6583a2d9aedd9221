"""Hosts of this machine and of its network, as browsers tell them apart.

Secure Contexts 3.1, and Local Network Access (https://wicg.github.io/local-network-access/).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from meshcors._policy.hosts import is_loopback

# Local Network Access, "non-public IP address blocks"
_LOCAL: Final = tuple(
    map(
        ip_network,
        (
            *("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.168.0.0/16", "198.18.0.0/15", "::1/128", "fc00::/7", "fe80::/10"),
        ),
    )
)


def is_this_machine(host: str) -> bool:
    """Tell whether a host of a URL is a loopback address or name."""
    return host == "::1" or is_loopback(host)


def is_local_address(host: str) -> bool:
    """Tell whether a host is an address that the internet does not reach."""
    address = _address(host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address is not None and any(
        address in each for each in _LOCAL if each.version == address.version
    )


def is_local_by_name(host: str) -> bool:
    """Tell whether Chromium sees from the URL alone that a host is in the local network.

    It asks the user then, in place of blocking it as mixed content. So it does for these addresses
    and for names below ``local``.
    """
    return is_local_address(host) or host.endswith(".local")


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
