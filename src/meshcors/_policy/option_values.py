"""Reads the value of each option of a policy; a value that cannot be read is a problem."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final, cast

from meshcors._policy.header_key import HeaderKey
from meshcors._policy.headers import STANDARD_METHODS, is_token, token_at_start
from meshcors._policy.origin_set import AllowedOrigin
from meshcors._policy.problem_collector import ProblemCollector, token
from meshcors._policy.regex import Regex, written_regex
from meshcors._policy.wording import shown

# RFC 9111 1.2.2: how recipients read a larger number is not defined.
_LARGEST_AGE: Final = 2**31 - 1


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
    return "write a string or a meshcors.Regex"


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
            hint = "not a header name: write letters, digits and -, without spaces"
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
        problems.add("max_age_too_large", field, shown(value), f"write at most {_LARGEST_AGE}")
        return None
    return int(seconds)


def _key(problems: ProblemCollector, field: str, value: object) -> HeaderKey | None:
    if value is None or isinstance(value, HeaderKey):
        return value
    # Not shown, because it may hold key values.
    problems.add("not_a_key", field, "", 'write HeaderKey("name", values=[...])')
    return None


# The fields of a policy, in order, and how each is read.
READERS: Final[dict[str, Callable[[ProblemCollector, str, object], object]]] = {
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
