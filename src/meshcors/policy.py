"""A policy is right or does not exist: frozen, checked when it is made, all problems at once.

What is malformed, dangerous or can never match is an error; what merely has no effect is a
warning (`meshcors.PolicyWarning`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final, TypedDict, cast

from typing_extensions import Unpack

from meshcors.errors import PolicyError, PolicyWarning, Problem, did_you_mean, shown
from meshcors.headers import (
    FORBIDDEN_METHODS,
    FORBIDDEN_RESPONSE_HEADERS,
    SAFELISTED_METHODS,
    SAFELISTED_REQUEST_HEADERS,
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
_MAX_KEY_FILE_BYTES: Final = 1 << 20


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
class HeaderKey:
    """The request header by which a service is picked, and the values that this service answers.

    `name` is a field name (kept in lower case) that a browser announces in a preflight: no
    CORS-safelisted and no forbidden one. `values` are the keys that are right here, compared
    whole and with case; None checks only that the header is there. `exempt_paths` need no key:
    exact (``/healthz``) or all below a prefix of whole segments (``/public/*``).

    Values never appear in its repr. Raises `PolicyError`.
    """

    name: str
    values: tuple[str, ...] | None = field(repr=False)
    exempt_paths: tuple[str, ...]

    def __init__(
        self,
        name: str,
        values: Iterable[str] | None = None,
        *,
        exempt_paths: Iterable[str] = (),
    ) -> None:
        found = Findings()
        kept_name = _key_name(found, name)
        kept_values = None if values is None else _key_values(found, values)
        kept_paths = found.texts("key.exempt_paths", exempt_paths)
        for path in kept_paths:
            _check_exempt_path(found, path)
        found.raise_if_wrong()
        object.__setattr__(self, "name", kept_name)
        object.__setattr__(self, "values", kept_values)
        object.__setattr__(self, "exempt_paths", kept_paths)

    @classmethod
    def from_file(
        cls, name: str, path: str | Path, *, exempt_paths: Iterable[str] = ()
    ) -> HeaderKey:
        """Read the values from the UTF-8 file at `path`, one a line, as a mounted secret has them.

        White space around a line and empty lines are left out. Raises `PolicyError`, for an
        unreadable file too.
        """
        return cls(name, read_key_values(path), exempt_paths=exempt_paths)

    def __repr__(self) -> str:
        values = "" if self.values is None else f", values=<{len(self.values)} hidden>"
        paths = f", exempt_paths={self.exempt_paths!r}" if self.exempt_paths else ""
        return f"HeaderKey({self.name!r}{values}{paths})"


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


class Findings:
    """The problems found so far, and how single values are read."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, code: str, field: str, value: str, hint: str) -> None:
        """Note a problem; see `Problem`."""
        self.problems.append(Problem(code, field, value, hint))

    def raise_if_wrong(self) -> None:
        """Raise `PolicyError` if there is a problem."""
        if self.problems:
            raise PolicyError(sorted(self.problems, key=lambda found: found.field))

    def items(self, field: str, value: object, kinds: tuple[type, ...], hint: str) -> list[object]:
        """Read a list, each item once, in order; a lone string is the commonest mistake."""
        if isinstance(value, str):
            self.add("not_a_list", field, shown(value), f"write a list: [{shown(value)}]")
            return []
        if not _is_list(value):
            self.add("not_a_list", field, shown(value), "write a list")
            return []
        kept: dict[object, None] = {}
        for item in cast("Iterable[object]", value):
            if isinstance(item, kinds):
                kept[item] = None
            elif isinstance(item, OriginError):
                # A source that could not read this item hands on why.
                self.add(item.code, field, "", item.hint)
            else:
                self.add("wrong_type", field, shown(item), hint)
        return list(kept)

    def texts(self, field: str, value: object) -> tuple[str, ...]:
        """Read a list of strings, each once, in order."""
        return cast("tuple[str, ...]", tuple(self.items(field, value, (str,), "not a string")))


def _is_list(value: object) -> bool:
    """Tell whether `value` has items that can be meant as a list's."""
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)


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
            found.add("header_not_token", field, shown(name), "a header name is a token")
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


def _key_name(found: Findings, name: object) -> str:
    field = "key.name"
    if not isinstance(name, str):
        # Not shown: with name and values exchanged it would be the values.
        found.add("wrong_type", field, type(name).__name__, "a header name is a string")
        return ""
    lowered = name.lower()
    if not is_token(name):
        found.add("header_not_token", field, shown(name), "a header name is a token")
    elif "_" in name:
        found.add(
            "key_underscore", field, name, f"servers drop names with _: {name.replace('_', '-')}"
        )
    elif lowered in SAFELISTED_REQUEST_HEADERS:
        found.add(
            "key_safelisted", field, name, "browsers send no preflight for it: name one of your own"
        )
    elif is_forbidden_request_header(lowered) or lowered.startswith("access-control-"):
        found.add(
            "key_forbidden", field, name, "a page's script cannot set it: name one of your own"
        )
    return lowered


def read_key_values(path: str | Path) -> list[str]:
    """Read a key's values from the UTF-8 file at `path`, one a line; see `HeaderKey.from_file`."""
    field = "key.values_file"
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MAX_KEY_FILE_BYTES + 1)
    except (OSError, TypeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no path"
        raise PolicyError([Problem("key_file_unreadable", field, str(path), reason)]) from None
    if len(content) > _MAX_KEY_FILE_BYTES:
        raise PolicyError([Problem("key_file_too_large", field, str(path), "at most 1 MiB")])
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError:
        raise PolicyError(
            [Problem("key_file_not_utf8", field, str(path), "write UTF-8 text")]
        ) from None
    return [line.strip() for line in lines if line.strip()]


def _key_values(found: Findings, values: object) -> tuple[str, ...]:
    """Read key values; no problem ever shows one."""
    field = "key.values"
    if not _is_list(values):
        found.add("not_a_list", field, "", "write a list of strings")
        return ()
    kept = list(cast("Iterable[object]", values))
    if not kept:
        found.add("key_values_empty", field, "", "name at least one value, or None for any")
    for number, value in enumerate(kept, start=1):
        where = f"number {number}"
        if not isinstance(value, str):
            found.add("wrong_type", field, where, "a key's value is a string")
        elif not value:
            found.add("key_value_empty", field, where, "a key's value is not empty")
        elif not (value.isascii() and value.isprintable()):
            found.add("key_value_not_printable", field, where, "a key is printable ASCII")
        elif value != value.strip():
            found.add(
                "key_value_blank", field, where, "white space around a field's value is not sent"
            )
        elif "," in value:
            found.add(
                "key_value_comma",
                field,
                where,
                "two header lines are joined with a comma: a key has none",
            )
    return tuple(dict.fromkeys(value for value in kept if isinstance(value, str)))


def _check_exempt_path(found: Findings, path: str) -> None:
    field = "key.exempt_paths"
    stem = path.removesuffix("/*")
    if not path.startswith("/"):
        found.add("path_not_absolute", field, shown(path), f"a path begins with /: /{path}")
    elif "*" in stem:
        found.add(
            "path_wildcard",
            field,
            shown(path),
            "* stands only at the end, for all below: /prefix/*",
        )
    elif not is_plain_path(stem):
        found.add("path_never_matches", field, shown(path), "no . or .. segments and no //")


def is_plain_path(path: str) -> bool:
    """Tell whether `path` has no ``.`` and no ``..`` segment and no empty one before its end."""
    if "//" in path:
        return False
    # Few paths have a segment that even begins with a dot.
    return "/." not in f"/{path}" or {".", ".."}.isdisjoint(path.split("/"))


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
