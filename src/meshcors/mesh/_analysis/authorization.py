"""Whether an AuthorizationPolicy stops preflights: method OPTIONS, no credentials, no key.

Only certain cases count. The caller (principals, namespaces, addresses) is unknown here, so a
condition on it may hold or not.

Source: ``security/v1beta1/authorization_policy.proto`` of istio/api.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from meshcors.mesh._analysis.untyped_objects import fields_of, items_of, text_of
from meshcors.mesh._routing.cors_filter import REQUEST_HEADERS, REQUEST_METHOD

if TYPE_CHECKING:
    from meshcors.mesh._documents.cursor import Cursor

# Whether a condition holds for all preflights, for none, or for some, as far as is known.
Holds: TypeAlias = Literal["always", "never", "maybe"]

_REQUEST: Final = "request.headers["
# Headers that a preflight has, whatever the call has.
_CARRIED: Final = ("origin", REQUEST_METHOD, REQUEST_HEADERS, "user-agent", "host", "accept")


def stops_preflights(spec: Cursor | None) -> tuple[str, Cursor] | None:
    """Return the action that stops preflights (``ALLOW``, ``DENY``, ``CUSTOM``) and its place.

    None if they pass, or may pass.
    """
    fields = fields_of(spec)
    action = text_of(fields.get("action")) or "ALLOW"
    rules = items_of(fields.get("rules"))
    verdicts = [(_rule(rule), rule) for rule in rules]
    if spec is None or action == "AUDIT":
        return None
    if action in {"DENY", "CUSTOM"}:
        certain = next((rule for verdict, rule in verdicts if verdict == "always"), None)
        return (action, certain) if certain else None
    # an ALLOW policy without rules denies everything
    if all(verdict == "never" for verdict, _ in verdicts):
        return "ALLOW", verdicts[0][1] if verdicts else spec
    return None


def _rule(rule: Cursor) -> Holds:
    fields = fields_of(rule)
    parts: list[Holds] = []
    if "from" in fields:
        sources = [fields_of(item).get("source") for item in items_of(fields["from"])]
        parts.append(_any([_source(source) for source in sources]))
    if "to" in fields:
        operations = [fields_of(item).get("operation") for item in items_of(fields["to"])]
        parts.append(_any([_operation(operation) for operation in operations]))
    parts.extend(_when(item) for item in items_of(fields.get("when")))
    return _all(parts)


def _source(source: Cursor | None) -> Holds:
    fields = fields_of(source)
    parts: list[Holds] = []
    for name, values in fields.items():
        if name == "requestPrincipals":
            parts.append("never")  # a preflight carries no token
        elif name == "notRequestPrincipals":
            parts.append("always")
        elif items_of(values):
            parts.append("maybe")
    return _all(parts)


def _operation(operation: Cursor | None) -> Holds:
    fields = fields_of(operation)
    parts: list[Holds] = []
    for name, values in fields.items():
        listed = [text_of(item) for item in items_of(values)]
        takes = any(text in {"*", "OPTIONS", "OPT*"} for text in listed)
        if name == "methods":
            parts.append("always" if takes else "never")
        elif name == "notMethods":
            parts.append("never" if takes else "always")
        elif listed != ["*"]:
            parts.append("maybe")
    return _all(parts)


def _when(condition: Cursor) -> Holds:
    fields = fields_of(condition)
    key = text_of(fields.get("key"))
    name = key[len(_REQUEST) :].rstrip("]").lower() if key.startswith(_REQUEST) else ""
    of_proxy = name.startswith(("x-forwarded", "x-envoy", "sec-", ":"))
    missing = name and name not in _CARRIED and not of_proxy
    if not (key.startswith("request.auth.") or missing):
        return "maybe"
    # notValues alone holds for a missing value
    return "never" if "values" in fields else "always"


def _all(parts: list[Holds]) -> Holds:
    if "never" in parts:
        return "never"
    return "maybe" if "maybe" in parts else "always"


def _any(parts: list[Holds]) -> Holds:
    if "always" in parts:
        return "always"
    return "maybe" if "maybe" in parts else "never"
