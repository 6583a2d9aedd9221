"""For tests: a page's call over real HTTP, and the gateway that it goes through.

    with MeshGateway("routes.yaml", {"model:8000": port}) as gateway:
        page = browser.Request("https://ui.example", "https://api.example/v1", "POST")
        assert_allowed(gateway.fetch(page))

`Wire` makes calls to any URL and needs the extra ``cli``; `MeshGateway` runs a real Envoy and needs
``lab``. Nothing of an extra is imported before it is used. pytest finds the fixtures
``mesh_gateway`` and ``browser_fetch`` by itself. docs/testing.md has examples.
"""

from meshcors.testing._assertions import assert_allowed, assert_blocked
from meshcors.testing._envoy_process import EnvoyError
from meshcors.testing._extras import MissingExtraError
from meshcors.testing._fetch import Exchange, PageCall, Wire
from meshcors.testing._fixtures import BrowserFetch, GatewayFactory, PodFactory
from meshcors.testing._gateway import GatewayCall, MeshGateway, RoutedRequest
from meshcors.testing._pod import PodError, PreflightPod
from meshcors.testing._story import story

__all__ = [
    "BrowserFetch",
    "EnvoyError",
    "Exchange",
    "GatewayCall",
    "GatewayFactory",
    "MeshGateway",
    "MissingExtraError",
    "PageCall",
    "PodError",
    "PodFactory",
    "PreflightPod",
    "RoutedRequest",
    "Wire",
    "assert_allowed",
    "assert_blocked",
    "story",
]
