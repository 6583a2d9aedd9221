"""The mesh as a pure model: what an Istio gateway does with a request, and why.

``Gateway.from_yaml`` reads VirtualServices and HTTPRoutes, ``Gateway.handle`` answers a
`GatewayRequest` as Envoy 1.40 would; a differential test against a real Envoy holds the two
together.
"""

import warnings

from meshcors.mesh._documents.problems import DocumentError, DocumentProblem, Place
from meshcors.mesh._documents.reading import read_documents
from meshcors.mesh._routing.gateway import Gateway, GatewayAnswer, TriedRule
from meshcors.mesh._routing.matching import Mismatch
from meshcors.mesh._routing.request import GatewayRequest

__all__ = [
    "DocumentError",
    "DocumentProblem",
    "Gateway",
    "GatewayAnswer",
    "GatewayRequest",
    "Mismatch",
    "Place",
    "TriedRule",
    "read_documents",
]

# Until 0.1.0 these had names that `meshcors` and `meshcors.browser` have too.
_RENAMED = {
    "Answer": GatewayAnswer,
    "Problem": DocumentProblem,
    "Request": GatewayRequest,
    "Step": TriedRule,
}


def __getattr__(name: str) -> object:
    if name not in _RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    new = _RENAMED[name]
    message = f"meshcors.mesh.{name} is now meshcors.mesh.{new.__name__}"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return new
