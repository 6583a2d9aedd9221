"""One CORS policy for services that share a URL and are picked by a request header.

Answered the same way in the app, in the preflight pod and in the mesh.
"""

import typing as _typing

from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.header_key import HeaderKey
from meshcors._policy.policy import Policy, PolicyOptions
from meshcors._policy.regex import Regex
from meshcors._policy.rules import Rule, RuleSet
from meshcors._policy.warning import PolicyWarning
from meshcors.asgi import MeshCORS
from meshcors.wrap import create_app, create_wsgi_app

__all__ = [
    "HeaderKey",
    "MeshCORS",
    "Policy",
    "PolicyError",
    "PolicyOptions",
    "PolicyWarning",
    "Problem",
    "Regex",
    "Rule",
    "RuleSet",
    "__version__",
    "create_app",
    "create_wsgi_app",
]

__version__: str

# Hidden from type checkers, which would then accept any name.
if not _typing.TYPE_CHECKING:

    def __getattr__(name: str) -> str:
        # Only on demand, because reading the metadata takes time.
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import version

        return version(__name__)
