"""Key values never appear in what is created, printed, raised, logged or answered."""

from __future__ import annotations

import copy
import inspect
import io
import json
import logging
import pickle
import pprint
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, astuple, replace
from functools import partial
from hmac import compare_digest
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any
from wsgiref.handlers import SimpleHandler

import msgspec
import pydantic_core
import pytest
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError
from ruamel.yaml import YAML
from ruamel.yaml.representer import RepresenterError

import meshcors.flask
import meshcors.starlette
import meshcors.wsgi
from meshcors import HeaderKey, MeshCORS, Policy, PolicyError, create_app, create_wsgi_app, wrap
from meshcors._decision.engine import Engine
from meshcors._policy.key_values import reveal
from meshcors._policy.rules import Rule, RuleSet
from meshcors.config import (
    from_environment,
    from_file,
    rules_from_file,
    to_document,
    to_environment,
)
from meshcors.config._loading import load
from tests.calling import (
    EVIL,
    UI,
    App,
    call_asgi,
    call_wsgi,
    clean_environment,
    environ_of,
    preflight,
)

SECRET = "s3cretMarker"
# Unique in a text only together with what surrounds it.
SECRETS = [SECRET, f"{SECRET}-two"]


@pytest.fixture(autouse=True)
def watched(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Check that nothing a test logs or prints contains the secret."""
    caplog.set_level(logging.DEBUG)
    yield
    out, err = capfd.readouterr()
    assert SECRET not in out + err
    assert SECRET not in caplog.text
    assert SECRET not in repr([vars(record) for record in caplog.records])


def keyed(**more: Any) -> Policy:
    return Policy(allow_origins=[UI], key=HeaderKey("x-key", SECRETS), **more)


def with_one_value() -> Policy:
    return Policy(allow_origins=[UI], key=HeaderKey("x-key", [SECRET]))


def texts(thing: object) -> str:
    return "\n".join([repr(thing), str(thing), f"{thing}", pprint.pformat(thing), ascii(thing)])


def held_by(thing: object) -> Iterator[object]:
    """Yield the attributes and items of an object, as a debugger shows them."""
    if isinstance(thing, type | ModuleType):
        return
    if isinstance(thing, Mapping):
        yield from [*thing.keys(), *thing.values()]
    elif isinstance(thing, tuple | list | set | frozenset):
        yield from thing
    elif isinstance(thing, partial):
        yield from [thing.func, thing.args, thing.keywords]
    elif isinstance(thing, MethodType):
        yield thing.__self__
    elif isinstance(thing, FunctionType):
        yield from [cell.cell_contents for cell in thing.__closure__ or ()]
    yield from getattr(thing, "__dict__", {}).values()
    for each in type(thing).__mro__:
        slots = vars(each).get("__slots__", ())
        for name in [slots] if isinstance(slots, str) else slots:
            if hasattr(thing, name):
                yield getattr(thing, name)


def everything_in(thing: object) -> list[object]:
    """Yield an object and everything that is reachable from it."""
    found, left = {id(thing): thing}, [thing]
    while left:
        for each in held_by(left.pop()):
            if id(each) not in found:
                found[id(each)] = each
                left.append(each)
    return list(found.values())


MADE: list[tuple[str, Callable[[], object]]] = [
    ("key", lambda: HeaderKey("x-key", SECRETS)),
    ("policy", keyed),
    ("copy", lambda: copy.copy(keyed())),
    ("without values", lambda: keyed().without_key_values()),
    ("engine", lambda: Engine(keyed())),
    ("engine of one value", lambda: Engine(with_one_value())),
    ("middleware of one value", lambda: MeshCORS(App().asgi, with_one_value())),
    ("asgi", lambda: MeshCORS(App().asgi, keyed())),
    ("asgi by options", lambda: MeshCORS(App().asgi, allow_origins=[UI], key=keyed().key)),
    ("wsgi", lambda: meshcors.wsgi.MeshCORS(App().wsgi, keyed())),
    ("create_app", lambda: create_app(keyed())),
    ("create_wsgi_app", lambda: create_wsgi_app(keyed())),
    ("rule", lambda: Rule(keyed())),
    ("rules", lambda: RuleSet([Rule(keyed())])),
    ("proceed", lambda: Engine(keyed()).decide("GET", "/", {b"x-key": SECRET.encode()})),
    ("refusal", lambda: Engine(keyed()).decide("GET", "/", {b"x-key": SECRET[1:].encode()})),
]


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in MADE])
def test_nothing_made_shows_it(make: Callable[[], object]) -> None:
    for thing in everything_in(make()):
        assert SECRET not in texts(thing)


def type_adapter(thing: object) -> object:
    return TypeAdapter(type(thing)).dump_json(thing)


class Holder(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    policy: Policy


# Ways to convert an object for sending or storing. Some refuse values that cannot be read, and say
# so.
ENCODERS: list[tuple[str, Callable[[Policy], object]]] = [
    ("asdict", asdict),
    ("astuple", astuple),
    ("replace", lambda policy: replace(policy, max_age=5)),
    ("deepcopy", copy.deepcopy),
    ("getmembers", lambda policy: inspect.getmembers(policy.key)),
    ("getmembers of values", lambda policy: inspect.getmembers(policy.key and policy.key.values)),
    ("json", lambda policy: json.dumps(policy, default=str)),
    ("json of asdict", lambda policy: json.dumps(asdict(policy), default=repr)),
    ("json by vars", lambda policy: json.dumps(asdict(policy), default=vars)),
    ("jsonable_encoder", jsonable_encoder),
    ("jsonable_encoder of more", lambda policy: jsonable_encoder({"policies": [policy]})),
    ("pydantic_core", pydantic_core.to_json),
    ("pydantic_core, repr", lambda policy: pydantic_core.to_json(policy, fallback=repr)),
    ("pydantic_core, any", lambda policy: pydantic_core.to_json(policy, serialize_unknown=True)),
    ("pydantic, policy", type_adapter),
    ("pydantic, dict", lambda policy: TypeAdapter(dict[str, Any]).dump_json({"it": policy})),
    ("pydantic, model", lambda policy: Holder(policy=policy)),
    ("pydantic, dump", lambda policy: Holder(policy=policy).model_dump()),
    ("pydantic, json", lambda policy: Holder(policy=policy).model_dump_json()),
    ("msgspec.json", msgspec.json.encode),
    ("msgspec.msgpack", msgspec.msgpack.encode),
    ("msgspec.to_builtins", msgspec.to_builtins),
    ("msgspec, hook", lambda policy: msgspec.json.encode(policy, enc_hook=repr)),
    ("yaml", lambda policy: YAML(pure=True).dump(asdict(policy), io.StringIO())),
]
TELL_NOTHING = (
    *(TypeError, ValueError, RepresenterError),
    *(pydantic_core.PydanticSerializationError, PydanticSchemaGenerationError),
)


@pytest.mark.parametrize("encode", [pytest.param(encode, id=name) for name, encode in ENCODERS])
def test_no_encoder_shows_it(encode: Callable[[Policy], object]) -> None:
    try:
        encoded = encode(keyed())
    except TELL_NOTHING:
        encoded = traceback.format_exc()
    assert all(SECRET not in texts(thing) for thing in everything_in(encoded))


MADE_AS_DATA: list[tuple[type, Callable[[], object]]] = [
    (HeaderKey, lambda: HeaderKey("x-key", SECRETS)),
    (Policy, keyed),
    (Rule, lambda: Rule(keyed())),
    (RuleSet, lambda: RuleSet([Rule(keyed())])),
]
DATA: list[object] = [
    {"name": "x-key", "values": SECRETS, "exempt_paths": []},
    {"allow_origins": ["*"], "key": {"name": "x-key", "values": SECRETS}},
    {"policy": {"key": {"values": SECRETS}}, "hosts": [], "path_prefix": "/"},
    {"rules": [], "uncovered": None, "key": SECRET},
    SECRET,
]


@pytest.mark.parametrize(
    ("kind", "make"), [pytest.param(*each, id=each[0].__name__) for each in MADE_AS_DATA]
)
def test_pydantic_takes_what_was_made_and_never_data(
    kind: type, make: Callable[[], object]
) -> None:
    holder = create_model(
        "Holder", __config__=ConfigDict(arbitrary_types_allowed=True), it=(kind | None, ...)
    )
    made = make()
    # Nothing is copied or recreated.
    assert getattr(holder(it=made), "it") is made  # noqa: B009  # a model that mypy cannot see into
    assert SECRET not in repr(holder(it=made).model_dump())
    # A dataclass with the same fields would be filled from it, unchecked.
    for data in [*DATA, {name: getattr(made, name) for name in kind.__slots__}]:  # type: ignore[attr-defined]
        for read in (
            partial(holder, it=data),
            partial(TypeAdapter(kind).validate_python, data),
            partial(TypeAdapter(kind).validate_json, json.dumps(data, default=repr)),
        ):
            with pytest.raises(ValidationError) as error:
                read()
            assert f"pass a meshcors.{kind.__name__}" in str(error.value)
            told = [
                str(error.value),
                repr(error.value.errors()),
                "".join(traceback.format_exception_only(error.value)),
            ]
            assert all(SECRET not in text for text in told)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "make", [pytest.param(make, id=name) for name, make in MADE if name != "without values"]
)
def test_no_pickle_has_it(make: Callable[[], object], protocol: int) -> None:
    made = io.BytesIO()
    with suppress(TypeError, pickle.PicklingError, AttributeError):
        pickle.Pickler(made, protocol).dump(make())
    assert SECRET.encode() not in made.getvalue()


def test_a_pickle_that_would_need_it_says_what_to_do() -> None:
    for made in (keyed(), keyed().key, Rule(keyed()), Engine(keyed())._key):
        with pytest.raises(TypeError, match="in the process that uses it, from its environment"):
            pickle.dumps(made)
    bare = keyed().without_key_values()
    assert pickle.loads(pickle.dumps(bare)) == bare


def test_values_can_be_compared_and_nothing_else() -> None:
    key = HeaderKey("x-key", [*SECRETS, SECRET])
    values = key.values
    assert values is not None
    assert (len(values), repr(values), f"{values:}") == (2, "<2 hidden>", "<2 hidden>")
    assert all(secret in values for secret in SECRETS)
    for other in (SECRET[:-1], f"{SECRET} ", "", "\udcff", "\xe4", SECRET.encode(), None):
        assert other not in values
    assert values == HeaderKey("x-other", SECRETS).values != HeaderKey("x-key", [SECRET]).values
    assert values != tuple(SECRETS)
    assert hash(values) == hash(HeaderKey("x-other", SECRETS).values)
    assert HeaderKey("x-key", values) == replace(key) == key
    assert copy.copy(values) is copy.deepcopy(values) is values
    with pytest.raises(TypeError):
        iter(values)  # type: ignore[call-overload]  # that is the point
    assert reveal(values) == tuple(SECRETS)


@pytest.mark.parametrize("given", ["one", "two", "three", "four", ""])
def test_every_value_is_compared_whichever_matches(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[bytes] = []

    def compare(value: bytes, other: bytes) -> bool:
        compared.append(value)
        return compare_digest(value, other)

    monkeypatch.setattr("hmac.compare_digest", compare)
    values = HeaderKey("x-key", ["one", "two", "three"]).values
    assert values is not None
    assert values.comparison()(given.encode()) == (given in {"one", "two", "three"})
    assert compared == [b"one", b"two", b"three"]


def test_no_hash_is_a_digest_of_it() -> None:
    """Not even if PYTHONHASHSEED makes the hashes of texts the same in every process."""
    program = "from meshcors import HeaderKey; print(hash(HeaderKey('x-key', ['xyz'])))"
    hashes = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=clean_environment({"PYTHONHASHSEED": "1"}),
            capture_output=True,
            check=True,
        ).stdout
        for _ in range(2)
    }
    assert len(hashes) == 2


COMPARED = f"""
from meshcors import HeaderKey, Policy, Rule, RuleSet

def policy(*values):
    return Policy(allow_origins=["{UI}"], key=HeaderKey("x-key", values))

ONE, OTHER = policy("{SECRET}"), policy("{SECRET}-two", "x")

def test_policies():
    assert ONE == OTHER

def test_keys():
    assert ONE.key == OTHER.key

def test_values():
    assert ONE.key.values == OTHER.key.values

def test_a_value():
    assert "x" in ONE.key.values

def test_rules():
    assert RuleSet([Rule(ONE)]) == RuleSet([Rule(OTHER)])

def test_lists():
    assert [ONE, OTHER] == [OTHER, ONE]

def test_another_field():
    assert {{"policy": ONE}} == {{"policy": Policy(allow_origins=["*"], key=ONE.key)}}
"""


@pytest.mark.parametrize("verbosity", ["-q", "-vv"])
def test_pytest_compares_policies_without_it(verbosity: str, tmp_path: Path) -> None:
    # The report shows source lines; only what it says about the values matters.
    (tmp_path / "made.py").write_text(COMPARED.split("def test_policies")[0])
    (tmp_path / "test_compared.py").write_text(
        "from made import *\n\ndef test_policies" + COMPARED.split("def test_policies")[1]
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", verbosity, "test_compared.py"),
            # The second needs packages that cloudcoil does not install.
            *("-p", "no:cacheprovider", "-p", "no:cloudcoil"),
        ],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "7 failed" in done.stdout
    assert "<1 hidden>" in done.stdout
    assert SECRET not in done.stdout + done.stderr


# --- mistakes ---------------------------------------------------------------------------------


def read_environment(**variables: str) -> object:
    return from_environment({f"MESHCORS_{name}": text for name, text in variables.items()})


def wrong_file(tmp_path: Path, name: str, content: str) -> object:
    path = tmp_path / name
    path.write_text(content)
    (tmp_path / "keys").write_text(f"{SECRET}\n{SECRET},x\n\xe4{SECRET}")
    return from_file(path)


MISTAKES: list[tuple[str, Callable[[Path], object]]] = [
    ("string for a list", lambda _: HeaderKey("x-key", SECRET)),
    ("bytes for a list", lambda _: HeaderKey("x-key", SECRET.encode())),  # type: ignore[arg-type]  # a mistake
    ("mapping for a list", lambda _: HeaderKey("x-key", {SECRET: 1})),
    ("bytes in the list", lambda _: HeaderKey("x-key", [SECRET.encode()])),  # type: ignore[list-item]  # a mistake
    ("list in the list", lambda _: HeaderKey("x-key", [SECRETS])),  # type: ignore[list-item]  # a mistake
    ("comma", lambda _: HeaderKey("x-key", [f"{SECRET},x"])),
    ("blank", lambda _: HeaderKey("x-key", [f" {SECRET}"])),
    ("newline", lambda _: HeaderKey("x-key", [f"{SECRET}\n"])),
    ("paths as a string", lambda _: HeaderKey("x-key", exempt_paths=SECRET)),
    ("paths exchanged", lambda _: HeaderKey("x-key", exempt_paths=SECRETS)),
    ("path of bytes", lambda _: HeaderKey("x-key", exempt_paths=[SECRET.encode()])),  # type: ignore[list-item]  # a mistake
    ("path that never matches", lambda _: HeaderKey("x-key", exempt_paths=[f"/{SECRET}//x"])),
    ("path with a wildcard", lambda _: HeaderKey("x-key", exempt_paths=[f"/*/{SECRET}"])),
    ("value for a name", lambda _: HeaderKey(f"{SECRET} ")),
    ("value for a name, with _", lambda _: HeaderKey(f"{SECRET}_x")),
    ("name with its value", lambda _: HeaderKey(f"x-key: {SECRET}")),
    ("forbidden name", lambda _: HeaderKey(f"sec-{SECRET}")),
    ("name of CORS", lambda _: HeaderKey(f"access-control-{SECRET}")),
    ("header with its value", lambda _: Policy(allow_origins=[UI], allow_headers=[f"x: {SECRET}"])),
    ("header = value", lambda _: Policy(allow_origins=[UI], expose_headers=[f"x={SECRET}"])),
    ("value for a path", lambda _: HeaderKey.from_file("x-key", SECRET)),
    ("value in a path", lambda path: HeaderKey.from_file("x-key", path / SECRET / "x")),
    ("value for a file", lambda _: from_file(SECRET)),
    ("value for a file of rules", lambda _: rules_from_file(SECRET)),
    ("value for a JSON file", lambda path: from_file(path / f"{SECRET}.json")),
    ("not ASCII", lambda _: HeaderKey("x-key", [f"\xe4{SECRET}"])),
    ("surrogate", lambda _: HeaderKey("x-key", [f"{SECRET}\udcff"])),
    ("exchanged", lambda _: HeaderKey(SECRETS, "x-key")),  # type: ignore[arg-type]  # a mistake
    ("wrong name", lambda _: HeaderKey("x_key", SECRETS)),
    ("key as a text", lambda _: Policy(allow_origins=[UI], key=SECRET)),  # type: ignore[arg-type]  # a mistake
    ("key as a mapping", lambda _: Policy(allow_origins=[UI], key={"values": SECRETS})),  # type: ignore[arg-type]  # a mistake
    ("no option", lambda _: Policy(allow_origins=[UI], key_values=SECRETS)),  # type: ignore[call-arg]  # a mistake
    ("no option of asgi", lambda _: MeshCORS(App().asgi, keys=SECRETS)),  # type: ignore[call-arg]  # a mistake
    ("no policy", lambda _: MeshCORS(App().asgi, HeaderKey("x-key", SECRETS))),  # type: ignore[arg-type]  # a mistake
    ("values for a policy", lambda _: MeshCORS(App().asgi, SECRETS)),  # type: ignore[arg-type]  # a mistake
    ("both", lambda _: meshcors.wsgi.MeshCORS(App().wsgi, keyed(), key=keyed().key)),
    ("other mistakes", lambda _: keyed(max_age=-1)),
    ("rule of no policy", lambda _: Rule(HeaderKey("x-key", SECRETS))),  # type: ignore[arg-type]  # a mistake
    ("rules twice", lambda _: RuleSet([Rule(keyed()), Rule(keyed())])),
    ("environment, no name", lambda _: read_environment(ALLOW_ORIGINS=UI, KEY_VALUES=SECRET)),
    (
        "environment, wrong value",
        lambda _: read_environment(
            ALLOW_ORIGINS=UI, KEY_HEADER="k", KEY_VALUES=f"{SECRET}\xe4,{SECRET} x\t,{SECRET}\udcff"
        ),
    ),
    (
        "environment, near name",
        lambda _: read_environment(ALLOW_ORIGINS=UI, KEY_HEADER="k", KEY_VALUE=SECRET),
    ),
    (
        "environment, given twice",
        lambda _: read_environment(
            ALLOW_ORIGINS=UI, KEY_HEADER="k", KEY_VALUES=SECRET, KEY_VALUES_FILE="x"
        ),
    ),
    ("flags", lambda _: load({"max_age": "x"}, {"MESHCORS_KEY_VALUES": SECRET})),
    (
        "file, values in it",
        lambda path: wrong_file(
            path,
            "p.json",
            json.dumps({"allowOrigins": [UI], "key": {"header": "k", "values": SECRETS}}),
        ),
    ),
    (
        "file, values twice",
        lambda path: wrong_file(path, "p.yaml", f"key:\n  v: {SECRET}\n  v: {SECRET}"),
    ),
    (
        "file, wrong values in the file it names",
        lambda path: wrong_file(
            path,
            "p.json",
            json.dumps({"allowOrigins": [UI], "key": {"header": "k", "valuesFile": "keys"}}),
        ),
    ),
    ("document", lambda _: to_document(keyed())),
    (
        "path that the environment cannot say",
        lambda _: to_environment(
            Policy(allow_origins=[UI], key=HeaderKey("x-key", exempt_paths=[f"/{SECRET},x"]))
        ),
    ),
    ("keys for a policy", lambda path: wrong_file(path, "p.yaml", f"!{SECRET}!x {SECRET}")),
]


@pytest.mark.parametrize("mistake", [pytest.param(make, id=name) for name, make in MISTAKES])
def test_no_mistake_shows_it(mistake: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        mistake(tmp_path)
    error = caught.value
    assert SECRET not in texts(error.problems)
    # As a server logs it; the source lines contain the name of the secret, not the secret.
    assert SECRET not in "".join(traceback.format_exception(error))
    # And as a tool may show it that follows suppressed exceptions.
    each: BaseException | None = error
    while each is not None:
        assert SECRET not in texts(each)
        each = each.__cause__ or each.__context__


def test_key_file_of_wrong_values(tmp_path: Path) -> None:
    for number, content in enumerate((f"\xe4{SECRET}", f"{SECRET},", f"{SECRET}\x00")):
        path = tmp_path / f"keys{number}"
        path.write_text(content)
        with pytest.raises(PolicyError) as caught:
            HeaderKey.from_file("x-key", path)
        assert SECRET not in texts(caught.value)
    (tmp_path / "utf-16").write_bytes(SECRET.encode("utf-16"))
    with pytest.raises(PolicyError) as caught:
        HeaderKey.from_file("x-key", tmp_path / "utf-16")
    assert SECRET not in texts(caught.value)


def test_no_warning_shows_it() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        keyed(
            max_age=10**6,
            allow_methods=["GET", "OPTIONS", "TRACE"],
            allow_headers=["cookie", "x-key"],
            expose_headers=["set-cookie"],
        )
    assert len(caught) == 7
    assert SECRET not in texts([str(warning.message) for warning in caught])


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_wrap_shows_nothing(
    kind: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "gunicorn.arbiter", raising=False)
    monkeypatch.setenv("MESHCORS_ALLOW_ORIGINS", UI)
    monkeypatch.setenv("MESHCORS_KEY_HEADER", "x-key")
    monkeypatch.setenv("MESHCORS_APP", "no_such_module:app")
    for values in (SECRET, f"{SECRET}\xe4"):
        monkeypatch.setenv("MESHCORS_KEY_VALUES", values)
        with pytest.raises(SystemExit):
            getattr(wrap, kind)()
        err = capfd.readouterr().err
        assert err.startswith("meshcors: MESHCORS_")
        assert SECRET not in err


def test_rules_file_shows_nothing(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(SECRET)
    path = tmp_path / "rules.json"
    rule = {
        "corsPolicy": {"allowOrigins": [UI]},
        "key": {"header": "x-key", "valuesFile": "keys"},
    }
    path.write_text(json.dumps({"rules": [rule]}))
    assert SECRET not in texts(rules_from_file(path))
    path.write_text(json.dumps({"rules": [rule, rule]}))
    with pytest.raises(PolicyError) as caught:
        rules_from_file(path)
    assert SECRET not in texts(caught.value)


# --- answers ----------------------------------------------------------------------------------

REQUESTS = [
    (method, path, headers)
    for method in ("GET", "HEAD", "OPTIONS", "POST")
    for path in ("/", "/open/x", f"/{SECRET}")
    for headers in (
        [],
        [("x-key", SECRET)],
        [("x-key", SECRET[:-1])],
        [("origin", UI), ("x-key", SECRET), ("x-key", SECRET)],
        [("origin", EVIL), ("x-key", f"{SECRET}x")],
        [*preflight(UI, "PUT", "x-key"), ("x-key", SECRET)],
        [*preflight(EVIL, SECRET, SECRET), ("x-key", SECRET)],
        # In the wrong place.
        *(
            [(name, SECRET), ("x-request-id", SECRET)]
            for name in (
                *("X-KEY", "x_key", "authorization", "cookie", "host", "origin", "referer"),
                *("access-control-request-method", "access-control-request-headers"),
                *("access-control-request-private-network", "forwarded", "upgrade"),
            )
        ),
    )
]


@pytest.mark.parametrize("failing", [False, True])
def test_no_answer_shows_it(failing: bool) -> None:
    policy = Policy(allow_origins=[UI], key=HeaderKey("x-key", SECRETS, exempt_paths=["/open/*"]))
    app = App(error=ValueError("x") if failing else None)
    for method, path, headers in REQUESTS:
        for call, made in (
            (call_asgi, MeshCORS(app.asgi, policy)),
            (call_wsgi, meshcors.wsgi.MeshCORS(app.wsgi, policy)),
            (call_asgi, create_app(policy)),
            (call_wsgi, create_wsgi_app(policy)),
        ):
            more = {"validated": False} if call is call_wsgi else {}
            answered = call(made, method, path, headers, **more)  # type: ignore[operator]  # either
            assert answered.status
            assert SECRET not in repr(answered)


def test_no_servers_log_shows_it() -> None:
    app = meshcors.wsgi.MeshCORS(App(error=ValueError("x")).wsgi, keyed())
    for value in SECRETS:
        errors = io.StringIO()
        environ = environ_of(headers=[("origin", UI), ("x-key", value)])
        SimpleHandler(io.BytesIO(), io.BytesIO(), errors, environ).run(app)
        assert "ValueError: x" in errors.getvalue()
        assert SECRET not in errors.getvalue()


def test_frameworks_log_nothing_of_it() -> None:
    import flask
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    served = flask.Flask(__name__)
    meshcors.flask.init_app(served, keyed())
    app = Starlette()
    meshcors.starlette.init_app(app, keyed())
    for value in (SECRET, f"{SECRET}x"):
        headers = {"origin": UI, "x-key": value}
        answer = served.test_client().get("/", headers=headers)
        assert SECRET not in answer.text + repr(answer.headers)
        with TestClient(app) as client:
            other = client.get("/", headers=headers)
            assert SECRET not in other.text + repr(other.headers)
