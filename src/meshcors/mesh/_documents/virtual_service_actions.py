"""``redirect``, ``directResponse`` and ``rewrite`` of a rule, checked as Istio does.

Sources: those of `virtual_service_rule`.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final, cast

from meshcors.mesh._documents import checks
from meshcors.mesh._documents.model import DirectResponse, Redirect, Rewrite

if TYPE_CHECKING:
    from typing import Literal

    from meshcors.mesh._documents.cursor import Cursor

_REDIRECT_FIELDS: Final = (
    "uri", "prefixRewrite", "authority", "port", "derivePort", "scheme", "redirectCode",
)  # fmt: skip
_UINT32: Final = 2**32 - 1
_MAX_BODY: Final = 1024 * 1024


def read_redirect(cursor: Cursor) -> Redirect:
    """Read ``redirect``."""
    fields = cursor.fields(_REDIRECT_FIELDS)
    texts = {
        name: fields[name].line("redirect") if name in fields else ""
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


def read_direct_response(cursor: Cursor) -> DirectResponse:
    """Read ``directResponse``."""
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


def read_rewrite(cursor: Cursor) -> Rewrite:
    """Read ``rewrite``."""
    fields = cursor.fields(("uri", "authority", "uriRegexRewrite"))
    uri = fields["uri"].line("rewrite") if "uri" in fields else ""
    authority = fields["authority"].line("rewrite") if "authority" in fields else ""
    regex = substitution = ""
    if "uriRegexRewrite" in fields:
        parts = fields["uriRegexRewrite"].fields(("match", "rewrite"))
        regex = parts["match"].string() if "match" in parts else ""
        substitution = parts["rewrite"].line("rewrite") if "rewrite" in parts else ""
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
