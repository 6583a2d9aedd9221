"""Which requests the rules of an AuthorizationPolicy match, as far as the files tell.

The caller (principals, namespaces, addresses) is unknown here, so a condition on it may hold or
not. A preflight carries no credentials and no key.

Source: ``security/v1beta1/authorization_policy.proto`` of istio/api.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from meshcors.mesh._analysis.untyped_objects import fields_of, items_of, text_of
from meshcors.mesh._routing.cors_filter import REQUEST_HEADERS, REQUEST_METHOD, is_preflight
from meshcors.mesh._routing.matching import without_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshcors.mesh._documents.cursor import Cursor
    from meshcors.mesh._routing.request import GatewayRequest

# Whether a condition holds for all requests in question, for none, or for some.
Holds: TypeAlias = Literal["always", "never", "maybe"]

_REQUEST: Final = "request.headers["
# Headers that a browser sets, to values that nobody knows here.
_OF_BROWSER: Final = ("user-agent", "host", "accept")
# Those that it sends with a call and never with a preflight.
_OF_CALL: Final = ("accept-encoding", "accept-language", "content-type", "cookie", "referer")


@dataclass(frozen=True, slots=True)
class AuthorizedRequest:
    """What authorization sees of a request.

    ``headers`` are the values by name, None for values that are not known; a request has no others.
    ``path`` and ``host`` are empty if they are not known.
    """

    method: str
    headers: Mapping[str, tuple[str, ...] | None]
    path: str = ""
    host: str = ""
    is_preflight: bool = True

    @classmethod
    def of(cls, request: GatewayRequest) -> AuthorizedRequest:
        """Return what is known of one request of a browser."""
        preflight = is_preflight(request)
        unknown = _OF_BROWSER if preflight else (*_OF_BROWSER, *_OF_CALL)
        headers = {**dict.fromkeys(unknown), **request.values}
        path, host = request.path_only, request.host
        return cls(request.method, headers, path, host.lower(), preflight)


# Any preflight, whatever the call is.
ANY_PREFLIGHT: Final = AuthorizedRequest(
    "OPTIONS", dict.fromkeys(("origin", REQUEST_METHOD, REQUEST_HEADERS, *_OF_BROWSER))
)


def stops_preflights(spec: Cursor | None) -> tuple[str, Cursor] | None:
    """Return the action that stops preflights (``ALLOW``, ``DENY``, ``CUSTOM``) and its place.

    None if they pass, or may pass.
    """
    action = action_of(spec)
    if spec is None or action == "AUDIT":
        return None
    matched, place = matches(spec, ANY_PREFLIGHT)
    if action in {"DENY", "CUSTOM"}:
        return (action, place) if matched == "always" else None
    return ("ALLOW", place) if matched == "never" else None


def may_allow_preflights(spec: Cursor | None) -> bool:
    """Tell whether an ALLOW policy lets preflights pass, or some of them."""
    if spec is None or action_of(spec) != "ALLOW":
        return False
    return matches(spec, ANY_PREFLIGHT)[0] != "never"


def action_of(spec: Cursor | None) -> str:
    """Return the action of a policy, ``ALLOW`` if it names none."""
    return text_of(fields_of(spec).get("action")) or "ALLOW"


def matches(spec: Cursor, request: AuthorizedRequest) -> tuple[Holds, Cursor]:
    """Return whether a rule of the policy matches, and the place that says so.

    A policy without rules matches nothing.
    """
    rules = items_of(fields_of(spec).get("rules"))
    verdicts: list[tuple[Holds, Cursor]] = [(_rule(rule, request), rule) for rule in rules]
    matched = _any([verdict for verdict, _ in verdicts])
    return matched, next((rule for verdict, rule in verdicts if verdict == matched), spec)


def _rule(rule: Cursor, request: AuthorizedRequest) -> Holds:
    fields = fields_of(rule)
    parts: list[Holds] = []
    if "from" in fields:
        sources = [fields_of(item).get("source") for item in items_of(fields["from"])]
        parts.append(_any([_source(source, request) for source in sources]))
    if "to" in fields:
        operations = [fields_of(item).get("operation") for item in items_of(fields["to"])]
        parts.append(_any([_operation(operation, request) for operation in operations]))
    parts.extend(_when(item, request) for item in items_of(fields.get("when")))
    return _all(parts)


def _source(source: Cursor | None, request: AuthorizedRequest) -> Holds:
    parts: list[Holds] = []
    for name, values in fields_of(source).items():
        if name == "requestPrincipals" and request.is_preflight:
            parts.append("never")  # a preflight carries no token
        elif name == "notRequestPrincipals" and request.is_preflight:
            parts.append("always")
        elif items_of(values):
            parts.append("maybe")
    return _all(parts)


def _operation(operation: Cursor | None, request: AuthorizedRequest) -> Holds:
    known = {
        "methods": (request.method,),
        "paths": (request.path,) if request.path else None,
        # with a port it depends on how the policy writes the host
        "hosts": (request.host,) if request.host == without_port(request.host) != "" else None,
    }
    parts: list[Holds] = []
    for name, values in fields_of(operation).items():
        listed = [text_of(item) for item in items_of(values)]
        negated = name.startswith("not")
        field = name[3:].lower() if negated else name
        if field == "hosts":
            listed = [text.lower() for text in listed]
        actual = known.get(field)
        if listed == ["*"] and not negated:
            parts.append("always")
        elif actual is None or any("{" in text for text in listed):
            parts.append("maybe")
        else:
            parts.append(_listed(listed, actual, negated=negated))
    return _all(parts)


def _when(condition: Cursor, request: AuthorizedRequest) -> Holds:
    fields = fields_of(condition)
    key = text_of(fields.get("key"))
    if key.startswith("request.auth.") and request.is_preflight:
        actual: tuple[str, ...] | None = ()
    elif key.startswith(_REQUEST):
        name = key[len(_REQUEST) :].rstrip("]").lower()
        of_proxy = name.startswith(("x-forwarded", "x-envoy", "sec-", ":"))
        actual = None if of_proxy else request.headers.get(name, ())
    else:
        return "maybe"
    if actual is None:
        return "maybe"
    parts: list[Holds] = [
        _listed([text_of(item) for item in items_of(fields[name])], actual, negated=negated)
        for name, negated in (("values", False), ("notValues", True))
        if name in fields
    ]
    return _all(parts)


def _listed(patterns: Iterable[str], values: tuple[str, ...], *, negated: bool) -> Holds:
    """Tell whether a value is listed; a missing value is not."""
    found = any(_text_matches(pattern, value) for pattern in patterns for value in values)
    return "always" if found != negated else "never"


def _text_matches(pattern: str, value: str) -> bool:
    """Match a string: exactly, ``prefix*``, ``*suffix``, or ``*`` for any that is not empty."""
    if pattern == "*":
        return bool(value)
    if pattern.endswith("*"):
        return value.startswith(pattern[:-1])
    return value.endswith(pattern[1:]) if pattern.startswith("*") else value == pattern


def _all(parts: list[Holds]) -> Holds:
    if "never" in parts:
        return "never"
    return "maybe" if "maybe" in parts else "always"


def _any(parts: list[Holds]) -> Holds:
    if "always" in parts:
        return "always"
    return "maybe" if "maybe" in parts else "never"
