"""Recognises what a person pastes from a browser's console: whose message it is, what it names.

Nothing is asked of a network. A paste may have line breaks anywhere, curly or straight quotes, and
the source's place between its lines: white space does not count. English only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from meshcors._doctor.console_around import AROUND, LONGEST_URL, code_of
from meshcors._doctor.console_words import CHROMIUM, FIREFOX, SAFARI, squeezed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors._doctor.causes import ConsoleCode
    from meshcors._doctor.console_around import Engine
    from meshcors._doctor.console_words import Patterns

LONGEST_PASTE: Final = 16_384
_OF_PREFLIGHT: Final = frozenset(
    {
        *("preflight_redirect", "preflight_not_ok", "methods_malformed", "headers_malformed"),
        *("method_not_allowed", "header_not_allowed"),
    }
)
# Lines that stand beside one that says more.
_COMPANIONS: Final = frozenset({"only_failed", "error_status"})
# What has been read is replaced by it, so that nothing is read across.
_READ: Final = "\0"


@dataclass(frozen=True, slots=True)
class ConsoleMessage:
    """One message of a console.

    What it does not name is empty, and `status` 0. `also` is another fault that reads the same.
    `step` is the answer at fault. `field` is the method or the request header that it names.
    `method` is that of the call, and `kind` what called: ``fetch``, ``XMLHttpRequest``, ``font``.
    """

    engine: Engine
    code: ConsoleCode
    also: ConsoleCode | Literal[""] = ""
    step: Literal["preflight", "response", ""] = ""
    url: str = ""
    origin: str = ""
    redirected_from: str = ""
    status: int = 0
    field: str = ""
    method: str = ""
    kind: str = ""


def read_console(text: str) -> tuple[ConsoleMessage, ...]:
    """Return the messages in a paste, each once; none if there is none that is known.

    Raises `ValueError` for a paste of more than 16,384 characters.
    """
    if len(text) > LONGEST_PASTE:
        raise ValueError(f"it has more than {LONGEST_PASTE} characters: paste the message alone")
    rest = squeezed(text)
    found: list[ConsoleMessage] = []
    for reader in (_chromium, _firefox, _around, _safari):
        rest = reader(rest, found)
    if all(each.code in _COMPANIONS for each in found):
        found += _reasons_alone(rest)
    return _each_once([_plausible(each) for each in found])


# What a fix or a command may quote. A paste may come from anybody.
_AN_ORIGIN: Final = re.compile(r"null|[a-z][a-z0-9+.-]*://[A-Za-z0-9._:\[\]-]+")
_A_METHOD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
# Of all that a name may be, what programs call their headers; no `*`, and no mark of YAML
_A_HEADER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def _plausible(message: ConsoleMessage) -> ConsoleMessage:
    """Return the message without an origin, a method and a header that are none."""
    is_header = message.code != "header_not_allowed" or _A_HEADER.fullmatch(message.field)
    return replace(
        message,
        field=message.field if is_header else "",
        origin=message.origin if _AN_ORIGIN.fullmatch(message.origin) else "",
        method=message.method if _A_METHOD.fullmatch(message.method) else "",
    )


def _message(
    engine: Engine, code: ConsoleCode, match: re.Match[str], **more: Any
) -> ConsoleMessage:
    """Return a message with what its pattern has found."""
    named = match.groupdict(default="")
    status = named.get("status", "")
    message = ConsoleMessage(
        engine,
        code,
        step="preflight" if code in _OF_PREFLIGHT else "",
        url=named.get("url", ""),
        origin=named.get("origin", ""),
        status=int(status) if status.isdecimal() else 0,
        field=named.get("field", ""),
        method=named.get("method", ""),
    )
    if code == "method_not_allowed":
        more.setdefault("method", message.field)
    return replace(message, **more)


def _at_begin(
    patterns: Patterns, text: str
) -> tuple[ConsoleCode, re.Match[str]] | tuple[None, None]:
    """Return the code of the reason that `text` begins with."""
    for code, pattern in patterns:
        if match := pattern.match(text):
            return code, match
    return None, None


# --- Chromium: "Access to fetch at 'URL' from origin 'ORIGIN' has been blocked by CORS policy: ..."

_BLOCKED: Final = "hasbeenblockedbyCORSpolicy:"
_CHECK: Final = "Responsetopreflightrequestdoesn'tpassaccesscontrolcheck:"
_ACCESS: Final = re.compile("Accessto([A-Za-z-]{1,40})at'")
_FROM: Final = "fromorigin'"
_REDIRECTED: Final = "'(redirectedfrom'"
_OUTSIDE_CORS: Final = frozenset({"private_network", "opaque", "network_error"})


def _chromium(text: str, found: list[ConsoleMessage]) -> str:
    head, *others = text.split(_BLOCKED)
    left = []
    for after in others:
        begins = list(_ACCESS.finditer(head))
        reason = after.removeprefix(_CHECK)
        code, match = _at_begin(CHROMIUM, reason)
        if code is None or match is None or not begins:
            left.append(head)
            head = after
            continue
        begin = begins[-1]
        urls, _, origin = head[begin.end() :].rpartition(_FROM)
        url, _, first = urls.partition(_REDIRECTED)
        step = "preflight" if reason != after or code in _OF_PREFLIGHT else "response"
        found.append(
            _message(
                "chromium",
                code,
                match,
                step="" if code in _OUTSIDE_CORS else step,
                url=url.removesuffix("'"),
                origin=origin.removesuffix("'"),
                redirected_from=first.removesuffix("')"),
                kind=begin[1],
            )
        )
        left.append(head[: begin.start()])
        head = reason[match.end() :]
    return _READ.join([*left, head])


# --- Firefox: "Cross-Origin Request Blocked: ... at URL. (Reason: ...). Status code: 404."

_DISALLOWED: Final = (
    "Cross-OriginRequestBlocked:TheSameOriginPolicydisallowsreadingtheremoteresourceat"
)
_REASON: Final = ".(Reason:"


def _firefox(text: str, found: list[ConsoleMessage]) -> str:
    first, *others = text.split(_DISALLOWED)
    left = [first]
    for after in others:
        url, _, reason = after.partition(_REASON)
        code, match = _at_begin(FIREFOX, reason)
        if code is None or match is None:
            left.append(after)
            continue
        quoted = url.startswith("'")
        found.append(
            _message(
                "firefox",
                _by_value(code, match),
                match,
                url=url[1:].removesuffix("'") if quoted else url,
            )
        )
        left.append(reason[match.end() :])
    return _READ.join(left)


def _by_value(code: ConsoleCode, match: re.Match[str]) -> ConsoleCode:
    """Tell apart what Firefox calls alike: another origin, and several."""
    value = match.groupdict().get("value")
    if code not in ("acao_multiple", "acao_mismatch") or value is None:
        return code
    return "acao_multiple" if "," in value else "acao_mismatch"


# --- Beside CORS


def _around(text: str, found: list[ConsoleMessage]) -> str:
    for words in AROUND:
        for match in words.pattern.finditer(text):
            error = match.groupdict().get("error")
            code = words.code if error is None else code_of(error)
            found.append(_message(words.engine, code, match))
        text = words.pattern.sub(_READ, text)
    return text


# --- Safari: the reason, then "Fetch API cannot load URL due to access control checks.", then the
# reason once more after "Failed to load resource:"

_SAFARI_REASONS: Final[Patterns] = tuple(
    (
        code,
        re.compile(
            "(?P<failed>Failedtoloadresource:)?(?P<redirect>Cross-originredirectionto"
            rf"[^\0]{{1,{LONGEST_URL}}}?deniedbyCross-OriginResourceSharingpolicy:)?{pattern.pattern}"
        ),
    )
    for code, pattern in SAFARI
)
_CANNOT_LOAD: Final = re.compile(
    "(?:(?P<kind>FetchAPI|XMLHttpRequest|EventSource|BeaconAPI)cannotload|Cannotload(?P<what>[a-z]*))"
    rf"(?P<url>https?://[^\0]{{1,{LONGEST_URL}}}?)duetoaccesscontrolchecks"
)
_FAILED: Final = re.compile("Failedtoloadresource:")
_SAFARI_LINES: Final[Patterns] = (("only_failed", _CANNOT_LOAD), ("network_error", _FAILED))


def _safari(text: str, found: list[ConsoleMessage]) -> str:
    pending: ConsoleMessage | None = None
    for code, match in _safari_lines(text):
        if match.re is _CANNOT_LOAD:
            kind = match["what"] or (match["kind"] or "").replace("FetchAPI", "fetch")
            named = pending or _message("safari", "only_failed", match)
            found.append(replace(named, url=match["url"], kind=kind))
            pending = None
            continue
        message = _message("safari", code, match)
        if code == "acao_missing":
            message = replace(message, also="acao_mismatch")
        is_refused = code == "acao_missing" and not 200 <= (message.status or 200) <= 299
        if is_refused or match.groupdict().get("redirect"):
            # Of a preflight it would have named the status
            message = replace(message, step="response")
        if match.re is _FAILED or match["failed"]:
            found += [] if _is_repeated(message, found) else [message]
            continue
        found += [pending] if pending else []
        pending = message
    found += [pending] if pending else []
    return text


def _safari_lines(text: str) -> Iterator[tuple[ConsoleCode, re.Match[str]]]:
    """Yield what Safari's lines say, in their order."""
    lines: dict[int, tuple[ConsoleCode, re.Match[str]]] = {}
    # The last one is the beginning of a repeated reason too: what begins there already stays
    patterns: Patterns = (*_SAFARI_REASONS, *_SAFARI_LINES)
    for code, pattern in patterns:
        for match in pattern.finditer(text):
            lines.setdefault(match.start(), (code, match))
    for start in sorted(lines):
        yield lines[start]


def _is_repeated(message: ConsoleMessage, found: list[ConsoleMessage]) -> bool:
    return any(replace(each, url="", kind="") == message for each in found)


# --- What is left


def _reasons_alone(text: str) -> Iterator[ConsoleMessage]:
    """Yield messages of Chromium and Firefox of which only the reason was pasted."""
    words: tuple[tuple[Engine, Patterns], ...] = (("chromium", CHROMIUM), ("firefox", FIREFOX))
    for engine, patterns in words:
        for code, pattern in patterns:
            if match := pattern.search(text):
                message = _message(engine, _by_value(code, match), match)
                yield replace(message, step="preflight") if _CHECK in text else message


def _each_once(found: list[ConsoleMessage]) -> tuple[ConsoleMessage, ...]:
    """Leave out what says less than a message beside it, and keep the method that it names."""
    methods = {each.url: each.method for each in found if each.method}
    telling = [each for each in found if each.code not in _COMPANIONS]
    kept: dict[ConsoleMessage, None] = {}
    for each in telling or found:
        beside = {other.code for other in telling if other.url == each.url} - {each.code}
        # After any failed preflight Firefox says that the request did not succeed either, and
        # after a redirected one that it was not answered with 200
        if each.code == "network_error" and beside:
            continue
        if each.code == "preflight_not_ok" and "preflight_redirect" in beside:
            continue
        message = each
        if each.code == "network_error" and not each.url and each.engine == "safari":
            message = replace(each, url=_blamed(found))
        kept[replace(message, method=message.method or methods.get(message.url, ""))] = None
    return tuple(kept)


def _blamed(found: list[ConsoleMessage]) -> str:
    """Return the URL of Safari's line without a reason, if there is one such line."""
    urls = {each.url for each in found if each.engine == "safari" and each.code == "only_failed"}
    return urls.pop() if len(urls) == 1 else ""
