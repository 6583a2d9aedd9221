"""What a route does: redirect, direct_response, or a cluster. Envoy's RouteAction in our terms.

Source: ``envoy/config/route/v3/route_components.proto``.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from meshcors.mesh._documents.checks import substitution_error
from meshcors.mesh._documents.model import (
    Destination,
    DirectResponse,
    HeaderOperations,
    Redirect,
    Rewrite,
)
from meshcors.mesh._envoy.header_operations import FIELDS, read_headers
from meshcors.mesh._envoy.text_conditions import read_regex

if TYPE_CHECKING:
    from meshcors.mesh._envoy.part import Part

_CODES: Final = {
    "MOVED_PERMANENTLY": 301,
    "FOUND": 302,
    "SEE_OTHER": 303,
    "TEMPORARY_REDIRECT": 307,
    "PERMANENT_REDIRECT": 308,
}
_REDIRECT: Final = (
    "https_redirect", "scheme_redirect", "host_redirect", "port_redirect", "path_redirect",
    "prefix_rewrite", "regex_rewrite", "response_code", "strip_query",
)  # fmt: skip
_REWRITES: Final = ("prefix_rewrite", "regex_rewrite", "host_rewrite_literal")
# What changes neither who answers a request nor the headers of the answer.
_HARMLESS: Final = (
    "append_x_forwarded_host", "auto_host_rewrite", "cluster_not_found_response_code",
    "early_data_policy", "hash_policy", "hedge_policy", "host_rewrite_header",
    "host_rewrite_path_regex", "idle_timeout", "flush_timeout", "include_vh_rate_limits",
    "max_grpc_timeout", "grpc_timeout_offset", "max_stream_duration", "metadata_match",
    "path_rewrite", "path_rewrite_policy", "priority", "rate_limits", "request_mirror_policies",
    "retry_policy", "retry_policy_typed_config", "timeout", "upgrade_configs", "host_rewrite",
    "internal_redirect_policy", "internal_redirect_action", "max_internal_redirects",
)  # fmt: skip
# They change the path or the host by what only the request or the cluster says.
_OTHER_REWRITES: Final = (
    "auto_host_rewrite", "host_rewrite", "host_rewrite_header", "host_rewrite_path_regex",
    "path_rewrite", "path_rewrite_policy",
)  # fmt: skip
_ROUTE: Final = (
    "cluster", "cluster_header", "weighted_clusters", "cluster_specifier_plugin",
    "inline_cluster_specifier_plugin", "cors", *_REWRITES, *_HARMLESS,
)  # fmt: skip
_ISTIO_CLUSTER: Final = re.compile(r"outbound\|([0-9]{1,5})\|([^|]*)\|([^|]+)")


def read_redirect(part: Part) -> Redirect:
    """Read a RedirectAction."""
    part.only(_REDIRECT)
    regex, substitution = _regex_rewrite(part)
    code = part.choice("response_code", tuple(_CODES))
    return Redirect(
        place=part.place,
        uri=part.text("path_redirect"),
        prefix_rewrite=part.text("prefix_rewrite"),
        authority=part.text("host_redirect"),
        scheme="https" if part.flag("https_redirect") else part.text("scheme_redirect"),
        port=part.number("port_redirect"),
        code=_CODES[code],
        regex=regex,
        substitution=substitution,
        strip_query=part.flag("strip_query"),
        as_written=True,
    )


def read_direct_response(part: Part) -> DirectResponse:
    """Read a DirectResponseAction; a body that is not in the configuration counts as empty."""
    part.only(("status", "body", "body_format"))
    body = part.child("body")
    text = b""
    if body is not None and body.has("inline_bytes"):
        try:
            text = base64.b64decode(body.text("inline_bytes"))
        except (binascii.Error, ValueError):
            body.doubt("inline_bytes", "must be base64")
    elif body is not None:
        text = body.text("inline_string").encode(errors="replace")
    return DirectResponse(part.place, part.number("status", 200), text)


def read_rewrite(part: Part) -> Rewrite | None:
    """Read how a RouteAction changes the path and the host, as far as it is modelled."""
    partial = any(part.has(name) for name in _OTHER_REWRITES)
    if not (partial or any(part.has(name) for name in _REWRITES)):
        return None
    regex, substitution = _regex_rewrite(part)
    return Rewrite(
        part.place,
        uri=part.text("prefix_rewrite"),
        authority=part.text("host_rewrite_literal"),
        regex=regex,
        substitution=substitution,
        is_partial=partial,
    )


def read_destinations(part: Part) -> tuple[Destination, ...]:
    """Read the clusters of a RouteAction; one that a request chooses is named as such."""
    part.only(_ROUTE)
    weighted = part.child("weighted_clusters")
    if weighted is not None:
        return tuple(_weighted(each) for each in weighted.children("clusters"))
    if part.has("cluster"):
        return (_destination(part, part.text("cluster")),)
    if part.has("cluster_header"):
        return (_destination(part, f"the cluster that {part.text('cluster_header')} names"),)
    if part.has("cluster_specifier_plugin") or part.has("inline_cluster_specifier_plugin"):
        return (_destination(part, "the cluster that a plugin chooses"),)
    part.doubt("", "has no cluster")
    return ()


def _weighted(part: Part) -> Destination:
    part.only(("name", "cluster_header", "weight", "host_rewrite_literal", *FIELDS,
               "typed_per_filter_config", "metadata_match"))  # fmt: skip
    configs = part.child("typed_per_filter_config")
    for name in configs.data if configs else ():
        if "cors" in name:
            part.doubt("", "has a policy for this cluster alone")
    name = part.text("name") or f"the cluster that {part.text('cluster_header')} names"
    found = _destination(part, name, part.number("weight"))
    headers = read_headers(part)
    if authority := part.text("host_rewrite_literal"):
        headers = replace(headers, request=HeaderOperations(set=((":authority", authority),)))
    return replace(found, headers=headers)


def _destination(part: Part, cluster: str, weight: int = 0) -> Destination:
    istio = _ISTIO_CLUSTER.fullmatch(cluster)
    port, subset, host = (int(istio[1]), istio[2], istio[3]) if istio else (0, "", cluster)
    return Destination(part.place, host, port, subset, weight)


def _regex_rewrite(part: Part) -> tuple[str, str]:
    inner = part.child("regex_rewrite")
    if inner is None:
        return "", ""
    own = inner.scope()
    pattern, substitution = read_regex(own, "pattern"), own.text("substitution")
    inner.doubts.extend(own.doubts)
    if own.doubts:
        return "", ""
    if error := substitution_error(pattern, substitution):
        inner.doubt("substitution", error)
        return "", ""
    return pattern, substitution
