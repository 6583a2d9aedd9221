"""docs/console-messages.md between its headings: what the model of the browser prints, and why.

The causes and fixes are those of ``meshcors doctor --console``, from one table.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, get_args

from meshcors._doctor.causes import CAUSES, ConsoleCause, fix_lines
from meshcors._doctor.grants import WantedGrant
from meshcors.browser import Code, Request, Response, Verdict, judge

PATH = Path(__file__).parent.parent / "docs" / "console-messages.md"
# Each has a section on the page.
CODES = tuple(code for code in get_args(Code) if code != "allowed")
ENGINES = {"chromium": "Chromium", "firefox": "Firefox", "safari": "Safari"}

PAGE, OTHER = "https://ui.example", "https://other.example"
ACAO = "access-control-allow-origin"
CALL = Request(
    PAGE,
    "https://api.example/v1/predict",
    "POST",
    {"content-type": "application/json", "model-api-key": "xyz"},
    "omit",
)
PUT = Request(PAGE, CALL.url, "PUT", CALL.headers, "omit")
WITH_CREDENTIALS = Request(PAGE, CALL.url, "POST", CALL.headers, "include")
GRANT = {
    ACAO: PAGE,
    "access-control-allow-credentials": "true",
    "access-control-allow-headers": "content-type, model-api-key",
}
GRANTED, READABLE = Response(204, GRANT), Response(200, GRANT)


@dataclass(frozen=True)
class Example:
    """A call that fails with `code`, the answers to it, and what is special in it."""

    code: str
    call: Request
    preflight: Response | None
    response: Response | None = READABLE
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        return judge(self.call, preflight=self.preflight, response=self.response)


def _refused(status: int = 204, **changed: str | None) -> Response:
    """A grant with some of its fields changed, or without them."""
    fields = {**GRANT, **{name.replace("_", "-"): value for name, value in changed.items()}}
    return Response(status, [(name, value) for name, value in fields.items() if value is not None])


def _at_both(code: str, call: Request, answer: Response | None, note: str = "") -> list[Example]:
    """The fault in the answer to the preflight, and in that to the call."""
    return [Example(code, call, answer, note=note), Example(code, call, GRANTED, answer, note)]


EXAMPLES = [
    *_at_both("network_error", CALL, None),
    Example("preflight_redirect", CALL, _refused(307, location="https://api.example/v1/predict/")),
    *_at_both("acao_missing", CALL, Response(404)),
    *_at_both("acao_multiple", CALL, _refused(200, access_control_allow_origin=f"{PAGE}, {PAGE}")),
    *_at_both("acao_mismatch", CALL, _refused(200, access_control_allow_origin=OTHER)),
    *_at_both(
        "acao_mismatch",
        CALL,
        _refused(200, access_control_allow_origin="ui.example"),
        "where the value is not a URL",
    ),
    *_at_both(
        "acao_wildcard_with_credentials",
        WITH_CREDENTIALS,
        _refused(200, access_control_allow_origin="*"),
    ),
    *_at_both(
        "acac_not_true", WITH_CREDENTIALS, _refused(200, access_control_allow_credentials=None)
    ),
    Example("preflight_not_ok", CALL, _refused(405)),
    Example("methods_malformed", PUT, _refused(access_control_allow_methods="GET PUT")),
    Example("headers_malformed", CALL, _refused(access_control_allow_headers="x-a x-b")),
    Example("method_not_allowed", PUT, _refused(access_control_allow_methods="DELETE")),
    Example("header_not_allowed", CALL, _refused(access_control_allow_headers="content-type")),
]
SHOWN_STEPS = {"preflight": "about the preflight", "response": "about the call itself"}


class Section(NamedTuple):
    """The part of the page on one code: what the messages begin with, per engine, and its text."""

    chromium: str
    firefox: str
    safari: str
    text: str


def sections(page: str) -> dict[str, Section]:
    """The sections of the page by code."""
    found = re.findall(
        r'^<a id="(\w+)"></a>\n\n## ([^\n]*)\n\n### Firefox: ([^\n]*)\n\n'
        r"### Safari: ([^\n]*)\n\n(.*?)(?=^<a id=|^## Lines that|\Z)",
        page,
        re.MULTILINE | re.DOTALL,
    )
    return {code: Section(*parts) for code, *parts in found}


def filled(page: str) -> str:
    """Return the page with its index and its messages in the place of those that are there."""
    page = _put(page, "index", index(page))
    for code in CODES:
        page = _put(page, f"messages: {code}", f"{messages(code)}\n{cause(code)}")
    return _put(page, "others", others())


def _put(page: str, place: str, made: str) -> str:
    before, begin, rest = page.partition(f"<!-- {place} -->\n")
    _, end, after = rest.partition("<!-- end -->\n")
    assert begin, f"{PATH.name} has no place for {place}"
    assert end, f"{PATH.name}: {place} does not end"
    return f"{before}{begin}\n{made}\n{end}{after}"


def index(page: str) -> str:
    """The table of all headings, each a link to its section."""
    lines = [f"| {' | '.join(f'in {name}' for name in ENGINES.values())} |", "|---|---|---|"]
    for code, section in sections(page).items():
        cells = (f"[{each}](#{code})" for each in section[:-1])
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def messages(code: str) -> str:
    """What the consoles print for `code`, each different message once, and where it is about."""
    made = []
    for engine, name in ENGINES.items():
        about: dict[str, list[str]] = {}
        examples = [each for each in EXAMPLES if each.code == code]
        for each in examples:
            verdict = each.verdict
            known = about.setdefault(verdict.messages[engine], [each.note])
            known.append(SHOWN_STEPS[verdict.step])
        for message, (note, *steps) in about.items():
            # Where both steps, or the only one there can be, read alike it goes without saying.
            step = steps[0] if len(steps) == 1 and len(examples) > 1 else ""
            label = ", ".join(filter(None, (name, step, note)))
            made.append(f"{label}:\n\n```text\n{message}\n```\n")
    return "\n".join(made)


def cause(code: Code) -> str:
    """What the message means, and the table of what to write."""
    known = CAUSES[code]
    blocks = [_wrapped(f"**Cause.** {known.meaning}")]
    if known.at_preflight:
        blocks.append(
            f"{_wrapped(f'- In the answer to the preflight: {known.at_preflight}', '  ')}\n"
            f"{_wrapped(f'- In the answer to the call itself: {known.at_response}', '  ')}"
        )
    if rows := _table(code, known):
        blocks.append("\n".join(["| where | fix |", "|---|---|", *rows]))
    return "\n\n".join(blocks) + "\n"


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 120, subsequent_indent=indent, break_on_hyphens=False)


def _table(code: Code, known: ConsoleCause) -> list[str]:
    want = WantedGrant(
        origin=PAGE,
        url=CALL.url,
        method="PUT" if known.wants == "method" else CALL.method,
        names=("content-type", "model-api-key"),
        credentials=known.wants == "credentials",
        key="model-api-key",
    )
    rows = [f"| {place} | {text} |" for place, text in fix_lines(code, want).items()]
    if known.lint:
        rules = ", ".join(f"[{rule}](lint/{rule.lower()}.md)" for rule in known.lint)
        note = f", {known.lint_note}" if known.lint_note else ""
        rows.append(f"| lint | {rules}{note} |")
    return rows


# What is no message about CORS: how it begins, by code.
OTHERS = {
    "private_network": "Permission was denied for this request to access the … address space",
    "mixed_content": "Mixed Content; Blocked loading mixed active content; insecure content",
    "content_security_policy": "violates the following Content Security Policy directive",
    "opaque": "net::ERR_BLOCKED_BY_ORB; OpaqueResponseBlocking",
    "content_blocker": "net::ERR_BLOCKED_BY_CLIENT",
    "error_status": "Failed to load resource: the server responded with a status of …",
    "only_failed": "Failed to fetch; NetworkError when attempting to fetch resource; Load failed;"
    " net::ERR_FAILED",
}


def others() -> str:
    """The table of the lines beside CORS."""
    lines = ["| line | what it means | what to do |", "|---|---|---|"]
    for code, known in CAUSES.items():
        if begins := OTHERS.get(code):
            lines.append(f"| {begins} | {known.meaning} | {known.fixes} |")
    return "\n".join([*lines, ""])
