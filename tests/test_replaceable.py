"""A policy that is replaced while apps answer by it: as a whole or not at all, in every adapter."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import pytest

import meshcors.flask
import meshcors.starlette
from meshcors import (
    HeaderKey,
    MeshCORS,
    Policy,
    PolicyError,
    PolicyWarning,
    ReplaceablePolicy,
    Rule,
    RuleSet,
    create_app,
    create_wsgi_app,
    wsgi,
)
from tests.drivers import (
    IN_PROCESS,
    Driver,
    Outcome,
    comparable,
    each_driver,
    make_environ,
    named_policy,
    serve_asgi,
    serve_wsgi,
)
from tests.test_threads import in_threads, switch_often
from tests.test_vectors import assert_answer
from tests.vectors import VECTORS, Call, Vector

# As in tests/test_threads.py, for all of this file.
__all__ = ["switch_often"]

OLD = Policy(allow_origins=["https://old.example"], key=HeaderKey("old-key", ["one"]))
NEW = Policy(allow_origins=["https://new.example"], key=HeaderKey("new-key", ["two"]))


class ReplacedAtOnce(ReplaceablePolicy):
    """Replaced as soon as an adapter answers by it."""

    def __init__(self, now: Policy | RuleSet) -> None:
        super().__init__(OLD)
        self._now = now

    def attach(self, prepare: Any, switch: Any) -> None:
        super().attach(prepare, switch)
        self.replace(OLD)
        self.replace(self._now)


def first_of_each_kind(driver: Driver) -> list[Vector]:
    """Vectors that differ in the policy, in the reason, or in what kind of request it is."""
    kinds = {
        (it.policy, it.reason, it.call.method, it.call.websocket): it
        for it in VECTORS
        if driver.runs(it)
    }
    return list(kinds.values())


@pytest.mark.filterwarnings("ignore::meshcors.PolicyWarning")
@each_driver
def test_every_adapter_answers_by_what_has_taken_the_policys_place(driver: Driver) -> None:
    vectors = first_of_each_kind(driver)
    assert len(vectors) > 30
    for vector in vectors:
        given: Any = ReplacedAtOnce(named_policy(vector.policy))
        outcome = driver.run(given, vector.call, vector.app)
        assert_answer(vector, outcome)
        assert given.current == named_policy(vector.policy)


def preflight(origin: str, path: str = "/", host: str = "api.example") -> Call:
    asked = (("origin", origin), ("host", host), ("access-control-request-method", "PUT"))
    return Call("OPTIONS", path, asked)


def allowed(outcome: Outcome) -> str | None:
    return dict(outcome.fields).get("access-control-allow-origin")


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def wsgi_app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("content-type", "text/plain")])
    return [b"hello"]


def answers(policy: Policy | ReplaceablePolicy) -> list[Callable[[Call], Outcome]]:
    """Apps of both kinds that answer by the same policy, with a URL that a rule may not cover."""
    asgi = [MeshCORS(asgi_app, policy), create_app(policy), create_app(policy, app=asgi_app)]
    of_wsgi: list[Any] = [wsgi.MeshCORS(wsgi_app, policy), create_wsgi_app(policy)]
    of_wsgi.append(create_wsgi_app(policy, app=wsgi_app))
    made: list[Callable[[Call], Outcome]] = []
    made += [lambda call, app=app: serve_asgi(app, call) for app in asgi]
    made += [lambda call, app=app: serve_wsgi(app, call) for app in of_wsgi]
    return made


def test_all_who_answer_by_it_switch_with_one_call() -> None:
    policy = ReplaceablePolicy(OLD)
    apps = answers(policy)
    for given in (OLD, NEW, OLD):
        policy.replace(given)
        (origin,) = (str(each) for each in given.allow_origins)
        other = "https://new.example" if given is OLD else "https://old.example"
        assert given.key is not None
        for ask in apps:
            assert allowed(ask(preflight(origin))) == origin
            assert allowed(ask(preflight(other))) is None
            named = dict(ask(preflight(origin)).fields)["access-control-allow-headers"]
            assert given.key.name in named.split(", ")
            refused = ask(Call("GET", "/", (("origin", origin),)))
            assert (refused.status, allowed(refused)) == (401, origin)


def test_rules_take_the_place_of_a_policy_and_the_other_way_round() -> None:
    policy = ReplaceablePolicy(OLD)
    apps = answers(policy)
    ready_made = [apps[1], apps[2], apps[4], apps[5]]
    policy.replace([Rule(NEW, path_prefix="/v1")])
    assert isinstance(policy.current, RuleSet)
    for ask in apps:
        assert allowed(ask(preflight("https://new.example", "/v1/x"))) == "https://new.example"
        # There is a key, so that nobody avoids it where no rule is.
        assert ask(preflight("https://new.example", "/v2")).status == 404
    policy.replace(RuleSet([Rule(NEW, path_prefix="/v1")], uncovered="app"))
    assert [ask(preflight("https://new.example", "/v2")).status for ask in ready_made] == [404] * 4
    assert apps[0](preflight("https://new.example", "/v2")).status == 200
    policy.replace(OLD)
    for ask in apps:
        assert allowed(ask(preflight("https://old.example", "/v2"))) == "https://old.example"


def test_what_a_middleware_shows_is_what_it_answers_by() -> None:
    policy = ReplaceablePolicy(OLD)
    for made in (MeshCORS(asgi_app, policy), wsgi.MeshCORS(wsgi_app, policy)):
        policy.replace(NEW)
        assert (made.policy, made.rules) == (NEW, None)
        policy.replace(rules := RuleSet([Rule(OLD)]))
        assert (made.policy, made.rules) == (None, rules)
        policy.replace(OLD)
        assert (made.policy, made.rules) == (OLD, None)
    assert repr(policy) == f"<meshcors.ReplaceablePolicy: {OLD!r}>"
    assert "one" not in repr(policy).replace("'", " ").split()


# --- what cannot take its place


@pytest.mark.parametrize(
    ("given", "code"),
    [
        pytest.param("https://a.example", "not_a_policy", id="a text"),
        pytest.param(None, "not_a_policy", id="nothing"),
        pytest.param({"allow_origins": ["*"]}, "wrong_type", id="options"),
        pytest.param([], "no_rules", id="no rules"),
        pytest.param([OLD], "wrong_type", id="a list of policies"),
        pytest.param([Rule(OLD), Rule(NEW)], "rule_second_policy", id="rules that do not fit"),
    ],
)
def test_an_invalid_one_changes_nothing(given: Any, code: str) -> None:
    with pytest.raises(PolicyError) as made:
        ReplaceablePolicy(given)
    policy = ReplaceablePolicy(OLD)
    apps = answers(policy)
    with pytest.raises(PolicyError) as caught:
        policy.replace(given)
    for error in (made.value, caught.value):
        assert error.problems[0].code == code
    assert policy.current is OLD
    assert {allowed(ask(preflight("https://old.example"))) for ask in apps} == {
        "https://old.example"
    }


def test_what_one_adapter_cannot_answer_by_changes_none() -> None:
    policy = ReplaceablePolicy([Rule(OLD)])
    first = MeshCORS(asgi_app, policy)
    second = MeshCORS(asgi_app, policy, uncovered="app")
    last = MeshCORS(asgi_app, policy)
    with pytest.raises(PolicyError) as caught:
        policy.replace(NEW)
    assert [each.code for each in caught.value.problems] == ["uncovered_without_rules"]
    assert isinstance(policy.current, RuleSet)
    for made in (first, second, last):
        assert allowed(serve_asgi(made, preflight("https://old.example"))) == "https://old.example"
    policy.replace([Rule(NEW)])
    for made in (first, second, last):
        assert allowed(serve_asgi(made, preflight("https://new.example"))) == "https://new.example"


def test_whoever_does_not_fit_from_the_beginning_is_refused() -> None:
    policy = ReplaceablePolicy(OLD)
    with pytest.raises(PolicyError, match="uncovered"):
        MeshCORS(asgi_app, policy, uncovered="app")
    policy.replace(NEW)
    assert policy.current is NEW


def test_options_beside_it_are_refused_and_so_is_the_wrong_argument() -> None:
    given: Any = ReplaceablePolicy(OLD)
    for make in (MeshCORS, wsgi.MeshCORS):
        made: Any = make
        for keywords, code in (
            ({"policy": given, "max_age": 5}, "policy_and_options"),
            ({"policy": given, "rules": [Rule(OLD)]}, "rules_and_options"),
            ({"rules": given}, "not_a_list"),
        ):
            with pytest.raises(PolicyError) as caught:
                made(asgi_app if make is MeshCORS else wsgi_app, **keywords)
            assert [each.code for each in caught.value.problems] == [code]


def test_a_key_without_values_warns_when_it_takes_its_place() -> None:
    policy = ReplaceablePolicy(OLD)
    made = MeshCORS(asgi_app, policy)
    with pytest.warns(PolicyWarning, match="new-key has no values"):
        policy.replace(NEW.without_key_values())
    assert made.policy == policy.current


# --- one request, one policy


def test_an_answer_that_has_begun_goes_on_by_the_policy_with_which_it_began() -> None:
    policy = ReplaceablePolicy(OLD)
    sent: list[dict[str, Any]] = []

    async def streams(scope: Any, receive: Any, send: Any) -> None:
        policy.replace(NEW)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        policy.replace(OLD)
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"b"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"origin", b"https://old.example"), (b"old-key", b"one")]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
    asyncio.run(MeshCORS(streams, policy)(scope, None, send))
    assert (b"access-control-allow-origin", b"https://old.example") in sent[0]["headers"]
    assert [each.get("body") for each in sent[1:]] == [b"a", b"b"]

    def streams_wsgi(environ: Any, start_response: Any) -> Iterable[bytes]:
        yield b""
        policy.replace(NEW)
        start_response("200 OK", [("content-type", "text/plain")])
        yield b"a"

    started: list[Any] = []
    call = Call("GET", "/", (("origin", "https://old.example"), ("old-key", "one")))
    body = wsgi.MeshCORS(streams_wsgi, policy)(make_environ(call), lambda *it: started.append(it))
    assert list(body) == [b"", b"a"]
    assert ("access-control-allow-origin", "https://old.example") in started[0][1]


def test_a_websocket_that_is_open_stays_open() -> None:
    policy = ReplaceablePolicy(OLD)
    said: list[str] = []

    async def chat(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        policy.replace(NEW)
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "still here"})

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        said.append(message["type"])

    headers = [(b"origin", b"https://old.example"), (b"old-key", b"one")]
    scope = {"type": "websocket", "path": "/", "headers": headers}
    made = MeshCORS(chat, policy)
    asyncio.run(made(scope, receive, send))
    assert said == ["websocket.accept", "websocket.send"]
    # The next handshake is another request.
    asyncio.run(made(scope, receive, send))
    assert said[2:] == ["websocket.close"]


class ReplacingWhenRead(dict[str, Any]):
    """A scope or an environ: when `field` is read from it, the policy is replaced."""

    def __init__(self, given: dict[str, Any], field: str, policy: ReplaceablePolicy) -> None:
        super().__init__(given)
        self._field, self._policy = field, policy

    def __getitem__(self, name: str) -> Any:
        if name == self._field:
            self._policy.replace(NEW)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default


@pytest.mark.parametrize("field", ["type", "headers", "method", "path"])
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_request_is_read_and_decided_by_one_policy(kind: str, field: str) -> None:
    exempt = HeaderKey("old-key", ["one"], exempt_paths=["/open"])
    policy = ReplaceablePolicy(Policy(allow_origins=["https://old.example"], key=exempt))
    served: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        served.append(True)

    # Whoever has both keys is served by either; by a mixture nobody is.
    headers = [(b"origin", b"https://old.example"), (b"old-key", b"one"), (b"new-key", b"two")]
    if kind == "websocket":
        headers[0] = (b"origin", b"https://old.example")
        headers.append((b"host", b"old.example"))
    scope = {"type": kind, "method": "GET", "path": "/", "headers": headers}
    asyncio.run(MeshCORS(app, policy)(ReplacingWhenRead(scope, field, policy), None, None))
    assert served == [True]
    # A path that is exempt in the old policy alone: it is read by that.
    policy = ReplaceablePolicy(Policy(allow_origins=["https://old.example"], key=exempt))
    scope |= {"path": "/open", "headers": headers[:1]}
    if field in ("method", "path"):
        asyncio.run(MeshCORS(app, policy)(ReplacingWhenRead(scope, field, policy), None, None))
        assert served == [True, True]


@pytest.mark.parametrize("field", ["REQUEST_METHOD", "HTTP_ORIGIN", "HTTP_OLD_KEY", "PATH_INFO"])
def test_a_request_of_wsgi_is_read_and_decided_by_one_policy(field: str) -> None:
    exempt = HeaderKey("old-key", ["one"], exempt_paths=["/open"])
    policy = ReplaceablePolicy(Policy(allow_origins=["https://old.example"], key=exempt))
    sent = (("origin", "https://old.example"), ("old-key", "one"))
    for call in (Call("GET", "/", sent), Call("GET", "/open", sent[:1])):
        policy.replace(Policy(allow_origins=["https://old.example"], key=exempt))
        started: list[Any] = []
        environ = ReplacingWhenRead(make_environ(call), field, policy)
        wsgi.MeshCORS(wsgi_app, policy)(environ, lambda *it, to=started: to.append(it))
        assert started[0][0] == "200 OK"
        assert ("access-control-allow-origin", "https://old.example") in started[0][1]


def test_a_request_without_a_key_after_the_key_is_gone() -> None:
    policy = ReplaceablePolicy(OLD)
    made = MeshCORS(asgi_app, policy)
    call = Call("GET", "/", (("origin", "https://old.example"),))
    assert serve_asgi(made, call).status == 401
    policy.replace(Policy(allow_origins=["https://old.example"]))
    assert serve_asgi(made, call).status == 200


# --- threads, processes, signals, memory


def test_threads_see_one_policy_or_the_other() -> None:
    # What a request needs of one policy would not do for the other: another field, another path.
    keys = [
        HeaderKey("key-a", ["a"], exempt_paths=["/open"]),
        HeaderKey("key-b", ["b"]),
    ]
    policies = [Policy(allow_origins=["https://ui.example"], key=key) for key in keys]
    policy = ReplaceablePolicy(policies[0])
    asgi, of_wsgi = MeshCORS(asgi_app, policy), wsgi.MeshCORS(wsgi_app, policy)
    both = (("origin", "https://ui.example"), ("key-a", "a"), ("key-b", "b"))
    environ = make_environ(Call("GET", "/", both))
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": [(name.encode(), value.encode()) for name, value in both],
    }

    async def receive() -> None:
        """There is no body."""

    def ask(thread: int, turn: int) -> None:
        if thread < 2:
            policy.replace(policies[(turn + thread) % 2])
            return
        statuses: list[str] = []
        list(of_wsgi(dict(environ), lambda status, *_: statuses.append(status)))

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(str(message["status"]))

        with suppress(StopIteration):
            asgi({**scope}, receive, send).send(None)
        assert statuses == ["200 OK", "200"]

    in_threads(ask, 200)
    assert policy.current in policies
    assert asgi.policy == of_wsgi.policy == policy.current


def test_a_replacement_within_a_replacement_is_the_last_one() -> None:
    """As a signal's handler may do it, in the thread that is in the middle of another."""
    policy = ReplaceablePolicy(OLD)
    last = Policy(allow_origins=["https://last.example"])

    class Interrupted:
        def __init__(self) -> None:
            self.seen: list[Policy | RuleSet] = []
            policy.attach(lambda source: source, self.switch)

        def switch(self, source: Policy | RuleSet) -> None:
            self.seen.append(source)
            if source is NEW and last not in self.seen:
                policy.replace(last)

    before, middle = MeshCORS(asgi_app, policy), Interrupted()
    after = MeshCORS(asgi_app, policy)
    policy.replace(NEW)
    assert policy.current is last
    assert (before.policy, middle.seen[-1], after.policy) == (last, last, last)


def test_a_middleware_that_is_gone_is_forgotten() -> None:
    policy = ReplaceablePolicy(OLD)
    for _ in range(20):
        MeshCORS(asgi_app, policy)
        wsgi.MeshCORS(wsgi_app, policy)
    gc.collect()
    kept = MeshCORS(asgi_app, policy)
    policy.replace(NEW)
    assert len(policy._adapters) == 1
    assert kept.policy is NEW


def test_an_equal_policy_keeps_what_is_compiled() -> None:
    policy = ReplaceablePolicy(OLD)
    made = MeshCORS(asgi_app, policy)
    before = made._answering
    policy.replace(Policy(allow_origins=["https://old.example"], key=HeaderKey("old-key", ["one"])))
    assert made._answering is before
    # Equal but for the key's values.
    policy.replace(Policy(allow_origins=["https://old.example"], key=HeaderKey("old-key", ["two"])))
    assert made._answering is not before


def _in_a_fork(policy: ReplaceablePolicy, made: wsgi.MeshCORS, said: Any) -> None:
    policy.replace(NEW)
    said.send(allowed(serve_wsgi(made, preflight("https://new.example"))))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_is_not_held_up_by_a_thread_of_its_parent() -> None:
    policy = ReplaceablePolicy(OLD)
    made = wsgi.MeshCORS(wsgi_app, policy)
    held, end = threading.Event(), threading.Event()

    def hold() -> None:
        with policy._lock:
            held.set()
            end.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    forking = multiprocessing.get_context("fork")
    here, there = forking.Pipe()
    child = forking.Process(target=_in_a_fork, args=(policy, made, there))
    child.start()
    try:
        assert here.poll(30)
        assert here.recv() == "https://new.example"
    finally:
        end.set()
        thread.join()
        child.join(10)
        child.kill()
    assert made.policy is OLD


def test_init_app_takes_one_too() -> None:
    flask = pytest.importorskip("flask")
    starlette = pytest.importorskip("starlette.applications")
    policy = ReplaceablePolicy(OLD)
    app, other = flask.Flask("app"), starlette.Starlette()
    meshcors.flask.init_app(app, policy)
    meshcors.starlette.init_app(other, policy)
    policy.replace(NEW)
    asked = preflight("https://new.example")
    assert allowed(serve_wsgi(app, asked)) == allowed(serve_asgi(other, asked))
    assert comparable(serve_wsgi(app, asked).fields) == comparable(serve_asgi(other, asked).fields)
    assert allowed(serve_wsgi(app, asked)) == "https://new.example"


def test_every_driver_of_this_process_is_run() -> None:
    assert len(IN_PROCESS) > 12
