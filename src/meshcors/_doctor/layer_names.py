"""The layers that can answer a request, and how a report calls each of them."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

Layer: TypeAlias = Literal[
    "envoy_no_route",
    "envoy_no_upstream",
    "envoy_cors",
    "envoy_rbac",
    "envoy_jwt",
    "envoy_ext_authz",
    "envoy_direct_response",
    "pod",
    "meshcors",
    "starlette",
    "flask_cors",
    "django_cors_headers",
    "guard",
    "nginx",
    "cdn",
    "load_balancer",
    "login_redirect",
    "app",
    "unreachable",
]
# How a report calls each of them.
LAYER_NAMES: Final[dict[Layer, str]] = {
    "envoy_no_route": "Envoy, which has no route for it",
    "envoy_no_upstream": "Envoy, which does not reach the service",
    "envoy_cors": "Envoy's cors filter",
    "envoy_rbac": "an AuthorizationPolicy (Envoy's RBAC filter)",
    "envoy_jwt": "a RequestAuthentication (Envoy's JWT filter)",
    "envoy_ext_authz": "an authorization check in front (Envoy's ext_authz or the like)",
    "envoy_direct_response": "Envoy itself: a directResponse, a redirect or a limit",
    "pod": "the preflight pod",
    "meshcors": "meshcors in the app",
    "starlette": "Starlette's CORSMiddleware",
    "flask_cors": "flask-cors",
    "django_cors_headers": "django-cors-headers",
    "guard": "a guard of the server's own",
    "nginx": "nginx, or an app behind it",
    "cdn": "a CDN, or a server behind it",
    "load_balancer": "a load balancer, or a server behind it",
    "login_redirect": "a login in front",
    "app": "the app",
    "unreachable": "nobody",
}
