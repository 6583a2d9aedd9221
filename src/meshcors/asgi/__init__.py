"""The ASGI middleware. It imports no framework; names are those of the ASGI specification 3.0."""

from meshcors.asgi._messages import ASGIApp, Message, Receive, Scope, Send
from meshcors.asgi._middleware import MeshCORS

__all__ = ["ASGIApp", "MeshCORS", "Message", "Receive", "Scope", "Send"]
