"""A policy is right or does not exist: frozen, checked when it is made, all problems at once.

What is malformed, dangerous or can never match is an error; what merely has no effect is a
warning (`meshcors.PolicyWarning`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Final, ParamSpec, TypedDict, cast

from meshcors._policy import other_names
from meshcors._policy.collector import ProblemCollector, token
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
from meshcors._policy.list_like import ListLike
from meshcors._policy.max_age import LARGEST_USEFUL_MAX_AGE, max_age_note
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

# RFC 9111 1.2.2: recipients may read a larger number as anything.
_LARGEST_AGE: Final = 2**31 - 1


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


P = ParamSpec("P")


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


def make(options: Mapping[str, object]) -> tuple[Policy, list[tuple[str, str]]]:
    """Return the policy of these `options`, and what has no effect in it: the option, and why.

    Raises `PolicyError`; warns of nothing.
    """
    policy = object.__new__(Policy)
    return policy, _fill(policy, options)


def _fill(policy: Policy, options: Mapping[str, object]) -> list[tuple[str, str]]:
    """Give a new `policy` its fields; return the notes on what has no effect."""
    problems = ProblemCollector()
    known = PolicyOptions.__annotations__
    names_origins = False
    for name in options.keys() - known.keys():
        hint = other_names.hint(name, options[name], options.get("allow_origins"))
        hint = hint or did_you_mean(name, known)
        problems.add("unknown_option", name, "", hint)
        names_origins |= other_names.means_origins(name, options[name])
        names_origins |= hint == NEAR_ORIGINS
    for name, read in _READERS.items():
        object.__setattr__(policy, name, read(problems, name, options.get(name)))
    if names_origins:
        problems.found = [each for each in problems.found if each.code != "no_origins"]
    _check_origins(problems, policy)
    _check_wildcards(problems, policy)
    problems.raise_if_wrong()
    return list(_notes(policy))


# What is said of an option that is meant for the origins: they are not missing as well.
NEAR_ORIGINS: Final = did_you_mean("allow_origins", ["allow_origins"])


def _origins(problems: ProblemCollector, field: str, value: object) -> tuple[AllowedOrigin, ...]:
    problems_before = len(problems.found)
    if isinstance(value, re.Pattern):
        problems.add("not_a_list", field, "", f"write a list: [{written_regex(value)}]")
        return ()
    origins = problems.items(field, () if value is None else value, (str, Regex), _origin_hint)
    if not origins and len(problems.found) == problems_before:
        problems.add("no_origins", field, "", "name the pages' origins, such as https://ui.example")
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


def _methods(problems: ProblemCollector, field: str, value: object) -> tuple[str, ...]:
    methods = problems.texts(field, () if value is None else value, token)
    for method in methods:
        if problems.several(field, method, token):
            continue
        if not is_token(method):
            hint = "not a method name: write one word, such as PUT"
            problems.add("method_not_token", field, token(method), hint)
        elif method not in STANDARD_METHODS and method.upper() in STANDARD_METHODS:
            hint = f"methods are case-sensitive: write {method.upper()}"
            problems.add("method_case", field, method, hint)
    return methods


def _header_names(problems: ProblemCollector, field: str, value: object) -> tuple[str, ...]:
    names = problems.texts(field, () if value is None else value, token)
    for name in names:
        if is_token(name):
            continue
        only_name = name.replace("=", ":").partition(":")[0]
        if not problems.several(field, only_name, token):
            hint = "not a header name: letters, digits and -, without blanks"
            problems.add("header_not_token", field, token(name), hint)
    return tuple(dict.fromkeys(map(str.lower, names)))


def _request_header_names(problems: ProblemCollector, field: str, value: object) -> tuple[str, ...]:
    names = _header_names(problems, field, value)
    for name in names:
        if name.startswith("access-control-"):
            problems.add(
                "header_access_control",
                field,
                token_at_start(name),
                "browsers send these themselves: leave it out",
            )
    return names


def _boolean(problems: ProblemCollector, field: str, value: object) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    problems.add("not_a_bool", field, shown(value), "write True or False")
    return False


def _max_age(problems: ProblemCollector, field: str, value: object) -> int | None:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds % 1:
        problems.add("max_age_not_seconds", field, shown(value), "write whole seconds, such as 600")
        return None
    if seconds < 0:
        problems.add("max_age_negative", field, shown(value), "write 0 to forbid caching")
        return None
    if seconds > _LARGEST_AGE:
        problems.add("max_age_too_large", field, shown(value), f"at most {_LARGEST_AGE} seconds")
        return None
    return int(seconds)


def _key(problems: ProblemCollector, field: str, value: object) -> HeaderKey | None:
    if value is None or isinstance(value, HeaderKey):
        return value
    # Not shown: whatever it is, it may hold key values.
    problems.add("not_a_key", field, "", 'write HeaderKey("name", values=[...])')
    return None


# How each option is read; a policy is these, in this order.
_READERS: Final[dict[str, Callable[[ProblemCollector, str, object], object]]] = {
    "allow_origins": _origins,
    "allow_methods": _methods,
    "allow_headers": _request_header_names,
    "expose_headers": _header_names,
    "allow_credentials": _boolean,
    "max_age": _max_age,
    "allow_private_network": _boolean,
    "key": _key,
    "dangerously_allow_null_origin": _boolean,
    "dangerously_allow_insecure_origins": _boolean,
    "dangerously_allow_public_suffixes": _boolean,
}


SEVERAL_ORIGINS: Final = "several origins with blanks between: write a list"

# What is in regular expressions, and never in an origin.
_LOOKS_LIKE_REGEX: Final = re.compile(r"[\\^$(){}|]|\.[*+]|\[[^\]:]*-")


def _check_origins(problems: ProblemCollector, policy: Policy) -> None:
    field = "allow_origins"
    for item in policy.allow_origins:
        if isinstance(item, Regex):
            _check_regex(problems, policy, item)
        elif item == "null":
            if not policy.dangerously_allow_null_origin:
                problems.add(
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
                _note_wrong_origin(problems, item, error)
            else:
                if policy.allow_credentials:
                    _check_credentialed(problems, policy, pattern)


def _note_wrong_origin(problems: ProblemCollector, item: str, error: OriginError) -> None:
    field = "allow_origins"
    if (advice := _advice(item)) is not None:
        problems.add(error.code, field, shown(item), advice)
    elif _LOOKS_LIKE_REGEX.search(item):
        hint = f"{error.hint}; if it is a regular expression, write {written_regex(item)}"
        problems.add(error.code, field, item, hint)
    elif not problems.several(field, item):
        problems.found.append(problem(error, field, item))


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


def _check_regex(problems: ProblemCollector, policy: Policy, regex: Regex) -> None:
    field = "allow_origins"
    try:
        CompiledRegex(regex)
        lets_in = excess(regex) if policy.allow_credentials else Excess()
    except OriginError as error:
        problems.found.append(problem(error, field, regex.pattern))
        return
    if lets_in.stranger:
        problems.add(
            "origin_regex_open",
            field,
            regex.pattern,
            f"with credentials any site could act as the user, {lets_in.stranger} for one: name the"
            r" domain whole, with \. or // before it and nothing open behind it",
        )
    elif lets_in.unchecked:
        problems.add(
            "origin_regex_unchecked",
            field,
            regex.pattern,
            "cannot be checked for strangers, as credentials demand: write the origins out, or a"
            " simpler expression",
        )
    if lets_in.neighbor and not policy.dangerously_allow_public_suffixes:
        _note_public_suffix(problems, regex.pattern, lets_in.suffix)
    if lets_in.insecure and not policy.dangerously_allow_insecure_origins:
        _note_insecure(problems, regex.pattern)


def _check_credentialed(problems: ProblemCollector, policy: Policy, pattern: OriginPattern) -> None:
    if pattern.is_loopback:
        return
    if pattern.scheme == "http" and not policy.dangerously_allow_insecure_origins:
        _note_insecure(problems, str(pattern))
    if pattern.subdomains and not policy.dangerously_allow_public_suffixes:
        suffixes = public_suffixes()
        if suffixes.gives_names(pattern.host):
            below = next(iter(suffixes.below(pattern.host)), "")
            shared = pattern.host if suffixes.suffix(pattern.host).name == pattern.host else below
            _note_public_suffix(problems, str(pattern), shared.removeprefix("*."))


def _note_insecure(problems: ProblemCollector, value: str) -> None:
    problems.add(
        "origin_insecure",
        "allow_origins",
        value,
        "anyone on the network can speak for an http page, with the user's cookies: use https;"
        " if you mean it, set dangerously_allow_insecure_origins",
    )


def _note_public_suffix(problems: ProblemCollector, value: str, suffix: str) -> None:
    problems.add(
        "origin_public_suffix",
        "allow_origins",
        value,
        f"anyone can register a name below {suffix}; if you mean it, set"
        " dangerously_allow_public_suffixes",
    )


def _check_wildcards(problems: ProblemCollector, policy: Policy) -> None:
    if "*" in policy.allow_origins:
        if len(policy.allow_origins) > 1:
            problems.add(
                "origin_wildcard_beside_others",
                "allow_origins",
                "*",
                "* allows every origin already: leave out the others, or leave out *",
            )
        if policy.allow_credentials:
            problems.add(
                "origin_wildcard_with_credentials",
                "allow_origins",
                "*",
                "with credentials any site could act as the user: name the origins; bearer tokens"
                " need no credentials: for them leave allow_credentials out",
            )
    if policy.allow_credentials and "*" in policy.expose_headers:
        problems.add(
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
        yield "max_age", max_age_note(policy.max_age)
