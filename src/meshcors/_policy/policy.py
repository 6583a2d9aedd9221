"""A policy: frozen, and checked when it is made, so that an invalid policy cannot be created.

What is malformed, dangerous or can never match is an error. What merely has no effect is a warning
(`meshcors.PolicyWarning`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Final, ParamSpec, TypedDict, cast

from meshcors._policy import other_names
from meshcors._policy.collector import ProblemCollector
from meshcors._policy.header_key import HeaderKey
from meshcors._policy.headers import (
    FORBIDDEN_METHODS,
    FORBIDDEN_RESPONSE_HEADERS,
    SAFELISTED_METHODS,
    is_forbidden_request_header,
)
from meshcors._policy.list_like import ListLike
from meshcors._policy.max_age import LARGEST_USEFUL_MAX_AGE, max_age_note
from meshcors._policy.option_values import READERS
from meshcors._policy.origin_checks import OriginChecks
from meshcors._policy.origin_set import AllowedOrigin
from meshcors._policy.pydantic_field import PydanticField
from meshcors._policy.regex import Regex
from meshcors._policy.warning import warn
from meshcors._policy.wording import did_you_mean

P = ParamSpec("P")


class PolicyOptions(TypedDict, total=False):
    """The options of a `Policy`, as middleware takes them for keywords.

    None of them is required there: without any, middleware reads the environment.
    """

    allow_origins: ListLike[str | Regex]
    allow_methods: ListLike[str]
    allow_headers: ListLike[str]
    expose_headers: ListLike[str]
    allow_credentials: bool
    max_age: int | timedelta | None
    allow_private_network: bool
    key: HeaderKey | None
    dangerously_allow_null_origin: bool
    dangerously_allow_insecure_origins: bool
    dangerously_allow_public_suffixes: bool


def _checked(signature: Callable[P, None]) -> Callable[P, None]:
    """Return a constructor of `Policy` that checks its options all at once.

    It takes any keywords: one that is missing or unknown is a problem like any other, and no
    `TypeError`, which would hide the others. Type checkers and `inspect` see `signature`.
    """

    @wraps(signature)
    def init(policy: Policy, **options: object) -> None:
        for field, note in _fill(policy, options):
            warn(f"{field}: {note}")

    return cast("Callable[P, None]", init)


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

    @_checked
    def __init__(
        self,
        *,
        allow_origins: ListLike[str | Regex],
        allow_methods: ListLike[str] = (),
        allow_headers: ListLike[str] = (),
        expose_headers: ListLike[str] = (),
        allow_credentials: bool = False,
        max_age: int | timedelta | None = None,
        allow_private_network: bool = False,
        key: HeaderKey | None = None,
        dangerously_allow_null_origin: bool = False,
        dangerously_allow_insecure_origins: bool = False,
        dangerously_allow_public_suffixes: bool = False,
    ) -> None:
        """Raise `PolicyError`, or warn (`PolicyWarning`); see the class."""

    def without_key_values(self) -> Policy:
        """Return the same policy with its key checked for presence only, as the pod checks it."""
        if self.key is None or self.key.values is None:
            return self
        policy = copy(self)
        object.__setattr__(
            policy, "key", HeaderKey(self.key.name, exempt_paths=self.key.exempt_paths)
        )
        return policy


# The hint for a misspelt allow_origins: then the origins are not missing as well.
NEAR_ORIGINS: Final = did_you_mean("allow_origins", ["allow_origins"])


def make(options: Mapping[str, object]) -> tuple[Policy, list[tuple[str, str]]]:
    """Return the policy with these `options`, and what has no effect: each option, and why.

    Raises `PolicyError`. Does not warn.
    """
    policy = object.__new__(Policy)
    return policy, _fill(policy, options)


def _fill(policy: Policy, options: Mapping[str, object]) -> list[tuple[str, str]]:
    """Set the fields of a new `policy`; return what has no effect: each option, and why."""
    problems = ProblemCollector()
    means_origins = _check_names(problems, options)
    for name, read in READERS.items():
        object.__setattr__(policy, name, read(problems, name, options.get(name)))
    if means_origins:
        problems.found = [each for each in problems.found if each.code != "no_origins"]
    OriginChecks(
        problems,
        credentials=policy.allow_credentials,
        null_origin=policy.dangerously_allow_null_origin,
        insecure_origins=policy.dangerously_allow_insecure_origins,
        public_suffixes=policy.dangerously_allow_public_suffixes,
    ).check(policy.allow_origins)
    if policy.allow_credentials and "*" in policy.expose_headers:
        hint = "with credentials browsers take * literally: name the headers"
        problems.add("expose_wildcard_with_credentials", "expose_headers", "*", hint)
    problems.raise_if_any()
    return list(_notes(policy))


def _check_names(problems: ProblemCollector, options: Mapping[str, object]) -> bool:
    """Check the names of `options`; return whether an unknown one is meant to name the origins."""
    means_origins = False
    for name in options.keys() - READERS.keys():
        hint = other_names.hint(name, options[name], options.get("allow_origins"))
        hint = hint or did_you_mean(name, READERS)
        problems.add("unknown_option", name, "", hint)
        means_origins |= other_names.means_origins(name, options[name])
        means_origins |= hint == NEAR_ORIGINS
    return means_origins


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
    # With credentials the answer repeats the requested names instead of *.
    names = {*policy.allow_headers, key_name}
    if "*" in names and "authorization" not in names and not policy.allow_credentials:
        note = "* does not cover authorization, the header of bearer tokens: list authorization too"
        yield "allow_headers", note
    for name in policy.expose_headers:
        if name in FORBIDDEN_RESPONSE_HEADERS:
            yield "expose_headers", f"{name}: browsers never show it to a script"
    if policy.max_age is not None and policy.max_age > LARGEST_USEFUL_MAX_AGE:
        yield "max_age", max_age_note(policy.max_age)
