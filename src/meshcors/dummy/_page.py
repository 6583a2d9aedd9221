"""The page for people: plain HTML, no script, nothing from elsewhere, everything escaped."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from html import escape
from typing import Final

from meshcors._policy.rules import Rule
from meshcors.dummy._ask import Question, Verdict
from meshcors.dummy._configuration import describe
from meshcors.dummy._counters import PREFLIGHTS, REQUESTS
from meshcors.dummy._live import Live
from meshcors.dummy._logs import printable

_STYLE: Final = (
    "body{font:16px/1.4 system-ui,sans-serif;max-width:70em;margin:1em auto;padding:0 1em}"
    "table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:.2em .6em;text-align:left;"
    "vertical-align:top;overflow-wrap:anywhere}label{display:block;margin:.4em 0}"
    "input[type=text]{width:30em;max-width:100%}pre{background:#eee;padding:.6em;overflow:auto}"
    ".good{color:#060}.bad{color:#900}"
)
# More are no use to people, and would hold up the serving.
MAX_RULES: Final = 200
# Nothing may be loaded or run; forms go where the page came from.
SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
    "; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def render(live: Live, question: Question, verdict: Verdict | None) -> str:
    """Return the page: what is allowed, what was counted and refused, and the form's answer."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8"><title>meshcors: preflight pod</title>',
            f"<style>{_STYLE}</style></head><body>",
            "<h1>Preflight pod</h1>",
            *_state(live),
            "<h2>Would a browser allow this?</h2>",
            *_form(question),
            *(_verdict(verdict) if verdict else ()),
            "<h2>Rules</h2>",
            *_rules(live.configuration.rules),
            "<h2>Decisions</h2>",
            _table(["what", "reason", "count"], _decisions(live)),
            "<h2>Last refusals</h2>",
            *_refusals(live),
            "</body></html>",
        ]
    )


def _state(live: Live) -> Iterable[str]:
    state = "draining" if live.draining else "ready" if live.is_ready else "not serving"
    fingerprint = live.configuration.fingerprint
    yield f"<p>{state}, configuration <code>{fingerprint}</code></p>"
    if live.problems:
        yield '<p class="bad">The last change was not taken; what was good before serves:</p>'
        yield _list(live.problems)
    if live.configuration.warnings:
        yield "<p>Has no effect:</p>"
        yield _list(live.configuration.warnings)


def _rules(rules: Sequence[Rule]) -> Iterable[str]:
    yield _table(["first match wins"], ([describe(rule)] for rule in rules[:MAX_RULES]))
    if len(rules) > MAX_RULES:
        yield f'<p>And {len(rules) - MAX_RULES} more: <a href="/policy">all of them</a>.</p>'


def _form(question: Question) -> Iterable[str]:
    yield '<form method="post" action="/">'
    for name, label, value, example in (
        ("origin", "Origin of the page", question.origin, "https://ui.example"),
        ("url", "URL it calls", question.url, "https://models.example/v1/chat"),
        ("method", "Method", question.method, "POST"),
        ("headers", "Headers its script sets", question.headers, "content-type, model-api-key"),
    ):
        yield (
            f'<label>{label} <input type="text" name="{name}" value="{_text(value)}"'
            f' placeholder="{example}"></label>'
        )
    checked = " checked" if question.credentials else ""
    yield f'<label><input type="checkbox" name="credentials"{checked}> with credentials</label>'
    yield "<button>Ask</button></form>"


def _verdict(verdict: Verdict) -> Iterable[str]:
    if verdict.allowed:
        yield '<p id="verdict" class="good">Yes: allowed.</p>'
    else:
        yield f'<p id="verdict" class="bad">No: <code>{_text(verdict.code)}</code></p>'
    yield _list(verdict.messages)
    for title, lines in (("Preflight", verdict.preflight), ("Its answer", verdict.answer)):
        if lines:
            yield f"<h3>{title}</h3><pre>{'<br>'.join(map(_text, lines))}</pre>"


def _decisions(live: Live) -> Iterable[list[str]]:
    for what, slots in (("preflight", PREFLIGHTS), ("request", REQUESTS)):
        for reason, count in live.board.totals(slots).items():
            yield [what, reason, str(count)]


def _refusals(live: Live) -> Iterable[str]:
    if not live.refusals.last:
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
            for refusal in reversed(live.refusals.last)
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
    # Control characters are no danger in HTML, but neither do they show.
    return escape("".join(c if c.isprintable() else printable(c) for c in text))
