"""The ASGI middleware. It imports no framework; names are those of the ASGI specification 3.0."""

from meshcors.asgi._middleware import ASGIApp, MeshCORS, Message, Receive, Scope, Send

__all__ = ["ASGIApp", "MeshCORS", "Message", "Receive", "Scope", "Send"]
