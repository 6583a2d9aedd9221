"""The human-readable admin page: plain HTML, no scripts or outside resources, all text escaped."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from string import Template
from typing import Final
from urllib.parse import quote, urlsplit

from meshcors._decision.observation import MAX_TEXT
from meshcors._decision.page_check import AnsweredRequest, CheckResult, FetchCall
from meshcors._policy.headers import SAFELISTED_METHODS, SAFELISTED_REQUEST_HEADERS
from meshcors._policy.policy import Policy
from meshcors._policy.rules import Rule, RuleSet, rules_of
from meshcors.config._options import OPTION_BY_NAME
from meshcors.config._respelling import respell
from meshcors.dummy import _admin_parts as html
from meshcors.dummy._counters import FAILED_AT, LEFT_OUT, PREFLIGHTS, READ_AT, RELOADS, REQUESTS
from meshcors.dummy._refusals import Refusal
from meshcors.dummy._state import PodState

# Nobody reads more, and requests would wait while they are written.
MAX_RULES: Final = 100
# So much of a list is shown unfolded.
_AT_ONCE: Final = 8


def render(state: PodState, call: FetchCall, result: CheckResult | str | None) -> str:
    """Return the page: refusals, the form with `call` and its `result`, counts and the policy."""
    status = "Draining" if state.draining else "Ready" if state.is_ready else "Not serving"
    total = state.counters.total
    read = f"reloaded {html.ago(total(READ_AT))}" if total(RELOADS["ok"]) else "read at start"
    counts = {"Preflights": PREFLIGHTS, "Requests that no route took": REQUESTS}
    return Template(html.TEMPLATE).substitute(
        status=f'<span class="{"good" if state.is_ready else "bad"}">{status}</span>',
        configuration=f"{html.code(state.configuration.fingerprint)}, {read}",
        now=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        troubles="".join(_troubles(state)),
        refusals="".join(_refusals(state)),
        **{
            name: html.value(getattr(call, name)) for name in ("origin", "url", "method", "headers")
        },
        **{name: " checked" if getattr(call, name) else "" for name in ("key", "credentials")},
        answer="".join(_result(result, state)) if result else "",
        counts="".join(html.bars(what, state.counters.totals(counts[what])) for what in counts),
        policy="".join(_policy(state)),
    )


def _troubles(state: PodState) -> Iterator[str]:
    if state.problems:
        yield '<section class="alarm"><h2 class="bad">The last reload failed</h2>'
        yield f"<p>{html.ago(state.counters.total(FAILED_AT))}</p>"
        yield f"{html.lines(state.problems)}<p>The previous configuration stays active.</p>"
        yield "</section>"
    if state.configuration.warnings:
        yield f"<section><h2>Warnings</h2>{html.lines(state.configuration.warnings)}</section>"


def _refusals(state: PodState) -> Iterator[str]:
    kept = reversed(state.refusals.kept.items())
    yield from _rows(
        [_refusal(refusal, count, at) for refusal, (count, at) in kept] or ["None yet"]
    )
    if left_out := state.counters.total(LEFT_OUT):
        yield f'<p class="soft">{left_out:,} more came too fast to be kept.</p>'


def _refusal(refusal: Refusal, count: int, at: float) -> str:
    url = f"https://{refusal.host}{quote(refusal.path, errors='replace')}"
    is_preflight = bool(refusal.requested_method) and refusal.method == "OPTIONS"
    method = refusal.requested_method if is_preflight else refusal.method
    # The last of names that were cut may not be whole.
    names = refusal.requested_headers[: MAX_TEXT - 1]
    names = names if names == refusal.requested_headers else names.rpartition(",")[0]
    call = FetchCall(refusal.origin, url, method, names, key=refusal.reason == "no_route")
    given = {name: str(value) for name, value in asdict(call).items() if value}
    hidden = (f'<input type="hidden" name="{n}" value="{html.value(v)}">' for n, v in given.items())
    ask = f'<form method="post" action="/#answer">{"".join(hidden)}<button>Why?</button></form>'
    times = f"{count:,} time{'s' * (count > 1)}, last {html.ago(at)}"
    return (
        f'<div class="refusal"><p><strong class="bad">{html.words(refusal.reason)}</strong><br>'
        f"{times}</p>{ask if refusal.origin else ''}</div>"
    ) + html.facts(
        ("From", html.code(refusal.origin) if refusal.origin else "no page: no Origin was sent"),
        ("Preflight for" if is_preflight else "Call", html.code(f"{method} {url}")),
        ("With headers", html.code(names) if names else ""),
    )


def _result(result: CheckResult | str, state: PodState) -> Iterator[str]:
    if isinstance(result, str):
        yield '<div id="answer"><h3 id="verdict" class="bad">No browser makes this call.</h3>'
        yield f"<p>{html.text(result)}</p></div>"
        return
    verdict, preflight = result.verdict, result.preflight
    color = "good" if result.succeeds else "bad"
    yield f'<div id="answer"><h3 id="verdict" class="{color}">{_verdict(result)}</h3>'
    fixes = _fixes(result, has_rules=isinstance(state.configuration.source, RuleSet))
    yield html.facts(*fixes, kind="one")
    if preflight is None:
        yield "<p>1. No preflight is needed.</p>"
    else:
        yield _details(f"1. The preflight gets {preflight.answer.status}.", preflight)
    is_sent = verdict.step == "response"
    how = "The call" if is_sent else "The browser never sends the call. From curl, it"
    yield _details(f"2. {how} {_outcome(result)}.", result.response)
    consoles = (
        (f"{name.title()}'s console", "<br>".join(map(html.text, printed.splitlines())))
        for name, printed in verdict.messages.items()
    )
    yield f"{html.facts(*consoles, kind='one')}</div>"


def _details(sentence: str, request: AnsweredRequest) -> str:
    answer = request.answer
    got = [str(answer.status), *(f"{name}: {value}" for name, value in answer.headers)]
    blocks = html.block(request.sent) + html.block(got)
    return f"<details><summary>{sentence}</summary>{blocks}</details>"


def _verdict(result: CheckResult) -> str:
    verdict = result.verdict
    if verdict.allowed and result.response.reason:
        return f"No. The page may read the answer, but the call {_outcome(result)}."
    if verdict.allowed:
        return "Yes. The call reaches a service, and the page may read the answer."
    what = {
        "acao_missing": f"the origin {html.code(result.request.origin)}",
        "method_not_allowed": f"the method {html.code(verdict.field)}",
        "header_not_allowed": f"the header {html.code(verdict.field)}",
    }.get(verdict.code, "credentials")
    is_sent = verdict.step == "response"
    does = "hides the answer from the page" if is_sent else "does not send the call"
    why = f"the policy does not allow {what}" if result.rule else "no rule covers the host and path"
    return f"No. The browser {does}: {why}."


def _outcome(result: CheckResult) -> str:
    """Return what the call gets, as the end of a sentence."""
    reason, key = result.response.reason, result.rule and result.rule.policy.key
    lacks = f": it lacks the header {html.code(key.name)}" if key else ""
    got = f"gets {result.response.answer.status} {html.code(reason)}{lacks}"
    return got if reason else "reaches a service"


def _fixes(result: CheckResult, *, has_rules: bool) -> Iterator[tuple[str, str]]:
    """Yield where to write something, and what."""
    rule, keys, flags = result.rule, list[str](), list[str]()
    for name, items in result.lacking.items():
        option = OPTION_BY_NAME[name]
        keys.append(f"{option.file_label}: {json.dumps(option.format.print_data(items or True))}")
        flags += [f"{option.flag} {shlex.quote(item)}" for item in items] or [str(option.flag)]
    if result.hints:
        hints = [respell(hint, "file" if has_rules else "flag") for hint in result.hints]
        yield "Before you allow it", html.lines(hints)
    elif keys and rule is None:
        hosts = json.dumps([urlsplit(result.request.url).hostname])
        new = [f"- hosts: {hosts}", f"  corsPolicy: {{{', '.join(keys)}}}"]
        yield "Fix: add to the rules", html.block(new)
    elif keys and rule and has_rules:
        yield f"Fix: add to the corsPolicy for {_where(rule)}", html.block(keys)
    elif keys:
        yield "Fix: add these flags", html.block(flags)
        yield "or, if a file lists the others, add to its corsPolicy", html.block(keys)
    if result.response.reason == "key_missing" and rule and rule.policy.key:
        yield "Fix: in the page's script", f"send the header {html.code(rule.policy.key.name)}"
    if result.succeeds:
        why = "No route of the gateway takes the call: <code>meshcors explain</code> says why."
        yield "Refused with no_route all the same?", why


def _policy(state: PodState) -> Iterator[str]:
    rules = rules_of(state.configuration.source)
    if len(rules) > 1:
        yield '<p class="soft">The first rule that covers the host and path decides.</p>'
    yield from _rows([f"<h3>{_where(rule)}</h3>{_rule(rule.policy)}" for rule in rules[:MAX_RULES]])
    more = f"And {len(rules) - MAX_RULES:,} more: " if len(rules) > MAX_RULES else ""
    yield f'<p>{more}<a href="/policy">all of it as JSON</a></p>'


def _where(rule: Rule) -> str:
    hosts = html.codes(rule.hosts) if rule.hosts else "every host"
    below = "every path" if rule.path_prefix == "/" else f"{html.code(rule.path_prefix)} and below"
    return f"{hosts}, {below}"


def _rule(policy: Policy) -> str:
    key, age = policy.key, policy.max_age
    is_safe = not policy.allow_credentials and "authorization" not in policy.allow_headers
    any_header = "any but authorization" if is_safe else "any"
    exempt = f", except on {html.codes(key.exempt_paths)}" if key and key.exempt_paths else ""
    return html.facts(
        ("Origins", _list(tuple(map(str, policy.allow_origins)), "any")),
        ("Methods", _list((*sorted(SAFELISTED_METHODS), *policy.allow_methods), "any")),
        ("Headers", _list((*SAFELISTED_REQUEST_HEADERS, *policy.allow_headers), any_header)),
        ("Key", f"{html.code(key.name)}, required{exempt}" if key else "none"),
        ("Credentials", "allowed" if policy.allow_credentials else "not allowed"),
        (
            "Max age",
            "not set: browsers keep it for 5 seconds" if age is None else html.duration(age),
        ),
        ("Scripts may read", _list(policy.expose_headers, "any header")),
    )


def _list(items: Sequence[str], every: str) -> str:
    return every if "*" in items else html.codes(list(dict.fromkeys(items)))


def _rows(rows: Sequence[str]) -> Iterator[str]:
    """Yield a list; most of a long one is folded."""
    first, rest = (
        f'<ul class="rows">{"".join(f"<li>{row}</li>" for row in part)}</ul>'
        for part in (rows[:_AT_ONCE], rows[_AT_ONCE:])
    )
    more = len(rows) - _AT_ONCE
    yield first + (f"<details><summary>{more} more</summary>{rest}</details>" if more > 0 else "")
