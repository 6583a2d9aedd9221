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

from meshcors._policy import other_libraries
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
from meshcors._policy.problem_collector import ProblemCollector
from meshcors._policy.pydantic_field import PydanticField
from meshcors._policy.regex import Regex
from meshcors._policy.warning import warn
from meshcors._policy.wording import did_you_mean, meant

P = ParamSpec("P")


class PolicyOptions(TypedDict, total=False):
    """The options of a `Policy`, as middleware accepts them as keywords.

    None is required there, because middleware without options reads the environment.
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
    """Return a constructor of `Policy` that accepts any keywords and checks them all.

    A missing or unknown option is a problem like any other: a `TypeError` would hide the rest. Type
    checkers and `inspect` see `signature`.
    """

    @wraps(signature)
    def init(policy: Policy, /, **options: object) -> None:
        for field, note in _fill(policy, options):
            warn(f"{field}: {note}")

    return cast("Callable[P, None]", init)


@dataclass(frozen=True, slots=True, init=False)
class Policy(PydanticField):
    """What browsers may do with the services behind one URL; all options are keywords.

        Policy(allow_origins=["https://ui.example"], allow_methods=["PUT"], max_age=600)

    - `allow_origins`: at least one of ``https://ui.example``, ``https://*.example.com``,
      ``http://localhost:*``, ``*``, ``null`` and the like, or a `meshcors.Regex`.
    - `allow_methods`: methods besides GET, HEAD and POST, case-sensitive; or ``*``.
    - `allow_headers`: request headers besides the CORS-safelisted ones and the key; or ``*``.
    - `expose_headers`: response headers that scripts may read; or ``*``.
    - `allow_credentials`: whether cookies and HTTP authentication are used.
    - `max_age`: how long a browser may cache the answer to a preflight, in whole seconds or as a
      `timedelta`. None sends no header, and browsers then cache it for 5 seconds.
    - `allow_private_network`: whether public pages may reach this private service (Private Network
      Access).
    - `key`: the header that picks the service.

    The three ``dangerously_...`` options allow what is otherwise refused: the origin ``null``, and,
    with credentials, plain-http origins other than loopback, and wildcards over one public suffix
    (``https://*.github.io``) or several (``https://*.amazonaws.com``).

    Raises `PolicyError` with every problem, and warns (`PolicyWarning`) about what has no effect.
    Policies are equal and hashed by value, and their repr shows no key values.
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
        """Return this policy with its key checked for presence only, as the pod checks it."""
        if self.key is None or self.key.values is None:
            return self
        policy = copy(self)
        object.__setattr__(
            policy, "key", HeaderKey(self.key.name, exempt_paths=self.key.exempt_paths)
        )
        return policy


# The hint for a misspelt allow_origins: then the origins are not missing as well.
NEAR_ORIGINS: Final = meant("allow_origins")


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
        hint = other_libraries.option_hint(name, options[name], options.get("allow_origins"))
        hint = hint or did_you_mean(name, READERS)
        problems.add("unknown_option", name, "", hint)
        means_origins |= other_libraries.means_origins(name, options[name])
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
            yield "allow_headers", f"{name}: scripts cannot set it: leave it out"
    # With credentials the answer repeats the requested names instead of *.
    names = {*policy.allow_headers, key_name}
    if "*" in names and "authorization" not in names and not policy.allow_credentials:
        note = "* does not cover authorization, the header of bearer tokens: list it too"
        yield "allow_headers", note
    for name in policy.expose_headers:
        if name in FORBIDDEN_RESPONSE_HEADERS:
            yield "expose_headers", f"{name}: browsers never show it to scripts"
    if policy.max_age is not None and policy.max_age > LARGEST_USEFUL_MAX_AGE:
        yield "max_age", max_age_note(policy.max_age)
