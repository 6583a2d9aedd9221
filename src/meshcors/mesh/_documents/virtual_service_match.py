"""One ``match`` entry: YAML to `HttpMatch`, with Istio's ``validateHTTPRouteMatchRequest``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from meshcors.mesh._documents import checks
from meshcors.mesh._documents.model import HttpMatch, MatchKind, NamedMatches, StringMatch

if TYPE_CHECKING:
    from meshcors.mesh._documents.cursor import Cursor

_FIELDS: Final = (
    "name", "uri", "scheme", "method", "authority", "headers", "port", "sourceLabels",
    "queryParams", "ignoreUriCase", "withoutHeaders", "sourceNamespace", "statPrefix", "gateways",
)  # fmt: skip
# The API says that these keys of ``headers`` are ignored: they have fields of their own.
IGNORED_HEADER_KEYS: Final = frozenset(("uri", "scheme", "method", "authority"))


def read_match(cursor: Cursor) -> HttpMatch:
    """Read one entry of ``match``."""
    fields = cursor.fields(_FIELDS)
    single = {
        name: read_string_match(fields[name], star=False, empty_prefix=name == "uri")
        for name in ("uri", "scheme", "method", "authority")
        if name in fields
    }
    if "uri" in single and single["uri"].kind == "present":
        del single["uri"]  # without a condition, every uri matches
    gateways = fields["gateways"].strings() if "gateways" in fields else []
    for name, item in gateways:
        if name != "mesh" and (error := checks.gateway_name_error(name)):
            item.problem("gateway", error, "write namespace/name")
    labels = fields["sourceLabels"].entries() if "sourceLabels" in fields else {}
    namespace = fields["sourceNamespace"].string() if "sourceNamespace" in fields else ""
    if namespace and (error := checks.label_error(namespace)):
        fields["sourceNamespace"].problem("namespace", error, "write the name of a namespace")
    if "statPrefix" in fields:
        fields["statPrefix"].string()
    return HttpMatch(
        place=cursor.place,
        name=fields["name"].string() if "name" in fields else "",
        uri=single.get("uri"),
        scheme=single.get("scheme"),
        method=single.get("method"),
        authority=single.get("authority"),
        headers=_headers(fields.get("headers")),
        without_headers=_headers(fields.get("withoutHeaders")),
        query_params=_named(fields.get("queryParams")),
        ignore_uri_case="ignoreUriCase" in fields and fields["ignoreUriCase"].boolean(),
        port=fields["port"].integer(0, 65535) if "port" in fields else 0,
        gateways=tuple(name for name, _ in gateways),
        source_labels=tuple((name, _label(value)) for name, value in labels.items()),
        source_namespace=namespace,
    )


def read_string_match(
    cursor: Cursor, *, star: bool = True, empty_prefix: bool = False
) -> StringMatch:
    """Read ``exact``, ``prefix`` or ``regex``; without any (``{}`` or null) it is "present".

    With ``star``, ``regex: "*"`` means "present" too, though it is not RE2. With
    ``empty_prefix``, a prefix may be empty.
    """
    place = cursor.place
    found = {} if cursor.is_null else cursor.fields(("exact", "prefix", "regex"))
    if not found:
        return StringMatch("present", "", place)
    if len(found) > 1:
        names = " and ".join(found)
        cursor.problem("match", f"{names} cannot be combined", "keep one of them")
    kind, value = next(iter(found.items()))
    text = value.string()
    if star and kind == "regex" and text == "*":
        return StringMatch("present", "", place)
    if not text and (kind == "regex" or (kind == "prefix" and not empty_prefix)):
        value.problem(
            "match", f"the {kind} is empty", "write what to match, or {} to match any value"
        )
    elif kind == "regex" and (error := checks.regex_error(text)):
        value.problem("regex", error, "see RE2's syntax")
    return StringMatch(cast("MatchKind", kind), text, value.place)


def _headers(cursor: Cursor | None) -> NamedMatches:
    matches = _named(cursor)
    for name, value in cursor.entries().items() if cursor else ():
        if error := checks.match_header_error(name):
            value.problem("header", error, "write a header name in lower case")
    return tuple((name, match) for name, match in matches if name not in IGNORED_HEADER_KEYS)


def _named(cursor: Cursor | None) -> NamedMatches:
    entries = cursor.entries() if cursor else {}
    return tuple((name, read_string_match(value)) for name, value in entries.items())


def _label(cursor: Cursor) -> str:
    text = cursor.string()
    if error := checks.label_value_error(text):
        cursor.problem("label", error, "use letters, digits, -, _ and .")
    return text
