"""What becomes of a page's call under a policy: the engine answers, and the browser model judges.

What the policy lacks is found with the same two: it gets the option that a browser misses, and the
call is judged again. The pod's admin page uses it; nothing that serves requests does.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import unquote, urlsplit

from meshcors._decision.engine import Engine
from meshcors._decision.simulation import Decider, simulate
from meshcors._policy.errors import PolicyError
from meshcors._policy.headers import list_elements
from meshcors._policy.hosts import host_name
from meshcors._policy.paths import is_plain_path
from meshcors._policy.policy import Policy, make
from meshcors._policy.rule_map import RuleMap
from meshcors._policy.rules import Rule, RuleSet
from meshcors.browser import Request, Response, Verdict, judge, preflight_for

# What a header is sent with: JSON's content type needs permission, any other value is alike.
_VALUES: Final = {"content-type": "application/json"}
_ANY_VALUE: Final = "..."
# Options of a policy by name, and the items that each of them gets; () turns an option on.
Lacking: TypeAlias = dict[str, tuple[str, ...]]
# Each takes a judgement of its own.
_MOST_LACKING: Final = 8
# The option that a policy lacks where a browser finds a fault.
_OPTIONS: Final = {
    "acao_missing": "allow_origins",
    "acao_wildcard_with_credentials": "allow_credentials",
    "acac_not_true": "allow_credentials",
    "method_not_allowed": "allow_methods",
    "header_not_allowed": "allow_headers",
}


@dataclass(frozen=True, slots=True)
class FetchCall:
    """A call of ``fetch(url, {method, headers, credentials})`` by a page of `origin`.

    `headers` are the names that the page's script sets, separated by commas; `key` adds the one
    that the rule for the URL asks for.
    """

    origin: str = ""
    url: str = ""
    method: str = "POST"
    headers: str = ""
    credentials: bool = False
    key: bool = False


class AnsweredRequest(NamedTuple):
    """A request's lines, and its answer; `reason` is empty where a service gives the answer."""

    sent: tuple[str, ...]
    answer: Response
    reason: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a browser makes of a `request`, and what it gets, if it is sent.

    `preflight` is None where none is sent. `rule` covers the URL. `lacking` is what its policy, or
    that of a new rule, has to get; `hints` say why no policy can have that.
    """

    request: Request
    verdict: Verdict
    preflight: AnsweredRequest | None
    response: AnsweredRequest
    rule: Rule | None
    lacking: Lacking
    hints: tuple[str, ...]

    @property
    def succeeds(self) -> bool:
        """Whether a service is reached, and the page may read its answer."""
        return self.verdict.allowed and not self.response.reason


def check_call(source: Policy | RuleSet, engine: Decider, call: FetchCall) -> CheckResult | str:
    """Return what becomes of `call` if services answer by `source`, which `engine` is made from.

    For a call that browsers refuse to make, it is the reason why.
    """
    try:
        rule = rule_for(source, call.url.strip())
        names = [name.lower() for name in list_elements(call.headers)]
        if call.key and rule and rule.policy.key:
            names.append(rule.policy.key.name)
        headers = {name: _VALUES.get(name, _ANY_VALUE) for name in names}
        origin, url, method = call.origin.strip(), call.url.strip(), call.method.strip()
        request = Request(
            origin, url, method, headers, "include" if call.credentials else "same-origin"
        )
    except ValueError as error:
        return str(error)
    outcome = _follow(engine, request)
    lacking = _lacking(rule.policy if rule else None, request)
    return CheckResult(request, *outcome, rule, *lacking)


def rule_for(source: Policy | RuleSet, url: str) -> Rule | None:
    """Return the rule that covers a URL; None if none does."""
    if isinstance(source, Policy):
        return Rule(source)
    rules: RuleMap[Rule | None] = RuleMap(source, source.rules, None, None)
    return rules.find(*_place(url))


def _place(url: str) -> tuple[bytes, str]:
    """Return the Host field of a request to `url`, and its path, decoded once."""
    parts = urlsplit(url)
    return parts.netloc.encode("latin-1", "replace"), unquote(parts.path)


def _follow(
    engine: Decider, request: Request
) -> tuple[Verdict, AnsweredRequest | None, AnsweredRequest]:
    """Return the verdict on `request`, and what its preflight and itself get."""
    lines = preflight_for(request)
    preflight = None if lines is None else _ask(engine, "OPTIONS", request.url, lines)
    lines = (("origin", request.origin), *request.headers)
    response = _ask(engine, request.method, request.url, lines)
    answer = preflight.answer if preflight else None
    return judge(request, preflight=answer, response=response.answer), preflight, response


def _ask(
    engine: Decider, method: str, url: str, lines: tuple[tuple[str, str], ...]
) -> AnsweredRequest:
    sent = (f"{method} {url}", *(f"{name}: {value}" for name, value in lines))
    host, path = _place(url)
    fields = [*lines, ("host", host.decode("latin-1"))]
    status, headers, reason = simulate(engine, method, path, fields)
    return AnsweredRequest(sent, Response(status, headers), reason)


def _lacking(policy: Policy | None, request: Request) -> tuple[Lacking, tuple[str, ...]]:
    """Return what `policy`, or a new one, has to get until a browser allows `request`."""
    host, path = _place(request.url)
    if policy is None and (host_name(host) is None or not is_plain_path(path)):
        return {}, ("no rule covers an ambiguous host or path, such as /v1/../x or //v1",)
    own = {each.name: getattr(policy, each.name) for each in fields(Policy)} if policy else {}
    lacking: Lacking = {} if policy else {"allow_origins": (request.origin,)}
    for _ in range(_MOST_LACKING):
        added = {name: (*own.get(name, ()), *items) for name, items in lacking.items() if items}
        try:
            larger, _ = make(own | dict.fromkeys(lacking, True) | added)
        except PolicyError as error:
            return lacking, tuple(problem.hint for problem in error.problems)
        verdict, _, _ = _follow(Engine(larger), request)
        option = _OPTIONS.get(verdict.code, "")
        item = {"allow_origins": request.origin, "allow_credentials": ""}.get(option, verdict.field)
        if not option or item in lacking.get(option, ()):
            break
        lacking[option] = (*lacking.get(option, ()), item) if item else ()
    return lacking, ()
