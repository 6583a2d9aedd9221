"""A policy is right or does not exist: frozen, checked when it is made, all problems at once.

What is malformed, dangerous or can never match is an error; what merely has no effect is a
warning (`meshcors.PolicyWarning`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypedDict, cast

from typing_extensions import Unpack

from meshcors._policy import other_names
from meshcors._policy.collector import Findings, token
from meshcors._policy.header_key import HeaderKey
from meshcors._policy.headers import (
    FORBIDDEN_METHODS,
    FORBIDDEN_RESPONSE_HEADERS,
    SAFELISTED_METHODS,
    STANDARD_METHODS,
    is_forbidden_request_header,
    is_token,
    token_at_start,
)
from meshcors._policy.origins import (
    AllowedOrigin,
    CompiledRegex,
    OriginError,
    OriginPattern,
    Regex,
    problem,
    written_regex,
)
from meshcors._policy.public_suffixes import public_suffixes
from meshcors._policy.pydantic_field import PydanticField
from meshcors._policy.strangers import Excess, excess
from meshcors._policy.warning import warn
from meshcors._policy.wording import did_you_mean, shown

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
class Policy(PydanticField):
    """What browsers may do with the services behind one URL; all options are keywords.

    `allow_origins`: patterns such as ``https://ui.example``, ``https://*.example.com``,
    ``http://localhost:*``, ``*``, ``null`` or a `meshcors.Regex`; at least one.
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
    public suffix (``https://*.github.io``) or over several (``https://*.amazonaws.com``).

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
        for field, note in _fill(self, options):
            warn(f"{field}: {note}")

    def without_key_values(self) -> Policy:
        """Return the same policy with its key checked for presence only, as the pod checks it."""
        if self.key is None or self.key.values is None:
            return self
        policy = copy(self)
        object.__setattr__(
            policy, "key", HeaderKey(self.key.name, exempt_paths=self.key.exempt_paths)
        )
        return policy


def make(options: Mapping[str, object]) -> tuple[Policy, list[tuple[str, str]]]:
    """Return the policy of these `options`, and what has no effect in it: the option, and why.

    Raises `PolicyError`; warns of nothing.
    """
    policy = object.__new__(Policy)
    return policy, _fill(policy, options)


def _fill(policy: Policy, options: Mapping[str, object]) -> list[tuple[str, str]]:
    """Give a new `policy` its fields; return the notes on what has no effect."""
    found = Findings()
    known = PolicyOptions.__annotations__
    names_origins = False
    for name in options.keys() - known.keys():
        hint = other_names.hint(name, options[name], options.get("allow_origins"))
        hint = hint or did_you_mean(name, known)
        found.add("unknown_option", name, "", hint)
        names_origins |= other_names.means_origins(name, options[name])
        names_origins |= hint == NEAR_ORIGINS
    for name, settle in _SETTLE.items():
        object.__setattr__(policy, name, settle(found, name, options.get(name)))
    if names_origins:
        found.problems = [each for each in found.problems if each.code != "no_origins"]
    _check_origins(found, policy)
    _check_wildcards(found, policy)
    found.raise_if_wrong()
    return list(_notes(policy))


# What is said of an option that is meant for the origins: they are not missing as well.
NEAR_ORIGINS: Final = did_you_mean("allow_origins", ["allow_origins"])


def _origins(found: Findings, field: str, value: object) -> tuple[AllowedOrigin, ...]:
    problems_before = len(found.problems)
    if isinstance(value, re.Pattern):
        found.add("not_a_list", field, "", f"write a list: [{written_regex(value)}]")
        return ()
    origins = found.items(field, () if value is None else value, (str, Regex), _origin_hint)
    if not origins and len(found.problems) == problems_before:
        found.add("no_origins", field, "", "name the pages' origins, such as https://ui.example")
    return cast("tuple[AllowedOrigin, ...]", tuple(origins))


def _origin_hint(item: object) -> str:
    if isinstance(item, re.Pattern):
        return f"write {written_regex(item)}, with meshcors.Regex"
    if isinstance(item, Mapping):
        # As in Istio's corsPolicy.
        match cast("Mapping[object, object]", item):
            case {"regex": str(pattern)}:
                return f"write {written_regex(pattern)}, with meshcors.Regex"
            case {"exact": str(origin)}:
                return f"write {shown(origin)}"
            case _:
                pass
    return "an origin is a string or a meshcors.Regex"


def _methods(found: Findings, field: str, value: object) -> tuple[str, ...]:
    methods = found.texts(field, () if value is None else value, token)
    for method in methods:
        if found.several(field, method, token):
            continue
        if not is_token(method):
            hint = "not a method name: write one word, such as PUT"
            found.add("method_not_token", field, token(method), hint)
        elif method not in STANDARD_METHODS and method.upper() in STANDARD_METHODS:
            hint = f"methods are case-sensitive: write {method.upper()}"
            found.add("method_case", field, method, hint)
    return methods


def _header_names(found: Findings, field: str, value: object) -> tuple[str, ...]:
    names = found.texts(field, () if value is None else value, token)
    for name in names:
        if is_token(name):
            continue
        only_name = name.replace("=", ":").partition(":")[0]
        if not found.several(field, only_name, token):
            hint = "not a header name: letters, digits and -, without blanks"
            found.add("header_not_token", field, token(name), hint)
    return tuple(dict.fromkeys(map(str.lower, names)))


def _request_header_names(found: Findings, field: str, value: object) -> tuple[str, ...]:
    names = _header_names(found, field, value)
    for name in names:
        if name.startswith("access-control-"):
            found.add(
                "header_access_control",
                field,
                token_at_start(name),
                "browsers send these themselves: leave it out",
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


SEVERAL_ORIGINS: Final = "several origins with blanks between: write a list"

# What is in regular expressions, and never in an origin.
_LOOKS_LIKE_REGEX: Final = re.compile(r"[\\^$(){}|]|\.[*+]|\[[^\]:]*-")


def _check_origins(found: Findings, policy: Policy) -> None:
    field = "allow_origins"
    for item in policy.allow_origins:
        if isinstance(item, Regex):
            _check_regex(found, policy, item)
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
                _note_wrong_origin(found, item, error)
            else:
                if policy.allow_credentials:
                    _check_credentialed(found, policy, pattern)


def _note_wrong_origin(found: Findings, item: str, error: OriginError) -> None:
    field = "allow_origins"
    if (advice := _advice(item)) is not None:
        found.add(error.code, field, shown(item), advice)
    elif _LOOKS_LIKE_REGEX.search(item):
        hint = f"{error.hint}; if it is a regular expression, write {written_regex(item)}"
        found.add(error.code, field, item, hint)
    elif not found.several(field, item):
        found.problems.append(problem(error, field, item))


def _advice(item: str) -> str | None:
    """Return what to write for an `item` that is a slip of the pen around an origin."""
    parts = item.split()
    if not parts:
        return "an empty origin: leave it out"
    if item.startswith("regex:"):
        return f"write {written_regex(item.removeprefix('regex:'))}, with meshcors.Regex"
    if len(parts) > 1 and all("://" in part for part in parts):
        return SEVERAL_ORIGINS
    if item != item.strip():
        return "leave out the blank"
    if item != item.strip("\"'"):
        return "leave out the quotes"
    return None


def _check_regex(found: Findings, policy: Policy, regex: Regex) -> None:
    field = "allow_origins"
    try:
        CompiledRegex(regex)
        lets_in = excess(regex) if policy.allow_credentials else Excess()
    except OriginError as error:
        found.problems.append(problem(error, field, regex.pattern))
        return
    if lets_in.stranger:
        found.add(
            "origin_regex_open",
            field,
            regex.pattern,
            f"with credentials any site could act as the user, {lets_in.stranger} for one: name the"
            r" domain whole, with \. or // before it and nothing open behind it",
        )
    elif lets_in.unchecked:
        found.add(
            "origin_regex_unchecked",
            field,
            regex.pattern,
            "cannot be checked for strangers, as credentials demand: write the origins out, or a"
            " simpler expression",
        )
    if lets_in.neighbor and not policy.dangerously_allow_public_suffixes:
        _note_public_suffix(found, regex.pattern, lets_in.suffix)
    if lets_in.insecure and not policy.dangerously_allow_insecure_origins:
        _note_insecure(found, regex.pattern)


def _check_credentialed(found: Findings, policy: Policy, pattern: OriginPattern) -> None:
    if pattern.is_loopback:
        return
    if pattern.scheme == "http" and not policy.dangerously_allow_insecure_origins:
        _note_insecure(found, str(pattern))
    if pattern.subdomains and not policy.dangerously_allow_public_suffixes:
        suffixes = public_suffixes()
        if suffixes.gives_names(pattern.host):
            below = next(iter(suffixes.below(pattern.host)), "")
            shared = pattern.host if suffixes.suffix(pattern.host).name == pattern.host else below
            _note_public_suffix(found, str(pattern), shared.removeprefix("*."))


def _note_insecure(found: Findings, value: str) -> None:
    found.add(
        "origin_insecure",
        "allow_origins",
        value,
        "anyone on the network can speak for an http page, with the user's cookies: use https;"
        " if you mean it, set dangerously_allow_insecure_origins",
    )


def _note_public_suffix(found: Findings, value: str, suffix: str) -> None:
    found.add(
        "origin_public_suffix",
        "allow_origins",
        value,
        f"anyone can register a name below {suffix}; if you mean it, set"
        " dangerously_allow_public_suffixes",
    )


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
                "with credentials any site could act as the user: name the origins; bearer tokens"
                " need no credentials: for them leave allow_credentials out",
            )
    if policy.allow_credentials and "*" in policy.expose_headers:
        found.add(
            "expose_wildcard_with_credentials",
            "expose_headers",
            "*",
            "with credentials browsers take * literally: name the headers",
        )


def _notes(policy: Policy) -> Iterator[tuple[str, str]]:
    """Yield what has no effect: the option, and why."""
    for method in policy.allow_methods:
        if method in SAFELISTED_METHODS:
            yield "allow_methods", f"{method} needs no permission: leave it out"
        elif method in FORBIDDEN_METHODS:
            yield "allow_methods", f"{method}: browsers never send it"
        elif method == "OPTIONS":
            yield "allow_methods", "OPTIONS: a preflight needs no permission: leave it out"
    key_name = policy.key.name if policy.key else None
    for name in policy.allow_headers:
        if name == key_name:
            yield "allow_headers", f"{name}: the key is always allowed: leave it out"
        elif is_forbidden_request_header(name):
            yield "allow_headers", f"{name}: a page's script cannot set it: leave it out"
    # With credentials the names that are asked for are answered instead, whatever they are.
    names = {*policy.allow_headers, key_name}
    if "*" in names and "authorization" not in names and not policy.allow_credentials:
        note = "* does not cover authorization, the header of bearer tokens: list authorization too"
        yield "allow_headers", note
    for name in policy.expose_headers:
        if name in FORBIDDEN_RESPONSE_HEADERS:
            yield "expose_headers", f"{name}: browsers never show it to a script"
    if policy.max_age is not None and policy.max_age > LARGEST_USEFUL_MAX_AGE:
        yield (
            "max_age",
            f"{policy.max_age} seconds: Chromium keeps an answer for at most"
            f" {LARGEST_USEFUL_MAX_AGE}, WebKit 600, Firefox 86400",
        )
