"""The fixtures of `meshcors.testing` for pytest, which finds this module by itself.

pytest imports it at every start, so it imports nothing before a test asks for a fixture: not even
the package, of which it is no part for that reason. ``-p no:meshcors`` turns it off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from meshcors.testing import BrowserFetch, GatewayFactory, PodFactory

__all__ = ["browser_fetch", "mesh_gateway", "mesh_gateway_factory", "preflight_pod"]


@pytest.fixture
def mesh_gateway() -> Generator[GatewayFactory]:
    """Start gateways: ``mesh_gateway(documents, services)`` is a running `MeshGateway`.

    They end with the test.
    """
    from meshcors.testing._fixtures import gateways

    with gateways() as factory:
        yield factory


@pytest.fixture(scope="session")
def mesh_gateway_factory() -> Generator[GatewayFactory]:
    """Start gateways that end with the session, for fixtures with a wider scope than a test."""
    from meshcors.testing._fixtures import gateways

    with gateways() as factory:
        yield factory


@pytest.fixture
def browser_fetch() -> Generator[BrowserFetch]:
    """Make calls as one browser does, which remembers preflights until the test ends."""
    from meshcors.testing._fixtures import BrowserFetch, a_wire

    with a_wire() as wire:
        yield BrowserFetch(wire)


@pytest.fixture
def preflight_pod() -> Generator[PodFactory]:
    """Start preflight pods: ``preflight_pod(policy)`` is a running `PreflightPod`.

    They end with the test.
    """
    from meshcors.testing._fixtures import pods

    with pods() as factory:
        yield factory
