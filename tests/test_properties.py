"""What holds for any policy and any request."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import tempfile
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from meshcors import Policy, PolicyError
from meshcors._decision.engine import Engine
from meshcors._policy.errors import OriginError
from meshcors._policy.key_values import reveal
from meshcors._policy.origin_set import OriginSet
from meshcors._policy.origins import Origin, OriginPattern
from meshcors._policy.regex import Regex
from meshcors.asgi import MeshCORS
from meshcors.config import from_environment, from_file, to_document, to_environment
from meshcors.mesh._analysis.origin_match import origin_match
from meshcors.wsgi import MeshCORS as WSGIMeshCORS
from tests.apps import TestApp
from tests.drivers import (
    Driver,
    behaviour_below,
    comparable,
    each_driver,
    make_environ,
    make_policy,
    named_policy,
    run_engine,
    serve_asgi,
)
from tests.searching import examples
from tests.strategies import behaviours, patterns, policies, situations
from tests.vectors import Call, Fields

# Keys without values, and * without authorization, are answered too; they are warned of.
pytestmark = pytest.mark.filterwarnings("ignore::meshcors.PolicyWarning")

Situation = tuple[dict[str, Any], Call]

# --- one decision, every surface


@each_driver
@examples(60)
@given(situation=situations(websocket=True), behaviour=behaviours)
def test_surfaces_agree_with_the_engine(
    driver: Driver, situation: Situation, behaviour: str
) -> None:
    options, call = situation
    app = behaviour_below(driver, behaviour)
    if call.websocket and (app is None or "websocket" in driver.leaves_out):
        return
    policy = make_policy(options)
    expected = run_engine(policy, call, app)
    outcome = driver.run(policy, call, app)
    assert outcome.status == expected.status
    assert comparable(outcome.fields) == comparable(expected.fields)
    assert outcome.body == expected.body
    assert outcome.called == expected.called
    assert outcome.closed == expected.called


@each_driver
@examples(30)
@given(situation=situations(), behaviour=behaviours)
def test_no_access_control_field_stands_twice(
    driver: Driver, situation: Situation, behaviour: str
) -> None:
    options, call = situation
    outcome = driver.run(make_policy(options), call, behaviour_below(driver, behaviour))
    names = Counter(name for name, _ in outcome.fields if name.startswith("access-control-"))
    assert set(names.values()) <= {1}


_raw_names = st.one_of(
    st.sampled_from(
        [b"origin", b"access-control-request-method", b"access-control-request-headers", b"host"]
    ),
    st.sampled_from([b"model-api-key", b"access-control-request-private-network"]),
    st.binary(max_size=8),
)
_raw_fields = st.lists(st.tuples(_raw_names, st.binary(max_size=60)), max_size=8)
_methods = st.just("OPTIONS") | st.text(max_size=8)
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@examples(120)
@given(
    options=policies(),
    method=_methods,
    path=_texts,
    fields=_raw_fields,
    kind=st.sampled_from(["http", "websocket"]),
)
def test_nothing_raises_while_serving_asgi(
    options: dict[str, Any],
    method: str,
    path: str,
    fields: list[tuple[bytes, bytes]],
    kind: str,
) -> None:
    scope: dict[str, Any] = {"type": kind, "path": path, "headers": fields, "extensions": None}
    if kind == "http":
        scope["method"] = method
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": f"{kind}.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    middleware: Any = MeshCORS(TestApp("own-cors").asgi, make_policy(options))
    asyncio.run(middleware(scope, receive, send))
    assert sent


@examples(120)
@given(options=policies(), method=_methods, path=_texts, fields=_raw_fields)
def test_nothing_raises_while_serving_wsgi(
    options: dict[str, Any], method: str, path: str, fields: list[tuple[bytes, bytes]]
) -> None:
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in fields)
    started: list[str] = []

    def start_response(status: str, _headers: Any, _exc_info: Any = None) -> Any:
        started.append(status)

    middleware: Any = WSGIMeshCORS(TestApp("own-cors").wsgi, make_policy(options))
    b"".join(middleware(make_environ(Call(method, path, headers)), start_response))
    assert len(started) == 1


@examples(60)
@given(situation=situations(), behaviour=behaviours)
def test_all_else_of_an_answer_stays_as_it_was(situation: Situation, behaviour: str) -> None:
    options, call = situation
    used = TestApp(behaviour)
    outcome = serve_asgi(MeshCORS(used.asgi, make_policy(options)), call, used)

    def rest(fields: Fields) -> list[tuple[str, str]]:
        return [
            (name.lower(), value)
            for name, value in fields
            if not name.lower().startswith("access-control-") and name.lower() != "vary"
        ]

    if used.calls:
        assert rest(outcome.fields) == rest(used.fields)
        assert outcome.status == used.status


# --- what is read back is what was written


@given(patterns())
def test_a_pattern_prints_as_it_was_read(text: str) -> None:
    assert str(OriginPattern.parse(text)) == text


@given(patterns(), st.data())
def test_an_origin_prints_as_it_was_read_and_is_matched_by_itself(
    text: str, data: st.DataObject
) -> None:
    if "*" in text:
        with pytest.raises(OriginError):
            Origin.parse(text)
        return
    assert str(Origin.parse(text)) == text
    assert text in OriginSet([text])
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(max_codepoint=255))
    changed = data.draw(
        st.sampled_from([text[:at] + other + text[at + 1 :], text[:at] + text[at + 1 :]])
    )
    assert (changed in OriginSet([text])) == (changed == text)


@given(patterns(), st.data())
def test_a_pattern_in_the_mesh_matches_the_same_origins(text: str, data: st.DataObject) -> None:
    kind, value = origin_match(text)
    origins = OriginSet([Regex(value)] if kind == "regex" else [value])
    port = data.draw(st.sampled_from(["", ":1", ":8443"]))
    for host in (text.replace("*.", ""), text.replace("*.", "a."), text.replace("*.", "xn--f.")):
        for origin in (host.replace(":*", port), host.replace(":*", port).replace("://", "://x")):
            assert (origin in origins) == (origin in OriginSet([text]))


@given(patterns())
def test_a_pattern_in_the_mesh_is_as_safe(text: str) -> None:
    def starts(origin: str | Regex) -> bool:
        try:
            Policy(allow_origins=[origin], allow_credentials=True)
        except PolicyError:
            return False
        return True

    kind, value = origin_match(text)
    assert starts(text) == starts(Regex(value) if kind == "regex" else value)


@given(st.text(st.sampled_from("htps:/.*[]a1-_0@?#")).map(lambda rest: f"https://{rest}"))
def test_whatever_is_read_as_a_pattern_prints_as_it_was(text: str) -> None:
    try:
        pattern = OriginPattern.parse(text)
    except OriginError:
        return
    assert str(pattern) == text


@given(policies())
def test_a_policy_survives_the_environment(options: dict[str, Any]) -> None:
    policy = make_policy(options)
    assert from_environment(to_environment(policy)) == policy


@examples(60)
@given(policies(), st.sampled_from([".json", ".yaml"]))
def test_a_policy_survives_a_file(options: dict[str, Any], suffix: str) -> None:
    policy = make_policy(options)
    with tempfile.TemporaryDirectory() as folder:
        path, key_path = Path(folder, f"policy{suffix}"), Path(folder, "keys")
        if policy.key and policy.key.values:
            key_path.write_text("\n".join(reveal(policy.key.values)))
        document = to_document(policy, key_values_file=key_path)
        if suffix == ".json":
            path.write_text(json.dumps(document))
        else:
            YAML(typ="safe", pure=True).dump(document, path)
        assert from_file(path) == policy


# --- hostile lists cost no more than long ones


def work(serve: Callable[[], object]) -> tuple[int, int]:
    """Return how many functions `serve` calls, and how many bytes it holds at most."""
    called = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal called
        called += event in ("call", "c_call")

    # A collection in the middle would count what frees the garbage of other tests.
    before, collects = sys.getprofile(), gc.isenabled()
    gc.disable()
    sys.setprofile(count)
    try:
        serve()
    finally:
        sys.setprofile(before)
        if collects:
            gc.enable()
    tracemalloc.start()
    serve()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return called, peak


@pytest.mark.parametrize("policy_name", ["anonymous", "credentialed", "keyed-star", "mirrors"])
@pytest.mark.parametrize("element", [",", "x-trace,", "a", " ", "x y,", ",\xe4"])
@pytest.mark.parametrize(
    "name",
    [
        "origin",
        "access-control-request-method",
        "access-control-request-headers",
        "access-control-request-private-network",
        "model-api-key",
    ],
)
def test_64_kilobytes_cost_no_more_than_4(name: str, element: str, policy_name: str) -> None:
    engine = Engine(named_policy(policy_name))
    fields = {b"origin": b"https://ui.example", b"access-control-request-method": b"PUT"}

    def decide(size: int) -> Callable[[], object]:
        value = (element * size)[:size].encode("latin-1")
        given = {**fields, name.encode(): value}
        method = "GET" if name == "model-api-key" else "OPTIONS"
        return lambda: engine.decide(method, "/v1/predict", given)

    short, long = work(decide(4096)), work(decide(65536))
    assert long[0] <= short[0]
    # Trimming may copy the value, once; its elements are never all there.
    assert long[1] <= short[1] + 2 * 65536
