"""A model of the mesh: what an Istio gateway does with a request, and why.

`Gateway.from_yaml` reads VirtualServices and HTTPRoutes, and `Gateway.handle` answers a
`GatewayRequest` as Envoy 1.40 would. There is no I/O; a differential test compares the answers with
those of a real Envoy.

- `Gateway`: the documents of one gateway. `read_documents` reads them without a gateway.
- `GatewayRequest`: a request as the gateway sees it.
- `GatewayAnswer`: who answers it, and what the client gets. A `TriedRule` is a rule that was tried,
  with a `Mismatch` for each condition that was not met.
- `DocumentError`: the documents would not load. It has a `DocumentProblem` for each reason.
- `Place`: where a rule or a problem is, as file, line and column.

`meshcors.mesh.envoy` turns a gateway into a configuration for a real Envoy.
"""

from meshcors._policy.place import Place
from meshcors.mesh._documents.problems import DocumentError, DocumentProblem
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
