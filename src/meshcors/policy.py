"""A policy is right or does not exist: frozen, checked when it is made, all problems at once.

What is malformed, dangerous or can never match is an error; what merely has no effect is a
warning (`meshcors.PolicyWarning`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypedDict, cast

from typing_extensions import Unpack

from meshcors.errors import PolicyWarning, did_you_mean, shown
from meshcors.findings import Findings
from meshcors.header_key import HeaderKey
from meshcors.headers import (
    FORBIDDEN_METHODS,
    FORBIDDEN_RESPONSE_HEADERS,
    SAFELISTED_METHODS,
    STANDARD_METHODS,
    is_forbidden_request_header,
    is_token,
)
from meshcors.origins import (
    AllowedOrigin,
    CompiledRegex,
    OriginError,
    OriginPattern,
    Regex,
    problem,
)

# Chromium keeps a preflight's answer for at most two hours; WebKit 600 s, Firefox a day.
LARGEST_USEFUL_MAX_AGE: Final = 7200
# RFC 9111 1.2.2: recipients may read a larger number as anything.
_LARGEST_AGE: Final = 2**31 - 1


class PolicyOptions(TypedDict, total=False):
    """The options of a policy by name, as `Policy` and `MeshCORS` take them. See `Policy`."""

    allow_origins: Iterable[AllowedOrigin]
    allow_methods: Iterable[str]
    allow_headers: Iterable[str]
    expose_headers: Iterable[str]
    allow_credentials: bool
    max_age: int | timedelta | None
    allow_private_network: bool
    key: HeaderKey | None
    dangerously_allow_null_origin: bool
    dangerously_allow_insecure_origins: bool
    dangerously_allow_public_suffixes: bool


@dataclass(frozen=True, slots=True, init=False)
class Policy:
    """What browsers may do with the services behind one URL; all options are keywords.

    `allow_origins`: patterns such as ``https://ui.example``, ``https://*.example.com``,
    ``http://localhost:*``, ``*``, ``null`` or a `meshcors.origins.Regex`; at least one.
    `allow_methods`: methods beside GET, HEAD and POST, with case, or ``*``.
    `allow_headers`: request headers beside the CORS-safelisted names and the key, or ``*``.
    `expose_headers`: response headers that a page's script may read, or ``*``.
    `allow_credentials`: whether cookies and HTTP authentication are used.
    `max_age`: for how long a browser may keep a preflight's answer, in whole seconds or as a
    `timedelta`; None sends no header (browsers then keep it for 5 seconds).
    `allow_private_network`: whether a public page may reach this private service (Private Network
    Access).
    `key`: the header that picks the service.

    The three ``dangerously_...`` options allow what is refused otherwise: the origin ``null``,
    and, with credentials, plain-http origins that are not loopback, and wildcards over a whole
    public suffix (``https://*.github.io``).

    Raises `PolicyError` with every problem, and warns (`PolicyWarning`) of what has no effect.
    Equal and hashed by value; its repr has no key values.
    """

    allow_origins: tuple[AllowedOrigin, ...]
    allow_methods: tuple[str, ...]
    allow_headers: tuple[str, ...]
    expose_headers: tuple[str, ...]
    allow_credentials: bool
    max_age: int | None
    allow_private_network: bool
    key: HeaderKey | None
    dangerously_allow_null_origin: bool
    dangerously_allow_insecure_origins: bool
    dangerously_allow_public_suffixes: bool

    def __init__(self, **options: Unpack[PolicyOptions]) -> None:
        found = Findings()
        for name in options.keys() - PolicyOptions.__annotations__.keys():
            found.add("unknown_option", name, "", did_you_mean(name, PolicyOptions.__annotations__))
        settled = {name: settle(found, name, options.get(name)) for name, settle in _SETTLE.items()}
        for name, value in settled.items():
            object.__setattr__(self, name, value)
        _check_origins(found, self)
        _check_wildcards(found, self)
        found.raise_if_wrong()
        for warning in _warnings(self):
            warnings.warn(warning, PolicyWarning, stacklevel=2)

    def without_key_values(self) -> Policy:
        """Return the same policy with its key checked for presence only, as the pod checks it."""
        if self.key is None or self.key.values is None:
            return self
        policy = copy(self)
        object.__setattr__(
            policy, "key", HeaderKey(self.key.name, exempt_paths=self.key.exempt_paths)
        )
        return policy


def _origins(found: Findings, field: str, value: object) -> tuple[AllowedOrigin, ...]:
    hint = "an origin is a string or a meshcors.origins.Regex"
    problems_before = len(found.problems)
    origins = found.items(field, () if value is None else value, (str, Regex), hint)
    if not origins and len(found.problems) == problems_before:
        found.add("no_origins", field, "", "name the pages' origins, such as https://ui.example")
    return cast("tuple[AllowedOrigin, ...]", tuple(origins))


def _methods(found: Findings, field: str, value: object) -> tuple[str, ...]:
    methods = found.texts(field, () if value is None else value)
    for method in methods:
        if not is_token(method):
            found.add("method_not_token", field, shown(method), "a method is a token, as PUT")
        elif method not in STANDARD_METHODS and method.upper() in STANDARD_METHODS:
            found.add("method_case", field, method, f"methods have case: {method.upper()}")
    return methods


def _header_names(found: Findings, field: str, value: object) -> tuple[str, ...]:
    names = found.texts(field, () if value is None else value)
    for name in names:
        if not is_token(name):
            # What follows a name is a value, and may be a key's.
            only_name = name.replace("=", ":").partition(":")[0]
            found.add("header_not_token", field, shown(only_name), "a header name is a token")
    return tuple(dict.fromkeys(map(str.lower, names)))


def _request_header_names(found: Findings, field: str, value: object) -> tuple[str, ...]:
    names = _header_names(found, field, value)
    for name in names:
        if name.startswith("access-control-"):
            found.add(
                "header_access_control", field, name, "browsers send these themselves: leave it out"
            )
    return names


def _flag(found: Findings, field: str, value: object) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    found.add("not_a_bool", field, shown(value), "write True or False")
    return False


def _max_age(found: Findings, field: str, value: object) -> int | None:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds % 1:
        found.add("max_age_not_seconds", field, shown(value), "write whole seconds, such as 600")
        return None
    if seconds < 0:
        found.add("max_age_negative", field, shown(value), "write 0 to forbid caching")
        return None
    if seconds > _LARGEST_AGE:
        found.add("max_age_too_large", field, shown(value), f"at most {_LARGEST_AGE} seconds")
        return None
    return int(seconds)


def _key(found: Findings, field: str, value: object) -> HeaderKey | None:
    if value is None or isinstance(value, HeaderKey):
        return value
    # Not shown: whatever it is, it may hold key values.
    found.add("not_a_key", field, "", 'write HeaderKey("name", values=[...])')
    return None


# How each option is read; a policy is these, in this order.
_SETTLE: Final[dict[str, Callable[[Findings, str, object], object]]] = {
    "allow_origins": _origins,
    "allow_methods": _methods,
    "allow_headers": _request_header_names,
    "expose_headers": _header_names,
    "allow_credentials": _flag,
    "max_age": _max_age,
    "allow_private_network": _flag,
    "key": _key,
    "dangerously_allow_null_origin": _flag,
    "dangerously_allow_insecure_origins": _flag,
    "dangerously_allow_public_suffixes": _flag,
}


# Origins that nobody can own (RFC 6761 6.4): a regex that lets them in lets in anyone.
_STRANGERS: Final = ("https://stranger.invalid", "http://stranger.invalid")


def _check_origins(found: Findings, policy: Policy) -> None:
    field = "allow_origins"
    for item in policy.allow_origins:
        if isinstance(item, Regex):
            try:
                compiled = CompiledRegex(item)
            except OriginError as error:
                found.problems.append(problem(error, field, item.pattern))
            else:
                if policy.allow_credentials and any(map(compiled.fullmatch, _STRANGERS)):
                    found.add(
                        "origin_regex_open",
                        field,
                        item.pattern,
                        "with credentials any site could act as the user: name the domain",
                    )
        elif item == "null":
            if not policy.dangerously_allow_null_origin:
                found.add(
                    "origin_null",
                    field,
                    item,
                    "any sandboxed frame and file: page is null; if you mean it, set"
                    " dangerously_allow_null_origin",
                )
        elif item != "*":
            try:
                pattern = OriginPattern.parse(item)
            except OriginError as error:
                found.problems.append(problem(error, field, item))
            else:
                if policy.allow_credentials:
                    _check_credentialed(found, policy, pattern)


def _check_credentialed(found: Findings, policy: Policy, pattern: OriginPattern) -> None:
    if (
        pattern.scheme == "http"
        and not pattern.is_loopback
        and not policy.dangerously_allow_insecure_origins
    ):
        found.add(
            "origin_insecure",
            "allow_origins",
            str(pattern),
            "anyone on the network can speak for an http page, with the user's cookies: use https;"
            " if you mean it, set dangerously_allow_insecure_origins",
        )
    if (
        pattern.subdomains
        and not pattern.is_loopback
        and not policy.dangerously_allow_public_suffixes
        and _is_public_suffix(pattern.host)
    ):
        found.add(
            "origin_public_suffix",
            "allow_origins",
            str(pattern),
            f"anyone can register a name below {pattern.host}; if you mean it, set"
            " dangerously_allow_public_suffixes",
        )


def _is_public_suffix(host: str) -> bool:
    # Imported late: reading the list takes some 30 ms, and few policies ask.
    from publicsuffixlist import PublicSuffixList

    return bool(PublicSuffixList().is_public(host))


def _check_wildcards(found: Findings, policy: Policy) -> None:
    if "*" in policy.allow_origins:
        if len(policy.allow_origins) > 1:
            found.add(
                "origin_wildcard_beside_others",
                "allow_origins",
                "*",
                "* allows every origin already: leave out the others, or leave out *",
            )
        if policy.allow_credentials:
            found.add(
                "origin_wildcard_with_credentials",
                "allow_origins",
                "*",
                "with credentials any site could act as the user: name the origins",
            )
    if policy.allow_credentials and "*" in policy.expose_headers:
        found.add(
            "expose_wildcard_with_credentials",
            "expose_headers",
            "*",
            "with credentials browsers take * literally: name the headers",
        )


def _warnings(policy: Policy) -> Sequence[str]:
    texts: list[str] = []
    for method in policy.allow_methods:
        if method in SAFELISTED_METHODS:
            texts.append(f"allow_methods: {method} needs no permission: leave it out")
        elif method in FORBIDDEN_METHODS:
            texts.append(f"allow_methods: {method}: browsers never send it")
        elif method == "OPTIONS":
            texts.append("allow_methods: OPTIONS: a preflight needs no permission: leave it out")
    key_name = policy.key.name if policy.key else None
    for name in policy.allow_headers:
        if name == key_name:
            texts.append(f"allow_headers: {name}: the key is always allowed: leave it out")
        elif is_forbidden_request_header(name):
            texts.append(f"allow_headers: {name}: a page's script cannot set it: leave it out")
    texts += [
        f"expose_headers: {name}: browsers never show it to a script"
        for name in policy.expose_headers
        if name in FORBIDDEN_RESPONSE_HEADERS
    ]
    if policy.max_age is not None and policy.max_age > LARGEST_USEFUL_MAX_AGE:
        texts.append(
            f"max_age: {policy.max_age} seconds: Chromium keeps an answer for at most"
            f" {LARGEST_USEFUL_MAX_AGE}, WebKit 600, Firefox 86400"
        )
    return texts
