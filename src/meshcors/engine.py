"""The decision, for adapters to other frameworks.

An adapter carries facts and answers, and decides nothing: it gives a request's method, path and
header fields to a `PolicyEngine`, and sends the `Answer`, or lets the app answer and merges the
fields of `Proceed` into what the app sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from meshcors._decision.answers import INTERNAL_SERVER_ERROR, NO_REFUSAL, Answer, Proceed
from meshcors._decision.fields import collect
from meshcors._decision.observation import (
    AppEngine,
    Observer,
    observed,
    observed_websocket,
)
from meshcors._decision.preflight import MAX_LIST_BYTES
from meshcors._decision.rule_engine import app_engine
from meshcors._policy.paths import is_plain_path
from meshcors._policy.policy import Policy, PolicyOptions
from meshcors._policy.rules import Rule, RuleSet, Uncovered
from meshcors.config._replaceable import ReplaceablePolicy, Source
from meshcors.config._resolving import answer_by, policy_and_rules, resolve
from meshcors.observers._logger import guarded, log_refusal, logs_refusals

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "INTERNAL_SERVER_ERROR",
    "Answer",
    "PolicyEngine",
    "Proceed",
    "Uncovered",
    "segmented_path",
]

_ENCODED_SLASH: Final = re.compile("%2f", re.IGNORECASE)


class PolicyEngine:
    """A policy, or rules, that decides requests for an adapter.

    Takes what `MeshCORS` takes: a `Policy` or `ReplaceablePolicy`, a policy's options as keywords,
    `rules` and `uncovered`, or nothing (then the ``MESHCORS_*`` environment is read). The
    `observer` is called with each decision, see `meshcors.observers`, and refusals are logged.

    `policy` is the policy that it decides by now, wherever it was read from, and None where there
    are `rules`; `rules` are the rules by host and path, and None where there is a single policy.

    Any number of threads and event loops may use it. Raises `PolicyError`.
    """

    policy: Policy | None
    rules: RuleSet | None

    def __init__(
        self,
        policy: Policy | ReplaceablePolicy | None = None,
        *,
        rules: RuleSet | Iterable[Rule] | None = None,
        uncovered: Uncovered | None = None,
        observer: Observer | None = None,
        **options: Unpack[PolicyOptions],
    ) -> None:
        # A policy that can be replaced lives as long as what answers by it.
        self._given = resolve(policy, rules, options)
        compiled = partial(app_engine, observer=guarded(observer))
        answer_by(self._given, uncovered, compiled, self._switch, serves=True)

    def _switch(self, answering: tuple[Source, AppEngine]) -> None:
        """Decide by another policy from now on."""
        source, self._engine = answering
        self.policy, self.rules = policy_and_rules(source)

    def __repr__(self) -> str:
        return f"<meshcors.engine.PolicyEngine: {self.policy or self.rules!r}>"

    def decide(
        self, method: str, path: str, headers: Iterable[tuple[str | bytes, str | bytes]]
    ) -> Answer | Proceed | None:
        """Decide an HTTP request: an `Answer` to send, or `Proceed`: the app answers.

        `method` is case-sensitive. `path` is the one on which the app routes, decoded once;
        undecodable bytes are U+FFFD, as `urllib.parse.unquote` has them; for an app that tells
        ``%2F`` from a slash, see `segmented_path`. `headers` are all lines of the request, pairs of
        name and value, in any case. Text is latin-1, as in WSGI: pass the bytes if the framework
        decodes them in another way.

        None is for a URL that no rule covers: the app answers as if there were no policy.
        """
        engine = self._engine
        fields = collect(map(_line, headers), engine.reads, MAX_LIST_BYTES)
        decision = engine.decide(method, path, fields)
        if decision is not None and decision.reason not in NO_REFUSAL and logs_refusals():
            log_refusal(observed(engine, decision, method, path, fields))
        return decision

    def decide_websocket(
        self, path: str, headers: Iterable[tuple[str | bytes, str | bytes]]
    ) -> Answer | None:
        """Decide a WebSocket handshake: the `Answer` that refuses it, or None to accept it.

        Browsers apply no CORS to WebSockets, so the server checks the Origin itself (RFC 6455
        10.2): the policy must allow it, or it must be the service's own. The key is checked as for
        any request. `path` and `headers` are as for `decide`.
        """
        engine = self._engine
        fields = collect(map(_line, headers), engine.reads_websocket, MAX_LIST_BYTES)
        refusal = engine.decide_websocket(path, fields)
        if refusal is not None and logs_refusals():
            log_refusal(observed_websocket(engine, refusal, path, fields))
        return refusal


def segmented_path(encoded: str) -> str:
    """Return the path of an app that splits it at slashes before it decodes the segments.

    `encoded` is the path as in the URL, without the query. It is decoded once, but an encoded slash
    stays ``%2F``, so that it ends no segment. Where such a slash would make another path, as in
    ``/a/..%2Fb``, the path is ambiguous: no exemption and no prefix covers it.
    """
    decoded = unquote(encoded)
    if not is_plain_path(decoded):
        return decoded
    return "%2F".join(map(unquote, _ENCODED_SLASH.split(encoded)))


def _line(line: tuple[str | bytes, str | bytes]) -> tuple[bytes, bytes]:
    return _bytes(line[0]).lower(), _bytes(line[1])


def _bytes(given: str | bytes) -> bytes:
    """Return the bytes of a field's text; characters beyond latin-1 fit no policy, however sent."""
    if isinstance(given, bytes):
        return given
    try:
        return given.encode("latin-1")
    except UnicodeEncodeError:
        return given.encode("utf-8", "backslashreplace")
