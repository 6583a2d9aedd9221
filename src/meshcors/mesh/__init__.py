"""The mesh as a pure model: what an Istio gateway does with a request, and why.

``Gateway.from_yaml`` reads VirtualServices and HTTPRoutes, ``Gateway.handle`` answers a `Request`
as Envoy 1.40 would; a differential test against a real Envoy holds the two together.
"""

from meshcors.mesh._documents.problems import DocumentError, Place, Problem
from meshcors.mesh._documents.reading import read_documents
from meshcors.mesh._routing.gateway import Answer, Gateway, Step
from meshcors.mesh._routing.matching import Mismatch
from meshcors.mesh._routing.request import Request

__all__ = [
    "Answer",
    "DocumentError",
    "Gateway",
    "Mismatch",
    "Place",
    "Problem",
    "Request",
    "Step",
    "read_documents",
]
