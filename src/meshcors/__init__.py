"""One CORS policy for services that share a URL and are picked by a request header.

Answered the same way in the app, in the preflight pod and in the mesh.
"""

from meshcors.app import create_app, create_wsgi_app
from meshcors.asgi import MeshCORS
from meshcors.errors import PolicyError, PolicyWarning, Problem
from meshcors.header_key import HeaderKey
from meshcors.policy import Policy
from meshcors.rules import Rule, RuleSet

__all__ = [
    "HeaderKey",
    "MeshCORS",
    "Policy",
    "PolicyError",
    "PolicyWarning",
    "Problem",
    "Rule",
    "RuleSet",
    "create_app",
    "create_wsgi_app",
]
