"""``meshcors doctor --console TEXT``: what a pasted message means, and what to run next."""

from __future__ import annotations

import json
import re
import shlex
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from meshcors._doctor.causes import CAUSES, fix_lines
from meshcors._doctor.console import LONGEST_PASTE, read_console
from meshcors._doctor.grants import UNNAMED_ORIGIN, WantedGrant
from meshcors._policy.wording import printable
from meshcors.testing._quoting import Quoting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors._doctor.causes import ConsoleCode
    from meshcors._doctor.console import ConsoleMessage

_ENGINES: Final = {
    "chromium": "Chromium",
    "firefox": "Firefox",
    "safari": "Safari",
    "": "A browser",
}
_ANSWERS: Final = {
    "preflight": ", in the answer to the preflight",
    "response": ", in the answer to the call itself",
    "": "",
}
_UNKNOWN: Final = (
    "--console: no known message: paste the whole line that Chromium, Firefox or Safari printed, in"
    " English"
)
_WEBSOCKET: Final = re.compile(r"\bWebSocket connection to\b|\bwss?://", re.IGNORECASE)
_REFUSED_HANDSHAKE: Final = (
    "--console: this is a WebSocket, to which CORS does not apply: the app or a gateway refused its"
    " handshake, or nothing listens there; docs/websockets.md says who gets in"
)
# What stands in a command where the message does not say it.
_URL, _METHOD = "URL", "METHOD"


def explain_console(text: str, form: str, called: str | None = None) -> int:
    """Print what the messages in ``text`` mean, ``-`` for what is on stdin; return the exit code.

    Raises `click.ClickException` if there is no message that is known, or if a call is given too.
    """
    if called is not None:
        raise click.UsageError("--console: give either a message, or a URL and --origin")
    if text == "-":
        raw = sys.stdin.buffer.read(4 * LONGEST_PASTE + 4)
        text = raw.decode("utf-8", "replace")
    try:
        messages = read_console(text)
    except ValueError as error:
        raise click.ClickException(f"--console: {error}") from None
    if not messages:
        raise click.ClickException(_REFUSED_HANDSHAKE if _WEBSOCKET.search(text) else _UNKNOWN)
    if form == "json":
        click.echo(json.dumps({"messages": [_as_json(each) for each in messages]}, indent=2))
        return 0
    for number, message in enumerate(messages):
        if number:
            click.echo()
        for line in _lines(message):
            click.echo(printable(line))
    return 0


def _as_json(message: ConsoleMessage) -> dict[str, Any]:
    return {
        "engine": message.engine or None,
        "code": message.code,
        "also": message.also or None,
        "step": message.step or None,
        "kind": message.kind or None,
        "url": _shown_url(message.url) or None,
        "origin": message.origin or None,
        "redirected_from": _shown_url(message.redirected_from) or None,
        "method": message.method or None,
        "status": message.status or None,
        "field": message.field or None,
        "causes": [" ".join(_meaning(message, code)) for code in _codes(message)],
        "fixes": _fixes(message),
        "lint": _lint(message),
        "commands": [shlex.join(words) for words in _commands(message)],
    }


def _lines(message: ConsoleMessage) -> Iterator[str]:
    yield f"{_ENGINES[message.engine]}: {message.code}{_ANSWERS[message.step]}"
    yield from _named(message)
    yield ""
    for number, code in enumerate(_codes(message)):
        meaning, *more = _meaning(message, code)
        yield f"{'Or: ' if number else 'Cause: '}{meaning}"
        yield from (f"  {each}" for each in more)
    if fixes := _fixes(message):
        yield ""
        if everywhere := fixes.get("any"):
            yield f"Fix: {everywhere}"
        else:
            yield "Fix, in one of these places:"
            yield from (f"  {place + ':':5} {fix}" for place, fix in fixes.items())
    if lint := _lint(message):
        yield f"  meshcors lint FILE finds it in documents: {', '.join(lint)}"
    if commands := _commands(message):
        yield ""
        yield "To see who answers, and what to write there:"
        yield from (f"  {shlex.join(words)}" for words in commands)
        yield from _left_to_say(message)


def _named(message: ConsoleMessage) -> Iterator[str]:
    """Yield what the message names."""
    if message.url:
        page = f"A page of {message.origin}" if message.origin else "A page"
        what = f"{message.method} " if message.method else ""
        by = f", by {message.kind}" if message.kind not in ("", "fetch") else ""
        yield f"  {page} calls {what}{_shown_url(message.url)}{by}"
    elif message.origin:
        yield f"  A page of {message.origin}"
    if message.redirected_from:
        yield f"  redirected from {_shown_url(message.redirected_from)}"
    if message.status:
        yield f"  Status: {message.status}"
    if message.code == "header_not_allowed" and message.field:
        yield f"  Header: {message.field}"
    if message.origin == "null":
        yield (
            "  The origin null is that of a page from a file, of a sandboxed frame, or of a"
            " redirect from one foreign origin to another: serve the page over http or https, and"
            " allow its own origin."
        )


def _fixes(message: ConsoleMessage) -> dict[str, str]:
    """Return what to do by place: one of the app, the pod and the mesh, or "any"."""
    other = CAUSES[message.code].fixes
    if isinstance(other, str):
        return {"any": other} if other else {}
    return fix_lines(message.code, _wanted(message))


def _lint(message: ConsoleMessage) -> list[str]:
    return sorted({rule for code in _codes(message) for rule in CAUSES[code].lint})


def _codes(message: ConsoleMessage) -> list[ConsoleCode]:
    return [message.code, *([message.also] if message.also else [])]


def _meaning(message: ConsoleMessage, code: ConsoleCode) -> Iterator[str]:
    """Yield the meaning, and what holds at the step; of both where the message does not say it."""
    cause = CAUSES[code]
    yield cause.meaning
    for step, text in (("preflight", cause.at_preflight), ("response", cause.at_response)):
        if text and message.step in ("", step):
            name = {"preflight": "If it is the preflight's", "response": "If it is the call's"}
            sentence = text[0].upper() + text[1:]
            yield sentence if message.step else f"{name[step]}: {text}"


def _shown_url(url: str) -> str:
    return Quoting().url(url)


def _wanted(message: ConsoleMessage) -> WantedGrant:
    """Return what must be allowed, as far as the message says it."""
    wants = CAUSES[message.code].wants
    names = ["content-type"]
    if message.code == "header_not_allowed" and message.field:
        names.append(message.field.lower())
    return WantedGrant(
        origin=UNNAMED_ORIGIN if message.origin in ("", "null") else message.origin,
        url="",
        method=(message.method or _METHOD) if wants == "method" else "GET",
        names=tuple(dict.fromkeys(names)),
        credentials=wants == "credentials",
        key="",
    )


def _commands(message: ConsoleMessage) -> list[list[str]]:
    """Return the commands that follow this call, on the network and through documents."""
    is_cors = not isinstance(CAUSES[message.code].fixes, str)
    is_to_be_seen = message.code in ("network_error", "only_failed", "error_status")
    if not is_cors and not (is_to_be_seen and message.url):
        return []
    called = message.url if message.url.startswith(("http://", "https://")) else ""
    url = _without_secrets(called) or _URL
    flags = ["--origin", message.origin or UNNAMED_ORIGIN]
    if message.method:
        flags += ["--method", message.method]
    if message.code == "header_not_allowed" and message.field:
        flags += ["--header", f"{message.field}: VALUE"]
    if CAUSES[message.code].wants == "credentials":
        flags.append("--credentials")
    doctor = ["meshcors", "doctor", url, *flags]
    return [doctor, ["meshcors", "explain", "FILE", "--url", url, *flags]] if is_cors else [doctor]


def _without_secrets(url: str) -> str:
    """Return a URL that can be called, without its query and user information."""
    scheme, slashes, rest = re.split(r"[?#]", url, maxsplit=1)[0].partition("//")
    place, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{place.rpartition('@')[2]}{slash}{path}"


def _left_to_say(message: ConsoleMessage) -> Iterator[str]:
    """Yield what a person must fill in."""
    if message.origin in ("", "null"):
        yield f"  {UNNAMED_ORIGIN} stands for the page's origin, such as https://ui.example."
    if message.step != "response" and not (message.field and message.method):
        yield (
            "  Add what the script sends: --method, --header 'NAME: VALUE', and --credentials if it"
            " sends cookies."
        )
