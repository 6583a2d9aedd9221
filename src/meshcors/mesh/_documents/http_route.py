"""An HTTPRoute (gateway.networking.k8s.io): YAML to the rules that Istio makes of it.

Sources: ``pilot/pkg/config/kube/gateway/conversion.go`` (convertHTTPRoute, createCorsFilter,
sortHTTPRoutes) and the Gateway API's own types for fields, defaults and checks.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from meshcors.mesh._documents import checks
from meshcors.mesh._documents.model import (
    CORS_FIELDS,
    NAME_LISTS,
    CorsPolicy,
    Destination,
    DirectResponse,
    HeaderOperations,
    Headers,
    HttpMatch,
    HttpRule,
    Redirect,
    Rewrite,
    StringMatch,
    VirtualService,
)
from meshcors.mesh._documents.virtual_service import read_metadata

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshcors.mesh._documents.cursor import Cursor
    from meshcors.mesh._documents.model import MatchKind, NamedMatches

_PATH_KINDS: Final = {"PathPrefix": "prefix", "Exact": "exact", "RegularExpression": "regex"}
_VALUE_KINDS: Final = {"Exact": "exact", "RegularExpression": "regex"}
_METHODS: Final = tuple(sorted(checks.CORS_METHODS - {"*"}))
# What a bare "*" means to Istio: any text shaped like an origin.
ANY_ORIGIN: Final = r"^[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s?#]+$"
_FILTERS: Final = {
    "RequestHeaderModifier": "requestHeaderModifier",
    "ResponseHeaderModifier": "responseHeaderModifier",
    "RequestRedirect": "requestRedirect",
    "URLRewrite": "urlRewrite",
    "CORS": "cors",
    "RequestMirror": "requestMirror",
    "ExtensionRef": "extensionRef",
    "ExternalAuth": "externalAuth",
}
# Filters whose effect is not modelled: what they do is up to the gateway's own extensions.
_UNKNOWN_EFFECT: Final = frozenset({"ExtensionRef", "ExternalAuth"})


def read_http_route(cursor: Cursor) -> VirtualService:
    """Read one HTTPRoute; its problems are added to the cursor's report."""
    namespace, name, created = read_metadata(cursor)
    spec = cursor.entries().get("spec")
    known = ("parentRefs", "hostnames", "rules", "useDefaultGateways")
    fields = spec.fields(known) if spec and not spec.is_null else {}
    hosts: list[str] = []
    for host, item in fields["hostnames"].strings() if "hostnames" in fields else ():
        error = checks.wildcard_host_error(host)
        if error or host == "*":
            hint = "leave out hostnames to match any host"
            item.problem("host", error or "'*' is not a hostname", hint)
        hosts.append(host)
    parents = fields["parentRefs"].items() if "parentRefs" in fields else []
    rules: list[HttpRule] = []
    for at, rule in enumerate(fields["rules"].items() if "rules" in fields else ()):
        label = f"{namespace}/{name} rules[{at}]"
        base = HttpRule(rule.place, label, rule.report.document, ("spec", "rules", at))
        rules += _rules(rule, base, namespace)
    return VirtualService(
        kind="HTTPRoute",
        place=cursor.place,
        namespace=namespace,
        name=name,
        hosts=tuple(hosts) or ("*",),
        gateways=tuple(name for name in (_parent(each, namespace) for each in parents) if name),
        http=tuple(rules),
        created=created,
        number=cursor.report.number,
        node=cursor.node,
    )


def precedence(rule: HttpRule) -> tuple[int, int, bool, int, int]:
    """Rank a rule of one match entry: higher ranks are tried first, equal ranks in order."""
    match = rule.match[0]
    kinds = {"exact": 3, "prefix": 2, "regex": 1}
    path = match.uri or StringMatch("prefix", "/", match.place)
    has_method = match.method is not None
    return (
        kinds[path.kind],
        len(path.value.encode()),
        has_method,
        len(match.headers),
        len(match.query_params),
    )


def _parent(cursor: Cursor, namespace: str) -> str:
    names = ("group", "kind", "namespace", "name", "sectionName", "port")
    fields = cursor.fields(names)
    if "name" not in fields:
        cursor.problem("required", "a parentRef needs a name", "name the Gateway")
        return ""
    if "kind" in fields and fields["kind"].string() != "Gateway":
        return ""  # a Service: the route is for sidecars
    place = fields["namespace"].string() if "namespace" in fields else namespace
    return f"{place}/{fields['name'].string()}"


def _rules(cursor: Cursor, empty: HttpRule, namespace: str) -> list[HttpRule]:
    """Fill in ``empty``, once for each match entry: Istio sorts them one by one."""
    known = ("name", "matches", "filters", "backendRefs", "timeouts", "retry", "sessionPersistence")
    fields = cursor.fields(known)
    entries = fields["matches"].items() if "matches" in fields else []
    matches = [_match(entry) for entry in entries]
    if not matches:
        anything = StringMatch("prefix", "/", cursor.place)
        matches = [HttpMatch(cursor.place, uri=anything)]  # the API server's default
    base = _filters(empty, fields.get("filters"))
    route = _backends(fields.get("backendRefs"), namespace)
    if base.redirect is None and not route:
        base = replace(base, direct_response=DirectResponse(cursor.place, 500))
    else:
        base = replace(base, route=route)
    return [replace(base, match=(match,), match_index=at) for at, match in enumerate(matches)]


def _match(cursor: Cursor) -> HttpMatch:
    fields = cursor.fields(("path", "headers", "queryParams", "method"))
    method = None
    if "method" in fields:
        verb = fields["method"].choice(*_METHODS)
        method = StringMatch("exact", verb, fields["method"].place)
    return HttpMatch(
        place=cursor.place,
        uri=_path(fields["path"]) if "path" in fields else StringMatch("prefix", "/", cursor.place),
        method=method,
        headers=_values(fields.get("headers"), str.lower),
        query_params=_values(fields.get("queryParams"), str),
    )


def _path(cursor: Cursor) -> StringMatch:
    fields = cursor.fields(("type", "value"))
    kind = _PATH_KINDS[fields["type"].choice(*_PATH_KINDS) if "type" in fields else "PathPrefix"]
    value = fields["value"].string() if "value" in fields else "/"
    if kind == "regex":
        if error := checks.regex_error(value):
            cursor.problem("regex", error, "see RE2's syntax")
    elif not value.startswith("/"):
        cursor.problem("path", f"{value!r} is not a path", "begin it with /")
    if kind == "prefix" and value != "/":
        value = value.removesuffix("/")
    return StringMatch(cast("MatchKind", kind), value, cursor.place)


def _values(cursor: Cursor | None, fold: Callable[[str], str]) -> NamedMatches:
    found: dict[str, StringMatch] = {}
    for item in cursor.items() if cursor else ():
        fields = item.fields(("type", "name", "value"))
        if not {"name", "value"} <= fields.keys():
            item.problem("required", "a condition needs name and value", "add what is missing")
            continue
        kind = _VALUE_KINDS[fields["type"].choice(*_VALUE_KINDS) if "type" in fields else "Exact"]
        value = fields["value"].string()
        if kind == "regex" and (error := checks.regex_error(value)):
            fields["value"].problem("regex", error, "see RE2's syntax")
        match = StringMatch(cast("MatchKind", kind), value, item.place)
        # Of several entries with one name, only the first counts (Gateway API, HTTPHeaderMatch).
        found.setdefault(fold(fields["name"].string()), match)
    return tuple(found.items())


def _filters(rule: HttpRule, cursor: Cursor | None) -> HttpRule:
    for item in cursor.items() if cursor else ():
        fields = item.fields(("type", *_FILTERS.values()))
        kind = fields["type"].string() if "type" in fields else ""
        body = fields.get(_FILTERS.get(kind, ""))
        if kind not in _FILTERS:
            message = f"unknown filter type {kind!r}" if kind else "a filter needs a type"
            item.problem("filter", message, f"use one of {', '.join(_FILTERS)}")
        elif body is None:
            item.problem("filter", f"the filter needs {_FILTERS[kind]}", "add it")
        elif kind in _UNKNOWN_EFFECT:
            rule = replace(rule, unmodelled=(*rule.unmodelled, kind))
        elif kind == "RequestHeaderModifier":
            headers = Headers(_operations(body), rule.headers.response)
            rule = replace(rule, headers=headers)
        elif kind == "ResponseHeaderModifier":
            rule = replace(rule, headers=Headers(rule.headers.request, _operations(body)))
        elif kind == "RequestRedirect":
            rule = replace(rule, redirect=_redirect(body))
        elif kind == "URLRewrite":
            rule = replace(rule, rewrite=_rewrite(body))
        elif kind == "CORS":
            rule = replace(rule, cors_policy=_cors(body))
    return rule


def _operations(cursor: Cursor) -> HeaderOperations:
    fields = cursor.fields(("set", "add", "remove"))
    pairs: dict[str, tuple[tuple[str, str], ...]] = {"set": (), "add": ()}
    for kind in pairs:
        found: list[tuple[str, str]] = []
        for item in fields[kind].items() if kind in fields else ():
            parts = item.fields(("name", "value"))
            name = parts["name"].string() if "name" in parts else ""
            value = parts["value"].string() if "value" in parts else ""
            error = checks.operation_header_error(name, False) or checks.header_value_error(value)
            if error:
                item.problem("header", error, "correct the name or the value")
            found.append((name, value))
        pairs[kind] = tuple(sorted(found))
    removed = fields["remove"].strings() if "remove" in fields else []
    return HeaderOperations(pairs["set"], pairs["add"], tuple(name for name, _ in removed))


def _redirect(cursor: Cursor) -> Redirect:
    fields = cursor.fields(("scheme", "hostname", "path", "port", "statusCode"))
    scheme = fields["scheme"].choice("http", "https") if "scheme" in fields else ""
    kind, path = _path_modifier(fields.get("path"))
    code = fields["statusCode"].integer(301, 308) if "statusCode" in fields else 302
    if code not in {301, 302, 303, 307, 308}:
        message = f"there is no redirect with status {code}"
        fields["statusCode"].problem("redirect", message, "use 301 or 302")
    return Redirect(
        place=cursor.place,
        uri=path if kind == "ReplaceFullPath" else "",
        prefix_rewrite=path if kind == "ReplacePrefixMatch" else "",
        authority=fields["hostname"].line("redirect") if "hostname" in fields else "",
        scheme=scheme,
        port=fields["port"].integer(1, 65535) if "port" in fields else 0,
        derive_port="FROM_PROTOCOL_DEFAULT" if scheme else "FROM_REQUEST_PORT",
        code=code,
    )


def _rewrite(cursor: Cursor) -> Rewrite | None:
    fields = cursor.fields(("hostname", "path"))
    authority = fields["hostname"].line("rewrite") if "hostname" in fields else ""
    kind, path = _path_modifier(fields.get("path"))
    if kind == "ReplaceFullPath":
        return Rewrite(cursor.place, "", authority, "/.*", path)
    if kind == "ReplacePrefixMatch":
        return Rewrite(cursor.place, path.removesuffix("/") or "/", authority)
    return Rewrite(cursor.place, "", authority) if authority else None


def _path_modifier(cursor: Cursor | None) -> tuple[str, str]:
    if cursor is None:
        return "", ""
    fields = cursor.fields(("type", "replaceFullPath", "replacePrefixMatch"))
    kinds = ("ReplaceFullPath", "ReplacePrefixMatch")
    kind = fields["type"].choice(*kinds) if "type" in fields else ""
    value = fields.get(kind[:1].lower() + kind[1:])
    if value is None:
        cursor.problem("required", "a path modifier needs its type and value", "add it")
        return "", ""
    return kind, value.line("path")


def _backends(cursor: Cursor | None, namespace: str) -> tuple[Destination, ...]:
    found: list[Destination] = []
    for item in cursor.items() if cursor else ():
        fields = item.fields(("group", "kind", "name", "namespace", "port", "weight", "filters"))
        name = fields["name"].string() if "name" in fields else ""
        if not name:
            item.problem("required", "a backendRef needs a name", "name the Service")
        place = fields["namespace"].string() if "namespace" in fields else namespace
        host = name if place == namespace else f"{name}.{place}"
        weight = fields["weight"].integer(0, 1_000_000) if "weight" in fields else 1
        headers = _filters(
            HttpRule(item.place, "", item.report.document, ()), fields.get("filters")
        ).headers
        port = fields["port"].integer(1, 65535) if "port" in fields else 0
        if weight:
            found.append(Destination(item.place, host, port, "", weight, headers))
    return tuple(found)


def _cors(cursor: Cursor) -> CorsPolicy:
    fields = cursor.fields(CORS_FIELDS)
    methods, headers, exposed = (
        tuple(text for text, _ in fields[name].strings()) if name in fields else ()
        for name in NAME_LISTS
    )
    origins = fields["allowOrigins"].strings() if "allowOrigins" in fields else []
    allowed = "allowCredentials" in fields and fields["allowCredentials"].boolean()
    # The API server's default is 5 seconds. It refuses 0.
    max_age = fields["maxAge"].integer(1, 2**31 - 1) if "maxAge" in fields else 5
    return CorsPolicy(
        place=cursor.place,
        allow_origins=tuple(_origin(text, item) for text, item in origins if text),
        allow_methods=methods,
        allow_headers=headers,
        expose_headers=exposed,
        max_age=max_age,
        allow_credentials=allowed or None,
        unmatched_preflights="IGNORE",
    )


def _origin(text: str, cursor: Cursor) -> StringMatch:
    if text == "*":
        return StringMatch("regex", ANY_ORIGIN, cursor.place)
    if "*" not in text:
        return StringMatch("exact", text, cursor.place)
    if text.count("*") == 1 and text.endswith("*"):
        return StringMatch("prefix", text[:-1], cursor.place)
    escaped = ".*".join(re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", part) for part in text.split("*"))
    return StringMatch("regex", f"^{escaped}$", cursor.place)
