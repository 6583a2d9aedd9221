"""What a decision comes to: an answer that is given here, or leave for the app to answer.

Answers are ready-made, in the form of both protocols. Refusals are problem details (RFC 9457); they
repeat nothing of the request and nothing of the policy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

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

Fields: TypeAlias = "tuple[tuple[str, str], ...]"


class Answer:
    """An answer that is given here, without the app.

    `status` (an int), `reason` (for logs and metrics), the header fields as `headers` (pairs of
    `str`, for WSGI) and as `raw_headers` (pairs of `bytes`, for ASGI), and the whole `body`.
    """

    __slots__ = ("body", "headers", "raw_headers", "reason", "status")

    def __init__(self, status: int, reason: Reason, headers: Fields, body: bytes) -> None:
        self.status = status
        self.reason: Reason = reason
        self.headers = headers
        self.raw_headers = tuple(BYTES.fields(headers))
        self.body = body

    def __repr__(self) -> str:
        return f"Answer({self.status}, {self.reason!r})"


@dataclass(frozen=True, slots=True)
class Proceed:
    """The app runs, and its fields leave through `merge` (WSGI) or `merge_raw` (ASGI).

    `reason` is what a browser would make of it: ``allowed``, ``origin_not_allowed`` or
    ``no_origin``.
    """

    reason: Reason
    merge: Callable[[Iterable[tuple[str, str]]], list[tuple[str, str]]]
    merge_raw: Callable[[Iterable[tuple[bytes, bytes]]], list[tuple[bytes, bytes]]]


def problem_answer(reason: Reason, *headers: tuple[str, str]) -> Answer:
    """Return the problem+json answer (RFC 9457) for `reason`, with `headers` after its own.

    It repeats nothing of the request and nothing of the policy.
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
        "The request carries no key in the header by which a service is picked.",
    ),
    "key_unknown": (
        403,
        "Key unknown",
        "The key in the request's header is not one of this service's.",
    ),
    "no_route": (404, "No route", "No service is routed for this request."),
    "no_rule": (404, "No rule", "No rule covers this host and path."),
}


def field(name: str, values: Iterable[str]) -> Fields:
    """Return the field `name` with the list `values`, or none without values."""
    value = ", ".join(values)
    return ((name, value),) if value else ()


# What the ready-made apps answer to a real request.
NO_ROUTE: Final = problem_answer("no_route")
# The answer to an exception that nothing below has answered, in Starlette's words.
INTERNAL_SERVER_ERROR: Final = Answer(
    500,
    "app_failed",
    (("content-type", "text/plain; charset=utf-8"), ("content-length", "21")),
    b"Internal Server Error",
)

# To an origin that is not allowed, by the Vary that the policy asks for.
ORIGIN_REFUSALS: Final[dict[tuple[str, ...], Answer]] = {
    vary: problem_answer(
        "origin_not_allowed", ("x-content-type-options", "nosniff"), *field("vary", vary)
    )
    for vary in ((), ("Origin",))
}
# To a request whose key is not right; CORS fields are merged in.
KEY_REFUSALS: Final[dict[Reason, Answer]] = {
    "key_missing": problem_answer("key_missing", ("www-authenticate", "APIKey")),
    "key_unknown": problem_answer("key_unknown"),
}
