"""One rule of ``spec.http``: YAML to `HttpRule`, with the checks of Istio's webhook.

Sources: istio/api ``networking/v1alpha3/virtual_service.proto`` and its CRD for fields and types,
``pkg/config/validation/virtualservice.go`` and ``validation.go`` for the checks.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final, cast

from meshcors.mesh._documents import checks
from meshcors.mesh._documents.cors_policy import read_cors_policy
from meshcors.mesh._documents.model import (
    Destination,
    DirectResponse,
    HeaderOperations,
    Headers,
    HttpRule,
    Redirect,
    Rewrite,
)
from meshcors.mesh._documents.virtual_service_match import read_match

if TYPE_CHECKING:
    from typing import Literal

    from meshcors.mesh._documents.cursor import Cursor
    from meshcors.mesh._documents.model import NodePath

_RULE_FIELDS: Final = (
    "name", "match", "route", "redirect", "directResponse", "delegate", "rewrite", "timeout",
    "retries", "fault", "mirror", "mirrors", "mirrorPercent", "mirror_percent",
    "mirrorPercentage", "corsPolicy", "headers",
)  # fmt: skip
_REDIRECT_FIELDS: Final = (
    "uri", "prefixRewrite", "authority", "port", "derivePort", "scheme", "redirectCode",
)  # fmt: skip
_UINT32: Final = 2**32 - 1
_INT32: Final = 2**31 - 1
_MAX_BODY: Final = 1024 * 1024


def read_rule(cursor: Cursor, label: str, path: NodePath, namespace: str) -> HttpRule:
    """Read one rule; ``label`` is its name in answers, ``path`` its place in the document.

    ``namespace`` is the document's; it is empty in a delegate, which cannot delegate again.
    """
    fields = cursor.fields(_RULE_FIELDS)
    delegate = _delegate(fields, namespace) if "delegate" in fields else None
    if delegate is None:
        _check_action(cursor, fields)
    _check_ignored(fields)
    matches = fields["match"].items() if "match" in fields else []
    match = tuple(read_match(entry) for entry in matches)
    redirect = _redirect(fields["redirect"]) if "redirect" in fields else None
    not_prefix = any(entry.uri and entry.uri.kind != "prefix" for entry in match)
    if redirect and redirect.prefix_rewrite and not_prefix:
        fields["redirect"].problem(
            "redirect", "prefixRewrite needs a prefix to replace", "match uri by prefix"
        )
    headers = read_headers(fields["headers"]) if "headers" in fields else Headers()
    rewrite = _rewrite(fields["rewrite"]) if "rewrite" in fields else None
    _check_authority(cursor, rewrite, headers)
    return HttpRule(
        place=cursor.place,
        label=label,
        document=cursor.report.document,
        path=path,
        name=fields["name"].string() if "name" in fields else "",
        match=match,
        route=_route(fields["route"]) if "route" in fields else (),
        redirect=redirect,
        direct_response=_direct(fields["directResponse"]) if "directResponse" in fields else None,
        rewrite=rewrite,
        cors_policy=read_cors_policy(fields["corsPolicy"]) if "corsPolicy" in fields else None,
        headers=headers,
        has_fault="fault" in fields,
        delegate=delegate,
    )


def _delegate(fields: dict[str, Cursor], namespace: str) -> tuple[str, str]:
    """Read ``delegate``: the namespace and the name of a VirtualService."""
    cursor = fields["delegate"]
    if not namespace:
        message = "the rules of a delegate cannot delegate again"
        cursor.problem("delegate", message, "put the other delegate's rules here")
    for name in ("route", "redirect"):
        if name in fields:
            message = f"{name} and delegate cannot be combined"
            fields[name].problem("action", message, "keep one of them")
    names = cursor.fields(("name", "namespace"))
    if "name" not in names:
        cursor.problem("required", "a delegate needs a name", "name the VirtualService")
    own = names["name"].string() if "name" in names else ""
    return names["namespace"].string() if "namespace" in names else namespace, own


def read_headers(cursor: Cursor) -> Headers:
    """Read ``headers``: operations on the request and on the response."""
    fields = cursor.fields(("request", "response"))
    request = _operations(fields["request"], True) if "request" in fields else HeaderOperations()
    response = _operations(fields["response"], False) if "response" in fields else None
    return Headers(request, response or HeaderOperations())


def _check_action(cursor: Cursor, fields: dict[str, Cursor]) -> None:
    actions = [name for name in ("route", "redirect", "directResponse") if name in fields]
    if not actions or (actions == ["route"] and not fields["route"].items()):
        cursor.problem(
            "action", "a rule needs route, redirect or directResponse", "add one of them"
        )
    if len(actions) > 1:
        names = " and ".join(actions)
        fields[actions[1]].problem("action", f"{names} cannot be combined", "keep one of them")
    if actions and actions[0] != "route":
        for name in ("fault", "rewrite"):
            if name in fields:
                message = f"{name} cannot be combined with {actions[0]}"
                fields[name].problem("action", message, "remove it, or use route")


def _check_ignored(fields: dict[str, Cursor]) -> None:
    """Check fields that do not change the model's answers, as Istio's webhook does."""
    if "timeout" in fields:
        check_duration(fields["timeout"])
    if "retries" in fields:
        _check_retries(fields["retries"])
    if "fault" in fields:
        _check_fault(fields["fault"])
    for name in ("mirrorPercent", "mirror_percent"):
        if name in fields:
            fields[name].integer(0, 100)
    if "mirrorPercentage" in fields:
        _check_percentage(fields["mirrorPercentage"])
    if "mirror" in fields:
        read_destination(fields["mirror"])
        if "mirrors" in fields:
            fields["mirrors"].problem(
                "mirror", "mirror and mirrors cannot be combined", "keep one of them"
            )
    for mirror in fields["mirrors"].items() if "mirrors" in fields else []:
        parts = mirror.fields(("destination", "percentage"))
        if "destination" in parts:
            read_destination(parts["destination"])
        else:
            mirror.problem("required", "a mirror needs a destination", "add destination")
        if "percentage" in parts:
            _check_percentage(parts["percentage"])


def check_duration(cursor: Cursor) -> float:
    """Read a duration of at least one millisecond (``ValidateDuration``)."""
    seconds = cursor.seconds()
    if seconds < 0.001:
        cursor.problem("duration", "shorter than 1ms", "write at least 1ms")
    return seconds


def _check_percentage(cursor: Cursor) -> None:
    fields = cursor.fields(("value",))
    value = fields["value"].number() if "value" in fields else 0.0
    if not 0 <= value <= 100:
        cursor.problem("range", f"{value:g} is not a percentage", "use 0 to 100")


def _check_retries(cursor: Cursor) -> None:
    fields = cursor.fields(
        ("attempts", "perTryTimeout", "retryOn", "retryRemoteLocalities",
         "retryIgnorePreviousHosts", "backoff")
    )  # fmt: skip
    attempts = fields["attempts"].integer(0, _INT32) if "attempts" in fields else 0
    useless = {"perTryTimeout", "retryOn", "retryRemoteLocalities"} & fields.keys()
    if not attempts and useless:
        message = f"{min(useless)} needs attempts"
        cursor.problem("retries", message, "set attempts, or remove it")
    for name in ("perTryTimeout", "backoff"):
        if name in fields:
            check_duration(fields[name])


def _check_fault(cursor: Cursor) -> None:
    fields = cursor.fields(("abort", "delay"))
    if not fields:
        cursor.problem("required", "a fault needs abort or delay", "add one of them")
    if "abort" in fields:
        abort = fields["abort"].fields(("percentage", "httpStatus", "grpcStatus", "http2Error"))
        if "percentage" in abort:
            _check_percentage(abort["percentage"])
        if "httpStatus" in abort:
            abort["httpStatus"].integer(200, 600)
        if "http2Error" in abort:
            abort["http2Error"].problem("fault", "http2Error is not supported", "use httpStatus")
    if "delay" in fields:
        names = ("percentage", "percent", "fixedDelay", "exponentialDelay")
        delay = fields["delay"].fields(names)
        if "percentage" in delay:
            _check_percentage(delay["percentage"])
        if "fixedDelay" in delay:
            check_duration(delay["fixedDelay"])
        if "exponentialDelay" in delay:
            message = "exponentialDelay is not supported"
            delay["exponentialDelay"].problem("fault", message, "use fixedDelay")


def _check_authority(cursor: Cursor, rewrite: Rewrite | None, headers: Headers) -> None:
    named = [name for name, _ in (*headers.request.set, *headers.request.add)]
    count = sum(name.lower() in {"host", ":authority"} for name in named)
    if count + bool(rewrite and rewrite.authority) > 1:
        cursor.problem("authority", "the host is set more than once", "set it in one place")


def _operations(cursor: Cursor, of_request: bool) -> HeaderOperations:
    fields = cursor.fields(("set", "add", "remove"))
    pairs: dict[str, tuple[tuple[str, str], ...]] = {"set": (), "add": ()}
    for kind in pairs:
        found: list[tuple[str, str]] = []
        for name, value in fields[kind].entries().items() if kind in fields else ():
            text = value.string()
            error = checks.operation_header_error(name, of_request) or checks.header_value_error(
                text
            )
            if error:
                value.problem("header", error, "see Istio's Headers.HeaderOperations")
            found.append((name, text))
        # Istio sorts them by name.
        pairs[kind] = tuple(sorted(found))
    removed: list[str] = []
    for name, item in fields["remove"].strings() if "remove" in fields else ():
        if error := checks.operation_header_error(name, False):
            item.problem("header", error, "see Istio's Headers.HeaderOperations")
        removed.append(name)
    return HeaderOperations(pairs["set"], pairs["add"], tuple(removed))


def _route(cursor: Cursor) -> tuple[Destination, ...]:
    found: list[Destination] = []
    for entry in cursor.items():
        fields = entry.fields(("destination", "weight", "headers"))
        if "destination" not in fields:
            entry.problem("required", "a route needs a destination", "add destination: {host: ...}")
            continue
        weight = fields["weight"].integer(0, _INT32) if "weight" in fields else 0
        headers = read_headers(fields["headers"]) if "headers" in fields else Headers()
        found.append(read_destination(fields["destination"], weight, headers))
    if len(found) > 1 and not any(destination.weight for destination in found):
        cursor.problem(
            "weight", "no destination has a weight", "add weights, for example 90 and 10"
        )
    return tuple(found)


def read_destination(
    cursor: Cursor, weight: int = 0, headers: Headers | None = None
) -> Destination:
    """Read a ``destination``: host, port, subset."""
    fields = cursor.fields(("host", "port", "subset"))
    host = fields["host"].string() if "host" in fields else ""
    if "host" not in fields:
        cursor.problem("required", "a destination needs a host", "add host")
    elif host == "*":
        fields["host"].problem("host", "'*' is not a destination", "name a service")
    elif error := checks.wildcard_host_error(host):
        fields["host"].problem("host", error, "name a service")
    subset = fields["subset"].string() if "subset" in fields else ""
    if subset and (error := checks.label_error(subset)):
        fields["subset"].problem("subset", error, "use letters, digits and -")
    port = 0
    if "port" in fields:
        number = fields["port"].fields(("number",)).get("number")
        if number is None:
            fields["port"].problem("required", "a port needs a number", "write {number: 80}")
        else:
            port = number.integer(1, 65535)
    return Destination(cursor.place, host, port, subset, weight, headers or Headers())


def _redirect(cursor: Cursor) -> Redirect:
    fields = cursor.fields(_REDIRECT_FIELDS)
    texts = {
        name: fields[name].string() if name in fields else ""
        for name in ("uri", "prefixRewrite", "authority", "scheme")
    }
    if texts["uri"] and texts["prefixRewrite"]:
        cursor.problem("redirect", "uri and prefixRewrite cannot be combined", "keep one of them")
    if "port" in fields and "derivePort" in fields:
        cursor.problem("redirect", "port and derivePort cannot be combined", "keep one of them")
    if not any(texts.values()) and not {"port", "derivePort"} & fields.keys():
        cursor.problem(
            "redirect", "the redirect changes nothing", "set uri, authority, scheme or port"
        )
    if texts["scheme"] not in {"", "http", "https"}:
        message = f"a redirect cannot have the scheme {texts['scheme']!r}"
        fields["scheme"].problem("redirect", message, "use http or https")
    derive = "derivePort" in fields and fields["derivePort"].choice(
        "FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"
    )
    code = fields["redirectCode"].integer(0, _UINT32) if "redirectCode" in fields else 0
    if code not in {0, 301, 302, 303, 307, 308}:
        message = f"Envoy has no redirect with status {code}"
        fields["redirectCode"].problem("redirect", message, "use 301, 302, 303, 307 or 308")
    return Redirect(
        place=cursor.place,
        uri=texts["uri"],
        prefix_rewrite=texts["prefixRewrite"],
        authority=texts["authority"],
        scheme=texts["scheme"],
        port=fields["port"].integer(0, 65535) if "port" in fields else 0,
        derive_port=cast('Literal["", "FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"]', derive or ""),
        code=code,
    )


def _direct(cursor: Cursor) -> DirectResponse:
    fields = cursor.fields(("status", "body"))
    if "status" not in fields:
        cursor.problem("required", "a directResponse needs a status", "add status: 204")
    status = fields["status"].integer(200, 600) if "status" in fields else 200
    body = b""
    if "body" in fields:
        parts = fields["body"].fields(("string", "bytes"))
        if len(parts) > 1:
            fields["body"].problem(
                "body", "string and bytes cannot be combined", "keep one of them"
            )
        elif "string" in parts:
            body = parts["string"].string().encode()
        elif "bytes" in parts:
            try:
                body = base64.b64decode(parts["bytes"].string(), validate=True)
            except binascii.Error:
                parts["bytes"].problem(
                    "body", "the value is not base64", "encode it, or use string"
                )
        if len(body) > _MAX_BODY:
            fields["body"].problem("body", "the body is larger than 1 MiB", "let a service send it")
    return DirectResponse(cursor.place, status, body)


def _rewrite(cursor: Cursor) -> Rewrite:
    fields = cursor.fields(("uri", "authority", "uriRegexRewrite"))
    uri = fields["uri"].string() if "uri" in fields else ""
    authority = fields["authority"].string() if "authority" in fields else ""
    regex = substitution = ""
    if "uriRegexRewrite" in fields:
        parts = fields["uriRegexRewrite"].fields(("match", "rewrite"))
        regex = parts["match"].string() if "match" in parts else ""
        substitution = parts["rewrite"].string() if "rewrite" in parts else ""
        if not (regex and substitution):
            message = "a uriRegexRewrite needs match and rewrite"
            fields["uriRegexRewrite"].problem("required", message, "add what is missing")
        elif error := checks.regex_error(regex):
            parts["match"].problem("regex", error, "see RE2's syntax")
        elif error := checks.substitution_error(regex, substitution):
            hint = r"write \1 for the first group in parentheses, \0 for the whole match"
            parts["rewrite"].problem("rewrite", error, hint)
        if uri:
            cursor.problem(
                "rewrite", "uri and uriRegexRewrite cannot be combined", "keep one of them"
            )
    elif not (uri or authority):
        cursor.problem(
            "rewrite", "the rewrite changes nothing", "set uri, uriRegexRewrite or authority"
        )
    return Rewrite(cursor.place, uri, authority, regex, substitution)
