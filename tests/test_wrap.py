"""An app that the environment names, served inside its policy by a real uvicorn and gunicorn."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from meshcors import wrap
from tests.calling import PYTHON, UI, call_asgi, call_wsgi, clean_environment
from tests.e2e.processes import free_port, running

APPS = """
import functools

import meshcors.wsgi


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-app", b"asgi")]})
    await send({"type": "http.response.body", "body": b"theirs"})


def wsgi(environ, start_response):
    start_response("200 OK", [("x-app", "wsgi"), ("content-length", "6")])
    return [b"theirs"]


ours_in_asgi = meshcors.MeshCORS(asgi, allow_origins=["https://ui.example"])
ours_in_wsgi = meshcors.wsgi.MeshCORS(wsgi, allow_origins=["https://ui.example"])


class holder:
    asgi = staticmethod(asgi)
    wsgi = staticmethod(wsgi)


def create_asgi():
    return asgi


def create_wsgi():
    return wsgi


@functools.wraps(wsgi)
async def asgi_of_wsgi(scope, receive, send):
    await asgi(scope, receive, send)


@functools.wraps(asgi)
def wsgi_of_asgi(environ, start_response):
    return wsgi(environ, start_response)


def with_arguments(a, b, c, d):
    return asgi


@functools.cache
def cached_factory():
    return asgi


@functools.wraps(create_asgi)
def wrapping_factory(*args, **kwargs):
    return asgi


data = {"no": "app"}
"""

KEY = "s3cret-of-wrap"
POLICY = {
    "MESHCORS_ALLOW_ORIGINS": UI,
    "MESHCORS_ALLOW_METHODS": "PUT",
    "MESHCORS_KEY_HEADER": "model-api-key",
    "MESHCORS_KEY_VALUES": KEY,
}

SERVERS = {
    "asgi": lambda port: [
        *(PYTHON, "-m", "uvicorn", "--factory", "meshcors.wrap:asgi"),
        *("--host", "127.0.0.1", "--port", str(port)),
    ],
    "wsgi": lambda port: [
        *(PYTHON, "-m", "gunicorn", "meshcors.wrap:wsgi()"),
        *("--bind", f"127.0.0.1:{port}", "--graceful-timeout", "2"),
    ],
}
servers = pytest.mark.parametrize("kind", SERVERS)


@pytest.fixture
def apps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of apps: the current one, as a user's is, and importable."""
    (tmp_path / "wrapped_apps.py").write_text(APPS)
    (tmp_path / "wrapped_broken.py").write_text("import no_such_module_at_all\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [n for n in sys.modules if n.startswith("wrapped_")]:
        del sys.modules[name]


@contextmanager
def served(kind: str, variables: dict[str, str]) -> Iterator[int]:
    port = free_port()
    command = ["env", *(f"{n}={v}" for n, v in variables.items()), *SERVERS[kind](port)]
    with running(command, port):
        yield port


def fetch(port: int, method: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/x", method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, _lower(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _lower(error.headers), error.read()


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@servers
@pytest.mark.parametrize(
    "path", ["wrapped_apps:{}", "wrapped_apps:holder.{}", "wrapped_apps:create_{}()"]
)
def test_app_is_served_inside_the_policy(kind: str, path: str, apps: Path) -> None:
    with served(kind, {**POLICY, "MESHCORS_APP": path.format(kind)}) as port:
        status, headers, body = fetch(port, "GET", {"origin": UI, "model-api-key": KEY})
        assert (status, headers["x-app"], body) == (200, kind, b"theirs")
        assert headers["access-control-allow-origin"] == UI
        preflight = {"origin": UI, "access-control-request-method": "PUT"}
        status, headers, body = fetch(port, "OPTIONS", preflight)
        assert (status, headers["access-control-allow-methods"], body) == (204, "PUT", b"")
        status, headers, body = fetch(port, "GET", {"origin": UI})
        assert (status, headers["access-control-allow-origin"]) == (401, UI)
        # The server drops the twin, or the adapter tells it apart.
        status, _, _ = fetch(port, "GET", {"origin": UI, "model_api_key": KEY})
        assert status == 401


WRONG = [
    ("no app", {"MESHCORS_APP": None}, "MESHCORS_APP: write pkg.mod:app"),
    ("no object", {"MESHCORS_APP": "wrapped_apps"}, "write pkg.mod:app"),
    ("a path", {"MESHCORS_APP": "./wrapped_apps.py:asgi"}, "write pkg.mod:app"),
    (
        "no such module",
        {"MESHCORS_APP": "no_such_mod:app"},
        "MESHCORS_APP: there is no such module",
    ),
    (
        "no such object",
        {"MESHCORS_APP": "wrapped_apps:ap"},
        "MESHCORS_APP: wrapped_apps: it has no such object",
    ),
    ("data", {"MESHCORS_APP": "wrapped_apps:data"}, "this is not an app: it cannot be called"),
    ("data called", {"MESHCORS_APP": "wrapped_apps:data()"}, "data cannot be called without"),
    (
        "a factory without parentheses",
        {"MESHCORS_APP": "wrapped_apps:create_asgi"},
        "if it makes one, write wrapped_apps:create_asgi()",
    ),
    (
        "a cached factory without parentheses",
        {"MESHCORS_APP": "wrapped_apps:cached_factory"},
        "if it makes one, write wrapped_apps:cached_factory()",
    ),
    (
        "a factory in a decorator without parentheses",
        {"MESHCORS_APP": "wrapped_apps:wrapping_factory"},
        "if it makes one, write wrapped_apps:wrapping_factory()",
    ),
    (
        "a factory with arguments",
        {"MESHCORS_APP": "wrapped_apps:with_arguments()"},
        "with_arguments cannot be called without arguments",
    ),
    ("four arguments", {"MESHCORS_APP": "wrapped_apps:with_arguments"}, "it does not take ("),
    ("parentheses alone", {"MESHCORS_APP": "wrapped_apps:()"}, "write pkg.mod:app"),
    ("no origins", {"MESHCORS_ALLOW_ORIGINS": None}, "MESHCORS_ALLOW_ORIGINS: name the pages'"),
    ("a near variable", {"MESHCORS_ALLOW_ORIGIN": UI}, "did you mean MESHCORS_ALLOW_ORIGINS?"),
    ("an empty secret", {"MESHCORS_KEY_VALUES": ""}, "MESHCORS_KEY_VALUES: name at least one"),
    ("no file", {"MESHCORS_CONFIG": "/no/such"}, "MESHCORS_CONFIG: No such file"),
]


@servers
@pytest.mark.parametrize(
    ("changed", "said"),
    [pytest.param(c, s, id=i) for i, c, s in WRONG if i in ("no such module", "no origins")],
)
def test_mistake_ends_the_server_with_one_line(
    kind: str, changed: dict[str, Any], said: str, apps: Path
) -> None:
    variables = {**POLICY, "MESHCORS_APP": f"wrapped_apps:{kind}", **changed}
    kept = {name: value for name, value in variables.items() if value is not None}
    # It must end by itself: a server that tried forever would run into the timeout.
    done = subprocess.run(
        SERVERS[kind](free_port()),
        env=clean_environment(kept),
        capture_output=True,
        text=True,
        timeout=60,
    )
    # gunicorn has a code of its own for an app that does not load. (With several workers it may
    # trip over its own feet when two fail at once, whatever they fail of.)
    assert done.returncode == {"asgi": 2, "wsgi": 4}[kind]
    lines = [line for line in done.stderr.splitlines() if line.startswith("meshcors: ")]
    assert len(lines) == 1
    assert said in lines[0]
    assert "Traceback" not in done.stderr + done.stdout
    assert KEY not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("kind", "other", "hint"),
    [
        ("asgi", "wsgi", "this is a WSGI app: serve it with meshcors.wrap:wsgi()"),
        ("wsgi", "asgi", "this is an ASGI app: serve it with meshcors.wrap:asgi"),
    ],
)
@pytest.mark.parametrize(
    "path", ["wrapped_apps:{}", "wrapped_apps:create_{}()", "wrapped_apps:ours_in_{}"]
)
@pytest.mark.usefixtures("apps")
def test_an_app_of_the_other_interface_is_one_line(
    kind: str,
    other: str,
    hint: str,
    path: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = path.format(other)
    monkeypatch.delitem(sys.modules, "gunicorn.arbiter", raising=False)
    for variable, value in {**POLICY, "MESHCORS_APP": name}.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit):
        getattr(wrap, kind)()
    assert capsys.readouterr().err == f"meshcors: MESHCORS_APP: {name}: {hint} [app_not_app]\n"


@pytest.mark.parametrize("name", ["asgi_of_wsgi", "wsgi_of_asgi"])
@pytest.mark.usefixtures("apps")
def test_an_app_that_wraps_one_of_the_other_interface_is_served(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in {**POLICY, "MESHCORS_APP": f"wrapped_apps:{name}"}.items():
        monkeypatch.setenv(variable, value)
    kind = name.partition("_")[0]
    call: Any = call_asgi if kind == "asgi" else partial(call_wsgi, validated=False)
    fields = [("origin", UI), ("model-api-key", KEY)]
    assert call(getattr(wrap, kind)(), "GET", "/x", fields).get("x-app") == kind


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_an_app_without_a_signature_is_taken_as_it_is(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One written in C: what it takes shows when it is called.
    for variable, value in {**POLICY, "MESHCORS_APP": "builtins:max"}.items():
        monkeypatch.setenv(variable, value)
    assert getattr(wrap, kind)().app is max


@servers
@pytest.mark.parametrize(("changed", "said"), [pytest.param(c, s, id=i) for i, c, s in WRONG])
def test_mistake_is_one_line(
    kind: str,
    changed: dict[str, Any],
    said: str,
    apps: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delitem(sys.modules, "gunicorn.arbiter", raising=False)
    for name, value in {**POLICY, "MESHCORS_APP": f"wrapped_apps:{kind}", **changed}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as left:
        getattr(wrap, kind)()
    assert left.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert printed.err.startswith("meshcors: ")
    assert said in printed.err
    assert KEY not in printed.err


@pytest.mark.parametrize(
    "name",
    [
        "",
        ":",
        "a:",
        ":b",
        ".a:b",
        "a..b:c",
        "a.:b",
        "..:x",
        "wrapped_apps:",
        "a b:c",
        "a\0:b",
        "wrapped_apps:asgi.",
        "wrapped_apps:.asgi",
        "\udcff:a",
        "wrapped_apps.asgi:x",
        "os.path.x:y",
    ],
)
def test_odd_names_are_one_line(
    name: str, apps: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable, value in POLICY.items():
        monkeypatch.setenv(variable, value)
    # os.environ would refuse some of these; what wrap reads is a mapping.
    monkeypatch.setattr(wrap.os, "environ", {**POLICY, "MESHCORS_APP": name})
    with pytest.raises(SystemExit):
        wrap.asgi()
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_what_the_app_itself_fails_to_import_is_its_own_traceback(
    apps: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in {**POLICY, "MESHCORS_APP": "wrapped_broken:app"}.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
        wrap.asgi()


def test_rules_of_the_environments_file(apps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (apps / "rules.json").write_text(
        '{"rules": [{"pathPrefix": "/v1", "corsPolicy": {"allowOrigins": ["https://ui.example"]}}]}'
    )
    monkeypatch.setenv("MESHCORS_CONFIG", "rules.json")
    for kind, call in (("asgi", call_asgi), ("wsgi", call_wsgi)):
        monkeypatch.setenv("MESHCORS_APP", f"wrapped_apps:{kind}")
        app: Any = getattr(wrap, kind)()
        more = {} if kind == "asgi" else {"validated": False}
        inside = call(app, "GET", "/v1/x", [("origin", UI)], **more)  # type: ignore[operator]  # either
        assert inside.get("access-control-allow-origin") == UI
        outside = call(app, "GET", "/v2/x", [("origin", UI)], **more)  # type: ignore[operator]  # either
        assert outside.get("access-control-allow-origin") is None
