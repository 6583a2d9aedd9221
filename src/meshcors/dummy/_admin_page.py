"""The human-readable admin page: plain HTML, no scripts or outside resources, all text escaped."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from html import escape
from typing import Final

from meshcors._policy.rules import Rule
from meshcors._policy.wording import printable
from meshcors.dummy._browser_check import CheckResult, FetchCall
from meshcors.dummy._configuration import describe
from meshcors.dummy._counters import PREFLIGHTS, REQUESTS
from meshcors.dummy._state import PodState

_STYLE: Final = (
    "body{font:16px/1.4 system-ui,sans-serif;max-width:70em;margin:1em auto;padding:0 1em}"
    "table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:.2em .6em;text-align:left;"
    "vertical-align:top;overflow-wrap:anywhere}label{display:block;margin:.4em 0}"
    "input[type=text]{width:30em;max-width:100%}pre{background:#eee;padding:.6em;overflow:auto}"
    ".good{color:#060}.bad{color:#900}"
)
# Nobody reads more, and requests would wait while they are written.
MAX_RULES: Final = 200
# Nothing may be loaded or run, and forms may be sent to this port only.
SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
    "; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def render(state: PodState, call: FetchCall, result: CheckResult | None) -> str:
    """Return the page: rules, counts and refusals, and the form with `call` and its `result`."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8"><title>meshcors: preflight pod</title>',
            f"<style>{_STYLE}</style></head><body>",
            "<h1>Preflight pod</h1>",
            *_status(state),
            "<h2>Would a browser allow this?</h2>",
            *_form(call),
            *(_result(result) if result else ()),
            "<h2>Rules</h2>",
            *_rules(state.configuration.rules),
            "<h2>Answers</h2>",
            _table(["request", "reason", "count"], _answers(state)),
            "<h2>Last refused requests</h2>",
            *_refusals(state),
            "</body></html>",
        ]
    )


def _status(state: PodState) -> Iterable[str]:
    status = "Draining" if state.draining else "Ready" if state.is_ready else "Not serving"
    fingerprint = state.configuration.fingerprint
    yield f"<p>{status}, configuration <code>{fingerprint}</code></p>"
    if state.problems:
        yield '<p class="bad">The last change is invalid; the previous configuration stays active:'
        yield f"</p>{_list(state.problems)}"
    if state.configuration.warnings:
        yield f"<p>Warnings:</p>{_list(state.configuration.warnings)}"


def _rules(rules: Sequence[Rule]) -> Iterable[str]:
    yield _table(["rule (the first match wins)"], ([describe(rule)] for rule in rules[:MAX_RULES]))
    if len(rules) > MAX_RULES:
        yield f'<p>And {len(rules) - MAX_RULES} more: <a href="/policy">all of them</a>.</p>'


def _form(call: FetchCall) -> Iterable[str]:
    yield '<form method="post" action="/">'
    for name, label, value, example in (
        ("origin", "Origin of the page", call.origin, "https://ui.example"),
        ("url", "URL it calls", call.url, "https://models.example/v1/chat"),
        ("method", "Method", call.method, "POST"),
        ("headers", "Headers its script sets", call.headers, "content-type, model-api-key"),
    ):
        yield (
            f'<label>{label} <input type="text" name="{name}" value="{_text(value)}"'
            f' placeholder="{example}"></label>'
        )
    checked = " checked" if call.credentials else ""
    yield f'<label><input type="checkbox" name="credentials"{checked}> with credentials</label>'
    yield "<button>Check</button></form>"


def _result(result: CheckResult) -> Iterable[str]:
    if result.allowed:
        yield '<p id="verdict" class="good">Yes, it is allowed.</p>'
    else:
        yield f'<p id="verdict" class="bad">No: <code>{_text(result.code)}</code></p>'
    yield _list(result.messages)
    for title, lines in (("Preflight", result.preflight), ("Its answer", result.answer)):
        if lines:
            yield f"<h3>{title}</h3><pre>{'<br>'.join(map(_text, lines))}</pre>"


def _answers(state: PodState) -> Iterable[list[str]]:
    for what, slots in (("preflight", PREFLIGHTS), ("real request", REQUESTS)):
        for reason, count in state.counters.totals(slots).items():
            yield [what, reason, str(count)]


def _refusals(state: PodState) -> Iterable[str]:
    if not state.refusals.last:
        yield "<p>None yet.</p>"
        return
    head = ["reason", "origin", "method", "host and path", "asks for"]
    yield _table(
        head,
        (
            [
                refusal.reason,
                refusal.origin,
                refusal.method,
                refusal.host + refusal.path,
                f"{refusal.requested_method} {refusal.requested_headers}",
            ]
            for refusal in reversed(state.refusals.last)
        ),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = "".join(f"<th>{_text(title)}</th>" for title in head)
    lines = [f"<table><tr>{cells}</tr>"]
    for row in rows:
        cells = "".join(f"<td>{_text(cell)}</td>" for cell in row)
        lines.append(f"<tr>{cells}</tr>")
    return "\n".join([*lines, "</table>"])


def _list(texts: Iterable[str]) -> str:
    items = "".join(f"<li>{_text(text)}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""


def _text(text: str) -> str:
    # Control characters are harmless in HTML, but invisible.
    return escape(printable(text))
