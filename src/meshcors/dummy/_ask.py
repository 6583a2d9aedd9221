"""Would a browser allow this call? The engine answers, the model of the browser judges."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote, urlsplit

from meshcors._decision.simulation import simulate
from meshcors._policy.headers import list_elements
from meshcors.browser import Request, Response, judge, preflight_for
from meshcors.dummy._pod import Decider

# What a script would send: any value needs permission, but content-type's usual one.
_VALUES = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Question:
    """A call of ``fetch(url, {method, headers, credentials})`` by a page of `origin`.

    `headers` are the names that the page's script sets, separated by commas.
    """

    origin: str = ""
    url: str = ""
    method: str = "POST"
    headers: str = ""
    credentials: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a browser makes of it.

    `code` is of `meshcors.browser`, or ``no_such_call`` where a browser would refuse to make the
    call; `messages` are for people. `preflight` and `answer` are the lines of the preflight and of
    its answer, empty where none is sent.
    """

    allowed: bool
    code: str
    messages: tuple[str, ...]
    preflight: tuple[str, ...] = field(default=())
    answer: tuple[str, ...] = field(default=())


def ask(engine: Decider, question: Question) -> Verdict:
    """Return what a browser makes of the call, if the services answer as `engine` does."""
    try:
        request = _request(question)
        url = urlsplit(request.url)
        path = unquote(url.path)
    except ValueError as error:
        return Verdict(False, "no_such_call", (str(error),))
    fields = {"host": url.netloc, "origin": request.origin}
    lines = preflight_for(request)
    preflight = None
    if lines is not None:
        preflight = _answer(engine, "OPTIONS", path, fields | dict(lines))
    response = _answer(engine, request.method, path, fields | dict(request.headers))
    judged = judge(request, preflight=preflight, response=response)
    messages = tuple(f"{name}: {text}" for name, text in judged.messages.items())
    if preflight is None:
        return Verdict(judged.allowed, judged.code, messages)
    asked = (f"OPTIONS {url.path}", *(f"{name}: {value}" for name, value in lines or ()))
    answered = (str(preflight.status), *(f"{name}: {value}" for name, value in preflight.headers))
    return Verdict(judged.allowed, judged.code, messages, asked, answered)


def _request(question: Question) -> Request:
    names = [name.lower() for name in list_elements(question.headers)]
    mode: Literal["include", "same-origin"] = "include" if question.credentials else "same-origin"
    return Request(
        question.origin.strip(),
        question.url.strip(),
        question.method.strip(),
        [(name, _VALUES.get(name, "x")) for name in names],
        mode,
    )


def _answer(engine: Decider, method: str, path: str, fields: dict[str, str]) -> Response:
    """Return the engine's answer; where it lets a service answer, that answers 200."""
    carried = {name: value.encode("latin-1", "replace") for name, value in fields.items()}
    wire = [(name, value.decode("latin-1")) for name, value in carried.items()]
    return Response(*simulate(engine, method, path, wire))
