"""One CORS policy for services that share a URL and are picked by a request header.

Answered the same way in the app, in the preflight pod and in the mesh.
"""

from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.header_key import HeaderKey
from meshcors._policy.origins import Regex
from meshcors._policy.policy import Policy
from meshcors._policy.rules import Rule, RuleSet
from meshcors._policy.warning import PolicyWarning
from meshcors.asgi import MeshCORS
from meshcors.wrap import create_app, create_wsgi_app

__all__ = [
    "HeaderKey",
    "MeshCORS",
    "Policy",
    "PolicyError",
    "PolicyWarning",
    "Problem",
    "Regex",
    "Rule",
    "RuleSet",
    "create_app",
    "create_wsgi_app",
]
