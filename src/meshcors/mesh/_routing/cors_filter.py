"""Envoy's cors filter (1.40, ``source/extensions/filters/http/cors/cors_filter.cc``).

It runs only on routes to a service, checks only the Origin, and never looks at the requested method
or headers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors.mesh._routing.matching import text_matches

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcors.mesh._documents.model import CorsPolicy
    from meshcors.mesh._routing.request import GatewayRequest

Fields = list[tuple[str, str]]

ALLOW_ORIGIN: Final = "access-control-allow-origin"
ALLOW_CREDENTIALS: Final = "access-control-allow-credentials"
ALLOW_METHODS: Final = "access-control-allow-methods"
ALLOW_HEADERS: Final = "access-control-allow-headers"
EXPOSE_HEADERS: Final = "access-control-expose-headers"
MAX_AGE: Final = "access-control-max-age"
REQUEST_METHOD: Final = "access-control-request-method"
REQUEST_HEADERS: Final = "access-control-request-headers"
REQUEST_PRIVATE_NETWORK: Final = "access-control-request-private-network"
ALLOW_PRIVATE_NETWORK: Final = "access-control-allow-private-network"


def origin_allowed(policy: CorsPolicy, origin: str) -> bool:
    """Tell whether an origin is allowed; Envoy tries the string ``*`` as well as the origin."""
    return any(
        text_matches(allowed, "*") or text_matches(allowed, origin)
        for allowed in policy.allow_origins
    )


def is_preflight(request: GatewayRequest) -> bool:
    """Tell whether the filter regards a request as a preflight."""
    has_fields = request.value("origin") and request.value(REQUEST_METHOD)
    return request.method == "OPTIONS" and bool(has_fields)


def preflight_answer(policy: CorsPolicy, request: GatewayRequest) -> Fields | None:
    """Return the headers of the filter's own 200, or None if the request goes on.

    A preflight of a refused origin goes on unless ``unmatchedPreflights`` is IGNORE.
    """
    allowed = origin_allowed(policy, request.value("origin"))
    if not is_preflight(request):
        return None
    if not allowed and policy.unmatched_preflights != "IGNORE":
        return None
    fields: Fields = []
    if allowed:
        fields.append((ALLOW_ORIGIN, request.value("origin")))
    if policy.allow_credentials:
        fields.append((ALLOW_CREDENTIALS, "true"))
    values = policy.values
    for name, value, asked in (
        (ALLOW_METHODS, values["allowMethods"], REQUEST_METHOD),
        (ALLOW_HEADERS, values["allowHeaders"], REQUEST_HEADERS),
    ):
        if value:
            fields.append((name, request.value(asked) if value == "*" else value))
    if values["maxAge"]:
        fields.append((MAX_AGE, values["maxAge"]))
    if policy.private_network and request.value(REQUEST_PRIVATE_NETWORK) == "true":
        fields.append((ALLOW_PRIVATE_NETWORK, "true"))
    # the filter then handles its own answer like any response
    return response_fields(policy, request, fields)


def response_fields(
    policy: CorsPolicy, request: GatewayRequest, fields: Iterable[tuple[str, str]]
) -> Fields:
    """Return the headers of a response after the filter: changed only for an allowed origin."""
    fields = list(fields)
    origin = request.value("origin")
    if not origin or not origin_allowed(policy, origin):
        return fields
    own = {ALLOW_ORIGIN: origin}
    if policy.allow_credentials:
        own[ALLOW_CREDENTIALS] = "true"
    if exposed := policy.values["exposeHeaders"]:
        own[EXPOSE_HEADERS] = exposed
    return [pair for pair in fields if pair[0].lower() not in own] + list(own.items())
