"""No key's value in any text: nothing that is made, printed, raised, logged or answered has it."""

from __future__ import annotations

import copy
import io
import json
import logging
import pprint
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.handlers import SimpleHandler

import pytest

import meshcors.flask
import meshcors.starlette
import meshcors.wsgi
from meshcors import HeaderKey, MeshCORS, Policy, PolicyError, create_app, create_wsgi_app, wrap
from meshcors.config import from_environment, from_file, load, rules_from_file, to_document
from meshcors.engine import Engine
from meshcors.rules import Rule, RuleSet
from tests.calling import EVIL, UI, App, call_asgi, call_wsgi, environ_of, preflight

SECRET = "s3cretMarker"
# Told apart in the text only by what comes before or after it.
SECRETS = [SECRET, f"{SECRET}-two"]


@pytest.fixture(autouse=True)
def watched(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Whatever a test logs and prints is without the secret."""
    caplog.set_level(logging.DEBUG)
    yield
    out, err = capfd.readouterr()
    assert SECRET not in out + err
    assert SECRET not in caplog.text
    assert SECRET not in repr([vars(record) for record in caplog.records])


def keyed(**more: Any) -> Policy:
    return Policy(allow_origins=[UI], key=HeaderKey("x-key", SECRETS), **more)


def texts(thing: object) -> str:
    return "\n".join([repr(thing), str(thing), f"{thing}", pprint.pformat(thing), ascii(thing)])


def everything_in(thing: object, seen: set[int], depth: int = 0) -> Iterator[object]:
    """The thing and what hangs on it, as a debugger shows it: its own repr of each."""
    if id(thing) in seen or depth > 4:
        return
    seen.add(id(thing))
    yield thing
    names = getattr(type(thing), "__slots__", ()) or ()
    held = [*vars(thing).values()] if hasattr(thing, "__dict__") else []
    held += [getattr(thing, name) for name in names if hasattr(thing, name)]
    for each in held:
        if type(each).__module__.startswith("meshcors"):
            yield from everything_in(each, seen, depth + 1)


MADE: list[tuple[str, Callable[[], object]]] = [
    ("key", lambda: HeaderKey("x-key", SECRETS)),
    ("policy", keyed),
    ("copy", lambda: copy.copy(keyed())),
    ("without values", lambda: keyed().without_key_values()),
    ("engine", lambda: Engine(keyed())),
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
    for thing in everything_in(make(), set()):
        assert SECRET not in texts(thing)


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
]


@pytest.mark.parametrize("mistake", [pytest.param(make, id=name) for name, make in MISTAKES])
def test_no_mistake_shows_it(mistake: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        mistake(tmp_path)
    error = caught.value
    assert SECRET not in texts(error)
    assert SECRET not in texts(error.problems)
    # As a server logs it; the lines of source name the secret and do not have it.
    assert SECRET not in "".join(traceback.format_exception(error))


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
