"""Would a browser allow this call? The pod's engine answers, and the browser model judges."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote, urlsplit

from meshcors._decision.simulation import simulate
from meshcors._policy.headers import list_elements
from meshcors.browser import Request, Response, judge, preflight_for
from meshcors.dummy._app import PodEngine

# The values that the headers are sent with: JSON's content type, which needs permission, and for
# all others any value.
_VALUES = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class FetchCall:
    """A call of ``fetch(url, {method, headers, credentials})`` by a page of `origin`.

    `headers` are the names that the page's script sets, separated by commas.
    """

    origin: str = ""
    url: str = ""
    method: str = "POST"
    headers: str = ""
    credentials: bool = False


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a browser makes of a call.

    `code` is one of `meshcors.browser`'s, or ``no_such_call`` where a browser would refuse to make
    the call; `messages` are for people. `preflight` and `answer` are the lines of the preflight and
    of its answer, empty where none is sent.
    """

    allowed: bool
    code: str
    messages: tuple[str, ...]
    preflight: tuple[str, ...] = field(default=())
    answer: tuple[str, ...] = field(default=())


def check_call(engine: PodEngine, call: FetchCall) -> CheckResult:
    """Return what a browser makes of `call`, if the services answer as `engine` does."""
    try:
        request = _request(call)
        url = urlsplit(request.url)
        path = unquote(url.path)
    except ValueError as error:
        return CheckResult(False, "no_such_call", (str(error),))
    fields = {"host": url.netloc, "origin": request.origin}
    lines = preflight_for(request)
    preflight = None
    if lines is not None:
        preflight = _answer(engine, "OPTIONS", path, fields | dict(lines))
    response = _answer(engine, request.method, path, fields | dict(request.headers))
    verdict = judge(request, preflight=preflight, response=response)
    messages = tuple(f"{name}: {text}" for name, text in verdict.messages.items())
    if preflight is None:
        return CheckResult(verdict.allowed, verdict.code, messages)
    sent = (f"OPTIONS {url.path}", *(f"{name}: {value}" for name, value in lines or ()))
    got = (str(preflight.status), *(f"{name}: {value}" for name, value in preflight.headers))
    return CheckResult(verdict.allowed, verdict.code, messages, sent, got)


def _request(call: FetchCall) -> Request:
    names = [name.lower() for name in list_elements(call.headers)]
    mode: Literal["include", "same-origin"] = "include" if call.credentials else "same-origin"
    return Request(
        call.origin.strip(),
        call.url.strip(),
        call.method.strip(),
        [(name, _VALUES.get(name, "x")) for name in names],
        mode,
    )


def _answer(engine: PodEngine, method: str, path: str, fields: dict[str, str]) -> Response:
    """Return the engine's answer, or a service's 200 where the engine lets one answer."""
    carried = {name: value.encode("latin-1", "replace") for name, value in fields.items()}
    wire = [(name, value.decode("latin-1")) for name, value in carried.items()]
    return Response(*simulate(engine, method, path, wire))
