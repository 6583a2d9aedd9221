"""One CORS policy for services that share a URL and are picked by a request header.

Answered the same way in the app, in the preflight pod and in the mesh.

PYTEST_DONT_REWRITE: pytest rewrites the asserts of all that comes with a plugin, and would warn
where the package is imported before it.
"""

# Names are imported when they are first used, `typing` among them: as process 1 of a container, the
# pod has to be ready for SIGTERM before anything else.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from meshcors._policy.errors import PolicyError, Problem
    from meshcors._policy.header_key import HeaderKey
    from meshcors._policy.policy import Policy, PolicyOptions
    from meshcors._policy.regex import Regex
    from meshcors._policy.rules import Rule, RuleSet
    from meshcors._policy.warning import PolicyWarning
    from meshcors.asgi import MeshCORS
    from meshcors.config._policy_in_file import PolicyFile
    from meshcors.config._replaceable import ReplaceablePolicy
    from meshcors.wrap import create_app, create_wsgi_app

__all__ = [
    "HeaderKey",
    "MeshCORS",
    "Policy",
    "PolicyError",
    "PolicyFile",
    "PolicyOptions",
    "PolicyWarning",
    "Problem",
    "Regex",
    "ReplaceablePolicy",
    "Rule",
    "RuleSet",
    "__version__",
    "create_app",
    "create_wsgi_app",
]

__version__: str

_HOMES = {
    "HeaderKey": "_policy.header_key",
    "MeshCORS": "asgi",
    "Policy": "_policy.policy",
    "PolicyError": "_policy.errors",
    "PolicyFile": "config._policy_in_file",
    "PolicyOptions": "_policy.policy",
    "PolicyWarning": "_policy.warning",
    "Problem": "_policy.errors",
    "Regex": "_policy.regex",
    "ReplaceablePolicy": "config._replaceable",
    "Rule": "_policy.rules",
    "RuleSet": "_policy.rules",
    "create_app": "wrap",
    "create_wsgi_app": "wrap",
}
_MODULES = ("asgi", "config", "wrap", "wsgi")

# Hidden from type checkers, which would then accept any name.
if not TYPE_CHECKING:
    del TYPE_CHECKING

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name == "__version__":
            return import_module("importlib.metadata").version(__name__)
        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
