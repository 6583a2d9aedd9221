"""What VirtualServices and HTTPRoutes say about CORS, by host and path, as foreign policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from meshcors._policy.headers import SAFELISTED_REQUEST_HEADERS, is_forbidden_request_header
from meshcors.config._foreign.said import GATEWAY_API, ISTIO, ForeignOption, ForeignPolicy
from meshcors.mesh._documents.http_route import ANY_ORIGIN
from meshcors.mesh._documents.model import HttpMatch
from meshcors.mesh._documents.problems import DocumentError
from meshcors.mesh._documents.reading import read_objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshcors.config._foreign.said import Field, Reading
    from meshcors.mesh._documents.model import CorsPolicy, HttpRule, StringMatch, VirtualService
    from meshcors.mesh._documents.problems import DocumentProblem

_CORS: Final[dict[str, Field]] = {
    "allow_methods": "allowMethods",
    "allow_headers": "allowHeaders",
    "expose_headers": "exposeHeaders",
    "max_age": "maxAge",
    "allow_credentials": "allowCredentials",
}
# A Cors filter of Envoy, which an EnvoyFilter may hold, is not read.
_NO_KEY: Final = frozenset({*SAFELISTED_REQUEST_HEADERS, "user-agent", "authorization"})


def read_routes(reading: Reading, text: str, name: str) -> None:
    """Read the documents of a YAML or JSON text."""
    try:
        objects = read_objects(text, name)
    except DocumentError as error:
        _refuse(reading, error.problems)
        return
    before = len(reading.policies) + len(reading.problems)
    _refuse(reading, objects.problems)
    for document in objects.documents:
        found: list[ForeignPolicy] = []
        for rule in document.http:
            if rule.cors_policy is not None:
                found += _policies(reading, document, rule, rule.cors_policy)
        for rule in document.http if found else ():
            if rule.cors_policy is None:
                _note_what_is_covered(reading, rule, {each.path_prefix for each in found})
        reading.policies += found
    if len(reading.policies) + len(reading.problems) == before:
        hint = "name the VirtualService or HTTPRoute that has one"
        reading.said_nothing(name, "no corsPolicy that a rule can have", hint)


def _refuse(reading: Reading, problems: Iterable[DocumentProblem]) -> None:
    for each in problems:
        reading.refuse(each.place, each.path, each.message, each.hint)


def _policies(
    reading: Reading, document: VirtualService, rule: HttpRule, cors: CorsPolicy
) -> Iterator[ForeignPolicy]:
    system = ISTIO if document.kind == "VirtualService" else GATEWAY_API
    options = _options(document.kind, cors)
    hosts = () if "*" in document.hosts else document.hosts
    for match in rule.match or (HttpMatch(rule.place),):
        prefix = _prefix(reading, document.kind, match)
        if prefix is None:
            continue
        own = hosts
        if match.authority is not None:
            if match.authority.kind != "exact":
                reading.note(f"{match.place}: left out: authority is not a name")
                continue
            own = (match.authority.value.partition(":")[0],)
        yield ForeignPolicy(system, rule.place, options, own, prefix, _key(match))


def _note_what_is_covered(reading: Reading, rule: HttpRule, prefixes: set[str]) -> None:
    """Note that a rule without a policy of its own has URLs of a policy beside it."""
    for match in rule.match or (HttpMatch(rule.place),):
        if match.method is not None and match.method.value == "OPTIONS":
            continue
        path = match.uri.value if match.uri is not None and match.uri.kind != "regex" else "/"
        if any(f"{path.rstrip('/')}/".startswith(f"{each.rstrip('/')}/") for each in prefixes):
            reading.note(f"{rule.place}: this rule has no CORS policy; the policy covers its URLs")
            return


def _prefix(
    reading: Reading,
    kind: Literal["VirtualService", "HTTPRoute", "RouteConfiguration"],
    match: HttpMatch,
) -> str | None:
    if match.uri is None:
        return "/"
    value = match.uri.value
    if match.uri.kind != "prefix":
        shown = f"{match.uri.kind} {value}"
        reading.note(
            f"{match.uri.place}: left out: {shown} is not a prefix, and a rule would cover more"
        )
        return None
    prefix = value.rstrip("/") or "/"
    if kind == "VirtualService" and value not in ("", "/") and not value.endswith("/"):
        reading.note(
            f"{match.uri.place}: prefix {value} also takes {value}x; the policy covers whole"
            f" segments: {value} and below"
        )
    return prefix


def _key(match: HttpMatch) -> str:
    """Return the header whose value picks the service; "" if no header is meant for that."""
    names = [
        name.lower()
        for name, condition in match.headers
        if condition.kind != "present"
        and name.lower() not in _NO_KEY
        and not is_forbidden_request_header(name.lower())
    ]
    return names[0] if len(names) == 1 else ""


def _options(kind: str, cors: CorsPolicy) -> dict[Field, ForeignOption]:
    inside = "corsPolicy" if kind == "VirtualService" else "cors"
    place = cors.allow_origins[0].place if cors.allow_origins else cors.place
    origins = [_origin(each) for each in cors.allow_origins]
    found: dict[Field, ForeignOption] = {
        "allowOrigins": ForeignOption(origins, f"{inside}.allowOrigins", place)
    }
    for attribute, name in _CORS.items():
        value = getattr(cors, attribute)
        if value not in ((), None):
            given = list(value) if isinstance(value, tuple) else value
            found[name] = ForeignOption(given, f"{inside}.{name}", cors.place)
    return found


def _origin(match: StringMatch) -> object:
    if match.value in ("*", ANY_ORIGIN):
        return "*"
    if match.kind == "exact":
        return match.value
    return {match.kind: match.value}
