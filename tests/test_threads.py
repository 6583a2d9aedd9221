"""Engines and middleware shared by threads: each request gets its own answer, caches stay bounded.

The interpreter is made to switch threads as often as it can, and the threads ask for so many
origins and hosts that the caches fill and start again many times. A policy is also replaced while
threads ask, as a reload does: each answer is that of one policy or the other, never of both.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from meshcors import HeaderKey, Policy, Rule, RuleSet, wsgi
from meshcors._decision.answers import Answer
from meshcors._decision.engine import Engine
from meshcors._decision.rule_engine import NO_RULE, RuleEngine
from meshcors._policy.bounded_cache import BoundedCache

THREADS = 8
KEPT = 16
ACAO = "access-control-allow-origin"


def policy(max_age: int = 600) -> Policy:
    return Policy(
        allow_origins=["https://*.ui.example"],
        allow_methods=["PUT"],
        max_age=max_age,
        key=HeaderKey("model-api-key", ["one", "two"]),
    )


@pytest.fixture(autouse=True)
def switch_often() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def in_threads(ask: Callable[[int, int], None], times: int = 300) -> None:
    """Call `ask` with the number of each thread and each turn; all threads begin together."""
    together = Barrier(THREADS)

    def run(thread: int) -> None:
        together.wait()
        for turn in range(times):
            ask(thread, turn)

    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(run, thread) for thread in range(THREADS)]:
            done.result()


def request(origin: str, key: bytes, host: str = "") -> dict[bytes, bytes]:
    return {b"origin": origin.encode(), b"model-api-key": key, b"host": host.encode()}


def preflight(origin: str, host: str = "") -> dict[bytes, bytes]:
    return {
        b"origin": origin.encode(),
        b"access-control-request-method": b"PUT",
        b"access-control-request-headers": b"model-api-key",
        b"host": host.encode(),
    }


def allowed(fields: tuple[tuple[str, str], ...] | list[tuple[str, str]]) -> str | None:
    return dict(fields).get(ACAO)


def test_a_shared_engine() -> None:
    engine = Engine(policy(), cached_origins=KEPT)

    def ask(thread: int, turn: int) -> None:
        # Some origins are asked for by several threads at once, some by one alone.
        origin = f"https://t{thread * turn % 97}.ui.example"
        asked = engine.decide("OPTIONS", "/", preflight(origin))
        assert isinstance(asked, Answer)
        assert (asked.reason, allowed(asked.headers)) == ("allowed", origin)
        proceed = engine.decide("GET", "/", request(origin, b"two"))
        assert not isinstance(proceed, Answer)
        assert allowed(proceed.merge([])) == origin
        refused = engine.decide("GET", "/", request(origin, b"other"))
        assert isinstance(refused, Answer)
        assert (refused.reason, allowed(refused.headers)) == ("key_unknown", origin)
        stranger = engine.decide("GET", "/", request(f"https://t{thread}.example", b"one"))
        assert stranger.reason == "origin_not_allowed"

    in_threads(ask)
    assert len(engine._answers) <= KEPT
    assert len(engine._preflights) <= KEPT


def test_shared_rules() -> None:
    rules = RuleSet(
        Rule(policy(number), hosts=[f"*.h{number}.example", f"h{number}.example"])
        for number in range(20)
    )
    engine = RuleEngine(rules, NO_RULE)
    origin = "https://a.ui.example"

    def ask(thread: int, turn: int) -> None:
        number = (thread + turn) % 20
        # More hosts than are kept, and one that all threads ask for.
        for host in (f"t{thread}x{turn}.h{number}.example", f"h{number}.example"):
            asked = engine.decide("OPTIONS", "/", preflight(origin, host))
            assert isinstance(asked, Answer)
            assert dict(asked.headers)["access-control-max-age"] == str(number)
        assert engine.decide("GET", "/", request(origin, b"one", f"h{number}.other")) is NO_RULE

    in_threads(ask)


def test_a_shared_wsgi_app_whose_policy_is_replaced() -> None:
    def app(environ: dict[str, object], start_response: Callable[..., object]) -> list[bytes]:
        start_response("200 OK", [("content-type", "text/plain")])
        return [b"hello"]

    ages = (60, 600)
    made = [wsgi.MeshCORS(app, policy(age)) for age in ages]
    serving = {"now": made[0]}

    def ask(thread: int, turn: int) -> None:
        if thread == 0:
            serving["now"] = made[turn % 2]
        origin = f"https://t{thread}x{turn}.ui.example"
        sent: list[tuple[str, list[tuple[str, str]]]] = []
        environ = {"PATH_INFO": "/", "HTTP_ORIGIN": origin, "HTTP_MODEL_API_KEY": "one"}
        body = serving["now"](
            {**environ, "REQUEST_METHOD": "GET"}, lambda *start: sent.append(start[:2])
        )
        assert (list(body), sent[0][0], allowed(sent[0][1])) == ([b"hello"], "200 OK", origin)
        serving["now"](
            {
                **environ,
                "REQUEST_METHOD": "OPTIONS",
                "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "PUT",
            },
            lambda *start: sent.append(start[:2]),
        )
        assert sent[1][0] == "204 No Content"
        assert allowed(sent[1][1]) == origin
        assert dict(sent[1][1])["access-control-max-age"] in map(str, ages)

    in_threads(ask)


def test_a_shared_cache() -> None:
    cache: BoundedCache[int, str] = BoundedCache(str, 10, is_kept=lambda key: key < 1000)

    def ask(thread: int, turn: int) -> None:
        for key in (turn % 13, thread * 100 + turn % 25, 1000 + turn):
            assert cache[key] == str(key)

    in_threads(ask)
    assert len(cache) <= 10
    assert all(key < 1000 for key in cache)
