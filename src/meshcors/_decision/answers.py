"""The outcomes of a decision: an answer that is sent here, or permission for the app to answer.

Answers are compiled, for both ASGI and WSGI. Refusals are problem details (RFC 9457) that repeat
nothing from the request or the policy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Final, Literal, TypeAlias, final

from meshcors._decision.fields import BYTES

Reason: TypeAlias = Literal[
    "allowed",
    "no_origin",
    "origin_not_allowed",
    "method_not_allowed",
    "header_not_allowed",
    "key_missing",
    "key_unknown",
    "no_route",
    "no_rule",
    "app_failed",
]

# The reasons of what is neither a refusal nor an answer to a stranger.
NO_REFUSAL: Final[tuple[Reason, ...]] = ("allowed", "no_origin")
Fields: TypeAlias = "tuple[tuple[str, str], ...]"
TextMerge: TypeAlias = "Callable[[Iterable[tuple[str, str]]], list[tuple[str, str]]]"
RawMerge: TypeAlias = "Callable[[Iterable[tuple[bytes, bytes]]], list[tuple[bytes, bytes]]]"


@final
class Answer:
    """An answer that is sent here, without the app.

    It has a `status`, a `reason` for logs and metrics, the header fields as `headers` (pairs of
    `str`, for WSGI) and as `raw_headers` (pairs of `bytes`, for ASGI), and the whole `body`.
    """

    __slots__ = ("body", "headers", "raw_headers", "reason", "status")

    def __init__(self, status: int, reason: Reason, headers: Fields, body: bytes) -> None:
        self.status: int = status
        self.reason: Reason = reason
        self.headers: Fields = headers
        self.raw_headers: tuple[tuple[bytes, bytes], ...] = tuple(BYTES.fields(headers))
        self.body: bytes = body

    def __repr__(self) -> str:
        return f"Answer({self.status}, {self.reason!r})"


@final
class Proceed:
    """The app answers, and its header fields go through `merge` (WSGI) or `merge_raw` (ASGI).

    `reason` says what a browser will do with the answer: ``allowed``, ``origin_not_allowed`` or
    ``no_origin``.
    """

    # Not a dataclass, which takes seven times as long to import.
    __slots__ = ("merge", "merge_raw", "reason")

    def __init__(self, reason: Reason, merge: TextMerge, merge_raw: RawMerge) -> None:
        self.reason: Reason = reason
        self.merge: TextMerge = merge
        self.merge_raw: RawMerge = merge_raw

    def __repr__(self) -> str:
        return f"Proceed({self.reason!r})"


def problem_answer(reason: Reason, *headers: tuple[str, str]) -> Answer:
    """Return the problem+json answer (RFC 9457) for `reason`, with `headers` appended.

    It repeats nothing from the request or the policy.
    """
    status, title, detail = _PROBLEMS[reason]
    content = {
        "type": f"urn:meshcors:problem:{reason.replace('_', '-')}",
        "title": title,
        "status": status,
        "detail": detail,
        "reason": reason,
    }
    body = json.dumps(content).encode()
    own = (
        ("content-type", "application/problem+json"),
        ("content-length", str(len(body))),
        ("cache-control", "no-store"),
    )
    return Answer(status, reason, (*own, *headers), body)


_PROBLEMS: Final[dict[str, tuple[int, str, str]]] = {
    "origin_not_allowed": (
        403,
        "Origin not allowed",
        "The policy of this service does not allow pages of this origin.",
    ),
    "key_missing": (
        401,
        "Key missing",
        "The request does not have the header that selects a service.",
    ),
    "key_unknown": (
        403,
        "Key unknown",
        "The key in the request's header is not one of this service's.",
    ),
    "no_route": (404, "No route", "No route to a service matches this request."),
    "no_rule": (404, "No rule", "No rule covers this host and path."),
}


def field(name: str, values: Iterable[str]) -> Fields:
    """Return the field `name` with the list `values`; no field if there are no values."""
    value = ", ".join(values)
    return ((name, value),) if value else ()


# What the ready-made apps answer to a real request.
NO_ROUTE: Final = problem_answer("no_route")
# The answer to an unhandled exception, with Starlette's text.
INTERNAL_SERVER_ERROR: Final = Answer(
    500,
    "app_failed",
    (("content-type", "text/plain; charset=utf-8"), ("content-length", "21")),
    b"Internal Server Error",
)

# The answers to an origin that is not allowed, by the Vary of the policy.
ORIGIN_REFUSALS: Final[dict[tuple[str, ...], Answer]] = {
    vary: problem_answer(
        "origin_not_allowed", ("x-content-type-options", "nosniff"), *field("vary", vary)
    )
    for vary in ((), ("Origin",))
}
# The answers to a request without an accepted key, before CORS fields are merged in.
KEY_REFUSALS: Final[dict[Reason, Answer]] = {
    "key_missing": problem_answer("key_missing", ("www-authenticate", "APIKey")),
    "key_unknown": problem_answer("key_unknown"),
}
